//! What once went wrong between the one entry of a promise and its lists: see `extra` in the core.

use std::cell::RefCell;
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Wake, Waker};
use std::thread;

use deferral::{Broken, Deferred, Promise};

use crate::util::{CountingWaker, Log, poll, watchdog};

/// A promise that somebody takes out.
type Slot = Arc<Mutex<Option<Promise<u32>>>>;

/// G7: a promise that was woken, and is dropped while the outcome is lent, takes nobody else's waker along.
#[test]
fn a_stale_key_does_not_name_the_next_waker() {
    let (deferred, mut first) = Deferred::<u32>::new();
    let (woken, waker) = CountingWaker::new();
    assert!(poll(&mut first, &waker).is_pending());
    deferred.resolve(1);
    assert_eq!(woken.wakes(), 1);
    let (second_woken, second_waker) = CountingWaker::new();
    let kept: Slot = Slot::default();
    let slot = kept.clone();
    deferred.done(move |_| {
        let mut second = first.clone();
        assert!(poll(&mut second, &second_waker).is_pending());
        drop(first);
        *slot.lock().unwrap() = Some(second);
    });
    assert_eq!(second_woken.wakes(), 1);
}

/// G7: nor does it take somebody else's continuation along.
#[test]
fn a_stale_key_does_not_name_the_next_continuation() {
    let (deferred, mut first) = Deferred::<u32>::new();
    let (_, waker) = CountingWaker::new();
    assert!(poll(&mut first, &waker).is_pending());
    deferred.resolve(1);
    let kept: Slot = Slot::default();
    let slot = kept.clone();
    deferred.done(move |_| {
        let derived = first.clone().then(|n| Ok(n + 1));
        drop(first);
        *slot.lock().unwrap() = Some(derived);
    });
    let derived = kept.lock().unwrap().take().unwrap();
    assert_eq!(derived.wait().unwrap(), 2);
}

/// G8: the one callback of a cancel runs before the source is canceled, as two of them do.
#[test]
fn one_callback_of_a_cancel_comes_before_the_source() {
    for callbacks in [1, 2] {
        let (source, followed) = Deferred::<u32>::new();
        let (deferred, promise) = Deferred::<u32>::new();
        let log = Log::new();
        for _ in 0..callbacks {
            let (log, source) = (log.clone(), source.clone());
            deferred.on_cancel(move || log.add(format!("{:?}", source.state())));
        }
        followed.forward(deferred);
        promise.cancel();
        assert_eq!(log.text(), ["Pending"; 2][..callbacks].join(" "));
    }
}

/// A waker whose drop holds its thread up, until another one has gone on.
struct Held(Mutex<Option<(mpsc::Sender<()>, mpsc::Receiver<()>)>>);

impl Wake for Held {
    fn wake(self: Arc<Self>) {}
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some((go_on, gone_on)) = self.0.lock().unwrap().take() {
            go_on.send(()).unwrap();
            gone_on.recv().unwrap();
        }
    }
}

/// G2, G3: a waker that goes between the settle of a derived promise and its turn does not take the outcome along.
#[test]
fn an_outcome_stays_for_who_asks_again() {
    watchdog(|| {
        let (deferred, promise) = Deferred::<u32>::new();
        let other = promise.clone();
        let mut derived = promise.then(Ok);
        let (claim, claimed) = mpsc::channel();
        let (remove, removed) = mpsc::channel();
        let (end, ended) = mpsc::channel();
        // Holds the settling thread up after the derived promise was settled, and before its turn.
        other.then(move |n| {
            claim.send(()).unwrap();
            removed.recv().unwrap();
            Ok(n)
        });
        let waker = Waker::from(Arc::new(Held(Mutex::new(Some((remove, ended))))));
        assert!(poll(&mut derived, &waker).is_pending());
        drop(waker);
        let settling = thread::spawn(move || {
            deferred.resolve(5);
            end.send(()).unwrap();
        });
        claimed.recv().unwrap();
        let last = derived.then(|n| Ok(n + 1));
        settling.join().unwrap();
        assert_eq!(last.wait().unwrap(), 6);
    });
}

thread_local! {
    static DROPPED: RefCell<Vec<u32>> = const { RefCell::new(Vec::new()) };
}

/// An error that notes its end: 99 is what the library makes of its own.
#[derive(Clone)]
struct Noted(u32);

impl From<Broken> for Noted {
    fn from(_: Broken) -> Self {
        Noted(99)
    }
}

impl Drop for Noted {
    fn drop(&mut self) {
        DROPPED.with_borrow_mut(|dropped| dropped.push(self.0));
    }
}

/// G5, G6: what a derived promise was rejected with before its source came to it goes in a turn of its own, and not with its memory.
#[test]
fn the_error_of_a_canceled_promise_waits_for_its_turn() {
    let (deferred, promise) = Deferred::<u32, Noted>::new();
    let derived: Arc<Mutex<Option<Promise<u32, Noted>>>> = Arc::default();
    let slot = derived.clone();
    promise.clone().catch(move |error| {
        let derived = slot.lock().unwrap().take().unwrap();
        assert!(derived.cancel());
        drop(derived);
        Err(error)
    });
    *derived.lock().unwrap() = Some(promise.then(Ok));
    deferred.reject(Noted(1));
    DROPPED.with_borrow(|dropped| assert_eq!(*dropped, [1, 1, 99]));
}

/// G4, G6: two that wait, with wakers that settle the next promise at once, however deep that nests: all are woken, and find the outcome.
#[test]
fn several_wakers_that_settle_nest_to_any_depth() {
    const DEPTH: u32 = 200;
    struct Settles(Mutex<Option<Deferred<u32>>>);
    impl Wake for Settles {
        fn wake(self: Arc<Self>) {
            let next = self.0.lock().unwrap().take();
            next.map(|next| next.resolve(7));
        }
    }
    let (head, mut tail) = Deferred::<u32>::new();
    let (last, end) = CountingWaker::new();
    let mut waiting = Vec::new();
    for _ in 0..DEPTH {
        let (next, promise) = Deferred::<u32>::new();
        let waker = Waker::from(Arc::new(Settles(Mutex::new(Some(next)))));
        let mut other = tail.clone();
        assert!(poll(&mut tail, &waker).is_pending());
        assert!(poll(&mut other, &end).is_pending());
        waiting.extend([tail, other]);
        tail = promise;
    }
    head.resolve(7);
    assert_eq!(last.wakes(), DEPTH as usize);
    for mut promise in waiting {
        assert!(matches!(poll(&mut promise, &end), std::task::Poll::Ready(Ok(7))));
    }
    assert_eq!(tail.wait().unwrap(), 7);
}
