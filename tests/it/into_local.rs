//! `into_local`: a promise of any thread, brought to the loop of this one.

use crate::util::{CloneBomb, Count, Counted, OnDrop, kind_of, watchdog};
use deferral::{Broken, BrokenKind, Deferred, EventLoop, Promise, State, current, local, spawn};
use futures::future::lazy;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::mpsc;
use std::thread;

type Numbered = (Deferred<u32, Broken, u32>, Promise<u32, Broken, u32>);

/// Brings a promise to a loop that does not run at the moment.
fn bring<T, E, P>(event_loop: &EventLoop, promise: Promise<T, E, P>) -> local::Promise<T, E, P>
where
    P: Clone + Send,
{
    event_loop.run_until_complete(lazy(|_| promise.into_local()))
}

/// T7, G3: callbacks run on the loop's thread, and neither they nor what they make need be `Send`.
#[test]
fn callbacks_need_not_be_send() {
    watchdog(|| {
        let event_loop = EventLoop::new();
        let text = Rc::new(RefCell::new(String::new()));
        event_loop.run_until_complete(async {
            let (deferred, promise) = Deferred::<String>::new();
            let (home, label) = (thread::current().id(), text.clone());
            let local = promise.into_local().done(move |news| {
                assert_eq!(thread::current().id(), home);
                label.borrow_mut().push_str(news);
            });
            let thread = thread::spawn(move || deferred.resolve("news".to_owned()));
            let shared = local.then(|news| Ok(Rc::new(news))).await.unwrap();
            assert_eq!(*shared, "news");
            thread.join().unwrap();
        });
        assert_eq!(*text.borrow(), "news");
    });
}

/// P12, G4: progress of another thread passes without gaps and in order, all of it before the outcome.
#[test]
fn progress_passes_in_order_before_the_outcome() {
    const REPORTS: u32 = 10_000;
    watchdog(|| {
        let event_loop = EventLoop::new();
        let (deferred, promise): Numbered = Deferred::with_progress();
        let seen = Rc::new(RefCell::new(Vec::new()));
        let (in_progress, in_done) = (seen.clone(), seen.clone());
        let thread = thread::spawn(move || {
            (1..=REPORTS).for_each(|n| assert!(deferred.notify(n)));
            deferred.resolve(0)
        });
        event_loop.run_until_complete(async {
            let local = promise.into_local().progress(move |n| in_progress.borrow_mut().push(*n));
            local.done(move |_| in_done.borrow_mut().push(0)).await.unwrap();
        });
        // The first may be a late one; from there on nothing is missing.
        let seen = seen.borrow();
        assert!(seen.iter().copied().eq((seen[0]..=REPORTS).chain([0])));
        thread.join().unwrap();
    });
}

/// P12, G4: the same again and again, for few reports: the settle may come while the loop is just passing them on.
#[test]
fn the_outcome_does_not_overtake_progress() {
    watchdog(|| {
        let event_loop = EventLoop::new();
        let (give, take) = mpsc::channel::<Deferred<u32, Broken, u32>>();
        let thread = thread::spawn(move || {
            for deferred in take {
                (1..=3).for_each(|n| assert!(deferred.notify(n)));
                deferred.resolve(0);
            }
        });
        event_loop.run_until_complete(async {
            for _ in 0..20_000 {
                let (deferred, promise): Numbered = Deferred::with_progress();
                let last = Rc::new(Cell::new(0));
                let seen = last.clone();
                let local = promise.into_local().progress(move |n| seen.set(*n));
                give.send(deferred).unwrap();
                let (at_end, last_seen) = (Rc::new(Cell::new(0)), last.clone());
                let set = at_end.clone();
                local.done(move |_| set.set(last_seen.get())).await.unwrap();
                assert_eq!(at_end.get(), 3);
            }
        });
        drop(give);
        thread.join().unwrap();
    });
}

/// P4: the last report from before passes, too; what comes after the settle does not.
#[test]
fn the_last_report_passes() {
    let event_loop = EventLoop::new();
    let (deferred, promise): Numbered = Deferred::with_progress();
    (1..=3).for_each(|n| assert!(deferred.notify(n)));
    let log = Rc::new(RefCell::new(Vec::new()));
    let seen = log.clone();
    let local = bring(&event_loop, promise).progress(move |n| seen.borrow_mut().push(*n));
    event_loop.run_until_idle();
    deferred.notify(4);
    deferred.notify(5);
    deferred.resolve(9);
    assert!(!deferred.notify(6));
    assert_eq!(event_loop.run_until_complete(local).unwrap(), 9);
    assert_eq!(*log.borrow(), [3, 4, 5]);
}

/// G4: settled or not, callbacks and continuations run in a turn of the loop.
#[test]
fn a_settled_source_arrives_in_a_turn() {
    let event_loop = EventLoop::new();
    let seen = Rc::new(Cell::new(false));
    let (set, get) = (seen.clone(), seen.clone());
    event_loop.run_until_complete(async move {
        let local = Promise::<u32>::resolved(1).into_local().done(move |_| set.set(true));
        assert_eq!((get.get(), local.state()), (false, State::Pending));
        assert_eq!(local.await.unwrap(), 1);
    });
    assert!(seen.get());
}

/// B1: errors and abandonment pass as they are; the origin of an abandonment is the source's.
#[test]
fn errors_pass() {
    let event_loop = EventLoop::new();
    let failed = bring(&event_loop, Promise::<u32, String>::rejected("no".to_owned()));
    assert_eq!(event_loop.run_until_complete(failed).unwrap_err(), "no");
    let line = line!() + 1;
    let (deferred, promise) = Deferred::<u32>::new();
    let local = bring(&event_loop, promise);
    drop(deferred);
    let broken = event_loop.run_until_complete(local).unwrap_err();
    assert_eq!((broken.kind(), broken.origin().line()), (BrokenKind::Abandoned, line));
}

/// G8: a cancel of the local promise reaches the producer, at once.
#[test]
fn cancel_reaches_the_source() {
    let (event_loop, cancels) = (EventLoop::new(), Count::new());
    for turns in [false, true] {
        let (deferred, promise) = Deferred::<u32>::new();
        let counted = cancels.clone();
        deferred.on_cancel(move || counted.add());
        let before = cancels.get();
        let local = bring(&event_loop, promise);
        if turns {
            event_loop.run_until_idle();
        }
        assert!(local.cancel() && !local.cancel());
        assert_eq!((cancels.get(), deferred.state()), (before + 1, State::Rejected));
        assert_eq!(kind_of(event_loop.run_until_complete(local)), BrokenKind::Canceled);
    }
}

/// G8, trap 10: a source that somebody else consumes goes on.
#[test]
fn cancel_spares_a_shared_source() {
    let event_loop = EventLoop::new();
    let (deferred, promise) = Deferred::<u32>::new();
    let local = bring(&event_loop, promise.clone());
    event_loop.run_until_idle();
    assert!(local.cancel());
    assert_eq!(deferred.state(), State::Pending);
    deferred.resolve(2);
    assert_eq!(promise.wait().unwrap(), 2);
}

/// G8: the end of a source that is canceled elsewhere arrives.
#[test]
fn a_cancel_of_the_source_arrives() {
    let event_loop = EventLoop::new();
    let (_deferred, promise) = Deferred::<u32>::new();
    let local = bring(&event_loop, promise.clone());
    thread::spawn(move || promise.cancel()).join().unwrap();
    assert_eq!(kind_of(event_loop.run_until_complete(local)), BrokenKind::Canceled);
}

/// G8: canceled by its own progress callback, in the middle of the arrival, it still reaches the source.
#[test]
fn cancel_in_its_own_progress_callback() {
    let event_loop = EventLoop::new();
    let (deferred, promise): Numbered = Deferred::with_progress();
    let own = Rc::new(RefCell::new(None::<local::Promise<u32, Broken, u32>>));
    let seen = own.clone();
    let local = bring(&event_loop, promise).progress(move |_| {
        seen.borrow().as_ref().unwrap().cancel();
    });
    *own.borrow_mut() = Some(local);
    event_loop.run_until_idle();
    deferred.notify(1);
    event_loop.run_until_idle();
    assert_eq!(deferred.state(), State::Rejected);
    let local = own.borrow_mut().take().unwrap();
    assert_eq!(kind_of(event_loop.run_until_complete(local)), BrokenKind::Canceled);
}

/// G8, K3: dropped, the local promise detaches: its observers still hear.
#[test]
fn a_dropped_local_promise_detaches() {
    let (event_loop, seen) = (EventLoop::new(), Rc::new(Cell::new(0)));
    let (deferred, promise) = Deferred::<u32>::new();
    let set = seen.clone();
    drop(bring(&event_loop, promise).done(move |n| set.set(*n)));
    thread::spawn(move || deferred.resolve(8)).join().unwrap();
    event_loop.run_until_idle();
    assert_eq!(seen.get(), 8);
}

/// G2, G8: if the loop goes first the local promise is `LoopClosed`, and the source is detached, not canceled.
#[test]
fn its_loop_goes_first() {
    for turns in [false, true] {
        let (event_loop, cancels, seen) = (EventLoop::new(), Count::new(), Rc::new(Cell::new(None)));
        let (deferred, promise) = Deferred::<u32>::new();
        let counted = cancels.clone();
        deferred.on_cancel(move || counted.add());
        let (set, kept) = (seen.clone(), promise.clone());
        drop(bring(&event_loop, promise).fail(move |broken| set.set(Some(broken.kind()))));
        if turns {
            event_loop.run_until_idle();
        }
        drop(event_loop);
        assert_eq!(seen.get(), Some(BrokenKind::LoopClosed));
        assert_eq!((cancels.get(), deferred.state()), (0, State::Pending));
        deferred.resolve(1);
        assert_eq!(kept.wait().unwrap(), 1);
    }
}

/// G3: the value itself passes, when nobody else wants it, and is dropped once.
#[test]
fn the_value_itself_passes() {
    struct Unique(#[allow(dead_code)] OnDrop<Box<dyn FnOnce() + Send>>);
    let (event_loop, drops) = (EventLoop::new(), Count::new());
    let (deferred, promise) = Deferred::<Unique>::new();
    let local = bring(&event_loop, promise);
    let counted = drops.clone();
    deferred.resolve(Unique(OnDrop::new(Box::new(move || counted.add()))));
    let value = event_loop.run_until_complete(local).unwrap();
    assert_eq!(drops.get(), 0);
    drop(value);
    assert_eq!(drops.get(), 1);
}

/// A local promise is settled from another thread by a thread-safe pair whose promise goes `into_local()`; many at a time.
#[test]
fn many_arrive() {
    watchdog(|| {
        let event_loop = EventLoop::new();
        let sum = Rc::new(Cell::new(0));
        let (deferreds, promises): (Vec<_>, Vec<_>) = (0..1_000).map(|_| Deferred::<u32>::new()).unzip();
        let thread = thread::spawn(move || {
            for (n, deferred) in deferreds.into_iter().enumerate() {
                deferred.resolve(n as u32);
            }
        });
        event_loop.run_until_complete(async {
            let tasks = promises.into_iter().map(|promise| {
                let (local, sum) = (promise.into_local(), sum.clone());
                spawn(async move {
                    let n = local.await.unwrap();
                    sum.set(sum.get() + n);
                })
            });
            for task in tasks.collect::<Vec<_>>() {
                task.await.unwrap();
            }
        });
        assert_eq!(sum.get(), 499_500);
        thread.join().unwrap();
    });
}

/// G9: a panic of an observer in the loop's turn is reported, and the loop goes on.
#[test]
fn a_panicking_observer_does_not_stop_the_loop() {
    let event_loop = EventLoop::new();
    let (deferred, promise) = Deferred::<u32>::new();
    let seen = Rc::new(Cell::new(false));
    let set = seen.clone();
    let local = bring(&event_loop, promise).done(|_| panic!("an observer")).done(move |_| set.set(true));
    deferred.resolve(3);
    assert_eq!(event_loop.run_until_complete(local).unwrap(), 3);
    assert!(seen.get());
    event_loop.run_until_complete(async { current().call_soon(|| ()).await }).unwrap();
}

/// G7: once nobody would pass them on, since the local promise is canceled or its loop is gone, reports are not collected: no more
/// than the last one lives.
#[test]
fn reports_that_nobody_passes_on_are_not_kept() {
    for loop_goes in [false, true] {
        let event_loop = EventLoop::new();
        let (deferred, promise) = Deferred::<u32, Broken, Counted>::with_progress();
        let kept = promise.clone();
        let local = bring(&event_loop, promise);
        if loop_goes {
            drop(event_loop);
        } else {
            assert!(local.cancel());
            event_loop.run_until_idle();
        }
        let report = Counted::new();
        (0..1_000).for_each(|_| assert!(deferred.notify(report.clone())));
        assert!(report.clones.get() >= 1_000);
        assert!(report.clones.get() - report.drops.get() <= 1, "loop_goes: {loop_goes}");
        drop(kept);
    }
}

/// G9: a value whose clone panics on its way is an end of kind `Panicked`; who else consumes the source gets the value itself.
#[test]
fn a_value_that_cannot_be_cloned_on_its_way() {
    let event_loop = EventLoop::new();
    let (deferred, promise) = Deferred::<CloneBomb>::new();
    let kept = promise.clone();
    let local = bring(&event_loop, promise);
    deferred.resolve(CloneBomb);
    assert_eq!(kind_of(event_loop.run_until_complete(local)), BrokenKind::Panicked);
    assert!(kept.wait().is_ok());
}
