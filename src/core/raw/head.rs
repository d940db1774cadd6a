//! Counted pointers to a promise whose types are not known, and the way inside.

use std::alloc::{Layout, dealloc};
use std::cell::UnsafeCell;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::panic::{Location, RefUnwindSafe, UnwindSafe};
use std::ptr::{self, NonNull};

use super::content::{Content, Fill, Own};
use super::word::{MOST, Number, ONE, SETTLED};
use crate::broken::Broken;
use crate::core::sync::{AtomicU32, Tracked};
use crate::list::Key;

/// What stands in a head beside the word and the table. Only a visitor uses it.
pub trait Body: Sized + 'static {
    type Number: Number;

    /// What stands in the place of the outcome.
    fn content(&mut self) -> &mut Content;

    /// Whether its drop does nothing.
    fn is_void(&self) -> bool;

    /// Whether something stands in the room.
    fn has_room(&self) -> bool;

    /// Whether the place has to be cleared before the promise ends.
    fn fills_place(&self) -> bool;

    /// Notes that the outcome has to be dropped.
    fn set_drops(&mut self);
}

/// What every promise begins with, whatever its types.
#[repr(C)]
pub(super) struct Head<S: Body> {
    word: S::Number,
    table: &'static Table<S>,
    /// Where the promise was made.
    origin: &'static Location<'static>,
    /// Makes the error of an end that the library made. `Drop` can carry no bounds, so the constructor recorded it.
    maker: Maker,
    /// Both tell the model checker of an access: to the state, and to the place.
    visits: Tracked,
    uses: Tracked,
    state: UnsafeCell<S>,
}

/// The code of a promise for callers that do not know its types. All functions ask for the place, or the room, of such a promise.
pub(super) struct Table<S: Body> {
    /// Of the whole allocation.
    pub(super) cell: Layout,
    pub(super) outcome: Layout,
    /// Where the place and the room are, from the head on.
    pub(super) place: usize,
    pub(super) room: usize,
    pub(super) make: unsafe fn(Maker, Broken, *mut ()),
    pub(super) drop: unsafe fn(*mut ()),
    /// Drops an error after it has been reported as one that no callback or consumer saw.
    pub(super) lose: unsafe fn(*mut (), Loss),
    pub(super) drop_room: Option<unsafe fn(*mut ())>,
    /// How a follower leaves, if it is not a promise that it follows.
    pub(super) leave: Option<unsafe fn(*const (), Key, bool)>,
    pub(super) body: PhantomData<S>,
}

/// What is told of an error that no callback or consumer saw: where the promise was made, and where it was rejected, if that is known.
pub(in crate::core) type Loss = (&'static Location<'static>, Option<&'static Location<'static>>);

/// Makes the error of an end that the library made: a `fn(Broken) -> E`, for the `E` of its promise.
#[derive(Clone, Copy)]
pub(super) struct Maker(pub(super) *const ());

/// Clones the outcome of one promise to an empty place.
#[derive(Clone, Copy)]
pub(in crate::core) struct CloneFn(pub(super) unsafe fn(*const (), *mut ()));

/// A counted pointer to a promise whose types are not known. It keeps the memory, and nothing else.
///
/// It leads to all of the allocation, whatever its own type says.
pub struct Ptr<S: Body>(NonNull<Head<S>>);

// A visit changes the state at once or, if it panics, not at all.
impl<S: Body> UnwindSafe for Ptr<S> {}
impl<S: Body> RefUnwindSafe for Ptr<S> {}

/// A visit: the state, while no other thread is inside. It holds a reference of its own.
///
/// Nothing foreign may run meanwhile, and it has to end by one of its methods.
#[must_use]
pub(crate) struct Visit<S: Body> {
    ptr: NonNull<Head<S>>,
    /// What the word will be.
    number: u32,
}

/// A promise for a lender to go on with, still entered: settled just now, or with something to tell.
///
/// Nothing foreign may run before that.
#[must_use]
pub struct Settled<S: Body> {
    pub(in crate::core) visit: Visit<S>,
    /// What it followed: it has delivered, or is to be left.
    pub(in crate::core) source: Option<(Ptr<S>, Key)>,
}

impl<S: Body> Ptr<S> {
    /// Takes over a reference.
    pub(super) unsafe fn of(head: NonNull<Head<S>>) -> Self {
        Ptr(head)
    }

    pub(super) fn into_head(self) -> NonNull<Head<S>> {
        ManuallyDrop::new(self).0
    }

    #[inline(always)]
    fn word(&self) -> &S::Number {
        // SAFETY: this reference keeps the head alive. Only the word is borrowed, which is shared by all.
        unsafe { &(*self.0.as_ptr()).word }
    }

    #[inline(always)]
    pub(super) fn table(&self) -> &'static Table<S> {
        // SAFETY: this reference keeps the head alive, and the table is never written.
        unsafe { (*self.0.as_ptr()).table }
    }

    #[inline(always)]
    pub(crate) fn origin(&self) -> &'static Location<'static> {
        // SAFETY: this reference keeps the head alive, and the origin is never written.
        unsafe { (*self.0.as_ptr()).origin }
    }

    pub(super) fn maker(&self) -> Maker {
        // SAFETY: this reference keeps the head alive, and the maker is never written.
        unsafe { (*self.0.as_ptr()).maker }
    }

    /// Goes inside.
    pub(crate) fn enter(&self) -> Visit<S> {
        let number = match self.word().try_enter() {
            Some(number) => number,
            None => self.word().wait_and_enter(),
        };
        // The references of visits are few among those that `add` counts.
        Visit { ptr: self.0, number: number + ONE }
    }

    /// Goes inside, with this very reference.
    pub(crate) fn into_visit(self) -> Visit<S> {
        match self.word().look() {
            // The only reference needs no mark to keep others out.
            Some(number) if S::Number::MARKS && number & !SETTLED == ONE => Visit { ptr: self.into_head(), number },
            _ => {
                let mut visit = self.enter();
                visit.end(self);
                visit
            }
        }
    }

    /// Does something inside. Nothing foreign may run in it.
    pub(crate) fn with<R>(&self, f: impl FnOnce(&mut S) -> R) -> R {
        let mut visit = self.enter();
        let result = f(visit.state());
        visit.leave();
        result
    }

    /// Whether the promise is settled: for ever, if it is. It costs a visit only if another one goes on; or in a model, where the hint
    /// would add many orders and no end.
    pub(crate) fn is_settled(&self) -> bool {
        match self.word().look() {
            Some(number) if cfg!(not(loom)) => number & SETTLED != 0,
            _ => {
                let visit = self.enter();
                let settled = visit.number & SETTLED != 0;
                visit.leave();
                settled
            }
        }
    }

    /// The state, if this is the only reference and the promise is settled.
    pub(in crate::core) fn alone_and_settled(&mut self) -> Option<&mut S> {
        // SAFETY: there is no visit, and no other reference that could begin one while this one is borrowed.
        (self.word().look() == Some(ONE | SETTLED)).then(|| unsafe { &mut *self.state() })
    }

    /// Whether the promise is settled, as far as a look at the word says so.
    pub(in crate::core) fn seems_settled(&self) -> bool {
        self.word().look().is_some_and(|number| number & SETTLED != 0)
    }

    /// Whether there are so many references, and no visit goes on.
    pub(super) fn counts(&self, references: u32) -> bool {
        self.word().look().is_some_and(|number| number & !SETTLED == references * ONE)
    }

    fn state(&self) -> *mut S {
        // SAFETY: this reference keeps the head alive; the cell is not borrowed, only its address is taken.
        unsafe {
            (*self.0.as_ptr()).visits.touch();
            UnsafeCell::raw_get(&raw const (*self.0.as_ptr()).state)
        }
    }

    pub(super) fn place(&self) -> *mut () {
        self.place_at(self.table().place)
    }

    /// The place of a promise that has it there.
    pub(super) fn place_at(&self, offset: usize) -> *mut () {
        // SAFETY: this reference keeps the head alive. No address is made beyond the allocation.
        unsafe { (*self.0.as_ptr()).uses.touch() };
        self.0.as_ptr().wrapping_byte_add(offset).cast()
    }

    pub(super) fn room(&self) -> *mut () {
        // SAFETY: the table is of this very allocation, so the room is in it.
        unsafe { self.0.as_ptr().byte_add(self.table().room).cast() }
    }

    /// Makes the error of an end of the library's own, in its place.
    ///
    /// # Panics
    ///
    /// As the conversion. Then the place is not filled.
    pub(in crate::core) fn make(&self, _: Fill, broken: Broken) {
        // SAFETY: the maker is that of the promise, and the place is empty, and the caller's.
        unsafe { (self.table().make)(self.maker(), broken, self.place()) }
    }

    /// Drops the outcome in its place.
    pub(in crate::core) fn drop_outcome(&self, _: Own) {
        // SAFETY: the outcome is in its place, and the caller's.
        unsafe { (self.table().drop)(self.place()) }
    }

    /// Drops an error in its place, and reports it.
    pub(in crate::core) fn lose_outcome(&self, _: Own, loss: Loss) {
        // SAFETY: the outcome is in its place, and the caller's.
        unsafe { (self.table().lose)(self.place(), loss) }
    }

    /// Drops the room of a settled promise. Its lender does so, once: nothing else uses the room of a settled promise.
    pub(in crate::core) fn drop_room(&self) {
        if let Some(drop_room) = self.table().drop_room {
            // SAFETY: by the contract of this method the room is there, and the caller's.
            unsafe { drop_room(self.room()) }
        }
    }

    /// Leaves something that only schedules what followers stand for. `false` if it is a promise.
    pub(in crate::core) fn leave_schedule(&self, key: Key, cancel: bool) -> bool {
        match self.table().leave {
            None => false,
            // SAFETY: the room is there as long as this reference is, and never changes.
            Some(leave) => {
                unsafe { leave(self.room(), key, cancel) };
                true
            }
        }
    }

    /// Goes inside, unless another visit goes on: for visitors of another promise that has a reference to this one. If they waited, two could
    /// wait for each other's promise for ever.
    pub(in crate::core) fn try_enter(&self) -> Option<Visit<S>> {
        let number = self.word().try_enter()?;
        Some(Visit { ptr: self.0, number: number + ONE })
    }

    /// One more reference, unless a visit goes on.
    pub(in crate::core) fn try_clone(&self) -> Option<Ptr<S>> {
        self.try_enter().map(Visit::step_out)
    }

    /// Tells one promise from all others that live.
    pub(crate) fn address(&self) -> *const () {
        self.0.as_ptr().cast_const().cast()
    }

    #[inline(always)]
    pub(in crate::core) fn is(&self, other: &Self) -> bool {
        self.0 == other.0
    }

    /// Ends two references to one promise.
    pub(in crate::core) fn end_both(self, other: Self) {
        debug_assert!(self.is(&other));
        if self.counts(2) {
            std::mem::forget(other);
            // SAFETY: these are the only references, and both end here.
            return unsafe { free(self.into_head()) };
        }
        let mut visit = self.into_visit();
        visit.end(other);
        visit.leave();
    }
}

impl<S: Body> Clone for Ptr<S> {
    fn clone(&self) -> Self {
        let mut visit = self.enter();
        let clone = visit.add();
        visit.leave();
        clone
    }
}

impl<S: Body> Drop for Ptr<S> {
    fn drop(&mut self) {
        if self.counts(1) {
            // SAFETY: this is the only reference, and it ends here.
            return unsafe { free(self.0) };
        }
        // SAFETY: the reference ends here; `self` is not used again.
        end_shared(unsafe { Ptr::of(self.0) });
    }
}

#[inline(never)]
fn end_shared<S: Body>(ptr: Ptr<S>) {
    ptr.into_visit().leave();
}

/// A promise that crosses threads if its flavor does: the flavor accepts its types.
pub(crate) struct Source<S: Body>(Ptr<S>);

// SAFETY: its types are `Send`, and so is all that its state leads to: see `Core`.
unsafe impl<S: Body<Number = AtomicU32>> Send for Source<S> {}
// SAFETY: a shared one can be cloned, and is as good as one that was sent.
unsafe impl<S: Body<Number = AtomicU32>> Sync for Source<S> {}

impl<S: Body> Source<S> {
    /// The caller sees to it that the flavor accepts the types.
    pub(in crate::core) fn of(promise: Ptr<S>) -> Self {
        Source(promise)
    }

    pub(crate) fn into_any(self) -> Ptr<S> {
        self.0
    }

    pub(crate) fn any(&self) -> &Ptr<S> {
        &self.0
    }
}

impl<S: Body> Clone for Source<S> {
    fn clone(&self) -> Self {
        Source(self.0.clone())
    }
}

impl<S: Body> Visit<S> {
    pub(in crate::core) fn state(&mut self) -> &mut S {
        // SAFETY: the visitor is alone with the state, and borrows it through this visit only.
        unsafe { &mut *self.ptr().state() }
    }

    /// The reference of this visit.
    #[inline(always)]
    pub(in crate::core) fn ptr(&self) -> &Ptr<S> {
        // SAFETY: a `Ptr` is nothing but such a pointer, and the visit holds a reference.
        unsafe { &*ptr::from_ref(&self.ptr).cast() }
    }

    /// Leaves, and ends the reference of the visit.
    pub(in crate::core) fn leave(mut self) {
        self.number -= ONE;
        if self.number < ONE {
            // SAFETY: no reference is left.
            unsafe { free(self.ptr) }
        } else {
            std::mem::forget(self.step_out());
        }
    }

    /// Leaves, with the reference of the visit.
    pub(in crate::core) fn step_out(self) -> Ptr<S> {
        // SAFETY: at least one reference is left, which keeps the head alive until the word is written. Only the word is borrowed.
        unsafe { &(*self.ptr.as_ptr()).word }.leave(self.number);
        Ptr(self.ptr)
    }

    /// One more reference.
    pub(in crate::core) fn add(&mut self) -> Ptr<S> {
        self.number += ONE;
        if self.number > MOST {
            std::process::abort();
        }
        Ptr(self.ptr)
    }

    /// Ends a reference to this very promise.
    pub(in crate::core) fn end(&mut self, ptr: Ptr<S>) {
        debug_assert!(ptr.is(self.ptr()));
        std::mem::forget(ptr);
        self.number -= ONE;
    }

    /// From now on a look at the word says that the promise is settled.
    #[inline(always)]
    pub(in crate::core) fn mark_settled(&mut self) {
        self.number |= SETTLED;
    }

    /// Notes what the promise follows, in the place of the outcome, which has to be empty.
    pub(in crate::core) fn follow(&mut self, source: Ptr<S>, key: Key) {
        follow(self.ptr().place(), self.state().content(), source, key);
    }

    /// What the promise follows, if that stands in the place of the outcome.
    pub(in crate::core) fn take_source(&mut self) -> Option<(Ptr<S>, Key)> {
        if *self.state().content() != Content::Follows {
            return None;
        }
        *self.state().content() = Content::Empty;
        // SAFETY: the content said so, and says something else now: it is read once.
        Some(unsafe { self.ptr().place().cast::<(Ptr<S>, Key)>().read() })
    }

    /// A look at what the promise follows, if that stands in the place of the outcome.
    pub(in crate::core) fn source(&mut self) -> Option<&(Ptr<S>, Key)> {
        if *self.state().content() != Content::Follows {
            return None;
        }
        // SAFETY: the content says so, and it is borrowed from the visit.
        Some(unsafe { &*self.ptr().place().cast::<(Ptr<S>, Key)>() })
    }
}

pub(super) fn follow<S: Body>(place: *mut (), content: &mut Content, source: Ptr<S>, key: Key) {
    debug_assert!(*content == Content::Empty);
    *content = Content::Follows;
    // SAFETY: the place is empty, and large enough for it in all cells.
    unsafe { place.cast::<(Ptr<S>, Key)>().write((source, key)) }
}

/// # Safety
///
/// No reference is left.
#[inline(never)]
unsafe fn free<S: Body>(head: NonNull<Head<S>>) {
    let ptr = ManuallyDrop::new(Ptr(head));
    let (state, layout) = (ptr.state(), ptr.table().cell);
    // The model checker is told that all uses of the place have ended.
    let _ = ptr.place();
    // SAFETY: no other thread knows the promise any more, so the state is this one's.
    unsafe {
        debug_assert!(!(*state).fills_place(), "a promise ends with its outcome");
        if (*state).has_room() {
            ptr.drop_room();
        }
        if !(*state).is_void() {
            ptr::drop_in_place(state);
        }
        ptr::drop_in_place(&raw mut (*head.as_ptr()).visits);
        ptr::drop_in_place(&raw mut (*head.as_ptr()).uses);
        dealloc(head.as_ptr().cast(), layout);
    }
}

/// What a new promise is made with.
#[derive(Clone, Copy)]
pub(super) struct Birth {
    pub(super) origin: &'static Location<'static>,
    pub(super) maker: Maker,
}

/// The head of a new promise.
pub(super) fn head<S: Body>(
    references: u32,
    settled: bool,
    table: &'static Table<S>,
    birth: Birth,
    state: S,
) -> Head<S> {
    let word = S::Number::new((references * ONE) | if settled { SETTLED } else { 0 });
    let Birth { origin, maker } = birth;
    Head { word, table, origin, maker, visits: Tracked::new(), uses: Tracked::new(), state: UnsafeCell::new(state) }
}

impl<S: Body> Head<S> {
    pub(super) fn state_mut(&mut self) -> &mut S {
        self.state.get_mut()
    }
}
