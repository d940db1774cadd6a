//! A lock and a count of references, in one word.
//!
//! A visitor has the count to itself, so leaving, and one reference more or less with it, is one store.

use std::cell::Cell;

use crate::core::sync::{AtomicU32, Ordering, wait};

/// Stands in the word during a visit, where visits are marked: the visitor holds the count.
const INSIDE: u32 = 1;

/// Stands in the word, beside the count, once the promise is settled.
const SETTLED: u32 = 2;

/// One reference.
const ONE: u32 = 4;

/// More references than this are forgotten in a loop. As in `Arc`, going on would end in a use after free.
const MOST: u32 = ONE << 28;

/// A word of one flavor.
pub trait Number: 'static {
    /// Whether a visit is marked.
    const MARKS: bool;
    fn new(number: u32) -> Self;
    fn load(&self) -> u32;
    /// Marks a visit, and says what the word was.
    fn enter(&self) -> u32;
    fn store(&self, number: u32);
    /// Waits for the end of the visit that goes on, begins one, and says what the word was.
    fn wait_and_enter(&self) -> u32;
}

pub(super) struct Word<N: Number>(N);

impl<N: Number> Word<N> {
    #[inline]
    pub(super) fn new(references: u32, settled: bool) -> Self {
        Word(N::new((references * ONE) | if settled { SETTLED } else { 0 }))
    }

    /// Goes inside.
    #[inline]
    pub(super) fn enter(&self) -> Held {
        let held = self.0.enter();
        Held(if !N::MARKS || held & INSIDE == 0 { held } else { self.0.wait_and_enter() })
    }

    /// Goes inside without a mark, if there is one reference, which is the caller's own.
    #[inline]
    pub(super) fn hold_alone(&self) -> Option<Held> {
        let word = self.0.load();
        (N::MARKS && word & !SETTLED == ONE).then_some(Held(word))
    }

    /// Goes inside, unless another visit goes on.
    pub(super) fn try_enter(&self) -> Option<Held> {
        let held = self.0.enter();
        (!N::MARKS || held & INSIDE == 0).then_some(Held(held))
    }

    /// Leaves. At least one reference has to be left.
    #[inline]
    pub(super) fn leave(&self, held: Held) {
        debug_assert!(!held.is_over());
        self.0.store(held.0);
    }

    /// Whether the promise is settled. `None` during a visit.
    #[inline]
    pub(super) fn is_settled(&self) -> Option<bool> {
        let word = self.0.load();
        (word & INSIDE == 0).then_some(word & SETTLED != 0)
    }

    /// Whether there are so many references, and no visit goes on.
    #[inline]
    pub(super) fn counts(&self, references: u32) -> bool {
        self.0.load() & !SETTLED == references * ONE
    }

    /// Whether there is one reference, the promise is settled, and no visit goes on.
    #[inline]
    pub(super) fn is_alone_and_settled(&self) -> bool {
        self.0.load() == ONE | SETTLED
    }
}

/// The count, in the hands of a visitor.
pub(super) struct Held(u32);

impl Held {
    /// Counts the reference of a visit, which is few among those that are counted by [`add`](Held::add).
    #[inline]
    pub(super) fn lend(&mut self) {
        self.0 += ONE;
    }

    #[inline]
    pub(super) fn add(&mut self, references: u32) {
        self.0 += references * ONE;
        if self.0 > MOST {
            std::process::abort();
        }
    }

    #[inline]
    pub(super) fn subtract(&mut self, references: u32) {
        self.0 -= references * ONE;
    }

    /// Whether no reference is left.
    #[inline]
    pub(super) fn is_over(&self) -> bool {
        self.0 < ONE
    }

    #[inline]
    pub(super) fn is_settled(&self) -> bool {
        self.0 & SETTLED != 0
    }

    #[inline]
    pub(super) fn mark_settled(&mut self) {
        self.0 |= SETTLED;
    }
}

/// Of the thread-safe flavor.
impl Number for AtomicU32 {
    const MARKS: bool = true;

    #[inline]
    fn new(number: u32) -> Self {
        AtomicU32::new(number)
    }

    #[inline]
    fn load(&self) -> u32 {
        // ORDERING: Acquire, for the Release of `store`: what the last visit did, and all that was done through references that have
        // ended, comes before.
        self.load(Ordering::Acquire)
    }

    #[inline]
    fn enter(&self) -> u32 {
        // ORDERING: Acquire, for the Release of `store`: this visit sees what the last one did.
        self.swap(INSIDE, Ordering::Acquire)
    }

    #[inline]
    fn store(&self, number: u32) {
        // ORDERING: Release, for the Acquire of `enter` and `load`.
        self.store(number, Ordering::Release);
    }

    #[cold]
    fn wait_and_enter(&self) -> u32 {
        let mut round = 0;
        loop {
            wait(round);
            round = round.saturating_add(1);
            // A look before the swap leaves the cache line to the visitor.
            // ORDERING: Relaxed, as the look decides nothing.
            if cfg!(loom) || self.load(Ordering::Relaxed) & INSIDE == 0 {
                let held = self.enter();
                if held & INSIDE == 0 {
                    return held;
                }
            }
        }
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
    fn load(&self) -> u32 {
        self.get()
    }

    #[inline]
    fn enter(&self) -> u32 {
        if Self::MARKS { self.replace(INSIDE) } else { self.get() }
    }

    #[inline]
    fn store(&self, number: u32) {
        self.set(number);
    }

    #[cold]
    fn wait_and_enter(&self) -> u32 {
        panic!("a promise was visited in the middle of a visit");
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn counts<N: Number>(word: &Word<N>) {
        let mut held = word.enter();
        held.add(5);
        word.leave(held);
        assert!(word.counts(6));
        let mut held = word.enter();
        held.subtract(5);
        assert!(!held.is_over());
        word.leave(held);
        assert!(word.counts(1));
        let mut held = word.enter();
        held.subtract(1);
        assert!(held.is_over());
    }

    #[test]
    fn references_come_and_go() {
        counts(&Word::<AtomicU32>::new(1, false));
        counts(&Word::<Cell<u32>>::new(1, false));
        counts(&Word::<AtomicU32>::new(1, true));
    }

    #[test]
    fn it_is_settled_for_ever() {
        let word = Word::<AtomicU32>::new(1, false);
        assert_eq!(word.is_settled(), Some(false));
        let mut held = word.enter();
        assert_eq!(word.is_settled(), None);
        assert!(!word.counts(1), "a visitor may have another reference");
        held.mark_settled();
        word.leave(held);
        let held = word.enter();
        word.leave(held);
        assert_eq!(word.is_settled(), Some(true));
        assert!(word.is_alone_and_settled());
    }

    #[test]
    fn a_visit_keeps_others_out() {
        let word = Word::<AtomicU32>::new(1, false);
        let held = word.enter();
        assert!(word.try_enter().is_none());
        word.leave(held);
        assert!(word.try_enter().is_some());
    }

    #[test]
    #[cfg(debug_assertions)]
    #[should_panic(expected = "in the middle of a visit")]
    fn a_visit_in_a_visit_is_a_bug() {
        let word = Word::<Cell<u32>>::new(1, false);
        word.enter();
        word.enter();
    }
}
