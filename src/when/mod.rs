//! Aggregates: one promise of many.
//!
//! [`when`](crate::when()) waits for all and fails with the first; the functions of this module are its siblings. All of them
//! notify [`Progress`] as inputs settle, and all work for both flavors: of thread-safe promises they make a thread-safe one, of local
//! ones a local one.
//!
//! An aggregate takes over the promises that it is given. One that it does not need any more (the losers of a
//! [`race`], the rest of a failed [`when`](crate::when())) is canceled if nobody else consumes it. An aggregate other than
//! [`map()`] that nobody holds or observes any more lets go of its inputs, which then go on by themselves: a million races
//! against one pending promise leave nothing behind.
//!
//! Of inputs that are settled already, the lowest index decides.
//!
//! # Examples
//!
//! ```
//! use deferral::{Deferred, Promise, when};
//!
//! let (slow, mirror) = Deferred::<&str>::new();
//! let first = when::race([mirror, Promise::resolved("from the cache")]);
//! first.done(|page| assert_eq!(*page, "from the cache"));
//! assert!(!slow.resolve("too late"), "the loser was canceled");
//! ```

// The shares of inputs stand in bounds, but cannot be named: nobody prints them.
#![allow(missing_debug_implementations)]

mod gather;
mod map;

use std::panic::Location;

use self::gather::{Arrival, Gather};
use crate::broken::Broken;
use crate::chain::IntoPromise;
use crate::core::{Accepted, Accepts, Delivery, Flavor};
use crate::panics;
use crate::progress::Progress;
use crate::promise::Promise;

pub use self::map::map;

/// Waits for all: resolves with every value, in the order of the inputs, or rejects with the first error.
///
/// `all` is a `Vec`, an array, or a tuple of up to twelve. An element is a promise or a [`Result`], which stands for a settled
/// promise; a tuple may mix them and their value types.
///
/// The promise resolves where the last input does, on that thread and before its `resolve` returns, and rejects as soon as one
/// input is rejected; of several that are rejected already, the lowest index wins. Of nothing, it is resolved at once. An
/// aggregate of settled promises is settled when `when` returns. It notifies how many of how many inputs have resolved.
///
/// After a rejection, or when the aggregate is canceled, inputs that nobody else consumes are canceled.
///
/// The behavior is that of jQuery's `$.when`, with three differences: it has the same shape for one input as for many, the lowest
/// index wins instead of the last, and progress is counted.
///
/// # Examples
///
/// ```
/// use deferral::{Deferred, when};
///
/// let (name, a) = Deferred::<String>::new();
/// let (age, b) = Deferred::<u32>::new();
/// when((a, b, Ok(true))).done(|(name, age, active)| println!("{name}, {age}, {active}"));
/// name.resolve("Ada".to_owned());
/// age.resolve(36);
/// ```
#[track_caller]
pub fn when<W, F>(all: W) -> Promise<W::Value, W::Error, Progress, F>
where
    F: Flavor,
    W: When<F>,
    W::Error: From<Broken>,
{
    all.gather(W::Error::from, Location::caller())
}

/// What [`when`](crate::when()) takes: a `Vec`, an array or a tuple of promises and results.
///
/// The trait is sealed: its items are not for use outside the crate.
#[diagnostic::on_unimplemented(
    message = "`when` cannot wait for `{Self}`",
    note = "give it a `Vec`, an array, or a tuple of up to 12, of promises of one flavor and results with one error type"
)]
pub trait When<F: Flavor>: Sealed {
    /// What the aggregate resolves with.
    type Value: 'static;
    /// What the inputs, and so the aggregate, are rejected with.
    type Error: 'static;

    #[doc(hidden)]
    fn gather(
        self,
        broken: fn(Broken) -> Self::Error,
        origin: &'static Location<'static>,
    ) -> Promise<Self::Value, Self::Error, Progress, F>;
}

#[doc(hidden)]
pub trait Sealed {}

impl<A> Sealed for Vec<A> {}

impl<A, F> When<F> for Vec<A>
where
    A: IntoPromise<F>,
    F: Flavor + Accepts<A::Value> + Accepts<A::Error>,
{
    type Value = Vec<A::Value>;
    type Error = A::Error;

    fn gather(
        self,
        broken: fn(Broken) -> A::Error,
        origin: &'static Location<'static>,
    ) -> Promise<Vec<A::Value>, A::Error, Progress, F> {
        let total = self.len();
        let slots = std::iter::repeat_with(|| None).take(total).collect();
        let mut gather = Gather::new(slots, total, resolve_all, broken, origin);
        for (index, promise) in self.into_iter().enumerate() {
            gather.add(promise, index, value_or_error, |slots, index, value| slots[index] = Some(Accepted(value)));
        }
        gather.finish()
    }
}

/// A value is a part of the aggregate, an error its end.
#[inline]
fn value_or_error<T, V, E>(delivery: Delivery<T, E>) -> Arrival<T, V, E> {
    match delivery.value() {
        Ok(value) => Arrival::Part(value),
        Err(rejection) => Arrival::Whole(rejection),
    }
}

const FULL: &str = "a finished aggregate is full";

/// The values of an aggregate whose slots are all filled.
fn all_present<X, T>(slots: Vec<Option<X>>, value: impl Fn(X) -> T) -> Vec<T> {
    // A `collect` could not know their number, and would grow.
    let mut values = Vec::with_capacity(slots.len());
    values.extend(slots.into_iter().flatten().map(value));
    values
}

/// The same, as the outcome of an aggregate.
fn resolve_all<T, E>(slots: Vec<Option<Accepted<T>>>) -> Result<Vec<T>, E> {
    Ok(all_present(slots, |Accepted(value)| value))
}

fn reject_all<T, E>(slots: Vec<Option<Accepted<E>>>) -> Result<T, Vec<E>> {
    Err(all_present(slots, |Accepted(error)| error))
}

impl<A, const N: usize> Sealed for [A; N] {}

impl<A, F, const N: usize> When<F> for [A; N]
where
    A: IntoPromise<F>,
    F: Flavor + Accepts<A::Value> + Accepts<A::Error>,
{
    type Value = [A::Value; N];
    type Error = A::Error;

    fn gather(
        self,
        broken: fn(Broken) -> A::Error,
        origin: &'static Location<'static>,
    ) -> Promise<[A::Value; N], A::Error, Progress, F> {
        let slots = std::array::from_fn(|_| None);
        let finish = |slots: [Option<Accepted<A::Value>>; N]| Ok(slots.map(|slot| slot.expect(FULL).0));
        let mut gather = Gather::new(slots, N, finish, broken, origin);
        for (index, promise) in self.into_iter().enumerate() {
            gather.add(promise, index, value_or_error, |slots, index, value| slots[index] = Some(Accepted(value)));
        }
        gather.finish()
    }
}

impl Sealed for () {}

impl<F: Flavor> When<F> for () {
    type Value = ();
    type Error = Broken;

    fn gather(
        self,
        broken: fn(Broken) -> Broken,
        origin: &'static Location<'static>,
    ) -> Promise<(), Broken, Progress, F> {
        Gather::new((), 0, Ok, broken, origin).finish()
    }
}

macro_rules! when_tuple {
    ($first:ident $zero:tt $($rest:ident $index:tt)*) => {
        impl<$first, $($rest),*> Sealed for ($first, $($rest,)*) {}

        impl<F, $first, $($rest),*> When<F> for ($first, $($rest,)*)
        where
            $first: IntoPromise<F>,
            $($rest: IntoPromise<F, Error = $first::Error>,)*
            F: Flavor + Accepts<$first::Value> $(+ Accepts<$rest::Value>)*,
            F: Accepts<$first::Error>,
        {
            type Value = ($first::Value, $($rest::Value,)*);
            type Error = $first::Error;

            fn gather(
                self,
                broken: fn(Broken) -> Self::Error,
                origin: &'static Location<'static>,
            ) -> Promise<Self::Value, Self::Error, Progress, F> {
                let slots = (None, $(None::<Accepted<$rest::Value>>,)*);
                let total = [$zero, $($index),*].len();
                let finish = |slots: (Option<Accepted<$first::Value>>, $(Option<Accepted<$rest::Value>>,)*)| {
                    Ok((slots.$zero.expect(FULL).0, $(slots.$index.expect(FULL).0,)*))
                };
                let mut gather = Gather::new(slots, total, finish, broken, origin);
                gather.add(self.$zero, $zero, value_or_error, |slots, _, value| slots.$zero = Some(Accepted(value)));
                $(gather.add(self.$index, $index, value_or_error, |slots, _, value| slots.$index = Some(Accepted(value)));)*
                gather.finish()
            }
        }
    };
}

when_tuple!(A 0);
when_tuple!(A 0 B 1);
when_tuple!(A 0 B 1 C 2);
when_tuple!(A 0 B 1 C 2 D 3);
when_tuple!(A 0 B 1 C 2 D 3 G 4);
when_tuple!(A 0 B 1 C 2 D 3 G 4 H 5);
when_tuple!(A 0 B 1 C 2 D 3 G 4 H 5 I 6);
when_tuple!(A 0 B 1 C 2 D 3 G 4 H 5 I 6 J 7);
when_tuple!(A 0 B 1 C 2 D 3 G 4 H 5 I 6 J 7 K 8);
when_tuple!(A 0 B 1 C 2 D 3 G 4 H 5 I 6 J 7 K 8 L 9);
when_tuple!(A 0 B 1 C 2 D 3 G 4 H 5 I 6 J 7 K 8 L 9 M 10);
when_tuple!(A 0 B 1 C 2 D 3 G 4 H 5 I 6 J 7 K 8 L 9 M 10 N 11);

/// Resolves with the first value; if there is none, rejects with every error, in the order of the inputs.
///
/// Of nothing, it is rejected with no errors. When one input has resolved, the others are canceled if nobody else consumes them. A
/// canceled `any` is rejected with one error, made of kind [`Canceled`](crate::BrokenKind::Canceled). It is JavaScript's `Promise.any`.
///
/// # Examples
///
/// ```
/// use deferral::{Promise, when};
///
/// let mirrors = [Promise::<u32, String>::rejected("down".to_owned()), Promise::resolved(7)];
/// when::any(mirrors).done(|n| assert_eq!(*n, 7));
/// ```
#[track_caller]
pub fn any<T, E, P, F>(promises: impl IntoIterator<Item = Promise<T, E, P, F>>) -> Promise<T, Vec<E>, Progress, F>
where
    E: From<Broken>,
    P: 'static,
    F: Flavor + Accepts<T> + Accepts<E> + Accepts<P>,
{
    let promises: Vec<_> = promises.into_iter().collect();
    let slots: Vec<Option<Accepted<E>>> = promises.iter().map(|_| None).collect();
    let mut gather = Gather::new(slots, promises.len(), reject_all, Vec::from, Location::caller());
    let sort = |delivery: Delivery<T, E>| match delivery {
        Delivery::Outcome(Ok(value)) => Arrival::Last(Delivery::Outcome(Ok(value))),
        Delivery::Outcome(Err(error)) | Delivery::Noted(error, _) => Arrival::Part(error),
        Delivery::Broken(broken) => match panics::guard(|| E::from(broken.clone())) {
            Ok(error) => Arrival::Part(error),
            Err(payload) => {
                panics::discard(payload);
                Arrival::Last(Delivery::Broken(broken))
            }
        },
    };
    for (index, promise) in promises.into_iter().enumerate() {
        gather.add(promise, index, sort, |slots, index, error| slots[index] = Some(Accepted(error)));
    }
    gather.finish()
}

/// Settles as the first input that settles.
///
/// Of nothing, it is rejected with kind [`Empty`](crate::BrokenKind::Empty), where JavaScript's would wait forever. The losers are canceled
/// if nobody else consumes them.
///
/// # Examples
///
/// ```
/// use deferral::{BrokenKind, Deferred, Promise, when};
///
/// let (a, first) = Deferred::<u32>::new();
/// let (b, second) = Deferred::<u32>::new();
/// when::race([first, second]).done(|n| assert_eq!(*n, 2));
/// b.resolve(2);
/// assert!(!a.resolve(1));
///
/// when::race(Vec::<Promise<u32>>::new()).fail(|broken| assert_eq!(broken.kind(), BrokenKind::Empty));
/// ```
#[track_caller]
pub fn race<T, E, P, F>(promises: impl IntoIterator<Item = Promise<T, E, P, F>>) -> Promise<T, E, Progress, F>
where
    E: From<Broken>,
    P: 'static,
    F: Flavor + Accepts<T> + Accepts<E> + Accepts<P>,
{
    let promises: Vec<_> = promises.into_iter().collect();
    let mut gather = Gather::racing(promises.len(), E::from, Location::caller());
    for (index, promise) in promises.into_iter().enumerate() {
        gather.add(promise, index, Arrival::<(), T, E>::Last, |(), _, ()| ());
    }
    gather.finish()
}

/// Waits for all, whatever their ends: resolves with every result, in the order of the inputs.
///
/// An input rejects it only if cloning that input's outcome, or making its error, panicked; canceled, it cancels those that nobody
/// else consumes. It is JavaScript's `Promise.allSettled`.
///
/// # Examples
///
/// ```
/// use deferral::{Promise, when};
///
/// let promises = [Promise::<u32, String>::resolved(1), Promise::rejected("no".to_owned())];
/// when::settled(promises).done(|results| assert_eq!(*results, [Ok(1), Err("no".to_owned())]));
/// ```
#[track_caller]
pub fn settled<T, E, P, F>(
    promises: impl IntoIterator<Item = Promise<T, E, P, F>>,
) -> Promise<Vec<Result<T, E>>, Broken, Progress, F>
where
    P: 'static,
    F: Flavor + Accepts<T> + Accepts<E> + Accepts<P>,
{
    let promises: Vec<_> = promises.into_iter().collect();
    let slots: Vec<Option<Result<Accepted<T>, Accepted<E>>>> = promises.iter().map(|_| None).collect();
    let finish = |slots| {
        let outcome = |slot: Result<Accepted<T>, Accepted<E>>| slot.map(|it| it.0).map_err(|it| it.0);
        Ok(all_present(slots, outcome))
    };
    let mut gather = Gather::new(slots, promises.len(), finish, Broken::from, Location::caller());
    let sort = |delivery| match delivery {
        Delivery::Outcome(result) => Arrival::Part(result),
        Delivery::Noted(error, _) => Arrival::Part(Err(error)),
        Delivery::Broken(broken) => Arrival::Last(Delivery::Broken(broken)),
    };
    for (index, promise) in promises.into_iter().enumerate() {
        gather.add(promise, index, sort, |slots, index, result: Result<T, E>| {
            slots[index] = Some(result.map(Accepted).map_err(Accepted));
        });
    }
    gather.finish()
}
