//! `peek`: what it may show while other threads settle, show or take.
//!
//! Guarantee 15 is to have it wait for a lender that is at work on another thread. Today it shows nothing then. The lists of ends that are
//! to change stand here, and each says what holds from then on.

use std::sync::Arc;

use deferral::{Deferred, Promise, State};
use loom::thread;

use crate::{Count, MANY, Pair, Value, explore, outcome};

/// What a thread may see of a promise that another thread settles: whether it is settled, and whether a `peek` then shows the outcome.
const SETTLING: [(bool, bool); 3] = [(false, false), (false, true), (true, true)];

/// The ends while the outcome is shown to an observer. Once a `peek` waits, they are those of `SETTLING`.
const SHOWING: [(bool, bool); 4] = [(false, false), (false, true), (true, false), (true, true)];

/// Whether a `peek` shows the outcome of a settled promise that another thread lends or takes. Once a `peek` waits, it always does.
const SETTLED: [bool; 2] = [false, true];

/// Whether each of two `peek`s at once shows the outcome. Once a `peek` waits, both do.
const BOTH: [(bool, bool); 3] = [(false, true), (true, false), (true, true)];

/// Whether a `peek` shows the outcome, which is 7.
fn look(promise: &Promise<Value>) -> bool {
    promise.peek(|outcome| outcome.is_some_and(|outcome| outcome.as_ref().unwrap().look() == 7))
}

fn is_settled(promise: &Promise<Value>) -> bool {
    promise.state() != State::Pending
}

/// G13, G15: a `peek` while another thread settles shows nothing, or the whole outcome.
///
/// Catches a promise that shows as settled before its outcome is in its place.
#[test]
fn peek_races_settle() {
    explore(MANY, SETTLING, |tally| {
        let (deferred, promise): Pair = Deferred::new();
        let value = tally.value(7);
        let other = thread::spawn(move || {
            value.look();
            assert!(deferred.resolve(value));
        });
        let end = (is_settled(&promise), look(&promise));
        other.join().unwrap();
        assert!(look(&promise));
        end
    });
}

/// G3, G15: a `peek` never looks while an observer does.
///
/// Catches a `peek` that does not look whether a lender is at work.
#[test]
fn peek_races_a_lender() {
    explore(MANY, SHOWING, |tally| {
        let (deferred, promise): Pair = Deferred::new();
        let seen = Count::default();
        let promise = promise.done({
            let seen = seen.clone();
            move |value| (0..value.look()).for_each(|_| seen.add())
        });
        let value = tally.value(7);
        let other = thread::spawn(move || assert!(deferred.resolve(value)));
        let end = (is_settled(&promise), look(&promise));
        other.join().unwrap();
        assert_eq!(seen.get(), 7);
        assert!(look(&promise));
        end
    });
}

/// G3, G7: a `peek` is a lender itself. A promise that waits for it is woken, and gets its value.
///
/// Catches a `peek` that ends its loan without a look for what came meanwhile.
#[test]
fn a_consumer_races_peek() {
    explore(MANY, SETTLED, |tally| {
        let (deferred, promise): Pair = Deferred::new();
        assert!(deferred.resolve(tally.value(7)));
        let clone = promise.clone();
        let other = thread::spawn(move || assert_eq!(outcome(clone), Ok(7)));
        let looked = look(&promise);
        // Before this one takes its value, too, and so has a chance to make up for what was forgotten.
        other.join().unwrap();
        assert_eq!(outcome(promise), Ok(7));
        assert_eq!(tally.made(), 2);
        looked
    });
}

/// G3: two observers run once each on a settled promise, and a `peek` looks at no time of theirs.
#[test]
fn two_observers_and_a_look_race_for_what_is_there() {
    explore(MANY, SETTLED, |tally| {
        let (deferred, promise): Pair = Deferred::new();
        assert!(deferred.resolve(tally.value(7)));
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
        let looked = look(&promise);
        drop(promise.done(observer()));
        other.join().unwrap();
        assert_eq!(seen.get(), 14);
        looked
    });
}

/// G3, G15: two threads `peek` at once, and never look at once.
///
/// Catches a `peek` that does not look whether another one is at work.
#[test]
fn peek_races_peek() {
    explore(MANY, BOTH, |tally| {
        let (deferred, promise): Pair = Deferred::new();
        assert!(deferred.resolve(tally.value(7)));
        let promise = Arc::new(promise);
        let other = thread::spawn({
            let promise = promise.clone();
            move || look(&promise)
        });
        let here = look(&promise);
        (here, other.join().unwrap())
    });
}

/// G3, G7: all other handles go while a promise looks: nothing is taken from under it, then and later.
///
/// Catches a `peek` that disposes of the outcome though a promise is left, as all producers are gone.
#[test]
fn peek_races_the_end_of_all_other_handles() {
    explore(MANY, [true], |tally| {
        let (deferred, promise): Pair = Deferred::new();
        let clone = promise.clone();
        assert!(deferred.resolve(tally.value(7)));
        let other = thread::spawn(move || {
            drop(clone);
            drop(deferred);
        });
        let looked = look(&promise);
        other.join().unwrap();
        assert!(look(&promise));
        assert_eq!(tally.made(), 1);
        looked
    });
}
