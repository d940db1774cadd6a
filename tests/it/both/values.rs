//! Values and errors of all sizes, from none to many words, through every kind of consumer.

use std::cell::Cell;
use std::fmt::Debug;

use super::{Deferred, Promise};
use crate::util::{Count, poll_once, ready};
use deferral::{Broken, when};

/// Has a value that tells whether all of it has arrived.
trait Sample: Clone + PartialEq + Debug + Send + 'static {
    fn sample() -> Self;
}

thread_local! {
    static LIVING: Cell<isize> = const { Cell::new(0) };
}

/// Takes no room, but counts how many of it there are on this thread.
#[derive(Debug, PartialEq)]
struct Nothing(());

impl Nothing {
    fn new() -> Self {
        LIVING.set(LIVING.get() + 1);
        Nothing(())
    }
}

impl Clone for Nothing {
    fn clone(&self) -> Self {
        Nothing::new()
    }
}

impl Drop for Nothing {
    fn drop(&mut self) {
        LIVING.set(LIVING.get() - 1);
    }
}

impl From<Broken> for Nothing {
    fn from(_: Broken) -> Self {
        Nothing::new()
    }
}

/// Needs more words than are copied one by one.
#[derive(Clone, Debug, PartialEq)]
struct Big([u64; 40]);

impl From<Broken> for Big {
    fn from(_: Broken) -> Self {
        Big([7; 40])
    }
}

impl Sample for () {
    fn sample() -> Self {}
}

impl Sample for Nothing {
    fn sample() -> Self {
        Nothing::new()
    }
}

impl Sample for Big {
    fn sample() -> Self {
        Big(std::array::from_fn(|n| u64::MAX - n as u64))
    }
}

impl Sample for u8 {
    fn sample() -> Self {
        255
    }
}

impl Sample for u128 {
    fn sample() -> Self {
        0x0123_4567_89ab_cdef_0f1e_2d3c_4b5a_6978
    }
}

impl<const N: usize> Sample for [u8; N] {
    fn sample() -> Self {
        std::array::from_fn(|n| 255 - n as u8)
    }
}

impl<const N: usize> Sample for [usize; N] {
    fn sample() -> Self {
        std::array::from_fn(|n| usize::MAX - n)
    }
}

/// The ways a promise ends.
#[derive(Clone, Copy, Debug)]
enum End {
    Resolved,
    Rejected,
    Abandoned,
}

impl End {
    /// The outcome that a consumer has to get.
    fn outcome<T: Sample, E: Sample + From<Broken>>(self) -> Result<T, E> {
        match self {
            End::Resolved => Ok(T::sample()),
            End::Rejected => Err(E::sample()),
            // These errors forget what they were made of.
            End::Abandoned => Err(E::from(ready(Promise::<u32>::new(drop)).unwrap_err())),
        }
    }

    /// A promise, and a function that ends it if it has not ended yet.
    fn begin<T: Sample, E: Sample + From<Broken>>(self, late: bool) -> (Promise<T, E>, Box<dyn FnOnce()>) {
        let (deferred, promise) = Deferred::new();
        let end = move || match self {
            End::Resolved => assert!(deferred.resolve(T::sample())),
            End::Rejected => assert!(deferred.reject(E::sample())),
            End::Abandoned => drop(deferred),
        };
        if !late {
            return (promise, Box::new(end));
        }
        end();
        (promise, Box::new(|| ()))
    }
}

/// Calls a generic test for outcomes of many sizes, which come in every way, before they are consumed or after.
macro_rules! each {
    ($test:ident) => {
        each!($test: <(), ()>, <Nothing, ()>, <(), Nothing>, <u8, ()>, <[u8; 33], ()>, <u128, Nothing>);
        each!($test: <[usize; 3], ()>, <[usize; 4], ()>, <Big, ()>, <(), Big>);
    };
    ($test:ident: $(<$value:ty, $error:ty>),*) => {
        for end in [End::Resolved, End::Rejected, End::Abandoned] {
            for late in [false, true] {
                $($test::<$value, $error>(end, late);)*
                assert_eq!(LIVING.get(), 0, "{end:?}, {late}");
            }
        }
    };
}

/// G3: one consumer gets the outcome: a task, or a promise that is derived in any way.
#[test]
fn one_consumer() {
    fn consume<T: Sample, E: Sample + From<Broken>>(end: End, late: bool) {
        type Derive<T, E> = fn(Promise<T, E>) -> Promise<T, E>;
        let ways: [Derive<T, E>; 7] = [
            |promise| promise,
            |mut promise| {
                _ = promise.peek(|outcome| outcome.is_some()) || poll_once(&mut promise).is_pending();
                promise
            },
            |promise| promise.then(Ok),
            |promise| promise.catch(Err),
            |promise| promise.map_err(|error| error).then(Promise::resolved).catch(Promise::rejected),
            |promise| when([promise]).then(|[value]| Ok(value)),
            |promise| {
                let (target, followed) = Deferred::new();
                promise.forward(target);
                followed
            },
        ];
        for derive in ways {
            let (promise, settle) = end.begin::<T, E>(late);
            let promise = derive(promise);
            settle();
            let outcome = end.outcome::<T, E>();
            promise.peek(|peeked| assert_eq!(peeked, Some(&outcome)));
            assert_eq!(ready(promise), outcome);
        }
    }
    each!(consume);
}

/// G3: several consumers get the outcome, each its own. Observers and `peek` see it before.
#[test]
fn several_consumers() {
    fn consume<T: Sample, E: Sample + From<Broken>>(end: End, late: bool) {
        let (promise, settle) = end.begin::<T, E>(late);
        let seen = Count::new();
        let (done, fail, always) = (seen.clone(), seen.clone(), seen.clone());
        let promise = promise.done(move |value| {
            assert_eq!(*value, T::sample());
            done.add();
        });
        let promise = promise.fail(move |error| {
            assert!(*error == E::sample() || matches!(end, End::Abandoned));
            fail.add();
        });
        let promise = promise.always(move |outcome| {
            assert_eq!(*outcome, end.outcome());
            always.add();
        });
        let (derived, awaited, dropped) = (promise.clone().then(Ok).catch(Err), promise.clone(), promise.clone());
        let mut waiting = promise.clone();
        if !late {
            assert!(poll_once(&mut waiting).is_pending());
        }
        settle();
        drop(dropped);
        assert_eq!(seen.get(), 2);
        for consumer in [derived, awaited, waiting, promise] {
            let outcome = end.outcome::<T, E>();
            consumer.peek(|peeked| assert_eq!(peeked, Some(&outcome)));
            assert_eq!(ready(consumer), outcome);
        }
    }
    each!(consume);
}
