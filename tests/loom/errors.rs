//! Errors that the library makes of its own ends, by code of the user's.

use std::cell::Cell;
use std::sync::Arc;

use deferral::{Broken, Deferred, Promise, set_unhandled_hook, testing};
use loom::alloc::Track;
use loom::cell::UnsafeCell;
use loom::future::block_on;
use loom::thread;

use crate::{Count, MANY, PREEMPTIONS, explore};

/// An error of the user's, which is `Send`, and not `Sync`. The model fails if one is left, or two threads look at it at once.
struct Failure(Track<UnsafeCell<()>>);

impl From<Broken> for Failure {
    fn from(_: Broken) -> Self {
        let failure = Failure(Track::new(UnsafeCell::new(())));
        failure.look();
        failure
    }
}

impl Failure {
    fn look(&self) {
        self.0.get_ref().with_mut(|_| ());
    }
}

impl Clone for Failure {
    fn clone(&self) -> Self {
        self.look();
        Failure(Track::new(UnsafeCell::new(())))
    }
}

impl Drop for Failure {
    fn drop(&mut self) {
        self.look();
    }
}

type Pair = (Deferred<u32, Failure>, Promise<u32, Failure>);

/// G2, G6: a promise waits while its error is made, and gets that.
///
/// Catches a poll that does not look whether a lender makes the error.
#[test]
fn a_poll_races_the_making_of_an_error() {
    explore(PREEMPTIONS, [()], |_| {
        let (deferred, promise): Pair = Deferred::new();
        let other = thread::spawn(move || drop(deferred));
        block_on(promise).unwrap_err().look();
        other.join().unwrap();
    });
}

/// G2, G4: an observer comes while another one has the error made. Both are shown it, at no time at once.
///
/// Catches a lender that has made the error, and does not look for what was appended meanwhile.
#[test]
fn an_observer_races_the_making_of_an_error() {
    explore(MANY, [2], |_| {
        let (deferred, promise): Pair = Deferred::new();
        let told = Count::default();
        let observer = || {
            let told = told.clone();
            move |failure: &Failure| {
                failure.look();
                told.add();
            }
        };
        let promise = promise.fail(observer());
        let other = thread::spawn(move || drop(deferred));
        let _promise = promise.fail(observer());
        other.join().unwrap();
        told.get()
    });
}

/// G3, G7: two promises wait while the error of a cancel is made. Each gets one, the last the error itself.
///
/// Catches a cancel that forgets to wake what was parked while the error was made.
#[test]
fn two_consumers_race_the_making_of_an_error() {
    explore(PREEMPTIONS, [()], |_| {
        let (deferred, promise): Pair = Deferred::new();
        let clone = promise.clone();
        let other = thread::spawn(move || {
            assert!(clone.cancel());
            block_on(clone).unwrap_err().look();
        });
        block_on(promise).unwrap_err().look();
        other.join().unwrap();
        drop(deferred);
    });
}

/// G10: all handles of a rejected promise go at once, on two threads, and nothing has looked at the error: that is told once.
///
/// Catches an error that the last handle drops without a look whether a callback has seen it.
#[test]
fn a_lost_error_is_told_once() {
    explore(MANY, [1], |_| {
        // The model checker's threads are all on the thread that is watched.
        let watch = testing::watch();
        let (deferred, promise) = Deferred::<u32, String>::new();
        let clone = promise.clone();
        assert!(deferred.reject("lost".to_owned()));
        let other = thread::spawn(move || {
            drop(promise);
            drop(deferred);
        });
        drop(clone);
        other.join().unwrap();
        watch.take().len()
    });
}

/// G10: one of two promises takes its error while all other handles go, so that nothing is told.
///
/// Catches a consumer that counts as one which has not looked, since others were there when it did.
#[test]
fn a_taken_error_races_the_last_handles() {
    explore(MANY, [0], |_| {
        let watch = testing::watch();
        let (deferred, promise) = Deferred::<u32, String>::new();
        let clone = promise.clone();
        assert!(deferred.reject("taken".to_owned()));
        let other = thread::spawn(move || {
            drop(promise);
            drop(deferred);
        });
        assert_eq!(block_on(clone).unwrap_err(), "taken");
        other.join().unwrap();
        watch.take().len()
    });
}

std::thread_local! {
    /// What the models of this thread have lost. The hook is one for the process.
    static LOST: Cell<u32> = const { Cell::new(0) };
}

/// G10: the last two producers go at once, and nothing but a listener would miss them: no error is ever made, and the end is told once.
///
/// Catches an end without an error which the last producer does not tell.
#[test]
fn an_end_without_an_error_is_told_once() {
    set_unhandled_hook(Some(Arc::new(|_| LOST.set(LOST.get() + 1))));
    explore(MANY, [1], |_| {
        LOST.set(0);
        let (deferred, promise) = Deferred::<u32>::new();
        drop(promise.progress(|_| ()));
        let clone = deferred.clone();
        let other = thread::spawn(move || drop(clone));
        drop(deferred);
        other.join().unwrap();
        LOST.get()
    });
}

/// G8, G10: a branch of a promise is canceled while that is rejected. An error that the branch has not taken is told.
///
/// Catches a continuation that was taken out, and counts as one which has looked at the error.
#[test]
fn a_lost_error_races_the_cancel_of_a_branch() {
    explore(PREEMPTIONS, [(false, 1), (true, 0), (true, 1)], |_| {
        let watch = testing::watch();
        let (deferred, promise) = Deferred::<u32, String>::new();
        let branch = promise.clone().then(Ok);
        let other = thread::spawn(move || assert!(deferred.reject("lost".to_owned())));
        let canceled = branch.cancel();
        other.join().unwrap();
        drop((promise, branch));
        (canceled, watch.take().len())
    });
}
