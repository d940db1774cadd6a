//! Waiting on a plain thread.

use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use crate::core::trampoline;
use crate::event_loop::{Clock, Local};
use crate::promise::Promise;
use crate::state::State;

/// A thread that waits. It has a flag of its own, as anybody may use up a thread's park token.
#[derive(Default)]
struct Parker {
    woken: Mutex<bool>,
    wakes: Condvar,
}

impl Parker {
    /// Sleeps until woken, or until the deadline: then `false`.
    fn park(&self, deadline: Option<Instant>) -> bool {
        let mut woken = self.woken.lock().unwrap_or_else(PoisonError::into_inner);
        while !*woken {
            let Some(deadline) = deadline else {
                woken = self.wakes.wait(woken).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let left = deadline.saturating_duration_since(Clock::Real.now());
            if left.is_zero() {
                return false;
            }
            woken = self.wakes.wait_timeout(woken, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        *woken = false;
        true
    }
}

impl Wake for Parker {
    fn wake(self: Arc<Self>) {
        *self.woken.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.wakes.notify_one();
    }
}

impl<T, E, P> Promise<T, E, P> {
    /// Blocks this thread until the promise is settled, and takes the outcome.
    ///
    /// It is for plain threads: in a task, await the promise; in a callback, chain it. What this thread has queued for itself is
    /// run first. A loop that does not run does nothing: waiting on its own thread for what it owes never ends.
    ///
    /// # Panics
    ///
    /// Where it would wait forever: on the thread of a running event loop, while the promise is pending, or its callbacks wait for a turn
    /// ([`via`](Promise::via)); and in a callback of this very promise that is being run. If the promise has given its outcome already. As `poll` does, if the outcome's own
    /// code panicked.
    ///
    /// # Examples
    ///
    /// ```
    /// use deferral::Promise;
    ///
    /// let promise = Promise::<u32>::new(|deferred| {
    ///     std::thread::spawn(move || deferred.resolve(5));
    /// });
    /// assert_eq!(promise.wait().unwrap(), 5);
    /// ```
    #[track_caller]
    pub fn wait(mut self) -> Result<T, E> {
        match self.wait_until(None) {
            Some(outcome) => outcome,
            None => unreachable!("a wait without a deadline has ended"),
        }
    }

    /// The same, for no longer than `timeout`.
    ///
    /// # Errors
    ///
    /// Gives the promise back if its outcome cannot be had in time. It is not canceled.
    ///
    /// # Panics
    ///
    /// As [`wait`](Promise::wait).
    ///
    /// # Examples
    ///
    /// ```
    /// use deferral::Deferred;
    /// use std::time::Duration;
    ///
    /// let (deferred, promise) = Deferred::<u32>::new();
    /// let promise = promise.wait_timeout(Duration::from_millis(1)).unwrap_err();
    /// deferred.resolve(2);
    /// assert_eq!(promise.wait_timeout(Duration::ZERO).unwrap().unwrap(), 2);
    /// ```
    #[track_caller]
    pub fn wait_timeout(mut self, timeout: Duration) -> Result<Result<T, E>, Self> {
        // A deadline beyond all time is none.
        match self.wait_until(Clock::Real.now().checked_add(timeout)) {
            Some(outcome) => Ok(outcome),
            None => Err(self),
        }
    }

    #[track_caller]
    fn wait_until(&mut self, deadline: Option<Instant>) -> Option<Result<T, E>> {
        self.assert_unspent();
        let parker = Arc::new(Parker::default());
        let waker = Waker::from(parker.clone());
        // What is here needs no flush, which may nest.
        if let Poll::Ready(outcome) = Pin::new(&mut *self).poll(&mut Context::from_waker(&waker)) {
            return Some(outcome);
        }
        trampoline::flush();
        loop {
            if let Poll::Ready(outcome) = Pin::new(&mut *self).poll(&mut Context::from_waker(&waker)) {
                return Some(outcome);
            }
            assert!(
                !self.core().is_lent_here(),
                "`wait` in a callback that looks at the same promise would never end: use `then`, or await the promise"
            );
            let comes_soon = self.state() != State::Pending && !self.core().awaits_executor();
            assert!(
                comes_soon || Local::current().is_none(),
                "`wait` on the thread of a running event loop would stop the loop: await the promise in a task, or use `then`"
            );
            if !parker.park(deadline) {
                return None;
            }
        }
    }
}
