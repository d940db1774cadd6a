//! A loop that goes: what it owes, what its destructors do, and what is asked of it afterwards.

use crate::util::{Count, Log, OnDrop, kind_of, watchdog};
use deferral::{
    Broken, BrokenKind, Deferred, EventLoop, Handle, Promise, State, current, local, sleep, spawn, timeout,
};
use std::cell::RefCell;
use std::future::{pending, poll_fn};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier, Mutex, mpsc};
use std::task::{Poll, Waker};
use std::thread;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

async fn hold<T>(_held: T) {
    pending().await
}

/// A callback that notes the kind of the end.
fn note(log: &Log, name: &'static str) -> impl FnOnce(&Result<(), Broken>) + Send + 'static {
    let log = log.clone();
    move |end| log.add(format!("{name}:{:?}", end.as_ref().unwrap_err().kind()))
}

/// G2, K7: a dropped loop settles tasks, calls and timers with `LoopClosed`, running none of them.
#[test]
fn all_that_it_owes_is_closed() {
    let (event_loop, log, dropped) = (EventLoop::with_virtual_clock(), Log::new(), Count::new());
    let guard = || {
        let dropped = dropped.clone();
        OnDrop::new(move || dropped.add())
    };
    let held = guard();
    event_loop.spawn(hold(held)).always(note(&log, "task"));
    event_loop.run_until_idle();
    let held = guard();
    event_loop.spawn(hold(held)).always(note(&log, "unpolled"));
    let held = guard();
    event_loop.call_soon(move || drop(held)).always(note(&log, "call"));
    let held = guard();
    event_loop.call_later(SECOND, move || drop(held)).always(note(&log, "timer"));
    let held = guard();
    event_loop.call_later(Duration::MAX, move || drop(held)).always(note(&log, "never"));
    let held = guard();
    event_loop.handle().call_soon(move || drop(held)).always(note(&log, "sent"));
    let held = guard();
    event_loop.handle().spawn(hold(held)).always(note(&log, "spawned"));
    assert_eq!((log.text().as_str(), dropped.get()), ("", 0));
    drop(event_loop);
    let mut ends: Vec<_> = log.text().split(' ').map(str::to_owned).collect();
    ends.sort_unstable();
    let names = ["call", "never", "sent", "spawned", "task", "timer", "unpolled"];
    assert_eq!(ends, names.map(|name| format!("{name}:LoopClosed")));
    assert_eq!(dropped.get(), 7);
}

/// K7: threads that wait for what the loop owes are woken.
#[test]
fn waiting_threads_are_woken() {
    watchdog(|| {
        let event_loop = EventLoop::new();
        let (handle, ready) = (event_loop.handle(), Arc::new(Barrier::new(4)));
        let wait = |promise: Promise<()>| {
            let ready = ready.clone();
            thread::spawn(move || {
                ready.wait();
                kind_of(promise.wait())
            })
        };
        let waiters = [wait(handle.spawn(pending())), wait(handle.sleep(SECOND)), wait(handle.call_soon(|| ()))];
        ready.wait();
        drop(event_loop);
        assert!(waiters.into_iter().all(|waiter| waiter.join().unwrap() == BrokenKind::LoopClosed));
    });
}

/// G2, H8: whatever is scheduled on a loop that is gone is `LoopClosed`; the closures are dropped, and nothing panics.
fn ask_a_gone_loop(handle: &Handle) {
    let dropped = Count::new();
    let guard = || {
        let dropped = dropped.clone();
        OnDrop::new(move || dropped.add())
    };
    let (a, b, c, d) = (guard(), guard(), guard(), guard());
    let noon = handle.now();
    let ends = [
        handle.spawn(async move { drop(a) }),
        handle.call_soon(move || drop(b)),
        handle.call_later(SECOND, move || drop(c)),
        handle.call_at(noon, move || drop(d)),
        handle.sleep(Duration::ZERO),
        handle.sleep(Duration::MAX),
    ];
    assert_eq!(dropped.get(), 4);
    let (deferred, promise) = Deferred::<()>::new();
    let pending = handle.timeout(SECOND, promise);
    drop(deferred);
    for end in ends.into_iter().chain([pending]) {
        assert_eq!(end.state(), State::Rejected);
        assert_eq!(kind_of(end.wait()), BrokenKind::LoopClosed);
    }
    assert_eq!(handle.timeout(SECOND, Promise::<u32>::resolved(1)).wait().unwrap(), 1);
    handle.stop();
}

/// G2, H8: that is so on its own thread, on another, inside another loop, and on a thread that has never seen a loop.
#[test]
fn a_handle_outlives_its_loop() {
    watchdog(|| {
        let handle = EventLoop::new().handle();
        ask_a_gone_loop(&handle);
        let other = handle.clone();
        thread::spawn(move || ask_a_gone_loop(&other)).join().unwrap();
        let other = EventLoop::new();
        other.run_until_complete(other.call_soon(move || ask_a_gone_loop(&handle))).unwrap();
    });
}

/// G2: a promise from before can still be canceled when the loop is gone, to no effect.
#[test]
fn a_late_cancel_has_lost() {
    let event_loop = EventLoop::new();
    let (task, sent) = (event_loop.spawn(pending::<()>()), event_loop.handle().spawn(pending::<()>()));
    drop(event_loop);
    assert!(!task.cancel() && !sent.cancel());
}

/// K8, trap 21: destructors may wake, spawn, schedule, settle and lock while the loop closes; nothing new runs.
#[test]
fn destructors_use_the_closing_loop() {
    watchdog(|| {
        let log = Log::new();
        let event_loop = EventLoop::new();
        let shared = Arc::new(Mutex::new(0));
        let (first, awaited_first) = Deferred::<u32>::new();
        let (second, awaited_second) = Deferred::<u32>::new();
        let afar = awaited_second.clone();
        let task = |own: Promise<u32>, other: Deferred<u32>| {
            let (log, shared, handle) = (log.clone(), shared.clone(), event_loop.handle());
            let guard = OnDrop::new(move || {
                *shared.lock().unwrap() += 1;
                other.resolve(1);
                let run = log.entry("run");
                spawn(async move { run() }).always(note(&log, "spawn"));
                handle.call_soon(log.entry("run")).always(note(&log, "call"));
                current().call_later(Duration::ZERO, log.entry("run")).always(note(&log, "timer"));
                sleep(SECOND).always(note(&log, "sleep"));
            });
            async move {
                let _guard = guard;
                let _ = own.await;
                pending::<()>().await
            }
        };
        event_loop.spawn(task(awaited_first, second));
        event_loop.spawn(task(awaited_second, first));
        event_loop.run_until_idle();
        drop(event_loop);
        let once = "spawn:LoopClosed call:LoopClosed timer:LoopClosed sleep:LoopClosed";
        assert_eq!(log.text(), format!("{once} {once}"));
        assert_eq!((*shared.lock().unwrap(), afar.wait().unwrap()), (2, 1));
    });
}

/// G2: what is brought to a closing loop, or gets its time there, is `LoopClosed`; a settled promise passes a timeout all the same.
#[test]
fn destructors_bring_promises_to_the_closing_loop() {
    let (event_loop, log) = (EventLoop::new(), Log::new());
    let (_deferred, promise) = Deferred::<()>::new();
    let (_local_deferred, local_promise) = local::Deferred::<()>::new();
    let entries = log.clone();
    event_loop.spawn(hold(OnDrop::new(move || {
        promise.into_local().always(note(&entries, "into_local"));
        timeout(SECOND, local_promise).always(note(&entries, "timeout"));
        timeout(SECOND, local::Promise::<u32>::resolved(1)).done(move |n| entries.add(n));
    })));
    drop(event_loop);
    assert_eq!(log.text(), "into_local:LoopClosed timeout:LoopClosed 1");
}

/// K8: observers of what a closing loop owes may ask it for more, round after round.
#[test]
fn observers_ask_the_closing_loop_for_more() {
    fn ask(handle: Handle, left: u32, ends: Count) {
        handle.clone().call_soon(|| ()).fail(move |broken| {
            assert_eq!(broken.kind(), BrokenKind::LoopClosed);
            ends.add();
            if left > 0 {
                ask(handle, left - 1, ends);
            }
        });
    }
    let (event_loop, ends) = (EventLoop::new(), Count::new());
    ask(event_loop.handle(), 1_000, ends.clone());
    drop(event_loop);
    assert_eq!(ends.get(), 1_001);
}

/// G9, K6: destructors and observers that panic while a loop closes are contained, and the others are served.
#[test]
fn panics_while_it_closes_are_contained() {
    let (event_loop, log) = (EventLoop::new(), Log::new());
    event_loop.spawn(hold(OnDrop::new(|| panic!("a task's destructor")))).always(note(&log, "task"));
    event_loop.call_soon(|| ()).fail(|_| panic!("an observer")).always(note(&log, "call"));
    let held = OnDrop::new(|| panic!("a call's destructor"));
    event_loop.call_later(SECOND, move || drop(held)).always(note(&log, "timer"));
    let held = OnDrop::new(|| panic!("a sent call's destructor"));
    event_loop.handle().call_soon(move || drop(held)).always(note(&log, "sent"));
    drop(event_loop);
    assert_eq!(log.text(), "task:LoopClosed call:LoopClosed timer:LoopClosed sent:LoopClosed");
}

/// K11, trap 24: a task that owns its own promise, or a handle's promise of itself, goes with the loop.
#[test]
fn a_task_that_owns_itself() {
    let (event_loop, held) = (EventLoop::new(), Rc::new(()));
    let (weak, own) = (Rc::downgrade(&held), Rc::new(RefCell::new(None::<local::Promise<()>>)));
    let kept = own.clone();
    let task = event_loop.spawn(async move {
        let _held = (held, kept);
        pending::<()>().await
    });
    *own.borrow_mut() = Some(task);
    let weak_own = Rc::downgrade(&own);
    drop(own);
    event_loop.run_until_idle();
    assert_eq!(weak.strong_count(), 1);
    drop(event_loop);
    assert_eq!((weak.strong_count(), weak_own.strong_count()), (0, 0));
}

/// G2, K8, trap 21: a loop that is dropped by a destructor of one of its own tasks closes there and then, though that destructor
/// panics, and though the loop is just dropping the task.
#[test]
fn a_task_takes_its_loop_along() {
    watchdog(|| {
        let log = Log::new();
        let owner = Rc::new(RefCell::new(Some(EventLoop::new())));
        let held = owner.borrow();
        let event_loop = held.as_ref().unwrap();
        let (own, entries) = (owner.clone(), log.clone());
        let guard = OnDrop::new(move || {
            let event_loop = own.take();
            event_loop.as_ref().unwrap().call_soon(|| ()).always(note(&entries, "late"));
            drop(event_loop);
            entries.add("closed");
            panic!("a task's destructor");
        });
        let task = event_loop.spawn(hold(guard)).always(note(&log, "task"));
        event_loop.spawn(hold(OnDrop::new(log.entry("dropped")))).always(note(&log, "other"));
        let afar = event_loop.handle().sleep(SECOND);
        event_loop.run_until_idle();
        drop(held);
        assert!(task.cancel());
        assert_eq!(log.text(), "dropped other:LoopClosed late:LoopClosed closed task:Canceled");
        assert!(owner.borrow().is_none());
        assert_eq!(kind_of(afar.wait()), BrokenKind::LoopClosed);
    });
}

/// G2: a loop that is forgotten settles nothing.
#[test]
fn a_forgotten_loop_settles_nothing() {
    let event_loop = EventLoop::new();
    let (task, call) = (event_loop.spawn(pending::<()>()), event_loop.handle().call_soon(|| ()));
    std::mem::forget(event_loop);
    assert_eq!((task.state(), call.state()), (State::Pending, State::Pending));
}

/// A loop that another one's callback makes, and drops, hands the thread back to the outer one.
#[test]
fn a_loop_that_closes_inside_another() {
    let (outer, log) = (EventLoop::new(), Log::new());
    let entries = log.clone();
    let call = outer.call_soon(move || {
        let inner = EventLoop::new();
        inner.call_soon(|| ()).always(note(&entries, "inner"));
        let entry = entries.entry("outer");
        let guard = OnDrop::new(move || drop(current().call_soon(entry).always(|end| assert!(end.is_err()))));
        inner.spawn(hold(guard));
        drop(inner);
        current().call_soon(entries.entry("outer"));
    });
    outer.run_until_complete(call).unwrap();
    outer.run_until_idle();
    assert_eq!(log.text(), "inner:LoopClosed outer");
}

/// G2, trap 21: a loop may be dropped while its main future has panicked out of it, and by a thread that unwinds.
#[test]
fn a_loop_closes_while_its_thread_unwinds() {
    watchdog(|| {
        let (give, take) = mpsc::channel();
        let thread = thread::spawn(move || {
            let event_loop = EventLoop::new();
            let (deferred, promise) = Deferred::<u32>::new();
            give.send((event_loop.handle().spawn(pending::<()>()), promise)).unwrap();
            event_loop.spawn(hold(deferred));
            event_loop.run_until_complete(async { panic!("main") })
        });
        let (task, promise) = take.recv().unwrap();
        assert_eq!(kind_of(task.wait()), BrokenKind::LoopClosed);
        assert_eq!(kind_of(promise.wait()), BrokenKind::Abandoned);
        assert!(thread.join().is_err());
    });
}

/// G2, G8, trap 21: while the loop closes, and its destructors wake, spawn and settle, another thread wakes its tasks, schedules and
/// cancels: every promise is settled, and every local value is dropped on the loop's thread.
#[test]
fn a_loop_closes_while_another_thread_is_at_it() {
    const ROUNDS: usize = 1_000;
    watchdog(|| {
        for round in 0..ROUNDS {
            let event_loop = EventLoop::new();
            let (here, handle) = (thread::current().id(), event_loop.handle());
            let (give, take) = mpsc::channel::<Waker>();
            let (settled, awaited) = Deferred::<u32>::new();
            // Not `Send`, and it would tell.
            let held = Rc::new(());
            let weak = Rc::downgrade(&held);
            let home = handle.clone();
            let guard = OnDrop::new(move || {
                assert_eq!(thread::current().id(), here);
                drop(held);
                settled.resolve(1);
                home.spawn(async {});
                drop(spawn(async {}));
            });
            event_loop.spawn(poll_fn(move |cx| {
                let _guard = &guard;
                let _ = give.send(cx.waker().clone());
                Poll::<()>::Pending
            }));
            event_loop.run_until_idle();
            let waker = take.recv().unwrap();
            let (barrier, over) = (Barrier::new(2), AtomicBool::new(false));
            thread::scope(|scope| {
                let (barrier, over) = (&barrier, &over);
                let busy = scope.spawn(move || {
                    let mut owed = Vec::new();
                    barrier.wait();
                    while !over.load(Ordering::Relaxed) && owed.len() < 150 {
                        waker.wake_by_ref();
                        owed.push(handle.call_soon(|| ()));
                        owed.push(handle.spawn(async {}));
                        owed.push(handle.sleep(SECOND));
                        if owed.len() % 2 == 0 {
                            owed.last().unwrap().cancel();
                        }
                        handle.stop();
                    }
                    // By value or not: either may be the last reference to the task.
                    if round % 2 == 0 {
                        waker.wake()
                    } else {
                        drop(waker)
                    }
                    owed
                });
                barrier.wait();
                if round % 3 != 0 {
                    event_loop.run_forever();
                }
                drop(event_loop);
                assert_eq!(weak.strong_count(), 0);
                over.store(true, Ordering::Relaxed);
                assert_eq!(awaited.wait().unwrap(), 1);
                for promise in busy.join().unwrap() {
                    let end = promise.wait().map_err(|broken| broken.kind());
                    assert!(matches!(end, Ok(()) | Err(BrokenKind::LoopClosed | BrokenKind::Canceled)), "{end:?}");
                }
            });
        }
    });
}
