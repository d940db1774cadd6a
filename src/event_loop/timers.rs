//! Which call is due when.
//!
//! A sorted map, not a heap: a canceled timer, the fate of most timeouts, leaves at once and leaves nothing behind, so there are
//! no stale entries to skip, to count or to clear away.

use std::collections::BTreeMap;
use std::time::Instant;

use crate::list::Key;

/// One place in the order: by deadline, ties in the order of their making, save that a late timer comes after all others.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Timer {
    deadline: Instant,
    late: bool,
    number: u64,
}

pub(super) struct Timers {
    calls: BTreeMap<Timer, Key>,
    next_number: u64,
}

impl Timers {
    pub(super) fn new() -> Self {
        Timers { calls: BTreeMap::new(), next_number: 0 }
    }

    pub(super) fn add(&mut self, deadline: Instant, late: bool, call: Key) -> Timer {
        let timer = Timer { deadline, late, number: self.next_number };
        self.next_number += 1;
        self.calls.insert(timer, call);
        timer
    }

    /// Removes a timer. One that was due already is not here, and that is fine.
    pub(super) fn remove(&mut self, timer: Timer) {
        self.calls.remove(&timer);
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.calls.first_key_value().map(|(timer, _)| timer.deadline)
    }

    /// Takes the first of the calls that are due at `now`.
    pub(super) fn pop_due(&mut self, now: Instant) -> Option<Key> {
        let first = self.calls.first_entry()?;
        if first.key().deadline <= now { Some(first.remove()) } else { None }
    }

    pub(super) fn clear(&mut self) {
        self.calls.clear();
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.calls.len()
    }
}
