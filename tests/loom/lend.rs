//! A lender at work, and other threads that come meanwhile.

use deferral::{Deferred, State};
use loom::future::block_on;
use loom::thread;

use crate::{Count, Flag, MANY, PREEMPTIONS, Pair, Seen, Value, explore, here, outcome};

/// Whether the lender was at work already when a callback was about to be registered, and whether the thread that registered it ran it.
const MEETINGS: [(bool, bool); 4] = [(false, false), (false, true), (true, false), (true, true)];

fn settle(deferred: Deferred<Value>, value: Value) -> Deferred<Value> {
    assert!(deferred.resolve(value));
    deferred
}

/// G3, G4: an observer comes while others are shown the value. Each runs once, in order, and never two at once.
fn an_observer_comes_behind(others: u32) {
    explore(MANY, MEETINGS, move |tally| {
        let (deferred, mut promise): Pair = Deferred::new();
        let (seen, lent, here) = (Seen::new(), Flag::new(), here());
        let observer = |name: u32| {
            let (seen, lent) = (seen.clone(), lent.clone());
            move |value: &Value| {
                lent.raise();
                seen.note((name, value.look(), here()));
            }
        };
        for name in 0..others {
            promise = promise.done(observer(name));
        }
        let value = tally.value(7);
        let other = thread::spawn(move || settle(deferred, value));
        let at_work = lent.is_up();
        // Both ends are kept: to end one is a chance to make up for what was forgotten.
        let _promise = promise.done(observer(others));
        let _deferred = other.join().unwrap();
        let seen = seen.take();
        assert!(seen.iter().map(|&(name, number, _)| (name, number)).eq((0..=others).map(|name| (name, 7))));
        (at_work, seen.last().unwrap().2)
    });
}

/// Catches a lender that ends its loan without a look for what was appended meanwhile.
#[test]
fn an_observer_comes_while_another_is_shown() {
    an_observer_comes_behind(1);
}

/// Catches a lender that takes the list of observers out once and looks for no more.
#[test]
fn an_observer_comes_while_two_others_are_shown() {
    an_observer_comes_behind(2);
}

/// G3, G4: a continuation comes while an observer is shown the value. It runs after that one, before `resolve` or `then` returns.
///
/// Catches a continuation that is appended to a promise at rest, where no lender comes to run it.
#[test]
fn a_continuation_comes_while_an_observer_is_shown() {
    explore(MANY, MEETINGS, |tally| {
        let (deferred, promise): Pair = Deferred::new();
        let (seen, lent, here) = (Seen::new(), Flag::new(), here());
        let promise = promise.done({
            let (seen, lent) = (seen.clone(), lent.clone());
            move |value| {
                lent.raise();
                seen.note((1, value.look(), here()));
            }
        });
        let value = tally.value(7);
        let other = thread::spawn(move || settle(deferred, value));
        let at_work = lent.is_up();
        let chain = promise.then({
            let seen = seen.clone();
            move |value| {
                seen.note((2, value.look(), here()));
                Ok(value)
            }
        });
        let _deferred = other.join().unwrap();
        assert_eq!(chain.state(), State::Resolved);
        assert_eq!(outcome(chain), Ok(7));
        let seen = seen.take();
        assert!(seen.iter().map(|&(name, number, _)| (name, number)).eq([(1, 7), (2, 7)]));
        (at_work, seen[1].2)
    });
}

/// G3: a second continuation comes while the first is given its clone. Each gets a value, the last one the value itself.
///
/// Catches a lender that gives the value itself away while another right to it is left.
#[test]
fn a_continuation_comes_while_another_is_served() {
    explore(PREEMPTIONS, [()], |tally| {
        let (deferred, promise): Pair = Deferred::new();
        let clone = promise.clone();
        let first = promise.then(Ok);
        let value = tally.value(7);
        let other = thread::spawn(move || settle(deferred, value));
        let second = clone.then(Ok);
        let _deferred = other.join().unwrap();
        assert_eq!([first.state(), second.state()], [State::Resolved; 2]);
        assert_eq!([outcome(first), outcome(second)], [Ok(7), Ok(7)]);
        assert_eq!(tally.made(), 2);
    });
}

/// G8: an `on_cancel` comes while another one runs. Each runs once, in order.
///
/// Catches an `on_cancel` that does not look whether a lender is at work.
#[test]
fn an_on_cancel_comes_while_another_runs() {
    explore(MANY, MEETINGS, |_| {
        let (deferred, promise): Pair = Deferred::new();
        let (seen, lent, here) = (Seen::new(), Flag::new(), here());
        let canceler = |name: u32| {
            let (seen, lent) = (seen.clone(), lent.clone());
            move || {
                lent.raise();
                seen.note((name, here()));
            }
        };
        deferred.on_cancel(canceler(1));
        let other = thread::spawn(move || {
            assert!(promise.cancel());
            promise
        });
        let at_work = lent.is_up();
        deferred.on_cancel(canceler(2));
        let _promise = other.join().unwrap();
        let seen = seen.take();
        assert!(seen.iter().map(|&(name, _)| name).eq([1, 2]));
        (at_work, seen[1].1)
    });
}

/// G3, G7: a promise waits while an observer is shown the value. It is woken when that has ended.
///
/// Catches a lender that forgets a waker which was parked meanwhile.
#[test]
fn a_poll_races_a_lender() {
    explore(PREEMPTIONS, [Ok(7)], |tally| {
        let (deferred, promise): Pair = Deferred::new();
        let seen = Count::default();
        let promise = promise.done({
            let seen = seen.clone();
            move |value| (0..value.look()).for_each(|_| seen.add())
        });
        let value = tally.value(7);
        let other = thread::spawn(move || assert!(deferred.resolve(value)));
        let end = outcome(promise);
        other.join().unwrap();
        assert_eq!(seen.get(), 7);
        end
    });
}

/// G3, G7: the only promise goes while an observer is shown the value, which is dropped once.
///
/// Catches a loan that loses the outcome when it ends.
#[test]
fn a_dropped_promise_races_a_lender() {
    explore(MANY, [1], |tally| {
        let (deferred, promise): Pair = Deferred::new();
        let seen = Count::default();
        let promise = promise.done({
            let seen = seen.clone();
            move |value| (0..value.look()).for_each(|_| seen.add())
        });
        let value = tally.value(1);
        let other = thread::spawn(move || assert!(deferred.resolve(value)));
        drop(promise);
        other.join().unwrap();
        seen.get()
    });
}

/// G3: two observers come to a settled promise, each on a thread of its own, and are never shown the value at once.
///
/// Catches a lender of a settled promise that ends its loan without a look for what was appended meanwhile.
#[test]
fn two_observers_race_for_what_is_there() {
    explore(MANY, [[true, false], [true, true], [false, false]], |tally| {
        let (deferred, promise): Pair = Deferred::new();
        assert!(deferred.resolve(tally.value(7)));
        let (seen, here) = (Seen::new(), here());
        let observer = |name: usize| {
            let seen = seen.clone();
            move |value: &Value| seen.note((name, value.look(), here()))
        };
        let theirs = observer(1);
        let other = thread::spawn(move || {
            deferred.done(theirs);
            deferred
        });
        let _promise = promise.done(observer(0));
        let _deferred = other.join().unwrap();
        let mut seen = seen.take();
        seen.sort_unstable();
        assert!(seen.iter().map(|&(name, number, _)| (name, number)).eq([(0, 7), (1, 7)]));
        [seen[0].2, seen[1].2]
    });
}

/// G1, G6: two promises whose observers settle each other are settled by two threads at once. Neither thread waits for the other.
///
/// Catches an observer that runs under a lock.
#[test]
fn two_lenders_settle_each_other() {
    explore(MANY, [[1, 1], [1, 2], [2, 2]], |_| {
        let (a, first) = Deferred::<u32>::new();
        let (b, second) = Deferred::<u32>::new();
        let (to_a, to_b) = (a.clone(), b.clone());
        let first = first.done(move |number| {
            to_b.resolve(*number);
        });
        let second = second.done(move |number| {
            to_a.resolve(*number);
        });
        let other = thread::spawn(move || a.resolve(1));
        let (here, there) = (b.resolve(2), other.join().unwrap());
        assert!(here || there);
        [first, second].map(|promise| block_on(promise).unwrap())
    });
}

/// G3, G4: an observer comes to a promise that has been settled, and waits for its turn behind another continuation of its source. It runs
/// behind the one that stands there, and never while the other thread looks.
///
/// Catches a promise that waits for its turn, and does not count as lent until then.
#[test]
fn an_observer_comes_before_the_turn_of_its_promise() {
    explore(MANY, [[1, 2]], |tally| {
        let (deferred, promise): Pair = Deferred::new();
        let seen = Seen::new();
        let observer = |name: u32| {
            let seen = seen.clone();
            move |value: &Value| seen.note((name, value.look()))
        };
        let first = promise.clone().then(Ok).done(observer(1));
        let _second = promise.then(Ok);
        let clone = first.clone();
        let value = tally.value(7);
        let other = thread::spawn(move || {
            assert!(deferred.resolve(value));
            assert_eq!(outcome(clone), Ok(7));
        });
        let _first = first.done(observer(2));
        other.join().unwrap();
        let [(one, 7), (two, 7)] = seen.take()[..] else { panic!("each observer runs once") };
        [one, two]
    });
}
