//! What is settled, dropped or canceled in the middle of one of its own callbacks.

use super::{Deferred, Promise};
use crate::util::{Log, kind_of, panic_of, poll_once, ready, watchdog};
use deferral::{BrokenKind, Progress, State, testing, when};

/// A promise that follows two others, with its producer and those of the others.
struct Followed {
    deferred: Deferred<u32>,
    promise: Promise<u32>,
    first: Deferred<u32>,
    second: Deferred<u32>,
}

fn followed() -> Followed {
    let (deferred, promise) = Deferred::new();
    let (first, first_source) = Deferred::<u32>::new();
    let (second, second_source) = Deferred::<u32>::new();
    first_source.forward(deferred.clone());
    second_source.forward(deferred.clone());
    Followed { deferred, promise, first, second }
}

fn report(done: u64) -> Progress {
    Progress { done, total: 9 }
}

/// G4: a source that settles inside a progress callback of the promise that follows it settles that after the report, for every
/// listener.
#[test]
fn a_source_settles_inside_a_report() {
    watchdog(|| {
        let log = Log::new();
        let Followed { deferred, promise, first: _first, second } = followed();
        let (outer, other, done) = (log.clone(), log.clone(), log.clone());
        let _promise = promise
            .progress(move |report| {
                outer.add(format!("<{}", report.done));
                assert!(second.resolve(7));
                outer.add(">");
            })
            .progress(move |report| other.add(format!("other:{}", report.done)))
            .done(move |value| done.add(format!("done:{value}")));
        assert!(deferred.notify(report(1)));
        assert!(!deferred.notify(report(2)));
        assert_eq!(log.text(), "<1 > other:1 done:7");
    });
}

/// G4: a report that waits for the one under way is told before what a source settles after it.
#[test]
fn a_source_settles_behind_a_report_that_waits() {
    watchdog(|| {
        let log = Log::new();
        let Followed { deferred, promise, first: _first, second } = followed();
        let (inner, entries, done) = (deferred.clone(), log.clone(), log.clone());
        let _promise = promise
            .progress(move |told| {
                entries.add(told.done);
                if told.done == 1 {
                    assert!(inner.notify(report(2)));
                    assert!(second.resolve(7));
                }
            })
            .done(move |value| done.add(format!("done:{value}")));
        assert!(deferred.notify(report(1)));
        assert_eq!(log.text(), "1 2 done:7");
    });
}

/// G2, G10: a progress callback that drops the last `Deferred` of its own promise abandons that, which a watch notes once; a handler that
/// comes after the call is in time.
#[test]
fn a_report_drops_the_last_deferred() {
    watchdog(|| {
        let watch = testing::watch();
        let log = Log::new();
        let (deferred, promise) = Deferred::<u32>::new();
        deferred.notify(report(1));
        let mut deferred = Some(deferred);
        let promise = promise.progress(move |_| drop(deferred.take()));
        assert_eq!(promise.state(), State::Rejected);
        let entries = log.clone();
        drop(promise.always(move |outcome| entries.add(format!("{:?}", kind_of(outcome.clone())))));
        assert_eq!(log.text(), "Abandoned");
        let lost = watch.take();
        assert!(lost.len() == 1 && lost[0].contains("was abandoned"), "{lost:?}");
    });
}

/// G7, G9: a promise that is settled by the second that it follows lets go of the first, though its observer panics.
#[test]
fn a_panic_while_a_source_is_displaced() {
    watchdog(|| {
        let Followed { deferred, promise, first, second } = followed();
        let _promise = promise.done(|_| panic!("an observer"));
        assert_eq!(panic_of(|| Promise::<u32>::resolved(3).forward(deferred)), "an observer");
        assert!(!first.is_wanted() && !second.is_wanted());
    });
}

/// G10, G7: a promise that is made to follow itself is rejected with kind `Cycle`, which is reported once, unless it was looked at.
#[test]
fn a_promise_that_follows_itself_is_reported_once() {
    watchdog(|| {
        let watch = testing::watch();
        let (deferred, promise) = Deferred::<u32>::new();
        promise.forward(deferred.clone());
        assert_eq!(deferred.state(), State::Rejected);
        assert_eq!(watch.take(), [""; 0]);
        drop(deferred);
        let lost = watch.take();
        assert!(lost.len() == 1 && lost[0].contains("would wait for itself"), "{lost:?}");
        let (deferred, promise) = Deferred::<u32>::new();
        promise.clone().forward(deferred);
        assert_eq!(kind_of(ready(promise)), BrokenKind::Cycle);
        assert_eq!(watch.take(), [""; 0]);
    });
}

/// What goes on from a `map` before that is canceled.
type Chain = fn(Promise<Vec<u32>>) -> Promise<Vec<u32>>;

const CHAINS: [(&str, Chain); 5] = [
    ("map", |map| map),
    ("then", |map| map.then(Ok)),
    ("observed then", |map| map.then(Ok).always(|outcome| assert!(outcome.is_err()))),
    ("two of then", |map| map.then(Ok).then(Ok)),
    ("then of an observed one", |map| map.then(Ok).always(|outcome| assert!(outcome.is_err())).then(Ok)),
];

/// Makes a map over a promise by `map`, which also gets a clone of it, cancels what `chain` makes of that, and asserts that the cancel
/// arrives.
fn cancel_arrives(name: &str, chain: Chain, map: impl FnOnce(Promise<u32>, Promise<u32>) -> Promise<Vec<u32>>) {
    let log = Log::new();
    let (deferred, promise) = Deferred::<u32>::new();
    deferred.on_cancel(log.entry("canceled"));
    let derived = chain(map(promise.clone(), promise));
    assert_eq!(deferred.state(), State::Pending, "{name}");
    assert!(derived.cancel(), "{name}");
    assert_eq!((deferred.state(), deferred.is_wanted()), (State::Rejected, false), "{name}");
    assert_eq!(log.text(), "canceled", "{name}");
    assert_eq!(kind_of(ready(derived)), BrokenKind::Canceled, "{name}");
}

/// G7, G8: a canceled `map` drops its function first: a clone of the promise in flight that this owns does not keep that from the cancel.
#[test]
fn a_map_whose_function_owns_what_is_in_flight() {
    watchdog(|| {
        for (name, chain) in CHAINS {
            cancel_arrives(name, chain, |promise, own| {
                when::map([promise], 1, move |promise| {
                    let _own = &own;
                    promise
                })
            });
        }
    });
}

/// G7, G8: a canceled `map` drops its iterator first, too, be it at its end or not.
#[test]
fn a_map_whose_iterator_owns_what_is_in_flight() {
    watchdog(|| {
        for (name, chain) in CHAINS {
            cancel_arrives(name, chain, |promise, own| when::map([promise, own], 1, |promise| promise));
            cancel_arrives(name, chain, |promise, own| {
                let mut items = [promise].into_iter();
                let items = std::iter::from_fn(move || {
                    let _own = &own;
                    items.next()
                });
                when::map(items, 2, |promise| promise)
            });
        }
    });
}

/// G8: a function that drops its clone of the promise that it hands on, or adds an `on_cancel` to that, leaves the cancel its way.
#[test]
fn a_map_whose_function_drops_what_it_hands_on() {
    watchdog(|| {
        for (name, chain) in CHAINS {
            let log = Log::new();
            let (deferred, promise) = Deferred::<u32>::new();
            let producer = deferred.clone();
            let (mut entry, mut own) = (Some(log.entry("canceled")), Some(promise.clone()));
            let mapped = when::map([promise], 1, move |promise| {
                drop(own.take());
                if let Some(entry) = entry.take() {
                    producer.on_cancel(entry);
                }
                promise
            });
            assert!(chain(mapped).cancel(), "{name}");
            assert_eq!((deferred.state(), log.text().as_str()), (State::Rejected, "canceled"), "{name}");
        }
    });
}

/// G8: a clone of the promise in flight that nothing of the `map` owns keeps that from the cancel.
#[test]
fn a_map_of_what_is_held_elsewhere() {
    watchdog(|| {
        for (name, chain) in CHAINS {
            let (deferred, promise) = Deferred::<u32>::new();
            assert!(chain(when::map([promise.clone()], 1, |promise| promise)).cancel(), "{name}");
            assert_eq!((deferred.state(), deferred.is_wanted()), (State::Pending, true), "{name}");
            assert!(deferred.resolve(1), "{name}");
            assert_eq!(ready(promise).unwrap(), 1, "{name}");
        }
    });
}

/// G8: a `then` that was polled, or cloned, before it went on to another is canceled with that, and so is its source.
#[test]
fn a_cancel_through_a_polled_then() {
    watchdog(|| {
        let ways: [fn(Promise<u32>) -> Promise<u32>; 3] = [
            |then| then,
            |then| then.always(|_| ()),
            |then| {
                let then = then.always(|_| ());
                drop(then.clone());
                then
            },
        ];
        for (index, way) in ways.into_iter().enumerate() {
            let (deferred, promise) = Deferred::<u32>::new();
            let mut then = promise.then(Ok);
            assert!(poll_once(&mut then).is_pending());
            let last = way(then).then(Ok);
            assert!(last.cancel(), "way {index}");
            assert_eq!(deferred.state(), State::Rejected, "way {index}");
        }
    });
}

/// G4: a promise that a branch gives up is not lent for that: what user code does with it before the frame ends is done before that call
/// returns.
#[test]
fn a_promise_without_claims_settles_inside_a_callback() {
    watchdog(|| {
        let log = Log::new();
        let (source, promise) = Deferred::<u32>::new();
        let (middle, followed) = Deferred::<u32>::new();
        promise.forward(middle.clone());
        let (end, last) = Deferred::<u32>::new();
        let (observer, told, outer) = (log.clone(), log.clone(), log.clone());
        followed
            .progress(move |report| told.add(format!("report:{}", report.done)))
            .done(move |_| observer.add("observer"))
            .forward(end.clone());
        let _last = last.done(move |_| {
            assert!(middle.notify(report(1)));
            outer.add("notified");
            assert!(middle.resolve(7));
            outer.add("resolved");
        });
        assert!(end.resolve(0));
        assert_eq!(log.text(), "report:1 notified observer resolved");
        drop(source);
    });
}
