//! The common cases in few instructions. Whatever else there is, the transitions in `transitions.rs` think of.

use std::task::Waker;

use super::flavor::Flavor;
use super::raw::{self, Kind};
use super::state::{Entry, Phase, Shared, Slot};
use super::trampoline;

impl<T: 'static, E: 'static, P: 'static, F: Flavor> Shared<T, E, P, F> {
    /// Whether a settle finds at most one entry, and nothing else to think of.
    #[inline]
    pub(super) fn settles_simply(&self) -> bool {
        self.is_pending() && self.lender == 0 && self.rights > 0 && matches!(self.slot, Slot::Empty)
    }

    /// Settles, and leaves the outcome for whoever comes.
    #[inline]
    pub(super) fn settle_simply(&mut self, outcome: Result<T, E>) {
        self.phase = if outcome.is_ok() { Phase::Resolved } else { Phase::Rejected };
        raw::put_present(&mut self.slot, outcome);
    }

    /// Settles, and makes the caller the lender, who shows the outcome to the one observer.
    #[inline]
    pub(super) fn settle_to_show(&mut self, resolved: bool) -> Option<Entry<T, E, P, F>> {
        self.phase = if resolved { Phase::Resolved } else { Phase::Rejected };
        self.lender = trampoline::this_thread();
        self.take_entry()
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
        self.entry.is_none() && self.lender == 0 && !matches!(self.slot, Slot::Follows(..))
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
            self.producers > 0 && self.entry.is_none()
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
    pub(super) fn lend_simply(&mut self) -> Option<Result<T, E>> {
        if self.entry.is_some() || !self.can_take() {
            return None;
        }
        let outcome = raw::take_present(&mut self.slot)?;
        self.lender = trampoline::this_thread();
        Some(outcome)
    }

    /// Ends the loan to an observer, if nothing else is left to do.
    #[inline]
    pub(super) fn gives_back_simply(&self) -> bool {
        self.entry.is_none() && !self.is_deserted()
    }

    #[inline]
    pub(super) fn give_back_simply(&mut self, outcome: Result<T, E>) {
        raw::put_present(&mut self.slot, outcome);
        self.lender = 0;
    }
}
