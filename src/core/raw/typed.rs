//! Promises whose types are known: their cells, and the ways to write, read and show an outcome.

use std::alloc::Layout;
use std::cell::UnsafeCell;
use std::marker::PhantomData;
use std::mem::{self, ManuallyDrop, MaybeUninit};
use std::ops::Deref;
use std::panic::Location;
use std::ptr::NonNull;

use super::callback::{Crosses, Target};
use super::content::{Fill, Lent, Own};
use super::head::{self, Birth, Body, CloneFn, Head, Loss, Maker, Ptr, Source, Table, Visit};
use crate::broken::Broken;
use crate::core::flavor::{Accepts, CrossesThreads, Flavor, Local};
use crate::core::note;
use crate::core::state::{AnyPromise, State};
use crate::list::Key;
use crate::panics;

/// A promise. A pointer to it is a pointer to its head.
#[repr(C)]
struct Cell<T: 'static, E: 'static, F: Flavor, X> {
    head: Head<State<F>>,
    place: UnsafeCell<Place<T, E, F>>,
    room: UnsafeCell<MaybeUninit<X>>,
}

/// What the content of the state says: what the promise follows, or its outcome.
union Place<T: 'static, E: 'static, F: Flavor> {
    empty: (),
    _source: ManuallyDrop<(AnyPromise<F>, Key)>,
    _outcome: ManuallyDrop<Result<T, E>>,
}

/// What stands in the room of a promise, beside its outcome.
pub(crate) trait Room<F: Flavor>: 'static {
    /// Whether it stands for no promise, but for something that schedules what its followers owe. Then it never changes.
    const SCHEDULES: bool = false;

    /// A follower of a schedule leaves, because it was canceled, or for another reason.
    fn leave(&self, key: Key, cancel: bool) {
        let _ = (key, cancel);
    }

    /// Whether nothing is left that has to be dropped.
    fn is_empty(&self) -> bool {
        false
    }

    /// Drops what is foreign, each piece of it guarded, before the rest is dropped.
    fn clear(&mut self) {}
}

impl<F: Flavor> Room<F> for () {}

impl<T: 'static, E: 'static, F: Flavor, X: Room<F>> Cell<T, E, F, X> {
    const TABLE: Table<State<F>> = Table {
        cell: Layout::new::<Self>(),
        outcome: Layout::new::<Result<T, E>>(),
        place: mem::offset_of!(Self, place),
        room: mem::offset_of!(Self, room),
        make: |maker, broken, place| {
            // SAFETY: the maker of a promise was made of such a function.
            let make = unsafe { mem::transmute::<*const (), fn(Broken) -> E>(maker.0) };
            let error = make(broken);
            // SAFETY: the place is of this promise, and empty.
            unsafe { place.cast::<Result<T, E>>().write(Err(error)) }
        },
        // SAFETY: the outcome is in the place, and the caller's.
        drop: |place| unsafe { place.cast::<Result<T, E>>().drop_in_place() },
        lose: |place, (origin, rejected_at): Loss| {
            let place = place.cast::<Result<T, E>>();
            // SAFETY: the outcome is in the place, and the caller's.
            if let Err(error) = unsafe { &*place } {
                note::report(error, origin, rejected_at);
            }
            // SAFETY: as the caller's, it is dropped once.
            unsafe { place.drop_in_place() }
        },
        drop_room: if mem::size_of::<X>() == 0 {
            None
        } else {
            Some(|room| {
                let room = room.cast::<X>();
                // SAFETY: the room is there, and the caller's.
                X::clear(unsafe { &mut *room });
                // SAFETY: as the caller's, it is dropped once.
                unsafe { room.drop_in_place() }
            })
        },
        leave: if X::SCHEDULES {
            // SAFETY: the room is there, and never changes.
            Some(|room, key, cancel| unsafe { &*room.cast::<X>() }.leave(key, cancel))
        } else {
            None
        },
        body: PhantomData,
    };

    /// A promise with so many references.
    fn allocate(references: u32, settled: bool, birth: Birth, state: State<F>, room: X) -> NonNull<Head<State<F>>> {
        let cell = Box::<Self>::new_uninit();
        let cell = Box::leak(cell).write(Cell {
            head: head::head(references, settled, const { &Self::TABLE }, birth, state),
            place: UnsafeCell::new(Place { empty: () }),
            room: UnsafeCell::new(MaybeUninit::new(room)),
        });
        NonNull::from(cell).cast()
    }
}

impl Birth {
    /// Of a promise with errors of type `E`.
    fn of<E>(make: fn(Broken) -> E, origin: &'static Location<'static>) -> Self {
        Birth { origin, maker: Maker(make as *const ()) }
    }
}

impl CloneFn {
    pub(in crate::core) fn of<T: Clone, E: Clone>() -> Self {
        CloneFn(|from, to| {
            // SAFETY: the one is of such an outcome, which is lent, and the other has room for it.
            unsafe { to.cast::<Result<T, E>>().write((*from.cast::<Result<T, E>>()).clone()) }
        })
    }
}

/// A counted pointer to a promise whose types are known. It keeps the memory, and nothing else: a right or a producer is counted by itself.
pub struct Core<T: 'static, E: 'static, P: 'static, F: Flavor> {
    ptr: AnyPromise<F>,
    types: PhantomData<fn(Result<T, E>, P) -> (Result<T, E>, P)>,
}

// SAFETY: threads share the state, but only one is inside at a time, in a flavor that crosses threads. What the state holds was accepted
// by the flavor, so it is `Send`: callbacks and rooms are `Crosses`, and a source or a follower is made of a `Core` whose types are. The outcome
// and the reports are used by one thread at a time, and may be dropped on any: they are `Send` by the bounds.
unsafe impl<T: Send, E: Send, P: Send, F: Flavor + CrossesThreads> Send for Core<T, E, P, F> {}
// SAFETY: a shared `Core` can be cloned, and is as good as one that was sent. No two threads look at one outcome at once.
unsafe impl<T: Send, E: Send, P: Send, F: Flavor + CrossesThreads> Sync for Core<T, E, P, F> {}
// SAFETY: where `Threaded` accepts the types, they are `Send`, and so is the core.
unsafe impl<T, E, P, F: Flavor + Accepts<T> + Accepts<E> + Accepts<P>> Crosses<F> for Core<T, E, P, F> {}

impl<T, E, P, F: Flavor> Target<State<F>> for Core<T, E, P, F> {
    fn target(&self) -> &AnyPromise<F> {
        &self.ptr
    }
}

/// Something that is `Send` in any case.
pub(crate) struct Plain<N>(pub(crate) N);

// SAFETY: it is `Send`.
unsafe impl<N: Send + 'static, F: Flavor> Crosses<F> for Plain<N> {}

impl Source<State<Local>> {
    /// Something that is followed, and is no promise: what schedules the work of its followers.
    pub(crate) fn schedule<X: Room<Local>>(schedule: X) -> Self {
        const { assert!(X::SCHEDULES) };
        let mut state = State::new();
        state.set_room(true);
        let birth = Birth::of::<Broken>(|broken| broken, Location::caller());
        let head = Cell::<(), Broken, Local, X>::allocate(1, false, birth, state, schedule);
        // SAFETY: it is the one reference.
        Source::of(unsafe { Ptr::of(head) })
    }
}

impl<T, E, P, F: Flavor> Core<T, E, P, F> {
    /// The place of the outcome, which is where it is whatever stands in the room.
    fn place(&self) -> *mut Result<T, E> {
        self.ptr.place_at(mem::offset_of!(Cell<T, E, F, ()>, place)).cast()
    }

    fn of(head: NonNull<Head<State<F>>>) -> Self {
        // SAFETY: the reference is this one's; the callers of this private function see to the types.
        Core { ptr: unsafe { Ptr::of(head) }, types: PhantomData }
    }

    /// A pending promise with one producer and one right: the references of both ends.
    pub(in crate::core) fn pair(make: fn(Broken) -> E, origin: &'static Location<'static>) -> (Self, Self) {
        let head = Cell::<T, E, F, ()>::allocate(2, false, Birth::of(make, origin), State::new(), ());
        (Self::of(head), Self::of(head))
    }

    /// A pair of which the promise follows the continuation `key` of `source`.
    pub(in crate::core) fn derived(
        make: fn(Broken) -> E,
        origin: &'static Location<'static>,
        source: AnyPromise<F>,
        key: Key,
    ) -> (Self, Self) {
        let mut head = Cell::<T, E, F, ()>::allocate(2, false, Birth::of(make, origin), State::new(), ());
        // SAFETY: no other thread knows the promise yet.
        let state = unsafe { head.as_mut() }.state_mut();
        state.set_claim(true);
        let core = Self::of(head);
        head::follow(core.ptr.place(), &mut state.content, source, key);
        (core, Self::of(head))
    }

    /// A settled promise, with no producer and one right.
    pub(crate) fn settled(make: fn(Broken) -> E, origin: &'static Location<'static>, outcome: Result<T, E>) -> Self {
        let mut state = State::settled(outcome.is_ok(), origin);
        note_drops(&mut state, &outcome);
        let core = Self::of(Cell::<T, E, F, ()>::allocate(1, true, Birth::of(make, origin), state, ()));
        // SAFETY: no other thread knows the promise yet, and its place is empty.
        unsafe { core.place().write(outcome) };
        core
    }

    /// A pair with something in its room.
    pub(in crate::core) fn roomy<X: Room<F>>(
        make: fn(Broken) -> E,
        origin: &'static Location<'static>,
        room: X,
    ) -> (Roomy<X, T, E, P, F>, Self) {
        let mut state = State::new();
        state.set_room(true);
        let head = Cell::<T, E, F, X>::allocate(2, false, Birth::of(make, origin), state, room);
        (Roomy { core: Self::of(head), room: PhantomData }, Self::of(head))
    }

    #[inline(always)]
    pub(crate) fn any(&self) -> &AnyPromise<F> {
        &self.ptr
    }

    pub(crate) fn into_any(self) -> AnyPromise<F> {
        self.ptr
    }

    pub(crate) fn maker(&self) -> fn(Broken) -> E {
        // SAFETY: the maker of a promise was made of such a function.
        unsafe { mem::transmute::<*const (), fn(Broken) -> E>(self.ptr.maker().0) }
    }

    /// One more reference, made in a visit.
    pub(in crate::core) fn clone_with(&self, f: impl FnOnce(&mut State<F>)) -> Self {
        let mut visit = self.ptr.enter();
        f(visit.state());
        let ptr = visit.add();
        visit.leave();
        Core { ptr, types: PhantomData }
    }

    /// Takes the outcome, if it is here and this is the only reference.
    pub(in crate::core) fn take_alone(&mut self) -> Option<Result<T, E>> {
        let own = self.ptr.alone_and_settled().and_then(State::take_alone)?;
        Some(self.read(own))
    }

    /// Writes the outcome to its place. The visit has to be one to this very promise.
    pub(in crate::core) fn write(&self, visit: &mut Visit<State<F>>, _: Fill, outcome: Result<T, E>) {
        assert!(visit.ptr().is(&self.ptr));
        note_drops(visit.state(), &outcome);
        visit.mark_settled();
        // SAFETY: the place is empty, and this visitor's.
        unsafe { self.place().write(outcome) };
    }

    /// Moves the outcome out.
    pub(in crate::core) fn read(&self, _: Own) -> Result<T, E> {
        // SAFETY: the outcome is in its place, and the caller's, which reads it once.
        unsafe { read_in_words(self.place()) }
    }

    /// Looks at the outcome.
    pub(in crate::core) fn look<R>(&self, _: Lent, look: impl FnOnce(&Result<T, E>) -> R) -> R {
        // SAFETY: the outcome is in its place, and lent.
        look(unsafe { &*self.place() })
    }

    /// Clones the outcome, and keeps a panic of the clone.
    pub(in crate::core) fn copy(&self, _: Lent, clone: CloneFn) -> Result<Result<T, E>, panics::Payload> {
        let mut copy = MaybeUninit::<Result<T, E>>::uninit();
        // SAFETY: the outcome is in its place, and lent. There is room for the copy.
        panics::guard(|| unsafe { (clone.0)(self.place().cast(), copy.as_mut_ptr().cast()) })?;
        // SAFETY: the function has filled the copy, which is read once.
        Ok(unsafe { read_in_words(copy.as_ptr()) })
    }
}

/// A value that needs no drop may stay where it is. An error may have to be reported.
fn note_drops<T, E, F: Flavor>(state: &mut State<F>, outcome: &Result<T, E>) {
    if mem::needs_drop::<T>() || outcome.is_err() {
        state.set_drops();
    }
}

/// Reads what is small word by word, as it was written perhaps a moment ago: a processor makes a wider load wait until those stores are
/// through.
///
/// # Safety
///
/// As [`ptr::read`](std::ptr::read).
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

impl<T, E, P, F: Flavor> Clone for Core<T, E, P, F> {
    fn clone(&self) -> Self {
        Core { ptr: self.ptr.clone(), types: PhantomData }
    }
}

/// A [`Core`] with an `X` in its room.
pub(crate) struct Roomy<X: 'static, T: 'static, E: 'static, P: 'static, F: Flavor> {
    core: Core<T, E, P, F>,
    room: PhantomData<fn(X) -> X>,
}

// SAFETY: the room crosses, and is used by one thread at a time. The outcome is made of what stands in the room, and of what the inputs bring:
// `when` and `map`, which make such promises, ask that the flavor accepts the values and errors of all inputs.
unsafe impl<X: Crosses<F>, T: 'static, E: 'static, P: 'static, F: Flavor> Crosses<F> for Roomy<X, T, E, P, F> {}

impl<X, T, E, P, F: Flavor> Target<State<F>> for Roomy<X, T, E, P, F> {
    fn target(&self) -> &AnyPromise<F> {
        &self.core.ptr
    }
}

impl<X, T, E, P, F: Flavor> Deref for Roomy<X, T, E, P, F> {
    type Target = Core<T, E, P, F>;

    fn deref(&self) -> &Core<T, E, P, F> {
        &self.core
    }
}

impl<X, T, E, P, F: Flavor> Clone for Roomy<X, T, E, P, F> {
    fn clone(&self) -> Self {
        Roomy { core: self.core.clone(), room: PhantomData }
    }
}

impl<X, T, E, P, F: Flavor> Roomy<X, T, E, P, F> {
    pub(crate) fn into_core(self) -> Core<T, E, P, F> {
        self.core
    }

    /// One more reference, made in a visit.
    pub(in crate::core) fn clone_with(&self, f: impl FnOnce(&mut State<F>)) -> Self {
        Roomy { core: self.core.clone_with(f), room: PhantomData }
    }

    /// The room of a promise of which the two ends are the only references.
    pub(crate) fn room_alone<'r>(&'r mut self, promise: &'r mut Core<T, E, P, F>) -> Option<&'r mut X> {
        assert!(promise.ptr.is(&self.core.ptr));
        // SAFETY: both references are borrowed, so nothing else can use the promise meanwhile, and it is pending, as nothing has settled it.
        (self.core.ptr.counts(2) && !self.core.ptr.is_settled())
            .then(|| unsafe { &mut *self.core.ptr.room().cast::<X>() })
    }

    /// The room, while the promise is pending. The visit has to be one to this very promise.
    pub(in crate::core) fn room<'v>(&self, visit: &'v mut Visit<State<F>>) -> Option<&'v mut X> {
        assert!(visit.ptr().is(&self.core.ptr));
        // SAFETY: the room of a pending promise is the visitor's, and is borrowed through this visit only.
        visit.state().is_pending().then(|| unsafe { &mut *self.core.ptr.room().cast::<X>() })
    }
}
