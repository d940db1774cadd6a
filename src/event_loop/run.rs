//! The runs of a loop: what to do when nothing is ready, and when to return.

use std::future::Future;
use std::panic::Location;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use super::current::{self, Entered};
use super::host::Turn;
use super::local::{Local, Main, MainWaker};
use super::turn::Next;
use crate::unhandled::Work;

const NESTED: &str = "an event loop already runs on this thread: await the future inside it, or spawn it, instead of running a \
                      loop in a callback";
const CLOSED: &str = "this event loop is closed, and runs nothing any more: make a new one";
const STUCK: &str = "the future waits, but nothing on the loop is ready, and its virtual clock has no timer left to jump to: let \
                     something on this loop wake it, or use a loop on the real clock, which waits for other threads";

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
        let main = MainWaker::new(self.remote());
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

    /// Runs the loop until [`Remote::stop`](super::Remote::stop). A stop before it lets it run one turn.
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
}
