//! Panics: the others are served, and the first one goes where it belongs.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};

use super::{Deferred, Promise};
use crate::util::{Count, Log, OnDrop, panic_of, poll_once, watchdog};
use deferral::{Broken, BrokenKind, Progress, State, testing};

type Act = fn(Deferred<u32, String>, &Promise<u32, String>);

/// How user code ends a promise, and which callbacks that concerns.
const SETTLES: [Act; 3] = [
    |deferred, _| _ = deferred.resolve(1),
    |deferred, _| _ = deferred.reject("no".to_owned()),
    |_deferred, promise| _ = promise.cancel(),
];

/// G9, F1, F2, F3, trap 1: of three callbacks the middle one panics; the others run, the panic resumes out of the settle, and what
/// comes later runs at once.
#[test]
fn a_panicking_observer_stops_nobody() {
    for settle in SETTLES {
        let log = Log::new();
        let add = |entry: &'static str| {
            let entries = log.clone();
            move || entries.add(entry)
        };
        let (one, two, then, late) = (add("1"), add("2"), add("then"), add("late"));
        let (deferred, promise) = Deferred::<u32, String>::new();
        let promise = promise.always(move |_| one()).always(|_| panic!("middle")).always(move |_| two());
        let branch = promise.clone().then(Ok).catch(|_| Ok(0)).then(move |n| {
            then();
            Ok(n)
        });
        assert_eq!(panic_of(|| settle(deferred.clone(), &promise)), "middle");
        let promise = promise.always(move |_| late());
        assert_eq!((log.text().as_str(), branch.state()), ("1 2 then late", State::Resolved));
        assert_ne!(promise.state(), State::Pending);
    }
}

/// G9, trap 1: of many panics the first one resumes, whatever the kind of the callback: `done`, `fail`, `progress`, `on_cancel`, and
/// the drop of one that never runs.
#[test]
fn the_first_panic_resumes() {
    let (deferred, promise) = Deferred::<u32>::new();
    let promise = promise.done(|_| panic!("first")).done(|_| panic!("second"));
    assert_eq!(panic_of(|| deferred.resolve(1)), "first");
    assert_eq!(promise.state(), State::Resolved);

    let (deferred, promise) = Deferred::<u32>::new();
    deferred.on_cancel(|| panic!("on_cancel")).fail(|_| panic!("fail"));
    assert_eq!(panic_of(|| promise.cancel()), "on_cancel");

    let (deferred, promise) = Deferred::<u32>::new();
    let guard = OnDrop::new(|| panic!("drop"));
    deferred.fail(move |_| drop(guard)).done(|_| panic!("done"));
    assert_eq!(panic_of(|| deferred.resolve(1)), "drop");
    assert!(promise.peek(|outcome| outcome.is_some_and(|outcome| *outcome.as_ref().unwrap() == 1)));
}

/// G9: out of a settle that nests in a callback nothing unwinds: the panic waits for the outermost call.
#[test]
fn panics_wait_for_the_outermost_call() {
    let log = Log::new();
    let ((outer, outer_promise), (inner, inner_promise)) = (Deferred::<u32>::new(), Deferred::<u32>::new());
    inner_promise.done(|_| panic!("inner"));
    let (entries, last) = (log.clone(), log.clone());
    let _promise = outer_promise
        .done(move |_| {
            entries.add(inner.resolve(2));
            entries.add("after");
        })
        .done(move |_| last.add("last"));
    assert_eq!(panic_of(|| outer.resolve(1)), "inner");
    assert_eq!(log.text(), "true after last");
}

/// G9: the panic of a callback that is registered late comes out of the registration, through both ends.
#[test]
fn a_late_callback_panics_out_of_its_registration() {
    let (deferred, promise) = Deferred::<u32>::new();
    deferred.notify(Progress::default());
    deferred.resolve(1);
    assert_eq!(panic_of(|| deferred.done(|_| panic!("done"))), "done");
    assert_eq!(panic_of(|| deferred.always(|_| panic!("always"))), "always");
    assert_eq!(panic_of(|| deferred.progress(|_| panic!("progress"))), "progress");
    assert_eq!(panic_of(|| promise.clone().done(|_| panic!("by promise"))), "by promise");
    let (deferred, canceled) = Deferred::<u32>::new();
    canceled.cancel();
    assert_eq!(panic_of(|| deferred.on_cancel(|| panic!("on_cancel"))), "on_cancel");
    assert_eq!(panic_of(|| canceled.fail(|_| panic!("fail"))), "fail");
    assert!(matches!(promise.peek(|outcome| outcome.cloned()), Some(Ok(1))));
}

/// G9, P7: a progress callback that panicked is called again with the next report, and so are the others.
#[test]
fn a_panicking_progress_callback_is_not_muted() {
    let log = Log::new();
    let (first, second) = (log.clone(), log.clone());
    let (deferred, promise) = Deferred::<u32, Broken, u32>::with_progress();
    let promise = promise.progress(move |n| {
        first.add(format!("p{n}"));
        assert!(*n != 1, "one");
    });
    let promise = promise.progress(move |n| second.add(format!("q{n}")));
    assert_eq!(panic_of(|| deferred.notify(1)), "one");
    assert!(deferred.notify(2));
    assert!(deferred.resolve(1));
    assert_eq!((log.text().as_str(), promise.state()), ("p1 q1 p2 q2", State::Resolved));
}

/// G9: out of a drop nothing unwinds: not the panic of an observer, of `on_cancel`, or of a drop within.
#[test]
fn nothing_unwinds_out_of_a_drop() {
    let seen = Count::new();
    let count = seen.clone();
    let (deferred, promise) = Deferred::<u32>::new();
    promise.fail(|_| panic!("observer")).fail(move |_| count.add());
    drop(deferred);
    assert_eq!(seen.get(), 1);

    let (deferred, promise) = Deferred::<u32>::new();
    let guard = OnDrop::new(|| panic!("capture"));
    deferred.on_cancel(move || drop(guard));
    drop(promise);
    drop(deferred);

    let promise = Promise::<OnDrop<fn()>>::resolved(OnDrop::new(|| panic!("value")));
    drop(promise);

    let (deferred, promise) = Deferred::<OnDrop<fn()>>::new();
    deferred.resolve(OnDrop::new(|| panic!("value")));
    drop(promise);
    drop(deferred);
}

/// G9: the same of a report that is dropped with its promise, whichever handle goes last and however the promise ended.
#[test]
fn nothing_unwinds_out_of_a_drop_of_a_report() {
    type Report = OnDrop<fn()>;
    type Act = fn(Deferred<u32, Broken, Report>, Promise<u32, Broken, Report>);
    let acts: [(&str, Act); 6] = [
        ("the promise, then the producer", |deferred, promise| {
            drop(promise);
            drop(deferred);
        }),
        ("the producer, then the promise", |deferred, promise| {
            drop(deferred);
            drop(promise);
        }),
        ("resolved, the promise last", |deferred, promise| {
            deferred.resolve(1);
            drop(deferred);
            drop(promise);
        }),
        ("awaited, the producer last", |deferred, mut promise| {
            deferred.resolve(1);
            assert!(poll_once(&mut promise).is_ready());
            drop(promise);
            drop(deferred);
        }),
        ("awaited, the promise last", |deferred, mut promise| {
            deferred.resolve(1);
            drop(deferred);
            assert!(poll_once(&mut promise).is_ready());
            drop(promise);
        }),
        ("canceled", |deferred, promise| {
            promise.cancel();
            drop(promise);
            drop(deferred);
        }),
    ];
    for (name, act) in acts {
        let (deferred, promise) = Deferred::<u32, Broken, Report>::with_progress();
        deferred.notify(OnDrop::new(|| panic!("report")));
        assert!(catch_unwind(AssertUnwindSafe(|| act(deferred, promise))).is_ok(), "{name}");
    }
}

/// G9, F4, S8: a panic in `then`, `catch`, `map_err` and `new` rejects, with the message.
#[test]
fn continuations_that_panic_reject() {
    let promises: [Promise<u32, Broken>; 4] = [
        Promise::<u32>::resolved(1).then(|_| -> Result<u32, Broken> { panic!("in then") }),
        Promise::<u32>::new(drop).catch(|_| -> Result<u32, Broken> { panic!("in catch") }),
        Promise::<u32, ()>::rejected(()).map_err(|()| -> Broken { panic!("in map_err") }),
        Promise::<u32>::new(|_| panic!("in {}", "new")),
    ];
    for (promise, name) in promises.into_iter().zip(["then", "catch", "map_err", "new"]) {
        let seen = Count::new();
        let count = seen.clone();
        promise.fail(move |broken| {
            assert_eq!(broken.kind(), BrokenKind::Panicked);
            assert_eq!(broken.origin().file(), file!());
            assert!(broken.to_string().ends_with(&format!("panicked: in {name}")), "{broken}");
            count.add();
        });
        assert_eq!(seen.get(), 1, "{name}");
    }
}

/// G9: a panic in a `then` stays in its promise: nothing resumes out of `resolve`, and its siblings are served.
#[test]
fn a_panicking_then_does_not_reach_the_settler() {
    let (deferred, promise) = Deferred::<u32>::new();
    let bad = promise.clone().then(|_| -> Result<u32, Broken> { panic!("bad") });
    let mut good = promise.then(Ok);
    assert!(deferred.resolve(1));
    assert_eq!(bad.state(), State::Rejected);
    assert!(matches!(poll_once(&mut good), Poll::Ready(Ok(1))));
}

/// A value whose clone panics for as long as the fuse says so.
#[derive(Debug)]
struct Fused(Arc<Mutex<u32>>);

impl Clone for Fused {
    fn clone(&self) -> Self {
        // Unlocked again before it panics.
        let left = self.0.lock().unwrap().checked_sub(1);
        if let Some(left) = left {
            *self.0.lock().unwrap() = left;
            panic!("no clone");
        }
        Fused(self.0.clone())
    }
}

/// G9, F9: a panic in the clone of a value goes to the consumer that asked: the others get theirs.
#[test]
fn a_panicking_clone_harms_its_consumer_only() {
    let (deferred, promise) = Deferred::<Fused>::new();
    let branches: Vec<_> = (0..3).map(|_| promise.clone().then(|_| Ok(1))).collect();
    assert!(deferred.resolve(Fused(Arc::new(Mutex::new(1)))));
    let ends: Vec<_> = branches.iter().map(Promise::state).collect();
    assert_eq!(ends, [State::Rejected, State::Resolved, State::Resolved]);
    branches.into_iter().next().expect("three").fail(|broken| {
        assert!(broken.to_string().ends_with("panicked: no clone"), "{broken}");
    });
    // And in a task: it resumes out of the poll, once.
    let mut promise = promise;
    let mut other = promise.clone();
    promise.peek(|outcome| *outcome.unwrap().as_ref().unwrap().0.lock().unwrap() = 1);
    assert_eq!(panic_of(|| poll_once(&mut other)), "no clone");
    assert!(poll_once(&mut promise).is_ready());
}

/// An error that cannot be made of a `Broken`.
#[derive(Clone, Debug)]
struct Unmakeable;

impl From<Broken> for Unmakeable {
    fn from(broken: Broken) -> Self {
        panic!("cannot make {:?}", broken.kind())
    }
}

/// G9: a panic in `E::from(Broken)` goes to the consumers: nothing unwinds out of the drop or the cancel, no `fail` runs, a chain is
/// rejected all along, with the message where the error type allows it, and a task panics with it.
#[test]
fn a_panicking_conversion_goes_to_the_consumers() {
    for cancels in [false, true] {
        let seen = Count::new();
        let (count, always) = (seen.clone(), seen.clone());
        let (deferred, mut promise) = Deferred::<u32, Unmakeable>::new();
        let branch = promise.clone().then(Ok);
        let mapped = promise.clone().map_err(|_| unreachable());
        deferred.fail(move |_| count.add()).always(move |_| always.add());
        if cancels {
            assert!(promise.cancel());
        }
        drop(deferred);
        assert_eq!((promise.state(), branch.state(), seen.get()), (State::Rejected, State::Rejected, 0));
        let kind = if cancels { "Canceled" } else { "Abandoned" };
        let count = seen.clone();
        mapped.fail(move |broken| {
            assert_eq!(broken.kind(), BrokenKind::Panicked);
            assert!(broken.to_string().ends_with(&format!("panicked: cannot make {kind}")), "{broken}");
            count.add();
        });
        assert_eq!(seen.get(), 1);
        let text = panic_of(|| poll_once(&mut promise));
        assert!(text.ends_with(&format!("panicked: cannot make {kind}")), "{text}");
    }
}

fn unreachable() -> Broken {
    unreachable!("the error was never made")
}

/// A panic's payload whose drop panics, with such a payload again.
struct Biting(u32);

impl Drop for Biting {
    fn drop(&mut self) {
        if self.0 > 0 {
            panic_any(Biting(self.0 - 1));
        }
    }
}

/// G9, F6, trap 25: payloads that bite when they are dropped abort nothing, wherever they are dropped: in a `then`, an observer after
/// the first, an observer of a drop, a clone, and in the caller that gets the first one.
#[test]
fn payloads_may_bite() {
    watchdog(|| {
        let promise = Promise::<u32>::resolved(1).then(|_| -> Result<u32, Broken> { panic_any(Biting(3)) });
        assert_eq!(promise.state(), State::Rejected);

        let (deferred, promise) = Deferred::<u32>::new();
        let promise = promise.done(|_| panic!("first")).done(|_| panic_any(Biting(3)));
        assert_eq!(panic_of(|| deferred.resolve(1)), "first");
        drop(promise);

        let (deferred, promise) = Deferred::<u32>::new();
        promise.fail(|_| panic_any(Biting(3)));
        drop(deferred);

        let (deferred, promise) = Deferred::<u32>::new();
        promise.done(|_| panic_any(Biting(0)));
        let payload = catch_unwind(AssertUnwindSafe(|| deferred.resolve(1))).expect_err("it panics");
        assert!(payload.is::<Biting>(), "the very payload arrives");
    });
}

/// B5, trap 25: abandoned while the thread unwinds, with callbacks that panic and payloads that bite: everybody is served, and the
/// thread ends with its own panic.
#[test]
fn abandoned_while_unwinding() {
    let served = Count::new();
    let count = served.clone();
    let text = panic_of(|| {
        let (deferred, promise) = Deferred::<u32>::new();
        let (one, two) = (count.clone(), count.clone());
        promise
            .fail(|_| panic!("second"))
            .fail(|_| panic_any(Biting(2)))
            .fail(move |_| one.add())
            .then(Ok)
            .fail(move |_| two.add());
        let _held = deferred;
        panic!("own");
    });
    assert_eq!((text.as_str(), served.get()), ("own", 2));
}

/// G9: a settle by a destructor while the thread unwinds does not panic a second time, which would abort.
#[test]
fn settled_while_unwinding() {
    let (deferred, promise) = Deferred::<u32>::new();
    let promise = promise.done(|_| panic!("second"));
    let text = panic_of(|| {
        let _guard = OnDrop::new(move || _ = deferred.resolve(1));
        panic!("own");
    });
    assert_eq!((text.as_str(), promise.state()), ("own", State::Resolved));
}

/// G9: captures whose drop panics: the others are served, and it resumes out of the settle like a callback's own panic; of a `then`,
/// its promise is rejected.
#[test]
fn captures_that_panic_when_dropped() {
    let guard = || OnDrop::new(|| panic!("capture"));
    let seen = Count::new();
    let (deferred, promise) = Deferred::<u32>::new();
    let (held, count) = (guard(), seen.clone());
    let promise = promise.done(move |_| {
        let _held = &held;
    });
    let promise = promise.done(move |_| count.add());
    let held = guard();
    let branch = promise.clone().catch(move |_| {
        drop(held);
        Ok(0)
    });
    assert_eq!(panic_of(|| deferred.resolve(1)), "capture");
    assert_eq!((seen.get(), promise.state(), branch.state()), (1, State::Resolved, State::Resolved));
}

/// G9: `peek` that panics leaves the value where it is.
#[test]
fn a_panicking_peek_keeps_the_value() {
    let mut promise = Promise::<String>::resolved("here".to_owned());
    assert_eq!(panic_of(|| promise.peek(|_| panic!("look"))), "look");
    assert!(matches!(poll_once(&mut promise), Poll::Ready(Ok(text)) if text == "here"));
}

/// G9: after a panic the thread's next settle is an ordinary one: nothing of the old panic is left.
#[test]
fn a_panic_leaves_nothing_behind() {
    let (deferred, promise) = Deferred::<u32>::new();
    promise.done(|_| panic!("once"));
    assert_eq!(panic_of(|| deferred.resolve(1)), "once");
    let (deferred, promise) = Deferred::<u32>::new();
    let promise = promise.done(|_| ());
    assert!(deferred.resolve(1));
    assert_eq!(promise.state(), State::Resolved);
}

/// A waker whose drop panics.
struct LateBite;

impl Wake for LateBite {
    fn wake(self: Arc<Self>) {}
}

impl Drop for LateBite {
    fn drop(&mut self) {
        panic!("a waker");
    }
}

/// G9: the waker that a poll replaces panics in its drop: that is told, and the poll goes on.
#[test]
fn a_replaced_waker_that_panics_in_its_drop() {
    let watch = testing::watch();
    let (deferred, mut promise) = Deferred::<u32>::new();
    let first = Waker::from(Arc::new(LateBite));
    assert!(Pin::new(&mut promise).poll(&mut Context::from_waker(&first)).is_pending());
    drop(first);
    assert!(poll_once(&mut promise).is_pending());
    let told = watch.take();
    assert!(told.len() == 1 && told[0].contains("a waker"), "{told:?}");
    assert!(deferred.resolve(7));
    assert!(matches!(poll_once(&mut promise), Poll::Ready(Ok(7))));
}

/// A value, or an error, that tells whether it still lives.
struct Living {
    _life: Option<Arc<()>>,
}

impl From<Broken> for Living {
    fn from(_: Broken) -> Self {
        Living { _life: None }
    }
}

/// G1, G9: a panic that resumes out of a registration leaves nothing of the promise that it would have returned: its outcome is dropped.
#[test]
fn a_panic_out_of_a_registration_drops_the_outcome() {
    fn nested() {
        drop(Promise::<u32>::resolved(1).done(|_| panic!("nested")));
    }
    type Register = fn(Living);
    let registrations: [Register; 3] = [
        |living| {
            drop(Promise::<u32, Living>::resolved(1).then(move |_| {
                nested();
                Ok(living)
            }));
        },
        |living| {
            drop(Promise::<u32, Living>::rejected(Living { _life: None }).catch(move |_| {
                nested();
                Err(living)
            }));
        },
        |living| {
            drop(Promise::<u32, Living>::rejected(Living { _life: None }).map_err(move |_| {
                nested();
                living
            }));
        },
    ];
    for register in registrations {
        let life = Arc::new(());
        assert_eq!(panic_of(|| register(Living { _life: Some(life.clone()) })), "nested");
        assert_eq!(Arc::strong_count(&life), 1);
    }
}
