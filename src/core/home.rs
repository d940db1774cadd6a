//! The home of a promise: a place, of which the core knows nothing but the way, where callbacks and continuations run instead of on
//! the thread that settles or registers.
//!
//! Work that comes up elsewhere makes nobody the lender: [`HOME`] stands in the lender's place, from the transition on that brought
//! the work. Whoever wants the outcome waits then, as the observers come first, and whoever is at home may take the work up. The
//! machine elsewhere sends word, so that somebody does, and then sees to what may be done anywhere: it tells the sources of a canceled
//! promise, so that a cancel has reached them when it returns. Only where nothing is left that runs a callback, but somebody waits to
//! be woken, say, it lends there.

use std::mem;
use std::num::NonZeroUsize;

use super::flavor::Flavor;
use super::lend::{Loan, Step};
use super::state::{Action, Consumer, Shared, State};
use crate::trampoline;

/// In the lender's place: there is work, which is waiting to be taken up at home. It names no thread.
pub(super) const HOME: NonZeroUsize = NonZeroUsize::MAX;

/// The way home of one promise: has [`arrive`](super::arrive) called there, or here and now if nobody is there any more.
pub(crate) struct Home(Box<dyn Fn() + Send + Sync>);

impl Home {
    pub(crate) fn new(send: impl Fn() + Send + Sync + 'static) -> Self {
        Home(Box::new(send))
    }

    pub(super) fn send(&self) {
        (self.0)();
    }
}

/// Where the machine of a promise that has a home runs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Home,
    /// Elsewhere, without lending.
    Away,
    /// Elsewhere, as the lender.
    Abroad,
}

impl<T: 'static, E: 'static, P: 'static, F: Flavor> Shared<T, E, P, F> {
    pub(super) fn is_lent(&self) -> bool {
        self.lender.is_some_and(|lender| lender != HOME)
    }

    /// Whether there is something to do that runs at home alone, in case there is one.
    fn is_bound(&self) -> bool {
        let reports = self.reports.as_ref().is_some_and(|reports| reports.has_events());
        let continuations = || self.consumers.iter().any(|consumer| matches!(consumer, Consumer::Continuation { .. }));
        reports || (self.state != State::Pending && (!self.observers.is_empty() || continuations()))
    }

    /// Whether the outcome waits for what is to be done at home.
    pub(super) fn awaits_home(&self) -> bool {
        self.lender == Some(HOME) && self.is_bound()
    }

    /// The word is at home, or somebody came without. Makes the caller the lender, if there is work that nobody else is at.
    pub(super) fn arrive(&mut self) -> Action {
        self.sent = false;
        if self.is_lent() {
            return Action::Rest;
        }
        self.lender = self.has_work().then(trampoline::this_thread);
        if self.lender.is_some() { Action::Run } else { Action::Rest }
    }

    /// The next step of a machine that is not at home. `None` if it is, or if nothing has to be done there, and it lends.
    pub(super) fn advance_away(&mut self, loan: &mut Loan<T, E, P, F>) -> Option<Step<T, E, P, F>> {
        if loan.place == Place::Home {
            return None;
        }
        let home = self.home.as_ref()?;
        let (bound, free) = (self.is_bound(), loan.place == Place::Abroad || !self.is_lent());
        if bound && free {
            (self.lender, loan.place) = (Some(HOME), Place::Away);
            if !mem::replace(&mut self.sent, true) {
                return Some(Step::Send(home.clone()));
            }
        }
        if self.canceled && !self.cancelers.is_empty() {
            return Some(Step::Cancel(mem::take(&mut self.cancelers)));
        }
        if self.canceled && !self.links.is_empty() {
            return Some(Step::Unfollow(mem::take(&mut self.links), true));
        }
        if bound || !free {
            return Some(Step::Finish);
        }
        (self.lender, loan.place) = (Some(trampoline::this_thread()), Place::Abroad);
        None
    }
}
