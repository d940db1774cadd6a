//! Promises under any executor, and what a waker may do: poll inline, drop others, register callbacks.

use crate::util::{Count, CountingWaker, Log, OnDrop, poll, poll_once, small_stack, watchdog};
use deferral::{Deferred, EventLoop, Promise, local, when};
use futures::executor::{LocalPool, block_on};
use futures::future::{Either, FusedFuture, select};
use futures::task::LocalSpawnExt;
use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;

/// A small executor: tasks of one thread, run until none is ready.
#[derive(Default)]
struct Executor {
    tasks: Vec<Option<Pin<Box<dyn Future<Output = ()>>>>>,
    ready: Arc<Mutex<VecDeque<usize>>>,
}

struct Turn {
    task: usize,
    ready: Arc<Mutex<VecDeque<usize>>>,
}

impl Wake for Turn {
    fn wake(self: Arc<Self>) {
        self.ready.lock().unwrap().push_back(self.task);
    }
}

impl Executor {
    fn spawn(&mut self, task: impl Future<Output = ()> + 'static) {
        self.ready.lock().unwrap().push_back(self.tasks.len());
        self.tasks.push(Some(Box::pin(task)));
    }

    fn run(&mut self) {
        loop {
            let next = self.ready.lock().unwrap().pop_front();
            let Some(task) = next else { return };
            let waker = Waker::from(Arc::new(Turn { task, ready: self.ready.clone() }));
            let slot = &mut self.tasks[task];
            if slot.as_mut().is_some_and(|task| task.as_mut().poll(&mut Context::from_waker(&waker)).is_ready()) {
                *slot = None;
            }
        }
    }
}

/// Y11, G12: one promise is awaited by clones under four executors at once: `block_on`, a `LocalPool`, one written by hand, and our
/// loop; and by a plain thread.
#[test]
fn one_promise_under_many_executors() {
    watchdog(|| {
        let (deferred, promise) = Deferred::<String>::new();
        let (heard, threads) = (Count::new(), 4);
        let await_it = |promise: Promise<String>| {
            let heard = heard.clone();
            async move {
                assert_eq!(promise.await.unwrap(), "hello");
                heard.add();
            }
        };
        let (a, b, c, d) = (promise.clone(), promise.clone(), promise.clone(), promise.clone());
        let tasks = [await_it(a), await_it(b), await_it(c), await_it(d)];
        let [a, b, c, d] = tasks;
        let running = [
            thread::spawn(move || block_on(a)),
            thread::spawn(move || {
                let mut pool = LocalPool::new();
                pool.spawner().spawn_local(b).unwrap();
                pool.run();
            }),
            thread::spawn(move || EventLoop::new().run_until_complete(c)),
            thread::spawn(move || assert_eq!(promise.wait().unwrap(), "hello")),
        ];
        let mut by_hand = Executor::default();
        by_hand.spawn(d);
        by_hand.run();
        deferred.resolve("hello".to_owned());
        // A poll may find another thread that clones the outcome: that thread wakes the task once more.
        while by_hand.tasks[0].is_some() {
            by_hand.run();
            thread::yield_now();
        }
        assert_eq!(running.map(|thread| thread.join().unwrap()).len(), threads);
        assert_eq!(heard.get(), 4);
    });
}

/// G12: local promises need no loop, either: callbacks, chains and aggregates under foreign executors.
#[test]
fn local_promises_under_a_foreign_executor() {
    let (log, mut executor) = (Log::new(), Executor::default());
    let (deferreds, promises): (Vec<_>, Vec<_>) = (0..3).map(|_| local::Deferred::<u32>::new()).unzip();
    let all = when(promises.into_iter().map(|promise| promise.then(|n| Ok(n * 2))).collect::<Vec<_>>());
    let entries = log.clone();
    executor.spawn(async move { entries.add(all.await.unwrap().into_iter().sum::<u32>()) });
    for deferred in deferreds.into_iter().rev() {
        executor.spawn(async move { assert!(deferred.resolve(7)) });
    }
    executor.run();
    assert_eq!(log.text(), "42");
    let mut pool = LocalPool::new();
    let (deferred, promise) = local::Deferred::<u32>::new();
    pool.spawner().spawn_local(async move { assert!(deferred.resolve(1)) }).unwrap();
    assert_eq!(pool.run_until(promise).unwrap(), 1);
}

/// G12: the combinators of `futures` take promises as they are: fused, and polled by turns.
#[test]
fn promises_in_combinators() {
    let (deferred, slow) = Deferred::<u32>::new();
    let fast = Promise::<u32>::resolved(1);
    let Either::Right((Ok(1), slow)) = block_on(select(slow, fast)) else { panic!("the fast one wins") };
    assert!(!slow.is_terminated());
    deferred.resolve(2);
    let (slow, other) = block_on(futures::future::join(slow, async { 3 }));
    assert_eq!((slow.unwrap(), other), (2, 3));
}

/// A waker that does something when it is woken, and again when it is dropped.
struct Acting {
    on_wake: Box<dyn Fn() + Send + Sync>,
    on_drop: Mutex<Option<Box<dyn FnOnce() + Send>>>,
}

impl Acting {
    fn on_wake(f: impl Fn() + Send + Sync + 'static) -> Waker {
        Waker::from(Arc::new(Acting { on_wake: Box::new(f), on_drop: Mutex::new(None) }))
    }

    fn on_drop(f: impl FnOnce() + Send + 'static) -> Waker {
        Waker::from(Arc::new(Acting { on_wake: Box::new(|| ()), on_drop: Mutex::new(Some(Box::new(f))) }))
    }
}

impl Wake for Acting {
    fn wake(self: Arc<Self>) {
        (self.on_wake)();
    }
}

impl Drop for Acting {
    fn drop(&mut self) {
        if let Some(f) = self.on_drop.get_mut().unwrap().take() {
            f();
        }
    }
}

/// G6, Y7: the value is back in its place before wakers run: one that polls inline, inside `resolve`, gets it.
#[test]
fn a_waker_polls_inline() {
    watchdog(|| {
        let log = Log::new();
        let (deferred, promise) = Deferred::<u32>::new();
        let shared = Arc::new(Mutex::new(promise.clone()));
        let (inner, entries) = (shared.clone(), log.clone());
        let waker = Acting::on_wake(move || {
            let Poll::Ready(outcome) = poll_once(&mut *inner.lock().unwrap()) else { panic!("not there") };
            entries.add(outcome.unwrap());
        });
        assert!(poll(&mut *shared.lock().unwrap(), &waker).is_pending());
        deferred.resolve(3);
        assert_eq!((log.text().as_str(), promise.wait().unwrap()), ("3", 3));
    });
}

/// Trap 2, G6, G7: a waker whose `wake` drops a sibling that waits for the same promise; in both orders.
#[test]
fn a_waker_drops_a_sibling() {
    for first in [true, false] {
        watchdog(move || {
            let (deferred, promise) = Deferred::<u32>::new();
            let sibling = Arc::new(Mutex::new(Some(promise.clone())));
            let (mut stays, victim) = (promise, sibling.clone());
            let waker = Acting::on_wake(move || drop(victim.lock().unwrap().take()));
            let (counting, other) = CountingWaker::new();
            let park_sibling = || assert!(poll(sibling.lock().unwrap().as_mut().unwrap(), &other).is_pending());
            if first {
                park_sibling();
            }
            assert!(poll(&mut stays, &waker).is_pending());
            if !first {
                park_sibling();
            }
            deferred.resolve(4);
            assert!(sibling.lock().unwrap().is_none());
            // The sibling's waker was on its way already, or went with it.
            assert!(counting.wakes() <= 1);
            assert!(matches!(poll_once(&mut stays), Poll::Ready(Ok(4))));
        });
    }
}

/// Trap 2, G6: a waker whose destructor registers a callback on the promise: dropped by a replacement, with the waiting promise, and
/// by the settle.
#[test]
fn a_dropped_waker_registers_a_callback() {
    watchdog(|| {
        let log = Log::new();
        let (deferred, mut promise) = Deferred::<u32>::new();
        let registering = |name: &'static str| {
            let (deferred, log) = (deferred.clone(), log.clone());
            Acting::on_drop(move || {
                deferred.done(move |n| log.add(format!("{name}{n}")));
            })
        };
        assert!(poll(&mut promise, &registering("replaced")).is_pending());
        assert!(poll(&mut promise, &registering("settled")).is_pending());
        let mut sibling = promise.clone();
        assert!(poll(&mut sibling, &registering("dropped")).is_pending());
        drop(sibling);
        deferred.resolve(1);
        assert_eq!(log.text(), "replaced1 dropped1 settled1");
        assert_eq!(promise.wait().unwrap(), 1);
    });
}

/// Y2, G7: polled again with another waker, only the newest is woken, and the old one is released.
#[test]
fn the_newest_waker_is_woken() {
    let (deferred, mut promise) = Deferred::<u32>::new();
    let (old, old_waker) = CountingWaker::new();
    let (new, new_waker) = CountingWaker::new();
    assert!(poll(&mut promise, &old_waker).is_pending());
    assert!(poll(&mut promise, &new_waker).is_pending());
    drop(old_waker);
    assert_eq!(Arc::strong_count(&old), 1);
    deferred.resolve(1);
    assert_eq!((old.wakes(), new.wakes()), (0, 1));
    drop(new_waker);
    assert_eq!(Arc::strong_count(&new), 1);
}

/// Y3, Y9: 10,000 spurious polls keep one slot and one clone of the waker, in a promise with neighbours.
#[test]
fn spurious_polls_change_nothing() {
    let (deferred, mut promise) = Deferred::<u32>::new();
    let mut others: Vec<_> = (0..3).map(|_| promise.clone()).collect();
    let (counting, waker) = CountingWaker::new();
    let (_, other) = CountingWaker::new();
    others.iter_mut().for_each(|clone| assert!(poll(clone, &other).is_pending()));
    for _ in 0..10_000 {
        assert!(poll(&mut promise, &waker).is_pending());
        assert_eq!(Arc::strong_count(&counting), 3);
    }
    // The same with two wakers in turn.
    let (another, second) = CountingWaker::new();
    for _ in 0..10_000 {
        assert!(poll(&mut promise, &second).is_pending());
        assert!(poll(&mut promise, &waker).is_pending());
    }
    assert_eq!((Arc::strong_count(&counting), Arc::strong_count(&another)), (3, 2));
    deferred.resolve(1);
    assert_eq!((counting.wakes(), another.wakes()), (1, 0));
}

/// Y6, trap 6: the place of one that left is taken by a newcomer, whom the late cleanup of the first does not hurt.
#[test]
fn a_reused_place_belongs_to_the_newcomer() {
    let (deferred, mut a) = Deferred::<u32>::new();
    let (mut b, mut c) = (a.clone(), a.clone());
    let wakers: [_; 3] = std::array::from_fn(|_| CountingWaker::new());
    assert!(poll(&mut a, &wakers[0].1).is_pending());
    assert!(poll(&mut b, &wakers[1].1).is_pending());
    drop(a);
    assert!(poll(&mut c, &wakers[2].1).is_pending());
    assert!(poll(&mut b, &wakers[1].1).is_pending());
    drop(b);
    deferred.resolve(1);
    assert_eq!(wakers.each_ref().map(|(counting, _)| counting.wakes()), [0, 0, 1]);
    let counts = wakers.map(|(counting, waker)| {
        drop(waker);
        Arc::strong_count(&counting)
    });
    assert_eq!(counts, [1, 1, 1]);
    assert!(poll_once(&mut c).is_ready());
}

/// Y4, O1: many who wait are woken once each, in the order of their first poll.
#[test]
fn all_who_wait_are_woken_in_order() {
    let log = Log::new();
    let (deferred, promise) = Deferred::<u32>::new();
    let mut clones: Vec<_> = (0..5).map(|_| promise.clone()).collect();
    for (n, clone) in clones.iter_mut().enumerate().rev() {
        let log = log.clone();
        assert!(poll(clone, &Acting::on_wake(move || log.add(n))).is_pending());
    }
    deferred.resolve(1);
    assert_eq!(log.text(), "4 3 2 1 0");
}

/// G9, F9: a waker that panics in `wake` hurts nobody: the others are woken, then the panic comes out of `resolve`.
#[test]
fn a_waker_that_panics() {
    let (deferred, mut first) = Deferred::<u32>::new();
    let mut second = first.clone();
    let (counting, waker) = CountingWaker::new();
    assert!(poll(&mut first, &Acting::on_wake(|| panic!("a waker"))).is_pending());
    assert!(poll(&mut second, &waker).is_pending());
    assert_eq!(crate::util::panic_of(|| deferred.resolve(1)), "a waker");
    assert_eq!(counting.wakes(), 1);
    assert!(poll_once(&mut first).is_ready() && poll_once(&mut second).is_ready());
}

/// G9, F9: the same of the only one, by a settle inside a callback: that goes on, and the panic comes out of the outermost settle.
#[test]
fn the_only_waker_panics() {
    let (inner, mut awaited) = Deferred::<u32>::new();
    assert!(poll(&mut awaited, &Acting::on_wake(|| panic!("a waker"))).is_pending());
    let (outer, promise) = Deferred::<u32>::new();
    let log = Log::new();
    let observer = log.clone();
    let _promise = promise.done(move |_| {
        inner.resolve(2);
        observer.add("after");
    });
    assert_eq!(crate::util::panic_of(|| outer.resolve(1)), "a waker");
    assert_eq!(log.text(), "after");
    assert!(matches!(poll_once(&mut awaited), Poll::Ready(Ok(2))));
}

/// G4: a wake inside a callback runs nothing of what waits for the callback's end.
#[test]
fn a_wake_in_a_continuation_leaves_the_next_one_its_turn() {
    let log = Log::new();
    let (deferred, promise) = Deferred::<u32>::new();
    let (other, mut awaited) = Deferred::<u32>::new();
    let wakes = log.clone();
    assert!(poll(&mut awaited, &Acting::on_wake(move || wakes.add("woken"))).is_pending());
    let (entries, second) = (log.clone(), log.entry("second"));
    promise.clone().then(move |n| {
        entries.add("first(");
        other.resolve(n);
        entries.add(")");
        Ok(())
    });
    promise.then(move |_| {
        second();
        Ok(())
    });
    deferred.resolve(1);
    assert_eq!(log.text(), "first( woken ) second");
}

/// G5: wakers that settle the next promise, which wakes the next, take no more stack the more there are.
#[test]
fn a_recursion_of_wakes() {
    const DEPTH: usize = 100_000;
    let woken = small_stack(|| {
        let woken = Count::new();
        let (head, mut promise) = Deferred::<u32>::new();
        let mut waiting = Vec::new();
        for _ in 0..DEPTH {
            let (next, after) = Deferred::<u32>::new();
            let count = woken.clone();
            let waker = Acting::on_wake(move || {
                count.add();
                next.resolve(1);
            });
            assert!(poll(&mut promise, &waker).is_pending());
            waiting.push(std::mem::replace(&mut promise, after));
        }
        head.resolve(1);
        woken.get()
    });
    assert_eq!(woken, DEPTH);
}

/// G5: a task is woken however deep the settles nest that lead to it.
#[test]
fn a_waker_below_many_settles() {
    for depth in [1, 15, 16, 17, 31, 32, 33, 100] {
        let (deferred, mut awaited) = Deferred::<u32>::new();
        let (counting, waker) = CountingWaker::new();
        assert!(poll(&mut awaited, &waker).is_pending());
        let mut outermost = deferred;
        for _ in 0..depth {
            let (deferred, promise) = Deferred::<u32>::new();
            promise.done(move |n| assert!(outermost.resolve(n + 1)));
            outermost = deferred;
        }
        outermost.resolve(0);
        assert_eq!(counting.wakes(), 1, "below {depth}");
        assert!(matches!(poll_once(&mut awaited), Poll::Ready(Ok(n)) if n == depth));
    }
}

/// Y7, G6: a waker's destructor that settles the very promise, as it is dropped by a replacement.
#[test]
fn a_dropped_waker_settles() {
    watchdog(|| {
        let (deferred, mut promise) = Deferred::<u32>::new();
        let waker = Acting::on_drop(move || assert!(deferred.resolve(6)));
        assert!(poll(&mut promise, &waker).is_pending());
        drop(waker);
        let (counting, waker) = CountingWaker::new();
        // Parked first, and then woken by the destructor of the old one.
        assert!(poll(&mut promise, &waker).is_pending());
        assert_eq!(counting.wakes(), 1);
        assert!(matches!(poll_once(&mut promise), Poll::Ready(Ok(6))));
    });
}

/// Y10: a settled promise is ready at its first poll, without touching the waker.
#[test]
fn a_settled_promise_needs_no_waker() {
    let (counting, waker) = CountingWaker::new();
    assert!(poll(&mut Promise::<u32>::resolved(1), &waker).is_ready());
    assert!(poll(&mut Promise::<u32, String>::rejected(String::new()), &waker).is_ready());
    assert_eq!((Arc::strong_count(&counting), counting.wakes()), (2, 0));
}

/// G7: a promise whose future is dropped while it waits leaves its waker, and what that holds, to nobody.
#[test]
fn a_dropped_future_leaves_no_waker() {
    let drops = Count::new();
    let (deferred, promise) = Deferred::<u32>::new();
    let (mut waits, counted) = (promise.clone(), drops.clone());
    let guard = OnDrop::new(move || counted.add());
    assert!(poll(&mut waits, &Acting::on_drop(move || drop(guard))).is_pending());
    assert_eq!(drops.get(), 0);
    drop(waits);
    assert_eq!(drops.get(), 1);
    deferred.resolve(1);
    assert_eq!(block_on(promise).unwrap(), 1);
}
