//! What is measured: each operation as this crate does it and as its peers do, for every harness to run.
//!
//! `benches/loop.rs` shows each contestant by itself, with its spread; `benches/peers.rs` lets them take turns and compares them.

// Each harness is a crate of its own, and uses its part of this one.
#![allow(dead_code, unreachable_pub)]

pub mod aggregates;
pub mod executors;
pub mod memory;
pub mod oneshots;
pub mod promises;
pub mod sort;
pub mod tasks;
pub mod timers;

use std::fmt;

/// One operation, and all who can do it.
pub struct Operation {
    pub name: &'static str,
    /// How many times a round does it.
    pub count: u64,
    pub clock: Clock,
    /// What we set ourselves.
    pub limit: Option<Limit>,
    /// This crate first.
    pub contestants: &'static [Contestant],
}

/// What an operation is measured by.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Clock {
    /// What the process used of the processor: the same whatever else the machine does. Waiting for a deadline costs nothing.
    Cpu,
    /// What went by: for threads that wait for each other.
    Wall,
}

/// At most `ratio` times what `peer` takes.
pub struct Limit {
    pub ratio: f64,
    pub peer: &'static str,
}

impl Limit {
    const fn new(ratio: f64, peer: &'static str) -> Option<Limit> {
        Some(Limit { ratio, peer })
    }
}

/// One way to do an operation.
pub struct Contestant {
    pub name: &'static str,
    /// Makes what lasts, such as a runtime, and gives a round.
    pub prepare: fn() -> Round,
}

/// Does the operation as often as [`Operation::count`] says.
pub type Round = Box<dyn FnMut()>;

impl Contestant {
    const fn new(name: &'static str, prepare: fn() -> Round) -> Self {
        Contestant { name, prepare }
    }
}

impl fmt::Display for Contestant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// This crate, in every table.
pub const OURS: &str = "deferral";

/// The operations of an event loop.
pub const LOOP: &[Operation] = &[
    tasks::SPAWN_AND_JOIN,
    tasks::YIELD,
    tasks::YIELD_AMONG_MANY,
    tasks::BATON,
    tasks::THREAD_BATON,
    timers::MAKE_AND_FIRE,
    timers::MAKE_AND_CANCEL,
    sort::THOUSAND,
    sort::MILLION,
];

/// The operations of promises.
pub const PROMISES: &[Operation] = &[
    promises::READY,
    promises::PENDING,
    promises::SHARED_8,
    promises::SHARED_1024,
    promises::CALLBACK,
    promises::CALLBACKS,
    promises::LATE_CALLBACK,
    promises::THEN,
    aggregates::SETTLED,
    aggregates::GATHERED,
    aggregates::RANDOM,
    aggregates::RANDOM_MANY,
    aggregates::READY,
    promises::LOCAL_READY,
    promises::LOCAL_PENDING,
    promises::LOCAL_CALLBACK,
    promises::LOCAL_CALLBACKS,
    promises::LOCAL_LATE,
];

/// Numbers that look random and are the same in every run (SplitMix64).
pub fn random() -> impl Iterator<Item = u64> {
    let mut state = 1_u64;
    std::iter::repeat_with(move || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    })
}
