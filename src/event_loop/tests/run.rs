//! The three ways to run a loop, `stop`, and abnormal exits: conformance rows L11 to L16, L20, trap 19.

use std::future::{pending, ready};

use super::*;

#[test]
fn a_future_that_is_ready_at_once_runs_no_turn() {
    let l = Loop::new();
    let log = Log::new();
    soon(&l, log.adds(1));
    assert_eq!(l.run_until_complete(ready(7)), 7);
    assert_eq!(log.take(), []);
    l.run_until_complete(yield_now());
    assert_eq!(log.take(), [1]);
}

#[test]
fn a_run_gives_back_what_a_burst_left() {
    let l = Loop::new();
    for _ in 0..10_000 {
        soon(&l, || {});
    }
    assert!(l.ready.borrow().capacity() >= 10_000);
    l.run_until_complete(yield_now());
    assert!(l.ready.borrow().capacity() <= 1024);
}

#[test]
fn the_future_may_borrow_and_is_polled_only_when_woken() {
    let l = Loop::new();
    let (slot, open) = (Rc::new(Cell::new(None::<Waker>)), Rc::new(Cell::new(false)));
    let mut polls = 0;
    for millis in 0..10 {
        at(&l, l.after(millis), || {});
    }
    let (slot_2, open_2) = (slot.clone(), open.clone());
    at(&l, l.after(20), move || {
        open_2.set(true);
        let waker = slot_2.take().unwrap();
        waker.wake_by_ref();
        waker.wake();
    });
    let polls = &mut polls;
    l.run_until_complete(poll_fn(|cx| {
        *polls += 1;
        slot.set(Some(cx.waker().clone()));
        if open.get() { Poll::Ready(()) } else { Poll::Pending }
    }));
    assert_eq!(*polls, 2);
}

#[test]
fn the_woken_main_future_goes_first_in_a_turn() {
    let l = Loop::new();
    let log = Log::new();
    let (local, logs) = (Rc::clone(&l), log.clone());
    l.run_until_complete(async move {
        for n in 0..3 {
            logs.add(n);
            soon(&local, logs.adds(n + 10));
            yield_now().await;
        }
    });
    assert_eq!(log.take(), [0, 10, 1, 11, 2, 12]);
}

#[test]
fn a_nested_run_is_refused_and_the_outer_one_goes_on() {
    let (l, other) = (Loop::new(), Loop::new());
    let log = Log::<String>::new();
    let (local, other, logs) = (Rc::clone(&l), Rc::clone(&other), log.clone());
    soon(&l, move || {
        logs.add(panic_of(|| local.run_until_complete(ready(()), |_| String::new())));
        logs.add(panic_of(|| local.run_forever()));
        logs.add(panic_of(|| other.run_until_idle()));
        assert!(Rc::ptr_eq(&Local::current().unwrap(), &local));
    });
    l.run_until_complete(async {
        yield_now().await;
        yield_now().await;
    });
    let told = log.take();
    assert_eq!(told.len(), 3);
    assert!(told.iter().all(|text| text.contains("await the future inside it, or spawn it")), "{told:?}");
    assert!(Local::current().is_none());
}

#[test]
fn a_panicking_main_future_leaves_the_loop_usable() {
    watchdog(|| {
        let l = Loop::new();
        let log = Log::new();
        soon(&l, log.adds(1));
        let local = Rc::clone(&l);
        let text = panic_of(|| {
            l.run_until_complete(async {
                soon(&local, log.adds(2));
                yield_now().await;
                soon(&local, log.adds(3));
                panic!("a test's panic in a main future");
            })
        });
        assert_eq!(text, "a test's panic in a main future");
        assert!(Local::current().is_none());
        assert_eq!(log.take(), [1, 2]);
        let (slot, open) = (Rc::default(), Rc::new(Cell::new(true)));
        let gate = gate(&slot, &open);
        let slot = slot.clone();
        at(&l, l.after(10), move || slot.take().unwrap().wake());
        open.set(false);
        let (opens, later) = (open.clone(), l.after(5));
        at(&l, later, move || opens.set(true));
        l.run_until_complete(gate);
        assert_eq!(log.take(), [3]);
        let remote = l.remote().clone();
        at(&l, l.after(10), move || remote.stop());
        l.run_forever();
    });
}

#[test]
fn the_main_future_is_dropped_inside_the_loop() {
    let l = Loop::new();
    let seen = Cell::new(false);
    let inside = OnDrop(|| seen.set(Local::current().is_some()));
    let _ = panic_of(|| {
        l.run_until_complete(async {
            let _inside = inside;
            panic!("a test's panic in a main future");
        })
    });
    assert!(seen.get());
}

#[test]
fn a_stop_beforehand_lets_run_forever_run_one_turn() {
    let l = Loop::new();
    let log = Log::new();
    let (local, logs) = (Rc::clone(&l), log.clone());
    soon(&l, move || {
        soon(&local, logs.adds(2));
        logs.add(1);
    });
    l.remote().stop();
    l.remote().stop();
    l.run_forever();
    assert_eq!(log.take(), [1]);
    // Two count once: this run ends by its own stop.
    let remote = l.remote().clone();
    at(&l, l.after(10), move || remote.stop());
    l.run_forever();
    assert_eq!(log.take(), [2]);
    assert_eq!(l.owns(), [0; 4]);
}

#[test]
fn a_stop_in_a_turn_lets_the_rest_of_the_turn_run() {
    let l = Loop::new();
    let log = Log::new();
    let (local, logs, remote) = (Rc::clone(&l), log.clone(), l.remote().clone());
    soon(&l, move || {
        remote.stop();
        soon(&local, logs.adds(3));
    });
    let (local, logs) = (Rc::clone(&l), log.clone());
    soon(&l, move || {
        logs.add(1);
        soon(&local, logs.adds(4));
    });
    soon(&l, log.adds(2));
    l.run_forever();
    assert_eq!(log.take(), [1, 2]);
    l.run_until_idle();
    assert_eq!(log.take(), [3, 4]);
}

#[test]
fn the_other_runs_neither_obey_nor_consume_a_stop() {
    let l = Loop::new();
    let log = Log::new();
    l.remote().stop();
    soon(&l, log.adds(1));
    let (slot, open) = (Rc::default(), Rc::new(Cell::new(false)));
    let (gate, slot) = (gate(&slot, &open), slot.clone());
    at(&l, l.after(10), move || {
        open.set(true);
        slot.take().unwrap().wake();
    });
    l.run_until_complete(gate);
    assert_eq!(log.take(), [1]);
    at(&l, l.after(10), log.adds(2));
    l.run_until_idle();
    assert_eq!(log.take(), [2]);
    at(&l, l.after(10), log.adds(3));
    watchdog_stop(&l, || l.run_forever());
    assert_eq!(log.take(), []);
}

/// Fails, rather than hangs, a `run_forever` that should have been stopped already.
fn watchdog_stop(l: &Loop, run: impl FnOnce()) {
    let (remote, failed) = (l.remote().clone(), Rc::new(Cell::new(false)));
    let fails = failed.clone();
    at(l, l.after(1_000_000), move || {
        fails.set(true);
        remote.stop();
    });
    run();
    assert!(!failed.get(), "run_forever was not stopped");
}

#[test]
fn a_virtual_clock_that_cannot_help_panics() {
    watchdog(|| {
        let l = Loop::new();
        let log = Log::new();
        at(&l, l.after(10), log.adds(1));
        let text = panic_of(|| l.run_until_complete(pending::<()>()));
        assert!(text.contains("virtual clock") && text.contains("real clock"), "{text}");
        assert_eq!(log.take(), [1]);
        assert_eq!(l.run_until_complete(ready(1)), 1);
    });
}

#[test]
fn run_until_idle_fires_what_is_due_and_does_not_wait_on_a_real_clock() {
    watchdog(|| {
        let l = Loop::real();
        l.run_until_idle();
        let log = Log::new();
        let (local, logs) = (Rc::clone(&l), log.clone());
        at(&l, l.after(0), move || {
            logs.add(1);
            at(&local, Some(local.remote().now()), logs.adds(2));
        });
        at(&l, l.after(3_600_000), log.adds(3));
        l.run_until_idle();
        assert_eq!(log.take(), [1, 2]);
        assert_eq!(l.owns(), [0, 1, 1, 0]);
    });
}

#[test]
fn a_real_timer_is_never_early() {
    watchdog(|| {
        let l = Loop::real();
        for micros in [0, 1, 50, 700, 3000] {
            let deadline = Instant::now() + Duration::from_micros(micros);
            let remote = l.remote().clone();
            at(&l, Some(deadline), move || remote.stop());
            l.run_forever();
            assert!(Instant::now() >= deadline);
        }
    });
}

#[test]
fn a_virtual_clock_does_not_go_back() {
    let l = Loop::new();
    let (start, past) = (l.remote().now(), l.remote().now().checked_sub(Duration::from_secs(1)));
    at(&l, past, || {});
    at(&l, l.after(10), || {});
    l.run_until_idle();
    let local = Rc::clone(&l);
    soon(&l, move || {
        at(&local, past, || {});
    });
    l.run_until_idle();
    assert_eq!(l.remote().now() - start, Duration::from_millis(10));
}
