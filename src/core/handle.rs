//! What the promise layer sees of the core: one pointer, whose methods lock, decide, unlock and act.

use std::fmt;
use std::panic::Location;
use std::sync::Arc;

use super::extra::{Link, Links};
use super::flavor::{Accepts, Flavor};
use super::home::Home;
use super::lend::{self, unfollow};
use super::progress::Event;
use super::raw::{Node, Ptr, Source, Visit};
use super::state::{Entry, Loan, Shared, State, Step};
use super::trampoline::{self, Caller, Frame, Job};
use crate::Progress;
use crate::broken::Broken;
use crate::list::Key;

/// The two ends' way to what they share.
///
/// Cloning it counts neither as a producer nor as a promise: [`add_producer`](Core::add_producer) and
/// [`add_right`](Core::add_right) make one that does.
pub(crate) struct Core<T: 'static, E: 'static, P: 'static, F: Flavor>(pub(super) Ptr<Shared<T, E, P, F>>);

/// The inside of a promise, during a visit.
pub(super) type Inside<'a, T, E, P, F> = Visit<'a, Shared<T, E, P, F>>;

impl<T, E, P, F: Flavor> Clone for Core<T, E, P, F> {
    #[inline]
    fn clone(&self) -> Self {
        Core(self.0.clone())
    }
}

impl<T, E, P, F: Flavor> Core<T, E, P, F> {
    /// A pending promise, with one producer and one right to the outcome: the references of both ends.
    #[inline]
    pub(crate) fn pair(broken: fn(Broken) -> E, origin: &'static Location<'static>) -> (Self, Self) {
        let (first, second) = Ptr::pair(|| Shared::new(broken, origin));
        (Core(first), Core(second))
    }

    /// The same of a derived promise, which follows the entry `key` of `source`.
    #[inline]
    pub(crate) fn pair_from(
        source: Source<F>,
        key: Key,
        broken: fn(Broken) -> E,
        origin: &'static Location<'static>,
    ) -> (Self, Self) {
        let (first, second) = Ptr::pair(|| Shared::new(broken, origin).following(source, key));
        (Core(first), Core(second))
    }

    /// A settled promise, with no producer and one right to the outcome.
    #[inline]
    pub(crate) fn settled(broken: fn(Broken) -> E, origin: &'static Location<'static>, outcome: Result<T, E>) -> Self {
        Core(Ptr::settled(|| Shared::settled(broken, origin, outcome)))
    }

    #[inline]
    pub(super) fn with<R>(&self, f: impl FnOnce(&mut Shared<T, E, P, F>) -> R) -> R {
        self.0.with(f)
    }

    /// Does what a transition obliges its caller to, if it is anything: now, in a frame of its own, or when it is this promise's turn.
    #[inline]
    pub(crate) fn perform(&self, step: Step<T, E, P, F>, caller: Caller) {
        self.perform_with(step, None, caller);
    }

    #[inline]
    pub(super) fn perform_with(&self, step: Step<T, E, P, F>, loan: Loan<T, E>, caller: Caller) {
        if step.is_rest() {
            return;
        }
        if caller == Caller::Library {
            return lend::defer(&self.0, step);
        }
        if caller == Caller::Home {
            return arrive::<F>(self.node());
        }
        match Frame::open(caller) {
            Some(frame) => {
                trampoline::guard(|| lend::proceed(&self.0, step, loan));
                frame.close();
            }
            None => self.postpone(step, loan, caller),
        }
    }

    #[cold]
    pub(super) fn postpone(&self, step: Step<T, E, P, F>, loan: Loan<T, E>, caller: Caller) {
        let ptr = self.0.clone();
        trampoline::postpone(caller, Job::Call(Box::new(move || lend::proceed(&ptr, step, loan))));
    }

    pub(super) fn of(ptr: &Ptr<Shared<T, E, P, F>>) -> Self {
        Core(ptr.clone())
    }

    /// Gives a new promise a home. It has no producer then: who holds this core settles it there, as [`Caller::Home`].
    pub(crate) fn set_home(&self, home: Home<T, E, P, F>) {
        self.with(|shared| {
            shared.extra().home = Some(Arc::new(home));
            shared.producers = 0;
        });
    }

    /// Whether the outcome waits for callbacks that were sent home.
    pub(crate) fn awaits_home(&self) -> bool {
        self.with(|shared| shared.awaits_home())
    }

    pub(crate) fn broken_fn(&self) -> fn(Broken) -> E {
        self.with(|shared| shared.broken)
    }

    pub(crate) fn origin(&self) -> &'static Location<'static> {
        self.with(|shared| shared.origin)
    }

    #[inline]
    pub(crate) fn is_settled(&self) -> bool {
        self.0.is_settled()
    }

    pub(crate) fn state(&self) -> State {
        self.with(|shared| shared.state())
    }

    pub(crate) fn is_wanted(&self) -> bool {
        self.with(|shared| shared.is_wanted())
    }

    /// What tells one promise from all others that live.
    pub(crate) fn address(&self) -> *const () {
        self.0.address()
    }

    // What followers do.

    /// Makes this promise one that lets go of what it follows as soon as nobody wants the outcome.
    pub(crate) fn set_aggregate(&self) {
        self.with(|shared| shared.aggregate = true);
    }

    /// A link to the entry `key` among the consumers of this promise.
    #[inline]
    pub(crate) fn into_link(self, key: Key, private: bool) -> Link<F>
    where
        F: Accepts<Shared<T, E, P, F>>,
    {
        Link { source: self.into_source(), key, private, claims: true }
    }

    #[inline]
    pub(crate) fn into_source(self) -> Source<F>
    where
        F: Accepts<Shared<T, E, P, F>>,
    {
        <F as Accepts<Shared<T, E, P, F>>>::source(self.0)
    }

    /// Registers the continuation that `derive` makes for the entry of that key, together with a derived promise that follows it: from then on
    /// that one holds this reference.
    #[inline]
    pub(crate) fn lead<R>(self, derive: impl FnOnce(Source<F>, Key) -> (R, Entry<T, E, P, F>)) -> R
    where
        F: Accepts<Shared<T, E, P, F>>,
    {
        let (mut step, mut loan) = (Step::Rest, None);
        let (derived, wanted) = self.0.move_with(|shared, source| {
            // All inside: nobody can run the continuation before the promise is noted to follow it.
            let (derived, continuation) = derive(<F as Accepts<Shared<T, E, P, F>>>::source(source), shared.next_key());
            if shared.registers_simply() {
                shared.register_simply(continuation);
                return (derived, false);
            }
            step = shared.consume(continuation, false, &mut loan).1;
            (derived, true)
        });
        match wanted {
            Some(ptr) => Core(ptr).perform_with(step, loan, Caller::User),
            None => std::mem::forget(step),
        }
        derived
    }

    /// The one source of a derived promise has delivered, and needs not be left.
    pub(crate) fn forget_source(&self) {
        let source = self.with(|shared| shared.forget_source());
        drop(source);
    }

    /// All sources have delivered, and need not be left.
    pub(crate) fn forget_sources(&self) {
        let links = self.with(|shared| shared.forget_sources());
        drop(links);
    }

    /// Has a cancel of a new promise, whose maker has not shown it to anybody, get to `source`.
    #[inline]
    pub(crate) fn follow_first(&self, source: Source<F>, key: Key) {
        let late = self.with(|shared| shared.follow_first(source, key));
        drop(late);
    }

    /// Notes what this promise follows, so that a cancel gets there.
    pub(crate) fn follow(&self, links: Links<F>) {
        let (step, links, cancel) = self.with(|shared| shared.follow(links));
        self.perform(step, Caller::Library);
        unfollow(links, cancel);
    }

    /// This promise as one that others wait for.
    pub(crate) fn node(&self) -> Node<F> {
        self.0.clone().into_node()
    }
}

/// Has the machine of a promise go on here, which is its home.
pub(crate) fn arrive<F: Flavor>(promise: Node<F>) {
    match Frame::open(Caller::Home) {
        Some(frame) => {
            trampoline::guard(|| promise.arrive());
            frame.close();
        }
        None => trampoline::postpone(Caller::Home, Job::Call(Box::new(move || promise.arrive()))),
    }
}

impl<T, E, F: Flavor> Core<T, E, Progress, F> {
    /// Queues a report of the library's own, and tells whether there is somebody to tell it to: then [`run`](Core::run) has to follow. An
    /// aggregate calls it under its own lock, so that reports from many threads keep their order; nothing foreign runs before.
    pub(crate) fn queue_report(&self, report: Progress) -> bool {
        let mut shared = self.0.visit();
        let runs = match shared.note_simply(report) {
            Ok(_replaced) => false,
            Err(report) => shared.report(Event::Notify(report), true).is_ok_and(|(step, _)| !step.is_rest()),
        };
        shared.leave(false);
        runs
    }

    /// Does what [`queue_report`](Core::queue_report) has left to do.
    pub(crate) fn run(&self, caller: Caller) {
        self.perform(Step::Run, caller);
    }
}

impl<T, E, P, F: Flavor> Core<T, E, P, F> {
    /// The text for `Debug` of either end: it asks nothing of `T` and `E`, and is safe in a callback.
    pub(crate) fn describe(&self, name: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (state, producers, rights, observers, origin) = self.with(|shared| {
            let observers = shared.observers();
            (shared.state(), shared.producers, shared.rights, observers, shared.origin)
        });
        f.debug_struct(name)
            .field("state", &state)
            .field("deferreds", &producers)
            .field("consumers", &rights)
            .field("observers", &observers)
            .field("origin", &format_args!("{origin}"))
            .finish()
    }
}
