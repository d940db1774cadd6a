//! The engine's tests, by topic, and what they share. No test sleeps: time is virtual, and threads wait for each other.

mod close;
mod order;
mod run;
mod slow;
mod survey;
mod tasks;
mod threads;

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::ops::Deref;
use std::panic::{Location, resume_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::mpsc;
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use super::{Clock, Local, LocalFuture, Remote, any_call};
use crate::awaited;
use crate::list::Key;
use crate::panics::{guard, message};

/// A loop that closes when it is dropped, as the public type does.
struct Loop(Rc<Local>);

impl Deref for Loop {
    type Target = Rc<Local>;

    fn deref(&self) -> &Rc<Local> {
        &self.0
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        self.close();
    }
}

impl Loop {
    fn new() -> Self {
        Loop(Local::new(Clock::new_virtual()))
    }

    fn real() -> Self {
        Loop(Local::new(Clock::Real))
    }

    #[track_caller]
    fn run_until_complete<Fut: Future>(&self, future: Fut) -> Fut::Output {
        self.0.run_until_complete(future, |_| String::new())
    }

    /// A deadline that many milliseconds from the loop's now.
    fn after(&self, millis: u64) -> Option<Instant> {
        self.remote().now().checked_add(Duration::from_millis(millis))
    }
}

#[track_caller]
fn soon(local: &Local, f: impl FnOnce() + 'static) -> Key {
    local.call_soon(any_call(Some(f)), Location::caller())
}

#[track_caller]
fn at(local: &Local, deadline: Option<Instant>, f: impl FnOnce() + 'static) -> Key {
    local.call_at(deadline.map(|deadline| local.remote().timer(deadline, false)), any_call(Some(f)), Location::caller())
}

#[track_caller]
fn spawn(local: &Local, future: impl Future<Output = ()> + 'static) -> Key {
    local.spawn(Box::pin(Plain(Box::pin(future))), Location::caller())
}

/// A future that owes nothing to anybody.
struct Plain(Pin<Box<dyn Future<Output = ()>>>);

impl Future for Plain {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        awaited::begin(std::ptr::null());
        self.0.as_mut().poll(cx)
    }
}

impl LocalFuture for Plain {
    fn owes(self: Pin<&Self>) -> Option<Box<dyn Any>> {
        None
    }
}

fn op(remote: &Remote, f: impl FnOnce(&Rc<Local>) + Send + 'static) {
    remote.push_op(Box::new(f));
}

/// What happened, in order.
struct Log<T = u32>(Rc<RefCell<Vec<T>>>);

impl<T> Clone for Log<T> {
    fn clone(&self) -> Self {
        Log(self.0.clone())
    }
}

impl<T: 'static> Log<T> {
    fn new() -> Self {
        Log(Rc::default())
    }

    fn add(&self, what: T) {
        self.0.borrow_mut().push(what);
    }

    fn adds(&self, what: T) -> impl FnOnce() + 'static {
        let log = self.clone();
        move || log.add(what)
    }

    /// The same for what is called more than once, and acts once.
    fn once(self, what: T) -> impl FnMut() + 'static {
        let mut what = Some(what);
        move || what.take().into_iter().for_each(|what| self.add(what))
    }

    fn take(&self) -> Vec<T> {
        self.0.take()
    }
}

/// Pending until its waker, which it leaves in `slot`, has been used and `open` is set.
fn gate(slot: &Rc<Cell<Option<Waker>>>, open: &Rc<Cell<bool>>) -> impl Future<Output = ()> + 'static {
    let (slot, open) = (slot.clone(), open.clone());
    poll_fn(move |cx| {
        slot.set(Some(cx.waker().clone()));
        if open.get() { Poll::Ready(()) } else { Poll::Pending }
    })
}

fn yield_now() -> impl Future<Output = ()> {
    let mut yielded = false;
    poll_fn(move |cx| {
        if std::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
}

/// Runs `f` when it is dropped.
struct OnDrop<F: FnMut()>(F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

/// The message with which `f` panics.
fn panic_of<R>(f: impl FnOnce() -> R) -> String {
    message(&guard(f).err().expect("it should have panicked"))
}

/// Runs a test that could hang on a thread of its own, and fails it after a while.
fn watchdog(test: impl FnOnce() + Send + 'static) {
    let (done, finished) = mpsc::channel::<()>();
    let thread = thread::spawn(move || {
        let _done = done;
        test();
    });
    if let Err(mpsc::RecvTimeoutError::Timeout) = finished.recv_timeout(Duration::from_secs(60)) {
        panic!("the test hangs");
    }
    if let Err(payload) = thread.join() {
        resume_unwind(payload);
    }
}
