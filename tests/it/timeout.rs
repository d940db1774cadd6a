//! `timeout`: a promise and a timer, of which the first decides.

use crate::util::{Count, Counted, kind_of};
use deferral::{BrokenKind, Deferred, EventLoop, Promise, State, local, sleep, spawn, timeout};
use futures::future::lazy;
use std::rc::Rc;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

/// A loop on a virtual clock, with a way to ask how much time has passed.
fn start() -> (EventLoop, impl Fn() -> Duration) {
    let event_loop = EventLoop::with_virtual_clock();
    let (handle, began) = (event_loop.handle(), event_loop.handle().now());
    (event_loop, move || handle.now() - began)
}

/// M1: when the time is over, the end is of kind `TimedOut`, with the line of the `timeout`, at that very time.
#[test]
fn it_expires() {
    let (event_loop, passed) = start();
    let (_deferred, promise) = Deferred::<u32>::new();
    let (_local_deferred, local_promise) = local::Deferred::<u32>::new();
    let line = line!() + 1;
    let answer = event_loop.handle().timeout(5 * SECOND, promise);
    let broken = event_loop.run_until_complete(answer).unwrap_err();
    assert_eq!((broken.kind(), broken.origin().line(), passed()), (BrokenKind::TimedOut, line, 5 * SECOND));
    let answer = event_loop.run_until_complete(async { timeout(5 * SECOND, local_promise).await });
    assert_eq!((kind_of(answer), passed()), (BrokenKind::TimedOut, 10 * SECOND));
}

/// M1: the end reaches the user's own error type; an error of the source passes as it is.
#[test]
fn it_speaks_the_error_type() {
    let (event_loop, _) = start();
    let handle = event_loop.handle();
    let (_deferred, promise) = Deferred::<u32, std::io::Error>::new();
    let error = event_loop.run_until_complete(handle.timeout(SECOND, promise)).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::TimedOut);
    let (deferred, promise) = Deferred::<u32, String>::new();
    let answer = handle.timeout(SECOND, promise);
    deferred.reject("no".to_owned());
    assert_eq!(event_loop.run_until_complete(answer).unwrap_err(), "no");
}

/// M3, trap 23: settled in time, it gives the value, and no timer is left.
#[test]
fn in_time_no_timer_is_left() {
    let (event_loop, passed) = start();
    let handle = event_loop.handle();
    let (deferred, promise) = Deferred::<u32>::new();
    let answer = handle.timeout(10 * SECOND, promise);
    event_loop.call_later(SECOND, move || deferred.resolve(1));
    assert_eq!(event_loop.run_until_complete(answer).unwrap(), 1);
    let task = event_loop.spawn(async { timeout(10 * SECOND, spawn(async { 2 })).await });
    event_loop.run_until_idle();
    assert_eq!(event_loop.run_until_complete(task).unwrap().unwrap(), 2);
    assert_eq!(passed(), SECOND);
}

/// M3, trap 23: after the end, value and source are gone with their last handle.
#[test]
fn nothing_of_it_stays() {
    let (event_loop, _) = start();
    let counted = Counted::new();
    let drops = counted.drops.clone();
    let guard = counted.clone();
    let (deferred, promise) = Deferred::<Counted>::new();
    deferred.on_cancel(move || drop(guard));
    let answer = event_loop.handle().timeout(SECOND, promise);
    deferred.resolve(counted);
    drop((deferred, event_loop.run_until_complete(answer)));
    assert_eq!(drops.get(), 2);
}

/// M4, trap 23: value and deadline in the same turn: the value wins, in both orders of arming.
#[test]
fn the_value_wins_at_the_deadline() {
    let (event_loop, passed) = start();
    let handle = event_loop.handle();
    for value_first in [true, false] {
        let (deferred, promise) = Deferred::<u32>::new();
        let mut promise = Some(promise);
        let mut answer = None;
        for step in [value_first, !value_first] {
            if step {
                let deferred = deferred.clone();
                event_loop.call_later(SECOND, move || deferred.resolve(1));
            } else {
                answer = promise.take().map(|promise| handle.timeout(SECOND, promise));
            }
        }
        assert_eq!(event_loop.run_until_complete(answer.unwrap()).unwrap(), 1, "{value_first}");
    }
    assert_eq!(passed(), 2 * SECOND);
}

/// M4: the same for the local flavor, inside the loop, with the value of another timer.
#[test]
fn the_value_wins_at_the_deadline_inside_the_loop() {
    let (event_loop, _) = start();
    event_loop.run_until_complete(async {
        let first = sleep(SECOND).then(|()| Ok(1));
        let first = timeout(SECOND, first);
        let (deferred, promise) = local::Deferred::<u32>::new();
        let second = timeout(SECOND, promise);
        sleep(SECOND).done(move |()| {
            deferred.resolve(2);
        });
        assert_eq!((first.await.unwrap(), second.await.unwrap()), (1, 2));
    });
}

/// M5: a timeout of zero: a settled source gives its outcome, and needs no turn.
#[test]
fn zero_with_a_settled_source() {
    let (event_loop, _) = start();
    let handle = event_loop.handle();
    assert_eq!(handle.timeout(Duration::ZERO, Promise::<u32>::resolved(1)).state(), State::Resolved);
    let failed = handle.timeout(Duration::ZERO, Promise::<u32, String>::rejected("no".to_owned()));
    assert_eq!(event_loop.run_until_complete(failed).unwrap_err(), "no");
    let local =
        event_loop.run_until_complete(async { timeout(Duration::ZERO, local::Promise::<_>::resolved(2)).await });
    assert_eq!(local.unwrap(), 2);
}

/// M5: a timeout of zero: a pending source times out, without the clock.
#[test]
fn zero_with_a_pending_source() {
    let (event_loop, passed) = start();
    let (_deferred, promise) = Deferred::<u32>::new();
    let answer = event_loop.handle().timeout(Duration::ZERO, promise);
    assert_eq!(answer.state(), State::Pending);
    assert_eq!((kind_of(event_loop.run_until_complete(answer)), passed()), (BrokenKind::TimedOut, Duration::ZERO));
}

/// M6: `Duration::MAX` never expires, does not overflow, and is no timer that is left.
#[test]
fn the_longest_timeout_never_expires() {
    let (event_loop, passed) = start();
    let (deferred, promise) = Deferred::<u32>::new();
    let answer = event_loop.handle().timeout(Duration::MAX, promise);
    event_loop.run_until_idle();
    assert_eq!((answer.state(), passed()), (State::Pending, Duration::ZERO));
    deferred.resolve(1);
    assert_eq!(event_loop.run_until_complete(answer).unwrap(), 1);
}

/// M2, G8: on expiry a source that it owns alone is canceled, with its task.
#[test]
fn it_cancels_what_it_owns_alone() {
    let (event_loop, cancels) = (start().0, Count::new());
    let (deferred, promise) = Deferred::<u32>::new();
    let counted = cancels.clone();
    deferred.on_cancel(move || counted.add());
    // Observers do not keep it.
    let answer = event_loop.handle().timeout(SECOND, promise.done(|_| ()));
    assert_eq!(kind_of(event_loop.run_until_complete(answer)), BrokenKind::TimedOut);
    assert_eq!((cancels.get(), deferred.state()), (1, State::Rejected));

    let held = Rc::new(());
    let weak = Rc::downgrade(&held);
    event_loop.run_until_complete(async {
        let work = spawn(async move {
            let _held = held;
            std::future::pending::<()>().await
        });
        assert_eq!(kind_of(timeout(SECOND, work).await), BrokenKind::TimedOut);
        assert_eq!(weak.strong_count(), 0);
    });
}

/// M2, G8, trap 10: a source that somebody else consumes goes on.
#[test]
fn it_spares_what_others_want() {
    let (event_loop, cancels) = (start().0, Count::new());
    let (deferred, promise) = Deferred::<u32>::new();
    let counted = cancels.clone();
    deferred.on_cancel(move || counted.add());
    let answer = event_loop.handle().timeout(SECOND, promise.clone());
    assert_eq!(kind_of(event_loop.run_until_complete(answer)), BrokenKind::TimedOut);
    assert_eq!((cancels.get(), promise.state()), (0, State::Pending));
    deferred.resolve(3);
    assert_eq!(event_loop.run_until_complete(promise).unwrap(), 3);
}

/// G8: a cancel of the timeout cancels the source and takes the timer away.
#[test]
fn cancel_goes_through() {
    let ((event_loop, passed), cancels) = (start(), Count::new());
    let (deferred, promise) = Deferred::<u32>::new();
    let counted = cancels.clone();
    deferred.on_cancel(move || counted.add());
    let answer = event_loop.handle().timeout(SECOND, promise);
    assert!(answer.cancel());
    assert_eq!(cancels.get(), 1);
    event_loop.run_until_idle();
    assert_eq!((kind_of(event_loop.run_until_complete(answer)), passed()), (BrokenKind::Canceled, Duration::ZERO));
}

/// M8: a cancel or an end of the source is not turned into a timeout.
#[test]
fn other_ends_pass() {
    let (event_loop, _) = start();
    let (deferred, promise) = Deferred::<u32>::new();
    let (answer, canceler) = (event_loop.handle().timeout(SECOND, promise.clone()), promise);
    canceler.cancel();
    assert_eq!(kind_of(event_loop.run_until_complete(answer)), BrokenKind::Canceled);
    drop(deferred);
    let (deferred, promise) = Deferred::<u32>::new();
    let answer = event_loop.handle().timeout(SECOND, promise);
    drop(deferred);
    assert_eq!(kind_of(event_loop.run_until_complete(answer)), BrokenKind::Abandoned);
}

/// M8: of nested timeouts the one that expired is the one that is reported.
#[test]
fn nested_timeouts() {
    let (event_loop, passed) = start();
    let handle = event_loop.handle();
    for (inner, outer) in [(1, 2), (2, 1)] {
        let (_deferred, promise) = Deferred::<u32>::new();
        let line = line!() + 1;
        let first = handle.timeout(inner * SECOND, promise);
        let answer = handle.timeout(outer * SECOND, first);
        let broken = event_loop.run_until_complete(answer).unwrap_err();
        let expected = if inner < outer { line } else { line + 1 };
        assert_eq!((broken.kind(), broken.origin().line()), (BrokenKind::TimedOut, expected));
    }
    assert_eq!(passed(), 2 * SECOND);
}

/// G7, G8: a timeout that nobody holds leaves its source, which is not canceled, and its timer.
#[test]
fn a_dropped_timeout_lets_go() {
    let ((event_loop, passed), cancels) = (start(), Count::new());
    let (deferred, promise) = Deferred::<u32>::new();
    let counted = cancels.clone();
    deferred.on_cancel(move || counted.add());
    for _ in 0..1_000 {
        drop(event_loop.handle().timeout(SECOND, promise.clone()));
    }
    event_loop.run_until_idle();
    assert_eq!((passed(), cancels.get()), (Duration::ZERO, 0));
    deferred.resolve(1);
    assert_eq!(event_loop.run_until_complete(promise).unwrap(), 1);
}

/// G3: one consumer behind a timeout needs no `Clone`.
#[test]
fn the_value_itself_passes() {
    struct Unique(u32);
    let (event_loop, _) = start();
    let (deferred, promise) = Deferred::<Unique>::new();
    let answer = event_loop.handle().timeout(SECOND, promise);
    deferred.resolve(Unique(4));
    assert_eq!(event_loop.run_until_complete(answer).unwrap().0, 4);
}

/// G2: if the loop goes first, the pending timeout is `LoopClosed`, in both flavors.
#[test]
fn its_loop_goes_first() {
    let (event_loop, _) = start();
    let (_deferred, promise) = Deferred::<u32>::new();
    let shared = event_loop.handle().timeout(SECOND, promise);
    let (_deferred, promise) = Deferred::<u32>::new();
    let never = event_loop.handle().timeout(Duration::MAX, promise);
    let (_deferred, promise) = local::Deferred::<u32>::new();
    let local = event_loop.run_until_complete(lazy(|_| timeout(SECOND, promise)));
    drop(event_loop);
    for end in [shared.wait(), never.wait(), local.peek(|end| end.unwrap().clone())] {
        assert_eq!(kind_of(end), BrokenKind::LoopClosed);
    }
}

/// M4: a task that ends at the deadline is in time, though its timer was made later and its end takes a turn more.
#[test]
fn a_task_that_ends_at_the_deadline_is_in_time() {
    let event_loop = EventLoop::with_virtual_clock();
    let answer = event_loop.run_until_complete(async {
        let work = spawn(async {
            sleep(SECOND).await.unwrap();
            1
        });
        timeout(SECOND, work).await
    });
    assert_eq!(answer.unwrap(), 1);
}

/// M4, G11: of a timeout and the timer of a value that are both over when a busy loop comes to look, the earlier deadline decides.
#[test]
fn a_busy_loop_keeps_the_order_of_deadlines() {
    // A virtual clock jumps from one deadline to the next: only the real one passes two at once.
    let event_loop = EventLoop::new();
    let handle = event_loop.handle();
    let (deferred, promise) = Deferred::<u32>::new();
    let answer = handle.timeout(Duration::ZERO, promise);
    let expired = handle.now();
    while handle.now() == expired {
        std::hint::spin_loop();
    }
    let late = event_loop.call_at(handle.now(), move || deferred.resolve(1));
    assert_eq!(kind_of(event_loop.run_until_complete(answer)), BrokenKind::TimedOut);
    assert!(!event_loop.run_until_complete(late).unwrap());
}
