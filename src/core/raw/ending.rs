//! What ends by more than being dropped.

use std::mem::ManuallyDrop;
use std::ops::{Deref, DerefMut};

use super::callback::{Crosses, Target};
use super::head::{Body, Ptr};
use crate::core::flavor::Flavor;

pub trait End {
    fn end(self);
}

/// Ends it where it is dropped, or hands it out instead.
pub struct Ending<D: End>(ManuallyDrop<D>);

impl<D: End> Ending<D> {
    pub(crate) fn new(inner: D) -> Self {
        Ending(ManuallyDrop::new(inner))
    }

    pub(crate) fn into_inner(self) -> D {
        // SAFETY: it is not dropped, so this is the only time.
        unsafe { ManuallyDrop::take(&mut ManuallyDrop::new(self).0) }
    }
}

// SAFETY: it holds nothing else.
unsafe impl<D: End + Crosses<F>, F: Flavor> Crosses<F> for Ending<D> {}

impl<S: Body, D: End + Target<S>> Target<S> for Ending<D> {
    fn target(&self) -> &Ptr<S> {
        self.0.target()
    }
}

impl<D: End> Deref for Ending<D> {
    type Target = D;

    fn deref(&self) -> &D {
        &self.0
    }
}

impl<D: End> DerefMut for Ending<D> {
    fn deref_mut(&mut self) -> &mut D {
        &mut self.0
    }
}

impl<D: End> Drop for Ending<D> {
    fn drop(&mut self) {
        // SAFETY: it is not used after its drop.
        unsafe { ManuallyDrop::take(&mut self.0) }.end();
    }
}
