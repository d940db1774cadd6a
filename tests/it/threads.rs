//! Threads that meet at one promise: every race has one of the outcomes that the guarantees allow.

use crate::util::{Count, Counted, CountingWaker, OnDrop, poll, poll_once, watchdog};
use deferral::{Broken, BrokenKind, Deferred, Promise, State};
use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex, PoisonError};
use std::task::{Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

/// A barrier without system calls: what follows it runs at the same moment on all threads.
struct Start(AtomicUsize);

impl Start {
    /// Returns when all `threads` have come for the time `round`.
    fn meet(&self, threads: usize, round: usize) {
        self.0.fetch_add(1, Ordering::AcqRel);
        let mut spins = 0u32;
        while self.0.load(Ordering::Acquire) < threads * (round + 1) {
            spins += 1;
            if spins % 128 == 0 { thread::yield_now() } else { std::hint::spin_loop() }
        }
    }

    /// Has nobody wait for this thread any more.
    fn leave(&self) {
        self.0.fetch_add(usize::MAX / 4, Ordering::AcqRel);
    }
}

type Racer<'a, X> = &'a (dyn Fn(&X) + Sync);

/// Has each racer do its part on a thread of its own, all at once, on `rounds` of what `make` makes; then checks each. On a busy
/// machine, where every meeting costs a time slice, it is content with fewer.
fn race<X: Send + Sync>(rounds: usize, make: impl Fn() -> X, racers: &[Racer<'_, X>], check: impl Fn(X)) {
    const BATCH: usize = 500;
    const ENOUGH: Duration = Duration::from_secs(5);
    static ONE_RACE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _alone = ONE_RACE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let until = Instant::now() + ENOUGH;
    for _ in 0..rounds.div_ceil(BATCH) {
        let subjects: Vec<X> = (0..BATCH).map(|_| make()).collect();
        let start = Start(AtomicUsize::new(0));
        thread::scope(|scope| {
            for racer in racers {
                let (subjects, start) = (&subjects, &start);
                scope.spawn(move || {
                    // One that panics does not leave the others waiting.
                    let _left = OnDrop::new(|| start.leave());
                    for (round, subject) in subjects.iter().enumerate() {
                        start.meet(racers.len(), round);
                        racer(subject);
                    }
                });
            }
        });
        subjects.into_iter().for_each(&check);
        if Instant::now() > until {
            return;
        }
    }
}

/// Something that one racer takes.
type Slot<X> = Mutex<Option<X>>;

fn slot<X>(x: X) -> Slot<X> {
    Mutex::new(Some(x))
}

fn take<X>(slot: &Slot<X>) -> X {
    slot.lock().unwrap().take().unwrap()
}

/// What a callback shares with those that must not run at the same time.
#[derive(Clone, Default)]
struct Turns {
    inside: Arc<AtomicBool>,
    order: Arc<Mutex<Vec<u32>>>,
}

impl Turns {
    fn callback(&self, name: u32) -> impl FnOnce(&u32) + Send + 'static {
        let turns = self.clone();
        move |_| {
            assert!(!turns.inside.swap(true, Ordering::Acquire), "two callbacks at once");
            turns.order.lock().unwrap().push(name);
            turns.inside.store(false, Ordering::Release);
        }
    }
}

/// H3, H6, trap 4, G3: callbacks that are registered while another thread settles run once each, in order, never two at once.
#[test]
fn registration_races_settle() {
    struct Subject {
        deferred: Deferred<u32>,
        promise: Slot<Promise<u32>>,
        turns: Turns,
    }
    watchdog(|| {
        let make = || {
            let (deferred, promise) = Deferred::new();
            let turns = Turns::default();
            deferred.done(turns.callback(0));
            Subject { deferred, promise: slot(promise), turns }
        };
        let settle: Racer<'_, Subject> = &|s| assert!(s.deferred.resolve(1));
        let register: Racer<'_, Subject> =
            &|s| drop(take(&s.promise).done(s.turns.callback(1)).done(s.turns.callback(2)));
        race(100_000, make, &[settle, register], |s| assert_eq!(*s.turns.order.lock().unwrap(), [0, 1, 2]));
    });
}

/// H2, H4, trap 11, G1: of a resolve, a reject and a cancel of three threads exactly one wins; everybody sees the winner, the
/// producer's `on_cancel` runs only if the cancel won, and each value is dropped once.
#[test]
fn settle_races_settle_and_cancel() {
    struct Drops(Count);
    impl Drop for Drops {
        fn drop(&mut self) {
            self.0.add();
        }
    }
    struct Subject {
        deferred: Deferred<Drops, String>,
        promise: Promise<Drops, String>,
        winner: Mutex<Vec<&'static str>>,
        seen: Arc<Mutex<Vec<String>>>,
        cancels: Count,
        drops: Count,
    }
    watchdog(|| {
        let make = || {
            let (deferred, promise) = Deferred::<Drops, String>::new();
            let (seen, cancels) = (Arc::new(Mutex::new(Vec::new())), Count::new());
            let (saw, counted) = (seen.clone(), cancels.clone());
            deferred.on_cancel(move || counted.add());
            deferred
                .always(move |outcome| saw.lock().unwrap().push(outcome.as_ref().err().cloned().unwrap_or_default()));
            Subject { deferred, promise, winner: Mutex::default(), seen, cancels, drops: Count::new() }
        };
        let won = |s: &Subject, won: bool, name| {
            if won {
                s.winner.lock().unwrap().push(name);
            }
        };
        let resolve: Racer<'_, Subject> = &|s| won(s, s.deferred.resolve(Drops(s.drops.clone())), "resolve");
        let reject: Racer<'_, Subject> = &|s| won(s, s.deferred.reject("no".to_owned()), "reject");
        let cancel: Racer<'_, Subject> = &|s| won(s, s.promise.cancel(), "cancel");
        race(100_000, make, &[resolve, reject, cancel], |s| {
            let winner = s.winner.into_inner().unwrap();
            assert_eq!(winner.len(), 1, "{winner:?}");
            let seen = s.seen.lock().unwrap().join(" ");
            let as_seen = match winner[0] {
                "resolve" => seen.is_empty(),
                "reject" => seen == "no",
                _ => seen.contains("was canceled"),
            };
            assert!(as_seen && s.seen.lock().unwrap().len() == 1, "{winner:?} {seen}");
            assert_eq!(s.cancels.get(), usize::from(winner[0] == "cancel"));
            drop((s.deferred, s.promise));
            assert_eq!(s.drops.get(), 1);
        });
    });
}

/// P12, trap 16, G4: who listens in the middle of 100,000 reports gets them without gaps from its first one on, up to the last, and
/// then the outcome.
#[test]
fn progress_races_a_late_listener() {
    fn listen(reports: u32) {
        let (deferred, promise) = Deferred::<u32, Broken, u32>::with_progress();
        let (begun, seen, ended) = (Barrier::new(2), Arc::new(AtomicUsize::new(0)), Count::new());
        thread::scope(|scope| {
            scope.spawn(|| {
                for n in 1..=reports {
                    assert!(deferred.notify(n));
                    if n == reports / 100 {
                        begun.wait();
                    }
                }
                deferred.resolve(reports);
            });
            begun.wait();
            let (last, total, end) = (seen.clone(), seen.clone(), ended.clone());
            let promise = promise.progress(move |n| {
                let last = last.swap(*n as usize, Ordering::Relaxed);
                assert!(last == 0 || *n as usize == last + 1, "{n} after {last}");
            });
            let outcome = promise.done(move |n| {
                assert_eq!(total.load(Ordering::Relaxed), *n as usize);
                end.add();
            });
            assert_eq!(outcome.wait().unwrap(), reports);
        });
        assert_eq!(ended.get(), 1);
    }
    watchdog(|| {
        listen(100_000);
        (0..500).for_each(|_| listen(200));
    });
}

/// H3, G4: two threads that notify the same promise are heard one at a time, each in its order.
#[test]
fn two_threads_notify() {
    watchdog(|| {
        let (deferred, promise) = Deferred::<u32, Broken, (usize, u32)>::with_progress();
        let mut last = [0, 0];
        let inside = AtomicBool::new(false);
        let promise = promise.progress(move |(thread, n)| {
            assert!(!inside.swap(true, Ordering::Acquire));
            assert_eq!(*n, last[*thread] + 1);
            last[*thread] = *n;
            inside.store(false, Ordering::Release);
        });
        thread::scope(|scope| {
            for thread in 0..2 {
                let deferred = deferred.clone();
                scope.spawn(move || (1..=50_000).for_each(|n| assert!(deferred.notify((thread, n)))));
            }
        });
        deferred.resolve(1);
        assert_eq!(promise.wait().unwrap(), 1);
    });
}

/// Y5, trap 5, G7: a poll that races the settle is ready, or its waker is woken; so is a second poll with another waker.
#[test]
fn poll_races_settle() {
    struct Subject {
        deferred: Slot<Deferred<u32>>,
        promise: Slot<Promise<u32>>,
        woken: [(Arc<CountingWaker>, Waker); 2],
        parked: AtomicBool,
    }
    for (again, abandon) in [(false, false), (true, false), (false, true), (true, true)] {
        watchdog(move || {
            let make = || {
                let (deferred, mut promise) = Deferred::new();
                let woken = [CountingWaker::new(), CountingWaker::new()];
                if again {
                    assert!(poll(&mut promise, &woken[0].1).is_pending());
                }
                let (deferred, promise) = (slot(deferred), slot(promise));
                Subject { deferred, promise, woken, parked: AtomicBool::new(false) }
            };
            let settle: Racer<'_, Subject> = &|s| {
                let deferred = take(&s.deferred);
                assert!(abandon || deferred.resolve(1));
            };
            let poll: Racer<'_, Subject> = &|s| {
                let mut promise = take(&s.promise);
                match poll(&mut promise, &s.woken[1].1) {
                    Poll::Ready(outcome) => assert_eq!(outcome.is_err(), abandon),
                    Poll::Pending => {
                        s.parked.store(true, Ordering::Relaxed);
                        *s.promise.lock().unwrap() = Some(promise);
                    }
                }
            };
            race(20_000, make, &[settle, poll], |s| {
                if s.parked.into_inner() {
                    assert_eq!(s.woken[1].0.wakes(), 1);
                    let outcome = poll_once(&mut take(&s.promise));
                    let Poll::Ready(outcome) = outcome else { panic!("woken for nothing") };
                    assert_eq!(outcome.map_err(|broken| broken.kind()).err(), abandon.then_some(BrokenKind::Abandoned));
                }
            });
        });
    }
}

/// H5, B6, G7: clones that are polled and dropped while another thread settles take no wake-up from the one that stays; the
/// outcome is dropped as often as it was cloned.
#[test]
fn dropped_clones_race_settle() {
    struct Subject {
        deferred: Deferred<Counted>,
        leaves: Slot<Promise<Counted>>,
        stays: Slot<Promise<Counted>>,
        woken: (Arc<CountingWaker>, Waker),
        value: Counted,
    }
    watchdog(|| {
        let make = || {
            let (deferred, mut stays) = Deferred::<Counted>::new();
            let leaves = stays.clone();
            let woken = CountingWaker::new();
            assert!(poll(&mut stays, &woken.1).is_pending());
            Subject { deferred, leaves: slot(leaves), stays: slot(stays), woken, value: Counted::new() }
        };
        let settle: Racer<'_, Subject> = &|s| assert!(s.deferred.resolve(s.value.clone()));
        let leave: Racer<'_, Subject> = &|s| {
            let mut promise = take(&s.leaves);
            let taken = poll_once(&mut promise);
            drop((promise, taken));
        };
        race(50_000, make, &[settle, leave], |s| {
            assert_eq!(s.woken.0.wakes(), 1);
            assert!(poll_once(&mut take(&s.stays)).is_ready());
            drop(s.deferred);
            assert_eq!(s.value.drops.get(), s.value.clones.get());
        });
    });
}

/// H5, B6: the last promise, the last producer and an observer's registration, all gone at once: the value is dropped once.
#[test]
fn the_last_handles_race() {
    struct Subject {
        deferred: Slot<Deferred<Counted>>,
        promise: Slot<Promise<Counted>>,
        value: Counted,
        seen: Count,
    }
    watchdog(|| {
        let make = || {
            let (deferred, promise) = Deferred::<Counted>::new();
            Subject { deferred: slot(deferred), promise: slot(promise), value: Counted::new(), seen: Count::new() }
        };
        let producer: Racer<'_, Subject> = &|s| {
            let deferred = take(&s.deferred);
            deferred.resolve(s.value.clone());
        };
        let consumer: Racer<'_, Subject> = &|s| {
            let seen = s.seen.clone();
            drop(take(&s.promise).done(move |_| seen.add()));
        };
        race(50_000, make, &[producer, consumer], |s| {
            assert_eq!((s.value.clones.get(), s.value.drops.get(), s.seen.get()), (1, 1, 1));
        });
    });
}

/// H3, G3: a `then` that races the settle runs once, whoever runs it, and after the observers.
#[test]
fn then_races_settle() {
    struct Subject {
        deferred: Deferred<u32>,
        promise: Slot<Promise<u32>>,
        turns: Turns,
        next: Slot<Promise<u32>>,
    }
    watchdog(|| {
        let make = || {
            let (deferred, promise) = Deferred::new();
            let turns = Turns::default();
            deferred.done(turns.callback(0));
            Subject { deferred, promise: slot(promise), turns, next: Mutex::new(None) }
        };
        let settle: Racer<'_, Subject> = &|s| assert!(s.deferred.resolve(1));
        let chain: Racer<'_, Subject> = &|s| {
            let callback = s.turns.callback(1);
            let next = take(&s.promise).then(move |n| {
                callback(&n);
                Promise::<u32>::resolved(n + 1)
            });
            *s.next.lock().unwrap() = Some(next);
        };
        race(50_000, make, &[settle, chain], |s| {
            assert_eq!(take(&s.next).wait().unwrap(), 2);
            assert_eq!(*s.turns.order.lock().unwrap(), [0, 1]);
        });
    });
}

/// X10, G8: a cancel of one branch races a cancel of the other: the source is canceled once, when the last one has gone.
#[test]
fn cancels_of_two_branches_race() {
    struct Subject {
        deferred: Deferred<u32>,
        branches: [Promise<u32>; 2],
        cancels: Count,
    }
    watchdog(|| {
        let make = || {
            let (deferred, promise) = Deferred::<u32>::new();
            let cancels = Count::new();
            let counted = cancels.clone();
            deferred.on_cancel(move || counted.add());
            Subject { deferred, branches: [promise.clone().then(Ok), promise.then(Ok)], cancels }
        };
        let left: Racer<'_, Subject> = &|s| assert!(s.branches[0].cancel());
        let right: Racer<'_, Subject> = &|s| assert!(s.branches[1].cancel());
        race(50_000, make, &[left, right], |s| {
            assert_eq!((s.cancels.get(), s.deferred.state()), (1, State::Rejected));
        });
    });
}

/// Trap 3, G4: what another thread registers while an observer is at work is run by the thread that is at it, after the others, once.
#[test]
fn a_newcomer_waits_for_the_observer_at_work() {
    watchdog(|| {
        let (deferred, promise) = Deferred::<u32>::new();
        let (turns, meet) = (Turns::default(), Arc::new(Barrier::new(2)));
        let inside = meet.clone();
        let promise = promise
            .done(move |_| {
                inside.wait();
                inside.wait();
            })
            .done(turns.callback(1));
        let settler = thread::spawn(move || deferred.resolve(1));
        meet.wait();
        let promise = promise.done(turns.callback(2));
        assert!(turns.order.lock().unwrap().is_empty());
        assert!(promise.peek(|outcome| outcome.is_none()));
        meet.wait();
        settler.join().unwrap();
        assert_eq!(*turns.order.lock().unwrap(), [1, 2]);
    });
}

/// G3: a value that is `Send` but not `Sync` goes through observers of two threads, clones and consumers, one thread at a time.
#[test]
fn a_value_need_not_be_sync() {
    watchdog(|| {
        for _ in 0..2_000 {
            let (deferred, promise) = Deferred::<Cell<u32>>::new();
            let bump = |cell: &Cell<u32>| cell.set(cell.get() + 1);
            let clones = [promise.clone(), promise.clone()];
            thread::scope(|scope| {
                for clone in clones {
                    scope.spawn(move || drop((0..10).fold(clone, |promise, _| promise.done(bump))));
                }
                scope.spawn(move || deferred.resolve(Cell::new(0)));
            });
            assert_eq!(promise.wait().unwrap().get(), 20);
        }
    });
}

/// H7, G13: what happened before `resolve`, `notify` and `cancel` is visible to observers, consumers and those who ask the state.
#[test]
fn what_came_before_is_visible() {
    struct Subject {
        data: Arc<[AtomicUsize; 2]>,
        deferred: Deferred<(), Broken, ()>,
        promise: Slot<Promise<(), Broken, ()>>,
    }
    watchdog(|| {
        let make = || {
            let (deferred, promise) = Deferred::with_progress();
            Subject { data: Arc::default(), deferred, promise: slot(promise) }
        };
        let produce: Racer<'_, Subject> = &|s| {
            s.data[0].store(1, Ordering::Relaxed);
            s.deferred.notify(());
            s.data[1].store(1, Ordering::Relaxed);
            s.deferred.resolve(());
        };
        let consume: Racer<'_, Subject> = &|s| {
            let data = [s.data.clone(), s.data.clone()];
            let [first, second] = data;
            let promise = take(&s.promise).progress(move |()| assert_eq!(first[0].load(Ordering::Relaxed), 1));
            let mut promise = promise.done(move |()| assert_eq!(second[1].load(Ordering::Relaxed), 1));
            if promise.state() == State::Resolved || poll_once(&mut promise).is_ready() {
                assert_eq!(s.data[1].load(Ordering::Relaxed), 1);
            }
        };
        race(30_000, make, &[produce, consume], drop);
    });
}
