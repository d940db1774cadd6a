//! Tasks: spawned and joined, taking turns, on one thread and on two.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::hint::black_box;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Poll, Waker};
use std::thread;

use futures::task::AtomicWaker;

use super::executors::{Deferral, Executor, Local, Pool, Static, Tokio};
use super::{Clock, Contestant, Limit, OURS, Operation, Round};

/// The same workload on every executor.
macro_rules! on_every_executor {
    ($workload:ident) => {
        &[
            Contestant::new(OURS, $workload::<Deferral>),
            Contestant::new("tokio LocalSet", $workload::<Tokio>),
            Contestant::new("LocalExecutor", $workload::<Local>),
            Contestant::new("static LocalExecutor", $workload::<Static>),
            Contestant::new("LocalPool", $workload::<Pool>),
        ]
    };
}

pub const SPAWN_AND_JOIN: Operation = Operation {
    name: "spawn and join, per task, 1,000 at once",
    count: 1_000,
    clock: Clock::Cpu,
    limit: Limit::new(1.0, "tokio LocalSet"),
    contestants: on_every_executor!(spawn_and_join),
};

fn spawn_and_join<E: Executor>() -> Round {
    let executor = E::new();
    Box::new(move || {
        executor.run(async {
            let spawn = |n| executor.spawn(async move { black_box(n) });
            let tasks: Vec<E::Task<u64>> = (0..SPAWN_AND_JOIN.count).map(spawn).collect();
            for task in tasks {
                black_box(task.await);
            }
        });
    })
}

pub const YIELD: Operation = Operation {
    name: "yield, by one task",
    count: 10_000,
    clock: Clock::Cpu,
    limit: Limit::new(1.0, "tokio LocalSet"),
    contestants: on_every_executor!(yield_alone),
};

fn yield_alone<E: Executor>() -> Round {
    yields::<E>(1, YIELD.count)
}

pub const YIELD_AMONG_MANY: Operation = Operation {
    name: "yield, by each of 1,000 tasks",
    count: 100_000,
    clock: Clock::Cpu,
    limit: Limit::new(1.0, "tokio LocalSet"),
    contestants: on_every_executor!(yield_among_many),
};

fn yield_among_many<E: Executor>() -> Round {
    yields::<E>(1_000, YIELD_AMONG_MANY.count / 1_000)
}

fn yields<E: Executor>(tasks: u64, times: u64) -> Round {
    let executor = E::new();
    Box::new(move || {
        executor.run(async {
            let spawn = |_| {
                executor.spawn(async move {
                    for _ in 0..times {
                        yield_now().await;
                    }
                })
            };
            let tasks: Vec<E::Task<()>> = (0..tasks).map(spawn).collect();
            for task in tasks {
                task.await;
            }
        });
    })
}

/// Wakes itself: tokio's own also waits for the drivers.
fn yield_now() -> impl Future<Output = ()> {
    let mut yielded = false;
    poll_fn(move |cx| {
        if std::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
}

pub const BATON: Operation = Operation {
    name: "baton between two tasks, round trip",
    count: 10_000,
    clock: Clock::Cpu,
    limit: Limit::new(1.0, "tokio LocalSet"),
    contestants: on_every_executor!(baton),
};

fn baton<E: Executor>() -> Round {
    /// Whose turn it is, and who waits for it.
    struct Baton {
        holder: Cell<usize>,
        waiting: [Cell<Option<Waker>>; 2],
    }

    async fn pass(baton: Rc<Baton>, me: usize, times: u64) {
        for _ in 0..times {
            let mine = poll_fn(|cx| {
                if baton.holder.get() == me {
                    return Poll::Ready(());
                }
                baton.waiting[me].set(Some(cx.waker().clone()));
                Poll::Pending
            });
            mine.await;
            baton.holder.set(1 - me);
            if let Some(waker) = baton.waiting[1 - me].take() {
                waker.wake();
            }
        }
    }

    let executor = E::new();
    Box::new(move || {
        executor.run(async {
            let baton = Rc::new(Baton { holder: Cell::new(0), waiting: Default::default() });
            let [first, second] = [0, 1].map(|me| executor.spawn(pass(baton.clone(), me, BATON.count)));
            first.await;
            second.await;
        });
    })
}

pub const THREAD_BATON: Operation = Operation {
    name: "baton between two threads, round trip",
    count: 1_000,
    clock: Clock::Wall,
    limit: Limit::new(1.1, "the best"),
    contestants: on_every_executor!(thread_baton),
};

/// Both threads run the contestant's executor.
fn thread_baton<E: Executor>() -> Round {
    #[derive(Default)]
    struct Baton {
        holder: AtomicUsize,
        waiting: [AtomicWaker; 2],
    }

    async fn pass(baton: Arc<Baton>, me: usize) {
        for _ in 0..THREAD_BATON.count {
            let mine = poll_fn(|cx| {
                baton.waiting[me].register(cx.waker());
                if baton.holder.load(Ordering::Acquire) == me { Poll::Ready(()) } else { Poll::Pending }
            });
            mine.await;
            baton.holder.store(1 - me, Ordering::Release);
            baton.waiting[1 - me].wake();
        }
    }

    fn run<E: Executor>(executor: &E, baton: &Arc<Baton>, me: usize) {
        executor.run(async {
            executor.spawn(pass(baton.clone(), me)).await;
        });
    }

    let executor = E::new();
    Box::new(move || {
        let baton = Arc::new(Baton::default());
        thread::scope(|scope| {
            scope.spawn(|| run(&E::new(), &baton, 1));
            run(&executor, &baton, 0);
        });
    })
}
