//! The loop in another loop: what a turn does and what it says.

use crate::util::{Log, watchdog};
use deferral::{Deferred, EventLoop, State, Turn, current, local, sleep, spawn};
use std::future::{pending, poll_fn};
use std::rc::Rc;
use std::task::Poll;
use std::thread;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

/// What a turn says of the next.
fn next(turn: Turn) -> (bool, Option<Duration>) {
    (turn.ready, turn.timer)
}

/// G11: a turn runs what was ready when it began, counts it, and says that there is more.
#[test]
fn a_turn_runs_what_was_ready_when_it_began() {
    let (event_loop, log) = (EventLoop::with_virtual_clock(), Log::new());
    let entries = log.clone();
    event_loop.call_soon(move || {
        entries.add("call");
        current().call_soon(entries.entry("next-call"));
        let entry = entries.entry("next-task");
        spawn(async move { entry() });
        current().call_later(Duration::ZERO, entries.entry("next-timer"));
    });
    let entry = log.entry("task");
    event_loop.spawn(async move { entry() });
    event_loop.handle().call_soon(log.entry("sent"));
    event_loop.call_later(Duration::ZERO, log.entry("timer"));
    let turn = event_loop.turn();
    assert_eq!((log.text().as_str(), turn.ran), ("call task sent timer", 4));
    assert_eq!((turn.ready, turn.timer, turn.nested), (true, Some(Duration::ZERO), false));
    assert_eq!(turn.timeout(), Some(Duration::ZERO));
    let turn = event_loop.turn();
    assert_eq!((log.text().as_str(), turn.ran), ("call task sent timer next-call next-task next-timer", 3));
    assert_eq!((next(turn), turn.timeout()), ((false, None), None));
    assert_eq!(event_loop.turn().ran, 0);
}

/// G11: what was canceled is not counted; a task counts once per poll.
#[test]
fn a_turn_counts_what_ran() {
    let event_loop = EventLoop::new();
    let canceled = (event_loop.call_soon(|| ()), event_loop.spawn(pending::<()>()));
    let mut polls = 0;
    let task = event_loop.spawn(poll_fn(move |cx| {
        polls += 1;
        cx.waker().wake_by_ref();
        if polls == 3 { Poll::Ready(()) } else { Poll::Pending }
    }));
    assert!(canceled.0.cancel() && canceled.1.cancel());
    let turns = [0; 4].map(|_| event_loop.turn());
    assert_eq!(turns.map(|turn| turn.ran), [1, 1, 1, 0]);
    assert_eq!(turns.map(|turn| turn.ready), [true, true, false, false]);
    assert_eq!(task.state(), State::Resolved);
}

/// G11: on a real clock a turn neither waits nor fires early; the time until the next timer is no more than that.
#[test]
fn a_turn_does_not_wait() {
    watchdog(|| {
        let event_loop = EventLoop::new();
        let hour = 3600 * SECOND;
        let timer = event_loop.call_later(hour, || ());
        event_loop.call_later(Duration::MAX, || ());
        let turn = event_loop.turn();
        assert_eq!((turn.ran, turn.ready), (0, false));
        assert!(turn.timer.is_some_and(|left| left <= hour) && turn.timeout() == turn.timer);
        timer.cancel();
        assert_eq!(next(event_loop.turn()), (false, None));
        event_loop.call_at(event_loop.handle().now(), || ());
        assert_eq!(event_loop.turn().ran, 1);
    });
}

/// M11: on a virtual clock a turn that finds nothing ready jumps to the next timer, and a host never sleeps before the last.
#[test]
fn a_turn_on_a_virtual_clock_jumps() {
    let (event_loop, log) = (EventLoop::with_virtual_clock(), Log::new());
    let began = event_loop.handle().now();
    for seconds in [3, 1, 3] {
        event_loop.call_later(seconds * SECOND, log.entry(seconds));
    }
    event_loop.call_soon(log.entry("now"));
    assert_eq!(next(event_loop.turn()), (true, Some(SECOND)));
    assert_eq!(event_loop.handle().now(), began);
    assert_eq!(next(event_loop.turn()), (true, Some(2 * SECOND)));
    assert_eq!(event_loop.handle().now() - began, SECOND);
    assert_eq!(next(event_loop.turn()), (false, None));
    assert_eq!((log.text().as_str(), event_loop.handle().now() - began), ("now 1 3 3", 3 * SECOND));
}

/// G11: a host that does what the turns say runs everything and makes no turn in vain.
#[test]
fn a_host_on_a_virtual_clock() {
    let event_loop = EventLoop::with_virtual_clock();
    let began = event_loop.handle().now();
    let task = event_loop.spawn(async {
        for _ in 0..10 {
            sleep(60 * SECOND).await.unwrap();
        }
    });
    loop {
        let turn = event_loop.turn();
        assert!(turn.ran > 0);
        match turn.timeout() {
            Some(timeout) => assert_eq!(timeout, Duration::ZERO),
            None => break,
        }
    }
    assert_eq!((task.state(), event_loop.handle().now() - began), (State::Resolved, 600 * SECOND));
}

/// G11, L16: a nested turn does nothing, and says so without making its host spin; the outer one tells what is left to do.
#[test]
fn a_nested_turn_says_later() {
    let (event_loop, log) = (Rc::new(EventLoop::with_virtual_clock()), Log::new());
    let (inner, entries) = (event_loop.clone(), log.clone());
    event_loop.call_soon(move || {
        inner.call_soon(entries.entry("later"));
        inner.call_later(SECOND, entries.entry("timer"));
        for _ in 0..3 {
            let turn = inner.turn();
            assert_eq!((turn.nested, turn.ran, next(turn), turn.timeout()), (true, 0, (false, None), None));
        }
        assert!(EventLoop::new().turn().nested);
        entries.add("dialog");
        let (handle, entry) = (inner.handle(), entries.entry("afar"));
        thread::spawn(move || drop(handle.call_soon(entry))).join().unwrap();
        assert!(inner.turn().nested);
    });
    event_loop.call_soon(log.entry("same"));
    let turn = event_loop.turn();
    assert_eq!((log.text().as_str(), turn.ran, turn.nested), ("dialog same", 2, false));
    assert_eq!(next(turn), (true, Some(SECOND)));
    assert_eq!(event_loop.turn().ran, 2);
    assert_eq!(event_loop.turn().ran, 1);
    assert_eq!(log.text(), "dialog same later afar timer");
}

/// G11: a nested turn does nothing, not even what the thread has queued for itself.
#[test]
fn a_nested_turn_leaves_the_queue_of_callbacks_alone() {
    fn nest(depth: u32, event_loop: Rc<EventLoop>, log: Log) {
        let (deferred, promise) = local::Deferred::<u32>::new();
        promise.done(move |_| match depth {
            0 => dialog(&event_loop, &log),
            depth => nest(depth - 1, event_loop, log),
        });
        deferred.resolve(depth);
    }
    fn dialog(event_loop: &EventLoop, log: &Log) {
        // Too deep to run inline: the outermost frame is going to do it.
        let (deferred, promise) = Deferred::<u32>::new();
        promise.done({
            let log = log.clone();
            move |_| log.add("queued")
        });
        deferred.resolve(0);
        assert_eq!(log.text(), "");
        assert!(event_loop.turn().nested);
        log.add("dialog");
    }
    let (event_loop, log) = (Rc::new(EventLoop::new()), Log::new());
    let (inner, entries) = (event_loop.clone(), log.clone());
    event_loop.call_soon(move || nest(31, inner, entries));
    assert_eq!((event_loop.turn().ran, log.text().as_str()), (1, "dialog queued"));
}

/// G5, G9: a turn inside a callback of a promise has a trampoline of its own, and first runs what the thread has queued for itself.
#[test]
fn a_turn_inside_a_deep_nest_of_callbacks() {
    fn nest(depth: u32, log: Log) {
        let (deferred, promise) = Deferred::<u32>::new();
        let entries = log.clone();
        promise.done(move |_| if depth > 0 { nest(depth - 1, entries) } else { run(entries) });
        deferred.resolve(depth);
    }
    fn run(log: Log) {
        let queue = |text| {
            // Too deep to run inline: the outermost frame would do it, had it the time.
            let (deferred, promise) = Deferred::<u32>::new();
            promise.done({
                let log = log.clone();
                move |_| log.add(text)
            });
            deferred.resolve(0);
        };
        queue("nest");
        let event_loop = EventLoop::new();
        let chained = event_loop.call_soon(|| 1).then(|n| Ok(n + 1)).done({
            let log = log.clone();
            move |n| log.add(n)
        });
        while chained.state() == State::Pending {
            assert_eq!(event_loop.turn().ran, 1);
        }
    }
    for depth in [0, 31, 40, 100] {
        let log = Log::new();
        let entries = log.clone();
        watchdog(move || nest(depth, entries));
        assert_eq!(log.text(), "nest 2", "{depth}");
    }
}

/// G11: a turn ends the panics of what it runs in their promises, and goes on.
#[test]
fn panics_in_a_turn() {
    let event_loop = EventLoop::new();
    let broken = event_loop.call_soon(|| panic!("a call"));
    let task = event_loop.spawn(async { panic!("a task") });
    let last = event_loop.call_soon(|| 1);
    assert_eq!(event_loop.turn().ran, 3);
    assert!([broken.state(), task.state()].iter().all(|state| *state == State::Rejected));
    assert_eq!(last.state(), State::Resolved);
    assert_eq!(event_loop.run_until_complete(async { spawn(async { 1 }).await.unwrap() }), 1);
}
