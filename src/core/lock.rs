//! The one place that locks. Another core takes the place of this one by another pair of [`Lock`]s.

use std::cell::RefCell;
use std::sync::{Mutex, PoisonError};

/// Exclusive access to the inside of a promise, for as long as one function runs.
///
/// That function decides and never acts: no foreign code may run in it (see the rules in [`core`](super)).
pub trait Lock {
    type Inner;

    fn with<R>(&self, f: impl FnOnce(&mut Self::Inner) -> R) -> R;
}

impl<X> Lock for Mutex<X> {
    type Inner = X;

    fn with<R>(&self, f: impl FnOnce(&mut X) -> R) -> R {
        // Nothing that runs in here can panic half-way, so a poisoned lock guards a sound state.
        f(&mut self.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl<X> Lock for RefCell<X> {
    type Inner = X;

    fn with<R>(&self, f: impl FnOnce(&mut X) -> R) -> R {
        f(&mut self.borrow_mut())
    }
}
