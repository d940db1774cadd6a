//! The consumer end: callbacks, state, and the future.

use std::fmt;
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures::future::FusedFuture;

use crate::broken::Broken;
use crate::core::{Accepts, Core, Delivery, End, Ending, Flavor, Threaded};
use crate::list::Key;
use crate::progress::Progress;

/// The consumer end of a value that is not there yet.
///
/// It takes callbacks ([`done`](Promise::done), [`fail`](Promise::fail), [`always`](Promise::always),
/// [`progress`](Promise::progress)), it chains ([`then`](Promise::then), [`catch`](Promise::catch)), and it is a [`Future`] of
/// `Result<T, E>` for any executor.
///
/// # Who gets the value
///
/// Observers (`done`, `fail`, `always`) borrow it first, each exactly once, in the order of their registration. Then the consumers
/// (`.await`, `then`, `when`, `wait`) get it: a clone each, and the last the value itself. So a single consumer never needs
/// `Clone`: `Promise<TcpStream, io::Error>` can be awaited. A promise can be cloned where `T` and `E` can.
///
/// # Dropping
///
/// A dropped promise is detached: callbacks and continuations registered on it still run, and the producer goes on. To end the
/// work, [`cancel`](Promise::cancel) it.
///
/// # Threads
///
/// It is `Send` and `Sync` where `T`, `E` and `P` are `Send`; `T: Sync` is not asked for, as no two threads ever see the value at
/// once. Callbacks must be `Send`. [`local::Promise`](crate::local::Promise) is the same for one thread, where nothing need be
/// `Send`.
///
/// A callback of `done`, `fail` or `always` must not block on a consumer of its own promise, even one on another thread: that one
/// gets the value after the observers.
///
/// # Examples
///
/// ```
/// use deferral::Deferred;
///
/// # futures::executor::block_on(async {
/// let (deferred, promise) = Deferred::<u32>::new();
/// let promise = promise.done(|value| println!("arrived: {value}")).then(|value| Ok(value * 2));
/// deferred.resolve(21);
/// assert_eq!(promise.await.unwrap(), 42);
/// # });
/// ```
pub struct Promise<T: 'static, E: 'static = Broken, P: 'static = Progress, F: Flavor = Threaded> {
    end: Ending<Consumer<T, E, P, F>>,
}

/// The inside of a promise, which ends by giving up its right.
struct Consumer<T: 'static, E: 'static, P: 'static, F: Flavor> {
    core: Core<T, E, P, F>,
    /// Where the waker of this promise is parked; or [`Key::SPENT`], if the outcome, or the right to it, has left.
    parked: Key,
}

impl<T, E, P, F: Flavor> Consumer<T, E, P, F> {
    #[inline]
    fn is_spent(&self) -> bool {
        self.parked == Key::SPENT
    }
}

impl<T, E, P, F: Flavor> End for Consumer<T, E, P, F> {
    #[inline]
    fn end(self) {
        if !self.is_spent() {
            self.core.drop_right(self.parked);
        }
    }
}

impl<T, E, P, F: Flavor> Promise<T, E, P, F> {
    /// Registers a callback for the value.
    ///
    /// It runs on the thread that resolves, before `resolve` returns, in the order of registration with `always`; if the promise is
    /// resolved already, it runs before `done` returns. While the value is just being shown to other callbacks (further up this
    /// thread's stack, or on another thread), it is appended to them and run by that thread; what nests too deep on this thread is run
    /// by the outermost call. On a rejected promise, and on one that has given its value (`(&mut promise).await`), it is dropped unrun. Whatever it captured is dropped as soon as it has run or can no longer run.
    ///
    /// It only looks: the value goes on to the consumers, and an error is not handled by `done`.
    ///
    /// # Panics
    ///
    /// If the promise is resolved already and the callback panics, the panic comes out of this call, unless it was made inside
    /// another callback; else as [`Deferred::resolve`](crate::Deferred::resolve) says.
    ///
    /// # Examples
    ///
    /// ```
    /// use deferral::Deferred;
    ///
    /// let (deferred, promise) = Deferred::<&str>::new();
    /// promise.done(|name| println!("hello, {name}")).done(|name| assert_eq!(name.len(), 5));
    /// deferred.resolve("world");
    /// ```
    #[inline]
    pub fn done<C>(self, callback: C) -> Self
    where
        C: FnOnce(&T) + 'static,
        F: Accepts<C>, // not `Send`? Take `deferral::local`, or `into_local()` first
    {
        if !self.end.is_spent() {
            self.end.core.done(callback);
        }
        self
    }

    /// Registers a callback for the error, as [`done`](Promise::done) does for the value.
    ///
    /// # Panics
    ///
    /// As [`done`](Promise::done).
    ///
    /// # Examples
    ///
    /// ```
    /// use deferral::{BrokenKind, Deferred};
    ///
    /// let (deferred, promise) = Deferred::<u32>::new();
    /// promise.fail(|broken| assert_eq!(broken.kind(), BrokenKind::Abandoned));
    /// drop(deferred);
    /// ```
    #[inline]
    pub fn fail<C>(self, callback: C) -> Self
    where
        C: FnOnce(&E) + 'static,
        F: Accepts<C>, // not `Send`? Take `deferral::local`, or `into_local()` first
    {
        if !self.end.is_spent() {
            self.end.core.fail(callback);
        }
        self
    }

    /// Registers a callback for either end, as [`done`](Promise::done) does for the value.
    ///
    /// # Panics
    ///
    /// As [`done`](Promise::done).
    ///
    /// # Examples
    ///
    /// ```
    /// use deferral::Deferred;
    ///
    /// let (deferred, promise) = Deferred::<u32, String>::new();
    /// promise.always(|result| println!("the spinner stops: {result:?}"));
    /// deferred.reject("offline".to_owned());
    /// ```
    #[inline]
    pub fn always<C>(self, callback: C) -> Self
    where
        C: FnOnce(&Result<T, E>) + 'static,
        F: Accepts<C>, // not `Send`? Take `deferral::local`, or `into_local()` first
    {
        if !self.end.is_spent() {
            self.end.core.always(callback);
        }
        self
    }

    /// Registers a callback for reports of progress.
    ///
    /// It is told the last report at once, if there was one, also after the settle, and then each further one on the thread that
    /// notifies, or on one that is just telling an earlier one. It sees reports in the order in which they were issued, without a gap.
    ///
    /// # Panics
    ///
    /// As [`done`](Promise::done).
    ///
    /// # Examples
    ///
    /// ```
    /// use deferral::{Deferred, Progress};
    ///
    /// let (deferred, promise) = Deferred::<u32>::new();
    /// deferred.notify(Progress { done: 1, total: 3 });
    /// promise.progress(|p| println!("{}/{}", p.done, p.total)); // 1/3
    /// deferred.notify(Progress { done: 2, total: 3 }); // 2/3
    /// ```
    pub fn progress<C>(self, callback: C) -> Self
    where
        C: FnMut(&P) + 'static,
        F: Accepts<C>, // not `Send`? Take `deferral::local`, or `into_local()` first
    {
        self.end.core.progress(callback);
        self
    }

    #[inline]
    pub(crate) fn from_core(core: Core<T, E, P, F>) -> Self {
        Promise { end: Ending::new(Consumer { core, parked: Key::DANGLING }) }
    }

    /// Gives up the right to the outcome, as [`spend`](Promise::spend), and the promise with it.
    ///
    /// # Panics
    ///
    /// If this promise has given its outcome already.
    #[inline]
    #[track_caller]
    pub(crate) fn into_core(mut self) -> Core<T, E, P, F> {
        self.spend();
        self.end.into_inner().core
    }

    #[inline]
    pub(crate) fn core(&self) -> &Core<T, E, P, F> {
        &self.end.core
    }

    #[inline]
    pub(crate) fn core_mut(&mut self) -> &mut Core<T, E, P, F> {
        &mut self.end.core
    }

    #[inline]
    pub(crate) fn is_spent(&self) -> bool {
        self.end.is_spent()
    }

    /// Gives up the right to the outcome, for a continuation that takes it over.
    ///
    /// # Panics
    ///
    /// If this promise has given its outcome already.
    #[track_caller]
    pub(crate) fn spend(&mut self) {
        self.assert_unspent();
        self.unpark();
        self.end.parked = Key::SPENT;
    }

    #[track_caller]
    pub(crate) fn assert_unspent(&self) {
        assert!(!self.end.is_spent(), "{SPENT}");
    }

    /// Takes the outcome if it is here.
    #[track_caller]
    #[inline]
    pub(crate) fn try_take(&mut self) -> Option<Delivery<T, E>> {
        self.assert_unspent();
        let delivery = self.end.core.try_take();
        if delivery.is_some() {
            self.end.parked = Key::SPENT;
        }
        delivery
    }

    /// Ends this promise; if it was the last consumer of a pending one, that is canceled.
    pub(crate) fn disown(self) {
        if !self.end.is_spent() {
            let Consumer { core, parked } = self.end.into_inner();
            core.disown(parked);
        }
    }

    /// Takes a waker of an earlier poll back.
    fn unpark(&mut self) {
        if self.end.parked != Key::DANGLING {
            let parked = mem::replace(&mut self.end.parked, Key::DANGLING);
            self.end.core.unpark(parked);
        }
    }
}

/// What to tell who asks for an outcome twice.
const SPENT: &str = "this promise has given its outcome already: clone the promise before awaiting it, or ask \
                                `is_terminated` first";

/// Another consumer of the same outcome.
///
/// Each clone that takes the outcome gets a clone of it, and the last one the outcome itself. A clone of a promise that has given
/// its outcome has none to give either.
impl<T: Clone, E: Clone, P, F: Flavor> Clone for Promise<T, E, P, F> {
    fn clone(&self) -> Self {
        let Consumer { core, parked } = &*self.end;
        let clone = if *parked == Key::SPENT {
            Consumer { core: core.clone(), parked: Key::SPENT }
        } else {
            Consumer { core: core.add_right(), parked: Key::DANGLING }
        };
        Promise { end: Ending::new(clone) }
    }
}

/// Waits for the outcome and takes it, under any executor.
///
/// A promise that is settled is ready at its first poll. Every clone that waits is woken by the settle; a dropped one leaves nothing
/// behind. Dropping a promise in mid-wait loses no outcome that another one could still take.
///
/// # Panics
///
/// `poll` panics after it was ready: clone the promise first, or ask `is_terminated`. It resumes the panic of a value whose
/// `clone` panicked, and panics if `E::from(Broken)` did.
impl<T, E, P, F: Flavor> Future for Promise<T, E, P, F> {
    type Output = Result<T, E>;

    #[inline(always)]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<T, E>> {
        let this = self.get_mut();
        this.assert_unspent();
        let Consumer { core, parked } = &mut *this.end;
        core.poll(parked, cx)
    }
}

/// Nothing in a promise is pinned, whatever its value.
impl<T, E, P, F: Flavor> Unpin for Promise<T, E, P, F> {}

/// Terminated is a promise that has given its outcome.
impl<T, E, P, F: Flavor> FusedFuture for Promise<T, E, P, F> {
    fn is_terminated(&self) -> bool {
        self.end.is_spent()
    }
}

impl<T, E, P, F: Flavor> fmt::Debug for Promise<T, E, P, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.end.core.describe("Promise", f)
    }
}
