//! Which call is due when.
//!
//! ```text
//!    near, a heap         piles, each in no order, from the nearest to the farthest
//!  [ 1  2  5  3 ]     [ 7  9  8  6 ]  [ 20  11  18  17 ... ]  [ 60  44  98  ... ]
//!
//!   everything here  <  everything here  <  everything here  <  everything here
//! ```
//!
//! Most timers are timeouts, which are canceled long before they are due. So nothing is put in order before it has to be: a timer
//! goes onto the pile of its time, and a canceled one stays there for the time being. When the heap has run dry, the nearest pile
//! becomes the heap; if it is big, it is cut in two halves first, as often as need be. That is quicksort, put off as long as possible,
//! and it goes through memory from one end to the other, where a sorted map or a big heap would jump about. A pile that is due as a whole
//! is sorted at once.
//!
//! A canceled timer is known by its call, which is gone. It leaves when it comes up, or when there are more of them than calls.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;
use std::mem;
use std::time::Instant;

use crate::list::Key;

/// How big the heap is at most before a part of it is put off, and a pile before it is cut.
const NEAR: usize = 1024;

/// How many canceled timers, and how much room for more, are nothing to worry about.
const FEW: usize = 2;
const ROOM: usize = 64;

/// One place in the order: by deadline, ties in the order of their making, on whatever thread.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Timer {
    pub(super) deadline: Instant,
    /// The number of its making, and in the last bit whether it is late.
    place: u64,
}

impl Timer {
    /// A timer is `late` if its call runs a turn later than it is due, after what that turn has brought about.
    pub(super) fn new(deadline: Instant, number: u64, late: bool) -> Timer {
        Timer { deadline, place: number << 1 | u64::from(late) }
    }

    pub(super) fn is_late(self) -> bool {
        self.place & 1 == 1
    }
}

/// A timer and its call.
struct Entry {
    timer: Timer,
    call: Key,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.timer == other.timer
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The greatest is the first: that is the one which a heap gives away.
impl Ord for Entry {
    fn cmp(&self, other: &Self) -> Ordering {
        other.timer.cmp(&self.timer)
    }
}

/// Timers that are not before `from`, and before those of the next farther pile.
struct Pile {
    from: Timer,
    entries: Vec<Entry>,
}

impl Pile {
    /// All of it, in its order: to sort it at once is faster than a heap.
    fn sorted(mut self) -> impl Iterator<Item = Entry> {
        self.entries.sort_unstable_by_key(|entry| entry.timer);
        self.entries.into_iter()
    }
}

/// The timers of a loop. Who asks about them says which calls are still there.
pub(super) struct Timers {
    near: BinaryHeap<Entry>,
    /// The farthest first.
    piles: Vec<Pile>,
    len: usize,
}

impl Timers {
    pub(super) fn new() -> Self {
        Timers { near: BinaryHeap::new(), piles: Vec::new(), len: 0 }
    }

    /// Whether there is no timer at all, not even a canceled one.
    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(super) fn add(&mut self, timer: Timer, call: Key) {
        self.len += 1;
        let entry = Entry { timer, call };
        let farther = self.piles.partition_point(|pile| pile.from > timer);
        if let Some(pile) = self.piles.get_mut(farther) {
            return pile.entries.push(entry);
        }
        self.near.push(entry);
        if self.near.len() > 2 * NEAR {
            let entries = mem::take(&mut self.near).into_vec();
            self.cut(entries);
        }
    }

    /// Forgets the canceled timers, if there are more than the `calls` that are left.
    #[inline]
    pub(super) fn tidy(&mut self, calls: usize, is_left: impl Fn(Key) -> bool) {
        if self.len > 2 * calls + FEW {
            self.forget(is_left);
        }
    }

    #[inline(never)]
    fn forget(&mut self, is_left: impl Fn(Key) -> bool) {
        self.near.retain(|entry| is_left(entry.call));
        self.piles.iter_mut().for_each(|pile| pile.entries.retain(|entry| is_left(entry.call)));
        self.piles.retain(|pile| !pile.entries.is_empty());
        self.len = self.near.len() + self.piles.iter().map(|pile| pile.entries.len()).sum::<usize>();
        if self.near.capacity() > ROOM {
            self.near.shrink_to(ROOM);
        }
        self.piles
            .iter_mut()
            .filter(|pile| pile.entries.capacity() > ROOM)
            .for_each(|pile| pile.entries.shrink_to(ROOM));
    }

    /// Takes out the timers that are due at `now`, in their order. Calls may be gone.
    pub(super) fn drain_due(&mut self, now: Instant, mut each: impl FnMut(Timer, Key)) {
        let mut take = |Entry { timer, call }| each(timer, call);
        loop {
            while let Some(first) = self.near.peek_mut() {
                if first.timer.deadline > now {
                    return;
                }
                take(PeekMut::pop(first));
                self.len -= 1;
            }
            if self.piles.last().is_none_or(|pile| pile.from.deadline > now) {
                return;
            }
            let Some(pile) = self.piles.pop() else { return };
            if pile.entries.iter().all(|entry| entry.timer.deadline <= now) {
                self.len -= pile.entries.len();
                pile.sorted().for_each(&mut take);
            } else {
                self.cut(pile.entries);
            }
        }
    }

    pub(super) fn next_deadline(&mut self, is_left: impl Fn(Key) -> bool) -> Option<Instant> {
        loop {
            while let Some(first) = self.near.peek() {
                if is_left(first.call) {
                    return Some(first.timer.deadline);
                }
                self.near.pop();
                self.len -= 1;
            }
            if self.piles.is_empty() {
                return None;
            }
            self.approach();
        }
    }

    /// Has the nearest pile become the heap, which is empty.
    fn approach(&mut self) {
        if let Some(pile) = self.piles.pop() {
            self.cut(pile.entries);
        }
    }

    /// Makes the nearer part of what is before all piles the heap, and puts off the others.
    fn cut(&mut self, mut entries: Vec<Entry>) {
        while entries.len() > NEAR {
            let middle = entries.len() / 2;
            let (_, first, _) = entries.select_nth_unstable_by_key(middle, |entry| entry.timer);
            let from = first.timer;
            let farther = entries.split_off(middle);
            self.piles.push(Pile { from, entries: farther });
        }
        entries.shrink_to(2 * NEAR);
        self.near = entries.into();
    }

    pub(super) fn clear(&mut self) {
        *self = Timers::new();
    }

    /// All of them with their calls, in no order. Some calls may be gone.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Timer, Key)> {
        let far = self.piles.iter().flat_map(|pile| &pile.entries);
        self.near.iter().chain(far).map(|entry| (entry.timer, entry.call))
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::collections::BTreeMap;
    use std::time::Duration;

    use super::*;
    use crate::event_loop::slab::Slab;

    /// Timers, and a sorted map of what they should be.
    struct Both {
        start: Instant,
        timers: Timers,
        calls: RefCell<Slab<()>>,
        expected: BTreeMap<Timer, Key>,
        made: u64,
        random: u64,
    }

    impl Both {
        fn new() -> Self {
            let (timers, calls, expected) = (Timers::new(), RefCell::new(Slab::new()), BTreeMap::new());
            Both { start: Instant::now(), timers, calls, expected, made: 0, random: 1 }
        }

        fn below(&mut self, bound: u64) -> u64 {
            self.random = self.random.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (self.random >> 33) % bound
        }

        fn add(&mut self, millis: u64) {
            let timer = Timer::new(self.start + Duration::from_millis(millis), self.made, self.made % 7 == 0);
            self.made += 1;
            let call = self.calls.borrow_mut().insert(());
            self.timers.add(timer, call);
            self.expected.insert(timer, call);
        }

        /// Cancels the first one at or after that time.
        fn cancel(&mut self, millis: u64) {
            let timer = Timer::new(self.start + Duration::from_millis(millis), 0, false);
            let next = self.expected.range(timer..).next().map(|(timer, _)| *timer);
            let Some(call) = next.and_then(|timer| self.expected.remove(&timer)) else { return };
            self.calls.borrow_mut().remove(call);
            let calls = self.calls.borrow();
            self.timers.tidy(calls.len(), |call| calls.contains(call));
        }

        /// Drains what is due.
        #[track_caller]
        fn drain(&mut self, millis: u64) {
            let now = self.start + Duration::from_millis(millis);
            let mut drained = Vec::new();
            // Those whose calls are gone do no harm.
            self.timers.drain_due(now, |timer, call| {
                if self.calls.borrow().contains(call) {
                    drained.push((timer, call));
                }
            });
            let count = self.expected.range(..Timer::new(now + Duration::from_nanos(1), 0, false)).count();
            let due: Vec<_> = (0..count).filter_map(|_| self.expected.pop_first()).collect();
            assert!(drained == due, "{} were due, {} came, or in another order", due.len(), drained.len());
            due.iter().for_each(|(_, call)| _ = self.calls.borrow_mut().remove(*call));
        }

        #[track_caller]
        fn check(&mut self) {
            let next = self.timers.next_deadline(|call| self.calls.borrow().contains(call));
            assert_eq!(next, self.expected.first_key_value().map(|(timer, _)| timer.deadline));
            let left = self.timers.iter().filter(|(_, call)| self.calls.borrow().contains(*call)).count();
            assert_eq!(left, self.expected.len());
            let kept = self.timers.iter().count();
            assert_eq!(self.timers.len, kept);
            assert!(kept <= 2 * left + FEW, "{kept} for {left}");
        }
    }

    #[test]
    fn the_order_is_that_of_a_sorted_map_whatever_comes_and_goes() {
        let mut both = Both::new();
        for round in 0..40 {
            // From many that share their deadlines to few, near and far, also before what is due already.
            let spread = [10, 1_000, 1_000_000][round % 3];
            for _ in 0..both.below(4000) {
                let millis = both.below(spread);
                both.add(millis);
            }
            for _ in 0..both.below(3000) {
                let millis = both.below(spread);
                both.cancel(millis);
            }
            both.check();
            // Seldom all of them, and a pile is seldom due as a whole.
            let now = both.below(spread);
            both.drain(now);
            both.check();
        }
        both.drain(1_000_000);
        assert!(both.timers.is_empty() && both.expected.is_empty());
    }

    #[test]
    fn timers_in_whatever_order_end_in_theirs() {
        for order in [|n| n, |n| 9_999 - n, |n| n % 100, |n| n ^ 0x1555, |_| 7] {
            let mut both = Both::new();
            (0..10_000).map(order).for_each(|millis: u64| both.add(millis));
            both.check();
            both.drain(5_000);
            both.check();
            (0..10_000).map(order).for_each(|millis: u64| both.add(millis));
            both.check();
            both.drain(20_000);
            assert!(both.timers.is_empty() && both.expected.is_empty());
        }
    }

    #[test]
    fn what_is_canceled_gives_its_memory_back() {
        let mut both = Both::new();
        (0..100_000).for_each(|millis| both.add(millis));
        (0..99_990).for_each(|millis| both.cancel(millis));
        both.check();
        let kept =
            both.timers.near.capacity() + both.timers.piles.iter().map(|pile| pile.entries.capacity()).sum::<usize>();
        assert!(kept < 1000, "room for {kept}");
    }
}
