//! Foreign code that calls back: whatever runs, no lock is held.

// What a thread-safe promise makes `Send`, a local one does not.
#![allow(clippy::arc_with_non_send_sync)]

use std::sync::{Arc, Mutex};
use std::task::Poll;

use super::{Deferred, Promise};
use crate::util::{Count, Log, OnDrop, poll_once, watchdog};
use deferral::{Broken, Progress, State};

/// Does to a promise, through its producer, what a callback can.
fn touch<T: 'static, E: 'static>(deferred: &Deferred<T, E>) {
    let _ = deferred.state();
    let _ = deferred.is_wanted();
    let _ = format!("{deferred:?}");
    // A progress callback that notifies without end would have no end.
    assert!(deferred.state() == State::Pending || !deferred.notify(Progress::default()));
    deferred.done(|_| ()).fail(|_| ()).always(|_| ()).progress(|_| ()).on_cancel(|| ());
    drop(deferred.clone());
}

/// R3, O5, trap 3: a callback added inside a callback of the same promise is appended, not nested.
#[test]
fn callbacks_added_inside_come_last() {
    let log = Log::new();
    let (deferred, promise) = Deferred::<u32>::new();
    let (inner, first, second) = (deferred.clone(), log.clone(), log.clone());
    let _promise = promise
        .done(move |_| {
            first.add("A");
            let entries = first.clone();
            inner.done(move |_| entries.add("C"));
            first.add("a");
        })
        .done(move |_| second.add("B"));
    deferred.resolve(1);
    assert_eq!(log.text(), "A a B C");
}

/// R3: the same on a promise that is settled already, and several levels deep.
#[test]
fn callbacks_added_inside_late_ones_come_last() {
    fn descend(deferred: &Deferred<u32>, depth: u32, log: &Log) {
        let (inner, entries) = (deferred.clone(), log.clone());
        deferred.done(move |_| {
            entries.add(format!("<{depth}"));
            if depth < 3 {
                descend(&inner, depth + 1, &entries);
            }
            entries.add(">");
        });
    }
    let log = Log::new();
    let (deferred, _promise) = Deferred::<u32>::new();
    deferred.resolve(1);
    descend(&deferred, 0, &log);
    assert_eq!(log.text(), "<0 > <1 > <2 > <3 >");
}

/// R4, G7: a `fail` added inside a `done` never runs, and is dropped before the settle returns.
#[test]
fn fail_added_inside_done_is_dropped() {
    let log = Log::new();
    let (deferred, promise) = Deferred::<u32>::new();
    let (inner, entries) = (deferred.clone(), log.clone());
    promise.done(move |_| {
        let guard = OnDrop::new(move || entries.add("dropped"));
        inner.fail(move |_| drop(guard));
    });
    deferred.resolve(1);
    log.add("returned");
    assert_eq!(log.text(), "dropped returned");
}

/// R5, G6: every callback may call every method of its own promise, `Debug` included, whatever the end.
#[test]
fn callbacks_may_touch_their_promise() {
    watchdog(|| {
        type Act = fn(&Deferred<u32, String>, &Promise<u32, String>);
        let acts: [(Act, usize); 3] = [
            // done, always, progress, then
            (|deferred, _| assert!(deferred.resolve(1)), 4),
            // fail, always, progress, catch
            (|deferred, _| assert!(deferred.reject("no".to_owned())), 4),
            // the same and on_cancel
            (|_, promise| assert!(promise.cancel()), 5),
        ];
        for (act, expected) in acts {
            let (deferred, promise) = Deferred::<u32, String>::new();
            let count = Count::new();
            let hook = || {
                let (inner, count) = (deferred.clone(), count.clone());
                move || {
                    touch(&inner);
                    count.add();
                }
            };
            let (done, fail, always, cancel) = (hook(), hook(), hook(), hook());
            let (progress, then, catch) = (hook(), hook(), hook());
            let promise = promise.done(move |_| done()).fail(move |_| fail()).always(move |_| always());
            let promise = promise.progress(move |_| progress());
            deferred.on_cancel(cancel);
            promise.clone().then(move |n| {
                then();
                Ok(n)
            });
            promise.clone().catch(move |text| {
                catch();
                Err(text)
            });
            deferred.notify(Progress::default());
            act(&deferred, &promise);
            assert_eq!(count.get(), expected);
        }
    });
}

/// R5: a callback may look at its promise, cancel it and hang more on it: it is settled, lent, and not to be had by `peek`.
#[test]
fn callbacks_may_use_a_consumer() {
    watchdog(|| {
        let log = Log::new();
        let (deferred, promise) = Deferred::<u32>::new();
        let (inner, entries) = (promise.clone(), log.clone());
        let mut promise = promise.done(move |_| {
            entries.add(inner.peek(|outcome| outcome.is_none()));
            entries.add(inner.cancel());
            entries.add(format!("{:?}", inner.state()));
            let late = entries.clone();
            inner.then(move |n| {
                late.add(format!("then{n}"));
                Ok(())
            });
            entries.add("/");
        });
        deferred.resolve(4);
        assert_eq!(log.text(), "true false Resolved / then4");
        assert!(matches!(poll_once(&mut promise), Poll::Ready(Ok(4))));
    });
}

/// R6: a callback may drop the last handles of its own promise, and those after it run all the same.
#[test]
fn a_callback_may_drop_the_last_handles() {
    let (deferred, promise) = Deferred::<u32>::new();
    let (weak, seen) = (Count::new(), Count::new());
    let (one, two) = (seen.clone(), seen.clone());
    let inner = deferred.clone();
    let promise = promise.done(move |_| {
        drop(inner);
        one.add();
    });
    let handles = Arc::new(Mutex::new(Some(promise)));
    let own = handles.clone();
    let gone = OnDrop::new({
        let weak = weak.clone();
        move || weak.add()
    });
    deferred.done(move |_| drop(own.lock().unwrap().take()));
    deferred.done(move |_| {
        drop(gone);
        two.add();
    });
    deferred.resolve(1);
    assert_eq!((seen.get(), weak.get()), (2, 1));
    assert!(handles.lock().unwrap().is_none());
}

/// Calls back into a promise when it is cloned and when it is dropped.
struct Prying(Arc<Mutex<Option<Deferred<Prying>>>>, Count);

impl Prying {
    fn pry(&self) {
        // Out of its slot while it is used: the slot must not be what deadlocks.
        let deferred = self.0.lock().unwrap().take();
        if let Some(deferred) = deferred {
            touch(&deferred);
            self.1.add();
            *self.0.lock().unwrap() = Some(deferred);
        }
    }
}

impl Clone for Prying {
    fn clone(&self) -> Self {
        self.pry();
        Prying(self.0.clone(), self.1.clone())
    }
}

impl Drop for Prying {
    fn drop(&mut self) {
        self.pry();
    }
}

/// G6, S5, F9, trap 2: a value that calls back into its own promise, from its clone and its drop: in a late settle, in a `then`, in
/// a poll, in a drop of the promise.
#[test]
fn values_may_call_back() {
    watchdog(|| {
        let (deferred, promise) = Deferred::<Prying>::new();
        let (slot, count) = (Arc::new(Mutex::new(Some(deferred.clone()))), Count::new());
        let value = || Prying(slot.clone(), count.clone());
        assert!(deferred.resolve(value()));
        assert!(!deferred.resolve(value()));
        assert_eq!(count.get(), 1, "the drop of the late value");
        let (mut polled, dropped) = (promise.clone(), promise.clone());
        assert!(poll_once(&mut polled).is_ready());
        assert_eq!(count.get(), 3, "a clone and its drop");
        promise.clone().then(|value| {
            drop(value);
            Ok(())
        });
        assert_eq!(count.get(), 5, "another clone and its drop");
        drop(dropped);
        drop(promise);
        assert_eq!(count.get(), 5, "the value is still there for observers");
        let last = slot.lock().unwrap().take();
        drop(deferred);
        drop(last);
        assert_eq!(count.get(), 5, "the value found no producer");
    });
}

/// G6: the same of an error that the library makes.
#[test]
fn the_making_of_an_error_may_call_back() {
    thread_local! {
        static OWN: std::cell::RefCell<Option<Deferred<u32, Made>>> = const { std::cell::RefCell::new(None) };
    }
    #[derive(Debug, PartialEq)]
    struct Made(State);
    impl From<Broken> for Made {
        fn from(_: Broken) -> Self {
            OWN.with_borrow(|own| {
                let own = own.as_ref().expect("the producer");
                touch(own);
                Made(own.state())
            })
        }
    }
    watchdog(|| {
        let (deferred, promise) = Deferred::<u32, Made>::new();
        OWN.set(Some(deferred.clone()));
        let log = Log::new();
        let entries = log.clone();
        let promise = promise.fail(move |error| entries.add(format!("{error:?}")));
        assert!(promise.cancel());
        assert_eq!(log.text(), "Made(Rejected)");
        OWN.set(None);
    });
}

/// G6, trap 2: a callback whose drop cancels its own promise, or settles it.
#[test]
fn drops_of_callbacks_may_call_back() {
    watchdog(|| {
        type Act = fn(&Deferred<u32>, &Promise<u32>) -> bool;
        let acts: [Act; 3] = [
            |deferred, _| deferred.resolve(1),
            |deferred, _| deferred.notify(Progress::default()),
            |_, promise| promise.cancel(),
        ];
        for act in acts {
            let (deferred, promise) = Deferred::<u32>::new();
            let count = Count::new();
            let guard = || {
                let (producer, consumer, count) = (deferred.clone(), promise.clone(), count.clone());
                OnDrop::new(move || {
                    touch(&producer);
                    consumer.cancel();
                    let seen = count.clone();
                    consumer.always(move |_| seen.add()).then(Ok);
                })
            };
            let (done, fail, progress, cancel, then) = (guard(), guard(), guard(), guard(), guard());
            deferred.done(move |_| drop(done)).fail(move |_| drop(fail)).progress(move |_| {
                let _ = &progress;
            });
            deferred.on_cancel(move || drop(cancel));
            let branch = promise.clone().then(move |_| {
                drop(then);
                Ok(())
            });
            assert!(act(&deferred, &promise));
            drop(branch);
            promise.cancel();
            assert_eq!(count.get(), 5);
        }
    });
}

/// P6, G6: a report that calls back when it is replaced.
#[test]
fn drops_of_reports_may_call_back() {
    struct Report(Option<Deferred<u32, Broken, Report>>);
    impl Drop for Report {
        fn drop(&mut self) {
            if let Some(deferred) = self.0.take() {
                deferred.notify(Report(None));
                assert!(deferred.is_wanted());
                deferred.progress(|_| ());
            }
        }
    }
    watchdog(|| {
        for listens in [false, true] {
            let (deferred, promise) = Deferred::<u32, Broken, Report>::with_progress();
            if listens {
                deferred.progress(|_| ());
            }
            for _ in 0..3 {
                assert!(deferred.notify(Report(Some(deferred.clone()))));
            }
            assert!(deferred.resolve(1));
            assert!(!deferred.notify(Report(None)));
            drop(promise);
        }
    });
}

/// G6: `peek` may look from inside `peek`, hang callbacks on, and cancel.
#[test]
fn peek_may_call_back() {
    watchdog(|| {
        let log = Log::new();
        let promise = Promise::<u32>::resolved(3);
        let seen = promise.peek(|outcome| {
            assert!(promise.peek(|inner| inner.is_none()), "it is lent");
            assert!(!promise.cancel());
            let entries = log.clone();
            promise.clone().done(move |n| entries.add(n));
            log.add("/");
            outcome.and_then(|result| result.as_ref().ok().copied())
        });
        assert_eq!((seen, log.text().as_str()), (Some(3), "/ 3"));
    });
}
