//! What is refused, with a message that tells the remedy, and what is left intact by that.

use crate::util::{panic_of, poll_once};
use deferral::{Deferred, EventLoop, Promise, State, local, sleep, spawn, timeout, when};
use futures::future::{FusedFuture, lazy};
use std::future::pending;
use std::time::Duration;

/// L16, G11: a run inside a running loop, of the same or of another one, is refused; the outer run goes on.
#[test]
fn a_nested_run_is_refused() {
    let event_loop = EventLoop::new();
    event_loop.run_until_complete(async {
        for inner in [&event_loop, &EventLoop::new()] {
            let runs: [&dyn Fn(); 3] =
                [&|| inner.run_until_complete(async {}), &|| inner.run_forever(), &|| inner.run_until_idle()];
            for run in runs {
                let text = panic_of(run);
                assert!(text.contains("already runs on this thread") && text.contains("spawn it"), "{text}");
            }
        }
        assert_eq!(spawn(async { 1 }).await.unwrap(), 1);
    });
    event_loop.run_until_idle();
}

/// L16, G9: refused in a callback, it is the end of that callback's promise, and of nothing else.
#[test]
fn a_nested_run_in_a_call_breaks_the_call() {
    let event_loop = EventLoop::new();
    let call = event_loop.call_soon(|| EventLoop::new().run_until_idle());
    let broken = event_loop.run_until_complete(call).unwrap_err();
    assert!(broken.to_string().contains("already runs on this thread"), "{broken}");
    event_loop.run_until_complete(async {});
}

/// Each of the functions that need a running loop, and its name.
fn need_a_loop() -> Vec<(&'static str, String)> {
    vec![
        ("current", panic_of(deferral::current)),
        ("spawn", panic_of(|| spawn(async {}))),
        ("sleep", panic_of(|| sleep(Duration::ZERO))),
        ("timeout", panic_of(|| timeout(Duration::ZERO, local::Promise::<u32>::resolved(1)))),
        ("into_local", panic_of(|| Promise::<u32>::resolved(1).into_local())),
    ]
}

/// G11: without a running loop, what needs one says so, by name, and tells the remedy: also next to a loop that stands.
#[test]
fn without_a_loop() {
    let check = || {
        for (name, text) in need_a_loop() {
            assert!(text.contains(&format!("`{name}`")), "{text}");
            assert!(text.contains("run_until_complete") && text.contains("Handle"), "{text}");
        }
    };
    check();
    let event_loop = EventLoop::new();
    event_loop.run_until_idle();
    check();
    panic_of(|| event_loop.run_until_complete(async { panic!("out of the run") }));
    check();
    drop(event_loop);
    check();
}

/// G11: what `into_local` refuses is dropped, and its producer told nothing worse than that.
#[test]
fn a_refused_promise_is_detached() {
    let (deferred, promise) = Deferred::<u32>::new();
    panic_of(|| promise.into_local());
    assert_eq!((deferred.state(), deferred.is_wanted()), (State::Pending, false));
    assert!(deferred.resolve(1));
}

/// A promise that has given its outcome.
fn spent() -> Promise<u32> {
    let mut promise = Promise::<u32>::resolved(1);
    assert!(poll_once(&mut promise).is_ready());
    promise
}

/// Y8, G14: after the end, everything that would need the outcome panics with the remedy.
#[test]
fn after_the_end_consumers_panic() {
    let event_loop = EventLoop::new();
    let (target, _kept) = Deferred::<u32>::new();
    let handle = event_loop.handle();
    let texts = [
        panic_of(|| poll_once(&mut spent())),
        panic_of(|| spent().wait()),
        panic_of(|| spent().wait_timeout(Duration::ZERO)),
        panic_of(|| spent().then(Ok)),
        panic_of(|| spent().catch(Err)),
        panic_of(|| spent().map_err(|_| String::new())),
        panic_of(|| spent().forward(target.clone())),
        panic_of(|| when([spent(), spent()])),
        panic_of(|| handle.timeout(Duration::ZERO, spent())),
        panic_of(|| event_loop.run_until_complete(lazy(|_| spent().into_local()))),
    ];
    for text in texts {
        assert!(text.contains("given its outcome already") && text.contains("clone the promise"), "{text}");
    }
    // The loop did not mind, and the refused `forward` left its target alone.
    event_loop.run_until_idle();
    assert_eq!(target.state(), State::Pending);
}

/// Y8, G14: what only looks does not panic after the end: callbacks are dropped unrun, the state stays.
#[test]
fn after_the_end_one_may_look() {
    let mut promise = spent();
    assert!(promise.is_terminated());
    promise = promise.done(|_| panic!("not run")).fail(|_| panic!("not run")).always(|_| panic!("not run"));
    assert_eq!(promise.state(), State::Resolved);
    assert!(promise.peek(|outcome| outcome.is_none()));
    assert!(!promise.cancel());
    assert!(promise.clone().is_terminated());
    assert!(format!("{promise:?}").contains("Resolved"));
}

/// A limit of zero could never start anything.
#[test]
fn a_map_limit_of_zero_is_refused() {
    for items in [vec![1, 2], vec![]] {
        let text = panic_of(|| -> Promise<Vec<u32>, String> { when::map(items, 0, Ok::<u32, String>) });
        assert!(text.contains("limit"), "{text}");
    }
}

/// G11: a task that the loop runs may still look for the loop after one that was refused.
#[test]
fn a_refusal_inside_a_task_hurts_nobody() {
    let event_loop = EventLoop::new();
    let task = event_loop.spawn(async {
        let text = panic_of(|| EventLoop::new().run_until_complete(pending::<()>()));
        spawn(async move { text }).await
    });
    let text = event_loop.run_until_complete(task).unwrap().unwrap();
    assert!(text.contains("already runs"), "{text}");
}
