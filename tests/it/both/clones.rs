//! Outcomes whose `clone` panics, for many consumers in a row. Each panic goes to the consumer that asked, and the others are served.

use std::panic::{AssertUnwindSafe, catch_unwind};

use futures::future::FusedFuture;

use super::{Deferred, Promise};
use crate::util::{Count, CountingWaker, poll, poll_once, ready};
use deferral::{Broken, BrokenKind};

/// Counts its clones, some of which panic, and its drops.
struct Brittle {
    clones: Count,
    drops: Count,
    panics: Plan,
}

/// Whether the clone of that number panics.
type Plan = fn(usize) -> bool;

impl Clone for Brittle {
    fn clone(&self) -> Self {
        let number = self.clones.get();
        self.clones.add();
        assert!(!(self.panics)(number), "clone {number}");
        Brittle { clones: self.clones.clone(), drops: self.drops.clone(), panics: self.panics }
    }
}

impl Drop for Brittle {
    fn drop(&mut self) {
        self.drops.add();
    }
}

/// An error that is brittle, too, or an end of the library's.
#[derive(Clone)]
enum Fault {
    Brittle(Brittle),
    Broken(Broken),
}

impl From<Broken> for Fault {
    fn from(broken: Broken) -> Self {
        Fault::Broken(broken)
    }
}

type Pair = (Deferred<Brittle, Fault>, Promise<Brittle, Fault>);

const CONSUMERS: usize = 30;

const PLANS: [Plan; 5] = [|_| true, |n| n % 2 == 0, |n| n == 0, |n| n == CONSUMERS - 2, |n| n % 7 > 3];

/// Runs `consume` with a pair and an outcome for each plan. It says how many of `CONSUMERS` were served: all whose clone did not panic,
/// and the last, which needs none.
#[track_caller]
fn check(consume: fn(Pair, Result<Brittle, Fault>) -> usize) {
    for (number, panics) in PLANS.into_iter().enumerate() {
        for rejects in [false, true] {
            let (clones, drops) = (Count::new(), Count::new());
            let brittle = Brittle { clones: clones.clone(), drops: drops.clone(), panics };
            let served = consume(Deferred::new(), if rejects { Err(Fault::Brittle(brittle)) } else { Ok(brittle) });
            let cloned = (0..CONSUMERS - 1).filter(|n| !panics(*n)).count();
            assert_eq!(served, cloned + 1, "plan {number}, {rejects}");
            assert_eq!((clones.get(), drops.get()), (CONSUMERS - 1, served), "plan {number}, {rejects}");
        }
    }
}

/// The promise and clones of it.
fn consumers(promise: Promise<Brittle, Fault>) -> Vec<Promise<Brittle, Fault>> {
    let mut promises: Vec<_> = (1..CONSUMERS).map(|_| promise.clone()).collect();
    promises.push(promise);
    promises
}

/// Tells whether a derived promise got the outcome. Otherwise it says that the clone panicked.
fn is_served(derived: Promise<Brittle, Fault>) -> bool {
    match ready(derived) {
        Ok(brittle) | Err(Fault::Brittle(brittle)) => {
            drop(brittle);
            true
        }
        Err(Fault::Broken(broken)) => {
            assert_eq!(broken.kind(), BrokenKind::Panicked);
            assert!(broken.to_string().contains("panicked: clone "), "{broken}");
            false
        }
    }
}

/// G9, F9: a continuation is harmed by its own clone alone, whether it is registered before the settle or after it. The settle does not
/// panic.
#[test]
fn continuations() {
    check(|(deferred, promise), outcome| {
        let derived: Vec<_> = consumers(promise).into_iter().map(|promise| promise.then(Ok)).collect();
        assert!(deferred.settle(outcome));
        derived.into_iter().map(is_served).filter(|served| *served).count()
    });
    check(|(deferred, promise), outcome| {
        assert!(deferred.settle(outcome));
        let derived = consumers(promise).into_iter().map(|promise| promise.then(Ok));
        derived.map(is_served).filter(|served| *served).count()
    });
}

/// Polls a promise that is settled. The poll is ready, or panics, and the promise ends by either.
fn is_taken(mut promise: Promise<Brittle, Fault>) -> bool {
    let taken = catch_unwind(AssertUnwindSafe(|| assert!(poll_once(&mut promise).is_ready()))).is_ok();
    assert!(promise.is_terminated());
    taken
}

/// G9, F9: a task is harmed by its own clone alone, in its poll. A task that waits is woken once.
#[test]
fn tasks() {
    check(|(deferred, promise), outcome| {
        assert!(deferred.settle(outcome));
        consumers(promise).into_iter().map(is_taken).filter(|taken| *taken).count()
    });
    check(|(deferred, promise), outcome| {
        let (woken, waker) = CountingWaker::new();
        let mut promises = consumers(promise);
        assert!(promises.iter_mut().all(|promise| poll(promise, &waker).is_pending()));
        assert!(deferred.settle(outcome));
        assert_eq!(woken.wakes(), CONSUMERS);
        promises.into_iter().map(is_taken).filter(|taken| *taken).count()
    });
}

/// G3, G9: an observer sees the outcome as long as a consumer is left, however many clones have panicked before.
#[test]
fn continuations_tasks_and_observers() {
    check(|(deferred, promise), outcome| {
        let seen = Count::new();
        let (mut tasks, mut derived) = (Vec::new(), Vec::new());
        for (n, promise) in consumers(promise).into_iter().enumerate() {
            if n % 2 == 0 { tasks.push(promise) } else { derived.push(promise.then(Ok)) }
        }
        assert!(deferred.settle(outcome));
        let mut served = derived.into_iter().map(is_served).filter(|served| *served).count();
        for (n, task) in tasks.into_iter().enumerate() {
            let count = seen.clone();
            deferred.always(move |_| count.add());
            assert_eq!(seen.get(), n + 1);
            served += usize::from(if n % 2 == 0 { is_taken(task) } else { is_served(task.then(Ok)) });
        }
        let count = seen.clone();
        deferred.always(move |_| count.add());
        assert_eq!(seen.get(), CONSUMERS / 2, "the last consumer has the outcome");
        served
    });
}
