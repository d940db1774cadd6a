//! What things take while they wait, on the heap: what a handle itself takes is left to its owner.

use std::cell::RefCell;
use std::future::poll_fn;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use deferral::{EventLoop, local};
use tokio::runtime::Builder;
use tokio::time::sleep_until;
use tokio_util::time::DelayQueue;

use super::OURS;
use super::executors::{Deferral, Executor, Local, Pool, Static, Tokio};
use super::oneshots::{self, Oneshot, Ours, Plain};

/// One kind of thing, and all who can make it.
pub struct Footprint {
    pub name: &'static str,
    /// What we set ourselves, in bytes.
    pub limit: u64,
    /// Makes as many as it is told, and says by how much `live` has grown: this crate first.
    pub contestants: &'static [(&'static str, fn(usize, Live) -> u64)],
}

/// How many bytes the process has on the heap.
pub type Live = fn() -> u64;

pub const FOOTPRINTS: &[Footprint] = &[
    Footprint {
        name: "pending promise of a u64, awaited",
        limit: 88,
        contestants: &[
            (OURS, pairs::<Ours>),
            ("tokio oneshot", pairs::<oneshots::Tokio>),
            ("oneshot", pairs::<Plain>),
            ("futures oneshot", pairs::<oneshots::Futures>),
            ("deferral::local", pairs::<oneshots::Local>),
        ],
    },
    Footprint {
        name: "pending task with what tells its output",
        limit: 240,
        contestants: &[
            (OURS, tasks::<Deferral>),
            ("tokio LocalSet", tasks::<Tokio>),
            ("LocalExecutor", tasks::<Local>),
            ("static LocalExecutor", tasks::<Static>),
            ("LocalPool", tasks::<Pool>),
        ],
    },
    Footprint {
        name: "pending timer, beside its promise",
        limit: 96,
        contestants: &[(OURS, calls), ("tokio Sleep", sleeps), ("DelayQueue", delays)],
    },
];

fn pairs<O: Oneshot>(count: usize, live: Live) -> u64 {
    let mut pairs = Vec::with_capacity(count);
    let before = live();
    for _ in 0..count {
        let (sender, mut receiver) = O::pair();
        assert!(oneshots::poll(&mut receiver).is_pending());
        pairs.push((sender, receiver));
    }
    live() - before
}

fn tasks<E: Executor>(count: usize, live: Live) -> u64 {
    let executor = E::new();
    let mut tasks = Vec::with_capacity(count);
    WAKERS.with_borrow_mut(|wakers| wakers.reserve(count));
    let before = live();
    let spawn = || {
        executor.spawn(async {
            poll_fn(wait).await;
            1_u64
        })
    };
    executor.run(async {
        tasks.extend(std::iter::repeat_with(spawn).take(count));
        // They are spawned, and each has been polled.
        executor.spawn(async {}).await;
    });
    let bytes = live() - before;
    WAKERS.take();
    bytes
}

/// Waits for somebody who could wake it: some executors keep less of a task that nobody can.
fn wait(cx: &mut Context<'_>) -> Poll<()> {
    WAKERS.with_borrow_mut(|wakers| wakers.push(cx.waker().clone()));
    Poll::Pending
}

thread_local! {
    static WAKERS: RefCell<Vec<Waker>> = const { RefCell::new(Vec::new()) };
}

/// Far away, each at another time.
fn deadlines(count: usize) -> impl Iterator<Item = Instant> {
    let start = Instant::now() + Duration::from_secs(3600);
    (0..count).map(move |n| start + Duration::from_micros(n as u64))
}

fn calls(count: usize, live: Live) -> u64 {
    let event_loop = EventLoop::new();
    let mut timers = Vec::with_capacity(count);
    let before = live();
    timers.extend(deadlines(count).map(|deadline| event_loop.call_at(deadline, || ())));
    live() - before - promises(count, live)
}

/// Nobody else's timer has one.
fn promises(count: usize, live: Live) -> u64 {
    let mut pairs = Vec::with_capacity(count);
    let before = live();
    pairs.extend(std::iter::repeat_with(local::Deferred::<()>::new).take(count));
    live() - before
}

fn sleeps(count: usize, live: Live) -> u64 {
    let runtime = Builder::new_current_thread().enable_time().build().expect("a runtime with a timer");
    let mut timers = Vec::with_capacity(count);
    let before = live();
    runtime.block_on(async {
        timers.extend(deadlines(count).map(|deadline| Box::pin(sleep_until(deadline.into()))));
        poll_fn(|cx| {
            assert!(timers.iter_mut().all(|timer| timer.as_mut().poll(cx).is_pending()));
            Poll::Ready(())
        })
        .await;
    });
    live() - before
}

fn delays(count: usize, live: Live) -> u64 {
    let runtime = Builder::new_current_thread().enable_time().build().expect("a runtime with a timer");
    let before = live();
    runtime.block_on(async {
        let mut queue = DelayQueue::new();
        for deadline in deadlines(count) {
            queue.insert_at((), deadline.into());
        }
        live() - before
    })
}
