//! Settling, registering, and the end of either end.

use std::sync::{Arc, Mutex};

use deferral::{Broken, BrokenKind, Deferred, State};
use loom::thread;

use crate::{Count, FEW, PREEMPTIONS, Pair, Value, explore, outcome, rejected};

/// G1: of two settles exactly one wins, and its value is the outcome.
#[test]
fn settle_races_settle() {
    explore(PREEMPTIONS, [1, 2], |tally| {
        let (deferred, promise): Pair = Deferred::new();
        let other = thread::spawn({
            let (deferred, value) = (deferred.clone(), tally.value(1));
            move || deferred.resolve(value)
        });
        let here = deferred.resolve(tally.value(2));
        let there = other.join().unwrap();
        assert_ne!(here, there);
        let number = outcome(promise).unwrap();
        assert_eq!(number, if here { 2 } else { 1 });
        number
    });
}

/// G1, G8: of a settle and a cancel exactly one wins, and `on_cancel` runs if that is the cancel.
#[test]
fn settle_races_cancel() {
    explore(PREEMPTIONS, [Ok(1), rejected(BrokenKind::Canceled)], |tally| {
        let (deferred, promise): Pair = Deferred::new();
        let canceled = Count::default();
        deferred.on_cancel({
            let canceled = canceled.clone();
            move || canceled.add()
        });
        let other = thread::spawn({
            let value = tally.value(1);
            move || deferred.resolve(value)
        });
        let here = promise.cancel();
        let there = other.join().unwrap();
        assert_ne!(here, there);
        assert_eq!(canceled.get(), u32::from(here));
        outcome(promise)
    });
}

/// G1, G8: `on_cancel`, registered while somebody cancels, runs once.
#[test]
fn on_cancel_races_cancel() {
    explore(PREEMPTIONS, [()], |_| {
        let (deferred, promise): Pair = Deferred::new();
        let other = thread::spawn(move || assert!(promise.cancel()));
        let canceled = Count::default();
        deferred.on_cancel({
            let canceled = canceled.clone();
            move || canceled.add()
        });
        other.join().unwrap();
        assert_eq!(canceled.get(), 1);
    });
}

/// G4, G1: a report reaches the listener once if it came before the settle, and is refused otherwise.
#[test]
fn notify_races_settle() {
    explore(PREEMPTIONS, [0, 1], |tally| {
        let (deferred, promise) = Deferred::<Value, Broken, u32>::with_progress();
        let heard = Count::default();
        let promise = promise.progress({
            let heard = heard.clone();
            move |_| heard.add()
        });
        let other = thread::spawn({
            let (deferred, value) = (deferred.clone(), tally.value(1));
            move || deferred.resolve(value)
        });
        let told = deferred.notify(1);
        assert!(other.join().unwrap());
        assert_eq!(heard.get(), u32::from(told));
        assert_eq!(promise.state(), State::Resolved);
        heard.get()
    });
}

/// G3, G4: observers registered while another thread settles run once each, in order, never two at once.
#[test]
fn done_races_settle() {
    explore(PREEMPTIONS, [()], |tally| {
        let (deferred, promise): Pair = Deferred::new();
        let value = tally.value(1);
        let other = thread::spawn(move || assert!(deferred.resolve(value)));
        let seen = Arc::new(Mutex::new(Vec::new()));
        let observer = |name: u32| {
            let seen = seen.clone();
            move |value: &Value| seen.lock().unwrap().push((name, value.look()))
        };
        drop(promise.done(observer(1)).done(observer(2)));
        other.join().unwrap();
        assert_eq!(*seen.lock().unwrap(), [(1, 1), (2, 1)]);
    });
}

/// G3: of two observers on a settled promise, one of which finds the outcome lent, each runs once, and `peek` looks at no time of theirs.
#[test]
fn two_observers_and_a_look_race_for_what_is_there() {
    explore(PREEMPTIONS, [false, true], |tally| {
        let (deferred, promise): Pair = Deferred::new();
        assert!(deferred.resolve(tally.value(1)));
        let seen = Count::default();
        let observer = || {
            let seen = seen.clone();
            move |value: &Value| (0..value.look()).for_each(|_| seen.add())
        };
        let other = thread::spawn({
            let observer = observer();
            move || {
                deferred.done(observer);
            }
        });
        let looked = promise.peek(|outcome| outcome.is_some_and(|outcome| outcome.as_ref().unwrap().look() == 1));
        drop(promise.done(observer()));
        other.join().unwrap();
        assert_eq!(seen.get(), 2);
        looked
    });
}

/// G4, G13: a continuation registered while another thread settles runs once.
#[test]
fn then_races_settle() {
    explore(PREEMPTIONS, [Ok(2)], |tally| {
        let (deferred, promise): Pair = Deferred::new();
        let value = tally.value(1);
        let other = thread::spawn(move || assert!(deferred.resolve(value)));
        let tally = tally.clone();
        let chain = promise.then(move |value| Ok(tally.value(value.look() + 1)));
        let end = outcome(chain);
        other.join().unwrap();
        end
    });
}

/// Guarantee 7: the last two references to a settled promise end at once: what nobody took is dropped, once.
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
        let told = Count::default();
        deferred.fail({
            let told = told.clone();
            move |broken| {
                assert_eq!(broken.kind(), BrokenKind::Abandoned);
                told.add();
            }
        });
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
