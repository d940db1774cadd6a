//! What needs no type annotation, for those who write code with this crate: that this compiles is most of each test.

#![allow(clippy::redundant_closure, clippy::unnecessary_wraps)]

use std::error::Error;
use std::io;
use std::net::TcpStream;
use std::rc::Rc;
use std::time::Duration;

use deferral::{Broken, BrokenKind, Deferred, EventLoop, Promise, State, local, when};

use crate::util::ready;

fn now<R: Send + 'static>(f: impl FnOnce() -> R + Send + 'static) -> Promise<R> {
    Promise::resolved(f())
}

fn local_now<R: 'static>(f: impl FnOnce() -> R + 'static) -> local::Promise<R> {
    Promise::resolved(f())
}

/// Values of a chain, one closure after the other.
#[test]
fn a_chain_of_closures() {
    let (deferred, promise) = Deferred::<i32>::new();
    let text = promise.done(|v| assert_eq!(*v, 4)).then(|v| Ok(v + 1)).then(|v| Ok(v.to_string()));
    deferred.resolve(4);
    let text: Promise<String> = text;
    assert_eq!(ready(text).unwrap(), "5");
}

/// The same of the local flavor, with what is not `Send`.
#[test]
fn a_local_chain_of_closures() {
    let shared = Rc::new(3);
    let (deferred, promise) = local::Deferred::<Rc<i32>>::new();
    let sum = promise.done(move |v| assert_eq!(**v, *shared)).then(|v| Ok(*v + 1));
    deferred.resolve(Rc::new(3));
    let sum: local::Promise<i32> = sum;
    assert_eq!(ready(sum).unwrap(), 4);
}

/// A function with a `Result` of the promise's own error goes into `then` as it is.
#[test]
fn a_function_as_a_continuation() {
    let (deferred, stream) = Deferred::<TcpStream, io::Error>::new();
    let address = stream.then(|stream| stream.peer_addr());
    drop(deferred);
    assert_eq!(ready(address).unwrap_err().kind(), io::ErrorKind::Other);
}

/// Branches of a continuation that are all promises, or all results; early returns and `?`.
#[test]
fn branches_of_one_kind() {
    let branches = |n: i32| {
        let promise = Promise::<i32>::resolved(n);
        let promise = promise.then(|v| if v > 3 { Promise::resolved(v) } else { now(|| 3) });
        let promise = promise.then(|v| if v > 5 { now(|| 1).then(|v| Ok(v + 1)) } else { Promise::resolved(v) });
        promise.then(|v| if v > 4 { Err(io::Error::other("big")) } else { Ok(v) }.map_err(|_| never()))
    };
    assert_eq!([branches(1), branches(4), branches(6)].map(|promise| ready(promise).unwrap()), [3, 4, 2]);

    let path = Promise::<&str, io::Error>::resolved("Cargo.toml");
    let size = path.then(|path| {
        let metadata = std::fs::metadata(path)?;
        if metadata.is_dir() {
            return Ok(0);
        }
        Ok(metadata.len())
    });
    assert!(ready(size).unwrap() > 0);
}

fn never() -> Broken {
    unreachable!("no branch is big")
}

/// Errors: replaced, looked at, changed in type.
#[test]
fn errors_of_a_chain() {
    let (deferred, promise) = Deferred::<i32>::new();
    let promise = promise
        .catch(|broken| match broken.kind() {
            BrokenKind::Canceled => Ok(1),
            _ => Err(broken),
        })
        .map_err(|broken| String::from(broken))
        .then(|v| if v > 0 { Ok(v) } else { Err(String::from("negative")) });
    drop(deferred);
    let promise = promise.catch(|_| Ok(2)).done(|v| assert_eq!(*v, 2));
    assert_eq!(ready(promise), Ok(2));
    assert_eq!(ready(now(|| 1).catch(|_| Ok(0))).unwrap(), 1);
}

/// `flatten` of a promise of a result, and of a promise of a promise.
#[test]
fn flat_promises() {
    let (deferred, promise) = Deferred::<Result<i32, String>>::new();
    let flat = promise.flatten().then(|v| Ok(v + 1));
    deferred.resolve(Ok(1));
    assert_eq!(ready(flat), Ok(2));
    let nested = Promise::<Promise<i32, String>>::resolved(Promise::resolved(1));
    assert_eq!(ready(nested.flatten()), Ok(1));
}

/// The return type says it all: neither `Deferred::new()` nor `Promise::new` needs another.
#[test]
fn types_from_the_signature() {
    fn pair() -> Promise<u32> {
        let (deferred, promise) = Deferred::new();
        deferred.resolve(3);
        promise
    }
    fn closure() -> local::Promise<u32> {
        Promise::new(|deferred| {
            deferred.resolve(3);
        })
    }
    assert_eq!((ready(pair()).unwrap(), ready(closure()).unwrap()), (3, 3));
    let (deferred, promise) = local::Deferred::new();
    deferred.resolve(3);
    let promise: local::Promise<i32, String> = promise;
    assert_eq!(ready(promise), Ok(3));
}

/// What is generic in the value asks for `Send` alone in the thread-safe flavor, and for nothing in the local one.
#[test]
fn generic_functions_have_short_bounds() {
    fn some<T: Send + 'static>(promise: Promise<T>) -> Promise<Option<T>> {
        promise.then(|v| Ok(Some(v)))
    }
    fn all<T: Send + 'static>(promises: Vec<Promise<T>>) -> Promise<Vec<T>> {
        when(promises)
    }
    fn first<T: Send + 'static>(promises: Vec<Promise<T>>) -> Promise<T, Vec<Broken>> {
        when::any(promises)
    }
    fn fastest<T: 'static>(promises: Vec<local::Promise<T>>) -> local::Promise<T> {
        when::race(promises)
    }
    fn ends<T: 'static>(promises: Vec<local::Promise<T>>) -> local::Promise<Vec<Result<T, Broken>>> {
        when::settled(promises)
    }
    assert_eq!(ready(some(now(|| 1))).unwrap(), Some(1));
    assert_eq!(ready(all(vec![now(|| 1)])).unwrap(), [1]);
    assert_eq!(ready(first(vec![now(|| 1)])).unwrap(), 1);
    assert_eq!(ready(fastest(vec![local_now(|| 1)])).unwrap(), 1);
    assert_eq!(ready(ends(vec![local_now(|| 1)])).unwrap().len(), 1);
}

/// A type may hold promises of itself, and a function call itself in a continuation.
#[test]
fn recursive_types_and_functions() {
    struct Node {
        value: u32,
        next: Option<Promise<Node>>,
    }
    fn send<T: Send + Sync>(value: T) -> T {
        value
    }
    fn countdown(n: u32) -> Promise<u32> {
        Promise::resolved(n).then(|n| if n == 0 { Promise::resolved(0) } else { countdown(n - 1) })
    }
    let last = Node { value: 2, next: None };
    let list = send(Node { value: 1, next: Some(Promise::resolved(last)) });
    let value = list.value;
    let second =
        list.next.unwrap().then(|node| Ok(node)).then(move |node| Ok((value, node.value, node.next.is_none())));
    assert_eq!(ready(second).unwrap(), (1, 2, true));
    assert_eq!(ready(countdown(10_000)).unwrap(), 0);
}

/// `?` on promises of several error types, in a future that is `Send`.
#[test]
fn awaiting_several_error_types() {
    async fn sum(a: Promise<i32>, b: Promise<i32, io::Error>) -> Result<i32, Box<dyn Error + Send + Sync>> {
        let a = a.await?;
        let b = b.await?;
        Ok(a + b)
    }
    fn send<F: Future + Send>(future: F) -> F {
        future
    }
    let future = send(sum(now(|| 1), Promise::rejected(io::Error::other("no"))));
    assert_eq!(ready(Box::pin(future)).unwrap_err().to_string(), "no");
}

/// One `when` for both flavors, for mixed tuples, lists and arrays.
#[test]
fn one_when_for_all() {
    let text = now(|| "text".to_owned());
    let mixed = when((text, Ok(3))).then(|(text, n)| Ok(text.len() + n));
    assert_eq!(ready(mixed).unwrap(), 7);
    let mixed = when((Ok(3), local_now(|| 1))).then(|(a, b)| Ok(Rc::new(a + b)));
    assert_eq!(*ready(mixed).unwrap(), 4);
    let jobs: Vec<_> = (0..3).map(|i| local_now(move || i * 2)).collect();
    let count: local::Promise<usize> = when(jobs).then(|values| Ok(values.len()));
    assert_eq!(ready(count).unwrap(), 3);
    assert_eq!(ready(when([now(|| 1), now(|| 2)]).then(|[a, b]| Ok(a + b))).unwrap(), 3);
    let nothing: Promise<i32> = when(()).then(|()| Ok(1));
    assert_eq!(ready(nothing).unwrap(), 1);
}

/// The siblings of `when`.
#[test]
fn the_siblings_of_when() {
    let mapped = when::map(vec![1, 2, 3], 2, |i| now(move || i)).then(|values| Ok(values.len()));
    assert_eq!(ready(mapped).unwrap(), 3);
    let any: Promise<i32> = when::any(vec![now(|| 1)]).map_err(|errors| errors.into_iter().next().unwrap());
    assert_eq!(ready(any).unwrap(), 1);
    let settled = when::settled([now(|| 1)]).then(|ends| Ok(ends.len()));
    assert_eq!(ready(settled).unwrap(), 1);
    let race = when::race([now(|| 1), now(|| 2)]).then(|n| Ok(n + 1));
    assert_eq!(ready(race).unwrap(), 2);
}

/// The loop: what a task or a call returns is what its promise tells.
#[test]
fn the_loop() {
    let event_loop = EventLoop::with_virtual_clock();
    let task = event_loop.spawn(async { Rc::new(1) }).then(|n| Ok(*n + 1));
    let call = event_loop.call_soon(|| "soon").then(|word| Ok(word.len()));
    let later = event_loop.call_later(Duration::from_secs(1), || 1.5).then(|x| Ok(x * 2.0));
    let at = event_loop.call_at(event_loop.handle().now(), || ());
    let all = event_loop.run_until_complete(when((task, call, later, at)));
    assert_eq!(all.unwrap(), (2, 4, 3.0, ()));

    let handle = event_loop.handle();
    let task = handle.spawn(async { 1 }).then(|n| Ok(n + 1));
    let call = handle.call_soon(|| "soon").then(|word| Ok(word.len()));
    let later = handle.timeout(Duration::from_secs(9), handle.call_later(Duration::from_secs(1), || 'x'));
    let all = event_loop.run_until_complete(when((task, call, later, handle.sleep(Duration::ZERO))));
    assert_eq!(all.unwrap(), (2, 4, 'x', ()));

    let free = event_loop.run_until_complete(async {
        let work = deferral::spawn(async { 1 }).then(|n| Ok(n + 1));
        deferral::sleep(Duration::from_secs(1)).await?;
        deferral::timeout(Duration::from_secs(1), work).await
    });
    assert_eq!(free.unwrap(), 2);
}

/// What infers only with a type in sight, each with the least that it needs.
#[test]
fn what_needs_a_type_in_sight() {
    // A bare `Deferred::new()` that a method is called on.
    let (deferred, promise) = Deferred::<u32>::new();
    let promise = promise.then(|n| Ok(n + 1));
    // A callback that ends in a `bool`.
    let (next, last) = Deferred::<u32>::new();
    promise.done(move |n| {
        next.resolve(*n);
    });
    deferred.resolve(1);
    assert_eq!(ready(last).unwrap(), 2);
    // A bare `Promise::resolved(3)` that a method is called on.
    assert_eq!(Promise::<_>::resolved(3).state(), State::Resolved);
    // `when` of results alone.
    let all: Promise<_, Broken> = when((Ok(1), Ok("two")));
    assert_eq!(ready(all).unwrap(), (1, "two"));
    // Branches that mix a result with a promise.
    let cached = Some(1);
    let mixed = Promise::<u32>::resolved(2).then(move |n| match cached {
        Some(cached) => Promise::from(Ok(cached + n)),
        None => now(move || n),
    });
    assert_eq!(ready(mixed).unwrap(), 3);
}

/// A wait decides the flavor, and the result that it goes to the rest: a bare pair needs no types.
#[test]
fn a_wait_decides_the_flavor() {
    fn settled() -> Result<u32, String> {
        Promise::resolved(3).wait()
    }
    fn chained() -> Result<u32, String> {
        let (deferred, promise) = Deferred::new();
        deferred.resolve(3);
        promise.then(|n| Ok(n + 1)).wait()
    }
    assert_eq!((settled(), chained()), (Ok(3), Ok(4)));
}
