//! Turns, the ready queue and timers: conformance rows L1 to L10, M6.

use super::*;

#[test]
fn calls_run_once_in_the_order_of_scheduling() {
    let l = Loop::new();
    let log = Log::new();
    for n in 0..100 {
        soon(&l, log.adds(n));
    }
    l.run_until_idle();
    assert_eq!(log.take(), (0..100).collect::<Vec<_>>());
    l.run_until_idle();
    assert_eq!(log.take(), []);
}

#[test]
fn one_order_for_all_that_is_scheduled_while_the_loop_stands() {
    let l = Loop::new();
    let log = Log::new();
    let (slot, open) = (Rc::default(), Rc::default());
    let (gate, woken) = (gate(&slot, &open), log.adds(3));
    spawn(&l, async move {
        gate.await;
        woken();
    });
    l.run_until_idle();
    open.set(true);

    let (first, last) = (log.adds(1), log.adds(5));
    soon(&l, first);
    let (order, ordered) = mpsc::channel();
    op(l.remote(), move |_| order.send(2).unwrap());
    slot.take().unwrap().wake();
    soon(&l, log.adds(4));
    spawn(&l, async move { last() });
    let seen = log.clone();
    // The operation is carried out when it is received, before what runs in this turn.
    l.run_until_idle();
    assert_eq!(ordered.try_recv(), Ok(2));
    assert_eq!(seen.take(), [1, 3, 4, 5]);
}

#[test]
fn an_operation_schedules_at_its_place_in_the_queue() {
    let l = Loop::new();
    let (log, seen) = mpsc::channel();
    let [a, b, c] = [log.clone(), log.clone(), log];
    soon(&l, move || a.send(1).unwrap());
    op(l.remote(), move |local| {
        soon(local, move || b.send(2).unwrap());
    });
    soon(&l, move || c.send(3).unwrap());
    l.run_until_idle();
    assert_eq!(seen.iter().collect::<Vec<_>>(), [1, 2, 3]);
}

#[test]
fn what_was_scheduled_before_a_run_precedes_what_its_future_schedules() {
    let l = Loop::new();
    let log = Log::new();
    let remote = l.remote().clone();
    soon(&l, log.adds(1));
    l.run_until_complete(async {
        assert!(Rc::ptr_eq(&remote.running_here().unwrap(), &l));
        soon(&l, log.adds(2));
        yield_now().await;
    });
    assert!(remote.running_here().is_none());
    assert_eq!(log.take(), [1, 2]);
}

#[test]
fn what_a_turn_schedules_runs_in_the_next_after_timers_were_looked_at() {
    let l = Loop::new();
    let log = Log::new();
    let (local, logs) = (Rc::clone(&l), log.clone());
    soon(&l, move || {
        logs.add(1);
        soon(&local, logs.adds(4));
        at(&local, Some(local.remote().now()), logs.adds(5));
        let (local_2, logs_2) = (Rc::clone(&local), logs.clone());
        spawn(&local, async move {
            logs_2.add(45);
            soon(&local_2, logs_2.adds(6));
        });
    });
    soon(&l, log.adds(2));
    at(&l, Some(l.remote().now()), log.adds(3));
    l.run_until_idle();
    assert_eq!(log.take(), [1, 2, 3, 4, 45, 5, 6]);
}

#[test]
fn a_call_that_reschedules_itself_starves_neither_timers_nor_other_threads() {
    fn again(local: &Rc<Local>, rounds: &Rc<Cell<u32>>) {
        rounds.set(rounds.get() + 1);
        let (local_2, rounds) = (Rc::clone(local), Rc::clone(rounds));
        soon(local, move || again(&local_2, &rounds));
    }
    watchdog(|| {
        let l = Loop::new();
        let (rounds, remote, timer) = (Rc::default(), l.remote().clone(), Rc::new(Cell::new(0)));
        again(&l, &rounds);
        let (rounds_2, timer_2) = (rounds.clone(), timer.clone());
        at(&l, Some(l.remote().now()), move || {
            timer_2.set(rounds_2.get());
            thread::spawn(move || op(&remote, |local| local.remote().stop()));
        });
        l.run_forever();
        assert_eq!(timer.get(), 2);
    });
}

#[test]
fn timers_fire_by_deadline_even_when_it_is_past() {
    let l = Loop::new();
    let log = Log::new();
    for millis in [30, 10, 20, 0] {
        at(&l, l.after(millis), log.adds(millis as u32 + 10));
    }
    let now = l.remote().now();
    at(&l, now.checked_sub(Duration::from_secs(1)), log.adds(2));
    at(&l, now.checked_sub(Duration::from_secs(2)), log.adds(1));
    soon(&l, log.adds(0));
    l.run_until_idle();
    assert_eq!(log.take(), [0, 1, 2, 10, 20, 30, 40]);
    assert_eq!(l.remote().now() - now, Duration::from_millis(30));
}

#[test]
fn a_late_timer_that_is_canceled_holds_up_nobody() {
    let l = Loop::new();
    let log = Log::new();
    let (soon_after, first) = (log.adds(3), log.adds(1));
    let local = Rc::clone(&l);
    at(&l, l.after(5), move || {
        first();
        soon(&local, soon_after);
    });
    let late = l.remote().timer(l.after(10).unwrap(), true);
    let late = l.call_at(Some(late), any_call(Some(log.adds(0))), Location::caller());
    at(&l, l.after(20), log.adds(2));
    // So many that the canceled one may stay for a while.
    (0..4).for_each(|_| _ = at(&l, l.after(1_000), || {}));
    l.cancel_call(late);
    let due = l.after(20).unwrap();
    l.remote().clock().advance_to(due);
    l.run_until_idle();
    assert_eq!(log.take(), [1, 2, 3]);
}

#[test]
fn equal_deadlines_fire_in_the_order_of_their_making_whatever_is_canceled() {
    let l = Loop::new();
    let log = Log::new();
    let deadline = l.after(5);
    let keys: Vec<Key> = (0..1000).map(|n| at(&l, deadline, log.adds(n))).collect();
    for key in keys.iter().step_by(3) {
        l.cancel_call(*key);
        l.cancel_call(*key);
    }
    assert_eq!(l.owns(), [0, 666, 666, 0]);
    l.run_until_idle();
    assert_eq!(log.take(), (0..1000).filter(|n| n % 3 != 0).collect::<Vec<_>>());
}

#[test]
fn canceled_timers_leave_nothing_behind() {
    let l = Loop::new();
    let keep = at(&l, l.after(1_000_000), || {});
    for n in 0..100_000 {
        let key = at(&l, l.after(n), || {});
        l.cancel_call(key);
    }
    assert_eq!(l.owns(), [0, 1, 1, 0]);
    l.cancel_call(keep);
    let before = l.remote().now();
    l.run_until_idle();
    assert_eq!(l.remote().now(), before);
}

#[test]
fn the_first_of_two_due_timers_cancels_the_second() {
    let l = Loop::new();
    let log = Log::<&str>::new();
    let second = Rc::new(Cell::new(Key::DANGLING));
    let (local, logs, key) = (Rc::clone(&l), log.clone(), second.clone());
    at(&l, l.after(1), move || {
        local.cancel_call(key.get());
        logs.add("canceled");
    });
    let dropped = OnDrop(log.clone().once("dropped"));
    let logs = log.clone();
    second.set(at(&l, l.after(1), move || {
        let _dropped = &dropped;
        logs.add("ran");
    }));
    l.run_until_idle();
    assert_eq!(log.take(), ["dropped", "canceled"]);
}

#[test]
fn a_call_cancels_a_later_one_of_the_same_turn() {
    let l = Loop::new();
    let log = Log::new();
    let (local, key) = (Rc::clone(&l), Rc::new(Cell::new(Key::DANGLING)));
    let key_2 = key.clone();
    soon(&l, move || local.cancel_call(key_2.get()));
    key.set(soon(&l, log.adds(1)));
    soon(&l, log.adds(2));
    l.run_until_idle();
    assert_eq!(log.take(), [2]);
}

#[test]
fn a_timer_without_delay_made_in_a_timer_fires_in_the_next_turn() {
    let l = Loop::new();
    let log = Log::new();
    let (local, logs) = (Rc::clone(&l), log.clone());
    at(&l, l.after(1), move || {
        logs.add(1);
        soon(&local, logs.adds(3));
        at(&local, Some(local.remote().now()), logs.adds(4));
    });
    at(&l, l.after(1), log.adds(2));
    l.run_until_idle();
    assert_eq!(log.take(), [1, 2, 3, 4]);
}

#[test]
fn a_call_without_deadline_never_fires_and_is_not_left() {
    let l = Loop::new();
    let log = Log::new();
    let key = at(&l, None, log.adds(1));
    l.run_until_idle();
    assert_eq!(l.owns(), [0, 1, 0, 0]);
    assert!(panic_of(|| l.run_until_complete(std::future::pending::<()>())).contains("no timer left"));
    l.cancel_call(key);
    assert_eq!((l.owns(), log.take()), ([0; 4], vec![]));
}

#[test]
fn the_farthest_deadline_is_within_reach() {
    let l = Loop::new();
    let mut delay = Duration::MAX;
    let deadline = loop {
        match l.remote().now().checked_add(delay) {
            Some(deadline) => break deadline,
            None => delay /= 2,
        }
    };
    let log = Log::new();
    at(&l, Some(deadline), log.adds(1));
    l.run_until_idle();
    assert_eq!((log.take(), l.remote().now()), (vec![1], deadline));
}

#[test]
fn a_panicking_call_does_not_stop_the_loop() {
    let l = Loop::new();
    let log = Log::new();
    soon(&l, || panic!("a test's panic in a call"));
    op(l.remote(), |_| panic!("a test's panic in an operation"));
    soon(&l, log.adds(1));
    at(&l, l.after(1), || panic!("a test's panic in a timer"));
    at(&l, l.after(1), log.adds(2));
    l.run_until_idle();
    assert_eq!(log.take(), [1, 2]);
}
