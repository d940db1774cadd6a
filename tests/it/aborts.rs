//! Places where a panic, or a second one, would abort the process: each is tried in a process of its own, which has to survive.
//!
//! A test of this file starts the test binary once more, for itself alone and with [`CHILD`] set; in that process it does the deed.

use crate::util::{OnDrop, kind_of, poll, watchdog};
use deferral::{Broken, Deferred, EventLoop};
use std::cell::RefCell;
use std::future::pending;
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any};
use std::process::Command;
use std::sync::{Arc, mpsc};
use std::task::{Wake, Waker};
use std::thread;

const CHILD: &str = "DEFERRAL_CHILD";

/// How a line begins that the child says to its parent.
const SAYS: &str = "child says: ";

fn say(text: &str) {
    // The harness may have begun a line.
    println!("\n{SAYS}{text}");
}

/// Runs `deed` in a child process, which has to end well, to say exactly `expected`, and to report as many `panics` as had no caller
/// to resume in.
#[track_caller]
fn survives(test: &'static str, expected: &[&str], panics: usize, deed: impl FnOnce()) {
    if std::env::var(CHILD).is_ok_and(|child| child == test) {
        return deed();
    }
    let output = watchdog(move || {
        let mut child = Command::new(std::env::current_exe().unwrap());
        child.args([&format!("aborts::{test}"), "--exact", "--nocapture", "--test-threads=1"]);
        child.env(CHILD, test).env("RUST_BACKTRACE", "0").output().unwrap()
    });
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{}\n{stdout}\n{stderr}", output.status);
    let said: Vec<_> = stdout.lines().filter_map(|line| line.strip_prefix(SAYS)).collect();
    assert_eq!(said, expected, "{stderr}");
    if cfg!(debug_assertions) {
        let reported = stderr.lines().filter(|line| line.starts_with("deferral: ")).count();
        assert_eq!(reported, panics, "{stderr}");
    }
}

/// A promise whose abandonment has a panicking callback between two that speak; its producer.
fn bitten() -> Deferred<u32> {
    let (deferred, promise) = Deferred::<u32>::new();
    promise.fail(|_| say("first")).fail(|_| panic!("an observer")).always(|_| say("last"));
    deferred
}

/// Catches what unwinds out of `f`, and says so.
fn catching<R>(f: impl FnOnce() -> R) -> Option<R> {
    let caught = catch_unwind(AssertUnwindSafe(f));
    if caught.is_err() {
        say("unwound");
    }
    caught.ok()
}

async fn hold<T>(_held: T) {
    pending().await
}

/// G9, B1: a drop that is not part of anything else never unwinds.
#[test]
fn an_observer_of_a_dropped_deferred() {
    survives("an_observer_of_a_dropped_deferred", &["first", "last", "end"], 1, || {
        let deferred = bitten();
        catching(|| drop(deferred));
        say("end");
    });
}

/// G9: a `Deferred` inside a task that is canceled on the loop's thread: the panic comes out of `cancel`, if at all, and the task is
/// gone in good order.
#[test]
fn an_observer_in_a_canceled_task() {
    survives("an_observer_in_a_canceled_task", &["first", "last", "unwound", "end"], 0, || {
        let event_loop = EventLoop::new();
        let task = event_loop.spawn(hold(bitten()));
        event_loop.run_until_idle();
        catching(|| task.cancel());
        event_loop.run_until_complete(event_loop.call_soon(|| say("end"))).unwrap();
    });
}

/// G9: the same canceled from another thread: then it is the loop that drops, and the panic is reported.
#[test]
fn an_observer_in_a_task_canceled_from_afar() {
    survives("an_observer_in_a_task_canceled_from_afar", &["canceled", "first", "last", "end"], 1, || {
        let event_loop = EventLoop::new();
        let task = event_loop.handle().spawn(hold(bitten()));
        event_loop.run_until_idle();
        thread::spawn(move || assert!(task.cancel())).join().unwrap();
        say("canceled");
        event_loop.run_until_idle();
        event_loop.run_until_complete(event_loop.call_soon(|| say("end"))).unwrap();
    });
}

/// G9: inside a task that ends, or panics, while it holds the `Deferred`.
#[test]
fn an_observer_in_a_task_that_ends() {
    let expected = ["first", "last", "ended", "first", "last", "Panicked", "end"];
    survives("an_observer_in_a_task_that_ends", &expected, 2, || {
        let event_loop = EventLoop::new();
        let held = bitten();
        let task = event_loop.spawn(async move {
            let _held = held;
            "ended"
        });
        say(event_loop.run_until_complete(task).unwrap());
        let held = bitten();
        let task = event_loop.spawn(async move {
            let _held = held;
            panic!("a task");
        });
        let end: Result<(), Broken> = event_loop.run_until_complete(task);
        say(&format!("{:?}", kind_of(end)));
        say("end");
    });
}

/// G9, K6: in a loop that closes: in a task, a call, a timer, and what another thread has sent.
#[test]
fn an_observer_in_a_closing_loop() {
    let expected = ["first", "last", "first", "last", "first", "last", "first", "last", "end"];
    survives("an_observer_in_a_closing_loop", &expected, 4, || {
        let event_loop = EventLoop::new();
        event_loop.spawn(hold(bitten()));
        event_loop.run_until_idle();
        let (call, timer, sent) = (bitten(), bitten(), bitten());
        event_loop.call_soon(move || drop(call));
        event_loop.call_later(std::time::Duration::MAX, move || drop(timer));
        event_loop.handle().call_soon(move || drop(sent));
        catching(|| drop(event_loop));
        say("end");
    });
}

thread_local! {
    static GUARD: RefCell<Option<OnDrop<Box<dyn FnOnce()>>>> = const { RefCell::new(None) };
}

/// Whether a thread uses promises at all, and if so before or after it has come by the thread-local whose destructor uses them: the
/// order of destructors depends on it.
const USES: [[bool; 2]; 3] = [[false, false], [true, false], [false, true]];

/// Does something in the destructor of a thread-local.
fn as_the_thread_ends([before, after]: [bool; 2], f: impl FnOnce() + Send + 'static) {
    let use_promises = |used: bool| {
        if used {
            let event_loop = EventLoop::new();
            let next = event_loop.call_soon(|| 1).then(|n| Ok(n + 1));
            assert_eq!(event_loop.run_until_complete(next).unwrap(), 2);
        }
    };
    let thread = thread::spawn(move || {
        use_promises(before);
        GUARD.set(Some(OnDrop::new(Box::new(f))));
        use_promises(after);
    });
    thread.join().unwrap();
}

/// G9, B5: in the destructor of a thread-local a `Deferred` is dropped whose observer panics.
#[test]
fn an_observer_in_a_thread_locals_destructor() {
    let expected = ["first", "last", "first", "last", "first", "last", "end"];
    survives("an_observer_in_a_thread_locals_destructor", &expected, 3, || {
        for used in USES {
            let deferred = bitten();
            as_the_thread_ends(used, move || drop(deferred));
        }
        say("end");
    });
}

/// Design 3, the trampoline: in the destructor of a thread-local one may settle, notify, chain, cancel and nest, however deep.
#[test]
fn a_thread_locals_destructor_settles() {
    let expected = ["1 of progress", "settled", "chained", "canceled", "LoopClosed", "end"];
    survives("a_thread_locals_destructor_settles", &expected.repeat(3), 0, || {
        for used in USES {
            let (deferred, promise) = Deferred::<u32, Broken, u32>::with_progress();
            promise.progress(|n| say(&format!("{n} of progress"))).done(|_| say("settled")).then(|n| {
                say("chained");
                Ok(n)
            });
            let (producer, canceled) = Deferred::<u32>::new();
            producer.on_cancel(|| say("canceled"));
            let handle = EventLoop::new().handle();
            as_the_thread_ends(used, move || {
                deferred.notify(1);
                deferred.resolve(1);
                canceled.cancel();
                drop(producer);
                handle.call_soon(|| ()).fail(|broken| say(&format!("{:?}", broken.kind())));
                let (first, mut last) = Deferred::<u32>::new();
                for _ in 0..1_000 {
                    let (next, promise) = Deferred::<u32>::new();
                    last.done(move |n| assert!(next.resolve(n + 1)));
                    last = promise;
                }
                first.resolve(0);
                assert_eq!(last.wait().unwrap(), 1_000);
            });
            say("end");
        }
    });
}

/// Design 3: a whole loop runs, and closes, in the destructor of a thread-local.
#[test]
fn a_loop_in_a_thread_locals_destructor() {
    let expected = ["ran", "first", "last", "end"];
    survives("a_loop_in_a_thread_locals_destructor", &expected.repeat(3), 3, || {
        for used in USES {
            as_the_thread_ends(used, || {
                let event_loop = EventLoop::new();
                event_loop.spawn(hold(bitten()));
                event_loop.run_until_complete(event_loop.spawn(async { say("ran") })).unwrap();
            });
            say("end");
        }
    });
}

/// A panic's payload whose destructor panics.
struct Bites;

impl Drop for Bites {
    fn drop(&mut self) {
        panic!("a payload's destructor");
    }
}

/// A waker that says so and panics.
struct PanickingWaker;

impl Wake for PanickingWaker {
    fn wake(self: Arc<Self>) {
        say("woken");
        panic!("a waker");
    }
}

/// Trap 25, B5, F6, F8: a thread unwinds while it holds a `Deferred`; an observer of the abandonment panics, with a payload whose
/// destructor panics; a waker panics in `wake`. The thread ends by its own panic alone, and everybody else is served.
#[test]
fn everything_bites_while_a_thread_unwinds() {
    let expected = ["first", "second", "woken", "awaited Abandoned", "chained Abandoned", "waited Abandoned", "joined"];
    survives("everything_bites_while_a_thread_unwinds", &expected, 3, || {
        let (deferred, promise) = Deferred::<u32>::new();
        let promise = promise.fail(|_| say("first")).fail(|_| panic_any(Bites)).fail(|_| panic!("an observer"));
        let mut promise = promise.always(|_| say("second"));
        let (chained, waited) = (promise.clone(), promise.clone());
        assert!(poll(&mut promise, &Waker::from(Arc::new(PanickingWaker))).is_pending());
        let chained = chained.then(Ok);
        let thread = thread::spawn(move || {
            let _deferred = deferred;
            panic!("the original panic");
        });
        let payload = thread.join().unwrap_err();
        assert_eq!(payload.downcast_ref::<&str>(), Some(&"the original panic"));
        for (name, promise) in [("awaited", promise), ("chained", chained), ("waited", waited)] {
            say(&format!("{name} {:?}", kind_of(promise.wait())));
        }
        say("joined");
    });
}

/// G9, F6: payloads that bite, out of a task, a call, a `then` and an observer, do not abort and do not stop the loop.
#[test]
fn payloads_that_bite() {
    let expected = ["Panicked", "Panicked", "Panicked", "done", "end"];
    survives("payloads_that_bite", &expected, 1, || {
        let event_loop = EventLoop::new();
        let ends: [deferral::local::Promise<u32>; 3] = [
            event_loop.spawn(async { panic_any(Bites) }),
            event_loop.call_soon(|| panic_any(Bites)),
            event_loop.call_soon(|| 1).then(|_| -> Result<u32, Broken> { panic_any(Bites) }),
        ];
        for end in ends {
            say(&format!("{:?}", kind_of(event_loop.run_until_complete(end))));
        }
        event_loop.call_soon(|| 1).done(|_| panic_any(Bites)).done(|_| say("done"));
        event_loop.run_until_idle();
        say("end");
    });
}

/// K6, K7: a loop is dropped by a thread that unwinds, and all that it owns bites.
#[test]
fn a_loop_that_bites_is_dropped_by_an_unwinding_thread() {
    let expected = ["first", "last", "LoopClosed", "joined"];
    survives("a_loop_that_bites_is_dropped_by_an_unwinding_thread", &expected, 3, || {
        let (give, take) = mpsc::channel();
        let thread = thread::spawn(move || {
            let event_loop = EventLoop::new();
            event_loop.spawn(hold(bitten()));
            event_loop.spawn(hold(OnDrop::new(|| panic!("a task's destructor"))));
            give.send(event_loop.handle().spawn(hold(OnDrop::new(|| panic_any(Bites))))).unwrap();
            event_loop.run_until_complete(async { panic!("the original panic") })
        });
        let task = take.recv().unwrap();
        assert!(thread.join().is_err());
        say(&format!("{:?}", kind_of(task.wait())));
        say("joined");
    });
}
