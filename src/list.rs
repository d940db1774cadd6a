//! An ordered slab: first in, first out, and any entry can be removed by its key at constant cost.
//!
//! Consumers and wakers of a promise all need the same three things: to be visited in the order of their registration, to be
//! withdrawn in any order without leaving a trace, and never to be mistaken for a newcomer that took their slot. A key therefore
//! carries the number of its registration.

use std::mem;

use smallvec::SmallVec;

/// No slot: the end of the order, or of the chain of free slots.
const NONE: u32 = u32::MAX;

/// How many slots are added at least to a list that is full.
const FEW: usize = 4;

/// How many slots an empty list keeps for the next entries.
const KEPT: usize = 32;

/// Names one entry of one [`List`] or one loop. A key whose entry has left names nothing, also after its slot was taken again.
///
/// One number, as it moves fast: the registration above, the slot below.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Key(u64);

impl Key {
    /// The key of the first entry that a list ever gets.
    pub(crate) const FIRST: Key = Key::new(0, 0);

    /// A key that names nothing in any list.
    pub(crate) const DANGLING: Key = Key::new(NONE, 0);

    /// Another one, for who has more than one reason to name nothing.
    pub(crate) const SPENT: Key = Key::new(NONE, 1);

    #[inline]
    pub(crate) const fn new(index: u32, number: u32) -> Self {
        Key(((number as u64) << 32) | index as u64)
    }

    #[inline]
    pub(crate) fn index(self) -> u32 {
        // The half below: what is cut off is the other one.
        #[allow(clippy::cast_possible_truncation)]
        let index = self.0 as u32;
        index
    }

    /// Which registration it names, modulo 2^32, or 2^31 in a loop.
    #[inline]
    pub(crate) fn number(self) -> u32 {
        (self.0 >> 32) as u32
    }
}

struct Slot<V> {
    /// Which registration the entry is, modulo 2^32: tells a newcomer from the entry that a stale key named.
    number: u32,
    /// The neighbours in the order; for a free slot, `next` is the next free one.
    previous: u32,
    next: u32,
    value: Option<V>,
}

/// The list. The first entry lives inline: one waiter costs no allocation.
pub(crate) struct List<V> {
    slots: SmallVec<[Slot<V>; 1]>,
    first: u32,
    last: u32,
    free: u32,
    len: usize,
    next_number: u32,
}

impl<V> List<V> {
    pub(crate) fn new() -> Self {
        List { slots: SmallVec::new(), first: NONE, last: NONE, free: NONE, len: 0, next_number: 0 }
    }

    /// Has the first entry not be [`Key::FIRST`]: that names something else already, or did.
    pub(crate) fn skip_first(&mut self) {
        self.next_number = 1;
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The key of the next entry.
    pub(crate) fn next_key(&self) -> Key {
        let index = if self.free == NONE { u32::try_from(self.slots.len()).unwrap_or(NONE) } else { self.free };
        Key::new(index, self.next_number)
    }

    /// Appends an entry.
    #[inline]
    pub(crate) fn push(&mut self, value: V) -> Key {
        let previous = self.last;
        let number = self.next_number;
        self.next_number = number.wrapping_add(1);
        let index = if self.free == NONE {
            let index = u32::try_from(self.slots.len()).ok().filter(|index| *index != NONE);
            let index = index.expect("more than four billion entries wait for one promise");
            if self.slots.len() == self.slots.capacity() {
                self.slots.reserve(self.slots.len().max(FEW));
            }
            self.slots.push(Slot { number, previous, next: NONE, value: Some(value) });
            index
        } else {
            let index = self.free;
            let slot = &mut self.slots[index as usize];
            self.free = slot.next;
            *slot = Slot { number, previous, next: NONE, value: Some(value) };
            index
        };
        match previous {
            NONE => self.first = index,
            previous => self.slots[previous as usize].next = index,
        }
        self.last = index;
        self.len += 1;
        Key::new(index, number)
    }

    pub(crate) fn get_mut(&mut self, key: Key) -> Option<&mut V> {
        let slot = self.slots.get_mut(key.index() as usize)?;
        if slot.number == key.number() { slot.value.as_mut() } else { None }
    }

    /// Takes the entry that `key` names, if it is still here.
    pub(crate) fn remove(&mut self, key: Key) -> Option<V> {
        self.get_mut(key)?;
        let slot = &mut self.slots[key.index() as usize];
        let value = slot.value.take();
        let (previous, next) = (slot.previous, slot.next);
        slot.next = self.free;
        self.free = key.index();
        match previous {
            NONE => self.first = next,
            previous => self.slots[previous as usize].next = next,
        }
        match next {
            NONE => self.last = previous,
            next => self.slots[next as usize].previous = previous,
        }
        self.len -= 1;
        if self.len == 0 {
            self.clear();
        }
        value
    }

    /// Takes all entries.
    pub(crate) fn take(&mut self) -> Taken<V> {
        let taken = Taken { slots: mem::take(&mut self.slots), next: self.first };
        self.len = 0;
        self.clear();
        taken
    }

    /// The entries, in no order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &V> {
        self.slots.iter().filter_map(|slot| slot.value.as_ref())
    }

    /// Forgets the slots of an empty list, and gives back their memory once there were more than a few.
    fn clear(&mut self) {
        (self.first, self.last, self.free) = (NONE, NONE, NONE);
        if self.slots.len() > KEPT {
            self.slots = SmallVec::new();
        } else {
            self.slots.clear();
        }
    }
}

/// What was in a list, the oldest first.
pub(crate) struct Taken<V> {
    slots: SmallVec<[Slot<V>; 1]>,
    next: u32,
}

impl<V> Iterator for Taken<V> {
    type Item = V;

    fn next(&mut self) -> Option<V> {
        let slot = self.slots.get_mut(self.next as usize)?;
        self.next = slot.next;
        slot.value.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drain(list: &mut List<u32>) -> Vec<u32> {
        list.take().collect()
    }

    #[test]
    fn keeps_the_order_of_registration_whatever_leaves() {
        let mut list = List::new();
        let keys: Vec<Key> = (0..100).map(|n| list.push(n)).collect();
        for n in (0..100).step_by(3) {
            assert_eq!(list.remove(keys[n]), Some(n as u32));
        }
        list.push(100);
        assert_eq!(list.len(), 67);
        assert_eq!(drain(&mut list), (0..=100).filter(|n| n % 3 != 0 || *n == 100).collect::<Vec<_>>()[..].to_vec());
        assert!(list.is_empty());
    }

    #[test]
    fn a_stale_key_names_nothing() {
        let mut list = List::new();
        let old = list.push(1);
        assert_eq!(list.remove(old), Some(1));
        let new = list.push(2);
        assert_eq!(list.remove(old), None);
        assert_eq!(list.get_mut(old), None);
        assert_eq!(list.remove(new), Some(2));
        assert_eq!(list.remove(Key::DANGLING), None);
    }

    #[test]
    fn reuses_the_slots_of_those_that_left() {
        let mut list = List::new();
        let stays = list.push(0);
        for n in 0..100_000 {
            let key = list.push(n);
            list.remove(key);
        }
        assert!(list.slots.len() <= 2);
        assert_eq!(list.remove(stays), Some(0));
    }

    #[test]
    fn what_was_taken_keeps_its_order_and_leaves_no_key_behind() {
        let mut list = List::new();
        let keys: Vec<Key> = (0..10).map(|n| list.push(n)).collect();
        list.remove(keys[0]);
        list.remove(keys[4]);
        list.push(10);
        list.push(11);
        let next = list.next_key();
        assert_eq!(list.push(12), next);
        assert_eq!(list.take().collect::<Vec<_>>(), [1, 2, 3, 5, 6, 7, 8, 9, 10, 11, 12]);
        assert!(list.is_empty());
        list.push(13);
        assert!(keys.iter().all(|key| list.get_mut(*key).is_none()));
    }
}
