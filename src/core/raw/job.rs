//! A promise that waits for its turn, without its flavor.

use std::mem::ManuallyDrop;
use std::ptr::NonNull;

use super::head::{Body, Ptr};

/// Something for the trampoline: a promise, and what is to be done with it, whatever the flavor.
pub(in crate::core) struct Job {
    ptr: NonNull<()>,
    run: *const (),
    /// Takes the reference over; calls the function if it is told so.
    end: unsafe fn(NonNull<()>, *const (), bool),
}

impl Job {
    pub(in crate::core) fn new<S: Body>(ptr: Ptr<S>, run: fn(Ptr<S>)) -> Self {
        Job {
            ptr: ptr.into_head().cast(),
            run: run as *const (),
            end: |ptr, run, runs| {
                // SAFETY: the reference was taken from a `Ptr<S>`, and is taken over once.
                let ptr = unsafe { Ptr::<S>::of(ptr.cast()) };
                if runs {
                    // SAFETY: it was made of such a function.
                    let run = unsafe { std::mem::transmute::<*const (), fn(Ptr<S>)>(run) };
                    run(ptr);
                }
            },
        }
    }

    pub(in crate::core) fn run(self) {
        let this = ManuallyDrop::new(self);
        // SAFETY: the function was made for this pointer, which it takes over.
        unsafe { (this.end)(this.ptr, this.run, true) }
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        // SAFETY: the function was made for this pointer. A job that has run is not dropped.
        unsafe { (self.end)(self.ptr, self.run, false) }
    }
}
