//! What a loop owns, each under a key that is never mistaken for a newcomer's.
//!
//! Entries are found by their keys alone, and come and go in any order: an order that is kept in links would have to be mended at the
//! neighbours, which are far away in memory once there are many. Whoever wants the order, which is at the end of the loop only, sorts.

use std::cmp::Reverse;

use crate::list::Key;

/// Marks a free slot, in the place of the number of its entry: the rest names the next free one.
const FREE: u32 = 1 << 31;

/// No slot: the end of the chain of free ones. With the mark it is still a number.
const NONE: u32 = FREE - 1;

/// How many slots more it makes room for at least.
const LEAST: usize = 32;

/// How many slots an empty slab keeps for the next entries.
const KEPT: usize = 1024;

pub(super) struct Slab<V> {
    /// Which registration each entry is, modulo 2^31: tells a newcomer from the entry that a stale key named. Apart from the entries, as a
    /// look whether one is still here, of which timers need many, then stays in the cache.
    numbers: Vec<u32>,
    entries: Vec<Option<V>>,
    free: u32,
    len: usize,
    next_number: u32,
}

impl<V> Slab<V> {
    pub(super) fn new() -> Self {
        Slab { numbers: Vec::new(), entries: Vec::new(), free: NONE, len: 0, next_number: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn insert(&mut self, value: V) -> Key {
        let number = self.next_number;
        self.next_number = (number + 1) % FREE;
        self.len += 1;
        let index = self.free;
        let free = (self.numbers.get_mut(index as usize), self.entries.get_mut(index as usize));
        if let (Some(slot), Some(entry)) = free {
            self.free = *slot - FREE;
            (*slot, *entry) = (number, Some(value));
            return Key::new(index, number);
        }
        let index = u32::try_from(self.numbers.len()).ok().filter(|index| *index < NONE);
        let index = index.expect("more than two billion tasks or calls on one loop");
        if self.entries.len() == self.entries.capacity() {
            // Not by doubling: what many tasks take counts, and big blocks mostly grow in their place.
            let more = (self.entries.len() / 8).max(LEAST);
            self.numbers.reserve_exact(more);
            self.entries.reserve_exact(more);
        }
        self.numbers.push(number);
        self.entries.push(Some(value));
        Key::new(index, number)
    }

    pub(super) fn get(&self, key: Key) -> Option<&V> {
        if self.contains(key) { self.entries.get(key.index() as usize)?.as_ref() } else { None }
    }

    pub(super) fn get_mut(&mut self, key: Key) -> Option<&mut V> {
        if self.contains(key) { self.entries.get_mut(key.index() as usize)?.as_mut() } else { None }
    }

    pub(super) fn contains(&self, key: Key) -> bool {
        self.numbers.get(key.index() as usize) == Some(&key.number())
    }

    /// Takes the entry that `key` names, if it is still here.
    pub(super) fn remove(&mut self, key: Key) -> Option<V> {
        let number = self.numbers.get_mut(key.index() as usize).filter(|number| **number == key.number())?;
        let entry = self.entries.get_mut(key.index() as usize)?.take();
        *number = self.free + FREE;
        self.free = key.index();
        self.len -= 1;
        if self.len == 0 {
            self.clear();
        }
        entry
    }

    /// All entries with their keys, in no order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Key, &V)> {
        let slots = self.numbers.iter().zip(&self.entries).zip(0..);
        slots.filter_map(|((number, entry), index)| Some((Key::new(index, *number), entry.as_ref()?)))
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
        if self.entries.len() > KEPT {
            (self.numbers, self.entries) = (Vec::new(), Vec::new());
        } else {
            self.numbers.clear();
            self.entries.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drain(slab: &mut Slab<u32>) -> Vec<u32> {
        slab.keys().into_iter().filter_map(|key| slab.remove(key)).collect()
    }

    fn room(slab: &Slab<u32>) -> [usize; 2] {
        [slab.numbers.capacity(), slab.entries.capacity()]
    }

    #[test]
    fn tells_the_order_of_registration_whatever_leaves() {
        let mut slab = Slab::new();
        // Beginning again at zero makes no difference.
        slab.next_number = FREE - 50;
        let keys: Vec<Key> = (0..100).map(|n| slab.insert(n)).collect();
        for n in (0..100).step_by(3) {
            assert_eq!(slab.remove(keys[n]), Some(n as u32));
        }
        let _: Vec<Key> = (100..120).map(|n| slab.insert(n)).collect();
        assert_eq!(slab.len(), 86);
        assert!(slab.iter().all(|(key, _)| key.number() < FREE), "a number that marks a free slot");
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
            for room in room(&slab) {
                let used = slab.len();
                assert!(room <= used + used / 8 + LEAST, "room for {room}, used by {used}");
            }
        }
        drain(&mut slab);
        assert_eq!(room(&slab), [0, 0]);
    }

    #[test]
    fn reuses_the_slots_of_those_that_left() {
        let mut slab = Slab::new();
        let stays = slab.insert(0);
        for n in 0..100_000 {
            let [a, b] = [slab.insert(n), slab.insert(n)];
            assert_eq!((slab.remove(a), slab.remove(b)), (Some(n), Some(n)));
        }
        assert_eq!(slab.entries.len(), 3);
        assert_eq!(slab.remove(stays), Some(0));
        assert_eq!(slab.entries.len(), 0);
    }
}
