//! The program that this crate exists to make short, without its files: integers sorted in chunks of eight, a promise each.

use std::hint::black_box;

use deferral::{EventLoop, when};

use super::executors::{Executor, Local, Pool, Static, Tokio};
use super::{Clock, Contestant, Limit, OURS, Operation, Round, random};

const CHUNK: usize = 8;

macro_rules! contestants {
    ($count:expr) => {
        &[
            Contestant::new(OURS, || with_promises($count)),
            Contestant::new("tokio LocalSet, oneshot", || with_oneshots::<Tokio>($count)),
            Contestant::new("tokio LocalSet, its oneshot", || with_tokio_oneshots($count)),
            Contestant::new("tokio LocalSet, JoinHandle", || with_tasks::<Tokio>($count)),
            Contestant::new("LocalExecutor, oneshot", || with_oneshots::<Local>($count)),
            Contestant::new("static LocalExecutor, oneshot", || with_oneshots::<Static>($count)),
            Contestant::new("static LocalExecutor, Task", || with_tasks::<Static>($count)),
            Contestant::new("LocalPool, oneshot", || with_oneshots::<Pool>($count)),
            Contestant::new("a plain loop", || in_a_plain_loop($count)),
        ]
    };
}

pub const THOUSAND: Operation = Operation {
    name: "1,000 integers sorted in chunks of 8",
    count: 1,
    clock: Clock::Cpu,
    limit: Limit::new(1.0, "tokio LocalSet, oneshot"),
    contestants: contestants!(1_000),
};

pub const MILLION: Operation = Operation {
    name: "1,000,000 integers sorted in chunks of 8",
    count: 1,
    clock: Clock::Cpu,
    limit: Limit::new(1.0, "tokio LocalSet, oneshot"),
    contestants: contestants!(1_000_000),
};

fn integers(count: usize) -> Vec<i64> {
    random().map(|random| random as i64).take(count).collect()
}

fn with_promises(count: usize) -> Round {
    let (event_loop, integers) = (EventLoop::new(), integers(count));
    Box::new(move || {
        let sort = |chunk: &[i64]| {
            let mut chunk = chunk.to_vec();
            event_loop.call_soon(move || {
                chunk.sort_unstable();
                chunk
            })
        };
        let chunks: Vec<_> = integers.chunks(CHUNK).map(sort).collect();
        black_box(event_loop.run_until_complete(when(chunks)).is_ok());
    })
}

fn with_oneshots<E: Executor>(count: usize) -> Round {
    let (executor, integers) = (E::new(), integers(count));
    Box::new(move || {
        executor.run(async {
            let sort = |chunk: &[i64]| {
                let mut chunk = chunk.to_vec();
                let (sender, receiver) = oneshot::async_channel();
                E::detach(executor.spawn(async move {
                    chunk.sort_unstable();
                    sender.send(chunk).is_ok()
                }));
                receiver
            };
            let receivers: Vec<_> = integers.chunks(CHUNK).map(sort).collect();
            let mut sorted = Vec::with_capacity(receivers.len());
            for receiver in receivers {
                sorted.extend(receiver.await);
            }
            black_box(sorted);
        });
    })
}

/// No oneshot: what an executor gives for a task tells its output.
fn with_tasks<E: Executor>(count: usize) -> Round {
    let (executor, integers) = (E::new(), integers(count));
    Box::new(move || {
        executor.run(async {
            let sort = |chunk: &[i64]| {
                let mut chunk = chunk.to_vec();
                executor.spawn(async move {
                    chunk.sort_unstable();
                    chunk
                })
            };
            let tasks: Vec<_> = integers.chunks(CHUNK).map(sort).collect();
            let mut sorted = Vec::with_capacity(tasks.len());
            for task in tasks {
                sorted.push(task.await);
            }
            black_box(sorted);
        });
    })
}

fn with_tokio_oneshots(count: usize) -> Round {
    let (executor, integers) = (Tokio::new(), integers(count));
    Box::new(move || {
        executor.run(async {
            let sort = |chunk: &[i64]| {
                let mut chunk = chunk.to_vec();
                let (sender, receiver) = tokio::sync::oneshot::channel();
                executor.spawn(async move {
                    chunk.sort_unstable();
                    sender.send(chunk).is_ok()
                });
                receiver
            };
            let receivers: Vec<_> = integers.chunks(CHUNK).map(sort).collect();
            let mut sorted = Vec::with_capacity(receivers.len());
            for receiver in receivers {
                sorted.extend(receiver.await);
            }
            black_box(sorted);
        });
    })
}

fn in_a_plain_loop(count: usize) -> Round {
    let integers = integers(count);
    Box::new(move || {
        let sort = |chunk: &[i64]| {
            let mut chunk = chunk.to_vec();
            chunk.sort_unstable();
            chunk
        };
        black_box(integers.chunks(CHUNK).map(sort).collect::<Vec<_>>());
    })
}
