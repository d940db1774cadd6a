//! What becomes of an error.
//!
//! The [`Phase`] says whether anybody has looked at it, and whether anybody need: of what is still [`Phase::Rejected`] when the last handle
//! goes, word is given, as it is dropped. Who takes the outcome has it, and looks. What is known of an error besides itself travels with it
//! down a chain, in a [`Delivery`](super::Delivery).

use std::any::Any;
use std::mem;
use std::panic::Location;

use super::flavor::Flavor;
use super::state::{Phase, Shared, Slot};
use crate::broken::{Broken, BrokenKind};
use crate::diagnostics;

/// Where a promise was rejected: the line that called `reject` or its kin.
///
/// Builds without debug assertions do not know it: there would be no room for it in the block of a small promise.
#[derive(Clone, Copy)]
pub struct Site(#[cfg(debug_assertions)] Option<&'static Location<'static>>);

impl Site {
    pub(crate) const UNKNOWN: Site = Site(
        #[cfg(debug_assertions)]
        None,
    );

    #[inline]
    #[cfg_attr(debug_assertions, track_caller)]
    pub(crate) fn caller() -> Self {
        Site(
            #[cfg(debug_assertions)]
            Some(Location::caller()),
        )
    }

    #[inline]
    pub(super) fn at(origin: &'static Location<'static>) -> Self {
        let _ = origin;
        Site(
            #[cfg(debug_assertions)]
            Some(origin),
        )
    }

    #[inline]
    pub(crate) fn get(self) -> Option<&'static Location<'static>> {
        #[cfg(debug_assertions)]
        return self.0;
        #[cfg(not(debug_assertions))]
        None
    }
}

/// The past of an error.
#[derive(Clone, Copy)]
pub(crate) struct Past {
    /// It was made by the library in a way of which nobody need hear, and user code has not changed it since.
    pub(super) excused: bool,
    pub(super) site: Site,
}

impl Past {
    /// Of most errors nothing is known, and of values nothing need be.
    pub(crate) const UNKNOWN: Past = Past { excused: false, site: Site::UNKNOWN };

    /// Of an error that user code rejects with, which is about to tell where.
    #[inline]
    #[cfg_attr(debug_assertions, track_caller)]
    pub(crate) fn here() -> Self {
        Past { excused: false, site: Site::caller() }
    }

    #[inline]
    pub(crate) fn is_unknown(self) -> bool {
        !self.excused && self.site.get().is_none()
    }
}

/// What to tell of a rejection that nobody looked at.
#[derive(Clone, Copy)]
pub(crate) struct Loss {
    /// Where the promise was made.
    origin: &'static Location<'static>,
    site: Site,
}

impl<T: 'static, E: 'static, P: 'static, F: Flavor> Shared<T, E, P, F> {
    /// What a settle with this past makes of a promise.
    #[inline]
    pub(super) fn enter(&mut self, resolved: bool, past: Past) {
        self.phase = match resolved {
            true => Phase::Resolved,
            false if past.excused => Phase::Excused,
            false => Phase::Rejected,
        };
        self.site = past.site;
    }

    /// Somebody looks at the outcome, whatever it is.
    #[inline]
    pub(super) fn see(&mut self) {
        if self.is_unseen() {
            self.phase = Phase::Seen;
        }
    }

    /// Whether it is rejected, and nobody looked at the error, though somebody should.
    #[inline]
    pub(super) fn is_unseen(&self) -> bool {
        self.phase == Phase::Rejected
    }

    /// What an error of this promise takes along.
    #[inline]
    pub(super) fn past(&self) -> Past {
        Past { excused: self.phase >= Phase::Excused, site: self.site }
    }

    /// What to tell of the error, if it goes now.
    #[inline]
    pub(super) fn loss(&self) -> Option<Loss> {
        if self.is_unseen() { Some(Loss { origin: self.origin, site: self.site }) } else { None }
    }

    /// The end of a rejection by the library that nobody is left to look at, if somebody should have.
    #[inline(never)]
    pub(super) fn take_lost(&mut self) -> Option<(Loss, Broken)> {
        if !self.is_deserted() {
            return None;
        }
        let loss = self.loss()?;
        match mem::replace(&mut self.slot, Slot::Empty) {
            Slot::Broken(broken) | Slot::Spoiled(broken) => Some((loss, broken)),
            other => {
                self.slot = other;
                None
            }
        }
    }
}

/// An error that nobody looked at: told where it is dropped.
pub(super) struct Lost<E: 'static> {
    pub(super) error: E,
    pub(super) loss: Loss,
}

impl<E: 'static> Drop for Lost<E> {
    fn drop(&mut self) {
        // An end of the library's own is excused by what it is, too: user code may have handed it on.
        let kind = (&self.error as &dyn Any).downcast_ref::<Broken>().map(Broken::kind);
        if !matches!(kind, Some(BrokenKind::Canceled | BrokenKind::LoopClosed)) {
            diagnostics::report_rejection(&self.error, self.loss.origin, self.loss.site.get());
        }
    }
}
