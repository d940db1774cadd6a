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
