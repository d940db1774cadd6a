//! The one order of all that is done for a promise: [`next`](State::next) says what its lender does. It changes nothing.

use super::flavor::Flavor;
use super::raw::{Content, Kinds};
use super::state::{IDLES, RARE_MARKS, ROOM, Rare, State};
use super::trampoline;

/// What the lender does next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Next {
    /// Nothing: the loan ends.
    Rest,
    /// Tell the next report.
    Report,
    /// Take the promise to its executor.
    Post,
    /// Run the callbacks of a cancel.
    Cancel,
    /// Leave the sources.
    Leave,
    /// Tell the sources that no cancel will come from here.
    DropClaims,
    /// Drop what can no longer run or be of use.
    Drop,
    DropRoom,
    /// Make the error of an end that the library made.
    Make,
    /// Show the outcome to the observers.
    Observe,
    /// Wake the one task, which ends the loan.
    Wake,
    /// Serve the one continuation, which ends the loan.
    Last,
    /// Take several continuations out, each with an outcome of its own.
    Consume,
    /// Drop the outcome: nothing can ask for it any more.
    Dispose,
    /// Report an end for which no error was ever made.
    Lose,
    /// Wake the tasks, and serve the continuations that were taken out, which ends the loan.
    Serve,
}

impl<F: Flavor> State<F> {
    /// What the lender does next. Of a promise with an executor most is done there alone (`at_home`).
    #[inline(always)]
    pub(super) fn next(&self, at_home: bool) -> Next {
        let kinds = self.callbacks.kinds();
        if kinds.has(Kinds::LISTS | Kinds::CANCELER) || self.is(RARE_MARKS) {
            return self.next_of_any(kinds, at_home);
        }
        if self.is_pending() {
            return if self.can_be_canceled() || !self.has_claim() { Next::Rest } else { Next::DropClaims };
        }
        if !matches!(self.content, Content::Outcome) {
            return self.next_of_any(kinds, at_home);
        }
        match kinds {
            Kinds::NONE if self.is_in_the_way() => Next::Dispose,
            Kinds::NONE => Next::Rest,
            _ if kinds.has(Kinds::OBSERVER) => Next::Observe,
            _ if kinds.has(Kinds::WAKER) => Next::Wake,
            _ => Next::Last,
        }
    }

    /// The one order of all. [`next`](State::next) is the part of it that most promises need: one callback in place, or none.
    #[inline(never)]
    fn next_of_any(&self, kinds: Kinds, at_home: bool) -> Next {
        // A promise with an executor may have another lender by now.
        if self.has_executor() && self.is_lent() && self.lender != trampoline::this_thread() {
            return Next::Rest;
        }
        let rare = self.callbacks.rare();
        let bound = !at_home && self.has_executor() && rare.is_some_and(|rare| self.is_bound(kinds, rare));
        match rare {
            Some(rare) if bound && !rare.posted => return Next::Post,
            Some(rare) if !bound && rare.has_events() => return Next::Report,
            _ => {}
        }
        if self.is_pending() {
            return self.next_of_pending(kinds);
        }
        if self.is_canceled() && kinds.has(Kinds::CANCELER) {
            return Next::Cancel;
        }
        if self.is(ROOM) {
            return Next::DropRoom;
        }
        if self.follows() {
            return Next::Leave;
        }
        if bound {
            return Next::Rest;
        }
        if kinds.has(Kinds::CANCELER) || rare.is_some_and(Rare::has_listeners) {
            return Next::Drop;
        }
        match self.content {
            Content::Empty if self.rights > 0 || kinds.has(Kinds::OBSERVER) => Next::Make,
            Content::Outcome if kinds.has(Kinds::OBSERVER) => Next::Observe,
            _ if kinds.has(Kinds::OBSERVER) => Next::Drop,
            _ if kinds.has(Kinds::CONTINUATION) && kinds.has(Kinds::LISTS) => Next::Consume,
            _ if kinds.has(Kinds::CONTINUATION) => Next::Last,
            Content::Outcome if self.is_in_the_way() => Next::Dispose,
            Content::Empty | Content::Spoiled if self.is_deserted() && self.is_unseen() => Next::Lose,
            _ if self.is_deserted() && rare.is_some_and(|rare| rare.reports.is_some()) => Next::Drop,
            _ if kinds.has(Kinds::WAKER) && !kinds.has(Kinds::LISTS) => Next::Wake,
            _ if kinds.has(Kinds::WAKER | Kinds::READY) => Next::Serve,
            _ => Next::Rest,
        }
    }

    fn next_of_pending(&self, kinds: Kinds) -> Next {
        if self.is(IDLES) && self.follows() && !self.is_wanted() {
            return Next::Leave;
        }
        if self.can_be_canceled() {
            return Next::Rest;
        }
        if kinds.has(Kinds::CANCELER) {
            return Next::Drop;
        }
        if self.has_claims() { Next::DropClaims } else { Next::Rest }
    }

    /// Whether nothing is registered and nothing is left to do, or a lender is at it: most ends of visits find no more.
    #[inline(always)]
    pub(super) fn is_quiet(&self) -> bool {
        self.is_lent()
            || (self.callbacks.is_idle()
                && !self.is(RARE_MARKS)
                && match self.content {
                    Content::Outcome => !self.is_in_the_way(),
                    Content::Nothing => true,
                    content => matches!(content, Content::Empty) && self.is_pending(),
                })
    }

    /// Becomes the lender. A promise with something to do at its executor is lent there alone.
    #[inline(always)]
    pub(super) fn start_lending(&mut self, at_home: bool) {
        let away = self.has_executor() && !at_home && self.awaits_executor();
        self.lender = if away { 0 } else { trampoline::this_thread() };
    }

    /// Is the lender no more, if it was.
    #[inline(always)]
    pub(super) fn end_lending(&mut self) {
        if !self.has_executor() || self.lender == trampoline::this_thread() {
            self.lender = 0;
        }
    }

    /// What there is to do waits for its turn on this thread, which counts as the lender until then; but an executor need not wait for it.
    pub(super) fn postpone(&mut self) {
        self.lender = if self.has_executor() { 0 } else { trampoline::this_thread() };
    }
}
