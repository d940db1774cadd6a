//! One binary, a module per behaviour.
//!
//! What concerns no thread stands in one source for both flavors: each file under `both/` is compiled twice, with the `Deferred` and
//! `Promise` of either. Each test names the guarantee (G1 to G14 of the design) or the row of the conformance matrix that it holds.

// The files of `both/` are meant to be loaded twice.
#![allow(clippy::duplicate_mod)]

mod util;

/// The tests that concern no thread.
macro_rules! both {
    () => {
        #[path = "both/aggregates.rs"]
        mod aggregates;
        #[path = "both/alignment.rs"]
        mod alignment;
        #[path = "both/any_race.rs"]
        mod any_race;
        #[path = "both/cancel.rs"]
        mod cancel;
        #[path = "both/chain.rs"]
        mod chain;
        #[path = "both/claims.rs"]
        mod claims;
        #[path = "both/clones.rs"]
        mod clones;
        #[path = "both/consume.rs"]
        mod consume;
        #[path = "both/depth.rs"]
        mod depth;
        #[path = "both/disposal.rs"]
        mod disposal;
        #[path = "both/drops.rs"]
        mod drops;
        #[path = "both/map.rs"]
        mod map;
        #[path = "both/model.rs"]
        mod model;
        #[path = "both/nested.rs"]
        mod nested;
        #[path = "both/order.rs"]
        mod order;
        #[path = "both/panics.rs"]
        mod panics;
        #[path = "both/progress.rs"]
        mod progress;
        #[path = "both/reentrancy.rs"]
        mod reentrancy;
        #[path = "both/regressions.rs"]
        mod regressions;
        #[path = "both/settle.rs"]
        mod settle;
        #[path = "both/settled.rs"]
        mod settled;
        #[path = "both/unhandled.rs"]
        mod unhandled;
        #[path = "both/values.rs"]
        mod values;
        #[path = "both/when.rs"]
        mod when;
    };
}

mod aborts;
mod auto_traits;
mod describe;
mod dump;
mod dump_owners;
mod event_loop;
mod executors;
mod generic;
mod handle;
mod host;
mod host_function;
mod host_wake;
mod inference;
mod into_local;
mod local;
mod misuse;
mod one_entry;
mod regressions;
mod shutdown;
mod sizes;
mod slow;
mod spawners;
mod streams;
mod tasks;
mod threaded;
mod threads;
mod timeout;
mod timers;
mod unhandled;
mod via;
mod via_depth;
mod via_ends;
mod wait;
mod when_threads;
