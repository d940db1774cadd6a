//! What holds for every aggregate: interest in the inputs, cancels, and inputs that are lent at the moment.

use std::task::Poll;

use super::when::pairs;
use super::{Deferred, Promise};
use crate::util::{Count, CountingWaker, Log, OnDrop, poll, poll_once, ready, small_stack};
use deferral::{Broken, BrokenKind, State, when};

/// Each kind of aggregate over the same inputs, seen without its types.
fn every_kind() -> [(&'static str, fn([Promise<u32>; 2]) -> Promise<()>); 6] {
    [
        ("list", |inputs| when(Vec::from(inputs)).then(|_| Ok(()))),
        ("array", |inputs| when(inputs).then(|_| Ok(()))),
        ("tuple", |inputs| when(<(_, _)>::from(inputs)).then(|_| Ok(()))),
        ("any", |inputs| when::any(inputs).then(|_| Ok(())).map_err(|mut errors| errors.remove(0))),
        ("race", |inputs| when::race(inputs).then(|_| Ok(()))),
        ("settled", |inputs| when::settled(inputs).then(|_| Ok(()))),
    ]
}

/// G7, W14, G8: an aggregate that nobody holds or observes lets go of its inputs, and cancels none.
#[test]
fn dropped_it_lets_go_of_its_inputs() {
    let drops: [(&str, fn([Promise<u32>; 2])); 6] = [
        ("list", |inputs| drop(when(Vec::from(inputs)))),
        ("array", |inputs| drop(when(inputs))),
        ("tuple", |inputs| drop(when(<(_, _)>::from(inputs)))),
        ("any", |inputs| drop(when::any(inputs))),
        ("race", |inputs| drop(when::race(inputs))),
        ("settled", |inputs| drop(when::settled(inputs))),
    ];
    for (name, drop_aggregate) in drops {
        let (deferreds, promises) = pairs::<Broken, 2>();
        drop_aggregate(promises);
        for deferred in deferreds {
            assert_eq!((deferred.state(), deferred.is_wanted()), (State::Pending, false), "{name}");
            assert!(deferred.resolve(1), "{name}");
        }
    }
}

/// G7: the last of several handles counts, and the waker of a dropped one is gone.
#[test]
fn the_last_clone_counts() {
    let ([a, b], inputs) = pairs::<Broken, 2>();
    let mut all = when(inputs);
    let other = all.clone();
    let (woken, waker) = CountingWaker::new();
    assert!(poll(&mut all, &waker).is_pending());
    drop(all);
    assert_eq!(std::sync::Arc::strong_count(&woken), 2);
    assert!(a.is_wanted() && b.is_wanted());
    drop(other);
    assert!(!a.is_wanted() && !b.is_wanted());
    assert_eq!(woken.wakes(), 0);
}

/// G7, G8: dropped with callbacks or a continuation registered, it goes on.
#[test]
fn observed_it_goes_on_when_dropped() {
    type Observe = fn(Promise<[u32; 2]>, Log);
    let ways: [Observe; 4] = [
        |all, log| drop(all.done(move |values| log.add(format!("{values:?}")))),
        |all, log| drop(all.always(move |values| log.add(format!("{:?}", values.as_ref().unwrap())))),
        |all, log| drop(all.then(Ok).done(move |values| log.add(format!("{values:?}")))),
        |all, log| drop(when([all]).done(move |[values]| log.add(format!("{values:?}")))),
    ];
    for observe in ways {
        let log = Log::new();
        let ([a, b], inputs) = pairs::<Broken, 2>();
        observe(when(inputs), log.clone());
        assert!(a.is_wanted() && b.is_wanted());
        a.resolve(1);
        b.resolve(2);
        assert_eq!(log.text(), "[1, 2]");
    }
}

/// G7: a listener of progress is an observer, too.
#[test]
fn a_listener_keeps_it_going() {
    let count = Count::new();
    let ([a, b], inputs) = pairs::<Broken, 2>();
    let told = count.clone();
    drop(when(inputs).progress(move |_| told.add()));
    a.resolve(1);
    b.resolve(2);
    assert_eq!(count.get(), 2);
}

/// G7: an aggregate of aggregates lets go of the whole tree.
#[test]
fn a_tree_of_aggregates_lets_go_down_to_the_leaves() {
    let ([a, b, c], [pa, pb, pc]) = pairs::<Broken, 3>();
    let tree = when((when::race([pa, pb]), when::settled([pc]).map_err(|broken| broken)));
    assert!(a.is_wanted() && b.is_wanted() && c.is_wanted());
    drop(tree);
    assert!(!a.is_wanted() && !b.is_wanted());
    // A continuation of the user's stands between the tree and the last leaf: what is registered runs.
    assert!(c.is_wanted());
}

/// G8, X19: a canceled aggregate cancels the inputs that it alone owns, not those that somebody else holds.
#[test]
fn canceled_it_cancels_what_it_owns() {
    for (name, kind) in every_kind() {
        let ([a, b], [pa, pb]) = pairs::<Broken, 2>();
        let kept = pb.clone();
        let canceled = Count::new();
        let counted = canceled.clone();
        a.on_cancel(move || counted.add());
        let aggregate = kind([pa, pb]);
        assert!(aggregate.cancel());
        assert_eq!(canceled.get(), 1, "{name}");
        assert_eq!(ready(aggregate).unwrap_err().kind(), BrokenKind::Canceled, "{name}");
        assert_eq!((a.state(), b.state()), (State::Rejected, State::Pending), "{name}");
        assert!(b.resolve(1), "{name}");
        assert_eq!(ready(kept).unwrap(), 1);
    }
}

/// G8: an observer of an input does not keep it from being canceled with the aggregate.
#[test]
fn observers_do_not_keep_an_input() {
    let log = Log::new();
    let ([a], [pa]) = pairs::<Broken, 1>();
    let entries = log.clone();
    let all = when([pa.fail(move |broken| entries.add(format!("{:?}", broken.kind())))]);
    all.cancel();
    assert_eq!(log.text(), "Canceled");
    assert_eq!(a.state(), State::Rejected);
}

/// X20: an input that was canceled rejects the aggregate with its own error; the aggregate itself was not canceled.
#[test]
fn a_canceled_input_is_a_rejection() {
    let ([a, b], [pa, pb]) = pairs::<Broken, 2>();
    let canceler = pa.clone();
    let all = when([pa, pb]);
    assert!(canceler.cancel());
    assert_eq!((a.state(), b.state()), (State::Rejected, State::Rejected));
    let broken = ready(all).unwrap_err();
    assert_eq!(broken.kind(), BrokenKind::Canceled);
    assert_eq!(broken.origin(), ready(canceler).unwrap_err().origin());

    let ([a, b], [pa, pb]) = pairs::<Broken, 2>();
    let canceler = pa.clone();
    let all = when::settled([pa, pb]);
    canceler.cancel();
    assert_eq!((a.state(), b.state(), all.state()), (State::Rejected, State::Pending, State::Pending));
    b.resolve(2);
    let results = ready(all).unwrap();
    assert_eq!(results[0].as_ref().unwrap_err().kind(), BrokenKind::Canceled);
    assert_eq!(*results[1].as_ref().unwrap(), 2);
}

/// G4, T4: an aggregate is made of an input that is being shown to this very callback: it gets the value after the observers.
#[test]
fn made_inside_an_observer_of_its_input() {
    for (name, kind) in every_kind() {
        let log = Log::new();
        let ([a, b], [pa, pb]) = pairs::<Broken, 2>();
        b.resolve(2);
        let (inner, entries) = (pa.clone(), log.clone());
        let mut given = Some([inner, pb]);
        let pa = pa.done(move |_| {
            let told = entries.clone();
            let aggregate = kind(given.take().unwrap()).done(move |()| told.add("aggregate"));
            entries.add(format!("made {:?}", aggregate.state()));
        });
        let entries = log.clone();
        let pa = pa.done(move |_| entries.add("second"));
        a.resolve(1);
        // What needs one input only has it already.
        let expected = match name {
            "any" | "race" => "aggregate made Resolved second",
            _ => "made Pending second aggregate",
        };
        assert_eq!(log.text(), expected, "{name}");
        assert_eq!(ready(pa).unwrap(), 1);
    }
}

/// G4, R3: callbacks of an aggregate that register on it are run, those of the same kind after the ones that stand already.
#[test]
fn registering_inside_its_own_callbacks() {
    let log = Log::new();
    let ([a, b], inputs) = pairs::<Broken, 2>();
    let all = when(inputs);
    let (again, entries) = (all.clone(), log.clone());
    let all = all.done(move |_| {
        entries.add("A");
        let (late, consumer) = (entries.clone(), entries.clone());
        drop(again.clone().done(move |_| late.add("C")));
        drop(again.then(move |values| {
            consumer.add("then");
            Ok(values)
        }));
        entries.add("a");
    });
    let entries = log.clone();
    let all = all.done(move |_| entries.add("B"));
    a.resolve(1);
    b.resolve(2);
    assert_eq!(log.text(), "A a B C then");
    drop(all);
}

/// G4: one resolve that settles an input can have an observer settle the others: the aggregate is settled when it returns.
#[test]
fn inputs_that_settle_each_other() {
    let ([a, b, c], inputs) = pairs::<Broken, 3>();
    let [pa, pb, pc] = inputs;
    let pa = pa.done(move |n| _ = b.resolve(n + 1));
    let pb = pb.done(move |n| _ = c.resolve(n + 1));
    let all = when([pc, pb, pa]);
    a.resolve(1);
    assert_eq!(ready(all).unwrap(), [3, 2, 1]);
}

/// G1: an observer of an input cancels the aggregate: that is earlier than the input's value, and the end.
#[test]
fn canceled_by_an_observer_of_its_input() {
    for (name, kind) in every_kind() {
        let ([a, b], [pa, pb]) = pairs::<Broken, 2>();
        let slot = Count::new();
        let kept = pa.clone();
        let aggregate = kind([pa, pb]);
        let (canceler, canceled) = (aggregate.clone(), slot.clone());
        drop(kept.done(move |_| assert!(canceler.cancel())).done(move |_| canceled.add()));
        assert!(a.resolve(1), "{name}");
        assert_eq!((slot.get(), b.state()), (1, State::Rejected), "{name}");
        assert_eq!(ready(aggregate).unwrap_err().kind(), BrokenKind::Canceled, "{name}");
    }
}

/// G7: an aggregate that its own input is made to follow is a ring: it is rejected, not left pending.
#[test]
fn a_ring_through_an_aggregate_is_a_cycle() {
    type Close = fn(Promise<u32>) -> Promise<u32>;
    let ways: [(&str, Close); 3] = [
        ("when", |promise| when([promise]).then(|[n]| Ok(n))),
        ("race", |promise| when::race([promise])),
        ("settled", |promise| when::settled([promise]).then(|mut ends| ends.remove(0))),
    ];
    for (name, close) in ways {
        let (deferred, promise) = Deferred::<u32>::new();
        close(promise.clone()).forward(deferred);
        let Poll::Ready(end) = poll_once(&mut { promise }) else { panic!("{name}: a ring that waits for itself") };
        assert_eq!(end.unwrap_err().kind(), BrokenKind::Cycle, "{name}");
    }
}

/// G5: a hundred thousand aggregates, each of the one before, take no stack, whatever their end.
#[test]
fn a_tower_of_aggregates_takes_no_stack() {
    type End = fn(Deferred<u32>, Promise<u32>);
    let ends: [End; 4] = [
        |deferred, top| {
            deferred.resolve(1);
            assert_eq!(ready(top).unwrap(), 1);
        },
        |deferred, top| {
            drop(deferred);
            assert_eq!(ready(top).unwrap_err().kind(), BrokenKind::Abandoned);
        },
        |deferred, top| assert!(top.cancel() && !deferred.resolve(1)),
        |deferred, top| {
            drop(top);
            assert!(!deferred.is_wanted());
        },
    ];
    for end in ends {
        small_stack(move || {
            let (deferred, promise) = Deferred::<u32>::new();
            end(deferred, (0..100_000).fold(promise, |promise, _| when::race([promise])));
        });
    }
}

/// G7: every waiter of an aggregate is woken once, by the input that completes it.
#[test]
fn all_waiters_are_woken() {
    let ([a, b], inputs) = pairs::<Broken, 2>();
    let mut first = when(inputs);
    let mut second = first.clone();
    let (one, waker_one) = CountingWaker::new();
    let (two, waker_two) = CountingWaker::new();
    assert!(poll(&mut first, &waker_one).is_pending() && poll(&mut second, &waker_two).is_pending());
    a.resolve(1);
    assert_eq!((one.wakes(), two.wakes()), (0, 0));
    b.resolve(2);
    assert_eq!((one.wakes(), two.wakes()), (1, 1));
    assert_eq!((ready(first).unwrap(), ready(second).unwrap()), ([1, 2], [1, 2]));
}

/// G7: what a callback of a decided aggregate captured is gone, whether it ran or not, while the losers are pending still.
#[test]
fn callbacks_of_a_decided_aggregate_are_dropped() {
    let drops = Count::new();
    let ([a, b], [pa, pb]) = pairs::<Broken, 2>();
    let kept = pb.clone();
    let guard = || {
        let drops = drops.clone();
        OnDrop::new(move || drops.add())
    };
    let (ran, unrun, listener) = (guard(), guard(), guard());
    let race =
        when::race([pa, pb]).done(move |_| drop(ran)).fail(move |_| drop(unrun)).progress(move |_| _ = &listener);
    a.resolve(1);
    assert_eq!(drops.get(), 3);
    assert_eq!(b.state(), State::Pending);
    drop((race, kept));
}

/// G2: abandoned inputs end every aggregate, also when they are abandoned inside each other's callbacks.
#[test]
fn abandoned_inputs_end_it() {
    for (name, kind) in every_kind() {
        let ([a, b], [pa, pb]) = pairs::<Broken, 2>();
        let mut held = Some(b);
        let mut aggregate = kind([pa.fail(move |_| drop(held.take())), pb]);
        drop(a);
        let Poll::Ready(outcome) = poll_once(&mut aggregate) else { panic!("{name} hangs") };
        assert_eq!(
            outcome.map_err(|broken| broken.kind()),
            match name {
                "settled" => Ok(()),
                _ => Err(BrokenKind::Abandoned),
            }
        );
    }
}
