//! What a loop is stuck on: who waits for whom.

mod entry;
mod owners;
mod tree;

use std::fmt;
use std::slice;
use std::time::Instant;
use std::vec;

pub use self::entry::{Entry, Owner};
use self::owners::Owners;
use self::tree::Tree;
use crate::event_loop::Local;

/// The live tasks of an event loop at one moment, and what they wait for: see [`EventLoop::dump`](crate::EventLoop::dump).
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
