//! What the promise layer sees of the core: one pointer, whose methods lock, decide, unlock and act.

use std::any::Any;
use std::fmt;
use std::panic::Location;
use std::sync::{Arc, Weak};
use std::task::Waker;

use super::extra::{Link, Links};
use super::flavor::{Accepts, Flavor};
use super::home::Home;
use super::lend::{self, unfollow};
use super::past::{Lost, Past};
use super::progress::{Event, Listener};
use super::raw::{End, Kind, Node, Ptr, Source, Visit};
use super::state::{Delivery, Entry, Loan, Shared, State, Step};
use super::trampoline::{self, Caller, Frame, Job, Nest};
use crate::Progress;
use crate::broken::{Broken, BrokenKind};
use crate::diagnostics;
use crate::list::Key;
use crate::testing;
use crate::trace;

/// The two ends' way to what they share.
///
/// Cloning it counts neither as a producer nor as a promise: who keeps a clone for long says so by
/// [`add_producer`](Core::add_producer) or [`add_right`](Core::add_right).
pub(crate) struct Core<T: 'static, E: 'static, P: 'static, F: Flavor>(pub(super) Ptr<Shared<T, E, P, F>>);

/// The inside of a promise, during a visit.
type Inside<'a, T, E, P, F> = Visit<'a, Shared<T, E, P, F>>;

impl<T, E, P, F: Flavor> Clone for Core<T, E, P, F> {
    #[inline]
    fn clone(&self) -> Self {
        Core(self.0.clone())
    }
}

impl<T, E, P, F: Flavor> Core<T, E, P, F> {
    /// A pending promise, with one producer and one right to the outcome: the references of both ends.
    #[inline]
    pub(crate) fn pair(broken: fn(Broken) -> E, origin: &'static Location<'static>) -> (Self, Self) {
        let (first, second) = Ptr::pair(|| Shared::new(broken, origin));
        (Core(first), Core(second))
    }

    /// The same of a derived promise, which follows the entry `key` of `source`.
    #[inline]
    pub(crate) fn pair_from(
        source: Source<F>,
        key: Key,
        broken: fn(Broken) -> E,
        origin: &'static Location<'static>,
    ) -> (Self, Self) {
        let (first, second) = Ptr::pair(|| Shared::new(broken, origin).following(source, key));
        (Core(first), Core(second))
    }

    /// A settled promise, with no producer and one right to the outcome.
    #[inline]
    pub(crate) fn settled(broken: fn(Broken) -> E, origin: &'static Location<'static>, outcome: Result<T, E>) -> Self {
        Core(Ptr::new(|| Shared::settled(broken, origin, outcome)))
    }

    #[inline]
    pub(super) fn with<R>(&self, f: impl FnOnce(&mut Shared<T, E, P, F>) -> R) -> R {
        self.0.with(f)
    }

    /// Does what a transition obliges its caller to, if it is anything: now, in a frame of its own, or when it is this promise's turn.
    #[inline]
    pub(crate) fn perform(&self, step: Step<T, E, P, F>, caller: Caller) {
        self.perform_with(step, None, caller);
    }

    #[inline]
    pub(super) fn perform_with(&self, step: Step<T, E, P, F>, loan: Loan<T, E>, caller: Caller) {
        if step.is_rest() {
            return;
        }
        if caller == Caller::Library {
            return lend::defer(&self.0, step);
        }
        if caller == Caller::Home {
            return arrive::<F>(self.node());
        }
        match Frame::open(caller) {
            Some(frame) => {
                trampoline::guard(|| lend::proceed(&self.0, step, loan));
                frame.close();
            }
            None => self.postpone(step, loan, caller),
        }
    }

    #[cold]
    fn postpone(&self, step: Step<T, E, P, F>, loan: Loan<T, E>, caller: Caller) {
        let ptr = self.0.clone();
        trampoline::postpone(caller, Job::Call(Box::new(move || lend::proceed(&ptr, step, loan))));
    }

    pub(super) fn of(ptr: &Ptr<Shared<T, E, P, F>>) -> Self {
        Core(ptr.clone())
    }

    /// Gives a new promise a home. It has no producer then: who holds this core settles it there, as [`Caller::Home`].
    pub(crate) fn set_home(&self, home: Home<T, E, P, F>) {
        self.with(|shared| {
            shared.extra().home = Some(Arc::new(home));
            shared.producers = 0;
        });
    }

    /// Whether the outcome waits for callbacks that were sent home.
    pub(crate) fn awaits_home(&self) -> bool {
        self.with(|shared| shared.awaits_home())
    }

    pub(crate) fn broken_fn(&self) -> fn(Broken) -> E {
        self.with(|shared| shared.broken)
    }

    pub(crate) fn origin(&self) -> &'static Location<'static> {
        self.with(|shared| shared.origin)
    }

    #[inline]
    pub(crate) fn is_settled(&self) -> bool {
        self.0.is_settled()
    }

    pub(crate) fn state(&self) -> State {
        self.with(|shared| shared.state())
    }

    pub(crate) fn is_wanted(&self) -> bool {
        self.with(|shared| shared.is_wanted())
    }

    /// What tells one promise from all others that live.
    pub(crate) fn address(&self) -> *const () {
        self.0.address()
    }

    // What producers do.

    #[inline(always)]
    pub(crate) fn settle(&self, outcome: Result<T, E>, caller: Caller) -> bool {
        self.settle_from(outcome, Past::UNKNOWN, caller)
    }

    /// The same with an error of which something more is known.
    #[inline(always)]
    pub(crate) fn settle_from(&self, outcome: Result<T, E>, past: Past, caller: Caller) -> bool {
        if caller == Caller::Library {
            return self.settle_fully(outcome, past, caller);
        }
        let resolved = outcome.is_ok();
        let mut shared = self.0.visit();
        if shared.settles_simply() {
            match shared.kind() {
                None => {
                    shared.settle_simply(outcome, past);
                    let origin = shared.origin;
                    drop(shared);
                    trace::settled(origin, resolved);
                    return true;
                }
                Some(Kind::Waker) => {
                    shared.settle_simply(outcome, past);
                    let (waker, origin) = (shared.take_waker(), shared.origin);
                    drop(shared);
                    trace::settled(origin, resolved);
                    if let Some(waker) = waker {
                        self.wake(waker, caller);
                    }
                    return true;
                }
                Some(Kind::Observer) => {
                    let observer = shared.settle_to_show(resolved, past);
                    let origin = shared.origin;
                    drop(shared);
                    trace::settled(origin, resolved);
                    self.show(observer, outcome, caller);
                    return true;
                }
                Some(Kind::Continuation) => {
                    let continuation = shared.settle_to_deliver(resolved, past);
                    let origin = shared.origin;
                    drop(shared);
                    trace::settled(origin, resolved);
                    match continuation {
                        Some(continuation) if past.is_unknown() => self.hand(continuation, outcome, caller),
                        Some(continuation) => self.hand_traced(continuation, outcome, past, caller),
                        None => {}
                    }
                    return true;
                }
                Some(Kind::Many) => return self.settle_several(shared, outcome, past, caller),
                Some(Kind::Canceler) => {}
            }
        }
        drop(shared);
        self.settle_fully(outcome, past, caller)
    }

    #[inline(never)]
    fn wake(&self, waker: Waker, caller: Caller) {
        match Frame::open(caller) {
            Some(frame) => {
                trampoline::guard(|| waker.wake());
                frame.close();
            }
            None => self.postpone(Step::Wake(waker), None, caller),
        }
    }

    #[inline(never)]
    fn hand(&self, continuation: Entry<T, E, P, F>, outcome: Result<T, E>, caller: Caller) {
        match Frame::open(caller) {
            Some(frame) => {
                trampoline::guard(|| continuation.deliver(outcome));
                frame.close();
            }
            None => self.postpone(Step::Deliver(continuation), Some(outcome), caller),
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
                this.give_back(outcome);
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
                self.settle_from(outcome, past, caller);
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
        let Some(nest) = Nest::open() else { return self.finish_later(outcome, past) };
        let resolved = outcome.is_ok();
        let ((source, next, origin), rest) = self.0.end_with(|shared| {
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
        nest.close();
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
            return self.show_now(observer, outcome);
        }
        let mut loan = Some(outcome);
        let step = shared.conclude(past, false, &mut loan);
        drop(shared);
        if wins {
            trace::settled(origin, resolved);
        }
        if !step.is_rest() {
            trampoline::guard(|| lend::proceed(&self.0, step, loan.take()));
        }
        if loan.is_some() {
            trampoline::scrap(Caller::Library, loan);
        }
    }

    /// The same in a place from which nothing may be run.
    #[inline(never)]
    fn finish_later(self, outcome: Result<T, E>, past: Past) {
        let resolved = outcome.is_ok();
        let mut loan = Some(outcome);
        let ((source, settled), wanted) = self.0.end_with(|shared| {
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

    fn report(&self, event: Event<P, F>, caller: Caller) -> bool {
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
    fn drop_producer(mut self) {
        if self.end_alone() {
            return;
        }
        let ((), wanted) = self.0.end_with(|shared| ((), shared.drop_producer()));
        if let Some(ptr) = wanted {
            Core(ptr).abandon();
        }
    }

    /// Ends the only reference, if that leaves no more to do than to drop the outcome.
    #[inline]
    pub(super) fn end_alone(&mut self) -> bool {
        let Some(shared) = self.0.alone() else { return false };
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

    // What both ends register.

    /// Registers an observer or a canceler.
    // Inlined, so that the entry is made in its place.
    #[inline(always)]
    pub(crate) fn observe(&self, entry: Entry<T, E, P, F>) {
        let mut shared = self.0.visit();
        if entry.kind() == Kind::Observer {
            if shared.registers_simply() {
                return shared.register_simply(entry);
            }
            let Some(entry) = shared.register_among(entry) else { return };
            if let Some(outcome) = shared.lend_simply() {
                drop(shared);
                return self.show(Some(entry), outcome, Caller::User);
            }
            drop(shared);
            return self.observe_fully(entry);
        }
        drop(shared);
        self.observe_fully(entry);
    }

    #[inline(never)]
    fn observe_fully(&self, entry: Entry<T, E, P, F>) {
        let mut loan = None;
        let step = self.with(|shared| shared.register(entry, &mut loan));
        self.perform_with(step, loan, Caller::User);
    }

    /// Shows the outcome, which is on loan, to the one observer.
    #[inline(never)]
    fn show(&self, observer: Option<Entry<T, E, P, F>>, outcome: Result<T, E>, caller: Caller) {
        let Some(frame) = Frame::open(caller) else {
            let step = observer.map_or(Step::Run, Step::Show);
            return self.postpone(step, Some(outcome), caller);
        };
        self.show_now(observer, outcome);
        frame.close();
    }

    /// The same in a frame that is open.
    #[inline]
    fn show_now(&self, observer: Option<Entry<T, E, P, F>>, outcome: Result<T, E>) {
        if let Some(observer) = observer {
            trampoline::guard(|| observer.look(&outcome));
        }
        self.give_back(outcome);
    }

    /// Ends the loan to observers, in their frame.
    #[inline]
    fn give_back(&self, outcome: Result<T, E>) {
        let mut shared = self.0.visit();
        if shared.gives_back_simply() {
            return shared.give_back_simply(outcome);
        }
        let mut loan = Some(outcome);
        let step = shared.resume(&mut loan);
        drop(shared);
        trampoline::guard(|| lend::proceed(&self.0, step, loan));
    }

    pub(crate) fn listen(&self, listener: F::Listener<P>) {
        self.report(Event::Listen(Listener::new(listener)), Caller::User);
    }

    /// Registers a listener of the library's own, which goes once `follower` is gone and room is needed.
    pub(crate) fn relay(&self, listener: F::Listener<P>, follower: Weak<dyn Any + Send + Sync>) {
        let useless = self.with(|shared| shared.thin_out());
        trampoline::scrap(Caller::Quiet, useless);
        self.report(Event::Listen(Listener::relay(listener, follower)), Caller::User);
    }

    // What followers do.

    /// Makes this promise one that lets go of what it follows as soon as nobody wants the outcome.
    pub(crate) fn set_aggregate(&self) {
        self.with(|shared| shared.aggregate = true);
    }

    /// A link to the entry `key` among the consumers of this promise.
    #[inline]
    pub(crate) fn into_link(self, key: Key, private: bool) -> Link<F>
    where
        F: Accepts<Shared<T, E, P, F>>,
    {
        Link { source: self.into_source(), key, private, claims: true }
    }

    #[inline]
    pub(crate) fn into_source(self) -> Source<F>
    where
        F: Accepts<Shared<T, E, P, F>>,
    {
        <F as Accepts<Shared<T, E, P, F>>>::source(self.0)
    }

    /// Registers the continuation that `derive` makes for the entry of that key, together with a derived promise that follows it: from then on
    /// that one holds this reference.
    #[inline]
    pub(crate) fn lead<R>(self, derive: impl FnOnce(Source<F>, Key) -> (R, Entry<T, E, P, F>)) -> R
    where
        F: Accepts<Shared<T, E, P, F>>,
    {
        let (mut step, mut loan) = (Step::Rest, None);
        let (derived, wanted) = self.0.move_with(|shared, source| {
            // All inside: nobody can run the continuation before the promise is noted to follow it.
            let (derived, continuation) = derive(<F as Accepts<Shared<T, E, P, F>>>::source(source), shared.next_key());
            if shared.registers_simply() {
                shared.register_simply(continuation);
                return (derived, false);
            }
            step = shared.consume(continuation, false, &mut loan).1;
            (derived, true)
        });
        match wanted {
            Some(ptr) => Core(ptr).perform_with(step, loan, Caller::User),
            None => std::mem::forget(step),
        }
        derived
    }

    /// The one source of a derived promise has delivered, and needs not be left.
    pub(crate) fn forget_source(&self) {
        let source = self.with(|shared| shared.forget_source());
        drop(source);
    }

    /// All sources have delivered, and need not be left.
    pub(crate) fn forget_sources(&self) {
        let links = self.with(|shared| shared.forget_sources());
        drop(links);
    }

    /// Has a cancel of a new promise, whose maker has not shown it to anybody, get to `source`.
    #[inline]
    pub(crate) fn follow_first(&self, source: Source<F>, key: Key) {
        let late = self.with(|shared| shared.follow_first(source, key));
        drop(late);
    }

    /// Notes what this promise follows, so that a cancel gets there.
    pub(crate) fn follow(&self, links: Links<F>) {
        let (step, links, cancel) = self.with(|shared| shared.follow(links));
        self.perform(step, Caller::Library);
        unfollow(links, cancel);
    }

    /// This promise as one that others wait for.
    pub(crate) fn node(&self) -> Node<F> {
        self.0.clone().into_node()
    }
}

/// The end of a producer.
impl<T, E, P, F: Flavor> End for Core<T, E, P, F> {
    #[inline]
    fn end(self) {
        self.drop_producer();
    }
}

/// Has the machine of a promise go on here, which is its home.
pub(crate) fn arrive<F: Flavor>(promise: Node<F>) {
    match Frame::open(Caller::Home) {
        Some(frame) => {
            trampoline::guard(|| promise.arrive());
            frame.close();
        }
        None => trampoline::postpone(Caller::Home, Job::Call(Box::new(move || promise.arrive()))),
    }
}

impl<T, E, F: Flavor> Core<T, E, Progress, F> {
    /// Queues a report of the library's own, and tells whether there is somebody to tell it to: then [`run`](Core::run) has to follow. An
    /// aggregate calls it under its own lock, so that reports from many threads keep their order; nothing foreign runs before.
    pub(crate) fn queue_report(&self, report: Progress) -> bool {
        self.with(|shared| shared.report(Event::Notify(report), true)).is_ok_and(|(step, _)| !step.is_rest())
    }

    /// Does what [`queue_report`](Core::queue_report) has left to do.
    pub(crate) fn run(&self, caller: Caller) {
        self.perform(Step::Run, caller);
    }
}

impl<T, E, P, F: Flavor> Core<T, E, P, F> {
    /// The text for `Debug` of either end: it asks nothing of `T` and `E`, and is safe in a callback.
    pub(crate) fn describe(&self, name: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (state, producers, rights, observers, origin) = self.with(|shared| {
            let observers = shared.observers();
            (shared.state(), shared.producers, shared.rights, observers, shared.origin)
        });
        f.debug_struct(name)
            .field("state", &state)
            .field("deferreds", &producers)
            .field("consumers", &rights)
            .field("observers", &observers)
            .field("origin", &format_args!("{origin}"))
            .finish()
    }
}
