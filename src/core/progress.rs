//! Progress: the reports of one promise, in the order in which they were issued.

use std::collections::VecDeque;

use smallvec::SmallVec;

use super::flavor::Flavor;

/// Something that a lender has to tell, or whom to tell it from now on.
pub(crate) enum Event<P: 'static, F: Flavor> {
    Notify(P),
    /// A newcomer gets the last report first, so it stands in the same queue.
    Listen(F::Listener<P>),
}

pub(crate) type Listeners<P, F> = SmallVec<[<F as Flavor>::Listener<P>; 1]>;

/// The progress of a promise: made with the first report or listener.
pub(crate) struct Reports<P: 'static, F: Flavor> {
    /// What a late listener is told.
    pub(super) last: Option<P>,
    pub(super) events: VecDeque<Event<P, F>>,
    pub(super) listeners: Listeners<P, F>,
    /// Listeners are out with the lender.
    pub(super) lent: bool,
}

impl<P: 'static, F: Flavor> Default for Reports<P, F> {
    fn default() -> Self {
        Reports { last: None, events: VecDeque::new(), listeners: SmallVec::new(), lent: false }
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

    pub(super) fn has_events(&self) -> bool {
        !self.events.is_empty()
    }

    pub(super) fn has_listeners(&self) -> bool {
        self.lent || !self.listeners.is_empty() || self.events.iter().any(|event| matches!(event, Event::Listen(_)))
    }
}
