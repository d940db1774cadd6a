//! Who owes what a task waits for: through derived promises, of both flavors, and never a stranger.

use crate::util::watchdog;
use deferral::dump::{Entry, Owner};
use deferral::{Broken, Deferred, Dump, EventLoop, Promise, current, local, sleep, spawn, timeout, when};
use futures::FutureExt;
use std::cell::RefCell;
use std::future::{pending, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier};
use std::task::Poll;
use std::thread;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

/// The entry of a task.
#[track_caller]
fn entry(dump: &Dump, number: u32) -> &Entry {
    dump.iter().find(|entry| entry.number == Some(number)).expect("the task is alive")
}

/// Who owes what the last task waits for.
#[track_caller]
fn owners_of_last(event_loop: &EventLoop) -> Vec<Owner> {
    event_loop.run_until_idle();
    event_loop.dump().into_iter().last().expect("a task is alive").owners
}

/// K12: behind every kind of derived promise stands the task that owes it at the end.
#[test]
fn derived_promises_lead_to_the_task_that_owes_them() {
    type Derive = fn(local::Promise<u32>) -> local::Promise<u32>;
    let derivations: [(&str, Derive); 12] = [
        ("itself", |promise| promise),
        ("then", |promise| promise.then(|n| Ok(n + 1))),
        ("catch", |promise| promise.catch(|_| Ok(0))),
        ("map_err", |promise| promise.map_err(|broken| broken)),
        ("a chain", |promise| promise.then(Ok).catch(Err).then(Ok)),
        ("when", |promise| when((promise, Ok(2))).then(|(n, _)| Ok(n))),
        ("any", |promise| when::any([promise]).map_err(|mut errors: Vec<Broken>| errors.remove(0))),
        ("race", |promise| when::race([promise])),
        ("settled", |promise| when::settled([promise]).then(|mut results| results.remove(0))),
        ("map", |promise| when::map([promise], 1, |promise| promise).then(|values| Ok(values[0]))),
        ("forward", |promise| {
            let (deferred, target) = local::Deferred::<u32>::new();
            promise.forward(deferred);
            target
        }),
        ("adopted", |promise| local::Promise::<()>::resolved(()).then(move |()| promise)),
    ];
    for (name, derive) in derivations {
        let event_loop = EventLoop::new();
        let derived = derive(event_loop.spawn(pending::<u32>()));
        event_loop.spawn(derived);
        assert_eq!(owners_of_last(&event_loop), [Owner::Task(0)], "{name}");
    }
    let event_loop = EventLoop::new();
    let flat: local::Promise<u32> = event_loop.spawn(pending::<Result<u32, Broken>>()).flatten();
    event_loop.spawn(flat);
    assert_eq!(owners_of_last(&event_loop), [Owner::Task(0)]);
}

/// K12: the same for the thread-safe flavor.
#[test]
fn so_do_thread_safe_ones() {
    type Derive = fn(Promise<u32>) -> Promise<u32>;
    let derivations: [(&str, Derive); 4] = [
        ("itself", |promise| promise),
        ("a chain", |promise| promise.then(|n| Ok(n + 1)).catch(Err).map_err(|broken| broken)),
        ("when", |promise| when(vec![promise.clone(), promise]).then(|values| Ok(values[0]))),
        ("map", |promise| when::map([promise], 1, |promise| promise).then(|values| Ok(values[0]))),
    ];
    for (name, derive) in derivations {
        let event_loop = EventLoop::new();
        let handle = event_loop.handle();
        // Spawned there, awaited here.
        let promise = thread::spawn(move || derive(handle.spawn(pending::<u32>()))).join().unwrap();
        event_loop.run_until_idle();
        event_loop.spawn(promise);
        assert_eq!(owners_of_last(&event_loop), [Owner::Task(0)], "{name}");
    }
}

/// K12: and one that settles in turns of a loop, whatever thread settles its source.
#[test]
fn via_leads_to_the_task_that_owes_the_source() {
    let event_loop = EventLoop::new();
    let handle = event_loop.handle();
    let promise = handle.spawn(pending::<u32>()).via(&handle);
    event_loop.run_until_idle();
    event_loop.spawn(promise.then(|n| Ok(n + 1)));
    assert_eq!(owners_of_last(&event_loop), [Owner::Task(0)]);
}

/// K12: a promise that is brought to the loop is owed by the task that brings it, and that waits for whoever owes the source.
#[test]
fn into_local_is_a_task_on_the_way() {
    let event_loop = EventLoop::new();
    let source = event_loop.handle().spawn(pending::<u32>());
    event_loop.run_until_complete(async { drop(spawn(source.into_local())) });
    event_loop.run_until_idle();
    let dump = event_loop.dump();
    assert_eq!(entry(&dump, 2).owners, [Owner::Task(1)]);
    assert_eq!(entry(&dump, 1).owners, [Owner::Task(0)]);
}

/// K12: timers and calls owe as tasks do: those of sleeps, of scheduled calls, of a handle's, and of timeouts beside the promise.
#[test]
fn timers_and_calls_are_owners() {
    let event_loop = Rc::new(EventLoop::with_virtual_clock());
    let due = event_loop.handle().now() + 5 * SECOND;
    let waits = |promise: local::Promise<()>| event_loop.spawn(promise);
    waits(event_loop.call_later(5 * SECOND, || ()));
    waits(event_loop.call_at(due, || ()));
    waits(event_loop.call_later(Duration::MAX, || ()));
    event_loop.spawn(async { sleep(5 * SECOND).await });
    event_loop.spawn(async { current().sleep(5 * SECOND).await });
    event_loop.spawn(async { timeout(5 * SECOND, spawn(pending::<()>())).await });
    event_loop.run_until_complete(event_loop.call_soon(|| ())).unwrap();
    event_loop.run_until_complete(event_loop.call_soon(|| ())).unwrap();

    let dump = event_loop.dump();
    let is_timer = |owner: &Owner| match owner {
        Owner::Timer { origin, due: at, .. } => origin.file() == file!() && *at == due,
        _ => false,
    };
    for number in [0, 1, 3, 4] {
        let owners = &entry(&dump, number).owners;
        assert!(owners.len() == 1 && is_timer(&owners[0]), "{number}: {owners:?}");
    }
    assert!(matches!(entry(&dump, 2).owners[..], [Owner::Call { .. }]));
    assert!(matches!(&entry(&dump, 5).owners[..], [Owner::Task(6), timer] if is_timer(timer)));

    let (watched, line) = (event_loop.clone(), line!() + 1);
    event_loop.spawn(async { current().call_soon(|| ()).await });
    // Polled in the same turn, before the call has run.
    let dump = event_loop.spawn(async move { watched.dump() });
    let dump = event_loop.run_until_complete(dump).unwrap();
    let [Owner::Call { origin, .. }] = entry(&dump, 7).owners[..] else { panic!("{dump}") };
    assert_eq!(origin.line(), line);
}

/// K12: who waits for several through one promise waits for all that owe it: tasks in the order of spawning, then timers.
#[test]
fn an_aggregate_has_many_owners() {
    let event_loop = EventLoop::with_virtual_clock();
    event_loop.spawn(async {
        let tasks = [spawn(pending::<()>()), spawn(pending::<()>())];
        let timer = sleep(SECOND);
        let [first, second] = tasks;
        when((second, timer, first)).await
    });
    event_loop.run_until_complete(event_loop.call_soon(|| ())).unwrap();
    event_loop.run_until_complete(event_loop.call_soon(|| ())).unwrap();
    let dump = event_loop.dump();
    assert!(matches!(entry(&dump, 0).owners[..], [Owner::Task(1), Owner::Task(2), Owner::Timer { .. }]), "{dump}");
}

/// K12: a promise that is polled with a waker that is not the task's own, as by `Shared`, is followed all the same.
#[test]
fn wakers_of_combinators_are_followed() {
    let event_loop = EventLoop::new();
    let shared = event_loop.spawn(pending::<()>()).shared();
    event_loop.spawn(shared);
    assert_eq!(owners_of_last(&event_loop), [Owner::Task(0)]);
}

/// The documentation of `EventLoop::dump`: of the task that runs, who waits for its very promise is known.
#[test]
fn who_waits_for_the_running_task() {
    let event_loop = Rc::new(EventLoop::new());
    let watched = event_loop.clone();
    let asks = event_loop.spawn(async move {
        pending_once().await;
        watched.dump()
    });
    let (line, waits) = (line!() + 1, asks.clone());
    event_loop.spawn(async move { waits.await.is_ok() });
    let dump = event_loop.run_until_complete(asks).unwrap();
    assert_eq!(entry(&dump, 1).origin.line(), line);
    assert_eq!(entry(&dump, 1).owners, [Owner::Task(0)]);
    assert_eq!(dump.iter().next().unwrap().owners, [Owner::Task(0)]);
}

/// Lets the others go first.
async fn pending_once() {
    let mut polled = false;
    poll_fn(|cx| {
        cx.waker().wake_by_ref();
        if std::mem::replace(&mut polled, true) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await
}

/// A loop tells of itself alone: what another one owes has no owner here.
#[test]
fn another_loop_owes_nothing_here() {
    let (here, there) = (EventLoop::new(), EventLoop::new());
    let promise = there.spawn(pending::<()>());
    let line = line!() - 1;
    here.spawn(pending::<()>());
    here.spawn(promise);
    assert_eq!(owners_of_last(&here), []);
    assert_eq!(entry(&here.dump(), 1).awaits.unwrap().line(), line);
    there.run_until_idle();
    assert_eq!(entry(&there.dump(), 0).awaits, None);
}

/// A promise that has gone is not taken for one that was made at the same line, and lies at the same address.
#[test]
fn a_stale_address_is_not_mistaken() {
    let event_loop = EventLoop::new();
    let make = || event_loop.spawn(pending::<()>());
    for _ in 0..16 {
        let promise = make();
        let other = promise.clone();
        let slot = Rc::new(RefCell::new(Some(promise)));
        let polled = slot.clone();
        event_loop.spawn(poll_fn(move |cx| match &mut *polled.borrow_mut() {
            Some(promise) => Pin::new(promise).poll(cx).map(drop),
            None => Poll::Pending,
        }));
        event_loop.run_until_idle();
        let dump = event_loop.dump();
        let waits = dump.iter().last().unwrap();
        assert_eq!(waits.owners.len(), 1);
        // The promise goes, and then the task that owed it: nobody is woken by that.
        drop(slot.take());
        assert!(other.cancel());
        drop(other);
        let newcomer = make();
        event_loop.spawn(newcomer);
        event_loop.run_until_idle();
        let dump = event_loop.dump();
        assert_eq!(entry(&dump, waits.number.unwrap()).owners, [], "{dump}");
        assert_eq!(dump.iter().last().unwrap().owners.len(), 1);
    }
}

/// G7: a dump holds nothing of what it tells: what is let go of afterwards goes.
#[test]
fn a_dump_keeps_nothing_alive() {
    let event_loop = EventLoop::new();
    let held = Rc::new(());
    let promise = event_loop.spawn(pending::<Rc<()>>());
    let (inner, follower) = (held.clone(), promise.clone());
    follower.then(move |_| Ok(inner));
    event_loop.spawn(promise);
    event_loop.run_until_idle();
    let dump = event_loop.dump();
    drop(event_loop);
    assert_eq!(Rc::strong_count(&held), 1);
    assert_eq!(dump.iter().count(), 2);
}

/// G6: promises that other threads settle, follow and drop meanwhile neither stop a dump nor are stopped by it.
#[test]
fn dumps_beside_busy_threads() {
    watchdog(|| {
        let event_loop = Rc::new(EventLoop::new());
        let (over, start) = (Arc::new(AtomicBool::new(false)), Arc::new(Barrier::new(3)));
        let threads: Vec<_> = (0..2)
            .map(|_| {
                let (handle, over, start) = (event_loop.handle(), over.clone(), start.clone());
                thread::spawn(move || {
                    start.wait();
                    while !over.load(Ordering::Relaxed) {
                        let (deferred, promise) = Deferred::<u32>::new();
                        let task = handle.spawn(async move { promise.await.unwrap() });
                        let derived = task.clone().then(|n| Ok(n + 1)).catch(|_| Ok(0));
                        let all = when((derived, task));
                        deferred.resolve(1);
                        assert_eq!(all.wait().unwrap(), (2, 1));
                    }
                })
            })
            .collect();
        start.wait();
        let (watched, stops) = (event_loop.clone(), event_loop.handle());
        event_loop.spawn(async move {
            for _ in 0..2_000 {
                assert!(watched.dump().to_string().contains("running"));
                pending_once().await;
            }
            over.store(true, Ordering::Relaxed);
        });
        let joins = thread::spawn(move || {
            threads.into_iter().for_each(|thread| thread.join().unwrap());
            stops.stop();
        });
        event_loop.run_forever();
        joins.join().unwrap();
    });
}
