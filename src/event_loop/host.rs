//! The loop in the hands of a host, which has a loop of its own: one turn at a time, and a word when the next one is due.
//!
//! A host that sleeps hears of all work, and of each piece once: by the [`Turn`] that it last made, or by its `on_wake`. Which of
//! the two, one lock decides. The end of a turn looks, under that lock, for what has come, and notes there whether the host knows
//! ([`Remote::end_turn`]); what comes later finds the note. While a loop runs its host counts as told, for it hears at the end.
//!
//! [`Remote::end_turn`]: super::remote::Remote::end_turn

use std::time::{Duration, Instant};

use super::local::Local;
use super::remote::OnWake;
use crate::diagnostics::quietly;

/// What a turn of an [`EventLoop`](crate::EventLoop) did, and when the next one is due: all that a host's own loop needs to know.
///
/// It is what [`EventLoop::turn`](crate::EventLoop::turn) returns, and holds until something comes: [`EventLoop::on_wake`] tells when
/// that is.
///
/// [`EventLoop::on_wake`]: crate::EventLoop::on_wake
///
/// # Examples
///
/// ```
/// use deferral::EventLoop;
///
/// let event_loop = EventLoop::new();
/// let (call, task) = (event_loop.call_soon(|| 1), event_loop.spawn(async { 2 }));
/// let turn = event_loop.turn();
/// assert_eq!((turn.ran, turn.ready, turn.timer), (2, false, None));
/// # drop((call, task));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a host that sleeps has to know for how long: see `Turn::timeout`"]
#[non_exhaustive]
pub struct Turn {
    /// How many calls ran, those of timers included, and how many tasks were polled.
    pub ran: usize,
    /// Whether the next turn is due at once: something is ready, or came from another thread meanwhile, or a timer is due. On a
    /// virtual clock, so is every timer that is left, as the next turn jumps to it.
    pub ready: bool,
    /// The time until the next timer, by the loop's clock; `None` if there is none. Zero if it is due.
    pub timer: Option<Duration>,
    /// Whether an event loop runs on this thread already, so that nothing was done: the turn was asked for inside a callback or a
    /// task. What there is to do comes later, when that has returned.
    pub nested: bool,
}

impl Turn {
    /// For how long the host may sleep, in the form that `poll` and its kin take: zero if the next turn is due, the time until the
    /// next timer, or `None` to sleep until [`on_wake`](crate::EventLoop::on_wake).
    ///
    /// A host that measures time in coarser units rounds up: woken early, it would find nothing to do. After a turn that was nested it is
    /// `None`.
    ///
    /// # Examples
    ///
    /// ```
    /// use deferral::EventLoop;
    /// use std::time::Duration;
    ///
    /// let event_loop = EventLoop::new();
    /// assert_eq!(event_loop.turn().timeout(), None);
    /// event_loop.call_later(Duration::from_secs(60), || ());
    /// assert!(event_loop.turn().timeout() <= Some(Duration::from_secs(60)));
    /// event_loop.call_soon(|| deferral::current().call_soon(|| ()));
    /// assert_eq!(event_loop.turn().timeout(), Some(Duration::ZERO));
    /// ```
    pub fn timeout(&self) -> Option<Duration> {
        if self.ready { Some(Duration::ZERO) } else { self.timer }
    }
}

impl Local {
    /// Calls `f` when a turn is due that the host does not know of, and now if there is one. Replaces what was there.
    pub(crate) fn on_wake(&self, f: OnWake) {
        self.hosted.set(true);
        let old = self.remote().set_on_wake(f, (!self.hushed.get()).then(|| self.has_news()));
        quietly(|| drop(old));
    }

    /// A timer was made. Between two turns the host has to hear of one that comes before all it knows of, and a loop that sleeps may
    /// have to wake earlier.
    pub(super) fn timer_made(&self, deadline: Instant) {
        self.rouse();
        if self.hosted.get() && !self.hushed.get() && self.is_news(deadline) {
            self.remote().tell();
        }
    }

    /// Says nothing to the host until [`inform`](Local::inform) or [`announce`](Local::announce).
    pub(super) fn hush(&self) {
        self.hushed.set(true);
        self.remote().hush();
    }

    /// What the host has to know after a turn.
    pub(super) fn announce(&self, ran: usize) -> Turn {
        let clock = self.remote().clock();
        let next = self.next_deadline();
        let timer = next.map(|deadline| deadline.saturating_duration_since(clock.now()));
        let ready = self.is_ready() || timer.is_some_and(|left| left.is_zero() || clock.is_virtual());
        self.announced.set(next);
        self.hushed.set(false);
        Turn { ran, ready: self.remote().end_turn(ready), timer, nested: false }
    }

    /// Tells the host what it does not know, from now on and of what is there.
    pub(super) fn inform(&self) {
        self.hushed.set(false);
        self.remote().inform(self.has_news());
    }

    /// Whether the loop's own side holds what the host has not heard of.
    fn has_news(&self) -> bool {
        let next = self.next_deadline();
        self.is_ready() || next.is_some_and(|deadline| self.is_news(deadline))
    }

    fn is_news(&self, deadline: Instant) -> bool {
        self.announced.get().is_none_or(|announced| deadline < announced)
    }
}
