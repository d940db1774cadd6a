//! The producer end.

use std::fmt;
use std::panic::Location;

use crate::Progress;
use crate::broken::Broken;
use crate::core::trampoline::Caller;
use crate::core::{Accepts, Core, Delivery, Ending, Flavor, Past, Source, State, Threaded};
use crate::list::Key;
use crate::promise::Promise;

/// The producer end of a value that is not there yet: settles its [`Promise`], from any callback and any thread.
///
/// A `Deferred` is settled at most once: of any number of [`resolve`](Deferred::resolve), [`reject`](Deferred::reject),
/// [`settle`](Deferred::settle) and [`Promise::cancel`], from any threads, exactly one wins. All methods take `&self`, and clones
/// are producers of the same promise: a success callback and an error callback can own one each.
///
/// When the last `Deferred` is dropped before one of them settled, the promise is rejected with
/// [`BrokenKind::Abandoned`](crate::BrokenKind::Abandoned), which reads as the error type by `E: From<Broken>`. Nobody waits for a dead producer.
///
/// It is `Send` and `Sync` where `T`, `E` and `P` are `Send`. [`local::Deferred`](crate::local::Deferred) is the same for one
/// thread, where neither values nor callbacks need be `Send`.
///
/// Like jQuery's, a `Deferred` takes callbacks, too: [`done`](Deferred::done), [`fail`](Deferred::fail),
/// [`always`](Deferred::always), [`progress`](Deferred::progress).
///
/// # Examples
///
/// ```
/// use deferral::Deferred;
///
/// let (deferred, promise) = Deferred::<u32>::new();
/// promise.done(|value| println!("it is {value}"));
/// assert!(deferred.resolve(7));
/// assert!(!deferred.resolve(8), "the first settle has won");
/// ```
pub struct Deferred<T: 'static, E: 'static = Broken, P: 'static = Progress, F: Flavor = Threaded> {
    core: Ending<Core<T, E, P, F>>,
}

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

/// Both ends of a pending promise, without the bound that only the way from [`Broken`] to `E` needs.
#[inline]
pub(crate) fn pair<T, E, P, F: Flavor>(
    broken: fn(Broken) -> E,
    origin: &'static Location<'static>,
) -> (Deferred<T, E, P, F>, Promise<T, E, P, F>) {
    let (producer, consumer) = Core::pair(broken, origin);
    (Deferred { core: Ending::new(producer) }, Promise::from_core(consumer))
}

/// The same of a derived promise, which follows the entry `key` of `source`.
#[inline]
pub(crate) fn pair_from<T, E, P, F: Flavor>(
    source: Source<F>,
    key: Key,
    broken: fn(Broken) -> E,
    origin: &'static Location<'static>,
) -> (Deferred<T, E, P, F>, Promise<T, E, P, F>) {
    let (producer, consumer) = Core::pair_from(source, key, broken, origin);
    (Deferred { core: Ending::new(producer) }, Promise::from_core(consumer))
}

impl<T, E, P, F: Flavor> Deferred<T, E, P, F> {
    /// Settles the promise with a value; `false` if it was settled already, and the value is dropped.
    ///
    /// Callbacks run before `resolve` returns, on this thread: first `done` and `always` in the order of their registration, then
    /// `then` and the aggregates; awaiting tasks are woken in between. Two exceptions leave the callbacks to somebody who is at work
    /// already: a progress report of this promise is just being told, on another thread or further up this thread's stack; or more
    /// than sixteen settles nest on this thread. Everything that happened before `resolve` is visible to every callback
    /// and consumer.
    ///
    /// # Panics
    ///
    /// If callbacks or wakers panic, all others are served first; then the first panic resumes here, unless this call was made
    /// inside another callback, whose outermost caller gets it. The promise is settled all the same.
    ///
    /// # Examples
    ///
    /// ```
    /// use deferral::{Deferred, State};
    ///
    /// let (deferred, promise) = Deferred::<u32>::new();
    /// std::thread::spawn(move || deferred.resolve(4)).join().unwrap();
    /// assert_eq!(promise.wait().unwrap(), 4);
    /// ```
    #[inline]
    pub fn resolve(&self, value: T) -> bool {
        self.core().resolve(value, Caller::User)
    }

    /// Settles the promise with an error; `false` if it was settled already, and the error is dropped.
    ///
    /// Order, threads and panics are those of [`resolve`](Deferred::resolve), with `fail` in the place of `done`.
    ///
    /// # Examples
    ///
    /// ```
    /// use deferral::Deferred;
    ///
    /// let (deferred, promise) = Deferred::<u32, String>::new();
    /// deferred.reject("out of paper".to_owned());
    /// promise.catch(|error| Ok(error.len() as u32)).done(|n| assert_eq!(*n, 12));
    /// ```
    #[cfg_attr(debug_assertions, track_caller)]
    pub fn reject(&self, error: E) -> bool {
        self.core().reject(error, Past::here(), Caller::User)
    }

    /// Settles the promise with a result; `false` if it was settled already, and the result is dropped.
    ///
    /// It is [`resolve`](Deferred::resolve) or [`reject`](Deferred::reject).
    ///
    /// # Examples
    ///
    /// ```
    /// use deferral::Deferred;
    ///
    /// let (deferred, promise) = Deferred::<String, std::io::Error>::new();
    /// deferred.settle(std::fs::read_to_string("/no/such/file"));
    /// promise.fail(|error| println!("{error}"));
    /// ```
    #[cfg_attr(debug_assertions, track_caller)]
    pub fn settle(&self, result: Result<T, E>) -> bool {
        self.core().settle(result, Past::here(), Caller::User)
    }

    /// Tells how far the work is; `false` once settled, and the report is dropped.
    ///
    /// Every `progress` callback sees this report before any sees the next, and all of them before the settle that comes after it.
    /// Callbacks run before `notify` returns, with the exceptions of [`resolve`](Deferred::resolve): while another report of this
    /// promise is told, whoever tells it tells this one, too. A later callback is told the last report at once.
    ///
    /// # Panics
    ///
    /// As [`resolve`](Deferred::resolve). A callback that has panicked is called again with the next report.
    ///
    /// # Examples
    ///
    /// ```
    /// use deferral::{Deferred, Progress};
    ///
    /// let (deferred, promise) = Deferred::<()>::new();
    /// promise.progress(|p| println!("{} of {}", p.done, p.total));
    /// assert!(deferred.notify(Progress { done: 1, total: 2 }));
    /// deferred.resolve(());
    /// assert!(!deferred.notify(Progress { done: 2, total: 2 }));
    /// ```
    pub fn notify(&self, progress: P) -> bool {
        self.core().notify(progress, Caller::User)
    }

    /// Registers a callback for the value; see [`Promise::done`].
    ///
    /// The callback lives as long as the promise is pending, even if every `Promise` is dropped. Registered after the last consumer
    /// took the value, it is dropped unrun.
    ///
    /// # Examples
    ///
    /// ```
    /// use deferral::Deferred;
    ///
    /// let (deferred, promise) = Deferred::<u32>::new();
    /// drop(promise);
    /// deferred.done(|value| assert_eq!(*value, 1)).always(|result| assert!(result.is_ok()));
    /// deferred.resolve(1);
    /// ```
    pub fn done<C>(&self, callback: C) -> &Self
    where
        C: FnOnce(&T) + 'static,
        F: Accepts<C>, // not `Send`? Take `deferral::local`, or `into_local()` first
    {
        self.core().observe(F::done(callback));
        self
    }

    /// Registers a callback for the error; see [`Promise::fail`].
    ///
    /// # Examples
    ///
    /// ```
    /// use deferral::Deferred;
    ///
    /// let (deferred, promise) = Deferred::<u32, String>::new();
    /// deferred.fail(|error| assert_eq!(error, "no"));
    /// deferred.reject("no".to_owned());
    /// # drop(promise);
    /// ```
    pub fn fail<C>(&self, callback: C) -> &Self
    where
        C: FnOnce(&E) + 'static,
        F: Accepts<C>, // not `Send`? Take `deferral::local`, or `into_local()` first
    {
        self.core().observe(F::fail(callback));
        self
    }

    /// Registers a callback for either end; see [`Promise::always`].
    ///
    /// # Examples
    ///
    /// ```
    /// use deferral::Deferred;
    ///
    /// let (deferred, promise) = Deferred::<u32>::new();
    /// deferred.always(|result| println!("{result:?}"));
    /// deferred.resolve(3);
    /// # drop(promise);
    /// ```
    pub fn always<C>(&self, callback: C) -> &Self
    where
        C: FnOnce(&Result<T, E>) + 'static,
        F: Accepts<C>, // not `Send`? Take `deferral::local`, or `into_local()` first
    {
        self.core().observe(F::always(callback));
        self
    }

    /// Registers a callback for reports of progress; see [`Promise::progress`].
    ///
    /// # Examples
    ///
    /// ```
    /// use deferral::{Deferred, Progress};
    ///
    /// let (deferred, promise) = Deferred::<u32>::new();
    /// deferred.progress(|p| assert_eq!(p.total, 10));
    /// deferred.notify(Progress { done: 3, total: 10 });
    /// # drop(promise);
    /// ```
    pub fn progress<C>(&self, callback: C) -> &Self
    where
        C: FnMut(&P) + 'static,
        F: Accepts<C>, // not `Send`? Take `deferral::local`, or `into_local()` first
    {
        self.core().listen(F::listener(callback));
        self
    }

    /// Registers a callback for the case that somebody calls [`Promise::cancel`]: the place to stop the work.
    ///
    /// It runs after the cancel has won, before the observers, on the canceling thread, or on the one that is just telling a report
    /// of this promise, once it has told it; at once if the promise is canceled already. It is dropped unrun when the promise is settled otherwise, and when nobody is left who could cancel.
    ///
    /// # Panics
    ///
    /// If the promise is canceled already and the callback panics, the panic comes out of this call; else as
    /// [`Promise::cancel`] says.
    ///
    /// # Examples
    ///
    /// ```
    /// use deferral::Deferred;
    ///
    /// let (deferred, promise) = Deferred::<u32>::new();
    /// deferred.on_cancel(|| println!("hanging up"));
    /// promise.cancel();
    /// assert!(!deferred.resolve(1));
    /// ```
    pub fn on_cancel<C>(&self, callback: C) -> &Self
    where
        C: FnOnce() + 'static,
        F: Accepts<C>, // not `Send`? Take `deferral::local`, or `into_local()` first
    {
        self.core().observe(F::canceler(callback, |callback: C| callback()));
        self
    }

    /// Where the promise stands.
    ///
    /// It is settled as soon as a settle has won, before the callbacks run.
    ///
    /// # Examples
    ///
    /// ```
    /// use deferral::{Deferred, State};
    ///
    /// let (deferred, _promise) = Deferred::<u32>::new();
    /// deferred.resolve(1);
    /// assert_eq!(deferred.state(), State::Resolved);
    /// ```
    pub fn state(&self) -> State {
        self.core().state()
    }

    /// Whether somebody still holds a promise, or registered a callback: a producer may stop if not.
    ///
    /// # Examples
    ///
    /// ```
    /// use deferral::Deferred;
    ///
    /// let (deferred, promise) = Deferred::<u32>::new();
    /// assert!(deferred.is_wanted());
    /// drop(promise);
    /// assert!(!deferred.is_wanted());
    /// ```
    pub fn is_wanted(&self) -> bool {
        self.core().is_wanted()
    }

    #[inline]
    pub(crate) fn core(&self) -> &Core<T, E, P, F> {
        &self.core
    }

    /// Ends this producer of a derived promise by what the one source delivered, or what was made of it.
    #[inline]
    pub(crate) fn finish(self, outcome: Result<T, E>) {
        self.core.into_inner().finish(outcome);
    }

    /// The same with what is no plain outcome.
    pub(crate) fn finish_rarely(self, delivery: Delivery<T, E>) {
        self.core.into_inner().finish_rarely(delivery);
    }

    /// Resolves on behalf of the library: a panic of a callback does not come back.
    pub(crate) fn resolve_quietly(&self, value: T) -> bool {
        self.core().resolve(value, Caller::Quiet)
    }

    /// Notifies on behalf of the library.
    pub(crate) fn notify_quietly(&self, progress: P) -> bool {
        self.core().notify(progress, Caller::Quiet)
    }
}

/// Another producer of the same promise.
impl<T, E, P, F: Flavor> Clone for Deferred<T, E, P, F> {
    fn clone(&self) -> Self {
        Deferred { core: Ending::new(self.core().add_producer()) }
    }
}

impl<T, E, P, F: Flavor> fmt::Debug for Deferred<T, E, P, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.core().describe("Deferred", f)
    }
}
