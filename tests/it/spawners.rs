//! Code that is written against the `futures` traits `Spawn` and `LocalSpawn`, on the loop.

use crate::util::{Log, OnDrop, watchdog};
use deferral::{Deferred, EventLoop, State, sleep};
use futures::executor::LocalPool;
use futures::future::RemoteHandle;
use futures::task::{FutureObj, LocalFutureObj, LocalSpawn, LocalSpawnExt, Spawn, SpawnExt};
use std::future::pending;
use std::rc::Rc;
use std::thread;
use std::time::Duration;

/// Some library's code: tasks that spawn tasks, and wait for each other.
fn start(spawner: &(impl LocalSpawn + Clone + 'static), log: &Log) {
    for n in 0..3 {
        let (log, inner) = (Rc::new(log.clone()), spawner.clone());
        let task = async move {
            let inner_log = log.clone();
            let handle = inner.spawn_local_with_handle(async move { inner_log.add(format!("inner{n}")) }).unwrap();
            log.add(format!("outer{n}"));
            handle.await;
            log.add(format!("last{n}"));
        };
        spawner.spawn_local(task).unwrap();
    }
    assert!(spawner.status_local().is_ok());
}

/// G12: a library's tasks run on the loop as on the executor they were written for.
#[test]
fn a_library_runs_here_as_elsewhere() {
    let (log, expected) = (Log::new(), Log::new());
    let event_loop = Rc::new(EventLoop::new());
    start(&event_loop, &log);
    event_loop.run_until_idle();
    let mut pool = LocalPool::new();
    start(&pool.spawner(), &expected);
    pool.run();
    assert_eq!(log.text().split(' ').count(), 9);
    let sorted = |log: &Log| {
        let mut entries: Vec<_> = log.text().split(' ').map(str::to_owned).collect();
        entries.sort_unstable();
        entries
    };
    assert_eq!(sorted(&log), sorted(&expected));
    assert_eq!(log.text(), "outer0 outer1 outer2 inner0 inner1 inner2 last0 last1 last2");
}

/// G12, H1: a library's task comes from another thread, and wakes the loop that sleeps.
#[test]
fn a_library_spawns_from_another_thread() {
    fn ask(spawner: &impl Spawn, n: u32) -> RemoteHandle<u32> {
        spawner.spawn_with_handle(async move { n * 2 }).unwrap()
    }
    watchdog(|| {
        let event_loop = EventLoop::new();
        let handle = event_loop.handle();
        assert!(handle.status().is_ok());
        let (deferred, answer) = Deferred::<u32>::new();
        let thread = thread::spawn(move || {
            for n in 0..1_000 {
                assert_eq!(futures::executor::block_on(ask(&handle, n)), n * 2);
            }
            deferred.resolve(1);
        });
        assert_eq!(event_loop.run_until_complete(answer).unwrap(), 1);
        thread.join().unwrap();
    });
}

/// G8: such a task is detached, and its place in the order is that of every other.
#[test]
fn a_boxed_task_is_a_task() {
    let (event_loop, log) = (EventLoop::with_virtual_clock(), Log::new());
    let (first, second) = (log.entry("first"), log.entry("second"));
    event_loop.spawn_local_obj(LocalFutureObj::new(Box::new(async move { first() }))).unwrap();
    event_loop.call_soon(log.entry("call"));
    let task = async move {
        second();
        sleep(Duration::from_secs(1)).await.unwrap();
    };
    event_loop.spawn_local_obj(LocalFutureObj::new(Box::new(task))).unwrap();
    event_loop.handle().spawn_obj(FutureObj::new(Box::new(async {}))).unwrap();
    assert_eq!((event_loop.turn().ran, log.text().as_str()), (4, "first call second"));
    assert_eq!(event_loop.turn().ran + event_loop.turn().ran, 2);
}

/// G9: a task that panics is the end of itself alone; who holds `futures`' own handle of it is told there.
#[test]
fn a_panic_of_such_a_task() {
    let event_loop = EventLoop::new();
    event_loop.spawn_local(async { panic!("a local task") }).unwrap();
    event_loop.handle().spawn(async { panic!("a task") });
    SpawnExt::spawn(&event_loop.handle(), async { panic!("another") }).unwrap();
    let last = event_loop.call_soon(|| ());
    event_loop.run_until_idle();
    assert_eq!(last.state(), State::Resolved);
}

/// G2, K7, H8: a loop that goes drops such tasks on its thread; after that the error says so, and the future is dropped at once.
#[test]
fn a_spawner_outlives_its_loop() {
    let (event_loop, log) = (EventLoop::new(), Log::new());
    let handle = event_loop.handle();
    let held = || {
        let guard = OnDrop::new(log.entry("dropped"));
        async move {
            let _guard = guard;
            pending::<()>().await
        }
    };
    event_loop.spawn_local(held()).unwrap();
    SpawnExt::spawn(&handle, held()).unwrap();
    event_loop.run_until_idle();
    SpawnExt::spawn(&handle, held()).unwrap();
    assert_eq!(log.text(), "");
    drop(event_loop);
    assert_eq!(log.text(), "dropped dropped dropped");
    let other = handle.clone();
    let late = held();
    thread::spawn(move || {
        assert!(other.status().unwrap_err().is_shutdown());
        assert!(SpawnExt::spawn(&other, late).unwrap_err().is_shutdown());
    })
    .join()
    .unwrap();
    assert_eq!(log.text(), "dropped dropped dropped dropped");
}
