//! How a loop sleeps by itself: on a condition variable. With the feature `io`, `reactor` stands in for this file.

use std::mem;
use std::rc::Rc;
use std::sync::Condvar;
use std::time::Instant;

use super::local::Local;
use super::remote::Remote;
use super::run::Next;
use crate::panics::unpoisoned;

/// What wakes a loop that sleeps.
pub(super) type Bell = Condvar;

/// The loop's own side of its sleep: nothing here wakes a loop on its own thread.
#[derive(Default)]
pub(super) struct Sleep {}

impl Sleep {
    /// Whether the loop sleeps, and this thread may come to wake it.
    pub(super) fn is_asleep(&self) -> bool {
        false
    }
}

/// Whether the loop sleeps, and nobody has woken it yet. It is kept under the lock.
#[derive(Default)]
pub(super) struct Sleeper(bool);

impl Sleeper {
    #[must_use]
    pub(super) fn take(&mut self) -> Self {
        mem::take(self)
    }

    /// To be called after unlocking.
    pub(super) fn wake(self, bell: &Bell) {
        if self.0 {
            bell.notify_one();
        }
    }

    #[cfg(test)]
    pub(super) fn is_asleep(&self) -> bool {
        self.0
    }
}

impl Local {
    /// Makes turns until one of the two says that the run ends: `turn`, or `idle`, which is asked when nothing is ready. In between,
    /// the loop sleeps if `idle` has nothing to do either.
    #[inline]
    pub(super) fn drive<R>(
        self: &Rc<Self>,
        _sleeps: bool,
        mut turn: impl FnMut() -> Next<R>,
        mut idle: impl FnMut() -> Next<R>,
    ) -> R {
        loop {
            let next = match turn() {
                Next::Rest => idle(),
                next => next,
            };
            match next {
                Next::Return(result) => return result,
                Next::Turn => {}
                Next::Rest => {
                    self.trim();
                    let deadline = self.next_deadline();
                    self.remote().park(deadline);
                    self.see(self.remote().now());
                }
            }
        }
    }

    /// What a turn of a host does about I/O: there is none.
    pub(super) fn look(&self) {}

    /// Ends the loop's sleep from its own thread, on which nothing happens while it sleeps.
    pub(super) fn rouse(&self) {}
}

impl Remote {
    /// Sleeps until something comes, or until the deadline. Never ends early.
    fn park(&self, deadline: Option<Instant>) {
        let mut state = self.lock();
        while !self.is_woken() {
            let left = deadline.map(|deadline| deadline.saturating_duration_since(self.now()));
            state.sleeper = Sleeper(true);
            state = match left {
                None => unpoisoned(self.bell().wait(state)),
                Some(left) if left.is_zero() => break,
                Some(left) => unpoisoned(self.bell().wait_timeout(state, left)).0,
            };
        }
        state.sleeper = Sleeper(false);
    }
}
