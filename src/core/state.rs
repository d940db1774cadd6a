//! The state machine: pure transitions, each of which says what its caller has to do once the lock is released.
//!
//! Nothing in this file runs, clones or drops anything of the user's: what has to be dropped is handed out.

use std::mem;
use std::num::NonZeroUsize;
use std::panic::Location;
use std::sync::Arc;
use std::task::Waker;

use smallvec::SmallVec;

use super::flavor::Flavor;
use super::home::{HOME, Home};
use super::node::{Parked, Sources};
use super::progress::{Event, Reports};
use crate::awaited::Mark;
use crate::broken::{Broken, BrokenKind};
use crate::list::{Key, List};
use crate::trampoline;

/// Where a promise stands: jQuery's `state()`.
///
/// # Examples
///
/// ```
/// use deferral::{Deferred, State};
///
/// let (deferred, promise) = Deferred::<u32>::new();
/// assert_eq!(promise.state(), State::Pending);
/// deferred.resolve(1);
/// assert_eq!(promise.state(), State::Resolved);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// Not settled yet.
    Pending,
    /// Settled with a value.
    Resolved,
    /// Settled with an error, by the producer or by the library: a canceled promise is rejected.
    Rejected,
}

/// What a consumer gets.
pub enum Delivery<T, E> {
    /// The outcome, or a clone of it.
    Outcome(Result<T, E>),
    /// There is no outcome to be had: cloning it or making its error panicked.
    Broken(Broken),
}

impl<T, E> Delivery<T, E> {
    /// The value; or what a promise of any other value is settled with instead.
    pub(crate) fn value<U>(self) -> Result<T, Delivery<U, E>> {
        match self {
            Delivery::Outcome(Ok(value)) => Ok(value),
            Delivery::Outcome(Err(error)) => Err(Delivery::Outcome(Err(error))),
            Delivery::Broken(broken) => Err(Delivery::Broken(broken)),
        }
    }

    /// The same for the error.
    pub(crate) fn error<E2>(self) -> Result<E, Delivery<T, E2>> {
        match self {
            Delivery::Outcome(Ok(value)) => Err(Delivery::Outcome(Ok(value))),
            Delivery::Outcome(Err(error)) => Ok(error),
            Delivery::Broken(broken) => Err(Delivery::Broken(broken)),
        }
    }
}

/// What the promise was settled with, and what became of it.
pub(crate) enum Outcome<T, E> {
    /// Pending, or lent, or owned by the last consumer already.
    Absent,
    /// Rejected by the library. The error is made of it by whoever lends next.
    Broken(Broken),
    Present(Result<T, E>),
    /// The error could not be made of a [`Broken`]: `E::from` panicked.
    Spoiled(Broken),
}

/// A callback that looks at the outcome.
pub(crate) enum Observer<T: 'static, E: 'static, F: Flavor> {
    Done(F::Callback<T>),
    Fail(F::Callback<E>),
    Always(F::Callback<Result<T, E>>),
}

/// Who gets the outcome: the code of a `then` or an aggregate, or a task that awaits.
pub(crate) enum Consumer<T: 'static, E: 'static, F: Flavor> {
    Continuation {
        run: F::Continuation<Delivery<T, E>>,
        /// Whether a cancel may still come from the follower.
        claims: bool,
    },
    Waker(Waker),
}

/// What a promise follows: one entry among the consumers of a source.
pub struct Link<F: Flavor> {
    pub(crate) source: F::WeakSource,
    pub(crate) key: Key,
    /// Nobody but the follower ever knew the source: it is canceled with the entry in any case.
    pub(crate) private: bool,
    /// Whether the source counts on a cancel from here.
    pub(crate) claims: bool,
}

pub(crate) type Links<F> = SmallVec<[Link<F>; 1]>;
pub(crate) type Observers<T, E, F> = SmallVec<[Observer<T, E, F>; 1]>;
pub(crate) type Cancelers<F> = SmallVec<[<F as Flavor>::Canceler; 1]>;
pub(crate) type CloneFn<T, E> = fn(&Result<T, E>) -> Result<T, E>;

/// What the caller of a transition owes after unlocking.
#[must_use]
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    Rest,
    /// The caller has become the lender, and has the machine run.
    Run,
}

/// Everything the two ends share, behind the lock.
pub struct Shared<T: 'static, E: 'static, P: 'static, F: Flavor> {
    pub(super) origin: &'static Location<'static>,
    /// Makes the error of a rejection by the library. `Drop` can carry no bounds, so the constructor captured it.
    pub(super) broken: fn(Broken) -> E,
    /// Captured by the first clone of a promise: with one consumer alone nothing is ever cloned.
    pub(super) clone: Option<CloneFn<T, E>>,
    pub(super) state: State,
    pub(super) canceled: bool,
    /// It is of no use to anybody once nobody wants the outcome: it then lets go of what it follows.
    pub(super) aggregate: bool,
    /// Where callbacks run, if not where they come up.
    pub(super) home: Option<Arc<Home>>,
    /// Word was sent home that there is work, and has not arrived yet.
    pub(super) sent: bool,
    /// The thread that runs the machine, or [`HOME`]. Whoever comes meanwhile appends, and leaves the rest to it.
    pub(super) lender: Option<NonZeroUsize>,
    /// The number of `Deferred`s.
    pub(super) producers: usize,
    /// The number of those that may still take the outcome: promises, and continuations in `consumers`.
    pub(super) rights: usize,
    /// The number of those among them that cannot cancel: continuations whose own promises nobody holds.
    pub(super) silent: usize,
    pub(super) outcome: Outcome<T, E>,
    pub(super) observers: Observers<T, E, F>,
    pub(super) consumers: List<Consumer<T, E, F>>,
    pub(super) cancelers: Cancelers<F>,
    pub(super) links: Links<F>,
    pub(super) reports: Option<Box<Reports<P, F>>>,
}

impl<T: 'static, E: 'static, P: 'static, F: Flavor> Shared<T, E, P, F> {
    pub(super) fn new(broken: fn(Broken) -> E, origin: &'static Location<'static>) -> Self {
        Shared {
            origin,
            broken,
            clone: None,
            state: State::Pending,
            canceled: false,
            aggregate: false,
            home: None,
            sent: false,
            lender: None,
            producers: 1,
            rights: 1,
            silent: 0,
            outcome: Outcome::Absent,
            observers: SmallVec::new(),
            consumers: List::new(),
            cancelers: SmallVec::new(),
            links: SmallVec::new(),
            reports: None,
        }
    }

    pub(super) fn settled(broken: fn(Broken) -> E, origin: &'static Location<'static>, outcome: Result<T, E>) -> Self {
        let state = if outcome.is_ok() { State::Resolved } else { State::Rejected };
        Shared { state, producers: 0, outcome: Outcome::Present(outcome), ..Self::new(broken, origin) }
    }

    /// Whether somebody still holds a promise, or registered a callback.
    pub(super) fn is_wanted(&self) -> bool {
        self.rights > 0 || !self.observers.is_empty() || self.reports.as_ref().is_some_and(|r| r.has_hearers())
    }

    /// Whether a lender would find something to do.
    pub(super) fn has_work(&self) -> bool {
        if self.reports.as_ref().is_some_and(|r| r.has_events()) {
            return true;
        }
        if self.state == State::Pending {
            return !self.can_be_canceled()
                && (!self.cancelers.is_empty() || self.claims() || self.is_idle_aggregate());
        }
        !self.observers.is_empty()
            || !self.consumers.is_empty()
            || !self.cancelers.is_empty()
            || !self.links.is_empty()
            || self.reports.as_ref().is_some_and(|r| r.has_listeners())
            || (self.rights > 0 && matches!(self.outcome, Outcome::Broken(_)))
            || (self.is_deserted() && (self.reports.is_some() || matches!(self.outcome, Outcome::Present(_))))
    }

    /// Whether anybody is left who could cancel, here or at the end of a chain.
    pub(super) fn can_be_canceled(&self) -> bool {
        self.rights > self.silent
    }

    /// Whether a source still counts on a cancel from here. On an aggregate it always may: that cancels what it does not need.
    fn claims(&self) -> bool {
        !self.aggregate && self.links.iter().any(|link| link.claims)
    }

    /// The sources that need no longer count on a cancel from here: nobody is left who could.
    pub(super) fn disclaim_sources(&mut self) -> SmallVec<[(F::WeakSource, Key); 1]> {
        if !self.claims() {
            return SmallVec::new();
        }
        let claiming = self.links.iter_mut().filter(|link| link.claims);
        let silenced = claiming.map(|link| {
            link.claims = false;
            (link.source.clone(), link.key)
        });
        silenced.collect()
    }

    /// An aggregate whose outcome nobody wants, with inputs to let go of.
    pub(super) fn is_idle_aggregate(&self) -> bool {
        self.aggregate && !self.links.is_empty() && !self.is_wanted()
    }

    /// No handle of either end is left that could show the outcome to anybody.
    pub(super) fn is_deserted(&self) -> bool {
        self.rights == 0 && self.producers == 0
    }

    /// Makes the caller the lender if there is work and nobody lends.
    fn claim(&mut self) -> Action {
        if self.is_lent() || !self.has_work() {
            return Action::Rest;
        }
        self.lender = Some(if self.home.is_some() { HOME } else { trampoline::this_thread() });
        Action::Run
    }

    fn conclude(&mut self, state: State, outcome: Outcome<T, E>) -> Action {
        (self.state, self.outcome) = (state, outcome);
        self.claim()
    }

    pub(super) fn settle(&mut self, result: Result<T, E>) -> Result<Action, Result<T, E>> {
        if self.state != State::Pending {
            return Err(result);
        }
        let state = if result.is_ok() { State::Resolved } else { State::Rejected };
        Ok(self.conclude(state, Outcome::Present(result)))
    }

    /// Rejects with an end that the library made. `None` if it was settled already.
    pub(super) fn break_with(&mut self, broken: Broken) -> Option<Action> {
        if self.state != State::Pending {
            return None;
        }
        self.canceled = broken.kind() == BrokenKind::Canceled;
        Some(self.conclude(State::Rejected, Outcome::Broken(broken)))
    }

    pub(super) fn cancel(&mut self) -> Option<Action> {
        self.break_with(Broken::new(BrokenKind::Canceled, self.origin))
    }

    /// Notes an event of progress. Gives back the report that it replaces, for the caller to drop; `Err` if it comes too late.
    pub(super) fn report(&mut self, event: Event<P, F>) -> Result<(Action, Option<P>), Event<P, F>> {
        let pending = self.state == State::Pending;
        if !pending && matches!(event, Event::Notify(_)) {
            return Err(event);
        }
        let idle = pending && self.lender.is_none();
        let replaced = self.reports.get_or_insert_with(Default::default).add(event, idle);
        Ok((self.claim(), replaced))
    }

    pub(super) fn observe(&mut self, observer: Observer<T, E, F>) -> Action {
        self.observers.push(observer);
        self.claim()
    }

    pub(super) fn on_cancel(&mut self, canceler: F::Canceler) -> Action {
        self.cancelers.push(canceler);
        self.claim()
    }

    /// Registers a continuation. It takes over the right of the promise that it was made from.
    pub(super) fn consume(&mut self, continuation: F::Continuation<Delivery<T, E>>) -> (Key, Action) {
        let key = self.consumers.push(Consumer::Continuation { run: continuation, claims: true });
        (key, self.claim())
    }

    /// Nobody can cancel the follower `key` any more, and so nobody this promise through it.
    pub(super) fn disclaim(&mut self, key: Key) -> Action {
        if let Some(Consumer::Continuation { claims, .. }) = self.consumers.get_mut(key) {
            if mem::replace(claims, false) {
                self.silent += 1;
            }
        }
        self.claim()
    }

    /// Puts a waker where the lender will find it. Gives back what the caller has to drop; `Err` if the outcome is here by now.
    pub(super) fn park(&mut self, key: &mut Key, waker: Waker) -> Result<Option<Waker>, Waker> {
        if self.can_take() {
            return Err(waker);
        }
        if let Some(Consumer::Waker(parked)) = self.consumers.get_mut(*key) {
            return Ok(Some(mem::replace(parked, waker)));
        }
        *key = self.consumers.push(Consumer::Waker(waker));
        Ok(None)
    }

    /// Whether this very task is parked here already.
    pub(super) fn is_parked(&mut self, key: Key, waker: &Waker) -> bool {
        matches!(self.consumers.get_mut(key), Some(Consumer::Waker(parked)) if parked.will_wake(waker))
    }

    fn can_take(&self) -> bool {
        self.state != State::Pending && self.lender.is_none()
    }

    /// Exercises the right of one promise: the last one gets the outcome itself, any other becomes the lender of it.
    /// What that leaves to do is the caller's to perform, too.
    pub(super) fn take(&mut self) -> (Take<T, E>, Action) {
        let taken = self.try_take();
        let action = if matches!(taken, Take::Wait) { Action::Rest } else { self.claim() };
        (taken, action)
    }

    fn try_take(&mut self) -> Take<T, E> {
        if !self.can_take() {
            return Take::Wait;
        }
        if let Outcome::Spoiled(broken) = &self.outcome {
            let broken = broken.clone();
            self.rights -= 1;
            return Take::Spoiled(broken);
        }
        match (mem::replace(&mut self.outcome, Outcome::Absent), self.clone) {
            (Outcome::Present(outcome), Some(clone)) if self.rights > 1 => {
                self.lender = Some(trampoline::this_thread());
                Take::Lent(outcome, clone)
            }
            (Outcome::Present(outcome), _) => {
                self.rights -= 1;
                Take::Owned(outcome)
            }
            _ => unreachable!("a promise with a right to the outcome found none"),
        }
    }

    /// Lends the outcome without using up a right: for who only looks.
    pub(super) fn lend(&mut self) -> Option<Result<T, E>> {
        if !self.can_take() {
            return None;
        }
        match mem::replace(&mut self.outcome, Outcome::Absent) {
            Outcome::Present(outcome) => {
                self.lender = Some(trampoline::this_thread());
                Some(outcome)
            }
            other => {
                self.outcome = other;
                None
            }
        }
    }

    /// Ends a loan, and uses up `rights` of them.
    pub(super) fn give_back(&mut self, outcome: Result<T, E>, rights: usize) -> Action {
        self.outcome = Outcome::Present(outcome);
        self.rights -= rights;
        self.lender = None;
        self.claim()
    }

    /// Ends a promise that did not take the outcome; if it was the last and `cancel` says so, the producer is told by a cancel. The
    /// caller drops what it gets.
    pub(super) fn release(&mut self, key: Key, cancel: bool) -> (Option<Consumer<T, E, F>>, Action) {
        let entry = self.consumers.remove(key);
        self.rights -= 1;
        if matches!(entry, Some(Consumer::Continuation { claims: false, .. })) {
            self.silent -= 1;
        }
        let canceled = if cancel && self.rights == 0 { self.cancel() } else { None };
        (entry, canceled.unwrap_or_else(|| self.claim()))
    }

    /// The same for a continuation, which may have run already; see [`Machine::withdraw`](super::node::Machine::withdraw).
    pub(super) fn unfollow(&mut self, key: Key, cancel: bool) -> (Option<Consumer<T, E, F>>, Action) {
        match self.consumers.get_mut(key) {
            Some(_) => self.release(key, cancel),
            None => (None, Action::Rest),
        }
    }

    /// Ends one `Deferred`; without any, the promise is abandoned.
    pub(super) fn drop_producer(&mut self) -> Action {
        self.producers -= 1;
        if self.producers == 0 && self.state == State::Pending {
            return self.conclude(State::Rejected, Outcome::Broken(Broken::new(BrokenKind::Abandoned, self.origin)));
        }
        self.claim()
    }

    /// Notes what this promise follows. A settled one follows nothing: its caller withdraws the links that come back, and cancels
    /// their sources if the flag says so.
    pub(super) fn follow(&mut self, links: Links<F>) -> (Action, Links<F>, bool) {
        if self.state != State::Pending {
            return (Action::Rest, links, self.canceled || self.aggregate);
        }
        self.links.extend(links);
        (self.claim(), SmallVec::new(), false)
    }

    /// Whether anything but a task waits for this promise: only then can it be part of a ring.
    pub(super) fn is_followed(&self) -> bool {
        !self.consumers.is_empty()
    }

    /// The promises that wait for this one: none, once it is settled, though it may not have served all yet.
    pub(super) fn followers(&self) -> Vec<F::Source> {
        if self.state != State::Pending {
            return Vec::new();
        }
        let targets = self.consumers.iter().map(|consumer| match consumer {
            Consumer::Continuation { run, .. } => F::target(run),
            Consumer::Waker(_) => None,
        });
        targets.flatten().collect()
    }

    /// The tasks that are parked here.
    pub(super) fn parked(&self) -> Option<Parked> {
        if self.state != State::Pending {
            return None;
        }
        let wakers = self.consumers.iter().filter_map(|consumer| match consumer {
            Consumer::Waker(waker) => Some(Mark::of(waker.data())),
            Consumer::Continuation { .. } => None,
        });
        Some(Parked { origin: self.origin, wakers: wakers.collect() })
    }

    /// What it waits for: nothing, once it is settled, though it may not have left all sources yet.
    pub(super) fn sources(&self) -> Sources<F> {
        if self.state != State::Pending {
            return Sources::<F>::new();
        }
        self.links.iter().map(|link| link.source.clone()).collect()
    }
}

/// What [`Shared::take`] found.
pub(crate) enum Take<T, E> {
    /// Pending, or lent.
    Wait,
    Owned(Result<T, E>),
    /// To be cloned, and then given back.
    Lent(Result<T, E>, CloneFn<T, E>),
    Spoiled(Broken),
}
