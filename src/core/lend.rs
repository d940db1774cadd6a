//! The one loop that does what there is to do for a promise, for promises of all types.
//!
//! [`drain`] runs it in a frame, whatever brought the work: a settle, a registration, a cancel, a drop, a poll, a turn of the event loop.
//! A chain is this loop, too: the continuation of the last consumer returns the promise that it settled, and the loop goes on with that.

use super::callbacks::Ready;
use super::flavor::Flavor;
use super::order::Next;
use super::raw::{self, Block, Kinds, Lent, Settled, Source, Visit};
use super::ring;
use super::state::{AnyPromise, Link, State};
use super::trampoline::{self, Caller, Frame, Job, guard};
use crate::broken::{Broken, BrokenKind};
use crate::list::Key;
use crate::panics;
use crate::trace;

/// Ends a visit after a transition: does what there is to do, now or when its turn comes.
#[inline(always)]
pub(super) fn finish<F: Flavor>(mut visit: Visit<State<F>>, caller: Caller) {
    if visit.state().is_quiet() { visit.leave() } else { drain(visit, caller) }
}

/// Ends a visit that has registered an observer or a continuation: while the promise is pending, that makes nothing to do.
#[inline(always)]
pub(super) fn end_registration<F: Flavor>(mut visit: Visit<State<F>>, caller: Caller) {
    if visit.state().is_pending() { visit.leave() } else { finish(visit, caller) }
}

/// Does what there is to do, in a frame; or leaves it to one.
#[inline(never)]
fn drain<F: Flavor>(visit: Visit<State<F>>, caller: Caller) {
    let frame = if matches!(caller, Caller::Library) { None } else { Frame::open(caller) };
    let Some(frame) = frame else { return postpone(visit, caller) };
    lend(visit, matches!(caller, Caller::Home));
    frame.close();
}

/// Leaves what there is to do to the frame at work, or to the outermost one. Until its turn comes, this thread counts as the lender.
fn postpone<F: Flavor>(mut visit: Visit<State<F>>, caller: Caller) {
    let at_home = caller == Caller::Home;
    let state = visit.state();
    match state.next(at_home) {
        Next::Rest => return visit.leave(),
        // Nothing foreign is in it: the promise is not lent for it.
        Next::DropClaims => return drop_claims(visit),
        _ => state.postpone(),
    }
    if at_home {
        // A promise that finds no frame at its executor counts as on its way.
        state.set_posted(true);
    }
    let run = if at_home { go_on_at_home } else { go_on };
    trampoline::postpone(caller, Job::Promise(raw::Job::new(visit.step_out(), run)));
}

fn go_on<F: Flavor>(promise: AnyPromise<F>) {
    take_up(promise.into_visit(), false);
}

fn go_on_at_home<F: Flavor>(promise: AnyPromise<F>) {
    let mut visit = promise.into_visit();
    visit.state().set_posted(false);
    take_up(visit, true);
}

/// The turn of a promise has come. This thread was its lender meanwhile, unless it has an executor: then another loop may be at it by now,
/// even on this thread.
fn take_up<F: Flavor>(mut visit: Visit<State<F>>, at_home: bool) {
    if visit.state().has_executor() && visit.state().is_lent() {
        return visit.leave();
    }
    lend(visit, at_home);
}

/// Does what there is to do, in the frame at work, until nothing is left. Foreign code runs here, each piece of it guarded.
#[inline(always)]
fn lend<F: Flavor>(mut visit: Visit<State<F>>, mut at_home: bool) {
    loop {
        let next = visit.state().next(at_home);
        visit = match next {
            Next::Rest => {
                visit.state().end_lending();
                return visit.leave();
            }
            Next::Observe => {
                visit.state().start_lending(at_home);
                observe(visit)
            }
            Next::Wake => return wake(visit),
            Next::Last | Next::Serve => {
                let settled = if next == Next::Last { hand_over(visit) } else { serve(visit) };
                // The promise that a continuation has settled is next, unless something waits for its turn before it.
                let Some(mut settled) = settled else { return };
                if trampoline::is_waiting() || settled.state().is_lent() {
                    return finish(settled, Caller::Library);
                }
                at_home = false;
                settled
            }
            _ => {
                visit.state().start_lending(at_home);
                step(visit, next)
            }
        };
    }
}

/// Shows the outcome to the observers.
#[inline(always)]
fn observe<F: Flavor>(mut visit: Visit<State<F>>) -> Visit<State<F>> {
    let state = visit.state();
    state.see_by_observers();
    let lent = state.content.lend();
    match state.callbacks.take_one(Kinds::OBSERVER) {
        Some(one) => {
            let promise = visit.step_out();
            guard(|| one.look(&promise, lent));
            promise.into_visit()
        }
        None => observe_all(visit, lent),
    }
}

fn observe_all<F: Flavor>(mut visit: Visit<State<F>>, lent: Lent) -> Visit<State<F>> {
    let observers = visit.state().callbacks.take_observers();
    let promise = visit.step_out();
    observers.into_iter().for_each(|observer| _ = guard(|| observer.look(&promise, lent)));
    promise.into_visit()
}

/// Wakes the one task, which ends the loan.
#[inline(always)]
fn wake<F: Flavor>(mut visit: Visit<State<F>>) {
    let waker = visit.state().take_waker();
    visit.leave();
    if let Some(waker) = waker {
        guard(|| waker.run());
    }
}

/// Gives the outcome to the one continuation, which ends the loan. What that has settled comes back.
#[inline(always)]
fn hand_over<F: Flavor>(mut visit: Visit<State<F>>) -> Option<Visit<State<F>>> {
    let state = visit.state();
    let continuation = state.take_continuation().expect("one continuation is in place");
    let (note, own) = (state.note(), state.content.take());
    let promise = visit.step_out();
    let settled = guard(|| continuation.take(&promise, own, note));
    settled.flatten().map(|settled| end_source(promise, settled))
}

/// Ends the references to a source that has delivered: that of its lender, and that of the promise that it has settled.
///
/// It visits a settled promise in the middle of another visit. No visit to a settled promise waits for one to a promise that is settled
/// later, so no two threads wait for each other.
fn end_source<F: Flavor>(promise: AnyPromise<F>, settled: Settled<State<F>>) -> Visit<State<F>> {
    let mut visit = settled.visit;
    match settled.source {
        None => drop(promise),
        Some((source, _)) if source.is(&promise) => promise.end_both(source),
        Some((source, key)) => {
            // It followed another one as well, which has not delivered.
            visit = aside(visit, || {
                drop(promise);
                leave(source, key, false);
            });
        }
    }
    visit
}

/// Takes several continuations out, with a clone of the outcome for each. The one with the last right gets the outcome itself.
fn consume<F: Flavor>(mut visit: Visit<State<F>>) -> Visit<State<F>> {
    let state = visit.state();
    let continuations = state.take_continuations().expect("there are lists");
    let (spoiled, clone, rights) = (state.spoiled(), state.callbacks.clone_fn(), state.rights);
    let lent = spoiled.is_none().then(|| state.content.lend());
    let promise = visit.step_out();
    let origin = promise.origin();
    let mut ready = Vec::new();
    let mut continuations = continuations.peekable();
    while let Some(continuation) = continuations.next() {
        let last = rights == 0 && continuations.peek().is_none();
        let outcome = match (lent, clone) {
            (None, _) => Err(spoiled.clone().unwrap_or_else(|| Broken::new(BrokenKind::Panicked, origin))),
            (Some(lent), Some(clone)) if !last => {
                panics::guard(|| Block::clone_of(&promise, lent, clone)).map_err(|payload| panicked(payload, origin))
            }
            _ => {
                let own = promise.with(|state| state.content.take());
                Ok(Block::move_from(&promise, own))
            }
        };
        ready.push((continuation, outcome));
    }
    let mut visit = promise.into_visit();
    visit.state().callbacks.add_ready(ready);
    visit
}

/// The end of a promise whose outcome was lost to a panic.
pub(super) fn panicked(payload: panics::Payload, origin: &'static std::panic::Location<'static>) -> Broken {
    let broken = Broken::panicked(panics::message(&payload), origin);
    panics::discard(payload);
    broken
}

/// Ends the loan, so that a waker may poll inline; wakes the tasks, and runs the first continuation. The others wait in the queue: if the
/// first one blocks, it runs them before.
fn serve<F: Flavor>(mut visit: Visit<State<F>>) -> Option<Visit<State<F>>> {
    let state = visit.state();
    let note = state.note();
    let (wakers, ready) = state.callbacks.take_ready();
    state.end_lending();
    let promise = visit.step_out();
    wakers.for_each(|waker| _ = guard(|| waker.run()));
    let run = move |(continuation, outcome): Ready<State<F>>| {
        let deliver = || match outcome {
            Ok(block) => block.deliver(continuation, note),
            Err(broken) => continuation.fail(broken),
        };
        guard(deliver).flatten()
    };
    let mut ready = ready.into_iter();
    let first = ready.next();
    for other in ready {
        let run_other = move || {
            if let Some(settled) = run(other) {
                hand_on(settled, Caller::Library);
            }
        };
        trampoline::postpone(Caller::Library, Job::Call(Box::new(run_other)));
    }
    first.and_then(run).map(|settled| end_source(promise, settled))
}

/// Goes on with what a continuation handed on, where no loop does.
pub(crate) fn run_now<F: Flavor>(settled: Option<Settled<State<F>>>) {
    if let Some(settled) = settled {
        hand_on(settled, Caller::Quiet);
    }
}

/// Goes on with a promise outside of the loop.
pub(crate) fn hand_on<F: Flavor>(settled: Settled<State<F>>, caller: Caller) {
    let Settled { visit, source } = settled;
    let visit = match source {
        Some((source, key)) => aside(visit, || leave(source, key, false)),
        None => visit,
    };
    finish(visit, caller);
}

/// Does one thing of those that few promises need.
#[inline(never)]
fn step<F: Flavor>(mut visit: Visit<State<F>>, next: Next) -> Visit<State<F>> {
    let origin = visit.ptr().origin();
    let state = visit.state();
    match next {
        Next::Report => {
            let Some(mut telling) = state.reports_mut().and_then(|reports| reports.take()) else { return visit };
            let promise = visit.step_out();
            telling.tell();
            let mut visit = promise.into_visit();
            if let Some(reports) = visit.state().reports_mut() {
                reports.put_back(telling);
            }
            visit
        }
        Next::Post => {
            // No thread lends it: it may go on there at once.
            let executor = state.post();
            let promise = visit.step_out();
            if let Some(executor) = executor {
                guard(|| executor(Source::of(promise.clone())));
            }
            promise.into_visit()
        }
        Next::Cancel => {
            let cancelers = state.callbacks.take_cancelers();
            outside(visit, || cancelers.into_iter().for_each(|canceler| _ = guard(|| canceler.run())))
        }
        Next::Drop => {
            let (callbacks, reports) = state.take_useless();
            outside(visit, || {
                callbacks.into_iter().for_each(|callback| _ = guard(|| drop(callback)));
                guard(|| drop(reports));
            })
        }
        Next::DropRoom => {
            state.set_room(false);
            let promise = visit.step_out();
            guard(|| promise.drop_room());
            promise.into_visit()
        }
        Next::Leave => leave_sources(visit),
        Next::DropClaims => {
            let promise = visit.add();
            drop_claims(visit);
            promise.into_visit()
        }
        Next::Make => make(visit),
        Next::Consume => consume(visit),
        Next::Dispose => {
            let (own, loss) = (state.content.take(), state.is_unseen().then(|| (origin, state.rejected_at())));
            state.see();
            let promise = visit.step_out();
            guard(|| match loss {
                Some(loss) => promise.lose_outcome(own, loss),
                None => promise.drop_outcome(own),
            });
            promise.into_visit()
        }
        Next::Lose => {
            let broken = state.spoiled().unwrap_or_else(|| state.take_broken(origin));
            let rejected_at = state.rejected_at();
            state.see();
            outside(visit, || super::note::report(&broken, origin, rejected_at))
        }
        Next::Rest | Next::Observe | Next::Wake | Next::Last | Next::Serve => unreachable!("`lend` does these itself"),
    }
}

/// Runs foreign code between two visits.
fn outside<F: Flavor>(visit: Visit<State<F>>, f: impl FnOnce()) -> Visit<State<F>> {
    let promise = visit.step_out();
    guard(f);
    promise.into_visit()
}

/// Makes the error of an end that the library made, in its place.
fn make<F: Flavor>(mut visit: Visit<State<F>>) -> Visit<State<F>> {
    let origin = visit.ptr().origin();
    let state = visit.state();
    let (broken, fill) = (state.take_broken(origin), state.content.fill());
    let promise = visit.step_out();
    let made = panics::guard(|| promise.make(fill, broken)).map_err(|payload| panicked(payload, origin));
    let mut visit = promise.into_visit();
    if let Err(broken) = made {
        visit.state().spoil(broken);
    }
    visit
}

/// Leaves all sources.
fn leave_sources<F: Flavor>(mut visit: Visit<State<F>>) -> Visit<State<F>> {
    let cancel = visit.state().cancels_sources();
    let source = visit.take_source();
    visit.state().set_claim(false);
    let links = visit.state().callbacks.rare_mut().map(|rare| std::mem::take(&mut rare.links)).unwrap_or_default();
    outside(visit, || {
        if let Some((source, key)) = source {
            leave(source, key, cancel);
        }
        links.into_iter().for_each(|link| leave_link(link, cancel));
    })
}

/// Leaves a source.
pub(crate) fn leave_link<F: Flavor>(link: Link<F>, cancel: bool) {
    leave(link.source, link.key, cancel || link.private);
}

/// Takes the continuation of a follower out, and drops it; with `cancel`, ends the source if nothing else wants it.
pub(super) fn leave<F: Flavor>(source: AnyPromise<F>, key: Key, cancel: bool) {
    if source.leave_schedule(key, cancel) {
        return;
    }
    let mut visit = source.into_visit();
    let Some(continuation) = visit.state().callbacks.remove_continuation(key) else { return visit.leave() };
    let canceled = visit.state().drop_right(cancel);
    let visit = if canceled { announce(visit, BrokenKind::Canceled) } else { visit };
    finish(visit, Caller::Library);
    // The continuation goes last: its destructor finds the promise settled.
    guard(|| drop(continuation));
}

/// Tells the sources of a promise that no cancel will come from here, and theirs, as far as nothing else could cancel them. Nothing foreign
/// runs.
fn drop_claims<F: Flavor>(visit: Visit<State<F>>) {
    let mut others = Vec::new();
    let mut source = ring::take_claims(visit, &mut others);
    while let Some((mut visit, key)) = source.or_else(|| others.pop().map(|(source, key)| (source.into_visit(), key))) {
        visit.state().callbacks.silence(key);
        let state = visit.state();
        source = if !state.is_lent() && state.next(false) == Next::DropClaims {
            ring::take_claims(visit, &mut others)
        } else {
            finish(visit, Caller::Library);
            None
        };
    }
}

/// Tells a subscriber of `tracing` of an end that the library made.
pub(super) fn announce<F: Flavor>(mut visit: Visit<State<F>>, kind: BrokenKind) -> Visit<State<F>> {
    visit.mark_settled();
    tell(visit, |origin| trace::broken(origin, kind))
}

/// Tells a subscriber of `tracing` something.
pub(super) fn tell<F: Flavor>(
    visit: Visit<State<F>>,
    tell: impl FnOnce(&'static std::panic::Location<'static>),
) -> Visit<State<F>> {
    let origin = visit.ptr().origin();
    if cfg!(feature = "tracing") { aside(visit, || tell(origin)) } else { visit }
}

/// Does something outside, in the middle of a visit that goes on after it: no other thread lends meanwhile.
pub(super) fn aside<F: Flavor>(mut visit: Visit<State<F>>, f: impl FnOnce()) -> Visit<State<F>> {
    let lent = visit.state().is_lent();
    if !lent {
        visit.state().lender = trampoline::this_thread();
    }
    let promise = visit.step_out();
    guard(f);
    let mut visit = promise.into_visit();
    if !lent {
        visit.state().lender = 0;
    }
    visit
}

/// Goes on with a promise at its executor.
pub(crate) fn arrive<F: Flavor>(promise: AnyPromise<F>) {
    let mut visit = promise.into_visit();
    visit.state().set_posted(false);
    finish(visit, Caller::Home);
}
