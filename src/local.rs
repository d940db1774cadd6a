//! Promises for one thread, where neither callbacks nor values need be `Send`.
//!
//! When to take which:
//!
//! - Take [`deferral::Promise`](crate::Promise) when another thread settles, awaits or drops it. Its callbacks are `Send`.
//! - Take [`local::Promise`](Promise) when all of it stays on one thread (a GUI, the browser, an event loop) and callbacks capture
//!   an `Rc` or a widget. It pays for no lock and no atomic operation.
//! - The event loop's own work is local: [`EventLoop::spawn`](crate::EventLoop::spawn) and its kin return local promises.
//! - From a thread to the loop: make a thread-safe pair, send the `Deferred` over, and call
//!   [`into_local`](crate::Promise::into_local) on its promise.
//! - From any thread to the loop: a [`Handle`](crate::Handle) schedules there, and returns thread-safe promises to await anywhere.
//!
//! Both are one type with a flavor, so all methods are those of [`Deferred`](crate::Deferred) and [`Promise`](crate::Promise), and
//! [`when`](crate::when()) serves both. `wait` is for the thread-safe flavor alone: nobody else could settle while this thread waits.
//!
//! # Examples
//!
//! ```
//! use deferral::local::Deferred;
//! use std::{cell::Cell, rc::Rc};
//!
//! let clicks = Rc::new(Cell::new(0));
//! let (deferred, promise) = Deferred::<u32>::new();
//! let counter = clicks.clone();
//! promise.done(move |n| counter.set(counter.get() + n));
//! deferred.resolve(3);
//! assert_eq!(clicks.get(), 3);
//! ```

use crate::Progress;
use crate::broken::Broken;
use crate::core::Local;

/// The producer end for one thread: [`deferral::Deferred`](crate::Deferred), whose methods it has, of the local flavor.
///
/// # Examples
///
/// ```
/// use deferral::local::Deferred;
///
/// let (deferred, promise) = Deferred::<std::rc::Rc<str>>::new();
/// deferred.resolve("shared on this thread".into());
/// promise.done(|text| assert_eq!(text.len(), 21));
/// ```
pub type Deferred<T, E = Broken, P = Progress> = crate::Deferred<T, E, P, Local>;

/// The consumer end for one thread: [`deferral::Promise`](crate::Promise), whose methods it has, of the local flavor.
///
/// # Examples
///
/// ```
/// use deferral::local::Promise;
///
/// let promise = Promise::<std::rc::Rc<u32>>::resolved(4.into()).then(|n| Ok(*n + 1));
/// promise.done(|n| assert_eq!(*n, 5));
/// ```
pub type Promise<T, E = Broken, P = Progress> = crate::Promise<T, E, P, Local>;
