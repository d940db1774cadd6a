//! As many as one likes: a bounded stack, and no memory that grows. A binary of its own, as the millions want an optimized build.
//!
//! What concerns no thread stands in one source for both flavors, as in `tests/it`. Each test names the guarantee (G1 to G14 of the
//! design) or the row of the conformance matrix that it holds.

// The files of `both/` are meant to be loaded twice.
#![allow(clippy::duplicate_mod)]

// Only some of it is of use here.
#[allow(dead_code)]
#[path = "../it/util.rs"]
mod util;

/// The tests that concern no thread.
macro_rules! both {
    () => {
        #[path = "both/nest.rs"]
        mod nest;
        #[path = "both/stack.rs"]
        mod stack;
    };
}

mod local;
mod memory;
mod threaded;
