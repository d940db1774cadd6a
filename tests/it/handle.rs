//! The loop from other threads: what goes in through a `Handle`, and how it ends.

use crate::util::{Count, Log, OnDrop, kind_of, watchdog, with_loop};
use deferral::{Broken, BrokenKind, Deferred, EventLoop, Handle, Promise, State, current};
use std::future::{pending, poll_fn};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier, Mutex, mpsc};
use std::task::Poll;
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

/// A guard that notes on which thread it is dropped.
fn note_thread() -> (OnDrop<impl FnOnce() + Send>, mpsc::Receiver<ThreadId>) {
    let (give, take) = mpsc::channel();
    (OnDrop::new(move || give.send(thread::current().id()).unwrap()), take)
}

/// Handles and thread-safe promises go anywhere, whatever the value can do.
#[test]
fn everything_travels() {
    fn travels<X: Send + Sync + Clone + 'static>() {}
    travels::<Handle>();
    fn goes<X: Send + Sync>() {}
    goes::<Promise<std::cell::Cell<u32>, Broken>>();
    goes::<Deferred<std::cell::Cell<u32>, Broken>>();
}

/// K2, H1, H9: calls, tasks and timers from another thread wake a loop that sleeps, and their values come back.
#[test]
fn values_come_back() {
    watchdog(|| {
        with_loop(|handle, id| {
            let here = || thread::current().id();
            assert_eq!(handle.call_soon(here).wait().unwrap(), id);
            assert_eq!(handle.spawn(async move { here() }).wait().unwrap(), id);
            assert_eq!(handle.call_later(Duration::from_millis(1), here).wait().unwrap(), id);
            assert_eq!(handle.call_at(handle.now(), here).wait().unwrap(), id);
            handle.sleep(Duration::from_millis(1)).wait().unwrap();
            let quick = handle.timeout(Duration::from_secs(3600), handle.call_soon(|| 1));
            assert_eq!(quick.wait().unwrap(), 1);
        });
    });
}

/// H9, K4: panics come back as ends of kind `Panicked`, with message and the caller's line; expiry as `TimedOut`.
#[test]
fn ends_come_back() {
    watchdog(|| {
        with_loop(|handle, _| {
            let line = line!() + 1;
            let broken = handle.spawn(async { panic!("{}", "task") }).wait().unwrap_err();
            assert_eq!((broken.kind(), broken.origin().line()), (BrokenKind::Panicked, line));
            assert!(broken.to_string().ends_with("task"), "{broken}");
            let broken = handle.call_soon(|| panic!("call")).wait().unwrap_err();
            assert!(broken.to_string().ends_with("call"), "{broken}");
            let never = handle.timeout(Duration::from_millis(1), handle.spawn(pending::<()>()));
            assert_eq!(kind_of(never.wait()), BrokenKind::TimedOut);
            assert_eq!(handle.call_soon(|| "goes on").wait().unwrap(), "goes on");
        });
    });
}

/// T1, G4: the observers of what the loop settles run on its thread; of what is settled already, on the registering one.
#[test]
fn observers_run_where_it_settles() {
    watchdog(|| {
        with_loop(|handle, id| {
            let (open, opened) = mpsc::channel::<()>();
            let (seen, saw) = mpsc::channel();
            let again = seen.clone();
            let call = handle.call_soon(move || opened.recv().is_ok());
            let call = call.done(move |_| seen.send(thread::current().id()).unwrap());
            open.send(()).unwrap();
            assert_eq!(saw.recv(), Ok(id));
            let call = Promise::<bool>::resolved(call.wait().unwrap());
            drop(call.done(move |_| again.send(thread::current().id()).unwrap()));
            assert_eq!(saw.recv(), Ok(thread::current().id()));
        });
    });
}

/// K5, G8: canceled from another thread, a waiting task is dropped on the loop's thread; the promise is settled at once.
#[test]
fn a_task_canceled_from_afar_is_dropped_at_home() {
    watchdog(|| {
        with_loop(|handle, id| {
            let (guard, dropped) = note_thread();
            let task = handle.spawn(async move {
                let _guard = guard;
                pending::<()>().await
            });
            handle.call_soon(|| ()).wait().unwrap();
            assert!(task.cancel());
            assert_eq!(task.state(), State::Rejected);
            assert_eq!(dropped.recv(), Ok(id));
            assert_eq!(kind_of(task.wait()), BrokenKind::Canceled);
        });
    });
}

/// K5: no later than in the loop's next turn.
#[test]
fn a_cancel_from_afar_takes_one_turn() {
    watchdog(|| {
        let (event_loop, log) = (EventLoop::new(), Log::new());
        let handle = event_loop.handle();
        let guard = OnDrop::new(log.entry("dropped"));
        let task = handle.spawn(async move {
            let _guard = guard;
            pending::<()>().await
        });
        event_loop.run_until_idle();
        assert!(thread::spawn(move || task.cancel()).join().unwrap());
        assert_eq!(log.text(), "");
        event_loop.handle().stop();
        event_loop.run_forever();
        assert_eq!(log.text(), "dropped");
    });
}

/// G8: canceled before the loop has even seen them, tasks and calls never run, and are dropped on the loop's thread.
#[test]
fn canceled_before_the_loop_has_seen_it() {
    watchdog(|| {
        let event_loop = EventLoop::with_virtual_clock();
        let (home, runs, began) = (thread::current().id(), Count::new(), event_loop.handle().now());
        let handle = event_loop.handle();
        let ran = runs.clone();
        let dropped = thread::spawn(move || {
            let guards: [_; 3] = std::array::from_fn(|_| note_thread());
            let [(first, a), (second, b), (third, c)] = guards;
            let (run_1, run_2, run_3) = (ran.clone(), ran.clone(), ran);
            let task = handle.spawn(async move {
                let _guard = first;
                run_1.add();
            });
            let call = handle.call_soon(move || {
                let _guard = second;
                run_2.add();
            });
            let timer = handle.call_later(Duration::from_secs(1), move || {
                let _guard = third;
                run_3.add();
            });
            assert!(task.cancel() && call.cancel() && timer.cancel());
            [a, b, c]
        });
        let dropped = dropped.join().unwrap();
        event_loop.run_until_idle();
        assert!(dropped.iter().all(|thread| thread.try_recv() == Ok(home)));
        assert_eq!((runs.get(), event_loop.handle().now()), (0, began));
    });
}

/// K5, trap 22: canceled from another thread in the middle of its poll, a task is dropped after that poll, on the loop's thread,
/// and not polled again.
#[test]
fn canceled_from_afar_during_its_poll() {
    watchdog(|| {
        with_loop(|handle, id| {
            let (inside, polls) = (Arc::new(Barrier::new(2)), Count::new());
            let over = Arc::new(AtomicBool::new(false));
            let (guard, dropped) = note_thread();
            let (meet, counted, polled) = (inside.clone(), polls.clone(), over.clone());
            let task = handle.spawn(poll_fn(move |cx| -> Poll<()> {
                let _guard = &guard;
                counted.add();
                meet.wait(); // the other thread cancels
                meet.wait();
                cx.waker().wake_by_ref();
                polled.store(true, Ordering::SeqCst);
                Poll::Pending
            }));
            inside.wait();
            assert!(task.cancel());
            assert!(dropped.try_recv().is_err());
            inside.wait();
            assert_eq!(dropped.recv(), Ok(id));
            assert!(over.load(Ordering::SeqCst));
            handle.call_soon(|| ()).wait().unwrap();
            assert_eq!(polls.get(), 1);
        });
    });
}

/// H4, G1: a cancel from another thread against the end of the task: exactly one wins, and all is dropped once.
#[test]
fn cancel_races_the_end_of_a_task() {
    watchdog(|| {
        with_loop(|handle, _| {
            for round in 0..5_000 {
                let drops = Count::new();
                let counted = drops.clone();
                let guard = OnDrop::new(move || counted.add());
                let task = handle.spawn(async move {
                    let _guard = guard;
                    round
                });
                let canceled = task.cancel();
                match task.wait() {
                    Ok(value) => assert_eq!((value, canceled), (round, false)),
                    Err(broken) => assert_eq!((broken.kind(), canceled), (BrokenKind::Canceled, true)),
                }
                handle.call_soon(|| ()).wait().unwrap();
                assert_eq!(drops.get(), 1);
            }
        });
    });
}

/// G4, G11: on the loop's own thread a handle acts at once, as the loop's own methods do.
#[test]
fn at_home_a_handle_acts_at_once() {
    let (event_loop, log) = (EventLoop::new(), Log::new());
    let (handle, entries) = (event_loop.handle(), log.clone());
    event_loop.call_soon(move || {
        let guard = OnDrop::new(entries.entry("dropped"));
        let call = handle.call_soon(move || drop(guard));
        assert!(call.cancel());
        entries.add("canceled");
        let guard = OnDrop::new(entries.entry("dropped"));
        let task = current().spawn(async move {
            let _guard = guard;
            pending::<()>().await
        });
        assert!(task.cancel());
        entries.add("canceled");
    });
    event_loop.run_until_idle();
    assert_eq!(log.text(), "dropped canceled dropped canceled");
}

/// What another thread makes of a handle while the loop of this one stands in the middle of a turn, and so has not heard of it yet.
fn unheard<R: Send + 'static>(f: impl FnOnce(Handle) -> R + Send + 'static) -> R {
    let handle = current();
    thread::spawn(move || f(handle)).join().unwrap()
}

/// K5, G8: the loop's own thread cancels calls of another thread that it has not heard of yet: they never run, are dropped, and leave
/// no timer.
#[test]
fn calls_canceled_at_home_before_it_has_heard_of_them() {
    watchdog(|| {
        let (event_loop, runs, drops) = (EventLoop::with_virtual_clock(), Count::new(), Count::new());
        let began = event_loop.handle().now();
        let calls: [_; 2] = std::array::from_fn(|_| {
            let (run, drop) = (runs.clone(), drops.clone());
            let guard = OnDrop::new(move || drop.add());
            move || {
                let _guard = guard;
                run.add();
            }
        });
        event_loop.run_until_complete(async move {
            let [soon, later] = calls;
            let soon = unheard(|handle| handle.call_soon(soon));
            let later = unheard(|handle| handle.call_later(Duration::from_secs(1), later));
            assert!(soon.cancel() && later.cancel());
        });
        event_loop.run_until_idle();
        assert_eq!((runs.get(), drops.get(), event_loop.handle().now()), (0, 2, began));
    });
}

/// K5, G8: so it is with a task: it is never polled, and does not stay.
#[test]
fn a_task_canceled_at_home_before_it_has_heard_of_it() {
    watchdog(|| {
        let (event_loop, log) = (EventLoop::with_virtual_clock(), Log::new());
        let (polled, guard) = (log.entry("polled"), OnDrop::new(log.entry("dropped")));
        event_loop.run_until_complete(async move {
            let task = unheard(|handle| {
                handle.spawn(async move {
                    let _guard = guard;
                    polled();
                    pending::<()>().await
                })
            });
            assert!(task.cancel());
        });
        event_loop.run_until_idle();
        assert_eq!(log.text(), "dropped");
    });
}

/// M3, trap 23: a timeout of another thread that is decided before the loop has heard of it leaves no timer.
#[test]
fn a_timeout_decided_at_home_before_it_has_heard_of_it() {
    watchdog(|| {
        let event_loop = EventLoop::with_virtual_clock();
        let began = event_loop.handle().now();
        event_loop.run_until_complete(async {
            let (deferred, promise) = Deferred::<u32>::new();
            let answer = unheard(|handle| handle.timeout(Duration::from_secs(3600), promise));
            deferred.resolve(1);
            assert_eq!(answer.await.unwrap(), 1);
        });
        event_loop.run_until_idle();
        assert_eq!(event_loop.handle().now(), began);
    });
}

/// G2, G4: a timeout of a loop that is gone is settled and at rest when it is returned, inside a callback too: a `fail` runs at once.
#[test]
fn a_timeout_of_a_closed_loop_is_at_rest_inside_a_callback() {
    let log = Log::new();
    let (handle, entries) = (EventLoop::new().handle(), log.clone());
    let (_deferred, promise) = Deferred::<u32>::new();
    Promise::<()>::resolved(()).done(move |()| {
        let answer = handle.timeout(Duration::from_secs(1), promise);
        let seen = entries.clone();
        answer.fail(move |broken| seen.add(format!("{:?}", broken.kind())));
        entries.add("after");
    });
    assert_eq!(log.text(), "LoopClosed after");
}

/// `current` is a handle of the loop that runs here, which other threads may use.
#[test]
fn the_current_loop_travels() {
    watchdog(|| {
        let event_loop = EventLoop::new();
        let answer = event_loop.run_until_complete(async {
            let (handle, home) = (current(), thread::current().id());
            let afar =
                thread::spawn(move || handle.spawn(async { current().call_soon(|| thread::current().id()).await }));
            (afar.join().unwrap().await, home)
        });
        assert_eq!(answer.0.unwrap().unwrap(), answer.1);
    });
}

/// G12: a future that has to be `Send` sleeps by the handle, and awaits promises of other threads.
#[test]
fn a_sendable_future_sleeps_by_the_handle() {
    watchdog(|| {
        with_loop(|handle, _| {
            let (deferred, promise) = Deferred::<u32>::new();
            let task = handle.spawn(async move {
                current().sleep(Duration::from_millis(1)).await.unwrap();
                promise.await
            });
            deferred.resolve(5);
            assert_eq!(task.flatten().wait().unwrap(), 5);
        });
    });
}

/// H1: chains on a loop and on plain threads reach each other: what a thread settles, a task hears, and back.
#[test]
fn threads_and_tasks_converse() {
    watchdog(|| {
        with_loop(|handle, _| {
            let heard = Arc::new(Mutex::new(Vec::new()));
            for n in 0..1_000 {
                let (question, asked) = Deferred::<u32>::new();
                let (answer, answered) = Deferred::<u32>::new();
                handle.spawn(async move { answer.resolve(asked.await.unwrap() * 2) });
                let notes = heard.clone();
                let answered = answered.done(move |n| notes.lock().unwrap().push(*n));
                question.resolve(n);
                assert_eq!(answered.wait().unwrap(), 2 * n);
            }
            assert!(heard.lock().unwrap().iter().copied().eq((0..1_000).map(|n| 2 * n)));
        });
    });
}

/// `Debug` of a handle says whether its loop is closed.
#[test]
fn debug_tells_whether_it_is_closed() {
    let event_loop = EventLoop::new();
    let handle = event_loop.handle();
    assert!(format!("{handle:?}").contains("closed: false"));
    drop(event_loop);
    assert!(format!("{handle:?}").contains("closed: true"));
}

/// H1, L3, trap 20: threads echo off a loop that is always about to fall asleep, by calls and by promises that its tasks await: no
/// echo is lost. With four threads each helps the others out; one alone finds out.
#[test]
fn a_loop_does_not_fall_asleep_on_work() {
    fn echo(handle: &Handle, thread: usize, n: usize) {
        // About as long as the loop takes to find that it has nothing to do.
        (0..(n * 7919) % 512).for_each(|_| std::hint::spin_loop());
        let echo = if (n + thread) % 2 == 0 {
            handle.call_soon(move || n)
        } else {
            let (ask, asked) = Deferred::<usize>::new();
            let task = handle.spawn(async move { asked.await.unwrap() });
            ask.resolve(n);
            task
        };
        assert_eq!(echo.wait().unwrap(), n);
    }
    for threads in [1, 4] {
        watchdog(move || {
            with_loop(|handle, _| {
                // On a busy machine fewer will do.
                let until = Instant::now() + Duration::from_secs(20);
                let enough = |n: &usize| n % 1_000 != 0 || Instant::now() < until;
                thread::scope(|scope| {
                    for thread in 0..threads {
                        let handle = handle.clone();
                        scope.spawn(move || (0..50_000).take_while(enough).for_each(|n| echo(&handle, thread, n)));
                    }
                });
            });
        });
    }
}
