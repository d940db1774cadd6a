//! How a loop sleeps by itself: on a condition variable. With the feature `io`, `reactor` stands in for this file.

use std::rc::Rc;
use std::time::Instant;

use super::bell::Sleeper;
use super::local::{Local, Remote};
use super::turn::Next;
use crate::panics::unpoisoned;

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
