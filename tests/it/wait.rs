//! `wait` and `wait_timeout`: promises on plain threads.

use crate::util::{Count, Counted, Log, kind_of, panic_of, watchdog};
use deferral::{Broken, BrokenKind, Deferred, EventLoop, Promise, State, current};
use std::fmt::Debug;
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

/// H1, G3: the waiting thread gets the value itself, also of a type that cannot be cloned.
#[test]
fn a_thread_waits_for_another() {
    struct Unique(u32);
    watchdog(|| {
        for n in 0..1_000 {
            let (deferred, promise) = Deferred::<Unique>::new();
            let thread = thread::spawn(move || deferred.resolve(Unique(n)));
            assert_eq!(promise.wait().unwrap().0, n);
            assert!(thread.join().unwrap());
        }
    });
}

/// Y10: of a settled promise the outcome is there at once, either end.
#[test]
fn a_settled_promise_does_not_block() {
    assert_eq!(Promise::<u32>::resolved(1).wait().unwrap(), 1);
    assert_eq!(Promise::<u32, String>::rejected("no".to_owned()).wait().unwrap_err(), "no");
    let (deferred, promise) = Deferred::<u32>::new();
    drop(deferred);
    assert_eq!(kind_of(promise.wait()), BrokenKind::Abandoned);
}

/// B1, G2: a producer that dies on another thread, by a panic, too, ends the wait.
#[test]
fn a_dead_producer_ends_the_wait() {
    watchdog(|| {
        for panics in [false, true] {
            let (deferred, promise) = Deferred::<u32>::new();
            let line = line!() - 1;
            let thread = thread::spawn(move || {
                let _deferred = deferred;
                assert!(!panics, "the producer dies");
            });
            let broken = promise.wait().unwrap_err();
            assert_eq!((broken.kind(), broken.origin().line()), (BrokenKind::Abandoned, line));
            assert_eq!(thread.join().is_err(), panics);
        }
    });
}

/// Y4, G3, G7: many threads wait for clones: each is woken, and all but one get a clone.
#[test]
fn many_threads_wait_for_clones() {
    const THREADS: usize = 8;
    watchdog(|| {
        for _ in 0..50 {
            let value = Counted::new();
            let (drops, clones) = (value.drops.clone(), value.clones.clone());
            let (deferred, promise) = Deferred::<Counted>::new();
            let ready = Arc::new(Barrier::new(THREADS + 1));
            let threads: Vec<_> = (0..THREADS)
                .map(|_| {
                    let (promise, ready) = (promise.clone(), ready.clone());
                    thread::spawn(move || {
                        ready.wait();
                        promise.wait().is_ok()
                    })
                })
                .collect();
            drop(promise);
            ready.wait();
            deferred.resolve(value);
            assert!(threads.into_iter().all(|thread| thread.join().unwrap()));
            assert_eq!((clones.get(), drops.get()), (THREADS - 1, THREADS));
        }
    });
}

/// H1, G3: outcomes of all sizes are waited for, by one thread and by several: nothing at all, many words, and what is no multiple of one.
#[test]
fn outcomes_of_all_sizes_are_waited_for() {
    fn wait_for<T, E>(outcome: Result<T, E>)
    where
        T: Clone + PartialEq + Debug + Send + Sync + 'static,
        E: Clone + PartialEq + Debug + From<Broken> + Send + Sync + 'static,
    {
        assert_eq!(Promise::from(outcome.clone()).wait(), outcome);
        for threads in [1, 3] {
            let (deferred, promise) = Deferred::<T, E>::new();
            let mut promises: Vec<_> = (1..threads).map(|_| promise.clone()).collect();
            promises.push(promise);
            thread::scope(|scope| {
                for (n, promise) in promises.into_iter().enumerate() {
                    let outcome = &outcome;
                    scope.spawn(move || {
                        let long = Duration::from_secs(3600);
                        let got = if n == 0 { promise.wait() } else { promise.wait_timeout(long).unwrap() };
                        assert_eq!(got, *outcome);
                    });
                }
                assert!(deferred.settle(outcome.clone()));
            });
        }
    }
    #[derive(Clone, Debug, PartialEq)]
    struct Big([u64; 40]);
    impl From<Broken> for Big {
        fn from(_: Broken) -> Self {
            Big([0; 40])
        }
    }
    watchdog(|| {
        let big = || Big(std::array::from_fn(|n| n as u64));
        wait_for::<(), ()>(Ok(()));
        wait_for::<(), ()>(Err(()));
        wait_for::<[u64; 0], Big>(Ok([]));
        wait_for::<[u8; 33], ()>(Ok(std::array::from_fn(|n| n as u8)));
        wait_for::<[usize; 4], ()>(Ok([1, 2, 3, 4]));
        wait_for::<[usize; 4], ()>(Err(()));
        wait_for::<Big, ()>(Ok(big()));
        wait_for::<(), Big>(Err(big()));
    });
}

/// H9: out of time, the promise comes back as it was, not canceled, and can be waited for again.
#[test]
fn out_of_time_the_promise_comes_back() {
    watchdog(|| {
        let (deferred, promise) = Deferred::<u32>::new();
        let promise = promise.wait_timeout(Duration::ZERO).unwrap_err();
        let promise = promise.wait_timeout(Duration::from_millis(1)).unwrap_err();
        assert_eq!((promise.state(), deferred.is_wanted()), (State::Pending, true));
        let thread = thread::spawn(move || deferred.resolve(2));
        assert_eq!(promise.wait_timeout(Duration::from_secs(3600)).unwrap().unwrap(), 2);
        thread.join().unwrap();
    });
}

/// M5: a wait of no time only looks, and finds what is there.
#[test]
fn no_time_is_enough_for_a_settled_promise() {
    assert_eq!(Promise::<u32>::resolved(1).wait_timeout(Duration::ZERO).unwrap().unwrap(), 1);
    let failed = Promise::<u32, String>::rejected("no".to_owned());
    assert_eq!(failed.wait_timeout(Duration::ZERO).unwrap().unwrap_err(), "no");
}

/// M6: `Duration::MAX` is as good as `wait`.
#[test]
fn the_longest_wait_does_not_overflow() {
    watchdog(|| {
        let (deferred, promise) = Deferred::<u32>::new();
        let thread = thread::spawn(move || deferred.resolve(3));
        assert_eq!(promise.wait_timeout(Duration::MAX).unwrap().unwrap(), 3);
        thread.join().unwrap();
    });
}

/// G3, G6: while another thread shows the value to a slow observer, a limited wait gives up and an unlimited one gets it after.
#[test]
fn a_value_that_is_lent_elsewhere_is_waited_for() {
    watchdog(|| {
        let (deferred, promise) = Deferred::<u32>::new();
        let meet = Arc::new(Barrier::new(2));
        let inside = meet.clone();
        let promise = promise.done(move |_| {
            inside.wait();
            inside.wait();
        });
        let thread = thread::spawn(move || deferred.resolve(4));
        meet.wait();
        assert_eq!(promise.state(), State::Resolved);
        let promise = promise.wait_timeout(Duration::from_millis(1)).unwrap_err();
        meet.wait();
        assert_eq!(promise.wait().unwrap(), 4);
        thread.join().unwrap();
    });
}

/// G11: a thread that is about to block first does what its callbacks left to the outermost one: it may wait for just that.
#[test]
fn wait_empties_the_trampoline_first() {
    fn nest(depth: u32, log: Log) {
        let (deferred, promise) = Deferred::<u32>::new();
        promise.done(move |_| {
            if depth > 0 {
                return nest(depth - 1, log);
            }
            // Its continuation would be run by the outermost `resolve`, which this thread never gets to while it waits.
            let (deferred, promise) = Deferred::<u32>::new();
            let entries = log.clone();
            let next = promise.done(move |_| entries.add("observer")).then(|n| Ok(n + 1));
            deferred.resolve(1);
            log.add(next.wait().unwrap());
        });
        deferred.resolve(depth);
    }
    for depth in [0, 1, 15, 16, 31, 32, 33, 100] {
        let log = Log::new();
        let entries = log.clone();
        watchdog(move || nest(depth, entries));
        assert_eq!(log.text(), "observer 2", "{depth}");
    }
}

/// G11: the same for what a `then` inside a callback waits for, and with a limit.
#[test]
fn a_limited_wait_empties_the_trampoline_too() {
    let (deferred, promise) = Deferred::<u32>::new();
    let (inner, chained) = Deferred::<u32>::new();
    let next = chained.then(|n| Ok(n + 1)).then(|n| Promise::<u32>::resolved(n + 1));
    let seen = Count::new();
    let count = seen.clone();
    promise.done(move |n| {
        inner.resolve(*n);
        assert_eq!(next.wait_timeout(Duration::ZERO).unwrap().unwrap(), 3);
        count.add();
    });
    deferred.resolve(1);
    assert_eq!(seen.get(), 1);
}

/// Y12, G11: on the thread of a running loop, a wait for a pending promise panics with the remedy; the loop goes on.
#[test]
fn a_running_loop_refuses_to_wait_for_a_pending_promise() {
    let event_loop = EventLoop::new();
    let (_deferred, promise) = Deferred::<u32>::new();
    let (_other, second) = Deferred::<u32>::new();
    let text = event_loop.call_soon(move || panic_of(|| promise.wait()));
    let limited = event_loop.call_soon(move || panic_of(|| second.wait_timeout(Duration::from_secs(1))));
    for call in [text, limited] {
        let text = event_loop.run_until_complete(call).unwrap();
        assert!(text.contains("running event loop") && text.contains("await"), "{text}");
    }
}

/// G11: settled promises can be waited for anywhere: in tasks, calls, and callbacks.
#[test]
fn a_running_loop_waits_for_a_settled_promise() {
    let event_loop = EventLoop::new();
    let call = event_loop.call_soon(|| {
        let zero = Promise::<u32>::resolved(2).wait_timeout(Duration::ZERO).unwrap();
        Promise::<u32>::resolved(1).wait().unwrap() + zero.unwrap()
    });
    assert_eq!(event_loop.run_until_complete(call).unwrap(), 3);
    let task = event_loop.spawn(async { Promise::<u32>::resolved(1).then(|n| Ok(n + 1)).wait() });
    assert_eq!(event_loop.run_until_complete(task.flatten()).unwrap(), 2);
}

/// G11: on the thread of a running loop, a settled promise whose value another thread just shows is waited for.
#[test]
fn a_running_loop_waits_for_a_value_that_is_lent() {
    watchdog(|| {
        let (deferred, promise) = Deferred::<u32>::new();
        let (meet, event_loop) = (Arc::new(Barrier::new(2)), EventLoop::new());
        let inside = meet.clone();
        let promise = promise.done(move |_| {
            inside.wait();
            inside.wait();
        });
        let thread = thread::spawn(move || deferred.resolve(4));
        meet.wait();
        let freer = meet.clone();
        let freed = thread::spawn(move || freer.wait().is_leader());
        assert_eq!(event_loop.run_until_complete(async { promise.wait() }).unwrap(), 4);
        thread.join().unwrap();
        freed.join().unwrap();
    });
}

/// G11: a loop that does not run forbids nothing, nor does one that has ended.
#[test]
fn a_standing_loop_forbids_nothing() {
    watchdog(|| {
        let event_loop = EventLoop::new();
        event_loop.run_until_idle();
        let (deferred, promise) = Deferred::<u32>::new();
        let thread = thread::spawn(move || deferred.resolve(1));
        assert_eq!(promise.wait().unwrap(), 1);
        thread.join().unwrap();
    });
}

/// G11, G14: a callback that waits for the very value that it is shown panics with the remedy, instead of hanging.
#[test]
fn wait_in_a_callback_of_its_own_promise() {
    watchdog(|| {
        let (deferred, promise) = Deferred::<u32>::new();
        let (first, second) = (promise.clone(), promise.clone());
        let promise = promise.done(move |_| drop(first.wait()));
        let promise = promise.done(move |_| {
            let text = panic_of(|| second.wait_timeout(Duration::from_secs(3600)));
            assert!(text.contains("then"), "{text}");
        });
        let text = panic_of(|| deferred.resolve(1));
        assert!(text.contains("looks at the same promise") && text.contains("await"), "{text}");
        assert_eq!(promise.wait().unwrap(), 1);
    });
}

/// G11: the same where a closure looks at it by `peek`.
#[test]
fn wait_in_a_peek_of_its_own_promise() {
    watchdog(|| {
        let promise = Promise::<u32>::resolved(1);
        let own = promise.clone();
        let text = panic_of(|| promise.peek(|_| own.wait()));
        assert!(text.contains("looks at the same promise"), "{text}");
        assert_eq!(promise.wait().unwrap(), 1);
    });
}

/// G11: in a callback, a wait for another promise is allowed: the other thread that settles it does not depend on this one.
#[test]
fn wait_in_a_callback_for_another_promise() {
    watchdog(|| {
        let (deferred, promise) = Deferred::<u32>::new();
        let log = Log::new();
        let entries = log.clone();
        promise.done(move |_| {
            let other = Promise::<u32>::new(|deferred| {
                thread::spawn(move || deferred.resolve(9));
            });
            entries.add(other.wait().unwrap());
        });
        deferred.resolve(1);
        assert_eq!(log.text(), "9");
    });
}

/// G9: where making the error panics, so does the wait; nobody else is hurt.
#[test]
fn a_wait_for_a_spoiled_outcome_panics() {
    #[derive(Clone, Debug)]
    struct Spoiled;
    impl From<Broken> for Spoiled {
        fn from(_: Broken) -> Self {
            panic!("no such error")
        }
    }
    let (deferred, promise) = Deferred::<u32, Spoiled>::new();
    let other = promise.clone();
    drop(deferred);
    assert!(panic_of(|| promise.wait()).contains("no such error"));
    assert!(panic_of(|| other.wait_timeout(Duration::ZERO)).contains("no such error"));
}

/// A stray `unpark` is not taken for the outcome, and the thread's own token is left alone.
#[test]
fn stray_unparks_do_not_matter() {
    watchdog(|| {
        let (deferred, promise) = Deferred::<u32>::new();
        thread::current().unpark();
        let promise = promise.wait_timeout(Duration::from_millis(1)).unwrap_err();
        let waiter = thread::current();
        let thread = thread::spawn(move || {
            (0..100).for_each(|_| waiter.unpark());
            deferred.resolve(1)
        });
        assert_eq!(promise.wait().unwrap(), 1);
        thread::park(); // the token is still there
        thread.join().unwrap();
    });
}

/// H1: a plain thread waits for what a loop does, while the loop runs elsewhere.
#[test]
fn a_thread_waits_for_a_loop() {
    watchdog(|| {
        let event_loop = EventLoop::new();
        let handle = event_loop.handle();
        let waiter = thread::spawn(move || {
            let sum = (0..100).map(|n| handle.spawn(async move { current().call_soon(move || n).await }).flatten());
            let sum = sum.collect::<Vec<_>>().into_iter().map(|promise| promise.wait().unwrap()).sum::<u32>();
            handle.stop();
            sum
        });
        event_loop.run_forever();
        assert_eq!(waiter.join().unwrap(), 4950);
    });
}
