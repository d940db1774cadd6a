//! What a loop is doing: its tasks and calls, as they stand.
//!
//! Nothing is noted for this but how each task stood at the end of its last poll, and the loop looks at its clock for it no more often
//! than it does anyway. The rest is found out when somebody asks.

use std::any::Any;
use std::collections::{HashMap, HashSet};
use std::panic::Location;
use std::time::{Duration, Instant};

use super::local::{Entry, Local, Message};
use super::status::{Status, Wait};
use super::work::Call;
use crate::awaited::Mark;

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
        self.remote().for_each(|message| {
            if let Message::Entry(entry) = message {
                queued.extend(number(entry));
            }
        });
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
