//! The loop for other threads.

use std::fmt;
use std::panic::Location;
use std::rc::Rc;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use super::{owed, timeout};
use crate::broken::Broken;
use crate::core::Plain;
use crate::event_loop::{Local, Op, Remote, Timer, any_call};
use crate::list::Key;
use crate::promise::Promise;

/// A handle of an [`EventLoop`](crate::EventLoop), for any thread: what goes in is `Send`, and a thread-safe [`Promise`] comes out.
///
/// Everything it schedules wakes a loop that sleeps, or the host of one ([`on_wake`](crate::EventLoop::on_wake)), and keeps its order
/// among what other threads schedule. Handles do not keep the loop alive: once it is gone, promises made here are rejected with kind
/// [`LoopClosed`](crate::BrokenKind::LoopClosed), closures and futures are dropped unrun on the calling thread, and nothing panics.
///
/// # Examples
///
/// ```
/// use deferral::{Deferred, EventLoop};
///
/// let event_loop = EventLoop::new();
/// let handle = event_loop.handle();
/// let (deferred, answer) = Deferred::<u32>::new();
/// std::thread::spawn(move || {
///     let half = handle.call_soon(|| 21).wait().unwrap(); // run by the loop, awaited by the thread
///     deferred.resolve(2 * half);
/// });
/// assert_eq!(event_loop.run_until_complete(answer).unwrap(), 42);
/// ```
#[derive(Clone)]
pub struct Handle {
    remote: Arc<Remote>,
}

impl Handle {
    pub(super) fn new(remote: Arc<Remote>) -> Self {
        Handle { remote }
    }

    /// Spawns a future on the loop; see [`EventLoop::spawn`](crate::EventLoop::spawn).
    ///
    /// The future is polled and dropped on the loop's thread (or where `spawn` is called, if the loop is gone already), also when the
    /// promise is canceled on another one: then no later than in the loop's next turn, perhaps after the observers have run.
    ///
    /// # Examples
    ///
    /// ```
    /// use deferral::EventLoop;
    ///
    /// let event_loop = EventLoop::new();
    /// let handle = event_loop.handle();
    /// let task = std::thread::spawn(move || handle.spawn(async { 1 + 1 })).join().unwrap();
    /// assert_eq!(event_loop.run_until_complete(task).unwrap(), 2);
    /// ```
    #[track_caller]
    pub fn spawn<U>(&self, future: U) -> Promise<U::Output>
    where
        U: Future<Output: Send> + Send + 'static, // no local promise: in it take `current().sleep(..)` for `sleep(..)`
    {
        let origin = Location::caller();
        let (owed, promise) = owed::owe(origin);
        let task = owed::Task::new(future, owed);
        self.schedule(promise, Local::cancel_task, move |local| local.spawn(Box::pin(task), origin))
    }

    /// Schedules a call for the loop's next turn; see [`EventLoop::call_soon`](crate::EventLoop::call_soon). It is asyncio's
    /// `call_soon_threadsafe`.
    ///
    /// # Examples
    ///
    /// ```
    /// use deferral::EventLoop;
    ///
    /// let event_loop = EventLoop::new();
    /// let call = event_loop.handle().call_soon(|| 7);
    /// assert_eq!(event_loop.run_until_complete(call).unwrap(), 7);
    /// ```
    #[track_caller]
    pub fn call_soon<R: Send + 'static>(&self, f: impl FnOnce() -> R + Send + 'static) -> Promise<R> {
        let origin = Location::caller();
        let (owed, promise) = owed::owe(origin);
        self.schedule(promise, Local::cancel_call, move |local| local.call_soon(owed.call(f), origin))
    }

    /// Schedules a call for when `delay` has passed since now; see [`EventLoop::call_later`](crate::EventLoop::call_later).
    ///
    /// # Examples
    ///
    /// ```
    /// use deferral::EventLoop;
    /// use std::time::Duration;
    ///
    /// let event_loop = EventLoop::with_virtual_clock();
    /// let call = event_loop.handle().call_later(Duration::from_secs(1), || 7);
    /// assert_eq!(event_loop.run_until_complete(call).unwrap(), 7);
    /// ```
    #[track_caller]
    pub fn call_later<R: Send + 'static>(&self, delay: Duration, f: impl FnOnce() -> R + Send + 'static) -> Promise<R> {
        self.call_by(owed::timer(&self.remote, delay, false), f)
    }

    /// Schedules a call for `deadline`; see [`EventLoop::call_at`](crate::EventLoop::call_at).
    ///
    /// # Examples
    ///
    /// ```
    /// use deferral::EventLoop;
    ///
    /// let event_loop = EventLoop::new();
    /// let handle = event_loop.handle();
    /// let call = handle.call_at(handle.now(), || 7);
    /// assert_eq!(event_loop.run_until_complete(call).unwrap(), 7);
    /// ```
    #[track_caller]
    pub fn call_at<R: Send + 'static>(&self, deadline: Instant, f: impl FnOnce() -> R + Send + 'static) -> Promise<R> {
        self.call_by(Some(self.remote.timer(deadline, false)), f)
    }

    #[track_caller]
    fn call_by<R: Send + 'static>(&self, timer: Option<Timer>, f: impl FnOnce() -> R + Send + 'static) -> Promise<R> {
        let origin = Location::caller();
        let (owed, promise) = owed::owe(origin);
        self.schedule(promise, Local::cancel_call, move |local| local.call_at(timer, owed.call(f), origin))
    }

    /// Resolves after `duration`, by the loop's clock; see [`sleep`](crate::sleep()).
    ///
    /// # Examples
    ///
    /// ```
    /// use deferral::EventLoop;
    /// use std::time::Duration;
    ///
    /// let event_loop = EventLoop::with_virtual_clock();
    /// let handle = event_loop.handle();
    /// let task = handle.clone().spawn(async move { handle.sleep(Duration::from_secs(9)).await });
    /// event_loop.run_until_complete(task).unwrap().unwrap();
    /// ```
    #[track_caller]
    pub fn sleep(&self, duration: Duration) -> Promise<()> {
        self.call_later(duration, || ())
    }

    /// Gives `promise` until `duration` has passed, by the loop's clock; see [`timeout`](crate::timeout()).
    ///
    /// # Panics
    ///
    /// If `promise` has given its outcome already.
    ///
    /// # Examples
    ///
    /// ```
    /// use deferral::{BrokenKind, Deferred, EventLoop};
    /// use std::time::Duration;
    ///
    /// let event_loop = EventLoop::with_virtual_clock();
    /// let (_deferred, never) = Deferred::<u32>::new();
    /// let answer = event_loop.handle().timeout(Duration::from_secs(1), never);
    /// let broken = event_loop.run_until_complete(answer).unwrap_err();
    /// assert_eq!(broken.kind(), BrokenKind::TimedOut);
    /// ```
    #[track_caller]
    pub fn timeout<T, E, P>(&self, duration: Duration, promise: Promise<T, E, P>) -> Promise<T, E>
    where
        T: Send,
        E: From<Broken> + Send,
        P: Send,
    {
        let origin = Location::caller();
        let timer = || {
            let timer = owed::timer(&self.remote, duration, true);
            let (owed, expiry) = owed::owe(origin);
            self.schedule(expiry, Local::cancel_call, move |local| local.call_at(timer, owed.call(|| ()), origin))
        };
        timeout::timeout(promise, timer, origin)
    }

    /// The time of the loop's clock.
    ///
    /// # Examples
    ///
    /// ```
    /// let event_loop = deferral::EventLoop::with_virtual_clock();
    /// assert_eq!(event_loop.handle().now(), event_loop.handle().now());
    /// ```
    pub fn now(&self) -> Instant {
        self.remote.now()
    }

    /// Ends the running or the next [`EventLoop::run_forever`](crate::EventLoop::run_forever) after its turn.
    ///
    /// It concerns that run alone, and two stops count once. It ends no task.
    ///
    /// # Examples
    ///
    /// ```
    /// let event_loop = deferral::EventLoop::new();
    /// event_loop.handle().stop();
    /// event_loop.run_forever(); // one turn
    /// ```
    pub fn stop(&self) {
        self.remote.stop();
    }

    pub(super) fn is_closed(&self) -> bool {
        self.remote.is_closed()
    }

    /// Has the loop's thread schedule something, and a cancel of its promise take it back there.
    fn schedule<T: Send + 'static>(
        &self,
        promise: Promise<T>,
        cancel: fn(&Local, Key),
        schedule: impl FnOnce(&Rc<Local>) -> Key + Send + 'static,
    ) -> Promise<T> {
        // Set on the loop's thread alone: by the schedule, or by a cancel on that very thread, which does not wait in the queue and
        // may overtake it.
        let key = Arc::new(OnceLock::new());
        let scheduled = (Arc::downgrade(&self.remote), key.clone(), cancel);
        self.send(move |local| {
            if key.get().is_none() {
                let _ = key.set(schedule(local));
            }
        });
        promise.core().on_cancel(Plain(scheduled), |Plain((remote, key, cancel)): Plain<Scheduled>| {
            if let Some(remote) = remote.upgrade() {
                Handle { remote }.send(move |local| match key.get() {
                    Some(key) => cancel(local, *key),
                    None => drop(key.set(Key::DANGLING)),
                });
            }
        });
        promise
    }

    /// Schedules a call as [`call_soon`](Handle::call_soon) does, but without a promise, and in one order with all such calls of all
    /// threads: the loop's own thread does not overtake what others sent.
    ///
    /// `push` is how it gets there from elsewhere, and says what a loop does with it that is gone or just closing.
    pub(super) fn call_in_order(
        &self,
        origin: &'static Location<'static>,
        push: fn(&Remote, Op),
        f: impl FnOnce(&Local) + Send + 'static,
    ) {
        let schedule = move |local: &Rc<Local>| {
            let home = Rc::downgrade(local);
            let call = move || {
                if let Some(local) = home.upgrade() {
                    f(&local);
                }
            };
            local.call_soon(any_call(Some(call)), origin);
        };
        match self.remote.running_here().filter(|local| local.has_received_all()) {
            Some(local) => schedule(&local),
            None => push(&self.remote, Box::new(schedule)),
        }
    }

    /// Does something to the loop: at once if it runs on this thread, else in its next turn, in the order of what was sent.
    pub(super) fn send(&self, op: impl FnOnce(&Rc<Local>) + Send + 'static) {
        match self.remote.running_here() {
            Some(local) => op(&local),
            None => self.remote.push_op(Box::new(op)),
        }
    }
}

/// What a cancel from another thread works on.
type Scheduled = (std::sync::Weak<Remote>, Arc<OnceLock<Key>>, fn(&Local, Key));

/// Whether the loop is gone, and how much was sent to it that it has not received yet.
impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle").field("closed", &self.is_closed()).field("sent", &self.remote.sent()).finish()
    }
}
