//! The loop as other threads see it: a queue under a lock, and the place where the loop sleeps. It does not know what the messages say.
//!
//! No foreign code runs under the lock. What cannot be queued, because the loop is closed, is handed back and dropped after
//! unlocking.
//!
//! A loop cannot fall asleep on work: whatever comes sets `woken` under the same lock under which the loop decides to sleep, and
//! only [`Remote::receive`], which takes all that came, clears it.

use std::collections::VecDeque;
use std::mem;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;

use super::bell::{Bell, Sleeper};
use super::clock::Clock;
use super::timers::Timer;
use crate::diagnostics::quietly;
use crate::panics::unpoisoned;

/// What a host does when a turn is due.
pub(crate) type OnWake = Arc<dyn Fn() + Send + Sync>;

/// Shared by the loop, its handles and the wakers of its tasks.
pub(crate) struct Remote<M> {
    clock: Clock,
    /// How many timers were made. It gives each its place among equals, before it travels to the loop.
    timers: AtomicU64,
    /// Something came since the loop last received. Set and cleared under the lock; a turn that nobody sent anything looks without it.
    woken: AtomicBool,
    /// For the running or the next `run_forever`. Set under the lock, and then `woken` with it.
    stop: AtomicBool,
    state: Mutex<State<M>>,
    bell: Bell,
}

pub(super) struct State<M> {
    queue: VecDeque<M>,
    /// The loop, if it sleeps and nobody has woken it yet.
    pub(super) sleeper: Sleeper,
    closed: bool,
    /// Not even the last errands are taken.
    sealed: bool,
    on_wake: Option<OnWake>,
    /// The host knows that a turn is due, or will hear of it at the end of the run that is under way.
    told: bool,
}

impl<M> State<M> {
    /// Notes that the host is told, if it has to be. The caller calls the result after unlocking.
    #[must_use]
    fn tell(&mut self) -> Option<OnWake> {
        if self.told {
            return None;
        }
        self.told = self.on_wake.is_some();
        self.on_wake.clone()
    }
}

impl<M> Remote<M> {
    pub(super) fn new(clock: Clock) -> Self {
        let state = State {
            queue: VecDeque::new(),
            sleeper: Sleeper::default(),
            closed: false,
            sealed: false,
            on_wake: None,
            told: false,
        };
        Remote {
            clock,
            timers: AtomicU64::new(0),
            woken: AtomicBool::new(false),
            stop: AtomicBool::new(false),
            state: Mutex::new(state),
            bell: Bell::default(),
        }
    }

    /// Ends the running or the next `run_forever` after its turn. Two of them count once.
    pub(crate) fn stop(&self) {
        let state = self.lock();
        // ORDERING: Release, for the Acquire of whoever takes it.
        self.stop.store(true, Ordering::Release);
        self.rouse(state);
    }

    /// The time of the loop's clock.
    pub(crate) fn now(&self) -> Instant {
        self.clock.now()
    }

    /// A timer for `deadline`. A late one runs a turn after it is due, so that what becomes ready at that time is still in time.
    pub(crate) fn timer(&self, deadline: Instant, late: bool) -> Timer {
        // ORDERING: Relaxed, as only the order of the numbers counts; those made on one thread, or in a known order, have it.
        Timer::new(deadline, self.timers.fetch_add(1, Ordering::Relaxed), late)
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.lock().closed
    }

    /// How much was sent that the loop has not received yet.
    pub(crate) fn sent(&self) -> usize {
        self.lock().queue.len()
    }

    pub(super) fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Queues a message, or gives it back if the loop is closed.
    // Not inlined: a wake on the loop's own thread goes another way, and is shorter without this.
    #[inline(never)]
    pub(super) fn push(&self, message: M) -> Result<(), M> {
        self.push_unless(|state| state.closed, message)
    }

    /// Queues a message also while the loop is closing, and gives it back after that.
    pub(super) fn push_last(&self, message: M) -> Result<(), M> {
        self.push_unless(|state| state.sealed, message)
    }

    fn push_unless(&self, refuses: fn(&State<M>) -> bool, message: M) -> Result<(), M> {
        let mut state = self.lock();
        if refuses(&state) {
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
    pub(super) fn receive(&self, queue: &mut VecDeque<M>) {
        let mut state = self.lock();
        self.woken.store(false, Ordering::Relaxed);
        mem::swap(&mut state.queue, queue);
    }

    /// Whether nothing waits to be received.
    pub(super) fn is_empty(&self) -> bool {
        !self.is_woken() || self.lock().queue.is_empty()
    }

    /// Whether something came since the loop last received.
    #[inline]
    pub(super) fn is_woken(&self) -> bool {
        // ORDERING: Relaxed, here and elsewhere: what came is fetched under the lock, which whoever sleeps also holds when it looks.
        self.woken.load(Ordering::Relaxed)
    }

    /// Shows what is queued. What `look` does may not come back here.
    pub(super) fn for_each(&self, look: impl FnMut(&M)) {
        self.lock().queue.iter().for_each(look);
    }

    pub(super) fn take_stop(&self) -> bool {
        // ORDERING: Acquire, so that whoever the run returns to sees what happened before the stop.
        self.stop.load(Ordering::Relaxed) && self.stop.swap(false, Ordering::Acquire)
    }

    /// Has `sleeper` woken by what comes from now on, unless something has come.
    #[cfg(feature = "io")]
    pub(super) fn set_sleeper(&self, sleeper: Sleeper) -> bool {
        let mut state = self.lock();
        let sleeps = !self.is_woken();
        if sleeps {
            state.sleeper = sleeper;
        }
        sleeps
    }

    /// From here on nobody else wakes the loop.
    pub(super) fn take_sleeper(&self) -> Sleeper {
        self.lock().sleeper.take()
    }

    pub(super) fn bell(&self) -> &Bell {
        &self.bell
    }

    /// Sets what the host does when a turn is due, and returns what it did before. It is as new as `f`, so it is informed, unless it
    /// hears later.
    pub(super) fn set_on_wake(&self, f: OnWake, ready: Option<bool>) -> Option<OnWake> {
        let mut state = self.lock();
        let old = state.on_wake.replace(f);
        let host = ready.and_then(|ready| self.let_hear(&mut state, ready));
        drop(state);
        call(host);
        old
    }

    /// The host hears later of what comes.
    pub(super) fn hush(&self) {
        self.lock().told = true;
    }

    /// Whether the next turn is due after the one that has ended. With that, the host is told of all that came before.
    pub(super) fn end_turn(&self, ready: bool) -> bool {
        let mut state = self.lock();
        state.told = ready || self.has_news(&state);
        state.told
    }

    /// From here on the host is told of what comes, and now of what is there, or `ready` on the loop's side.
    pub(super) fn inform(&self, ready: bool) {
        let host = self.let_hear(&mut self.lock(), ready);
        call(host);
    }

    /// Lets the host be told from now on, and of what is there. The caller calls the result after unlocking.
    #[must_use]
    fn let_hear(&self, state: &mut State<M>, ready: bool) -> Option<OnWake> {
        state.told = false;
        if ready || self.has_news(state) { state.tell() } else { None }
    }

    /// Whether something came that the loop has not received.
    fn has_news(&self, state: &State<M>) -> bool {
        !state.queue.is_empty() || (self.is_woken() && self.stop.load(Ordering::Relaxed))
    }

    /// Tells the host that a turn is due, unless it knows.
    pub(super) fn tell(&self) {
        let host = self.lock().tell();
        call(host);
    }

    /// From here on nothing is queued, and the host not told of anything. Returns what was queued, and how the host was told.
    pub(super) fn close(&self) -> (VecDeque<M>, Option<OnWake>) {
        let mut state = self.lock();
        state.closed = true;
        (mem::take(&mut state.queue), state.on_wake.take())
    }

    /// From here on nothing at all is queued. Returns the last errands.
    pub(super) fn seal(&self) -> VecDeque<M> {
        let mut state = self.lock();
        state.sealed = true;
        mem::take(&mut state.queue)
    }

    fn rouse(&self, mut state: MutexGuard<'_, State<M>>) {
        self.woken.store(true, Ordering::Relaxed);
        // One notification per sleep: a burst of messages costs one system call.
        let sleeper = state.sleeper.take();
        let host = if self.has_news(&state) { state.tell() } else { None };
        drop(state);
        sleeper.wake(&self.bell);
        call(host);
    }

    #[cfg(test)]
    pub(super) fn is_asleep(&self) -> bool {
        self.lock().sleeper.is_asleep()
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State<M>> {
        unpoisoned(self.state.lock())
    }
}

/// Has the host told that a turn is due, with nothing locked.
fn call(host: Option<OnWake>) {
    if let Some(on_wake) = host {
        quietly(|| on_wake());
        // It may have been replaced meanwhile, and this be the last of it.
        quietly(|| drop(on_wake));
    }
}
