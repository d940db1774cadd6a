//! Calls: closures that a loop runs once, in the next turn or in that of a timer.

use std::panic::Location;

use super::local::{Entry, Local};
use super::timers::Timer;
use super::work::{AnyCall, Call};
use crate::diagnostics::quietly;
use crate::list::Key;
use crate::unhandled::Work;

impl Local {
    /// Calls `run`, which was scheduled at `origin`, in the next turn. A closed loop drops it at once.
    pub(crate) fn call_soon(&self, run: AnyCall, origin: &'static Location<'static>) -> Key {
        let key = self.add_call(run, origin);
        if key != Key::DANGLING {
            self.enqueue(Entry::Call(key));
        }
        key
    }

    /// Calls `run` in the first turn in which `timer` is due; without one never, and then the call does not count as a timer that is
    /// left. A closed loop drops it at once.
    pub(crate) fn call_at(&self, timer: Option<Timer>, run: AnyCall, origin: &'static Location<'static>) -> Key {
        let key = self.add_call(run, origin);
        if let (Some(timer), true) = (timer, key != Key::DANGLING) {
            self.timers.borrow_mut().add(timer, key);
            self.timer_made(timer.deadline);
        }
        key
    }

    fn add_call(&self, run: AnyCall, origin: &'static Location<'static>) -> Key {
        if self.is_closed() {
            quietly(|| drop(run));
            return Key::DANGLING;
        }
        self.calls.borrow_mut().insert(Call { run, origin })
    }

    /// Drops the call's closure now, if it is still here. What was queued or timed for it is as good as gone.
    pub(crate) fn cancel_call(&self, key: Key) {
        let call = self.calls.borrow_mut().remove(key);
        if let Some(call) = call {
            let calls = self.calls.borrow();
            self.timers.borrow_mut().tidy(calls.len(), |call| calls.contains(call));
            drop(calls);
            quietly(|| drop(call));
        }
    }

    pub(super) fn run_call(&self, key: Key) {
        let call = self.calls.borrow_mut().remove(key);
        if let Some(mut call) = call {
            self.ran.set(self.ran.get() + 1);
            self.timed(Work::Call, call.origin, || quietly(|| call.run.run()));
        }
    }
}
