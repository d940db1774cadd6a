//! What consumers do: take, wait, give up.

use std::task::{Context, Poll, Waker};

use super::flavor::Flavor;
use super::lend::{announce, end_registration, finish, panicked};
use super::note::Delivery;
use super::raw::{Callback, Core};
use super::settle::{Follower, HandOn};
use super::state::{AnyPromise, State, Take};
use super::trampoline::{self, Caller, drop_guarded};
use crate::awaited;
use crate::broken::{Broken, BrokenKind};
use crate::list::Key;
use crate::panics;

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
        if !self.any().is_settled() && park(self.any(), key, cx.waker()) {
            return Poll::Pending;
        }
        self.poll_shared(key, cx.waker())
    }

    #[inline(never)]
    fn poll_shared(&self, key: &mut Key, waker: &Waker) -> Poll<Result<T, E>> {
        let take = loop {
            match take(self.any(), State::take) {
                Some(take) => break take,
                None if park(self.any(), key, waker) => return Poll::Pending,
                None => {}
            }
        };
        if *key != Key::DANGLING {
            awaited::forget(self.any().address());
        }
        *key = Key::SPENT;
        match self.finish_take(take) {
            Ok(outcome) => Poll::Ready(outcome),
            Err(Lost::Spoiled(broken)) => panic!("{broken}"),
            Err(Lost::Panicked(payload)) => std::panic::resume_unwind(payload),
        }
    }

    /// Does what a transition says of the outcome.
    #[inline(always)]
    fn finish_take(&self, take: Take) -> Result<Result<T, E>, Lost> {
        match take {
            Take::Last(own) => Ok(self.read(own)),
            Take::Copy(clone, lent) => {
                let copy = self.copy(lent, clone);
                self.end_loan(1);
                copy.map_err(Lost::Panicked)
            }
            Take::Spoiled => {
                let broken = self.any().with(|state| state.spoiled());
                Err(Lost::Spoiled(broken.expect("a spoiled promise stays so")))
            }
        }
    }

    /// Ends a loan, and uses up so many rights.
    pub(super) fn end_loan(&self, rights: u32) {
        let mut visit = self.any().enter();
        visit.state().lender = 0;
        visit.state().rights -= rights;
        finish(visit, Caller::Quiet);
    }

    /// Exercises a right if the outcome is here. `None` if it is not: the right remains.
    ///
    /// It is for continuations: a promise with an executor gives them nothing elsewhere.
    pub(crate) fn try_take(&mut self) -> Option<Delivery<T, E>> {
        if let Some(outcome) = self.take_alone() {
            return Some(self.with_note(outcome));
        }
        if self.any().is_settled() { self.try_take_shared() } else { None }
    }

    #[inline(never)]
    fn try_take_shared(&self) -> Option<Delivery<T, E>> {
        let take = take(self.any(), |state| if state.has_executor() { None } else { state.take() })?;
        Some(match self.finish_take(take) {
            Ok(outcome) => self.with_note(outcome),
            Err(Lost::Spoiled(broken)) => Delivery::Broken(broken),
            Err(Lost::Panicked(payload)) => Delivery::Broken(panicked(payload, self.origin())),
        })
    }

    /// An outcome that was taken here, with what is known of its error.
    pub(crate) fn with_note(&self, outcome: Result<T, E>) -> Delivery<T, E> {
        match outcome {
            Ok(value) => Delivery::Outcome(Ok(value)),
            Err(error) => Delivery::of(Err(error), self.any().with(|state| state.note())),
        }
    }

    /// Registers a continuation, which takes over a right. If the outcome is here, it runs when its turn comes. `run` captures nothing.
    pub(crate) fn consume<C: Follower<F>>(
        &self,
        context: C,
        run: impl FnOnce(C, Delivery<T, E>) -> HandOn<F> + Copy + 'static,
    ) -> Key {
        consume(self.any(), Callback::continuation(context, run))
    }

    /// One promise less, without taking the outcome.
    pub(crate) fn drop_right(self, key: Key) {
        drop_right(self.into_any(), key, false);
    }

    /// One promise less, whose outcome is not needed: if it was the last one, the producer is told by a cancel.
    pub(crate) fn disown(self, key: Key) {
        drop_right(self.into_any(), key, true);
    }

    /// Takes the waker of a promise out that will not be polled again.
    pub(crate) fn unpark(&self, key: Key) {
        unpark(self.any(), key);
    }

    pub(crate) fn cancel(&self) -> bool {
        self.reject_by(BrokenKind::Canceled, Caller::User)
    }

    /// Whether this very thread lends the outcome, and could wait for itself only.
    pub(crate) fn is_lent_here(&self) -> bool {
        self.any().with(|state| state.lender == trampoline::this_thread())
    }
}

/// Why there is no outcome to be had from a settled promise.
enum Lost {
    /// Making the error panicked.
    Spoiled(Broken),
    /// Cloning the outcome panicked.
    Panicked(panics::Payload),
}

/// Uses up a right, if the outcome is here and `take` says so.
fn take<F: Flavor>(promise: &AnyPromise<F>, take: impl FnOnce(&mut State<F>) -> Option<Take>) -> Option<Take> {
    let mut visit = promise.enter();
    let take = take(visit.state());
    finish(visit, Caller::Quiet);
    take
}

/// Parks a task, unless it is parked already. `false` if the outcome can be taken instead.
#[inline(never)]
fn park<F: Flavor>(promise: &AnyPromise<F>, key: &mut Key, waker: &Waker) -> bool {
    if *key != Key::DANGLING {
        return park_again(promise, key, waker);
    }
    // A waker is cloned, and dropped, outside.
    let clone = waker.clone();
    let mut visit = promise.enter();
    if visit.state().waits() {
        *key = visit.state().callbacks.push(Callback::waker(clone));
        visit.leave();
        awaited::note(promise.address(), promise.origin());
        return true;
    }
    visit.leave();
    // Not the last of its kind: the caller has one.
    trampoline::guard(|| drop(clone));
    false
}

/// Parks a task that has been parked before, perhaps with another waker: that one is replaced, and keeps its turn.
#[inline(never)]
fn park_again<F: Flavor>(promise: &AnyPromise<F>, key: &mut Key, waker: &Waker) -> bool {
    let is_same = |parked: &mut Waker| parked.will_wake(waker);
    let mut parked = promise.with(|state| state.waits() && state.callbacks.waker_mut(*key).is_some_and(is_same));
    if !parked {
        let mut clone = Some(waker.clone());
        parked = promise.with(|state| {
            if state.waits() {
                match (state.callbacks.waker_mut(*key), &mut clone) {
                    (Some(parked), Some(clone)) => std::mem::swap(parked, clone),
                    _ => *key = clone.take().map_or(*key, |clone| state.callbacks.push(Callback::waker(clone))),
                }
            }
            state.waits()
        });
        drop_guarded(Caller::Quiet, clone);
    }
    if parked {
        awaited::note(promise.address(), promise.origin());
    }
    parked
}

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
        unpark(&promise, key);
    }
    let mut visit = promise.into_visit();
    let canceled = visit.state().drop_right(cancel);
    let visit = if canceled { announce(visit, BrokenKind::Canceled) } else { visit };
    finish(visit, if cancel { Caller::Library } else { Caller::Quiet });
}

/// Takes the waker of a promise out that will not be polled again.
#[cold]
fn unpark<F: Flavor>(promise: &AnyPromise<F>, key: Key) {
    awaited::forget(promise.address());
    let waker = promise.with(|state| state.callbacks.remove_waker(key));
    drop_guarded(Caller::Quiet, waker);
}
