//! Waiting.

use std::sync::Arc;
use std::task::{Poll, Waker};

use deferral::{BrokenKind, Deferred, State};
use loom::thread;

use crate::{Count, FEW, MANY, PREEMPTIONS, Pair, explore, outcome, poll, rejected};

/// G7, G13: a promise that waits is woken, and sees what the producer did.
#[test]
fn poll_races_settle() {
    explore(PREEMPTIONS, [Ok(1)], |tally| {
        let (deferred, promise): Pair = Deferred::new();
        let value = tally.value(1);
        let other = thread::spawn(move || assert!(deferred.resolve(value)));
        let end = outcome(promise);
        other.join().unwrap();
        end
    });
}

/// G2, G7: a promise that waits is woken when the last of two producers goes.
#[test]
fn poll_races_the_drop_of_the_last_producer() {
    explore(FEW, [rejected(BrokenKind::Abandoned)], |_| {
        let (deferred, promise): Pair = Deferred::new();
        let clone = deferred.clone();
        let others = [thread::spawn(move || drop(clone)), thread::spawn(move || drop(deferred))];
        let end = outcome(promise);
        others.into_iter().for_each(|other| other.join().unwrap());
        end
    });
}

/// G1, G2: a producer's drop takes nothing from the settle of another.
#[test]
fn settle_races_the_drop_of_another_producer() {
    explore(PREEMPTIONS, [Ok(1)], |tally| {
        let (deferred, promise): Pair = Deferred::new();
        let clone = deferred.clone();
        let other = thread::spawn(move || drop(clone));
        assert!(deferred.resolve(tally.value(1)));
        drop(deferred);
        let end = outcome(promise);
        other.join().unwrap();
        end
    });
}

/// G7: of two wakers, one after the other, the one that was parked last is woken.
#[test]
fn a_new_waker_races_settle() {
    explore(PREEMPTIONS, [0, 1], |tally| {
        let (deferred, mut promise): Pair = Deferred::new();
        let first = Arc::new(Count::default());
        assert!(poll(&mut promise, &Waker::from(first.clone())).is_pending());
        let value = tally.value(1);
        let other = thread::spawn(move || assert!(deferred.resolve(value)));
        assert_eq!(outcome(promise), Ok(1));
        other.join().unwrap();
        first.get()
    });
}

/// G3, G7: of two promises that wait each is woken and gets a value, the last one the value itself.
#[test]
fn two_consumers_race_settle() {
    explore(FEW, [()], |tally| {
        let (deferred, promise): Pair = Deferred::new();
        let clone = promise.clone();
        let value = tally.value(1);
        let consumers = [promise, clone].map(|promise| thread::spawn(move || assert_eq!(outcome(promise), Ok(1))));
        assert!(deferred.resolve(value));
        consumers.into_iter().for_each(|consumer| consumer.join().unwrap());
        assert_eq!(tally.made(), 2);
    });
}

/// G3, G7: a second promise comes to wait while another thread settles. Both are woken, unless the second finds the outcome there.
///
/// Catches a settle that wakes only one of those that wait.
#[test]
fn a_second_waiter_races_settle() {
    explore(MANY, [0, 1], |tally| {
        let (deferred, mut promise): Pair = Deferred::new();
        let mut clone = promise.clone();
        let (first, second) = (Arc::new(Count::default()), Arc::new(Count::default()));
        assert!(poll(&mut promise, &Waker::from(first.clone())).is_pending());
        let value = tally.value(1);
        let other = thread::spawn(move || assert!(deferred.resolve(value)));
        let early = poll(&mut clone, &Waker::from(second.clone())).is_ready();
        other.join().unwrap();
        assert_eq!(first.get(), 1);
        assert!(early || second.get() == 1);
        assert_eq!(outcome(promise), Ok(1));
        assert!(early || outcome(clone) == Ok(1));
        assert_eq!(tally.made(), 2);
        second.get()
    });
}

/// G3: two promises that take a settled outcome at once lend it to each other.
#[test]
fn two_consumers_race_for_what_is_there() {
    explore(PREEMPTIONS, [()], |tally| {
        let (deferred, promise): Pair = Deferred::new();
        let clone = promise.clone();
        assert!(deferred.resolve(tally.value(1)));
        let other = thread::spawn(move || assert_eq!(outcome(clone), Ok(1)));
        assert_eq!(outcome(promise), Ok(1));
        other.join().unwrap();
        assert_eq!(tally.made(), 2);
    });
}

/// G7: one of two that wait goes, and the other is still woken.
#[test]
fn a_dropped_waiter_races_settle() {
    explore(PREEMPTIONS, [1, 2], |tally| {
        let (deferred, promise): Pair = Deferred::new();
        let mut clone = promise.clone();
        assert!(poll(&mut clone, Waker::noop()).is_pending());
        let other = thread::spawn(move || drop(clone));
        assert!(deferred.resolve(tally.value(1)));
        assert_eq!(outcome(promise), Ok(1));
        other.join().unwrap();
        tally.made()
    });
}

/// G2, G7: a promise that waits is dropped while the last producer goes. It is woken or not, and its waker does not stay.
///
/// Catches a waker that stays when its promise is dropped, and one that is forgotten by the lender.
#[test]
fn a_dropped_waiter_races_the_last_producer() {
    explore(MANY, [0, 1], |_| {
        let (deferred, mut promise): Pair = Deferred::new();
        let waker = Arc::new(Count::default());
        assert!(poll(&mut promise, &Waker::from(waker.clone())).is_pending());
        let other = thread::spawn(move || drop(deferred));
        drop(promise);
        other.join().unwrap();
        assert_eq!(Arc::strong_count(&waker), 1);
        waker.get()
    });
}

/// G7: the only promise waits, and is dropped while another thread settles. The value is dropped once, and the waker does not stay.
///
/// Catches a waker that stays when its promise is dropped, and one that is forgotten by the settle.
#[test]
fn the_only_waiter_is_dropped_while_another_thread_settles() {
    explore(MANY, [0, 1], |tally| {
        let (deferred, mut promise): Pair = Deferred::new();
        let waker = Arc::new(Count::default());
        assert!(poll(&mut promise, &Waker::from(waker.clone())).is_pending());
        let value = tally.value(1);
        let other = thread::spawn(move || assert!(deferred.resolve(value)));
        drop(promise);
        other.join().unwrap();
        assert_eq!(Arc::strong_count(&waker), 1);
        waker.get()
    });
}

/// G3, G7: a promise that waits is chained instead while another thread settles. The continuation takes the place of the waker.
///
/// Catches a waker that stays where its promise has been chained, and a key that outlives its waker.
#[test]
fn a_chained_waiter_races_settle() {
    explore(MANY, [0, 1], |tally| {
        let (deferred, mut promise): Pair = Deferred::new();
        let waker = Arc::new(Count::default());
        assert!(poll(&mut promise, &Waker::from(waker.clone())).is_pending());
        let value = tally.value(1);
        let other = thread::spawn(move || assert!(deferred.resolve(value)));
        let chain = promise.then(Ok);
        other.join().unwrap();
        assert_eq!(chain.state(), State::Resolved);
        assert_eq!(outcome(chain), Ok(1));
        assert_eq!(Arc::strong_count(&waker), 1);
        waker.get()
    });
}

/// G13: a promise whose producer has settled it and gone gives its value at the next poll, and what the producer did before is seen.
///
/// Catches a look from outside at whether a promise is settled that is not Acquire, and a store of the word that is not Release.
#[test]
fn a_promise_that_shows_as_settled_is_ready() {
    explore(MANY, [(false, None), (false, Some(1)), (true, Some(1))], |tally| {
        let (deferred, mut promise): Pair = Deferred::new();
        let value = tally.value(1);
        let other = thread::spawn(move || {
            value.look();
            assert!(deferred.resolve(value));
        });
        let settled = promise.state() == State::Resolved;
        let number = match poll(&mut promise, Waker::noop()) {
            Poll::Ready(outcome) => Some(outcome.unwrap().look()),
            Poll::Pending => None,
        };
        other.join().unwrap();
        (settled, number)
    });
}
