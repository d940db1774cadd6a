//! What the poll that goes on found pending: a note on this thread, for who wants to know later what a task waits for.
//!
//! Neither the promise nor the loop knows the other, so they meet here. A note costs two stores, and tells a promise by its address and by
//! where it was made, without holding it: whoever reads it must find that promise again, or take it for gone.

use std::cell::Cell;
use std::panic::Location;
use std::ptr;

/// Names one thing among those that live, as a promise or a waker, by its address: half of it is enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Mark(u32);

impl Mark {
    /// The mark of nothing.
    pub(crate) const NONE: Mark = Mark(0);

    pub(crate) fn of<X>(thing: *const X) -> Self {
        // Allocations lie a multiple of eight bytes apart; what is cut off above tells apart what lies 32 GiB apart.
        #[allow(clippy::cast_possible_truncation)]
        Mark((thing.addr() >> 3) as u32)
    }
}

struct Notes {
    /// The address of the promise that the task owes whose poll this is.
    owed: Cell<*const ()>,
    /// The address of the promise that was found pending last.
    promise: Cell<*const ()>,
    /// Where it was made, if there was one.
    origin: Cell<Option<&'static Location<'static>>>,
}

thread_local! {
    static NOTES: Notes =
        const { Notes { owed: Cell::new(ptr::null()), promise: Cell::new(ptr::null()), origin: Cell::new(None) } };
}

/// Begins a poll, in which nothing was found pending yet, of a task that owes the promise at the address `owed`, or nothing if that is
/// null.
#[inline]
pub(crate) fn begin(owed: *const ()) {
    NOTES.with(|notes| {
        notes.owed.set(owed);
        notes.origin.set(None);
    });
}

/// Notes that the promise at `address`, which was made at `origin`, is pending. The last note counts.
#[inline]
pub(crate) fn note(address: *const (), origin: &'static Location<'static>) {
    NOTES.with(|notes| {
        notes.promise.set(address);
        notes.origin.set(Some(origin));
    });
}

/// Takes the note back, if it is about the promise at `address`: nobody waits for that any more.
#[inline]
pub(crate) fn forget(address: *const ()) {
    NOTES.with(|notes| {
        if notes.promise.get() == address {
            notes.origin.set(None);
        }
    });
}

/// The promise that this poll was the last to find pending, and where it was made, if there was one.
pub(crate) fn last() -> (Mark, Option<&'static Location<'static>>) {
    NOTES.with(|notes| (Mark::of(notes.promise.get()), notes.origin.get()))
}

/// What is owed by the task whose poll this is, or was if none goes on.
pub(crate) fn owed() -> Mark {
    NOTES.with(|notes| Mark::of(notes.owed.get()))
}
