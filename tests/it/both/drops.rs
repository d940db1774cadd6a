//! What is let go of, and when.

use std::sync::{Arc, Mutex, Weak};

use super::{Deferred, Promise};
use crate::util::{Count, Counted, Log, OnDrop, poll_once};
use deferral::{BrokenKind, Progress, State};

/// A token to capture, and what tells whether it is still held.
fn token() -> (Arc<()>, Weak<()>) {
    let token = Arc::new(());
    let weak = Arc::downgrade(&token);
    (token, weak)
}

type Act = fn(&Deferred<u32, String>, &Promise<u32, String>);

/// The ways to settle while all handles live.
const SETTLES: [Act; 3] = [
    |deferred, _| assert!(deferred.resolve(1)),
    |deferred, _| assert!(deferred.reject("no".to_owned())),
    |_, promise| assert!(promise.cancel()),
];

/// G7, Z6: after the settle no callback of any kind is held, though all handles are.
#[test]
fn nothing_is_held_after_the_settle() {
    for settle in SETTLES {
        let (deferred, promise) = Deferred::<u32, String>::new();
        let tokens: Vec<_> = (0..7).map(|_| token()).collect();
        let weaks: Vec<_> = tokens.iter().map(|(_, weak)| weak.clone()).collect();
        let mut tokens = tokens.into_iter().map(|(token, _)| token);
        let mut next = || tokens.next().expect("seven");
        let (done, fail, always, progress, cancel) = (next(), next(), next(), next(), next());
        let (then, catch) = (next(), next());
        deferred.done(move |_| drop(done)).fail(move |_| drop(fail)).always(move |_| drop(always));
        deferred.on_cancel(move || drop(cancel)).progress(move |_| _ = &progress);
        let one = promise.clone().then(move |n| {
            drop(then);
            Ok(n)
        });
        let two = promise.clone().catch(move |text| {
            drop(catch);
            Err(text)
        });
        deferred.notify(Progress::default());
        assert!(weaks.iter().all(|weak| weak.strong_count() == 1));
        settle(&deferred, &promise);
        let held: Vec<_> = weaks.iter().map(Weak::strong_count).collect();
        assert_eq!(held, [0; 7]);
        drop((one, two));
    }
}

/// G7: a callback that comes too late to run is dropped before its registration returns, and one that runs when it has run.
#[test]
fn late_callbacks_are_not_held() {
    for settle in SETTLES {
        let (deferred, promise) = Deferred::<u32, String>::new();
        settle(&deferred, &promise);
        type Register = fn(&Deferred<u32, String>, &Promise<u32, String>, Arc<()>);
        let registers: [Register; 7] = [
            |deferred, _, token| _ = deferred.done(move |_| drop(token)),
            |deferred, _, token| _ = deferred.fail(move |_| drop(token)),
            |deferred, _, token| _ = deferred.always(move |_| drop(token)),
            |deferred, _, token| _ = deferred.on_cancel(move || drop(token)),
            |deferred, _, token| _ = deferred.progress(move |_| _ = &token),
            |_, promise, token| {
                promise.clone().then(move |n| {
                    drop(token);
                    Ok(n)
                });
            },
            |_, promise, token| {
                promise.clone().catch(move |text| {
                    drop(token);
                    Err(text)
                });
            },
        ];
        for register in registers {
            let (token, weak) = token();
            register(&deferred, &promise, token);
            assert_eq!(weak.strong_count(), 0);
        }
    }
}

/// G7, Z7: each callback is dropped right after it ran: before the next one, and a function of `then` before the callbacks of the
/// promise that it made.
#[test]
fn a_callback_goes_when_it_has_run() {
    let log = Log::new();
    let guard = |name: &'static str| {
        let entries = log.clone();
        OnDrop::new(move || entries.add(format!("-{name}")))
    };
    let add = |name: &'static str| {
        let entries = log.clone();
        move || entries.add(name)
    };
    let (deferred, promise) = Deferred::<u32>::new();
    for name in ["a", "b"] {
        let (held, entry) = (guard(name), add(name));
        deferred.done(move |_| {
            let _held = &held;
            entry();
        });
    }
    let (held, entry, skipped) = (guard("then"), add("then"), guard("catch"));
    let (derived, passed) = (add("derived"), add("passed"));
    promise
        .then(move |n| {
            let _held = &held;
            entry();
            Ok(n)
        })
        .done(move |_| derived())
        .catch(move |broken| {
            drop(skipped);
            Err(broken)
        })
        .done(move |_| passed());
    deferred.resolve(1);
    assert_eq!(log.text(), "a -a b -b then -then derived -catch passed");
}

/// G7, G8: `on_cancel` callbacks are dropped when nobody is left who could cancel: the last promise goes, or has gone already.
#[test]
fn on_cancel_is_dropped_when_nobody_can_cancel() {
    let (deferred, promise) = Deferred::<u32>::new();
    let (held, weak) = token();
    deferred.on_cancel(move || drop(held));
    let other = promise.clone();
    drop(promise);
    assert_eq!(weak.strong_count(), 1);
    drop(other);
    assert_eq!(weak.strong_count(), 0);
    let (held, weak) = token();
    deferred.on_cancel(move || drop(held));
    assert_eq!((weak.strong_count(), deferred.state()), (0, State::Pending));
}

/// G7, G8: the same where the last promise is one that was derived: what nobody holds, nobody can cancel.
#[test]
fn on_cancel_is_dropped_when_nobody_can_cancel_a_branch() {
    let (deferred, promise) = Deferred::<u32>::new();
    let (held, weak) = token();
    deferred.on_cancel(move || drop(held));
    let branch = promise.then(Ok).then(Ok);
    assert_eq!(weak.strong_count(), 1);
    drop(branch);
    assert_eq!((weak.strong_count(), deferred.state()), (0, State::Pending));
}

/// G7, Z8, trap 24: of a chain that ended nothing is held, however it ended and whoever holds whom: `on_cancel` that captured the
/// producer, a callback that captured the promise, a `then` that captured its own promise.
#[test]
fn no_cycle_keeps_an_ended_chain() {
    type End = fn(Deferred<Counted, String>, &Promise<u32, String>);
    let ends: [End; 4] = [
        |deferred, _| assert!(deferred.resolve(Counted::new())),
        |deferred, _| assert!(deferred.reject("no".to_owned())),
        |_, tail| assert!(tail.cancel()),
        |deferred, _| drop(deferred),
    ];
    for (index, end) in ends.into_iter().enumerate() {
        let (held, weak) = token();
        let (deferred, promise) = Deferred::<Counted, String>::new();
        let (by_cancel, by_observer) = (held.clone(), held.clone());
        // The last end asks for the producer to go: nothing else may hold it.
        let own = (index != 3).then(|| deferred.clone());
        deferred.on_cancel(move || drop((own, by_cancel)));
        let branch = promise.clone();
        deferred.always(move |_| drop((branch, by_observer)));
        let slot: Arc<Mutex<Option<Promise<u32, String>>>> = Arc::default();
        let own = slot.clone();
        let tail = promise.then(move |_| {
            drop((own, held));
            Ok(1)
        });
        *slot.lock().unwrap() = Some(tail.clone());
        drop(slot);
        let tail = tail.then(Ok);
        // `branch` is another consumer: it must not keep a cancel from the head.
        if index == 2 {
            tail.cancel();
            deferred.reject("over".to_owned());
        } else {
            end(deferred, &tail);
        }
        drop(tail);
        assert_eq!(weak.strong_count(), 0, "end {index}");
    }
}

/// G7, trap 24, "never": an `on_cancel` callback that captured the producer keeps nothing alive once the handles outside are gone.
#[test]
fn no_cycle_keeps_a_forgotten_promise() {
    let (held, weak) = token();
    let (deferred, promise) = Deferred::<u32>::new();
    let own = deferred.clone();
    deferred.on_cancel(move || {
        own.resolve(1);
        drop(held);
    });
    drop(deferred);
    drop(promise);
    assert_eq!(weak.strong_count(), 0);
}

/// G7, trap 24, "never": the same with a chain hung on.
#[test]
fn no_cycle_keeps_a_forgotten_chain() {
    let (held, weak) = token();
    let (deferred, promise) = Deferred::<u32>::new();
    let own = deferred.clone();
    deferred.on_cancel(move || {
        own.resolve(1);
        drop(held);
    });
    drop(deferred);
    drop(promise.then(Ok));
    assert_eq!(weak.strong_count(), 0);
}

/// G7, Z9: a value is gone from its promise once it was passed on, though the promise's producer is held.
#[test]
fn values_in_the_middle_are_not_held() {
    let value = Counted::new();
    let (drops, clones) = (value.drops.clone(), value.clones.clone());
    let (deferred, promise) = Deferred::<Counted>::new();
    let tail = promise.then(|value| {
        drop(value);
        Ok(1)
    });
    deferred.resolve(value);
    assert_eq!((drops.get(), clones.get()), (1, 0));
    drop((deferred, tail));
}

/// G7: a target that is settled by one promise lets go of another that it follows, too: that one keeps neither its entry nor its
/// claim to the outcome.
#[test]
fn a_settled_target_leaves_what_it_followed() {
    type Settle = fn(Deferred<u32>);
    let settles: [Settle; 3] = [
        |target| assert!(target.resolve(1)),
        |target| Promise::<u32>::resolved(1).forward(target),
        |target| {
            let (deferred, promise) = Deferred::<u32>::new();
            promise.forward(target);
            deferred.resolve(1);
        },
    ];
    for (index, settle) in settles.into_iter().enumerate() {
        let (target, _followed) = Deferred::<u32>::new();
        let (source, promise) = Deferred::<u32>::new();
        promise.forward(target.clone());
        assert!(source.is_wanted());
        settle(target);
        assert!(!source.is_wanted(), "settle {index}");
        assert_eq!(source.state(), State::Pending);
    }
}

/// G7: a derived promise that was canceled leaves nothing at a source that others keep.
#[test]
fn canceled_branches_leave_nothing() {
    let (deferred, promise) = Deferred::<u32>::new();
    let (held, weak) = token();
    let branch = promise.clone().then(move |n| {
        drop(held);
        Ok(n)
    });
    assert!(branch.cancel());
    assert_eq!((weak.strong_count(), promise.state()), (0, State::Pending));
    drop(deferred);
}

/// G7: a settled value goes with the last promise and the last producer, in any order of the two, once.
#[test]
fn an_untaken_value_goes_with_the_last_handle() {
    for producer_first in [true, false] {
        let value = Counted::new();
        let drops = value.drops.clone();
        let (deferred, promise) = Deferred::<Counted>::new();
        deferred.resolve(value);
        if producer_first {
            drop(deferred);
            assert_eq!(drops.get(), 0);
            drop(promise);
        } else {
            drop(promise);
            assert_eq!(drops.get(), 0);
            drop(deferred);
        }
        assert_eq!(drops.get(), 1);
    }
}

/// G8: a dropped promise is detached: its callbacks and continuations run all the same.
#[test]
fn dropping_is_not_canceling() {
    let log = Log::new();
    let (done, then) = (log.clone(), log.clone());
    let (deferred, promise) = Deferred::<u32>::new();
    deferred.on_cancel(|| panic!("nobody cancels"));
    promise.done(move |n| done.add(n)).then(move |n| {
        then.add(n);
        Ok(())
    });
    assert!(deferred.is_wanted());
    assert!(deferred.resolve(1));
    assert_eq!(log.text(), "1 1");
}

/// G7: any clone may go at any time: the others get the outcome, a clone of each fewer.
#[test]
fn clones_may_go_at_any_time() {
    let value = Counted::new();
    let clones = value.clones.clone();
    let (deferred, mut promise) = Deferred::<Counted>::new();
    let (mut early, late) = (promise.clone(), promise.clone());
    assert!(poll_once(&mut early).is_pending());
    drop(early);
    deferred.resolve(value);
    drop(late);
    assert!(poll_once(&mut promise).is_ready());
    assert_eq!(clones.get(), 0);
}

/// G2: an abandoned promise runs its callbacks on the dropping thread, inside the drop, and drops those that cannot run.
#[test]
fn abandoned_inside_the_drop() {
    let count = Count::new();
    let (seen, dropped) = (count.clone(), count.clone());
    let (deferred, promise) = Deferred::<u32>::new();
    let guard = OnDrop::new(move || dropped.add());
    promise.done(move |_| drop(guard)).fail(move |broken| {
        assert_eq!(broken.kind(), BrokenKind::Abandoned);
        seen.add();
    });
    drop(deferred);
    assert_eq!(count.get(), 2);
}
