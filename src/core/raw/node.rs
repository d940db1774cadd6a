//! The same pointers without the type of what they lead to.

use std::mem::ManuallyDrop;
use std::ptr::NonNull;

use super::ptr::{Header, Ptr, Table};
use crate::core::flavor::{Flavor, Local, Threaded};
use crate::core::node::{Machine, Parked, Sources};
use crate::list::Key;

/// A machine that others wait for, or that waits for others, whatever its type.
pub struct Node<F: Flavor> {
    header: NonNull<Header<F>>,
}

impl<F: Flavor> Node<F> {
    /// Takes over a reference to the machine with this header.
    pub(super) fn of(header: NonNull<Header<F>>) -> Self {
        Node { header }
    }

    #[inline]
    fn table(&self) -> &'static Table<F> {
        // SAFETY: alive as long as this reference is.
        unsafe { self.header.as_ref() }.table
    }

    pub(crate) fn withdraw(&self, key: Key, cancel: bool) {
        // SAFETY: it is the machine's own table.
        unsafe { (self.table().withdraw)(self.header, key, cancel) }
    }

    pub(crate) fn arrive(&self) {
        // SAFETY: it is the machine's own table.
        unsafe { (self.table().arrive)(self.header) }
    }

    pub(crate) fn disclaim(&self, key: Key) -> Option<(Source<F>, Key)> {
        // SAFETY: it is the machine's own table.
        unsafe { (self.table().disclaim)(self.header, key) }
    }

    pub(crate) fn parked(&self) -> Option<Parked> {
        // SAFETY: it is the machine's own table.
        unsafe { (self.table().parked)(self.header) }
    }

    pub(crate) fn downstream(&self) -> Vec<Node<F>> {
        // SAFETY: it is the machine's own table.
        unsafe { (self.table().downstream)(self.header) }
    }

    pub(crate) fn upstream(&self) -> Sources<F> {
        // SAFETY: it is the machine's own table.
        unsafe { (self.table().upstream)(self.header) }
    }

    pub(crate) fn address(&self) -> *const () {
        self.header.as_ptr().cast_const().cast()
    }

    #[inline]
    pub(super) fn into_work(self) -> Work {
        let header = ManuallyDrop::new(self).header;
        Work {
            target: header.cast(),
            run: |target| {
                let node = Node::<F> { header: target.cast() };
                // SAFETY: it is the machine's own table.
                unsafe { (node.table().run)(node.header) }
            },
            release: |target| drop(Node::<F> { header: target.cast() }),
        }
    }
}

impl<F: Flavor> Clone for Node<F> {
    #[inline]
    fn clone(&self) -> Self {
        // SAFETY: alive as long as this reference is.
        unsafe { self.header.as_ref() }.word.add();
        Node { header: self.header }
    }
}

impl<F: Flavor> Drop for Node<F> {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: alive as long as this reference is.
        if unsafe { self.header.as_ref() }.word.subtract() {
            // SAFETY: the last reference ends here, and it is the machine's own table.
            unsafe { (self.table().free)(self.header) }
        }
    }
}

/// A node that crosses threads where its flavor does.
pub struct Source<F: Flavor>(Node<F>);

impl<F: Flavor> Source<F> {
    pub(crate) fn node(&self) -> &Node<F> {
        &self.0
    }
}

impl<F: Flavor> Clone for Source<F> {
    fn clone(&self) -> Self {
        Source(self.0.clone())
    }
}

// SAFETY: `Source::<Threaded>::of` asks for an `X` that is `Send`, so the node stands for a `Ptr` that is `Send` and `Sync`.
unsafe impl Send for Source<Threaded> {}
// SAFETY: as above.
unsafe impl Sync for Source<Threaded> {}

impl Source<Threaded> {
    #[inline]
    pub(in crate::core) fn of<X: Machine<Flavor = Threaded> + Send>(ptr: Ptr<X>) -> Self {
        Source(ptr.into_node())
    }
}

impl Source<Local> {
    #[inline]
    pub(in crate::core) fn of<X: Machine<Flavor = Local>>(ptr: Ptr<X>) -> Self {
        Source(ptr.into_node())
    }
}

/// A machine that has to be run, of either flavor.
///
/// Each function asks for the `target` that it was made for, which is the header of a node, and uses up the reference.
pub(crate) struct Work {
    target: NonNull<()>,
    run: unsafe fn(NonNull<()>),
    release: unsafe fn(NonNull<()>),
}

impl Work {
    /// Runs it. Foreign code runs in here, and must not unwind out of here.
    #[inline]
    pub(crate) fn run(self) {
        let this = ManuallyDrop::new(self);
        // SAFETY: the function was made for this target, and is called once, as the reference is used up.
        unsafe { (this.run)(this.target) }
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        // SAFETY: as in `run`; a work that has run is not dropped.
        unsafe { (self.release)(self.target) }
    }
}
