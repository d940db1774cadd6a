//! The loop as an executor for code that is written against the `futures` traits.

use futures::task::{FutureObj, LocalFutureObj, LocalSpawn, Spawn, SpawnError};

use super::{EventLoop, Handle};

/// A task from any thread, detached. It wakes the loop as [`Handle::spawn`] does.
///
/// A panic of the task ends it and nothing else. Once the loop is gone the error is [`SpawnError::shutdown`], and the future is dropped
/// on the calling thread; a loop that goes later drops it on its own.
///
/// # Examples
///
/// ```
/// use deferral::EventLoop;
/// use futures::task::SpawnExt;
///
/// let event_loop = EventLoop::new();
/// let handle = event_loop.handle();
/// let answer = std::thread::spawn(move || handle.spawn_with_handle(async { 6 * 7 }).unwrap()).join().unwrap();
/// assert_eq!(event_loop.run_until_complete(answer), 42);
/// ```
impl Spawn for Handle {
    #[track_caller]
    fn spawn_obj(&self, future: FutureObj<'static, ()>) -> Result<(), SpawnError> {
        // If the loop closes after this, it is as if it had closed after the spawn.
        Spawn::status(self)?;
        drop(self.spawn(future));
        Ok(())
    }

    fn status(&self) -> Result<(), SpawnError> {
        if self.is_closed() { Err(SpawnError::shutdown()) } else { Ok(()) }
    }
}

/// A task of the loop's own thread, detached, that need not be `Send`.
///
/// A panic of the task ends it and nothing else. It never fails, as the loop is there. Whoever needs a spawner to keep and to clone
/// shares the loop in an [`Rc`](std::rc::Rc), which is a `LocalSpawn` as well.
///
/// # Examples
///
/// ```
/// use deferral::EventLoop;
/// use futures::task::{LocalSpawn, LocalSpawnExt};
/// use std::{cell::Cell, rc::Rc};
///
/// /// Some library's function, for any executor.
/// fn start(spawner: &impl LocalSpawn, count: Rc<Cell<u32>>) {
///     spawner.spawn_local(async move { count.set(count.get() + 1) }).unwrap();
/// }
///
/// let (event_loop, count) = (EventLoop::new(), Rc::new(Cell::new(0)));
/// start(&event_loop, count.clone());
/// event_loop.run_until_idle();
/// assert_eq!(count.get(), 1);
/// ```
impl LocalSpawn for EventLoop {
    #[track_caller]
    fn spawn_local_obj(&self, future: LocalFutureObj<'static, ()>) -> Result<(), SpawnError> {
        drop(self.spawn(future));
        Ok(())
    }
}
