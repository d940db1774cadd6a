//! What time it is: the system's, or a time that only the loop advances.

use std::sync::{Arc, Mutex};
use std::time::Instant;

use crate::panics::unpoisoned;

/// The clock of one loop. Clones, on whatever thread, show the same time.
#[derive(Clone)]
pub(crate) enum Clock {
    Real,
    /// The time it shows. Not an offset in an atomic word, which would end before the last deadline that an [`Instant`] can tell,
    /// and leave that timer out of reach.
    Virtual(Arc<Mutex<Instant>>),
}

impl Clock {
    /// A clock that stands still at the present time until it is advanced.
    pub(crate) fn new_virtual() -> Self {
        Clock::Virtual(Arc::new(Mutex::new(Instant::now())))
    }

    pub(crate) fn is_virtual(&self) -> bool {
        matches!(self, Clock::Virtual(_))
    }

    pub(crate) fn now(&self) -> Instant {
        match self {
            Clock::Real => Instant::now(),
            Clock::Virtual(now) => *unpoisoned(now.lock()),
        }
    }

    /// Makes it `time`, unless it is later already. Real time goes by itself.
    pub(super) fn advance_to(&self, time: Instant) {
        if let Clock::Virtual(now) = self {
            let mut now = unpoisoned(now.lock());
            *now = time.max(*now);
        }
    }
}
