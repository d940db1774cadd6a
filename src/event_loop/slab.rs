//! What a loop owns, each under a key that is never mistaken for a newcomer's.
//!
//! Entries are found by their keys alone, and come and go in any order: an order that is kept in links would have to be mended at the
//! neighbours, which are far away in memory once there are many. Whoever wants the order, which is at the end of the loop only, sorts.

use std::cmp::Reverse;
use std::mem;

use crate::list::Key;

/// No slot: the end of the chain of free ones.
const NONE: u32 = u32::MAX;

/// How many slots more it makes room for at least.
const LEAST: usize = 32;

/// How many slots an empty slab keeps for the next entries.
const KEPT: usize = 1024;

enum Slot<V> {
    /// The next free one.
    Free(u32),
    /// Which registration the entry is, modulo 2^32: tells a newcomer from the entry that a stale key named.
    Taken(u32, V),
}

pub(super) struct Slab<V> {
    slots: Vec<Slot<V>>,
    free: u32,
    len: usize,
    next_number: u32,
}

impl<V> Slab<V> {
    pub(super) fn new() -> Self {
        Slab { slots: Vec::new(), free: NONE, len: 0, next_number: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn insert(&mut self, value: V) -> Key {
        let number = self.next_number;
        self.next_number = number.wrapping_add(1);
        self.len += 1;
        let index = self.free;
        match self.slots.get_mut(index as usize) {
            Some(slot) => {
                if let Slot::Free(next) = mem::replace(slot, Slot::Taken(number, value)) {
                    self.free = next;
                }
                Key::new(index, number)
            }
            None => {
                let index = u32::try_from(self.slots.len()).ok().filter(|index| *index != NONE);
                let index = index.expect("more than four billion tasks or calls on one loop");
                if self.slots.len() == self.slots.capacity() {
                    // Not by doubling: what many tasks take counts, and big blocks mostly grow in their place.
                    self.slots.reserve_exact((self.slots.len() / 8).max(LEAST));
                }
                self.slots.push(Slot::Taken(number, value));
                Key::new(index, number)
            }
        }
    }

    pub(super) fn get(&self, key: Key) -> Option<&V> {
        match self.slots.get(key.index() as usize) {
            Some(Slot::Taken(number, value)) if *number == key.number() => Some(value),
            _ => None,
        }
    }

    pub(super) fn get_mut(&mut self, key: Key) -> Option<&mut V> {
        match self.slots.get_mut(key.index() as usize) {
            Some(Slot::Taken(number, value)) if *number == key.number() => Some(value),
            _ => None,
        }
    }

    pub(super) fn contains(&self, key: Key) -> bool {
        self.get(key).is_some()
    }

    /// Takes the entry that `key` names, if it is still here.
    pub(super) fn remove(&mut self, key: Key) -> Option<V> {
        let slot = self.slots.get_mut(key.index() as usize)?;
        if !matches!(slot, Slot::Taken(number, _) if *number == key.number()) {
            return None;
        }
        let Slot::Taken(_, value) = mem::replace(slot, Slot::Free(self.free)) else { return None };
        self.free = key.index();
        self.len -= 1;
        if self.len == 0 {
            self.clear();
        }
        Some(value)
    }

    /// All entries with their keys, in no order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Key, &V)> {
        self.slots.iter().zip(0..).filter_map(|(slot, index)| match slot {
            Slot::Taken(number, value) => Some((Key::new(index, *number), value)),
            Slot::Free(_) => None,
        })
    }

    /// The keys of all entries, the oldest first.
    pub(super) fn keys(&self) -> Vec<Key> {
        let mut keys: Vec<Key> = self.iter().map(|(key, _)| key).collect();
        // The next number is that of the youngest, plus one; so the age tells the order, also where the numbers begin again.
        keys.sort_unstable_by_key(|key| Reverse(self.next_number.wrapping_sub(key.number())));
        keys
    }

    /// Forgets the slots of an empty slab, and gives back their memory once there were many.
    fn clear(&mut self) {
        self.free = NONE;
        if self.slots.len() > KEPT {
            self.slots = Vec::new();
        } else {
            self.slots.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drain(slab: &mut Slab<u32>) -> Vec<u32> {
        slab.keys().into_iter().filter_map(|key| slab.remove(key)).collect()
    }

    #[test]
    fn tells_the_order_of_registration_whatever_leaves() {
        let mut slab = Slab::new();
        // Beginning again at zero makes no difference.
        slab.next_number = u32::MAX - 50;
        let keys: Vec<Key> = (0..100).map(|n| slab.insert(n)).collect();
        for n in (0..100).step_by(3) {
            assert_eq!(slab.remove(keys[n]), Some(n as u32));
        }
        let _: Vec<Key> = (100..120).map(|n| slab.insert(n)).collect();
        assert_eq!(slab.len(), 86);
        assert_eq!(drain(&mut slab), (0..120).filter(|n| n % 3 != 0 || *n >= 100).collect::<Vec<_>>());
        assert_eq!(slab.len(), 0);
    }

    #[test]
    fn a_stale_key_names_nothing() {
        let mut slab = Slab::new();
        let stays = slab.insert(0);
        let old = slab.insert(1);
        assert_eq!(slab.remove(old), Some(1));
        assert!(!slab.contains(old));
        let new = slab.insert(2);
        assert_eq!((slab.remove(old), slab.get_mut(old)), (None, None));
        assert!(!slab.contains(old));
        assert_eq!((slab.get_mut(new).copied(), slab.contains(new)), (Some(2), true));
        assert_eq!((slab.remove(new), slab.remove(stays)), (Some(2), Some(0)));
        assert_eq!(slab.remove(Key::DANGLING), None);
    }

    #[test]
    fn has_little_room_that_nobody_uses() {
        let mut slab = Slab::new();
        for n in 0..100_000 {
            slab.insert(n);
            let (used, room) = (slab.slots.len(), slab.slots.capacity());
            assert!(room <= used + used / 8 + LEAST, "room for {room}, used by {used}");
        }
    }

    #[test]
    fn reuses_the_slots_of_those_that_left() {
        let mut slab = Slab::new();
        let stays = slab.insert(0);
        for n in 0..100_000 {
            let [a, b] = [slab.insert(n), slab.insert(n)];
            assert_eq!((slab.remove(a), slab.remove(b)), (Some(n), Some(n)));
        }
        assert_eq!(slab.slots.len(), 3);
        assert_eq!(slab.remove(stays), Some(0));
        assert_eq!(slab.slots.len(), 0);
    }
}
