//! The loop itself: the order of what is scheduled, how runs begin and end, and its clocks.

use crate::util::{Count, Log, OnDrop, panic_of, watchdog};
use deferral::{Deferred, EventLoop, State, current, sleep, spawn, when};
use std::cell::{Cell, RefCell};
use std::future::pending;
use std::rc::Rc;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

/// L1, G11: while the loop stands, calls and tasks of the loop and of its handle share one queue, first in, first out.
#[test]
fn one_order_while_the_loop_stands() {
    let log = Log::new();
    let event_loop = EventLoop::new();
    let handle = event_loop.handle();
    for n in 0..3 {
        event_loop.call_soon(log.entry(format!("call{n}")));
        handle.call_soon(log.entry(format!("sent{n}")));
        let entry = log.entry(format!("task{n}"));
        event_loop.spawn(async move { entry() });
        let entry = log.entry(format!("afar{n}"));
        handle.spawn(async move { entry() });
    }
    event_loop.run_until_idle();
    assert_eq!(log.text(), "call0 sent0 task0 afar0 call1 sent1 task1 afar1 call2 sent2 task2 afar2");
}

/// L1, G11: the same holds inside the loop, where the handle is on its own thread.
#[test]
fn one_order_while_the_loop_runs() {
    let log = Log::new();
    let event_loop = EventLoop::new();
    let (handle, entries) = (event_loop.handle(), log.clone());
    event_loop.call_soon(move || {
        for n in 0..3 {
            handle.call_soon(entries.entry(format!("sent{n}")));
            let entry = entries.entry(format!("task{n}"));
            spawn(async move { entry() });
            current().call_soon(entries.entry(format!("call{n}")));
            let entry = entries.entry(format!("afar{n}"));
            handle.spawn(async move { entry() });
        }
    });
    event_loop.run_until_idle();
    assert_eq!(log.text(), "sent0 task0 call0 afar0 sent1 task1 call1 afar1 sent2 task2 call2 afar2");
}

/// L1, G11: the calls of each of four threads run once and in its order.
#[test]
fn each_thread_keeps_its_order() {
    const CALLS: usize = 2_000;
    watchdog(|| {
        let event_loop = EventLoop::new();
        let seen: Vec<_> = (0..4).map(|_| Count::new()).collect();
        let threads = seen.iter().map(|seen| {
            let (handle, seen) = (event_loop.handle(), seen.clone());
            thread::spawn(move || {
                let check = |n| {
                    let seen = seen.clone();
                    move || {
                        assert_eq!(seen.get(), n);
                        seen.add();
                    }
                };
                let calls: Vec<_> = (0..CALLS).map(|n| handle.call_soon(check(n))).collect();
                calls.into_iter().for_each(|call| call.wait().unwrap());
            })
        });
        let threads: Vec<_> = threads.collect();
        let handle = event_loop.handle();
        let joiner = thread::spawn(move || {
            let joined = threads.into_iter().all(|thread| thread.join().is_ok());
            handle.stop();
            joined
        });
        event_loop.run_forever();
        assert!(joiner.join().unwrap());
        assert!(seen.iter().all(|seen| seen.get() == CALLS));
    });
}

/// L2, L7, G11: what a turn schedules runs in the next one, and due timers come after the calls of their turn.
#[test]
fn a_turn_leaves_what_it_schedules_to_the_next() {
    let log = Log::new();
    let event_loop = EventLoop::with_virtual_clock();
    let entries = log.clone();
    event_loop.call_later(Duration::ZERO, log.entry("timer"));
    event_loop.call_soon(move || {
        entries.add("first");
        current().call_later(Duration::ZERO, entries.entry("next-timer"));
        current().call_soon(entries.entry("next"));
    });
    event_loop.call_soon(log.entry("second"));
    event_loop.run_until_idle();
    assert_eq!(log.text(), "first second timer next next-timer");
}

/// L3, G11: a call that schedules itself for ever starves neither timers nor other threads.
#[test]
fn nothing_starves() {
    fn again(left: Count) {
        if left.get() < 2 {
            current().call_soon(move || again(left));
        } else {
            current().stop();
        }
    }
    watchdog(|| {
        let (event_loop, left) = (EventLoop::new(), Count::new());
        let (by_timer, by_thread) = (left.clone(), left.clone());
        event_loop.call_later(Duration::from_millis(1), move || by_timer.add());
        let handle = event_loop.handle();
        let thread = thread::spawn(move || handle.call_soon(move || by_thread.add()).wait());
        event_loop.call_soon(move || again(left));
        event_loop.run_forever();
        thread.join().unwrap().unwrap();
    });
}

/// L11: a future that is ready at its first poll runs no turn; one that waits runs those it needs.
#[test]
fn a_ready_future_runs_no_turn() {
    let event_loop = EventLoop::new();
    let call = event_loop.call_soon(|| 1);
    assert_eq!(event_loop.run_until_complete(async { 2 }), 2);
    assert_eq!(call.state(), State::Pending);
    assert_eq!(event_loop.run_until_complete(call).unwrap(), 1);
}

/// The future of `run_until_complete` may borrow, is dropped inside the loop, and may await promises of either flavor.
#[test]
fn the_main_future_borrows() {
    let event_loop = EventLoop::with_virtual_clock();
    let (mut sum, dropped_inside) = (0, Cell::new(false));
    event_loop.run_until_complete(async {
        // `current` panics outside of a loop.
        let _guard = OnDrop::new(|| dropped_inside.set(current().now() == event_loop.handle().now()));
        let (deferred, promise) = Deferred::<u32>::new();
        event_loop.call_later(SECOND, move || deferred.resolve(3));
        sum += promise.await.unwrap();
        sum += spawn(async { 4 }).await.unwrap();
    });
    assert_eq!(sum, 7);
    assert!(dropped_inside.get());
}

/// L12: tasks that a run leaves unfinished go on in the next one.
#[test]
fn a_later_run_finishes_what_is_left() {
    let event_loop = EventLoop::with_virtual_clock();
    let slow = event_loop.spawn(async { sleep(10 * SECOND).await.map(|()| "slow") });
    event_loop.run_until_complete(async { sleep(SECOND).await }).unwrap();
    assert_eq!(slow.state(), State::Pending);
    assert_eq!(event_loop.run_until_complete(slow).unwrap().unwrap(), "slow");
}

/// L20: there is nothing to wait for in an empty loop, as often as one asks.
#[test]
fn an_idle_loop_returns() {
    for event_loop in [EventLoop::new(), EventLoop::with_virtual_clock()] {
        let began = event_loop.handle().now();
        event_loop.run_until_idle();
        event_loop.run_until_idle();
        event_loop.spawn(pending::<()>());
        event_loop.run_until_idle();
        assert!(event_loop.handle().now() >= began);
    }
}

/// L20: on a real clock `run_until_idle` does not wait for a timer.
#[test]
fn idle_does_not_wait_on_a_real_clock() {
    let event_loop = EventLoop::new();
    let timer = event_loop.call_later(Duration::from_secs(3600), || ());
    event_loop.run_until_idle();
    assert_eq!(timer.state(), State::Pending);
}

/// M11: a virtual clock jumps to the next timer and stands still otherwise.
#[test]
fn a_virtual_clock_jumps() {
    let event_loop = EventLoop::with_virtual_clock();
    let handle = event_loop.handle();
    let began = handle.now();
    let times = Rc::new(RefCell::new(Vec::new()));
    for seconds in [3600, 1, 60] {
        let (times, handle) = (times.clone(), handle.clone());
        event_loop.call_later(seconds * SECOND, move || times.borrow_mut().push((handle.now() - began).as_secs()));
    }
    event_loop.run_until_idle();
    assert_eq!(*times.borrow(), [1, 60, 3600]);
    event_loop.run_until_idle();
    assert_eq!(handle.now() - began, 3600 * SECOND);
}

/// B7: a virtual clock that has no timer to jump to says so instead of hanging, and the loop stays usable.
#[test]
fn a_virtual_deadlock_panics() {
    let event_loop = EventLoop::with_virtual_clock();
    let text = panic_of(|| event_loop.run_until_complete(pending::<()>()));
    assert!(text.contains("virtual clock has no timer left"), "{text}");
    // A timer that never fires is none that is left.
    let text = panic_of(|| event_loop.run_until_complete(async { sleep(Duration::MAX).await }));
    assert!(text.contains("virtual clock has no timer left"), "{text}");
    assert_eq!(event_loop.run_until_complete(async { sleep(SECOND).await.map(|()| 1) }).unwrap(), 1);
}

/// L15, trap 19: after a panic of the main future the loop runs as before: not stopped early, not refused as nested.
#[test]
fn a_panicking_main_future_leaves_the_loop_usable() {
    let event_loop = EventLoop::with_virtual_clock();
    let began = event_loop.handle().now();
    let task = event_loop.spawn(async { sleep(SECOND).await });
    let text = panic_of(|| event_loop.run_until_complete(async { panic!("main") }));
    assert_eq!(text, "main");
    let text = panic_of(|| {
        event_loop.run_until_complete(async {
            sleep(SECOND / 2).await.unwrap();
            panic!("later");
        })
    });
    assert_eq!(text, "later");
    event_loop.run_until_complete(async { sleep(5 * SECOND).await }).unwrap();
    assert_eq!(event_loop.handle().now() - began, SECOND / 2 + 5 * SECOND);
    assert_eq!(task.state(), State::Resolved);
}

/// L14: a stop before the run lets it run one turn; two stops count once.
#[test]
fn a_stop_beforehand_runs_one_turn() {
    watchdog(|| {
        let log = Log::new();
        let event_loop = EventLoop::new();
        let entries = log.clone();
        event_loop.call_soon(move || {
            entries.add("one");
            let entries = entries.clone();
            current().call_soon(move || {
                entries.add("two");
                current().call_soon(move || {
                    entries.add("three");
                    current().stop();
                });
            });
        });
        event_loop.handle().stop();
        event_loop.handle().stop();
        event_loop.run_forever();
        assert_eq!(log.text(), "one");
        // No second stop is left over: this run goes on until the third turn's.
        event_loop.run_forever();
        assert_eq!(log.text(), "one two three");
    });
}

/// L13, trap 19: a stop in a turn lets the rest of that turn run; what the turn schedules waits for the next run.
#[test]
fn a_stop_ends_after_its_turn() {
    watchdog(|| {
        let log = Log::new();
        let event_loop = EventLoop::new();
        let entries = log.clone();
        event_loop.call_soon(move || {
            current().stop();
            current().stop();
            current().call_soon(entries.entry("later"));
        });
        event_loop.call_soon(log.entry("same"));
        event_loop.run_forever();
        assert_eq!(log.text(), "same");
        event_loop.run_until_idle();
        assert_eq!(log.text(), "same later");
    });
}

/// L12, L14: a stop is for `run_forever` alone: other runs neither obey nor consume it.
#[test]
fn other_runs_leave_a_stop_alone() {
    watchdog(|| {
        let event_loop = EventLoop::with_virtual_clock();
        event_loop.handle().stop();
        event_loop.run_until_complete(async { sleep(SECOND).await }).unwrap();
        event_loop.call_later(SECOND, || ());
        event_loop.run_until_idle();
        // It would sleep for ever, had the stop been used up.
        event_loop.run_forever();
    });
}

/// L13, H1: a stop from another thread reaches a loop that sleeps or is about to.
#[test]
fn a_stop_from_another_thread() {
    watchdog(|| {
        let event_loop = EventLoop::new();
        let (ask, asked) = mpsc::channel();
        let handle = event_loop.handle();
        let thread = thread::spawn(move || asked.into_iter().for_each(|()| handle.stop()));
        for _ in 0..5_000 {
            ask.send(()).unwrap();
            event_loop.run_forever();
        }
        drop(ask);
        thread.join().unwrap();
    });
}

/// G2: a stop ends no task: they wait for the next run.
#[test]
fn a_stop_ends_no_task() {
    watchdog(|| {
        let event_loop = EventLoop::with_virtual_clock();
        let tasks = [1, 2].map(|n| event_loop.spawn(async move { sleep(n * SECOND).await.map(|()| n) }));
        event_loop.handle().stop();
        event_loop.run_forever();
        assert!(tasks.iter().all(|task| task.state() == State::Pending));
        let all = event_loop.run_until_complete(when(tasks)).unwrap();
        assert_eq!(all.into_iter().map(Result::unwrap).sum::<u32>(), 3);
    });
}

/// G11, G5: a run inside a deep nest of callbacks works: it has a trampoline of its own, and the nest's own work is done first.
#[test]
fn a_run_inside_a_deep_nest_of_callbacks() {
    fn nest(depth: u32, log: Log) {
        let (deferred, promise) = Deferred::<u32>::new();
        let entries = log.clone();
        promise.done(move |_| if depth > 0 { nest(depth - 1, entries) } else { run(entries) });
        deferred.resolve(depth);
    }
    fn run(log: Log) {
        // Too deep to run inline: the outermost frame would do it, had it the time.
        let (deferred, promise) = Deferred::<u32>::new();
        promise.done({
            let log = log.clone();
            move |_| log.add("nest")
        });
        deferred.resolve(0);
        let event_loop = EventLoop::new();
        let task = event_loop.spawn(async { current().call_soon(|| 1).await });
        let chained = task.flatten().then(|n| Ok(n + 1)).done(move |n| log.add(n));
        assert_eq!(event_loop.run_until_complete(chained).unwrap(), 2);
    }
    for depth in [0, 15, 31, 40, 100] {
        let log = Log::new();
        let entries = log.clone();
        watchdog(move || nest(depth, entries));
        assert_eq!(log.text(), "nest 2", "{depth}");
    }
}
