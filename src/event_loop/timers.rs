//! Which call is due when.
//!
//! A sorted map, not a heap: a canceled timer, the fate of most timeouts, leaves at once and leaves nothing behind, so there are
//! no stale entries to skip, to count or to clear away.

use std::collections::BTreeMap;
use std::time::Instant;

use crate::list::Key;

/// One place in the order: by deadline, ties in the order of their making, on whatever thread.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Timer {
    pub(super) deadline: Instant,
    pub(super) number: u64,
    /// Whether its call runs a turn later than it is due, after what that turn has brought about.
    pub(super) late: bool,
}

pub(super) struct Timers {
    calls: BTreeMap<Timer, Key>,
}

impl Timers {
    pub(super) fn new() -> Self {
        Timers { calls: BTreeMap::new() }
    }

    pub(super) fn add(&mut self, timer: Timer, call: Key) {
        self.calls.insert(timer, call);
    }

    /// Removes a timer. One that was due already is not here, and that is fine.
    pub(super) fn remove(&mut self, timer: Timer) {
        self.calls.remove(&timer);
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.calls.first_key_value().map(|(timer, _)| timer.deadline)
    }

    /// Takes the first of the calls that are due at `now`.
    pub(super) fn pop_due(&mut self, now: Instant) -> Option<(Timer, Key)> {
        let first = self.calls.first_entry()?;
        if first.key().deadline > now {
            return None;
        }
        Some(first.remove_entry())
    }

    pub(super) fn clear(&mut self) {
        self.calls.clear();
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.calls.len()
    }
}
