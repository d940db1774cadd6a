//! The machine of the aggregates with a fixed number of inputs: slots to fill, and a count.

use std::panic::Location;

use crate::Progress;
use crate::broken::{Broken, BrokenKind};
use crate::chain::IntoPromise;
use crate::core::trampoline::{self, Caller};
use crate::core::{Accepts, Core, Delivery, Flavor, Links, Machine, Node, Ptr, State, Step};
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

/// The share of an input whose slot has an index.
pub(super) type Indexed<S, V, E, F> = (Input<S, V, E, F>, usize);

impl<S, V, E, F: Flavor> Clone for Input<S, V, E, F> {
    fn clone(&self) -> Self {
        Input(self.0.clone())
    }
}

/// What a change of the slots leaves to do, to the promise.
type Todo<V, E, F> = Option<(Core<V, E, Progress, F>, Step<V, E, Progress, F>)>;

impl<S, V, E, F: Flavor> Slots<S, V, E, F> {
    fn report(&self) -> Todo<V, E, F> {
        let core = self.deferred.core();
        match core.queue_report(Progress { done: self.settled as u64, total: self.total as u64 }) {
            Step::Rest => None,
            step => Some((core.clone(), step)),
        }
    }

    /// What there is to perform, and the slots if they are all filled.
    fn advance(&mut self) -> (Todo<V, E, F>, Option<(Core<V, E, Progress, F>, S)>) {
        if self.open {
            return (None, None);
        }
        let todo = if self.settled > 0 { self.report() } else { None };
        let full = if self.settled == self.total { self.slots.take() } else { None };
        (todo, full.map(|slots| (self.deferred.core().clone(), slots)))
    }
}

fn perform<V, E, F: Flavor>(todo: Todo<V, E, F>, caller: Caller) {
    if let Some((core, step)) = todo {
        core.perform(step, caller);
    }
}

impl<S, V, E, F: Flavor> Input<S, V, E, F> {
    /// The promise that waits for the input.
    pub(super) fn target(&self) -> Option<Node<F>> {
        Some(self.0.with(|shared| shared.deferred.core().node()))
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
        let ((todo, full), finish) = self.0.with(|shared| {
            change(shared);
            (shared.advance(), shared.finish)
        });
        perform(todo, Caller::Library);
        if let Some((core, slots)) = full {
            core.settle(finish(slots), Caller::Library);
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
        let (core, todo, slots, caller) = self.0.with(|shared| {
            let mut todo = None;
            if counts {
                shared.settled += 1;
                todo = shared.report();
            }
            // While it is being made, whoever makes it shall find it settled.
            let caller = if shared.open { Caller::Quiet } else { Caller::Library };
            (shared.deferred.core().clone(), todo, shared.slots.take(), caller)
        });
        perform(todo, caller);
        trampoline::guard(|| drop(slots));
        core.deliver(delivery, caller);
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
        let slots = Slots { slots: Some(slots), settled: 0, total, open: true, finish, deferred };
        Gather { input: Input(Ptr::new(|| slots)), promise, links: Links::<F>::new(), empty: None }
    }

    /// Adds an input, and what to do when it settles.
    pub(super) fn add<A>(
        &mut self,
        promise: A,
        run: impl FnOnce(Input<S, V, E, F>, Delivery<A::Value, A::Error>) + Copy + 'static,
    ) where
        A: IntoPromise<F>,
        F: Accepts<Input<S, V, E, F>>,
    {
        self.add_with(promise, |input| input, run, |input: &Input<S, V, E, F>| input.target());
    }

    /// The same, of an input whose slot has an index.
    pub(super) fn add_at<A>(
        &mut self,
        promise: A,
        index: usize,
        run: impl FnOnce(Indexed<S, V, E, F>, Delivery<A::Value, A::Error>) + Copy + 'static,
    ) where
        A: IntoPromise<F>,
        F: Accepts<Indexed<S, V, E, F>>,
    {
        self.add_with(promise, |input| (input, index), run, |(input, _): &Indexed<S, V, E, F>| input.target());
    }

    fn add_with<A, C: 'static>(
        &mut self,
        promise: A,
        context: impl FnOnce(Input<S, V, E, F>) -> C,
        run: impl FnOnce(C, Delivery<A::Value, A::Error>) + Copy + 'static,
        target: impl FnOnce(&C) -> Option<Node<F>> + Copy + 'static,
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
