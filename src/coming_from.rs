//! Coming from jQuery, JavaScript, asyncio or Twisted: what is called how here, and what differs.
//!
//! - [jQuery](#jquery)
//! - [JavaScript's `Promise`](#javascripts-promise)
//! - [asyncio](#asyncio)
//! - [Twisted](#twisted)
//!
//! Three things are the same wherever you come from. A value that is not there yet has two ends, a [`Deferred`] that settles and a
//! [`Promise`] that observes. An error has a type, and each error type says how it tells of a [`Broken`]: why the library, and not you,
//! rejected. And ownership is told from looking: `done`, `fail` and `always` see a reference, `then`, `catch` and `.await` get the value.
//!
//! In the tables `event_loop` is an [`EventLoop`], `handle` a [`Handle`] of one, and functions without an owner are those of this crate. The
//! examples `from_jquery`, `from_asyncio` and `from_twisted` are whole programs beside their originals, and the
//! [recipes](crate::recipes) show what takes more than a line.
//!
//! # jQuery
//!
//! | jQuery | here |
//! |---|---|
//! | `d = $.Deferred(); p = d.promise()` | `let (d, p) = Deferred::<T, E>::new()` |
//! | `$.Deferred(function (d) { .. }).promise()` | `Promise::new(\|d\| ..)` |
//! | `d.resolve(v)`, `d.reject(e)`, `d.notify(n)` | the same; each returns whether it was in time |
//! | `d.resolve(a, b)`, `d.resolveWith(context, [a])` | `d.resolve((a, b))`; callbacks capture their context |
//! | `p.done(f)`, `.fail(f)`, `.always(f)`, `.progress(f)` | the same; `always` gets a `&Result<T, E>` |
//! | `p.done([f, g])` | `p.done(f).done(g)` |
//! | `p.then(function (v) { return w; })` | `p.then(\|v\| Ok(w))` |
//! | `p.then(function (v) { return q; })`, with a promise `q` | `p.then(\|v\| q)` |
//! | `p.then(f, g)` | `match p.await { Ok(v) => .., Err(e) => .. }` |
//! | `p.catch(g)` | `p.catch(g)`; to change the error alone, `p.map_err(g)` |
//! | `p.state()` | `p.state()`: `State::Pending`, `Resolved`, `Rejected` |
//! | `$.when(a, b)`, `$.when.apply($, list)` | `when((a, b))`, `when(list)` |
//! | `xhr.abort()` | `p.cancel()`; the producer hears of it by `d.on_cancel(f)` |
//! | `$.ajax({ timeout: 5000 })` | `handle.timeout(Duration::from_secs(5), p)` |
//! | `setTimeout(f, 5000)` | `event_loop.call_later(Duration::from_secs(5), f)` |
//! | `jQuery.Deferred.exceptionHook` | [`set_unhandled_hook`](crate::set_unhandled_hook), for any error that nobody looked at |
//!
//! What differs:
//!
//! - `then` and `catch` run inline, as `done` does, in the moment of the settle: as in jQuery before 3, and with what 3 brought, that a
//!   panic becomes a rejection. To have callbacks run later, and on one thread, there is [`via`](Promise::via).
//! - `then` gives a value of another type, `catch` recovers the same type; there is no `then` of both.
//! - `when` has the same shape for one promise as for many, and its progress counts: `p.done` of `p.total`. When one fails, the others are
//!   canceled, unless somebody else waits for them, too.
//! - Progress does not pass through `then`.
//! - A deferred that is forgotten does not leave its promise pending for ever: the promise is rejected as
//!   [`Abandoned`](crate::BrokenKind::Abandoned).
//!
//! ```
//! use deferral::{Promise, when};
//!
//! fn get(url: &str) -> Promise<String, String> {
//!     if url == "/user" { Promise::resolved("Ada".to_owned()) } else { Promise::rejected(format!("404 {url}")) }
//! }
//!
//! // $.when(get("/user"), get("/plan").catch(function () { return "free"; })).done(function (user, plan) { .. })
//! when((get("/user"), get("/plan").catch(|_| Ok("free".to_owned()))))
//!     .done(|(user, plan)| assert_eq!((&user[..], &plan[..]), ("Ada", "free")))
//!     .fail(|error| println!("sorry: {error}"))
//!     .always(|_| println!("the spinner stops"));
//! ```
//!
//! # JavaScript's `Promise`
//!
//! | JavaScript | here |
//! |---|---|
//! | `Promise.withResolvers()` | `Deferred::<T, E>::new()` |
//! | `new Promise((resolve, reject) => ..)` | `Promise::new(\|d\| ..)`, with `d.resolve(v)` and `d.reject(e)` |
//! | `Promise.resolve(v)`, `Promise.reject(e)` | `Promise::resolved(v)`, `Promise::rejected(e)` |
//! | `p.then(f)`, `p.catch(g)` | the same; `f` and `g` return a `Result` or a promise |
//! | `p.finally(f)` | `p.always(f)`, which gets to see the outcome |
//! | `await p` | `p.await?` |
//! | `async () => ..`, called | `spawn(async { .. })`; inside of another `async`, simply `.await` |
//! | `resolve(q)`, with a promise `q` | `q.forward(d)` |
//! | `Promise.all(list)` | `when(list)` |
//! | `Promise.any`, `race`, `allSettled` | [`when::any`](crate::when::any()), [`race`](crate::when::race()), [`settled`](crate::when::settled()) |
//! | `Promise.race([])`, pending for ever | rejected with kind [`Empty`](crate::BrokenKind::Empty) |
//! | `AbortController` and its signal | `p.cancel()`, `d.on_cancel(f)` |
//! | `AbortSignal.timeout(ms)` | [`timeout`](crate::timeout()) |
//! | `setTimeout(f, ms)`, `setTimeout` of `node:timers/promises` | `event_loop.call_later(duration, f)`, [`sleep`](crate::sleep()) |
//! | `setImmediate(f)` | `event_loop.call_soon(f)` |
//! | `unhandledRejection` | [`set_unhandled_hook`](crate::set_unhandled_hook); by default a line on standard error in debug builds |
//!
//! What differs: callbacks do not wait for a microtask, so by the time `resolve` returns they have run (and on a settled promise, by the time
//! `then` returns). A second `await` of one promise needs a clone. What lost a race is canceled, where in JavaScript it goes on.
//!
//! # asyncio
//!
//! | asyncio | here |
//! |---|---|
//! | `asyncio.run(main())` | `EventLoop::new().run_until_complete(main())` |
//! | `asyncio.get_running_loop()` | [`current()`](crate::current()) |
//! | `fut = loop.create_future()` | `let (d, p) = local::Deferred::<T>::new()` |
//! | `fut.set_result(v)`, `fut.set_exception(e)` | `d.resolve(v)`, `d.reject(e)`; the second gets `false` instead of an `InvalidStateError` |
//! | `fut.add_done_callback(f)` | `p.always(f)`, which runs in the moment of the settle; in a turn of the loop, if `p` is thread-safe, `p.via(&handle).always(f)` |
//! | `asyncio.create_task(coro)` | [`spawn(future)`](crate::spawn()) |
//! | `task.cancel()`, `CancelledError` | `p.cancel()`, [`BrokenKind::Canceled`](crate::BrokenKind::Canceled) |
//! | `asyncio.gather(*aws)`, `TaskGroup` | `when(promises)`: the first error cancels the rest, as in a `TaskGroup` |
//! | `gather(.., return_exceptions=True)` | [`when::settled`](crate::when::settled()) |
//! | `asyncio.wait(.., return_when=FIRST_COMPLETED)` | [`when::race`](crate::when::race()), which cancels the others; with a clone of each, they go on |
//! | `asyncio.as_completed(aws)` | `FuturesUnordered`, of the crate `futures` |
//! | `asyncio.wait_for(aw, 5)` | [`timeout(Duration::from_secs(5), p)`](crate::timeout()) |
//! | `asyncio.shield(aw)` | a clone that is kept: a cancel goes up to no source that has another consumer |
//! | `asyncio.sleep(5)` | [`sleep(Duration::from_secs(5))`](crate::sleep()) |
//! | `loop.call_soon`, `call_later`, `call_at`, `time()` | `event_loop.call_soon`, `call_later`, `call_at`, `handle.now()` |
//! | `loop.call_soon_threadsafe(f)` | `handle.call_soon(f)` |
//! | `asyncio.run_coroutine_threadsafe(coro, loop).result()` | `handle.spawn(future).wait()` |
//! | `asyncio.to_thread(f)`, `loop.run_in_executor(..)` | `Promise::new(\|d\| _ = thread::spawn(move \|\| d.resolve(f())))`, awaited |
//! | `loop.run_forever()`, `loop.stop()` | `event_loop.run_forever()`, `handle.stop()` |
//! | `Lock`, `Semaphore`, `Event`, `Queue` | those of `async-lock`, `event-listener` and `async-channel` run on the loop as they are |
//! | `Semaphore(4)` around the items of a `gather` | [`when::map(items, 4, f)`](crate::when::map()) |
//! | `loop.slow_callback_duration` | [`warn_slower_than`](EventLoop::warn_slower_than) |
//! | `asyncio.all_tasks()`, `task.print_stack()` | [`event_loop.dump()`](EventLoop::dump): who waits for whom |
//! | "exception was never retrieved", `loop.set_exception_handler` | a line on standard error in debug builds, [`set_unhandled_hook`](crate::set_unhandled_hook) |
//!
//! What differs:
//!
//! - Every call and timer is a promise, too: there are no separate handles. `spawn(async { .. })` of a `Result` is a promise of a `Result`,
//!   and [`flatten`](Promise::flatten) makes one of it.
//! - A cancel cannot be caught or refused: the task's future is dropped, so destructors do what `finally` did.
//! - A task is kept by its loop, whether anybody holds its promise or not.
//! - A loop whose clock is virtual ([`EventLoop::with_virtual_clock`]) makes tests of timers immediate, and panics where a program hangs.
//!
//! ```
//! use deferral::{Broken, EventLoop, sleep, spawn, when};
//! use std::time::Duration;
//!
//! async fn brew(what: &'static str, seconds: u64) -> Result<&'static str, Broken> {
//!     sleep(Duration::from_secs(seconds)).await?; // await asyncio.sleep(seconds)
//!     Ok(what)
//! }
//!
//! let event_loop = EventLoop::with_virtual_clock(); // or `EventLoop::new()`
//! let cups = event_loop.run_until_complete(async {
//!     // await asyncio.gather(brew("tea", 3), brew("coffee", 2))
//!     when([spawn(brew("tea", 3)).flatten(), spawn(brew("coffee", 2)).flatten()]).await
//! });
//! assert_eq!(cups.unwrap(), ["tea", "coffee"]);
//! ```
//!
//! # Twisted
//!
//! | Twisted | here |
//! |---|---|
//! | `d = Deferred()`, returned to the caller | `let (d, p) = Deferred::<T, E>::new()`, of which `p` is returned |
//! | `d.callback(v)`, `d.errback(e)` | `d.resolve(v)`, `d.reject(e)`; the second gets `false` instead of an `AlreadyCalledError` |
//! | `d.addCallback(f)`, `d.addErrback(g)` | `p.then(f)`, `p.catch(g)`, each of which makes a new promise |
//! | `d.addCallback(f)`, of an `f` that returns its argument | `p.done(f)`, which shows a reference |
//! | `d.addBoth(f)` | `p.always(f)` to look, `match p.await` to go on |
//! | `d.addCallbacks(f, g)` | `match p.await { Ok(v) => .., Err(e) => .. }` |
//! | `succeed(v)`, `fail(e)` | `Promise::resolved(v)`, `Promise::rejected(e)` |
//! | `maybeDeferred(f)` | a function that takes an [`IntoPromise`](crate::IntoPromise): a `Result` or a promise |
//! | `d.chainDeferred(e)` | `p.forward(e)` |
//! | `inlineCallbacks` and `yield` | `async` and `.await` |
//! | `gatherResults(list)` | `when(list)` |
//! | `DeferredList(list)` | [`when::settled(list)`](crate::when::settled()) |
//! | `DeferredList(list, fireOnOneCallback=True)` | [`when::any(list)`](crate::when::any()) |
//! | `Deferred(canceller)`, `d.cancel()` | `d.on_cancel(f)`, `p.cancel()` |
//! | `d.addTimeout(5, reactor)` | `handle.timeout(Duration::from_secs(5), p)` |
//! | `reactor.callLater`, `task.deferLater` | `event_loop.call_later`, which is a promise of what the call returns |
//! | `LoopingCall(f).start(1)` | a task with a loop and a [`sleep`](crate::sleep()) |
//! | `reactor.run()`, `reactor.stop()` | `event_loop.run_forever()`, `handle.stop()` |
//! | `reactor.callFromThread(f)` | `handle.call_soon(f)` |
//! | `blockingCallFromThread(reactor, f)` | `handle.call_soon(f).wait()` |
//! | `deferToThread(f)` | `Promise::new(\|d\| _ = thread::spawn(move \|\| d.resolve(f())))` |
//! | `DeferredSemaphore(4).run`, `Cooperator` | [`when::map(items, 4, f)`](crate::when::map()) |
//! | `DeferredLock`, `DeferredQueue` | those of `async-lock` and `async-channel` run on the loop as they are |
//! | `task.Clock`, and `trial`, which fails a test that lost an error | [`EventLoop::with_virtual_clock`], [`testing`](crate::testing) |
//! | "Unhandled error in Deferred" | a line on standard error in debug builds, [`set_unhandled_hook`](crate::set_unhandled_hook) |
//! | `defer.setDebugging(True)` | always on, as far as [`Broken::origin`] goes: it says where the promise was made |
//!
//! What differs: in Twisted a deferred is a chain that its callbacks change, and whoever adds one sees what the last one made. Here `then`
//! makes a new promise, and the old one stays as it was for its observers. And since the two ends are two types, the one who waits cannot
//! settle it by mistake.
//!
//! ```
//! use deferral::{Deferred, Promise};
//!
//! let (d, p) = Deferred::<String, String>::new();
//! let port = p
//!     .then(|text| text.parse::<u16>().map_err(|error| error.to_string())) // d.addCallback(int)
//!     .done(|port| println!("listening on {port}")) //                        d.addCallback(tell)
//!     .catch(|error| if error == "default" { Ok(80) } else { Err(error) }); // d.addErrback(use_default)
//! d.reject("default".to_owned()); //                                          d.errback(..)
//! assert_eq!(port.wait().unwrap(), 80);
//! ```

#[allow(unused_imports)] // for the links
use crate::{Broken, Deferred, EventLoop, Handle, Promise};
