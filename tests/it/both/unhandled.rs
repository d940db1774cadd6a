//! Errors do not vanish: what counts as a look at an error, who is responsible for it down a chain, and what is excused.

use super::{Deferred, Promise};
use crate::util::{OnDrop, poll_once, ready};
use deferral::{Broken, EventLoop, Progress, State, testing, when};
use std::io;

/// What is lost on this thread while `f` runs, and by the drop of its result.
fn lost<R>(f: impl FnOnce() -> R) -> Vec<String> {
    let watch = testing::watch();
    drop(f());
    watch.take()
}

fn count<R>(f: impl FnOnce() -> R) -> usize {
    lost(f).len()
}

/// A rejected promise with an error of a producer's own.
fn rejected() -> Promise<u32, String> {
    Promise::rejected("offline".to_owned())
}

fn pair() -> (Deferred<u32, String>, Promise<u32, String>) {
    Deferred::new()
}

fn fails() -> Result<u32, String> {
    Err("offline".to_owned())
}

/// G10, U1, trap 14: rejected and dropped is one report, in whatever order the ends go, and resolved is none.
#[test]
fn a_rejection_that_nobody_looked_at_is_reported_once() {
    assert_eq!(count(rejected), 1);
    for promise_first in [true, false] {
        let dropped = count(|| {
            let (deferred, promise) = pair();
            if promise_first {
                drop(promise);
                deferred.reject("offline".to_owned());
            } else {
                deferred.reject("offline".to_owned());
                drop(promise);
            }
            let clone = deferred.clone();
            drop(deferred);
            drop(clone);
        });
        assert_eq!(dropped, 1, "promise first: {promise_first}");
    }
    assert_eq!(count(|| Promise::<u32, String>::resolved(1)), 0);
    assert_eq!(count(|| pair().0.resolve(1)), 0);
    let unwanted = count(|| {
        let (deferred, promise) = pair();
        (promise, deferred)
    });
    assert_eq!(unwanted, 0, "a pending one that nobody wants any more");
}

/// G10: it is told when the last handle goes, and not before: a handler may come as late as it likes (U2).
#[test]
fn a_late_handler_is_in_time() {
    let watch = testing::watch();
    let (deferred, promise) = pair();
    deferred.reject("offline".to_owned());
    drop(promise);
    assert_eq!(watch.take(), [""; 0]);
    deferred.fail(|error| assert_eq!(error, "offline"));
    drop(deferred);
    assert_eq!(watch.take(), [""; 0]);
}

/// G10, U4: what counts as a look at the error, on a pending promise and on a rejected one.
#[test]
fn who_looks_at_the_error_has_handled_it() {
    type Look = fn(Promise<u32, String>);
    let looks: [(&str, Look); 9] = [
        ("fail", |promise| drop(promise.fail(|_| ()))),
        ("always", |promise| drop(promise.always(|_| ()))),
        ("done and fail", |promise| drop(promise.done(|_| ()).fail(|_| ()))),
        ("two of done and one of always", |promise| drop(promise.done(|_| ()).always(|_| ()).done(|_| ()))),
        ("catch", |promise| drop(promise.catch(|_| Ok(0)))),
        ("map_err to what is looked at", |promise| drop(promise.map_err(io::Error::other::<String>).fail(|_| ()))),
        ("settled", |promise| drop(when::settled([promise]).done(|_| ()))),
        ("any", |promise| drop(when::any([promise]).fail(|_| ()))),
        ("forward to what is looked at", |promise| {
            let (target, followed) = pair();
            promise.forward(target);
            followed.fail(|_| ());
        }),
    ];
    for (name, look) in looks {
        assert_eq!(lost(|| look(rejected())), [""; 0], "{name}, rejected");
        let pending = lost(|| {
            let (deferred, promise) = pair();
            look(promise);
            deferred.reject("offline".to_owned());
        });
        assert_eq!(pending, [""; 0], "{name}, pending");
    }
    let looks: [(&str, Look); 4] = [
        ("await", |promise| assert!(ready(promise).is_err())),
        ("await, and the promise lives on", |mut promise| assert!(ready(&mut promise).is_err())),
        ("await of a clone", |promise| assert!(ready(promise.clone()).is_err())),
        ("peek", |promise| promise.peek(|outcome| assert!(outcome.unwrap().is_err()))),
    ];
    for (name, look) in looks {
        assert_eq!(lost(|| look(rejected())), [""; 0], "{name}");
    }
}

/// G10, U4: what does not.
#[test]
fn who_does_not_see_the_error_has_not() {
    type Look = fn(Promise<u32, String>);
    let looks: [(&str, Look); 7] = [
        ("nothing", drop),
        ("done", |promise| drop(promise.done(|_| ()))),
        ("two of done", |promise| drop(promise.done(|_| ()).done(|_| ()))),
        ("progress", |promise| drop(promise.progress(|_| ()))),
        ("state", |promise| assert_ne!(promise.state(), State::Resolved)),
        ("then", |promise| drop(promise.then(Ok))),
        ("map_err", |promise| drop(promise.map_err(|error| error.len().to_string()))),
    ];
    for (name, look) in looks {
        assert_eq!(count(|| look(rejected())), 1, "{name}, rejected");
        let pending = count(|| {
            let (deferred, promise) = pair();
            look(promise);
            deferred.reject("offline".to_owned());
        });
        assert_eq!(pending, 1, "{name}, pending");
    }
    let peeked = count(|| {
        let (deferred, promise) = pair();
        promise.peek(|outcome| assert!(outcome.is_none()));
        deferred.reject("offline".to_owned());
    });
    assert_eq!(peeked, 1, "peek while it was pending");
    let polled = count(|| {
        let (deferred, mut promise) = pair();
        assert!(poll_once(&mut promise).is_pending());
        deferred.reject("offline".to_owned());
    });
    assert_eq!(polled, 1, "a poll that found it pending");
}

/// G10, U3, trap 14: the leaves are responsible: two branches that nobody looks at are two reports, and none of the source.
#[test]
fn responsibility_moves_to_the_leaves() {
    for settled in [true, false] {
        let branches = |caught: usize| {
            count(|| {
                let (deferred, promise) = pair();
                if settled {
                    deferred.reject("offline".to_owned());
                }
                for branch in 0..2 {
                    let leaf = promise.clone().then(Ok).then(Ok);
                    if branch < caught {
                        leaf.fail(|_| ());
                    }
                }
                drop(promise);
                deferred.reject("offline".to_owned());
            })
        };
        assert_eq!([branches(0), branches(1), branches(2)], [2, 1, 0], "settled: {settled}");
    }
}

/// G10, U3: an observer upstream has seen its own promise only, as in JavaScript.
#[test]
fn an_observer_upstream_answers_for_its_own_promise() {
    assert_eq!(count(|| rejected().fail(|_| ()).then(Ok)), 1);
    assert_eq!(count(|| rejected().then(Ok).fail(|_| ())), 0);
    assert_eq!(count(|| rejected().fail(|_| ()).catch(|_| fails())), 1, "an error of its own");
}

/// G10, U3: a continuation that rejects, or that returns a promise, is responsible as any other.
#[test]
fn what_a_continuation_rejects_is_reported() {
    assert_eq!(count(|| Promise::<u32, String>::resolved(1).then(|_| fails())), 1);
    assert_eq!(count(|| Promise::<u32, String>::resolved(1).then(|_| rejected())), 1);
    assert_eq!(
        count(|| Promise::<u32, String>::resolved(1).then(|_| rejected()).fail(|_| ())),
        0,
        "adopted and caught"
    );
    let late = count(|| {
        let (deferred, inner) = pair();
        let outer = Promise::<u32, String>::resolved(1).then(|_| inner);
        deferred.reject("offline".to_owned());
        outer
    });
    assert_eq!(late, 1);
    let flat = count(|| {
        let (deferred, promise) = Deferred::<Result<u32, String>>::new();
        drop(promise.flatten());
        deferred.resolve(fails());
    });
    assert_eq!(flat, 1, "the error of a task that returns a result");
}

/// G10, U6, trap 14: an aggregate has looked at its inputs, and answers for its own error.
#[test]
fn an_aggregate_answers_for_its_inputs() {
    for settled in [true, false] {
        let aggregate = |caught: bool| {
            count(|| {
                let (pairs, promises): (Vec<_>, Vec<_>) = (0..3).map(|_| pair()).unzip();
                let reject = || {
                    pairs.iter().for_each(|deferred| {
                        deferred.reject("offline".to_owned());
                    })
                };
                if settled {
                    reject();
                }
                let all = when(promises);
                if caught {
                    all.fail(|_| ());
                    reject();
                } else {
                    reject();
                    drop(all);
                }
            })
        };
        assert_eq!([aggregate(true), aggregate(false)], [0, 1], "settled: {settled}");
    }
    assert_eq!(count(|| when::any([rejected(), rejected()])), 1);
    assert_eq!(count(|| when::race([rejected(), rejected()])), 1);
    assert_eq!(count(|| when::race([rejected(), rejected()]).fail(|_| ())), 0);
    assert_eq!(count(|| when::map(0..3, 2, |_| rejected())), 1);
    assert_eq!(count(|| when((rejected(), Ok::<_, String>(1)))), 1);
}

/// G10: an aggregate that nobody holds has let go of its inputs before they settle: each answers for itself again.
#[test]
fn an_aggregate_that_nobody_holds_answers_for_nobody() {
    let dropped = count(|| {
        let ((first, a), (second, b)) = (pair(), pair());
        drop(when([a, b]));
        first.reject("offline".to_owned());
        second.reject("offline".to_owned());
    });
    assert_eq!(dropped, 2);
}

/// Trap 14: a clone that goes before the derived promise is attached does not count twice, and one that looks counts for all.
#[test]
fn clones_are_one_promise() {
    let early = count(|| {
        let promise = rejected();
        drop(promise.clone());
        promise.then(Ok)
    });
    assert_eq!(early, 1);
    let clones = count(|| {
        let promise = rejected();
        (promise.clone(), promise.clone(), promise)
    });
    assert_eq!(clones, 1);
    let seen = count(|| {
        let promise = rejected();
        assert!(ready(promise.clone()).is_err());
        promise
    });
    assert_eq!(seen, 0);
    let derived = count(|| {
        let promise = rejected();
        promise.clone().then(Ok).fail(|_| ());
        promise
    });
    assert_eq!(derived, 0, "a derived promise has taken the error of all of them over");
}

/// G10, U5: a cancel is never reported, also at the end of a chain.
#[test]
fn a_cancel_is_excused() {
    assert_eq!(count(|| pair().1.cancel()), 0);
    let chain = count(|| {
        let (deferred, promise) = pair();
        let (first, second) = (promise.clone().then(Ok), promise.clone().then(Ok).then(Ok));
        promise.cancel();
        assert_eq!([first.state(), second.state()], [State::Rejected; 2]);
        drop(deferred);
    });
    assert_eq!(chain, 0);
    let late = count(|| {
        let (_deferred, promise) = pair();
        promise.cancel();
        let forwarded = pair();
        promise.clone().forward(forwarded.0);
        (promise.clone().then(Ok).then(Ok), when([promise.then(Ok)]), forwarded.1)
    });
    assert_eq!(late, 0);
    let local = count(|| {
        let (deferred, promise) = Deferred::<u32>::new();
        promise.cancel();
        let caught = Promise::<u32>::new(|other| assert!(other.settle(ready(promise))));
        drop((deferred, caught));
    });
    assert_eq!(local, 0, "a `Broken` says by itself what it is");
}

/// G10: an excuse ends where user code makes another error of it.
#[test]
fn a_changed_error_is_not_excused() {
    let canceled = || {
        let (_deferred, promise) = pair();
        promise.cancel();
        promise
    };
    assert_eq!(count(|| canceled().map_err(|text| text + "!")), 1);
    assert_eq!(count(|| canceled().catch(Err::<u32, _>)), 1);
    assert_eq!(count(|| canceled().catch(|_| Ok(0))), 0);
}

/// G10: `LoopClosed` is excused, also at the end of a chain.
#[test]
fn the_end_of_a_loop_is_excused() {
    let tasks = count(|| {
        let event_loop = EventLoop::new();
        let handle = event_loop.handle();
        let task = event_loop.spawn(std::future::pending::<()>());
        let derived = event_loop.spawn(std::future::pending::<()>()).then(Ok).map_err(|broken| broken);
        let call = handle.call_soon(|| ()).then(Ok);
        drop(event_loop);
        assert_eq!(derived.state(), State::Rejected);
        (task, call, derived, handle.call_soon(|| ()).then(Ok))
    });
    assert_eq!(tasks, 0);
}

/// G10: what the library rejects is reported if somebody wanted the outcome, and not if nobody did.
#[test]
fn an_abandoned_promise_is_reported_if_it_was_wanted() {
    let unwanted = count(|| {
        let (deferred, promise) = pair();
        drop(promise);
        drop(deferred);
    });
    assert_eq!(unwanted, 0);
    let (origin, watch) = (line!() + 1, testing::watch());
    let (deferred, promise) = Deferred::<u32>::new();
    promise.done(|_| ());
    drop(deferred);
    let sentence = format!(
        "the promise made at {}:{origin}:31 was abandoned: its last Deferred was dropped before it settled",
        file!()
    );
    assert_eq!(watch.take(), [sentence], "once, though it is abandoned and unhandled");
    drop(watch);

    assert_eq!(count(|| when::race(Vec::<Promise<u32, String>>::new())), 1, "an empty race that somebody held");
    assert_eq!(count(|| when::race(Vec::<Promise<u32, String>>::new()).fail(|_| ())), 0);
}

/// G9, G10: a panic is reported though nobody wanted the outcome, once, and not as a panic without a caller.
#[test]
fn a_panic_is_reported_even_if_nobody_wanted_the_outcome() {
    let lines = lost(|| {
        let (deferred, promise) = Deferred::<u32>::new();
        let derived = promise.then(|_| -> Result<u32, Broken> { panic!("out of paper") });
        drop(derived);
        deferred.resolve(1);
    });
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].starts_with("unhandled rejection: the promise made at "), "{lines:?}");
    assert!(lines[0].ends_with("is broken: what owed its outcome panicked: out of paper"), "{lines:?}");

    let held = count(|| Promise::<u32, String>::new(|_| panic!("out of paper")));
    assert_eq!(held, 1);
    let caught = count(|| Promise::<u32, String>::new(|_| panic!("out of paper")).fail(|_| ()));
    assert_eq!(caught, 0);
    let task = lost(|| {
        let event_loop = EventLoop::new();
        drop(event_loop.spawn(async { panic!("out of paper") }));
        drop(event_loop.handle().spawn(async { panic!("out of ink") }));
        event_loop.run_until_idle();
    });
    assert_eq!(task.len(), 2, "{task:?}");
    assert!(task[0].ends_with("out of paper") && task[1].ends_with("out of ink"), "{task:?}");
}

/// An error type whose conversion panics.
#[derive(Debug)]
struct Unmade;

impl From<Broken> for Unmade {
    fn from(_: Broken) -> Self {
        panic!("no such error")
    }
}

/// G9, G10: an error that could not be made is reported as the panic that it is, unless a consumer has heard of it.
#[test]
fn an_error_that_cannot_be_made_is_reported() {
    let lines = lost(|| {
        let (deferred, promise) = Deferred::<u32, Unmade>::new();
        promise.fail(|_| unreachable!("there is no error"));
        drop(deferred);
    });
    assert!(lines.iter().any(|line| line.ends_with("panicked: no such error")), "{lines:?}");
    let (deferred, mut promise) = Deferred::<u32, Unmade>::new();
    let watch = testing::watch();
    drop(deferred);
    let _ = watch.take();
    let text = crate::util::panic_of(|| poll_once(&mut promise));
    assert!(text.ends_with("panicked: no such error"), "{text}");
    drop(promise);
    assert_eq!(watch.take(), [""; 0]);
}

/// G10: every list of callbacks is looked through: the way of many, and of one that came while the outcome was lent.
#[test]
fn observers_that_come_late_or_many_count_the_same() {
    for sees in [true, false] {
        let nested = count(|| {
            let (deferred, promise) = pair();
            let inner = deferred.clone();
            deferred.always(move |_| {
                if sees {
                    inner.fail(|_| ());
                }
                inner.done(|_| ());
            });
            promise.progress(|_: &Progress| ());
            deferred.reject("offline".to_owned());
        });
        assert_eq!(nested, 0, "`always` has looked");
        let late = count(|| {
            let promise = rejected().done(|_| ());
            if sees { promise.done(|_| ()).fail(|_| ()).done(|_| ()) } else { promise.done(|_| ()) }
        });
        assert_eq!(late, usize::from(!sees));
    }
}

/// G6, G10: an error is told before it is dropped, where nothing is locked: its own drop, and its promise, may be used in between.
#[test]
fn the_error_is_alive_when_it_is_told() {
    struct Loud(#[allow(dead_code)] Option<OnDrop<Box<dyn FnOnce() + Send>>>);
    impl From<Broken> for Loud {
        fn from(_: Broken) -> Self {
            Loud(None)
        }
    }
    let watch = testing::watch();
    let (deferred, promise) = Deferred::<u32, Loud>::new();
    let weak: Box<dyn FnOnce() + Send> = Box::new(|| drop(Promise::<u32, String>::rejected("and one more".to_owned())));
    deferred.reject(Loud(Some(OnDrop::new(weak))));
    drop((deferred, promise));
    let lines = watch.take();
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines[0].contains("Loud") && lines[1].contains("and one more"), "{lines:?}");
}

/// G5, G10: a million errors that are lost one inside another take no stack.
#[test]
fn errors_inside_errors_take_no_stack() {
    struct Nested(#[allow(dead_code)] Option<Box<Promise<u32, Nested>>>);
    impl From<Broken> for Nested {
        fn from(_: Broken) -> Self {
            Nested(None)
        }
    }
    const DEPTH: usize = 20_000;
    let lines = count(|| {
        let mut promise = Promise::<u32, Nested>::rejected(Nested(None));
        for _ in 1..DEPTH {
            promise = Promise::rejected(Nested(Some(Box::new(promise))));
        }
        promise
    });
    assert_eq!(lines, DEPTH);
}

/// U8: what is told: where the promise was made and where it was rejected, the error's text where its type is known, and its type.
#[test]
fn the_line_says_what_and_where() {
    let made = line!() + 1;
    let (deferred, promise) = Deferred::<u32, io::Error>::new();
    let derived = line!() + 1;
    let leaf = promise.then(Ok);
    let site = line!() + 1;
    deferred.reject(io::Error::other("no disk"));
    let _ = made;
    let lines = lost(|| leaf);
    let (file, at) =
        (file!(), if cfg!(debug_assertions) { format!(", rejected at {}:{site}:14", file!()) } else { String::new() });
    assert_eq!(
        lines,
        [format!(
            "unhandled rejection of the promise made at {file}:{derived}:24{at}: \
             Custom {{ kind: Other, error: \"no disk\" }} (std::io::error::Error)"
        )]
    );
    let text = lost(|| Promise::<u32, Foreign>::rejected(Foreign));
    assert!(
        text[0].ends_with(": an error of type it::threaded::unhandled::Foreign") || text[0].ends_with("Foreign"),
        "{text:?}"
    );
    let two_lines = lost(|| Promise::<u32>::new(|_| panic!("first\nsecond")));
    assert!(two_lines[0].ends_with("first second"), "{two_lines:?}");
}

struct Foreign;

impl From<Broken> for Foreign {
    fn from(_: Broken) -> Self {
        Foreign
    }
}

/// An error whose `Debug` panics.
struct Mute;

impl std::fmt::Debug for Mute {
    fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        panic!("no comment")
    }
}

impl std::fmt::Display for Mute {
    fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        Ok(())
    }
}

impl std::error::Error for Mute {}

/// G9, G10: an error whose `Debug` panics is told by its type.
#[test]
fn an_error_that_cannot_be_printed_is_told() {
    let lines = lost(|| Promise::<u32, io::Error>::rejected(io::Error::other(Mute)));
    assert_eq!(lines.len(), 1);
    assert!(lines[0].ends_with(": an error of type std::io::error::Error"), "{lines:?}");
}

/// G10: a timeout that expires is an error like any other for who wanted it, and its promise has gone by a cancel.
#[test]
fn an_expired_timeout_is_reported_once() {
    let lines = lost(|| {
        let event_loop = EventLoop::with_virtual_clock();
        let (deferred, promise) = deferral::Deferred::<u32>::new();
        let late = event_loop.handle().timeout(std::time::Duration::from_secs(1), promise);
        late.done(|_| ());
        event_loop.run_until_idle();
        assert!(!deferred.resolve(1));
    });
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].ends_with("was not settled in time"), "{lines:?}");
}
