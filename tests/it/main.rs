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
        #[path = "both/settle.rs"]
        mod settle;
    };
}

mod local;
mod threaded;
