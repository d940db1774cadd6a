//! What the promise layer sees of the core: one pointer, whose methods lock, decide, unlock and act.

use std::any::Any;
use std::collections::HashMap;
use std::fmt;
use std::ops::Deref;
use std::panic::Location;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};

use smallvec::smallvec;

use super::flavor::{Accepts, Flavor};
use super::home::Home;
use super::lend::{panicked, unfollow};
use super::lock::Lock;
use super::node::Node;
use super::progress::{Event, Listener};
use super::state::{Action, Delivery, Link, Links, Observer, Shared, State, Take};
use crate::Progress;
use crate::awaited;
use crate::broken::{Broken, BrokenKind};
use crate::diagnostics;
use crate::list::Key;
use crate::trampoline::{self, Caller, Job};

/// The two ends' way to what they share.
///
/// Cloning it counts neither as a producer nor as a promise: who keeps a clone for long says so by
/// [`add_producer`](Core::add_producer) or [`add_right`](Core::add_right).
// The compiler shows the first line to who sends a local end to another thread.
pub(crate) struct Core<T: 'static, E: 'static, P: 'static, F: Flavor>(Ptr<T, E, P, F>); // `Local`? see `deferral::local`

type Ptr<T, E, P, F> = <F as Flavor>::Ptr<Shared<T, E, P, F>>;

impl<T, E, P, F: Flavor> Clone for Core<T, E, P, F> {
    fn clone(&self) -> Self {
        Core(self.0.clone())
    }
}

impl<T, E, P, F: Flavor> Core<T, E, P, F> {
    /// A pending promise, with one producer and one right to the outcome.
    pub(crate) fn new(broken: fn(Broken) -> E, origin: &'static Location<'static>) -> Self {
        Core(F::ptr(Shared::new(broken, origin)))
    }

    /// A settled promise, with no producer and one right to the outcome.
    pub(crate) fn settled(broken: fn(Broken) -> E, origin: &'static Location<'static>, outcome: Result<T, E>) -> Self {
        Core(F::ptr(Shared::settled(broken, origin, outcome)))
    }

    fn with<R>(&self, f: impl FnOnce(&mut Shared<T, E, P, F>) -> R) -> R {
        self.0.with(f)
    }

    /// Does what a transition obliges its caller to.
    pub(crate) fn perform(&self, action: Action, caller: Caller) {
        if action == Action::Rest {
            return;
        }
        if caller == Caller::Home {
            arrive::<F>(self.node());
        } else {
            trampoline::run(caller, F::job(&self.0));
        }
    }

    /// Gives a new promise a home. It has no producer then: who holds this core settles it there, as [`Caller::Home`].
    pub(crate) fn set_home(&self, home: Home) {
        self.with(|shared| {
            shared.home = Some(Arc::new(home));
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

    pub(crate) fn state(&self) -> State {
        self.with(|shared| shared.state)
    }

    pub(crate) fn is_wanted(&self) -> bool {
        self.with(|shared| shared.is_wanted())
    }

    /// What tells one promise from all others that live.
    pub(crate) fn address(&self) -> *const () {
        address(&self.0)
    }

    // What producers do.

    pub(crate) fn settle(&self, outcome: Result<T, E>, caller: Caller) -> bool {
        let settled = self.with(|shared| shared.settle(outcome));
        self.after_settle(settled, caller)
    }

    fn after_settle(&self, settled: Result<Action, Result<T, E>>, caller: Caller) -> bool {
        match settled {
            Ok(action) => {
                self.perform(action, caller);
                true
            }
            Err(late) => {
                trampoline::scrap(caller, late);
                false
            }
        }
    }

    pub(crate) fn break_with(&self, broken: Broken, caller: Caller) -> bool {
        let action = self.with(|shared| shared.break_with(broken));
        self.perform(action.unwrap_or(Action::Rest), caller);
        action.is_some()
    }

    /// Rejects with one of the library's own ends.
    pub(crate) fn break_by(&self, kind: BrokenKind, caller: Caller) -> bool {
        self.break_with(Broken::new(kind, self.origin()), caller)
    }

    /// Rejects because of a panic. One that comes too late to be the outcome is reported.
    pub(crate) fn break_by_panic(&self, payload: diagnostics::Payload, caller: Caller) {
        if self.break_with(Broken::panicked(diagnostics::message(&payload), self.origin()), caller) {
            diagnostics::discard(payload);
        } else {
            diagnostics::report_panic(payload);
        }
    }

    /// Settles with what a source delivered.
    pub(crate) fn deliver(&self, delivery: Delivery<T, E>, caller: Caller) {
        match delivery {
            Delivery::Outcome(outcome) => {
                self.settle(outcome, caller);
            }
            Delivery::Broken(broken) => {
                self.break_with(broken, caller);
            }
        }
    }

    /// The same for a derived promise, whose one source has delivered and needs not be left.
    pub(crate) fn deliver_derived(&self, delivery: Delivery<T, E>) {
        match delivery {
            Delivery::Outcome(outcome) => {
                let settled = self.with(|shared| {
                    shared.links.clear();
                    shared.settle(outcome)
                });
                self.after_settle(settled, Caller::Library);
            }
            Delivery::Broken(broken) => {
                self.break_with(broken, Caller::Library);
            }
        }
    }

    pub(crate) fn notify(&self, report: P, caller: Caller) -> bool {
        self.report(Event::Notify(report), caller)
    }

    fn report(&self, event: Event<P, F>, caller: Caller) -> bool {
        match self.with(|shared| shared.report(event)) {
            Ok((action, replaced)) => {
                if std::mem::needs_drop::<P>() && replaced.is_some() {
                    trampoline::scrap(Caller::Quiet, replaced);
                }
                self.perform(action, caller);
                true
            }
            Err(late) => {
                trampoline::scrap(caller, late);
                false
            }
        }
    }

    pub(crate) fn add_producer(&self) {
        self.with(|shared| shared.producers += 1);
    }

    pub(crate) fn drop_producer(&self) {
        let action = self.with(|shared| shared.drop_producer());
        self.perform(action, Caller::Quiet);
    }

    // What both ends register.

    pub(crate) fn observe(&self, observer: Observer<T, E, F>) {
        let action = self.with(|shared| shared.observe(observer));
        self.perform(action, Caller::User);
    }

    pub(crate) fn listen(&self, listener: F::Listener<P>) {
        self.report(Event::Listen(Listener::new(listener)), Caller::User);
    }

    /// Registers a listener of the library's own, which goes once `follower` is gone and room is needed.
    pub(crate) fn relay(&self, listener: F::Listener<P>, follower: Weak<dyn Any + Send + Sync>) {
        let useless = self.with(|shared| shared.reports.as_mut().map(|reports| reports.thin_out()));
        trampoline::scrap(Caller::Quiet, useless);
        self.report(Event::Listen(Listener::relay(listener, follower)), Caller::User);
    }

    pub(crate) fn on_cancel(&self, canceler: F::Canceler) {
        let action = self.with(|shared| shared.on_cancel(canceler));
        self.perform(action, Caller::User);
    }

    // What consumers do.

    pub(crate) fn cancel(&self) -> bool {
        let action = self.with(|shared| shared.cancel());
        self.perform(action.unwrap_or(Action::Rest), Caller::User);
        action.is_some()
    }

    /// Registers a continuation, which takes over a right, on behalf of the promise `target`, which is made for it and known to
    /// nobody yet.
    pub(crate) fn consume<U, E2, P2>(&self, continuation: F::Continuation<Delivery<T, E>>, target: &Core<U, E2, P2, F>)
    where
        F: Accepts<Shared<T, E, P, F>>,
    {
        let (key, action) = self.with(|shared| shared.consume(continuation));
        // Before the continuation can run: what it makes the target follow comes after.
        target.with(|shared| shared.links.push(self.link(key, false)));
        self.perform(action, Caller::User);
    }

    /// Registers a continuation of the library's own, which takes over a right.
    pub(crate) fn subscribe(&self, continuation: F::Continuation<Delivery<T, E>>) -> Key {
        let (key, action) = self.with(|shared| shared.consume(continuation));
        self.perform(action, Caller::Library);
        key
    }

    /// Exercises a right if the outcome is here. `None` if it is not: the right remains.
    ///
    /// It is for continuations: one that has a home gives them nothing elsewhere.
    pub(crate) fn try_take(&self) -> Option<Delivery<T, E>> {
        let take = |shared: &mut Shared<T, E, P, F>| match shared.home {
            Some(_) => (Take::Wait, Action::Rest),
            None => shared.take(),
        };
        Some(match self.take_by(take)? {
            Ok(outcome) => Delivery::Outcome(outcome),
            Err(Lost::Spoiled(broken)) => Delivery::Broken(broken),
            Err(Lost::Panicked(payload)) => Delivery::Broken(panicked(payload, self.origin())),
        })
    }

    fn take_by(
        &self,
        take: impl FnOnce(&mut Shared<T, E, P, F>) -> (Take<T, E>, Action),
    ) -> Option<Result<Result<T, E>, Lost>> {
        let (taken, action) = self.with(take);
        self.perform(action, Caller::Quiet);
        match taken {
            Take::Wait => None,
            Take::Owned(outcome) => Some(Ok(outcome)),
            Take::Spoiled(broken) => Some(Err(Lost::Spoiled(broken))),
            Take::Lent(outcome, clone) => {
                let cloned = diagnostics::guard(|| clone(&outcome));
                let action = self.with(|shared| shared.give_back(outcome, 1));
                self.perform(action, Caller::Quiet);
                Some(cloned.map_err(Lost::Panicked))
            }
        }
    }

    /// Polls on behalf of one promise, which is parked under `key`. When it is ready, the right is used up.
    pub(crate) fn poll(&self, key: &mut Key, cx: &mut Context<'_>) -> Poll<Result<Result<T, E>, Lost>> {
        loop {
            if let Some(taken) = self.take_by(Shared::take) {
                return Poll::Ready(taken);
            }
            if *key != Key::DANGLING {
                let parked = self.with(|shared| shared.is_parked(*key, cx.waker()).then_some(shared.origin));
                if let Some(origin) = parked {
                    awaited::note(self.address(), origin);
                    return Poll::Pending;
                }
            }
            let waker = cx.waker().clone();
            // Out of the lock comes what is dropped here: the waker that was replaced, or the new one if the outcome has come.
            let parked = self.with(|shared| shared.park(key, waker).map(|replaced| (replaced, shared.origin)));
            if let Ok((_replaced, origin)) = parked {
                awaited::note(self.address(), origin);
                return Poll::Pending;
            }
        }
    }

    /// Whether this very thread lends the outcome, and could wait for itself only.
    pub(crate) fn is_lent_here(&self) -> bool {
        self.with(|shared| shared.lender == Some(trampoline::this_thread()))
    }

    /// Shows the outcome, or `None` while it is pending, lent or gone.
    pub(crate) fn peek<R>(&self, look: impl FnOnce(Option<&Result<T, E>>) -> R) -> R {
        let Some(outcome) = self.with(|shared| shared.lend()) else { return look(None) };
        let seen = diagnostics::guard(|| look(Some(&outcome)));
        let action = self.with(|shared| shared.give_back(outcome, 0));
        self.perform(action, Caller::Quiet);
        seen.unwrap_or_else(|payload| std::panic::resume_unwind(payload))
    }

    /// One more promise. The function is what the outcome will be cloned with.
    pub(crate) fn add_right(&self, clone: fn(&Result<T, E>) -> Result<T, E>) {
        self.with(|shared| {
            shared.rights += 1;
            shared.clone = Some(clone);
        });
    }

    /// One promise less, without taking the outcome. With `cancel`, the producer is told if it was the last.
    pub(crate) fn release(&self, key: Key, cancel: bool) {
        if key != Key::DANGLING {
            awaited::forget(self.address());
        }
        let (waker, action) = self.with(|shared| shared.release(key, cancel));
        self.perform(action, if cancel { Caller::Library } else { Caller::Quiet });
        if waker.is_some() {
            trampoline::scrap(Caller::Quiet, waker);
        }
    }

    /// Takes the waker of a promise back that will not be polled again.
    pub(crate) fn unpark(&self, key: Key) {
        awaited::forget(self.address());
        let waker = self.with(|shared| shared.consumers.remove(key));
        trampoline::scrap(Caller::Quiet, waker);
    }

    // What followers do.

    /// Makes this promise one that lets go of what it follows as soon as nobody wants the outcome.
    pub(crate) fn set_aggregate(&self) {
        self.with(|shared| shared.aggregate = true);
    }

    /// A link to the entry `key` among the consumers of this promise.
    pub(crate) fn link(&self, key: Key, private: bool) -> Link<F>
    where
        F: Accepts<Shared<T, E, P, F>>,
    {
        Link { source: self.downgrade(), key, private, claims: true }
    }

    /// This promise for those who must not keep it.
    pub(crate) fn downgrade(&self) -> F::WeakSource
    where
        F: Accepts<Shared<T, E, P, F>>,
    {
        <F as Accepts<Shared<T, E, P, F>>>::source(&self.0)
    }

    /// The one source of a derived promise has delivered, and needs not be left.
    pub(crate) fn forget_source(&self) {
        self.with(|shared| shared.links.clear());
    }

    /// Notes what this promise follows, so that a cancel gets there.
    pub(crate) fn follow(&self, links: Links<F>) {
        let (action, links, cancel) = self.with(|shared| shared.follow(links));
        self.perform(action, Caller::Library);
        unfollow(links, cancel);
    }

    /// Notes that this promise takes its outcome from the source of `link`, and rejects it with kind `Cycle` if that source waits
    /// for it.
    ///
    /// The link is in place before the ring is looked for: of two threads that close a ring together, the later one finds it.
    pub(crate) fn adopt(&self, link: Link<F>, caller: Caller) {
        let source = link.source.clone();
        self.follow(smallvec![link]);
        self.break_ring(source, caller);
    }

    /// Rejects this promise with kind `Cycle` if `source`, which it has been noted to follow, waits for it.
    pub(crate) fn break_ring(&self, source: F::WeakSource, caller: Caller) {
        if self.with(|shared| shared.is_followed()) && self.is_upstream_of(source) {
            self.break_by(BrokenKind::Cycle, caller);
        }
    }

    /// Whether `source` waits for this promise, however indirectly.
    ///
    /// Looks up from the source and down from here by turns, whichever has cost less so far, and ends with the first that comes to an
    /// end: linking a chain costs as much as the shorter part of it, in whatever order that happens.
    fn is_upstream_of(&self, source: F::WeakSource) -> bool {
        let Some(source) = F::upgrade(&source) else { return false };
        let (here, there) = (self.node(), source);
        let mut down = Search::from(&here, &there);
        let mut up = Search::from(&there, &here);
        loop {
            let found = if up.cost <= down.cost {
                up.step(|node| node.upstream().iter().filter_map(F::upgrade).collect())
            } else {
                down.step(|node| node.downstream())
            };
            if let Some(found) = found {
                return found;
            }
        }
    }

    /// This promise as one that others wait for.
    pub(crate) fn node(&self) -> F::Source {
        F::node(&self.0)
    }
}

/// Has the machine of a promise go on here, which is its home.
pub(crate) fn arrive<F: Flavor>(promise: F::Source) {
    trampoline::run(Caller::Home, Job::Call(Box::new(move || promise.arrive())));
}

/// A search for one promise among those that others wait for.
struct Search<S> {
    goal: *const (),
    ahead: Vec<S>,
    /// What was seen, by address. It is held, too: an address that is free can be somebody else's.
    seen: HashMap<*const (), S>,
    cost: usize,
}

impl<S: Clone + Deref> Search<S> {
    fn from(start: &S, goal: &S) -> Self {
        Search { goal: address(goal), ahead: vec![start.clone()], seen: HashMap::new(), cost: 0 }
    }

    /// Looks at one more. Tells whether the goal was found, once that is known.
    fn step(&mut self, next: impl FnOnce(&S::Target) -> Vec<S>) -> Option<bool> {
        let Some(node) = self.ahead.pop() else { return Some(false) };
        let address = address(&node);
        if address == self.goal {
            return Some(true);
        }
        if !self.seen.contains_key(&address) {
            self.ahead.extend(next(&node));
            self.seen.insert(address, node);
        }
        self.cost = self.seen.len() + self.ahead.len();
        None
    }
}

/// What tells one promise from all others that live.
fn address<S: Deref>(pointer: &S) -> *const () {
    std::ptr::from_ref(pointer.deref()).cast()
}

impl<T, E, F: Flavor> Core<T, E, Progress, F> {
    /// Queues a report of the library's own. An aggregate calls it under its own lock, so that reports from many threads keep their
    /// order; nothing foreign runs before [`perform`](Core::perform).
    pub(crate) fn queue_report(&self, report: Progress) -> Action {
        self.with(|shared| shared.report(Event::Notify(report))).map_or(Action::Rest, |(action, _)| action)
    }
}

/// Why there is no outcome to be had from a settled promise.
pub(crate) enum Lost {
    /// Making the error panicked.
    Spoiled(Broken),
    /// Cloning the outcome panicked.
    Panicked(diagnostics::Payload),
}

impl Lost {
    /// Ends the consumer that asked.
    pub(crate) fn raise(self) -> ! {
        match self {
            Lost::Spoiled(broken) => panic!("{broken}"),
            Lost::Panicked(payload) => std::panic::resume_unwind(payload),
        }
    }
}

impl<T, E, P, F: Flavor> Core<T, E, P, F> {
    /// The text for `Debug` of either end: it asks nothing of `T` and `E`, and is safe in a callback.
    pub(crate) fn describe(&self, name: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (state, producers, rights, observers, origin) =
            self.with(|shared| (shared.state, shared.producers, shared.rights, shared.observers.len(), shared.origin));
        f.debug_struct(name)
            .field("state", &state)
            .field("deferreds", &producers)
            .field("consumers", &rights)
            .field("observers", &observers)
            .field("origin", &format_args!("{origin}"))
            .finish()
    }
}
