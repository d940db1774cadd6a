//! Many promises, awaited as one: `when` beside the combinators of other crates over the channels of other crates.
//!
//! All of them end with the first error, and give a vector of values in the order of the inputs.

use std::future::{Future, Ready, ready};
use std::hint::black_box;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::{Context, Wake, Waker};

use deferral::{Promise, when};
use futures_concurrency::future::TryJoin;

use super::oneshots::{self, Oneshot, Ours, Plain, Tokio};
use super::{Clock, Contestant, Limit, OURS, Operation, Round, random};

/// A way to await them all.
trait Combinator<F: Future> {
    fn gather(all: Vec<F>) -> impl Future<Output: Sized>;
}

/// This crate.
struct When;

impl Combinator<Promise<u64>> for When {
    fn gather(all: Vec<Promise<u64>>) -> impl Future<Output: Sized> {
        when(all)
    }
}

/// `futures`.
struct Futures;

impl<F: Future<Output = Result<u64, E>>, E> Combinator<F> for Futures {
    fn gather(all: Vec<F>) -> impl Future<Output: Sized> {
        futures::future::try_join_all(all)
    }
}

/// `futures-buffered`.
struct Buffered;

impl<F: Future<Output = Result<u64, E>>, E> Combinator<F> for Buffered {
    fn gather(all: Vec<F>) -> impl Future<Output: Sized> {
        futures_buffered::try_join_all(all)
    }
}

/// `futures-concurrency`.
struct Concurrency;

impl<F: Future<Output = Result<u64, E>>, E> Combinator<F> for Concurrency {
    fn gather(all: Vec<F>) -> impl Future<Output: Sized> {
        all.try_join()
    }
}

/// The task that awaits: polled again once it has been woken, and only then, as every executor does it.
struct Task {
    flag: Arc<Flag>,
    waker: Waker,
}

#[derive(Default)]
struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.store(true, Relaxed);
    }
}

impl Task {
    fn new() -> Self {
        let flag = Arc::new(Flag::default());
        Task { waker: Waker::from(flag.clone()), flag }
    }

    /// Whether it was woken since it was asked.
    fn woken(&self) -> bool {
        self.flag.0.swap(false, Relaxed)
    }

    /// Returns whether it has ended.
    fn poll<F: Future>(&self, future: Pin<&mut F>) -> bool {
        let poll = future.poll(&mut Context::from_waker(&self.waker));
        black_box(poll).is_ready()
    }

    /// Polls what has nothing to wait for any more; it may wake itself all the same.
    fn finish<F: Future>(&self, mut future: Pin<&mut F>) {
        while !self.poll(future.as_mut()) {
            assert!(self.woken(), "lost");
        }
    }
}

/// When the inputs are settled.
#[derive(Clone, Copy)]
enum Settled {
    BeforeGathered,
    BeforeAwaited,
    OneByOne,
}

/// Each sender where its turn is.
fn shuffled<T>(items: Vec<T>, order: &[usize]) -> Vec<T> {
    let mut items: Vec<Option<T>> = items.into_iter().map(Some).collect();
    order.iter().filter_map(|index| items[*index].take()).collect()
}

/// All inputs of a round, of all its operations.
const INPUTS: u64 = 10_000;
const MANY: u64 = 100_000;

fn round<O: Oneshot, C: Combinator<O::Receiver>>(inputs: u64, width: usize, settled: Settled) -> Round {
    let mut order: Vec<usize> = (0..width).collect();
    if let Settled::OneByOne = settled {
        let random: Vec<u64> = random().take(width).collect();
        order.sort_unstable_by_key(|n| random[*n]);
    }
    let task = Task::new();
    Box::new(move || {
        for _ in 0..inputs / width as u64 {
            let (senders, receivers): (Vec<O::Sender>, Vec<O::Receiver>) = (0..width).map(|_| O::pair()).unzip();
            let senders = shuffled(senders, &order);
            operation::<O, C>(&task, senders, receivers, settled);
        }
    })
}

fn operation<O, C>(task: &Task, senders: Vec<O::Sender>, receivers: Vec<O::Receiver>, settled: Settled)
where
    O: Oneshot,
    C: Combinator<O::Receiver>,
{
    let settle = |senders: Vec<O::Sender>| senders.into_iter().for_each(|sender| O::send(sender, black_box(7)));
    match settled {
        Settled::BeforeGathered => {
            settle(senders);
            task.finish(pin!(C::gather(receivers)));
        }
        Settled::BeforeAwaited => {
            let all = pin!(C::gather(receivers));
            settle(senders);
            task.finish(all);
        }
        Settled::OneByOne => {
            let mut all = pin!(C::gather(receivers));
            let mut ended = task.poll(all.as_mut());
            for sender in senders {
                O::send(sender, black_box(7));
                while !ended && task.woken() {
                    ended = task.poll(all.as_mut());
                }
            }
            assert!(ended, "lost");
        }
    }
}

macro_rules! aggregates {
    ($constant:ident, $name:literal, $ratio:literal, $inputs:ident, $width:literal, $settled:ident $(, $more:ident)?) => {
        pub const $constant: Operation = {
            fn prepare<O: Oneshot, C: Combinator<O::Receiver>>() -> Round {
                round::<O, C>($inputs, $width, Settled::$settled)
            }
            Operation {
                name: $name,
                count: $inputs,
                clock: Clock::Cpu,
                limit: Limit::new($ratio, "the best"),
                contestants: &[
                    Contestant::new(OURS, prepare::<Ours, When>),
                    Contestant::new("futures-buffered, oneshot", prepare::<Plain, Buffered>),
                    Contestant::new("futures-buffered, tokio", prepare::<Tokio, Buffered>),
                    Contestant::new("futures-buffered, futures", prepare::<oneshots::Futures, Buffered>),
                    Contestant::new("try_join_all, oneshot", prepare::<Plain, Futures>),
                    Contestant::new("try_join_all, futures", prepare::<oneshots::Futures, Futures>),
                    $(Contestant::new("futures-concurrency, oneshot", prepare::<Plain, $more>),)?
                ],
            }
        };
    };
}
aggregates!(SETTLED, "when: 1,000 settled, gathered, awaited", 1.0, INPUTS, 1_000, BeforeGathered, Concurrency);
aggregates!(GATHERED, "when: 1,000 gathered, settled, awaited", 1.0, INPUTS, 1_000, BeforeAwaited, Concurrency);
aggregates!(RANDOM, "when: 1,000 settled one by one in random order", 0.6, INPUTS, 1_000, OneByOne, Concurrency);
// futures-concurrency looks at all of them each time one is settled.
aggregates!(RANDOM_MANY, "when: 100,000 settled one by one in random order", 0.6, MANY, 100_000, OneByOne);

// Nothing to wait for.

fn of_ready<C: Combinator<F>, F: Future>(make: impl Fn(u64) -> F + 'static) -> Round {
    let task = Task::new();
    Box::new(move || {
        for _ in 0..INPUTS / 1_000 {
            let all = (0..1_000).map(|n| make(black_box(n))).collect();
            task.finish(pin!(C::gather(all)));
        }
    })
}

fn ready_value(value: u64) -> Ready<Result<u64, ()>> {
    ready(Ok(value))
}

pub const READY: Operation = Operation {
    name: "when: 1,000 that have nothing to wait for",
    count: INPUTS,
    clock: Clock::Cpu,
    limit: Limit::new(0.5, "try_join_all"),
    contestants: &[
        Contestant::new(OURS, || of_ready::<When, _>(Promise::resolved)),
        Contestant::new("try_join_all", || of_ready::<Futures, _>(ready_value)),
        Contestant::new("futures-buffered", || of_ready::<Buffered, _>(ready_value)),
        Contestant::new("futures-concurrency", || of_ready::<Concurrency, _>(ready_value)),
    ],
};
