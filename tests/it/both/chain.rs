//! Chaining, adoption, and promises that would wait for themselves.

use std::sync::{Arc, Mutex};
use std::task::Poll;

use super::{Deferred, Promise};
use crate::util::{Count, Log, panic_of, poll_once, small_stack};
use deferral::{Broken, BrokenKind, State};

type Slot = Arc<Mutex<Option<Promise<u32>>>>;

/// The kind of the error that a promise has ended with.
fn kind_of(promise: &Promise<u32>) -> Option<BrokenKind> {
    promise.peek(|outcome| outcome.and_then(|outcome| outcome.as_ref().err().map(Broken::kind)))
}

/// C1, C2: `then` makes a new promise, of another type, settled with what the function returns: `Ok`, `Err` or a promise.
#[test]
fn then_goes_on_with_the_value() {
    let (deferred, promise) = Deferred::<u32, String>::new();
    let mut text = promise.clone().then(|n| Ok(n.to_string()));
    let mut failed = promise.clone().then(|n| Err::<u32, _>(format!("not {n}")));
    let mut promised = promise.then(|n| Promise::<u32, String>::resolved(n * 2));
    deferred.resolve(21);
    assert_eq!(poll_once(&mut text), Poll::Ready(Ok("21".to_owned())));
    assert_eq!(poll_once(&mut failed), Poll::Ready(Err("not 21".to_owned())));
    assert_eq!(poll_once(&mut promised), Poll::Ready(Ok(42)));
}

/// E1: an error skips any number of `then` unchanged, and reaches the end of the chain.
#[test]
fn an_error_skips_then() {
    let mut promise = Promise::<u32, String>::rejected("lost".to_owned());
    for _ in 0..1000 {
        promise = promise.then(|_| -> Result<u32, String> { panic!("an error skips it") });
    }
    assert_eq!(poll_once(&mut promise), Poll::Ready(Err("lost".to_owned())));
}

/// E2, E3, E4, C3: `catch` recovers, rejects anew or passes the question on; a value skips it. `fail` only looks.
#[test]
fn catch_goes_on_with_the_error() {
    let looked = Count::new();
    let count = looked.clone();
    let lost = Promise::<u32, String>::rejected("lost".to_owned()).fail(move |_| count.add());
    let mut recovered = lost.clone().catch(|text| Ok(text.len() as u32));
    let mut worse = lost.clone().catch(|text| Err(format!("{text} again")));
    let mut promised = lost.clone().catch(|_| Promise::resolved(3));
    let mut value =
        Promise::<u32, String>::resolved(1).catch(|_| -> Result<u32, String> { panic!("a value skips it") });
    assert_eq!(poll_once(&mut recovered), Poll::Ready(Ok(4)));
    assert_eq!(poll_once(&mut worse), Poll::Ready(Err("lost again".to_owned())));
    assert_eq!(poll_once(&mut promised), Poll::Ready(Ok(3)));
    assert_eq!(poll_once(&mut value), Poll::Ready(Ok(1)));
    assert_eq!((looked.get(), lost.state()), (1, State::Rejected));
}

/// C3: `map_err` changes the error and its type; a value skips it.
#[test]
fn map_err_changes_the_type() {
    let mut failed = Promise::<u32, String>::rejected("four".to_owned()).map_err(|text| vec![text]);
    let mut value = Promise::<u32, String>::resolved(1).map_err(|_| -> Vec<String> { panic!("a value skips it") });
    assert_eq!(poll_once(&mut failed), Poll::Ready(Err(vec!["four".to_owned()])));
    assert_eq!(poll_once(&mut value), Poll::Ready(Ok(1)));
}

/// C4, C5, Q2: a returned promise is taken over: pending until it settles, through several levels, with either end.
#[test]
fn a_returned_promise_is_adopted() {
    for outcome in [Ok(5), Err("no".to_owned())] {
        let (inner, adopted) = Deferred::<u32, String>::new();
        let mut outer = Promise::<u32, String>::resolved(1)
            .then(move |_| Promise::<u32, String>::resolved(2).then(move |_| adopted.then(Ok)));
        assert_eq!(outer.state(), State::Pending);
        inner.settle(outcome.clone());
        assert_eq!(poll_once(&mut outer), Poll::Ready(outcome));
    }
}

/// C10, C11: an adopted promise that others hold is theirs, too.
#[test]
fn an_adopted_promise_may_be_shared() {
    let (inner, adopted) = Deferred::<u32>::new();
    let (mut other, log) = (adopted.clone(), Log::new());
    let entries = log.clone();
    inner.done(move |n| entries.add(n));
    let mut outer = Promise::<u32>::resolved(1).then(move |_| adopted);
    inner.resolve(8);
    assert!(matches!(poll_once(&mut outer), Poll::Ready(Ok(8))));
    assert!(matches!(poll_once(&mut other), Poll::Ready(Ok(8))));
    assert_eq!(log.text(), "8");
}

/// B3, trap 8: a promise that took over another is not abandoned when its own producer goes; when that one is abandoned, it is.
#[test]
fn a_follower_is_not_abandoned() {
    for abandons in [false, true] {
        let (source, promise) = Deferred::<u32>::new();
        let (target, followed) = Deferred::<u32>::new();
        promise.forward(target.clone());
        drop(target);
        assert_eq!(followed.state(), State::Pending);
        if abandons {
            drop(source);
            assert_eq!(kind_of(&followed), Some(BrokenKind::Abandoned));
        } else {
            source.resolve(1);
            assert_eq!(followed.state(), State::Resolved);
        }
    }
}

/// C13: `forward` settles its target with either end, pending or settled, unless somebody was earlier.
#[test]
fn forward_settles_its_target() {
    for early in [false, true] {
        for outcome in [Ok(1), Err("no".to_owned())] {
            let (source, promise) = Deferred::<u32, String>::new();
            let (target, mut followed) = Deferred::<u32, String>::new();
            if early {
                source.settle(outcome.clone());
            }
            promise.forward(target);
            source.settle(outcome.clone());
            assert_eq!(poll_once(&mut followed), Poll::Ready(outcome));
        }
    }
    let (target, mut followed) = Deferred::<u32>::new();
    let (source, promise) = Deferred::<u32>::new();
    promise.forward(target.clone());
    assert!(target.resolve(1));
    assert!(source.resolve(2));
    assert!(matches!(poll_once(&mut followed), Poll::Ready(Ok(1))));
}

/// C5: `flatten` of a result and of a promise; an outer rejection becomes the inner error.
#[test]
fn flatten_takes_one_level() {
    let mut result = Promise::<Result<u32, String>>::resolved(Err("inner".to_owned())).flatten();
    assert_eq!(poll_once(&mut result), Poll::Ready(Err("inner".to_owned())));
    let mut promise = Promise::<Promise<u32, String>>::resolved(Promise::resolved(4)).flatten();
    assert_eq!(poll_once(&mut promise), Poll::Ready(Ok(4)));
    let (outer, promise) = Deferred::<Result<u32, String>>::new();
    let mut flat = promise.flatten();
    drop(outer);
    assert!(matches!(poll_once(&mut flat), Poll::Ready(Err(text)) if text.contains("was abandoned")));
}

/// A promise whose function returns what `of` makes of that very promise.
fn returns_itself(of: fn(Promise<u32>) -> Promise<u32>) -> Promise<u32> {
    let slot: Slot = Arc::default();
    let own = slot.clone();
    let (deferred, promise) = Deferred::<u32>::new();
    let derived = promise.then(move |_| of(own.lock().unwrap().take().expect("its own promise")));
    *slot.lock().unwrap() = Some(derived.clone());
    deferred.resolve(1);
    derived
}

/// G7, C8: a `then` that returns its own promise, or one that waits for it, is rejected with kind `Cycle`.
#[test]
fn then_that_returns_itself() {
    let ways: [fn(Promise<u32>) -> Promise<u32>; 4] = [
        |own| own,
        |own| own.then(Ok),
        |own| own.catch(Err).map_err(|broken| broken).then(Ok),
        |own| Promise::resolved(1).then(move |_| own),
    ];
    for (index, way) in ways.into_iter().enumerate() {
        assert_eq!(kind_of(&returns_itself(way)), Some(BrokenKind::Cycle), "way {index}");
    }
}

/// G7: a `catch` that returns its own promise, too.
#[test]
fn catch_that_returns_itself() {
    let slot: Slot = Arc::default();
    let own = slot.clone();
    let (deferred, promise) = Deferred::<u32>::new();
    let derived = promise.catch(move |_| own.lock().unwrap().take().expect("its own promise"));
    *slot.lock().unwrap() = Some(derived.clone());
    drop(deferred);
    assert_eq!(kind_of(&derived), Some(BrokenKind::Cycle));
}

/// G7, C9, trap 9: a ring of promises that follow each other: the link that closes it is rejected, and so all are settled. Of
/// one, of two and of 10,000, on a small stack.
#[test]
fn rings_of_forward() {
    for length in [1, 2, 3, 10_000] {
        small_stack(move || {
            let pairs: Vec<_> = (0..length).map(|_| Deferred::<u32>::new()).collect();
            let watched: Vec<_> = pairs.iter().map(|(_, promise)| promise.clone()).collect();
            let (deferreds, promises): (Vec<_>, Vec<_>) = pairs.into_iter().unzip();
            let mut targets = deferreds;
            targets.rotate_left(1);
            for (promise, target) in promises.into_iter().zip(targets) {
                promise.forward(target);
            }
            assert!(watched.iter().all(|promise| kind_of(promise) == Some(BrokenKind::Cycle)), "{length}");
        });
    }
}

/// G7: a ring over a `then`, closed from either side.
#[test]
fn a_ring_over_then() {
    let (deferred, promise) = Deferred::<u32>::new();
    let watched = promise.clone();
    promise.then(|n| Ok(n + 1)).forward(deferred);
    assert_eq!(kind_of(&watched), Some(BrokenKind::Cycle));

    let (deferred, promise) = Deferred::<u32>::new();
    let (other, second) = Deferred::<u32>::new();
    let watched = promise.clone();
    second.forward(deferred);
    promise.then(|n| Ok(n + 1)).forward(other);
    assert_eq!(kind_of(&watched), Some(BrokenKind::Cycle));
}

/// G7: a ring holds nothing once it is broken.
#[test]
fn a_broken_ring_holds_nothing() {
    let token = Arc::new(());
    let held = token.clone();
    let ((first, one), (second, two)) = (Deferred::<u32>::new(), Deferred::<u32>::new());
    one.then(move |n| {
        drop(held);
        Ok(n)
    })
    .forward(second);
    two.forward(first);
    assert_eq!(Arc::strong_count(&token), 1);
}

/// G7: what looks like a ring and is none: two branches of one promise that meet again, a promise followed twice.
#[test]
fn branches_that_meet_are_no_ring() {
    let (deferred, promise) = Deferred::<u32>::new();
    let (target, mut followed) = Deferred::<u32>::new();
    let then = followed.clone().then(Ok);
    promise.clone().then(Ok).forward(target.clone());
    promise.then(|n| Ok(n + 1)).forward(target);
    deferred.resolve(1);
    assert!(matches!(poll_once(&mut followed), Poll::Ready(Ok(1))));
    assert_eq!(then.state(), State::Resolved);
}

/// G14: a promise that gave its outcome cannot be chained on: it says what to do instead.
#[test]
fn a_spent_promise_cannot_be_chained() {
    let chains: [fn(Promise<u32>); 4] = [
        |promise| drop(promise.then(Ok)),
        |promise| drop(promise.catch(Err)),
        |promise| drop(promise.map_err(|broken| broken)),
        |promise| promise.forward(Deferred::new().0),
    ];
    for chain in chains {
        let mut promise = Promise::<u32>::resolved(1);
        assert!(poll_once(&mut promise).is_ready());
        let text = panic_of(move || chain(promise));
        assert!(text.contains("clone the promise before awaiting it"), "{text}");
    }
}

/// G2: the origin of a derived promise is the line of its `then`, `catch`, `map_err` or `flatten`.
#[test]
fn derived_promises_have_their_own_origin() {
    let (_deferred, promise) = Deferred::<u32>::new();
    let lines = line!();
    let promises = [
        promise.clone().then(Ok),
        promise.clone().catch(Err),
        promise.clone().map_err(|broken| broken),
        promise.clone().then(|n| Ok(Ok(n))).flatten(),
    ];
    for (promise, line) in promises.into_iter().zip(lines + 2..) {
        assert!(promise.cancel());
        promise.fail(move |broken| assert_eq!((broken.origin().file(), broken.origin().line()), (file!(), line)));
    }
}
