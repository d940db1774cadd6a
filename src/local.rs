//! Promises for one thread, where neither callbacks nor values need be `Send`.
//!
//! When to take which:
//!
//! - Take [`deferral::Promise`](crate::Promise) when another thread settles, awaits, cancels or drops it. Its callbacks are `Send`.
//! - Take [`local::Promise`](Promise) when all of it stays on one thread (a GUI, the browser, an event loop) and callbacks capture
//!   an `Rc` or a widget. It pays for no lock and no atomic operation.
//! - What an event loop does for its own thread is local: [`EventLoop::spawn`](crate::EventLoop::spawn), [`spawn`](crate::spawn()),
//!   [`sleep`](crate::sleep()) and their kin.
//! - Another thread works for the loop: take a thread-safe pair, give the `Deferred` away, and bring the promise over by
//!   [`into_local`](crate::Promise::into_local).
//! - The loop works for another thread: give that one a [`Handle`](crate::Handle), whose promises are thread-safe.
//!
//! Both flavors are one type, so all methods are those of [`Deferred`](crate::Deferred) and [`Promise`](crate::Promise), and
//! [`when`](crate::when()) serves both. `wait` is for the thread-safe flavor alone: no other thread could settle while this one waits.
//!
//! # Examples
//!
//! One thread:
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
//!
//! # From one flavor to the other
//!
//! A thread works for the loop, and its reports and its outcome arrive in callbacks that capture an `Rc`:
//!
//! ```
//! use deferral::{Deferred, EventLoop, Progress};
//! use std::{cell::RefCell, rc::Rc, thread};
//!
//! let event_loop = EventLoop::new();
//! let label = Rc::new(RefCell::new(String::new()));
//! let (bar, text) = (label.clone(), label.clone());
//! event_loop.run_until_complete(async {
//!     let (deferred, promise) = Deferred::<u64>::new(); // thread-safe: the other thread gets the `Deferred`
//!     thread::spawn(move || {
//!         deferred.notify(Progress { done: 1, total: 2 });
//!         deferred.resolve(512)
//!     });
//!     promise
//!         .into_local() // from here on, callbacks run on this thread
//!         .progress(move |p| *bar.borrow_mut() = format!("{} of {}", p.done, p.total))
//!         .done(move |bytes| *text.borrow_mut() = format!("{bytes} bytes"))
//!         .await
//! }).unwrap();
//! assert_eq!(*label.borrow(), "512 bytes");
//! ```
//!
//! A thread has the loop do something, in the midst of what lives there. What it sends is `Send`, and finds the rest on the loop:
//!
//! ```
//! use deferral::EventLoop;
//! use std::{cell::RefCell, thread};
//!
//! thread_local! {
//!     static LINES: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) }; // or a `Weak` of the window
//! }
//!
//! let event_loop = EventLoop::new();
//! let handle = event_loop.handle();
//! let thread = thread::spawn(move || {
//!     let count = handle.call_soon(|| LINES.with_borrow_mut(|lines| {
//!         lines.push("from a thread".to_owned());
//!         lines.len()
//!     }));
//!     let count = count.wait().unwrap(); // the promise is thread-safe, so this thread may wait for it
//!     handle.stop();
//!     count
//! });
//! event_loop.run_forever();
//! assert_eq!(thread.join().unwrap(), 1);
//! assert_eq!(LINES.take(), ["from a thread"]);
//! ```
//!
//! Another thread waits for a local promise: it holds a thread-safe one, which is settled here.
//!
//! ```
//! use deferral::{Broken, Deferred, local};
//! use std::{rc::Rc, thread};
//!
//! let (opened, window) = local::Deferred::<Rc<str>>::new(); // not to be sent
//! let (deferred, title) = Deferred::<String>::new();
//! let thread = thread::spawn(move || title.wait().unwrap());
//! window.then(move |window| {
//!     deferred.resolve(window.to_string()); // a value that may be sent
//!     Ok::<_, Broken>(())
//! });
//! opened.resolve("untitled".into());
//! assert_eq!(thread.join().unwrap(), "untitled");
//! ```
//!
//! The example `tui` is a program made in this way.
//!
//! # What the compiler says
//!
//! | It says | Why, and what to do |
//! |---|---|
//! | `Rc<..> cannot be sent between threads safely`, at `done`, `then`, `progress` and the like | A callback of a thread-safe promise captures or makes it. Take `local`, or `into_local` first. |
//! | `the method then exists .. but its trait bounds were not satisfied: Rc<..>: Send` | A thread-safe promise of a value that is not `Send` can be observed, not continued. Take `local`. |
//! | ``a `deferral::local` promise or deferred cannot be sent between threads``, at `thread::spawn` and the like | A local end goes to another thread. Send one of a thread-safe pair. |
//! | `future cannot be sent between threads safely`, of type `Promise<.., Local>` | In a future for another thread, take `current().sleep(..)` for `sleep(..)`, and so on; or give it to [`EventLoop::spawn`](crate::EventLoop::spawn) or [`spawn`](crate::spawn()), which ask for no `Send`. |
//! | `.. is neither a Result nor a promise of the Local flavor` | Call `into_local` on the thread-safe promise that a continuation or `when` meets among local ones. |
//! | `expected Promise<..>, found Promise<.., Local>` | A function takes the thread-safe flavor: let it take the local one, or either ([`Flavor`](crate::flavor::Flavor) shows how). |
//! | `expected Promise<.., Local>, found Promise<..>`, as of [`timeout`](crate::timeout()) | Call `into_local`, or take the methods of [`current()`](crate::current()). |
//! | `no method named wait found for struct Promise<.., Local>` | No other thread could settle it meanwhile: await it, chain it, or give it to [`run_until_complete`](crate::EventLoop::run_until_complete). |

use crate::Progress;
use crate::broken::Broken;
use crate::core::Local;

/// The producer end for one thread: [`deferral::Deferred`](crate::Deferred), whose methods it has, of the local flavor.
///
/// It is neither `Send` nor `Sync`. For a producer on another thread see [the module](self#from-one-flavor-to-the-other).
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
/// It is neither `Send` nor `Sync`. For a consumer on another thread see [the module](self#from-one-flavor-to-the-other).
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
