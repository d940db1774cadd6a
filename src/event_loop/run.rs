//! How a loop runs: turns, what to do when nothing is ready, and when to return.

use std::future::Future;
use std::hint::black_box;
use std::panic::Location;
use std::pin::pin;
use std::ptr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use super::current::{self, Entered};
use super::host::Turn;
use super::local::{Entry, Local, Main, MainWaker, Message};
use super::status::{Status, Wait};
use crate::awaited;
use crate::diagnostics::quietly;
use crate::list::Key;
use crate::unhandled::Work;

const NESTED: &str = "an event loop already runs on this thread: await the future inside it, or spawn it, instead of running a \
                      loop in a callback";
const CLOSED: &str = "this event loop is closed, and runs nothing any more: make a new one";
const STUCK: &str = "the future waits, but nothing on the loop is ready, and its virtual clock has no timer left to jump to: let \
                     something on this loop wake it, or use a loop on the real clock, which waits for other threads";

/// How many timers that are due have their memory fetched at once.
const FETCHED: usize = 32;

/// What a run does next.
pub(super) enum Next<R> {
    Return(R),
    Turn,
    /// Nothing is ready.
    Rest,
}

impl Main {
    /// Has the loop list it until the result is dropped.
    fn list(local: &Rc<Local>, waker: &Arc<MainWaker>, origin: &'static Location<'static>) -> Listed {
        let wait = Wait::first(local.seen());
        let main = Main { waker: Arc::clone(waker), origin, polling: false, wait };
        *local.main.borrow_mut() = Some(main);
        Listed { local: Rc::clone(local) }
    }

    pub(super) fn status(&self) -> Status {
        if self.polling {
            Status::Running
        } else if self.waker.is_woken() {
            Status::Queued
        } else {
            Status::Waiting
        }
    }
}

struct Listed {
    local: Rc<Local>,
}

impl Listed {
    fn begin_poll(&self) {
        awaited::begin(ptr::null());
        if let Some(main) = &mut *self.local.main.borrow_mut() {
            main.polling = true;
        }
    }

    fn end_poll(&self, waker: &Waker) {
        if let Some(main) = &mut *self.local.main.borrow_mut() {
            main.polling = false;
            main.wait = Wait::after_poll(self.local.seen(), waker);
        }
    }
}

impl Drop for Listed {
    fn drop(&mut self) {
        *self.local.main.borrow_mut() = None;
    }
}

impl MainWaker {
    #[inline]
    fn is_woken(&self) -> bool {
        // ORDERING: Acquire, as in `take`.
        self.woken.load(Ordering::Acquire)
    }

    #[inline]
    fn take(&self) -> bool {
        // ORDERING: Acquire, so that the poll sees what happened before the wake.
        self.is_woken() && self.woken.swap(false, Ordering::Acquire)
    }
}

impl Wake for MainWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // ORDERING: Release, for the Acquire of `take`. That the flag is up before the loop is roused, the lock sees to: whoever
        // clears `woken` there looks at the flag before it sleeps.
        let first = !self.woken.swap(true, Ordering::AcqRel);
        if first {
            match current::running(&self.remote) {
                // It looks at the flag before it sleeps.
                Some(local) => local.rouse(),
                None => self.remote.wake(),
            }
        }
    }
}

/// A run of a loop, of whatever kind. When it ends, by a panic too, the host hears what is left to do.
struct Run {
    // Dropped in this order: the host may make a turn at once.
    entered: Entered,
    ends: Ends,
}

struct Ends(Option<Rc<Local>>);

impl Run {
    fn new(local: &Rc<Local>) -> Self {
        let entered = Entered::to_run(local);
        local.hush();
        Run { entered, ends: Ends(Some(Rc::clone(local))) }
    }

    /// Ends a run that the host hears of in another way.
    fn end(self) {
        let Run { entered, mut ends } = self;
        drop(entered);
        drop(ends.0.take());
    }
}

impl Drop for Ends {
    fn drop(&mut self) {
        if let Some(local) = self.0.take() {
            local.trim();
            local.inform();
        }
    }
}

impl Local {
    /// Runs the loop until `future` is ready. If it is ready when first polled, no turn is run.
    ///
    /// # Panics
    ///
    /// If a loop runs on this thread already, if this one is closed, if the future panics, or if it waits on a loop with a virtual
    /// clock where nothing is ready and no timer is left: then with a text that ends in what `describe` says of the loop.
    #[track_caller]
    pub(crate) fn run_until_complete<Fut: Future>(
        self: &Rc<Self>,
        future: Fut,
        describe: fn(&Local) -> String,
    ) -> Fut::Output {
        let origin = Location::caller();
        let _run = self.enter();
        // What was scheduled before the run goes before what the first poll schedules.
        self.receive();
        let main = Arc::new(MainWaker { woken: AtomicBool::new(true), remote: Arc::clone(self.remote()) });
        let listed = Main::list(self, &main, origin);
        let waker = Waker::from(Arc::clone(&main));
        let mut cx = Context::from_waker(&waker);
        // Declared last: its destructor still runs in the loop.
        let mut future = pin!(future);
        let is_virtual = self.remote().clock().is_virtual();
        let turn = || {
            if main.take() {
                listed.begin_poll();
                if let Poll::Ready(output) = self.timed(Work::Main, origin, || future.as_mut().poll(&mut cx)) {
                    return Next::Return(output);
                }
                listed.end_poll(&waker);
            }
            self.run_turn();
            if self.is_ready() || main.is_woken() { Next::Turn } else { Next::Rest }
        };
        let idle = || {
            if self.advance() {
                return Next::Turn;
            }
            assert!(!is_virtual, "{STUCK}\n{}", describe(self));
            Next::Rest
        };
        self.drive(!is_virtual, turn, idle)
    }

    /// Runs the loop until [`Remote::stop`]. A stop before it lets it run one turn.
    ///
    /// # Panics
    ///
    /// If a loop runs on this thread already, or if this one is closed.
    #[track_caller]
    pub(crate) fn run_forever(self: &Rc<Self>) {
        let _run = self.enter();
        let turn = || {
            self.run_turn();
            // Looked at after the turn, so that a stop in a turn ends this very turn, and leaves alone what it scheduled.
            if self.remote().take_stop() || self.is_closed() {
                return Next::Return(());
            }
            if self.is_ready() { Next::Turn } else { Next::Rest }
        };
        let idle = || if self.advance() { Next::Turn } else { Next::Rest };
        self.drive(!self.remote().clock().is_virtual(), turn, idle);
    }

    /// Runs the loop until nothing is ready; on a virtual clock, until no timer is left, either. Never waits on a real one, but a
    /// timer that is due is ready.
    ///
    /// # Panics
    ///
    /// If a loop runs on this thread already, or if this one is closed.
    #[track_caller]
    pub(crate) fn run_until_idle(self: &Rc<Self>) {
        let _run = self.enter();
        let turn = || {
            self.run_turn();
            if self.is_ready() { Next::Turn } else { Next::Rest }
        };
        let idle = || if self.advance() { Next::Turn } else { Next::Return(()) };
        self.drive(false, turn, idle);
    }

    /// Runs one turn, unless a loop runs on this thread already. On a virtual clock that finds nothing ready, time jumps to the next
    /// timer first.
    ///
    /// # Panics
    ///
    /// If this loop is closed.
    pub(crate) fn turn(self: &Rc<Self>) -> Turn {
        if Local::runs_here() {
            self.refuse();
            return Turn { ran: 0, ready: false, timer: None, nested: true };
        }
        let run = self.enter();
        self.look();
        self.ran.set(0);
        if self.remote().clock().is_virtual() && !self.is_ready() {
            self.advance();
        }
        self.run_turn();
        let ran = self.ran.get();
        run.end();
        self.announce(ran)
    }

    /// The host was told "later". If it is another loop that runs, its end is the time to tell more.
    fn refuse(self: &Rc<Self>) {
        if current::running(self.remote()).is_none() {
            self.hush();
            self.announced.set(None);
            current::refuse(self);
        }
    }

    #[track_caller]
    fn enter(self: &Rc<Self>) -> Run {
        assert!(!self.is_closed(), "{CLOSED}");
        assert!(!current::is_running(), "{NESTED}");
        self.see(self.remote().now());
        Run::new(self)
    }

    /// Steps 2 to 4 of the module's description.
    // Inlined, as what it calls for each turn: a loop that runs one task at a time comes here for each poll.
    #[inline(always)]
    pub(super) fn run_turn(self: &Rc<Self>) {
        self.count_turn();
        if self.remote().is_woken() {
            self.receive();
        }
        if self.timers.borrow().is_empty() {
            let count = self.ready.borrow().len();
            self.run_ready(count);
        } else {
            self.run_timers();
        }
    }

    /// The same with timers, of which some may be due.
    #[inline(never)]
    fn run_timers(&self) {
        let late = self.collect_due();
        let mut count = self.ready.borrow().len();
        while count > FETCHED {
            self.fetch_ready();
            self.run_ready(FETCHED);
            count -= FETCHED;
        }
        self.run_ready(count);
        late.into_iter().for_each(|call| self.push_ready(Entry::Call(call)));
    }

    /// Has the memory of the next calls fetched, all at once: they were made long ago and in another order, and each would wait for its
    /// own alone.
    fn fetch_ready(&self) {
        let (ready, calls) = (self.ready.borrow(), self.calls.borrow());
        let next = || {
            ready.iter().take(FETCHED).filter_map(|entry| if let Entry::Call(key) = entry { Some(*key) } else { None })
        };
        next().for_each(|key| {
            black_box(calls.get(key).map(|call| call.origin));
        });
        next().filter_map(|key| calls.get(key)).for_each(|call| call.run.fetch());
    }

    /// Runs that many of those that are ready.
    #[inline(always)]
    fn run_ready(&self, count: usize) {
        for _ in 0..count {
            // Taken one by one: what is left after an abnormal exit is still queued.
            let entry = self.ready.borrow_mut().pop_front();
            match entry {
                Some(Entry::Task(runnable)) => {
                    runnable.run();
                }
                Some(Entry::Call(key)) => self.run_call(key),
                // The loop was closed in the middle of its turn.
                None => return,
            }
        }
    }

    fn receive(self: &Rc<Self>) {
        self.remote().receive(&mut self.incoming.borrow_mut());
        loop {
            let message = self.incoming.borrow_mut().pop_front();
            match message {
                Some(Message::Entry(entry)) => self.push_ready(entry),
                Some(Message::Op(op)) => {
                    quietly(|| op(self));
                }
                None => break,
            }
        }
    }

    /// Has the timers that are due follow what is ready. Returns the late ones.
    fn collect_due(&self) -> Vec<Key> {
        let mut late = Vec::new();
        let mut timers = self.timers.borrow_mut();
        let now = self.remote().now();
        self.see(now);
        let mut ready = self.ready.borrow_mut();
        // What was due after a late one does not overtake it.
        let mut held = now;
        timers.drain_due(now, |timer, call| {
            if timer.is_late() {
                if !self.has_call(call) {
                    return; // canceled: it holds up nobody
                }
                held = held.min(timer.deadline);
            }
            if timer.is_late() || timer.deadline > held {
                late.push(call);
            } else {
                ready.push_back(Entry::Call(call));
            }
        });
        late
    }

    /// Whether the next turn will find something after all: other threads sent it, or it is due, if need be because the virtual
    /// clock jumps.
    pub(super) fn advance(&self) -> bool {
        if self.remote().is_woken() {
            return true;
        }
        let clock = self.remote().clock();
        let deadline = self.next_deadline();
        deadline.is_some_and(|deadline| {
            clock.advance_to(deadline);
            deadline <= clock.now()
        })
    }
}
