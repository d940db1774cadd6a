//! The loop as its own thread sees it: what is scheduled, and what it owns.
//!
//! The types of this file need each other in a circle. A loop owns a [`Remote`], whose messages are told the loop or name a task;
//! and the name of a task leads to its `Remote` again.
//!
//! No cell is borrowed where foreign code can run, so whatever that does to the loop finds them all free.

use std::any::Any;
use std::cell::{Cell, OnceCell, RefCell};
use std::collections::VecDeque;
use std::panic::Location;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use super::bell::Sleep;
use super::clock::Clock;
use super::remote;
use super::slab::Slab;
use super::status::Wait;
use super::timers::Timers;
use super::work::{Call, Task};
use crate::list::Key;

/// The loop for other threads, and what they send.
pub(crate) type Remote = remote::Remote<Message>;

/// Something to do on the loop's thread, at its place among what is scheduled.
pub(crate) type Op = Box<dyn FnOnce(&Rc<Local>) + Send>;

/// What can be ready. It names its future or closure, and owns neither.
pub(crate) enum Entry {
    Task(Runnable),
    Call(Key),
}

/// What goes through the queue under the lock.
pub(crate) enum Message {
    Entry(Entry),
    Op(Op),
}

/// What a token carries for the loop to see.
pub(crate) struct Name {
    pub(super) remote: Arc<Remote>,
    /// Which task it is, in the order of spawning. Its address would not do: it goes with the last waker, and the next token may get it.
    pub(super) number: u32,
}

/// The task that async-task gives back when a token was woken.
pub(crate) type Runnable = async_task::Runnable<Name>;

/// The future of a `run_until_complete`, as its loop sees it.
pub(super) struct Main {
    pub(super) waker: Arc<MainWaker>,
    /// Where the run began.
    pub(super) origin: &'static Location<'static>,
    pub(super) polling: bool,
    pub(super) wait: Wait,
}

/// The waker of the future that `run_until_complete` polls, one per run: none of it outlives a run that ends by a panic.
pub(super) struct MainWaker {
    pub(super) woken: AtomicBool,
    pub(super) remote: Arc<Remote>,
}

/// The owner's side of a loop.
pub(crate) struct Local {
    remote: Arc<Remote>,
    pub(super) closed: Cell<bool>,
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
    /// What the bridge to promises keeps with the loop.
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

    /// This loop for other threads.
    pub(crate) fn remote(&self) -> &Arc<Remote> {
        &self.remote
    }

    /// What the bridge keeps with the loop, made by the first call.
    pub(crate) fn companion(&self, make: impl FnOnce() -> Box<dyn Any>) -> &dyn Any {
        &**self.companion.get_or_init(make)
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.get()
    }

    /// The earliest deadline of a call that is still here.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let mut timers = self.timers.borrow_mut();
        if timers.is_empty() { None } else { timers.next_deadline(|call| self.has_call(call)) }
    }

    #[inline]
    pub(super) fn is_ready(&self) -> bool {
        !self.ready.borrow().is_empty()
    }

    pub(super) fn has_call(&self, key: Key) -> bool {
        self.calls.borrow().contains(key)
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
