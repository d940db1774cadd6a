//! A callback or a waker without its type: two words in place, or a box, and a table.

use std::cell::UnsafeCell;
use std::marker::PhantomData;
use std::mem::{self, ManuallyDrop, MaybeUninit};
use std::ops::BitOr;
use std::ptr::NonNull;
use std::task::Waker;

use super::content::{Lent, Own};
use super::head::{Body, Ptr, Settled};
use crate::broken::Broken;
use crate::core::flavor::{Accepts, Flavor};
use crate::core::note::{Delivery, Note};

/// What a callback is, or which kinds a promise has: a set.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::core) struct Kinds(u8);

impl Kinds {
    pub(in crate::core) const NONE: Kinds = Kinds(0);
    /// Looks at the outcome.
    pub(in crate::core) const OBSERVER: Kinds = Kinds(1);
    /// Runs at a cancel.
    pub(in crate::core) const CANCELER: Kinds = Kinds(2);
    /// Takes the outcome.
    pub(in crate::core) const CONTINUATION: Kinds = Kinds(4);
    /// A task that waits.
    pub(in crate::core) const WAKER: Kinds = Kinds(8);
    /// Beside `OBSERVER`: it sees errors, too.
    pub(in crate::core) const SEES_ERRORS: Kinds = Kinds(16);
    /// Lists of callbacks.
    pub(in crate::core) const LISTS: Kinds = Kinds(32);
    /// Continuations that are to be served once the loan has ended.
    pub(in crate::core) const READY: Kinds = Kinds(64);

    #[inline(always)]
    pub(in crate::core) fn has(self, other: Kinds) -> bool {
        self.0 & other.0 != 0
    }

    pub(in crate::core) fn set(&mut self, other: Kinds, has: bool) {
        self.0 = if has { self.0 | other.0 } else { self.0 & !other.0 };
    }
}

impl BitOr for Kinds {
    type Output = Kinds;

    #[inline(always)]
    fn bitor(self, other: Kinds) -> Kinds {
        Kinds(self.0 | other.0)
    }
}

/// Two words of anything: a value, or a box of one.
///
/// A pair and no array, so that it moves in registers.
#[derive(Clone, Copy)]
#[repr(C)]
struct Data(MaybeUninit<*const ()>, MaybeUninit<*const ()>);

const fn fits<C>() -> bool {
    mem::size_of::<C>() <= mem::size_of::<Data>() && mem::align_of::<C>() <= mem::align_of::<Data>()
}

fn store<C>(value: C) -> Data {
    let mut data = Data(MaybeUninit::uninit(), MaybeUninit::uninit());
    let place = &raw mut data;
    // SAFETY: what fits is written to a place that is large enough and aligned for it; otherwise a pointer is, which always fits.
    unsafe {
        if const { fits::<C>() } {
            place.cast::<C>().write(value)
        } else {
            place.cast::<*mut C>().write(Box::into_raw(Box::new(value)))
        }
    }
    data
}

/// # Safety
///
/// The data is of a `C`, and not used again.
unsafe fn load<C>(data: Data) -> C {
    let place = &raw const data;
    // SAFETY: by the contract it was stored as one or the other, and is read once.
    unsafe {
        if const { fits::<C>() } { place.cast::<C>().read() } else { *Box::from_raw(place.cast::<*mut C>().read()) }
    }
}

/// Where the value of such data is.
///
/// # Safety
///
/// The data is of a `C`.
unsafe fn locate<C>(data: *mut Data) -> *mut C {
    // SAFETY: by the contract there is such a value in place, or a pointer to one.
    if const { fits::<C>() } { data.cast() } else { unsafe { data.cast::<*mut C>().read() } }
}

/// The code of one kind of callback with one type of data.
struct Calls<S: Body> {
    kinds: Kinds,
    /// Uses the data up. The second argument is, for an observer, the place of the outcome, and for a continuation a [`Parcel`].
    run: unsafe fn(Data, *mut ()) -> Option<Settled<S>>,
    /// The promise that waits for what a continuation makes. It is not used up.
    target: unsafe fn(*mut Data) -> *const Ptr<S>,
    /// Uses the data up.
    drop: unsafe fn(Data),
}

/// What a continuation gets, as far as it is known without types.
struct Parcel {
    place: *mut (),
    note: Note,
    broken: Option<Broken>,
}

/// A callback or a waker.
pub(in crate::core) struct Callback<S: Body> {
    data: UnsafeCell<Data>,
    /// Tagged: see [`silence`](Callback::silence).
    calls: NonNull<Calls<S>>,
}

/// Beside the pointer to the code of a continuation that cannot cancel.
const SILENT: usize = 1;

/// What may stand in a callback of the flavor `F`: it crosses threads, if the promises of `F` do.
///
/// # Safety
///
/// If `F` is [`Threaded`](crate::core::Threaded), it is as good as `Send`.
pub unsafe trait Crosses<F: Flavor>: 'static {}

/// What a continuation works with: it knows the promise that it settles.
pub trait Target<S: Body> {
    fn target(&self) -> &Ptr<S>;
}

impl<S: Body, C, D: Target<S>> Target<S> for (Accepted<C>, D) {
    fn target(&self) -> &Ptr<S> {
        self.1.target()
    }
}

impl<S: Body, D: Target<S>> Target<S> for (usize, D) {
    fn target(&self) -> &Ptr<S> {
        self.1.target()
    }
}

/// Something of a user's that the flavor accepts.
pub struct Accepted<C>(pub(crate) C);

// SAFETY: `Threaded` accepts nothing but what is `Send`.
unsafe impl<C: 'static, F: Flavor + Accepts<C>> Crosses<F> for Accepted<C> {}
// SAFETY: a number is `Send`.
unsafe impl<F: Flavor> Crosses<F> for usize {}
// SAFETY: a key is a number.
unsafe impl<F: Flavor> Crosses<F> for crate::list::Key {}
// SAFETY: it crosses as what it holds does.
unsafe impl<C: Crosses<F>, F: Flavor> Crosses<F> for Option<C> {}
// SAFETY: it crosses as what it holds does.
unsafe impl<C: Crosses<F>, D: Crosses<F>, F: Flavor> Crosses<F> for Result<C, D> {}
// SAFETY: it crosses as what it holds does.
unsafe impl<C: Crosses<F>, F: Flavor> Crosses<F> for Vec<C> {}
// SAFETY: it crosses as what it holds does.
unsafe impl<C: Crosses<F>, F: Flavor, const N: usize> Crosses<F> for [C; N] {}

macro_rules! crosses {
    ($($name:ident)*) => {
        // SAFETY: it crosses as what it holds does.
        unsafe impl<F: Flavor, $($name: Crosses<F>),*> Crosses<F> for ($($name,)*) {}
    };
}
crosses!();
crosses!(A);
crosses!(A B);
crosses!(A B C);
crosses!(A B C D);
crosses!(A B C D G);
crosses!(A B C D G H);
crosses!(A B C D G H I);
crosses!(A B C D G H I J);
crosses!(A B C D G H I J K);
crosses!(A B C D G H I J K L);
crosses!(A B C D G H I J K L M);
crosses!(A B C D G H I J K L M N);

/// A function that captures nothing, whose type alone says what it does.
fn function<R: Copy + 'static>() -> R {
    const { assert!(mem::size_of::<R>() == 0, "a function that captures nothing is asked for") };
    // SAFETY: it has no bytes, and its maker has shown that there is one by passing it.
    unsafe { NonNull::<R>::dangling().read() }
}

struct Made<C, R, T, E>(PhantomData<(C, R, T, E)>);

impl<C: 'static, R: Copy + 'static, T: 'static, E: 'static> Made<C, R, T, E> {
    const fn observer<S: Body>(kinds: Kinds) -> Calls<S>
    where
        C: FnOnce(&Result<T, E>),
    {
        Calls {
            kinds,
            run: |data, place| {
                // SAFETY: the data is of a `C`, and the place of such an outcome, which is lent.
                unsafe { load::<C>(data)(&*place.cast_const().cast::<Result<T, E>>()) };
                None
            },
            target: |_| std::ptr::null(),
            drop: Self::discard,
        }
    }

    const fn continuation<S: Body>() -> Calls<S>
    where
        C: Target<S>,
        R: FnOnce(C, Delivery<T, E>) -> Option<Settled<S>>,
    {
        Calls {
            kinds: Kinds::CONTINUATION,
            run: |data, parcel| {
                // SAFETY: it is a parcel, which is lent for this call.
                let Parcel { place, note, broken } = unsafe { parcel.cast::<Parcel>().read() };
                let delivery = match broken {
                    Some(broken) => Delivery::Broken(broken),
                    // SAFETY: the place is of such an outcome, which is this continuation's.
                    None => Delivery::of(unsafe { place.cast::<Result<T, E>>().read() }, note),
                };
                // SAFETY: the data is of a `C`.
                function::<R>()(unsafe { load::<C>(data) }, delivery)
            },
            // SAFETY: the data is of a `C`, which nothing else uses meanwhile.
            target: |data| unsafe { &*locate::<C>(data) }.target(),
            drop: Self::discard,
        }
    }

    const fn plain<S: Body>(kinds: Kinds) -> Calls<S>
    where
        R: FnOnce(C),
    {
        Calls {
            kinds,
            run: |data, _| {
                // SAFETY: the data is of a `C`.
                function::<R>()(unsafe { load::<C>(data) });
                None
            },
            target: |_| std::ptr::null(),
            drop: Self::discard,
        }
    }

    unsafe fn discard(data: Data) {
        // SAFETY: the data is of a `C`.
        drop(unsafe { load::<C>(data) });
    }
}

impl<S: Body> Callback<S> {
    fn new<C>(value: C, calls: &'static Calls<S>) -> Self {
        Callback { data: UnsafeCell::new(store(value)), calls: NonNull::from(calls) }
    }

    /// Shows the outcome of a promise of these types.
    pub(in crate::core) fn observer<T: 'static, E: 'static, C, const SEES_ERRORS: bool>(callback: C) -> Self
    where
        C: FnOnce(&Result<T, E>) + 'static,
    {
        let calls = const {
            let kinds = if SEES_ERRORS { Kinds(Kinds::OBSERVER.0 | Kinds::SEES_ERRORS.0) } else { Kinds::OBSERVER };
            &Made::<C, (), T, E>::observer(kinds)
        };
        Callback::new(callback, calls)
    }

    /// Takes the outcome of a promise of these types. It may return a promise that it has settled, or that has something to do, for the
    /// lender to go on with. `run` captures nothing.
    pub(in crate::core) fn continuation<T: 'static, E: 'static, C: Target<S> + 'static, R>(context: C, _run: R) -> Self
    where
        R: FnOnce(C, Delivery<T, E>) -> Option<Settled<S>> + Copy + 'static,
    {
        Callback::new(context, const { &Made::<C, R, T, E>::continuation() })
    }

    /// `run` captures nothing.
    pub(in crate::core) fn canceler<C: 'static, R: FnOnce(C) + Copy + 'static>(context: C, _run: R) -> Self {
        Callback::new(context, const { &Made::<C, R, (), ()>::plain(Kinds::CANCELER) })
    }

    pub(in crate::core) fn waker(waker: Waker) -> Self {
        Callback::new(waker, const { &waker_calls::<_, S>(Waker::wake) })
    }

    /// In the place of one callback, all that a promise has.
    pub(in crate::core) fn lists<L: 'static>(lists: Box<L>) -> Self {
        Callback::new(lists, const { &Made::<Box<L>, (), (), ()>::kept(Kinds::LISTS) })
    }

    #[inline(always)]
    fn calls(&self) -> &'static Calls<S> {
        let calls = self.calls.as_ptr();
        // SAFETY: without the tag it is the reference that it was made of.
        unsafe { &*calls.with_addr(calls.addr() & !SILENT) }
    }

    #[inline(always)]
    pub(in crate::core) fn kinds(&self) -> Kinds {
        self.calls().kinds
    }

    /// Notes that no cancel will come through this continuation.
    pub(in crate::core) fn silence(&mut self) {
        self.calls = self.calls.map_addr(|address| address | SILENT);
    }

    pub(in crate::core) fn is_silent(&self) -> bool {
        self.calls.addr().get() & SILENT != 0
    }

    /// Uses the data up.
    #[inline(always)]
    fn call(self, argument: *mut ()) -> Option<Settled<S>> {
        let this = ManuallyDrop::new(self);
        // SAFETY: the function is of this data, and is called once; its callers see to the argument.
        unsafe { (this.calls().run)(*this.data.get(), argument) }
    }

    /// Shows the outcome to an observer.
    pub(in crate::core) fn look(self, promise: &Ptr<S>, _: Lent) {
        debug_assert!(self.kinds().has(Kinds::OBSERVER));
        self.call(promise.place());
    }

    /// Gives the outcome, which is in its place, to the last continuation.
    pub(in crate::core) fn take(self, promise: &Ptr<S>, _: Own, note: Note) -> Option<Settled<S>> {
        self.deliver(promise.place(), note, None)
    }

    /// Gives a continuation what it waits for.
    pub(super) fn deliver(self, place: *mut (), note: Note, broken: Option<Broken>) -> Option<Settled<S>> {
        debug_assert!(self.kinds().has(Kinds::CONTINUATION));
        let mut parcel = ManuallyDrop::new(Parcel { place, note, broken });
        self.call((&raw mut parcel).cast())
    }

    /// Tells a continuation that there is no outcome.
    pub(in crate::core) fn fail(self, broken: Broken) -> Option<Settled<S>> {
        self.deliver(std::ptr::null_mut(), Note::UNKNOWN, Some(broken))
    }

    /// Wakes a task, or runs a callback of a cancel.
    #[inline(always)]
    pub(in crate::core) fn run(self) {
        debug_assert!(self.kinds().has(Kinds::WAKER | Kinds::CANCELER));
        self.call(std::ptr::null_mut());
    }

    /// The promise that waits for what a continuation makes.
    pub(in crate::core) fn target(&self) -> Option<&Ptr<S>> {
        // SAFETY: the data is what the function was made for. The reference that it returns is into the data, which is not changed.
        unsafe { (self.calls().target)(self.data.get()).as_ref() }
    }

    pub(in crate::core) fn as_waker(&self) -> Option<&Waker> {
        // SAFETY: the data of this kind is a waker. It is changed through `as_waker_mut` only.
        self.kinds().has(Kinds::WAKER).then(|| unsafe { &*locate::<Waker>(self.data.get()) })
    }

    pub(in crate::core) fn as_waker_mut(&mut self) -> Option<&mut Waker> {
        // SAFETY: the data of this kind is a waker.
        self.kinds().has(Kinds::WAKER).then(|| unsafe { &mut *locate::<Waker>(self.data.get_mut()) })
    }

    /// The lists of a promise that keeps such.
    pub(in crate::core) fn as_lists<L: 'static>(&self) -> Option<&L> {
        // SAFETY: the data of this kind is a box of an `L`: a core has one type of lists.
        self.kinds().has(Kinds::LISTS).then(|| unsafe { &**locate::<Box<L>>(self.data.get()) })
    }

    pub(in crate::core) fn as_lists_mut<L: 'static>(&mut self) -> Option<&mut L> {
        // SAFETY: the data of this kind is a box of an `L`: a core has one type of lists.
        self.kinds().has(Kinds::LISTS).then(|| unsafe { &mut **locate::<Box<L>>(self.data.get_mut()) })
    }
}

impl<C: 'static> Made<Box<C>, (), (), ()> {
    const fn kept<S: Body>(kinds: Kinds) -> Calls<S> {
        Calls {
            kinds,
            run: |data, _| {
                // SAFETY: the data is of a box of a `C`.
                drop(unsafe { load::<Box<C>>(data) });
                None
            },
            target: |_| std::ptr::null(),
            drop: Self::discard,
        }
    }
}

const fn waker_calls<R: FnOnce(Waker) + Copy + 'static, S: Body>(_: R) -> Calls<S> {
    Made::<Waker, R, (), ()>::plain(Kinds::WAKER)
}

impl<S: Body> Drop for Callback<S> {
    fn drop(&mut self) {
        // SAFETY: the data is what the function was made for. A callback that has run is not dropped.
        unsafe { (self.calls().drop)(*self.data.get()) }
    }
}
