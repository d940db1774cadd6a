//! The transitions: each decides, and says what its caller has to do outside.
//!
//! Nothing in here runs, clones or drops anything of the user's: what has to be dropped is handed out.

use std::mem;
use std::task::Waker;

use super::extra::{Consumer, Link, Links};
use super::flavor::Flavor;
use super::past::Past;
use super::progress::{Event, Listeners};
use super::raw::{self, Kind, Source};
use super::state::{CloneFn, Entry, Loan, Phase, Shared, Slot, Step};
use super::trampoline;
use crate::broken::{Broken, BrokenKind};
use crate::list::Key;

impl<T: 'static, E: 'static, P: 'static, F: Flavor> Shared<T, E, P, F> {
    // Settling.

    /// Settles with what is in `loan`. `None` if it was settled already: then it is still there.
    #[inline]
    pub(super) fn settle(&mut self, past: Past, later: bool, loan: &mut Loan<T, E>) -> Option<Step<T, E, P, F>> {
        if !self.is_pending() {
            return None;
        }
        self.enter(matches!(loan, Some(Ok(_))), past);
        // To its one continuation the outcome goes as it is.
        let direct = !later && self.lender == 0 && matches!(self.slot, Slot::Empty);
        if direct && self.kind() == Some(Kind::Continuation) {
            return Some(self.hand_over());
        }
        let slot = loan.take().map_or(Slot::Empty, Slot::Present);
        Some(self.end(slot, later, loan))
    }

    #[inline]
    pub(super) fn put(&mut self, loan: &mut Loan<T, E>) {
        raw::put_back(&mut self.slot, loan);
    }

    /// Rejects with an end that the library made. `None` if it was settled already.
    pub(super) fn break_with(&mut self, broken: Broken, later: bool) -> Option<Step<T, E, P, F>> {
        if !self.is_pending() {
            return None;
        }
        self.phase = match broken.kind() {
            BrokenKind::Canceled => Phase::Canceled,
            BrokenKind::LoopClosed => Phase::Excused,
            BrokenKind::Panicked => Phase::Rejected,
            // What nobody wants may come to nothing.
            _ if !self.is_wanted() => Phase::Excused,
            _ => Phase::Rejected,
        };
        Some(self.end(Slot::Broken(broken), later, &mut None))
    }

    pub(super) fn break_by(&mut self, kind: BrokenKind, later: bool) -> Option<Step<T, E, P, F>> {
        self.break_with(Broken::new(kind, self.origin), later)
    }

    fn end(&mut self, slot: Slot<T, E, F>, later: bool, loan: &mut Loan<T, E>) -> Step<T, E, P, F> {
        let Slot::Follows(source, key) = mem::replace(&mut self.slot, slot) else { return self.claim(later, loan) };
        // A promise that is settled follows nothing any more.
        let claims = mem::take(&mut self.claims);
        // The callbacks of a cancel come before its sources.
        let tells = self.is_canceled() && self.kind() == Some(Kind::Canceler);
        if later || tells || self.lender != 0 || self.many().is_some() {
            self.extra().links.push(Link { source, key, private: false, claims });
            return self.claim(later, loan);
        }
        self.lender = trampoline::this_thread();
        Step::Leave(source, key, self.leaves_by_cancel())
    }

    /// Whether the sources are canceled with it, if nobody else wants them.
    pub(super) fn leaves_by_cancel(&self) -> bool {
        self.is_canceled() || self.aggregate
    }

    /// The one source of a derived promise has delivered, and needs not be left. The caller drops it.
    #[inline]
    pub(super) fn forget_source(&mut self) -> Option<Source<F>> {
        self.claims = false;
        match mem::replace(&mut self.slot, Slot::Empty) {
            Slot::Follows(source, _) => Some(source),
            other => {
                self.slot = other;
                self.many_mut()?.links.pop().map(|link| link.source)
            }
        }
    }

    /// All sources have delivered, and need not be left. The caller drops them.
    pub(super) fn forget_sources(&mut self) -> Links<F> {
        self.many_mut().map(|extra| mem::take(&mut extra.links)).unwrap_or_default()
    }

    /// Settles on behalf of the one producer, which ends with it.
    pub(super) fn conclude(&mut self, past: Past, later: bool, loan: &mut Loan<T, E>) -> Step<T, E, P, F> {
        let step = self.settle(past, later, loan);
        // Settled by whoever it was, it is not abandoned.
        let disposes = self.drop_producer();
        match step {
            Some(Step::Rest) | None if disposes => self.claim(later, loan),
            step => step.unwrap_or(Step::Rest),
        }
    }

    pub(super) fn add_producer(&mut self) {
        // The references are counted, too, and are one more at least.
        self.producers += 1;
    }

    /// Ends one `Deferred`. The last one may leave something to do: see [`abandon`](Shared::abandon).
    #[inline]
    pub(super) fn drop_producer(&mut self) -> bool {
        self.producers -= 1;
        // Another one will come, or somebody who asks for the outcome; or there is nothing.
        let disposes = || self.rights == 0 && !(matches!(self.slot, Slot::Empty) && self.entry.is_none());
        self.producers == 0 && (self.is_pending() || disposes())
    }

    /// What the last one leaves to do.
    pub(super) fn abandon(&mut self, loan: &mut Loan<T, E>) -> Step<T, E, P, F> {
        match self.break_by(BrokenKind::Abandoned, false) {
            Some(step) => step,
            None => self.claim(false, loan),
        }
    }

    // Registering.

    /// Notes an event of progress. Gives back the report that it replaces, for the caller to drop; `Err` if it comes too late.
    pub(super) fn report(
        &mut self,
        event: Event<P, F>,
        later: bool,
    ) -> Result<(Step<T, E, P, F>, Option<P>), Event<P, F>> {
        let pending = self.is_pending();
        if !pending && matches!(event, Event::Notify(_)) {
            return Err(event);
        }
        let idle = pending && self.lender == 0;
        let replaced = self.extra().reports.get_or_insert_with(Default::default).add(event, idle);
        // There is more than one entry now, so `claim` lends nothing: that is for `advance`.
        Ok((self.claim(later, &mut None), replaced))
    }

    /// Registers an observer or a canceler.
    #[inline]
    pub(super) fn register(&mut self, entry: Entry<T, E, P, F>, loan: &mut Loan<T, E>) -> Step<T, E, P, F> {
        self.add(entry);
        self.claim(false, loan)
    }

    /// Registers a continuation. It takes over the right of the promise that it was made from.
    #[inline]
    pub(super) fn consume(
        &mut self,
        continuation: Entry<T, E, P, F>,
        later: bool,
        loan: &mut Loan<T, E>,
    ) -> (Key, Step<T, E, P, F>) {
        let key = self.add(continuation);
        (key, self.claim(later, loan))
    }

    /// Nobody can cancel the follower `key` any more, and so nobody this promise through it. Where that is all, the step is to tell its
    /// own source.
    pub(super) fn disclaim(&mut self, key: Key) -> Step<T, E, P, F> {
        if self.is_first(key) {
            self.silent = self.kind() == Some(Kind::Continuation);
        } else if let Some(extra) = self.many_mut() {
            if let Some(consumer) = extra.consumers.get_mut(key) {
                if mem::replace(&mut consumer.claims, false) {
                    extra.silent += 1;
                }
            }
        }
        match self.disclaim_simply() {
            Some((source, key)) => Step::Disclaim(source, key),
            None => self.claim(true, &mut None),
        }
    }

    /// Puts a waker where the lender will find it. Gives back what the caller has to drop; `Err` if the outcome is here by now.
    #[inline]
    pub(super) fn park(&mut self, key: &mut Key, waker: Waker) -> Result<Option<Waker>, Waker> {
        if self.can_take() {
            return Err(waker);
        }
        if let Some(parked) = self.waker_mut(*key) {
            return Ok(Some(mem::replace(parked, waker)));
        }
        *key = self.park_newly(waker);
        Ok(None)
    }

    /// Parks a task that is not parked yet.
    #[inline]
    pub(super) fn park_newly(&mut self, waker: Waker) -> Key {
        let entry = Entry::<T, E, P, F>::of_waker(waker);
        match self.many_mut() {
            Some(extra) => extra.consumers.push(Consumer { entry, claims: true }),
            None => self.add(entry),
        }
    }

    /// Whether this very task is parked here already.
    #[inline]
    pub(super) fn is_parked(&mut self, key: Key, waker: &Waker) -> bool {
        self.waker_mut(key).is_some_and(|parked| parked.will_wake(waker))
    }

    /// Takes the waker of a promise out that will not be polled again.
    pub(super) fn unpark(&mut self, key: Key) -> Option<Consumer<T, E, P, F>> {
        self.remove(key)
    }

    /// The listeners that are of no use any more, if it is time to look for them. The caller drops them.
    pub(super) fn thin_out(&mut self) -> Listeners<P, F> {
        let reports = self.many_mut().and_then(|extra| extra.reports.as_mut());
        reports.map(|reports| reports.thin_out()).unwrap_or_default()
    }
}

impl<T: 'static, E: 'static, P: 'static, F: Flavor> Shared<T, E, P, F> {
    // Taking, and giving up.

    pub(super) fn can_take(&self) -> bool {
        !self.is_pending() && self.lender == 0
    }

    /// Takes the outcome on behalf of the only reference, if it is here and nothing else is.
    #[inline]
    pub(super) fn take_alone(&mut self) -> Option<Result<T, E>> {
        if !self.is_idle() || self.lender != 0 {
            return None;
        }
        let outcome = raw::take_present(&mut self.slot)?;
        self.rights -= 1;
        Some(outcome)
    }

    /// Exercises the right of one promise: the last one gets the outcome itself, in `loan`, any other becomes the lender of it.
    #[inline]
    pub(super) fn take(&mut self, loan: &mut Loan<T, E>) -> Take<T, E> {
        if !self.can_take() {
            return Take::Wait;
        }
        if self.rights == 1 && matches!(self.slot, Slot::Present(_)) && self.is_idle() {
            self.rights = 0;
            self.lend_to(loan);
            return Take::Owned;
        }
        self.take_rare(loan)
    }

    #[inline(never)]
    fn take_rare(&mut self, loan: &mut Loan<T, E>) -> Take<T, E> {
        self.see();
        if let Slot::Spoiled(broken) = &self.slot {
            self.rights -= 1;
            return Take::Spoiled(broken.clone());
        }
        assert!(self.lend(loan), "a promise with a right to the outcome found none");
        match self.extra_clone() {
            Some(clone) if self.rights > 1 => Take::Lent(clone),
            _ => Take::Last,
        }
    }

    /// Lends the outcome without using up a right: for who only looks.
    pub(super) fn lend(&mut self, loan: &mut Loan<T, E>) -> bool {
        if !self.can_take() || !matches!(self.slot, Slot::Present(_)) {
            return false;
        }
        self.see();
        self.lend_to(loan);
        self.lender = trampoline::this_thread();
        true
    }

    /// Ends a loan, and uses up `rights` of them. Nothing comes back of one that the last consumer has.
    pub(super) fn give_back(&mut self, rights: u32, loan: &mut Loan<T, E>) -> Step<T, E, P, F> {
        self.rights -= rights;
        self.resume(loan)
    }

    /// One more promise. The function is what the outcome will be cloned with.
    pub(super) fn add_right(&mut self, clone: CloneFn<T, E>) {
        self.rights += 1;
        self.extra().clone = Some(clone);
    }

    /// Ends a promise that did not take the outcome; if it was the last and `cancel` says so, the producer is told by a cancel, and an
    /// error that is here already is none that anybody missed. The caller drops what it gets.
    #[inline]
    pub(super) fn release(
        &mut self,
        key: Key,
        cancel: bool,
        later: bool,
        loan: &mut Loan<T, E>,
    ) -> (Option<Consumer<T, E, P, F>>, Step<T, E, P, F>) {
        let consumer = self.remove(key);
        self.rights -= 1;
        if let (Some(Consumer { claims: false, .. }), Some(extra)) = (&consumer, self.many_mut()) {
            extra.silent -= 1;
        }
        if cancel {
            self.see();
        }
        let canceled = if cancel && self.rights == 0 { self.break_by(BrokenKind::Canceled, later) } else { None };
        let step = canceled.unwrap_or_else(|| self.claim(later, loan));
        (consumer, step)
    }

    /// Does what may cancel this promise, and tells where it was made if it did.
    #[inline]
    pub(super) fn tell_cancel<R>(
        &mut self,
        f: impl FnOnce(&mut Self) -> R,
    ) -> (Option<&'static std::panic::Location<'static>>, R) {
        let pending = self.is_pending();
        let result = f(self);
        ((pending && self.is_canceled()).then_some(self.origin), result)
    }

    /// The same for a continuation, which may have run already; see [`Machine::withdraw`](super::node::Machine::withdraw).
    pub(super) fn withdraw(&mut self, key: Key, cancel: bool) -> (Option<Consumer<T, E, P, F>>, Step<T, E, P, F>) {
        let here = self.is_first(key) || self.many_mut().is_some_and(|extra| extra.consumers.get_mut(key).is_some());
        if here { self.release(key, cancel, true, &mut None) } else { (None, Step::Rest) }
    }

    // Following.

    /// A promise that follows the entry `key` of a source from the beginning.
    #[inline]
    pub(super) fn following(mut self, source: Source<F>, key: Key) -> Self {
        self.claims = true;
        self.slot = Slot::Follows(source, key);
        self
    }

    /// Notes the one source of a new promise, whose maker has not shown it to anybody. Gives it back, for the caller to drop, if the
    /// promise is settled all the same.
    #[inline]
    pub(super) fn follow_first(&mut self, source: Source<F>, key: Key) -> Option<Source<F>> {
        if !self.is_pending() {
            return Some(source);
        }
        self.slot = Slot::Follows(source, key);
        None
    }

    /// Notes what this promise follows. A settled one follows nothing: its caller withdraws the links that come back, and cancels
    /// their sources if the flag says so.
    pub(super) fn follow(&mut self, links: Links<F>) -> (Step<T, E, P, F>, Links<F>, bool) {
        if !self.is_pending() {
            return (Step::Rest, links, self.leaves_by_cancel());
        }
        if links.len() > 1 && self.extra().links.is_empty() {
            self.extra().links = links;
            return (self.claim(true, &mut None), Links::<F>::new(), false);
        }
        for link in links {
            if matches!(self.slot, Slot::Empty) && self.many().is_none() && !link.private && !self.aggregate {
                self.claims = link.claims;
                self.slot = Slot::Follows(link.source, link.key);
            } else {
                self.extra().links.push(link);
            }
        }
        (self.claim(true, &mut None), Links::<F>::new(), false)
    }
}

/// What [`Shared::take`] found.
pub(crate) enum Take<T, E> {
    /// Pending, or lent.
    Wait,
    /// The outcome itself is on loan, and needs not come back.
    Owned,
    /// The outcome is on loan: to be cloned, and then given back.
    Lent(CloneFn<T, E>),
    /// The outcome is on loan: for the caller, who then gives nothing back.
    Last,
    Spoiled(Broken),
}
