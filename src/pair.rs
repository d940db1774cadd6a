//! Making the two ends.

use std::panic::Location;

use crate::broken::Broken;
use crate::core::trampoline::Caller;
use crate::core::{Core, Flavor};
use crate::deferred::Deferred;
use crate::panics;
use crate::progress::Progress;
use crate::promise::Promise;

impl<T, E: From<Broken>, F: Flavor> Deferred<T, E, Progress, F> {
    /// Makes a pending promise: its two ends.
    ///
    /// The caller's line is the promise's origin: errors that the library makes tell it.
    ///
    /// # Examples
    ///
    /// ```
    /// use deferral::Deferred;
    ///
    /// let (deferred, promise) = Deferred::<String, std::io::Error>::new();
    /// deferred.reject(std::io::Error::other("no line"));
    /// promise.fail(|error| assert_eq!(error.to_string(), "no line"));
    /// ```
    #[track_caller]
    #[allow(clippy::new_ret_no_self)]
    pub fn new() -> (Deferred<T, E, Progress, F>, Promise<T, E, Progress, F>) {
        pair(E::from, Location::caller())
    }
}

impl<T, E: From<Broken>, P, F: Flavor> Deferred<T, E, P, F> {
    /// Makes a pending promise whose progress is of a type of your own.
    ///
    /// # Examples
    ///
    /// ```
    /// use deferral::{Broken, Deferred};
    ///
    /// let (deferred, promise) = Deferred::<u32, Broken, &str>::with_progress();
    /// promise.progress(|stage| println!("{stage}"));
    /// deferred.notify("connecting");
    /// deferred.notify("reading");
    /// deferred.resolve(5);
    /// ```
    #[track_caller]
    pub fn with_progress() -> (Deferred<T, E, P, F>, Promise<T, E, P, F>) {
        pair(E::from, Location::caller())
    }
}

/// A pending promise, and its producer.
#[inline]
pub(crate) fn pair<T, E, P, F: Flavor>(
    make: fn(Broken) -> E,
    origin: &'static Location<'static>,
) -> (Deferred<T, E, P, F>, Promise<T, E, P, F>) {
    let (producer, promise) = Core::new(make, origin);
    (Deferred::from_producer(producer), Promise::from_core(promise))
}

impl<T, E: From<Broken>, F: Flavor> Promise<T, E, Progress, F> {
    /// Makes a promise and has `producer` settle it, now or later: `$.Deferred(function (d) { .. }).promise()`.
    ///
    /// The closure runs before `new` returns. If it panics, the promise is rejected with kind
    /// [`Panicked`](crate::BrokenKind::Panicked); a panic after it has settled is reported and changes nothing.
    ///
    /// # Examples
    ///
    /// ```
    /// use deferral::Promise;
    ///
    /// let promise = Promise::<u32>::new(|deferred| {
    ///     std::thread::spawn(move || deferred.resolve(6 * 7));
    /// });
    /// assert_eq!(promise.wait().unwrap(), 42);
    /// ```
    #[track_caller]
    pub fn new(producer: impl FnOnce(Deferred<T, E, Progress, F>)) -> Self {
        let (deferred, promise) = pair(E::from, Location::caller());
        // The clone keeps the promise from being abandoned before a panic has become its outcome.
        let kept = deferred.clone();
        if let Err(payload) = panics::guard(|| producer(deferred)) {
            kept.core().reject_by_panic(payload, Caller::Quiet);
        }
        promise
    }

    /// A promise that is resolved already.
    ///
    /// # Examples
    ///
    /// ```
    /// use deferral::Promise;
    ///
    /// let promise = Promise::<u32>::resolved(3).then(|n| Ok(n + 1));
    /// promise.done(|n| assert_eq!(*n, 4));
    /// ```
    #[track_caller]
    pub fn resolved(value: T) -> Self {
        Self::settled(Ok(value), Location::caller())
    }

    /// A promise that is rejected already.
    ///
    /// # Examples
    ///
    /// ```
    /// use deferral::Promise;
    ///
    /// let promise = Promise::<u32, String>::rejected("none left".to_owned());
    /// promise.fail(|error| assert_eq!(error, "none left"));
    /// ```
    #[track_caller]
    pub fn rejected(error: E) -> Self {
        Self::settled(Err(error), Location::caller())
    }

    fn settled(outcome: Result<T, E>, origin: &'static Location<'static>) -> Self {
        Promise::from_core(Core::settled(E::from, origin, outcome))
    }
}

impl<T, E: From<Broken>, F: Flavor> From<Result<T, E>> for Promise<T, E, Progress, F> {
    #[track_caller]
    fn from(outcome: Result<T, E>) -> Self {
        Self::settled(outcome, Location::caller())
    }
}
