//! The tests of `both/`, with the local flavor.

pub(crate) use deferral::local::{Deferred, Promise};

both!();
