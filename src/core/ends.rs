//! What the two ends of a promise do: settle, register, park, derive, cancel, drop.

use std::any::Any;
use std::fmt;
use std::panic::Location;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Waker};

use super::flavor::{Accepts, Flavor};
use super::lend::{announce, aside, finish, leave_link, panicked, tell};
use super::note::{Delivery, Note};
use super::progress::{Event, Listener};
use super::raw::{
    Callback, CloneFn, Content, Core, Crosses, End, Ending, Room, Roomy, Settled, Target, TypedVisit, Visit,
};
use super::ring;
use super::state::{AnyPromise, Executor, Link, Next, State, Take};
use super::trampoline::{self, Caller, drop_guarded};
use crate::awaited;
use crate::broken::{Broken, BrokenKind};
use crate::diagnostics;
use crate::list::Key;
use crate::panics;
use crate::progress::Progress;
use crate::testing;
use crate::trace;

/// A reference that counts as a producer.
pub(crate) type Producer<T, E, P, F> = Ending<Core<T, E, P, F>>;

/// What a continuation works with: it crosses threads if its promise does, and knows the promise that waits for what comes of it.
pub trait Follower<F: Flavor>: Crosses<F> + Target<State<F>> {}

impl<F: Flavor, C: Crosses<F> + Target<State<F>>> Follower<F> for C {}

/// A promise that a continuation has settled, for the loop to go on with.
pub(crate) type HandOn<F> = Option<Settled<State<F>>>;

impl<T, E, P, F: Flavor> End for Core<T, E, P, F> {
    /// The end of a producer.
    #[inline]
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

// Making.
impl<T, E, P, F: Flavor> Core<T, E, P, F> {
    /// A pending promise, with one producer and one right: the references of both ends.
    #[inline]
    pub(crate) fn new(make: fn(Broken) -> E, origin: &'static Location<'static>) -> (Producer<T, E, P, F>, Self) {
        let (producer, promise) = Core::pair(make, origin);
        (Ending::new(producer), promise)
    }

    /// A pair with something in the room of the promise.
    pub(crate) fn with_room<X: Room<F>>(
        make: fn(Broken) -> E,
        origin: &'static Location<'static>,
        room: X,
    ) -> (Ending<Roomy<X, T, E, P, F>>, Self) {
        let (producer, promise) = Core::roomy(make, origin, room);
        (Ending::new(producer), promise)
    }

    /// Uses this reference and its right up for a promise that follows this one, and for the continuation that settles it. `context` makes
    /// of its producer what the continuation works with; `run` captures nothing.
    #[inline]
    pub(crate) fn derive<U, E2, C>(
        self,
        make: fn(Broken) -> E2,
        origin: &'static Location<'static>,
        context: impl FnOnce(Producer<U, E2, Progress, F>) -> C,
        run: impl FnOnce(C, Delivery<T, E>) -> HandOn<F> + Copy + 'static,
    ) -> Core<U, E2, Progress, F>
    where
        C: Follower<F>,
        F: Accepts<T> + Accepts<E> + Accepts<P>,
    {
        let mut visit = self.into_any().into_visit();
        let (source, key) = (visit.add(), visit.state().callbacks.next_key());
        // All inside: no thread can run the continuation before the promise is noted to follow.
        let (producer, promise) = Core::derived(make, origin, source, key);
        visit.state().callbacks.push(Callback::continuation(context(Ending::new(producer)), run));
        end_registration(visit, Caller::User);
        promise
    }

    /// One more producer.
    pub(crate) fn add_producer(&self) -> Producer<T, E, P, F> {
        Ending::new(self.clone_with(|state| state.producers += 1))
    }

    /// One more promise.
    pub(crate) fn add_right(&self) -> Self
    where
        T: Clone,
        E: Clone,
    {
        self.clone_with(|state| {
            state.rights += 1;
            state.callbacks.set_clone_fn(CloneFn::of::<T, E>());
        })
    }
}

// Settling.
impl<T, E, P, F: Flavor> Core<T, E, P, F> {
    /// Settles. `false` if that was done before: then the outcome is dropped.
    #[inline]
    pub(crate) fn settle(&self, outcome: Result<T, E>, note: Note, caller: Caller) -> bool {
        let mut visit = self.enter();
        if !visit.state().is_pending() {
            visit.erase().leave();
            drop_guarded(caller, outcome);
            return false;
        }
        if visit.state().content == Content::Follows {
            keep_source(&mut visit);
        }
        finish(Self::settle_in(visit, outcome, note), caller);
        true
    }

    /// Settles a pending promise whose place is empty.
    #[inline]
    fn settle_in(mut visit: TypedVisit<T, E, F>, outcome: Result<T, E>, note: Note) -> Visit<State<F>> {
        let resolved = outcome.is_ok();
        let fill = visit.state().settle(resolved, note);
        visit.write(fill, outcome);
        tell(visit.erase(), |origin| trace::settled(origin, resolved))
    }

    /// Settles with what a source has delivered, on behalf of the one producer, which ends with it.
    ///
    /// Nothing foreign may run between this and the return to the loop.
    #[inline]
    pub(crate) fn hand_on(self, outcome: Result<T, E>, note: Note) -> HandOn<F> {
        let mut visit = self.into_visit();
        visit.state().producers -= 1;
        if !visit.state().is_pending() {
            end_late(visit.erase(), outcome);
            return None;
        }
        let source = take_delivered(&mut visit);
        Some(Settled { visit: Self::settle_in(visit, outcome, note), source })
    }

    /// Settles with what a source has delivered, whatever it is, as [`hand_on`](Core::hand_on).
    #[inline]
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

/// The one source of a pending promise has delivered.
#[inline]
fn take_delivered<F: Flavor>(visit: &mut Visit<State<F>>) -> Option<(AnyPromise<F>, Key)> {
    let source = visit.take_source();
    visit.state().set_claim(false);
    source
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
    let (source, kind) = (take_delivered(&mut visit), broken.kind());
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
#[inline]
fn drop_producer<F: Flavor>(promise: AnyPromise<F>) {
    let mut visit = promise.into_visit();
    visit.state().producers -= 1;
    if visit.state().producers == 0 && visit.state().is_pending() {
        return abandon(visit);
    }
    finish(visit, Caller::Quiet);
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

// Observing.
impl<T, E, P, F: Flavor> Core<T, E, P, F> {
    #[inline]
    pub(crate) fn done<C>(&self, callback: C)
    where
        C: FnOnce(&T) + 'static,
        F: Accepts<C>,
    {
        self.observe(Callback::observer::<_, _, _, false>(|outcome: &Result<T, E>| {
            if let Ok(value) = outcome {
                callback(value);
            }
        }));
    }

    #[inline]
    pub(crate) fn fail<C>(&self, callback: C)
    where
        C: FnOnce(&E) + 'static,
        F: Accepts<C>,
    {
        self.observe(Callback::observer::<_, _, _, true>(|outcome: &Result<T, E>| {
            if let Err(error) = outcome {
                callback(error);
            }
        }));
    }

    #[inline]
    pub(crate) fn always<C>(&self, callback: C)
    where
        C: FnOnce(&Result<T, E>) + 'static,
        F: Accepts<C>,
    {
        self.observe(Callback::observer::<T, E, _, true>(callback));
    }

    /// Has `run`, which captures nothing, called with `context` when the promise is canceled.
    pub(crate) fn on_cancel<C: Crosses<F>>(&self, context: C, run: impl FnOnce(C) + Copy + 'static) {
        let mut visit = self.any().enter();
        visit.state().callbacks.push(Callback::canceler(context, run));
        finish(visit, Caller::User);
    }

    #[inline]
    fn observe(&self, observer: Callback<State<F>>) {
        let mut visit = self.any().enter();
        visit.state().callbacks.push(observer);
        end_registration(visit, Caller::User);
    }

    pub(crate) fn progress<C>(&self, callback: C)
    where
        C: FnMut(&P) + 'static,
        F: Accepts<C>,
    {
        self.listen(Listener::new(callback, None));
    }

    /// Registers a listener of the library's own, which goes once `follower` is gone and room is needed.
    pub(crate) fn relay<C>(&self, callback: C, follower: Weak<dyn Any + Send + Sync>)
    where
        C: FnMut(&P) + 'static,
        F: Accepts<C>,
    {
        let useless = self.any().with(|state| state.reports::<P>().thin_out());
        drop_guarded(Caller::Quiet, useless);
        self.listen(Listener::new(callback, Some(follower)));
    }

    fn listen(&self, listener: Listener<P>) {
        let mut visit = self.any().enter();
        visit.state().add_event(Event::Listen(listener));
        finish(visit, Caller::User);
    }

    /// Shows the outcome, or `None` while it is pending, lent or gone.
    pub(crate) fn peek<R>(&self, look: impl FnOnce(Option<&Result<T, E>>) -> R) -> R {
        let Some(lent) = self.any().with(State::peek) else { return look(None) };
        let seen = panics::guard(|| self.look(lent, |outcome| look(Some(outcome))));
        self.end_loan(0);
        seen.unwrap_or_else(|payload| std::panic::resume_unwind(payload))
    }

    /// Ends a loan, and uses up so many rights.
    fn end_loan(&self, rights: u32) {
        let mut visit = self.any().enter();
        visit.state().lender = 0;
        visit.state().rights -= rights;
        finish(visit, Caller::Quiet);
    }
}

// Consuming.
impl<T, E, P, F: Flavor> Core<T, E, P, F> {
    /// Polls on behalf of one promise, which is parked under `key`. When it is ready, the right is used up, and the key is spent.
    ///
    /// # Panics
    ///
    /// If cloning the outcome or making its error panics, or did.
    // Inlined where it is awaited, so that the outcome moves there in registers.
    #[inline(always)]
    pub(crate) fn poll(&mut self, key: &mut Key, cx: &mut Context<'_>) -> Poll<Result<T, E>> {
        if let Some(outcome) = self.take_alone() {
            *key = Key::SPENT;
            return Poll::Ready(outcome);
        }
        match take_or_park(self.any(), key, cx.waker()) {
            Take::Wait => Poll::Pending,
            take => self.poll_shared(key, take),
        }
    }

    #[inline(never)]
    fn poll_shared(&self, key: &mut Key, take: Take) -> Poll<Result<T, E>> {
        let Some(taken) = self.finish_take(take) else { return Poll::Pending };
        *key = Key::SPENT;
        match taken {
            Ok(outcome) => Poll::Ready(outcome),
            Err(Lost::Spoiled(broken)) => panic!("{broken}"),
            Err(Lost::Panicked(payload)) => std::panic::resume_unwind(payload),
        }
    }

    /// Does what a transition says of the outcome.
    fn finish_take(&self, take: Take) -> Option<Result<Result<T, E>, Lost>> {
        match take {
            Take::Wait => None,
            Take::Last(own) => Some(Ok(self.read(own))),
            Take::Copy(clone, lent) => {
                let copy = panics::guard(|| self.copy(lent, clone));
                self.end_loan(1);
                Some(copy.map_err(Lost::Panicked))
            }
            Take::Spoiled(broken) => Some(Err(Lost::Spoiled(broken))),
        }
    }

    /// Exercises a right if the outcome is here. `None` if it is not: the right remains.
    ///
    /// It is for continuations: a promise with an executor gives them nothing elsewhere.
    #[inline]
    pub(crate) fn try_take(&mut self) -> Option<Delivery<T, E>> {
        if let Some(outcome) = self.take_alone() {
            return Some(self.with_note(outcome));
        }
        if self.any().is_settled() { self.try_take_shared() } else { None }
    }

    #[inline(never)]
    fn try_take_shared(&self) -> Option<Delivery<T, E>> {
        let mut visit = self.any().enter();
        let take = if visit.state().has_executor() { Take::Wait } else { visit.state().take() };
        finish(visit, Caller::Quiet);
        Some(match self.finish_take(take)? {
            Ok(outcome) => self.with_note(outcome),
            Err(Lost::Spoiled(broken)) => Delivery::Broken(broken),
            Err(Lost::Panicked(payload)) => Delivery::Broken(panicked(payload, self.origin())),
        })
    }

    /// An outcome that was taken here, with what is known of its error.
    #[inline]
    pub(crate) fn with_note(&self, outcome: Result<T, E>) -> Delivery<T, E> {
        match outcome {
            Ok(value) => Delivery::Outcome(Ok(value)),
            Err(error) => Delivery::of(Err(error), self.any().with(|state| state.note())),
        }
    }

    /// Registers a continuation, which takes over a right. If the outcome is here, it runs when its turn comes. `run` captures nothing.
    #[inline]
    pub(crate) fn consume<C: Follower<F>>(
        &self,
        context: C,
        run: impl FnOnce(C, Delivery<T, E>) -> HandOn<F> + Copy + 'static,
    ) -> Key {
        consume(self.any(), Callback::continuation(context, run))
    }

    /// One promise less, without taking the outcome.
    #[inline]
    pub(crate) fn drop_right(self, key: Key) {
        drop_right(self.into_any(), key, false);
    }

    /// One promise less, whose outcome is not needed: if it was the last one, the producer is told by a cancel.
    pub(crate) fn disown(self, key: Key) {
        drop_right(self.into_any(), key, true);
    }

    /// Takes the waker of a promise out that will not be polled again.
    pub(crate) fn unpark(&self, key: Key) {
        awaited::forget(self.any().address());
        let waker = self.any().with(|state| state.callbacks.remove_waker(key));
        drop_guarded(Caller::Quiet, waker);
    }

    pub(crate) fn cancel(&self) -> bool {
        self.reject_by(BrokenKind::Canceled, Caller::User)
    }

    /// Whether this very thread lends the outcome, and could wait for itself only.
    pub(crate) fn is_lent_here(&self) -> bool {
        self.any().with(|state| state.lender == trampoline::this_thread())
    }
}

/// Ends a visit that has registered an observer or a continuation: while the promise is pending, that makes nothing to do.
#[inline(always)]
fn end_registration<F: Flavor>(mut visit: Visit<State<F>>, caller: Caller) {
    if visit.state().is_pending() { visit.leave() } else { finish(visit, caller) }
}

/// Why there is no outcome to be had from a settled promise.
enum Lost {
    /// Making the error panicked.
    Spoiled(Broken),
    /// Cloning the outcome panicked.
    Panicked(panics::Payload),
}

/// Takes the outcome if it is here; else parks the task, unless it is parked already.
#[inline(never)]
fn take_or_park<F: Flavor>(promise: &AnyPromise<F>, key: &mut Key, waker: &Waker) -> Take {
    // A waker is cloned outside. That of a first poll is needed most of the time.
    let mut clone = (*key == Key::DANGLING && !promise.is_settled()).then(|| waker.clone());
    loop {
        let mut visit = promise.enter();
        let take = if visit.state().is_pending() { Take::Wait } else { visit.state().take() };
        if !matches!(take, Take::Wait) {
            finish(visit, Caller::Quiet);
            if *key != Key::DANGLING {
                awaited::forget(promise.address());
            }
            trampoline::guard(|| drop(clone));
            return take;
        }
        let parked = if *key == Key::DANGLING { None } else { visit.state().callbacks.waker_mut(*key) };
        match (parked, &mut clone) {
            (Some(parked), _) if parked.will_wake(waker) => {}
            (Some(parked), Some(clone)) => std::mem::swap(parked, clone),
            (Some(_), None) => {
                visit.leave();
                clone = Some(waker.clone());
                continue;
            }
            (None, _) => match clone.take() {
                Some(clone) => *key = visit.state().callbacks.push(Callback::waker(clone)),
                None => {
                    visit.leave();
                    clone = Some(waker.clone());
                    continue;
                }
            },
        }
        visit.leave();
        awaited::note(promise.address(), promise.origin());
        // A waker that was replaced, or not needed, is dropped here, outside.
        return Take::Wait;
    }
}

#[inline]
fn consume<F: Flavor>(promise: &AnyPromise<F>, continuation: Callback<State<F>>) -> Key {
    let mut visit = promise.enter();
    let key = visit.state().callbacks.next_key();
    visit.state().callbacks.push(continuation);
    end_registration(visit, Caller::Library);
    key
}

/// Ends a promise that has not given its outcome, with its reference.
#[inline(never)]
fn drop_right<F: Flavor>(promise: AnyPromise<F>, key: Key, cancel: bool) {
    if key != Key::DANGLING {
        awaited::forget(promise.address());
    }
    let mut visit = promise.into_visit();
    let waker = visit.state().callbacks.remove_waker(key);
    let canceled = visit.state().drop_right(cancel);
    let visit = if canceled { announce(visit, BrokenKind::Canceled) } else { visit };
    finish(visit, if cancel { Caller::Library } else { Caller::Quiet });
    if waker.is_some() {
        drop_guarded(Caller::Quiet, waker);
    }
}

// Following.
impl<T, E, P, F: Flavor> Core<T, E, P, F> {
    /// What a follower notes of the continuation `key` of this promise.
    #[inline]
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
    #[inline]
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
    #[inline]
    fn note_room(&self, visit: &mut TypedVisit<T, E, F>) {
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
    #[inline]
    pub(crate) fn bring<R>(
        share: Ending<Self>,
        f: impl FnOnce(&mut X) -> (Option<Progress>, Option<R>),
    ) -> (HandOn<F>, Full<R, Self>) {
        let share = share.into_inner();
        let mut visit = share.enter();
        let Some((report, kept)) = share.room(&mut visit).map(f) else {
            visit.state().producers -= 1;
            visit.end(share.into_core().into_any());
            finish(visit.erase(), Caller::Library);
            return (None, None);
        };
        if let Some(report) = report {
            visit.state().add_event(Event::Notify(report));
        }
        share.note_room(&mut visit);
        if let Some(kept) = kept {
            visit.erase().leave();
            return (None, Some((kept, Ending::new(share))));
        }
        visit.state().producers -= 1;
        visit.end(share.into_core().into_any());
        (hand_on_if_needed(visit.erase()), None)
    }

    /// Does something in the room, if the promise is pending, and may say what to report. What that makes to do is done by the one that
    /// settles the aggregate, or adds its last input.
    pub(crate) fn with<R>(&self, f: impl FnOnce(&mut X) -> (Option<Progress>, R)) -> Option<R> {
        let mut visit = self.enter();
        let Some((report, result)) = self.room(&mut visit).map(f) else {
            visit.erase().leave();
            return None;
        };
        if let Some(report) = report {
            visit.state().add_event(Event::Notify(report));
        }
        self.note_room(&mut visit);
        visit.erase().leave();
        Some(result)
    }
}

#[inline]
fn hand_on_if_needed<F: Flavor>(mut visit: Visit<State<F>>) -> HandOn<F> {
    if visit.state().next_at_rest(false) != Next::Rest {
        return Some(Settled { visit, source: None });
    }
    visit.leave();
    None
}

impl<T, E, P, F: Flavor> Core<T, E, P, F> {
    pub(crate) fn origin(&self) -> &'static Location<'static> {
        self.any().origin()
    }

    pub(crate) fn state(&self) -> crate::state::State {
        self.any().with(|state| state.state())
    }

    pub(crate) fn is_settled(&self) -> bool {
        self.any().is_settled()
    }

    pub(crate) fn is_wanted(&self) -> bool {
        self.any().with(|state| state.is_wanted())
    }

    /// The text for `Debug` of either end: it asks nothing of `T` and `E`, and is safe in a callback.
    pub(crate) fn describe(&self, name: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (state, producers, rights, observers) =
            self.any().with(|state| (state.state(), state.producers, state.rights, state.observers()));
        f.debug_struct(name)
            .field("state", &state)
            .field("deferreds", &producers)
            .field("consumers", &rights)
            .field("observers", &observers)
            .field("origin", &format_args!("{}", self.origin()))
            .finish()
    }
}
