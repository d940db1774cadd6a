//! What followers do: note their sources, and forget them; and what the inputs of an aggregate bring.

use std::sync::Arc;

use super::flavor::{Accepts, Flavor};
use super::lend::{finish, leave_link};
use super::progress::Event;
use super::raw::{Content, Core, Ending, Room, Roomy, Settled, Visit};
use super::ring;
use super::settle::HandOn;
use super::state::{AnyPromise, Executor, Link, State};
use super::trampoline::Caller;
use crate::broken::BrokenKind;
use crate::list::Key;
use crate::progress::Progress;

impl<T, E, P, F: Flavor> Core<T, E, P, F> {
    /// What a follower notes of the continuation `key` of this promise.
    pub(crate) fn into_link(self, key: Key) -> Link<F>
    where
        F: Accepts<T> + Accepts<E> + Accepts<P>,
    {
        Link { source: self.into_any(), key, private: false, claims: true }
    }

    /// Makes this promise one that lets go of what it follows as soon as its outcome is unwanted.
    pub(crate) fn set_aggregate(&self) {
        self.any().with(State::set_aggregate);
    }

    /// Makes this promise one that cancels what it follows and does not need, however it was settled.
    pub(crate) fn set_canceling(&self) {
        self.any().with(State::set_canceling);
    }

    /// Makes this promise follow the continuation `key` of `source`, and rejects it with kind `Cycle` if that source waits for it.
    ///
    /// The link is in place before the ring is looked for: of two threads that close a ring together, the later one finds it.
    pub(crate) fn adopt(&self, source: AnyPromise<F>, key: Key, caller: Caller) {
        let link = Link { source: source.clone(), key, private: false, claims: true };
        follow(self.any(), vec![link]);
        self.break_ring(&source, caller);
    }

    /// Rejects this promise with kind `Cycle` if `source`, which it has been noted to follow, waits for it.
    pub(crate) fn break_ring(&self, source: &AnyPromise<F>, caller: Caller) {
        if self.any().with(|state| state.is_followed()) && ring::is_upstream_of(self.any(), source) {
            self.reject_by(BrokenKind::Cycle, caller);
        }
    }

    /// Makes this promise follow all of these.
    pub(crate) fn follow(&self, links: Vec<Link<F>>) {
        follow(self.any(), links);
    }

    /// Makes a new promise, which no other thread knows, follow something that schedules what settles it.
    pub(crate) fn follow_schedule(&self, schedule: AnyPromise<F>, key: Key) {
        let mut visit = self.any().enter();
        if visit.state().is_pending() && visit.state().content == Content::Empty {
            visit.follow(schedule, key);
            return visit.leave();
        }
        visit.leave();
    }

    /// Ends the following of a schedule, which has run what it owes to this promise.
    pub(crate) fn forget_source(&self) {
        let mut visit = self.any().enter();
        let source = visit.take_source();
        visit.state().set_claim(false);
        visit.leave();
        drop(source);
    }

    /// All sources have delivered, and need not be left.
    pub(crate) fn forget_links(&self) {
        let links = self.any().with(|state| state.callbacks.rare_mut().map(|rare| std::mem::take(&mut rare.links)));
        drop(links);
    }
}

/// Notes what a promise follows. A settled one follows nothing, and leaves it at once.
fn follow<F: Flavor>(promise: &AnyPromise<F>, mut links: Vec<Link<F>>) {
    let mut visit = promise.enter();
    if !visit.state().is_pending() {
        let cancel = visit.state().cancels_sources();
        visit.leave();
        return links.into_iter().for_each(|link| leave_link(link, cancel));
    }
    let alone = links.len() == 1 && !links[0].private && visit.state().content == Content::Empty;
    let mut delivered = Vec::new();
    match if alone && visit.state().is_plain() { links.pop() } else { None } {
        Some(Link { source, key, claims, .. }) => {
            visit.state().set_claim(claims);
            visit.follow(source, key);
        }
        None => delivered = visit.state().callbacks.make_rare().add_links(links),
    }
    finish(visit, Caller::Library);
    drop(delivered);
}

// Running elsewhere.
impl<T, E, P, F: Flavor> Core<T, E, P, F> {
    /// Gives a new promise an executor. It has no producer then: the holder of this reference settles it there, as [`Caller::Home`].
    pub(crate) fn set_executor(&self, executor: Arc<Executor<F>>)
    where
        F: Accepts<T> + Accepts<E> + Accepts<P>,
    {
        self.any().with(|state| state.set_executor(executor));
    }

    /// Whether the outcome waits for callbacks to run at the executor.
    pub(crate) fn awaits_executor(&self) -> bool {
        self.any().with(|state| state.awaits_executor())
    }
}

/// The slots of a full aggregate, and the producer that settles it.
pub(crate) type Full<R, S> = Option<(R, Ending<S>)>;

impl<X: Room<F>, T, E, F: Flavor> Roomy<X, T, E, Progress, F> {
    /// An empty room needs no drop.
    fn note_room(&self, visit: &mut Visit<State<F>>) {
        if self.room(visit).is_some_and(|room| room.is_empty()) {
            visit.state().set_room(false);
        }
    }

    /// One more producer.
    pub(crate) fn add_share(&self) -> Ending<Self> {
        Ending::new(self.clone_with(|state| state.producers += 1))
    }

    /// An input brings something: `f` stores it in the room, if the promise is pending, and may say what to report. The producer ends with it,
    /// unless `f` says what it is still needed for.
    pub(crate) fn bring<R>(
        share: Ending<Self>,
        f: impl FnOnce(&mut X) -> (Option<Progress>, Option<R>),
    ) -> (HandOn<F>, Full<R, Self>) {
        let share = share.into_inner();
        let mut visit = share.any().enter();
        let Some((report, kept)) = share.room(&mut visit).map(f) else {
            visit.state().producers -= 1;
            visit.end(share.into_core().into_any());
            finish(visit, Caller::Library);
            return (None, None);
        };
        if let Some(report) = report {
            visit.state().add_event(Event::Notify(report));
        }
        share.note_room(&mut visit);
        if let Some(kept) = kept {
            visit.leave();
            return (None, Some((kept, Ending::new(share))));
        }
        visit.state().producers -= 1;
        visit.end(share.into_core().into_any());
        (end_report(visit), None)
    }

    /// Does something in the room, if the promise is pending, and may say what to report. What that makes to do is done by the one that
    /// settles the aggregate, or adds its last input.
    pub(crate) fn with<R>(&self, f: impl FnOnce(&mut X) -> (Option<Progress>, R)) -> Option<R> {
        let mut visit = self.any().enter();
        let Some((report, result)) = self.room(&mut visit).map(f) else {
            visit.leave();
            return None;
        };
        if let Some(report) = report {
            visit.state().add_event(Event::Notify(report));
        }
        self.note_room(&mut visit);
        visit.leave();
        Some(result)
    }
}

/// Ends a visit that has brought at most a report: only that makes something to do.
fn end_report<F: Flavor>(mut visit: Visit<State<F>>) -> HandOn<F> {
    if visit.state().has_events() && !visit.state().is_lent() {
        return Some(Settled { visit, source: None });
    }
    visit.leave();
    None
}
