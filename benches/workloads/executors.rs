//! Executors for one thread, behind one face: the workloads are written once.

use std::cell::RefCell;
use std::future::Future;

use deferral::{EventLoop, local};
use futures::executor::{LocalPool, LocalSpawner, block_on};
use futures::future::RemoteHandle;
use futures::task::LocalSpawnExt;
use tokio::runtime::{Builder, Runtime};
use tokio::task::LocalSet;

pub trait Executor: 'static {
    /// What tells the output of a task.
    type Task<T: 'static>: Future + 'static;

    fn new() -> Self;

    fn spawn<T: 'static>(&self, future: impl Future<Output = T> + 'static) -> Self::Task<T>;

    fn run<T>(&self, future: impl Future<Output = T>) -> T;

    /// Lets a task go on by itself. Where a handle that is dropped does that, nothing is to be done.
    fn detach<T: 'static>(task: Self::Task<T>) {
        drop(task);
    }
}

/// This crate.
pub struct Deferral(EventLoop);

impl Executor for Deferral {
    type Task<T: 'static> = local::Promise<T>;

    fn new() -> Self {
        Deferral(EventLoop::new())
    }

    fn spawn<T: 'static>(&self, future: impl Future<Output = T> + 'static) -> Self::Task<T> {
        self.0.spawn(future)
    }

    fn run<T>(&self, future: impl Future<Output = T>) -> T {
        self.0.run_until_complete(future)
    }
}

/// `tokio`: a `LocalSet` on the runtime of one thread.
pub struct Tokio {
    runtime: Runtime,
    tasks: LocalSet,
}

impl Executor for Tokio {
    type Task<T: 'static> = tokio::task::JoinHandle<T>;

    fn new() -> Self {
        let runtime = Builder::new_current_thread().build().expect("a runtime without drivers");
        Tokio { runtime, tasks: LocalSet::new() }
    }

    fn spawn<T: 'static>(&self, future: impl Future<Output = T> + 'static) -> Self::Task<T> {
        self.tasks.spawn_local(future)
    }

    fn run<T>(&self, future: impl Future<Output = T>) -> T {
        self.tasks.block_on(&self.runtime, future)
    }
}

/// `async-executor`.
pub struct Local(async_executor::LocalExecutor<'static>);

impl Executor for Local {
    type Task<T: 'static> = async_executor::Task<T>;

    fn new() -> Self {
        Local(async_executor::LocalExecutor::new())
    }

    fn spawn<T: 'static>(&self, future: impl Future<Output = T> + 'static) -> Self::Task<T> {
        self.0.spawn(future)
    }

    fn run<T>(&self, future: impl Future<Output = T>) -> T {
        block_on(self.0.run(future))
    }

    fn detach<T: 'static>(task: Self::Task<T>) {
        task.detach();
    }
}

/// `async-executor`, leaked: it does not know its tasks, and never drops them.
pub struct Static(&'static async_executor::StaticLocalExecutor);

impl Executor for Static {
    type Task<T: 'static> = async_executor::Task<T>;

    fn new() -> Self {
        Static(async_executor::LocalExecutor::new().leak())
    }

    fn spawn<T: 'static>(&self, future: impl Future<Output = T> + 'static) -> Self::Task<T> {
        self.0.spawn(future)
    }

    fn run<T>(&self, future: impl Future<Output = T>) -> T {
        block_on(self.0.run(future))
    }

    fn detach<T: 'static>(task: Self::Task<T>) {
        task.detach();
    }
}

/// `futures`.
pub struct Pool {
    pool: RefCell<LocalPool>,
    spawner: LocalSpawner,
}

impl Executor for Pool {
    type Task<T: 'static> = RemoteHandle<T>;

    fn new() -> Self {
        let pool = LocalPool::new();
        let spawner = pool.spawner();
        Pool { pool: RefCell::new(pool), spawner }
    }

    fn spawn<T: 'static>(&self, future: impl Future<Output = T> + 'static) -> Self::Task<T> {
        self.spawner.spawn_local_with_handle(future).expect("the pool lives")
    }

    fn run<T>(&self, future: impl Future<Output = T>) -> T {
        self.pool.borrow_mut().run_until(future)
    }

    fn detach<T: 'static>(task: Self::Task<T>) {
        task.forget();
    }
}
