//! Progress: the reports of one promise, in the order in which they were issued.

use std::any::Any;
use std::collections::VecDeque;
use std::mem;
use std::sync::Weak;

use smallvec::SmallVec;

use super::trampoline;

/// Something for a lender to tell, or to be told from now on.
pub(super) enum Event<P: 'static> {
    Notify(P),
    /// A newcomer gets the last report first, so it stands in the queue of the reports.
    Listen(Listener<P>),
}

/// A callback for reports.
pub(super) struct Listener<P: 'static> {
    call: Box<dyn FnMut(&P)>,
    /// For what it listens, if that is not user code: the listener is of no use once that is gone.
    follower: Option<Weak<dyn Any + Send + Sync>>,
}

impl<P: 'static> Listener<P> {
    pub(super) fn new(call: impl FnMut(&P) + 'static, follower: Option<Weak<dyn Any + Send + Sync>>) -> Self {
        Listener { call: Box::new(call), follower }
    }

    fn is_of_use(&self) -> bool {
        self.follower.as_ref().is_none_or(|follower| follower.strong_count() > 0)
    }
}

/// The reports of a promise whose type of progress is not known: made with the first report or listener.
pub(super) trait Reports: Any {
    /// Whether there is something to tell.
    fn has_events(&self) -> bool;

    /// Whether anything listens.
    fn has_listeners(&self) -> bool;

    /// Whether anything listens, and is still of use.
    fn has_hearers(&self) -> bool;

    /// The next event, with the listeners, for the lender to tell.
    fn take(&mut self) -> Option<Box<dyn Telling>>;

    /// The listeners come back.
    fn put_back(&mut self, telling: Box<dyn Telling>);

    /// The listeners of a settled promise, for the lender to drop.
    fn take_listeners(&mut self) -> Option<Box<dyn Telling>>;

    fn as_any_mut(&mut self) -> &mut dyn Any;
}

/// An event on its way to the listeners.
pub(super) trait Telling {
    /// Runs the listeners, each of them guarded.
    fn tell(&mut self);

    fn into_any(self: Box<Self>) -> Box<dyn Any>;
}

/// The reports of type `P`.
pub(super) struct ReportsOf<P: 'static> {
    events: VecDeque<Event<P>>,
    /// What a late listener is told. The lender has it while it tells an event.
    last: Option<P>,
    /// `None` until there is a listener, and while the lender has them.
    hearers: Option<Box<Hearers<P>>>,
    lent: bool,
    /// How many listeners there may be before those are looked for that are of no use.
    crowd: usize,
}

struct Hearers<P: 'static> {
    listeners: SmallVec<[Listener<P>; 1]>,
    /// What the lender is about to tell, and what it has told last.
    event: Option<Event<P>>,
    last: Option<P>,
}

/// As many listeners never get in each other's way.
const FEW: usize = 8;

impl<P: 'static> ReportsOf<P> {
    pub(super) fn new() -> Self {
        ReportsOf { events: VecDeque::new(), last: None, hearers: None, lent: false, crowd: FEW }
    }

    fn hearers(&mut self) -> &mut Hearers<P> {
        self.hearers.get_or_insert_with(|| Box::new(Hearers { listeners: SmallVec::new(), event: None, last: None }))
    }

    /// Queues an event, unless it can be noted at once: no lender is at work (`idle`), and no listener has to be told of it. Gives back
    /// the report that it replaces, for the caller to drop.
    pub(super) fn add(&mut self, event: Event<P>, idle: bool) -> Option<P> {
        let idle = idle && !self.lent && self.events.is_empty();
        match event {
            Event::Listen(listener) if idle && self.last.is_none() => self.hearers().listeners.push(listener),
            Event::Notify(report) if idle && !self.has_listeners() => return self.last.replace(report),
            event => self.events.push_back(event),
        }
        None
    }

    /// Takes out the listeners that are of no use any more, once they could be about as many as the others. The caller drops them.
    pub(super) fn thin_out(&mut self) -> SmallVec<[Listener<P>; 1]> {
        let Some(hearers) = self.hearers.as_deref_mut().filter(|hearers| hearers.listeners.len() >= self.crowd) else {
            return SmallVec::new();
        };
        let (useful, useless) = mem::take(&mut hearers.listeners).into_iter().partition(Listener::is_of_use);
        hearers.listeners = useful;
        self.crowd = FEW.max(2 * hearers.listeners.len());
        useless
    }

    fn newcomers(&self) -> impl Iterator<Item = &Listener<P>> {
        self.events.iter().filter_map(|event| match event {
            Event::Listen(listener) => Some(listener),
            Event::Notify(_) => None,
        })
    }
}

impl<P: 'static> Reports for ReportsOf<P> {
    fn has_events(&self) -> bool {
        !self.events.is_empty()
    }

    fn has_listeners(&self) -> bool {
        let listened = self.hearers.as_ref().is_some_and(|hearers| !hearers.listeners.is_empty());
        self.lent || listened || self.newcomers().next().is_some()
    }

    fn has_hearers(&self) -> bool {
        let heard = |hearers: &Hearers<P>| hearers.listeners.iter().any(Listener::is_of_use);
        self.lent || self.hearers.as_deref().is_some_and(heard) || self.newcomers().any(Listener::is_of_use)
    }

    fn take(&mut self) -> Option<Box<dyn Telling>> {
        let event = self.events.pop_front()?;
        let last = self.last.take();
        let hearers = self.hearers();
        (hearers.event, hearers.last) = (Some(event), last);
        self.lent = true;
        Some(self.hearers.take()?)
    }

    fn put_back(&mut self, telling: Box<dyn Telling>) {
        self.lent = false;
        self.hearers = telling.into_any().downcast().ok();
        self.last = self.hearers.as_mut().and_then(|hearers| hearers.last.take());
    }

    fn take_listeners(&mut self) -> Option<Box<dyn Telling>> {
        Some(self.hearers.take().filter(|hearers| !hearers.listeners.is_empty())?)
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }
}

impl<P: 'static> Telling for Hearers<P> {
    fn tell(&mut self) {
        match self.event.take() {
            Some(Event::Notify(report)) => {
                for listener in &mut self.listeners {
                    trampoline::guard(|| (listener.call)(&report));
                }
                let replaced = self.last.replace(report);
                trampoline::guard(|| drop(replaced));
            }
            Some(Event::Listen(mut listener)) => {
                if let Some(last) = &self.last {
                    trampoline::guard(|| (listener.call)(last));
                }
                self.listeners.push(listener);
            }
            None => {}
        }
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}
