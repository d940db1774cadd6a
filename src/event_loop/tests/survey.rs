//! What a loop tells of itself: conformance row K12.

use std::future::pending;

use super::*;
use crate::event_loop::Status;
use crate::event_loop::status::Wait;

const SECOND: Duration = Duration::from_secs(1);

/// Since when each task is doing what it does, after `start`.
fn times(l: &Loop, start: Instant) -> Vec<Duration> {
    l.survey().tasks.iter().map(|task| task.since - start).collect()
}

/// Lets time pass that the loop does not know of, as on a real clock, and spawns a task; then lets `turns` go by, and does it again.
fn spawn_after_time_has_passed(l: &Loop, turns: u32) {
    let local = Rc::clone(l);
    l.run_until_complete(async move {
        let clock = local.remote().clock();
        clock.advance_to(clock.now() + SECOND);
        spawn(&local, pending());
        for _ in 0..turns {
            yield_now().await;
        }
        spawn(&local, pending());
        yield_now().await;
    });
}

#[test]
fn without_timers_the_clock_is_looked_at_now_and_then() {
    let (l, nothing) = (Loop::new(), Duration::ZERO);
    let start = l.remote().now();
    spawn_after_time_has_passed(&l, 62);
    assert_eq!(times(&l, start), [nothing, nothing]);
    // A run begins with a look, and the 64th turn with the next.
    spawn_after_time_has_passed(&l, 63);
    assert_eq!(times(&l, start), [nothing, nothing, SECOND, 2 * SECOND]);
}

#[test]
fn with_timers_it_is_looked_at_in_every_turn() {
    let l = Loop::new();
    let start = l.remote().now();
    at(&l, l.after(60_000), || {});
    spawn_after_time_has_passed(&l, 1);
    assert_eq!(times(&l, start), [SECOND, SECOND]);
}

#[test]
fn a_sleep_ends_with_a_look() {
    watchdog(|| {
        let l = Loop::real();
        let start = l.remote().now();
        let (remote, local) = (l.remote().clone(), Rc::clone(&l));
        let thread = thread::spawn(move || {
            while !remote.is_asleep() {
                thread::yield_now();
            }
            let woken = Instant::now();
            remote.stop();
            woken
        });
        spawn(&l, pending());
        local.run_forever();
        let woken = thread.join().unwrap();
        let since = |l: &Loop| l.survey().tasks.last().map(|task| start + (task.since - start)).unwrap();
        // The first task has waited since before that sleep, and one that is spawned now is queued since the end of it.
        assert!(since(&l) < woken);
        spawn(&l, pending());
        assert!(since(&l) >= woken);
    });
}

#[test]
fn tasks_are_told_in_the_order_of_spawning() {
    let l = Loop::new();
    let keys: Vec<Key> = (0..6).map(|_| spawn(&l, pending())).collect();
    for key in [keys[4], keys[0], keys[2]] {
        l.cancel_task(key);
    }
    // These take the places of those that went.
    for _ in 0..2 {
        spawn(&l, pending());
    }
    let numbers: Vec<_> = l.survey().tasks.iter().map(|task| task.number).collect();
    assert_eq!(numbers, [1, 3, 5, 6, 7].map(Some));
}

#[test]
fn a_canceled_task_that_is_queued_still_queues_no_newcomer() {
    let l = Loop::new();
    let slot = Rc::default();
    let key = spawn(&l, gate(&slot, &Rc::default()));
    l.run_until_idle();
    l.cancel_task(key);
    spawn(&l, pending());
    l.run_until_idle();
    // The waker of the one whose place the other has taken.
    slot.take().unwrap().wake();
    assert!(l.survey().tasks.iter().all(|task| task.status == Status::Waiting));
}

#[test]
fn while_a_loop_closes_what_is_left_is_told() {
    let l = Loop::new();
    let log = Log::new();
    for _ in 0..3 {
        let (logs, local) = (log.clone(), Rc::downgrade(&l));
        let held = OnDrop(move || {
            let survey = local.upgrade().unwrap().survey();
            logs.add((survey.tasks.len(), survey.calls.len()));
        });
        spawn(&l, async move {
            let _held = held;
            pending().await
        });
    }
    soon(&l, || {});
    l.close();
    assert_eq!(log.take(), [(2, 1), (1, 1), (0, 1)]);
    assert_eq!((l.survey().tasks.len(), l.survey().calls.len()), (0, 0));
}

#[test]
fn a_task_has_little_to_carry() {
    assert!(size_of::<Wait>() <= 24);
}
