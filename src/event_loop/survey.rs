//! What a loop is doing: its tasks and calls, as they stand.
//!
//! Nothing is noted for this but how each task stood at the end of its last poll, and the loop looks at its clock for it no more often
//! than it does anyway. The rest is found out when somebody asks.

use std::any::Any;
use std::collections::{HashMap, HashSet};
use std::panic::Location;
use std::task::Waker;
use std::time::{Duration, Instant};

use super::local::{Call, Local};
use super::remote::Entry;
use crate::awaited::{self, Mark};

/// How many turns may go by before the loop looks at its clock, if nothing else makes it.
const BLIND_TURNS: u32 = 64;

/// How a task stood at the end of its last poll.
#[derive(Clone, Copy)]
pub(crate) struct Wait {
    /// When that was, as far as the loop knew: in nanoseconds since it was made.
    since: u64,
    /// Where the promise was made that the poll found pending last.
    pub(crate) origin: Option<&'static Location<'static>>,
    pub(crate) promise: Mark,
    /// The waker it was polled with: none before the first poll.
    pub(crate) waker: Mark,
}

impl Wait {
    /// Before the first poll.
    pub(super) fn first(since: u64) -> Self {
        Wait { since, origin: None, promise: Mark::NONE, waker: Mark::NONE }
    }

    /// At the end of a poll with `waker`.
    pub(super) fn after_poll(since: u64, waker: &Waker) -> Self {
        let (promise, origin) = awaited::last();
        Wait { since, origin, promise, waker: Mark::of(waker.data()) }
    }
}

/// What a task is doing.
///
/// # Examples
///
/// ```
/// use deferral::{EventLoop, dump::Status};
///
/// let event_loop = EventLoop::new();
/// event_loop.spawn(std::future::pending::<()>());
/// let status = || event_loop.dump().iter().next().map(|entry| entry.status);
/// assert_eq!(status(), Some(Status::Queued));
/// event_loop.run_until_idle();
/// assert_eq!(status(), Some(Status::Waiting));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Status {
    /// It is being polled: the loop is asked in the middle of that.
    Running,
    /// It is to be polled in this turn or the next: it was spawned or woken.
    Queued,
    /// It waits to be woken.
    Waiting,
}

/// A task as it stands.
pub(crate) struct SurveyedTask {
    /// Which one it is, in the order of spawning; none for the main future.
    pub(crate) number: Option<u32>,
    pub(crate) origin: &'static Location<'static>,
    pub(crate) status: Status,
    pub(crate) since: Instant,
    pub(crate) wait: Wait,
    /// What it tells of itself, unless it is being polled.
    pub(crate) owes: Option<Box<dyn Any>>,
}

/// A call as it stands.
pub(crate) struct SurveyedCall {
    pub(crate) origin: &'static Location<'static>,
    /// When it is due, if it waits for a timer.
    pub(crate) due: Option<Instant>,
    pub(crate) owes: Option<Box<dyn Any>>,
}

/// All tasks, the main future first and then in the order of spawning, and all calls, in the order of scheduling.
pub(crate) struct Survey {
    pub(crate) now: Instant,
    pub(crate) tasks: Vec<SurveyedTask>,
    pub(crate) calls: Vec<SurveyedCall>,
}

impl SurveyedTask {
    /// Where the promise was made that it waits for.
    pub(crate) fn awaits(&self) -> Option<&'static Location<'static>> {
        self.wait.origin.filter(|_| self.status == Status::Waiting)
    }
}

impl Local {
    /// The time of the last look at the clock, in nanoseconds since the loop was made.
    pub(super) fn seen(&self) -> u64 {
        self.seen.get()
    }

    /// Notes what the clock shows.
    pub(super) fn see(&self, now: Instant) {
        let nanos = now.saturating_duration_since(self.made).as_nanos();
        self.seen.set(u64::try_from(nanos).unwrap_or(u64::MAX));
        self.blind_turns.set(0);
    }

    /// Looks at the clock, if that was long ago.
    #[inline]
    pub(super) fn count_turn(&self) {
        let turns = self.blind_turns.get() + 1;
        self.blind_turns.set(turns);
        if turns >= BLIND_TURNS {
            self.look_at_clock();
        }
    }

    #[inline(never)]
    fn look_at_clock(&self) {
        self.see(self.remote().now());
    }

    /// How everything stands. Nothing is borrowed or locked any more when it returns.
    pub(crate) fn survey(&self) -> Survey {
        Survey { now: self.remote().now(), tasks: self.survey_tasks(), calls: self.survey_calls() }
    }

    fn survey_tasks(&self) -> Vec<SurveyedTask> {
        let queued = self.queued();
        let (main, tasks) = (self.main.borrow(), self.tasks.borrow());
        let main = main.as_ref().map(|main| {
            let (status, wait) = (main.status(), main.wait);
            SurveyedTask {
                number: None,
                origin: main.origin,
                status,
                since: self.since(status, &wait),
                wait,
                owes: None,
            }
        });
        let tasks = tasks.iter().map(|(key, task)| {
            let number = key.number();
            let status = match task.future {
                None => Status::Running,
                Some(_) if queued.contains(&number) => Status::Queued,
                Some(_) => Status::Waiting,
            };
            let owes = task.future.as_ref().and_then(|future| future.as_ref().owes());
            let (wait, since) = (task.wait, self.since(status, &task.wait));
            SurveyedTask { number: Some(number), origin: task.origin, status, since, wait, owes }
        });
        let mut tasks: Vec<_> = main.into_iter().chain(tasks).collect();
        tasks.sort_by_key(|task| task.number);
        tasks
    }

    fn survey_calls(&self) -> Vec<SurveyedCall> {
        let due: HashMap<u32, Instant> =
            self.timers.borrow().iter().map(|(timer, call)| (call.number(), timer.deadline)).collect();
        let calls = self.calls.borrow();
        let mut calls: Vec<(u32, &Call)> = calls.iter().map(|(key, call)| (key.number(), call)).collect();
        calls.sort_by_key(|(number, _)| *number);
        let survey = |(number, call): (u32, &Call)| SurveyedCall {
            origin: call.origin,
            due: due.get(&number).copied(),
            owes: call.run.owes(),
        };
        calls.into_iter().map(survey).collect()
    }

    /// The numbers of the tasks that wait for their turn.
    fn queued(&self) -> HashSet<u32> {
        let number = |entry: &Entry| match entry {
            Entry::Task(runnable) => Some(runnable.metadata().number),
            Entry::Call(_) => None,
        };
        let mut queued: HashSet<u32> = self.ready.borrow().iter().filter_map(number).collect();
        self.remote().for_each_entry(|entry| queued.extend(number(entry)));
        queued
    }

    /// A task that was woken is queued since the present turn: whatever is ready runs in a turn.
    fn since(&self, status: Status, wait: &Wait) -> Instant {
        let since = match status {
            Status::Waiting => wait.since,
            Status::Queued if wait.waker == Mark::NONE => wait.since,
            Status::Queued | Status::Running => self.seen(),
        };
        self.made.checked_add(Duration::from_nanos(since)).unwrap_or(self.made)
    }
}
