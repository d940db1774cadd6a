//! What a loop is stuck on: the tasks of a dump, how they stand, and the tree of who waits for whom.
//!
//! No row of the conformance matrix but K12 asks for it.

use crate::util::{Log, OnDrop, panic_of, poll_once, small_stack, watchdog};
use allocation_counter::measure;
use deferral::dump::{Entry, Owner, Status};
use deferral::{Deferred, Dump, EventLoop, local, sleep, spawn, when};
use futures::channel::oneshot;
use std::cell::{Cell, RefCell};
use std::future::{pending, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Poll, Waker};
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

/// The dump as text, with each place in this file told by its distance from the line `base`.
fn drawn(dump: impl ToString, base: u32) -> String {
    let text = dump.to_string();
    let mut parts = text.split(concat!(file!(), ":"));
    let first = parts.next().unwrap().to_owned();
    parts.fold(first, |drawn, part| {
        let end = part.find(|c: char| !c.is_ascii_digit() && c != ':').unwrap_or(part.len());
        let (place, rest) = part.split_at(end);
        let (line, _column) = place.split_once(':').unwrap();
        drawn + &format!("+{}", line.parse::<u32>().unwrap() - base) + rest
    })
}

/// The entry of a task.
#[track_caller]
fn entry(dump: &Dump, number: u32) -> &Entry {
    dump.iter().find(|entry| entry.number == Some(number)).expect("the task is alive")
}

/// K12: a chain of tasks is a tree as deep, from the main future down to the timer at its end.
#[test]
fn a_chain_is_drawn_from_the_main_future_to_the_timer() {
    let event_loop = Rc::new(EventLoop::with_virtual_clock());
    let watched = event_loop.clone();
    let base = line!();
    let first = event_loop.spawn(async {
        let second = spawn(async {
            sleep(SECOND).await.unwrap();
            sleep(9 * SECOND).await
        });
        second.await
    });
    let dump = event_loop.call_later(3 * SECOND, move || watched.dump());
    assert!(event_loop.run_until_complete(first).is_ok());
    let expected = "\
└── main (+9), waiting 3s for the promise made at +1
    └── task 0 (+1), waiting 3s for the promise made at +2
        └── task 1 (+2), waiting 2s for the promise made at +4
            └── timer (+4), due in 7s";
    assert_eq!(drawn(event_loop.run_until_complete(dump).unwrap(), base), expected);
}

/// K12, G2: three tasks that wait for each other fail a test at once, and the panic says why: the ring is drawn once, and closed by
/// its mark.
#[test]
fn a_ring_panics_with_its_tree() {
    watchdog(|| {
        let event_loop = EventLoop::with_virtual_clock();
        let promises: Rc<RefCell<Vec<local::Promise<()>>>> = Rc::default();
        let base = line!();
        let waits_for = |n: usize| {
            let promises = promises.clone();
            async move {
                let promise = promises.borrow()[n].clone();
                promise.await.unwrap();
            }
        };
        let first = event_loop.spawn(waits_for(1));
        let second = event_loop.spawn(waits_for(2));
        let third = event_loop.spawn(waits_for(0));
        promises.borrow_mut().extend([first, second, third.clone()]);
        let text = panic_of(|| event_loop.run_until_complete(third));
        assert!(
            text.starts_with("the future waits, but nothing on the loop is ready, and its virtual clock"),
            "{text}"
        );
        let expected = "
└── main (+12), waiting 0ns for the promise made at +10
    └── task 2 (+10), waiting 0ns for the promise made at +8
        └── task 0 (+8), waiting 0ns for the promise made at +9
            └── task 1 (+9), waiting 0ns for the promise made at +10
                └── task 2, a cycle";
        assert!(drawn(&text, base).ends_with(expected), "{text}");
        // Between runs nobody stands outside of the ring.
        let expected = "\
└── task 0 (+8), waiting 0ns for the promise made at +9
    └── task 1 (+9), waiting 0ns for the promise made at +10
        └── task 2 (+10), waiting 0ns for the promise made at +8
            └── task 0, a cycle";
        assert_eq!(drawn(event_loop.dump(), base), expected);
        promises.borrow_mut().clear();
    });
}

/// K12: whom several wait for is drawn once, below the first of them, and those whom nobody awaits each begin a tree.
#[test]
fn a_shared_task_is_drawn_once() {
    let event_loop = EventLoop::new();
    let base = line!();
    let shared = event_loop.spawn(pending::<()>());
    let other = event_loop.spawn(pending::<()>());
    for _ in 0..2 {
        let both = when((shared.clone(), other.clone()));
        event_loop.spawn(both);
    }
    event_loop.run_until_idle();
    let text = drawn(event_loop.dump(), base);
    let lines: Vec<_> = text.lines().map(|line| line.split(", waiting").next().unwrap()).collect();
    let expected = [
        "└── task 2 (+5)",
        "    ├── task 0 (+1)",
        "    └── task 1 (+2)",
        "└── task 3 (+5)",
        "    ├── task 0, see above",
        "    └── task 1, see above",
    ];
    assert_eq!(lines, expected);
}

/// G5: a hundred thousand tasks that wait for each other in a row are drawn in trees of bounded depth, on a small stack.
#[test]
fn a_long_chain_is_drawn_in_pieces() {
    const TASKS: u32 = 100_000;
    small_stack(|| {
        let event_loop = EventLoop::new();
        let mut last = event_loop.spawn(pending::<()>());
        for _ in 1..TASKS {
            last = event_loop.spawn(async move { last.await.unwrap() });
        }
        event_loop.run_until_idle();
        let dump = event_loop.dump();
        assert!(dump.iter().skip(1).all(|entry| entry.owners == [Owner::Task(entry.number.unwrap() - 1)]));
        let text = dump.to_string();
        let lines: Vec<_> = text.lines().collect();
        // In pieces of 32 tasks, each of which but the last ends with a line for the next.
        assert_eq!(lines.len() as u32, TASKS + TASKS.div_ceil(32) - 1);
        assert!(lines[0].starts_with("└── task 99999 ("), "{}", lines[0]);
        assert!(lines[32].ends_with("    └── task 99967, see below"), "{}", lines[32]);
        assert!(lines[33].starts_with("└── task 99967 ("), "{}", lines[33]);
    });
}

/// K12: a loop with nothing alive says so; what has ended or was canceled is gone.
#[test]
fn what_has_ended_is_gone() {
    let event_loop = EventLoop::new();
    assert_eq!(event_loop.dump().iter().count(), 0);
    let canceled = event_loop.spawn(pending::<()>());
    let stays = event_loop.spawn(pending::<()>());
    event_loop.spawn(async {});
    event_loop.spawn(async { panic!("a task") });
    let waits = event_loop.spawn(stays);
    let calls = event_loop.call_soon(|| ());
    assert_eq!(event_loop.dump().iter().count(), 5);
    event_loop.run_until_idle();
    assert!(canceled.cancel());
    let numbers: Vec<_> = event_loop.dump().into_iter().map(|entry| entry.number).collect();
    assert_eq!(numbers, [Some(1), Some(4)]);
    assert!(waits.cancel());
    drop((event_loop.call_soon(|| ()), calls));
    assert_eq!(event_loop.dump().iter().count(), 1);

    let event_loop = EventLoop::new();
    assert_eq!(event_loop.dump().to_string(), "no task is alive");
    assert_eq!(format!("{:?}", event_loop.dump().iter().next().is_none()), "true");
}

/// K12: what a task is doing, told from outside, between runs, and in the middle of its own poll.
#[test]
fn a_task_is_queued_or_waits_or_runs() {
    let event_loop = Rc::new(EventLoop::new());
    let (deferred, promise) = local::Deferred::<u32>::new();
    let status = |event_loop: &EventLoop, number| entry(&event_loop.dump(), number).status;

    let watched = event_loop.clone();
    let task = event_loop.spawn(async move {
        assert_eq!(status(&watched, 0), Status::Running);
        promise.await.unwrap();
        assert_eq!(status(&watched, 0), Status::Running);
        poll_fn(|cx| {
            // Woken in its own poll, it is queued already, but runs all the same.
            cx.waker().wake_by_ref();
            assert_eq!(status(&watched, 0), Status::Running);
            Poll::Ready(())
        })
        .await;
        watched.dump().iter().map(|entry| (entry.number, entry.status)).collect::<Vec<_>>()
    });
    assert_eq!(status(&event_loop, 0), Status::Queued);
    event_loop.run_until_idle();
    assert_eq!(status(&event_loop, 0), Status::Waiting);
    deferred.resolve(1);
    assert_eq!(status(&event_loop, 0), Status::Queued);

    let watched = event_loop.clone();
    let statuses = event_loop.run_until_complete(async move {
        assert_eq!(watched.dump().iter().next().unwrap().status, Status::Running);
        task.await.unwrap()
    });
    assert_eq!(statuses, [(None, Status::Waiting), (Some(0), Status::Running)]);
    assert_eq!(event_loop.dump().iter().count(), 0);
}

/// K12: so is a task that another thread has woken, while the loop does not run.
#[test]
fn a_task_woken_by_another_thread_is_queued() {
    let event_loop = EventLoop::new();
    let (deferred, promise) = Deferred::<u32>::new();
    event_loop.spawn(promise);
    event_loop.spawn(pending::<()>());
    event_loop.run_until_idle();
    std::thread::spawn(move || deferred.resolve(1)).join().unwrap();
    let dump = event_loop.dump();
    assert_eq!((entry(&dump, 0).status, entry(&dump, 1).status), (Status::Queued, Status::Waiting));
}

/// K12: a task that nobody can wake waits, also where the next one is queued in what memory it had to be woken by.
#[test]
fn a_task_that_nobody_can_wake_is_not_queued() {
    let event_loop = EventLoop::new();
    let _hung = event_loop.spawn(pending::<()>());
    event_loop.run_until_idle();
    let _next = event_loop.spawn(pending::<()>());
    let statuses: Vec<_> = event_loop.dump().iter().map(|entry| (entry.number, entry.status)).collect();
    assert_eq!(statuses, [(Some(0), Status::Waiting), (Some(1), Status::Queued)]);
}

/// K12: a task awaits no promise that it has dropped, whether that was settled and whoever else had it.
#[test]
fn what_a_task_gave_up_is_not_awaited() {
    for (settled, kept) in [(false, false), (false, true), (true, false), (true, true)] {
        let event_loop = EventLoop::new();
        let _task = event_loop.spawn(async move {
            let (deferred, mut promise) = Deferred::<u32>::new();
            assert!(poll_once(&mut promise).is_pending());
            if settled {
                deferred.resolve(1);
            }
            let kept = kept.then_some(deferred);
            drop(promise);
            pending::<()>().await;
            drop(kept);
        });
        event_loop.run_until_idle();
        assert_eq!(entry(&event_loop.dump(), 0).awaits, None, "settled: {settled}, kept: {kept}");
    }
}

/// K12: the main future is queued from its wake to its poll.
#[test]
fn the_main_future_is_queued_when_woken() {
    let event_loop = Rc::new(EventLoop::new());
    let (deferred, promise) = local::Deferred::<u32>::new();
    let (watched, seen) = (event_loop.clone(), Rc::new(Cell::new(None)));
    let sees = seen.clone();
    event_loop.call_soon(move || {
        let status = || watched.dump().iter().next().unwrap().status;
        let before = status();
        deferred.resolve(1);
        sees.set(Some((before, status())));
    });
    event_loop.run_until_complete(promise).unwrap();
    assert_eq!(seen.get(), Some((Status::Waiting, Status::Queued)));
}

/// K12: since when, on a virtual clock: a task that waits since its last poll, a queued one since it was spawned or woken.
#[test]
fn times_are_exact_on_a_virtual_clock() {
    let event_loop = Rc::new(EventLoop::with_virtual_clock());
    let start = event_loop.handle().now();
    let (deferred, promise) = local::Deferred::<u32>::new();
    event_loop.spawn(async move {
        sleep(2 * SECOND).await.unwrap();
        promise.await
    });
    event_loop.spawn(pending::<()>());
    let (watched, log) = (event_loop.clone(), Log::new());
    let logs = log.clone();
    let note = Rc::new(move || {
        for entry in watched.dump().iter() {
            logs.add(format!("{}:{:?}@{:?}", entry.number.unwrap(), entry.status, entry.since - start));
        }
    });
    let notes = note.clone();
    event_loop.call_later(SECOND, move || {
        spawn(pending::<()>());
        notes();
    });
    let notes = note.clone();
    event_loop.call_later(5 * SECOND, move || {
        notes();
        deferred.resolve(1);
        notes();
    });
    event_loop.run_until_idle();
    let expected = "0:Waiting@0ns 1:Waiting@0ns 2:Queued@1s \
                    0:Waiting@2s 1:Waiting@0ns 2:Waiting@1s \
                    0:Queued@5s 1:Waiting@0ns 2:Waiting@1s";
    assert_eq!(log.text(), expected);
}

/// K12: the main future waits since its last poll, too, and a new run begins with a look at the clock.
#[test]
fn the_main_future_has_a_time_of_its_own() {
    let event_loop = Rc::new(EventLoop::with_virtual_clock());
    event_loop.call_later(7 * SECOND, || ());
    event_loop.run_until_idle();
    let (watched, now) = (event_loop.clone(), event_loop.handle().now());
    let dump = event_loop.call_later(SECOND, move || watched.dump());
    let dump = event_loop.run_until_complete(dump).unwrap();
    assert_eq!(dump.iter().next().unwrap().since, now);
}

/// K12: a task that waits for no promise just waits; one whose promise is settled from outside waits for that, and for nobody here.
#[test]
fn what_nobody_here_owes_has_no_owner() {
    let event_loop = EventLoop::new();
    let (_sender, receiver) = oneshot::channel::<u32>();
    event_loop.spawn(async move { receiver.await.is_ok() });
    let line = line!() + 1;
    let (_deferred, promise) = local::Deferred::<u32>::new();
    event_loop.spawn(promise);
    event_loop.run_until_idle();
    let dump = event_loop.dump();
    assert_eq!((entry(&dump, 0).awaits, &entry(&dump, 0).owners[..]), (None, &[][..]));
    assert_eq!(entry(&dump, 1).awaits.map(|origin| origin.line()), Some(line));
    assert_eq!(entry(&dump, 1).owners, []);
}

/// The documentation of `EventLoop::dump`: of several promises, the one that was found pending last is shown.
#[test]
fn of_several_promises_the_last_pending_one_is_shown() {
    let event_loop = EventLoop::new();
    let tasks = [event_loop.spawn(pending::<()>()), event_loop.spawn(pending::<()>())];
    let [first, second] = tasks.clone();
    event_loop.spawn(async move { futures::future::join(first, second).await });
    event_loop.run_until_idle();
    assert_eq!(entry(&event_loop.dump(), 2).owners, [Owner::Task(1)]);
}

/// A task that is polled again, and finds the promise as it was, goes on waiting for it.
#[test]
fn a_task_that_is_woken_in_vain_still_waits() {
    let event_loop = EventLoop::new();
    let mut promise = event_loop.spawn(pending::<()>());
    let waker = Rc::new(Cell::new(None::<Waker>));
    let slot = waker.clone();
    event_loop.spawn(poll_fn(move |cx| {
        slot.set(Some(cx.waker().clone()));
        Pin::new(&mut promise).poll(cx)
    }));
    event_loop.run_until_idle();
    waker.take().unwrap().wake();
    event_loop.run_until_idle();
    assert!(waker.take().is_some(), "it was polled again");
    assert_eq!(entry(&event_loop.dump(), 1).owners, [Owner::Task(0)]);
}

/// A promise that was polled and dropped in one poll, as the loser of a `select`, is not what the task waits for.
#[test]
fn a_promise_dropped_in_the_same_poll_is_forgotten() {
    let event_loop = EventLoop::new();
    let loser = event_loop.spawn(pending::<()>());
    let (mut polled, mut taken) = (loser.clone(), loser.clone());
    event_loop.spawn(async move {
        assert!(poll_once(&mut polled).is_pending());
        drop(polled);
        pending::<()>().await
    });
    // Nor is one that was made into another.
    event_loop.spawn(async move {
        assert!(poll_once(&mut taken).is_pending());
        let _kept = taken.then(Ok);
        pending::<()>().await
    });
    // One that is kept is the one that the poll found pending last.
    event_loop.spawn(async move {
        let mut kept = loser;
        assert!(poll_once(&mut kept).is_pending());
        pending::<()>().await
    });
    event_loop.run_until_idle();
    let dump = event_loop.dump();
    assert_eq!((entry(&dump, 1).status, entry(&dump, 1).awaits), (Status::Waiting, None));
    assert_eq!((entry(&dump, 2).status, entry(&dump, 2).awaits), (Status::Waiting, None));
    assert!(entry(&dump, 3).awaits.is_some());
}

/// G6: a dump from wherever the thread can be: in a promise's callback, in the destructors of a cancel and of a closing loop, and while
/// another loop runs.
#[test]
fn a_dump_from_anywhere() {
    let (event_loop, log) = (Rc::new(EventLoop::new()), Log::new());
    let counts = |place: &'static str| {
        let (watched, log) = (Rc::downgrade(&event_loop), log.clone());
        move || {
            let count = watched.upgrade().map(|event_loop| event_loop.dump().iter().count());
            log.add(format!("{place}:{}", count.map_or("gone".to_owned(), |count| count.to_string())));
        }
    };
    let held = OnDrop::new(counts("cancel"));
    let canceled = event_loop.spawn(async move {
        let _held = held;
        pending::<()>().await
    });
    let in_callback = counts("callback");
    event_loop.spawn(async {}).done(move |()| in_callback());
    event_loop.run_until_idle();
    assert!(canceled.cancel());

    let held = OnDrop::new(counts("close"));
    event_loop.spawn(async move {
        let _held = held;
        pending::<()>().await
    });
    let other = EventLoop::new();
    other.call_soon(counts("elsewhere"));
    other.run_until_idle();
    event_loop.run_until_idle();
    drop(event_loop);
    assert_eq!(log.text(), "callback:2 cancel:0 elsewhere:1 close:gone");
}

/// The cost: a poll that ends pending allocates nothing, whether the promise or the task is asked.
#[test]
fn a_pending_poll_allocates_nothing() {
    const TURNS: usize = 1_000;
    let event_loop = EventLoop::new();
    let (_deferred, mut promise) = local::Deferred::<u32>::new();
    let polled = Rc::new(Cell::new(0));
    let counts = polled.clone();
    event_loop.spawn(poll_fn(move |cx| {
        assert!(Pin::new(&mut promise).poll(cx).is_pending());
        counts.set(counts.get() + 1);
        cx.waker().wake_by_ref();
        Poll::<()>::Pending
    }));
    let turns = |mut left: usize| {
        poll_fn(move |cx| {
            left -= 1;
            cx.waker().wake_by_ref();
            if left > 0 { Poll::Pending } else { Poll::Ready(()) }
        })
    };
    event_loop.run_until_complete(turns(10));
    polled.set(0);
    let info = measure(|| event_loop.run_until_complete(turns(TURNS)));
    assert_eq!(polled.get(), TURNS - 1);
    // The waker of the main future.
    assert_eq!(info.count_total, 1, "{info:?}");
}
