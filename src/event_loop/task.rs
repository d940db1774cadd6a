//! Tasks: the user's futures, and the tokens that async-task sees in their place.
//!
//! `async-task` keeps its future where any waker can reach it: a foreign thread that has just woken a task holds its `Runnable`,
//! and may drop it. So what it gets is a token of a few bytes that any thread may drop. The future itself never leaves the loop's
//! slab, except onto the stack of its poll.
//!
//! Each has its own end. A future that is done or canceled leaves the slab, and a token that is woken later finds nothing and is
//! done as well. A token that nobody can wake any more is freed by async-task, and its future stays: it may be there for what it
//! holds.

use std::future::Future;
use std::mem;
use std::panic::Location;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use super::current;
use super::local::{Entry, Local, Message, Name, Runnable};
use super::status::Wait;
use super::work::{LocalFuture, Task};
use crate::diagnostics::quietly;
use crate::list::Key;
use crate::trace::Span;
use crate::unhandled::Work;

/// What async-task polls: it names the future.
struct Token {
    key: Key,
}

impl Future for Token {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        match current::get() {
            Some(local) => local.poll_task(self.key, cx),
            None => Poll::Ready(()),
        }
    }
}

/// Queues a token that was woken, from whatever thread. A function without a context: for one that has some, async-task would count
/// one more reference at each wake.
fn schedule(runnable: Runnable) {
    match current::push_ready(runnable) {
        Ok(None) => {}
        Ok(Some(asleep)) => asleep.rouse(),
        Err(runnable) => {
            let remote = Arc::clone(&runnable.metadata().remote);
            drop(remote.push(Message::Entry(Entry::Task(runnable))));
        }
    }
}

impl Local {
    /// Owns `future`, which was spawned at `origin`, until it is done. It is first polled in the next turn. A closed loop drops it at
    /// once.
    pub(crate) fn spawn(&self, future: Pin<Box<dyn LocalFuture>>, origin: &'static Location<'static>) -> Key {
        if self.is_closed() {
            quietly(|| drop(future));
            return Key::DANGLING;
        }
        let task = Task { future: Some(future), origin, wait: Wait::first(self.seen()), span: Span::NONE };
        let key = self.tasks.borrow_mut().insert(task);
        let mut span = Span::task(key.number(), origin);
        if let Some(task) = self.tasks.borrow_mut().get_mut(key) {
            mem::swap(&mut task.span, &mut span);
        }
        let remote = Arc::clone(self.remote());
        let name = Name { remote, number: key.number() };
        let (runnable, handle) = async_task::Builder::new().metadata(name).spawn(|_| Token { key }, schedule);
        handle.detach();
        self.enqueue(Entry::Task(runnable));
        key
    }

    /// Drops the task's future now, or right after the poll that it is in.
    pub(crate) fn cancel_task(&self, key: Key) {
        let task = self.tasks.borrow_mut().remove(key);
        quietly(|| drop(task));
    }

    fn poll_task(&self, key: Key, cx: &mut Context<'_>) -> Poll<()> {
        let away = |task: &mut Task| {
            let future = task.future.take()?;
            Some((future, task.origin, mem::replace(&mut task.span, Span::NONE)))
        };
        let future = self.tasks.borrow_mut().get_mut(key).and_then(away);
        let Some((mut future, origin, span)) = future else { return Poll::Ready(()) };
        self.ran.set(self.ran.get() + 1);
        let polled = self.timed(Work::Task, origin, || span.enter(|| quietly(|| future.as_mut().poll(cx))));
        if matches!(polled, Some(Poll::Pending)) {
            // Not found if it was canceled meanwhile.
            if let Some(task) = self.tasks.borrow_mut().get_mut(key) {
                (task.future, task.span) = (Some(future), span);
                task.wait = Wait::after_poll(self.seen(), cx.waker());
                return Poll::Pending;
            }
        }
        let task = self.tasks.borrow_mut().remove(key);
        span.enter(|| quietly(|| drop(future)));
        quietly(|| drop(task));
        Poll::Ready(())
    }
}
