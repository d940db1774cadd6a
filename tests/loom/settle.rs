//! Settling, canceling, abandoning, and registering meanwhile.

use std::sync::{Arc, Mutex};

use deferral::{BrokenKind, Deferred, State, testing};
use loom::thread;

use crate::{Count, MANY, PREEMPTIONS, Pair, Seen, Value, explore, here, outcome, rejected};

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

/// G1, G8: `on_cancel`, registered while another thread cancels, runs once.
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

/// G1, G3, G4: two threads settle a promise that has an observer and a continuation. These see the value that has won, once.
///
/// Catches a settle that does not look whether the promise is pending.
#[test]
fn settle_races_settle_before_callbacks() {
    explore(MANY, [1, 2], |tally| {
        let (deferred, promise): Pair = Deferred::new();
        let (seen, here) = (Seen::new(), here());
        let chain = promise
            .done({
                let seen = seen.clone();
                move |value| seen.note((value.look(), here()))
            })
            .then({
                let seen = seen.clone();
                move |value| {
                    seen.note((value.look(), here()));
                    Ok(value)
                }
            });
        let other = thread::spawn({
            let (deferred, value) = (deferred.clone(), tally.value(1));
            move || deferred.resolve(value)
        });
        let won = deferred.resolve(tally.value(2));
        assert_ne!(won, other.join().unwrap());
        let number = outcome(chain).unwrap();
        // Each ran where its value came from.
        assert_eq!(seen.take(), [(number, number == 2); 2]);
        assert_eq!(won, number == 2);
        number
    });
}

/// G1, G2, G8: of a cancel and the drop of the last producer one wins, and `on_cancel` runs if that is the cancel.
///
/// Catches an end of the library's own making that does not look whether the promise is pending.
#[test]
fn cancel_races_the_last_producer() {
    explore(MANY, [BrokenKind::Abandoned, BrokenKind::Canceled].map(rejected), |_| {
        let watch = testing::watch();
        let (deferred, promise): Pair = Deferred::new();
        let canceled = Count::default();
        deferred.on_cancel({
            let canceled = canceled.clone();
            move || canceled.add()
        });
        let other = thread::spawn(move || drop(deferred));
        let won = promise.cancel();
        other.join().unwrap();
        assert_eq!((canceled.get(), Arc::strong_count(&canceled.0)), (u32::from(won), 1));
        // A promise that was canceled is not missed.
        assert_eq!(watch.take().len(), usize::from(!won));
        let end = outcome(promise);
        assert_eq!(end == rejected(BrokenKind::Canceled), won);
        end
    });
}

/// G2, G4: an observer registered while the last producer goes is told of that, once, on one of the two threads.
///
/// Catches an observer that is appended to a promise at rest, where no lender comes to run it.
#[test]
fn fail_races_the_last_producer() {
    explore(MANY, [false, true], |_| {
        let (deferred, promise): Pair = Deferred::new();
        let (seen, here) = (Seen::new(), here());
        let other = thread::spawn(move || drop(deferred));
        let _promise = promise.fail({
            let seen = seen.clone();
            move |broken| seen.note((broken.kind(), here()))
        });
        other.join().unwrap();
        let [(kind, ran_here)] = seen.take()[..] else { panic!("an observer runs once") };
        assert_eq!(kind, BrokenKind::Abandoned);
        ran_here
    });
}

/// G2, G4: a continuation registered while the last producer goes makes up for the value.
///
/// Catches a continuation that is appended to an abandoned promise, where no lender comes to run it.
#[test]
fn catch_races_the_last_producer() {
    explore(MANY, [false, true], |tally| {
        let (deferred, promise): Pair = Deferred::new();
        let (seen, here) = (Seen::new(), here());
        let other = thread::spawn(move || drop(deferred));
        let chain = promise.catch({
            let (seen, tally) = (seen.clone(), tally.clone());
            move |broken| {
                seen.note((broken.kind(), here()));
                Ok(tally.value(7))
            }
        });
        other.join().unwrap();
        assert_eq!(chain.state(), State::Resolved);
        assert_eq!(outcome(chain), Ok(7));
        let [(kind, ran_here)] = seen.take()[..] else { panic!("a continuation runs once") };
        assert_eq!(kind, BrokenKind::Abandoned);
        ran_here
    });
}

/// G3, G7: an observer registered through a producer while the last consumer takes the value sees it, or is dropped unrun.
///
/// Catches a consumer that does not look whether a lender is at work.
#[test]
fn done_of_a_producer_races_the_last_consumer() {
    explore(MANY, [0, 1], |tally| {
        let (deferred, promise): Pair = Deferred::new();
        assert!(deferred.resolve(tally.value(1)));
        let seen = Count::default();
        let other = thread::spawn({
            let seen = seen.clone();
            move || {
                deferred.done(move |value| (0..value.look()).for_each(|_| seen.add()));
            }
        });
        assert_eq!(outcome(promise), Ok(1));
        other.join().unwrap();
        assert_eq!(Arc::strong_count(&seen.0), 1);
        seen.get()
    });
}
