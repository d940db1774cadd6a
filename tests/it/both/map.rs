//! `when::map`: as many at once as a limit allows.

// What the closures of both flavors share.
#![allow(clippy::arc_with_non_send_sync)]

use std::sync::{Arc, Mutex};

use super::when::{fraction, pairs};
use super::{Deferred, Promise};
use crate::util::{Count, Counted, Log, OnDrop, panic_of, ready, small_stack};
use deferral::{Broken, BrokenKind, State, when};

/// For `map`: gives out the promises, one for each item, and logs the items.
macro_rules! starting {
    ($log:expr, $promises:expr) => {{
        let (log, mut promises) = ($log.clone(), $promises.into_iter());
        move |item: usize| {
            log.add(item);
            promises.next().expect("more calls than promises")
        }
    }};
}

/// G10: items are started in their order, never more than the limit at once, and values stand in that order.
#[test]
fn it_starts_in_order_and_holds_the_limit() {
    let log = Log::new();
    let (deferreds, promises) = pairs::<String, 5>();
    let mapped = when::map(0..5, 2, starting!(log, promises));
    assert_eq!(log.text(), "0 1");
    for (index, now) in [(1, "0 1 2"), (2, "0 1 2 3"), (0, "0 1 2 3 4"), (4, "0 1 2 3 4"), (3, "0 1 2 3 4")] {
        assert_eq!(mapped.state(), State::Pending);
        assert!(deferreds[index].resolve(index as u32 * 10));
        assert_eq!(log.text(), now);
    }
    assert_eq!(ready(mapped), Ok(vec![0, 10, 20, 30, 40]));
}

/// G10: a limit of one is a sequence: each item is started by the end of the one before.
#[test]
fn a_limit_of_one_is_a_sequence() {
    let log = Log::new();
    let (deferreds, promises) = pairs::<String, 3>();
    let mapped = when::map(0..3, 1, starting!(log, promises));
    for (index, deferred) in deferreds.iter().enumerate() {
        log.add("-");
        deferred.resolve(index as u32);
    }
    assert_eq!(log.text(), "0 - 1 - 2 -");
    assert_eq!(ready(mapped), Ok(vec![0, 1, 2]));
}

/// G10: a limit beyond all items starts them all.
#[test]
fn a_huge_limit_starts_everything() {
    let (deferreds, promises) = pairs::<String, 4>();
    let mapped = when::map(promises, usize::MAX, |promise| promise);
    for (index, deferred) in deferreds.iter().enumerate().rev() {
        assert!(deferred.is_wanted());
        deferred.resolve(index as u32);
    }
    assert_eq!(ready(mapped), Ok(vec![0, 1, 2, 3]));
}

/// G9: a limit of 0 would never start anything: it is refused, with the remedy.
#[test]
fn a_limit_of_zero_panics() {
    let text = panic_of(|| drop::<Promise<Vec<u32>, String>>(when::map(0..3, 0, Ok)));
    assert!(text.contains("at least 1"), "{text}");
}

/// W1: of nothing, it is resolved when it returns.
#[test]
fn map_of_nothing_resolves_at_once() {
    let mapped: Promise<Vec<u32>, String> = when::map(std::iter::empty(), 3, Ok);
    assert_eq!(ready(mapped), Ok(Vec::new()));
}

/// G10: items are asked for when there is room, not before; never again after the end of them.
#[test]
fn items_are_asked_for_one_by_one() {
    let asked = Count::new();
    let (deferreds, promises) = pairs::<String, 3>();
    let (mut promises, counted) = (promises.into_iter(), asked.clone());
    let items = std::iter::from_fn(move || (counted.add(), promises.next()).1);
    let mapped = when::map(items, 2, |promise| promise);
    assert_eq!(asked.get(), 2);
    deferreds[0].resolve(0);
    assert_eq!(asked.get(), 3);
    deferreds[1].resolve(1);
    assert_eq!(asked.get(), 4);
    deferreds[2].resolve(2);
    assert_eq!(asked.get(), 4);
    assert_eq!(ready(mapped), Ok(vec![0, 1, 2]));
}

/// G10, G8: the first error is the outcome at once. Nothing more is asked for or started, what it owns in flight is canceled.
#[test]
fn an_error_stops_it() {
    let log = Log::new();
    let ([a, b, c, d], promises) = pairs::<String, 4>();
    let kept = promises[2].clone();
    let mapped = when::map(0.., 3, starting!(log, promises));
    b.reject("no".to_owned());
    assert_eq!(log.text(), "0 1 2");
    assert_eq!(ready(mapped), Err("no".to_owned()));
    assert!(!a.resolve(1));
    assert!(c.resolve(3));
    assert_eq!(ready(kept), Ok(3));
    assert_eq!((log.text().as_str(), d.is_wanted()), ("0 1 2", false));
}

/// G10: without an end of the items, an error ends it, also one that is there when `f` returns.
#[test]
fn endless_items_end_with_an_error() {
    let calls = Count::new();
    let counted = calls.clone();
    let mapped: Promise<Vec<u32>, String> = when::map(0.., 3, move |item| {
        counted.add();
        if item < 1000 { Ok(item) } else { Err(format!("no {item}")) }
    });
    assert_eq!((ready(mapped), calls.get()), (Err("no 1000".to_owned()), 1001));
}

/// G5: a million settled promises take no stack, whatever the limit.
#[test]
fn a_million_settled_promises_take_no_stack() {
    small_stack(|| {
        for limit in [1, 2, usize::MAX] {
            let mapped = when::map(0..1_000_000, limit, Promise::<u32>::resolved);
            assert_eq!(ready(mapped).unwrap().len(), 1_000_000);
        }
    });
}

/// G5: a hundred thousand that settle one another take no stack: each is started and settled inside the end of the one before.
#[test]
fn promises_that_settle_one_another_take_no_stack() {
    small_stack(|| {
        let (first, start) = Deferred::<u32>::new();
        let last = Arc::new(Mutex::new(Some(start)));
        let mapped = when::map(0..100_000, 1, move |item| {
            let mut last = last.lock().unwrap();
            let (deferred, promise) = Deferred::<u32>::new();
            // The next item is settled by an observer of this one.
            let this = last.replace(promise).unwrap();
            this.done(move |_| _ = deferred.resolve(item))
        });
        first.resolve(7);
        assert_eq!(ready(mapped).unwrap().len(), 100_000);
    });
}

/// G8: dropping the promise stops nothing.
#[test]
fn dropping_it_stops_nothing() {
    let log = Log::new();
    let ([a, b, c], promises) = pairs::<String, 3>();
    drop(when::map(0..3, 1, starting!(log, promises)));
    a.resolve(1);
    b.resolve(2);
    assert_eq!((log.text().as_str(), c.state()), ("0 1 2", State::Pending));
    assert!(c.resolve(3));
}

/// G8: canceled, it starts nothing more and cancels what it owns in flight.
#[test]
fn canceling_it_stops_it() {
    let log = Log::new();
    let ([a, b, c], promises) = pairs::<String, 3>();
    let kept = promises[1].clone();
    let entries = log.clone();
    a.on_cancel(move || entries.add("canceled"));
    let mapped = when::map(0..3, 2, starting!(log, promises));
    assert!(mapped.cancel());
    assert!(!a.resolve(1));
    assert!(b.resolve(2));
    assert_eq!(log.text(), "0 1 canceled");
    assert_eq!((ready(kept), c.is_wanted()), (Ok(2), false));
    assert!(ready(mapped).unwrap_err().ends_with("was canceled"));
}

/// G8: as an input of a failed `when`, it is canceled like another: down to what is in flight.
#[test]
fn a_failed_when_stops_it() {
    let ([a, b], [pa, pb]) = pairs::<String, 2>();
    let mut promise = Some(pa);
    let all = when((when::map(0.., 1, move |_: u32| promise.take().unwrap()), pb));
    b.reject("no".to_owned());
    assert!(!a.resolve(1));
    assert_eq!(ready(all), Err("no".to_owned()));
}

/// G8: `f` cancels the promise of its own `map`: what it returns is canceled, and it is not called again.
#[test]
fn f_may_cancel_its_own_map() {
    let log = Log::new();
    let ([a, b, c], promises) = pairs::<String, 3>();
    let slot = Arc::new(Mutex::new(None::<Promise<Vec<u32>, String>>));
    let mut promises = promises.into_iter();
    let (itself, started) = (slot.clone(), log.clone());
    let mapped = when::map(0..3, 1, move |item| {
        started.add(item);
        if let Some(map) = itself.lock().unwrap().take() {
            assert!(map.cancel());
        }
        promises.next().unwrap()
    });
    *slot.lock().unwrap() = Some(mapped.clone());
    a.resolve(1);
    assert_eq!(log.text(), "0 1");
    assert_eq!((b.state(), c.is_wanted()), (State::Rejected, false));
    assert!(ready(mapped).unwrap_err().ends_with("was canceled"));
}

/// G4: `f` settles what is in flight: the next item is started when it has returned, in order, and only once.
#[test]
fn f_may_settle_what_is_in_flight() {
    let log = Log::new();
    let (deferreds, promises) = pairs::<String, 4>();
    let mut promises = promises.into_iter();
    let (entries, inside) = (log.clone(), deferreds.to_vec());
    let mapped = when::map(0..4_usize, 2, move |item| {
        entries.add(format!("({item}"));
        // The one before, and the one that is just being started.
        inside[item.saturating_sub(1)].resolve(item as u32);
        inside[item].resolve(item as u32 + 10);
        entries.add(")");
        promises.next().unwrap()
    });
    assert_eq!(log.text(), "(0 ) (1 ) (2 ) (3 )");
    assert_eq!(ready(mapped), Ok(vec![0, 11, 12, 13]));
}

/// G4: the promise that `f` returns is being shown to the callback that calls `map`: it comes after the observers.
#[test]
fn a_lent_promise_is_waited_for() {
    let log = Log::new();
    let (deferred, promise) = Deferred::<u32>::new();
    let (inner, entries) = (promise.clone(), log.clone());
    let promise = promise.done(move |_| {
        let told = entries.clone();
        when::map(0..2, 2, move |_| inner.clone()).done(move |values| told.add(format!("{values:?}")));
    });
    let entries = log.clone();
    let promise = promise.done(move |_| entries.add("second"));
    deferred.resolve(1);
    assert_eq!(log.text(), "second [1, 1]");
    drop(promise);
}

/// Progress: done is what has resolved, total what is known so far: started items, and those that the iterator promises.
#[test]
fn the_total_is_what_is_known_so_far() {
    let log = Log::new();
    let (deferreds, promises) = pairs::<String, 3>();
    let mapped = when::map(promises, 1, |promise| promise).progress(fraction(&log));
    deferreds.iter().for_each(|deferred| _ = deferred.resolve(1));
    assert_eq!(log.text(), "1/3 2/3 3/3");
    drop(mapped.progress(fraction(&log)));
    assert_eq!(log.text(), "1/3 2/3 3/3 3/3");

    let log = Log::new();
    let (deferreds, promises) = pairs::<String, 3>();
    let mut promises = promises.into_iter();
    let items = std::iter::from_fn(move || promises.next());
    drop(when::map(items, 2, |promise| promise).progress(fraction(&log)));
    deferreds.iter().for_each(|deferred| _ = deferred.resolve(1));
    assert_eq!(log.text(), "1/2 2/3 3/3");
}

/// G9: a panic of `f` is the rejection, in the first call and in a later one; what is in flight is canceled.
#[test]
fn a_panic_of_f_rejects() {
    let mapped: Promise<Vec<u32>> = when::map(0..3, 1, |_| -> Promise<u32> { panic!("no luck") });
    assert_panicked(mapped, "no luck");

    let ([a, b], promises) = pairs::<Broken, 2>();
    let mut promises = promises.into_iter();
    let mapped = when::map(0.., 2, move |_: u32| promises.next().expect("no luck"));
    assert!(a.resolve(1));
    assert_eq!(b.state(), State::Rejected);
    assert_panicked(mapped, "no luck");
}

/// G9: a panic of the iterator is the rejection as well: of `next`, and of `size_hint`.
#[test]
fn a_panic_of_the_iterator_rejects() {
    struct Items(u32);
    impl Iterator for Items {
        type Item = u32;
        fn next(&mut self) -> Option<u32> {
            assert_ne!(self.0, 0, "no items");
            Some(1)
        }
        fn size_hint(&self) -> (usize, Option<usize>) {
            panic!("no hint");
        }
    }
    assert_panicked(when::map(Items(0), 1, Promise::resolved), "no items");
    assert_panicked(when::map(Items(1), 1, Promise::resolved), "no hint");
}

#[track_caller]
fn assert_panicked(mapped: Promise<Vec<u32>>, text: &str) {
    let broken = ready(mapped).unwrap_err();
    assert_eq!(broken.kind(), BrokenKind::Panicked);
    assert!(broken.to_string().contains(text), "{broken}");
}

/// G9: a panic that comes after `map` was canceled changes nothing.
#[test]
fn a_panic_after_the_end_changes_nothing() {
    let ([a, b], promises) = pairs::<Broken, 2>();
    let slot = Arc::new(Mutex::new(None::<Promise<Vec<u32>>>));
    let (itself, mut promises) = (slot.clone(), promises.into_iter());
    let mapped = when::map(0..3, 1, move |_| {
        if let Some(map) = itself.lock().unwrap().take() {
            map.cancel();
            panic!("too late");
        }
        promises.next().unwrap()
    });
    *slot.lock().unwrap() = Some(mapped.clone());
    a.resolve(1);
    assert_eq!(ready(mapped).unwrap_err().kind(), BrokenKind::Canceled);
    drop(b);
}

/// G7: `f`, the iterator and what they captured go when there is no further use for them: at the end of the items, with an error,
/// with a cancel.
#[test]
fn f_and_the_iterator_are_dropped_in_time() {
    type End = fn(&[Deferred<u32, String>], &Promise<Vec<u32>, String>);
    let ends: [End; 3] = [
        |deferreds, _| _ = deferreds[0].resolve(1),
        |deferreds, _| _ = deferreds[0].reject("no".to_owned()),
        |_, mapped| _ = mapped.cancel(),
    ];
    for end in ends {
        let drops = Count::new();
        let guard = || {
            let drops = drops.clone();
            OnDrop::new(move || drops.add())
        };
        let (in_f, in_items) = (guard(), guard());
        let (deferreds, promises) = pairs::<String, 2>();
        let kept = promises[1].clone();
        let items = promises.into_iter().inspect(move |_| _ = &in_items);
        let mapped = when::map(items, 2, move |promise| (&in_f, promise).1);
        assert_eq!(drops.get(), 0);
        end(&deferreds, &mapped);
        assert_eq!(drops.get(), 2);
        drop(kept);
    }
}

/// G7: after an error the values that came are dropped, and one that comes from a shared promise later, too.
#[test]
fn values_are_dropped_with_an_error() {
    let (a, pa) = Deferred::<Counted>::new();
    let (b, pb) = Deferred::<Counted>::new();
    let (c, pc) = Deferred::<Counted>::new();
    let kept = pc.clone();
    let mapped = when::map([pa, pb, pc], 3, |promise| promise);
    let (first, late) = (Counted::new(), Counted::new());
    let drops = (first.drops.clone(), late.drops.clone());
    a.resolve(first);
    drop(b);
    assert_eq!((drops.0.get(), mapped.state()), (1, State::Rejected));
    c.resolve(late);
    drop((c, kept));
    assert_eq!(drops.1.get(), 1);
}

/// W10: the same promise for every item: a clone each.
#[test]
fn one_promise_for_all_items() {
    let (deferred, promise) = Deferred::<u32>::new();
    let mapped = when::map(0..5, 2, move |_| promise.clone());
    deferred.resolve(7);
    assert_eq!(ready(mapped).unwrap(), [7; 5]);
}

/// G7: a promise in flight that is made to follow the map is a ring: it is rejected, not left pending.
#[test]
fn a_ring_through_a_map_is_a_cycle() {
    let (deferred, promise) = Deferred::<u32>::new();
    let mapped = when::map([promise.clone()], 1, |promise| promise);
    mapped.then(|values| Ok(values[0])).forward(deferred);
    assert_eq!(ready(promise).unwrap_err().kind(), BrokenKind::Cycle);
}

/// G7: so is a map whose `f` returns what waits for the map.
#[test]
fn f_that_returns_what_waits_for_the_map_is_a_cycle() {
    let (deferred, promise) = Deferred::<u32>::new();
    let slot = Arc::new(Mutex::new(Some(promise)));
    let taken = slot.clone();
    let mapped = when::map(0..2, 1, move |_| taken.lock().unwrap().take().unwrap());
    *slot.lock().unwrap() = Some(mapped.clone().then(|values| Ok(values[0])));
    deferred.resolve(1);
    assert_eq!(ready(mapped).unwrap_err().kind(), BrokenKind::Cycle);
}
