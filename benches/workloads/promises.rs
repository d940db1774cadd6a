//! Promises of one value: settled, awaited, observed and chained, on any threads and on one.

use std::cell::RefCell;
use std::future::Future;
use std::hint::black_box;
use std::rc::Rc;
use std::sync::{Arc, Mutex, OnceLock};
use std::task::Poll;

use deferral::{Deferred, Promise, local};
use event_listener::Event;

use super::oneshots::{Async, Catty, Futures, Local, LocalSync, Oneshot, Ours, Plain, Tokio, poll};
use super::{Clock, Contestant, Limit, OURS, Operation, Round};

/// How often a round does an operation.
const COUNT: u64 = 10_000;

fn repeat(mut operation: impl FnMut() + 'static) -> Round {
    Box::new(move || (0..COUNT).for_each(|_| operation()))
}

#[inline(always)]
fn ready<F: Future + Unpin>(future: &mut F) -> F::Output {
    match poll(future) {
        Poll::Ready(output) => output,
        Poll::Pending => unreachable!("settled, and not ready"),
    }
}

fn consume<V>(value: V) {
    let _ = black_box(value);
}

#[inline(always)]
fn pending<F: Future + Unpin>(future: &mut F) {
    assert!(poll(future).is_pending());
}

/// With something to wait for, if `WAIT` says so.
fn oneshot<O: Oneshot, const WAIT: bool>() -> Round {
    repeat(|| {
        let (sender, mut receiver) = O::pair();
        if WAIT {
            pending(&mut receiver);
        }
        O::send(sender, black_box(7));
        black_box(ready(&mut receiver)).unwrap();
    })
}

pub const READY: Operation = Operation {
    name: "ready: create, settle, poll, drop",
    count: COUNT,
    clock: Clock::Cpu,
    limit: Limit::new(1.0, "tokio oneshot"),
    contestants: &[
        Contestant::new(OURS, oneshot::<Ours, false>),
        Contestant::new("tokio oneshot", oneshot::<Tokio, false>),
        Contestant::new("oneshot", oneshot::<Plain, false>),
        Contestant::new("async-oneshot", oneshot::<Async, false>),
        Contestant::new("catty", oneshot::<Catty, false>),
        Contestant::new("futures oneshot", oneshot::<Futures, false>),
    ],
};

pub const PENDING: Operation = Operation {
    name: "pending: create, poll, settle, wake, poll, drop",
    count: COUNT,
    clock: Clock::Cpu,
    limit: Limit::new(1.0, "tokio oneshot"),
    contestants: &[
        Contestant::new(OURS, oneshot::<Ours, true>),
        Contestant::new("tokio oneshot", oneshot::<Tokio, true>),
        Contestant::new("oneshot", oneshot::<Plain, true>),
        Contestant::new("async-oneshot", oneshot::<Async, true>),
        Contestant::new("catty", oneshot::<Catty, true>),
        Contestant::new("futures oneshot", oneshot::<Futures, true>),
    ],
};

// One thread.

fn async_cell<const WAIT: bool>() -> Round {
    repeat(|| {
        let cell = async_cell::unsync::AsyncCell::<u64>::shared();
        let mut taken = cell.take_shared();
        if WAIT {
            pending(&mut taken);
        }
        cell.set(black_box(7));
        drop(cell);
        black_box(ready(&mut taken));
    })
}

pub const LOCAL_READY: Operation = Operation {
    name: "local ready",
    count: COUNT,
    clock: Clock::Cpu,
    limit: Limit::new(1.3, "async_cell::unsync"),
    contestants: &[
        Contestant::new(OURS, oneshot::<Local, false>),
        Contestant::new("async_cell::unsync", async_cell::<false>),
        Contestant::new("local-sync", oneshot::<LocalSync, false>),
        Contestant::new("deferral, on any thread", oneshot::<Ours, false>),
    ],
};

pub const LOCAL_PENDING: Operation = Operation {
    name: "local pending",
    count: COUNT,
    clock: Clock::Cpu,
    limit: Limit::new(1.3, "async_cell::unsync"),
    contestants: &[
        Contestant::new(OURS, oneshot::<Local, true>),
        Contestant::new("async_cell::unsync", async_cell::<true>),
        Contestant::new("local-sync", oneshot::<LocalSync, true>),
        Contestant::new("deferral, on any thread", oneshot::<Ours, true>),
    ],
};

// Callbacks, beside what one writes by hand.

type Callbacks<D> = Vec<D>;

/// `Arc<Mutex<Vec<Box<dyn FnOnce>>>>`, as it stands in many programs.
#[derive(Default)]
struct ByHand {
    value: Option<u64>,
    callbacks: Callbacks<Box<dyn FnOnce(&u64) + Send>>,
}

impl ByHand {
    fn done(this: &Arc<Mutex<Self>>, callback: impl FnOnce(&u64) + Send + 'static) {
        let mut inner = this.lock().unwrap();
        match inner.value {
            Some(value) => {
                drop(inner);
                callback(&value);
            }
            None => inner.callbacks.push(Box::new(callback)),
        }
    }

    fn resolve(this: &Arc<Mutex<Self>>, value: u64) {
        let mut inner = this.lock().unwrap();
        inner.value = Some(value);
        let callbacks = std::mem::take(&mut inner.callbacks);
        drop(inner);
        callbacks.into_iter().for_each(|callback| callback(&value));
    }
}

/// The same for one thread.
#[derive(Default)]
struct LocalByHand {
    value: Option<u64>,
    callbacks: Callbacks<Box<dyn FnOnce(&u64)>>,
}

impl LocalByHand {
    fn done(this: &Rc<RefCell<Self>>, callback: impl FnOnce(&u64) + 'static) {
        let mut inner = this.borrow_mut();
        match inner.value {
            Some(value) => {
                drop(inner);
                callback(&value);
            }
            None => inner.callbacks.push(Box::new(callback)),
        }
    }

    fn resolve(this: &Rc<RefCell<Self>>, value: u64) {
        let mut inner = this.borrow_mut();
        inner.value = Some(value);
        let callbacks = std::mem::take(&mut inner.callbacks);
        drop(inner);
        callbacks.into_iter().for_each(|callback| callback(&value));
    }
}

fn see(value: &u64) {
    black_box(*value);
}

macro_rules! ours {
    ($name:ident, $deferred:path) => {
        fn $name<const EARLY: usize, const LATE: usize>() -> Round {
            type Ends = $deferred;
            let mut n = 0;
            repeat(move || {
                n += 1;
                let (deferred, mut promise) = Ends::new();
                for k in 0..EARLY as u64 {
                    promise = promise.done(move |value| see(&(value + k + n)));
                }
                deferred.resolve(black_box(7));
                for k in 0..LATE as u64 {
                    promise = promise.done(move |value| see(&(value + k + n)));
                }
            })
        }
    };
}
ours!(callbacks, Deferred<u64>);
ours!(local_callbacks, local::Deferred<u64>);

fn by_hand<const EARLY: usize, const LATE: usize>() -> Round {
    let mut n = 0;
    repeat(move || {
        n += 1;
        let promise = Arc::new(Mutex::new(ByHand::default()));
        let deferred = promise.clone();
        for k in 0..EARLY as u64 {
            ByHand::done(&promise, move |value| see(&(value + k + n)));
        }
        ByHand::resolve(&deferred, black_box(7));
        for k in 0..LATE as u64 {
            ByHand::done(&promise, move |value| see(&(value + k + n)));
        }
    })
}

fn local_by_hand<const EARLY: usize, const LATE: usize>() -> Round {
    let mut n = 0;
    repeat(move || {
        n += 1;
        let promise = Rc::new(RefCell::new(LocalByHand::default()));
        let deferred = promise.clone();
        for k in 0..EARLY as u64 {
            LocalByHand::done(&promise, move |value| see(&(value + k + n)));
        }
        LocalByHand::resolve(&deferred, black_box(7));
        for k in 0..LATE as u64 {
            LocalByHand::done(&promise, move |value| see(&(value + k + n)));
        }
    })
}

macro_rules! callbacks {
    ($constant:ident, $name:literal, $ours:ident, $hand:ident, $ratio:literal, $early:literal, $late:literal) => {
        pub const $constant: Operation = Operation {
            name: $name,
            count: COUNT,
            clock: Clock::Cpu,
            limit: Limit::new($ratio, "by hand"),
            contestants: &[
                Contestant::new(OURS, $ours::<$early, $late>),
                Contestant::new("by hand", $hand::<$early, $late>),
            ],
        };
    };
}
callbacks!(CALLBACK, "callback: create, one callback, settle", callbacks, by_hand, 0.9, 1, 0);
callbacks!(CALLBACKS, "callbacks: create, eight, settle", callbacks, by_hand, 0.9, 8, 0);
callbacks!(LATE_CALLBACK, "late callback: create, settle, one callback", callbacks, by_hand, 0.9, 0, 1);
callbacks!(LOCAL_CALLBACK, "local callback: create, one, settle", local_callbacks, local_by_hand, 0.7, 1, 0);
callbacks!(LOCAL_CALLBACKS, "local callbacks: create, eight, settle", local_callbacks, local_by_hand, 0.7, 8, 0);
callbacks!(LOCAL_LATE, "local late callback: create, settle, one", local_callbacks, local_by_hand, 0.7, 0, 1);

// Chains.

const LINKS: u64 = 8;

fn then_ours() -> Round {
    repeat(|| {
        let (deferred, mut promise) = Deferred::<u64>::new();
        for _ in 0..LINKS {
            promise = promise.then(|n| Ok(n + 1));
        }
        promise.done(see);
        deferred.resolve(black_box(7));
    })
}

fn local_then() -> Round {
    repeat(|| {
        let (deferred, mut promise) = local::Deferred::<u64>::new();
        for _ in 0..LINKS {
            promise = promise.then(|n| Ok(n + 1));
        }
        promise.done(see);
        deferred.resolve(black_box(7));
    })
}

fn then_by_hand() -> Round {
    repeat(|| {
        let first = Arc::new(Mutex::new(ByHand::default()));
        let mut promise = first.clone();
        for _ in 0..LINKS {
            let next = Arc::new(Mutex::new(ByHand::default()));
            let deferred = next.clone();
            ByHand::done(&promise, move |value| ByHand::resolve(&deferred, value + 1));
            promise = next;
        }
        ByHand::done(&promise, see);
        ByHand::resolve(&first, black_box(7));
    })
}

pub const THEN: Operation = Operation {
    name: "then: a chain of eight, settled",
    count: COUNT,
    clock: Clock::Cpu,
    limit: Limit::new(0.8, "by hand"),
    contestants: &[
        Contestant::new(OURS, then_ours),
        Contestant::new("by hand", then_by_hand),
        Contestant::new("deferral::local", local_then),
    ],
};

// Many who await one.

fn shared_ours<const K: usize>() -> Round {
    shared_round(K, || {
        let (deferred, promise) = Deferred::<u64>::new();
        let mut waiting: Vec<Promise<u64>> = (1..K).map(|_| promise.clone()).collect();
        waiting.push(promise);
        waiting.iter_mut().for_each(pending);
        deferred.resolve(black_box(7));
        waiting.iter_mut().for_each(|promise| consume(ready(promise)));
    })
}

fn shared_round(k: usize, operation: impl Fn() + 'static) -> Round {
    Box::new(move || (0..SHARED_COUNT as usize / k).for_each(|_| operation()))
}

/// How many awaiters a round has, whatever their number at once.
const SHARED_COUNT: u64 = 16_384;

fn set_once<const K: usize>() -> Round {
    shared_round(K, || {
        let cell = Arc::new(tokio::sync::SetOnce::<u64>::new());
        let mut waiting: Vec<_> = (0..K)
            .map(|_| {
                let cell = cell.clone();
                Box::pin(async move { *cell.wait().await })
            })
            .collect();
        waiting.iter_mut().for_each(pending);
        cell.set(black_box(7)).unwrap();
        waiting.iter_mut().for_each(|wait| consume(ready(wait)));
    })
}

/// As the documentation of `event-listener` builds such things.
#[derive(Default)]
struct Announced {
    value: OnceLock<u64>,
    event: Event,
}

impl Announced {
    async fn wait(self: Arc<Self>) -> u64 {
        loop {
            if let Some(value) = self.value.get() {
                return *value;
            }
            let listener = self.event.listen();
            if let Some(value) = self.value.get() {
                return *value;
            }
            listener.await;
        }
    }
}

fn event_listener<const K: usize>() -> Round {
    shared_round(K, || {
        let announced = Arc::new(Announced::default());
        let mut waiting: Vec<_> = (0..K).map(|_| Box::pin(announced.clone().wait())).collect();
        waiting.iter_mut().for_each(pending);
        announced.value.set(black_box(7)).unwrap();
        announced.event.notify(usize::MAX);
        waiting.iter_mut().for_each(|wait| consume(ready(wait)));
    })
}

fn futures_shared<const K: usize>() -> Round {
    use futures::FutureExt;
    shared_round(K, || {
        let (sender, receiver) = futures::channel::oneshot::channel::<u64>();
        let shared = receiver.shared();
        let mut waiting: Vec<_> = (0..K).map(|_| shared.clone()).collect();
        drop(shared);
        waiting.iter_mut().for_each(pending);
        sender.send(black_box(7)).unwrap();
        waiting.iter_mut().for_each(|wait| consume(ready(wait)));
    })
}

fn async_cell_shared<const K: usize>() -> Round {
    shared_round(K, || {
        let cell = async_cell::sync::AsyncCell::<u64>::shared();
        let mut waiting: Vec<_> = (0..K).map(|_| cell.get_shared()).collect();
        waiting.iter_mut().for_each(pending);
        cell.set(black_box(7));
        waiting.iter_mut().for_each(|wait| consume(ready(wait)));
    })
}

macro_rules! shared {
    ($constant:ident, $name:literal, $k:literal) => {
        pub const $constant: Operation = Operation {
            name: $name,
            count: SHARED_COUNT,
            clock: Clock::Cpu,
            limit: Limit::new(0.9, "tokio SetOnce"),
            contestants: &[
                Contestant::new(OURS, shared_ours::<$k>),
                Contestant::new("tokio SetOnce", set_once::<$k>),
                Contestant::new("async_cell", async_cell_shared::<$k>),
                Contestant::new("event-listener, OnceLock", event_listener::<$k>),
                Contestant::new("futures Shared", futures_shared::<$k>),
            ],
        };
    };
}
shared!(SHARED_8, "shared, per awaiter, 8 of one", 8);
shared!(SHARED_1024, "shared, per awaiter, 1,024 of one", 1024);
