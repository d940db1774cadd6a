//! How a loop sleeps with the feature `io`: in async-io's reactor, whose events arrive meanwhile on the loop's own thread. It stands
//! in for `condvar`.
//!
//! The reactor belongs to the process, and async-io lets a thread poll it in one way: by [`async_io::block_on`], which does so
//! whenever its future is pending. So a whole run is one `block_on`. Its future makes turns; it is pending when the loop sleeps, and,
//! woken by itself, when it only looks. async-io's own thread, which is there for programs that never block on it, only naps while there
//! is a `block_on`: for fifty microseconds at first, for ten milliseconds in the end. It polls if nobody has since its last nap, so in the
//! middle of a long turn, or after a quiet time, it may be the one to bring an event.
//!
//! A reactor that wakes a task on the loop's own thread finds a loop that sleeps and runs here at once. So everything that makes work on
//! this thread calls [`Local::rouse`]; while the loop does not sleep that is one look at a flag.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::mem;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Instant;

use super::bell::Sleeper;
use super::local::Local;
use super::turn::Next;

/// How many turns, calls and polls may go by before a busy loop looks for I/O. A look takes a few system calls, which is what some
/// ten wakes take.
const BLIND: usize = 64;

impl Local {
    /// Makes turns until one of the two says that the run ends: `turn`, or `idle`, which is asked when nothing is ready. In between,
    /// the loop sleeps if `idle` has nothing to do either.
    ///
    /// Who sleeps sees what I/O is ready. A run that never `sleeps`, or makes time jump instead, looks before it asks `idle`.
    pub(super) fn drive<R>(
        self: &Rc<Self>,
        sleeps: bool,
        mut turn: impl FnMut() -> Next<R>,
        mut idle: impl FnMut() -> Next<R>,
    ) -> R {
        let mut alarm = Alarm { timer: async_io::Timer::never(), at: None };
        let mut looked = false;
        block_on(|cx| {
            self.wake_up();
            loop {
                let ran = self.ran.get();
                let next = match turn() {
                    Next::Rest if sleeps || mem::replace(&mut looked, true) => {
                        looked = false;
                        idle()
                    }
                    Next::Rest => return self.look_again(cx),
                    next => next,
                };
                match next {
                    Next::Return(result) => return Poll::Ready(result),
                    Next::Turn if self.is_blind(ran) => return self.look_again(cx),
                    Next::Turn => {}
                    Next::Rest if self.fall_asleep(&mut alarm, cx) => return Poll::Pending,
                    Next::Rest => {}
                }
            }
        })
    }

    /// Before a turn of a host that finds nothing ready: sees what I/O is, without waiting for any.
    ///
    /// Between two turns no `block_on` goes on, so the reactor is in the hands of async-io's own thread, or of another loop. If it still
    /// is, that one brings the events, as wakes from another thread.
    pub(super) fn look(&self) {
        if self.is_ready() {
            return;
        }
        let mut looked = false;
        block_on(|cx| if mem::replace(&mut looked, true) { Poll::Ready(()) } else { self.look_again(cx) });
    }

    /// Counts a turn, and what `ran` since this number. Whether it is time to look.
    fn is_blind(&self, ran: usize) -> bool {
        let blind = self.sleep.blind.get() + 1 + self.ran.get().wrapping_sub(ran);
        self.sleep.blind.set(blind);
        blind >= BLIND
    }

    /// Has `block_on` look at the reactor, and poll again at once.
    fn look_again<R>(&self, cx: &Context<'_>) -> Poll<R> {
        self.sleep.blind.set(0);
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Has the loop woken by what comes, or at its next deadline, unless something has come or is due.
    fn fall_asleep(&self, alarm: &mut Alarm, cx: &mut Context<'_>) -> bool {
        self.trim();
        self.sleep.blind.set(0);
        let woken = self.next_deadline().is_some_and(|deadline| alarm.set(deadline, self.remote().now(), cx));
        if woken || !self.remote().set_sleeper(Sleeper(Some(cx.waker().clone()))) {
            return false;
        }
        self.sleep.begin();
        true
    }

    fn wake_up(&self) {
        if self.sleep.end() {
            // Somebody has taken it, if the loop was not woken by its alarm.
            drop(self.remote().take_sleeper());
        }
        self.see(self.remote().now());
    }
}

/// The reactor's timer that ends a sleep.
///
/// A new time costs a few system calls, so one that is too early is left alone: it ends a sleep in vain, and only once.
struct Alarm {
    timer: async_io::Timer,
    at: Option<Instant>,
}

impl Alarm {
    /// Sets it to `deadline`, or to an earlier time. Returns whether that has passed.
    fn set(&mut self, deadline: Instant, now: Instant, cx: &mut Context<'_>) -> bool {
        if self.at.is_some_and(|at| now < at && at <= deadline) {
            return false;
        }
        self.at = Some(deadline);
        self.timer.set_at(deadline);
        Pin::new(&mut self.timer).poll(cx).is_ready()
    }
}

/// How far a thread has come with the thread-locals that async-io has for a `block_on`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Locals {
    Unused,
    InUse,
    Gone,
}

/// Sees the thread-locals end: it is made after those of async-io, and so dropped before them.
struct End;

impl Drop for End {
    fn drop(&mut self) {
        LOCALS.set(Locals::Gone);
    }
}

thread_local! {
    static LOCALS: Cell<Locals> = const { Cell::new(Locals::Unused) };
    static END: End = const { End };
}

/// Polls until it is ready, and the reactor while it is pending. In the destructor of a thread-local, where async-io's own may be gone,
/// its thread polls the reactor.
fn block_on<R>(mut poll: impl FnMut(&mut Context<'_>) -> Poll<R>) -> R {
    if LOCALS.get() == Locals::Gone {
        return block_without_reactor(poll);
    }
    async_io::block_on(poll_fn(|cx| {
        if LOCALS.get() == Locals::Unused {
            LOCALS.set(Locals::InUse);
            END.with(|_| {});
        }
        poll(cx)
    }))
}

fn block_without_reactor<R>(mut poll: impl FnMut(&mut Context<'_>) -> Poll<R>) -> R {
    let unpark = Arc::new(Unpark { woken: AtomicBool::new(false), thread: thread::current() });
    let waker = Waker::from(Arc::clone(&unpark));
    loop {
        if let Poll::Ready(result) = poll(&mut Context::from_waker(&waker)) {
            return result;
        }
        // ORDERING: Acquire, so that the poll sees what happened before the wake.
        while !unpark.woken.swap(false, Ordering::Acquire) {
            thread::park();
        }
    }
}

/// The flag is its own, as anybody may unpark a thread, and park it.
struct Unpark {
    woken: AtomicBool,
    thread: Thread,
}

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        // ORDERING: Release, for the Acquire of the thread that looks.
        self.woken.store(true, Ordering::Release);
        self.thread.unpark();
    }
}
