//! Progress: the reports of one promise, in the order in which they were issued.

use std::any::Any;
use std::collections::VecDeque;
use std::mem;
use std::sync::Weak;

use smallvec::SmallVec;

use super::flavor::Flavor;

/// Something that a lender has to tell, or whom to tell it from now on.
pub(crate) enum Event<P: 'static, F: Flavor> {
    Notify(P),
    /// A newcomer gets the last report first, so it stands in the same queue.
    Listen(Listener<P, F>),
}

/// A callback for reports.
pub(crate) struct Listener<P: 'static, F: Flavor> {
    pub(super) call: F::Listener<P>,
    /// For whom it listens, if that is not user code: it is of no use once that is gone.
    follower: Option<Weak<dyn Any + Send + Sync>>,
}

pub(crate) type Listeners<P, F> = SmallVec<[Listener<P, F>; 1]>;

impl<P: 'static, F: Flavor> Listener<P, F> {
    pub(super) fn new(call: F::Listener<P>) -> Self {
        Listener { call, follower: None }
    }

    pub(super) fn relay(call: F::Listener<P>, follower: Weak<dyn Any + Send + Sync>) -> Self {
        Listener { call, follower: Some(follower) }
    }

    fn is_of_use(&self) -> bool {
        self.follower.as_ref().is_none_or(|follower| follower.strong_count() > 0)
    }
}

/// The progress of a promise: made with the first report or listener.
pub(crate) struct Reports<P: 'static, F: Flavor> {
    /// What a late listener is told.
    pub(super) last: Option<P>,
    pub(super) events: VecDeque<Event<P, F>>,
    pub(super) listeners: Listeners<P, F>,
    /// Listeners are out with the lender.
    pub(super) lent: bool,
    /// How many listeners there may be before those are looked for that are of no use.
    crowd: usize,
}

/// As many listeners never get in each other's way.
const FEW: usize = 8;

impl<P: 'static, F: Flavor> Default for Reports<P, F> {
    fn default() -> Self {
        Reports { last: None, events: VecDeque::new(), listeners: SmallVec::new(), lent: false, crowd: FEW }
    }
}

impl<P: 'static, F: Flavor> Reports<P, F> {
    /// Queues an event, unless it can be noted at once: nobody is being told anything right now (`idle`) and nobody has to be told
    /// this. Gives back the report that it replaces, for the caller to drop.
    pub(super) fn add(&mut self, event: Event<P, F>, idle: bool) -> Option<P> {
        match event {
            Event::Listen(listener) if idle && self.last.is_none() => self.listeners.push(listener),
            Event::Notify(report) if idle && self.listeners.is_empty() => return self.last.replace(report),
            event => self.events.push_back(event),
        }
        None
    }

    /// Takes out the listeners that are of no use any more, once they could be about as many as the others. The caller drops them.
    pub(super) fn thin_out(&mut self) -> Listeners<P, F> {
        if self.listeners.len() < self.crowd {
            return SmallVec::new();
        }
        let (useful, useless) = mem::take(&mut self.listeners).into_iter().partition(Listener::is_of_use);
        self.listeners = useful;
        self.crowd = FEW.max(2 * self.listeners.len());
        useless
    }

    /// Whether nobody listens, and nothing is queued.
    #[inline]
    pub(super) fn is_quiet(&self) -> bool {
        self.listeners.is_empty() && self.events.is_empty() && !self.lent
    }

    pub(super) fn has_events(&self) -> bool {
        !self.events.is_empty()
    }

    pub(super) fn has_listeners(&self) -> bool {
        self.lent || !self.listeners.is_empty() || self.events.iter().any(|event| matches!(event, Event::Listen(_)))
    }

    /// Whether somebody wants to hear of progress, and is still there.
    pub(super) fn has_hearers(&self) -> bool {
        let newcomers = self.events.iter().filter_map(|event| match event {
            Event::Listen(listener) => Some(listener),
            Event::Notify(_) => None,
        });
        self.lent || self.listeners.iter().chain(newcomers).any(Listener::is_of_use)
    }
}
