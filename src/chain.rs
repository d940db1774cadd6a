//! Chaining: promises that are made of others, and what may be returned where a promise is expected.

use std::panic::Location;

use crate::broken::{Broken, BrokenKind};
use crate::core::trampoline::{self, Caller};
use crate::core::{self, Accepted, Accepts, Delivery, Flavor, Follower, HandOn, Link, Note, Producer};
use crate::deferred::Deferred;
use crate::panics;
use crate::progress::Progress;
use crate::promise::Promise;

/// What a continuation may return and [`when`](crate::when()) may be given: a promise, or a [`Result`] in the place of a settled one.
///
/// The trait is sealed: its methods are not for use outside the crate.
///
/// # Examples
///
/// ```
/// use deferral::Promise;
///
/// let cached: Option<u32> = None;
/// let promise = Promise::<u32>::resolved(2)
///     .then(|n| Ok(n + 1)) // a result
///     .then(move |n| cached.map_or_else(|| Promise::resolved(n * 10), Promise::resolved)); // a promise
/// promise.done(|n| assert_eq!(*n, 30));
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is neither a `Result` nor a promise of the `{F}` flavor",
    label = "a `Result` or a promise of the same flavor is expected here",
    note = "it may be `Ok(value)`, `Err(error)` or a promise",
    note = "a thread-safe promise becomes a local one by `into_local()`; what is made of a local promise is local"
)]
pub trait IntoPromise<F: Flavor = crate::core::Threaded>: Sealed<F> + Sized {
    /// What it resolves with.
    type Value: 'static;
    /// What it is rejected with.
    type Error: 'static;

    /// Settles the promise of `producer` with the outcome, now or later.
    #[doc(hidden)]
    fn settle_into(self, producer: Producer<Self::Value, Self::Error, Progress, F>) -> HandOn<F>;

    /// Calls `run`, which captures nothing, with the outcome: now, or later through the link that comes back. `target` tells which promise
    /// then waits for it.
    #[doc(hidden)]
    fn subscribe<C: Follower<F>>(
        self,
        context: C,
        run: impl FnOnce(C, Delivery<Self::Value, Self::Error>) -> HandOn<F> + Copy + 'static,
    ) -> Option<Link<F>> {
        match self.take_settled() {
            Ok(delivery) => {
                core::run_now(run(context, delivery));
                None
            }
            Err(this) => this.subscribe_later(context, run),
        }
    }

    /// Subscribes to a promise whose outcome was not here a moment ago: if it is now, `run` is called when its turn comes.
    #[doc(hidden)]
    fn subscribe_later<C: Follower<F>>(
        self,
        context: C,
        run: impl FnOnce(C, Delivery<Self::Value, Self::Error>) -> HandOn<F> + Copy + 'static,
    ) -> Option<Link<F>>;

    /// The outcome, if it is here; or itself.
    #[doc(hidden)]
    fn take_settled(self) -> Result<Delivery<Self::Value, Self::Error>, Self>;

    /// Itself; a promise that has given its outcome already panics instead.
    #[doc(hidden)]
    fn checked(self) -> Self;

    /// Ends it without asking for the outcome, and cancels it if nobody else can.
    #[doc(hidden)]
    fn disown(self);
}

#[doc(hidden)]
pub trait Sealed<F> {}

impl<T, E, F> Sealed<F> for Result<T, E> {}

impl<T: 'static, E: 'static, F: Flavor> IntoPromise<F> for Result<T, E> {
    type Value = T;
    type Error = E;

    #[inline]
    fn settle_into(self, producer: Producer<T, E, Progress, F>) -> HandOn<F> {
        producer.into_inner().hand_on(self, Note::UNKNOWN)
    }

    fn subscribe_later<C: Follower<F>>(
        self,
        context: C,
        run: impl FnOnce(C, Delivery<T, E>) -> HandOn<F> + Copy + 'static,
    ) -> Option<Link<F>> {
        core::run_now(run(context, Delivery::Outcome(self)));
        None
    }

    #[inline]
    fn take_settled(self) -> Result<Delivery<T, E>, Self> {
        Ok(Delivery::Outcome(self))
    }

    fn checked(self) -> Self {
        self
    }

    fn disown(self) {}
}

impl<T, E, P, F: Flavor> Sealed<F> for Promise<T, E, P, F> {}

impl<T, E, P, F> IntoPromise<F> for Promise<T, E, P, F>
where
    F: Flavor + Accepts<T> + Accepts<E> + Accepts<P>,
{
    type Value = T;
    type Error = E;

    fn settle_into(self, producer: Producer<T, E, Progress, F>) -> HandOn<F> {
        producer.forget_source();
        self.lead(producer, Caller::Library)
    }

    fn subscribe_later<C: Follower<F>>(
        self,
        context: C,
        run: impl FnOnce(C, Delivery<T, E>) -> HandOn<F> + Copy + 'static,
    ) -> Option<Link<F>> {
        let core = self.into_core();
        let key = core.consume(context, run);
        Some(core.into_link(key))
    }

    #[inline]
    fn take_settled(mut self) -> Result<Delivery<T, E>, Self> {
        self.try_take().ok_or(self)
    }

    fn checked(self) -> Self {
        self.assert_unspent();
        self
    }

    fn disown(self) {
        Promise::disown(self);
    }
}

impl<T, E, P, F> Promise<T, E, P, F>
where
    F: Flavor + Accepts<T> + Accepts<E> + Accepts<P>,
{
    /// Goes on with the value: returns a promise for what `f` makes of it, be it a result or another promise.
    ///
    /// `f` runs after the observers, on the thread that resolves, before `resolve` returns; if this promise is resolved already,
    /// before `then` returns. The exceptions are those of [`done`](Promise::done), and that a chain of any length takes no stack: what
    /// nests too deep is run by the outermost call. An error skips `f` and passes on as it is. If `f` panics, the new promise
    /// is rejected with kind [`Panicked`](crate::BrokenKind::Panicked).
    ///
    /// The new promise is detached when it is dropped: `f` runs all the same. Canceled, it drops `f`, and cancels this promise if
    /// nobody else consumes it. Reports of progress do not pass. If `f` returns its own promise, that is rejected with kind [`Cycle`](crate::BrokenKind::Cycle).
    ///
    /// Other than jQuery's, which waits for a later tick, this `then` runs inline.
    ///
    /// # Panics
    ///
    /// If this promise has given its outcome already (`(&mut promise).await`).
    ///
    /// # Examples
    ///
    /// ```
    /// use deferral::{Deferred, Promise};
    ///
    /// let (deferred, path) = Deferred::<String, std::io::Error>::new();
    /// let lines: Promise<usize, std::io::Error> = path
    ///     .then(|path| std::fs::read_to_string(path))
    ///     .then(|text| Ok(text.lines().count()));
    /// deferred.resolve("Cargo.toml".to_owned());
    /// lines.done(|n| assert!(*n > 10));
    /// ```
    #[track_caller]
    pub fn then<C, R>(self, f: C) -> Promise<R::Value, E, Progress, F>
    where
        C: FnOnce(T) -> R + 'static,
        R: IntoPromise<F, Error = E>,
        F: Accepts<C> + Accepts<R::Value>, // not `Send`? Take `deferral::local`, or `into_local()` first
    {
        let make = self.core().maker();
        self.derive(f, make, Location::caller(), |(Accepted(f), producer), delivery| match delivery.value() {
            Ok(value) => settle_by(move || f(value), producer),
            Err(rejection) => pass(f, rejection, producer),
        })
    }

    /// Goes on with the error: returns a promise for what `f` makes of it. A value skips `f` and passes on as it is.
    ///
    /// `f` recovers by `Ok`, rejects anew by `Err`, or returns a promise that decides. Otherwise it is as [`then`](Promise::then).
    ///
    /// # Panics
    ///
    /// As [`then`](Promise::then).
    ///
    /// # Examples
    ///
    /// ```
    /// use deferral::Promise;
    ///
    /// let promise = Promise::<u32, String>::rejected("no cache".to_owned())
    ///     .catch(|error| if error == "no cache" { Ok(0) } else { Err(error) });
    /// promise.done(|n| assert_eq!(*n, 0));
    /// ```
    #[track_caller]
    pub fn catch<C, R>(self, f: C) -> Promise<T, E, Progress, F>
    where
        C: FnOnce(E) -> R + 'static,
        R: IntoPromise<F, Value = T, Error = E>,
        F: Accepts<C>, // not `Send`? Take `deferral::local`, or `into_local()` first
    {
        let make = self.core().maker();
        self.derive(f, make, Location::caller(), |(Accepted(f), producer), delivery| match delivery.error() {
            Ok(error) => settle_by(move || f(error), producer),
            Err(other) => pass(f, other, producer),
        })
    }

    /// Changes the error, and with it the error type. A value skips `f`.
    ///
    /// Otherwise it is as [`then`](Promise::then).
    ///
    /// # Panics
    ///
    /// As [`then`](Promise::then).
    ///
    /// # Examples
    ///
    /// ```
    /// use deferral::Promise;
    ///
    /// let promise: Promise<u32, String> = Promise::<u32>::new(|deferred| drop(deferred)).map_err(|broken| broken.to_string());
    /// promise.fail(|text| assert!(text.contains("was abandoned")));
    /// ```
    #[track_caller]
    pub fn map_err<C, E2>(self, f: C) -> Promise<T, E2, Progress, F>
    where
        C: FnOnce(E) -> E2 + 'static,
        E2: From<Broken> + 'static,
        F: Accepts<C> + Accepts<E2>, // not `Send`? Take `deferral::local`, or `into_local()` first
    {
        self.derive(f, E2::from, Location::caller(), |(Accepted(f), producer), delivery| match delivery.error() {
            Ok(error) => settle_by(move || Err(f(error)), producer),
            Err(other) => pass(f, other, producer),
        })
    }

    /// Settles `target` with the outcome of this promise.
    ///
    /// The target is settled where this promise is, on the same thread, unless somebody settles it earlier. Reports of progress do not
    /// pass. Canceling the target
    /// reaches this promise, if nobody else consumes it; so does a target that is canceled already. A ring of promises that
    /// follow each other can never settle: at least one of it is rejected with kind [`Cycle`](crate::BrokenKind::Cycle).
    ///
    /// # Panics
    ///
    /// As [`then`](Promise::then).
    ///
    /// # Examples
    ///
    /// ```
    /// use deferral::{Deferred, Promise};
    ///
    /// let (deferred, promise) = Deferred::<u32>::new();
    /// Promise::resolved(9).forward(deferred);
    /// promise.done(|n| assert_eq!(*n, 9));
    /// ```
    #[track_caller]
    pub fn forward(self, target: Deferred<T, E, Progress, F>) {
        if let Some(settled) = self.lead(target.into_producer(), Caller::User) {
            core::hand_on(settled, Caller::User);
        }
    }

    /// Has the promise of `producer` adopt the outcome.
    #[track_caller]
    fn lead(mut self, producer: Producer<T, E, Progress, F>, caller: Caller) -> HandOn<F> {
        self.assert_unspent();
        if self.core().any().address() == producer.any().address() {
            producer.reject_by(BrokenKind::Cycle, caller);
            return None;
        }
        if let Some(delivery) = self.try_take() {
            drop(self);
            return producer.into_inner().deliver(delivery);
        }
        let (source, target) = (self.into_core(), producer.clone());
        let run = |producer: Producer<T, E, Progress, F>, delivery| producer.into_inner().deliver(delivery);
        let key = source.consume(producer, run);
        target.adopt(source.into_any(), key, caller);
        None
    }

    /// The promise of a continuation that works with `f` and the new promise's own producer.
    #[inline]
    #[track_caller]
    fn derive<C, U, E2>(
        self,
        f: C,
        make: fn(Broken) -> E2,
        origin: &'static Location<'static>,
        run: impl FnOnce((Accepted<C>, Producer<U, E2, Progress, F>), Delivery<T, E>) -> HandOn<F> + Copy + 'static,
    ) -> Promise<U, E2, Progress, F>
    where
        C: 'static,
        F: Accepts<C> + Accepts<U> + Accepts<E2>,
    {
        let context = |producer| (Accepted(f), producer);
        Promise::from_core(self.into_core().derive(make, origin, context, run))
    }
}

/// Settles with what a user's function returns.
#[inline]
fn settle_by<R, F: Flavor>(f: impl FnOnce() -> R, producer: Producer<R::Value, R::Error, Progress, F>) -> HandOn<F>
where
    R: IntoPromise<F>,
{
    if producer.is_settled() {
        // Canceled while it waited for its turn among others.
        trampoline::guard(|| drop(f));
        return None;
    }
    match panics::guard(|| f().checked()) {
        Ok(outcome) => outcome.settle_into(producer),
        Err(payload) => producer.into_inner().hand_on_panic(payload),
    }
}

/// Passes on what a function is not asked about. The function goes first, so that what it captured is gone when callbacks run.
#[inline]
fn pass<C, T, E, F: Flavor>(f: C, delivery: Delivery<T, E>, producer: Producer<T, E, Progress, F>) -> HandOn<F> {
    trampoline::guard(|| drop(f));
    producer.into_inner().deliver(delivery)
}

impl<T, P, F: Flavor> Promise<T, Broken, P, F>
where
    T: IntoPromise<F>,
    F: Accepts<T> + Accepts<P>,
{
    /// Turns a promise of a result, or of a promise, into a promise of the value inside.
    ///
    /// A task that returns a `Result` gives such a promise. The outer rejection becomes the inner error type.
    ///
    /// # Panics
    ///
    /// As [`then`](Promise::then).
    ///
    /// # Examples
    ///
    /// ```
    /// use deferral::{Deferred, Promise};
    ///
    /// let (deferred, promise) = Deferred::<Result<u32, String>>::new();
    /// let flat: Promise<u32, String> = promise.flatten();
    /// deferred.resolve(Err("no such user".to_owned()));
    /// flat.fail(|error| assert_eq!(error, "no such user"));
    /// ```
    #[track_caller]
    pub fn flatten(self) -> Promise<T::Value, T::Error, Progress, F>
    where
        T::Error: From<Broken>,
        F: Accepts<T::Value> + Accepts<T::Error>,
    {
        let run = |producer: Producer<T::Value, T::Error, Progress, F>, delivery: Delivery<T, Broken>| match delivery
            .unpack()
        {
            // Canceled while it waited for its turn among others, and the promise inside with it.
            Ok((Ok(inner), _)) if producer.is_settled() => {
                trampoline::guard(|| inner.disown());
                None
            }
            Ok((Ok(inner), _)) => settle_by(|| inner, producer),
            Ok((Err(broken), _)) | Err(broken) => producer.into_inner().hand_on_broken(broken),
        };
        let core = self.into_core().derive(T::Error::from, Location::caller(), |producer| producer, run);
        Promise::from_core(core)
    }
}
