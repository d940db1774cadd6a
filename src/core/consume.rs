//! What consumers do: take, wait, look, give up.

use std::task::{Context, Poll, Waker};

use super::flavor::Flavor;
use super::handle::{Core, Inside};
use super::lend::{self, panicked};
use super::raw::{self, Source};
use super::state::{CloneFn, Delivery, Entry, Loan, Shared, Step};
use super::trampoline::{self, Caller, Frame};
use super::transitions::Take;
use crate::awaited;
use crate::broken::{Broken, BrokenKind};
use crate::diagnostics;
use crate::list::Key;
use crate::trace;

impl<T, E, P, F: Flavor> Core<T, E, P, F> {
    pub(crate) fn cancel(&self) -> bool {
        let mut shared = self.0.visit();
        let Some((source, key)) = shared.cancel_simply() else {
            shared.leave(false);
            return self.break_by(BrokenKind::Canceled, Caller::User);
        };
        let origin = shared.origin;
        drop(shared);
        trace::broken(origin, BrokenKind::Canceled);
        self.leave_source(source, key);
        true
    }

    /// Cancels the one source, and then serves whoever came meanwhile.
    #[inline(never)]
    fn leave_source(&self, source: Source<F>, key: Key) {
        let Some(frame) = Frame::open(Caller::User) else {
            return self.postpone(Step::Leave(source, key, true), None, Caller::User);
        };
        trampoline::guard(|| {
            source.node().withdraw(key, true);
            drop(source);
        });
        let mut shared = self.0.visit();
        if shared.has_left_simply() {
            shared.lender = 0;
            shared.leave(false);
        } else {
            let step = shared.resume(&mut None);
            drop(shared);
            trampoline::guard(|| lend::proceed(&self.0, step, None));
        }
        frame.close();
    }

    /// Registers a continuation, which takes over a right. If the outcome is here, it runs when its turn comes.
    #[inline(always)]
    pub(crate) fn consume(&self, continuation: Entry<T, E, P, F>) -> Key {
        let mut shared = self.0.visit();
        if shared.registers_simply() {
            shared.register_simply(continuation);
            shared.leave(false);
            return Key::FIRST;
        }
        shared.leave(false);
        self.consume_fully(continuation)
    }

    #[inline(never)]
    fn consume_fully(&self, continuation: Entry<T, E, P, F>) -> Key {
        let (key, step) = self.with(|shared| shared.consume(continuation, true, &mut None));
        self.perform(step, Caller::Library);
        key
    }

    /// Exercises a right if the outcome is here. `None` if it is not: the right remains.
    ///
    /// It is for continuations: one that has a home gives them nothing elsewhere.
    // Inlined, so that the outcome moves in registers.
    #[inline(always)]
    pub(crate) fn try_take(&mut self) -> Option<Delivery<T, E>> {
        match self.take_alone() {
            Some(outcome) => Some(self.trace(outcome)),
            None if self.is_settled() => self.try_take_shared(),
            None => None,
        }
    }

    #[inline(never)]
    fn try_take_shared(&mut self) -> Option<Delivery<T, E>> {
        if self.with(|shared| shared.has_home()) {
            return None;
        }
        let mut outcome = None;
        let taken = self.take(&mut outcome)?;
        Some(match taken.map(|()| raw::take(&mut outcome)) {
            Ok(outcome) => self.trace(outcome),
            Err(Lost::Spoiled(broken)) => Delivery::Broken(broken),
            Err(Lost::Panicked(payload)) => Delivery::Broken(panicked(payload, self.origin())),
        })
    }

    /// What was taken here, with what is known of it.
    #[inline]
    pub(crate) fn trace(&self, outcome: Result<T, E>) -> Delivery<T, E> {
        match outcome {
            Ok(value) => Delivery::Outcome(Ok(value)),
            Err(error) => self.trace_error(error),
        }
    }

    #[inline(never)]
    fn trace_error(&self, error: E) -> Delivery<T, E> {
        Delivery::of(Err(error), self.with(|shared| shared.past()))
    }

    /// Takes the outcome, if it is here and this is the only reference: then nobody else has to be told.
    #[inline]
    pub(crate) fn take_alone(&mut self) -> Option<Result<T, E>> {
        self.0.alone_settled().and_then(Shared::take_alone)
    }

    /// Exercises a right if the outcome is here: it is in `outcome` then, as it moves slowly.
    fn take(&self, outcome: &mut Loan<T, E>) -> Option<Result<(), Lost>> {
        match self.with(|shared| shared.take(outcome)) {
            Take::Wait => None,
            Take::Owned => Some(Ok(())),
            taken => Some(self.take_rare(taken, outcome)),
        }
    }

    #[inline(never)]
    fn take_rare(&self, taken: Take<T, E>, loan: &mut Loan<T, E>) -> Result<(), Lost> {
        match (taken, &*loan) {
            (Take::Lent(clone), Some(outcome)) => {
                let mut cloned = None;
                let panic = diagnostics::guard(|| clone(outcome, &mut cloned)).err();
                self.give_back_right(loan);
                match panic {
                    None => {
                        raw::put(loan, &mut cloned);
                        Ok(())
                    }
                    Some(payload) => Err(Lost::Panicked(payload)),
                }
            }
            (Take::Last, Some(_)) => {
                let step = self.with(|shared| shared.give_back(1, &mut None));
                self.perform(step, Caller::Quiet);
                Ok(())
            }
            (Take::Spoiled(broken), _) => {
                let step = self.with(|shared| shared.claim(false, &mut None));
                self.perform(step, Caller::Quiet);
                Err(Lost::Spoiled(broken))
            }
            _ => unreachable!("what was taken is somewhere else"),
        }
    }

    /// Ends a loan, and uses up the right of who had it.
    #[inline]
    fn give_back_right(&self, loan: &mut Loan<T, E>) {
        let mut shared = self.0.visit();
        shared.rights -= 1;
        if shared.gives_back_simply() {
            return shared.give_back_simply(loan);
        }
        let step = shared.resume(loan);
        drop(shared);
        self.perform_with(step, loan.take(), Caller::Quiet);
    }

    /// Polls on behalf of one promise, which is parked under `key`. When it is ready, the right is used up, and the key is spent.
    ///
    /// # Panics
    ///
    /// As [`Lost::raise`].
    // Inlined where it is awaited, so that the outcome moves there in registers.
    #[inline(always)]
    pub(crate) fn poll(&mut self, key: &mut Key, cx: &mut Context<'_>) -> Poll<Result<T, E>> {
        if let Some(outcome) = self.take_alone() {
            *key = Key::SPENT;
            return Poll::Ready(outcome);
        }
        if *key == Key::DANGLING {
            *key = self.park_first(cx.waker());
            if *key != Key::DANGLING {
                return Poll::Pending;
            }
        }
        self.poll_fully(key, cx.waker())
    }

    /// Parks a promise that is not parked, and says where: nowhere, if it is settled.
    #[inline(never)]
    fn park_first(&self, waker: &Waker) -> Key {
        if self.is_settled() {
            return Key::DANGLING;
        }
        let waker = waker.clone();
        let mut shared = self.0.visit();
        if !shared.parks_simply() {
            return self.park_among(shared, waker);
        }
        shared.park_simply(waker);
        let origin = shared.origin;
        drop(shared);
        awaited::note(self.address(), origin);
        Key::FIRST
    }

    /// The same beside others.
    #[inline(never)]
    fn park_among(&self, mut shared: Inside<'_, T, E, P, F>, waker: Waker) -> Key {
        if shared.can_take() {
            // The outcome has come meanwhile.
            drop(shared);
            drop(waker);
            return Key::DANGLING;
        }
        let (key, origin) = (shared.park_newly(waker), shared.origin);
        shared.leave(false);
        awaited::note(self.address(), origin);
        key
    }

    #[inline(never)]
    fn poll_fully(&self, key: &mut Key, waker: &Waker) -> Poll<Result<T, E>> {
        loop {
            let mut outcome = None;
            if let Some(taken) = self.take(&mut outcome) {
                *key = Key::SPENT;
                return match taken {
                    Ok(()) => Poll::Ready(raw::take(&mut outcome)),
                    Err(lost) => lost.raise(),
                };
            }
            if *key != Key::DANGLING {
                let parked = self.with(|shared| shared.is_parked(*key, waker).then_some(shared.origin));
                if let Some(origin) = parked {
                    awaited::note(self.address(), origin);
                    return Poll::Pending;
                }
            }
            let clone = waker.clone();
            // Out of the visit comes what is dropped here: the waker that was replaced, or the new one if the outcome has come.
            let parked = self.with(|shared| shared.park(key, clone).map(|replaced| (replaced, shared.origin)));
            if let Ok((_replaced, origin)) = parked {
                awaited::note(self.address(), origin);
                return Poll::Pending;
            }
        }
    }

    /// Whether this very thread lends the outcome, and could wait for itself only.
    pub(crate) fn is_lent_here(&self) -> bool {
        self.with(|shared| shared.lender == trampoline::this_thread())
    }

    /// Shows the outcome, or `None` while it is pending, lent or gone.
    pub(crate) fn peek<R>(&self, look: impl FnOnce(Option<&Result<T, E>>) -> R) -> R {
        let mut loan = None;
        if !self.with(|shared| shared.lend(&mut loan)) {
            return look(None);
        }
        let seen = diagnostics::guard(|| look(loan.as_ref()));
        let step = self.with(|shared| shared.give_back(0, &mut loan));
        self.perform_with(step, loan, Caller::Quiet);
        seen.unwrap_or_else(|payload| std::panic::resume_unwind(payload))
    }

    /// One more promise. The function is what the outcome will be cloned with.
    pub(crate) fn add_right(&self, clone: CloneFn<T, E>) -> Self {
        Core(self.0.clone_with(|shared| shared.add_right(clone)))
    }

    /// One promise less, without taking the outcome.
    #[inline(never)]
    pub(crate) fn release(self, key: Key) {
        let ((), wanted) = self.0.end_with::<false, _>(|shared| {
            let simply = key == Key::DANGLING && shared.releases_simply();
            shared.rights -= u32::from(simply);
            ((), !simply)
        });
        if let Some(ptr) = wanted {
            Core(ptr).release_rarely(key);
        }
    }

    /// The same of one that is the last in some way, or parked.
    #[inline(never)]
    fn release_rarely(self, key: Key) {
        let address = self.address();
        let Some(this) = self.end_alone() else {
            if key != Key::DANGLING {
                awaited::forget(address);
            }
            return;
        };
        if key != Key::DANGLING {
            return this.release_fully(key, false);
        }
        let (told, wanted) = this.0.end_with::<false, _>(|shared| {
            let told = shared.release_and_disclaim();
            let wanted = told.is_none();
            (told, wanted)
        });
        if let Some(ptr) = wanted {
            Core(ptr).release_fully(key, false);
        }
        if let Some((source, key)) = told {
            lend::disclaim(source, key);
        }
    }

    /// The same. With `cancel`, the producer is told by a cancel if it was the last one.
    #[inline(never)]
    pub(crate) fn release_fully(&self, key: Key, cancel: bool) {
        if key != Key::DANGLING {
            awaited::forget(self.address());
        }
        let mut loan = None;
        let (canceled, (consumer, step)) =
            self.with(|shared| shared.tell_cancel(|shared| shared.release(key, cancel, cancel, &mut loan)));
        if let Some(origin) = canceled {
            trace::broken(origin, BrokenKind::Canceled);
        }
        self.perform_with(step, loan, if cancel { Caller::Library } else { Caller::Quiet });
        if consumer.is_some() {
            trampoline::scrap(Caller::Quiet, consumer);
        }
    }

    /// Takes the waker of a promise back that will not be polled again.
    pub(crate) fn unpark(&self, key: Key) {
        awaited::forget(self.address());
        let consumer = self.with(|shared| shared.unpark(key));
        if consumer.is_some() {
            trampoline::scrap(Caller::Quiet, consumer);
        }
    }
}

/// Why there is no outcome to be had from a settled promise.
pub(crate) enum Lost {
    /// Making the error panicked.
    Spoiled(Broken),
    /// Cloning the outcome panicked.
    Panicked(diagnostics::Payload),
}

impl Lost {
    /// Ends the consumer that asked.
    pub(crate) fn raise(self) -> ! {
        match self {
            Lost::Spoiled(broken) => panic!("{broken}"),
            Lost::Panicked(payload) => std::panic::resume_unwind(payload),
        }
    }
}
