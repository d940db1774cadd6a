//! Spawned futures: conformance rows K1 to K10, trap 22.

use std::future::pending;
use std::sync::{Arc, Mutex};

use super::*;

#[test]
fn tasks_are_first_polled_in_the_next_turn_in_spawn_order() {
    let l = Loop::new();
    let log = Log::new();
    for n in 0..5 {
        let (logs, local) = (log.clone(), Rc::clone(&l));
        spawn(&l, async move {
            logs.add(n);
            let inner = logs.clone();
            spawn(&local, async move { inner.add(n + 20) });
            logs.add(n + 10);
            yield_now().await;
            logs.add(n + 30);
        });
    }
    assert_eq!(log.take(), []);
    l.run_until_idle();
    let expected = [0, 10, 1, 11, 2, 12, 3, 13, 4, 14, 20, 30, 21, 31, 22, 32, 23, 33, 24, 34];
    assert_eq!(log.take(), expected);
    assert_eq!(l.owns(), [0; 4]);
}

#[test]
fn a_panicking_task_hurts_nobody_and_is_dropped() {
    let l = Loop::new();
    let log = Log::<&str>::new();
    let dropped = OnDrop(log.clone().once("dropped"));
    spawn(&l, async move {
        let _dropped = dropped;
        panic!("a test's panic in a task");
    });
    let logs = log.clone();
    spawn(&l, async move { logs.add("ran") });
    l.run_until_idle();
    assert_eq!(log.take(), ["dropped", "ran"]);
    assert_eq!(l.owns(), [0; 4]);
}

#[test]
fn destructors_that_panic_are_contained() {
    let l = Loop::new();
    let log = Log::new();
    let bomb = || OnDrop(|| panic!("a test's panic in a destructor"));
    let [finishes, canceled, closed, called] = [bomb(), bomb(), bomb(), bomb()];
    spawn(
        &l,
        poll_fn(move |_| {
            let _bomb = &finishes;
            Poll::Ready(())
        }),
    );
    let key = spawn(&l, async move {
        let _bomb = canceled;
        pending().await
    });
    spawn(&l, async move {
        let _bomb = closed;
        pending().await
    });
    let call = soon(&l, move || drop(called));
    l.cancel_call(call);
    soon(&l, log.adds(1));
    l.run_until_idle();
    l.cancel_task(key);
    l.close();
    assert_eq!(log.take(), [1]);
    assert_eq!(l.owns(), [0; 4]);
}

#[test]
fn a_wake_during_the_poll_is_one_more_poll() {
    let l = Loop::new();
    let polls = Rc::new(Cell::new(0));
    let counter = polls.clone();
    spawn(
        &l,
        poll_fn(move |cx| {
            counter.set(counter.get() + 1);
            if counter.get() == 1 {
                cx.waker().wake_by_ref();
                cx.waker().wake_by_ref();
            }
            Poll::Pending
        }),
    );
    l.run_until_idle();
    assert_eq!(polls.get(), 2);
}

#[test]
fn a_thousand_wakes_of_eight_threads_during_the_poll_are_one_more_poll() {
    watchdog(|| {
        let l = Loop::new();
        let polls = Rc::new(Cell::new(0));
        let counter = polls.clone();
        spawn(
            &l,
            poll_fn(move |cx| {
                counter.set(counter.get() + 1);
                if counter.get() == 1 {
                    let waker = cx.waker();
                    thread::scope(|scope| {
                        for _ in 0..8 {
                            scope.spawn(|| (0..1000).for_each(|_| waker.wake_by_ref()));
                        }
                    });
                }
                Poll::Pending
            }),
        );
        l.run_until_idle();
        assert_eq!(polls.get(), 2);
    });
}

#[test]
fn a_waker_outlives_completion_cancellation_and_the_loop_without_effect() {
    let l = Loop::new();
    let remote = l.remote().clone();
    let wakers = Arc::new(Mutex::new(Vec::<Waker>::new()));
    let polls = Rc::new(Cell::new(0));
    let task = |pends: bool| {
        let (wakers, polls) = (wakers.clone(), polls.clone());
        poll_fn(move |cx| {
            wakers.lock().unwrap().push(cx.waker().clone());
            polls.set(polls.get() + 1);
            if pends { Poll::Pending } else { Poll::Ready(()) }
        })
    };
    spawn(&l, task(false));
    let canceled = spawn(&l, task(true));
    spawn(&l, task(true));
    l.run_until_idle();
    assert_eq!(polls.get(), 3);
    l.cancel_task(canceled);
    let completed_and_canceled = wakers.lock().unwrap()[..2].to_vec();
    completed_and_canceled.iter().for_each(Waker::wake_by_ref);
    l.run_until_idle();
    assert_eq!(polls.get(), 3);
    drop(l);
    let all = std::mem::take(&mut *wakers.lock().unwrap());
    thread::spawn(move || all.into_iter().for_each(Waker::wake)).join().unwrap();
    drop(completed_and_canceled);
    assert_eq!(polls.get(), 3);
    // Each token that is left holds the loop's remote side.
    assert_eq!(Arc::strong_count(&remote), 1);
}

#[test]
fn nothing_is_left_of_finished_and_canceled_tasks() {
    let l = Loop::new();
    let base = Arc::strong_count(l.remote());
    let mut keys = Vec::new();
    for _ in 0..100 {
        spawn(&l, yield_now());
        keys.push(spawn(&l, pending()));
        keys.push(spawn(&l, async { yield_now().await }));
    }
    // Some before their first poll, some after.
    keys.drain(..50).for_each(|key| l.cancel_task(key));
    l.run_until_idle();
    keys.into_iter().for_each(|key| l.cancel_task(key));
    l.run_until_idle();
    assert_eq!(l.owns(), [0; 4]);
    assert_eq!(Arc::strong_count(l.remote()), base);
}

#[test]
fn a_task_that_nobody_can_wake_still_holds_what_it_holds() {
    let l = Loop::new();
    let log = Log::<&str>::new();
    let held = OnDrop(log.clone().once("dropped"));
    spawn(&l, async move {
        let _held = held;
        pending().await
    });
    l.run_until_idle();
    assert_eq!(log.take(), [""; 0]);
    l.close();
    assert_eq!(log.take(), ["dropped"]);
}

#[test]
fn a_task_canceled_in_its_own_poll_is_dropped_right_after_it() {
    let l = Loop::new();
    let log = Log::<&str>::new();
    let key = Rc::new(Cell::new(Key::DANGLING));
    let dropped = OnDrop(log.clone().once("dropped"));
    let (local, logs, own) = (Rc::clone(&l), log.clone(), key.clone());
    key.set(spawn(
        &l,
        poll_fn(move |cx| {
            let _dropped = &dropped;
            cx.waker().wake_by_ref();
            local.cancel_task(own.get());
            cx.waker().wake_by_ref();
            // A newcomer in its slot is not mistaken for it.
            spawn(&local, pending());
            logs.add("polled");
            Poll::Pending
        }),
    ));
    soon(&l, log.adds("next"));
    l.run_until_idle();
    assert_eq!(log.take(), ["polled", "dropped", "next"]);
    assert_eq!(l.owns(), [1, 0, 0, 0]);
}

#[test]
fn a_destructor_may_use_the_loop_when_its_task_or_call_is_done_or_canceled() {
    fn uses(local: &Rc<Local>, log: &Log) -> OnDrop<impl FnMut() + use<>> {
        let (local, log) = (Rc::clone(local), log.clone());
        OnDrop(move || {
            let logs = log.clone();
            spawn(&local, async move { logs.add(1) });
            soon(&local, log.adds(2));
            at(&local, Some(local.remote().now()), log.adds(3));
            let [task, call] = [spawn(&local, async {}), soon(&local, || {})];
            local.cancel_task(task);
            local.cancel_call(call);
        })
    }
    let l = Loop::new();
    let log = Log::new();
    let (done, canceled) = (uses(&l, &log), uses(&l, &log));
    spawn(&l, async move { drop(done) });
    let key = spawn(&l, async move {
        let _canceled = canceled;
        pending().await
    });
    l.run_until_idle();
    assert_eq!(log.take(), [1, 2, 3]);
    l.cancel_task(key);
    l.run_until_idle();
    assert_eq!(log.take(), [1, 2, 3]);
    for deadline in [None, l.after(1)] {
        let held = uses(&l, &log);
        let key = at(&l, deadline, move || drop(held));
        l.cancel_call(key);
        l.run_until_idle();
        assert_eq!(log.take(), [1, 2, 3]);
    }
    let held = uses(&l, &log);
    spawn(
        &l,
        poll_fn(move |_| {
            let _held = &held;
            Poll::Ready(())
        }),
    );
    l.run_until_idle();
    assert_eq!(log.take(), [1, 2, 3]);
    assert_eq!(l.owns(), [0; 4]);
}

#[test]
fn a_cancellation_from_another_thread_during_the_poll_drops_on_the_loops_thread() {
    watchdog(|| {
        let l = Loop::new();
        let log = Log::<&str>::new();
        let key = Rc::new(Cell::new(Key::DANGLING));
        let here = thread::current().id();
        let logs = log.clone();
        let dropped = OnDrop(move || {
            assert_eq!(thread::current().id(), here);
            logs.add("dropped");
        });
        let (remote, own, logs) = (l.remote().clone(), key.clone(), log.clone());
        key.set(spawn(
            &l,
            poll_fn(move |cx| {
                let _dropped = &dropped;
                logs.add("polled");
                let (remote, key, waker) = (remote.clone(), own.get(), cx.waker().clone());
                thread::spawn(move || {
                    op(&remote, move |local| local.cancel_task(key));
                    waker.wake();
                })
                .join()
                .unwrap();
                Poll::Pending
            }),
        ));
        l.run_until_idle();
        assert_eq!(log.take(), ["polled", "dropped"]);
    });
}
