//! What wakes a loop that sleeps in the reactor, and what it sees while it does not sleep.

use crate::sockets::{Wakers, alone, echo, listen, pair, round_trip, tapped, yield_now};
use crate::util::{Log, panic_of, watchdog};
use async_io::{Async, Timer};
use deferral::{EventLoop, sleep, spawn, when};
use futures::{AsyncReadExt, AsyncWriteExt};
use std::io::Write;
use std::net::TcpStream;
use std::sync::{Arc, Barrier, mpsc};
use std::thread;
use std::time::{Duration, Instant};

/// So many events have to arrive on the loop's own thread, however long it takes: now and then async-io's thread is the one to look.
const ENOUGH: usize = 50;

/// G12: a task accepts, another connects, and each wakes the other through the reactor.
#[test]
fn tasks_of_one_loop_talk_over_a_socket() {
    watchdog(|| {
        let event_loop = EventLoop::new();
        let (listener, address) = listen();
        let server = event_loop.spawn(async move {
            let (mut stream, _) = listener.accept().await?;
            let mut text = String::new();
            stream.read_to_string(&mut text).await?;
            Ok::<_, std::io::Error>(text)
        });
        let client = event_loop.spawn(async move {
            let mut stream = Async::<TcpStream>::connect(address).await?;
            stream.write_all(b"hello").await
        });
        let (text, sent) = event_loop.run_until_complete(when((server, client))).unwrap();
        assert_eq!(text.unwrap(), "hello");
        sent.unwrap();
    });
}

/// G7: a wake by the reactor on the loop's own thread ends its sleep.
#[test]
fn events_arrive_on_the_loops_own_thread() {
    alone("sleep::events_arrive_on_the_loops_own_thread", || {
        let event_loop = EventLoop::new();
        let (mut ours, theirs) = pair();
        let echo = echo(theirs);
        let woken = Arc::new(Wakers::default());
        let task = event_loop.spawn(async move {
            while woken.own() < ENOUGH {
                let woken = Arc::clone(&woken);
                tapped(Box::pin(round_trip(&mut ours)), move || woken.add()).await.unwrap();
            }
        });
        event_loop.run_until_complete(task).unwrap();
        echo.join().unwrap();
    });
}

/// G7: so does one of the future that `run_until_complete` polls itself.
#[test]
fn the_main_future_awaits_a_socket() {
    watchdog(|| {
        let event_loop = EventLoop::new();
        let (mut ours, theirs) = pair();
        let echo = echo(theirs);
        event_loop.run_until_complete(async {
            for _ in 0..1000 {
                round_trip(&mut ours).await.unwrap();
            }
        });
        drop(ours);
        echo.join().unwrap();
    });
}

/// G7, G11: a loop that sleeps with sockets open is woken by other threads.
#[test]
fn other_threads_wake_a_loop_that_waits_for_a_socket() {
    watchdog(|| {
        let event_loop = EventLoop::new();
        let (mut ours, theirs) = pair();
        event_loop.spawn(async move { ours.read(&mut [0]).await });
        let handle = event_loop.handle();
        let pings = thread::spawn(move || {
            for n in 0..1000 {
                assert_eq!(handle.call_soon(move || n).wait().unwrap(), n);
            }
            handle.stop();
        });
        event_loop.run_forever();
        pings.join().unwrap();
        drop(theirs);
    });
}

/// G11: timers fire in deadline order, never early.
#[test]
fn timers_end_the_sleep() {
    watchdog(|| {
        let event_loop = EventLoop::new();
        let log = Log::new();
        let began = Instant::now();
        let mut timers = Vec::new();
        for millis in [30, 10, 20] {
            let log = log.clone();
            let delay = Duration::from_millis(millis);
            timers.push(event_loop.call_later(delay, move || {
                assert!(began.elapsed() >= delay);
                log.add(millis);
            }));
        }
        event_loop.run_until_complete(when(timers)).unwrap();
        assert_eq!(log.text(), "10 20 30");
    });
}

/// G11: a timer that is canceled while the loop sleeps until then ends nothing but one sleep.
#[test]
fn a_canceled_timer_is_slept_over() {
    watchdog(|| {
        let event_loop = EventLoop::new();
        let soon = event_loop.call_later(Duration::from_millis(5), || ());
        let later = event_loop.call_later(Duration::from_millis(15), || 1);
        event_loop.call_later(Duration::from_millis(1), move || soon.cancel());
        assert_eq!(event_loop.run_until_complete(later).unwrap(), 1);
    });
}

/// G12: timers of async-io, which wake tasks on this thread or on async-io's.
#[test]
fn timers_of_the_reactor_wake_tasks() {
    watchdog(|| {
        let event_loop = EventLoop::new();
        let tasks: Vec<_> = (0..100u64)
            .map(|n| event_loop.spawn(async move { Timer::after(Duration::from_micros(n * 100)).await }))
            .collect();
        event_loop.run_until_complete(when(tasks)).unwrap();
    });
}

/// G11: what a waker does on the loop's thread, inside the reactor, ends the sleep as well: a spawn, a call, and a timer that is
/// earlier than all others. (If async-io's thread is the one to wake, it goes through a handle.)
#[test]
fn a_waker_that_makes_work_inside_the_reactor() {
    watchdog(|| {
        for kind in 0..3 {
            let event_loop = EventLoop::new();
            let (mut ours, theirs) = pair();
            let echo = echo(theirs);
            let (handle, home) = (event_loop.handle(), thread::current().id());
            let far = event_loop.call_later(Duration::from_secs(3600), || ());
            event_loop.spawn(async move {
                // The second byte finds the loop in the reactor; the first may find async-io's thread there.
                round_trip(&mut ours).await.unwrap();
                ours.write_all(&[1]).await.unwrap();
                let work = move || {
                    let end = handle.clone();
                    match kind {
                        _ if thread::current().id() != home => end.stop(),
                        0 => drop(spawn(async move { end.stop() })),
                        1 => drop(sleep(Duration::from_millis(1)).done(move |_| end.stop())),
                        _ => drop(deferral::current().call_soon(move || end.stop())),
                    }
                };
                // It makes work, but wakes nobody.
                std::future::poll_fn(|_| {
                    let tap = crate::sockets::Tap { waker: std::task::Waker::noop().clone(), f: work.clone() };
                    let waker = std::task::Waker::from(Arc::new(tap));
                    let polled = ours.poll_readable(&mut std::task::Context::from_waker(&waker));
                    assert!(polled.is_pending());
                    std::task::Poll::<()>::Pending
                })
                .await;
            });
            event_loop.run_forever();
            assert!(far.cancel());
            drop(event_loop);
            echo.join().unwrap();
        }
    });
}

/// G11: a loop that is never idle sees sockets all the same, by itself.
#[test]
fn a_busy_loop_looks_for_events() {
    alone("sleep::a_busy_loop_looks_for_events", || {
        let event_loop = EventLoop::new();
        let busy = event_loop.spawn(async {
            loop {
                yield_now().await;
            }
        });
        let (mut ours, theirs) = pair();
        let echo = echo(theirs);
        let woken = Arc::new(Wakers::default());
        let task = event_loop.spawn(async move {
            while woken.own() < ENOUGH {
                let woken = Arc::clone(&woken);
                tapped(Box::pin(round_trip(&mut ours)), move || woken.add()).await.unwrap();
            }
        });
        event_loop.run_until_complete(task).unwrap();
        assert!(busy.cancel());
        echo.join().unwrap();
    });
}

/// G11: so does one whose main future is never idle.
#[test]
fn a_busy_main_future_does_not_starve_a_socket() {
    watchdog(|| {
        let event_loop = EventLoop::new();
        let (mut ours, mut theirs) = pair();
        theirs.write_all(&[1]).unwrap();
        let task = event_loop.spawn(async move { ours.read_exact(&mut [0]).await.unwrap() });
        event_loop.run_until_complete(async {
            while task.state() == deferral::State::Pending {
                yield_now().await;
            }
        });
    });
}

/// `run_until_idle` sees a socket that is ready, and waits for none that is not. Who else has the reactor may come in between, so it
/// takes as many runs as it takes.
#[test]
fn run_until_idle_looks_and_does_not_wait() {
    watchdog(|| {
        let event_loop = EventLoop::new();
        let (mut ours, mut theirs) = pair();
        let task = event_loop.spawn(async move { ours.read_exact(&mut [0]).await.unwrap() });
        event_loop.run_until_idle();
        assert_eq!(task.state(), deferral::State::Pending);
        theirs.write_all(&[1]).unwrap();
        while task.state() == deferral::State::Pending {
            event_loop.run_until_idle();
        }
    });
}

/// A virtual clock waits for no socket: what waits for nothing else is stuck, with the feature as without.
#[test]
fn a_virtual_clock_waits_for_no_socket() {
    watchdog(|| {
        let event_loop = EventLoop::with_virtual_clock();
        let (mut ours, _theirs) = pair();
        let text = panic_of(|| event_loop.run_until_complete(async { ours.read(&mut [0]).await }));
        assert!(text.contains("no timer left to jump to"), "{text}");
    });
}

/// But it looks before time jumps. (When async-io's thread looks at that moment, its wake may come too late.)
#[test]
fn a_virtual_clock_looks_before_it_jumps() {
    alone("sleep::a_virtual_clock_looks_before_it_jumps", || {
        let event_loop = EventLoop::with_virtual_clock();
        let woken = Arc::new(Wakers::default());
        event_loop.run_until_complete(async {
            while woken.own() < ENOUGH {
                let (mut ours, mut theirs) = pair();
                theirs.write_all(&[1]).unwrap();
                // Awaits the reactor's word even though a read would not block.
                let woken = Arc::clone(&woken);
                let readable = spawn(async move {
                    tapped(Box::pin(ours.readable()), move || woken.add()).await.unwrap();
                    ours.read_exact(&mut [0]).await.unwrap();
                });
                sleep(Duration::from_secs(3600)).await.unwrap();
                readable.cancel();
            }
        });
    });
}

/// G11: the loop is whole after a panic of its main future, which unwinds out of async-io.
#[test]
fn a_panic_of_the_main_future_leaves_the_loop_usable() {
    watchdog(|| {
        let event_loop = EventLoop::new();
        let (mut ours, theirs) = pair();
        let echo = echo(theirs);
        for _ in 0..3 {
            let text = panic_of(|| {
                event_loop.run_until_complete(async {
                    round_trip(&mut ours).await.unwrap();
                    panic!("no more");
                })
            });
            assert_eq!(text, "no more");
        }
        event_loop.run_until_complete(async { round_trip(&mut ours).await.unwrap() });
        drop(ours);
        echo.join().unwrap();
    });
}

/// A task that blocks on the reactor itself holds up its loop, and nothing else.
#[test]
fn block_on_inside_a_task() {
    watchdog(|| {
        let event_loop = EventLoop::new();
        let (mut ours, theirs) = pair();
        let echo = echo(theirs);
        let task = event_loop.spawn(async move {
            async_io::block_on(async { round_trip(&mut ours).await.unwrap() });
            round_trip(&mut ours).await.unwrap();
        });
        event_loop.run_until_complete(task).unwrap();
        echo.join().unwrap();
    });
}

/// G11: loops on threads of their own share the reactor. Whoever polls it, each hears of its own sockets.
#[test]
fn loops_on_several_threads_share_the_reactor() {
    const LOOPS: usize = 4;
    watchdog(|| {
        let start = Arc::new(Barrier::new(LOOPS));
        let (end, ends) = mpsc::channel::<()>();
        let threads: Vec<_> = (0..LOOPS)
            .map(|_| {
                let (start, end) = (Arc::clone(&start), end.clone());
                thread::spawn(move || {
                    let event_loop = EventLoop::new();
                    let (mut ours, theirs) = pair();
                    let echo = echo(theirs);
                    start.wait();
                    event_loop.run_until_complete(async {
                        for _ in 0..500 {
                            round_trip(&mut ours).await.unwrap();
                        }
                    });
                    drop(ours);
                    echo.join().unwrap();
                    drop(end);
                })
            })
            .collect();
        drop(end);
        assert!(ends.recv().is_err());
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    });
}
