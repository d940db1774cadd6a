//! Progress, and the memory of its last report.

use super::Deferred;
use crate::util::{Counted, Log, poll_once};
use deferral::{Broken, Progress, State};

type Reporting = Deferred<u32, Broken, u32>;

/// A callback that logs what it is told.
fn tell(log: &Log, name: &'static str) -> impl FnMut(&u32) + Send + 'static {
    let entries = log.clone();
    move |n: &u32| entries.add(format!("{name}{n}"))
}

/// G4, P1: every callback sees each report, in order, before `notify` returns.
#[test]
fn every_callback_sees_every_report() {
    let log = Log::new();
    let (deferred, promise) = Reporting::with_progress();
    let _promise = promise.progress(tell(&log, "p"));
    deferred.progress(tell(&log, "q"));
    for n in 1..=3 {
        assert!(deferred.notify(n));
        log.add("/");
    }
    assert_eq!((log.text().as_str(), deferred.state()), ("p1 q1 / p2 q2 / p3 q3 /", State::Pending));
}

/// P2: what is notified after the settle is dropped, by `resolve`, `reject` and `cancel` alike.
#[test]
fn nothing_is_notified_after_the_settle() {
    let log = Log::new();
    let (deferred, promise) = Deferred::<u32, Broken, Counted>::with_progress();
    let entries = log.clone();
    let promise = promise.progress(move |_| entries.add("p"));
    promise.cancel();
    let report = Counted::new();
    let drops = report.drops.clone();
    assert!(!deferred.notify(report));
    assert_eq!((log.text().as_str(), drops.get()), ("", 1));
}

/// G4, P3: a late callback is told the last report at once, and only that one.
#[test]
fn a_late_callback_is_told_the_last_report() {
    let log = Log::new();
    let (deferred, promise) = Reporting::with_progress();
    deferred.notify(1);
    deferred.notify(2);
    let promise = promise.progress(tell(&log, "p"));
    log.add("/");
    deferred.progress(tell(&log, "q"));
    log.add("/");
    deferred.notify(3);
    drop(promise);
    assert_eq!(log.text(), "p2 / q2 / p3 q3");
}

/// G4, P4: also after the settle, whatever the end, and after the value was taken; where there was none, it is told nothing.
#[test]
fn a_callback_after_the_settle_is_told_the_last_report() {
    for notified in [true, false] {
        for settle in [|d: &Reporting| d.resolve(1), |d: &Reporting| d.settle(Err(lost()))] {
            let log = Log::new();
            let (deferred, mut promise) = Reporting::with_progress();
            if notified {
                deferred.progress(tell(&log, "early"));
                deferred.notify(1);
                deferred.notify(2);
            }
            settle(&deferred);
            deferred.progress(tell(&log, "p"));
            assert!(poll_once(&mut promise).is_ready());
            let _spent = promise.progress(tell(&log, "q"));
            assert_eq!(log.text(), if notified { "early1 early2 p2 q2" } else { "" });
        }
    }
}

fn lost() -> Broken {
    let (deferred, mut promise) = Deferred::<()>::new();
    drop(deferred);
    match poll_once(&mut promise) {
        std::task::Poll::Ready(Err(broken)) => broken,
        _ => unreachable!("it is abandoned"),
    }
}

/// P5: what is notified inside a callback waits: all see report n before any sees n + 1.
#[test]
fn reports_inside_callbacks_wait_their_turn() {
    let log = Log::new();
    let (deferred, _promise) = Reporting::with_progress();
    let (inner, entries) = (deferred.clone(), log.clone());
    deferred.progress(move |n| {
        entries.add(format!("x{n}"));
        if *n < 3 {
            assert!(inner.notify(n + 1));
        }
    });
    deferred.progress(tell(&log, "y"));
    deferred.notify(1);
    assert_eq!(log.text(), "x1 y1 x2 y2 x3 y3");
}

/// G4, P6, trap 15: a settle inside a progress callback comes after the reports issued before it, and nothing is lost of what jQuery
/// loses. The state is settled at once.
#[test]
fn a_settle_inside_a_callback_comes_after_the_reports() {
    let log = Log::new();
    let (deferred, promise) = Reporting::with_progress();
    let (inner, entries) = (deferred.clone(), log.clone());
    deferred.progress(move |n| {
        entries.add(format!("p{n}"));
        if *n == 1 {
            assert!(inner.notify(2));
            assert!(inner.resolve(7));
            assert!(!inner.notify(3));
            entries.add(format!("{:?}", inner.state()));
        }
    });
    deferred.progress(tell(&log, "q"));
    let entries = log.clone();
    let promise = promise.done(move |n| entries.add(format!("done{n}")));
    deferred.notify(1);
    let _promise = promise.progress(tell(&log, "late"));
    assert_eq!(log.text(), "p1 Resolved q1 p2 q2 done7 late2");
}

/// G4, P12: a callback added inside a progress callback is told the report that is just being told, once, and each later one.
#[test]
fn a_callback_added_inside_one_misses_nothing() {
    let log = Log::new();
    let (deferred, _promise) = Reporting::with_progress();
    let (inner, entries) = (deferred.clone(), log.clone());
    deferred.progress(move |n| {
        entries.add(format!("p{n}"));
        if *n == 1 {
            inner.progress(tell(&entries, "new"));
            inner.notify(2);
        }
    });
    deferred.progress(tell(&log, "q"));
    deferred.notify(1);
    deferred.notify(3);
    assert_eq!(log.text(), "p1 q1 new1 p2 q2 new2 p3 q3 new3");
}

/// G4: a callback added inside an observer is told the last report, in its turn.
#[test]
fn a_progress_callback_added_inside_an_observer() {
    let log = Log::new();
    let (deferred, promise) = Reporting::with_progress();
    deferred.notify(5);
    let (inner, entries) = (deferred.clone(), log.clone());
    let _promise = promise.done(move |_| {
        inner.progress(tell(&entries, "p"));
        entries.add("/");
    });
    deferred.resolve(1);
    assert_eq!(log.text(), "/ p5");
}

/// P3: one report is kept, the last; the others are dropped once told, and the last one with the promise.
#[test]
fn one_report_is_kept() {
    for listens in [false, true] {
        let (deferred, promise) = Deferred::<u32, Broken, Counted>::with_progress();
        if listens {
            deferred.progress(|_| ());
        }
        let reports: Vec<_> = (0..3).map(|_| Counted::new()).collect();
        let counts: Vec<_> = reports.iter().map(|report| report.drops.clone()).collect();
        for report in reports {
            deferred.notify(report);
        }
        let dropped = |counts: &[crate::util::Count]| counts.iter().map(crate::util::Count::get).collect::<Vec<_>>();
        assert_eq!(dropped(&counts), [1, 1, 0]);
        deferred.resolve(1);
        drop(promise);
        assert_eq!(dropped(&counts), [1, 1, 0]);
        drop(deferred);
        assert_eq!(dropped(&counts), [1, 1, 1]);
    }
}

/// G4: sixteen and more promises that notify each other, a settle behind the reports: each sees all, in order.
#[test]
fn reports_keep_their_order_beyond_the_depth_limit() {
    let log = Log::new();
    let (head, mut tail) = Reporting::with_progress();
    for _ in 0..100 {
        let (next, promise) = Reporting::with_progress();
        let reports = next.clone();
        tail.progress(move |n| _ = reports.notify(*n)).done(move |n| _ = next.resolve(*n));
        tail = promise;
    }
    let entries = log.clone();
    let _tail = tail.progress(tell(&log, "p")).done(move |n| entries.add(format!("done{n}")));
    for n in 1..=3 {
        head.notify(n);
    }
    head.resolve(9);
    assert_eq!(log.text(), "p1 p2 p3 done9");
}

/// P1: the progress of the default type.
#[test]
fn the_default_progress() {
    let log = Log::new();
    let entries = log.clone();
    let (deferred, promise) = Deferred::<()>::new();
    let _promise = promise.progress(move |p| entries.add(format!("{}/{}", p.done, p.total)));
    deferred.notify(Progress { done: 1, total: 2 });
    assert_eq!(log.text(), "1/2");
}
