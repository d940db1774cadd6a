//! The producer end.

use std::fmt;

use crate::broken::Broken;
use crate::core::trampoline::Caller;
use crate::core::{Accepted, Accepts, Core, Flavor, Note, Producer, Threaded};
use crate::progress::Progress;
use crate::state::State;

/// The producer end of a value that is not there yet: settles its [`Promise`](crate::Promise), from any callback and any thread.
///
/// A `Deferred` is settled at most once: of any number of [`resolve`](Deferred::resolve), [`reject`](Deferred::reject),
/// [`settle`](Deferred::settle) and [`Promise::cancel`](crate::Promise::cancel), from any threads, exactly one wins. All methods take `&self`, and clones
/// are producers of the same promise: a success callback and an error callback can own one each.
///
/// When the last `Deferred` is dropped before one of them settled, the promise is rejected with
/// [`BrokenKind::Abandoned`](crate::BrokenKind::Abandoned), which reads as the error type by `E: From<Broken>`. No promise waits for a dead producer.
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
    producer: Producer<T, E, P, F>,
}

impl<T, E, P, F: Flavor> Deferred<T, E, P, F> {
    /// Settles the promise with a value; `false` if it was settled already, and the value is dropped.
    ///
    /// Callbacks run before `resolve` returns, on this thread: first `done` and `always` in the order of their registration, then
    /// `then` and the aggregates; awaiting tasks are woken in between. Two exceptions leave the callbacks to a thread that is at work
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
        self.core().settle(Ok(value), Note::UNKNOWN, Caller::User)
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
        self.core().settle(Err(error), Note::here(), Caller::User)
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
        self.core().settle(result, Note::here(), Caller::User)
    }

    /// Tells how far the work is; `false` once settled, and the report is dropped.
    ///
    /// Every `progress` callback sees this report before any sees the next, and all of them before the settle that comes after it.
    /// Callbacks run before `notify` returns, with the exceptions of [`resolve`](Deferred::resolve): while another report of this
    /// promise is told, the thread that tells it tells this one, too. A later callback is told the last report at once.
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

    /// Registers a callback for the value; see [`Promise::done`](crate::Promise::done).
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
        self.core().done(callback);
        self
    }

    /// Registers a callback for the error; see [`Promise::fail`](crate::Promise::fail).
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
        self.core().fail(callback);
        self
    }

    /// Registers a callback for either end; see [`Promise::always`](crate::Promise::always).
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
        self.core().always(callback);
        self
    }

    /// Registers a callback for reports of progress; see [`Promise::progress`](crate::Promise::progress).
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
        self.core().progress(callback);
        self
    }

    /// Registers a callback for a call of [`Promise::cancel`](crate::Promise::cancel): the place to stop the work.
    ///
    /// It runs after the cancel has won, before the observers, on the canceling thread, or on the one that is just telling a report
    /// of this promise, once it has told it; at once if the promise is canceled already. It is dropped unrun when the promise is settled
    /// otherwise, and when no promise is left that could cancel.
    ///
    /// # Panics
    ///
    /// If the promise is canceled already and the callback panics, the panic comes out of this call; else as
    /// [`Promise::cancel`](crate::Promise::cancel) says.
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
        self.core().on_cancel(Accepted(callback), |callback: Accepted<C>| (callback.0)());
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

    /// Whether a promise is still held, or a callback registered: a producer may stop if not.
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
    pub(crate) fn from_producer(producer: Producer<T, E, P, F>) -> Self {
        Deferred { producer }
    }

    #[inline]
    pub(crate) fn into_producer(self) -> Producer<T, E, P, F> {
        self.producer
    }

    #[inline]
    pub(crate) fn core(&self) -> &Core<T, E, P, F> {
        &self.producer
    }
}

impl<T, E, P, F: Flavor> Clone for Deferred<T, E, P, F> {
    fn clone(&self) -> Self {
        Deferred { producer: self.core().add_producer() }
    }
}

impl<T, E, P, F: Flavor> fmt::Debug for Deferred<T, E, P, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.core().describe("Deferred", f)
    }
}
