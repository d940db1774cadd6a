//! An outcome in a block of its own: for one of several consumers.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::ptr;

use super::callback::Callback;
use super::content::{Lent, Own};
use super::head::{Body, CloneFn, Ptr, Settled};
use crate::core::note::Note;

/// An outcome of a type that is not known.
pub(in crate::core) struct Block {
    room: Room,
    drop: unsafe fn(*mut ()),
}

/// Memory for one outcome.
struct Room {
    place: *mut (),
    layout: Layout,
}

impl Room {
    fn new(layout: Layout) -> Self {
        if layout.size() == 0 {
            return Room { place: ptr::without_provenance_mut(layout.align()), layout };
        }
        // SAFETY: the layout has a size.
        let place: *mut () = unsafe { alloc(layout) }.cast();
        if place.is_null() {
            handle_alloc_error(layout);
        }
        Room { place, layout }
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        if self.layout.size() > 0 {
            // SAFETY: it was allocated with this layout.
            unsafe { dealloc(self.place.cast(), self.layout) }
        }
    }
}

impl Block {
    /// A clone of the outcome of a promise.
    ///
    /// # Panics
    ///
    /// As the clone.
    pub(in crate::core) fn clone_of<S: Body>(promise: &Ptr<S>, _: Lent, clone: CloneFn) -> Self {
        let room = Room::new(promise.table().outcome);
        // SAFETY: the outcome is in its place, and lent; the function is of its type, and the block has its layout.
        unsafe { (clone.0)(promise.place(), room.place) };
        Block { room, drop: promise.table().drop }
    }

    /// The outcome of a promise itself.
    pub(in crate::core) fn move_from<S: Body>(promise: &Ptr<S>, _: Own) -> Self {
        let room = Room::new(promise.table().outcome);
        // SAFETY: the outcome is in its place, and the caller's, which gives it away; the block has its layout.
        unsafe { ptr::copy_nonoverlapping(promise.place().cast::<u8>(), room.place.cast(), room.layout.size()) };
        Block { room, drop: promise.table().drop }
    }

    /// Gives it to a continuation of the promise that it was made from.
    pub(in crate::core) fn deliver<S: Body>(self, continuation: Callback<S>, note: Note) -> Option<Settled<S>> {
        let place = self.room.place;
        // The continuation moves the outcome out, and the block stays until it returns.
        let this = std::mem::ManuallyDrop::new(self);
        // SAFETY: it is read once, as the original is not dropped.
        let _room = unsafe { ptr::read(&this.room) };
        continuation.deliver(place, note, None)
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        // SAFETY: the outcome is in its place, and goes with the block.
        unsafe { (self.drop)(self.room.place) }
    }
}
