//! `via` to a loop that is gone, inside so many callbacks that what they bring about waits for the outermost one.

use crate::util::{Log, watchdog};
use deferral::{Broken, Deferred, EventLoop, Promise, State};
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Depths of callbacks on both sides of each limit from which on what they bring about waits for the outermost one.
const DEPTHS: RangeInclusive<u32> = 0..=40;

/// Runs `f` inside so many callbacks, each of which settles a promise.
fn nested(depth: u32, f: Box<dyn FnOnce() + Send>) {
    if depth == 0 {
        return f();
    }
    let (deferred, promise) = Deferred::<u32>::new();
    drop(promise.done(move |_| nested(depth - 1, f)));
    assert!(deferred.resolve(1));
}

/// G4, G5, G7: a callback registered on the promise of a loop that is gone runs once, however deep the registration nests.
#[test]
fn a_loop_that_is_gone_at_any_depth() {
    watchdog(|| {
        for depth in DEPTHS {
            let (event_loop, log) = (EventLoop::new(), Log::new());
            let (_deferred, promise) = Deferred::<u32>::new();
            let derived = promise.via(&event_loop.handle());
            drop(event_loop);
            assert_eq!(derived.state(), State::Rejected);
            let entries = log.clone();
            nested(
                depth,
                Box::new(move || drop(derived.fail(move |broken| entries.add(format!("{:?}", broken.kind()))))),
            );
            assert_eq!(log.text(), "LoopClosed", "depth {depth}");
        }
    });
}

/// G3, G6: a callback on the promise of a loop that is gone sees the error to its end, though it makes the last consumer and runs what
/// waits.
#[test]
fn an_error_stays_while_it_is_shown_at_any_depth() {
    static DROPS: AtomicUsize = AtomicUsize::new(0);
    struct Loud;
    impl From<Broken> for Loud {
        fn from(_: Broken) -> Self {
            Loud
        }
    }
    impl Drop for Loud {
        fn drop(&mut self) {
            DROPS.fetch_add(1, Ordering::SeqCst);
        }
    }
    watchdog(|| {
        let mut waited = false;
        for depth in DEPTHS {
            DROPS.store(0, Ordering::SeqCst);
            let (event_loop, log) = (EventLoop::new(), Log::new());
            let (deferred, promise) = Deferred::<u32, Loud>::new();
            let derived = promise.via(&event_loop.handle());
            drop(event_loop);
            let (first, second) = (log.clone(), log.entry("second"));
            nested(
                depth,
                Box::new(move || {
                    let only = Arc::new(Mutex::new(None::<Promise<u32, Loud>>));
                    let slot = only.clone();
                    let derived = derived.fail(move |_| {
                        let promise = slot.lock().unwrap().take();
                        let caught = first.entry("caught");
                        drop(promise.map(|promise| {
                            promise.catch(move |_| {
                                caught();
                                Ok(1)
                            })
                        }));
                        let (_producer, never) = Deferred::<u32>::new();
                        assert!(never.wait_timeout(Duration::ZERO).is_err());
                        first.add(format!("first:{}", DROPS.load(Ordering::SeqCst)));
                    });
                    *only.lock().unwrap() = Some(derived.fail(move |_| second()));
                }),
            );
            // Where nothing had to wait, the callback has run before the slot was filled.
            let text = log.text();
            let late = text == "first:0 second caught";
            assert!(late || text == "first:0 second", "depth {depth}: {text}");
            waited |= late;
            drop(deferred);
        }
        assert!(waited, "the callbacks had to wait at some depth");
    });
}
