//! What a lender finds to do first: all there is, if the promise has one entry. Otherwise it goes on with
//! [`advance`](Shared::advance).

use std::mem;

use super::flavor::Flavor;
use super::home::HOME;
use super::raw::{self, Kind};
use super::state::{Entry, Loan, Shared, Slot, Step};
use super::trampoline;

impl<T: 'static, E: 'static, P: 'static, F: Flavor> Shared<T, E, P, F> {
    /// Makes the caller the lender if there is work and nobody lends, and says what comes first. What has to wait for its turn on this
    /// thread (`later`) begins then.
    #[inline]
    pub(super) fn claim(&mut self, later: bool, loan: &mut Loan<T, E>) -> Step<T, E, P, F> {
        if self.is_lent() || !self.has_work() {
            return Step::Rest;
        }
        if self.has_home() {
            self.lender = HOME;
            return Step::Run;
        }
        self.lender = trampoline::this_thread();
        if later { Step::Run } else { self.begin(loan) }
    }

    /// Takes back what the lender had, and says what comes next.
    #[inline]
    pub(super) fn resume(&mut self, loan: &mut Loan<T, E>) -> Step<T, E, P, F> {
        self.put(loan);
        if self.has_home() {
            self.lender = 0;
            return self.claim(false, loan);
        }
        if self.has_work() {
            return self.begin(loan);
        }
        self.lender = 0;
        Step::Rest
    }

    /// The first thing for the lender to do. It is the last one, too, if the step says so, and then nobody lends any more.
    #[inline]
    pub(super) fn begin(&mut self, loan: &mut Loan<T, E>) -> Step<T, E, P, F> {
        if self.is_pending() {
            return self.begin_pending();
        }
        match (&self.slot, self.kind()) {
            (Slot::Present(_), Some(Kind::Observer)) => {
                self.lend_to(loan);
                if self.is_unseen() {
                    self.show_error();
                }
                raw::take_entry(&mut self.entry).map_or(Step::Run, Step::Show)
            }
            (Slot::Present(_), Some(Kind::Continuation)) => {
                self.lend_to(loan);
                self.hand_over()
            }
            (Slot::Present(_), Some(Kind::Waker)) => self.wake(),
            (Slot::Present(_), None) => {
                debug_assert!(self.is_deserted(), "an outcome was disposed of that somebody may ask for");
                self.lend_to(loan);
                match self.loss() {
                    None => {
                        self.lender = 0;
                        Step::Dispose
                    }
                    Some(loss) => Step::Lose(loss, None),
                }
            }
            _ => self.begin_rare(),
        }
    }

    #[inline]
    pub(super) fn lend_to(&mut self, loan: &mut Loan<T, E>) {
        raw::lend(&mut self.slot, loan);
    }

    /// Uses up the one right: the outcome, which is on loan, goes to the one continuation.
    #[inline]
    pub(super) fn hand_over(&mut self) -> Step<T, E, P, F> {
        self.rights -= 1;
        self.silent = false;
        self.lender = 0;
        let past = self.past();
        match raw::take_entry(&mut self.entry) {
            None => Step::Rest,
            Some(continuation) if past.is_unknown() => Step::Deliver(continuation),
            Some(continuation) => Step::DeliverTraced(continuation, past),
        }
    }

    #[inline]
    fn wake(&mut self) -> Step<T, E, P, F> {
        self.lender = 0;
        match raw::take_entry(&mut self.entry).map(Entry::<T, E, P, F>::into_waker) {
            Some(Ok(waker)) => Step::Wake(waker),
            Some(Err(entry)) => Step::Scrap(entry),
            None => Step::Rest,
        }
    }

    #[cold]
    fn begin_rare(&mut self) -> Step<T, E, P, F> {
        let kind = self.kind();
        if matches!(self.slot, Slot::Follows(..))
            || kind == Some(Kind::Many)
            || (kind == Some(Kind::Canceler) && self.is_canceled())
        {
            return Step::Run;
        }
        let wanted = self.rights > 0 || kind == Some(Kind::Observer);
        if !wanted || matches!(self.slot, Slot::Spoiled(_)) {
            if let Some((loss, broken)) = self.take_lost() {
                return Step::Lose(loss, Some(broken));
            }
        }
        match mem::replace(&mut self.slot, Slot::Empty) {
            Slot::Broken(broken) if wanted => Step::Convert(broken, self.broken),
            Slot::Spoiled(broken) if kind == Some(Kind::Continuation) => {
                self.slot = Slot::Spoiled(broken.clone());
                self.see();
                match self.hand_over() {
                    Step::Deliver(continuation) | Step::DeliverTraced(continuation, _) => {
                        Step::Spoil(continuation, broken)
                    }
                    other => other,
                }
            }
            other => {
                self.slot = other;
                // A waker, or what can no longer run.
                self.wake()
            }
        }
    }

    fn begin_pending(&mut self) -> Step<T, E, P, F> {
        let canceler = self.kind() == Some(Kind::Canceler);
        if self.many().is_some() || self.is_idle_aggregate() || (canceler && self.claims) {
            return Step::Run;
        }
        self.lender = 0;
        match (&self.slot, self.entry.take_if(|_| canceler)) {
            (_, Some(canceler)) => Step::Scrap(canceler),
            (Slot::Follows(source, key), None) if mem::take(&mut self.claims) => Step::Disclaim(source.clone(), *key),
            _ => Step::Rest,
        }
    }
}
