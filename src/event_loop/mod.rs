//! The engine of the event loop: queues, timers, clock, sleep, and the tasks' futures. It knows nothing of promises.
//!
//! ```text
//!    other threads                            the loop's own thread
//!
//!  wake, push_op, stop              wake, spawn, call_soon          call_at
//!          |                                   |                       |
//!          | lock                              |                       |
//!          v                                   v                       v
//!    Remote's queue -- each turn's start --> ready <-- when due --- timers
//!                                              |
//!                                              | as many as were there
//!                                              v
//!                                 tasks[key].poll, calls[key]()
//! ```
//!
//! A *turn* goes like this:
//!
//! 1. The main future of `run_until_complete` is polled, if it was woken. When it is ready the run ends here.
//! 2. What other threads sent goes to the back of the ready queue, in order. An operation among it is carried out at its place.
//! 3. Timers that are due follow, by deadline, ties in the order of their making.
//! 4. What the ready queue holds now runs. What is scheduled meanwhile waits for the next turn, so nothing starves. Late timers that
//!    were due wait at its end: they are the ends of timeouts, and what this turn has brought about comes before them.
//!
//! A loop with nothing ready sleeps until its next timer or until it is woken; on a virtual clock, time jumps to the next timer
//! instead. How it sleeps is the matter of one file: `condvar`, or with the feature `io` `reactor`.
//!
//! A loop that has a host runs a turn when the host says so, and never sleeps: see [`host`].
//!
//! # Order
//!
//! What is scheduled while the loop does not run, by its own thread or another, by `spawn`, `call_soon` or a wake, runs in the order in
//! which it came. It goes through the one queue under the lock, but what the loop's own thread schedules while that is empty may as
//! well go where it will end. While the loop runs, its own thread appends to the ready queue directly: that work keeps its order, as
//! does the work of each other thread, and the latter comes after the former of the same turn. An operation that the loop's own thread sends while the loop runs counts as another thread's: see
//! [`Remote::running_here`] for how to avoid that.
//!
//! # What stays on its thread
//!
//! A future or closure on a loop need not be `Send`. It lives in a slab of [`Local`], is run and dropped there, and everything
//! else names it by a [`Key`](crate::list::Key). So a queue entry can be dropped on any thread, at any time.
//!
//! Foreign code (a future, a closure, a destructor) runs with nothing borrowed and nothing locked, and its panics end in
//! [`quietly`](crate::diagnostics::quietly). The only exception is the main future, whose panic belongs to the caller of
//! `run_until_complete`.
//!
//! # Files
//!
//! Each uses the lines below its own alone:
//!
//! ```text
//!  run  survey                          runs, until they end, and the turn of a host; how everything stands
//!  main_future  condvar or reactor      the future of a run; sleep
//!  turn  close                          one turn; the end
//!  call  task                           what is scheduled, run and canceled
//!  queue                                the ways into the queues
//!  current                              which loops a thread is in
//!  host  seen  slow                     what a host has heard; the time of the last look; what takes long
//!  local                                the loop on its own thread
//!  remote  work                         the loop for other threads; calls and futures as they are stored
//!  bell  clock  slab  status  timers
//! ```

// `clock` is the only place that asks for the time; `remote` the only one that locks, apart from the virtual clock.
mod bell;
mod call;
mod clock;
mod close;
#[cfg(not(feature = "io"))]
mod condvar;
mod current;
mod host;
mod local;
mod main_future;
mod queue;
#[cfg(feature = "io")]
mod reactor;
mod remote;
mod run;
mod seen;
mod slab;
mod slow;
mod status;
mod survey;
mod task;
mod timers;
mod turn;
mod work;

#[cfg(test)]
mod tests;

pub(crate) use clock::Clock;
pub use host::Turn;
pub(crate) use local::{Local, Op, Remote};
pub use status::Status;
pub(crate) use survey::Survey;
pub(crate) use timers::Timer;
pub(crate) use work::{AnyCall, LocalCall, LocalFuture, any_call};
