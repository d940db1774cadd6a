//! What `Debug` says of the ends and of the loop: state and counts, whatever the values are, and wherever it is asked for.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use deferral::{Broken, Deferred, EventLoop, local};

/// A value without `Debug`.
struct Opaque;

struct Why;

impl From<Broken> for Why {
    fn from(_: Broken) -> Self {
        Why
    }
}

/// G6: both ends say where they stand, in a callback of their own promise, too, and ask nothing of `T` and `E`.
#[test]
fn both_ends_say_where_they_stand() {
    let made = line!() + 1;
    let (deferred, promise) = Deferred::<Opaque, Why>::new();
    let promise = promise.done(|_| ()).always(|_| ());
    let origin = format!("origin: {}:{made}:31", file!());
    assert_eq!(
        format!("{promise:?} {deferred:?}"),
        format!(
            "Promise {{ state: Pending, deferreds: 1, consumers: 1, observers: 2, {origin} }} \
             Deferred {{ state: Pending, deferreds: 1, consumers: 1, observers: 2, {origin} }}"
        )
    );
    let seen = Arc::new(Mutex::new(String::new()));
    let (text, inner) = (seen.clone(), deferred.clone());
    deferred.done(move |_| *text.lock().unwrap() = format!("{inner:?}"));
    deferred.resolve(Opaque);
    assert!(seen.lock().unwrap().starts_with("Deferred { state: Resolved, deferreds: 2, "), "{seen:?}");
    let (deferred, promise) = local::Deferred::<Opaque, Why>::new();
    deferred.reject(Why);
    assert!(
        format!("{promise:?}").starts_with("Promise { state: Rejected, deferreds: 1, consumers: 1, observers: 0, ")
    );
    promise.fail(|_| ());
}

/// G6: a loop says what it has to do, also in the middle of it; a handle whether the loop is gone.
#[test]
fn a_loop_says_what_it_has_to_do() {
    let event_loop = EventLoop::with_virtual_clock();
    let handle = event_loop.handle();
    let seen = handle.clone();
    event_loop.spawn(async move {
        let text = format!("{:?}", deferral::current());
        assert_eq!(text, "Handle { closed: false, sent: 0 }");
        drop(seen);
        std::future::pending::<()>().await;
    });
    event_loop.call_soon(|| ());
    event_loop.call_later(Duration::from_secs(1), || ());
    handle.call_soon(|| ());
    assert_eq!(
        format!("{event_loop:?} {handle:?}"),
        "EventLoop { running: false, tasks: 1, calls: 2, timers: 1, ready: 2, sent: 1 } Handle { closed: false, sent: 1 }"
    );
    event_loop.run_until_idle();
    assert_eq!(
        format!("{event_loop:?}"),
        "EventLoop { running: false, tasks: 1, calls: 0, timers: 0, ready: 0, sent: 0 }"
    );
    event_loop.run_until_complete(async {
        assert!(format!("{event_loop:?}").starts_with("EventLoop { running: true, tasks: 1, "));
    });
    drop(event_loop);
    assert_eq!(format!("{handle:?}"), "Handle { closed: true, sent: 0 }");
}
