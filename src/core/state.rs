//! The state machine: pure transitions, each of which says what its caller has to do once the lock is released.
//!
//! Nothing in this file runs, clones or drops anything of the user's: what has to be dropped is handed out.

use std::mem;
use std::panic::Location;
use std::task::Waker;

use smallvec::SmallVec;

use super::extra::{Consumer, Extra};
use super::flavor::Flavor;
use super::node::{Parked, Sources};
use super::past::{Loss, Past, Site};
use super::raw::{self, Kind, Node, Source};
use crate::awaited::Mark;
use crate::broken::Broken;
use crate::list::Key;

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
    /// An error of which is known where user code rejected with it.
    Traced(E, Site),
    /// An error of which nobody need hear.
    Excused(E, Site),
    /// There is no outcome to be had: cloning it or making its error panicked.
    Broken(Broken),
}

impl<T, E> Delivery<T, E> {
    #[inline]
    pub(super) fn of(outcome: Result<T, E>, past: Past) -> Self {
        match outcome {
            Err(error) if past.excused => Delivery::Excused(error, past.site),
            Err(error) if past.site.get().is_some() => Delivery::Traced(error, past.site),
            outcome => Delivery::Outcome(outcome),
        }
    }

    /// The outcome, with what is known of it.
    #[inline]
    pub(super) fn unpack(self) -> Result<(Result<T, E>, Past), Broken> {
        match self {
            Delivery::Outcome(outcome) => Ok((outcome, Past::UNKNOWN)),
            Delivery::Traced(error, site) => Ok((Err(error), Past { excused: false, site })),
            Delivery::Excused(error, site) => Ok((Err(error), Past { excused: true, site })),
            Delivery::Broken(broken) => Err(broken),
        }
    }

    /// The value; or what a promise of any other value is settled with instead.
    pub(crate) fn value<U>(self) -> Result<T, Delivery<U, E>> {
        match self {
            Delivery::Outcome(Ok(value)) => Ok(value),
            Delivery::Outcome(Err(error)) => Err(Delivery::Outcome(Err(error))),
            Delivery::Traced(error, site) => Err(Delivery::Traced(error, site)),
            Delivery::Excused(error, site) => Err(Delivery::Excused(error, site)),
            Delivery::Broken(broken) => Err(Delivery::Broken(broken)),
        }
    }

    /// The same for the error.
    pub(crate) fn error<E2>(self) -> Result<E, Delivery<T, E2>> {
        match self {
            Delivery::Outcome(Ok(value)) => Err(Delivery::Outcome(Ok(value))),
            Delivery::Outcome(Err(error)) | Delivery::Traced(error, _) | Delivery::Excused(error, _) => Ok(error),
            Delivery::Broken(broken) => Err(Delivery::Broken(broken)),
        }
    }
}

/// A waker or a callback of a promise, or all of them if there is more than one.
pub(crate) type Entry<T, E, P, F> = raw::Entry<T, E, Extra<T, E, P, F>, F>;

/// Clones an outcome to its place, which is empty.
pub(crate) type CloneFn<T, E> = fn(&Result<T, E>, &mut Loan<T, E>);

pub(crate) fn clone_outcome<T: Clone, E: Clone>(outcome: &Result<T, E>, place: &mut Loan<T, E>) {
    *place = Some(outcome.clone());
}

/// Where a promise stands, to itself. The order counts: nobody need hear of what comes after `Rejected`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd)]
pub(super) enum Phase {
    Pending,
    Resolved,
    /// Nobody has looked at the error yet.
    Rejected,
    /// Rejected, and somebody has looked at the error.
    Seen,
    /// Rejected in a way of which nobody need hear, here or at the end of a chain.
    Excused,
    /// Rejected by a cancel: excused as well.
    Canceled,
}

/// What a promise follows while it is pending, and what it was settled with once it is not.
#[repr(usize)]
pub(super) enum Slot<T, E, F: Flavor> {
    /// Pending, following nothing; or settled, and the outcome is lent, or the last consumer has it.
    Empty,
    /// The source of a derived promise, and the entry there.
    Follows(Source<F>, Key),
    Present(Result<T, E>),
    /// Rejected by the library. The error is made of it by whoever lends next. (Where it is the error itself, a cancel makes it at once.)
    Broken(Broken),
    /// The error could not be made of a [`Broken`]: `E::from` panicked.
    Spoiled(Broken),
}

/// The outcome, in the hands of whoever lends it, or brings it.
pub(crate) type Loan<T, E> = Option<Result<T, E>>;

/// What the caller of a transition does once it is outside.
///
/// After the first ones nothing is left to do. With the others the caller is the lender, and goes on until nothing is left.
#[must_use]
pub(crate) enum Step<T: 'static, E: 'static, P: 'static, F: Flavor> {
    /// Nothing, or nothing more.
    Rest,
    /// Wake the one task that waits.
    Wake(Waker),
    /// Drop what can no longer run.
    Scrap(Entry<T, E, P, F>),
    /// Give the outcome, which is on loan, to its one consumer.
    Deliver(Entry<T, E, P, F>),
    /// The same, of an error of which something more is known.
    DeliverTraced(Entry<T, E, P, F>, Past),
    /// Tell the one consumer that there is no outcome.
    Spoil(Entry<T, E, P, F>, Broken),
    /// Tell the one source that no cancel will come from here.
    Disclaim(Source<F>, Key),
    /// Drop the outcome, which is on loan: nobody can ask for it any more.
    Dispose,
    /// The same, of an error that nobody looked at, or of the end that it would have been made of.
    Lose(Loss, Option<Broken>),
    /// Show the outcome, which is on loan, to the one observer.
    Show(Entry<T, E, P, F>),
    /// Make the error of a rejection by the library.
    Convert(Broken, fn(Broken) -> E),
    /// Leave the one source, and cancel it if the flag says so.
    Leave(Source<F>, Key, bool),
    /// Whatever [`advance`](Shared::advance) says, now or when it is this thread's turn.
    Run,
}

impl<T, E, P, F: Flavor> Step<T, E, P, F> {
    #[inline]
    pub(crate) fn is_rest(&self) -> bool {
        matches!(self, Step::Rest)
    }
}

/// Everything the two ends share, inside the cell.
///
/// A promise with one waker, callback or continuation has it in `entry`, and its one source in `slot`. Whatever is more is in an
/// [`Extra`], which takes the place of the entry.
// In this order, so that what a settle of something small touches lies in two cache lines, with the header, wherever the block begins.
#[repr(C)]
pub struct Shared<T: 'static, E: 'static, P: 'static, F: Flavor> {
    /// The number of those that may still take the outcome: promises, and continuations.
    pub(super) rights: u32,
    /// The number of `Deferred`s.
    pub(super) producers: u32,
    /// The thread that runs the machine, or [`HOME`]. Whoever comes meanwhile appends, and leaves the rest to it. 0 if there is none.
    pub(super) lender: u32,
    pub(super) phase: Phase,
    /// It is of no use to anybody once nobody wants the outcome: it then lets go of what it follows.
    pub(super) aggregate: bool,
    /// Whether the source in `slot` counts on a cancel from here.
    pub(super) claims: bool,
    /// Whether the continuation in `entry` cannot cancel: nobody holds its own promise.
    pub(super) silent: bool,
    pub(super) entry: Option<Entry<T, E, P, F>>,
    pub(super) slot: Slot<T, E, F>,
    pub(super) origin: &'static Location<'static>,
    /// Makes the error of a rejection by the library. `Drop` can carry no bounds, so the constructor captured it.
    pub(super) broken: fn(Broken) -> E,
    pub(super) site: Site,
}

impl<T: 'static, E: 'static, P: 'static, F: Flavor> Shared<T, E, P, F> {
    #[inline]
    pub(super) fn new(broken: fn(Broken) -> E, origin: &'static Location<'static>) -> Self {
        Shared {
            origin,
            broken,
            slot: Slot::Empty,
            entry: None,
            rights: 1,
            producers: 1,
            lender: 0,
            phase: Phase::Pending,
            aggregate: false,
            claims: false,
            silent: false,
            site: Site::UNKNOWN,
        }
    }

    #[inline]
    pub(super) fn settled(broken: fn(Broken) -> E, origin: &'static Location<'static>, outcome: Result<T, E>) -> Self {
        let phase = if outcome.is_ok() { Phase::Resolved } else { Phase::Rejected };
        Shared {
            phase,
            site: Site::at(origin),
            producers: 0,
            slot: Slot::Present(outcome),
            ..Self::new(broken, origin)
        }
    }

    #[inline]
    pub(super) fn is_pending(&self) -> bool {
        self.phase == Phase::Pending
    }

    pub(super) fn is_canceled(&self) -> bool {
        self.phase == Phase::Canceled
    }

    pub(super) fn state(&self) -> State {
        match self.phase {
            Phase::Pending => State::Pending,
            Phase::Resolved => State::Resolved,
            Phase::Rejected | Phase::Seen | Phase::Excused | Phase::Canceled => State::Rejected,
        }
    }

    // What is registered: one entry, or many.

    pub(super) fn many(&self) -> Option<&Extra<T, E, P, F>> {
        self.entry.as_ref().and_then(Entry::<T, E, P, F>::many)
    }

    pub(super) fn many_mut(&mut self) -> Option<&mut Extra<T, E, P, F>> {
        self.entry.as_mut().and_then(Entry::<T, E, P, F>::many_mut)
    }

    /// Makes room for more than one.
    pub(super) fn extra(&mut self) -> &mut Extra<T, E, P, F> {
        if self.many().is_none() {
            let mut extra = raw::boxed(Extra::new);
            // A key of the one entry stays good in the list. If that entry has gone, its key is stale, and must name nobody else.
            if !matches!(self.kind(), Some(Kind::Waker | Kind::Continuation)) {
                extra.consumers.skip_first();
            }
            if let Some(entry) = raw::take_entry(&mut self.entry) {
                let silent = mem::take(&mut self.silent);
                extra.add(entry, !silent);
                extra.silent = u32::from(silent);
            }
            self.entry = Some(Entry::<T, E, P, F>::of_many(extra));
        }
        self.many_mut().expect("it has just been made")
    }

    #[inline]
    pub(super) fn add(&mut self, entry: Entry<T, E, P, F>) -> Key {
        if self.entry.is_none() {
            self.entry = Some(entry);
            return Key::FIRST;
        }
        self.extra().add(entry, true)
    }

    /// The key of the next consumer.
    #[inline]
    pub(super) fn next_key(&mut self) -> Key {
        if self.entry.is_none() { Key::FIRST } else { self.extra().consumers.next_key() }
    }

    /// The kind of what is registered.
    #[inline]
    pub(super) fn kind(&self) -> Option<Kind> {
        self.entry.as_ref().map(Entry::<T, E, P, F>::kind)
    }

    /// Whether the one entry is a consumer that `key` names.
    ///
    /// A key of the one entry stays good when others join it: it is the first in its list.
    pub(super) fn is_first(&self, key: Key) -> bool {
        key == Key::FIRST && matches!(self.kind(), Some(Kind::Waker | Kind::Continuation))
    }

    pub(super) fn waker_mut(&mut self, key: Key) -> Option<&mut Waker> {
        if self.is_first(key) {
            return self.entry.as_mut()?.waker_mut();
        }
        self.many_mut()?.consumers.get_mut(key)?.entry.waker_mut()
    }

    /// Takes a consumer out, and tells whether it can cancel.
    pub(super) fn remove(&mut self, key: Key) -> Option<Consumer<T, E, P, F>> {
        if self.is_first(key) {
            let claims = !mem::take(&mut self.silent);
            return raw::take_entry(&mut self.entry).map(|entry| Consumer { entry, claims });
        }
        self.many_mut()?.consumers.remove(key)
    }

    /// The sources that need no longer count on a cancel from here: nobody is left who could.
    pub(super) fn disclaim_sources(&mut self) -> SmallVec<[(Source<F>, Key); 1]> {
        let mut silenced = SmallVec::new();
        if !self.claims_any() {
            return silenced;
        }
        if let (true, Slot::Follows(source, key)) = (mem::take(&mut self.claims), &self.slot) {
            silenced.push((source.clone(), *key));
        }
        for link in self.extra().links.iter_mut().filter(|link| link.claims) {
            link.claims = false;
            silenced.push((link.source.clone(), link.key));
        }
        silenced
    }

    pub(super) fn extra_clone(&self) -> Option<CloneFn<T, E>> {
        self.many().and_then(|extra| extra.clone)
    }

    // What is the case.

    pub(super) fn observers(&self) -> usize {
        self.many().map_or(usize::from(self.kind() == Some(Kind::Observer)), |extra| extra.observers.len())
    }

    /// Whether somebody still holds a promise, or registered a callback.
    pub(super) fn is_wanted(&self) -> bool {
        self.rights > 0
            || self.kind() == Some(Kind::Observer)
            || self.many().is_some_and(|extra| !extra.observers.is_empty() || extra.has_hearers())
    }

    /// Whether a lender would find something to do.
    #[inline]
    pub(super) fn has_work(&self) -> bool {
        if let Some(extra) = self.many() {
            return self.has_extra_work(extra);
        }
        if self.is_pending() {
            return !self.can_be_canceled()
                && (self.kind() == Some(Kind::Canceler) || self.claims || self.is_idle_aggregate());
        }
        self.entry.is_some() || self.has_settled_work()
    }

    pub(super) fn has_extra_work(&self, extra: &Extra<T, E, P, F>) -> bool {
        if extra.has_events() {
            return true;
        }
        if self.is_pending() {
            return !self.can_be_canceled()
                && (!extra.cancelers.is_empty() || self.claims_any() || self.is_idle_aggregate());
        }
        !extra.observers.is_empty()
            || !extra.consumers.is_empty()
            || !extra.cancelers.is_empty()
            || !extra.links.is_empty()
            || extra.has_listeners()
            || (self.is_deserted() && extra.reports.is_some())
            || self.has_settled_work()
    }

    #[inline]
    pub(super) fn has_settled_work(&self) -> bool {
        match self.slot {
            Slot::Empty => false,
            Slot::Follows(..) => true,
            Slot::Present(_) => self.is_deserted(),
            Slot::Broken(_) => self.rights > 0 || (self.is_deserted() && self.is_unseen()),
            Slot::Spoiled(_) => self.is_deserted() && self.is_unseen(),
        }
    }

    /// Whether anybody is left who could cancel, here or at the end of a chain.
    #[inline]
    pub(super) fn can_be_canceled(&self) -> bool {
        let silent = self.many().map_or(u32::from(self.silent), |extra| extra.silent);
        self.rights > silent
    }

    /// Whether a source still counts on a cancel from here. On an aggregate it always may: that cancels what it does not need.
    pub(super) fn claims_any(&self) -> bool {
        let links = self.many().map_or(&[][..], |extra| &extra.links);
        self.claims || (!self.aggregate && links.iter().any(|link| link.claims))
    }

    pub(super) fn follows_any(&self) -> bool {
        matches!(self.slot, Slot::Follows(..)) || self.many().is_some_and(|extra| !extra.links.is_empty())
    }

    /// An aggregate whose outcome nobody wants, with inputs to let go of.
    pub(super) fn is_idle_aggregate(&self) -> bool {
        self.aggregate && self.follows_any() && !self.is_wanted()
    }

    /// No handle of either end is left that could show the outcome to anybody.
    #[inline]
    pub(super) fn is_deserted(&self) -> bool {
        self.rights == 0 && self.producers == 0
    }

    /// Whether anything but a task waits for this promise: only then can it be part of a ring.
    pub(super) fn is_followed(&self) -> bool {
        match self.many() {
            Some(extra) => !extra.consumers.is_empty(),
            None => self.kind() == Some(Kind::Continuation),
        }
    }

    /// The promises that wait for this one: none, once it is settled, though it may not have served all yet.
    pub(super) fn followers(&self) -> Vec<Node<F>> {
        if !self.is_pending() {
            return Vec::new();
        }
        match self.many() {
            Some(extra) => extra.consumers.iter().filter_map(|consumer| consumer.entry.target()).collect(),
            None => self.entry.iter().filter_map(Entry::<T, E, P, F>::target).collect(),
        }
    }

    /// The tasks that are parked here.
    pub(super) fn parked(&self) -> Option<Parked> {
        if !self.is_pending() {
            return None;
        }
        let mark = |entry: &Entry<T, E, P, F>| entry.waker().map(|waker| Mark::of(waker.data()));
        let wakers = match self.many() {
            Some(extra) => extra.consumers.iter().filter_map(|consumer| mark(&consumer.entry)).collect(),
            None => self.entry.iter().filter_map(mark).collect(),
        };
        Some(Parked { origin: self.origin, wakers })
    }

    /// What it waits for: nothing, once it is settled, though it may not have left all sources yet.
    pub(super) fn sources(&self) -> Sources<F> {
        let mut sources = Sources::<F>::new();
        if self.is_pending() {
            if let Slot::Follows(source, _) = &self.slot {
                sources.push(source.clone());
            }
            sources.extend(self.many().iter().flat_map(|extra| &extra.links).map(|link| link.source.clone()));
        }
        sources
    }
}
