//! Tasks and calls as promises: how they begin, end, panic and are canceled.

use crate::util::{Count, CountingWaker, Log, OnDrop, kind_of, poll};
use deferral::{BrokenKind, Deferred, EventLoop, current, local, sleep, spawn, when};
use std::cell::{Cell, OnceCell, RefCell};
use std::future::{pending, poll_fn};
use std::rc::Rc;
use std::task::{Poll, Waker};
use std::time::Duration;

/// Waits for ever, and holds what it is given until it is dropped.
async fn hold<T>(_held: T) {
    pending().await
}

/// Lets the others go first.
async fn yield_now() {
    let mut yielded = false;
    poll_fn(|cx| {
        cx.waker().wake_by_ref();
        if std::mem::replace(&mut yielded, true) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await
}

/// K1: `spawn` does not poll; the first polls come in the order of spawning.
#[test]
fn a_task_is_first_polled_by_a_turn() {
    let log = Log::new();
    let event_loop = EventLoop::new();
    for n in 0..5 {
        let entry = log.entry(n);
        event_loop.spawn(async move { entry() });
    }
    assert_eq!(log.text(), "");
    let entries = log.clone();
    event_loop.spawn(async move {
        let entry = entries.entry("inner");
        spawn(async move { entry() });
        entries.add("outer");
    });
    event_loop.run_until_idle();
    assert_eq!(log.text(), "0 1 2 3 4 outer inner");
}

/// K10: a task that yields goes to the back of the queue.
#[test]
fn tasks_that_yield_take_turns() {
    let log = Log::new();
    let event_loop = EventLoop::new();
    for name in ["a", "b"] {
        let log = log.clone();
        event_loop.spawn(async move {
            for n in 0..3 {
                log.add(format!("{name}{n}"));
                yield_now().await;
            }
        });
    }
    event_loop.run_until_idle();
    assert_eq!(log.text(), "a0 b0 a1 b1 a2 b2");
}

/// K3, G8: a dropped promise detaches its task and its call.
#[test]
fn a_dropped_promise_detaches() {
    let (event_loop, runs) = (EventLoop::with_virtual_clock(), Count::new());
    let (in_task, in_call, in_timer) = (runs.clone(), runs.clone(), runs.clone());
    drop(event_loop.spawn(async move {
        sleep(Duration::from_secs(1)).await.unwrap();
        in_task.add();
    }));
    drop(event_loop.call_soon(move || in_call.add()));
    drop(event_loop.call_later(Duration::from_secs(1), move || in_timer.add()));
    event_loop.run_until_idle();
    assert_eq!(runs.get(), 3);
}

/// K4, G9: a panic is the end of its own promise, of kind `Panicked`, with message and origin, and the loop goes on.
#[test]
fn a_panic_rejects_with_its_message() {
    let event_loop = EventLoop::with_virtual_clock();
    let line = line!();
    let broken = [
        event_loop.spawn(async { panic!("task") }),
        event_loop.spawn(async {
            yield_now().await;
            panic!("{} task", "late")
        }),
        event_loop.call_soon(|| panic!("call")),
        event_loop.call_later(Duration::from_secs(1), || panic!("timer")),
    ];
    let lines = [1, 2, 6, 7].map(|n| line + 1 + n);
    let last = event_loop.call_later(Duration::from_secs(2), || "the loop goes on");
    let ends: Vec<Result<(), _>> = event_loop.run_until_complete(when::settled(broken)).unwrap();
    for ((end, text), line) in ends.into_iter().zip(["task", "late task", "call", "timer"]).zip(lines) {
        let broken = end.unwrap_err();
        assert_eq!(broken.kind(), BrokenKind::Panicked);
        assert!(broken.to_string().ends_with(&format!("panicked: {text}")), "{broken}");
        assert_eq!((broken.origin().file(), broken.origin().line()), (file!(), line));
    }
    assert_eq!(event_loop.run_until_complete(last).unwrap(), "the loop goes on");
}

/// G7, G9: what a task's future or a call's closure captured is gone before the observers run.
#[test]
fn captures_go_before_observers_run() {
    let log = Log::new();
    let event_loop = EventLoop::new();
    let done = |text: &'static str| {
        let log = log.clone();
        move |_: &Result<(), _>| log.add(text)
    };
    let held = OnDrop::new(log.entry("task-dropped"));
    // An async block would drop it by itself.
    let holds = poll_fn(move |_| {
        let _held = &held;
        Poll::Ready(())
    });
    event_loop.spawn(holds).always(done("task-done"));
    let held = OnDrop::new(log.entry("broken-dropped"));
    let holds = poll_fn(move |_| {
        let _held = &held;
        panic!("with a capture")
    });
    event_loop.spawn(holds).always(done("broken-done"));
    let held = OnDrop::new(log.entry("call-dropped"));
    event_loop
        .call_soon(move || {
            let _held = held;
        })
        .always(done("call-done"));
    event_loop.run_until_idle();
    assert_eq!(log.text(), "task-dropped task-done broken-dropped broken-done call-dropped call-done");
}

/// G8: canceled before its first poll, a task is dropped at once and never polled.
#[test]
fn cancel_before_the_first_poll() {
    let (event_loop, log) = (EventLoop::new(), Log::new());
    let (guard, polled) = (OnDrop::new(log.entry("dropped")), log.entry("polled"));
    let task = event_loop.spawn(async move {
        let _guard = guard;
        polled();
    });
    assert!(task.cancel());
    assert!(!task.cancel());
    assert_eq!(log.text(), "dropped");
    event_loop.run_until_idle();
    assert_eq!(log.text(), "dropped");
    assert_eq!(kind_of(event_loop.run_until_complete(task)), BrokenKind::Canceled);
}

/// G8, K5: canceled while it waits, a task is dropped before `cancel` returns and before the observers run.
#[test]
fn cancel_while_it_waits() {
    let (event_loop, log) = (EventLoop::new(), Log::new());
    let observer = log.entry("observer");
    let task = event_loop.spawn(hold(OnDrop::new(log.entry("dropped")))).fail(move |_| observer());
    event_loop.run_until_idle();
    task.cancel();
    log.add("returned");
    assert_eq!(log.text(), "dropped observer returned");
}

/// G8, trap 22: a task that cancels itself in its own poll is dropped right after that poll, and not polled again.
#[test]
fn cancel_in_its_own_poll() {
    let (event_loop, log) = (EventLoop::new(), Log::new());
    let own = Rc::new(RefCell::new(None::<local::Promise<u32>>));
    let (held, entries, seen) = (OnDrop::new(log.entry("dropped")), log.clone(), own.clone());
    let observer = log.entry("observer");
    let task = event_loop.spawn(poll_fn(move |cx| {
        let _held = &held;
        entries.add("poll");
        cx.waker().wake_by_ref();
        seen.borrow_mut().take().unwrap().cancel();
        entries.add("returned");
        Poll::Ready(3)
    }));
    *own.borrow_mut() = Some(task.fail(move |_| observer()));
    event_loop.run_until_idle();
    assert_eq!(log.text(), "poll observer returned dropped");
}

/// G8: one task cancels another of the same turn; a chain passes the cancel up to the task.
#[test]
fn cancel_by_another_task_and_through_a_chain() {
    let (event_loop, log) = (EventLoop::new(), Log::new());
    let victim = Rc::new(RefCell::new(None::<local::Promise<()>>));
    let taken = victim.clone();
    event_loop.spawn(async move { taken.borrow_mut().take().unwrap().cancel() });
    let chain = event_loop.spawn(hold(OnDrop::new(log.entry("dropped")))).then(|()| Ok(())).then(Ok);
    *victim.borrow_mut() = Some(chain);
    event_loop.run_until_idle();
    assert_eq!(log.text(), "dropped");
}

/// K6: destructors that panic, of a future, of a closure or of an output that nobody wants, are contained.
#[test]
fn destructors_that_panic_are_contained() {
    fn bite() -> OnDrop<impl FnOnce() + Send> {
        OnDrop::new(|| panic!("a destructor"))
    }
    let event_loop = EventLoop::new();
    let held = bite();
    let task = event_loop.spawn(async move {
        let _held = held;
        pending::<()>().await
    });
    event_loop.run_until_idle();
    assert!(task.cancel());
    let held = bite();
    assert!(event_loop.call_soon(move || drop(held)).cancel());
    let held = bite();
    assert!(event_loop.call_later(Duration::from_secs(1), move || drop(held)).cancel());
    let held = bite();
    let finished = event_loop.spawn(poll_fn(move |_| {
        let _held = &held;
        Poll::Ready(5)
    }));
    event_loop.spawn(async { bite() });
    event_loop.call_soon(bite);
    let last = event_loop.call_soon(|| 6);
    assert_eq!(event_loop.run_until_complete(when((finished, last))).unwrap(), (5, 6));
}

/// L4, G8: a canceled call never runs, also if an earlier one of the same turn cancels it, and its closure goes at once.
#[test]
fn a_canceled_call_never_runs() {
    let (event_loop, log) = (EventLoop::new(), Log::new());
    let victim = Rc::new(RefCell::new(None::<local::Promise<()>>));
    let (taken, entries) = (victim.clone(), log.clone());
    event_loop.call_soon(move || {
        assert!(taken.borrow_mut().take().unwrap().cancel());
        entries.add("canceled");
    });
    let (guard, run) = (OnDrop::new(log.entry("dropped")), log.entry("run"));
    let call = event_loop.call_soon(move || {
        let _guard = guard;
        run();
    });
    *victim.borrow_mut() = Some(call);
    event_loop.call_soon(log.entry("next"));
    event_loop.run_until_idle();
    assert_eq!(log.text(), "dropped canceled next");
}

/// G8: its closure goes before anybody is shown the outcome, and before what the closure's drop registers.
#[test]
fn what_the_drop_of_a_canceled_call_sees_and_registers() {
    let log = Log::new();
    let event_loop = EventLoop::new();
    let call = Rc::new(OnceCell::<local::Promise<()>>::new());
    let (seen, entries) = (call.clone(), log.clone());
    let guard = OnDrop::new(move || {
        let call = seen.get().unwrap();
        call.peek(|outcome| entries.add(outcome.is_some()));
        let entry = entries.entry("observer");
        call.clone().always(|_| entry());
        entries.add("dropped");
    });
    let _ = call.set(event_loop.call_soon(move || drop(guard)));
    assert!(call.get().unwrap().cancel());
    assert_eq!(log.text(), "false dropped observer");
}

/// G5, G8: calls whose drops cancel the next one each, far deeper than frames nest, are all taken back.
#[test]
fn calls_that_cancel_each_other() {
    let (ran, dropped) = (Count::new(), Count::new());
    let event_loop = EventLoop::new();
    let mut next: Option<local::Promise<()>> = None;
    for _ in 0..200 {
        let (inner, count) = (next.take(), dropped.clone());
        let guard = OnDrop::new(move || {
            inner.inspect(|inner| assert!(inner.cancel()));
            count.add();
        });
        let ran = ran.clone();
        next = Some(event_loop.call_soon(move || {
            ran.add();
            drop(guard);
        }));
    }
    assert!(next.unwrap().cancel());
    assert_eq!((ran.get(), dropped.get()), (0, 200));
    event_loop.run_until_idle();
    assert_eq!(ran.get(), 0);
}

/// L4: a cancel that comes after the run has lost.
#[test]
fn a_cancel_after_the_run_has_lost() {
    let event_loop = EventLoop::new();
    let (call, task) = (event_loop.call_soon(|| 1), event_loop.spawn(async { 2 }));
    event_loop.run_until_idle();
    assert!(!call.cancel() && !task.cancel());
    assert_eq!(event_loop.run_until_complete(when((call, task))).unwrap(), (1, 2));
}

/// L4: a call may cancel itself while it runs; its value is then dropped, and it is not run twice.
#[test]
fn a_call_that_cancels_itself() {
    let event_loop = EventLoop::new();
    let own = Rc::new(RefCell::new(None::<local::Promise<u32>>));
    let seen = own.clone();
    let call = event_loop.call_soon(move || {
        assert!(seen.borrow().as_ref().unwrap().cancel());
        7
    });
    *own.borrow_mut() = Some(call);
    event_loop.run_until_idle();
    let call = own.borrow_mut().take().unwrap();
    assert_eq!(kind_of(event_loop.run_until_complete(call)), BrokenKind::Canceled);
}

/// K9, trap 22: wakes during a poll are one more poll, and a waker that outlives its task is without effect.
#[test]
fn a_wake_during_the_poll_is_one_more_poll() {
    let (event_loop, polls) = (EventLoop::new(), Count::new());
    let kept = Rc::new(RefCell::new(None::<Waker>));
    let (counted, keep) = (polls.clone(), kept.clone());
    event_loop.spawn(poll_fn(move |cx| {
        counted.add();
        *keep.borrow_mut() = Some(cx.waker().clone());
        (0..10).for_each(|_| cx.waker().wake_by_ref());
        if counted.get() == 2 { Poll::Ready(()) } else { Poll::Pending }
    }));
    event_loop.run_until_idle();
    let waker = kept.borrow_mut().take().unwrap();
    waker.wake_by_ref();
    event_loop.run_until_idle();
    assert_eq!(polls.get(), 2);
    drop(event_loop);
    waker.wake();
}

/// G3, G12: a task's promise is a promise like any other: observed, chained, awaited by clones, and by any executor.
#[test]
fn a_task_is_a_promise() {
    let (event_loop, log) = (EventLoop::new(), Log::new());
    let entries = log.clone();
    let task = event_loop.spawn(async { 20 }).done(move |n| entries.add(n));
    let (copy, next) = (task.clone(), task.clone().then(|n| Ok(n + 1)));
    let entries = log.clone();
    event_loop.spawn(async move { entries.add(copy.await.unwrap()) });
    event_loop.run_until_idle();
    let (counting, waker) = CountingWaker::new();
    let (mut task, mut next) = (task, next);
    assert!(matches!(poll(&mut task, &waker), Poll::Ready(Ok(20))));
    assert!(matches!(poll(&mut next, &waker), Poll::Ready(Ok(21))));
    assert_eq!((log.text().as_str(), counting.wakes()), ("20 20", 0));
}

/// A task that returns a `Result` is flattened into a promise of the value.
#[test]
fn a_task_that_fails() {
    let event_loop = EventLoop::new();
    let task = event_loop.spawn(async { Err::<u32, String>("no".to_owned()) });
    assert_eq!(event_loop.run_until_complete(task.flatten()).unwrap_err(), "no");
    let task = event_loop.spawn(async { std::future::ready(Ok::<u32, String>(1)).await }).flatten();
    task.cancel();
    assert!(event_loop.run_until_complete(task).unwrap_err().contains("canceled"));
}

/// G12, H1: tasks await promises that callbacks, other tasks and timers settle, in any order.
#[test]
fn tasks_wait_for_each_other() {
    let event_loop = EventLoop::with_virtual_clock();
    let sum = Rc::new(Cell::new(0));
    let (deferreds, promises): (Vec<_>, Vec<_>) = (0..100).map(|_| Deferred::<u32>::new()).unzip();
    for promise in promises {
        let sum = sum.clone();
        event_loop.spawn(async move {
            let value = promise.await.unwrap();
            sum.set(sum.get() + value);
        });
    }
    for (n, deferred) in deferreds.into_iter().enumerate().rev() {
        event_loop.spawn(async move {
            current().sleep(Duration::from_millis(n as u64 % 7)).await.unwrap();
            deferred.resolve(1);
        });
    }
    event_loop.run_until_idle();
    assert_eq!(sum.get(), 100);
}
