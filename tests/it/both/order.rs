//! Who runs when.

use std::sync::{Arc, Mutex};

use super::{Deferred, Promise};
use crate::util::{Count, Counted, Log, OnDrop, poll_once};
use deferral::{Broken, BrokenKind, State};

/// G3, O1, O4, R1: callbacks of one kind run once each, in the order of their registration.
#[test]
fn callbacks_run_in_the_order_of_registration() {
    let log = Log::new();
    let (deferred, promise) = Deferred::<u32>::new();
    let mut promise = promise;
    for n in 0..5 {
        let entries = log.clone();
        promise = promise.done(move |value| entries.add(format!("{n}:{value}")));
    }
    deferred.resolve(7);
    assert_eq!(log.text(), "0:7 1:7 2:7 3:7 4:7");
}

/// G3, O2, A1: `done` and `always`, or `fail` and `always`, interleave by registration, not by kind, and whichever end they were
/// registered through.
#[test]
fn kinds_interleave() {
    for (outcome, expected) in [(Ok(1), "done1 always2 done4 always6"), (Err(()), "always2 fail3 fail5 always6")] {
        let log = Log::new();
        let add = |entry: &'static str| {
            let entries = log.clone();
            move || entries.add(entry)
        };
        let (deferred, promise) = Deferred::<u32, ()>::new();
        let (one, two, three) = (add("done1"), add("always2"), add("fail3"));
        let (four, five, six) = (add("done4"), add("fail5"), add("always6"));
        let promise = promise.done(move |_| one());
        deferred.always(move |_| two());
        let promise = promise.fail(move |()| three());
        deferred.done(move |_| four()).fail(move |()| five());
        let _promise = promise.always(move |_| six());
        deferred.settle(outcome);
        assert_eq!(log.text(), expected);
    }
}

/// G3, E1, O3: `done` sees the value, `fail` the error, `always` both; what is not concerned is dropped before the settle returns.
#[test]
fn the_other_kind_is_dropped() {
    for rejects in [false, true] {
        let log = Log::new();
        let (value, error, dropped) = (log.clone(), log.clone(), log.clone());
        let guard = OnDrop::new(move || dropped.add("dropped"));
        let (deferred, promise) = Deferred::<u32, String>::new();
        let promise = if rejects {
            promise.fail(move |text| error.add(text)).done(move |_| drop(guard))
        } else {
            promise.done(move |n| value.add(n)).fail(move |_| drop(guard))
        };
        deferred.settle(if rejects { Err("no".to_owned()) } else { Ok(3) });
        assert_eq!(log.text(), if rejects { "no dropped" } else { "3 dropped" });
        drop(promise);
    }
}

/// G4, R2: late callbacks run before the registration returns, through either end.
#[test]
fn late_callbacks_run_at_once() {
    let log = Log::new();
    let (deferred, promise) = Deferred::<u32>::new();
    deferred.resolve(1);
    let mut promise = promise;
    for n in 0..3 {
        let (by_promise, by_deferred) = (log.clone(), log.clone());
        promise = promise.done(move |_| by_promise.add(format!("p{n}")));
        log.add("/");
        deferred.always(move |_| by_deferred.add(format!("d{n}")));
        log.add("/");
    }
    assert_eq!(log.text(), "p0 / d0 / p1 / d1 / p2 / d2 /");
}

/// G4, T1: callbacks run on the settling thread, before `resolve` returns.
#[test]
fn callbacks_run_inside_resolve() {
    let log = Log::new();
    let (deferred, promise) = Deferred::<u32>::new();
    let entries = log.clone();
    promise.done(move |_| entries.add(format!("{:?}", std::thread::current().id())));
    deferred.resolve(1);
    assert_eq!(log.text(), format!("{:?}", std::thread::current().id()));
}

/// G4, T4, trap 17: continuations run after all observers, whatever the registration order, and in the order of registration
/// among themselves.
#[test]
fn continuations_come_after_observers() {
    let log = Log::new();
    let add = |entry: &'static str| {
        let entries = log.clone();
        move |n: u32| {
            entries.add(entry);
            Ok::<u32, Broken>(n)
        }
    };
    let (deferred, promise) = Deferred::<u32>::new();
    promise.clone().then(add("then1")).then(add("then3"));
    promise.clone().then(add("then2"));
    let observe = add("done1");
    let promise = promise.done(move |n| drop(observe(*n)));
    let late = add("done2");
    deferred.done(move |n| drop(late(*n)));
    deferred.resolve(1);
    log.add("returned");
    promise.then(add("then4"));
    log.add("settled");
    // What a `then` settles comes when its source has served all.
    assert_eq!(log.text(), "done1 done2 then1 then2 then3 returned then4 settled");
}

/// G4: `then` on a settled promise has run when it returns, and so has the whole chain behind it.
#[test]
fn then_on_a_settled_promise_has_run() {
    let mut promise = Promise::<u32>::resolved(1).then(|n| Ok(n + 1)).then(|n| Promise::resolved(n * 10));
    assert_eq!(promise.state(), State::Resolved);
    assert!(matches!(poll_once(&mut promise), std::task::Poll::Ready(Ok(20))));
}

/// G4: sixteen settles nest inline: each is done, with its callbacks, when its call returns.
#[test]
fn sixteen_settles_nest_inline() {
    nest_inline(|promise, step| {
        promise.done(move |_| step());
    });
}

/// G4: the same with something of the library's in between: a `then` and what it settles.
#[test]
fn sixteen_settles_nest_inline_through_then() {
    nest_inline(|promise, step| {
        promise.then(Ok).then(Ok).done(move |_| step());
    });
}

/// G4: the same with a drop in between, which abandons another promise.
#[test]
fn sixteen_settles_nest_inline_through_a_drop() {
    nest_inline(|promise, step| {
        let (held, other) = Deferred::<()>::new();
        other.fail(move |_| step());
        promise.done(move |_| drop(held));
    });
}

/// G4: the same with more that the library settles: a promise abandoned by the end of a promise abandoned.
#[test]
fn sixteen_settles_nest_inline_through_drops() {
    nest_inline(|promise, step| {
        let (inner, other) = Deferred::<()>::new();
        other.fail(move |_| step());
        let (outer, other) = Deferred::<()>::new();
        other.fail(move |_| drop(inner));
        promise.done(move |_| drop(outer));
    });
}

/// G4: a registration between each two of sixteen settles.
#[test]
fn sixteen_settles_nest_inline_through_registrations() {
    nest_inline(|promise, step| {
        promise.done(move |_| {
            Promise::<()>::resolved(()).done(move |()| step());
        });
    });
}

type Step = Box<dyn FnOnce() + Send>;

/// Nests sixteen settles; `link` has a promise run the next step.
fn nest_inline(link: fn(Promise<u32>, Step)) {
    const DEPTH: u32 = 16;
    let log = Log::new();
    let mut step: Step = Box::new(|| {});
    for n in (0..DEPTH).rev() {
        let entries = log.clone();
        step = Box::new(move || {
            let (deferred, promise) = Deferred::<u32>::new();
            link(promise, step);
            entries.add(format!("<{n}"));
            deferred.resolve(n);
            entries.add(format!("{n}>"));
        });
    }
    step();
    let down = (0..DEPTH).map(|n| format!("<{n}"));
    let up = (0..DEPTH).rev().map(|n| format!("{n}>"));
    assert_eq!(log.text(), down.chain(up).collect::<Vec<_>>().join(" "));
}

/// G4: what nests deeper than the limit is run by the outermost call, before that returns.
#[test]
fn deeper_settles_are_done_when_the_outermost_returns() {
    done_when_the_outermost_returns(|promise, next, settled| {
        promise.done(move |n| {
            next.resolve(*n);
            settled.add();
        });
    });
}

/// G4: the same with several callbacks each.
#[test]
fn deeper_settles_with_several_callbacks_are_done_when_the_outermost_returns() {
    done_when_the_outermost_returns(|promise, next, settled| {
        let second = settled.clone();
        let resolve = move |n: &u32| {
            next.resolve(*n);
        };
        promise.done(|n| assert_eq!(*n, 3)).done(resolve).always(move |outcome| {
            assert!(outcome.is_ok());
            second.add();
        });
    });
}

/// G4: the same with a continuation each.
#[test]
fn deeper_settles_by_continuations_are_done_when_the_outermost_returns() {
    done_when_the_outermost_returns(|promise, next, settled| {
        promise.then(move |n| {
            next.resolve(n);
            settled.add();
            Ok(n)
        });
    });
}

/// Has many promises settle each the next, as `link` says.
fn done_when_the_outermost_returns(link: fn(Promise<u32>, Deferred<u32>, Count)) {
    const DEPTH: usize = 200;
    let count = Count::new();
    let (head, mut tail) = Deferred::<u32>::new();
    for _ in 0..DEPTH {
        let (next, promise) = Deferred::<u32>::new();
        link(tail, next, count.clone());
        tail = promise;
    }
    head.resolve(3);
    assert_eq!((count.get(), tail.state()), (DEPTH, State::Resolved));
}

/// G1: what is true of one promise is not of another: each settle returns when its own callbacks have run.
#[test]
fn two_promises_settle_in_turn() {
    let log = Log::new();
    let ((first, one), (second, two)) = (Deferred::<u32>::new(), Deferred::<u32>::new());
    let (entries, other) = (log.clone(), log.clone());
    one.done(move |_| {
        entries.add("one(");
        second.resolve(2);
        entries.add(")");
    });
    two.done(move |_| other.add("two"));
    first.resolve(1);
    assert_eq!(log.text(), "one( two )");
}

/// G3: an observer registered through a `Deferred` after the last consumer took the value is dropped unrun; before, it runs.
#[test]
fn observers_after_the_last_consumer() {
    let (deferred, promise) = Deferred::<Counted>::new();
    deferred.resolve(Counted::new());
    let seen = Count::new();
    let (count, late) = (seen.clone(), seen.clone());
    deferred.done(move |_| count.add());
    let taken = Arc::new(Mutex::new(None));
    let slot = taken.clone();
    promise.then(move |value| {
        *slot.lock().unwrap() = Some(value);
        Ok(())
    });
    deferred.done(move |_| late.add());
    assert_eq!((seen.get(), deferred.state()), (1, State::Resolved));
    assert_eq!(taken.lock().unwrap().take().expect("the value").drops.get(), 0);
}

/// G3: a value that no consumer took stays for observers while a handle of either end is there, and goes with the last one.
#[test]
fn an_untaken_value_stays_for_observers() {
    let value = Counted::new();
    let drops = value.drops.clone();
    let (deferred, promise) = Deferred::<Counted>::new();
    let other = deferred.clone();
    drop(promise);
    deferred.resolve(value);
    let seen = Count::new();
    let count = seen.clone();
    other.done(move |_| count.add());
    drop(deferred);
    assert_eq!((seen.get(), drops.get()), (1, 0));
    drop(other);
    assert_eq!(drops.get(), 1);
}

/// G2: abandoned by the last of the producers only, with the line where the promise was made.
#[test]
fn the_last_deferred_abandons() {
    let line = line!() + 1;
    let (deferred, promise) = Deferred::<u32>::new();
    let log = Log::new();
    let entries = log.clone();
    let promise = promise.fail(move |broken| {
        assert_eq!(broken.kind(), BrokenKind::Abandoned);
        entries.add(format!("{}:{}", broken.origin().file(), broken.origin().line()));
    });
    let other = deferred.clone();
    drop(deferred);
    assert_eq!(promise.state(), State::Pending);
    drop(other);
    assert_eq!((promise.state(), log.text()), (State::Rejected, format!("{}:{line}", file!())));
}

/// G4: a registration beyond the depth limit is done before the outermost call returns, in order with the ones before.
#[test]
fn deep_registrations_keep_their_order() {
    fn descend(depth: u32, log: Log) {
        if depth == 0 {
            let settled = Promise::<u32>::resolved(1);
            let (one, two) = (log.clone(), log.clone());
            let _settled = settled.done(move |_| one.add("one")).always(move |_| two.add("two"));
            return log.add("bottom");
        }
        Promise::<u32>::resolved(depth).done(move |depth| descend(depth - 1, log));
    }
    let log = Log::new();
    descend(100, log.clone());
    let text = log.text();
    assert!(text == "bottom one two" || text == "one two bottom", "{text}");
}

/// G4: a settle inside a continuation runs its own callbacks only: what the library has settled meanwhile waits for the frame that
/// settled it.
#[test]
fn a_nested_settle_runs_nothing_of_the_outer_one() {
    let log = Log::new();
    let (derived, nested, entries) = (log.clone(), log.clone(), log.clone());
    let ((outer, promise), (inner, other)) = (Deferred::<u32>::new(), Deferred::<u32>::new());
    promise.clone().then(Ok).done(move |_| derived.add("derived"));
    promise.then(move |n| {
        entries.add("(");
        inner.resolve(n);
        entries.add(")");
        Ok(n)
    });
    other.done(move |_| nested.add("nested"));
    outer.resolve(1);
    assert_eq!(log.text(), "( nested ) derived");
}
