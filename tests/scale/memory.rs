//! How much memory things take, counted by a global allocator of the test binary: blocks and bytes of the calling thread.

use allocation_counter::{AllocationInfo, measure};
use deferral::{Broken, Deferred, EventLoop, Promise, local, when};
use std::task::Waker;
use std::time::Duration;

use crate::util::{poll, poll_once, ready};

/// What grows with each round shows in few rounds: the counts are exact. The optimized build does the million.
const MILLION: u32 = if cfg!(debug_assertions) { 20_000 } else { 1_000_000 };

/// Does it twice, so that what is made once per thread or grows once exists; then `times` times more.
fn measure_after_two(times: u32, mut act: impl FnMut()) -> AllocationInfo {
    act();
    act();
    measure(|| (0..times).for_each(|_| act()))
}

#[track_caller]
fn assert_constant(times: u32, act: impl FnMut()) {
    let info = measure_after_two(times, act);
    assert_eq!((info.bytes_current, info.count_current), (0, 0), "{info:?}");
    assert!(info.bytes_max < 8 << 10, "{info:?}");
}

/// Nothing of what `act` made is left when it has returned.
#[track_caller]
fn assert_nothing_left(act: impl FnMut()) {
    let info = measure_after_two(1, act);
    assert_eq!((info.bytes_current, info.count_current), (0, 0), "{info:?}");
}

/// The tests that are the same for both flavors.
macro_rules! both {
    ($flavor:ident, $path:path) => {
        mod $flavor {
            use super::*;
            use $path::{Deferred, Promise};

            /// G7: a million races against one pending promise, each dropped undecided.
            #[test]
            fn races_dropped_undecided() {
                let (deferred, pending) = Deferred::<u32>::new();
                // Abandoned inside a round, it would decide the race.
                let (other, silent) = Deferred::<u32>::new();
                assert_constant(MILLION, || drop(when::race([pending.clone(), silent.clone()])));
                deferred.resolve(1);
                assert_eq!(ready(pending).unwrap(), 1);
                drop((other, silent));
            }

            /// G7: a million races against one pending promise, each won by another, observed and continued.
            #[test]
            fn races_won_by_others() {
                let (_deferred, pending) = Deferred::<u32>::new();
                assert_constant(MILLION, || {
                    let (other, promise) = Deferred::<u32>::new();
                    let race = when::race([pending.clone(), promise]).done(|_| ()).then(|n| Ok(n + 1));
                    other.resolve(2);
                    assert_eq!(ready(race).unwrap(), 3);
                });
            }

            /// G7: a million aggregates of every kind over one pending promise, dropped, canceled or failed.
            #[test]
            fn aggregates_that_end_early() {
                let (_deferred, pending) = Deferred::<u32>::new();
                assert_constant(MILLION / 10, || {
                    drop(when((pending.clone(), pending.clone())));
                    drop(when(vec![pending.clone()]));
                    drop(when::any([pending.clone(), Promise::resolved(1)]));
                    drop(when::any([pending.clone()]));
                    drop(when::settled([pending.clone()]));
                    drop(when([when([pending.clone()]), when([pending.clone()])]));
                    assert!(when([pending.clone()]).cancel());
                    let (other, promise) = Deferred::<u32>::new();
                    let failed = when([pending.clone(), promise]);
                    drop(other);
                    assert!(ready(failed).is_err());
                });
            }

            /// G7: a million canceled continuations and maps over one pending promise.
            #[test]
            fn what_is_canceled() {
                let (_deferred, pending) = Deferred::<u32>::new();
                assert_constant(MILLION / 10, || {
                    assert!(pending.clone().then(|n| Ok(n + 1)).cancel());
                    assert!(when::map([pending.clone(), pending.clone()], 1, |promise| promise).cancel());
                });
            }

            /// G7: a million awaiters of one pending promise, each dropped in mid-wait.
            #[test]
            fn awaiters_dropped_in_mid_wait() {
                let (_deferred, pending) = Deferred::<u32>::new();
                let _first = pending.clone();
                assert_constant(MILLION, || {
                    let mut awaiter = pending.clone();
                    assert!(poll_once(&mut awaiter).is_pending());
                });
            }

            /// G7, Y9: a million polls by ever other tasks keep one waker.
            #[test]
            fn polls_by_many_tasks() {
                let (_deferred, mut pending) = Deferred::<u32>::new();
                assert_constant(MILLION, || {
                    let (counting, waker) = crate::util::CountingWaker::new();
                    assert!(poll(&mut pending, &waker).is_pending());
                    drop((counting, waker));
                    assert!(poll(&mut pending, Waker::noop()).is_pending());
                });
            }

            /// G7: a million reports of progress keep the last.
            #[test]
            fn reports_of_progress() {
                let (deferred, promise) = Deferred::<u32, Broken, String>::with_progress();
                assert_constant(MILLION / 10, || assert!(deferred.notify("half-way".to_owned())));
                let promise = promise.progress(|_| ());
                assert_constant(MILLION / 10, || assert!(deferred.notify("half-way".to_owned())));
                drop(promise);
            }

            /// G7, Z6: nothing is left of what has ended: chains, aggregates, callbacks of every kind, however it ended.
            #[test]
            fn nothing_is_left_of_what_has_ended() {
                type End = fn(Deferred<u32>, Promise<u32>);
                let ends: [(bool, End); 5] = [
                    (true, |deferred, promise| drop((deferred.resolve(1), promise))),
                    (true, |deferred, promise| drop((promise, deferred.resolve(1)))),
                    (true, |deferred, promise| assert!(promise.cancel() && !deferred.resolve(1))),
                    (false, |deferred, promise| drop((deferred, promise))),
                    (false, |deferred, promise| drop((promise.then(Ok), deferred))),
                ];
                for (settled, end) in ends {
                    assert_nothing_left(|| {
                        let (deferred, promise) = Deferred::<u32>::new();
                        deferred.on_cancel(|| ()).done(|_| ()).progress(|_| ());
                        // Clones of either end inside callbacks of the same promise; only a settled one may hold its producer.
                        let (inner, follower) = (settled.then(|| deferred.clone()), promise.clone());
                        let promise = promise.always(move |_| drop(inner)).fail(move |_| drop(follower));
                        let chain = promise.clone().then(|n| Ok(n + 1)).catch(|_| Ok(0)).map_err(String::from);
                        let all = when((chain, promise.clone().map_err(String::from)));
                        let mapped = when::map([promise.clone(), promise.clone()], 1, |promise| promise);
                        deferred.notify(Default::default());
                        end(deferred, promise);
                        drop((all, mapped));
                    });
                }
            }

            /// A `when` of settled inputs registers nothing: whatever their number, it takes its output, the slots, two blocks that are
            /// shared, and two for the report.
            #[test]
            fn when_of_settled_inputs() {
                let blocks = |inputs: usize| {
                    let settled: Vec<_> = (0..inputs).map(|_| Promise::<u32>::resolved(1)).collect();
                    let mut all = None;
                    let info = measure(|| all = Some(when(settled)));
                    assert_eq!(ready(all.unwrap()).unwrap().len(), inputs);
                    info.count_total
                };
                ready(when(vec![Promise::<u32>::resolved(1)])).unwrap();
                assert_eq!(blocks(10), blocks(10_000));
                assert!(blocks(10) <= 6, "{}", blocks(10));
            }

            /// A `when` of pending inputs takes one block for each of them beyond that.
            #[test]
            fn when_of_pending_inputs() {
                const INPUTS: u64 = 1000;
                ready(when(vec![Promise::<u32>::resolved(1)])).unwrap();
                let (deferreds, promises): (Vec<_>, Vec<_>) = (0..INPUTS).map(|_| Deferred::<u32>::new()).unzip();
                let mut all = None;
                let made = measure(|| all = Some(when(promises)));
                // The list of links grows by doubling.
                assert!(made.count_total <= INPUTS + 16, "{made:?}");
                let resolved = measure(|| deferreds.iter().for_each(|deferred| assert!(deferred.resolve(1))));
                assert!(resolved.count_total <= 16, "{resolved:?}");
                assert_eq!(ready(all.unwrap()).unwrap().len() as u64, INPUTS);
            }
        }
    };
}

both!(threaded, deferral);
both!(local_flavor, deferral::local);

/// One promise takes one block, with one task that waits, or one callback or continuation that captures at most two words.
#[test]
fn a_promise_takes_one_block() {
    let pair = || {
        let (deferred, promise) = Deferred::<u64>::new();
        (promise, deferred)
    };
    drop(pair());
    let info = measure(|| drop(pair()));
    assert_eq!(info.count_total, 1);
    // A build with debug assertions keeps one word more: where it was rejected.
    let word = size_of::<usize>() as u64;
    assert!(info.bytes_max <= 12 * word + if cfg!(debug_assertions) { word } else { 0 }, "{info:?}");
    assert_eq!(measure(|| drop(Promise::<u32>::resolved(1))).count_total, 1);
    let local = measure(|| {
        let (deferred, promise) = local::Deferred::<u32>::new();
        drop((promise, deferred));
    });
    assert_eq!(local.count_total, 1);
    let awaited = measure(|| {
        let (deferred, mut promise) = Deferred::<u32>::new();
        assert!(poll_once(&mut promise).is_pending());
        deferred.resolve(1);
        assert!(poll_once(&mut promise).is_ready());
    });
    assert_eq!(awaited.count_total, 1);
    let number = 7;
    let observed = measure(|| {
        let (deferred, promise) = Deferred::<u32>::new();
        promise.done(move |n| assert_eq!(*n, number));
        deferred.resolve(7);
    });
    assert_eq!(observed.count_total, 1);
    let chained = measure(|| {
        let (deferred, promise) = Deferred::<u32>::new();
        promise.then(|n| Ok(n + 1));
        deferred.resolve(1);
    });
    // Two promises.
    assert_eq!(chained.count_total, 2);
}

/// G7, M3: a million timeouts on one pending promise, each dropped or canceled, leave neither a timer nor an entry.
#[test]
fn timeouts_on_one_pending_promise() {
    const HOUR: Duration = Duration::from_secs(3600);
    let event_loop = EventLoop::with_virtual_clock();
    let (_deferred, pending) = local::Deferred::<u32>::new();
    let (_shared_deferred, shared) = Deferred::<u32>::new();
    event_loop.run_until_complete(async {
        assert_constant(MILLION, || drop(deferral::timeout(HOUR, pending.clone())));
        let handle = deferral::current();
        assert_constant(MILLION / 10, || drop(handle.timeout(HOUR, shared.clone())));
        assert_constant(MILLION / 10, || assert!(deferral::timeout(HOUR, pending.clone()).cancel()));
    });
}

/// G7, M1: timeouts that expire leave nothing either.
#[test]
fn expired_timeouts_on_one_pending_promise() {
    let event_loop = EventLoop::with_virtual_clock();
    let (_deferred, pending) = local::Deferred::<u32>::new();
    assert_constant(10_000, || {
        let timeout = async { deferral::timeout(Duration::from_secs(1), pending.clone()).await };
        assert!(event_loop.run_until_complete(timeout).is_err());
    });
}

/// G7: a loop keeps nothing of tasks, calls and timers that have ended.
#[test]
fn a_loop_keeps_nothing_of_what_has_ended() {
    let event_loop = EventLoop::with_virtual_clock();
    let handle = event_loop.handle();
    assert_constant(10_000, || {
        event_loop.spawn(async { deferral::sleep(Duration::from_secs(1)).await });
        event_loop.call_soon(|| ());
        event_loop.call_later(Duration::from_secs(1), || ());
        assert!(event_loop.call_later(Duration::from_secs(1), || ()).cancel());
        assert!(event_loop.spawn(std::future::pending::<()>()).cancel());
        handle.spawn(async {});
        handle.call_soon(|| ());
        event_loop.run_until_idle();
    });
}

/// G7: a million times brought to a loop and canceled there, one pending promise keeps a few listeners at most, which the next of them
/// clears away; and it is not wanted for their sake.
#[test]
fn promises_brought_to_a_loop_and_canceled() {
    let event_loop = EventLoop::new();
    let (deferred, pending) = Deferred::<u32>::new();
    let info = measure_after_two(MILLION / 10, || {
        event_loop.run_until_complete(async { assert!(pending.clone().into_local().done(|_| ()).cancel()) });
        event_loop.run_until_idle();
    });
    assert!(info.bytes_max < 8 << 10, "{info:?}");
    drop(pending);
    assert!(!deferred.is_wanted());
}

/// G7: a million ways of one pending promise to a loop, each canceled, leave no more: no entry on either side.
#[test]
fn ways_to_a_loop_that_are_canceled() {
    let event_loop = EventLoop::new();
    let (deferred, pending) = Deferred::<u32>::new();
    let info = measure_after_two(MILLION / 10, || {
        assert!(pending.clone().via(&event_loop.handle()).done(|_| ()).cancel());
        event_loop.run_until_idle();
    });
    assert!(info.bytes_max < 8 << 10, "{info:?}");
    drop(pending);
    assert!(!deferred.is_wanted());
}

/// G7: a promise that went via a loop leaves nothing, however it ends; while its source is pending a dropped one stays, as a `then` does.
#[test]
fn ways_to_a_loop_that_have_ended() {
    let event_loop = EventLoop::new();
    let handle = event_loop.handle();
    assert_constant(MILLION / 10, || {
        let (deferred, promise) = Deferred::<u32>::new();
        let promise = promise.via(&handle).progress(|_| ()).done(|_| ()).then(|n| Ok(n + 1));
        deferred.notify(Default::default());
        deferred.resolve(1);
        event_loop.run_until_idle();
        drop(promise.done(|_| ()));
        drop(Promise::<u32>::resolved(1).via(&handle));
        event_loop.run_until_idle();
    });
    assert_nothing_left(|| {
        let (deferred, promise) = Deferred::<u32>::new();
        (0..100).for_each(|_| drop(promise.clone().via(&handle)));
        event_loop.run_until_idle();
        deferred.resolve(1);
        event_loop.run_until_idle();
    });
    assert_nothing_left(|| {
        let event_loop = EventLoop::new();
        let (deferred, promise) = Deferred::<u32>::new();
        let promise = promise.via(&event_loop.handle()).done(|_| ()).via(&event_loop.handle());
        drop(event_loop);
        drop((deferred, promise));
    });
}
