//! `when::map`: promises that are started as there is room for them.

use deferral::{Deferred, Promise, State, when};
use loom::future::block_on;
use loom::thread;

use crate::{FEW, PREEMPTIONS, Pair, Value, explore};

/// G4, G7: two promises in flight are settled at once. One of the threads starts the next, and the last one settles the whole.
///
/// Catches a thread that has started a promise, and does not look whether there is room for another by now.
#[test]
fn the_promises_in_flight_are_settled_at_once() {
    explore(PREEMPTIONS, [()], |tally| {
        let (a, first): Pair = Deferred::new();
        let (b, second): Pair = Deferred::new();
        let items = [first, second, Promise::resolved(tally.value(3))];
        let all = when::map(items, 2, |promise: Promise<Value>| promise);
        let value = tally.value(1);
        let other = thread::spawn(move || assert!(a.resolve(value)));
        assert!(b.resolve(tally.value(2)));
        other.join().unwrap();
        assert_eq!(all.state(), State::Resolved);
        assert!(block_on(all).unwrap().iter().map(Value::look).eq([1, 2, 3]));
    });
}

/// G4, G7: the promises are settled while they are being started.
///
/// Catches a thread that starts promises, and does not see that one of them has settled meanwhile.
#[test]
fn the_promises_are_settled_while_they_are_started() {
    explore(FEW, [()], |tally| {
        let (a, first): Pair = Deferred::new();
        let (b, second): Pair = Deferred::new();
        let values = (tally.value(1), tally.value(2));
        let other = thread::spawn(move || {
            assert!(a.resolve(values.0));
            assert!(b.resolve(values.1));
        });
        let all = when::map([first, second], 1, |promise: Promise<Value>| promise);
        other.join().unwrap();
        assert_eq!(all.state(), State::Resolved);
        assert!(block_on(all).unwrap().iter().map(Value::look).eq([1, 2]));
    });
}

/// G1, G8: the whole is canceled while the promise in flight settles, and so makes room for the next. That one
/// is canceled or never started.
///
/// Catches a promise that is started after the end, and left alone.
#[test]
fn a_cancel_of_map_races_its_promises() {
    explore(PREEMPTIONS, [()], |tally| {
        let (a, first): Pair = Deferred::new();
        let (b, second): Pair = Deferred::new();
        let all = when::map([first, second], 1, |promise: Promise<Value>| promise);
        let value = tally.value(1);
        let other = thread::spawn(move || a.resolve(value));
        assert!(all.cancel());
        other.join().unwrap();
        assert!(block_on(all).is_err());
        assert!(!b.is_wanted());
    });
}
