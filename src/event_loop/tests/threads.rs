//! Other threads: conformance rows H1, H8, K2, traps 20 and 22.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};

use super::*;

/// Waits until the loop sleeps.
fn asleep(remote: &Remote) {
    while !remote.is_asleep() {
        thread::yield_now();
    }
}

#[test]
fn a_loop_sleeps_and_is_stopped_from_another_thread() {
    watchdog(|| {
        for timer in [false, true] {
            let l = Loop::real();
            if timer {
                at(&l, l.after(3_600_000), || {});
            }
            let remote = l.remote().clone();
            let stops = thread::spawn(move || {
                asleep(&remote);
                remote.stop();
            });
            l.run_forever();
            stops.join().unwrap();
        }
    });
}

#[test]
fn a_virtual_loop_without_timers_sleeps_too() {
    watchdog(|| {
        let l = Loop::new();
        let remote = l.remote().clone();
        let (log, seen) = mpsc::channel();
        let wakes = thread::spawn(move || {
            asleep(&remote);
            op(&remote, move |local| {
                let remote = local.remote().clone();
                at(local, remote.now().checked_add(Duration::from_secs(3600)), move || {
                    log.send(()).unwrap();
                    remote.stop();
                });
            });
        });
        l.run_forever();
        assert_eq!(seen.recv(), Ok(()));
        wakes.join().unwrap();
    });
}

#[test]
fn each_threads_work_keeps_its_order() {
    watchdog(|| {
        let l = Loop::real();
        let (log, seen) = mpsc::channel();
        let threads: Vec<_> = (0..4)
            .map(|thread| {
                let (remote, log) = (l.remote().clone(), log.clone());
                thread::spawn(move || {
                    for n in 0..1000 {
                        let log = log.clone();
                        op(&remote, move |local| {
                            soon(local, move || log.send((thread, n)).unwrap());
                        });
                    }
                    op(&remote, |local| {
                        let local_2 = Rc::clone(local);
                        soon(local, move || local_2.remote().stop());
                    });
                })
            })
            .collect();
        drop(log);
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        l.run_forever();
        let mut next = [0; 4];
        for (thread, n) in seen.iter() {
            assert_eq!(next[thread as usize], n);
            next[thread as usize] += 1;
        }
        assert_eq!(next, [1000; 4]);
    });
}

/// Some work of no fixed length, so that the loop is met in every state.
fn dawdle(seed: &mut u32) {
    *seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
    for _ in 0..*seed >> 24 {
        std::hint::spin_loop();
    }
}

#[test]
fn a_loop_does_not_fall_asleep_on_messages() {
    const THREADS: u32 = 4;
    const ECHOES: usize = 20_000;
    watchdog(|| {
        let l = Loop::real();
        let left = Arc::new(AtomicUsize::new(THREADS as usize));
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| {
                let (remote, left) = (l.remote().clone(), left.clone());
                thread::spawn(move || {
                    let (echo, echoes) = mpsc::channel();
                    let mut seed = thread;
                    for n in 0..ECHOES {
                        dawdle(&mut seed);
                        let echo = echo.clone();
                        if n % 2 == 0 {
                            op(&remote, move |_| echo.send(n).unwrap());
                        } else {
                            op(&remote, move |local| {
                                soon(local, move || echo.send(n).unwrap());
                            });
                        }
                        assert_eq!(echoes.recv(), Ok(n));
                    }
                    if left.fetch_sub(1, Ordering::AcqRel) == 1 {
                        remote.stop();
                    }
                })
            })
            .collect();
        l.run_forever();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    });
}

/// A future that another thread lets go on, `rounds` times, as soon as it waits.
fn served(rounds: u32, seed: u32) -> impl Future<Output = ()> {
    let (ask, asked) = mpsc::channel::<(Waker, Arc<AtomicBool>)>();
    let server = thread::spawn(move || {
        let mut seed = seed;
        for (waker, open) in asked {
            dawdle(&mut seed);
            open.store(true, Ordering::Release);
            waker.wake();
        }
    });
    async move {
        for _ in 0..rounds {
            let open = Arc::new(AtomicBool::new(false));
            let mut asked = false;
            poll_fn(|cx| {
                if !std::mem::replace(&mut asked, true) {
                    ask.send((cx.waker().clone(), open.clone())).unwrap();
                }
                if open.load(Ordering::Acquire) { Poll::Ready(()) } else { Poll::Pending }
            })
            .await;
        }
        drop(ask);
        server.join().unwrap();
    }
}

#[test]
fn a_loop_does_not_fall_asleep_on_wakes() {
    watchdog(|| {
        let l = Loop::real();
        l.run_until_complete(served(20_000, 1));
        let left = Rc::new(Cell::new(3));
        for seed in 0..3 {
            let (left, remote) = (left.clone(), l.remote().clone());
            spawn(&l, async move {
                served(10_000, seed).await;
                left.set(left.get() - 1);
                if left.get() == 0 {
                    remote.stop();
                }
            });
        }
        l.run_forever();
        assert_eq!(l.owns(), [0; 4]);
    });
}

#[test]
fn a_thread_wakes_while_the_loop_closes() {
    const ROUNDS: usize = 500;
    watchdog(|| {
        for round in 0..ROUNDS {
            let l = Loop::real();
            let remote = l.remote().clone();
            let here = thread::current().id();
            let (give, take) = mpsc::channel::<Waker>();
            // Not `Send`, and it would tell.
            let held = (Rc::new(()), OnDrop(move || assert_eq!(thread::current().id(), here)));
            let weak = Rc::downgrade(&held.0);
            spawn(
                &l,
                poll_fn(move |cx| {
                    let _held = &held;
                    let _ = give.send(cx.waker().clone());
                    Poll::Pending
                }),
            );
            l.run_until_idle();
            let waker = take.recv().unwrap();
            let (barrier, over) = (Barrier::new(2), AtomicBool::new(false));
            let remote_2 = &remote;
            thread::scope(|scope| {
                let (barrier, over) = (&barrier, &over);
                scope.spawn(move || {
                    barrier.wait();
                    while !over.load(Ordering::Relaxed) {
                        waker.wake_by_ref();
                        op(remote_2, |_| {});
                        remote_2.stop();
                    }
                    // By value or not: either may be the last reference to the token.
                    if round % 2 == 0 { waker.wake() } else { drop(waker) }
                });
                barrier.wait();
                if round % 3 != 0 {
                    l.run_forever();
                }
                drop(l);
                assert_eq!(weak.strong_count(), 0);
                over.store(true, Ordering::Relaxed);
            });
            take.try_iter().for_each(drop);
            assert_eq!(Arc::strong_count(&remote), 1);
        }
    });
}
