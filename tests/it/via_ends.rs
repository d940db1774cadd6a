//! `via`: how it ends. Cancels, panics, loops that go, and races of all of them.

use crate::util::{Count, Counted, Log, OnDrop, kind_of, panic_of, ready, small_stack, watchdog};
use deferral::{Broken, BrokenKind, Deferred, EventLoop, Promise, State, current, when};
use std::future::pending;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;

/// A chain of as many shows what is needed; the optimized build takes the million.
const MANY: u32 = if cfg!(debug_assertions) { 20_000 } else { 1_000_000 };

/// A callback that notes the kind of the end, and where it runs.
fn note(log: &Log, name: &'static str) -> impl FnOnce(&Broken) + Send + 'static {
    let log = log.clone();
    let home = thread::current().id();
    move |broken| {
        let place = if thread::current().id() == home { "here" } else { "elsewhere" };
        log.add(format!("{name}:{:?}:{place}", broken.kind()));
    }
}

/// G8: a cancel, on whatever thread, settles at once and reaches the source at once; callbacks and continuations hear of it in a turn.
#[test]
fn a_cancel_reaches_the_source_at_once() {
    watchdog(|| {
        let (event_loop, log) = (EventLoop::new(), Log::new());
        for received in [false, true] {
            let (deferred, promise) = Deferred::<u32>::new();
            deferred.on_cancel(log.entry("source"));
            let promise = promise.via(&event_loop.handle()).fail(note(&log, "derived"));
            if received {
                event_loop.run_until_idle();
            }
            let chain = promise.clone().catch(|_| Ok(3));
            let entries = log.clone();
            thread::spawn(move || {
                assert!(promise.cancel() && !promise.cancel());
                assert_eq!((promise.state(), deferred.state()), (State::Rejected, State::Rejected));
                entries.add("returned");
            })
            .join()
            .unwrap();
            assert_eq!(chain.state(), State::Pending);
            assert_eq!(event_loop.run_until_complete(chain).unwrap(), 3);
        }
        let once = "source returned derived:Canceled:here";
        assert_eq!(log.text(), format!("{once} {once}"));
    });
}

/// G8, trap 10: so does one that comes up a chain, or from an aggregate that needs it no more; a source that somebody else consumes
/// goes on.
#[test]
fn a_cancel_passes_through() {
    let event_loop = EventLoop::new();
    let source = || {
        let (deferred, promise) = Deferred::<u32>::new();
        (deferred, promise.clone(), promise.via(&event_loop.handle()))
    };
    let (deferred, kept, promise) = source();
    let chain = promise.via(&event_loop.handle()).then(|n| Ok(n + 1)).via(&event_loop.handle());
    assert!(chain.cancel());
    assert_eq!(deferred.state(), State::Pending);
    drop(kept);
    assert_eq!(deferred.state(), State::Pending);
    let (deferred, kept, promise) = source();
    drop(kept);
    let chain = promise.via(&event_loop.handle()).then(|n| Ok(n + 1)).via(&event_loop.handle());
    assert!(chain.cancel());
    assert_eq!(deferred.state(), State::Rejected);
    let (deferred, kept, promise) = source();
    drop(kept);
    assert_eq!(event_loop.run_until_complete(when::race([promise, Promise::resolved(1)])).unwrap(), 1);
    assert_eq!(deferred.state(), State::Rejected);
}

/// G8: neither callbacks that wait for their turn, nor a loop that stands, keep a cancel from the source.
#[test]
fn a_cancel_does_not_wait_for_a_turn() {
    let (event_loop, log) = (EventLoop::new(), Log::new());
    let (deferred, promise) = Deferred::<u32, Broken, u32>::with_progress();
    deferred.on_cancel(log.entry("source"));
    let promise = promise.via(&event_loop.handle());
    deferred.notify(1);
    event_loop.run_until_idle();
    let entries = log.clone();
    let promise = promise.progress(move |n| entries.add(n)).fail(note(&log, "derived"));
    assert!(promise.cancel());
    assert_eq!(log.text(), "source");
    event_loop.run_until_idle();
    assert_eq!(log.text(), "source 1 derived:Canceled:here");
}

/// G8, G12: who merely waits hears of a cancel at once, where no callback comes first: no loop has to run for that.
#[test]
fn a_cancel_wakes_those_who_wait() {
    watchdog(|| {
        let event_loop = EventLoop::new();
        let (_deferred, promise) = Deferred::<u32>::new();
        let promise = promise.via(&event_loop.handle());
        let (copy, began) = (promise.clone(), Arc::new(Barrier::new(2)));
        let meet = began.clone();
        let waiter = thread::spawn(move || {
            meet.wait();
            kind_of(copy.wait())
        });
        began.wait();
        assert!(promise.cancel());
        assert_eq!(waiter.join().unwrap(), BrokenKind::Canceled);
        assert_eq!(kind_of(ready(promise)), BrokenKind::Canceled);
        drop(event_loop);
    });
}

/// G8: canceled by its own progress callback, in the middle of a turn.
#[test]
fn a_cancel_in_its_own_progress_callback() {
    let (event_loop, log) = (EventLoop::new(), Log::new());
    let (deferred, promise) = Deferred::<u32, Broken, u32>::with_progress();
    let promise = promise.via(&event_loop.handle()).fail(note(&log, "derived"));
    let own = promise.clone();
    drop(promise.progress(move |_| assert!(own.cancel())));
    deferred.notify(1);
    event_loop.run_until_idle();
    assert_eq!((log.text().as_str(), deferred.state()), ("derived:Canceled:here", State::Rejected));
}

/// G8: the end of a source that is canceled elsewhere arrives; canceled on the way, the outcome is too late.
#[test]
fn a_cancel_of_the_source_arrives() {
    let event_loop = EventLoop::new();
    let (_deferred, promise) = Deferred::<u32>::new();
    let passed = promise.clone().via(&event_loop.handle());
    assert!(promise.cancel());
    assert_eq!(kind_of(event_loop.run_until_complete(passed)), BrokenKind::Canceled);
    let value = Counted::new();
    let drops = value.drops.clone();
    let passed = Promise::<Counted>::resolved(value).via(&event_loop.handle());
    assert!(passed.cancel());
    event_loop.run_until_idle();
    assert_eq!((kind_of(ready(passed)), drops.get()), (BrokenKind::Canceled, 1));
}

/// G8, K3: a dropped promise detaches: its callbacks run.
#[test]
fn a_dropped_promise_detaches() {
    let (event_loop, count) = (EventLoop::new(), Count::new());
    let (deferred, promise) = Deferred::<u32>::new();
    let (counted, again) = (count.clone(), count.clone());
    drop(promise.via(&event_loop.handle()).done(move |_| counted.add()).then(move |_| {
        again.add();
        Ok(0)
    }));
    event_loop.run_until_idle();
    deferred.resolve(1);
    event_loop.run_until_idle();
    assert_eq!(count.get(), 2);
}

/// G9: callbacks that panic in a turn are reported; whoever settles, notifies, registers or cancels does not feel it, the others are
/// served, and the loop goes on.
#[test]
fn panics_stay_in_the_turn() {
    watchdog(|| {
        let (event_loop, log) = (EventLoop::new(), Log::new());
        let (deferred, promise) = Deferred::<u32, Broken, u32>::with_progress();
        let promise =
            promise.via(&event_loop.handle()).progress(|_| panic!("a listener")).done(|_| panic!("an observer"));
        let (copy, entry) = (promise.clone(), log.entry("done"));
        let promise = promise.done(move |_| entry());
        thread::spawn(move || assert!(deferred.notify(1) && deferred.resolve(2))).join().unwrap();
        let broken = event_loop.run_until_complete(copy.then(|_| -> Result<u32, Broken> { panic!("a continuation") }));
        assert!(broken.unwrap_err().to_string().ends_with("a continuation"));
        let promise = promise.done(|_| panic!("a late observer"));
        event_loop.run_until_idle();
        let entry = log.entry("late");
        drop(promise.done(move |_| entry()));
        let (_deferred, canceled) = Deferred::<u32>::new();
        assert!(canceled.via(&event_loop.handle()).fail(|_| panic!("an observer of a cancel")).cancel());
        assert_eq!(event_loop.run_until_complete(event_loop.call_soon(|| 1)).unwrap(), 1);
        event_loop.run_until_idle();
        assert_eq!(log.text(), "done late");
    });
}

/// G2, G8, T9: if the loop goes first, the promise is `LoopClosed`, on the loop's thread; the source is detached, not canceled, and
/// whoever settles it then notices nothing.
#[test]
fn its_loop_goes_first() {
    watchdog(|| {
        for received in [false, true] {
            let (event_loop, log) = (EventLoop::new(), Log::new());
            let (deferred, promise) = Deferred::<u32>::new();
            deferred.on_cancel(log.entry("source"));
            let kept = promise.clone();
            let derived = promise.via(&event_loop.handle()).fail(note(&log, "derived"));
            let chain = derived.clone().then(|n| Ok(n + 1));
            if received {
                event_loop.run_until_idle();
            }
            drop(event_loop);
            assert_eq!(log.text(), "derived:LoopClosed:here");
            assert_eq!([kind_of(ready(chain)), kind_of(ready(derived))], [BrokenKind::LoopClosed; 2]);
            assert_eq!(deferred.state(), State::Pending);
            thread::spawn(move || assert!(deferred.resolve(1))).join().unwrap();
            assert_eq!(kept.wait().unwrap(), 1);
        }
    });
}

/// G2: an outcome that was on its way to a turn when the loop went is too late, and dropped.
#[test]
fn an_outcome_on_its_way_is_too_late() {
    for received in [false, true] {
        let (event_loop, log, value) = (EventLoop::new(), Log::new(), Counted::new());
        let (deferred, promise) = Deferred::<Counted>::new();
        let drops = value.drops.clone();
        drop(promise.via(&event_loop.handle()).fail(note(&log, "derived")));
        if received {
            event_loop.call_soon(move || deferred.resolve(value));
            event_loop.handle().stop();
            event_loop.run_forever(); // one turn: what it scheduled is left
        } else {
            deferred.resolve(value);
        }
        drop(event_loop);
        assert_eq!((log.text().as_str(), drops.get()), ("derived:LoopClosed:here", 1));
    }
}

/// G3, G4: late callbacks that were on their way to a turn when the loop went run as it closes, on its thread: nothing is lost.
#[test]
fn late_callbacks_on_their_way_run_as_the_loop_closes() {
    watchdog(|| {
        let (event_loop, log) = (EventLoop::new(), Log::new());
        let home = thread::current().id();
        let promise = Promise::<u32>::resolved(1).via(&event_loop.handle());
        event_loop.run_until_idle();
        let (entries, chained) = (log.clone(), log.clone());
        let promise = thread::spawn(move || {
            let promise = promise.done(move |n| {
                assert_eq!(thread::current().id(), home);
                entries.add(n);
            });
            promise.then(move |n| {
                chained.add(format!("then{n}"));
                Ok(n + 1)
            })
        });
        let promise = promise.join().unwrap();
        assert_eq!((log.text().as_str(), promise.state()), ("", State::Pending));
        drop(event_loop);
        assert_eq!((log.text().as_str(), ready(promise).unwrap()), ("1 then1", 2));
    });
}

/// G2, H8: via a loop that is gone it is `LoopClosed` at once, and the source goes on. There are no turns: what is registered runs at
/// once, where it is registered, and a panic of it comes out of that call.
#[test]
fn a_loop_that_is_gone() {
    let log = Log::new();
    let handle = EventLoop::new().handle();
    let (deferred, promise) = Deferred::<u32>::new();
    let derived = promise.clone().via(&handle);
    assert_eq!((derived.state(), deferred.state()), (State::Rejected, State::Pending));
    let derived = derived.fail(note(&log, "derived"));
    assert_eq!(log.text(), "derived:LoopClosed:here");
    let copy = derived.clone();
    assert_eq!(panic_of(|| copy.fail(|_| panic!("an observer"))), "an observer");
    let (fail, entry) = (note(&log, "again"), log.entry("then"));
    let chain = derived.fail(fail).catch(move |_| {
        entry();
        Ok(3)
    });
    assert_eq!(log.text(), "derived:LoopClosed:here again:LoopClosed:here then");
    assert_eq!(ready(chain).unwrap(), 3);
    deferred.resolve(1);
    assert_eq!(promise.wait().unwrap(), 1);
}

/// G3: that is so for a promise that was settled in its time, too: its value stays.
#[test]
fn a_value_outlives_the_loop() {
    let (event_loop, log) = (EventLoop::new(), Log::new());
    let promise = Promise::<u32>::resolved(1).via(&event_loop.handle());
    event_loop.run_until_idle();
    drop(event_loop);
    let entry = log.entry("done");
    let promise = promise.done(move |_| entry());
    assert_eq!((log.text().as_str(), ready(promise).unwrap()), ("done", 1));
}

/// K8, trap 21: destructors of a closing loop may send promises there, settle their sources, and register and cancel on what came of it.
#[test]
fn destructors_use_the_closing_loop() {
    watchdog(|| {
        let (event_loop, log) = (EventLoop::new(), Log::new());
        let handle = event_loop.handle();
        let (deferred, promise) = Deferred::<u32>::new();
        let (_other, canceled) = Deferred::<u32>::new();
        let settled = Promise::<u32>::resolved(7).via(&handle);
        event_loop.run_until_idle();
        let canceled = canceled.via(&handle).fail(note(&log, "canceled"));
        let (entries, late) = (log.clone(), note(&log, "late"));
        let guard = OnDrop::new(move || {
            assert!(canceled.cancel());
            drop(settled.done(move |n| entries.add(n)));
            deferred.resolve(1);
            drop(Promise::<u32>::resolved(2).via(&current()).fail(late));
        });
        drop(promise.via(&event_loop.handle()).fail(note(&log, "source")));
        event_loop.spawn(async move {
            let _guard = guard;
            pending::<()>().await
        });
        event_loop.run_until_idle();
        drop(event_loop);
        assert_eq!(log.text(), "canceled:Canceled:here source:LoopClosed:here 7 late:LoopClosed:here");
    });
}

/// Runs `f` inside so many callbacks. From a certain number on, what it brings about waits for the outermost one to end.
fn nested(depth: u32, f: Box<dyn FnOnce() + Send>) {
    if depth == 0 {
        return f();
    }
    drop(Promise::<u32>::resolved(1).done(move |_| nested(depth - 1, f)));
}

/// G4, G8: a cancel that has won, but has not come to send word, neither keeps its callbacks from the loop's thread when the outcome
/// comes too late or the loop goes, nor runs them itself when it comes to it.
#[test]
fn a_cancel_that_is_slow_to_send_word() {
    watchdog(|| {
        for (depth, settles) in (0..80).map(|n| (n / 2, n % 2 == 1)) {
            let (event_loop, log) = (EventLoop::new(), Log::new());
            let (deferred, promise) = Deferred::<u32>::new();
            let promise = promise.via(&event_loop.handle()).fail(note(&log, "derived"));
            event_loop.run_until_idle();
            let meet = Arc::new(Barrier::new(2));
            let met = meet.clone();
            let thread = thread::spawn(move || {
                let cancel = move || {
                    assert!(promise.cancel());
                    met.wait();
                    met.wait();
                };
                nested(depth, Box::new(cancel));
            });
            meet.wait();
            if settles {
                deferred.resolve(1);
                event_loop.run_until_idle();
                assert_eq!(log.text(), "derived:Canceled:here");
            }
            drop(event_loop);
            assert_eq!(log.text(), "derived:Canceled:here");
            meet.wait();
            thread.join().unwrap();
            assert_eq!(log.text(), "derived:Canceled:here");
        }
    });
}

/// G1, G2, G3, G7: while the loop turns and closes, other threads settle, notify, cancel and register: every promise ends, every
/// callback runs once or is dropped, in order, and those that were there before the loop went run on its thread.
#[test]
fn a_loop_closes_while_other_threads_are_at_it() {
    const ROUNDS: usize = 300;
    watchdog(|| {
        for round in 0..ROUNDS {
            let event_loop = EventLoop::new();
            let (home, handle) = (thread::current().id(), event_loop.handle());
            let (early, drops) = (Count::new(), Count::new());
            let (start, busy) = (Arc::new(Barrier::new(4)), Arc::new(AtomicUsize::new(3)));
            let sources: Vec<_> = (0..40).map(|_| Deferred::<u32, Broken, u32>::with_progress()).collect();
            let mut deferreds = Vec::new();
            let mut promises = Vec::new();
            for (deferred, promise) in sources {
                let (early, guard) = (early.clone(), counted(&drops));
                deferreds.push(deferred);
                promises.push(promise.via(&handle).progress(|_| ()).always(move |_| {
                    assert_eq!(thread::current().id(), home);
                    early.add();
                    drop(guard);
                }));
            }
            let late = Count::new();
            let act = |act: Box<dyn FnOnce() + Send>| {
                let (start, busy) = (start.clone(), busy.clone());
                thread::spawn(move || {
                    start.wait();
                    act();
                    busy.fetch_sub(1, Ordering::Relaxed);
                })
            };
            let (registered, copies) = (promises.clone(), promises.clone());
            let (counted_late, guards) = (late.clone(), drops.clone());
            let threads = [
                act(Box::new(move || {
                    for (n, deferred) in deferreds.into_iter().enumerate() {
                        deferred.notify(1);
                        if n % 8 != 0 {
                            deferred.resolve(1);
                        }
                    }
                })),
                act(Box::new(move || {
                    for promise in copies.iter().rev().step_by(3) {
                        promise.cancel();
                    }
                })),
                act(Box::new(move || {
                    for promise in registered {
                        let (late, guard) = (counted_late.clone(), counted(&guards));
                        drop(promise.always(move |_| {
                            late.add();
                            drop(guard);
                        }));
                    }
                })),
            ];
            start.wait();
            if round % 3 == 0 {
                while busy.load(Ordering::Relaxed) > 0 {
                    event_loop.run_until_idle();
                }
            } else if round % 3 == 1 {
                event_loop.run_until_idle();
            }
            drop(event_loop);
            threads.into_iter().for_each(|thread| thread.join().unwrap());
            assert_eq!((early.get(), late.get(), drops.get()), (40, 40, 80));
            for promise in promises {
                let end = promise.wait().map_err(|broken| broken.kind());
                let known = [BrokenKind::LoopClosed, BrokenKind::Canceled, BrokenKind::Abandoned];
                assert!(end.is_ok_and(|n| n == 1) || end.is_err_and(|kind| known.contains(&kind)), "{end:?}");
            }
        }
    });
}

/// A value that counts its drop.
fn counted(drops: &Count) -> OnDrop<impl FnOnce() + Send + use<>> {
    let drops = drops.clone();
    OnDrop::new(move || drops.add())
}

/// G5: a chain of very many ways to one loop: settled, canceled, dropped, or left behind by the loop.
#[test]
fn a_long_chain_takes_no_stack() {
    small_stack(|| {
        let chain = |event_loop: &EventLoop| {
            let (deferred, mut promise) = Deferred::<u32>::new();
            for _ in 0..MANY {
                promise = promise.via(&event_loop.handle()).done(|_| ());
            }
            (deferred, promise)
        };
        let event_loop = EventLoop::new();
        let (deferred, promise) = chain(&event_loop);
        deferred.resolve(1);
        assert_eq!(event_loop.run_until_complete(promise).unwrap(), 1);
        let (deferred, promise) = chain(&event_loop);
        assert!(promise.cancel());
        assert_eq!(deferred.state(), State::Rejected);
        event_loop.run_until_idle();
        let (deferred, promise) = chain(&event_loop);
        drop(promise);
        drop(deferred);
        event_loop.run_until_idle();
        let (deferred, promise) = chain(&event_loop);
        drop(event_loop);
        assert_eq!((kind_of(ready(promise)), deferred.state()), (BrokenKind::LoopClosed, State::Pending));
    });
}
