//! What the loop knows of the time without a look at its clock: when it last looked.

use std::time::Instant;

use super::local::Local;

/// How many turns may go by before the loop looks at its clock, if nothing else makes it.
const BLIND_TURNS: u32 = 64;

impl Local {
    /// The time of the last look at the clock, in nanoseconds since the loop was made.
    pub(super) fn seen(&self) -> u64 {
        self.seen.get()
    }

    /// Notes what the clock shows.
    pub(super) fn see(&self, now: Instant) {
        let nanos = now.saturating_duration_since(self.made).as_nanos();
        self.seen.set(u64::try_from(nanos).unwrap_or(u64::MAX));
        self.blind_turns.set(0);
    }

    /// Looks at the clock, if that was long ago.
    #[inline]
    pub(super) fn count_turn(&self) {
        let turns = self.blind_turns.get() + 1;
        self.blind_turns.set(turns);
        if turns >= BLIND_TURNS {
            self.look_at_clock();
        }
    }

    #[inline(never)]
    fn look_at_clock(&self) {
        self.see(self.remote().now());
    }
}
