//! The aggregates with a fixed number of inputs: slots to fill, and a count, in the room of the aggregate's own promise.

use std::panic::Location;

use crate::broken::{Broken, BrokenKind};
use crate::chain::IntoPromise;
use crate::core::trampoline::{self, Caller};
use crate::core::{self, Core, Crosses, Delivery, Ending, Flavor, HandOn, Link, Note, Plain, Room, Roomy};
use crate::progress::Progress;
use crate::promise::Promise;

/// What the inputs share: the slots, until they are turned into the outcome, and the count.
pub(super) type Slots<S, V, E> = (Option<S>, Plain<Count<S, V, E>>);

pub(super) struct Count<S, V, E> {
    settled: usize,
    total: usize,
    /// Inputs are still being added: nothing is reported or concluded before all are.
    open: bool,
    /// The outcome of an aggregate whose slots are all filled.
    finish: fn(S) -> Result<V, E>,
}

impl<S: 'static, V: 'static, E: 'static, F: Flavor> Room<F> for Slots<S, V, E> {
    #[inline]
    fn is_empty(&self) -> bool {
        self.0.is_none()
    }
}

impl<S, V, E> Count<S, V, E> {
    fn report(&self) -> Progress {
        Progress { done: self.settled as u64, total: self.total as u64 }
    }
}

/// What has to be settled once the last slot is full.
struct Full<S, V, E> {
    slots: S,
    finish: fn(S) -> Result<V, E>,
}

/// Fills the slot of an input. A part that comes too late stays where it is, to be dropped outside.
#[inline]
fn fill<S, V, E, X>((slots, Plain(count)): &mut Slots<S, V, E>, part: &mut Option<X>, store: impl FnOnce(&mut S, X)) {
    if let Some(slots) = slots {
        if let Some(part) = part.take() {
            store(slots, part);
            count.settled += 1;
        }
    }
}

/// Takes the slots, once all inputs have been added, if they are all filled.
#[inline]
fn take_full<S, V, E>((slots, Plain(count)): &mut Slots<S, V, E>) -> Option<Full<S, V, E>> {
    if count.settled < count.total {
        return None;
    }
    Some(Full { slots: slots.take()?, finish: count.finish })
}

type Share<S, V, E, F> = Roomy<Slots<S, V, E>, V, E, Progress, F>;

/// An input's share in the aggregate: a producer of its promise.
struct Input<S: 'static, V: 'static, E: 'static, F: Flavor>(Ending<Share<S, V, E, F>>);

/// What the end of an input is to the aggregate.
pub(super) enum Arrival<X, V: 'static, E: 'static> {
    /// Something for its slot.
    Part(X),
    /// The outcome of the aggregate.
    Whole(Delivery<V, E>),
    /// The outcome of the aggregate, and it counts as progress.
    Last(Delivery<V, E>),
}

impl<S, V, E, F: Flavor> Input<S, V, E, F> {
    /// The input has settled.
    #[inline]
    fn arrive<X: 'static>(self, arrival: Arrival<X, V, E>, store: impl FnOnce(&mut S, X)) -> HandOn<F> {
        match arrival {
            Arrival::Part(part) => self.fill(part, store),
            Arrival::Whole(delivery) => self.0.into_inner().into_core().deliver(delivery),
            Arrival::Last(delivery) => {
                count_last(&self.0);
                self.0.into_inner().into_core().deliver(delivery)
            }
        }
    }

    /// Fills a slot. The last one settles the aggregate.
    #[inline]
    fn fill<X: 'static>(self, part: X, store: impl FnOnce(&mut S, X)) -> HandOn<F> {
        let mut part = Some(part);
        let (next, full) = Roomy::bring(self.0, |room: &mut Slots<S, V, E>| {
            fill(room, &mut part, store);
            if room.1.0.open { (None, None) } else { (Some(room.1.0.report()), take_full(room)) }
        });
        match (full, part) {
            (Some((full, share)), _) => settle(full, share),
            (None, None) => next,
            (None, late) => {
                core::run_now(next);
                trampoline::guard(|| drop(late));
                None
            }
        }
    }
}

/// Counts the input that decides. The slots go: no other input fills the last one meanwhile.
fn count_last<S: 'static, V, E, F: Flavor>(share: &Share<S, V, E, F>) {
    let slots = share.with(|(slots, Plain(count))| {
        count.settled += 1;
        (Some(count.report()), slots.take())
    });
    trampoline::guard(|| drop(slots));
}

/// Settles an aggregate whose slots are all filled.
#[inline(never)]
fn settle<S, V, E, F: Flavor>(full: Full<S, V, E>, share: Ending<Share<S, V, E, F>>) -> HandOn<F> {
    // All have delivered, and none needs to be left.
    share.forget_links();
    let outcome = (full.finish)(full.slots);
    share.into_inner().into_core().hand_on(outcome, Note::UNKNOWN)
}

/// An aggregate in the making.
pub(super) struct Gather<S: 'static, V: 'static, E: 'static, F: Flavor> {
    share: Ending<Share<S, V, E, F>>,
    promise: Promise<V, E, Progress, F>,
    links: Vec<Link<F>>,
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
        make: fn(Broken) -> E,
        origin: &'static Location<'static>,
    ) -> Self {
        let count = Count { settled: 0, total, open: true, finish };
        let (share, core) = Core::with_room(make, origin, (Some(slots), Plain(count)));
        core.set_aggregate();
        Gather { share, promise: Promise::from_core(core), links: Vec::new(), total, empty: None }
    }

    /// Adds an input: what its end is to the aggregate, and how to store its part of it. Both functions capture nothing.
    pub(super) fn add<A, X: 'static>(
        &mut self,
        promise: A,
        index: usize,
        sort: impl FnOnce(Delivery<A::Value, A::Error>) -> Arrival<X, V, E> + Copy + 'static,
        store: impl FnOnce(&mut S, usize, X) + Copy + 'static,
    ) where
        A: IntoPromise<F>,
        S: Crosses<F>,
    {
        if self.promise.core().is_settled() {
            // An earlier input has decided: this one is not needed.
            promise.disown();
            return;
        }
        match promise.take_settled() {
            Ok(delivery) => match sort(delivery) {
                Arrival::Part(part) => self.fill(index, part, store),
                Arrival::Whole(delivery) => self.share.settle_with(delivery, Caller::Quiet),
                Arrival::Last(delivery) => {
                    count_last(&self.share);
                    self.share.settle_with(delivery, Caller::Quiet);
                }
            },
            Err(promise) => {
                if self.links.is_empty() {
                    self.links.reserve(self.total - index);
                }
                let share = self.share.add_share();
                self.links.extend(promise.subscribe_later(
                    (index, share),
                    move |(index, share): (usize, Ending<Share<S, V, E, F>>), delivery| {
                        Input(share).arrive(sort(delivery), |slots, part| store(slots, index, part))
                    },
                ));
            }
        }
    }

    /// Fills the slot of an input that was settled before.
    #[inline]
    fn fill<X>(&mut self, index: usize, part: X, store: impl FnOnce(&mut S, usize, X)) {
        let mut part = Some(part);
        let store = |slots: &mut S, part| store(slots, index, part);
        match self.share.room_alone(self.promise.core_mut()) {
            Some(room) => fill(room, &mut part, store),
            None => {
                self.share.with(|room| {
                    fill(room, &mut part, store);
                    (None, ())
                });
            }
        }
    }

    /// All inputs have been added.
    pub(super) fn finish(self) -> Promise<V, E, Progress, F> {
        let Gather { share, promise, links, empty, .. } = self;
        let next = match empty {
            Some(kind) => {
                share.reject_by(kind, Caller::Quiet);
                drop(share);
                None
            }
            None => {
                let (next, full) = Roomy::bring(share, |room: &mut Slots<S, V, E>| {
                    room.1.0.open = false;
                    let report = (room.1.0.settled > 0).then(|| room.1.0.report());
                    (report, take_full(room))
                });
                full.map_or(next, |(full, share)| settle(full, share))
            }
        };
        core::run_now(next);
        if !links.is_empty() {
            promise.core().follow(links);
        }
        promise
    }
}

impl<V, E, F: Flavor> Gather<(), V, E, F> {
    /// An aggregate that one input settles.
    pub(super) fn racing(total: usize, make: fn(Broken) -> E, origin: &'static Location<'static>) -> Self {
        // Its slots are never filled, so they are never finished.
        let finish = |()| unreachable!("a race is settled by an input");
        let empty = (total == 0).then_some(BrokenKind::Empty);
        Gather { empty, ..Gather::new((), total, finish, make, origin) }
    }
}
