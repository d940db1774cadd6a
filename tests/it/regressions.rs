//! What once went wrong, or nearly did, where threads meet or the threaded flavor alone can go.

use crate::util::{Count, Log, OnDrop, kind_of, poll, poll_once, small_stack, watchdog};
use deferral::{BrokenKind, Deferred, Progress, Promise, State, when};
use std::cell::RefCell;
use std::process::Command;
use std::sync::{Arc, Barrier, Mutex, mpsc};
use std::task::{Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

/// A promise that somebody takes out.
type Slot<T> = Arc<Mutex<Option<Promise<T>>>>;

/// Runs both at the same moment, the first on a thread of its own.
fn at_once(f: impl FnOnce() + Send + 'static, g: impl FnOnce()) {
    let start = Arc::new(Barrier::new(2));
    let other = start.clone();
    let thread = thread::spawn(move || {
        other.wait();
        f();
    });
    start.wait();
    g();
    thread.join().unwrap();
}

/// A waker that does nothing but own something.
struct Owner<X>(X);

impl<X: Send + Sync + 'static> Owner<X> {
    fn waker(owned: X) -> Waker {
        Waker::from(Arc::new(Owner(owned)))
    }
}

impl<X: Send + Sync> Wake for Owner<X> {
    fn wake(self: Arc<Self>) {}
}

/// G1, W13: an `any` with a value is resolved, also when the error of the other input arrives at the same moment.
#[test]
fn any_with_a_value_is_never_rejected() {
    watchdog(|| {
        for round in 0..2_000 {
            let (resolved, a) = Deferred::<u32, String>::new();
            let (rejected, b) = Deferred::<u32, String>::new();
            let any = when::any([a, b]);
            let resolve = move || assert!(resolved.resolve(1));
            // Too late if the `any` has canceled it.
            let reject = || _ = rejected.reject("no".to_owned());
            at_once(resolve, reject);
            assert_eq!(any.state(), State::Resolved, "round {round}");
        }
    });
}

/// G2, G7: a race whose only input is settled while it is made ends with it.
#[test]
fn a_race_of_one_that_settles_while_it_is_made() {
    watchdog(|| {
        for round in 0..2_000 {
            let (deferred, promise) = Deferred::<u32>::new();
            let settle = move || assert!(deferred.resolve(1));
            at_once(settle, || assert_eq!(when::race([promise]).wait().unwrap(), 1, "round {round}"));
        }
    });
}

/// G6, G8: a `map` canceled while it takes up what its function returned, here by the drop of a waker in that, cancels it, too.
#[test]
fn a_map_canceled_while_it_takes_up_a_promise() {
    watchdog(|| {
        let slot = Slot::<Vec<u32>>::default();
        let (gate, first) = Deferred::<u32>::new();
        let (producer, second) = Deferred::<u32>::new();
        let (mut first, mut second) = (Some(first), Some(second));
        let canceled = slot.clone();
        let mapped = when::map([0, 1], 1, move |n| {
            if n == 0 {
                return first.take().unwrap();
            }
            let mut promise = second.take().unwrap();
            let slot = canceled.clone();
            let cancel = OnDrop::new(move || {
                let mapped = slot.lock().unwrap().take();
                assert!(mapped.unwrap().cancel());
            });
            assert!(poll(&mut promise, &Owner::waker(cancel)).is_pending());
            promise
        });
        *slot.lock().unwrap() = Some(mapped);
        gate.resolve(1);
        assert!(slot.lock().unwrap().is_none(), "the waker was dropped");
        assert_eq!(producer.state(), State::Rejected);
    });
}

/// G5, G11: continuations of one promise that each wait for another, a settled one, do not nest in each other.
#[test]
fn waits_in_a_wide_fan() {
    const WIDTH: usize = 20_000;
    small_stack(|| {
        let (deferred, promise) = Deferred::<u32>::new();
        let waited = Count::new();
        for _ in 0..WIDTH {
            let count = waited.clone();
            promise.clone().then(Ok).done(move |_| {
                assert_eq!(Promise::<u32>::resolved(1).wait().unwrap(), 1);
                count.add();
            });
        }
        drop(promise);
        deferred.resolve(1);
        assert_eq!(waited.get(), WIDTH);
    });
}

/// G5, G11: nor do those that wait in vain for a pending one, and so run what comes after them each time.
#[test]
fn waits_in_vain_in_a_wide_fan() {
    const WIDTH: usize = 20_000;
    small_stack(|| {
        let (deferred, promise) = Deferred::<u32>::new();
        let (_producer, never) = Deferred::<u32>::new();
        let waited = Count::new();
        for _ in 0..WIDTH {
            let (never, count) = (never.clone(), waited.clone());
            promise.clone().then(move |n| {
                assert!(never.wait_timeout(Duration::ZERO).is_err());
                count.add();
                Ok(n)
            });
        }
        drop(promise);
        deferred.resolve(1);
        assert_eq!(waited.get(), WIDTH);
    });
}

/// G9, G5: a thread-local's destructor may settle, also if it goes on to a `then` and to callbacks that chain in their turn.
#[test]
fn a_destructor_of_a_thread_local_settles_a_chain() {
    struct OnExit(RefCell<Option<Deferred<u32>>>);
    impl Drop for OnExit {
        fn drop(&mut self) {
            if let Some(deferred) = self.0.take() {
                assert!(deferred.resolve(5));
            }
        }
    }
    thread_local! {
        static ON_EXIT: OnExit = const { OnExit(RefCell::new(None)) };
    }
    let log = Log::new();
    let entries = log.clone();
    let thread = thread::spawn(move || {
        let (deferred, promise) = Deferred::<u32>::new();
        promise.then(|n| Ok(n + 1)).done(move |n| {
            let nested = entries.entry("nested");
            Promise::<u32>::resolved(*n).then(Ok).done(move |_| nested());
            entries.add(n);
        });
        ON_EXIT.with(|on_exit| on_exit.0.replace(Some(deferred)));
    });
    thread.join().unwrap();
    assert_eq!(log.text(), "nested 6");
}

/// G5: parked wakers that own the promise in which the next one is parked, as tasks do, are dropped without a deep stack.
#[test]
fn wakers_that_own_promises() {
    const DEPTH: usize = 100_000;
    small_stack(|| {
        let mut producers = Vec::new();
        let mut waker = Waker::noop().clone();
        for _ in 0..DEPTH {
            let (deferred, mut promise) = Deferred::<u32>::new();
            producers.push(deferred);
            assert!(poll(&mut promise, &waker).is_pending());
            waker = Owner::waker(Mutex::new(promise));
        }
        assert!(producers.iter().all(Deferred::is_wanted));
        drop(waker);
        assert!(!producers.iter().any(Deferred::is_wanted));
    });
}

/// G11: a continuation may wait for one that comes after it on the same promise: `wait` runs what is queued on this thread.
#[test]
fn a_then_may_wait_for_its_sibling() {
    let waited = watchdog(|| {
        let (deferred, promise) = Deferred::<u32>::new();
        let slot = Slot::default();
        let sibling = slot.clone();
        let then = promise.clone().then(move |_| {
            let sibling = sibling.lock().unwrap().take();
            sibling.expect("it is put there before").wait()
        });
        *slot.lock().unwrap() = Some(promise.then(|n| Ok(n + 1)));
        deferred.resolve(1);
        then.wait()
    });
    assert_eq!(waited.unwrap(), 2);
}

/// G7: of two threads that close a ring together, at least one finds it: both promises are rejected with kind `Cycle`.
#[test]
fn two_threads_that_close_a_ring() {
    watchdog(|| {
        for round in 0..2_000 {
            let (a, p) = Deferred::<u32>::new();
            let (b, q) = Deferred::<u32>::new();
            let ends = [p.clone(), q.clone()];
            at_once(move || p.forward(b), move || q.forward(a));
            for end in ends {
                assert_ne!(end.state(), State::Pending, "round {round}");
                assert_eq!(kind_of(end.wait()), BrokenKind::Cycle, "round {round}");
            }
        }
    });
}

/// G14: a `then` on a promise that gave its value panics at the line of its caller. A process of its own panics, so that its message
/// can be read.
#[test]
fn a_then_after_the_end_panics_at_its_line() {
    const CHILD: &str = "DEFERRAL_SPENT";
    let mut promise = Promise::<u32>::resolved(1);
    assert!(poll_once(&mut promise).is_ready());
    let line = line!() + 2;
    if std::env::var_os(CHILD).is_some() {
        promise.then(Ok);
    }
    let output = watchdog(|| {
        let mut child = Command::new(std::env::current_exe().unwrap());
        child.args(["regressions::a_then_after_the_end_panics_at_its_line", "--exact", "--nocapture"]);
        child.env(CHILD, "1").output().unwrap()
    });
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.contains(&format!("panicked at {}:{line}:", file!())), "{stderr}");
}

/// G11: the destructor of a continuation that a cancel withdraws may wait for what the canceled source brings about: that is queued
/// before the continuation is dropped.
#[test]
fn a_withdrawn_continuation_finds_its_source_queued() {
    watchdog(|| {
        let (deferred, promise) = Deferred::<u32>::new();
        let (next, followed) = Deferred::<u32>::new();
        deferred.fail(move |_| assert!(next.resolve(1)));
        let log = Log::new();
        let entries = log.clone();
        let guard = OnDrop::new(move || entries.add(followed.wait_timeout(Duration::ZERO).is_ok()));
        let branch = promise.then(move |n| {
            drop(guard);
            Ok(n)
        });
        assert!(branch.cancel());
        assert_eq!(log.text(), "true");
    });
}

/// Settles when it goes.
struct Settles(Deferred<u32>);

impl Wake for Settles {
    fn wake(self: Arc<Self>) {}
}

impl Drop for Settles {
    fn drop(&mut self) {
        self.0.resolve(7);
    }
}

/// A promise that is settled when its waker goes, and was polled by one.
fn settled_with_its_waker() -> Promise<u32> {
    let (deferred, mut promise) = Deferred::<u32>::new();
    let waker = Waker::from(Arc::new(Settles(deferred)));
    assert!(poll(&mut promise, &waker).is_pending());
    promise
}

/// G4: a settle by a source, on a thread that finds another one inside a report, neither waits for that nor overtakes it, nor a report
/// issued in between.
#[test]
fn a_source_settles_while_another_thread_reports() {
    for more in [false, true] {
        let text = watchdog(move || {
            let log = Log::new();
            let (deferred, promise) = Deferred::<u32>::new();
            let (_first, first_source) = Deferred::<u32>::new();
            let (second, second_source) = Deferred::<u32>::new();
            first_source.forward(deferred.clone());
            second_source.forward(deferred.clone());
            let (enter, entered) = mpsc::channel();
            let (leave, left) = mpsc::channel::<()>();
            let (reports, done) = (log.clone(), log.entry("done"));
            let _promise = promise
                .progress(move |report| {
                    let _ = enter.send(());
                    let _ = left.recv();
                    reports.add(report.done);
                })
                .done(move |_| done());
            let notifier = deferred.clone();
            let thread = thread::spawn(move || assert!(notifier.notify(Progress { done: 1, total: 2 })));
            entered.recv().unwrap();
            if more {
                assert!(deferred.notify(Progress { done: 2, total: 2 }));
            }
            assert!(second.resolve(7));
            log.add("settled");
            drop(leave);
            thread.join().unwrap();
            log.text()
        });
        assert_eq!(text, if more { "settled 1 2 done" } else { "settled 1 done" });
    }
}

/// Settled after an aggregate has looked at it and before it is registered there, a promise is not forgotten.
#[test]
fn settled_on_the_way_into_an_aggregate() {
    let all = when([settled_with_its_waker()]);
    assert_eq!(all.state(), State::Resolved);
    assert_eq!(poll_once(&mut { all }).map(Result::ok), Poll::Ready(Some([7])));
}

/// The same on the way to the promise that adopts its outcome.
#[test]
fn settled_on_the_way_to_its_target() {
    let (target, mut promise) = Deferred::<u32>::new();
    settled_with_its_waker().forward(target);
    assert_eq!(poll_once(&mut promise).map(Result::ok), Poll::Ready(Some(7)));
}
