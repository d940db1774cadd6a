//! What a promise has that has more than one callback, consumer or source: lists.

use std::sync::Arc;

use smallvec::SmallVec;

use super::flavor::Flavor;
use super::home::Home;
use super::progress::Reports;
use super::raw::{Kind, Source};
use super::state::{CloneFn, Entry};
use crate::list::{Key, List};

/// What a promise follows: one entry among the consumers of a source.
pub struct Link<F: Flavor> {
    pub(crate) source: Source<F>,
    pub(crate) key: Key,
    /// Nobody but the follower ever knew the source: it is canceled with the entry in any case.
    pub(crate) private: bool,
    /// Whether the source counts on a cancel from here.
    pub(crate) claims: bool,
}

pub(crate) type Links<F> = SmallVec<[Link<F>; 1]>;

/// What a promise has besides, if it has more than one callback, consumer or source, reports, or clones.
///
/// Once there, it stays.
pub struct Extra<T: 'static, E: 'static, P: 'static, F: Flavor> {
    pub(super) observers: Vec<Entry<T, E, P, F>>,
    pub(super) consumers: List<Consumer<T, E, P, F>>,
    pub(super) cancelers: Vec<Entry<T, E, P, F>>,
    pub(super) links: Links<F>,
    pub(super) reports: Option<Box<Reports<P, F>>>,
    /// Captured by the first clone of a promise: with one consumer alone nothing is ever cloned.
    pub(super) clone: Option<CloneFn<T, E>>,
    /// The number of continuations that cannot cancel.
    pub(super) silent: u32,
    /// Where callbacks run, if not where they come up.
    pub(super) home: Option<Arc<Home<T, E, P, F>>>,
    /// Word was sent home that there is work, and has not arrived yet.
    pub(super) sent: bool,
}

/// Who gets the outcome: the code of a `then` or an aggregate, or a task that awaits.
pub(super) struct Consumer<T: 'static, E: 'static, P: 'static, F: Flavor> {
    pub(super) entry: Entry<T, E, P, F>,
    /// Whether a cancel may still come from it.
    pub(super) claims: bool,
}

/// For how many observers there is room to begin with.
const FEW: usize = 4;

impl<T: 'static, E: 'static, P: 'static, F: Flavor> Extra<T, E, P, F> {
    #[inline]
    pub(super) fn new() -> Self {
        Extra {
            observers: Vec::new(),
            consumers: List::new(),
            cancelers: Vec::new(),
            links: SmallVec::new(),
            reports: None,
            clone: None,
            silent: 0,
            home: None,
            sent: false,
        }
    }

    #[inline]
    pub(super) fn add_observer(&mut self, observer: Entry<T, E, P, F>) {
        if self.observers.len() == self.observers.capacity() {
            self.grow();
        }
        self.observers.push(observer);
    }

    /// Moves the observers to a place for twice as many. To ask the allocator for the same costs more, where that keeps a list of blocks of
    /// each size.
    #[cold]
    fn grow(&mut self) {
        let mut more = Vec::with_capacity(FEW.max(2 * self.observers.len()));
        more.append(&mut self.observers);
        self.observers = more;
    }

    pub(super) fn add(&mut self, entry: Entry<T, E, P, F>, claims: bool) -> Key {
        match entry.kind() {
            Kind::Observer => self.add_observer(entry),
            Kind::Canceler => self.cancelers.push(entry),
            _ => return self.consumers.push(Consumer { entry, claims }),
        }
        Key::DANGLING
    }

    /// Whether nothing is registered, as far as `observers` and `consumers` say.
    #[inline]
    fn is_idle_but(&self, observers: bool, consumers: bool) -> bool {
        (observers || self.observers.is_empty())
            && (consumers || self.consumers.is_empty())
            && self.cancelers.is_empty()
            && self.links.is_empty()
            && self.reports.is_none()
            && self.home.is_none()
    }

    /// Whether nothing is registered, nothing followed, and nothing to be told.
    #[inline]
    pub(super) fn is_idle(&self) -> bool {
        self.is_idle_but(false, false)
    }

    /// The same but for observers.
    #[inline]
    pub(super) fn has_observers_only(&self) -> bool {
        self.is_idle_but(true, false)
    }

    /// The same but for consumers that wait to be woken.
    #[inline]
    pub(super) fn has_wakers_only(&self) -> bool {
        self.is_idle_but(false, true) && self.consumers.iter().all(|consumer| consumer.entry.kind() == Kind::Waker)
    }

    pub(super) fn has_events(&self) -> bool {
        self.reports.as_ref().is_some_and(|reports| reports.has_events())
    }

    pub(super) fn has_listeners(&self) -> bool {
        self.reports.as_ref().is_some_and(|reports| reports.has_listeners())
    }

    pub(super) fn has_hearers(&self) -> bool {
        self.reports.as_ref().is_some_and(|reports| reports.has_hearers())
    }
}
