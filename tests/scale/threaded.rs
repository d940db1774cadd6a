//! The tests of `both/`, with the thread-safe flavor.

pub(crate) use deferral::{Deferred, Promise};

both!();
