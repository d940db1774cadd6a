//! What a loop is stuck on: who waits for whom.

mod owners;
mod tree;

use std::fmt;
use std::panic::Location;
use std::slice;
use std::time::Instant;
use std::vec;

use self::owners::Owners;
use self::tree::Tree;
use super::EventLoop;
use crate::event_loop::{Local, Status};

/// The live tasks of an event loop at one moment, and what they wait for: see [`EventLoop::dump`].
///
/// As data it is a sequence of [entries](Entry): the future that [`run_until_complete`](crate::EventLoop::run_until_complete) polls,
/// if it is under way, then the tasks in the order of spawning.
///
/// `Display` draws the tree of who waits for whom, in the manner of Python's `asyncio pstree`: each task is followed by those who owe
/// what it waits for, so the leaves are what the whole is stuck on. Nobody waits for the roots. Other than there, a task that waits for
/// itself, however indirectly, is no error: it is marked as a cycle. A task with several who wait for it is drawn once, and what nests
/// deeper than 32 levels in a tree of its own.
///
/// # Examples
///
/// ```
/// use deferral::{EventLoop, sleep, spawn};
/// use std::rc::Rc;
/// use std::time::Duration;
///
/// let event_loop = Rc::new(EventLoop::with_virtual_clock());
/// event_loop.spawn(async {
///     let nap = spawn(async { sleep(Duration::from_secs(60)).await });
///     nap.await
/// });
/// let watched = event_loop.clone();
/// let watchdog = event_loop.call_later(Duration::from_secs(5), move || watched.dump().to_string());
/// event_loop.run_until_idle();
///
/// let text = event_loop.run_until_complete(watchdog).unwrap();
/// let lines: Vec<_> = text.lines().collect();
/// assert!(lines[0].starts_with("└── task 0 (") && lines[0].contains("), waiting 5s for the promise made at "));
/// assert!(lines[1].starts_with("    └── task 1 (") && lines[1].contains("), waiting 5s for the promise made at "));
/// assert!(lines[2].starts_with("        └── timer (") && lines[2].ends_with("), due in 55s"));
/// ```
#[derive(Clone, Debug)]
pub struct Dump {
    entries: Vec<Entry>,
    /// When it was made, by the loop's clock.
    time: Instant,
}

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
    /// Who on this loop owes the outcome of that promise, or of one that it is derived from: tasks first. There are several if it is
    /// derived from several, and none if somebody outside settles it, by a `Deferred`, from another thread or on another loop.
    pub owners: Vec<Owner>,
}

/// Who owes the outcome of a promise.
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

impl EventLoop {
    /// Tells what every live task is doing, and what it waits for.
    ///
    /// For each task that is: the line that spawned it; whether it is queued, waits, or runs just now, and since when; where the
    /// promise was made that it waits for; and which tasks and timers of this loop owe that, also through `then`, `when`, `timeout` and
    /// their kin. [`Dump`] is data, and its `Display` draws the tree of who waits for whom, as Python's `asyncio pstree` does.
    ///
    /// A task may be asked for while it is being polled, and the loop may be dumped from anywhere on its thread: by a callback, a timer
    /// that serves as a watchdog, or a destructor. It changes nothing, and never panics. While nobody asks, it costs no allocation,
    /// and a few stores in a poll that ends pending.
    ///
    /// # What it does not know
    ///
    /// - A task that polls several promises is shown to wait for the one that it found pending last. Let it await a
    ///   [`when`](crate::when()) of them, and all who owe them are shown.
    /// - A task that waits for something that is no promise, as a channel or a stream of futures, just waits.
    /// - Of a task that runs just now, only who waits for its very promise is known, not who waits for what is derived from it; of a
    ///   call that runs, nothing.
    /// - What other threads have sent to a [`Handle`](super::Handle) is seen when the loop receives it, at the beginning of a turn.
    ///
    /// # Examples
    ///
    /// ```
    /// use deferral::EventLoop;
    /// use deferral::dump::{Owner, Status};
    ///
    /// let event_loop = EventLoop::new();
    /// let forgotten = event_loop.spawn(std::future::pending::<()>());
    /// event_loop.spawn(async { forgotten.await });
    /// event_loop.run_until_idle();
    ///
    /// let dump = event_loop.dump();
    /// println!("{dump}");
    /// let waits = dump.iter().nth(1).unwrap();
    /// assert_eq!(waits.status, Status::Waiting);
    /// assert_eq!(waits.owners, [Owner::Task(0)]);
    /// ```
    pub fn dump(&self) -> Dump {
        Dump::of(&self.local)
    }
}

impl Dump {
    pub(super) fn of(local: &Local) -> Self {
        let mut survey = local.survey();
        let mut owners = Owners::of(&mut survey);
        let entries = survey.tasks.into_iter().enumerate().map(|(index, task)| Entry {
            number: task.number,
            origin: task.origin,
            status: task.status,
            since: task.since,
            awaits: task.awaits(),
            owners: owners.take(index),
        });
        Dump { entries: entries.collect(), time: survey.now }
    }

    /// The entries.
    pub fn iter(&self) -> slice::Iter<'_, Entry> {
        self.entries.iter()
    }
}

impl<'a> IntoIterator for &'a Dump {
    type Item = &'a Entry;
    type IntoIter = slice::Iter<'a, Entry>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl IntoIterator for Dump {
    type Item = Entry;
    type IntoIter = vec::IntoIter<Entry>;

    fn into_iter(self) -> Self::IntoIter {
        self.entries.into_iter()
    }
}

impl fmt::Display for Dump {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Tree::of(&self.entries, self.time).draw(f)
    }
}
