//! A lock and a count.

use std::cell::Cell;

use crate::core::sync::{AtomicBool, AtomicU32, Ordering, wait};

/// Beyond this many references something forgets them in a loop. As in `Arc`, going on would end in a use after free.
const MOST: u32 = u32::MAX / 2;

/// The lock and the count of a flavor.
pub trait Word: 'static {
    fn new(references: u32) -> Self;
    /// Goes inside.
    fn lock(&self);
    /// Leaves.
    fn unlock(&self);
    /// Counts one reference more.
    fn add(&self);
    /// Counts one reference less, and tells whether it was the last.
    fn subtract(&self) -> bool;
    /// Whether there is one reference only.
    fn is_one(&self) -> bool;
}

/// The word of the thread-safe flavor.
#[derive(Debug)]
pub struct Atomic {
    locked: AtomicBool,
    references: AtomicU32,
}

impl Word for Atomic {
    #[inline]
    fn new(references: u32) -> Self {
        Atomic { locked: AtomicBool::new(false), references: AtomicU32::new(references) }
    }

    #[inline]
    fn lock(&self) {
        // ORDERING: Acquire, for the Release of `unlock`: what the last visitor has done is seen by this one.
        if self.locked.swap(true, Ordering::Acquire) {
            self.lock_contended();
        }
    }

    #[inline]
    fn unlock(&self) {
        // ORDERING: Release, for the Acquire of `lock`.
        self.locked.store(false, Ordering::Release);
    }

    #[inline]
    fn add(&self) {
        // ORDERING: Relaxed, as it is made of a reference that keeps the allocation alive.
        if self.references.fetch_add(1, Ordering::Relaxed) > MOST {
            std::process::abort();
        }
    }

    #[inline]
    fn subtract(&self) -> bool {
        // ORDERING: Release, for the Acquire of `is_one` in whoever ends the last one: what was done through this one comes before.
        self.is_one() || (self.references.fetch_sub(1, Ordering::Release) == 1 && self.is_none())
    }

    #[inline]
    fn is_one(&self) -> bool {
        // ORDERING: Acquire, for the Release of `subtract`: what was done through all the others has happened before.
        self.references.load(Ordering::Acquire) == 1
    }
}

impl Atomic {
    /// The last reference has ended: sees all that was done through the others.
    fn is_none(&self) -> bool {
        // ORDERING: as in `is_one`. A load and no fence, which ThreadSanitizer does not understand.
        self.references.load(Ordering::Acquire) == 0
    }

    #[cold]
    fn lock_contended(&self) {
        let mut round = 0;
        loop {
            wait(round);
            round = round.saturating_add(1);
            // Looks before it writes, so that the one inside keeps its cache line.
            // ORDERING: Acquire, as in `lock`; the look decides nothing.
            if !self.locked.load(Ordering::Relaxed) && !self.locked.swap(true, Ordering::Acquire) {
                return;
            }
        }
    }
}

/// The word of the local flavor.
#[derive(Debug)]
pub struct Plain {
    locked: Cell<bool>,
    references: Cell<u32>,
}

impl Word for Plain {
    #[inline]
    fn new(references: u32) -> Self {
        Plain { locked: Cell::new(false), references: Cell::new(references) }
    }

    #[inline]
    fn lock(&self) {
        // A visit in a visit would be a bug of this crate, and two exclusive references to one promise.
        assert!(!self.locked.replace(true), "a promise was visited in the middle of a visit");
    }

    #[inline]
    fn unlock(&self) {
        self.locked.set(false);
    }

    #[inline]
    fn add(&self) {
        let references = self.references.get();
        if references > MOST {
            std::process::abort();
        }
        self.references.set(references + 1);
    }

    #[inline]
    fn subtract(&self) -> bool {
        let references = self.references.get() - 1;
        self.references.set(references);
        references == 0
    }

    #[inline]
    fn is_one(&self) -> bool {
        self.references.get() == 1
    }
}
