//! The loop as its own thread sees it: what is scheduled, what it owns, and its end.
//!
//! No cell is borrowed where foreign code can run, so whatever that does to the loop finds them all free.

use std::any::Any;
use std::cell::{Cell, OnceCell, RefCell};
use std::collections::VecDeque;
use std::panic::Location;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::bell::Sleep;
use super::clock::Clock;
use super::current;
use super::remote::{Entry, Message, Remote};
use super::run::Main;
use super::slab::Slab;
use super::timers::{Timer, Timers};
use super::work::{AnyCall, Call, Task};
use crate::diagnostics::quietly;
use crate::list::Key;
use crate::unhandled::Work;

/// The owner's side of a loop.
pub(crate) struct Local {
    remote: Arc<Remote>,
    closed: Cell<bool>,
    pub(super) ready: RefCell<VecDeque<Entry>>,
    /// The messages of other threads that are just being received; else a buffer to be swapped for the queue of the next ones.
    pub(super) incoming: RefCell<VecDeque<Message>>,
    pub(super) tasks: RefCell<Slab<Task>>,
    pub(super) calls: RefCell<Slab<Call>>,
    pub(super) timers: RefCell<Timers>,
    /// How many calls and polls ran in this turn, where a host wants to know.
    pub(super) ran: Cell<usize>,
    /// How long a call or poll may take before it is reported.
    pub(super) slow: Cell<Option<Duration>>,
    /// A host has said how it hears of work.
    pub(super) hosted: Cell<bool>,
    /// The loop runs, or a turn was refused: the host hears later.
    pub(super) hushed: Cell<bool>,
    /// The next timer, as the host last heard of it.
    pub(super) announced: Cell<Option<Instant>>,
    /// What those who know of promises keep with the loop.
    companion: OnceCell<Box<dyn Any>>,
    /// The future of the `run_until_complete` that goes on.
    pub(super) main: RefCell<Option<Main>>,
    pub(super) sleep: Sleep,
    pub(super) made: Instant,
    /// The time of the last look at the clock, in nanoseconds after `made`.
    pub(super) seen: Cell<u64>,
    /// How many turns have begun since.
    pub(super) blind_turns: Cell<u32>,
}

impl Local {
    pub(crate) fn new(clock: Clock) -> Rc<Local> {
        let made = clock.now();
        Rc::new(Local {
            remote: Arc::new(Remote::new(clock)),
            closed: Cell::new(false),
            ready: RefCell::new(VecDeque::new()),
            incoming: RefCell::new(VecDeque::new()),
            tasks: RefCell::new(Slab::new()),
            calls: RefCell::new(Slab::new()),
            timers: RefCell::new(Timers::new()),
            ran: Cell::new(0),
            slow: Cell::new(None),
            hosted: Cell::new(false),
            hushed: Cell::new(false),
            announced: Cell::new(None),
            companion: OnceCell::new(),
            main: RefCell::new(None),
            sleep: Sleep::default(),
            made,
            seen: Cell::new(0),
            blind_turns: Cell::new(0),
        })
    }

    /// The loop that runs on this thread, or that closes here.
    pub(crate) fn current() -> Option<Rc<Local>> {
        current::get()
    }

    /// The same loop for other threads.
    pub(crate) fn remote(&self) -> &Arc<Remote> {
        &self.remote
    }

    /// What somebody keeps with the loop, made the first time.
    pub(crate) fn companion(&self, make: impl FnOnce() -> Box<dyn Any>) -> &dyn Any {
        &**self.companion.get_or_init(make)
    }

    /// Whether it runs, on its thread, just now.
    pub(crate) fn is_running(&self) -> bool {
        current::is_here(&self.remote)
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.get()
    }

    /// Calls `run`, which was scheduled at `origin`, in the next turn. A closed loop drops it at once.
    pub(crate) fn call_soon(&self, run: AnyCall, origin: &'static Location<'static>) -> Key {
        let key = self.add_call(run, origin);
        if key != Key::DANGLING {
            self.enqueue(Entry::Call(key));
        }
        key
    }

    /// Calls `run` in the first turn in which `timer` is due; without one never, and then the call does not count as a timer that is
    /// left. A closed loop drops it at once.
    pub(crate) fn call_at(&self, timer: Option<Timer>, run: AnyCall, origin: &'static Location<'static>) -> Key {
        let key = self.add_call(run, origin);
        if let (Some(timer), true) = (timer, key != Key::DANGLING) {
            self.timers.borrow_mut().add(timer, key);
            self.timer_made(timer.deadline);
        }
        key
    }

    fn add_call(&self, run: AnyCall, origin: &'static Location<'static>) -> Key {
        if self.is_closed() {
            quietly(|| drop(run));
            return Key::DANGLING;
        }
        self.calls.borrow_mut().insert(Call { run, origin })
    }

    /// Drops the call's closure now, if it is still here. What was queued or timed for it is as good as gone.
    pub(crate) fn cancel_call(&self, key: Key) {
        let call = self.calls.borrow_mut().remove(key);
        if let Some(call) = call {
            let calls = self.calls.borrow();
            self.timers.borrow_mut().tidy(calls.len(), |call| calls.contains(call));
            drop(calls);
            quietly(|| drop(call));
        }
    }

    /// The earliest deadline of a call that is still here.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let mut timers = self.timers.borrow_mut();
        if timers.is_empty() { None } else { timers.next_deadline(|call| self.has_call(call)) }
    }

    pub(super) fn has_call(&self, key: Key) -> bool {
        self.calls.borrow().contains(key)
    }

    pub(super) fn run_call(&self, key: Key) {
        let call = self.calls.borrow_mut().remove(key);
        if let Some(mut call) = call {
            self.ran.set(self.ran.get() + 1);
            self.timed(Work::Call, call.origin, || quietly(|| call.run.run()));
        }
    }

    /// Whether nothing that another thread has sent is still on its way to the ready queue: what is appended there now keeps the order
    /// of sending.
    pub(crate) fn has_received_all(&self) -> bool {
        self.incoming.borrow().is_empty() && self.remote.is_empty()
    }

    /// The way into the queues for what this thread spawns and schedules: straight to what is ready, while the loop runs, or if nothing
    /// that came before waits elsewhere and no host has to be told; else through the queue under the lock, which keeps the order.
    pub(super) fn enqueue(&self, entry: Entry) {
        if (!self.remote.is_woken() && !self.hosted.get()) || current::is_here(&self.remote) {
            self.push_ready(entry);
            self.rouse();
        } else {
            drop(self.remote.push(Message::Entry(entry)));
        }
    }

    /// A closed loop takes nothing; an entry is only a name.
    // Inlined, so that the entry is made in its place: one that is made elsewhere in two parts and read as a whole waits for its parts.
    #[inline(always)]
    pub(super) fn push_ready(&self, entry: Entry) {
        if self.is_closed() {
            return refuse(entry);
        }
        self.ready.borrow_mut().push_back(entry);
    }

    /// Drops, on this thread, all that the loop owns: tasks in spawn order, then calls in order, then what other threads sent, then the
    /// errands that came meanwhile, and the host's `on_wake`.
    ///
    /// Destructors may do with the loop what they like. It is closed already: what they schedule is dropped at once, so the slabs
    /// only shrink, and each entry is out of its slab before it is dropped. A task that is being polled is dropped after its poll.
    pub(crate) fn close(self: &Rc<Self>) {
        if self.closed.replace(true) {
            return;
        }
        self.rouse();
        let (mut messages, on_wake) = self.remote.close();
        let _entered = current::Entered::to_close(self);
        self.timers.borrow_mut().clear();
        drop(self.ready.take());
        let tasks = self.tasks.borrow().keys();
        tasks.into_iter().for_each(|key| self.cancel_task(key));
        let calls = self.calls.borrow().keys();
        calls.into_iter().for_each(|key| self.cancel_call(key));
        while let Some(message) = messages.pop_front() {
            quietly(|| drop(message));
        }
        for errand in self.remote.seal() {
            quietly(|| drop(errand));
        }
        quietly(|| drop(on_wake));
    }

    /// Ends the loop's sleep from its own thread. The reactor runs wakers there while a loop sleeps in it; in any other sleep nothing runs.
    #[inline]
    pub(super) fn rouse(&self) {
        if self.sleep.end() {
            self.remote.take_sleeper().wake(self.remote.bell());
        }
    }

    /// Gives back the buffers that a burst left behind.
    pub(super) fn trim(&self) {
        /// How many entries an empty buffer keeps room for.
        const KEPT: usize = 1024;
        let mut ready = self.ready.borrow_mut();
        if ready.is_empty() && ready.capacity() > KEPT {
            *ready = VecDeque::new();
        }
        let mut incoming = self.incoming.borrow_mut();
        if incoming.is_empty() && incoming.capacity() > KEPT {
            *incoming = VecDeque::new();
        }
    }

    /// How many tasks, calls and timers it has, and how much of that is ready.
    pub(crate) fn owns(&self) -> [usize; 4] {
        let (tasks, calls) = (self.tasks.borrow().len(), self.calls.borrow().len());
        let timers = self.timers.borrow().iter().filter(|(_, call)| self.has_call(*call)).count();
        [tasks, calls, timers, self.ready.borrow().len()]
    }
}

#[cold]
fn refuse(entry: Entry) {
    drop(entry);
}
