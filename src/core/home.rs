//! The home of a promise: a place, of which the core knows nothing but the way, where callbacks and continuations run instead of on
//! the thread that settles or registers.
//!
//! Work that comes up elsewhere makes nobody the lender: [`HOME`] stands in the lender's place, from the transition on that brought
//! the work. Whoever wants the outcome waits then, as the observers come first, and whoever is at home may take the work up. The
//! machine elsewhere sends word, so that somebody does, and then sees to what may be done anywhere: it tells the sources of a canceled
//! promise, so that a cancel has reached them when it returns. Only where nothing is left that runs a callback, but somebody waits to
//! be woken, say, it lends there.

use std::mem;

use super::flavor::Flavor;
use super::handle::Core;
use super::lend::{Loans, Task};
use super::raw::Kind;
use super::state::{Shared, Step};
use super::trampoline;

/// In the lender's place: there is work, which is waiting to be taken up at home. It names no thread.
pub(super) const HOME: u32 = u32::MAX;

/// The way home of a promise: has [`arrive`](super::arrive) called there, or here and now if nobody is there any more.
pub(crate) struct Home<T: 'static, E: 'static, P: 'static, F: Flavor>(Box<dyn Fn(&Core<T, E, P, F>) + Send + Sync>);

impl<T, E, P, F: Flavor> Home<T, E, P, F> {
    pub(crate) fn new(send: impl Fn(&Core<T, E, P, F>) + Send + Sync + 'static) -> Self {
        Home(Box::new(send))
    }

    pub(super) fn send(&self, promise: &Core<T, E, P, F>) {
        (self.0)(promise);
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
        self.lender != 0 && self.lender != HOME
    }

    pub(super) fn has_home(&self) -> bool {
        self.many().is_some_and(|extra| extra.home.is_some())
    }

    /// Whether there is something to do that runs at home alone, in case there is one.
    fn is_bound(&self) -> bool {
        let Some(extra) = self.many() else { return false };
        let continuations = || extra.consumers.iter().any(|consumer| consumer.entry.kind() == Kind::Continuation);
        extra.has_events() || (!self.is_pending() && (!extra.observers.is_empty() || continuations()))
    }

    /// Whether the outcome waits for what is to be done at home.
    pub(super) fn awaits_home(&self) -> bool {
        self.lender == HOME && self.is_bound()
    }

    /// The word is at home, or somebody came without. Makes the caller the lender, if there is work that nobody else is at.
    pub(super) fn arrive(&mut self) -> Step<T, E, P, F> {
        if let Some(extra) = self.many_mut() {
            extra.sent = false;
        }
        if self.is_lent() {
            return Step::Rest;
        }
        if !self.has_work() {
            self.lender = 0;
            return Step::Rest;
        }
        self.lender = trampoline::this_thread();
        Step::Run
    }

    /// The next task of a machine that is not at home. `None` if it is, or if nothing has to be done there, and it lends.
    pub(super) fn advance_away(&mut self, loans: &mut Loans<T, E, P, F>) -> Option<Task<T, E, P, F>> {
        if loans.place == Place::Home || !self.has_home() {
            return None;
        }
        let (bound, free) = (self.is_bound(), loans.place == Place::Abroad || !self.is_lent());
        if bound && free {
            (self.lender, loans.place) = (HOME, Place::Away);
            let extra = self.extra();
            if !mem::replace(&mut extra.sent, true) {
                return extra.home.clone().map(Task::Send);
            }
        }
        let canceled = self.is_canceled();
        let extra = self.extra();
        if canceled && !extra.cancelers.is_empty() {
            return Some(Task::Cancel(mem::take(&mut extra.cancelers)));
        }
        if canceled && !extra.links.is_empty() {
            return Some(Task::Unfollow(mem::take(&mut extra.links), true));
        }
        if bound || !free {
            return Some(Task::Finish);
        }
        (self.lender, loans.place) = (trampoline::this_thread(), Place::Abroad);
        None
    }
}
