//! Wakers and callbacks without their types, and the places where they and the outcome are.

use std::marker::PhantomData;
use std::mem::{self, ManuallyDrop, MaybeUninit};
use std::ptr::{self, NonNull};
use std::task::Waker;

use super::node::Node;
use crate::core::flavor::{Flavor, Local, Threaded};
use crate::core::state::{Delivery, Slot};

/// Takes the outcome out of a slot. What `mem::replace` would move to and fro moves once.
#[inline]
pub(in crate::core) fn take_present<T, E, F: Flavor>(slot: &mut Slot<T, E, F>) -> Option<Result<T, E>> {
    let Slot::Present(outcome) = slot else { return None };
    // SAFETY: it is read once, and nothing can happen before it is overwritten, which does not drop it.
    unsafe {
        let outcome = read_in_words(outcome);
        ptr::write(slot, Slot::Empty);
        Some(outcome)
    }
}

/// Reads what is small word by word, as it was written perhaps a moment ago: a processor makes a wider load wait until those stores are
/// through.
///
/// # Safety
///
/// As [`ptr::read`].
#[inline]
unsafe fn read_in_words<X>(place: *const X) -> X {
    type Word = MaybeUninit<*const ()>;
    let words = mem::size_of::<X>() / mem::size_of::<Word>();
    let whole = mem::size_of::<X>() % mem::size_of::<Word>() == 0 && mem::align_of::<X>() >= mem::align_of::<Word>();
    if !whole || words > 4 {
        // SAFETY: by the contract.
        return unsafe { place.read() };
    }
    let mut copy = MaybeUninit::<X>::uninit();
    for n in 0..words {
        // SAFETY: the words of both are inside, and aligned. Volatile, so that two of them do not become one load.
        unsafe { copy.as_mut_ptr().cast::<Word>().add(n).write(place.cast::<Word>().add(n).read_volatile()) };
    }
    // SAFETY: all of it was copied.
    unsafe { copy.assume_init() }
}

/// Takes out an entry, word by word.
#[inline]
pub(in crate::core) fn take_entry<T, E, X, F: Flavor>(
    place: &mut Option<Entry<T, E, X, F>>,
) -> Option<Entry<T, E, X, F>> {
    let entry = place.as_ref()?;
    // SAFETY: as above.
    unsafe {
        let entry = Entry { data: entry.data, calls: entry.calls, many: PhantomData };
        ptr::write(place, None);
        Some(entry)
    }
}

/// Takes out an entry that is a waker.
#[inline]
pub(in crate::core) fn take_waker<T, E, X, F: Flavor>(place: &mut Option<Entry<T, E, X, F>>) -> Option<Waker> {
    let entry = place.as_ref().filter(|entry| entry.calls.is_waker)?;
    // SAFETY: the data of this kind is a waker; it is loaded once, and nothing can happen before it is overwritten, which does not drop
    // it.
    unsafe {
        let waker = load(entry.data);
        ptr::write(place, None);
        Some(waker)
    }
}

/// Fills the place of an entry, which is empty.
#[inline]
pub(in crate::core) fn put_entry<T, E, X, F: Flavor>(place: &mut Option<Entry<T, E, X, F>>, entry: Entry<T, E, X, F>) {
    debug_assert!(place.is_none());
    // SAFETY: as below.
    unsafe { ptr::write(place, Some(entry)) }
}

/// Fills a slot that is empty.
#[inline]
pub(in crate::core) fn put_present<T, E, F: Flavor>(slot: &mut Slot<T, E, F>, outcome: Result<T, E>) {
    debug_assert!(matches!(slot, Slot::Empty));
    // SAFETY: it is valid for writes. That nothing is dropped could at most leak, and an empty slot has nothing to drop.
    unsafe { ptr::write(slot, Slot::Present(outcome)) }
}

/// Moves the outcome, if it is in its slot, to a loan that is empty, word by word.
#[inline(always)]
pub(in crate::core) fn lend<T, E, F: Flavor>(slot: &mut Slot<T, E, F>, loan: &mut Option<Result<T, E>>) -> bool {
    let Slot::Present(outcome) = slot else { return false };
    debug_assert!(loan.is_none());
    // SAFETY: the outcome is read once, and nothing can happen before it is overwritten, which does not drop it. The loan has nothing to
    // drop.
    unsafe {
        ptr::write(loan, Some(read_in_words(outcome)));
        ptr::write(slot, Slot::Empty);
    }
    true
}

/// Takes the outcome out of its place, word by word.
///
/// # Panics
///
/// If there is none.
#[inline(always)]
pub(in crate::core) fn take<T, E>(place: &mut Option<Result<T, E>>) -> Result<T, E> {
    let outcome = place.as_ref().expect("the outcome is here");
    // SAFETY: it is read once, and nothing can happen before it is overwritten, which does not drop it.
    unsafe {
        let outcome = read_in_words(outcome);
        ptr::write(place, None);
        outcome
    }
}

/// Moves an outcome from one place to another, which is empty.
#[inline(always)]
pub(in crate::core) fn put<T, E>(place: &mut Option<Result<T, E>>, from: &mut Option<Result<T, E>>) {
    debug_assert!(place.is_none());
    // SAFETY: it is valid for writes. That nothing is dropped could at most leak.
    unsafe { ptr::write(place, Some(take(from))) }
}

/// Fills a slot that is empty with what was on loan, if there is something.
#[inline]
pub(in crate::core) fn put_back<T, E, F: Flavor>(slot: &mut Slot<T, E, F>, loan: &mut Option<Result<T, E>>) {
    if loan.is_some() {
        put_present(slot, take(loan));
    }
}

/// Two words of anything: a value, or a box of one.
///
/// A pair and no array, so that it moves in words, as it is written and read; and by value, so that it moves in registers.
#[derive(Clone, Copy)]
#[repr(C)]
struct Data(MaybeUninit<*const ()>, MaybeUninit<*const ()>);

impl Data {
    #[inline]
    fn uninit() -> Self {
        Data(MaybeUninit::uninit(), MaybeUninit::uninit())
    }

    #[inline]
    fn place<C>(&self) -> *const C {
        ptr::from_ref(self).cast()
    }

    #[inline]
    fn place_mut<C>(&mut self) -> *mut C {
        ptr::from_mut(self).cast()
    }
}

/// A waker or a callback of a promise.
pub struct Entry<T: 'static, E: 'static, X: 'static, F: Flavor> {
    data: Data,
    calls: &'static Calls<T, E, F>,
    many: PhantomData<X>,
}

/// What an [`Entry`] can be. `Many` stands for a list of them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::core) enum Kind {
    Waker,
    Observer,
    Continuation,
    Canceler,
    Many,
}

/// The code of one kind of entry with one type of data.
///
/// Each function asks for the data of an entry that it was made for; all but `target` use it up, if it is a copy.
struct Calls<T: 'static, E: 'static, F: Flavor> {
    kind: Kind,
    /// What the kind says, too: this is asked first, and by itself.
    is_waker: bool,
    /// Whether an observer looks at an error, too.
    sees_errors: bool,
    look: unsafe fn(Data, &Result<T, E>),
    deliver: unsafe fn(Data, Result<T, E>),
    /// In the place of `deliver`, for what is no plain outcome.
    deliver_rarely: unsafe fn(Data, Delivery<T, E>),
    cancel: unsafe fn(Data),
    target: unsafe fn(&Data) -> Option<Node<F>>,
    drop: unsafe fn(Data),
}

const fn is_small<C>() -> bool {
    mem::size_of::<C>() <= mem::size_of::<Data>() && mem::align_of::<C>() <= mem::align_of::<Data>()
}

#[inline]
fn store<C>(value: C) -> Data {
    let mut data = Data::uninit();
    if is_small::<C>() {
        // SAFETY: it is large enough and aligned.
        unsafe { data.place_mut::<C>().write(value) };
    } else {
        // SAFETY: so is it for a pointer.
        unsafe { data.place_mut::<*mut C>().write(Box::into_raw(Box::new(value))) };
    }
    data
}

/// # Safety
///
/// `data` comes from `store::<C>` and has not been loaded.
#[inline]
unsafe fn load<C>(data: Data) -> C {
    if is_small::<C>() {
        // SAFETY: by the contract there is a `C`, which is the caller's from now on.
        unsafe { data.place::<C>().read() }
    } else {
        // SAFETY: by the contract there is a box of one.
        *unsafe { Box::from_raw(data.place::<*mut C>().read()) }
    }
}

/// # Safety
///
/// As [`load`].
#[inline]
unsafe fn peek<C>(data: &Data) -> &C {
    // SAFETY: by the contract there is a `C`, or a pointer to one, and it stays as long as `data` is borrowed.
    unsafe { if is_small::<C>() { &*data.place::<C>() } else { &**data.place::<*const C>() } }
}

/// # Safety
///
/// As [`load`].
#[inline]
unsafe fn peek_mut<C>(data: &mut Data) -> &mut C {
    // SAFETY: as in `peek`, and nobody else borrows it.
    unsafe { if is_small::<C>() { &mut *data.place_mut::<C>() } else { &mut **data.place_mut::<*mut C>() } }
}

/// # Safety
///
/// As [`load`].
unsafe fn discard<C>(data: Data) {
    // SAFETY: by the contract.
    drop(unsafe { load::<C>(data) });
}

fn not_that() -> ! {
    unreachable!("an entry was asked for what it is not")
}

/// The tables of the kinds of entries with data of type `C`. `R` and `G` are functions without data.
struct Made<C, R, G>(PhantomData<(C, R, G)>);

/// A function that stands for itself: its type says which, so there is nothing to store.
#[inline]
fn function<R: Copy>() -> R {
    const { assert!(mem::size_of::<R>() == 0, "a function that captures something") };
    // SAFETY: a read of no bytes, for which a dangling pointer will do. That there are values of this type, and that they may be copied,
    // whoever made the entry has shown by passing one.
    unsafe { NonNull::<R>::dangling().read() }
}

impl<C: 'static, R: Copy + 'static, G: Copy + 'static> Made<C, R, G> {
    const fn observer<T, E, F: Flavor>(sees_errors: bool) -> Calls<T, E, F>
    where
        C: FnOnce(&Result<T, E>),
    {
        Calls {
            kind: Kind::Observer,
            is_waker: false,
            sees_errors,
            // SAFETY: the data of an observer is a `C`.
            look: |data, outcome| unsafe { load::<C>(data) }(outcome),
            deliver: |_, _| not_that(),
            deliver_rarely: |_, _| not_that(),
            cancel: |_| not_that(),
            target: |_| None,
            drop: discard::<C>,
        }
    }

    const fn continuation<T, E, F: Flavor>() -> Calls<T, E, F>
    where
        R: FnOnce(C, Delivery<T, E>),
        G: FnOnce(&C) -> Option<Node<F>>,
    {
        Calls {
            kind: Kind::Continuation,
            is_waker: false,
            sees_errors: false,
            look: |_, _| not_that(),
            // SAFETY: the data of a continuation is a `C`.
            deliver: |data, outcome| function::<R>()(unsafe { load::<C>(data) }, Delivery::Outcome(outcome)),
            // SAFETY: as above.
            deliver_rarely: |data, delivery| function::<R>()(unsafe { load::<C>(data) }, delivery),
            cancel: |_| not_that(),
            // SAFETY: as above.
            target: |data| function::<G>()(unsafe { peek::<C>(data) }),
            drop: discard::<C>,
        }
    }

    const fn canceler<T, E, F: Flavor>() -> Calls<T, E, F>
    where
        R: FnOnce(C),
    {
        Calls {
            kind: Kind::Canceler,
            is_waker: false,
            sees_errors: false,
            look: |_, _| not_that(),
            deliver: |_, _| not_that(),
            deliver_rarely: |_, _| not_that(),
            // SAFETY: the data of a canceler is a `C`.
            cancel: |data| function::<R>()(unsafe { load::<C>(data) }),
            target: |_| None,
            drop: discard::<C>,
        }
    }

    const fn plain<T, E, F: Flavor>(kind: Kind) -> Calls<T, E, F> {
        Calls {
            kind,
            is_waker: matches!(kind, Kind::Waker),
            sees_errors: false,
            look: |_, _| not_that(),
            deliver: |_, _| not_that(),
            deliver_rarely: |_, _| not_that(),
            cancel: |_| not_that(),
            target: |_| None,
            drop: discard::<C>,
        }
    }
}

macro_rules! entries {
    ($flavor:ident, $bound:path) => {
        impl<T, E, X> Entry<T, E, X, $flavor> {
            #[inline]
            pub(in crate::core) fn observer<C: FnOnce(&Result<T, E>) + $bound + 'static>(callback: C) -> Self {
                Entry::new(callback, const { &Made::<C, (), ()>::observer(true) })
            }

            /// One that does nothing about an error.
            #[inline]
            pub(in crate::core) fn observer_of_values<C: FnOnce(&Result<T, E>) + $bound + 'static>(
                callback: C,
            ) -> Self {
                Entry::new(callback, const { &Made::<C, (), ()>::observer(false) })
            }

            /// `run` and `target` capture nothing.
            #[inline]
            pub(in crate::core) fn continuation<C, R, G>(context: C, _run: R, _target: G) -> Self
            where
                C: $bound + 'static,
                R: FnOnce(C, Delivery<T, E>) + Copy + 'static,
                G: FnOnce(&C) -> Option<Node<$flavor>> + Copy + 'static,
            {
                Entry::new(context, const { &Made::<C, R, G>::continuation() })
            }

            /// `run` captures nothing.
            #[inline]
            pub(in crate::core) fn canceler<C, R>(context: C, _run: R) -> Self
            where
                C: $bound + 'static,
                R: FnOnce(C) + Copy + 'static,
            {
                Entry::new(context, const { &Made::<C, R, ()>::canceler() })
            }
        }
    };
}
entries!(Threaded, Send);
entries!(Local, Sized);

// SAFETY: the constructors of this flavor ask for `Send`, a waker is, and so is a box of what is.
unsafe impl<T, E, X: Send> Send for Entry<T, E, X, Threaded> {}

impl<T, E, X, F: Flavor> Entry<T, E, X, F> {
    #[inline]
    fn new<C>(value: C, calls: &'static Calls<T, E, F>) -> Self {
        Entry { data: store(value), calls, many: PhantomData }
    }

    #[inline]
    pub(in crate::core) fn of_waker(waker: Waker) -> Self {
        Entry::new(waker, const { &Made::<Waker, (), ()>::plain(Kind::Waker) })
    }

    #[inline]
    pub(in crate::core) fn of_many(entries: Box<X>) -> Self {
        Entry::new(entries, const { &Made::<Box<X>, (), ()>::plain(Kind::Many) })
    }

    #[inline]
    pub(in crate::core) fn kind(&self) -> Kind {
        self.calls.kind
    }

    #[inline]
    pub(in crate::core) fn sees_errors(&self) -> bool {
        self.calls.sees_errors
    }

    /// The code, and the data for it to use up.
    #[inline]
    fn into_parts(self) -> (&'static Calls<T, E, F>, Data) {
        let this = ManuallyDrop::new(self);
        (this.calls, this.data)
    }

    /// Shows the outcome to an observer.
    #[inline]
    pub(in crate::core) fn look(self, outcome: &Result<T, E>) {
        let (calls, data) = self.into_parts();
        // SAFETY: the data is what the function was made for, and used up once.
        unsafe { (calls.look)(data, outcome) }
    }

    /// Gives a continuation what it waits for.
    #[inline]
    pub(in crate::core) fn deliver(self, outcome: Result<T, E>) {
        let (calls, data) = self.into_parts();
        // SAFETY: as above.
        unsafe { (calls.deliver)(data, outcome) }
    }

    /// Gives a continuation what is no plain outcome.
    pub(in crate::core) fn deliver_rarely(self, delivery: Delivery<T, E>) {
        let (calls, data) = self.into_parts();
        // SAFETY: as above.
        unsafe { (calls.deliver_rarely)(data, delivery) }
    }

    /// Runs a canceler.
    pub(in crate::core) fn cancel(self) {
        let (calls, data) = self.into_parts();
        // SAFETY: as above.
        unsafe { (calls.cancel)(data) }
    }

    /// The promise that waits for what a continuation makes.
    pub(in crate::core) fn target(&self) -> Option<Node<F>> {
        // SAFETY: the data is what the function was made for.
        unsafe { (self.calls.target)(&self.data) }
    }

    pub(in crate::core) fn waker(&self) -> Option<&Waker> {
        // SAFETY: the data of this kind is a waker.
        (self.kind() == Kind::Waker).then(|| unsafe { peek::<Waker>(&self.data) })
    }

    #[inline]
    pub(in crate::core) fn waker_mut(&mut self) -> Option<&mut Waker> {
        // SAFETY: the data of this kind is a waker.
        (self.kind() == Kind::Waker).then(|| unsafe { peek_mut::<Waker>(&mut self.data) })
    }

    #[inline]
    pub(in crate::core) fn into_waker(self) -> Result<Waker, Self> {
        if self.kind() != Kind::Waker {
            return Err(self);
        }
        // SAFETY: as above.
        Ok(unsafe { load(self.into_parts().1) })
    }

    #[inline]
    pub(in crate::core) fn many(&self) -> Option<&X> {
        // SAFETY: the data of this kind is a box of an `X`.
        (self.kind() == Kind::Many).then(|| unsafe { &**peek::<Box<X>>(&self.data) })
    }

    #[inline]
    pub(in crate::core) fn many_mut(&mut self) -> Option<&mut X> {
        // SAFETY: the data of this kind is a box of an `X`.
        (self.kind() == Kind::Many).then(|| unsafe { &mut **peek_mut::<Box<X>>(&mut self.data) })
    }
}

impl<T, E, X, F: Flavor> Drop for Entry<T, E, X, F> {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: the data is what the function was made for; entries that were used up are not dropped.
        unsafe { (self.calls.drop)(self.data) }
    }
}
