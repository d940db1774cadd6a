//! The machine of the aggregates with a fixed number of inputs: slots to fill, and a count.

use std::panic::Location;

use crate::Progress;
use crate::broken::{Broken, BrokenKind};
use crate::chain::IntoPromise;
use crate::core::{Accepts, Action, Core, Delivery, Flavor, Links, Lock, State};
use crate::deferred::{self, Deferred};
use crate::promise::Promise;
use crate::trampoline::{self, Caller};

/// What the inputs share, behind a lock of the aggregate's own.
///
/// Where both are held, it is taken before the lock of the promise.
struct Slots<S: 'static, V: 'static, E: 'static, F: Flavor> {
    /// Gone once they were turned into the outcome.
    slots: Option<S>,
    settled: usize,
    total: usize,
    /// Inputs are still being added: nothing is notified or concluded before all are.
    open: bool,
    /// The outcome of an aggregate whose slots are all filled.
    finish: fn(S) -> Result<V, E>,
    /// Held for as long as an input may bring something.
    _deferred: Deferred<V, E, Progress, F>,
}

/// An input's share in the aggregate.
#[doc(hidden)]
pub struct Input<S: 'static, V: 'static, E: 'static, F: Flavor> {
    slots: F::Ptr<Slots<S, V, E, F>>,
    core: Core<V, E, Progress, F>,
}

/// The share of an input whose slot has an index.
pub(super) type Indexed<S, V, E, F> = (Input<S, V, E, F>, usize);

impl<S, V, E, F: Flavor> Clone for Input<S, V, E, F> {
    fn clone(&self) -> Self {
        Input { slots: self.slots.clone(), core: self.core.clone() }
    }
}

impl<S, V, E, F: Flavor> Slots<S, V, E, F> {
    fn report(&self, core: &Core<V, E, Progress, F>) -> Action {
        core.queue_report(Progress { done: self.settled as u64, total: self.total as u64 })
    }

    /// What the core has to perform, and the slots if they are all filled.
    fn advance(&mut self, core: &Core<V, E, Progress, F>) -> (Action, Option<S>) {
        if self.open {
            return (Action::Rest, None);
        }
        let action = if self.settled > 0 { self.report(core) } else { Action::Rest };
        let full = if self.settled == self.total { self.slots.take() } else { None };
        (action, full)
    }
}

impl<S, V, E, F: Flavor> Input<S, V, E, F> {
    /// The promise that waits for the input.
    pub(super) fn target(&self) -> Option<F::Source> {
        Some(self.core.node())
    }

    /// Fills a slot. The last one settles the aggregate.
    pub(super) fn fill<T>(&self, value: T, store: impl FnOnce(&mut S, T)) {
        // What comes too late comes out again, and is dropped after unlocking.
        let mut value = Some(value);
        self.update(|shared| {
            if let Some(slots) = &mut shared.slots {
                if let Some(value) = value.take() {
                    store(slots, value);
                    shared.settled += 1;
                }
            }
        });
    }

    fn update(&self, change: impl FnOnce(&mut Slots<S, V, E, F>)) {
        let ((action, full), finish) = self.slots.with(|shared| {
            change(shared);
            (shared.advance(&self.core), shared.finish)
        });
        self.core.perform(action, Caller::Library);
        if let Some(slots) = full {
            self.core.settle(finish(slots), Caller::Library);
        }
    }

    /// Fills a slot with a value, or ends the aggregate with an error.
    pub(super) fn arrive<T>(&self, delivery: Delivery<T, E>, store: impl FnOnce(&mut S, T)) {
        match delivery.value() {
            Ok(value) => self.fill(value, store),
            Err(rejection) => self.decide(rejection, false),
        }
    }

    /// Settles the aggregate with the outcome of this one input, which counts as progress.
    pub(super) fn conclude(&self, delivery: Delivery<V, E>) {
        self.decide(delivery, true);
    }

    /// Settles the aggregate. What other inputs brought, or still bring, is dropped: the slots go under the same lock.
    fn decide(&self, delivery: Delivery<V, E>, counts: bool) {
        let (action, slots, caller) = self.slots.with(|shared| {
            let mut action = Action::Rest;
            if counts {
                shared.settled += 1;
                action = shared.report(&self.core);
            }
            // While it is being made, whoever makes it shall find it settled.
            let caller = if shared.open { Caller::Quiet } else { Caller::Library };
            (action, shared.slots.take(), caller)
        });
        self.core.perform(action, caller);
        trampoline::guard(|| drop(slots));
        self.core.deliver(delivery, caller);
    }
}

/// An aggregate in the making.
pub(super) struct Gather<S: 'static, V: 'static, E: 'static, F: Flavor> {
    input: Input<S, V, E, F>,
    promise: Promise<V, E, Progress, F>,
    links: Links<F>,
    /// What an aggregate of nothing ends with, if its slots do not say it.
    empty: Option<BrokenKind>,
}

impl<S, V, E, F: Flavor> Gather<S, V, E, F> {
    /// `total` inputs, and what to do with their slots once all are filled.
    pub(super) fn new(
        slots: S,
        total: usize,
        finish: fn(S) -> Result<V, E>,
        broken: fn(Broken) -> E,
        origin: &'static Location<'static>,
    ) -> Self {
        let (deferred, promise) = deferred::pair(broken, origin);
        promise.core().set_aggregate();
        let core = deferred.core().clone();
        let slots = Slots { slots: Some(slots), settled: 0, total, open: true, finish, _deferred: deferred };
        Gather { input: Input { slots: F::ptr(slots), core }, promise, links: Links::<F>::new(), empty: None }
    }

    /// Adds an input, and what to do when it settles.
    pub(super) fn add<A>(&mut self, promise: A, run: fn(Input<S, V, E, F>, Delivery<A::Value, A::Error>))
    where
        A: IntoPromise<F>,
        F: Accepts<Input<S, V, E, F>>,
    {
        self.add_with(promise, |input| input, run, Input::target);
    }

    /// The same, of an input whose slot has an index.
    pub(super) fn add_at<A>(
        &mut self,
        promise: A,
        index: usize,
        run: fn(Indexed<S, V, E, F>, Delivery<A::Value, A::Error>),
    ) where
        A: IntoPromise<F>,
        F: Accepts<Indexed<S, V, E, F>>,
    {
        self.add_with(promise, |input| (input, index), run, |(input, _)| input.target());
    }

    fn add_with<A, C: 'static>(
        &mut self,
        promise: A,
        context: impl FnOnce(Input<S, V, E, F>) -> C,
        run: fn(C, Delivery<A::Value, A::Error>),
        target: fn(&C) -> Option<F::Source>,
    ) where
        A: IntoPromise<F>,
        F: Accepts<C>,
    {
        if self.promise.state() != State::Pending {
            // An earlier input has decided: nobody needs this one.
            promise.disown();
            return;
        }
        self.links.extend(promise.subscribe(context(self.input.clone()), run, target));
    }

    pub(super) fn finish(self) -> Promise<V, E, Progress, F> {
        match self.empty {
            Some(kind) => {
                self.promise.core().break_by(kind, Caller::Quiet);
            }
            None => self.input.update(|shared| shared.open = false),
        }
        if !self.links.is_empty() {
            self.promise.core().follow(self.links);
        }
        self.promise
    }
}

impl<V, E, F: Flavor> Gather<(), V, E, F> {
    /// An aggregate that one input settles.
    pub(super) fn racing(total: usize, broken: fn(Broken) -> E, origin: &'static Location<'static>) -> Self {
        // Its slots are never filled, so they are never finished.
        let finish = |()| unreachable!("a race is settled by an input");
        let empty = (total == 0).then_some(BrokenKind::Empty);
        Gather { empty, ..Gather::new((), total, finish, broken, origin) }
    }
}
