//! A lock and a count of references, in one word.
//!
//! A visitor has the count to itself, so leaving, and one reference more or less with it, is one store.

use std::cell::Cell;

use crate::core::sync::{AtomicU32, Ordering, wait};

/// Stands in the word during a visit, where visits are marked: the visitor holds the count.
const INSIDE: u32 = 1;

/// Stands in the word, beside the count, once the promise is settled.
pub(super) const SETTLED: u32 = 2;

/// One reference.
pub(super) const ONE: u32 = 4;

/// More references than this are forgotten in a loop. As in `Arc`, going on would end in a use after free.
pub(super) const MOST: u32 = ONE << 28;

/// A word of one flavor.
pub trait Number: 'static {
    /// Whether a visit is marked.
    const MARKS: bool;
    fn new(number: u32) -> Self;
    /// Begins a visit, and says what the word was: at once, or `None`.
    fn try_enter(&self) -> Option<u32>;
    /// Waits for the end of the visit that goes on, begins one, and says what the word was.
    fn wait_and_enter(&self) -> u32;
    /// Ends a visit.
    fn leave(&self, number: u32);
    /// What the word is, if no visit goes on.
    fn look(&self) -> Option<u32>;
}

/// Of the thread-safe flavor.
impl Number for AtomicU32 {
    const MARKS: bool = true;

    #[inline]
    fn new(number: u32) -> Self {
        AtomicU32::new(number)
    }

    #[inline]
    fn try_enter(&self) -> Option<u32> {
        // ORDERING: Acquire, for the Release of `leave`: this visit sees what the last one did.
        let number = self.swap(INSIDE, Ordering::Acquire);
        if number == INSIDE { None } else { Some(number) }
    }

    #[cold]
    fn wait_and_enter(&self) -> u32 {
        let mut round = 0;
        loop {
            wait(round);
            round = round.saturating_add(1);
            // A look before the swap leaves the cache line to the visitor.
            // ORDERING: Relaxed, as the look decides nothing.
            if cfg!(loom) || self.load(Ordering::Relaxed) != INSIDE {
                if let Some(number) = self.try_enter() {
                    return number;
                }
            }
        }
    }

    #[inline]
    fn leave(&self, number: u32) {
        // ORDERING: Release, for the Acquire of `try_enter` and `look`.
        self.store(number, Ordering::Release);
    }

    #[inline]
    fn look(&self) -> Option<u32> {
        // ORDERING: Acquire, for the Release of `leave`: what the last visit did, and all that was done through references that have
        // ended, comes before.
        let number = self.load(Ordering::Acquire);
        if number == INSIDE { None } else { Some(number) }
    }
}

/// Of the local flavor.
impl Number for Cell<u32> {
    // One thread, and nothing foreign in a visit: no two visits meet. Builds with debug assertions look for a bug that makes them meet.
    const MARKS: bool = cfg!(debug_assertions);

    #[inline]
    fn new(number: u32) -> Self {
        Cell::new(number)
    }

    #[inline]
    fn try_enter(&self) -> Option<u32> {
        let number = self.look();
        if Self::MARKS {
            self.set(INSIDE);
        }
        number
    }

    #[cold]
    fn wait_and_enter(&self) -> u32 {
        panic!("a promise was visited in the middle of a visit");
    }

    #[inline]
    fn leave(&self, number: u32) {
        self.set(number);
    }

    #[inline]
    fn look(&self) -> Option<u32> {
        let number = self.get();
        if Self::MARKS && number == INSIDE { None } else { Some(number) }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_visit_keeps_others_out() {
        let word = AtomicU32::new(ONE);
        assert_eq!(word.look(), Some(ONE));
        assert_eq!(word.try_enter(), Some(ONE));
        assert_eq!((word.look(), word.try_enter()), (None, None));
        word.leave(ONE | SETTLED);
        assert_eq!(word.try_enter(), Some(ONE | SETTLED));
    }

    #[test]
    #[cfg(debug_assertions)]
    #[should_panic(expected = "in the middle of a visit")]
    fn a_visit_in_a_visit_is_a_bug() {
        let word = Cell::new(ONE);
        word.try_enter();
        assert_eq!(word.try_enter(), None);
        word.wait_and_enter();
    }
}
