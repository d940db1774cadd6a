//! Counts what is allocated, by all threads together, while it is told to. Otherwise it costs a load and a branch.

// An allocator cannot be written without it; the library itself has no part in this.
#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

static ON: AtomicBool = AtomicBool::new(false);
static COUNT: AtomicU64 = AtomicU64::new(0);
static ALLOCATED: AtomicU64 = AtomicU64::new(0);
static FREED: AtomicU64 = AtomicU64::new(0);

fn allocated(bytes: usize) {
    if ON.load(Relaxed) {
        COUNT.fetch_add(1, Relaxed);
        ALLOCATED.fetch_add(bytes as u64, Relaxed);
    }
}

fn freed(bytes: usize) {
    if ON.load(Relaxed) {
        FREED.fetch_add(bytes as u64, Relaxed);
    }
}

// SAFETY: every call goes to the system's allocator as it is.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        allocated(layout.size());
        // SAFETY: the caller keeps the contract, which is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        allocated(layout.size());
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        freed(layout.size());
        // SAFETY: as above.
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        allocated(size);
        freed(layout.size());
        // SAFETY: as above.
        unsafe { System.realloc(block, layout, size) }
    }
}

/// How many blocks `act` takes, and how many bytes, given back or not.
pub(crate) fn count(act: impl FnOnce()) -> (u64, u64) {
    let before = (COUNT.load(Relaxed), ALLOCATED.load(Relaxed));
    while_on(act);
    (COUNT.load(Relaxed) - before.0, ALLOCATED.load(Relaxed) - before.1)
}

/// Has [`live`] tell something.
pub(crate) fn while_on<R>(act: impl FnOnce() -> R) -> R {
    ON.store(true, Relaxed);
    let result = act();
    ON.store(false, Relaxed);
    result
}

/// How many more bytes are on the heap than when the counting began.
pub(crate) fn live() -> u64 {
    ALLOCATED.load(Relaxed).wrapping_sub(FREED.load(Relaxed))
}
