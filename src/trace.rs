//! What happens to promises and tasks, for the `tracing` crate: see the feature's part of the crate's docs. Without the feature nothing of
//! it is compiled in, and a [`Span`] takes no room.
//!
//! A subscriber is foreign code: events are made where nothing is locked or borrowed, and a panic in one ends there.

use std::panic::Location;

use crate::broken::BrokenKind;
use crate::unhandled::Unhandled;

#[cfg(feature = "tracing")]
use self::on as which;

#[cfg(not(feature = "tracing"))]
use self::off as which;

pub(crate) use self::which::Span;

/// A settle by a producer, or by what a source delivered, has won.
#[inline]
pub(crate) fn settled(origin: &'static Location<'static>, resolved: bool) {
    which::settled(origin, resolved);
}

/// The library has rejected a promise that was made at `origin`.
#[inline]
pub(crate) fn broken(origin: &'static Location<'static>, kind: BrokenKind) {
    which::broken(origin, kind);
}

#[inline]
pub(crate) fn unhandled(lost: &Unhandled<'_>) {
    which::unhandled(lost);
}

#[cfg(feature = "tracing")]
mod on {
    use super::{BrokenKind, Location, Unhandled};
    use crate::panics;

    const TARGET: &str = "deferral";

    /// Runs the subscriber's code.
    fn guard<R>(f: impl FnOnce() -> R) -> Option<R> {
        panics::guard(f).map_err(panics::discard).ok()
    }

    /// A task, from its spawn to its end.
    pub(crate) struct Span(Option<tracing::Span>);

    impl Span {
        pub(crate) const NONE: Span = Span(None);

        pub(crate) fn task(number: u32, origin: &'static Location<'static>) -> Self {
            Span(guard(|| tracing::debug_span!(target: TARGET, "task", number, spawned = %origin)))
        }

        /// Enters it for as long as `f` runs, which does not unwind.
        pub(crate) fn enter<R>(&self, f: impl FnOnce() -> R) -> R {
            let entered = self.0.as_ref().and_then(|span| guard(|| span.enter()));
            let result = f();
            guard(|| drop(entered));
            result
        }
    }

    impl Drop for Span {
        fn drop(&mut self) {
            if let Some(span) = self.0.take() {
                guard(|| drop(span));
            }
        }
    }

    pub(super) fn settled(origin: &'static Location<'static>, resolved: bool) {
        guard(|| match resolved {
            true => tracing::debug!(target: TARGET, promise = %origin, "resolved"),
            false => tracing::debug!(target: TARGET, promise = %origin, "rejected"),
        });
    }

    pub(super) fn broken(origin: &'static Location<'static>, kind: BrokenKind) {
        guard(|| match kind {
            BrokenKind::Canceled => tracing::debug!(target: TARGET, promise = %origin, "canceled"),
            BrokenKind::TimedOut => tracing::debug!(target: TARGET, promise = %origin, "timed out"),
            BrokenKind::LoopClosed => tracing::debug!(target: TARGET, promise = %origin, "its loop is closed"),
            BrokenKind::Abandoned => tracing::warn!(target: TARGET, promise = %origin, "abandoned"),
            BrokenKind::Panicked => tracing::warn!(target: TARGET, promise = %origin, "panicked"),
            BrokenKind::Empty => tracing::warn!(target: TARGET, promise = %origin, "nothing to choose from"),
            BrokenKind::Cycle => tracing::warn!(target: TARGET, promise = %origin, "a cycle"),
        });
    }

    pub(super) fn unhandled(lost: &Unhandled<'_>) {
        let line = lost.line();
        guard(|| match lost {
            Unhandled::Panic { .. } => tracing::error!(target: TARGET, "{line}"),
            _ => tracing::warn!(target: TARGET, "{line}"),
        });
    }
}

#[cfg(not(feature = "tracing"))]
mod off {
    use super::{BrokenKind, Location, Unhandled};

    pub(crate) struct Span;

    impl Span {
        pub(crate) const NONE: Span = Span;

        #[inline]
        pub(crate) fn task(_: u32, _: &'static Location<'static>) -> Self {
            Span
        }

        #[inline]
        pub(crate) fn enter<R>(&self, f: impl FnOnce() -> R) -> R {
            f()
        }
    }

    #[inline]
    pub(super) fn settled(_: &'static Location<'static>, _: bool) {}

    #[inline]
    pub(super) fn broken(_: &'static Location<'static>, _: BrokenKind) {}

    #[inline]
    pub(super) fn unhandled(_: &Unhandled<'_>) {}
}
