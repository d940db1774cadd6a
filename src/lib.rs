//! stub
mod bridge;
mod broken;
mod chain;
mod core;
mod deferred;
mod diagnostics;
mod event_loop;
mod list;
pub mod local;
mod promise;
mod trampoline;
pub mod when;

pub mod flavor {
    //! flavors
    pub use crate::core::{Accepts, Flavor, Local, Threaded};
}

pub use bridge::{EventLoop, Handle, current, sleep, spawn, timeout};
pub use broken::{Broken, BrokenKind};
pub use chain::IntoPromise;
pub use core::State;
pub use deferred::Deferred;
pub use promise::Promise;
pub use when::{When, when};

/// How far a piece of work has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Progress {
    /// done
    pub done: u64,
    /// total
    pub total: u64,
}
