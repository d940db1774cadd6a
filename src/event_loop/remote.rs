//! The loop as other threads see it: a queue under a lock, and the place where the loop sleeps.
//!
//! No foreign code runs under the lock. What cannot be queued, because the loop is closed, is handed back and dropped after
//! unlocking.
//!
//! A loop cannot fall asleep on work: whatever comes sets `woken` under the same lock under which the loop decides to sleep, and
//! only [`Remote::receive`], which takes all that came, clears it.

use std::collections::VecDeque;
use std::mem;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::Instant;

use async_task::Runnable;

use super::clock::Clock;
use super::local::Local;
use super::timers::Timer;
use super::{current, quietly, unpoisoned};
use crate::list::Key;

/// Something to do on the loop's thread, at its place among what is scheduled.
pub(crate) type Op = Box<dyn FnOnce(&Rc<Local>) + Send>;

/// What can be ready. It names its future or closure, and owns neither.
pub(super) enum Entry {
    Task(Runnable),
    Call(Key),
}

pub(super) enum Message {
    Entry(Entry),
    Op(Op),
}

/// Shared by the loop, its handles and the wakers of its tasks.
pub(crate) struct Remote {
    clock: Clock,
    /// How many timers were made. It gives each its place among equals, before it travels to the loop.
    timers: AtomicU64,
    state: Mutex<State>,
    wakes: Condvar,
}

struct State {
    queue: VecDeque<Message>,
    /// Something came since the loop last received.
    woken: bool,
    /// The loop sleeps, and nobody has notified it yet.
    asleep: bool,
    /// For the running or the next `run_forever`.
    stop: bool,
    closed: bool,
}

impl Remote {
    pub(super) fn new(clock: Clock) -> Self {
        let state = State { queue: VecDeque::new(), woken: false, asleep: false, stop: false, closed: false };
        Remote { clock, timers: AtomicU64::new(0), state: Mutex::new(state), wakes: Condvar::new() }
    }

    /// Carries out `op` on the loop's thread, at the start of the next turn. A closed loop drops it, here and now.
    pub(crate) fn push_op(&self, op: Op) {
        if let Err(message) = self.push(Message::Op(op)) {
            quietly(|| drop(message));
        }
    }

    /// The loop itself, if it runs on this thread: what is done to it directly keeps the order of what its own code schedules,
    /// which a message to itself would not.
    pub(crate) fn running_here(&self) -> Option<Rc<Local>> {
        current::running(self)
    }

    /// Ends the running or the next `run_forever` after its turn. Two of them count once.
    pub(crate) fn stop(&self) {
        let mut state = self.lock();
        state.stop = true;
        self.rouse(state);
    }

    /// The time of the loop's clock.
    pub(crate) fn now(&self) -> Instant {
        self.clock.now()
    }

    /// A timer for `deadline`. A late one runs a turn after it is due, so that what becomes ready at that time is still in time.
    pub(crate) fn timer(&self, deadline: Instant, late: bool) -> Timer {
        // ORDERING: Relaxed, as only the order of the numbers counts; those made on one thread, or in a known order, have it.
        Timer { deadline, number: self.timers.fetch_add(1, Ordering::Relaxed), late }
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.lock().closed
    }

    pub(super) fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Queues a message, or gives it back if the loop is closed.
    pub(super) fn push(&self, message: Message) -> Result<(), Message> {
        let mut state = self.lock();
        if state.closed {
            return Err(message);
        }
        state.queue.push_back(message);
        self.rouse(state);
        Ok(())
    }

    /// Wakes the loop, which finds out by itself what for.
    pub(super) fn wake(&self) {
        self.rouse(self.lock());
    }

    /// Swaps the queue for an empty one, and begins to take note of what comes from now on.
    pub(super) fn receive(&self, queue: &mut VecDeque<Message>) {
        let mut state = self.lock();
        state.woken = false;
        mem::swap(&mut state.queue, queue);
    }

    /// Whether something came since the loop last received.
    pub(super) fn is_woken(&self) -> bool {
        self.lock().woken
    }

    pub(super) fn take_stop(&self) -> bool {
        mem::take(&mut self.lock().stop)
    }

    /// Sleeps until something comes, or until the deadline. Never ends early.
    pub(super) fn park(&self, deadline: Option<Instant>) {
        let mut state = self.lock();
        while !state.woken {
            let left = deadline.map(|deadline| deadline.saturating_duration_since(self.clock.now()));
            state.asleep = true;
            state = match left {
                None => unpoisoned(self.wakes.wait(state)),
                Some(left) if left.is_zero() => break,
                Some(left) => unpoisoned(self.wakes.wait_timeout(state, left)).0,
            };
        }
        state.asleep = false;
    }

    /// From here on nothing is queued. Returns what was.
    pub(super) fn close(&self) -> VecDeque<Message> {
        let mut state = self.lock();
        state.closed = true;
        mem::take(&mut state.queue)
    }

    fn rouse(&self, mut state: MutexGuard<'_, State>) {
        state.woken = true;
        // One notification per sleep: a burst of messages costs one system call.
        let notify = mem::take(&mut state.asleep);
        drop(state);
        if notify {
            self.wakes.notify_one();
        }
    }

    #[cfg(test)]
    pub(super) fn is_asleep(&self) -> bool {
        self.lock().asleep
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        unpoisoned(self.state.lock())
    }
}
