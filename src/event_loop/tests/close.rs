//! The end of a loop, and destructors that will not have it: conformance rows L17, K7, K8, K11, H8, traps 20 and 21.

use std::future::{pending, ready};
use std::sync::{Arc, Mutex};

use super::*;

/// A pending task that owns `held`.
async fn hold(held: impl Sized + 'static) {
    let _held = held;
    pending().await
}

#[test]
fn all_is_dropped_in_order_and_nothing_runs() {
    let l = Loop::new();
    let log = Log::<&str>::new();
    let on = |what| OnDrop(log.clone().once(what));
    let [call, timer, never, first, second] = [on("call"), on("timer"), on("never"), on("first"), on("second")];
    soon(&l, move || drop_and_panic(call));
    at(&l, l.after(1), move || drop_and_panic(timer));
    at(&l, None, move || drop_and_panic(never));
    spawn(&l, hold(first));
    spawn(&l, hold(second));
    let (sent, received) = mpsc::channel::<()>();
    op(l.remote(), move |_| drop_and_panic(sent));
    l.close();
    l.close();
    assert_eq!(log.take(), ["first", "second", "call", "timer", "never"]);
    assert_eq!(received.try_recv(), Err(mpsc::TryRecvError::Disconnected));
    assert_eq!(l.owns(), [0; 4]);
}

fn drop_and_panic<T>(_: T) {
    panic!("a closed loop ran something");
}

#[test]
fn a_closed_loop_takes_nothing_and_refuses_to_run() {
    let l = Loop::new();
    l.close();
    let log = Log::<&str>::new();
    let on = |what| OnDrop(log.clone().once(what));
    let [soon_, at_, task] = [on("soon"), on("at"), on("task")];
    assert_eq!(soon(&l, move || drop_and_panic(soon_)), Key::DANGLING);
    assert_eq!(at(&l, l.after(1), move || drop_and_panic(at_)), Key::DANGLING);
    assert_eq!(spawn(&l, hold(task)), Key::DANGLING);
    assert_eq!(log.take(), ["soon", "at", "task"]);
    let (sent, received) = mpsc::channel::<()>();
    let remote = l.remote().clone();
    assert!(remote.is_closed());
    thread::spawn(move || {
        let bomb = OnDrop(|| panic!("a test's panic in a destructor"));
        op(&remote, move |_| drop(bomb));
        op(&remote, move |_| drop_and_panic(sent));
        remote.stop();
    })
    .join()
    .unwrap();
    assert_eq!(received.try_recv(), Err(mpsc::TryRecvError::Disconnected));
    assert!(panic_of(|| l.run_forever()).contains("make a new one"));
    assert!(panic_of(|| l.run_until_idle()).contains("make a new one"));
    assert!(panic_of(|| l.run_until_complete(ready(()))).contains("make a new one"));
}

#[test]
fn destructors_may_do_with_the_loop_what_they_like() {
    watchdog(|| {
        let l = Loop::new();
        let remote = l.remote().clone();
        let log = Log::<&str>::new();
        let (keys, wakers) = (Rc::new(RefCell::new(Vec::new())), Rc::new(RefCell::new(Vec::<Waker>::new())));
        let user = Arc::new(Mutex::new(()));
        for name in ["first", "second", "third"] {
            let (local, logs, user) = (Rc::clone(&l), log.clone(), user.clone());
            let (all_keys, all_wakers) = (keys.clone(), wakers.clone());
            let held = OnDrop(move || {
                let locked = user.lock().unwrap();
                assert!(Rc::ptr_eq(&Local::current().unwrap(), &local));
                all_wakers.borrow().iter().for_each(Waker::wake_by_ref);
                spawn(&local, hold(OnDrop(logs.clone().once("spawned"))));
                soon(&local, move || drop_and_panic(()));
                at(&local, local.after(), move || drop_and_panic(()));
                op(local.remote(), |_| drop_and_panic(()));
                // The third is canceled by the first, and nobody minds what is canceled twice.
                let last = all_keys.borrow().last().copied();
                logs.add(name);
                drop(locked);
                local.cancel_task(last.unwrap());
                local.close();
            });
            let wakers = wakers.clone();
            let key = spawn(
                &l,
                poll_fn(move |cx| {
                    let _held = &held;
                    wakers.borrow_mut().push(cx.waker().clone());
                    Poll::Pending
                }),
            );
            keys.borrow_mut().push(key);
        }
        l.run_until_idle();
        // In the queue, too, when the loop closes.
        wakers.borrow()[1].wake_by_ref();
        drop(l);
        assert_eq!(log.take(), ["spawned", "first", "spawned", "third", "spawned", "second"]);
        wakers.take();
        assert_eq!(Arc::strong_count(&remote), 1);
    });
}

#[test]
fn errands_go_home_while_it_closes() {
    watchdog(|| {
        let l = Loop::new();
        let (remote, home) = (l.remote().clone(), thread::current().id());
        let (tell, told) = mpsc::channel();
        let errand = move |name: &'static str| {
            let tell = tell.clone();
            OnDrop(move || tell.send((name, thread::current().id() == home)).unwrap())
        };
        let send = {
            let (remote, errand) = (remote.clone(), errand.clone());
            move |names: [&'static str; 2]| {
                let (remote, errand) = (remote.clone(), errand.clone());
                let send = move || {
                    let [op_, last] = names.map(errand);
                    op(&remote, move |_| drop_and_panic(op_));
                    remote.push_errand(Box::new(move |_| drop_and_panic(last)));
                };
                thread::spawn(send).join().unwrap();
            }
        };
        send(["queued", "queued errand"]);
        let while_closing = send.clone();
        spawn(&l, hold(OnDrop(move || while_closing(["refused", "late errand"]))));
        drop(l);
        send(["gone", "gone errand"]);
        let expected = [
            ("refused", false),
            ("queued", true),
            ("queued errand", true),
            ("late errand", true),
            ("gone", false),
            ("gone errand", false),
        ];
        assert!(told.try_iter().eq(expected));
    });
}

trait After {
    fn after(&self) -> Option<Instant>;
}

impl After for Local {
    fn after(&self) -> Option<Instant> {
        self.remote().now().checked_add(Duration::from_millis(1))
    }
}

#[test]
fn a_loop_that_closes_inside_another_hands_the_thread_back() {
    watchdog(|| {
        let (outer, inner, third) = (Loop::new(), Loop::new(), Loop::new());
        let log = Log::<&str>::new();
        let (a, b, c, logs) = (Rc::clone(&outer), Rc::clone(&inner), Rc::clone(&third), log.clone());
        spawn(
            &inner,
            hold(OnDrop(move || {
                assert!(Rc::ptr_eq(&Local::current().unwrap(), &b));
                soon(&a, logs.adds("scheduled on the outer loop"));
                assert!(a.remote().running_here().is_some());
                assert!(panic_of(|| c.run_until_idle()).contains("already runs"));
                logs.add("dropped");
            })),
        );
        let (inner, a, logs) = (Cell::new(Some(inner)), Rc::clone(&outer), log.clone());
        soon(&outer, move || {
            drop(inner.take());
            assert!(Rc::ptr_eq(&Local::current().unwrap(), &a));
            soon(&a, logs.adds("in order"));
            logs.add("closed");
        });
        outer.run_until_idle();
        assert_eq!(log.take(), ["dropped", "closed", "scheduled on the outer loop", "in order"]);
        assert!(Local::current().is_none());
    });
}

#[test]
fn another_loop_runs_in_a_destructor_of_one_that_closes() {
    let (closes, runs) = (Loop::new(), Rc::new(Loop::new()));
    let log = Log::<&str>::new();
    let (logs, local, runs) = (log.clone(), Rc::clone(&closes), runs.clone());
    spawn(
        &closes,
        hold(OnDrop(move || {
            assert!(panic_of(|| local.run_until_idle()).contains("make a new one"));
            soon(&runs, logs.adds("ran"));
            runs.run_until_idle();
            assert!(Rc::ptr_eq(&Local::current().unwrap(), &local));
        })),
    );
    drop(closes);
    assert_eq!(log.take(), ["ran"]);
}

#[test]
fn a_cycle_through_the_loop_ends_with_it() {
    let l = Loop::new();
    let weak = Rc::downgrade(&l.0);
    spawn(&l, hold(Rc::clone(&l)));
    soon(&l, {
        let local = Rc::clone(&l);
        move || drop(local)
    });
    drop(l);
    assert_eq!(weak.strong_count(), 0);
}

#[test]
fn a_loop_closed_in_the_middle_of_its_turn_ends_it() {
    watchdog(|| {
        let l = Loop::new();
        let log = Log::<&str>::new();
        let (local, held) = (Rc::clone(&l), OnDrop(log.clone().once("dropped")));
        let (logs, remote) = (log.clone(), l.remote().clone());
        let wakers: [Rc<Cell<Option<Waker>>>; 4] = Default::default();
        for waker in &wakers {
            spawn(&l, gate(waker, &Rc::default()));
        }
        spawn(&l, async move {
            let _held = held;
            local.close();
            logs.add("closed");
            wakers.iter().for_each(|waker| waker.take().unwrap().wake());
            yield_now().await
        });
        soon(&l, || drop_and_panic(()));
        l.run_forever();
        assert_eq!(log.take(), ["closed", "dropped"]);
        assert_eq!(l.owns(), [0; 4]);
        drop(l);
        assert_eq!(Arc::strong_count(&remote), 1);
    });
}

#[test]
fn a_loop_closes_in_the_destructor_of_a_thread_local() {
    thread_local! {
        static LAST: RefCell<Option<Loop>> = const { RefCell::new(None) };
    }
    watchdog(|| {
        let (log, seen) = mpsc::channel();
        thread::spawn(move || {
            // Registered first, so that it is destroyed with all others around, whatever the order.
            LAST.set(Some(Loop::new()));
            LAST.with_borrow(|l| {
                let l = l.as_ref().unwrap();
                let (local, waker) = (Rc::clone(l), Rc::new(Cell::new(None)));
                spawn(l, gate(&waker, &Rc::default()));
                l.run_until_idle();
                let other = Loop::new();
                spawn(
                    l,
                    hold(OnDrop(move || {
                        waker.take().unwrap().wake();
                        soon(&local, || drop_and_panic(()));
                        other.run_until_idle();
                        log.send(Local::current().is_some()).unwrap();
                    })),
                );
            });
        })
        .join()
        .unwrap();
        assert_eq!(seen.recv(), Ok(true));
    });
}

#[test]
fn a_loop_that_is_closed_in_its_turn_has_no_next_one() {
    let l = Loop::new();
    let log = Log::new();
    let (local, entry) = (Rc::clone(&l), log.adds(2));
    soon(&l, move || {
        soon(&local, || {});
        at(&local, Some(local.remote().now()), || {});
        local.close();
    });
    soon(&l, entry);
    let turn = l.turn();
    assert_eq!((turn.ran, turn.ready, turn.timer, turn.nested), (1, false, None, false));
    assert_eq!(log.take(), []);
    assert!(panic_of(|| l.turn()).contains("closed"));
}
