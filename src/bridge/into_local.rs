//! From any thread to the loop of this one.

use std::any::Any;
use std::cell::Cell;
use std::collections::VecDeque;
use std::panic::Location;
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use futures::task::AtomicWaker;

use super::owed::Owed;
use super::running;
use crate::core::trampoline::Caller;
use crate::core::{self, Accepted, Core};
use crate::event_loop::{Local, LocalFuture};
use crate::list::Key;
use crate::local;
use crate::panics;
use crate::promise::Promise;
use crate::state::State;

/// Reports of progress on their way to the loop.
struct Reports<P> {
    queue: Mutex<VecDeque<P>>,
    waker: AtomicWaker,
}

impl<P> Reports<P> {
    fn pop(&self) -> Option<P> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }
}

/// The source, in the hands of the task that waits for it or of the cancel that ends it.
type Source<T, E, P> = Rc<Cell<Option<Promise<T, E, P>>>>;

/// The task: passes on what arrives.
struct Arrival<T: 'static, E: 'static, P: 'static> {
    source: Source<T, E, P>,
    reports: Arc<Reports<P>>,
    owed: Owed<T, E, P, core::Local>,
}

impl<T, E, P> Arrival<T, E, P> {
    /// Reports come first: all that were issued before the settle are here before the outcome is.
    fn pass_reports(&self) {
        while let Some(report) = self.reports.pop() {
            self.owed.producer.notify(report, Caller::Quiet);
        }
    }
}

impl<T, E, P> Future for Arrival<T, E, P> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        this.owed.begin_poll();
        this.reports.waker.register(cx.waker());
        this.pass_reports();
        let Some(mut source) = this.source.take() else { return Poll::Ready(()) };
        // It panics where the outcome's own code does: in its clone, or in `E::from`.
        match panics::guard(|| Pin::new(&mut source).poll(cx)) {
            Ok(Poll::Ready(outcome)) => {
                this.pass_reports();
                let delivery = source.core().with_note(outcome);
                this.owed.producer.settle_with(delivery, Caller::Quiet);
                Poll::Ready(())
            }
            Err(payload) => {
                this.pass_reports();
                this.owed.producer.reject_by_panic(payload, Caller::Quiet);
                Poll::Ready(())
            }
            Ok(Poll::Pending) if this.owed.producer.state() == State::Pending => {
                this.source.set(Some(source));
                Poll::Pending
            }
            Ok(Poll::Pending) => {
                // Canceled in the middle of this poll, when the source was not in its place.
                source.disown();
                Poll::Ready(())
            }
        }
    }
}

impl<T, E, P> LocalFuture for Arrival<T, E, P> {
    fn owes(self: Pin<&Self>) -> Option<Box<dyn Any>> {
        Some(self.owed.owes())
    }
}

impl<T, E, P: Clone + Send> Promise<T, E, P> {
    /// Brings the promise to the event loop that runs on this thread: callbacks and continuations of the local promise run in turns of
    /// that loop, and need not be `Send`.
    ///
    /// Progress passes, in order and before the outcome. The local promise settles in a turn, even if this one is settled already;
    /// canceled, or when the loop goes, its callbacks run there and then. Canceling the local promise cancels this one, if nobody else consumes it. If
    /// the loop goes first, the local promise is rejected with kind [`LoopClosed`](crate::BrokenKind::LoopClosed), and this one
    /// is detached.
    ///
    /// # Panics
    ///
    /// If no event loop runs on this thread, or if the promise has given its outcome already.
    ///
    /// # Examples
    ///
    /// ```
    /// use deferral::{Deferred, EventLoop};
    /// use std::{cell::RefCell, rc::Rc};
    ///
    /// let event_loop = EventLoop::new();
    /// let label = Rc::new(RefCell::new("loading".to_owned()));
    /// event_loop.run_until_complete(async {
    ///     let (deferred, promise) = Deferred::<String>::new();
    ///     std::thread::spawn(move || deferred.resolve("loaded".to_owned()));
    ///     let text = label.clone(); // an `Rc`, in a callback
    ///     promise.into_local().done(move |news| text.borrow_mut().push_str(&format!(", {news}"))).await.unwrap();
    /// });
    /// assert_eq!(*label.borrow(), "loading, loaded");
    /// ```
    #[track_caller]
    pub fn into_local(self) -> local::Promise<T, E, P> {
        self.assert_unspent();
        let local = running("`into_local`");
        let origin = Location::caller();
        let (producer, promise) = Core::new(self.core().maker(), origin);
        let reports = Arc::new(Reports { queue: Mutex::new(VecDeque::new()), waker: AtomicWaker::new() });
        // Weak: once the task is gone, nobody would take out what is put in.
        let follower = Arc::downgrade(&reports);
        let queue = follower.clone();
        let listener = move |report: &P| {
            let Some(queue) = queue.upgrade() else { return };
            let report = report.clone();
            queue.queue.lock().unwrap_or_else(PoisonError::into_inner).push_back(report);
            queue.waker.wake();
        };
        self.core().relay(listener, follower);
        let source: Source<T, E, P> = Rc::new(Cell::new(Some(self)));
        let arrival = Arrival { source: source.clone(), reports, owed: Owed { producer } };
        let key = local.spawn(Box::pin(arrival), origin);
        type Arriving<T, E, P> = (Weak<Local>, Key, Source<T, E, P>);
        let arriving: Arriving<T, E, P> = (Rc::downgrade(&local), key, source);
        promise.on_cancel(Accepted(arriving), |Accepted((local, key, source)): Accepted<Arriving<T, E, P>>| {
            if let Some(source) = source.take() {
                source.disown();
            }
            if let Some(local) = local.upgrade() {
                local.cancel_task(key);
            }
        });
        Promise::from_core(promise)
    }
}
