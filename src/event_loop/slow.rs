//! What holds up a loop: a call, or one poll, that takes longer than it should.

use std::panic::Location;
use std::time::Duration;

use super::local::Local;
use crate::diagnostics;
use crate::unhandled::{Unhandled, Work};

impl Local {
    /// Has whatever takes longer than `limit` reported. [`Duration::MAX`] turns that off.
    pub(crate) fn warn_slower_than(&self, limit: Duration) {
        self.slow.set((limit != Duration::MAX).then_some(limit));
    }

    /// Does some of the loop's work, which was asked for at `origin`. The clock is looked at only where somebody wants to know.
    pub(super) fn timed<R>(&self, work: Work, origin: &'static Location<'static>, f: impl FnOnce() -> R) -> R {
        let Some(limit) = self.slow.get() else { return f() };
        let began = self.remote().now();
        let result = f();
        let took = self.remote().now().saturating_duration_since(began);
        if took > limit {
            diagnostics::report(&Unhandled::Slow { work, origin, took, limit });
        }
        result
    }
}
