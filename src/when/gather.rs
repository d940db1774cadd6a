//! The machine of the aggregates with a fixed number of inputs: slots to fill, and a count.

use std::panic::Location;

use crate::Progress;
use crate::broken::{Broken, BrokenKind};
use crate::chain::IntoPromise;
use crate::core::trampoline::{self, Caller};
use crate::core::{Accepts, Core, Delivery, Flavor, Links, Machine, Node, Past, Ptr};
use crate::deferred::{self, Deferred};
use crate::promise::Promise;

/// What the inputs share, behind a lock of the aggregate's own.
///
/// Where both are held, it is taken before the lock of the promise.
pub(super) struct Slots<S: 'static, V: 'static, E: 'static, F: Flavor> {
    /// Gone once they were turned into the outcome.
    slots: Option<S>,
    settled: usize,
    total: usize,
    /// Inputs are still being added: nothing is notified or concluded before all are.
    open: bool,
    /// The outcome of an aggregate whose slots are all filled.
    finish: fn(S) -> Result<V, E>,
    /// Held for as long as an input may bring something.
    deferred: Deferred<V, E, Progress, F>,
}

impl<S, V, E, F: Flavor> Machine for Slots<S, V, E, F> {
    type Flavor = F;
}

/// An input's share in the aggregate.
#[doc(hidden)]
pub struct Input<S: 'static, V: 'static, E: 'static, F: Flavor>(Ptr<Slots<S, V, E, F>>);

/// The share of an input, and its index.
pub(super) type Indexed<S, V, E, F> = (Input<S, V, E, F>, usize);

impl<S, V, E, F: Flavor> Clone for Input<S, V, E, F> {
    fn clone(&self) -> Self {
        Input(self.0.clone())
    }
}

impl<S, V, E, F: Flavor> Slots<S, V, E, F> {
    /// Queues a report. Whom it makes run it comes back.
    fn report(&self) -> Option<Core<V, E, Progress, F>> {
        let core = self.deferred.core();
        let report = Progress { done: self.settled as u64, total: self.total as u64 };
        core.queue_report(report).then(|| core.clone())
    }

    /// The slots, if they are all filled, and not by inputs alone that are still being added.
    fn complete(&mut self) -> Option<(Core<V, E, Progress, F>, S)> {
        if self.open || self.settled < self.total {
            return None;
        }
        self.slots.take().map(|slots| (self.deferred.core().clone(), slots))
    }
}

impl<S, V, E, F: Flavor> Input<S, V, E, F> {
    /// The promise that waits for the input.
    pub(super) fn target(&self) -> Option<Node<F>> {
        Some(self.0.with(|shared| shared.deferred.core().node()))
    }

    /// Fills a slot. The last one settles the aggregate.
    #[inline]
    pub(super) fn fill<T>(&self, value: T, store: impl FnOnce(&mut S, T)) {
        // What comes too late comes out again, and is dropped after unlocking. Out come large things by reference, as they move slowly.
        let (mut value, mut full) = (Some(value), None);
        let report = self.0.with(|shared| {
            let slots = shared.slots.as_mut()?;
            store(slots, value.take()?);
            shared.settled += 1;
            if shared.open {
                return None;
            }
            full = shared.complete();
            shared.report()
        });
        if let Some(core) = report {
            core.run(Caller::Library);
        }
        if let Some(full) = full {
            self.settle(full);
        }
    }

    /// All inputs have been added.
    fn close(&self) {
        let mut full = None;
        let report = self.0.with(|shared| {
            shared.open = false;
            full = shared.complete();
            if shared.settled > 0 { shared.report() } else { None }
        });
        if let Some(core) = report {
            core.run(Caller::Library);
        }
        if let Some(full) = full {
            self.settle(full);
        }
    }

    #[inline(never)]
    fn settle(&self, (core, slots): (Core<V, E, Progress, F>, S)) {
        let finish = self.0.with(|shared| shared.finish);
        // All have delivered, and none needs to be left.
        core.forget_sources();
        core.settle(finish(slots), Past::UNKNOWN, Caller::Library);
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
        let (core, report, slots, caller) = self.0.with(|shared| {
            let mut report = None;
            if counts {
                shared.settled += 1;
                report = shared.report();
            }
            // While it is being made, whoever makes it shall find it settled.
            let caller = if shared.open { Caller::Quiet } else { Caller::Library };
            (shared.deferred.core().clone(), report, shared.slots.take(), caller)
        });
        if let Some(core) = report {
            core.run(caller);
        }
        trampoline::guard(|| drop(slots));
        core.deliver(delivery, caller);
    }
}

/// An aggregate in the making.
pub(super) struct Gather<S: 'static, V: 'static, E: 'static, F: Flavor> {
    input: Input<S, V, E, F>,
    promise: Promise<V, E, Progress, F>,
    links: Links<F>,
    total: usize,
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
        let slots = Slots { slots: Some(slots), settled: 0, total, open: true, finish, deferred };
        Gather { input: Input(Ptr::new(|| slots)), promise, links: Links::<F>::new(), total, empty: None }
    }

    /// Adds an input, and what to do when it settles.
    pub(super) fn add<A>(
        &mut self,
        promise: A,
        index: usize,
        run: impl FnOnce(&Input<S, V, E, F>, usize, Delivery<A::Value, A::Error>) + Copy + 'static,
    ) where
        A: IntoPromise<F>,
        F: Accepts<Indexed<S, V, E, F>>,
    {
        if self.promise.core().is_settled() {
            // An earlier input has decided: nobody needs this one.
            promise.disown();
            return;
        }
        match promise.take_settled() {
            Ok(delivery) => run(&self.input, index, delivery),
            Err(promise) => {
                if self.links.is_empty() {
                    self.links.reserve(self.total - index);
                }
                self.links.extend(promise.subscribe_later(
                    (self.input.clone(), index),
                    move |(input, index): Indexed<S, V, E, F>, delivery| run(&input, index, delivery),
                    |(input, _): &Indexed<S, V, E, F>| input.target(),
                ));
            }
        }
    }

    pub(super) fn finish(self) -> Promise<V, E, Progress, F> {
        match self.empty {
            Some(kind) => {
                self.promise.core().break_by(kind, Caller::Quiet);
            }
            None => self.input.close(),
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
