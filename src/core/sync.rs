//! The primitives of the core: those of the standard library, or those of the model checker.

#[cfg(not(loom))]
pub(crate) use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

#[cfg(loom)]
pub(crate) use loom::sync::atomic::{AtomicBool, AtomicU32, Ordering};

/// Waits for another thread to finish a few instructions: the longer it takes, the more time it is given.
#[cfg(not(loom))]
pub(crate) fn wait(round: u32) {
    /// Enough for a thread that runs on another core.
    const SPINS: u32 = 64;
    /// Enough for one that waits for a core, unless all are taken by threads of a higher priority.
    const YIELDS: u32 = 256;
    if round < SPINS {
        std::hint::spin_loop();
    } else if round < YIELDS {
        std::thread::yield_now();
    } else {
        std::thread::sleep(std::time::Duration::from_micros(50));
    }
}

#[cfg(loom)]
pub(crate) fn wait(_: u32) {
    loom::thread::yield_now();
}
