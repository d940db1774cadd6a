//! Recipes: one for each need that comes up in practice.
//!
//! Each is complete, and runs as a test of this crate. Where time matters it runs on the virtual clock
//! ([`EventLoop::with_virtual_clock`]), and with [`EventLoop::new`] in the same way. What is shown for one flavor of promises goes for
//! the other.
//!
//! - [From callback to promise](#from-callback-to-promise)
//! - [From promise to callback](#from-promise-to-callback)
//! - [Many waiters of one request](#many-waiters-of-one-request)
//! - [The first of several mirrors](#the-first-of-several-mirrors)
//! - [Retry with backoff](#retry-with-backoff)
//! - [Timeouts](#timeouts)
//! - [Progress to a UI](#progress-to-a-ui)
//! - [Bounded concurrency](#bounded-concurrency)
//! - [Only the latest wins](#only-the-latest-wins)
//! - [Results in order of completion](#results-in-order-of-completion)
//! - [An error that is not `Clone`](#an-error-that-is-not-clone)
//!
//! # From callback to promise
//!
//! Make a promise, and give its [`Deferred`] to the callback. Where a library asks for one callback for success and one for failure, each
//! owns a clone. Neither has to be called: if the library drops both, the promise is rejected as abandoned.
//!
//! ```
//! use deferral::Promise;
//! use std::{fs, io, thread};
//!
//! /// Some library's function, which calls back on a thread of its own.
//! fn read(path: &'static str, done: impl FnOnce(String) + Send + 'static, failed: impl FnOnce(io::Error) + Send + 'static) {
//!     thread::spawn(move || match fs::read_to_string(path) {
//!         Ok(text) => done(text),
//!         Err(error) => failed(error),
//!     });
//! }
//!
//! fn text(path: &'static str) -> Promise<String, io::Error> {
//!     Promise::new(|deferred| {
//!         let other = deferred.clone();
//!         read(path, move |text| _ = deferred.resolve(text), move |error| _ = other.reject(error));
//!     })
//! }
//!
//! assert!(text("Cargo.toml").wait().unwrap().starts_with("[package]"));
//! assert_eq!(text("no such file").wait().unwrap_err().kind(), io::ErrorKind::NotFound);
//! ```
//!
//! A callback that is called many times, and of which the first call counts, needs nothing more: later settles return `false`. Where
//! only the latest call counts, it is a report: [`notify`](Deferred::notify). Where each one counts, it is a stream, and wants a channel
//! (`futures::channel::mpsc`, `async-channel`). The example `callback_api` has three real libraries call back, one of them in C.
//!
//! # From promise to callback
//!
//! [`always`](Promise::always) shows the outcome by reference, on the thread that settles; [`via`](Promise::via) and
//! [`into_local`](Promise::into_local) bring it to a loop first. To give the value away, consume it by [`then`](Promise::then).
//!
//! ```
//! use deferral::Promise;
//! use std::io;
//! # use std::sync::mpsc;
//! # fn fetch(_: &str) -> Promise<String, io::Error> { Promise::resolved("<html>".to_owned()) }
//!
//! /// For those who pass one callback, in the manner of node.
//! fn fetch_by(url: &str, callback: impl FnOnce(Option<&io::Error>, Option<&str>) + Send + 'static) {
//!     fetch(url).always(|outcome| callback(outcome.as_ref().err(), outcome.as_deref().ok()));
//! }
//!
//! /// For those who pass two, and want to own the page.
//! fn fetch_to(url: &str, done: impl FnOnce(String) + Send + 'static, failed: impl FnOnce(&io::Error) + Send + 'static) {
//!     fetch(url).then(|page| Ok(done(page))).fail(failed);
//! }
//!
//! fetch_by("http://localhost/", |error, page| assert_eq!((error.is_none(), page), (true, Some("<html>"))));
//! # let (sender, pages) = mpsc::channel();
//! fetch_to("http://localhost/", move |page| sender.send(page).unwrap(), |error| eprintln!("{error}"));
//! assert_eq!(pages.recv().unwrap(), "<html>");
//! ```
//!
//! # Many waiters of one request
//!
//! A promise can be cloned where its value and its error can, so that whoever asks while a request is under way gets a clone of its
//! promise ("single flight"). Each waiter gets a clone of the value; wrap a big one in an [`Arc`](std::sync::Arc).
//!
//! ```
//! use deferral::{Deferred, Promise};
//! use std::collections::HashMap;
//! use std::sync::{Arc, Mutex};
//!
//! # type Request = (String, Deferred<Arc<str>>);
//! # static REQUESTS: Mutex<Vec<Request>> = Mutex::new(Vec::new());
//! # fn fetch(url: &str) -> Promise<Arc<str>> {
//! #     Promise::new(|deferred| REQUESTS.lock().unwrap().push((url.to_owned(), deferred)))
//! # }
//! #[derive(Clone, Default)]
//! struct Flights(Arc<Mutex<HashMap<String, Promise<Arc<str>>>>>);
//!
//! impl Flights {
//!     fn get(&self, url: &str) -> Promise<Arc<str>> {
//!         let mut flights = self.0.lock().unwrap();
//!         if let Some(promise) = flights.get(url) {
//!             // Through a `then` of its own, so that a waiter can cancel for itself alone.
//!             return promise.clone().then(Ok);
//!         }
//!         let (deferred, promise) = Deferred::new();
//!         flights.insert(url.to_owned(), promise.clone());
//!         drop(flights); // nothing that may call back runs under a lock
//!         fetch(url).forward(deferred);
//!         let (this, url) = (self.clone(), url.to_owned());
//!         promise.always(move |_| _ = this.0.lock().unwrap().remove(&url)).then(Ok)
//!     }
//! }
//!
//! let flights = Flights::default();
//! let [first, second, third] = [(); 3].map(|()| flights.get("http://localhost/"));
//! assert!(second.cancel()); // the other two wait on
//!
//! let (_, request) = REQUESTS.lock().unwrap().pop().unwrap();
//! assert!(request.resolve("<html>".into()));
//! assert!(REQUESTS.lock().unwrap().is_empty(), "there was one request");
//! assert_eq!((&*first.wait().unwrap(), &*third.wait().unwrap()), ("<html>", "<html>"));
//! assert!(flights.0.lock().unwrap().is_empty());
//! ```
//!
//! Without the `remove` it is a cache.
//!
//! # The first of several mirrors
//!
//! [`when::any`](crate::when::any()) resolves with the first value, cancels the others, and if there is no value rejects with every
//! error. Here each mirror gets a start of 300 ms over the next, so that as a rule there is one request. (When a mirror fails, the
//! next does not start any sooner: that takes a loop in a task, as for a retry.)
//!
//! ```
//! use deferral::{Broken, EventLoop, current, local, sleep, when};
//! use std::time::Duration;
//!
//! # let event_loop = EventLoop::with_virtual_clock();
//! # const MS: Duration = Duration::from_millis(1);
//! # fn fetch(mirror: &'static str) -> local::Promise<&'static str> {
//! #     let delay = if mirror == "slow" { 2000 } else { 100 };
//! #     sleep(MS * delay).then(move |()| Ok(mirror))
//! # }
//! fn fetch_from(mirrors: &[&'static str]) -> local::Promise<&'static str, Vec<Broken>> {
//!     let starts = (0..).map(|n| Duration::from_millis(300) * n);
//!     when::any(mirrors.iter().zip(starts).map(|(&mirror, start)| sleep(start).then(move |()| fetch(mirror))))
//! }
//!
//! event_loop.run_until_complete(async {
//!     let began = current().now();
//!     assert_eq!(fetch_from(&["slow", "near", "far"]).await.unwrap(), "near");
//!     assert_eq!(current().now() - began, Duration::from_millis(300 + 100)); // "far" was never asked
//! });
//! ```
//!
//! # Retry with backoff
//!
//! A loop in an `async` function. On the virtual clock its pauses take no time, so a test can go through all of them.
//!
//! ```
//! use deferral::{EventLoop, Promise, current, sleep};
//! use std::{io, time::Duration};
//!
//! # let mut calls = 0;
//! # let mut fetch = || {
//! #     calls += 1;
//! #     Promise::<u32, io::Error>::from(if calls < 4 { Err(io::ErrorKind::ConnectionRefused.into()) } else { Ok(calls) })
//! # };
//! /// Tries up to `tries` times, with pauses of a tenth of a second, two tenths, four ...
//! async fn retry<T: 'static>(tries: u32, mut f: impl FnMut() -> Promise<T, io::Error>) -> io::Result<T> {
//!     let mut pause = Duration::from_millis(100);
//!     for _ in 1..tries {
//!         match f().await {
//!             Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => sleep(pause).await?,
//!             outcome => return outcome,
//!         }
//!         pause *= 2; // and a random part, where many clients may retry in step
//!     }
//!     f().await
//! }
//!
//! EventLoop::with_virtual_clock().run_until_complete(async {
//!     let began = current().now();
//!     assert_eq!(retry(5, &mut fetch).await.unwrap(), 4);
//!     assert_eq!(current().now() - began, Duration::from_millis(100 + 200 + 400));
//! });
//! ```
//!
//! # Timeouts
//!
//! [`timeout`](crate::timeout()) rejects a promise that takes too long with kind [`TimedOut`](crate::BrokenKind::TimedOut), and
//! cancels it if nobody else consumes it: the future of a task is dropped, and a producer hears of it by
//! [`on_cancel`](Deferred::on_cancel). One deadline for several steps is a timeout of a task that takes them.
//!
//! ```
//! use deferral::{BrokenKind, Deferred, EventLoop, current, sleep, spawn, timeout};
//! use std::{io, time::Duration};
//!
//! const SECOND: Duration = Duration::from_secs(1);
//!
//! EventLoop::with_virtual_clock().run_until_complete(async {
//!     let steps = spawn(async {
//!         sleep(2 * SECOND).await?;
//!         sleep(2 * SECOND).await
//!     });
//!     assert_eq!(timeout(3 * SECOND, steps).await.unwrap_err().kind(), BrokenKind::TimedOut);
//!
//!     // A thread-safe promise, by the handle of the loop; an error of its own type.
//!     let (request, answer) = Deferred::<u32, io::Error>::new();
//!     request.on_cancel(|| println!("hanging up"));
//!     let late = current().timeout(SECOND, answer).await.unwrap_err();
//!     assert_eq!(late.kind(), io::ErrorKind::TimedOut);
//!     assert!(!request.resolve(1), "it was canceled");
//! });
//! ```
//!
//! # Progress to a UI
//!
//! A thread works and reports, in a type of your own. [`into_local`](Promise::into_local) brings reports and outcome to the
//! thread of the window, in order, into callbacks that capture its widgets. To draw only the latest of many reports, keep it in a
//! `Cell`, and draw once per frame.
//!
//! ```
//! use deferral::{Broken, Deferred, EventLoop, Promise};
//! use std::{cell::RefCell, rc::Rc, thread};
//!
//! #[derive(Clone)]
//! enum Stage { Open, Read { bytes: usize } }
//!
//! fn count_lines() -> Promise<usize, Broken, Stage> {
//!     let (deferred, promise) = Deferred::with_progress();
//!     thread::spawn(move || {
//!         deferred.notify(Stage::Open);
//!         let text = std::fs::read_to_string("Cargo.toml").unwrap(); // a panic would reject the promise as abandoned
//!         deferred.notify(Stage::Read { bytes: text.len() });
//!         deferred.resolve(text.lines().count())
//!     });
//!     promise
//! }
//!
//! let label = Rc::new(RefCell::new(String::new())); // a widget
//! let (stage, end) = (label.clone(), label.clone());
//! let event_loop = EventLoop::new(); // turn by turn in the loop of the window system: see `EventLoop::turn`
//! event_loop.run_until_complete(async {
//!     count_lines()
//!         .into_local()
//!         .progress(move |now| *stage.borrow_mut() = match now {
//!             Stage::Open => "opening".to_owned(),
//!             Stage::Read { bytes } => format!("{bytes} bytes"),
//!         })
//!         .done(move |lines| *end.borrow_mut() += &format!(", {lines} lines"))
//!         .await
//! }).unwrap();
//! assert!(label.borrow().contains(" bytes, "));
//! ```
//!
//! # Bounded concurrency
//!
//! [`when::map`](crate::when::map()) calls a function for one item after the other, with so many promises in flight at most, and
//! gathers the values in the order of the items. It reports how many are done, and stops at the first error.
//!
//! ```
//! use deferral::{EventLoop, current, sleep, when};
//! use std::time::Duration;
//!
//! EventLoop::with_virtual_clock().run_until_complete(async {
//!     let began = current().now();
//!     let squares = when::map(1..=10_u32, 4, |n| sleep(Duration::from_secs(1)).then(move |()| Ok(n * n)));
//!     let squares = squares.progress(|p| println!("{} of {}", p.done, p.total)).await.unwrap();
//!     assert_eq!(squares.iter().sum::<u32>(), 385);
//!     assert_eq!(current().now() - began, Duration::from_secs(3)); // 4 and 4 and 2
//! });
//! ```
//!
//! Tasks that come from all over a program share an `async_lock::Semaphore` instead: see the example `siblings`.
//!
//! # Only the latest wins
//!
//! A search at each key stroke: the answer to an older one must not overwrite that to the newer. Keep the promise, and cancel it when the
//! next comes. Its `done` will not run, and [`on_cancel`](Deferred::on_cancel) stops the work. The pause at the start is for those who
//! type fast: a canceled timer is removed.
//!
//! ```
//! use deferral::{EventLoop, local, sleep};
//! use std::{cell::RefCell, rc::Rc, time::Duration};
//!
//! # fn query(text: &str) -> local::Promise<String> {
//! #     let text = text.to_owned();
//! #     sleep(Duration::from_millis(if text == "de" { 5000 } else { 50 })).then(move |()| Ok(format!("results for {text}")))
//! # }
//! #[derive(Default)]
//! struct Search {
//!     latest: RefCell<Option<local::Promise<String>>>,
//!     shown: Rc<RefCell<Vec<String>>>,
//! }
//!
//! impl Search {
//!     fn on_input(&self, text: &'static str) {
//!         let shown = self.shown.clone();
//!         let answer = sleep(Duration::from_millis(200))
//!             .then(move |()| query(text))
//!             .done(move |answer| shown.borrow_mut().push(answer.clone()));
//!         let stale = self.latest.replace(Some(answer));
//!         if let Some(stale) = stale {
//!             stale.cancel();
//!         }
//!     }
//! }
//!
//! EventLoop::with_virtual_clock().run_until_complete(async {
//!     let search = Search::default();
//!     search.on_input("d");
//!     search.on_input("de"); // "d" is never asked
//!     sleep(Duration::from_secs(1)).await.unwrap();
//!     search.on_input("def"); // and the answer to "de" comes too late
//!     sleep(Duration::from_secs(60)).await.unwrap();
//!     assert_eq!(*search.shown.borrow(), ["results for def"]);
//! });
//! ```
//!
//! # Results in order of completion
//!
//! A promise is a future, so the collections of `futures` take it: `FuturesUnordered` gives each outcome as it comes, and looks only at
//! promises that were woken.
//!
//! ```
//! use deferral::{EventLoop, sleep};
//! use futures::stream::{FuturesUnordered, StreamExt};
//! use std::time::Duration;
//!
//! EventLoop::with_virtual_clock().run_until_complete(async {
//!     let mut naps: FuturesUnordered<_> =
//!         [3, 1, 2].map(|n| sleep(Duration::from_secs(n)).then(move |()| Ok(n))).into_iter().collect();
//!     let mut order = Vec::new();
//!     while let Some(outcome) = naps.next().await {
//!         order.push(outcome.unwrap());
//!     }
//!     assert_eq!(order, [1, 2, 3]);
//! });
//! ```
//!
//! Whoever needs no task for it registers a `done` on each, which sees them in the order in which they settle.
//!
//! # An error that is not `Clone`
//!
//! Many consumers of one promise get a clone of the outcome each. An error that cannot be cloned, as [`std::io::Error`], is shared:
//! [`map_err`](Promise::map_err) puts it into an [`Arc`](std::sync::Arc).
//!
//! ```
//! use deferral::Promise;
//! use std::error::Error;
//! use std::{io, sync::Arc};
//!
//! # fn open() -> Promise<u32, io::Error> { Promise::rejected(io::ErrorKind::NotFound.into()) }
//! let promise: Promise<u32, Arc<io::Error>> = open().map_err(Arc::new);
//! let (first, second) = (promise.clone(), promise);
//! assert_eq!(first.wait().unwrap_err().kind(), io::ErrorKind::NotFound);
//! assert_eq!(second.wait().unwrap_err().kind(), io::ErrorKind::NotFound);
//!
//! // Errors of several types, as one that can be cloned.
//! type Shared = Arc<dyn Error + Send + Sync>;
//! let promise: Promise<u32, Shared> = open().map_err(|error| Arc::new(error) as Shared);
//! promise.fail(|error| println!("{error}"));
//! ```
//!
//! An error type of your own needs a newtype for it, as every error type of a promise says how it tells of a [`Broken`]:
//!
//! ```
//! use deferral::{Broken, Promise};
//! use std::sync::Arc;
//!
//! #[derive(Debug)]
//! enum Error { Refused(std::io::Error), Broken(Broken) }
//!
//! #[derive(Clone, Debug)]
//! struct Shared(Arc<Error>);
//!
//! impl From<Broken> for Error {
//!     fn from(broken: Broken) -> Self { Error::Broken(broken) }
//! }
//!
//! impl From<Broken> for Shared {
//!     fn from(broken: Broken) -> Self { Shared(Arc::new(broken.into())) }
//! }
//!
//! let promise = Promise::<u32, Error>::rejected(Error::Refused(std::io::ErrorKind::ConnectionRefused.into()));
//! let promise = promise.map_err(|error| Shared(Arc::new(error)));
//! assert!(matches!(*promise.clone().wait().unwrap_err().0, Error::Refused(_)));
//! ```
//!
//! Observers see the error by reference and need no `Clone`; neither does a single consumer.

#[allow(unused_imports)] // for the links
use crate::{Broken, Deferred, EventLoop, Promise};
