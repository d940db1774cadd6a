//! What producers do: settle, reject, notify, end.

use std::panic::Location;

use super::flavor::Flavor;
use super::handle::{Core, Inside};
use super::lend;
use super::past::{Lost, Past};
use super::progress::Event;
use super::raw::{self, End, Kind};
use super::state::{Delivery, Entry, Loan, Shared, Step};
use super::trampoline::{self, Caller, Frame, Job, Nest};
use crate::broken::{Broken, BrokenKind};
use crate::diagnostics;
use crate::testing;
use crate::trace;

impl<T, E, P, F: Flavor> Core<T, E, P, F> {
    #[inline(always)]
    pub(crate) fn resolve(&self, value: T, caller: Caller) -> bool {
        self.settle_as(true, || Ok(value), Past::UNKNOWN, caller)
    }

    #[inline(always)]
    pub(crate) fn reject(&self, error: E, past: Past, caller: Caller) -> bool {
        self.settle_as(false, || Err(error), past, caller)
    }

    #[inline(always)]
    pub(crate) fn settle(&self, outcome: Result<T, E>, past: Past, caller: Caller) -> bool {
        self.settle_as(outcome.is_ok(), || outcome, past, caller)
    }

    /// Settles with the outcome that `make` makes, in the place where it is wanted: something large that moves from one place to several
    /// others stays in memory.
    #[inline(always)]
    fn settle_as(&self, resolved: bool, make: impl FnOnce() -> Result<T, E>, past: Past, caller: Caller) -> bool {
        if caller == Caller::Library {
            return self.settle_fully(make(), past, caller);
        }
        let mut shared = self.0.visit();
        if shared.settles_simply() {
            if let Some(waker) = shared.take_waker() {
                shared.settle_simply(resolved, make(), past);
                let origin = shared.origin;
                drop(shared);
                trace::settled(origin, resolved);
                trampoline::wake(caller, waker);
                return true;
            }
            match shared.kind() {
                None => {
                    shared.settle_simply(resolved, make(), past);
                    let origin = shared.origin;
                    drop(shared);
                    trace::settled(origin, resolved);
                    return true;
                }
                Some(Kind::Observer) => {
                    let observer = shared.settle_to_show(resolved, past);
                    let origin = shared.origin;
                    drop(shared);
                    trace::settled(origin, resolved);
                    self.show(observer, &mut Some(make()), caller);
                    return true;
                }
                Some(Kind::Continuation) => {
                    let continuation = shared.settle_to_deliver(resolved, past);
                    let origin = shared.origin;
                    drop(shared);
                    trace::settled(origin, resolved);
                    match continuation {
                        Some(continuation) if past.is_unknown() => self.hand(continuation, &mut Some(make()), caller),
                        Some(continuation) => self.hand_traced(continuation, make(), past, caller),
                        None => {}
                    }
                    return true;
                }
                Some(Kind::Many) => return self.settle_several(shared, make(), past, caller),
                Some(Kind::Waker | Kind::Canceler) => {}
            }
        }
        shared.leave(false);
        self.settle_fully(make(), past, caller)
    }

    #[inline(never)]
    fn hand(&self, continuation: Entry<T, E, P, F>, loan: &mut Loan<T, E>, caller: Caller) {
        match Frame::open(caller) {
            Some(frame) => {
                trampoline::guard(|| continuation.deliver(raw::take(loan)));
                frame.close();
            }
            None => self.postpone(Step::Deliver(continuation), loan.take(), caller),
        }
    }

    #[cold]
    fn hand_traced(&self, continuation: Entry<T, E, P, F>, outcome: Result<T, E>, past: Past, caller: Caller) {
        self.perform_with(Step::DeliverTraced(continuation, past), Some(outcome), caller);
    }

    #[inline(never)]
    fn settle_several(
        &self,
        mut shared: Inside<'_, T, E, P, F>,
        outcome: Result<T, E>,
        past: Past,
        caller: Caller,
    ) -> bool {
        let (origin, resolved) = (shared.origin, outcome.is_ok());
        if let Some(observers) = shared.settle_to_show_all(resolved, past) {
            drop(shared);
            trace::settled(origin, resolved);
            let show = |this: &Self, outcome| {
                for observer in observers {
                    trampoline::guard(|| observer.look(&outcome));
                }
                this.give_back(&mut Some(outcome));
            };
            match Frame::open(caller) {
                Some(frame) => {
                    show(self, outcome);
                    frame.close();
                }
                None => {
                    let this = self.clone();
                    trampoline::postpone(caller, Job::Call(Box::new(move || show(&this, outcome))));
                }
            }
            return true;
        }
        match shared.settle_to_wake_all(outcome, past) {
            Ok(wakers) => {
                drop(shared);
                trace::settled(origin, resolved);
                let wake = || {
                    for waker in wakers.filter_map(|consumer| consumer.entry.into_waker().ok()) {
                        trampoline::guard(|| waker.wake());
                    }
                };
                match Frame::open(caller) {
                    Some(frame) => {
                        wake();
                        frame.close();
                    }
                    None => trampoline::postpone(caller, Job::Call(Box::new(wake))),
                }
                true
            }
            Err(outcome) => {
                drop(shared);
                self.settle_fully(outcome, past, caller)
            }
        }
    }

    #[inline(never)]
    fn settle_fully(&self, outcome: Result<T, E>, past: Past, caller: Caller) -> bool {
        let resolved = outcome.is_ok();
        let mut loan = Some(outcome);
        let (step, origin) =
            self.with(|shared| (shared.settle(past, caller == Caller::Library, &mut loan), shared.origin));
        if step.is_some() {
            trace::settled(origin, resolved);
        }
        self.after_settle(step, loan, caller)
    }

    fn after_settle(&self, step: Option<Step<T, E, P, F>>, loan: Loan<T, E>, caller: Caller) -> bool {
        match step {
            Some(step) => {
                self.perform_with(step, loan, caller);
                true
            }
            None => {
                trampoline::scrap(caller, loan);
                false
            }
        }
    }

    pub(crate) fn break_with(&self, broken: Broken, caller: Caller) -> bool {
        let kind = broken.kind();
        let (step, origin) = self.with(|shared| (shared.break_with(broken, caller == Caller::Library), shared.origin));
        self.after_break(step, kind, origin, caller)
    }

    fn after_break(
        &self,
        step: Option<Step<T, E, P, F>>,
        kind: BrokenKind,
        origin: &'static Location<'static>,
        caller: Caller,
    ) -> bool {
        let Some(step) = step else { return false };
        trace::broken(origin, kind);
        self.perform(step, caller);
        true
    }

    /// Rejects with one of the library's own ends.
    pub(crate) fn break_by(&self, kind: BrokenKind, caller: Caller) -> bool {
        let (step, origin) = self.with(|shared| (shared.break_by(kind, caller == Caller::Library), shared.origin));
        self.after_break(step, kind, origin, caller)
    }

    /// Rejects because of a panic. One that comes too late to be the outcome is reported.
    pub(crate) fn break_by_panic(&self, payload: diagnostics::Payload, caller: Caller) {
        if self.break_with(Broken::panicked(diagnostics::message(&payload), self.origin()), caller) {
            diagnostics::discard(payload);
        } else {
            diagnostics::report_panic(payload);
        }
    }

    /// Settles with what a source delivered.
    pub(crate) fn deliver(&self, delivery: Delivery<T, E>, caller: Caller) {
        match delivery.unpack() {
            Ok((outcome, past)) => {
                self.settle(outcome, past, caller);
            }
            Err(broken) => {
                self.break_with(broken, caller);
            }
        }
    }

    /// The same for a derived promise, whose one source has delivered and needs not be left, on behalf of its one producer.
    #[inline]
    pub(crate) fn finish(self, outcome: Result<T, E>) {
        self.finish_from(outcome, Past::UNKNOWN);
    }

    #[inline(always)]
    fn finish_from(self, outcome: Result<T, E>, past: Past) {
        let Some(_nest) = Nest::open() else { return self.finish_later(outcome, past) };
        let resolved = outcome.is_ok();
        let ((source, next, origin), rest) = self.0.end_with::<true, _>(|shared| {
            let source = shared.forget_source();
            let next = shared.hands_on_simply().then(|| shared.hand_on(resolved, past)).flatten();
            let rest = next.is_none();
            ((source, next, shared.origin), rest)
        });
        drop(source);
        match (rest, next) {
            (Some(ptr), _) => Core(ptr).finish_nested(outcome, past),
            (None, Some(continuation)) => {
                trace::settled(origin, resolved);
                trampoline::guard(|| match past.is_unknown() {
                    true => continuation.deliver(outcome),
                    false => lend::hand(continuation, Delivery::of(outcome, past)),
                });
            }
            (None, None) => {}
        }
    }

    /// The same with a source that is forgotten already, for a promise that has another entry than one continuation, or more.
    #[inline(never)]
    fn finish_nested(self, outcome: Result<T, E>, past: Past) {
        let mut shared = self.0.visit();
        let (origin, resolved, wins) = (shared.origin, outcome.is_ok(), shared.is_pending());
        if shared.settles_simply() && shared.kind() == Some(Kind::Observer) {
            let observer = shared.settle_to_show(resolved, past);
            shared.producers -= 1;
            drop(shared);
            trace::settled(origin, resolved);
            return self.show_now(observer, &mut Some(outcome));
        }
        // What comes too late is no loan: the outcome that is here may become one.
        let (mut loan, late) = if wins { (Some(outcome), None) } else { (None, Some(outcome)) };
        let step = shared.conclude(past, false, &mut loan);
        drop(shared);
        if wins {
            trace::settled(origin, resolved);
        }
        if !step.is_rest() {
            trampoline::guard(|| lend::proceed(&self.0, step, loan));
        }
        if late.is_some() {
            trampoline::scrap(Caller::Library, late);
        }
    }

    /// The same in a place from which nothing may be run.
    #[inline(never)]
    fn finish_later(self, outcome: Result<T, E>, past: Past) {
        let resolved = outcome.is_ok();
        let mut loan = Some(outcome);
        let ((source, settled), wanted) = self.0.end_with::<true, _>(|shared| {
            let source = shared.forget_source();
            let settled = shared.is_pending().then_some(shared.origin);
            let wanted = !shared.conclude(past, true, &mut loan).is_rest();
            ((source, settled), wanted)
        });
        if let Some(origin) = settled {
            trace::settled(origin, resolved);
        }
        drop(source);
        if loan.is_some() {
            trampoline::scrap(Caller::Library, loan);
        }
        if let Some(ptr) = wanted {
            trampoline::defer(Job::Work(ptr.into_work()));
        }
    }

    /// The same with what a source may have delivered instead of a plain outcome.
    #[inline(never)]
    pub(crate) fn finish_rarely(self, delivery: Delivery<T, E>) {
        match delivery.unpack() {
            Ok((outcome, past)) => self.finish_from(outcome, past),
            Err(broken) => {
                self.break_with(broken, Caller::Library);
                self.drop_producer();
            }
        }
    }

    pub(crate) fn notify(&self, report: P, caller: Caller) -> bool {
        self.report(Event::Notify(report), caller)
    }

    pub(super) fn report(&self, event: Event<P, F>, caller: Caller) -> bool {
        match self.with(|shared| shared.report(event, caller == Caller::Library)) {
            Ok((step, replaced)) => {
                if std::mem::needs_drop::<P>() && replaced.is_some() {
                    trampoline::scrap(Caller::Quiet, replaced);
                }
                self.perform(step, caller);
                true
            }
            Err(late) => {
                trampoline::scrap(caller, late);
                false
            }
        }
    }

    /// One more producer.
    pub(crate) fn add_producer(&self) -> Self {
        Core(self.0.clone_with(Shared::add_producer))
    }

    #[inline]
    pub(super) fn drop_producer(self) {
        if self.0.is_last() { self.end_last() } else { self.end_producer() }
    }

    /// The producer is the only reference: if it leaves nothing to do, it needs no visit.
    #[inline(never)]
    fn end_last(self) {
        if let Some(this) = self.end_alone() {
            this.end_producer();
        }
    }

    #[inline]
    fn end_producer(self) {
        let ((), wanted) = self.0.end_with::<false, _>(|shared| ((), shared.drop_producer()));
        if let Some(ptr) = wanted {
            Core(ptr).end_production();
        }
    }

    /// The last producer has ended, and leaves something to do.
    #[inline(never)]
    fn end_production(self) {
        if let Some(this) = self.end_alone() {
            this.abandon();
        }
    }

    /// Ends this reference, if it is the only one, and that leaves no more to do than to drop the outcome.
    #[inline(always)]
    pub(super) fn end_alone(self) -> Option<Self> {
        let shared = self.0.end_alone_with(|shared| {
            if !shared.ends_simply() {
                return false;
            }
            if shared.is_unseen() {
                Self::end_unseen(shared);
                return true;
            }
            match shared.take_outcome() {
                Some(Ok(value)) => trampoline::scrap(Caller::Quiet, value),
                Some(Err(error)) => trampoline::scrap(Caller::Quiet, error),
                None => {}
            }
            true
        });
        shared.map(Core)
    }

    /// The same of one that is rejected, if whoever took the error, if anybody did, was the only one to see it.
    #[cold]
    #[inline(never)]
    fn end_unseen(shared: &mut Shared<T, E, P, F>) {
        // The only reference counts as none.
        (shared.rights, shared.producers) = (0, 0);
        if let (Some(Err(error)), Some(loss)) = (shared.take_outcome(), shared.loss()) {
            trampoline::scrap(Caller::Quiet, Lost { error, loss });
        } else if let Some((loss, broken)) = shared.take_lost() {
            trampoline::scrap(Caller::Quiet, Lost { error: broken, loss });
        }
    }

    #[inline(never)]
    fn abandon(&self) {
        let mut loan = None;
        let (step, abandoned) = self.with(|shared| {
            let abandoned = shared.is_pending().then_some((shared.origin, shared.is_wanted()));
            (shared.abandon(&mut loan), abandoned)
        });
        if let Some((origin, wanted)) = abandoned {
            trace::broken(origin, BrokenKind::Abandoned);
            // Nobody misses what nobody wanted.
            if wanted {
                testing::note_abandoned(&Broken::new(BrokenKind::Abandoned, origin));
            }
        }
        self.perform_with(step, loan, Caller::Quiet);
    }
}

/// The end of a producer.
impl<T, E, P, F: Flavor> End for Core<T, E, P, F> {
    #[inline]
    fn end(self) {
        self.drop_producer();
    }
}
