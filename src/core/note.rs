//! What is known of an error besides itself, and what a continuation gets.

use std::any::Any;
use std::panic::Location;

use crate::broken::{Broken, BrokenKind};
use crate::diagnostics;

/// Where a promise was rejected: the line that called `reject` or its kin.
///
/// Builds without debug assertions do not know it: there would be no room for it in the block of a small promise.
#[derive(Clone, Copy)]
pub(super) struct Site(#[cfg(debug_assertions)] Option<&'static Location<'static>>);

impl Site {
    pub(super) const UNKNOWN: Site = Site(
        #[cfg(debug_assertions)]
        None,
    );

    pub(super) fn at(line: &'static Location<'static>) -> Self {
        let _ = line;
        Site(
            #[cfg(debug_assertions)]
            Some(line),
        )
    }

    pub(super) fn get(self) -> Option<&'static Location<'static>> {
        #[cfg(debug_assertions)]
        return self.0;
        #[cfg(not(debug_assertions))]
        None
    }
}

/// What is known of an error. Of values nothing need be.
#[derive(Clone, Copy)]
pub struct Note {
    /// The library made it in a way that need not be reported, and user code has not changed it since.
    pub(super) excused: bool,
    pub(super) rejected_at: Site,
}

impl Note {
    pub(crate) const UNKNOWN: Note = Note { excused: false, rejected_at: Site::UNKNOWN };

    /// Of an error that user code rejects with, at the caller's line.
    #[cfg_attr(debug_assertions, track_caller)]
    pub(crate) fn here() -> Self {
        #[cfg(debug_assertions)]
        return Note { excused: false, rejected_at: Site::at(Location::caller()) };
        #[cfg(not(debug_assertions))]
        Note::UNKNOWN
    }

    fn is_unknown(self) -> bool {
        !self.excused && self.rejected_at.get().is_none()
    }
}

/// What a consumer gets.
pub enum Delivery<T, E> {
    /// The outcome, or a clone of it.
    Outcome(Result<T, E>),
    /// An error of which something is known.
    Noted(E, Note),
    /// There is no outcome to be had: cloning it or making its error panicked.
    Broken(Broken),
}

impl<T, E> Delivery<T, E> {
    pub(super) fn of(outcome: Result<T, E>, note: Note) -> Self {
        match outcome {
            Err(error) if !note.is_unknown() => Delivery::Noted(error, note),
            outcome => Delivery::Outcome(outcome),
        }
    }

    /// The outcome, with what is known of it.
    pub(crate) fn unpack(self) -> Result<(Result<T, E>, Note), Broken> {
        match self {
            Delivery::Outcome(outcome) => Ok((outcome, Note::UNKNOWN)),
            Delivery::Noted(error, note) => Ok((Err(error), note)),
            Delivery::Broken(broken) => Err(broken),
        }
    }

    /// The value; or what a promise of any other value is settled with instead.
    pub(crate) fn value<U>(self) -> Result<T, Delivery<U, E>> {
        match self {
            Delivery::Outcome(Ok(value)) => Ok(value),
            Delivery::Outcome(Err(error)) => Err(Delivery::Outcome(Err(error))),
            Delivery::Noted(error, note) => Err(Delivery::Noted(error, note)),
            Delivery::Broken(broken) => Err(Delivery::Broken(broken)),
        }
    }

    /// The error; or what a promise of any other error is settled with instead.
    pub(crate) fn error<E2>(self) -> Result<E, Delivery<T, E2>> {
        match self {
            Delivery::Outcome(Ok(value)) => Err(Delivery::Outcome(Ok(value))),
            Delivery::Outcome(Err(error)) | Delivery::Noted(error, _) => Ok(error),
            Delivery::Broken(broken) => Err(Delivery::Broken(broken)),
        }
    }
}

/// Reports an error that no callback or consumer saw, of a promise that was made at `origin`.
pub(super) fn report<E: 'static>(
    error: &E,
    origin: &'static Location<'static>,
    rejected_at: Option<&'static Location<'static>>,
) {
    // An end of the library's own is excused by what it is, too: user code may have handed it on.
    let kind = (error as &dyn Any).downcast_ref::<Broken>().map(Broken::kind);
    if !matches!(kind, Some(BrokenKind::Canceled | BrokenKind::LoopClosed)) {
        diagnostics::report_rejection(error, origin, rejected_at);
    }
}
