//! The public event loop.

use std::fmt;
use std::panic::Location;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Dump, Handle, Turn, owed};
use crate::core::trampoline;
use crate::event_loop::{Clock, Local};
use crate::local;

/// A small event loop for one thread: tasks, scheduled calls and timers, each seen as a promise.
///
/// It belongs to the thread that made it. What it runs is local: futures, closures and values need not be `Send`. Other threads
/// reach it through a [`Handle`]. Promises themselves need no loop; timers, `spawn`, `via` and `into_local` do.
///
/// # Order
///
/// The loop works in turns. Each turn runs what was ready when it began: what the loop's own thread scheduled, then what other
/// threads sent, each first in, first out; and then the timers that are due, in the order of their deadlines, equal ones in the order
/// of their making. What is scheduled during a turn runs in the next, and what is scheduled while the loop does not run keeps one
/// order, wherever it came from. Timers and other threads' wakes are looked at in every turn, so nothing starves.
///
/// # In another loop
///
/// A thread that has a loop already, of a window system, a game or an I/O library, calls [`turn`](EventLoop::turn) from there: it runs
/// one turn, never blocks, and says when the next one is due. [`on_wake`](EventLoop::on_wake) tells the host's loop when work
/// arrives in the meantime.
///
/// # Sockets
///
/// With the feature `io`, the loop sleeps in the reactor of [async-io](https://docs.rs/async-io), and its tasks use the sockets, timers
/// and signals of that family: see [the page of the crate](crate#sockets).
///
/// # Panics
///
/// A task or call that panics rejects its promise with kind [`Panicked`](crate::BrokenKind::Panicked), and the loop goes on.
///
/// # Dropping
///
/// A dropped loop drops its tasks and calls, on its thread, and rejects every promise that it owes with kind
/// [`LoopClosed`](crate::BrokenKind::LoopClosed), as well as all that is scheduled on it later. Destructors that run
/// meanwhile may wake, spawn, schedule and settle; they are in that loop ([`current`](crate::current())), even inside another one
/// that runs, so what they schedule is rejected in the same way. A loop that is forgotten ([`std::mem::forget`]) settles nothing.
///
/// # Examples
///
/// ```
/// use deferral::{EventLoop, when};
///
/// let event_loop = EventLoop::new();
/// let squares = (1..=3).map(|n| event_loop.call_soon(move || n * n));
/// let all = when(squares.collect::<Vec<_>>());
/// assert_eq!(event_loop.run_until_complete(all).unwrap(), [1, 4, 9]);
/// ```
pub struct EventLoop {
    pub(super) local: Rc<Local>,
}

impl EventLoop {
    /// Makes a loop that goes by the system's monotonic clock.
    ///
    /// # Examples
    ///
    /// ```
    /// let event_loop = deferral::EventLoop::new();
    /// assert_eq!(event_loop.run_until_complete(async { 1 }), 1);
    /// ```
    #[allow(clippy::new_without_default)]
    pub fn new() -> Self {
        EventLoop { local: Local::new(Clock::Real) }
    }

    /// Makes a loop whose clock stands still while there is something to do, and jumps to the next timer when there is not: tests
    /// never sleep.
    ///
    /// # Examples
    ///
    /// ```
    /// use deferral::EventLoop;
    /// use std::time::Duration;
    ///
    /// let event_loop = EventLoop::with_virtual_clock();
    /// let began = event_loop.handle().now();
    /// let hour = Duration::from_secs(3600);
    /// event_loop.run_until_complete(event_loop.call_later(hour, || ())).unwrap();
    /// assert_eq!(event_loop.handle().now() - began, hour);
    /// ```
    pub fn with_virtual_clock() -> Self {
        EventLoop { local: Local::new(Clock::new_virtual()) }
    }

    /// A handle for other threads.
    ///
    /// # Examples
    ///
    /// ```
    /// use deferral::EventLoop;
    ///
    /// let event_loop = EventLoop::new();
    /// let handle = event_loop.handle();
    /// std::thread::spawn(move || handle.stop());
    /// event_loop.run_forever();
    /// ```
    pub fn handle(&self) -> Handle {
        Handle::new(self.local.remote().clone())
    }

    /// Spawns a future: the loop polls it, the promise tells its output.
    ///
    /// The first poll is in the next turn, in the order of scheduling. The loop owns the task: dropping the promise detaches it.
    /// Canceling the promise drops the future, on this thread and before the observers run; in the middle of its own poll, right
    /// after it. What the future captured is dropped before the promise settles with its output.
    ///
    /// # Examples
    ///
    /// ```
    /// use deferral::EventLoop;
    ///
    /// let event_loop = EventLoop::new();
    /// let text = std::rc::Rc::new("not Send".to_owned());
    /// let task = event_loop.spawn(async move { text.len() });
    /// assert_eq!(event_loop.run_until_complete(task).unwrap(), 8);
    /// ```
    #[track_caller]
    pub fn spawn<U>(&self, future: U) -> local::Promise<U::Output>
    where
        U: Future + 'static,
    {
        owed::spawn(&self.local, future, Location::caller())
    }

    /// Schedules a call for the next turn: the promise tells what it returns.
    ///
    /// Calls run first in, first out. Canceling the promise drops the closure unrun; dropping the promise does not. It is asyncio's
    /// `call_soon`, with a promise in the place of the handle.
    ///
    /// # Examples
    ///
    /// ```
    /// use deferral::EventLoop;
    ///
    /// let event_loop = EventLoop::new();
    /// event_loop.call_soon(|| println!("first"));
    /// event_loop.call_soon(|| println!("second"));
    /// event_loop.run_until_idle();
    /// ```
    #[track_caller]
    pub fn call_soon<R: 'static>(&self, f: impl FnOnce() -> R + 'static) -> local::Promise<R> {
        owed::call_soon(&self.local, f, Location::caller())
    }

    /// Schedules a call for when `delay` has passed: the promise tells what it returns.
    ///
    /// It never runs early. Equal deadlines run in the order of scheduling. A delay whose end no [`Instant`] can tell, as
    /// [`Duration::MAX`], never ends, and such a call is not a timer that is left. Canceling the promise removes the timer.
    ///
    /// # Examples
    ///
    /// ```
    /// use deferral::EventLoop;
    /// use std::time::Duration;
    ///
    /// let event_loop = EventLoop::with_virtual_clock();
    /// let tea = event_loop.call_later(Duration::from_secs(240), || "ready");
    /// assert_eq!(event_loop.run_until_complete(tea).unwrap(), "ready");
    /// ```
    #[track_caller]
    pub fn call_later<R: 'static>(&self, delay: Duration, f: impl FnOnce() -> R + 'static) -> local::Promise<R> {
        owed::call_at(&self.local, owed::timer(self.local.remote(), delay, false), f, Location::caller())
    }

    /// Schedules a call for `deadline`, by the loop's clock ([`Handle::now`]): the promise tells what it returns.
    ///
    /// Deadlines in the past run as soon as possible, the older first. Otherwise it is as [`call_later`](EventLoop::call_later).
    ///
    /// # Examples
    ///
    /// ```
    /// use deferral::EventLoop;
    /// use std::time::Duration;
    ///
    /// let event_loop = EventLoop::with_virtual_clock();
    /// let noon = event_loop.handle().now() + Duration::from_secs(60);
    /// event_loop.call_at(noon, || println!("noon"));
    /// event_loop.run_until_idle();
    /// ```
    #[track_caller]
    pub fn call_at<R: 'static>(&self, deadline: Instant, f: impl FnOnce() -> R + 'static) -> local::Promise<R> {
        owed::call_at(&self.local, Some(self.local.remote().timer(deadline, false)), f, Location::caller())
    }

    /// Runs the loop until `future` is ready, and returns its output.
    ///
    /// The future is polled here, on the stack: it may borrow, and dropping out of this call by a panic drops it. If it is ready at
    /// its first poll, no turn is run. Tasks that are not finished stay for the next run. [`Handle::stop`] does not end it. Inside a
    /// callback of a promise, what this thread has queued for itself is run first.
    ///
    /// # Panics
    ///
    /// A panic of the future passes through; the loop can be run again. It panics if an event loop runs on this thread already, and,
    /// on a virtual clock, if the future waits while nothing is ready and no timer is left: nothing could make it go on. The message
    /// then ends in the [`dump`](EventLoop::dump), so that a test that deadlocks fails at once and says why.
    ///
    /// # Examples
    ///
    /// ```
    /// use deferral::EventLoop;
    ///
    /// let event_loop = EventLoop::new();
    /// let names = vec!["ada", "grace"];
    /// let longest = event_loop.run_until_complete(async { names.iter().map(|name| name.len()).max() });
    /// assert_eq!(longest, Some(5));
    /// ```
    #[track_caller]
    pub fn run_until_complete<U: Future>(&self, future: U) -> U::Output {
        let _isolated = trampoline::isolate();
        self.local.run_until_complete(future, |local| Dump::of(local).to_string())
    }

    /// Runs the loop until [`Handle::stop`] is called.
    ///
    /// It ends after the turn in which the stop is seen: what is ready runs, what that schedules stays for the next run. A stop before
    /// the run lets it run one turn, as in asyncio.
    ///
    /// # Panics
    ///
    /// If an event loop runs on this thread already.
    ///
    /// # Examples
    ///
    /// ```
    /// use deferral::EventLoop;
    ///
    /// let event_loop = EventLoop::new();
    /// let handle = event_loop.handle();
    /// event_loop.call_soon(move || handle.stop());
    /// event_loop.run_forever();
    /// ```
    #[track_caller]
    pub fn run_forever(&self) {
        let _isolated = trampoline::isolate();
        self.local.run_forever();
    }

    /// Runs the loop until nothing is ready; on a virtual clock, until no timer is left either.
    ///
    /// It never waits on a real clock. Tasks that wait for something else stay.
    ///
    /// # Panics
    ///
    /// If an event loop runs on this thread already.
    ///
    /// # Examples
    ///
    /// ```
    /// use deferral::{EventLoop, State};
    ///
    /// let event_loop = EventLoop::new();
    /// let call = event_loop.call_soon(|| 1);
    /// event_loop.run_until_idle();
    /// assert_eq!(call.state(), State::Resolved);
    /// ```
    #[track_caller]
    pub fn run_until_idle(&self) {
        let _isolated = trampoline::isolate();
        self.local.run_until_idle();
    }

    /// Runs one turn, and says what it did and when the next one is due: for a host that has a loop of its own.
    ///
    /// It runs what was ready when it began, as every turn, and never blocks. The host then sleeps for [`Turn::timeout`], or until
    /// [`on_wake`](EventLoop::on_wake), whichever is first, and calls it again. A host that does so misses nothing and polls nothing. Now
    /// and then a turn finds nothing to do, and does no harm: the timer was canceled, or a turn took another thread's work before
    /// that thread's word of it arrived.
    ///
    /// Inside a callback or task, where a loop runs on this thread already, it does nothing and says that it is
    /// [`nested`](Turn::nested), where the other runs would panic: a dialog that a callback opens, and that runs the host's loop until it is
    /// answered, must not kill the program. What is ready waits until the callback returns; then the outer turn says so, or, if it
    /// was not a turn of this loop, `on_wake` is called.
    ///
    /// With the feature `io`, a turn that finds nothing ready polls the reactor first, without waiting. What becomes ready between two
    /// turns, async-io's own thread notices, and `on_wake` tells.
    ///
    /// On a virtual clock, a turn that finds nothing ready jumps to the next timer, and as long as a timer is left the next turn is due
    /// at once: tests of a host never sleep. [`Handle::stop`] is for `run_forever`; a turn leaves it alone.
    ///
    /// # Panics
    ///
    /// Never by itself. Panics of tasks and calls end in their promises, as in every run.
    ///
    /// # Examples
    ///
    /// ```
    /// use deferral::{EventLoop, State};
    /// use std::{thread, time::Duration};
    ///
    /// let event_loop = EventLoop::new();
    /// let host = thread::current();
    /// event_loop.on_wake(move || host.unpark());
    ///
    /// let handle = event_loop.handle();
    /// let call = thread::spawn(move || handle.call_later(Duration::from_millis(5), || 7)).join().unwrap();
    /// loop {
    ///     let turn = event_loop.turn();
    ///     if call.state() != State::Pending {
    ///         break; // after a turn, and before it sleeps, the host looks at what concerns it
    ///     }
    ///     match turn.timeout() {
    ///         Some(timeout) => thread::park_timeout(timeout),
    ///         None => thread::park(),
    ///     }
    /// }
    /// assert_eq!(call.wait().unwrap(), 7);
    /// ```
    pub fn turn(&self) -> Turn {
        // A nested one does nothing, not even what this thread has queued for itself.
        let _isolated = (!Local::runs_here()).then(trampoline::isolate);
        self.local.turn()
    }

    /// Calls `f` when work arrives between two turns, so that a host that sleeps makes the next one.
    ///
    /// Work is whatever makes the next turn due earlier than the last one said, wherever it comes from: a call or task scheduled, or
    /// a task woken, by another thread or by the host's own code; a timer made earlier than those before; a [`Handle::stop`]. If there
    /// is work when `f` is set, it is called at once.
    ///
    /// It is called at most once until the next turn, which takes all work together, and not for work that is made while a turn runs: of that,
    /// the [`Turn`] tells. While the loop runs by itself (`run_forever` and the like) it is not called either, but afterwards, if something is
    /// left to do.
    ///
    /// `f` runs on the thread that brings the work, before the call that brings it returns; usually it posts a message to the
    /// host's loop, or unparks its thread. No lock is held: it may do anything, even make a turn if it is on this thread. A panic in it
    /// is reported and goes no further.
    ///
    /// A second `on_wake` replaces the first, whose function is dropped, as the last one is with the loop. A call that has begun on
    /// another thread may end after that; and work for a loop that is gone is refused as ever, and calls nothing.
    ///
    /// # Examples
    ///
    /// ```
    /// use deferral::EventLoop;
    /// use std::sync::mpsc;
    ///
    /// let event_loop = EventLoop::new();
    /// let (post, messages) = mpsc::channel(); // the host's queue
    /// event_loop.on_wake(move || drop(post.send("turn")));
    ///
    /// let handle = event_loop.handle();
    /// std::thread::spawn(move || {
    ///     handle.call_soon(|| ());
    ///     handle.call_soon(|| ());
    /// });
    /// let mut turn = event_loop.turn();
    /// let mut ran = turn.ran;
    /// while ran < 2 {
    ///     if !turn.ready {
    ///         assert_eq!(messages.recv().unwrap(), "turn"); // sleeps
    ///     }
    ///     turn = event_loop.turn();
    ///     ran += turn.ran;
    /// }
    /// ```
    pub fn on_wake(&self, f: impl Fn() + Send + Sync + 'static) {
        self.local.on_wake(Arc::new(f));
    }

    /// Reports each call, and each poll of a task or of the future that `run_until_complete` runs, that takes longer than `limit`: it
    /// holds up everything else on this loop, and belongs on a thread, or wants an `.await` in the middle.
    ///
    /// The report says where the work was scheduled or spawned. It goes where panics go that have no caller to resume in: it is one line on
    /// standard error in builds with debug assertions, and nothing in others. What a task or call settles runs inside of it, and its
    /// observers count. Time is that of the loop's clock, and on a virtual one nothing takes any.
    ///
    /// It is off at first, as asyncio's `slow_callback_duration` is outside of its debug mode, and costs nothing then;
    /// [`Duration::MAX`] turns it off again. A change counts from the next call or poll on.
    ///
    /// # Examples
    ///
    /// ```
    /// use deferral::EventLoop;
    /// use std::{thread, time::Duration};
    ///
    /// let event_loop = EventLoop::new();
    /// event_loop.warn_slower_than(Duration::from_millis(10)); // two frames of 60 Hz take 33
    /// event_loop.call_soon(|| thread::sleep(Duration::from_millis(20)));
    /// event_loop.run_until_idle();
    /// // deferral: the call scheduled at src/main.rs:6:12 took 20.07ms, more than 10ms
    /// ```
    pub fn warn_slower_than(&self, limit: Duration) {
        self.local.warn_slower_than(limit);
    }

    /// Tells what every live task is doing, and what it waits for.
    ///
    /// For each task that is: the line that spawned it; whether it is queued, waits, or runs just now, and since when; where the
    /// promise was made that it waits for; and which tasks and timers of this loop owe that, also through `then`, `when`, `timeout` and
    /// their kin. [`Dump`] is data, and its `Display` draws the tree of the waiting tasks, as Python's `asyncio pstree` does.
    ///
    /// A task may be asked for while it is being polled, and the loop may be dumped from anywhere on its thread: by a callback, a timer
    /// that serves as a watchdog, or a destructor. It changes nothing, and never panics. Until it is called, it costs no allocation,
    /// and a few stores in a poll that ends pending.
    ///
    /// # What it does not know
    ///
    /// - A task that polls several promises is shown to wait for the one that it found pending last. Let it await a
    ///   [`when`](crate::when()) of them, and all that owe them are shown.
    /// - A task that waits for something that is no promise, as a channel or a stream of futures, just waits.
    /// - Of a task that runs just now, only the tasks that await its very promise are known, not those that await one derived from it; of a
    ///   call that runs, nothing.
    /// - What other threads have sent to a [`Handle`] is seen when the loop receives it, at the beginning of a turn.
    ///
    /// # Examples
    ///
    /// ```
    /// use deferral::EventLoop;
    /// use deferral::dump::{Owner, Status};
    ///
    /// let event_loop = EventLoop::new();
    /// let forgotten = event_loop.spawn(std::future::pending::<()>());
    /// event_loop.spawn(async { forgotten.await });
    /// event_loop.run_until_idle();
    ///
    /// let dump = event_loop.dump();
    /// println!("{dump}");
    /// let waits = dump.iter().nth(1).unwrap();
    /// assert_eq!(waits.status, Status::Waiting);
    /// assert_eq!(waits.owners, [Owner::Task(0)]);
    /// ```
    pub fn dump(&self) -> Dump {
        Dump::of(&self.local)
    }
}

impl Drop for EventLoop {
    fn drop(&mut self) {
        self.local.close();
    }
}

/// What it has to do: how many tasks and calls are not done, how many of the calls wait for a timer, and how much is ready, or was sent
/// by other threads.
impl fmt::Debug for EventLoop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [tasks, calls, timers, ready] = self.local.owns();
        f.debug_struct("EventLoop")
            .field("running", &self.local.is_running())
            .field("tasks", &tasks)
            .field("calls", &calls)
            .field("timers", &timers)
            .field("ready", &ready)
            .field("sent", &self.local.remote().sent())
            .finish()
    }
}
