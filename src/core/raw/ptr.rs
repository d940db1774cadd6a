//! Counted pointers, and the way inside.

use std::marker::PhantomData;
use std::mem::{self, ManuallyDrop};
use std::ops::{Deref, DerefMut};
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::ptr::NonNull;

use super::node::{Node, Source, Work};
use super::word::{Number, Word};
use crate::core::flavor::{CrossesThreads, Flavor};
use crate::core::node::{Machine, Parked, Sources};
use crate::core::sync::UnsafeCell;
use crate::list::Key;

/// What stands at the head of each allocation, whatever comes after it.
#[repr(C)]
pub(super) struct Header<F: Flavor> {
    pub(super) word: Word<F::Number>,
    pub(super) table: &'static Table<F>,
}

/// The code of a machine, for those who do not know its type.
///
/// Each function asks that the pointer leads to a live [`Inner`] of the machine that the table was made for.
pub(super) struct Table<F: Flavor> {
    pub(super) run: unsafe fn(NonNull<Header<F>>),
    pub(super) arrive: unsafe fn(NonNull<Header<F>>),
    pub(super) withdraw: unsafe fn(NonNull<Header<F>>, Key, bool),
    pub(super) disclaim: unsafe fn(NonNull<Header<F>>, Key) -> Option<(Source<F>, Key)>,
    pub(super) parked: unsafe fn(NonNull<Header<F>>) -> Option<Parked>,
    pub(super) downstream: unsafe fn(NonNull<Header<F>>) -> Vec<Node<F>>,
    pub(super) upstream: unsafe fn(NonNull<Header<F>>) -> Sources<F>,
    pub(super) free: unsafe fn(NonNull<Header<F>>),
}

// `repr(C)`: a pointer to it is a pointer to its header.
#[repr(C)]
struct Inner<X: Machine> {
    header: Header<X::Flavor>,
    body: UnsafeCell<X>,
}

/// A counted pointer to a machine, and the way inside.
pub struct Ptr<X: Machine> {
    inner: NonNull<Inner<X>>,
    owns: PhantomData<Inner<X>>,
}

// SAFETY: threads share the body, but only one is inside at a time, or alone: `X: Send` is what `Mutex<X>` asks for to be `Sync`, and
// with a count beside it, which is atomic in a flavor that crosses threads, what `Arc<Mutex<X>>` asks for. The last pointer may end on
// any thread, so `X` may be dropped there: `Send` again.
unsafe impl<X: Machine<Flavor: CrossesThreads> + Send> Send for Ptr<X> {}
// SAFETY: as above. A shared pointer can be cloned, so it must be as good as one that was sent.
unsafe impl<X: Machine<Flavor: CrossesThreads> + Send> Sync for Ptr<X> {}

/// A pointer can be moved whatever it points to.
impl<X: Machine> Unpin for Ptr<X> {}

// What runs inside changes the body at once or, if it panics, not at all.
impl<X: Machine> UnwindSafe for Ptr<X> {}
impl<X: Machine> RefUnwindSafe for Ptr<X> {}

/// A visit: the body, for as long as nobody else is inside. Nothing foreign may run meanwhile.
///
/// It also ends by a panic.
pub(in crate::core) struct Visit<'a, X: Machine> {
    inner: &'a Inner<X>,
    /// The count of references, for as long as it is in these hands.
    held: u32,
}

impl<X: Machine> Deref for Visit<'_, X> {
    type Target = X;

    #[inline]
    fn deref(&self) -> &X {
        // SAFETY: who is inside is alone with the body: the word sees to it, or, in the local flavor, that nothing foreign runs inside.
        self.inner.body.with(|body| unsafe { &*body })
    }
}

impl<X: Machine> DerefMut for Visit<'_, X> {
    #[inline]
    fn deref_mut(&mut self) -> &mut X {
        // SAFETY: as above.
        self.inner.body.with_mut(|body| unsafe { &mut *body })
    }
}

impl<X: Machine> Visit<'_, X> {
    /// Ends it. `look` says whether the machine may have been settled meanwhile.
    #[inline]
    pub(in crate::core) fn leave(self, look: bool) {
        if look {
            return drop(self);
        }
        let visit = ManuallyDrop::new(self);
        visit.inner.header.word.unlock(visit.held, false);
    }
}

impl<X: Machine> Drop for Visit<'_, X> {
    #[inline]
    fn drop(&mut self) {
        self.inner.header.word.unlock(self.held, self.is_settled());
    }
}

impl<X: Machine> Ptr<X> {
    const TABLE: Table<X::Flavor> = Table {
        // SAFETY (all): by the table's contract the pointer leads to a live `Inner<X>`.
        run: |header| unsafe { Self::borrow(header, X::run) },
        arrive: |header| unsafe { Self::borrow(header, X::arrive) },
        withdraw: |header, key, cancel| unsafe { Self::borrow(header, |this| X::withdraw(this, key, cancel)) },
        disclaim: |header, key| unsafe { Self::borrow(header, |this| X::disclaim(this, key)) },
        parked: |header| unsafe { Self::borrow(header, |this| this.with(|body| body.parked())) },
        downstream: |header| unsafe { Self::borrow(header, |this| this.with(|body| body.downstream())) },
        upstream: |header| unsafe { Self::borrow(header, |this| this.with(|body| body.upstream())) },
        // SAFETY: as above, and the caller's reference was the last.
        free: |header| unsafe { free::<X>(header.cast()) },
    };

    #[inline]
    pub(crate) fn new(body: impl FnOnce() -> X) -> Self {
        Self::allocate(body, 1, false)
    }

    /// A machine that is settled from the beginning.
    #[inline]
    pub(in crate::core) fn settled(body: impl FnOnce() -> X) -> Self {
        Self::allocate(body, 1, true)
    }

    /// Two references: most have two ends.
    #[inline]
    pub(crate) fn pair(body: impl FnOnce() -> X) -> (Self, Self) {
        let first = Self::allocate(body, 2, false);
        let second = Ptr { inner: first.inner, owns: PhantomData };
        (first, second)
    }

    /// A function, as what it makes is made in its place: a body moves slowly.
    #[inline]
    fn allocate(body: impl FnOnce() -> X, references: u32, settled: bool) -> Self {
        let inner = Box::leak(Box::<Inner<X>>::new_uninit());
        let header = Header { word: Word::new(references, settled), table: &Self::TABLE };
        let inner = inner.write(Inner { header, body: UnsafeCell::new(body()) });
        Ptr { inner: NonNull::from(inner), owns: PhantomData }
    }

    /// # Safety
    ///
    /// `header` leads to a live `Inner<X>`.
    unsafe fn borrow<R>(header: NonNull<Header<X::Flavor>>, f: impl FnOnce(&Self) -> R) -> R {
        // Not dropped: the reference is the caller's.
        f(&ManuallyDrop::new(Ptr { inner: header.cast(), owns: PhantomData }))
    }

    #[inline]
    fn inner(&self) -> &Inner<X> {
        // SAFETY: alive as long as this reference is, and only shared: the body stands in an `UnsafeCell`.
        unsafe { self.inner.as_ref() }
    }

    #[inline]
    fn word(&self) -> &Word<<X::Flavor as Flavor>::Number> {
        &self.inner().header.word
    }

    /// Goes inside.
    #[inline]
    pub(in crate::core) fn visit(&self) -> Visit<'_, X> {
        let held = self.word().lock();
        Visit { inner: self.inner(), held }
    }

    /// Goes inside for as long as `f` runs. Nothing foreign may run in it.
    #[inline]
    pub(crate) fn with<R>(&self, f: impl FnOnce(&mut X) -> R) -> R {
        f(&mut self.visit())
    }

    /// Goes inside, makes one reference more, and stays there for as long as `f` runs.
    #[inline]
    pub(in crate::core) fn clone_with(&self, f: impl FnOnce(&mut X)) -> Self {
        let mut visit = self.visit();
        self.word().add_inside(&mut visit.held, 1);
        let clone = Ptr { inner: self.inner, owns: PhantomData };
        f(&mut visit);
        clone
    }

    /// Several references more at the price of one, and at most so many: the first, and the others to come.
    pub(crate) fn clone_many(&self, most: usize) -> (Self, Spare<X>) {
        /// Far less than a word can count.
        const AT_ONCE: u32 = 1 << 16;
        let references = u32::try_from(most).map_or(AT_ONCE, |most| most.min(AT_ONCE));
        let mut visit = self.visit();
        self.word().add_inside(&mut visit.held, references);
        visit.leave(false);
        let mut spare = Spare { inner: self.inner, left: references, owns: PhantomData };
        (spare.next().unwrap_or_else(|| self.clone()), spare)
    }

    /// Goes inside for as long as `f` runs, and ends this reference, unless `f` says that it is still wanted. `SETTLES` says whether the
    /// machine may be settled meanwhile.
    // Inlined, as `end_alone_with`, so that what comes out moves in registers.
    #[inline(always)]
    pub(crate) fn end_with<const SETTLES: bool, R>(self, f: impl FnOnce(&mut X) -> (R, bool)) -> (R, Option<Self>) {
        let this = ManuallyDrop::new(self);
        let mut visit = this.visit();
        let settled = cfg!(debug_assertions) && visit.is_settled();
        let (result, wanted) = f(&mut visit);
        debug_assert!(SETTLES || visit.is_settled() == settled, "a promise was settled in passing");
        if wanted {
            visit.leave(SETTLES);
            return (result, Some(ManuallyDrop::into_inner(this)));
        }
        if this.word().subtract_inside(&mut visit.held, 1) {
            // Nobody is left to be told that this visit ends.
            mem::forget(visit);
            // SAFETY: it was the last reference, and is not dropped.
            unsafe { free_full(this.inner) };
        } else {
            visit.leave(SETTLES);
        }
        (result, None)
    }

    /// Goes inside for as long as `f` runs, which gets this very reference to keep it where it likes. Another one is made, and comes back,
    /// only if `f` says that it is wanted.
    #[inline]
    pub(in crate::core) fn move_with<R>(self, f: impl FnOnce(&mut X, Self) -> (R, bool)) -> (R, Option<Self>) {
        let this = ManuallyDrop::new(self);
        let mut visit = this.visit();
        // Nobody ends it while this visit goes on, as that would be a visit.
        let (result, wanted) = f(&mut visit, Ptr { inner: this.inner, owns: PhantomData });
        if wanted {
            this.word().add_inside(&mut visit.held, 1);
        }
        drop(visit);
        (result, wanted.then(|| ManuallyDrop::into_inner(this)))
    }

    /// Whether the machine is settled. It costs a visit only if another one goes on; or in a model, where nothing follows from the hint but
    /// many more orders.
    #[inline]
    pub(in crate::core) fn is_settled(&self) -> bool {
        let hint = if cfg!(loom) { None } else { self.word().is_settled() };
        hint.unwrap_or_else(|| self.with(|body| body.is_settled()))
    }

    /// Whether this is the only reference, where it is worth a look: where a visit is an atomic operation more.
    #[inline]
    pub(in crate::core) fn is_last(&self) -> bool {
        <<X::Flavor as Flavor>::Number as Number>::ATOMIC && self.word().is_one()
    }

    /// The body, if this is the only reference.
    #[inline]
    pub(crate) fn alone(&mut self) -> Option<&mut X> {
        if !self.word().is_one() {
            return None;
        }
        // SAFETY: nobody is inside, and nobody can come in but through this very reference, which is borrowed for as long.
        Some(self.inner().body.with_mut(|body| unsafe { &mut *body }))
    }

    /// The same of a machine that is settled.
    #[inline]
    pub(in crate::core) fn alone_settled(&mut self) -> Option<&mut X> {
        if !self.word().is_one_settled() {
            return None;
        }
        // SAFETY: as above.
        Some(self.inner().body.with_mut(|body| unsafe { &mut *body }))
    }

    /// Ends this reference, if it is the only one and `f`, which may run what is foreign, says that it may. Otherwise it comes back.
    #[inline(always)]
    pub(in crate::core) fn end_alone_with(self, f: impl FnOnce(&mut X) -> bool) -> Option<Self> {
        let mut this = ManuallyDrop::new(self);
        if !this.alone().is_some_and(f) {
            return Some(ManuallyDrop::into_inner(this));
        }
        // SAFETY: it was the last reference, and is not dropped.
        unsafe { free(this.inner) };
        None
    }

    /// What tells one machine from all others that live.
    #[inline]
    pub(crate) fn address(&self) -> *const () {
        self.inner.as_ptr().cast_const().cast()
    }

    /// The same machine for those who do not know its type.
    #[inline]
    pub(crate) fn into_node(self) -> Node<X::Flavor> {
        Node::of(ManuallyDrop::new(self).inner.cast())
    }

    #[inline]
    pub(crate) fn into_work(self) -> Work {
        self.into_node().into_work()
    }
}

/// # Safety
///
/// The caller's reference was the last one, and is not used any more.
#[inline]
unsafe fn free<X: Machine>(inner: NonNull<Inner<X>>) {
    // SAFETY: it is there for another moment, and nobody is inside. The model checker is told that all visits must have ended before.
    let void = unsafe { inner.as_ref() }.body.with_mut(|body| unsafe { (*body).is_void() });
    // The model checker's cell has something to drop in any case.
    if void && !cfg!(loom) {
        // SAFETY: it came out of a box, nobody knows it any more, and its drop would do nothing.
        drop(unsafe { Box::from_raw(inner.cast::<ManuallyDrop<Inner<X>>>().as_ptr()) });
    } else {
        // SAFETY: by the contract.
        unsafe { free_full(inner) };
    }
}

/// # Safety
///
/// As [`free`].
#[inline(never)]
unsafe fn free_full<X: Machine>(inner: NonNull<Inner<X>>) {
    // SAFETY: it came out of a box, and nobody knows it any more.
    drop(unsafe { Box::from_raw(inner.as_ptr()) });
}

impl<X: Machine> Clone for Ptr<X> {
    #[inline]
    fn clone(&self) -> Self {
        self.word().add();
        Ptr { inner: self.inner, owns: PhantomData }
    }
}

impl<X: Machine> Drop for Ptr<X> {
    #[inline]
    fn drop(&mut self) {
        if self.word().subtract() {
            // SAFETY: the last reference ends here.
            unsafe { free(self.inner) };
        }
    }
}

/// References that nobody holds yet. Those that are left end with it.
pub(crate) struct Spare<X: Machine> {
    inner: NonNull<Inner<X>>,
    left: u32,
    owns: PhantomData<Inner<X>>,
}

impl<X: Machine> Spare<X> {
    /// One of them, as long as there are some.
    #[inline]
    pub(crate) fn next(&mut self) -> Option<Ptr<X>> {
        self.left = self.left.checked_sub(1)?;
        Some(Ptr { inner: self.inner, owns: PhantomData })
    }
}

impl<X: Machine> Drop for Spare<X> {
    fn drop(&mut self) {
        // SAFETY: alive as long as a reference is left in here.
        if self.left > 0 && unsafe { self.inner.as_ref() }.header.word.subtract_shared(self.left) {
            // SAFETY: they were the last ones.
            unsafe { free(self.inner) };
        }
    }
}

/// A box of what `make` makes in its place, as [`Ptr::allocate`].
#[inline]
pub(in crate::core) fn boxed<X>(make: impl FnOnce() -> X) -> Box<X> {
    let mut place = Box::<X>::new_uninit();
    place.write(make());
    // SAFETY: it has just been written.
    unsafe { place.assume_init() }
}

/// What ends by more than being dropped.
pub(crate) trait End {
    fn end(self);
}

/// Ends it where it is dropped, or hands it out instead.
pub(crate) struct Ending<D: End>(ManuallyDrop<D>);

impl<D: End> Ending<D> {
    #[inline]
    pub(crate) fn new(inner: D) -> Self {
        Ending(ManuallyDrop::new(inner))
    }

    #[inline]
    pub(crate) fn into_inner(self) -> D {
        // SAFETY: it is not dropped, so this is the only time.
        unsafe { ManuallyDrop::take(&mut ManuallyDrop::new(self).0) }
    }
}

impl<D: End> Deref for Ending<D> {
    type Target = D;

    #[inline]
    fn deref(&self) -> &D {
        &self.0
    }
}

impl<D: End> DerefMut for Ending<D> {
    #[inline]
    fn deref_mut(&mut self) -> &mut D {
        &mut self.0
    }
}

impl<D: End> Drop for Ending<D> {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: nobody uses it after its drop.
        unsafe { ManuallyDrop::take(&mut self.0) }.end();
    }
}
