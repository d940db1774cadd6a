//! What a loop owes: the outcome of a task, a call or a timer.

use std::any::Any;
use std::hint::black_box;
use std::panic::Location;
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use pin_project_lite::pin_project;

use crate::awaited;
use crate::broken::{Broken, BrokenKind};
use crate::core::trampoline::Caller;
use crate::core::{self, AnyPromise, AnySource, Core, Flavor, Note, Producer, Room};
use crate::diagnostics;
use crate::event_loop::{AnyCall, Local, LocalCall, LocalFuture, Remote, Timer, any_call};
use crate::list::Key;
use crate::local;
use crate::panics;
use crate::progress::Progress;
use crate::promise::Promise;

/// A `Deferred` in the hands of a loop: dropped unsettled, it says that the loop is closed.
pub(super) struct Owed<T: 'static, E: 'static, P: 'static, F: Flavor> {
    pub(super) producer: Producer<T, E, P, F>,
}

impl<T, E, P, F: Flavor> Owed<T, E, P, F> {
    /// A call for the loop, which settles with what `f` returns and does not unwind.
    pub(super) fn call(self, f: impl FnOnce() -> T + 'static) -> AnyCall {
        any_call(Call { inner: Some((f, self)) })
    }

    /// Begins a poll of the task that owes it.
    pub(super) fn begin_poll(&self) {
        awaited::begin(self.producer.any().address());
    }

    /// The promise, for a [`Dump`](super::Dump): an `AnyPromise` of its flavor.
    pub(super) fn owes(&self) -> Box<dyn Any> {
        Box::<AnyPromise<F>>::new(self.producer.any().clone())
    }

    fn resolve(self, value: T) {
        // The work that was scheduled has run, and needs not be taken back.
        self.producer.forget_source();
        self.producer.settle(Ok(value), Note::UNKNOWN, Caller::Quiet);
    }

    fn break_by_panic(self, payload: panics::Payload) {
        self.producer.reject_by_panic(payload, Caller::Quiet);
    }
}

impl<T, E, P, F: Flavor> Drop for Owed<T, E, P, F> {
    fn drop(&mut self) {
        if !self.producer.is_settled() {
            self.producer.reject_by(BrokenKind::LoopClosed, Caller::Quiet);
        }
    }
}

/// Both ends of something that a loop is going to owe.
#[allow(clippy::type_complexity)]
pub(super) fn owe<T, F: Flavor>(
    origin: &'static Location<'static>,
) -> (Owed<T, Broken, Progress, F>, Promise<T, Broken, Progress, F>) {
    let (producer, promise) = Core::new(Broken::from, origin);
    (Owed { producer }, Promise::from_core(promise))
}

/// A closure that settles a promise, until it has run.
struct Call<C, T: 'static, E: 'static, P: 'static, F: Flavor> {
    inner: Option<(C, Owed<T, E, P, F>)>,
}

impl<C: FnOnce() -> T, T, E, P, F: Flavor> LocalCall for Call<C, T, E, P, F> {
    fn run(&mut self) {
        let Some((f, owed)) = self.inner.take() else { return };
        match panics::guard(f) {
            Ok(value) => owed.resolve(value),
            Err(payload) => owed.break_by_panic(payload),
        }
    }

    fn fetch(&self) {
        black_box(self.inner.as_ref().map(|(_, owed)| owed.producer.is_settled()));
    }

    fn owes(&self) -> Option<Box<dyn Any>> {
        self.inner.as_ref().map(|(_, owed)| owed.owes())
    }
}

pin_project! {
    /// A future that settles a promise, and ends when it has.
    pub(super) struct Task<U: Future, F: Flavor>
    where
        U::Output: 'static,
    {
        #[pin]
        future: Option<U>,
        owed: Option<Owed<U::Output, Broken, Progress, F>>,
    }
}

impl<U: Future, F: Flavor> Task<U, F> {
    pub(super) fn new(future: U, owed: Owed<U::Output, Broken, Progress, F>) -> Self {
        Task { future: Some(future), owed: Some(owed) }
    }
}

impl<U: Future, F: Flavor> Future for Task<U, F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        let Some(future) = this.future.as_mut().as_pin_mut() else { return Poll::Ready(()) };
        if let Some(owed) = this.owed {
            owed.begin_poll();
        }
        let output = match panics::guard(|| future.poll(cx)) {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(output)) => Ok(output),
            Err(payload) => Err(payload),
        };
        // What the future captured is gone before anybody sees its output.
        if let Err(payload) = panics::guard(|| this.future.set(None)) {
            diagnostics::report_panic(payload);
        }
        if let Some(owed) = this.owed.take() {
            match output {
                Ok(output) => owed.resolve(output),
                Err(payload) => owed.break_by_panic(payload),
            }
        }
        Poll::Ready(())
    }
}

impl<U: Future, F: Flavor> LocalFuture for Task<U, F> {
    fn owes(self: Pin<&Self>) -> Option<Box<dyn Any>> {
        self.project_ref().owed.as_ref().map(Owed::owes)
    }
}

/// Spawns a future on the loop of this thread.
pub(super) fn spawn<U: Future + 'static>(
    local: &Rc<Local>,
    future: U,
    origin: &'static Location<'static>,
) -> local::Promise<U::Output> {
    let (owed, promise) = owe(origin);
    let key = local.spawn(Box::pin(Task::new(future, owed)), origin);
    follow(&promise, local, |schedules| &schedules.tasks, key);
    promise
}

/// Schedules a call on the loop of this thread.
pub(super) fn call_soon<R: 'static>(
    local: &Rc<Local>,
    f: impl FnOnce() -> R + 'static,
    origin: &'static Location<'static>,
) -> local::Promise<R> {
    let (owed, promise) = owe(origin);
    let key = local.call_soon(owed.call(f), origin);
    follow(&promise, local, |schedules| &schedules.calls, key);
    promise
}

/// The same for a timer; without one, never.
pub(super) fn call_at<R: 'static>(
    local: &Rc<Local>,
    timer: Option<Timer>,
    f: impl FnOnce() -> R + 'static,
    origin: &'static Location<'static>,
) -> local::Promise<R> {
    let (owed, promise) = owe(origin);
    let key = local.call_at(timer, owed.call(f), origin);
    follow(&promise, local, |schedules| &schedules.calls, key);
    promise
}

/// A promise that a timer resolves, on the loop of this thread.
pub(super) fn sleep(local: &Rc<Local>, timer: Option<Timer>, origin: &'static Location<'static>) -> local::Promise<()> {
    call_at(local, timer, || (), origin)
}

/// A timer for when a duration from now is over; `None` if that is beyond all time.
pub(super) fn timer(remote: &Remote, duration: Duration, late: bool) -> Option<Timer> {
    remote.now().checked_add(duration).map(|deadline| remote.timer(deadline, late))
}

/// What the promises of tasks, or of calls, of one loop follow, each under the key of its own: a cancel goes there, and takes back what
/// was scheduled.
struct Schedule {
    local: Weak<Local>,
    cancel: fn(&Local, Key),
}

impl Room<core::Local> for Schedule {
    const SCHEDULES: bool = true;

    fn leave(&self, key: Key, cancel: bool) {
        if let Some(local) = self.local.upgrade().filter(|_| cancel) {
            (self.cancel)(&local, key);
        }
    }
}

/// The schedules of one loop: the loop keeps them.
struct Schedules {
    tasks: AnySource<core::Local>,
    calls: AnySource<core::Local>,
}

impl Schedules {
    fn new(local: &Rc<Local>) -> Self {
        let schedule = |cancel| AnySource::schedule(Schedule { local: Rc::downgrade(local), cancel });
        Schedules { tasks: schedule(Local::cancel_task), calls: schedule(Local::cancel_call) }
    }
}

/// Has a cancel take back what was scheduled under `key`.
fn follow<T>(
    promise: &local::Promise<T>,
    local: &Rc<Local>,
    which: fn(&Schedules) -> &AnySource<core::Local>,
    key: Key,
) {
    let schedules = local.companion(|| Box::new(Schedules::new(local)));
    let schedules = schedules.downcast_ref().expect("what is kept with a loop are its schedules");
    promise.core().follow_schedule(which(schedules).clone().into_any(), key);
}
