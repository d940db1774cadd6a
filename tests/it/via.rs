//! `via`: callbacks and continuations in turns of a loop. Where and when they run; how it ends stands in `via_ends`.

use crate::util::{CloneBomb, Log, OnDrop, kind_of, panic_of, poll_once, watchdog, with_loop};
use deferral::{Broken, BrokenKind, Deferred, EventLoop, Promise, State, when};
use futures::future::lazy;
use std::sync::mpsc;
use std::thread::{self, ThreadId};
use std::time::Duration;

type Numbered = (Deferred<u32, Broken, u32>, Promise<u32, Broken, u32>);

/// Runs `f` on another thread and waits for it.
fn elsewhere<R: Send + 'static>(f: impl FnOnce() -> R + Send + 'static) -> R {
    thread::spawn(f).join().unwrap()
}

/// What a callback of any kind does to tell where it runs.
fn tell(give: &mpsc::Sender<ThreadId>) -> impl Fn() + Send + 'static {
    let give = give.clone();
    move || give.send(thread::current().id()).unwrap()
}

/// T7, G4: callbacks and continuations of every kind run on the loop's thread, also those of a rejection.
#[test]
fn callbacks_run_on_the_thread_of_the_loop() {
    watchdog(|| {
        with_loop(|handle, id| {
            let (give, take) = mpsc::channel();
            let (deferred, promise): Numbered = Deferred::with_progress();
            let [a, b, c, d] = std::array::from_fn(|_| tell(&give));
            let chain = promise.via(&handle).progress(move |_| a()).done(move |_| b()).always(move |_| c());
            let chain = chain.then(move |n| {
                d();
                Ok(n + 1)
            });
            assert!(deferred.notify(1) && deferred.resolve(2));
            assert_eq!(chain.wait().unwrap(), 3);
            let (deferred, promise) = Deferred::<u32>::new();
            let [a, b, c] = std::array::from_fn(|_| tell(&give));
            let chain = promise.via(&handle).fail(move |_| a()).catch(move |broken| {
                b();
                Err(broken)
            });
            let chain = chain.map_err(move |broken| {
                c();
                broken.to_string()
            });
            drop(deferred);
            assert!(chain.wait().unwrap_err().contains("was abandoned"));
            assert!((0..7).all(|_| take.recv() == Ok(id)));
        });
    });
}

/// T7, G4: so do those that another thread registers when the promise is settled already.
#[test]
fn late_callbacks_run_on_the_thread_of_the_loop() {
    watchdog(|| {
        with_loop(|handle, id| {
            let (give, take) = mpsc::channel();
            let (deferred, promise): Numbered = Deferred::with_progress();
            let promise = promise.via(&handle);
            assert!(deferred.notify(1) && deferred.resolve(2));
            assert_eq!(promise.clone().wait().unwrap(), 2);
            let [a, b, c, d, e, f] = std::array::from_fn(|_| tell(&give));
            // What a continuation makes is settled only when its callback is registered, too.
            let (open, opened) = mpsc::channel::<()>();
            handle.call_soon(move || opened.recv().is_ok());
            let promise = promise.progress(move |_| a()).done(move |_| b()).always(move |_| c());
            let (next, followed) = Deferred::<u32>::new();
            drop(followed.done(move |_| d()));
            promise.clone().forward(next);
            drop(when([promise.clone()]).done(move |_| e()));
            let sum = promise.then(move |n| {
                f();
                Ok(n + 1)
            });
            open.send(()).unwrap();
            assert_eq!(sum.wait().unwrap(), 3);
            assert!((0..6).all(|_| take.recv() == Ok(id)));
        });
    });
}

/// T2, T3, trap 17, G4: nothing runs inside the call that brings it about, also on the loop's own thread in the middle of a turn: a
/// settle, a report, a registration, a cancel, or `via` itself.
#[test]
fn nothing_runs_inside_the_call() {
    let (event_loop, log) = (EventLoop::new(), Log::new());
    let handle = event_loop.handle();
    fn step<R>(event_loop: &EventLoop, log: &Log, name: &'static str, act: impl FnOnce() -> R + 'static) {
        let (before, after) = (log.entry(name), log.entry("returned"));
        event_loop.call_soon(move || {
            before();
            act();
            after();
        });
        event_loop.run_until_idle();
    }
    let (deferred, promise): Numbered = Deferred::with_progress();
    let (reports, values) = (log.clone(), log.clone());
    let promise = promise.via(&handle).progress(move |n| reports.add(n)).done(move |n| values.add(n));
    let producer = deferred.clone();
    step(&event_loop, &log, "notify", move || producer.notify(1));
    step(&event_loop, &log, "resolve", move || deferred.resolve(2));
    let (kept, entry) = (promise.clone(), log.entry("late"));
    step(&event_loop, &log, "done", move || promise.done(|_| entry()));
    let entry = log.entry("chained");
    step(&event_loop, &log, "then", move || {
        kept.then(|n| {
            entry();
            Ok(n)
        })
    });
    let (next, followed) = Deferred::<u32>::new();
    let (entry, at_rest) = (log.entry("followed"), Promise::<u32>::resolved(3).via(&handle));
    drop(followed.done(move |_| entry()));
    event_loop.run_until_idle();
    let (kept, entry) = (at_rest.clone(), log.entry("gathered"));
    step(&event_loop, &log, "forward", move || at_rest.forward(next));
    step(&event_loop, &log, "when", move || when([kept]).done(|_| entry()));
    let (entry, to) = (log.entry("settled"), handle.clone());
    step(&event_loop, &log, "via", move || Promise::<u32>::resolved(1).via(&to).done(|_| entry()));
    let (_deferred, promise) = Deferred::<u32>::new();
    let (entry, promise) = (log.entry("canceled"), promise.via(&handle));
    step(&event_loop, &log, "cancel", move || promise.fail(|_| entry()).cancel());
    let expected = "notify returned 1 resolve returned 2 done returned late then returned chained forward returned followed \
                    when returned gathered via returned settled cancel returned canceled";
    assert_eq!(log.text(), expected);
}

/// G4: in settle order, not in the order of `via`, also before the loop has run for the first time, and whichever threads settle.
#[test]
fn in_settle_order() {
    const ORDER: [usize; 8] = [5, 2, 7, 0, 6, 1, 4, 3];
    watchdog(|| {
        for stands in [true, false] {
            let (event_loop, log) = (EventLoop::new(), Log::new());
            let handle = event_loop.handle();
            let (deferreds, promises): (Vec<_>, Vec<_>) = (0..ORDER.len()).map(|_| Deferred::<usize>::new()).unzip();
            for promise in promises {
                let entries = log.clone();
                drop(promise.via(&handle).done(move |n| entries.add(n)));
            }
            let settle = move || {
                for (turn, n) in ORDER.into_iter().enumerate() {
                    let deferred = deferreds[n].clone();
                    if turn % 3 == 1 {
                        deferred.resolve(n);
                    } else {
                        elsewhere(move || deferred.resolve(n));
                    }
                }
            };
            if stands {
                settle();
                event_loop.run_until_idle();
            } else {
                event_loop.run_until_complete(event_loop.call_soon(settle)).unwrap();
                event_loop.run_until_idle();
            }
            assert_eq!(log.text(), ORDER.map(|n| n.to_string()).join(" "), "stands: {stands}");
        }
    });
}

/// G4: so it is with what is settled while the loop receives what others sent, here by a destructor.
#[test]
fn in_settle_order_while_it_receives() {
    watchdog(|| {
        let (event_loop, log) = (EventLoop::new(), Log::new());
        let way = |name: &'static str| {
            let (deferred, promise) = Deferred::<u32>::new();
            let entry = log.entry(name);
            drop(promise.via(&event_loop.handle()).done(move |_| entry()));
            deferred
        };
        let (first, second) = (way("first"), way("second"));
        let guard = OnDrop::new(move || assert!(second.resolve(2)));
        let task = event_loop.handle().spawn(async move {
            let _guard = guard;
            std::future::pending::<()>().await
        });
        event_loop.run_until_idle();
        elsewhere(move || assert!(task.cancel() && first.resolve(1)));
        event_loop.run_until_idle();
        assert_eq!(log.text(), "first second");
    });
}

/// G4: a callback that is registered late, and is behind in the queue, does not hold back the settle before it.
#[test]
fn a_late_listener_does_not_change_the_settle_order() {
    let (event_loop, log) = (EventLoop::new(), Log::new());
    let (first, a): Numbered = Deferred::with_progress();
    let (second, b) = Deferred::<u32>::new();
    let (in_a, in_b, late) = (log.clone(), log.clone(), log.clone());
    let a = a.via(&event_loop.handle()).done(move |n| in_a.add(n));
    drop(b.via(&event_loop.handle()).done(move |n| in_b.add(n)));
    first.notify(7);
    event_loop.run_until_idle();
    first.resolve(1);
    second.resolve(2);
    drop(a.progress(move |n| late.add(n)));
    event_loop.run_until_idle();
    assert_eq!(log.text(), "7 1 2");
}

/// G4, G11: a settle takes its place among the calls of the thread that settles.
#[test]
fn each_settle_has_its_place_among_the_calls() {
    watchdog(|| {
        let (event_loop, log) = (EventLoop::new(), Log::new());
        let handle = event_loop.handle();
        let settle = |name: &'static str| {
            let (deferred, promise) = Deferred::<u32>::new();
            let (before, entry, after) = (log.entry(format!("{name}:before")), log.entry(name), log.entry("after"));
            drop(promise.via(&handle).done(move |_| entry()));
            let handle = handle.clone();
            move || {
                handle.call_soon(before);
                deferred.resolve(1);
                handle.call_soon(after);
            }
        };
        settle("standing")();
        event_loop.run_until_idle();
        event_loop.call_soon(settle("running"));
        event_loop.run_until_idle();
        elsewhere(settle("elsewhere"));
        event_loop.run_until_idle();
        let one = |name| format!("{name}:before {name} after");
        assert_eq!(log.text(), ["standing", "running", "elsewhere"].map(one).join(" "));
    });
}

/// P12, G4: reports of another thread pass in order and without a gap, all of them before the outcome.
#[test]
fn progress_passes_in_order_before_the_outcome() {
    const REPORTS: u32 = 10_000;
    watchdog(|| {
        with_loop(|handle, _| {
            let (deferred, promise): Numbered = Deferred::with_progress();
            let (give, take) = mpsc::channel();
            let end = give.clone();
            let promise = promise.via(&handle).progress(move |n| give.send(*n).unwrap());
            let promise = promise.done(move |_| end.send(0).unwrap());
            (1..=REPORTS).for_each(|n| assert!(deferred.notify(n)));
            assert!(deferred.resolve(0) && !deferred.notify(0));
            drop(promise);
            assert!(take.iter().eq((1..=REPORTS).chain([0])));
        });
    });
}

/// P12, G4: a report of another thread that waits to be received is not overtaken by the settle of the loop's own.
#[test]
fn the_outcome_does_not_overtake_progress() {
    watchdog(|| {
        let (event_loop, log) = (EventLoop::new(), Log::new());
        let (deferred, promise): Numbered = Deferred::with_progress();
        let (reports, values) = (log.clone(), log.clone());
        drop(promise.via(&event_loop.handle()).progress(move |n| reports.add(n)).done(move |n| values.add(n)));
        event_loop.call_soon(move || {
            let producer = deferred.clone();
            elsewhere(move || (1..=3).for_each(|n| assert!(producer.notify(n))));
            deferred.notify(4);
            deferred.resolve(5);
        });
        event_loop.run_until_idle();
        assert_eq!(log.text(), "1 2 3 4 5");
    });
}

/// P4: a late `progress` is told the last report, before and after the settle; `via` brings along what was reported before it.
#[test]
fn a_late_listener_is_told_the_last_report() {
    let (event_loop, log) = (EventLoop::new(), Log::new());
    let (deferred, promise): Numbered = Deferred::with_progress();
    (1..=3).for_each(|n| assert!(deferred.notify(n)));
    let listen = |name: &'static str| {
        let entries = log.clone();
        move |n: &u32| entries.add(format!("{name}:{n}"))
    };
    let promise = promise.via(&event_loop.handle()).progress(listen("early"));
    event_loop.run_until_idle();
    let promise = promise.progress(listen("late"));
    event_loop.run_until_idle();
    deferred.notify(4);
    deferred.resolve(9);
    event_loop.run_until_idle();
    drop(promise.progress(listen("settled")));
    event_loop.run_until_idle();
    assert_eq!(log.text(), "early:3 late:3 early:4 late:4 settled:4");
}

/// R3, O5, trap 3: what a callback in a turn registers on its own promise runs in that turn, after those that were there.
#[test]
fn a_callback_registers_another() {
    let (event_loop, log) = (EventLoop::new(), Log::new());
    let (deferred, promise) = Deferred::<u32>::new();
    let promise = promise.via(&event_loop.handle());
    let (own, entries, last) = (promise.clone(), log.clone(), log.entry("B"));
    let inner = log.entry("C");
    let promise = promise.done(move |_| {
        entries.add("A");
        drop(own.done(|_| inner()));
        entries.add("a");
    });
    drop(promise.done(move |_| last()));
    deferred.resolve(1);
    event_loop.handle().stop();
    event_loop.run_forever(); // one turn
    assert_eq!(log.text(), "A a B C");
}

/// G12: whoever only waits is served on any thread, also where the loop stands and the promise has no callbacks.
#[test]
fn the_outcome_is_there_for_any_thread() {
    watchdog(|| {
        let event_loop = EventLoop::new();
        let (deferred, promise) = Deferred::<u32>::new();
        let mut promise = promise.via(&event_loop.handle());
        deferred.resolve(1);
        assert!(poll_once(&mut promise).is_pending());
        event_loop.run_until_idle();
        let mut copy = promise.clone();
        assert!(promise.peek(|outcome| matches!(outcome, Some(Ok(1)))));
        assert_eq!(elsewhere(move || futures::executor::block_on(&mut copy)).unwrap(), 1);
        assert_eq!(elsewhere(move || promise.wait()).unwrap(), 1);
    });
}

/// G3: callbacks first: while one waits for its turn, `peek` gives nothing, and who waits is woken after it.
#[test]
fn the_outcome_waits_for_the_callbacks() {
    watchdog(|| {
        let (event_loop, log) = (EventLoop::new(), Log::new());
        let promise = Promise::<u32>::resolved(1).via(&event_loop.handle());
        event_loop.run_until_idle();
        let entry = log.entry("seen");
        let promise = promise.done(move |_| entry());
        assert!(promise.peek(|outcome| outcome.is_none()));
        assert_eq!(promise.state(), State::Resolved);
        let (copy, entries) = (promise.clone(), log.clone());
        let waiter = thread::spawn(move || {
            let value = copy.wait().unwrap();
            entries.add("awaited");
            value
        });
        assert_eq!(event_loop.run_until_complete(promise).unwrap(), 1);
        assert_eq!(waiter.join().unwrap(), 1);
        assert_eq!(log.text(), "seen awaited");
    });
}

/// G11: a loop's thread must not block on what a turn has yet to do; the message says so.
#[test]
fn a_running_loop_refuses_to_wait_for_its_own_turn() {
    watchdog(|| {
        EventLoop::new().run_until_complete(async {
            let promise = Promise::<u32>::resolved(1).via(&deferral::current());
            assert_eq!(promise.clone().await.unwrap(), 1);
            let text = panic_of(|| promise.done(|_| ()).wait());
            assert!(text.contains("running event loop") && text.contains("`then`"), "{text}");
        });
    });
}

/// G3: the value itself passes when nobody else wants it, and each clone of the source goes via its own way.
#[test]
fn the_value_itself_passes() {
    struct Unique(u32);
    let (event_loop, log) = (EventLoop::new(), Log::new());
    let (deferred, promise) = Deferred::<Unique>::new();
    let promise = promise.via(&event_loop.handle());
    deferred.resolve(Unique(7));
    assert_eq!(event_loop.run_until_complete(promise).unwrap().0, 7);
    let (deferred, promise) = Deferred::<u32>::new();
    for name in ["a", "b"] {
        let entries = log.clone();
        drop(promise.clone().via(&event_loop.handle()).done(move |n| entries.add(format!("{name}{n}"))));
    }
    deferred.resolve(1);
    event_loop.run_until_idle();
    assert_eq!((log.text().as_str(), promise.wait().unwrap()), ("a1 b1", 1));
}

/// G9: a value whose clone panics on its way is an end of kind `Panicked`; who else consumes the source gets the value itself.
#[test]
fn a_value_that_cannot_be_cloned_on_its_way() {
    let event_loop = EventLoop::new();
    let (deferred, promise) = Deferred::<CloneBomb>::new();
    let passed = promise.clone().via(&event_loop.handle());
    deferred.resolve(CloneBomb);
    assert_eq!(kind_of(event_loop.run_until_complete(passed)), BrokenKind::Panicked);
    assert!(promise.wait().is_ok());
}

/// B1: errors and abandonment pass as they are; the origin of an abandonment is the source's.
#[test]
fn errors_pass() {
    let event_loop = EventLoop::new();
    let failed = Promise::<u32, String>::rejected("no".to_owned()).via(&event_loop.handle());
    assert_eq!(event_loop.run_until_complete(failed).unwrap_err(), "no");
    let line = line!() + 1;
    let (deferred, promise) = Deferred::<u32>::new();
    let promise = promise.via(&event_loop.handle());
    drop(deferred);
    let broken = event_loop.run_until_complete(promise).unwrap_err();
    assert_eq!((broken.kind(), broken.origin().line()), (BrokenKind::Abandoned, line));
}

/// T7: from one loop to another, and to the same once more: each adds its turns, and the callbacks of each run on its own thread.
#[test]
fn from_loop_to_loop() {
    watchdog(|| {
        with_loop(|a, id| {
            let event_loop = EventLoop::new();
            let (give, take) = mpsc::channel();
            let (first, second) = (tell(&give), tell(&give));
            let (deferred, promise) = Deferred::<u32>::new();
            let promise = promise.via(&a).done(move |_| first()).via(&event_loop.handle()).done(move |_| second());
            deferred.resolve(1);
            assert_eq!(event_loop.run_until_complete(promise.via(&event_loop.handle())).unwrap(), 1);
            assert_eq!([take.recv(), take.recv()], [Ok(id), Ok(thread::current().id())]);
        });
    });
}

/// Composed: a promise that goes via a loop is brought there, gathered, and given time, like any other.
#[test]
fn it_composes() {
    watchdog(|| {
        let event_loop = EventLoop::with_virtual_clock();
        let handle = event_loop.handle();
        let via = |n: u32| Promise::<u32>::resolved(n).via(&handle);
        let local = event_loop.run_until_complete(lazy(|_| via(1).into_local()));
        assert_eq!(event_loop.run_until_complete(local).unwrap(), 1);
        assert_eq!(event_loop.run_until_complete(when((via(2), via(3)))).unwrap(), (2, 3));
        let settled = via(4);
        event_loop.run_until_idle();
        let began = handle.now();
        assert_eq!(event_loop.run_until_complete(handle.timeout(Duration::ZERO, settled)).unwrap(), 4);
        assert_eq!(event_loop.run_until_complete(handle.timeout(Duration::from_secs(1), via(5))).unwrap(), 5);
        event_loop.run_until_idle();
        assert_eq!(handle.now(), began);
        let inner = Promise::<u32>::resolved(6).then({
            let handle = handle.clone();
            move |n| Promise::resolved(n + 1).via(&handle)
        });
        assert_eq!(event_loop.run_until_complete(inner).unwrap(), 7);
    });
}

/// G8, C9: a ring through a loop is found.
#[test]
fn a_ring_through_a_loop_is_broken() {
    let event_loop = EventLoop::new();
    let (deferred, promise) = Deferred::<u32>::new();
    let kept = promise.clone();
    promise.via(&event_loop.handle()).forward(deferred);
    assert_eq!(kind_of(kept.wait()), BrokenKind::Cycle);
}

/// G14: a promise that has given its outcome goes nowhere; the message tells the remedy.
#[test]
fn a_spent_promise_goes_nowhere() {
    let event_loop = EventLoop::new();
    let mut promise = Promise::<u32>::resolved(1);
    assert!(poll_once(&mut promise).is_ready());
    let text = panic_of(|| promise.via(&event_loop.handle()));
    assert!(text.contains("clone the promise before awaiting it"), "{text}");
}

/// G7: what a callback captured is dropped as soon as it has run, or can no longer run.
#[test]
fn captures_go_with_their_callbacks() {
    let (event_loop, log) = (EventLoop::new(), Log::new());
    let (deferred, promise) = Deferred::<u32>::new();
    let [ran, skipped, listened] = ["ran", "skipped", "listened"].map(|name| OnDrop::new(log.entry(name)));
    let promise = promise.via(&event_loop.handle()).progress(move |_| {
        let _ = &listened;
    });
    let promise = promise.fail(move |_| drop(skipped)).done(move |_| drop(ran));
    deferred.resolve(1);
    assert_eq!(log.text(), "");
    event_loop.run_until_idle();
    assert_eq!(log.text(), "listened skipped ran");
    drop(promise);
}
