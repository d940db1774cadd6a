//! How big things are: handles are pointers with little beside them.

use std::mem::size_of;

use deferral::{Broken, BrokenKind, Deferred, Handle, Progress, Promise, State, local};

const POINTER: usize = size_of::<usize>();

/// A producer is one pointer, of either flavor and whatever it settles; so `Option` costs nothing.
#[test]
fn a_deferred_is_a_pointer() {
    assert_eq!(size_of::<Deferred<u32>>(), POINTER);
    assert_eq!(size_of::<Deferred<[u64; 100], String, [u8; 50]>>(), POINTER);
    assert_eq!(size_of::<local::Deferred<String>>(), POINTER);
    assert_eq!(size_of::<Option<Deferred<u32>>>(), POINTER);
}

/// A promise is a pointer, where its waker is parked, and a flag, whatever its value.
#[test]
fn a_promise_is_small() {
    assert!(size_of::<Promise<u32>>() <= POINTER + 12_usize.next_multiple_of(POINTER));
    assert_eq!(size_of::<Promise<[u64; 100], String>>(), size_of::<Promise<u32>>());
    assert_eq!(size_of::<local::Promise<u32>>(), size_of::<Promise<u32>>());
    assert_eq!(size_of::<Option<Promise<u32>>>(), size_of::<Promise<u32>>());
}

/// A `Broken` is a kind and two pointers, so that `Result<T, Broken>` is not much bigger than `T`.
#[test]
fn a_broken_is_small() {
    assert!(size_of::<Broken>() <= 3 * POINTER);
    assert_eq!(size_of::<Result<(), Broken>>(), size_of::<Broken>());
    assert_eq!(size_of::<Option<Broken>>(), size_of::<Broken>());
    assert_eq!((size_of::<BrokenKind>(), size_of::<State>()), (1, 1));
}

/// The rest: a handle of a loop is a pointer, a report two numbers.
#[test]
fn the_rest_is_small() {
    assert_eq!((size_of::<Handle>(), size_of::<Option<Handle>>()), (POINTER, POINTER));
    assert_eq!(size_of::<Progress>(), 16);
}
