//! References to a promise, which come and go on several threads.

use std::task::{Poll, Waker};

use deferral::{BrokenKind, Deferred, Promise};
use loom::thread;

use crate::{Count, FEW, MANY, PREEMPTIONS, Pair, Value, explore, outcome, poll};

/// Makes two promises more, and ends all of them.
fn come_and_go(promise: Promise<Value>) {
    let first = promise.clone();
    drop(promise);
    let second = first.clone();
    drop(first);
    drop(second);
}

/// Makes two producers more, and ends all of them.
fn produce_and_go(deferred: Deferred<Value>) {
    let first = deferred.clone();
    drop(deferred);
    let second = first.clone();
    drop(first);
    drop(second);
}

/// Counts the calls of an observer of an abandoned promise.
fn told(deferred: &Deferred<Value>) -> Count {
    let told = Count::default();
    deferred.fail({
        let told = told.clone();
        move |broken| {
            assert_eq!(broken.kind(), BrokenKind::Abandoned);
            told.add();
        }
    });
    told
}

/// G7: the last two references to a settled promise end at once: an outcome that nothing took is dropped, once.
#[test]
fn the_last_two_references_end_at_once() {
    explore(PREEMPTIONS, [()], |tally| {
        let (deferred, promise): Pair = Deferred::new();
        assert!(deferred.resolve(tally.value(1)));
        let other = thread::spawn(move || drop(deferred));
        drop(promise);
        other.join().unwrap();
    });
}

/// G2, G7: so do those to a pending one, whose observer is told if it is still there.
#[test]
fn both_ends_of_a_pending_promise_end_at_once() {
    explore(PREEMPTIONS, [1], |_| {
        let (deferred, promise): Pair = Deferred::new();
        let told = told(&deferred);
        let other = thread::spawn(move || drop(deferred));
        drop(promise);
        other.join().unwrap();
        told.get()
    });
}

/// G7: clones of either end are made and dropped while another thread settles.
#[test]
fn clones_of_both_ends_race_settle() {
    explore(FEW, [Ok(1)], |tally| {
        let (deferred, promise): Pair = Deferred::new();
        let value = tally.value(1);
        let producer = deferred.clone();
        let other = thread::spawn(move || {
            let clone = deferred.clone();
            drop(deferred);
            assert!(clone.resolve(value));
        });
        let clone = promise.clone();
        drop(producer);
        drop(promise);
        let end = outcome(clone);
        other.join().unwrap();
        end
    });
}

/// G7: the only promise goes while another thread settles and goes, too.
#[test]
fn a_dropped_promise_races_settle() {
    explore(PREEMPTIONS, [()], |tally| {
        let (deferred, promise): Pair = Deferred::new();
        let value = tally.value(1);
        let other = thread::spawn(move || assert!(deferred.resolve(value)));
        drop(promise);
        other.join().unwrap();
    });
}

/// G7: two threads make references to a settled promise, and end all that they have: its value is dropped once, by the last of them.
///
/// Catches a count of producers that is read in one visit and written in another.
#[test]
fn references_to_a_settled_promise_come_and_go() {
    explore(MANY, [()], |tally| {
        let (deferred, promise): Pair = Deferred::new();
        assert!(deferred.resolve(tally.value(1)));
        let other = thread::spawn(move || produce_and_go(deferred));
        come_and_go(promise);
        other.join().unwrap();
        assert_eq!(tally.made(), 1);
    });
}

/// G2, G7: two threads make references to a pending promise, and end all that they have: the last producer is missed once.
///
/// Catches a last handle that does not look whether a lender is at work.
#[test]
fn references_to_a_pending_promise_come_and_go() {
    explore(PREEMPTIONS, [1], |_| {
        let (deferred, promise): Pair = Deferred::new();
        let told = told(&deferred);
        let other = thread::spawn(move || produce_and_go(deferred));
        come_and_go(promise);
        other.join().unwrap();
        told.get()
    });
}

/// G2, G7: two threads make and end producers of their own: the last one is missed once, whichever it is.
///
/// Catches a count of producers that is not changed under the lock.
#[test]
fn producers_come_and_go_on_two_threads() {
    explore(MANY, [1], |_| {
        let (deferred, promise): Pair = Deferred::new();
        let told = told(&deferred);
        drop(promise);
        let other = thread::spawn({
            let deferred = deferred.clone();
            move || produce_and_go(deferred)
        });
        produce_and_go(deferred);
        other.join().unwrap();
        told.get()
    });
}

/// G3, G7: two threads make and end promises of a settled pair: its value is dropped once, by the last of them.
///
/// Catches a count of rights that is read in one visit and written in another.
#[test]
fn promises_come_and_go_on_two_threads() {
    explore(PREEMPTIONS, [()], |tally| {
        let (deferred, promise): Pair = Deferred::new();
        assert!(deferred.resolve(tally.value(1)));
        drop(deferred);
        let other = thread::spawn({
            let promise = promise.clone();
            move || come_and_go(promise)
        });
        come_and_go(promise);
        other.join().unwrap();
        assert_eq!(tally.made(), 1);
    });
}

/// G3, G7: two threads make promises of a settled pair, and end all but one each. These get a value, the last one the value itself.
///
/// Catches a count of rights that is not changed under the lock.
#[test]
fn promises_are_counted_on_two_threads() {
    explore(PREEMPTIONS, [2], |tally| {
        let (deferred, promise): Pair = Deferred::new();
        assert!(deferred.resolve(tally.value(1)));
        drop(deferred);
        let other = thread::spawn({
            let promise = promise.clone();
            move || promise.clone()
        });
        let here = promise.clone();
        drop(promise);
        let there = other.join().unwrap();
        assert_eq!([outcome(here), outcome(there)], [Ok(1), Ok(1)]);
        tally.made()
    });
}

/// G3, G7: one thread makes promises and ends them while the other one takes the value.
///
/// Catches a count of rights that is read in one visit and written in another, while another promise takes the outcome.
#[test]
fn promises_come_and_go_while_the_value_is_taken() {
    explore(MANY, [1, 2], |tally| {
        let (deferred, promise): Pair = Deferred::new();
        assert!(deferred.resolve(tally.value(1)));
        drop(deferred);
        let other = thread::spawn({
            let promise = promise.clone();
            move || come_and_go(promise)
        });
        assert_eq!(outcome(promise), Ok(1));
        other.join().unwrap();
        tally.made()
    });
}

/// G7: the library makes a reference to the source of a chain, to give up its claim there, while the source's last users go.
///
/// Catches an end that does not see a reference which was made outside the lock.
#[test]
fn a_reference_of_the_library_races_the_last_users() {
    explore(MANY, [()], |tally| {
        let (deferred, promise): Pair = Deferred::new();
        let chain = promise.then(Ok).then(Ok);
        let value = tally.value(1);
        let other = thread::spawn(move || {
            assert!(deferred.resolve(value));
            drop(deferred);
        });
        drop(chain);
        other.join().unwrap();
    });
}

/// G7: the library makes a reference to a target, to lead a promise there, while another thread settles that promise, takes the outcome
/// of the target, and goes.
///
/// Catches a poll that takes itself for alone, and does not see a reference which was made outside the lock.
#[test]
fn a_reference_of_the_library_races_a_consumer() {
    explore(PREEMPTIONS, [None, Some(1)], |tally| {
        let (deferred, promise): Pair = Deferred::new();
        let (target, mut led): Pair = Deferred::new();
        let value = tally.value(1);
        let other = thread::spawn(move || {
            assert!(deferred.resolve(value));
            match poll(&mut led, Waker::noop()) {
                Poll::Ready(outcome) => Some(outcome.unwrap().look()),
                Poll::Pending => None,
            }
        });
        promise.forward(target);
        other.join().unwrap()
    });
}
