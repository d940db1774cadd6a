//! The loop in another loop: when its host is woken.

use crate::util::{Count, Log, OnDrop, panic_of, watchdog};
use deferral::{Deferred, EventLoop, Handle, State, Turn, current, local};
use std::cell::Cell;
use std::future::{pending, poll_fn};
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::task::{Poll, Waker};
use std::thread;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

/// Counts how often the host is woken.
fn counting(event_loop: &EventLoop) -> Count {
    let wakes = Count::new();
    let count = wakes.clone();
    event_loop.on_wake(move || count.add());
    wakes
}

/// What a turn says of the next.
fn next(turn: Turn) -> (bool, Option<Duration>) {
    (turn.ready, turn.timer)
}

/// Schedules an entry from another thread, and waits until that is done.
fn from_afar(handle: &Handle, log: &Log, text: &'static str) {
    let (handle, entry) = (handle.clone(), log.entry(text));
    thread::spawn(move || drop(handle.call_soon(entry))).join().unwrap();
}

/// The host is woken once for all that comes before its next turn, from wherever it comes.
#[test]
fn the_host_is_woken_once_until_its_turn() {
    let (event_loop, log) = (EventLoop::new(), Log::new());
    let wakes = counting(&event_loop);
    assert_eq!(wakes.get(), 0);
    for round in 1..=3 {
        event_loop.call_soon(log.entry("own"));
        assert_eq!(wakes.get(), round);
        for _ in 0..3 {
            from_afar(&event_loop.handle(), &log, "afar");
            event_loop.spawn(async {});
            event_loop.call_later(SECOND, || ());
            event_loop.handle().stop();
        }
        assert_eq!(wakes.get(), round);
        assert_eq!(event_loop.turn().ran, 7);
        assert_eq!(wakes.get(), round);
    }
    assert_eq!(log.text(), ["own afar afar afar"; 3].join(" "));
}

/// Each kind of work wakes a host that sleeps.
#[test]
fn whatever_comes_wakes_the_host() {
    let event_loop = EventLoop::new();
    let wakes = counting(&event_loop);
    let (waker, handle) = (Rc::new(Cell::new(None::<Waker>)), event_loop.handle());
    let slot = waker.clone();
    event_loop.spawn(poll_fn(move |cx| {
        slot.set(Some(cx.waker().clone()));
        Poll::<()>::Pending
    }));
    let (deferred, promise) = local::Deferred::<u32>::new();
    event_loop.spawn(promise);
    let own: [&dyn Fn(); 6] = [
        &|| drop(event_loop.call_soon(|| ())),
        &|| drop(event_loop.spawn(async {})),
        &|| drop(event_loop.call_at(event_loop.handle().now(), || ())),
        &|| handle.stop(),
        &|| waker.take().unwrap().wake(),
        // In a callback of the host's own, say.
        &|| assert!(deferred.resolve(1)),
    ];
    let mut expected = 1;
    for come in own {
        let _ = event_loop.turn();
        assert_eq!(wakes.get(), expected);
        come();
        expected += 1;
        assert_eq!(wakes.get(), expected);
    }
    let afar: [fn(&Handle); 6] = [
        |handle| drop(handle.call_soon(|| ())),
        |handle| drop(handle.spawn(async {})),
        |handle| drop(handle.call_later(SECOND, || ())),
        |handle| drop(handle.sleep(SECOND)),
        |handle| handle.stop(),
        |handle| assert!(handle.spawn(pending::<()>()).cancel()),
    ];
    for come in afar {
        let _ = event_loop.turn();
        let handle = event_loop.handle();
        thread::spawn(move || come(&handle)).join().unwrap();
        expected += 1;
        assert_eq!(wakes.get(), expected);
    }
}

/// A promise that a thread settles wakes the host of the loop that its callbacks belong to, and they run in a turn.
#[test]
fn a_promise_of_a_thread_wakes_the_host() {
    let (event_loop, log) = (EventLoop::new(), Log::new());
    let wakes = counting(&event_loop);
    let (deferred, promise) = Deferred::<u32>::new();
    let (entries, here) = (log.clone(), thread::current().id());
    promise.via(&event_loop.handle()).done(move |n| {
        assert_eq!(thread::current().id(), here);
        entries.add(n);
    });
    while event_loop.turn().ready {}
    let before = wakes.get();
    thread::spawn(move || deferred.resolve(7)).join().unwrap();
    assert_eq!((wakes.get() - before, log.text().as_str()), (1, ""));
    assert_eq!((event_loop.turn().ran, log.text().as_str()), (1, "7"));
}

/// A timer made between two turns wakes the host if it comes before what the last turn said, and only then.
#[test]
fn an_earlier_timer_wakes_the_host() {
    let event_loop = EventLoop::new();
    let wakes = counting(&event_loop);
    let timer = |seconds| drop(event_loop.call_later(seconds * SECOND, || ()));
    timer(100);
    assert_eq!(wakes.get(), 1);
    let _ = event_loop.turn();
    timer(200);
    assert_eq!(wakes.get(), 1);
    timer(50);
    assert_eq!(wakes.get(), 2);
    // It will make a turn, and so hear of this one.
    timer(40);
    assert_eq!(wakes.get(), 2);
    let turn = event_loop.turn();
    assert!(turn.timer.is_some_and(|left| left <= 40 * SECOND));
    timer(45);
    event_loop.call_later(Duration::MAX, || ());
    assert_eq!(wakes.get(), 2);
}

/// A host is not woken for what comes while a turn runs, from its own thread or another: the turn tells.
#[test]
fn a_turn_tells_what_came_while_it_ran() {
    let (event_loop, log) = (EventLoop::new(), Log::new());
    let (handle, entries) = (event_loop.handle(), log.clone());
    event_loop.call_soon(move || from_afar(&handle, &entries, "afar"));
    let wakes = counting(&event_loop);
    assert_eq!(wakes.get(), 1);
    assert_eq!(next(event_loop.turn()), (true, None));
    assert_eq!(next(event_loop.turn()), (false, None));
    let handle = event_loop.handle();
    event_loop.call_soon(move || drop(current().call_later(Duration::ZERO, move || handle.stop())));
    assert_eq!(next(event_loop.turn()), (true, Some(Duration::ZERO)));
    // The stop came in it.
    assert_eq!(next(event_loop.turn()), (true, None));
    assert_eq!(next(event_loop.turn()), (false, None));
    assert_eq!((log.text().as_str(), wakes.get()), ("afar", 2));
}

/// L14: a turn leaves a stop to `run_forever`.
#[test]
fn a_turn_leaves_a_stop_alone() {
    watchdog(|| {
        let (event_loop, log) = (EventLoop::new(), Log::new());
        event_loop.handle().stop();
        assert_eq!(event_loop.turn().ran, 0);
        let entries = log.clone();
        event_loop.call_soon(move || {
            entries.add("one");
            current().call_soon(entries.entry("two"));
        });
        event_loop.run_forever();
        assert_eq!(log.text(), "one");
    });
}

/// Who says how the host is woken finds out at once about what there is, and not about what a turn has told.
#[test]
fn work_that_waits_already() {
    let event_loop = EventLoop::new();
    assert_eq!(counting(&event_loop).get(), 0);
    event_loop.call_soon(|| ());
    assert_eq!((counting(&event_loop).get(), counting(&event_loop).get()), (1, 1));
    let _ = event_loop.turn();
    assert_eq!(counting(&event_loop).get(), 0);
    // A timer of which no turn has told.
    let fresh = EventLoop::new();
    fresh.call_later(SECOND, || ());
    assert_eq!(counting(&fresh).get(), 1);
    let _ = fresh.turn();
    assert_eq!(counting(&fresh).get(), 0);
    // What a turn schedules.
    fresh.call_soon(|| current().call_soon(|| ()));
    assert!(fresh.turn().ready);
    assert_eq!(counting(&fresh).get(), 1);
}

/// A loop that runs by itself wakes no host; afterwards it does, if something is left to do, as after a stop or a panic.
#[test]
fn a_run_wakes_the_host_afterwards() {
    watchdog(|| {
        let (event_loop, log) = (EventLoop::with_virtual_clock(), Log::new());
        let wakes = counting(&event_loop);
        let (handle, entries) = (event_loop.handle(), log.clone());
        event_loop.run_until_complete(async {
            let call = current().call_soon(move || {
                from_afar(&handle, &entries, "afar");
                handle.call_later(SECOND, || ())
            });
            call.await.unwrap().await.unwrap();
        });
        event_loop.run_until_idle();
        assert_eq!((log.text().as_str(), wakes.get()), ("afar", 0));

        event_loop.call_soon(|| {
            current().stop();
            current().call_soon(|| ());
        });
        assert_eq!(wakes.get(), 1);
        event_loop.run_forever();
        assert_eq!(wakes.get(), 2);
        assert_eq!(event_loop.turn().ran, 1);

        panic_of(|| {
            event_loop.run_until_complete(async {
                current().call_later(SECOND, || ());
                panic!("main");
            })
        });
        assert_eq!(wakes.get(), 3);
        assert_eq!(event_loop.turn().ran, 1);
        assert_eq!(wakes.get(), 3);
        // Nothing is left: not even the stop, which the run has used up.
        event_loop.handle().stop();
        assert_eq!(wakes.get(), 4);
        event_loop.run_forever();
        assert_eq!(wakes.get(), 4);
    });
}

/// A turn that is refused because another loop runs is made up for when that has ended, however it ran.
#[test]
fn a_turn_that_another_loop_refused() {
    watchdog(|| {
        let runs: [fn(&EventLoop); 4] = [
            |inner| inner.run_until_complete(async { drop(current().call_soon(|| ()).await) }),
            |inner| inner.run_until_idle(),
            |inner| assert_eq!(inner.turn().ran, 1),
            |inner| {
                drop(panic_of(|| {
                    inner.run_until_complete(async {
                        drop(current().call_soon(|| ()).await);
                        panic!()
                    })
                }))
            },
        ];
        for (run, timer) in runs.into_iter().flat_map(|run| [(run, false), (run, true)]) {
            let (hosted, inner) = (Rc::new(EventLoop::new()), EventLoop::new());
            let wakes = counting(&hosted);
            let dialog = hosted.clone();
            if timer {
                hosted.call_later(3600 * SECOND, || ());
                // The host knows of it; the nested turn makes it forget.
                assert!(hosted.turn().timer.is_some());
            }
            let before = wakes.get();
            inner.call_soon(move || {
                if !timer {
                    dialog.call_soon(|| ());
                    assert_eq!(dialog.handle().call_soon(|| ()).state(), State::Pending);
                }
                for _ in 0..3 {
                    assert!(dialog.turn().nested);
                    from_afar_nothing(&dialog.handle(), timer);
                }
            });
            run(&inner);
            assert_eq!(wakes.get() - before, if timer { 1 } else { 2 });
            let turn = hosted.turn();
            assert_eq!((turn.ran, turn.timer.is_some()), if timer { (0, true) } else { (5, false) });
            assert_eq!(counting(&hosted).get(), 0);
        }
    });
}

/// Schedules a call from another thread, unless told not to.
fn from_afar_nothing(handle: &Handle, nothing: bool) {
    if !nothing {
        from_afar(handle, &Log::new(), "");
    }
}

/// A nested turn of the very loop that runs: what is left after the run wakes the host.
#[test]
fn a_turn_that_a_run_of_its_own_loop_refused() {
    let event_loop = Rc::new(EventLoop::new());
    let wakes = counting(&event_loop);
    let dialog = event_loop.clone();
    let call = event_loop.call_soon(move || {
        assert!(dialog.turn().nested);
        dialog.call_later(SECOND, || ());
    });
    assert_eq!(wakes.get(), 1);
    event_loop.run_until_complete(call).unwrap();
    assert_eq!(wakes.get(), 2);
    assert!(event_loop.turn().timer.is_some());
}

/// K8: a destructor of a loop that closes may let another one, which has a host, make a turn.
#[test]
fn a_turn_in_a_destructor() {
    let (hosted, log) = (EventLoop::new(), Log::new());
    let wakes = counting(&hosted);
    let (inner, entry) = (EventLoop::new(), log.entry("call"));
    let guard = OnDrop::new(move || {
        hosted.call_soon(entry);
        assert_eq!(hosted.turn().ran, 1);
    });
    inner.spawn(async move {
        let _guard = guard;
        pending::<()>().await
    });
    drop(inner);
    assert_eq!((log.text().as_str(), wakes.get()), ("call", 1));
}

/// A host that sleeps until it is woken or the next timer is due.
#[derive(Default)]
struct Host {
    woken: Mutex<bool>,
    wakes: Condvar,
}

impl Host {
    fn wake(&self) {
        *self.woken.lock().unwrap() = true;
        self.wakes.notify_one();
    }

    fn sleep(&self, timeout: Option<Duration>) {
        let woken = self.woken.lock().unwrap();
        let mut woken = match timeout {
            Some(timeout) => self.wakes.wait_timeout_while(woken, timeout, |woken| !*woken).unwrap().0,
            None => self.wakes.wait_while(woken, |woken| !*woken).unwrap(),
        };
        *woken = false;
    }
}

/// Some work of no fixed length, so that the host is met in every state.
fn dawdle(seed: &mut u32) {
    *seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
    for _ in 0..*seed >> 24 {
        std::hint::spin_loop();
    }
}

/// H1, H2: a host that sleeps misses nothing that four threads bring, each of which waits for its echo before it goes on; and nobody
/// wakes it more often than once between two turns.
#[test]
fn a_host_that_sleeps_misses_nothing() {
    const THREADS: u32 = 4;
    const ECHOES: u32 = 10_000;
    watchdog(|| {
        let event_loop = EventLoop::new();
        let (host, wakes) = (Arc::new(Host::default()), Count::new());
        let (wake, count) = (host.clone(), wakes.clone());
        event_loop.on_wake(move || {
            count.add();
            wake.wake();
        });
        let left = Arc::new(AtomicUsize::new(THREADS as usize));
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| {
                let (handle, left) = (event_loop.handle(), left.clone());
                thread::spawn(move || {
                    let mut seed = thread;
                    for n in 0..ECHOES {
                        dawdle(&mut seed);
                        let echo = match n % 4 {
                            0 => handle.call_soon(move || n).wait(),
                            1 => handle.spawn(async move { n }).wait(),
                            2 => handle.call_later(Duration::from_micros(u64::from(n % 100)), move || n).wait(),
                            // Its second poll is brought by a wake from here.
                            _ => {
                                let (deferred, promise) = Deferred::<u32>::new();
                                let task = handle.spawn(promise);
                                dawdle(&mut seed);
                                deferred.resolve(n);
                                task.wait().unwrap()
                            }
                        };
                        assert_eq!(echo.unwrap(), n);
                    }
                    // The last thing that wakes the host.
                    left.fetch_sub(1, Ordering::SeqCst);
                    handle.stop();
                })
            })
            .collect();
        let mut turns = 0;
        while left.load(Ordering::SeqCst) > 0 {
            turns += 1;
            host.sleep(event_loop.turn().timeout());
        }
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert!(wakes.get() <= turns + 1, "{} wakes, {turns} turns", wakes.get());
    });
}
