//! Where promises and the event loop meet: a future, a call or a timer on a loop, seen as a promise.
//!
//! The loop's engine knows nothing of promises, and the promise layer nothing of loops.

mod dump;
mod event_loop;
mod handle;
mod into_local;
mod owed;
mod spawn;
mod timeout;
mod via;
mod wait;

use std::panic::Location;
use std::rc::Rc;
use std::time::Duration;

pub use self::dump::{Dump, Entry, Owner};
pub use self::event_loop::EventLoop;
pub use self::handle::Handle;
pub use crate::event_loop::Turn;

use crate::broken::Broken;
pub use crate::event_loop::Status;

use crate::event_loop::Local;
use crate::local;

/// The loop that runs on this thread.
///
/// # Panics
///
/// If no loop runs here.
#[track_caller]
fn running(what: &str) -> Rc<Local> {
    match Local::current() {
        Some(local) => local,
        None => panic!(
            "{what} needs an event loop that runs on this thread: call it inside `EventLoop::run_until_complete` or from a \
             callback or task of a loop, or use the methods of an `EventLoop` or a `Handle`"
        ),
    }
}

/// A handle of the event loop that runs on this thread.
///
/// # Panics
///
/// If no event loop runs on this thread.
///
/// # Examples
///
/// ```
/// use deferral::EventLoop;
///
/// let event_loop = EventLoop::new();
/// let answer = event_loop.run_until_complete(async {
///     let handle = deferral::current();
///     std::thread::spawn(move || handle.call_soon(|| 6 * 7)).join().unwrap().await
/// });
/// assert_eq!(answer.unwrap(), 42);
/// ```
#[track_caller]
pub fn current() -> Handle {
    Handle::new(running("`current`").remote().clone())
}

/// Spawns a future on the event loop that runs on this thread; see [`EventLoop::spawn`].
///
/// # Panics
///
/// If no event loop runs on this thread.
///
/// # Examples
///
/// ```
/// use deferral::EventLoop;
///
/// let event_loop = EventLoop::new();
/// let sum = event_loop.run_until_complete(async {
///     let task = deferral::spawn(async { 1 + 2 });
///     task.await
/// });
/// assert_eq!(sum.unwrap(), 3);
/// ```
#[track_caller]
pub fn spawn<U>(future: U) -> local::Promise<U::Output>
where
    U: Future + 'static,
{
    owed::spawn(&running("`spawn`"), future, Location::caller())
}

/// Resolves after `duration`, by the clock of the event loop that runs on this thread.
///
/// It never resolves early. One whose end no [`Instant`](std::time::Instant) can tell, as of [`Duration::MAX`], never resolves. Canceled, it
/// removes its timer.
///
/// The promise is of the `local` flavor: inside a future that has to be `Send`, as for [`Handle::spawn`], take
/// `current().sleep(..)` instead.
///
/// # Panics
///
/// If no event loop runs on this thread.
///
/// # Examples
///
/// ```
/// use deferral::EventLoop;
/// use std::time::Duration;
///
/// let event_loop = EventLoop::with_virtual_clock();
/// event_loop.run_until_complete(async {
///     deferral::sleep(Duration::from_secs(3600)).await.unwrap(); // at once, on the virtual clock
/// });
/// ```
#[track_caller]
pub fn sleep(duration: Duration) -> local::Promise<()> {
    let local = running("`sleep`");
    owed::sleep(&local, owed::timer(local.remote(), duration, false), Location::caller())
}

/// Gives `promise` until `duration` has passed: settles as it does, or is rejected with kind
/// [`TimedOut`](crate::BrokenKind::TimedOut).
///
/// A value that is there at the deadline wins, and so does one that comes in the loop's turn of the deadline: the end of a timeout
/// waits for what that turn brings about. A settled promise passes even a timeout of zero. When the time is over, `promise` is
/// canceled if nobody else consumes it; keep a clone of it to have it go on. When it is settled in time, the timer is
/// removed. If the loop goes first, the timeout is rejected with kind [`LoopClosed`](crate::BrokenKind::LoopClosed). A future gets a
/// timeout by being spawned.
///
/// A thread-safe promise gets a timeout from a handle, `current().timeout(..)`, or comes here by `into_local`.
///
/// # Panics
///
/// If no event loop runs on this thread, or if `promise` has given its outcome already.
///
/// # Examples
///
/// ```
/// use deferral::{BrokenKind, EventLoop};
/// use std::time::Duration;
///
/// let event_loop = EventLoop::with_virtual_clock();
/// let answer = event_loop.run_until_complete(async {
///     let work = deferral::spawn(std::future::pending::<u32>());
///     deferral::timeout(Duration::from_secs(5), work).await
/// });
/// assert_eq!(answer.unwrap_err().kind(), BrokenKind::TimedOut);
/// ```
#[track_caller]
pub fn timeout<T, E, P>(duration: Duration, promise: local::Promise<T, E, P>) -> local::Promise<T, E>
where
    E: From<Broken>,
{
    let local = running("`timeout`");
    let origin = Location::caller();
    timeout::timeout(promise, || owed::sleep(&local, owed::timer(local.remote(), duration, true), origin), origin)
}
