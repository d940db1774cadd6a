//! A lock and a count of references.
//!
//! Who is inside has the count to itself, so that leaving, and one reference more or less with it, is one store. References are made from
//! outside, too, and in the middle of a visit to something else; these are counted beside it.

use std::cell::Cell;

use crate::core::sync::{AtomicU32, Ordering, wait};

/// Stands in the word while somebody is inside: the count is in his hands.
const INSIDE: u32 = 1 << 30;

/// Stands in the word, beside the count, once the machine has said that it is settled.
const SETTLED: u32 = 1 << 31;

/// What the count is modulo.
const COUNT: u32 = INSIDE - 1;

/// Beyond this many references something forgets them in a loop. As in `Arc`, going on would end in a use after free.
const MOST: u32 = COUNT / 4;

/// A word of one flavor.
pub trait Number: 'static {
    fn new(number: u32) -> Self;
    fn load(&self) -> u32;
    fn swap(&self, number: u32) -> u32;
    fn store(&self, number: u32);
    fn increment(&self);
    /// Waits until nobody is inside, goes there, and says what the word was.
    fn lock_contended(&self) -> u32;
}

pub(super) struct Word<N: Number> {
    /// The references that were counted inside, less those that have ended, with [`SETTLED`]; or [`INSIDE`].
    word: N,
    /// Those that were counted outside. It only grows, modulo [`COUNT`].
    outside: N,
}

impl<N: Number> Word<N> {
    #[inline]
    pub(super) fn new(references: u32) -> Self {
        Word { word: N::new(references), outside: N::new(0) }
    }

    /// Goes inside, and says what to leave with.
    #[inline]
    pub(super) fn lock(&self) -> u32 {
        let held = self.word.swap(INSIDE);
        if held & INSIDE == 0 { held } else { self.word.lock_contended() }
    }

    /// Leaves.
    #[inline]
    pub(super) fn unlock(&self, held: u32, settled: bool) {
        self.word.store(held | if settled { SETTLED } else { 0 });
    }

    /// All references, of which `word` counts those from inside.
    #[inline]
    fn total(&self, word: u32) -> u32 {
        word.wrapping_add(self.outside.load()) & COUNT
    }

    /// Counts one reference more, from inside.
    #[inline]
    pub(super) fn add_inside(&self, held: &mut u32) {
        *held = (*held & SETTLED) | (held.wrapping_add(1) & COUNT);
        if self.total(*held) > MOST {
            std::process::abort();
        }
    }

    /// Counts one reference less, from inside. `true` if it was the last: then nobody else will ever be here.
    #[inline]
    pub(super) fn subtract_inside(&self, held: &mut u32) -> bool {
        *held = (*held & SETTLED) | (held.wrapping_sub(1) & COUNT);
        // One that was made outside was made of another one, before that ended in here: it is seen.
        self.total(*held) == 0
    }

    /// Counts one reference more, from anywhere.
    #[inline]
    pub(super) fn add(&self) {
        self.outside.increment();
        let word = self.word.load();
        if word & INSIDE == 0 && self.total(word) > MOST {
            std::process::abort();
        }
    }

    /// Counts one reference less. `true` if it was the last.
    #[inline]
    pub(super) fn subtract(&self) -> bool {
        self.is_one() || self.subtract_shared()
    }

    #[inline(never)]
    fn subtract_shared(&self) -> bool {
        let mut held = self.lock();
        let last = self.subtract_inside(&mut held);
        if !last {
            self.unlock(held, false);
        }
        last
    }

    /// Whether there is one reference only.
    #[inline]
    pub(super) fn is_one(&self) -> bool {
        let word = self.word.load();
        // The other half is read after it: what has been counted there since can only make it more.
        word & INSIDE == 0 && self.total(word) == 1
    }

    /// Whether the machine has said that it is settled. `None` if somebody is inside.
    #[inline]
    pub(super) fn is_settled(&self) -> Option<bool> {
        let word = self.word.load();
        (word & INSIDE == 0).then_some(word & SETTLED != 0)
    }
}

/// Of the thread-safe flavor.
impl Number for AtomicU32 {
    #[inline]
    fn new(number: u32) -> Self {
        AtomicU32::new(number)
    }

    #[inline]
    fn load(&self) -> u32 {
        // ORDERING: Acquire, for the Release of `store`: what was done through references that have ended comes before.
        self.load(Ordering::Acquire)
    }

    #[inline]
    fn swap(&self, number: u32) -> u32 {
        // ORDERING: Acquire, for the Release of `store`: what the last visitor has done is seen by this one.
        self.swap(number, Ordering::Acquire)
    }

    #[inline]
    fn store(&self, number: u32) {
        // ORDERING: Release, for the Acquire of `swap` and `load`.
        self.store(number, Ordering::Release);
    }

    #[inline]
    fn increment(&self) {
        // ORDERING: Relaxed, as it is made of a reference that keeps the allocation alive, and whose end is a visit.
        self.fetch_add(1, Ordering::Relaxed);
    }

    #[cold]
    fn lock_contended(&self) -> u32 {
        let mut round = 0;
        loop {
            wait(round);
            round = round.saturating_add(1);
            // Looks before it writes, so that the one inside keeps its cache line.
            // ORDERING: Relaxed, as the look decides nothing.
            if cfg!(loom) || self.load(Ordering::Relaxed) & INSIDE == 0 {
                let held = Number::swap(self, INSIDE);
                if held & INSIDE == 0 {
                    return held;
                }
            }
        }
    }
}

/// Of the local flavor.
impl Number for Cell<u32> {
    #[inline]
    fn new(number: u32) -> Self {
        Cell::new(number)
    }

    #[inline]
    fn load(&self) -> u32 {
        self.get()
    }

    #[inline]
    fn swap(&self, number: u32) -> u32 {
        self.replace(number)
    }

    #[inline]
    fn store(&self, number: u32) {
        self.set(number);
    }

    #[inline]
    fn increment(&self) {
        self.set(self.get().wrapping_add(1));
    }

    #[cold]
    fn lock_contended(&self) -> u32 {
        // It would be a bug of this crate, and two exclusive references to one promise.
        panic!("a promise was visited in the middle of a visit");
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn add_inside<N: Number>(word: &Word<N>) {
        let mut held = word.lock();
        word.add_inside(&mut held);
        word.unlock(held, false);
    }

    /// Counted inside or outside, the last one is the last, and no other is.
    fn ends_with_the_last<N: Number>(word: &Word<N>) {
        word.add();
        add_inside(word);
        word.add();
        for _ in 0..3 {
            assert!(!word.is_one());
            assert!(!word.subtract());
        }
        assert!(word.is_one());
        let mut held = word.lock();
        assert!(word.subtract_inside(&mut held));
    }

    #[test]
    fn references_end_wherever_they_were_counted() {
        ends_with_the_last(&Word::<AtomicU32>::new(1));
        ends_with_the_last(&Word::<Cell<u32>>::new(1));
    }

    #[test]
    fn as_many_may_come_and_go_as_the_word_can_count() {
        // As after a billion of references that were counted outside and have ended: both halves are about to begin anew.
        let word = Word { word: Cell::new(2 | SETTLED), outside: Cell::new(COUNT) };
        assert!(word.is_one());
        ends_with_the_last(&word);
        assert_eq!(word.is_settled(), None, "the last visit does not end");
    }

    #[test]
    fn it_is_settled_for_ever() {
        let word = Word::<AtomicU32>::new(1);
        assert_eq!(word.is_settled(), Some(false));
        let held = word.lock();
        assert_eq!(word.is_settled(), None);
        assert!(!word.is_one(), "whoever is inside has a reference, but may not have the only one");
        word.unlock(held, true);
        let held = word.lock();
        word.unlock(held, false);
        assert_eq!(word.is_settled(), Some(true));
        assert!(word.is_one());
    }

    #[test]
    #[should_panic(expected = "in the middle of a visit")]
    fn a_visit_in_a_visit_is_a_bug() {
        let word = Word::<Cell<u32>>::new(1);
        word.lock();
        word.lock();
    }
}
