//! A stack of bounded size, whatever the number of promises.

use super::{Deferred, Promise};
use crate::util::{Count, Log, poll_once, small_stack};
use deferral::{Broken, BrokenKind, Progress};
use std::task::Poll;

/// As many as the guarantee says.
const MILLION: u32 = 1_000_000;

/// For every way to end them: as many in a release build. In a debug build these are enough: if each took but 42 bytes of stack, less
/// than two frames of anything, they would overflow it, too.
const MANY: u32 = if cfg!(debug_assertions) { 50_000 } else { MILLION };

/// An error that costs nothing to pass on.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Why {
    Said(u32),
    Broken(BrokenKind),
}

impl From<Broken> for Why {
    fn from(broken: Broken) -> Why {
        Why::Broken(broken.kind())
    }
}

/// How a chain ends: by its head, or, canceled, by its tail.
#[derive(Clone, Copy, Debug)]
enum End {
    Resolve,
    Reject,
    Cancel,
    /// The head goes while somebody waits at the tail.
    DropHead,
    /// The tail goes first, and then the head.
    DropTail,
}

type Outcome = Result<u32, Why>;
type Chain = (Deferred<u32, Why>, Promise<u32, Why>);

/// What the tail of a chain ends with.
type Table = [(End, Outcome); 5];

const GONE: Outcome = Err(Why::Broken(BrokenKind::Abandoned));
const CANCELED: Outcome = Err(Why::Broken(BrokenKind::Canceled));

/// The ends of a chain whose tail gets `resolved` and `rejected` from its head.
fn table(resolved: Outcome, rejected: Outcome) -> Table {
    [
        (End::Resolve, resolved),
        (End::Reject, rejected),
        (End::Cancel, CANCELED),
        (End::DropHead, GONE),
        (End::DropTail, GONE),
    ]
}

/// Ends one chain, looks at what arrives, and says whether the head was settled.
fn end(build: impl FnOnce() -> Chain + Send + 'static, end: End, expected: Outcome) -> bool {
    small_stack(move || {
        let (head, tail) = build();
        let settled = Count::new();
        let (seen, count) = (Count::new(), settled.clone());
        head.always(move |_| count.add());
        let count = seen.clone();
        let tail = tail.always(move |outcome| {
            assert_eq!(*outcome, expected, "{end:?}");
            count.add();
        });
        match end {
            End::Resolve => assert!(head.resolve(0)),
            End::Reject => assert!(head.reject(Why::Said(0))),
            End::Cancel => assert!(tail.cancel()),
            End::DropHead => drop(head),
            End::DropTail => {
                drop(tail);
                drop(head);
            }
        }
        assert_eq!(seen.get(), 1, "{end:?}");
        settled.get() == 1
    })
}

/// Ends `MANY` links in every way. `up` says whether a cancel of the tail reaches the head.
fn end_each(build: fn(u32) -> Chain, up: bool, table: Table) {
    for (how, expected) in table {
        let reached = end(move || build(MANY), how, expected);
        assert_eq!(reached, up || !matches!(how, End::Cancel), "{how:?}");
    }
}

/// Links pairs by hand.
fn link(number: u32, join: fn(Promise<u32, Why>, Deferred<u32, Why>)) -> Chain {
    let (head, mut tail) = Deferred::new();
    for _ in 0..number {
        let (deferred, promise) = Deferred::new();
        join(tail, deferred);
        tail = promise;
    }
    (head, tail)
}

/// Derives each promise from the one before.
fn derive(number: u32, next: fn(Promise<u32, Why>) -> Promise<u32, Why>) -> Chain {
    let (head, mut tail) = Deferred::new();
    for _ in 0..number {
        tail = next(tail);
    }
    (head, tail)
}

/// G5, Z1, Z4: a chain of `then`.
#[test]
fn a_chain_of_then() {
    let build = |number| derive(number, |promise| promise.then(|n| Ok(n + 1)));
    end_each(build, true, table(Ok(MANY), Err(Why::Said(0))));
    end(move || build(MILLION), End::Resolve, Ok(MILLION));
}

/// G5, Z1: a chain of `catch`, each of which fails anew.
#[test]
fn a_chain_of_catch() {
    fn worse(why: Why) -> Outcome {
        match why {
            Why::Said(n) => Err(Why::Said(n + 1)),
            other => Err(other),
        }
    }
    let build = |number| derive(number, |promise| promise.catch(worse));
    end_each(build, true, table(Ok(0), Err(Why::Said(MANY))));
}

/// G5: a chain of `map_err`, canceled from its tail.
#[test]
fn a_chain_of_map_err() {
    let build = |number| derive(number, |promise| promise.map_err(|why| why));
    end_each(build, true, table(Ok(0), Err(Why::Said(0))));
}

/// G5, Z2, trap 7: the hand-linked chain that jQuery overflows with. Rejected, each link drops the closure that holds the next one.
#[test]
fn done_that_resolves_the_next() {
    fn join(promise: Promise<u32, Why>, next: Deferred<u32, Why>) {
        promise.done(move |n| {
            next.resolve(*n + 1);
        });
    }
    end_each(|number| link(number, join), false, table(Ok(MANY), GONE));
    end(|| link(MILLION, join), End::Resolve, Ok(MILLION));
}

/// G5, Z2: the same for errors.
#[test]
fn fail_that_rejects_the_next() {
    fn join(promise: Promise<u32, Why>, next: Deferred<u32, Why>) {
        promise.fail(move |why| {
            next.reject(*why);
        });
    }
    end_each(|number| link(number, join), false, table(GONE, Err(Why::Said(0))));
}

/// G5, Z2: the same for either end.
#[test]
fn always_that_settles_the_next() {
    fn join(promise: Promise<u32, Why>, next: Deferred<u32, Why>) {
        promise.always(move |outcome| {
            next.settle(*outcome);
        });
    }
    end_each(|number| link(number, join), false, table(Ok(0), Err(Why::Said(0))));
}

/// G5: reports handed on, and then the chain ends: each link drops the closure that holds the next one.
#[test]
fn progress_that_notifies_the_next() {
    fn join(promise: Promise<u32, Why>, next: Deferred<u32, Why>) {
        promise.progress(move |report| {
            next.notify(*report);
        });
    }
    end_each(|number| link(number, join), false, table(GONE, GONE));
    small_stack(|| {
        let (head, tail) = link(MILLION, join);
        let log = Log::new();
        let entries = log.clone();
        let _tail = tail.progress(move |report| entries.add(report.done));
        for done in 1..=2 {
            assert!(head.notify(Progress { done, total: 2 }));
        }
        assert_eq!(log.text(), "1 2");
    });
}

/// G5, G8: cancels handed up by hand; and, when the tail goes, callbacks dropped that hold the next promise.
#[test]
fn on_cancel_that_cancels_the_next() {
    fn join(promise: Promise<u32, Why>, next: Deferred<u32, Why>) {
        let cancelable = next.clone();
        let source = promise.done(move |n| {
            next.resolve(*n);
        });
        cancelable.on_cancel(move || {
            source.cancel();
        });
    }
    end_each(|number| link(number, join), true, table(Ok(0), GONE));
    end(|| link(MILLION, join), End::Cancel, CANCELED);
}

/// G5, Z3: promises that follow each other, linked from the head to the tail.
#[test]
fn forwards_from_the_head() {
    let build = |number| link(number, |promise, next| promise.forward(next));
    end_each(build, true, table(Ok(0), Err(Why::Said(0))));
}

/// G5, Z3: the same, linked from the tail to the head.
#[test]
fn forwards_from_the_tail() {
    fn build(number: u32) -> Chain {
        let (mut head, tail) = Deferred::new();
        for _ in 0..number {
            let (deferred, promise) = Deferred::new();
            promise.forward(head);
            head = deferred;
        }
        (head, tail)
    }
    end_each(build, true, table(Ok(0), Err(Why::Said(0))));
}

/// G5: the same, every other link first and then those between them, in their order: it must not look through the whole chain for
/// a ring with each of them.
#[test]
fn forwards_in_the_middle() {
    fn build(number: u32) -> Chain {
        let (head, tail) = Deferred::new();
        let mut promises = vec![Some(tail)];
        let mut deferreds = vec![];
        for _ in 0..number {
            let (deferred, promise) = Deferred::new();
            deferreds.push(Some(deferred));
            promises.push(Some(promise));
        }
        for start in [0, 1] {
            for index in (start..number as usize).step_by(2) {
                let target = deferreds[index].take().expect("a link is made once");
                promises[index].take().expect("a link is made once").forward(target);
            }
        }
        (head, promises.pop().flatten().expect("nobody follows the tail"))
    }
    for how in [End::Resolve, End::Cancel] {
        // The square of this many is more than the watchdog waits for.
        end(|| build(2 * MANY), how, if matches!(how, End::Resolve) { Ok(0) } else { CANCELED });
    }
}

/// G5: the recursion of the guarantee, down to a promise that is pending.
#[test]
fn a_recursion_of_then() {
    fn step(n: u32, bottom: Promise<u32, Why>) -> Promise<u32, Why> {
        if n == 0 {
            return bottom;
        }
        Promise::resolved(n).then(move |n| step(n - 1, bottom))
    }
    fn build(number: u32) -> Chain {
        let (head, bottom) = Deferred::new();
        (head, step(number, bottom))
    }
    end_each(build, true, table(Ok(0), Err(Why::Said(0))));
    small_stack(|| assert_eq!(poll_once(&mut step(MILLION, Promise::resolved(7))), Poll::Ready(Ok(7))));
}

/// G5: the same recursion of `catch`.
#[test]
fn a_recursion_of_catch() {
    fn step(why: Why) -> Promise<u32, Why> {
        match why {
            Why::Said(n) if n < MANY => Promise::rejected(Why::Said(n + 1)).catch(step),
            _ => Promise::resolved(7),
        }
    }
    small_stack(|| assert_eq!(poll_once(&mut step(Why::Said(0))), Poll::Ready(Ok(7))));
}

/// G4, G5: registrations on settled promises that nest.
#[test]
fn a_recursion_of_done() {
    fn step(n: u32, end: Count) {
        if n == 0 {
            return end.add();
        }
        Promise::<u32>::resolved(n).done(move |n| step(n - 1, end));
    }
    small_stack(|| {
        let end = Count::new();
        step(MANY, end.clone());
        assert_eq!(end.get(), 1);
    });
}

/// G5, Z3: functions that return the promise below, called from the outermost in.
#[test]
fn nests_of_adoption() {
    for settled in [false, true] {
        small_stack(move || {
            let (bottom, mut promise) = Deferred::<u32, Why>::new();
            let mut starts = vec![];
            for _ in 0..MANY {
                let (start, started) = Deferred::<(), Why>::new();
                starts.push(start);
                promise = started.then(move |()| promise);
            }
            if settled {
                bottom.resolve(3);
            }
            starts.into_iter().rev().for_each(|start| assert!(start.resolve(())));
            bottom.resolve(3);
            assert_eq!(poll_once(&mut promise), Poll::Ready(Ok(3)));
        });
    }
}

/// G5, trap 7: functions that hold the promise below, dropped with the outermost.
#[test]
fn nests_of_functions_that_never_run() {
    small_stack(|| {
        let (bottom, mut promise) = Deferred::<u32, Why>::new();
        for _ in 0..MANY {
            let (start, started) = Deferred::<u32, Why>::new();
            let outer = started.then(move |_| promise);
            // The start of each goes with the function of the next.
            promise = outer.then(move |n| {
                drop(start);
                Ok(n)
            });
        }
        drop(promise);
        drop(bottom);
    });
}

/// As many links as a chain of big values has.
const LINKS: u32 = 100_000;

/// Much to move about: a stack of 2 MiB has room for 256 of them.
type Page = [u8; 8192];
type BigValue = (u32, Page);

/// An error as big as the value.
struct BigError(Why, Page);

impl From<Broken> for BigError {
    fn from(broken: Broken) -> BigError {
        BigError(Why::from(broken), [0; 8192])
    }
}

/// Derives a promise that counts the links, and passes an error on.
// An error this big is what the test is about.
#[allow(clippy::result_large_err)]
fn count_links(mut promise: Promise<BigValue, BigError>) -> Promise<BigValue, BigError> {
    for _ in 0..LINKS {
        promise = promise.then(|(links, page)| Ok((links + 1, page)));
    }
    promise
}

#[track_caller]
fn assert_resolved(mut tail: Promise<BigValue, BigError>) {
    let Poll::Ready(Ok((links, page))) = poll_once(&mut tail) else { panic!("no value has arrived") };
    assert_eq!((links, page), (LINKS, [7; 8192]));
}

#[track_caller]
fn assert_rejected(mut tail: Promise<BigValue, BigError>) {
    let Poll::Ready(Err(BigError(why, page))) = poll_once(&mut tail) else { panic!("no error has arrived") };
    assert_eq!((why, page), (Why::Said(3), [7; 8192]));
}

/// G3, G5: a chain of `then` moves big values along without a copy of them per link on the stack. Its pending promises have room for
/// their values: that is 0.8 GB, and 1.6 GB when both flavors are at it.
#[test]
fn a_chain_of_big_values() {
    small_stack(|| {
        let (head, promise) = Deferred::new();
        let tail = count_links(promise);
        assert!(head.resolve((0, [7; 8192])));
        assert_resolved(tail);
    });
    small_stack(|| {
        let (head, promise) = Deferred::new();
        let tail = count_links(promise);
        assert!(head.reject(BigError(Why::Said(3), [7; 8192])));
        assert_rejected(tail);
    });
}

/// G3, G5: the chain of big values, of which each link is settled before the next is made.
#[test]
fn a_chain_of_big_values_on_a_settled_promise() {
    small_stack(|| assert_resolved(count_links(Promise::resolved((0, [7; 8192])))));
    small_stack(|| assert_rejected(count_links(Promise::rejected(BigError(Why::Said(3), [7; 8192])))));
}
