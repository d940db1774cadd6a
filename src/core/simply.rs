//! The common cases in few instructions. Whatever else there is, the transitions in `transitions.rs` think of.

use std::mem;
use std::task::Waker;

use super::extra::{Consumer, Extra};
use super::flavor::Flavor;
use super::past::Past;
use super::raw::{self, Kind, Source};
use super::state::{Entry, Loan, Phase, Shared, Slot};
use super::trampoline;
use crate::broken::{Broken, BrokenKind};
use crate::list::{Key, Taken};

/// Those that wait, in their order.
pub(super) type Wakers<T, E, P, F> = Taken<Consumer<T, E, P, F>>;

impl<T: 'static, E: 'static, P: 'static, F: Flavor> Shared<T, E, P, F> {
    /// Whether nothing is registered, and nothing is to be told.
    #[inline]
    pub(super) fn is_idle(&self) -> bool {
        self.entry.is_none() || self.many().is_some_and(Extra::is_idle)
    }

    /// Whether a settle finds nothing to think of but what is registered.
    #[inline]
    pub(super) fn settles_simply(&self) -> bool {
        self.is_pending() && self.lender == 0 && matches!(self.slot, Slot::Empty)
    }

    /// Settles, and leaves the outcome for whoever comes.
    #[inline]
    pub(super) fn settle_simply(&mut self, resolved: bool, outcome: Result<T, E>, past: Past) {
        self.enter(resolved, past);
        raw::put_present(&mut self.slot, outcome);
    }

    /// Settles, and makes the caller the lender, who shows the outcome to the one observer.
    #[inline]
    pub(super) fn settle_to_show(&mut self, resolved: bool, past: Past) -> Option<Entry<T, E, P, F>> {
        self.enter(resolved, past);
        if !resolved {
            self.show_error();
        }
        self.lender = trampoline::this_thread();
        self.take_entry()
    }

    /// Settles, and takes out the one continuation, which takes the one right: the outcome goes there as it is.
    #[inline]
    pub(super) fn settle_to_deliver(&mut self, resolved: bool, past: Past) -> Option<Entry<T, E, P, F>> {
        self.enter(resolved, past);
        debug_assert_eq!(self.rights, 1, "a clone is not the one continuation");
        (self.rights, self.silent) = (0, false);
        self.take_entry()
    }

    /// Whether the outcome of a promise that follows nothing goes as it is to its one continuation.
    #[inline]
    pub(super) fn hands_on_simply(&self) -> bool {
        self.is_pending()
            && self.lender == 0
            && matches!(self.slot, Slot::Empty)
            && self.kind() == Some(Kind::Continuation)
            && self.producers == 1
    }

    /// Settles on behalf of the one producer, which ends, and takes out the one continuation, which takes the one right.
    #[inline]
    pub(super) fn hand_on(&mut self, resolved: bool, past: Past) -> Option<Entry<T, E, P, F>> {
        self.producers = 0;
        self.settle_to_deliver(resolved, past)
    }

    /// Settles, and makes the caller the lender, who shows the outcome to several observers, if nothing else is registered.
    #[inline]
    pub(super) fn settle_to_show_all(&mut self, resolved: bool, past: Past) -> Option<Vec<Entry<T, E, P, F>>> {
        let extra = self.many_mut().filter(|extra| extra.has_observers_only())?;
        let observers = mem::take(&mut extra.observers);
        self.enter(resolved, past);
        if !resolved && observers.iter().any(Entry::<T, E, P, F>::sees_errors) {
            self.see();
        }
        self.lender = trampoline::this_thread();
        Some(observers)
    }

    /// Settles, leaves the outcome for whoever comes, and takes out several that wait to be woken, if nothing else is registered.
    #[inline]
    pub(super) fn settle_to_wake_all(
        &mut self,
        outcome: Result<T, E>,
        past: Past,
    ) -> Result<Wakers<T, E, P, F>, Result<T, E>> {
        match self.many_mut() {
            Some(extra) if extra.has_wakers_only() => {
                let wakers = extra.consumers.take();
                self.settle_simply(outcome.is_ok(), outcome, past);
                Ok(wakers)
            }
            _ => Err(outcome),
        }
    }

    /// Cancels a promise that follows one source, if nothing is registered, and makes the caller the lender, who cancels that source.
    #[inline]
    pub(super) fn cancel_simply(&mut self) -> Option<(Source<F>, Key)> {
        if !matches!(self.slot, Slot::Follows(..)) || self.entry.is_some() || self.lender != 0 || !self.is_pending() {
            return None;
        }
        let Slot::Follows(source, key) = mem::replace(&mut self.slot, Slot::Empty) else { return None };
        let broken = Broken::new(BrokenKind::Canceled, self.origin);
        self.slot = broken.into_error().map_or_else(Slot::Broken, |error| Slot::Present(Err(error)));
        (self.phase, self.claims) = (Phase::Canceled, false);
        self.lender = trampoline::this_thread();
        Some((source, key))
    }

    /// Whether nothing is left to do once the source has been canceled.
    #[inline]
    pub(super) fn has_left_simply(&self) -> bool {
        matches!(self.slot, Slot::Present(_)) && self.gives_back_simply()
    }

    /// Notes a report of which nobody has to be told, where others were noted before. Otherwise it comes back.
    #[inline]
    pub(super) fn note_simply(&mut self, report: P) -> Result<Option<P>, P> {
        let idle = self.is_pending() && self.lender == 0;
        match self.many_mut().and_then(|extra| extra.reports.as_mut()) {
            // What it replaces is for the caller to drop.
            Some(reports) if idle && reports.is_quiet() => Ok(reports.last.replace(report)),
            _ => Err(report),
        }
    }

    /// Registers one observer more, if there are others, and before it is their turn. Otherwise it comes back.
    #[inline]
    pub(super) fn register_among(&mut self, observer: Entry<T, E, P, F>) -> Option<Entry<T, E, P, F>> {
        let early = self.is_pending() || self.lender != 0;
        match self.kind() {
            Some(Kind::Observer) if early => {}
            Some(Kind::Many) if early && !self.has_home() => {}
            _ => return Some(observer),
        }
        self.extra().add_observer(observer);
        None
    }

    /// The one observer is about to be shown an error: one of `done` looks away.
    #[cold]
    pub(super) fn show_error(&mut self) {
        if self.entry.as_ref().is_some_and(Entry::<T, E, P, F>::sees_errors) {
            self.see();
        }
    }

    #[inline]
    pub(super) fn take_waker(&mut self) -> Option<Waker> {
        raw::take_waker(&mut self.entry)
    }

    /// Whether a task that waits can be parked as the one entry.
    #[inline]
    pub(super) fn parks_simply(&self) -> bool {
        self.entry.is_none() && self.is_pending()
    }

    #[inline]
    pub(super) fn park_simply(&mut self, waker: Waker) {
        raw::put_entry(&mut self.entry, Entry::<T, E, P, F>::of_waker(waker));
    }

    #[inline]
    pub(super) fn take_entry(&mut self) -> Option<Entry<T, E, P, F>> {
        raw::take_entry(&mut self.entry)
    }

    /// Whether the only reference can end with nothing left to do but to drop an outcome that is here.
    #[inline]
    pub(super) fn ends_simply(&self) -> bool {
        self.is_idle() && self.lender == 0 && !matches!(self.slot, Slot::Follows(..))
    }

    #[inline]
    pub(super) fn take_outcome(&mut self) -> Option<Result<T, E>> {
        raw::take_present(&mut self.slot)
    }

    /// Whether a promise that has no waker here can end with nothing left to do.
    #[inline]
    pub(super) fn releases_simply(&self) -> bool {
        if self.is_pending() {
            !self.aggregate && !self.claims && matches!(self.kind(), None | Some(Kind::Observer))
        } else {
            self.producers > 0 && self.is_idle()
        }
    }

    /// A promise that ends is the last that could cancel, and there is nothing to do but to tell the one source, which comes out.
    #[inline]
    pub(super) fn release_and_disclaim(&mut self) -> Option<(Source<F>, Key)> {
        if !self.claims || self.rights != 1 {
            return None;
        }
        self.rights = 0;
        let source = self.disclaim_simply();
        self.rights = u32::from(source.is_none());
        source
    }

    /// The source to be told that no cancel will come from here, if nobody is left who could and that is all there is to do.
    #[inline]
    pub(super) fn disclaim_simply(&mut self) -> Option<(Source<F>, Key)> {
        let simply = self.claims && self.is_pending() && !self.aggregate && self.lender == 0;
        let last = matches!(self.kind(), None | Some(Kind::Observer | Kind::Continuation)) && !self.can_be_canceled();
        match &self.slot {
            Slot::Follows(source, key) if simply && last => {
                self.claims = false;
                Some((source.clone(), *key))
            }
            _ => None,
        }
    }

    /// Whether a new observer can be registered as the one entry: it is not its turn yet.
    #[inline]
    pub(super) fn registers_simply(&self) -> bool {
        self.entry.is_none() && (self.is_pending() || self.lender != 0)
    }

    #[inline]
    pub(super) fn register_simply(&mut self, entry: Entry<T, E, P, F>) {
        raw::put_entry(&mut self.entry, entry);
    }

    /// Makes the caller the lender, who shows the outcome to a late observer, if that is all there is to do.
    #[inline]
    pub(super) fn lend_simply(&mut self, loan: &mut Loan<T, E>) -> bool {
        // Whether it is the first to see an error is one thing more to think of.
        let simply = self.is_idle() && self.can_take() && !self.is_unseen() && raw::lend(&mut self.slot, loan);
        if simply {
            self.lender = trampoline::this_thread();
        }
        simply
    }

    /// Ends the loan to an observer, if nothing else is left to do.
    #[inline]
    pub(super) fn gives_back_simply(&self) -> bool {
        self.is_idle() && !self.is_deserted()
    }

    #[inline]
    pub(super) fn give_back_simply(&mut self, loan: &mut Loan<T, E>) {
        self.put(loan);
        self.lender = 0;
    }
}
