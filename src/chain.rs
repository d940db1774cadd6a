//! Chaining: promises that are made of others, and what may be returned where a promise is expected.

use std::panic::Location;

use crate::Progress;
use crate::broken::{Broken, BrokenKind};
use crate::core::trampoline::{self, Caller};
use crate::core::{Accepts, Delivery, Flavor, Link, Node, Shared};
use crate::deferred::{self, Deferred};
use crate::diagnostics;
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

    /// Settles `deferred` with the outcome, now or later.
    #[doc(hidden)]
    fn settle_into(self, deferred: Deferred<Self::Value, Self::Error, Progress, F>);

    /// Calls `run` with the outcome: now, or later through the link that comes back. `target` tells what then waits for it.
    #[doc(hidden)]
    fn subscribe<C: 'static>(
        self,
        context: C,
        run: impl FnOnce(C, Delivery<Self::Value, Self::Error>) + Copy + 'static,
        target: impl FnOnce(&C) -> Option<Node<F>> + Copy + 'static,
    ) -> Option<Link<F>>
    where
        F: Accepts<C>,
    {
        match self.take_settled() {
            Ok(delivery) => {
                run(context, delivery);
                None
            }
            Err(this) => this.subscribe_later(context, run, target),
        }
    }

    /// The same of one whose outcome was not here a moment ago: if it is now, `run` is called when its turn comes.
    #[doc(hidden)]
    fn subscribe_later<C: 'static>(
        self,
        context: C,
        run: impl FnOnce(C, Delivery<Self::Value, Self::Error>) + Copy + 'static,
        target: impl FnOnce(&C) -> Option<Node<F>> + Copy + 'static,
    ) -> Option<Link<F>>
    where
        F: Accepts<C>;

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

    fn settle_into(self, deferred: Deferred<T, E, Progress, F>) {
        deferred.finish(self);
    }

    fn subscribe_later<C: 'static>(
        self,
        context: C,
        run: impl FnOnce(C, Delivery<T, E>) + Copy + 'static,
        _: impl FnOnce(&C) -> Option<Node<F>> + Copy + 'static,
    ) -> Option<Link<F>>
    where
        F: Accepts<C>,
    {
        run(context, Delivery::Outcome(self));
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
    F: Flavor + Accepts<Shared<T, E, P, F>> + Accepts<Deferred<T, E, Progress, F>>,
{
    type Value = T;
    type Error = E;

    fn settle_into(self, deferred: Deferred<T, E, Progress, F>) {
        deferred.core().forget_source();
        self.lead(deferred, Caller::Library);
    }

    fn subscribe_later<C: 'static>(
        self,
        context: C,
        run: impl FnOnce(C, Delivery<T, E>) + Copy + 'static,
        target: impl FnOnce(&C) -> Option<Node<F>> + Copy + 'static,
    ) -> Option<Link<F>>
    where
        F: Accepts<C>,
    {
        let core = self.into_core();
        let key = core.consume(<F as Accepts<C>>::continuation(context, run, target));
        Some(core.into_link(key, false))
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
    F: Flavor + Accepts<Shared<T, E, P, F>>,
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
        F: Accepts<(C, Deferred<R::Value, E, Progress, F>)>, // not `Send`? Take `deferral::local`, or `into_local()` first
    {
        let broken = self.core().broken_fn();
        self.derive(f, broken, Location::caller(), |(f, deferred), delivery| match delivery.value() {
            Ok(value) => settle_by(move || f(value), deferred),
            Err(rejection) => pass(f, rejection, deferred),
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
        F: Accepts<(C, Deferred<T, E, Progress, F>)>, // not `Send`? Take `deferral::local`, or `into_local()` first
    {
        let broken = self.core().broken_fn();
        self.derive(f, broken, Location::caller(), |(f, deferred), delivery| match delivery.error() {
            Ok(error) => settle_by(move || f(error), deferred),
            Err(other) => pass(f, other, deferred),
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
        F: Accepts<(C, Deferred<T, E2, Progress, F>)>, // not `Send`? Take `deferral::local`, or `into_local()` first
    {
        self.derive(f, E2::from, Location::caller(), |(f, deferred), delivery| match delivery.error() {
            Ok(error) => settle_by(move || Err(f(error)), deferred),
            Err(other) => pass(f, other, deferred),
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
    pub fn forward(self, target: Deferred<T, E, Progress, F>)
    where
        F: Accepts<Deferred<T, E, Progress, F>>,
    {
        self.lead(target, Caller::User);
    }

    /// Has `target` adopt the outcome.
    #[track_caller]
    fn lead(mut self, target: Deferred<T, E, Progress, F>, caller: Caller)
    where
        F: Accepts<Deferred<T, E, Progress, F>>,
    {
        let core = target.core().clone();
        if self.core().address() == core.address() {
            core.break_by(BrokenKind::Cycle, caller);
            return;
        }
        if let Some(delivery) = self.try_take() {
            core.deliver(delivery, caller);
            return;
        }
        let source = self.into_core();
        let run = |target: Deferred<T, E, Progress, F>, delivery| {
            target.core().deliver(delivery, Caller::Library);
        };
        let continuation = <F as Accepts<Deferred<T, E, Progress, F>>>::continuation(target, run, waiting);
        let key = source.consume(continuation);
        core.adopt(source.into_link(key, false), caller);
    }

    /// The promise of a continuation that works on `f` and the new promise's own `Deferred`.
    #[track_caller]
    fn derive<C, U, E2>(
        self,
        f: C,
        broken: fn(Broken) -> E2,
        origin: &'static Location<'static>,
        run: impl FnOnce((C, Deferred<U, E2, Progress, F>), Delivery<T, E>) + Copy + 'static,
    ) -> Promise<U, E2, Progress, F>
    where
        C: 'static,
        F: Accepts<(C, Deferred<U, E2, Progress, F>)>,
    {
        self.into_core().lead(|source, key| {
            let (deferred, promise) = deferred::pair_from(source, key, broken, origin);
            let continuation = <F as Accepts<(C, Deferred<U, E2, Progress, F>)>>::continuation(
                (f, deferred),
                run,
                |(_, deferred): &(C, Deferred<U, E2, Progress, F>)| waiting(deferred),
            );
            (promise, continuation)
        })
    }
}

/// The promise that waits for what a continuation makes.
pub(crate) fn waiting<T, E, P, F: Flavor>(deferred: &Deferred<T, E, P, F>) -> Option<Node<F>> {
    Some(deferred.core().node())
}

/// Settles with what a user's function returns.
fn settle_by<R, F: Flavor>(f: impl FnOnce() -> R, deferred: Deferred<R::Value, R::Error, Progress, F>)
where
    R: IntoPromise<F>,
{
    if deferred.core().is_settled() {
        // Canceled while it waited for its turn among others.
        trampoline::guard(|| drop(f));
        return;
    }
    match diagnostics::guard(|| f().checked()) {
        Ok(outcome) => outcome.settle_into(deferred),
        Err(payload) => deferred.core().break_by_panic(payload, Caller::Library),
    }
}

/// Passes on what a function is not asked about. The function goes first, so that what it captured is gone when callbacks run.
fn pass<C, T, E, F: Flavor>(f: C, delivery: Delivery<T, E>, deferred: Deferred<T, E, Progress, F>) {
    trampoline::guard(|| drop(f));
    match delivery {
        Delivery::Outcome(outcome) => deferred.finish(outcome),
        delivery => deferred.finish_rarely(delivery),
    }
}

impl<T, P, F: Flavor> Promise<T, Broken, P, F>
where
    T: IntoPromise<F>,
    F: Accepts<Shared<T, Broken, P, F>>,
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
        F: Accepts<Deferred<T::Value, T::Error, Progress, F>>,
    {
        let origin = Location::caller();
        let run = |deferred: Deferred<T::Value, T::Error, Progress, F>, delivery: Delivery<T, Broken>| match delivery {
            // Canceled while it waited for its turn among others, and the promise inside with it.
            Delivery::Outcome(Ok(inner)) if deferred.core().is_settled() => {
                trampoline::guard(|| inner.disown());
            }
            Delivery::Outcome(Ok(inner)) => settle_by(|| inner, deferred),
            Delivery::Outcome(Err(broken))
            | Delivery::Traced(broken, _)
            | Delivery::Excused(broken, _)
            | Delivery::Broken(broken) => deferred.finish_rarely(Delivery::Broken(broken)),
        };
        self.into_core().lead(|source, key| {
            let (deferred, promise) = deferred::pair_from(source, key, T::Error::from, origin);
            let continuation =
                <F as Accepts<Deferred<T::Value, T::Error, Progress, F>>>::continuation(deferred, run, waiting);
            (promise, continuation)
        })
    }
}
