//! Models of the promise core: each is one race, run in every order that its threads can take, up to a number of preemptions, and with
//! every value that a load may see by the memory model. Built and run with `--cfg loom` only; `.ci/run` says how.
//!
//! The model checker sees every access to the inside of a promise, so two visits at once, or one that does not see what the last one
//! has done, fail whichever model has them. It sees each allocation of a promise, so none may be left at the end, and a lost wake-up,
//! as that is a deadlock. Beyond that, each model tells how it ended, and the ends it may come to are listed: all of them are met, and no
//! other.
#![cfg(loom)]

mod claims;
mod errors;
mod follow;
mod lend;
mod map;
mod peek;
mod progress;
mod references;
mod settle;
mod wait;

use std::cell::Cell;
use std::collections::BTreeSet;
use std::fmt::Debug;
use std::pin::Pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, Once};
use std::task::{Context, Poll, Wake, Waker};

use deferral::{Broken, BrokenKind, Deferred, Promise};
use loom::cell::UnsafeCell;
use loom::future::block_on;
use loom::sync::atomic::AtomicBool;
use loom::thread;

/// How many preemptions a model has. Where threads wait for each other, they switch in any case.
const PREEMPTIONS: usize = 2;
/// In a model of many steps, or of three threads.
const FEW: usize = 1;
/// In a model of few steps.
const MANY: usize = 3;

/// How many values there are, and were.
#[derive(Clone, Default)]
struct Tally(Arc<Counts>);

#[derive(Default)]
struct Counts {
    made: AtomicU32,
    dropped: AtomicU32,
}

impl Tally {
    fn value(&self, number: u32) -> Value {
        self.0.made.fetch_add(1, Ordering::Relaxed);
        Value { number, cell: UnsafeCell::new(()), tally: self.clone() }
    }

    fn made(&self) -> u32 {
        self.0.made.load(Ordering::Relaxed)
    }

    fn check(&self) {
        assert_eq!(self.made(), self.0.dropped.load(Ordering::Relaxed), "each value is dropped once");
    }
}

/// A value that is `Send`, and not `Sync`: the model fails if two threads look at it at once, or one does not see what another did.
struct Value {
    number: u32,
    cell: UnsafeCell<()>,
    tally: Tally,
}

impl Value {
    fn look(&self) -> u32 {
        self.cell.with_mut(|_| ());
        self.number
    }
}

impl Clone for Value {
    fn clone(&self) -> Self {
        self.tally.value(self.look())
    }
}

impl Drop for Value {
    fn drop(&mut self) {
        self.look();
        self.tally.0.dropped.fetch_add(1, Ordering::Relaxed);
    }
}

type Pair = (Deferred<Value>, Promise<Value>);

/// A number that callbacks add to.
#[derive(Clone, Default)]
struct Count(Arc<AtomicU32>);

impl Count {
    fn add(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn get(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.add();
    }
}

/// What callbacks have seen, in their order.
struct Seen<X>(Arc<Mutex<Vec<X>>>);

impl<X> Seen<X> {
    fn new() -> Self {
        Seen(Arc::default())
    }

    fn note(&self, what: X) {
        self.0.lock().unwrap().push(what);
    }

    fn take(&self) -> Vec<X> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

impl<X> Clone for Seen<X> {
    fn clone(&self) -> Self {
        Seen(self.0.clone())
    }
}

/// A flag that one thread raises and another one looks at. The model checker knows of it, and so has them meet in every order.
#[derive(Clone)]
struct Flag(Arc<AtomicBool>);

impl Flag {
    fn new() -> Self {
        Flag(Arc::new(AtomicBool::new(false)))
    }

    fn raise(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn is_up(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Tells the thread that has asked for it from all others.
fn here() -> impl Fn() -> bool + Copy + Send + 'static {
    let id = thread::current().id();
    move || thread::current().id() == id
}

std::thread_local! {
    /// The panics of a model, all of whose threads are on one thread of the system: those, too, that the library keeps for somebody else.
    static PANICS: Cell<u32> = const { Cell::new(0) };
}

/// Runs `race` in every order, and compares the ends it comes to with `ends`.
fn explore<End>(
    preemptions: usize,
    ends: impl IntoIterator<Item = End>,
    race: impl Fn(&Tally) -> End + Send + Sync + 'static,
) where
    End: Ord + Debug + Send + 'static,
{
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let print = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            PANICS.set(PANICS.get() + 1);
            print(info);
        }));
    });
    let (met, orders) = (Arc::new(Mutex::new(BTreeSet::new())), Count::default());
    let mut builder = loom::model::Builder::new();
    // `LOOM_MAX_PREEMPTIONS` is for who has more time.
    builder.preemption_bound = builder.preemption_bound.or(Some(preemptions));
    builder.max_branches = 10_000;
    builder.check({
        let (met, orders) = (met.clone(), orders.clone());
        move || {
            let tally = Tally::default();
            let end = race(&tally);
            tally.check();
            assert_eq!(PANICS.get(), 0, "a callback has panicked");
            met.lock().unwrap().insert(end);
            orders.add();
        }
    });
    println!("{} orders", orders.get());
    assert_eq!(*met.lock().unwrap(), BTreeSet::from_iter(ends));
}

fn kind(result: Result<Value, Broken>) -> Result<u32, BrokenKind> {
    result.map(|value| value.look()).map_err(|broken| broken.kind())
}

/// `Ok` with the number, or how the library rejected.
fn outcome(promise: Promise<Value>) -> Result<u32, String> {
    kind(block_on(promise)).map_err(|kind| format!("{kind:?}"))
}

fn rejected(kind: BrokenKind) -> Result<u32, String> {
    Err(format!("{kind:?}"))
}

fn poll(promise: &mut Promise<Value>, waker: &Waker) -> Poll<Result<Value, Broken>> {
    Pin::new(promise).poll(&mut Context::from_waker(waker))
}
