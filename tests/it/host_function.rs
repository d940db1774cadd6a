//! The loop in another loop: what the function that wakes its host may do, and how it goes.

use crate::util::{Count, Log, OnDrop, kind_of, watchdog};
use deferral::{BrokenKind, EventLoop, Handle, State, current};
use std::cell::{Cell, RefCell};
use std::future::{pending, poll_fn};
use std::rc::Rc;
use std::task::{Poll, Waker};
use std::thread;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

/// A second function takes the place of the first, which is dropped with nothing locked.
#[test]
fn the_last_function_is_the_one() {
    watchdog(|| {
        let (event_loop, log) = (EventLoop::new(), Log::new());
        let (handle, entries) = (event_loop.handle(), log.clone());
        let guard = OnDrop::new(move || {
            entries.add("dropped");
            handle.call_soon(entries.entry("call"));
        });
        event_loop.on_wake(move || {
            let _guard = &guard;
        });
        let entries = log.clone();
        event_loop.on_wake(move || entries.add("woken"));
        assert_eq!(event_loop.turn().ran, 1);
        assert_eq!(log.text(), "dropped woken call");
    });
}

/// A function that is set while the loop runs hears of what is left when it has run.
#[test]
fn a_function_that_is_set_in_a_callback() {
    let (event_loop, wakes) = (Rc::new(EventLoop::new()), Count::new());
    let (inner, count) = (event_loop.clone(), wakes.clone());
    event_loop.call_soon(move || {
        inner.call_soon(|| ());
        inner.on_wake(move || count.add());
    });
    assert!(event_loop.turn().ready);
    assert_eq!(wakes.get(), 0);
    assert!(!event_loop.turn().ready);
    event_loop.call_soon(|| ());
    assert_eq!(wakes.get(), 1);
}

/// G9: a function that panics hurts neither who brings the work nor the loop, on whatever thread.
#[test]
fn a_function_that_panics() {
    let (event_loop, wakes) = (EventLoop::new(), Count::new());
    let count = wakes.clone();
    event_loop.on_wake(move || {
        count.add();
        panic!("a host");
    });
    let (waker, polls) = (Rc::new(Cell::new(None::<Waker>)), Count::new());
    let (slot, count) = (waker.clone(), polls.clone());
    event_loop.spawn(poll_fn(move |cx| {
        count.add();
        slot.set(Some(cx.waker().clone()));
        Poll::<()>::Pending
    }));
    for round in 1..=3 {
        assert_eq!((wakes.get(), event_loop.turn().ran), (round, 1));
        let waker = waker.take().unwrap();
        thread::spawn(move || waker.wake()).join().unwrap();
    }
    assert_eq!((polls.get(), event_loop.turn().ran), (3, 1));
    // Its destructor may panic as well, whoever drops it.
    let guard = OnDrop::new(|| panic!("a host's destructor"));
    event_loop.on_wake(move || {
        let _guard = &guard;
    });
    let guard = OnDrop::new(|| panic!("another"));
    event_loop.on_wake(move || {
        let _guard = &guard;
    });
}

thread_local! {
    /// Loops within the reach of a function that must be `Send`.
    static LOOP: RefCell<Option<Rc<EventLoop>>> = const { RefCell::new(None) };
}

fn the_loop() -> Rc<EventLoop> {
    LOOP.with(|event_loop| event_loop.borrow().clone().unwrap())
}

/// A function may schedule, set another function, and make a turn itself.
#[test]
fn a_function_that_makes_the_turn() {
    watchdog(|| {
        let (event_loop, log) = (Rc::new(EventLoop::new()), Log::new());
        LOOP.set(Some(event_loop.clone()));
        let entries = log.clone();
        event_loop.on_wake(move || {
            let event_loop = the_loop();
            event_loop.call_soon(entries.entry("own"));
            let turn = event_loop.turn();
            entries.add(turn.ran);
            if entries.text().len() > 20 {
                event_loop.on_wake(|| ());
            }
        });
        event_loop.call_soon(log.entry("first"));
        assert_eq!(log.text(), "first own 2");
        event_loop.call_soon(|| {
            current().call_soon(|| ());
        });
        assert_eq!(log.text(), "first own 2 own 2");
        assert_eq!(event_loop.turn().ran, 1);
        event_loop.call_later(Duration::ZERO, log.entry("timer"));
        assert_eq!(log.text(), "first own 2 own 2 own timer 2");
        event_loop.call_soon(log.entry("last"));
        assert_eq!(event_loop.turn().ran, 1);
        LOOP.set(None);
    });
}

/// A function may drop the loop, in the middle of the call that brought the work.
#[test]
fn a_function_that_drops_the_loop() {
    watchdog(|| {
        let bring: [fn(&Handle) -> BrokenKind; 3] = [
            |handle| kind_of(handle.call_soon(|| ()).wait()),
            |handle| kind_of(handle.spawn(pending::<()>()).wait()),
            |handle| kind_of(handle.sleep(SECOND).wait()),
        ];
        for bring in bring {
            let event_loop = Rc::new(EventLoop::new());
            event_loop.on_wake(|| LOOP.set(None));
            let handle = event_loop.handle();
            LOOP.set(Some(event_loop));
            assert_eq!(bring(&handle), BrokenKind::LoopClosed);
        }
        // By its own methods it can only be reached while it is held, but a waker needs no loop.
        let (event_loop, waker) = (Rc::new(EventLoop::new()), Rc::new(Cell::new(None::<Waker>)));
        let slot = waker.clone();
        let task = event_loop.spawn(poll_fn(move |cx| {
            slot.set(Some(cx.waker().clone()));
            Poll::<()>::Pending
        }));
        assert_eq!(event_loop.turn().ran, 1);
        event_loop.on_wake(|| LOOP.set(None));
        LOOP.set(Some(event_loop));
        waker.take().unwrap().wake();
        assert_eq!(task.state(), State::Rejected);
    });
}

/// H8, K8: the function goes with the loop, with nothing locked and though it holds a handle of it; wakes after that are harmless.
#[test]
fn a_loop_that_is_gone_wakes_nobody() {
    watchdog(|| {
        let (event_loop, log, wakes) = (EventLoop::new(), Log::new(), Count::new());
        let slot = Rc::new(Cell::new(None::<Waker>));
        let waker = slot.clone();
        event_loop.spawn(poll_fn(move |cx| {
            waker.set(Some(cx.waker().clone()));
            Poll::<()>::Pending
        }));
        let _ = event_loop.turn();
        let (handle, entries, count) = (event_loop.handle(), log.clone(), wakes.clone());
        let guard = OnDrop::new(move || entries.add(format!("{:?}", kind_of(handle.call_soon(|| ()).wait()))));
        event_loop.on_wake(move || {
            let _guard = &guard;
            count.add();
        });
        let handle = event_loop.handle();
        drop(event_loop);
        assert_eq!(log.text(), "LoopClosed");
        let waker = slot.take().unwrap();
        let thread = thread::spawn(move || {
            waker.wake();
            handle.stop();
            kind_of(handle.call_soon(|| ()).wait())
        });
        assert_eq!((thread.join().unwrap(), wakes.get()), (BrokenKind::LoopClosed, 0));
    });
}
