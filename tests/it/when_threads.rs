//! Aggregates whose inputs are settled by many threads at once.

use std::sync::{Arc, Barrier, Mutex};
use std::thread;

use deferral::{Broken, Deferred, Progress, Promise, State, when};

use crate::util::{Count, ready, watchdog};

const INPUTS: usize = 64;
const THREADS: usize = 8;
const ROUNDS: usize = if cfg!(debug_assertions) { 300 } else { 10_000 };

type Pairs = (Vec<Deferred<usize, String>>, Vec<Promise<usize, String>>);

fn pairs(n: usize) -> Pairs {
    (0..n).map(|_| Deferred::new()).unzip()
}

/// Has `THREADS` threads, round by round, do their part of the round that the main thread prepared, all starting at once.
///
/// `prepare` gives the inputs' producers; `act` settles the input `index`; `check` looks at the end of the round.
fn rounds<R: Send>(
    rounds: usize,
    mut prepare: impl FnMut() -> (Vec<Deferred<usize, String>>, R),
    act: impl Fn(usize, &Deferred<usize, String>) + Sync,
    mut check: impl FnMut(R),
) {
    let barrier = Barrier::new(THREADS + 1);
    let shared = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for part in 0..THREADS {
            let (barrier, shared, act) = (&barrier, &shared, &act);
            scope.spawn(move || {
                for _ in 0..rounds {
                    barrier.wait();
                    let deferreds: Vec<Deferred<usize, String>> = shared.lock().unwrap().clone();
                    barrier.wait();
                    for (index, deferred) in deferreds.iter().enumerate().skip(part).step_by(THREADS) {
                        act(index, deferred);
                    }
                    drop(deferreds);
                    barrier.wait();
                }
            });
        }
        for _ in 0..rounds {
            let (deferreds, round) = prepare();
            *shared.lock().unwrap() = deferreds;
            barrier.wait();
            barrier.wait();
            shared.lock().unwrap().clear();
            barrier.wait();
            check(round);
        }
    });
}

/// Whether each report is one step on from the one before, up to `total`.
fn assert_counted(reports: &Mutex<Vec<Progress>>, total: u64) {
    let reports = std::mem::take(&mut *reports.lock().unwrap());
    let expected: Vec<_> = (1..=total).map(|done| Progress { done, total }).collect();
    assert_eq!(reports, expected);
}

/// W13, trap 13, G1: settled by eight threads, an aggregate of 64 ends exactly once with every value in its place. Its reports count
/// up by one, and none comes after the end.
#[test]
fn every_value_arrives_once_and_in_order() {
    watchdog(|| {
        let prepare = || {
            let (deferreds, promises) = pairs(INPUTS);
            let (ends, reports) = (Count::new(), Arc::new(Mutex::new(Vec::new())));
            let (counted, noted) = (ends.clone(), reports.clone());
            let all = when(promises).progress(move |report| noted.lock().unwrap().push(*report));
            (deferreds, (all.always(move |_| counted.add()), ends, reports))
        };
        rounds(
            ROUNDS,
            prepare,
            |index, deferred| assert!(deferred.resolve(index)),
            |(all, ends, reports)| {
                assert_eq!(ends.get(), 1);
                assert_counted(&reports, INPUTS as u64);
                assert_eq!(ready(all), Ok((0..INPUTS).collect()));
            },
        );
    });
}

/// W13, G8: a failure among many values wins once, whenever it comes, or another failure does; the inputs are settled by then.
#[test]
fn failures_race_values() {
    watchdog(|| {
        let prepare = || {
            let (deferreds, promises) = pairs(INPUTS);
            let ends = Count::new();
            let counted = ends.clone();
            let all = when(promises).always(move |_| counted.add());
            (deferreds.clone(), (all, ends, deferreds))
        };
        let act = |index: usize, deferred: &Deferred<usize, String>| {
            // Whoever comes after the first failure finds its input canceled.
            let _ = if index % 16 == 5 { deferred.reject(format!("no {index}")) } else { deferred.resolve(index) };
        };
        rounds(ROUNDS, prepare, act, |(all, ends, deferreds)| {
            assert_eq!(ends.get(), 1);
            assert!(deferreds.iter().all(|deferred| deferred.state() != State::Pending));
            let error = ready(all).unwrap_err();
            assert!(["no 5", "no 21", "no 37", "no 53"].contains(&error.as_str()), "{error}");
        });
    });
}

/// G1, G6: `any`, `race` and `settled` over the same shared inputs, settled by eight threads: each ends once.
#[test]
fn all_kinds_over_shared_inputs() {
    watchdog(|| {
        let prepare = || {
            let (deferreds, promises) = pairs(INPUTS);
            let any = when::any(promises.clone());
            let race = when::race(promises.clone());
            (deferreds, (any, race, when::settled(promises)))
        };
        let act = |index: usize, deferred: &Deferred<usize, String>| {
            assert!(if index % 2 == 0 { deferred.resolve(index) } else { deferred.reject(index.to_string()) });
        };
        rounds(ROUNDS / 2, prepare, act, |(any, race, settled)| {
            assert!(ready(any).unwrap() % 2 == 0);
            assert!(ready(race).unwrap_or_else(|error| error.parse().unwrap()) < INPUTS);
            for (index, end) in ready(settled).unwrap().into_iter().enumerate() {
                assert_eq!(end, if index % 2 == 0 { Ok(index) } else { Err(index.to_string()) });
            }
        });
    });
}

/// G7, W14: an aggregate is dropped or canceled while its inputs are being settled: nothing hangs, nobody loses an outcome.
#[test]
fn dropped_and_canceled_in_the_middle() {
    watchdog(|| {
        for cancel in [false, true] {
            let prepare = || {
                let (deferreds, promises) = pairs(INPUTS);
                let (all, kept) = (when(promises.clone()), promises);
                let slot = Arc::new(Mutex::new(Some(all)));
                let taken = slot.clone();
                // The aggregate ends in the middle, on the thread that settles this input.
                deferreds[INPUTS / 2].done(move |_| {
                    let all = taken.lock().unwrap().take();
                    if let (Some(all), true) = (&all, cancel) {
                        all.cancel();
                    }
                    drop(all);
                });
                (deferreds, (slot, kept))
            };
            rounds(
                ROUNDS / 2,
                prepare,
                |index, deferred| assert!(deferred.resolve(index)),
                |(slot, kept)| {
                    assert!(slot.lock().unwrap().is_none());
                    for (index, promise) in kept.into_iter().enumerate() {
                        assert_eq!(ready(promise), Ok(index));
                    }
                },
            );
        }
    });
}

/// An aggregate is made while its inputs are being settled: those that are there already and those that come count alike.
#[test]
fn made_while_inputs_settle() {
    watchdog(|| {
        for _ in 0..ROUNDS {
            let (deferreds, promises) = pairs(INPUTS);
            let barrier = Arc::new(Barrier::new(2));
            let starter = barrier.clone();
            let settling = thread::spawn(move || {
                starter.wait();
                deferreds.iter().enumerate().for_each(|(index, deferred)| assert!(deferred.resolve(index)));
            });
            barrier.wait();
            let all = when(promises);
            settling.join().unwrap();
            assert_eq!(ready(all), Ok((0..INPUTS).collect()));
        }
    });
}

/// G10: `map` driven by eight threads: never more than the limit in flight, each item once, starts and values in order.
#[test]
fn map_driven_by_many_threads() {
    const LIMIT: usize = 5;
    const ITEMS: usize = if cfg!(debug_assertions) { 5_000 } else { 100_000 };
    watchdog(|| {
        let (send, receive) = std::sync::mpsc::channel::<(usize, Deferred<usize, Broken>)>();
        let receive = Arc::new(Mutex::new(receive));
        // Taken off before the settle that makes room for the next item.
        let in_flight = Arc::new(Mutex::new((0, 0)));
        let threads: Vec<_> = (0..THREADS)
            .map(|_| {
                let (receive, in_flight) = (receive.clone(), in_flight.clone());
                thread::spawn(move || {
                    loop {
                        let next = receive.lock().unwrap().recv();
                        let Ok((item, deferred)) = next else { return };
                        in_flight.lock().unwrap().0 -= 1;
                        deferred.resolve(item * 2);
                    }
                })
            })
            .collect();
        let (counted, reports) = (in_flight.clone(), Arc::new(Mutex::new(Vec::new())));
        let noted = reports.clone();
        let mut expected = 0;
        let mapped = when::map(0..ITEMS, LIMIT, move |item| {
            assert_eq!(item, expected, "items start in order");
            expected += 1;
            let (now, most) = &mut *counted.lock().unwrap();
            *now += 1;
            *most = (*most).max(*now);
            let (deferred, promise) = Deferred::new();
            send.send((item, deferred)).unwrap();
            promise
        })
        .progress(move |report| noted.lock().unwrap().push(report.done));
        let values = mapped.wait().unwrap();
        assert_eq!(values, (0..ITEMS).map(|item| item * 2).collect::<Vec<_>>());
        for thread in threads {
            thread.join().unwrap();
        }
        assert!(in_flight.lock().unwrap().1 <= LIMIT);
        let reports = reports.lock().unwrap();
        assert!(reports.windows(2).all(|pair| pair[0] < pair[1]), "reports count up");
        assert_eq!(reports.last(), Some(&(ITEMS as u64)));
    });
}

/// G10, G8: an error among many threads ends `map` once, and nothing stays in flight.
#[test]
fn map_fails_among_many_threads() {
    watchdog(|| {
        for round in 0..ROUNDS {
            let (deferreds, promises) = pairs(THREADS * 2);
            let started = Count::new();
            let counted = started.clone();
            let mapped = when::map(promises, THREADS, move |promise| {
                counted.add();
                promise
            });
            let barrier = Barrier::new(THREADS);
            thread::scope(|scope| {
                for (index, deferred) in deferreds.iter().enumerate().take(THREADS) {
                    let barrier = &barrier;
                    scope.spawn(move || {
                        barrier.wait();
                        let _ = if index == round % THREADS {
                            deferred.reject("no".to_owned())
                        } else {
                            deferred.resolve(index)
                        };
                    });
                }
            });
            assert_eq!(ready(mapped), Err("no".to_owned()));
            let unstarted = THREADS * 2 - started.get();
            let (started, rest) = deferreds.split_at(THREADS * 2 - unstarted);
            assert!(started.iter().all(|deferred| deferred.state() != State::Pending));
            assert!(rest.iter().all(|deferred| !deferred.is_wanted()));
        }
    });
}
