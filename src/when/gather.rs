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
    deferred: Deferred<V, E, Progress, F>,
}

/// An input's share in the aggregate.
#[doc(hidden)]
pub struct Input<S: 'static, V: 'static, E: 'static, F: Flavor>(F::Ptr<Slots<S, V, E, F>>);

impl<S, V, E, F: Flavor> Clone for Input<S, V, E, F> {
    fn clone(&self) -> Self {
        Input(self.0.clone())
    }
}

impl<S, V, E, F: Flavor> Slots<S, V, E, F> {
    fn report(&self) -> Progress {
        Progress { done: self.settled as u64, total: self.total as u64 }
    }

    /// The core, what it has to perform, and the slots if they are all filled.
    fn advance(&mut self) -> (Core<V, E, Progress, F>, Action, Option<S>) {
        let core = self.deferred.core().clone();
        if self.open {
            return (core, Action::Rest, None);
        }
        let action = if self.settled > 0 { core.queue_report(self.report()) } else { Action::Rest };
        let full = if self.settled == self.total { self.slots.take() } else { None };
        (core, action, full)
    }
}

impl<S, V, E, F: Flavor> Input<S, V, E, F> {
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
        let ((core, action, full), finish) = self.0.with(|shared| {
            change(shared);
            (shared.advance(), shared.finish)
        });
        core.perform(action, Caller::Library);
        if let Some(slots) = full {
            core.settle(finish(slots), Caller::Library);
        }
    }

    /// Fills a slot with a value, or ends the aggregate with an error.
    pub(super) fn arrive<T>(&self, delivery: Delivery<T, E>, store: impl FnOnce(&mut S, T)) {
        match delivery.value() {
            Ok(value) => self.fill(value, store),
            Err(rejection) => self.end(rejection),
        }
    }

    /// Settles the aggregate with the outcome of this one input.
    pub(super) fn conclude(&self, delivery: Delivery<V, E>) {
        let (core, action) = self.0.with(|shared| {
            shared.settled += 1;
            let core = shared.deferred.core().clone();
            let action = core.queue_report(shared.report());
            (core, action)
        });
        core.perform(action, Caller::Library);
        self.end(delivery);
    }

    /// The same, of an input that does not count as progress. What other inputs brought is dropped.
    fn end(&self, delivery: Delivery<V, E>) {
        let (core, slots) = self.0.with(|shared| (shared.deferred.core().clone(), shared.slots.take()));
        trampoline::guard(|| drop(slots));
        core.deliver(delivery, Caller::Library);
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
        let shared = Slots { slots: Some(slots), settled: 0, total, open: true, finish, deferred };
        Gather { input: Input(F::ptr(shared)), promise, links: Links::<F>::new(), empty: None }
    }

    /// Adds an input, and what to do when it settles.
    pub(super) fn add<A>(&mut self, promise: A, run: fn(Input<S, V, E, F>, Delivery<A::Value, A::Error>))
    where
        A: IntoPromise<F>,
        F: Accepts<Input<S, V, E, F>>,
    {
        self.add_with(promise, |input| input, run);
    }

    /// The same, of an input that brings something along.
    pub(super) fn add_with<A, C: 'static>(
        &mut self,
        promise: A,
        context: impl FnOnce(Input<S, V, E, F>) -> C,
        run: fn(C, Delivery<A::Value, A::Error>),
    ) where
        A: IntoPromise<F>,
        F: Accepts<C>,
    {
        if self.promise.state() != State::Pending {
            // An earlier input has decided: nobody needs this one.
            promise.disown();
            return;
        }
        self.links.extend(promise.subscribe(context(self.input.clone()), run));
    }

    pub(super) fn finish(self) -> Promise<V, E, Progress, F> {
        match self.empty {
            Some(kind) => {
                self.promise.core().break_by(kind, Caller::Library);
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
