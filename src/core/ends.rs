//! What both ends do: they are made, registered with, looked at and described.

use std::any::Any;
use std::fmt;
use std::panic::Location;
use std::sync::Weak;

use super::flavor::{Accepts, Flavor};
use super::lend::{end_registration, finish};
use super::note::Delivery;
use super::progress::{Event, Listener};
use super::raw::{Callback, CloneFn, Core, Crosses, End, Ending, Room, Roomy};
use super::settle::{Follower, HandOn, Producer};
use super::state::State;
use super::trampoline::{Caller, drop_guarded};
use crate::broken::Broken;
use crate::list::Key;
use crate::panics;
use crate::progress::Progress;

/// A reference that counts as a right.
struct Right<T: 'static, E: 'static, P: 'static, F: Flavor>(Core<T, E, P, F>);

impl<T, E, P, F: Flavor> End for Right<T, E, P, F> {
    fn end(self) {
        self.0.drop_right(Key::DANGLING);
    }
}

impl<T, E, P, F: Flavor> Core<T, E, P, F> {
    /// A pending promise, with one producer and one right: the references of both ends.
    pub(crate) fn new(make: fn(Broken) -> E, origin: &'static Location<'static>) -> (Producer<T, E, P, F>, Self) {
        let (producer, promise) = Core::pair(make, origin);
        (Ending::new(producer), promise)
    }

    /// A pair with something in the room of the promise.
    pub(crate) fn with_room<X: Room<F>>(
        make: fn(Broken) -> E,
        origin: &'static Location<'static>,
        room: X,
    ) -> (Ending<Roomy<X, T, E, P, F>>, Self) {
        let (producer, promise) = Core::roomy(make, origin, room);
        (Ending::new(producer), promise)
    }

    /// Uses this reference and its right up for a promise that follows this one, and for the continuation that settles it. `context` makes
    /// of its producer what the continuation works with; `run` captures nothing.
    pub(crate) fn derive<U, E2, C>(
        self,
        make: fn(Broken) -> E2,
        origin: &'static Location<'static>,
        context: impl FnOnce(Producer<U, E2, Progress, F>) -> C,
        run: impl FnOnce(C, Delivery<T, E>) -> HandOn<F> + Copy + 'static,
    ) -> Core<U, E2, Progress, F>
    where
        C: Follower<F>,
        F: Accepts<T> + Accepts<E> + Accepts<P>,
    {
        let mut visit = self.into_any().into_visit();
        let (source, key) = (visit.add(), visit.state().callbacks.next_key());
        // All inside: no thread can run the continuation before the promise is noted to follow.
        let (producer, promise) = Core::derived(make, origin, source, key);
        visit.state().callbacks.push(Callback::continuation(context(Ending::new(producer)), run));
        // A panic may resume here: then the promise ends, with its right.
        let promise = Ending::new(Right(promise));
        end_registration(visit, Caller::User);
        promise.into_inner().0
    }

    /// One more producer.
    pub(crate) fn add_producer(&self) -> Producer<T, E, P, F> {
        Ending::new(self.clone_with(|state| state.producers += 1))
    }

    /// One more promise.
    pub(crate) fn add_right(&self) -> Self
    where
        T: Clone,
        E: Clone,
    {
        self.clone_with(|state| {
            state.rights += 1;
            state.callbacks.set_clone_fn(CloneFn::of::<T, E>());
        })
    }
}

impl<T, E, P, F: Flavor> Core<T, E, P, F> {
    pub(crate) fn done<C>(&self, callback: C)
    where
        C: FnOnce(&T) + 'static,
        F: Accepts<C>,
    {
        self.observe(Callback::observer::<_, _, _, false>(|outcome: &Result<T, E>| {
            if let Ok(value) = outcome {
                callback(value);
            }
        }));
    }

    pub(crate) fn fail<C>(&self, callback: C)
    where
        C: FnOnce(&E) + 'static,
        F: Accepts<C>,
    {
        self.observe(Callback::observer::<_, _, _, true>(|outcome: &Result<T, E>| {
            if let Err(error) = outcome {
                callback(error);
            }
        }));
    }

    pub(crate) fn always<C>(&self, callback: C)
    where
        C: FnOnce(&Result<T, E>) + 'static,
        F: Accepts<C>,
    {
        self.observe(Callback::observer::<T, E, _, true>(callback));
    }

    /// Has `run`, which captures nothing, called with `context` when the promise is canceled.
    pub(crate) fn on_cancel<C: Crosses<F>>(&self, context: C, run: impl FnOnce(C) + Copy + 'static) {
        let mut visit = self.any().enter();
        visit.state().callbacks.push(Callback::canceler(context, run));
        finish(visit, Caller::User);
    }

    fn observe(&self, observer: Callback<State<F>>) {
        let mut visit = self.any().enter();
        visit.state().callbacks.push(observer);
        end_registration(visit, Caller::User);
    }

    pub(crate) fn progress<C>(&self, callback: C)
    where
        C: FnMut(&P) + 'static,
        F: Accepts<C>,
    {
        self.listen(Listener::new(callback, None));
    }

    /// Registers a listener of the library's own, which goes once `follower` is gone and room is needed.
    pub(crate) fn relay<C>(&self, callback: C, follower: Weak<dyn Any + Send + Sync>)
    where
        C: FnMut(&P) + 'static,
        F: Accepts<C>,
    {
        let useless = self.any().with(|state| state.reports::<P>().thin_out());
        drop_guarded(Caller::Quiet, useless);
        self.listen(Listener::new(callback, Some(follower)));
    }

    fn listen(&self, listener: Listener<P>) {
        let mut visit = self.any().enter();
        visit.state().add_event(Event::Listen(listener));
        finish(visit, Caller::User);
    }

    /// Shows the outcome, or `None` while it is pending, lent or gone.
    pub(crate) fn peek<R>(&self, look: impl FnOnce(Option<&Result<T, E>>) -> R) -> R {
        let Some(lent) = self.any().with(State::peek) else { return look(None) };
        let seen = panics::guard(|| self.look(lent, |outcome| look(Some(outcome))));
        self.end_loan(0);
        seen.unwrap_or_else(|payload| std::panic::resume_unwind(payload))
    }
}

impl<T, E, P, F: Flavor> Core<T, E, P, F> {
    pub(crate) fn origin(&self) -> &'static Location<'static> {
        self.any().origin()
    }

    pub(crate) fn state(&self) -> crate::state::State {
        self.any().with(|state| state.state())
    }

    pub(crate) fn is_settled(&self) -> bool {
        self.any().is_settled()
    }

    pub(crate) fn is_wanted(&self) -> bool {
        self.any().with(|state| state.is_wanted())
    }

    /// The text for `Debug` of either end: it asks nothing of `T` and `E`, and is safe in a callback.
    pub(crate) fn describe(&self, name: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (state, producers, rights, observers) =
            self.any().with(|state| (state.state(), state.producers, state.rights, state.observers()));
        f.debug_struct(name)
            .field("state", &state)
            .field("deferreds", &producers)
            .field("consumers", &rights)
            .field("observers", &observers)
            .field("origin", &format_args!("{}", self.origin()))
            .finish()
    }
}
