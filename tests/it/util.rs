//! What the tests share: logs, wakers and values that count what happens to them, a watchdog, and threads with a small stack.

use deferral::{Broken, BrokenKind, EventLoop, Handle};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, ThreadId};
use std::time::Duration;

/// What happened, in order. Clones write to the same log.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn add(&self, entry: impl ToString) {
        self.0.lock().unwrap().push(entry.to_string());
    }

    /// The entries so far, separated by blanks.
    pub(crate) fn text(&self) -> String {
        self.0.lock().unwrap().join(" ")
    }
}

/// A number that clones share.
#[derive(Clone, Default)]
pub(crate) struct Count(Arc<AtomicUsize>);

impl Count {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn add(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }

    pub(crate) fn get(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

/// A value that counts its drops and its clones.
pub(crate) struct Counted {
    pub(crate) drops: Count,
    pub(crate) clones: Count,
}

impl Counted {
    pub(crate) fn new() -> Self {
        Counted { drops: Count::new(), clones: Count::new() }
    }
}

impl Clone for Counted {
    fn clone(&self) -> Self {
        self.clones.add();
        Counted { drops: self.drops.clone(), clones: self.clones.clone() }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.drops.add();
    }
}

/// Runs a function when it is dropped.
pub(crate) struct OnDrop<F: FnOnce()>(Option<F>);

impl<F: FnOnce()> OnDrop<F> {
    pub(crate) fn new(f: F) -> Self {
        OnDrop(Some(f))
    }
}

impl<F: FnOnce()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        if let Some(f) = self.0.take() {
            f();
        }
    }
}

/// A waker that counts how often it is woken.
#[derive(Default)]
pub(crate) struct CountingWaker(AtomicUsize);

impl CountingWaker {
    pub(crate) fn new() -> (Arc<Self>, Waker) {
        let counting = Arc::new(Self::default());
        (counting.clone(), Waker::from(counting))
    }

    pub(crate) fn wakes(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

impl Wake for CountingWaker {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// Polls once.
pub(crate) fn poll<F: Future + Unpin>(future: &mut F, waker: &Waker) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(waker))
}

/// Polls once with a waker that does nothing.
pub(crate) fn poll_once<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    poll(future, Waker::noop())
}

/// The text of the panic that `f` ends with.
pub(crate) fn panic_of<R>(f: impl FnOnce() -> R) -> String {
    let Err(payload) = catch_unwind(AssertUnwindSafe(f)) else { panic!("it did not panic") };
    let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| payload.downcast_ref::<String>().cloned()).expect("the panic has a text")
}

/// Runs a loop on a thread of its own while `f` runs on this one, and joins it.
pub(crate) fn with_loop<R>(f: impl FnOnce(Handle, ThreadId) -> R) -> R {
    let (give, take) = mpsc::channel();
    let thread = thread::spawn(move || {
        let event_loop = EventLoop::new();
        give.send((event_loop.handle(), thread::current().id())).unwrap();
        event_loop.run_forever();
    });
    let (handle, id) = take.recv().unwrap();
    let result = f(handle.clone(), id);
    handle.stop();
    thread.join().unwrap();
    result
}

/// Runs `f` on a thread of its own, and fails if it does not end.
pub(crate) fn watchdog<R: Send + 'static>(f: impl FnOnce() -> R + Send + 'static) -> R {
    within(std::thread::Builder::new(), f)
}

/// The same on a thread with a stack of 2 MiB. What is lost there by the million is not told on standard error.
pub(crate) fn small_stack<R: Send + 'static>(f: impl FnOnce() -> R + Send + 'static) -> R {
    within(std::thread::Builder::new().stack_size(2 << 20), || {
        let watch = cfg!(debug_assertions).then(deferral::testing::watch);
        let result = f();
        watch.iter().for_each(|watch| drop(watch.take()));
        result
    })
}

fn within<R: Send + 'static>(thread: std::thread::Builder, f: impl FnOnce() -> R + Send + 'static) -> R {
    /// Far beyond what any test needs on a busy machine.
    const LIMIT: Duration = Duration::from_secs(300);
    let (done, ended) = mpsc::channel();
    let thread = thread.spawn(move || {
        let result = catch_unwind(AssertUnwindSafe(f));
        let _ = done.send(());
        result
    });
    assert!(ended.recv_timeout(LIMIT).is_ok(), "the test hangs");
    thread.unwrap().join().unwrap().unwrap_or_else(|payload| resume_unwind(payload))
}

impl Log {
    /// A callback that adds an entry.
    pub(crate) fn entry<S: ToString>(&self, text: S) -> impl FnOnce() + Send + use<S> {
        let (log, text) = (self.clone(), text.to_string());
        move || log.add(text)
    }
}

/// The kind of an end that the library made.
pub(crate) fn kind_of<T>(outcome: Result<T, Broken>) -> BrokenKind {
    match outcome {
        Ok(_) => panic!("the promise is resolved"),
        Err(broken) => broken.kind(),
    }
}

/// The output of a future that is ready at its first poll.
#[track_caller]
pub(crate) fn ready<F: Future + Unpin>(mut future: F) -> F::Output {
    match poll_once(&mut future) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("the future is not ready"),
    }
}

/// A value whose clone panics.
#[derive(Debug)]
pub(crate) struct CloneBomb;

impl Clone for CloneBomb {
    fn clone(&self) -> Self {
        panic!("no copies");
    }
}
