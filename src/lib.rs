//! jQuery's `Deferred` for Rust: a value that is not there yet, with two ends.
//!
//! A [`Deferred`] settles it, from any callback and any thread. A [`Promise`] observes it: with callbacks, by chaining, and with
//! `.await`, because it is a [`Future`]. [`when`](when()) aggregates many. A small [`EventLoop`] runs tasks, calls and timers; promises
//! work without it under any executor.
//!
//! # Callbacks
//!
//! ```
//! use deferral::Deferred;
//!
//! let (deferred, promise) = Deferred::<u32>::new();
//!
//! promise
//!     .progress(|p| println!("{} of {}", p.done, p.total))
//!     .done(|bytes| println!("{bytes} bytes"))
//!     .fail(|broken| println!("failed: {broken}"))
//!     .always(|_| println!("the spinner stops"));
//!
//! // Somewhere else, in a callback of some library: settling takes `&self`, and clones are producers of the same promise.
//! let on_error = deferred.clone();
//! let on_data = move |bytes| deferred.resolve(bytes);
//! on_data(512);
//! drop(on_error); // too late to matter
//! ```
//!
//! # Chaining
//!
//! ```
//! use deferral::{Deferred, Promise};
//!
//! let (deferred, text) = Deferred::<String>::new();
//! let number: Promise<i64, String> = text
//!     .map_err(|broken| broken.to_string())
//!     .then(|text| text.trim().parse::<i64>().map_err(|error| error.to_string())) // a `Result` ...
//!     .then(|n| Promise::resolved(n * 2)) // ... or another promise
//!     .catch(|_| Ok(0));
//! deferred.resolve(" 21 ".to_owned());
//! number.done(|n| assert_eq!(*n, 42));
//! ```
//!
//! # Awaiting
//!
//! ```
//! use deferral::{Broken, Promise, when};
//!
//! # fn fetch(n: u32) -> Promise<u32> { Promise::resolved(n) }
//! async fn sum() -> Result<u32, Broken> {
//!     let first = fetch(1).await?;
//!     let (second, third) = when((fetch(2), fetch(3))).await?;
//!     Ok(first + second + third)
//! }
//! # assert_eq!(futures::executor::block_on(sum()).unwrap(), 6);
//! ```
//!
//! # On a loop
//!
//! ```
//! use deferral::{BrokenKind, EventLoop, sleep, spawn, timeout};
//! use std::time::Duration;
//!
//! let event_loop = EventLoop::with_virtual_clock(); // `EventLoop::new()` outside of tests
//! event_loop.run_until_complete(async {
//!     let slow = spawn(async { sleep(Duration::from_secs(60)).await });
//!     let late = timeout(Duration::from_secs(1), slow).await.unwrap_err();
//!     assert_eq!(late.kind(), BrokenKind::TimedOut);
//! });
//! ```
//!
//! It runs by itself, or turn by turn inside the loop of a window system or a game: see [`EventLoop::turn`].
//!
//! # Sockets
//!
//! With the feature `io`, a loop that has nothing to do sleeps in the reactor of [async-io](https://docs.rs/async-io) 2, which is how
//! sockets, timers, processes and signals of the smol family (`async-io`, `async-net`, `async-process`, `async-signal`) wake its
//! tasks on its own thread. Nothing else changes, and without the feature none of it is compiled.
//!
#![cfg_attr(feature = "io", doc = "```")]
#![cfg_attr(not(feature = "io"), doc = "```ignore")]
//! use async_io::Async;
//! use deferral::{EventLoop, when};
//! use futures::{AsyncReadExt, AsyncWriteExt};
//! use std::io;
//! use std::net::{TcpListener, TcpStream};
//!
//! let event_loop = EventLoop::new();
//! let listener = Async::<TcpListener>::bind(([127, 0, 0, 1], 0))?;
//! let address = listener.get_ref().local_addr()?;
//!
//! let server = event_loop.spawn(async move {
//!     let (mut stream, _) = listener.accept().await?;
//!     stream.write_all(b"hello").await
//! });
//! let client = event_loop.spawn(async move {
//!     let mut text = String::new();
//!     Async::<TcpStream>::connect(address).await?.read_to_string(&mut text).await?;
//!     Ok::<_, io::Error>(text)
//! });
//! let (sent, text) = event_loop.run_until_complete(when((server, client))).unwrap();
//! sent?;
//! assert_eq!(text?, "hello");
//! # Ok::<_, io::Error>(())
//! ```
//!
//! What to know:
//!
//! - A loop that is busy looks for events after every few dozen turns, calls and polls, as well as when it has nothing left to do.
//! - async-io has one thread of its own, for programs that never poll its reactor. While a loop runs it naps, and it looks only if nobody
//!   has looked since its last nap: it may be the one to see an event while a turn takes long, or after a quiet time. Tasks are woken as by
//!   any other thread then.
//! - A host that makes [turns](EventLoop::turn) does not poll in between. There that thread does, and a socket that becomes ready is told by
//!   [`on_wake`](EventLoop::on_wake).
//! - A [virtual clock](EventLoop::with_virtual_clock) waits for no socket. Before time jumps the loop looks what is ready, and that is all:
//!   a timeout wins over a peer that takes any time to answer, and a future that waits for a socket alone is stuck.
//!
//! # Where to go from here
//!
//! - [Coming from](coming_from) jQuery, JavaScript, asyncio or Twisted: what is called how here, and what differs.
//! - [Recipes](recipes) for what users need in practice: retries, timeouts, mirrors, a search of which only the latest counts.
//! - [Testing](testing) code that uses promises: a clock that jumps, and a watch for errors that were lost.
//! - The programs in `examples`, each a real use.
//!
//! # What holds
//!
//! 1. **Settle once.** Of any number of settles and cancels, from any threads, exactly one wins and returns `true`.
//! 2. **Never a hang.** A promise whose last `Deferred` is dropped unsettled is rejected ([`BrokenKind::Abandoned`]); so is what a dropped loop
//!    owes ([`BrokenKind::LoopClosed`]). The error says where the promise was made.
//! 3. **Observers borrow, the last consumer owns.** `done`, `fail` and `always` see `&T` or `&E` first, then each consumer
//!    gets a clone, and the last the value itself: one consumer needs no `Clone`.
//! 4. **Inline and in order.** Observers run before `resolve` returns, in the order of registration; on a settled promise at once.
//!    Reports and the settle are seen in the order in which they were issued. [`Promise::via`] moves them to the turns of a loop instead.
//! 5. **Bounded stack.** Chains, hand-linked callbacks, recursion through `then`, and nested values may be a million deep.
//! 6. **Nothing foreign under a lock.** No callback, waker, clone or drop of yours runs while the library holds one.
//! 7. **No lost wake-up, no leak.** Any clone may be dropped at any time. Callbacks are dropped as soon as they have run or can no
//!    longer run; a dropped aggregate lets go of its inputs.
//! 8. **Dropping is not canceling.** A dropped promise is detached. `cancel()` is one more attempt to settle, and goes up a chain to
//!    each source that has no other consumer.
//! 9. **Panics stay where they belong.** A continuation, task or call that panics rejects its promise; an observer's panic comes out of
//!    the call that settled, after all others were served, and never out of a drop.
//! 10. **Errors do not vanish.** A rejection that nobody looked at is reported when its last handle goes, and a panic that has no caller
//!     to resume in: a line on standard error in debug builds, or whatever [`set_unhandled_hook`] says. See [`unhandled`].
//! 11. **Loop order.** Calls run first in, first out; timers by deadline, ties in the order of their making; nothing starves.
//! 12. **Any executor.** Only timers, `spawn`, `via` and `into_local` need the loop.
//! 13. **Happens-before.** Everything before `resolve` is visible to every observer and consumer.
//!
//! The methods say the details.
//!
//! # Two flavors
//!
//! The types of this page are thread-safe, those of [`local`] are for one thread, and their methods are the same. When to take which:
//!
//! - Take [`Promise`] when another thread settles, awaits, cancels or drops it. Its callbacks are `Send`.
//! - Take [`local::Promise`] when all of it stays on one thread (a GUI, the browser, an event loop) and callbacks capture an `Rc` or a
//!   widget. It pays for no lock and no atomic operation.
//! - What an event loop does for its own thread is local: [`EventLoop::spawn`], [`spawn`], [`sleep`] and their kin.
//! - Another thread works for the loop: take a thread-safe pair, give the `Deferred` away, and bring the promise over by
//!   [`into_local`](Promise::into_local).
//! - The loop works for another thread: give that one a [`Handle`], whose promises are thread-safe.
//!
//! The page of [`local`] shows each way from one flavor to the other, and what the compiler says about a mix-up.

// In the order in which the page of `Promise` tells its story: make, observe, chain, look, cancel, cross threads.
mod pair;

mod promise;

mod chain;

mod look;

mod bridge;

mod awaited;
mod broken;
#[cfg(doctest)]
mod claims;
#[cfg(any(doc, doctest))]
pub mod coming_from;
mod core;
mod deferred;
mod diagnostics;
mod event_loop;
mod list;
pub mod local;
mod panics;
mod progress;
#[cfg(any(doc, doctest))]
pub mod recipes;
mod state;
pub mod testing;
mod trace;
pub mod unhandled;
pub mod when;

/// The flavors of a promise, for generic code.
///
/// [`Deferred`] and [`Promise`] are one type each, with the flavor as their last parameter: [`Threaded`](flavor::Threaded) by
/// default, [`Local`](flavor::Local) in [`local`]. Code that names one of the two never needs this module.
pub mod flavor {
    pub use crate::core::{Accepts, Flavor, Local, Threaded};
}

/// What an event loop is doing: the parts of a [`Dump`].
pub mod dump {
    pub use crate::bridge::{Dump, Entry, Owner, Status};
}

pub use bridge::{Dump, EventLoop, Handle, Turn, current, sleep, spawn, timeout};
pub use broken::{Broken, BrokenKind};
pub use chain::IntoPromise;
pub use deferred::Deferred;
pub use progress::Progress;
pub use promise::Promise;
pub use state::State;
pub use unhandled::set_unhandled_hook;
#[doc(inline)]
pub use when::when;

/// Compiles the examples of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
