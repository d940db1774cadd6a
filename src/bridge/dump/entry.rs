//! What a dump tells of one task.

use std::panic::Location;
use std::time::Instant;

use crate::event_loop::Status;

/// One live task.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Entry {
    /// Which one it is: tasks are numbered in the order of spawning, from 0, by each loop for itself. `None` is the future that
    /// [`run_until_complete`](crate::EventLoop::run_until_complete) polls.
    pub number: Option<u32>,
    /// The line that spawned it, or that called `run_until_complete`.
    pub origin: &'static Location<'static>,
    /// What it is doing.
    pub status: Status,
    /// Since when, by the loop's clock: for a task that waits, since its last poll; for one that is queued, since it was spawned or
    /// woken.
    ///
    /// On a virtual clock that is exact. On a real one no time is read for it: the loop goes by its last look at the clock. It looks when
    /// a run begins, after each sleep, in each turn while a timer is pending, and else in every 64th turn. A poll and a spawn count as
    /// done at the look before, so they may be told too early, but never too late; a wake, as of another thread, at the last one.
    pub since: Instant,
    /// For a task that waits: where the promise was made that its last poll found pending, or was the last to find pending if there
    /// were several. `None` if it found none, and waits for something else.
    pub awaits: Option<&'static Location<'static>>,
    /// What on this loop owes the outcome of that promise, or of one that it is derived from: tasks first. There are several if it is
    /// derived from several, and none if a `Deferred` outside settles it, from another thread or on another loop.
    pub owners: Vec<Owner>,
}

/// A task, call or timer that owes the outcome of a promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Owner {
    /// The task with this number.
    Task(u32),
    /// A timer: of a `sleep`, a `timeout`, `call_later` or `call_at`.
    #[non_exhaustive]
    Timer {
        /// The line that made it.
        origin: &'static Location<'static>,
        /// When it fires, by the loop's clock.
        due: Instant,
    },
    /// A call that waits for its turn, or a timer that never fires.
    #[non_exhaustive]
    Call {
        /// The line that scheduled it.
        origin: &'static Location<'static>,
    },
}
