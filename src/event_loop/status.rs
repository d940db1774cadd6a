//! How a task stands, and stood at the end of its last poll.

use std::panic::Location;
use std::task::Waker;

use crate::awaited::{self, Mark};

/// What a task is doing.
///
/// # Examples
///
/// ```
/// use deferral::{EventLoop, dump::Status};
///
/// let event_loop = EventLoop::new();
/// event_loop.spawn(std::future::pending::<()>());
/// let status = || event_loop.dump().iter().next().map(|entry| entry.status);
/// assert_eq!(status(), Some(Status::Queued));
/// event_loop.run_until_idle();
/// assert_eq!(status(), Some(Status::Waiting));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Status {
    /// It is being polled: the loop is asked in the middle of that.
    Running,
    /// It is to be polled in this turn or the next: it was spawned or woken.
    Queued,
    /// It waits to be woken.
    Waiting,
}

/// How a task stood at the end of its last poll.
#[derive(Clone, Copy)]
pub(crate) struct Wait {
    /// When that was, as far as the loop knew: in nanoseconds since it was made.
    pub(super) since: u64,
    /// Where the promise was made that the poll found pending last.
    pub(crate) origin: Option<&'static Location<'static>>,
    pub(crate) promise: Mark,
    /// The waker it was polled with: none before the first poll.
    pub(crate) waker: Mark,
}

impl Wait {
    /// Before the first poll.
    pub(super) fn first(since: u64) -> Self {
        Wait { since, origin: None, promise: Mark::NONE, waker: Mark::NONE }
    }

    /// At the end of a poll with `waker`.
    pub(super) fn after_poll(since: u64, waker: &Waker) -> Self {
        let (promise, origin) = awaited::last();
        Wait { since, origin, promise, waker: Mark::of(waker.data()) }
    }
}
