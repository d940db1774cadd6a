//! The machine of the aggregates with a fixed number of inputs: slots to fill, and a count.

use std::panic::Location;

use crate::Progress;
use crate::broken::{Broken, BrokenKind};
use crate::chain::IntoPromise;
use crate::core::trampoline::{self, Caller};
use crate::core::{Accepts, Core, Delivery, Flavor, Links, Machine, Node, Past, Ptr, Spare};
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
    /// Held for as long as an input may bring something, or is still to be added.
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

/// What the end of an input is to the aggregate.
pub(super) enum Arrival<X, V: 'static, E: 'static> {
    /// Something for its slot.
    Part(X),
    /// The outcome of the aggregate.
    Whole(Delivery<V, E>),
    /// The same, and it counts as progress.
    Last(Delivery<V, E>),
}

/// What comes out of a visit that has filled the last slot.
struct Full<S, V: 'static, E: 'static, F: Flavor> {
    slots: S,
    finish: fn(S) -> Result<V, E>,
    core: Core<V, E, Progress, F>,
}

impl<S, V, E, F: Flavor> Full<S, V, E, F> {
    #[inline(never)]
    fn settle(self) {
        // All have delivered, and none needs to be left.
        self.core.forget_sources();
        self.core.settle((self.finish)(self.slots), Past::UNKNOWN, Caller::Library);
    }
}

impl<S, V, E, F: Flavor> Slots<S, V, E, F> {
    /// Fills the slot of an input. What comes too late stays where it is, to be dropped outside.
    #[inline]
    fn fill<X>(&mut self, index: usize, part: &mut Option<X>, store: impl FnOnce(&mut S, usize, X)) {
        if let Some(slots) = &mut self.slots {
            if let Some(part) = part.take() {
                store(slots, index, part);
                self.settled += 1;
            }
        }
    }

    /// Queues a report. Whom it makes run it comes back.
    fn report(&self) -> Option<Core<V, E, Progress, F>> {
        let core = self.deferred.core();
        let report = Progress { done: self.settled as u64, total: self.total as u64 };
        core.queue_report(report).then(|| core.clone())
    }

    /// Takes the slots, once all inputs have been added, if they are all filled.
    #[inline]
    fn complete(&mut self) -> Option<Full<S, V, E, F>> {
        if self.settled < self.total { None } else { self.take() }
    }

    #[cold]
    fn take(&mut self) -> Option<Full<S, V, E, F>> {
        let slots = self.slots.take()?;
        Some(Full { slots, finish: self.finish, core: self.deferred.core().clone() })
    }
}

impl<S, V, E, F: Flavor> Input<S, V, E, F> {
    /// The promise that waits for the input.
    fn target(&self) -> Option<Node<F>> {
        Some(self.0.with(|shared| shared.deferred.core().node()))
    }

    /// The input has settled.
    #[inline]
    fn arrive<X>(self, index: usize, arrival: Arrival<X, V, E>, store: impl FnOnce(&mut S, usize, X)) {
        match arrival {
            Arrival::Part(part) => self.fill(index, part, store),
            Arrival::Whole(delivery) => self.decide(delivery, false),
            Arrival::Last(delivery) => self.decide(delivery, true),
        }
    }

    /// Fills a slot. The last one settles the aggregate.
    #[inline]
    fn fill<X>(self, index: usize, part: X, store: impl FnOnce(&mut S, usize, X)) {
        // Out come large things by reference, as they move slowly.
        let (mut part, mut full) = (Some(part), None);
        let (report, share) = self.0.end_with::<false, _>(|shared| {
            shared.fill(index, &mut part, store);
            if part.is_some() || shared.open {
                return (None, false);
            }
            full = shared.complete();
            // The last one stays until the aggregate is settled: it would be abandoned.
            (shared.report(), full.is_some())
        });
        if let Some(core) = report {
            core.run(Caller::Library);
        }
        if let Some(full) = full {
            full.settle();
        }
        drop(share);
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
            full.settle();
        }
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
    /// For the inputs that are still to be added.
    shares: Option<Spare<Slots<S, V, E, F>>>,
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
        Gather { input: Input(Ptr::new(|| slots)), shares: None, promise, links: Links::<F>::new(), total, empty: None }
    }

    /// Adds an input: what its end is to the aggregate, and how to store its part of it.
    pub(super) fn add<A, X>(
        &mut self,
        promise: A,
        index: usize,
        sort: impl FnOnce(Delivery<A::Value, A::Error>) -> Arrival<X, V, E> + Copy + 'static,
        store: impl FnOnce(&mut S, usize, X) + Copy + 'static,
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
            Ok(delivery) => match sort(delivery) {
                Arrival::Part(part) => self.fill(index, part, store),
                Arrival::Whole(delivery) => self.input.decide(delivery, false),
                Arrival::Last(delivery) => self.input.decide(delivery, true),
            },
            Err(promise) => {
                if self.links.is_empty() {
                    self.links.reserve(self.total - index);
                }
                let share = self.share(self.total - index);
                self.links.extend(promise.subscribe_later(
                    (share, index),
                    move |(input, index): Indexed<S, V, E, F>, delivery| input.arrive(index, sort(delivery), store),
                    |(input, _): &Indexed<S, V, E, F>| input.target(),
                ));
            }
        }
    }

    /// Fills the slot of an input that was settled before.
    #[inline]
    fn fill<X>(&mut self, index: usize, part: X, store: impl FnOnce(&mut S, usize, X)) {
        let mut part = Some(part);
        match self.input.0.alone() {
            Some(shared) => shared.fill(index, &mut part, store),
            None => self.input.0.with(|shared| shared.fill(index, &mut part, store)),
        }
    }

    /// The share of an input, of which up to `most` are still to come.
    fn share(&mut self, most: usize) -> Input<S, V, E, F> {
        if let Some(share) = self.shares.as_mut().and_then(Spare::next) {
            return Input(share);
        }
        let (share, shares) = self.input.0.clone_many(most);
        self.shares = Some(shares);
        Input(share)
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
