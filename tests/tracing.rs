//! The feature `tracing`: what a subscriber is told, and that it does no harm.

#[allow(dead_code)]
#[path = "it/util.rs"]
mod util;

use std::cell::Cell;
use std::future::pending;
use std::io;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use deferral::{Broken, Deferred, EventLoop, Promise, State, local, sleep, spawn, timeout, when};
use tracing::Level;
use tracing::subscriber::with_default;
use tracing_subscriber::fmt::format::FmtSpan;
use tracing_subscriber::fmt::{MakeWriter, SubscriberBuilder};

use util::{CountingWaker, poll};

/// Lines that a subscriber has written.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(text)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn subscriber() -> SubscriberBuilder {
    SubscriberBuilder::default().with_max_level(Level::DEBUG).with_ansi(false)
}

/// What `f` has this thread's subscriber told, line by line.
fn lines(spans: FmtSpan, f: impl FnOnce()) -> Vec<String> {
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = subscriber().without_time().with_span_events(spans).with_writer(move || writer.clone());
    with_default(subscriber.finish(), f);
    let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    text.lines().map(|line| line.trim().to_owned()).collect()
}

/// The same without the places in this file.
fn told(f: impl FnOnce()) -> Vec<String> {
    let place = concat!("=", file!());
    lines(FmtSpan::NONE, f).iter().map(|line| line.split(place).next().unwrap_or_default().to_owned()).collect()
}

const RESOLVED: &str = "DEBUG deferral: resolved promise";
const REJECTED: &str = "DEBUG deferral: rejected promise";
const CANCELED: &str = "DEBUG deferral: canceled promise";

/// Each settle that wins is told once, whatever waits for it, and one that comes too late is not.
#[test]
fn a_settle_is_told_once() {
    type Wait = fn(Promise<u32, String>) -> Promise<u32, String>;
    let waits: [Wait; 6] = [
        |promise| promise,
        |mut promise| {
            assert!(poll(&mut promise, &CountingWaker::new().1).is_pending());
            promise
        },
        |promise| promise.always(|_| ()),
        |promise| promise.always(|_| ()).always(|_| ()),
        |promise| {
            let mut clone = promise.clone();
            assert!(poll(&mut clone, &CountingWaker::new().1).is_pending());
            std::mem::forget(clone);
            promise
        },
        |promise| promise.progress(|_| ()),
    ];
    for (n, wait) in waits.into_iter().enumerate() {
        let resolved = told(|| {
            let (deferred, promise) = Deferred::new();
            let _promise = wait(promise);
            assert!(deferred.resolve(1) && !deferred.resolve(2));
        });
        assert_eq!(resolved, [RESOLVED], "{n}");
        let rejected = told(|| {
            let (deferred, promise) = Deferred::new();
            let promise = wait(promise);
            assert!(deferred.reject("no".to_owned()) && !deferred.resolve(2));
            promise.fail(|_| ());
        });
        assert_eq!(rejected, [REJECTED], "{n}");
    }
}

/// A chain and an aggregate tell of each promise, in the order in which they settle.
#[test]
fn each_link_is_told() {
    let chain = told(|| {
        let (deferred, promise) = Deferred::<u32, String>::new();
        let end = promise.then(|n| Ok(n + 1)).then(|n| if n > 1 { Err("too much".to_owned()) } else { Ok(n) });
        let end = end.catch(|_| Ok(0));
        deferred.resolve(1);
        assert_eq!(end.state(), State::Resolved);
    });
    assert_eq!(chain, [RESOLVED, RESOLVED, REJECTED, RESOLVED]);
    let observed = told(|| {
        let (deferred, promise) = Deferred::<u32>::new();
        let end = (0..40).fold(promise, |promise, _| promise.then(Ok).done(|_| ()));
        deferred.resolve(1);
        drop(end);
    });
    assert_eq!(observed, [RESOLVED; 41]);
    let forwarded = told(|| {
        let (deferred, promise) = Deferred::<u32>::new();
        let (target, end) = Deferred::new();
        promise.forward(target);
        deferred.resolve(1);
        drop(end);
    });
    assert_eq!(forwarded, [RESOLVED, RESOLVED]);
    let all = told(|| {
        let (deferred, promise) = Deferred::<u32>::new();
        let all = when((promise, Ok(1)));
        deferred.resolve(1);
        drop(all);
    });
    assert_eq!(all, [RESOLVED, RESOLVED]);
}

/// A cancel that wins is told once for each promise that it reaches, also where nothing waits.
#[test]
fn a_cancel_is_told_once() {
    let alone = told(|| {
        let (_deferred, promise) = Deferred::<u32>::new();
        assert!(promise.cancel() && !promise.cancel());
    });
    assert_eq!(alone, [CANCELED]);
    let call = told(|| {
        let event_loop = EventLoop::new();
        assert!(event_loop.call_soon(|| ()).cancel());
        assert!(event_loop.call_soon(|| ()).always(|_| ()).cancel());
    });
    assert_eq!(call, [CANCELED, CANCELED]);
    let chain = told(|| {
        let (_deferred, promise) = Deferred::<u32>::new();
        assert!(promise.then(Ok).then(Ok).cancel());
    });
    assert_eq!(chain, [CANCELED, CANCELED, CANCELED]);
    let loser = told(|| {
        let (_deferred, promise) = Deferred::<u32>::new();
        drop(when::race([promise, Promise::resolved(1)]));
    });
    assert_eq!(loser, [RESOLVED, CANCELED]);
    let not_needed = told(|| {
        let (_deferred, promise) = Deferred::<u32>::new();
        drop(when::race([Promise::resolved(1), promise]));
    });
    assert_eq!(not_needed, [RESOLVED, CANCELED]);
}

/// Other ends that the library makes: those that may be meant at one level, those that are faults at another.
#[test]
fn the_librarys_own_ends_are_told() {
    let abandoned = told(|| {
        let (deferred, promise) = Deferred::<u32>::new();
        let promise = promise.fail(|_| ());
        drop(deferred);
        drop(promise);
    });
    assert_eq!(abandoned, ["WARN deferral: abandoned promise"]);
    let late = told(|| {
        let event_loop = EventLoop::with_virtual_clock();
        let (_deferred, never) = local::Deferred::<u32>::new();
        let second = Duration::from_secs(1);
        assert!(event_loop.run_until_complete(async { timeout(second, never).await }).is_err());
    });
    assert!(late.contains(&"DEBUG deferral: timed out promise".to_owned()), "{late:?}");
    let closed = told(|| {
        let event_loop = EventLoop::new();
        let call = event_loop.call_soon(|| ());
        drop(event_loop);
        drop(call);
    });
    assert_eq!(closed, ["DEBUG deferral: its loop is closed promise"]);
    let panicked = told(|| {
        let (deferred, promise) = Deferred::<u32>::new();
        let end = promise.then(|_| -> Result<u32, Broken> { panic!("on purpose") }).fail(|_| ());
        deferred.resolve(1);
        drop(end);
    });
    assert_eq!(panicked, [RESOLVED, "WARN deferral: panicked promise"]);
    let ring = told(|| {
        let (deferred, promise) = Deferred::<u32>::new();
        let end = deferred.clone();
        promise.fail(|_| ()).forward(end);
    });
    assert_eq!(ring, ["WARN deferral: a cycle promise"]);
    let empty = told(|| drop(when::race(Vec::<Promise<u32>>::new()).fail(|_| ())));
    assert_eq!(empty, ["WARN deferral: nothing to choose from promise"]);
}

/// What nobody handled is an event besides the line on standard error.
#[test]
fn what_nobody_handled_is_told() {
    let rejection = told(|| drop(Promise::<u32, String>::rejected("no disk".to_owned())));
    let [line] = &rejection[..] else { panic!("{rejection:?}") };
    assert!(line.starts_with("WARN deferral: unhandled rejection of the promise made at "), "{line}");
    let panic = told(|| {
        let event_loop = EventLoop::new();
        event_loop.handle().call_soon(|| ()).done(|()| panic!("on purpose"));
        event_loop.run_until_idle();
    });
    assert!(panic.iter().any(|line| line.starts_with("ERROR") && line.contains("on purpose")), "{panic:?}");
}

/// A task's span lies below the one in which it was spawned, is entered for each poll, and closes with the task.
#[test]
fn a_task_is_a_span() {
    let spans = lines(FmtSpan::ENTER | FmtSpan::CLOSE, || {
        let event_loop = EventLoop::with_virtual_clock();
        let outer = event_loop.spawn(async {
            spawn(pending::<()>());
            sleep(Duration::from_secs(1)).await
        });
        event_loop.run_until_idle();
        drop(outer);
        assert!(event_loop.spawn(async {}).cancel());
    });
    let span = |number: u32, what: &str| {
        let is_about = |line: &&String| {
            line.rsplit("task{").next().is_some_and(|last| last.starts_with(&format!("number={number} spawned=tests/")))
        };
        spans.iter().filter(is_about).filter(|line| line.contains(&format!("deferral: {what}"))).count()
    };
    // Once more than it was polled: what the future holds is dropped inside, too.
    assert_eq!((span(0, "enter"), span(0, "close")), (3, 1), "{spans:#?}");
    // With the loop.
    assert_eq!((span(1, "enter"), span(1, "close")), (1, 1), "{spans:#?}");
    assert_eq!((span(2, "enter"), span(2, "close")), (0, 1), "{spans:#?}");
    assert!(spans.iter().any(|line| line.starts_with("DEBUG task{number=0 ") && line.contains("}:task{number=1 ")));
}

/// A subscriber that panics does no harm: all that waits is served.
#[test]
fn a_subscriber_that_panics_is_alone_with_it() {
    struct Panics;
    impl MakeWriter<'_> for Panics {
        type Writer = io::Sink;

        fn make_writer(&self) -> io::Sink {
            panic!("on purpose")
        }
    }
    let seen = Rc::new(Cell::new(0));
    let subscriber = subscriber().without_time().with_span_events(FmtSpan::FULL).with_writer(Panics);
    with_default(subscriber.finish(), || {
        let event_loop = EventLoop::with_virtual_clock();
        let counts = seen.clone();
        let count = move || counts.set(counts.get() + 1);
        event_loop.spawn(async { sleep(Duration::from_secs(1)).await }).done({
            let count = count.clone();
            move |_| count()
        });
        event_loop.call_soon(|| 7).done({
            let count = count.clone();
            move |_| count()
        });
        event_loop.run_until_idle();
        assert!(event_loop.call_soon(|| ()).cancel());
        event_loop.call_soon(|| ()).fail(move |_| count());
    });
    assert_eq!(seen.get(), 3);
}
