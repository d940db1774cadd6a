//! Chains, aggregates and rings.

use std::sync::Arc;

use deferral::{BrokenKind, Deferred, Progress, State, when};
use loom::future::block_on;
use loom::thread;

use crate::{Count, FEW, Flag, MANY, PREEMPTIONS, Pair, Seen, explore, here, outcome, rejected};

/// G4, G7: an aggregate whose inputs are settled by two threads at once is settled by the later one.
#[test]
fn the_inputs_of_when_are_settled_at_once() {
    explore(PREEMPTIONS, [()], |tally| {
        let (a, first): Pair = Deferred::new();
        let (b, second): Pair = Deferred::new();
        let both = when([first, second]);
        let value = tally.value(1);
        let other = thread::spawn(move || assert!(a.resolve(value)));
        assert!(b.resolve(tally.value(2)));
        let [one, two] = block_on(both).unwrap();
        assert_eq!([one.look(), two.look()], [1, 2]);
        other.join().unwrap();
    });
}

/// G4, G6: an aggregate that is made while its inputs are settled has them all, and a listener hears of the last one.
#[test]
fn when_is_made_while_its_inputs_are_settled() {
    explore(FEW, [()], |tally| {
        let (a, first): Pair = Deferred::new();
        let (b, second): Pair = Deferred::new();
        let values = (tally.value(1), tally.value(2));
        let other = thread::spawn(move || {
            assert!(a.resolve(values.0));
            assert!(b.resolve(values.1));
        });
        let reports = Count::default();
        let both = when([first, second]).progress({
            let reports = reports.clone();
            move |_| reports.add()
        });
        let [one, two] = block_on(both).unwrap();
        assert_eq!([one.look(), two.look()], [1, 2]);
        other.join().unwrap();
        assert!(reports.get() > 0);
    });
}

/// G1, G7: an aggregate is canceled while its inputs are settled; what they bring is dropped if the cancel wins.
#[test]
fn a_cancel_of_when_races_its_inputs() {
    explore(PREEMPTIONS, [true, false], |tally| {
        let (a, first): Pair = Deferred::new();
        let (b, second): Pair = Deferred::new();
        let (c, third): Pair = Deferred::new();
        a.resolve(tally.value(0));
        let all = when([first, second, third]);
        let values = (tally.value(1), tally.value(2));
        let other = thread::spawn(move || {
            b.resolve(values.0);
            c.resolve(values.1);
        });
        let canceled = all.cancel();
        other.join().unwrap();
        assert_eq!(block_on(all).is_err(), canceled);
        canceled
    });
}

/// G1, G8: the end of a chain is canceled twice at once.
#[test]
fn a_cancel_of_a_chain_races_another() {
    explore(PREEMPTIONS, [true, false], |_| {
        let (deferred, promise): Pair = Deferred::new();
        let chain = Arc::new(promise.then(Ok));
        let other = thread::spawn({
            let chain = chain.clone();
            move || chain.cancel()
        });
        let here = chain.cancel();
        assert_ne!(here, other.join().unwrap());
        assert_eq!(deferred.state(), State::Rejected);
        assert!(chain.peek(|outcome| outcome.is_some_and(Result::is_err)));
        here
    });
}

/// G1, G8: the end of a chain is canceled while its beginning is settled. If the cancel wins, the source is canceled or its value dropped.
#[test]
fn a_settle_races_the_cancel_of_a_chain() {
    let ends = [(true, false), (true, true), (false, true)];
    explore(PREEMPTIONS, ends, |tally| {
        let (deferred, promise): Pair = Deferred::new();
        let chain = promise.then(Ok).then(Ok);
        let value = tally.value(1);
        let other = thread::spawn(move || deferred.resolve(value));
        let canceled = chain.cancel();
        let resolved = other.join().unwrap();
        assert_eq!(outcome(chain), if canceled { rejected(BrokenKind::Canceled) } else { Ok(1) });
        (canceled, resolved)
    });
}

/// G8: the end of a chain is dropped while its beginning is settled: the chain runs all the same.
#[test]
fn a_settle_races_the_drop_of_a_chain() {
    explore(PREEMPTIONS, [1], |tally| {
        let (deferred, promise): Pair = Deferred::new();
        let ran = Count::default();
        let chain = promise.then({
            let ran = ran.clone();
            move |value| {
                ran.add();
                Ok(value)
            }
        });
        let value = tally.value(1);
        let other = thread::spawn(move || assert!(deferred.resolve(value)));
        drop(chain);
        other.join().unwrap();
        ran.get()
    });
}

/// G7: two threads close a ring of two promises, each with one link: at least one of them finds it, and nothing is left.
#[test]
fn two_links_race_to_close_a_ring() {
    explore(FEW, [()], |_| {
        let (a, first): Pair = Deferred::new();
        let (b, second): Pair = Deferred::new();
        let other = thread::spawn(move || first.forward(b));
        second.forward(a);
        other.join().unwrap();
    });
}

/// G1, G7: a ring is closed while another thread settles a promise in it: its own end wins, or the ring's.
#[test]
fn closing_a_ring_races_settle() {
    explore(FEW, [false, true], |tally| {
        let (a, first): Pair = Deferred::new();
        let (b, second): Pair = Deferred::new();
        let settler = a.clone();
        first.forward(b);
        let value = tally.value(1);
        let other = thread::spawn(move || settler.resolve(value));
        second.forward(a);
        other.join().unwrap()
    });
}

/// G8: a continuation that is not the first of its source runs while it is being registered: what it returns is then what a cancel of
/// its promise reaches.
#[test]
fn a_late_link_does_not_take_the_place_of_an_adopted_one() {
    explore(FEW, [()], |tally| {
        let (deferred, promise): Pair = Deferred::new();
        let (inner, adopted): Pair = Deferred::new();
        let second = promise.clone();
        let first = promise.then(Ok);
        let value = tally.value(1);
        let other = thread::spawn(move || assert!(deferred.resolve(value)));
        let chain = second.then(move |_| adopted);
        other.join().unwrap();
        assert!(chain.cancel());
        assert_eq!(inner.state(), State::Rejected);
        drop(first);
    });
}

/// G13, G15: a promise is led to a target while another thread settles it: the target has its outcome in any case.
///
/// Catches a promise that is led to a target, and does not look whether it has been settled meanwhile.
#[test]
fn a_settle_races_forward() {
    explore(PREEMPTIONS, [Ok(1)], |tally| {
        let (deferred, promise): Pair = Deferred::new();
        let (target, led): Pair = Deferred::new();
        let value = tally.value(1);
        let other = thread::spawn(move || {
            value.look();
            assert!(deferred.resolve(value));
        });
        promise.forward(target);
        other.join().unwrap();
        assert_eq!(led.state(), State::Resolved);
        outcome(led)
    });
}

/// G3, G4: an observer comes to the end of a chain whose beginning is being settled. It runs once, on one of the two threads.
///
/// Catches a settle along a chain that does not look what was registered at the next link.
#[test]
fn a_settle_races_an_observer_at_the_end_of_the_chain() {
    explore(MANY, [false, true], |tally| {
        let (deferred, promise): Pair = Deferred::new();
        let (seen, here) = (Seen::new(), here());
        let chain = promise.then(Ok).then(Ok);
        let value = tally.value(1);
        let other = thread::spawn(move || assert!(deferred.resolve(value)));
        let _chain = chain.done({
            let seen = seen.clone();
            move |value| seen.note((value.look(), here()))
        });
        other.join().unwrap();
        let [(1, ran_here)] = seen.take()[..] else { panic!("an observer runs once") };
        ran_here
    });
}

/// G3, G7: a promise in the middle of a chain waits for its value while the beginning is settled. The rest of the chain has another.
///
/// Catches a settle along a chain that hands the value on though the promise in the middle has a right to it.
#[test]
fn a_settle_races_a_consumer_in_the_middle_of_the_chain() {
    explore(PREEMPTIONS, [Ok(1)], |tally| {
        let (deferred, promise): Pair = Deferred::new();
        let middle = promise.then(Ok);
        let chain = middle.clone().then(Ok);
        let value = tally.value(1);
        let other = thread::spawn(move || assert!(deferred.resolve(value)));
        assert_eq!(outcome(middle), Ok(1));
        other.join().unwrap();
        assert_eq!(tally.made(), 2);
        outcome(chain)
    });
}

/// G7: an aggregate is dropped while one of its inputs is settled. It lets go of the other one.
///
/// Catches a drop that does not look whether an aggregate is still wanted.
#[test]
fn a_dropped_when_races_its_inputs() {
    explore(PREEMPTIONS, [()], |tally| {
        let (a, first): Pair = Deferred::new();
        let (b, second): Pair = Deferred::new();
        let both = when([first, second]);
        let value = tally.value(1);
        let other = thread::spawn(move || assert!(a.resolve(value)));
        drop(both);
        other.join().unwrap();
        assert!(!b.is_wanted());
        assert_eq!(b.state(), State::Pending);
    });
}

/// G4: a target is told a report while another thread settles what leads there. The observer comes after the report, or without it.
///
/// Catches a settle along a chain that does not look whether a lender is telling a report at the next link.
#[test]
fn a_settle_of_the_source_races_a_report_of_the_target() {
    explore(MANY, [vec![1, 9], vec![9]], |tally| {
        let (deferred, promise): Pair = Deferred::new();
        let (target, led): Pair = Deferred::new();
        let seen = Seen::new();
        let _led = led
            .progress({
                let (seen, lent) = (seen.clone(), Flag::new());
                move |_| {
                    lent.raise();
                    seen.note(1);
                }
            })
            .done({
                let seen = seen.clone();
                move |value| seen.note(value.look())
            });
        promise.forward(target.clone());
        let value = tally.value(9);
        let other = thread::spawn(move || assert!(deferred.resolve(value)));
        let told = target.notify(Progress { done: 1, total: 2 });
        other.join().unwrap();
        let seen = seen.take();
        assert_eq!(seen.contains(&1), told);
        seen
    });
}

/// G7: two threads look for a ring, the one up and the other one down the same chain. Neither waits for the other.
///
/// Catches a look for the neighbours of a promise that waits for one of them in the middle of a visit.
#[test]
fn two_searches_for_a_ring_meet() {
    explore(FEW, [Ok(1)], |tally| {
        let (deferred, promise): Pair = Deferred::new();
        let source = promise.then(Ok);
        let (middle, led): Pair = Deferred::new();
        let chain = led.then(Ok);
        let (target, end): Pair = Deferred::new();
        let end = end.then(Ok);
        let other = thread::spawn(move || source.forward(middle));
        chain.forward(target);
        other.join().unwrap();
        assert!(deferred.resolve(tally.value(1)));
        outcome(end)
    });
}

/// G3, G4: an observer comes to a target that follows two promises, while the later one is settled, and then the outcome is taken by the
/// thread that has settled it. The target lets go of the other one, and no two look at the value at once.
///
/// Catches a promise that leaves another source in the middle of a settle, and does not count as lent meanwhile.
#[test]
fn an_observer_races_one_of_two_sources() {
    explore(MANY, [7], |tally| {
        let (a, first): Pair = Deferred::new();
        let (b, second): Pair = Deferred::new();
        let (target, led): Pair = Deferred::new();
        first.forward(target.clone());
        second.forward(target);
        let (clone, seen) = (led.clone(), Count::default());
        let value = tally.value(7);
        let other = thread::spawn(move || {
            assert!(b.resolve(value));
            assert_eq!(outcome(clone), Ok(7));
        });
        let _led = led.done({
            let seen = seen.clone();
            move |value| (0..value.look()).for_each(|_| seen.add())
        });
        other.join().unwrap();
        assert!(!a.is_wanted());
        seen.get()
    });
}
