//! A lock and a count of references.
//!
//! Who is inside has the count to itself, so that leaving, and one reference more or less with it, is one store. References are made from
//! outside, too, and in the middle of a visit to something else; these are counted beside it.

use std::cell::Cell;

use crate::core::sync::{AtomicU32, Ordering, wait};

/// Stands in the word while somebody is inside, where visits are marked: the count is in his hands.
const INSIDE: u32 = 1;

/// Stands in the word, beside the count, once the machine has said that it is settled.
const SETTLED: u32 = 2;

/// One reference. The count stands above the marks, so that it begins anew at its end without touching them.
const ONE: u32 = 4;

/// Beyond this many references something forgets them in a loop. As in `Arc`, going on would end in a use after free.
const MOST: u32 = ONE << 28;

/// A word of one flavor.
pub trait Number: 'static {
    /// Whether a visit costs more than a look at the word.
    const ATOMIC: bool;
    /// Whether a visit is marked.
    const MARKS: bool;

    fn new(number: u32) -> Self;
    fn load(&self) -> u32;
    /// Marks that somebody is inside, and says what the word was.
    fn enter(&self) -> u32;
    fn store(&self, number: u32);
    fn increment(&self);
    /// Waits until nobody is inside, goes there, and says what the word was.
    fn lock_contended(&self) -> u32;
}

pub(super) struct Word<N: Number> {
    /// The references that were counted inside, less those that have ended, with [`SETTLED`]; or [`INSIDE`].
    word: N,
    /// Those that were counted outside. It only grows, and begins anew.
    outside: N,
}

impl<N: Number> Word<N> {
    #[inline]
    pub(super) fn new(references: u32, settled: bool) -> Self {
        Word { word: N::new((references * ONE) | if settled { SETTLED } else { 0 }), outside: N::new(0) }
    }

    /// Goes inside, and says what to leave with.
    #[inline]
    pub(super) fn lock(&self) -> u32 {
        let held = self.word.enter();
        if !N::MARKS || held & INSIDE == 0 { held } else { self.word.lock_contended() }
    }

    /// Leaves.
    #[inline]
    pub(super) fn unlock(&self, held: u32, settled: bool) {
        self.word.store(held | if settled { SETTLED } else { 0 });
    }

    /// All references, of which `word` counts those from inside, with its marks.
    #[inline]
    fn total(&self, word: u32) -> u32 {
        word.wrapping_add(self.outside.load())
    }

    /// Counts so many references more, from inside: far less than a word can count.
    #[inline]
    pub(super) fn add_inside(&self, held: &mut u32, references: u32) {
        *held = held.wrapping_add(references * ONE);
        if self.total(*held) > MOST {
            std::process::abort();
        }
    }

    /// Counts so many references less, from inside. `true` if they were the last: then nobody else will ever be here.
    #[inline]
    pub(super) fn subtract_inside(&self, held: &mut u32, references: u32) -> bool {
        *held = held.wrapping_sub(references * ONE);
        // One that was made outside was made of another one, before that ended in here: it is seen.
        self.total(*held) < ONE
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
        self.is_one() || self.subtract_shared(1)
    }

    /// The same of several at once.
    #[inline(never)]
    pub(super) fn subtract_shared(&self, references: u32) -> bool {
        let mut held = self.lock();
        let last = self.subtract_inside(&mut held, references);
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
        self.total(word) & !SETTLED == ONE
    }

    /// Whether there is one reference only, and the machine has said that it is settled.
    #[inline]
    pub(super) fn is_one_settled(&self) -> bool {
        self.total(self.word.load()) == ONE | SETTLED
    }

    /// Whether the machine has said that it is settled. `None` if somebody is inside.
    #[inline]
    pub(super) fn is_settled(&self) -> Option<bool> {
        let word = self.word.load();
        match word & (INSIDE | SETTLED) {
            0 => Some(false),
            SETTLED => Some(true),
            _ => None,
        }
    }
}

/// Of the thread-safe flavor.
impl Number for AtomicU32 {
    const ATOMIC: bool = true;
    const MARKS: bool = true;

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
    fn enter(&self) -> u32 {
        // ORDERING: Acquire, for the Release of `store`: what the last visitor has done is seen by this one.
        self.swap(INSIDE, Ordering::Acquire)
    }

    #[inline]
    fn store(&self, number: u32) {
        // ORDERING: Release, for the Acquire of `swap` and `load`.
        self.store(number, Ordering::Release);
    }

    #[inline]
    fn increment(&self) {
        // ORDERING: Relaxed, as it is made of a reference that keeps the allocation alive, and whose end is a visit.
        self.fetch_add(ONE, Ordering::Relaxed);
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
    const ATOMIC: bool = false;
    // Nobody else can be inside: there is one thread, and nothing foreign runs in a visit, nor another visit to the same machine. That would
    // be a bug of this crate, and builds with debug assertions, as those of the tests, look for it.
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

    #[inline]
    fn increment(&self) {
        self.set(self.get().wrapping_add(ONE));
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
        word.add_inside(&mut held, 1);
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
        assert!(word.subtract_inside(&mut held, 1));
    }

    #[test]
    fn references_end_wherever_they_were_counted() {
        ends_with_the_last(&Word::<AtomicU32>::new(1, false));
        ends_with_the_last(&Word::<Cell<u32>>::new(1, false));
    }

    /// Several at once are as many one by one.
    fn counts_several<N: Number>(word: &Word<N>) {
        let mut held = word.lock();
        word.add_inside(&mut held, 5);
        word.unlock(held, false);
        assert!(!word.subtract());
        assert!(!word.subtract_shared(3));
        word.add();
        assert!(!word.subtract());
        assert!(!word.is_one());
        assert!(word.subtract_shared(2));
    }

    #[test]
    fn several_references_come_and_go_at_once() {
        counts_several(&Word::<AtomicU32>::new(1, false));
        counts_several(&Word::<Cell<u32>>::new(1, false));
    }

    #[test]
    fn as_many_may_come_and_go_as_the_word_can_count() {
        // As after a billion of references that were counted outside and have ended: both halves are about to begin anew.
        let word = Word { word: Cell::new((2 * ONE) | SETTLED), outside: Cell::new(0_u32.wrapping_sub(ONE)) };
        assert!(word.is_one());
        ends_with_the_last(&word);
        assert_eq!(word.is_settled(), None, "the last visit does not end");
    }

    #[test]
    fn it_is_settled_for_ever() {
        let word = Word::<AtomicU32>::new(1, false);
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
    #[cfg(debug_assertions)]
    #[should_panic(expected = "in the middle of a visit")]
    fn a_visit_in_a_visit_is_a_bug() {
        let word = Word::<Cell<u32>>::new(1, false);
        word.lock();
        word.lock();
    }
}
