//! Timers as promises: their order, their cancellation, and the ends of time.

use crate::util::{Count, Log, OnDrop, kind_of};
use deferral::{BrokenKind, EventLoop, State, current, local, sleep, when};
use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

const SECOND: Duration = Duration::from_secs(1);

/// L5, G11: timers fire by deadline, whatever the order of their making.
#[test]
fn timers_fire_by_deadline() {
    let (event_loop, log) = (EventLoop::with_virtual_clock(), Log::new());
    let handle = event_loop.handle();
    event_loop.call_later(3 * SECOND, log.entry(3));
    handle.call_later(SECOND, log.entry(1));
    event_loop.call_at(handle.now() + 2 * SECOND, log.entry(2));
    handle.call_at(handle.now() + 4 * SECOND, log.entry(4));
    let entry = log.entry(0);
    handle.sleep(SECOND / 2).done(move |()| entry());
    event_loop.run_until_idle();
    assert_eq!(log.text(), "0 1 2 3 4");
}

/// L6, L10, trap 18: of 1,000 timers of one instant with every third canceled, the others fire in the order of their making.
#[test]
fn equal_deadlines_keep_the_order_of_their_making() {
    let event_loop = EventLoop::with_virtual_clock();
    let (noon, fired) = (event_loop.handle().now() + SECOND, Rc::new(RefCell::new(Vec::new())));
    let timers: Vec<_> = (0..1_000)
        .map(|n| {
            let fired = fired.clone();
            let call = move || fired.borrow_mut().push(n);
            if n % 2 == 0 { event_loop.call_at(noon, call) } else { event_loop.call_later(SECOND, call) }
        })
        .collect();
    for timer in timers.iter().step_by(3) {
        assert!(timer.cancel());
    }
    event_loop.run_until_idle();
    let expected: Vec<_> = (0..1_000).filter(|n| n % 3 != 0).collect();
    assert_eq!(*fired.borrow(), expected);
}

/// L6, G11: that holds whoever makes them, inside the loop: the loop's own functions, and its handle.
#[test]
fn equal_deadlines_of_a_running_loop_and_its_handle() {
    let (event_loop, log) = (EventLoop::with_virtual_clock(), Log::new());
    let entries = log.clone();
    event_loop.call_soon(move || {
        let handle = current();
        for n in 0..3 {
            handle.call_later(SECOND, entries.entry(format!("handle{n}")));
            let entry = entries.entry(format!("sleep{n}"));
            sleep(SECOND).done(move |()| entry());
            handle.call_at(handle.now() + SECOND, entries.entry(format!("at{n}")));
        }
    });
    event_loop.run_until_idle();
    assert_eq!(log.text(), "handle0 sleep0 at0 handle1 sleep1 at1 handle2 sleep2 at2");
}

/// L6, G11: and also while the loop stands.
#[test]
fn equal_deadlines_of_a_standing_loop_and_its_handle() {
    let (event_loop, log) = (EventLoop::with_virtual_clock(), Log::new());
    let handle = event_loop.handle();
    let noon = handle.now() + SECOND;
    for n in 0..3 {
        handle.call_at(noon, log.entry(format!("handle{n}")));
        event_loop.call_at(noon, log.entry(format!("own{n}")));
    }
    event_loop.run_until_idle();
    assert_eq!(log.text(), "handle0 own0 handle1 own1 handle2 own2");
}

/// L8, trap 18: deadlines in the past run as soon as possible, the older first, and before those of the present.
#[test]
fn past_deadlines_keep_their_order() {
    let (event_loop, log) = (EventLoop::with_virtual_clock(), Log::new());
    // The clock is put an hour ahead, so that there is a past.
    event_loop.call_later(3600 * SECOND, || ());
    event_loop.run_until_idle();
    let now = event_loop.handle().now();
    event_loop.call_at(now, log.entry("now"));
    event_loop.call_at(now - SECOND, log.entry("1s"));
    event_loop.call_at(now - 2 * SECOND, log.entry("2s"));
    event_loop.call_later(Duration::ZERO, log.entry("zero"));
    event_loop.run_until_idle();
    assert_eq!(log.text(), "2s 1s now zero");
    assert_eq!(event_loop.handle().now(), now);
}

/// L9: a timer without delay that a timer makes fires in the next turn.
#[test]
fn a_zero_timer_of_a_timer_waits_a_turn() {
    let (event_loop, log) = (EventLoop::with_virtual_clock(), Log::new());
    let entries = log.clone();
    event_loop.call_later(SECOND, move || {
        entries.add("first");
        current().call_later(Duration::ZERO, entries.entry("next"));
    });
    event_loop.call_later(SECOND, log.entry("second"));
    event_loop.run_until_idle();
    assert_eq!(log.text(), "first second next");
}

/// L4, trap 18: of two due timers the first cancels the second: it does not run, and its closure is dropped at that moment.
#[test]
fn a_timer_canceled_by_an_earlier_one_of_the_same_turn() {
    let (event_loop, log) = (EventLoop::with_virtual_clock(), Log::new());
    let second = Rc::new(RefCell::new(None::<local::Promise<()>>));
    let (taken, entries) = (second.clone(), log.clone());
    event_loop.call_later(SECOND, move || {
        assert!(taken.borrow().as_ref().unwrap().cancel());
        entries.add("canceled");
    });
    let (guard, run, seen) = (OnDrop::new(log.entry("dropped")), log.entry("run"), log.clone());
    let timer = event_loop.call_later(SECOND, move || {
        let _guard = guard;
        run();
    });
    *second.borrow_mut() = Some(timer.fail(move |broken| seen.add(format!("{:?}", broken.kind()))));
    event_loop.run_until_idle();
    assert_eq!(log.text(), "dropped Canceled canceled");
}

/// L10, G8: a canceled timer drops its closure before its observers run, and leaves nothing: no jump of the virtual clock.
#[test]
fn a_canceled_timer_leaves_nothing() {
    let (event_loop, drops) = (EventLoop::with_virtual_clock(), Count::new());
    let began = event_loop.handle().now();
    for n in 0..1_000 {
        let (guard, seen) = (drops.clone(), drops.clone());
        let guard = OnDrop::new(move || guard.add());
        let timer = event_loop.call_later(SECOND * n, move || drop(guard));
        assert!(timer.fail(move |_| assert_eq!(seen.get(), n as usize + 1)).cancel());
    }
    // The same by the handle, and of a sleep.
    let timers = [event_loop.handle().call_later(SECOND, || ()), event_loop.handle().sleep(SECOND)];
    assert!(timers.iter().all(|timer| timer.cancel()));
    event_loop.call_soon(|| assert!(sleep(SECOND).cancel()));
    event_loop.run_until_idle();
    assert_eq!((event_loop.handle().now(), drops.get()), (began, 1_000));
}

/// L10: a canceled timer does not count where the next deadline is looked for, the head included.
#[test]
fn the_clock_jumps_over_canceled_timers() {
    let event_loop = EventLoop::with_virtual_clock();
    let began = event_loop.handle().now();
    let timers: Vec<_> = (1..=10).map(|n| event_loop.call_later(n * SECOND, || ())).collect();
    for n in [0, 1, 2, 9] {
        timers[n].cancel();
    }
    event_loop.run_until_idle();
    assert_eq!(event_loop.handle().now() - began, 9 * SECOND);
}

/// M6: `Duration::MAX` never ends, by whatever way, and is no timer that is left; it can be canceled.
#[test]
fn the_longest_duration_never_ends() {
    let event_loop = EventLoop::with_virtual_clock();
    let (handle, began, log) = (event_loop.handle(), event_loop.handle().now(), Log::new());
    let by_loop = event_loop.call_later(Duration::MAX, log.entry("loop"));
    let by_handle = handle.call_later(Duration::MAX, log.entry("handle"));
    let slept = handle.sleep(Duration::MAX);
    let free = event_loop.call_soon(|| sleep(Duration::MAX)).flatten();
    event_loop.run_until_idle();
    assert_eq!(handle.now(), began);
    assert_eq!(by_loop.state(), State::Pending);
    assert!(by_loop.cancel() && by_handle.cancel() && slept.cancel() && free.cancel());
    assert_eq!(kind_of(event_loop.run_until_complete(slept)), BrokenKind::Canceled);
    assert_eq!(log.text(), "");
}

/// M6: long durations that the clock can tell do fire.
#[test]
fn centuries_pass() {
    let event_loop = EventLoop::with_virtual_clock();
    let year = SECOND * 365 * 24 * 3600;
    let began = event_loop.handle().now();
    event_loop.run_until_complete(event_loop.call_later(500 * year, || ())).unwrap();
    assert_eq!(event_loop.handle().now() - began, 500 * year);
}

/// M10, G11: a timer on the real clock is never early, and short ones keep their order.
#[test]
fn a_real_timer_is_never_early() {
    let event_loop = EventLoop::new();
    let timers = [3, 1, 2].map(|n| {
        let delay = n * Duration::from_millis(1);
        let due = Instant::now() + delay;
        event_loop.call_later(delay, move || Instant::now() >= due)
    });
    let fired = event_loop.run_until_complete(when(timers)).unwrap();
    assert_eq!(fired, [true; 3]);
}

/// The value of a timer is what its closure returns; a sleep gives `()`.
#[test]
fn a_timer_gives_a_value() {
    let event_loop = EventLoop::with_virtual_clock();
    let text = event_loop.call_later(SECOND, || Rc::new("a value that is not Send"));
    let all = when((text, event_loop.call_at(event_loop.handle().now(), || 2)));
    assert_eq!(*event_loop.run_until_complete(all).unwrap().0, "a value that is not Send");
    event_loop.run_until_complete(async { sleep(SECOND).await.unwrap() });
    event_loop.run_until_complete(event_loop.handle().sleep(SECOND)).unwrap();
}
