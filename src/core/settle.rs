//! What producers do: settle, reject, notify, end.

use super::flavor::Flavor;
use super::lend::{announce, aside, finish, tell};
use super::note::{Delivery, Note};
use super::progress::Event;
use super::raw::{Content, Core, Crosses, End, Ending, Roomy, Settled, Target, Visit};
use super::state::{AnyPromise, Link, State};
use super::trampoline::{self, Caller, drop_guarded};
use crate::broken::{Broken, BrokenKind};
use crate::diagnostics;
use crate::panics;
use crate::testing;
use crate::trace;

/// A reference that counts as a producer.
pub(crate) type Producer<T, E, P, F> = Ending<Core<T, E, P, F>>;

/// What a continuation works with: it crosses threads if its promise does, and knows the promise that it settles.
pub trait Follower<F: Flavor>: Crosses<F> + Target<State<F>> {}

impl<F: Flavor, C: Crosses<F> + Target<State<F>>> Follower<F> for C {}

/// A promise that a continuation has settled, for the loop to go on with.
pub(crate) type HandOn<F> = Option<Settled<State<F>>>;

impl<T, E, P, F: Flavor> End for Core<T, E, P, F> {
    /// The end of a producer.
    fn end(self) {
        drop_producer(self.into_any());
    }
}

impl<X, T, E, P, F: Flavor> End for Roomy<X, T, E, P, F> {
    /// The end of a producer.
    fn end(self) {
        drop_producer(self.into_core().into_any());
    }
}

impl<T, E, P, F: Flavor> Core<T, E, P, F> {
    /// Settles. `false` if that was done before: then the outcome is dropped.
    pub(crate) fn settle(&self, outcome: Result<T, E>, note: Note, caller: Caller) -> bool {
        let mut visit = self.any().enter();
        if !visit.state().is_pending() {
            visit.leave();
            drop_guarded(caller, outcome);
            return false;
        }
        if matches!(visit.state().content, Content::Follows) {
            keep_source(&mut visit);
        }
        finish(self.settle_in(visit, outcome, note), caller);
        true
    }

    /// Settles a pending promise whose place is empty.
    fn settle_in(&self, mut visit: Visit<State<F>>, outcome: Result<T, E>, note: Note) -> Visit<State<F>> {
        let resolved = outcome.is_ok();
        let fill = visit.state().settle(resolved, note);
        self.write(&mut visit, fill, outcome);
        tell(visit, |origin| trace::settled(origin, resolved))
    }

    /// Settles with what a source has delivered, on behalf of the one producer, which ends with it.
    ///
    /// Nothing foreign may run between this and the return to the loop.
    pub(crate) fn hand_on(self, outcome: Result<T, E>, note: Note) -> HandOn<F> {
        let mut visit = self.any().enter();
        visit.state().producers -= 1;
        if !visit.state().is_pending() {
            visit.end(self.into_any());
            end_late(visit, outcome);
            return None;
        }
        let source = visit.take_source();
        let mut visit = self.settle_in(visit, outcome, note);
        visit.end(self.into_any());
        Some(Settled { visit, source })
    }

    /// Settles with what a source has delivered, whatever it is, as [`hand_on`](Core::hand_on).
    pub(crate) fn deliver(self, delivery: Delivery<T, E>) -> HandOn<F> {
        match delivery {
            Delivery::Outcome(outcome) => self.hand_on(outcome, Note::UNKNOWN),
            Delivery::Noted(error, note) => self.hand_on(Err(error), note),
            Delivery::Broken(broken) => self.hand_on_broken(broken),
        }
    }

    /// Settles with the end that `broken` says, as [`hand_on`](Core::hand_on).
    pub(crate) fn hand_on_broken(self, broken: Broken) -> HandOn<F> {
        hand_on_broken(self.into_any(), broken)
    }

    /// Rejects because of a panic, as [`hand_on`](Core::hand_on). One that comes too late to be the outcome is reported.
    #[cold]
    pub(crate) fn hand_on_panic(self, payload: panics::Payload) -> HandOn<F> {
        let broken = Broken::panicked(panics::message(&payload), self.origin());
        match self.hand_on_broken(broken) {
            Some(Settled { visit, source }) => {
                Some(Settled { visit: aside(visit, || panics::discard(payload)), source })
            }
            None => {
                diagnostics::report_panic(payload);
                None
            }
        }
    }

    /// Settles with what a source has delivered, where no loop goes on with it.
    pub(crate) fn settle_with(&self, delivery: Delivery<T, E>, caller: Caller) {
        match delivery.unpack() {
            Ok((outcome, note)) => _ = self.settle(outcome, note, caller),
            Err(broken) => _ = self.reject_with(broken, caller),
        }
    }

    /// Rejects with an end that the library made.
    pub(crate) fn reject_with(&self, broken: Broken, caller: Caller) -> bool {
        reject_with(self.any(), broken.kind(), Some(broken), caller)
    }

    /// Rejects with an end of this kind, which happened where the promise was made.
    pub(crate) fn reject_by(&self, kind: BrokenKind, caller: Caller) -> bool {
        reject_with(self.any(), kind, None, caller)
    }

    /// Rejects because of a panic. One that comes too late to be the outcome is reported.
    pub(crate) fn reject_by_panic(&self, payload: panics::Payload, caller: Caller) {
        if self.reject_with(Broken::panicked(panics::message(&payload), self.origin()), caller) {
            panics::discard(payload);
        } else {
            diagnostics::report_panic(payload);
        }
    }

    pub(crate) fn notify(&self, report: P, caller: Caller) -> bool {
        let mut visit = self.any().enter();
        if !visit.state().is_pending() {
            visit.leave();
            drop_guarded(caller, report);
            return false;
        }
        let replaced = visit.state().add_event(Event::Notify(report));
        finish(visit, caller);
        drop_guarded(Caller::Quiet, replaced);
        true
    }
}

/// Moves what a promise follows out of the place of the outcome.
#[cold]
fn keep_source<F: Flavor>(visit: &mut Visit<State<F>>) {
    if let Some((source, key)) = visit.take_source() {
        let state = visit.state();
        let claims = state.has_claim();
        state.set_claim(false);
        state.callbacks.make_rare().links.push(Link { source, key, private: false, claims });
    }
}

/// A source has delivered to a promise that is settled already.
#[cold]
fn end_late<F: Flavor, X: 'static>(visit: Visit<State<F>>, late: X) {
    finish(visit, Caller::Library);
    trampoline::guard(|| drop(late));
}

#[cold]
fn hand_on_broken<F: Flavor>(promise: AnyPromise<F>, broken: Broken) -> HandOn<F> {
    let mut visit = promise.into_visit();
    visit.state().producers -= 1;
    if !visit.state().is_pending() {
        finish(visit, Caller::Library);
        return None;
    }
    let (source, kind) = (visit.take_source(), broken.kind());
    visit.state().reject_with(kind, Some(broken));
    Some(Settled { visit: announce(visit, kind), source })
}

#[inline(never)]
fn reject_with<F: Flavor>(promise: &AnyPromise<F>, kind: BrokenKind, broken: Option<Broken>, caller: Caller) -> bool {
    let mut visit = promise.enter();
    let rejects = visit.state().is_pending();
    if rejects {
        visit.state().reject_with(kind, broken);
        finish(announce(visit, kind), caller);
    } else {
        visit.leave();
    }
    rejects
}

/// Ends a producer, with its reference.
fn drop_producer<F: Flavor>(promise: AnyPromise<F>) {
    let mut visit = promise.into_visit();
    let state = visit.state();
    state.producers -= 1;
    if state.producers == 0 && state.is_pending() {
        return abandon(visit);
    }
    // Only the last handle of all leaves something to do.
    if state.producers > 0 || state.rights > 0 { visit.leave() } else { finish(visit, Caller::Quiet) }
}

/// The last producer has ended, and the promise is pending.
#[inline(never)]
fn abandon<F: Flavor>(mut visit: Visit<State<F>>) {
    let broken = Broken::new(BrokenKind::Abandoned, visit.ptr().origin());
    // A promise that is unwanted is not missed.
    if visit.state().is_wanted() {
        testing::note_abandoned(&broken);
    }
    visit.state().reject_with(BrokenKind::Abandoned, None);
    finish(announce(visit, BrokenKind::Abandoned), Caller::Quiet);
}
