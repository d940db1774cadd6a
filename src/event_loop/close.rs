//! The end of a loop.

use std::rc::Rc;

use super::current::Entered;
use super::local::Local;
use crate::diagnostics::quietly;

impl Local {
    /// Drops, on this thread, all that the loop owns: tasks in spawn order, then calls in order, then what other threads sent, then the
    /// errands that came meanwhile, and the host's `on_wake`.
    ///
    /// Destructors may do with the loop what they like. It is closed already: what they schedule is dropped at once, so the slabs
    /// only shrink, and each entry is out of its slab before it is dropped. A task that is being polled is dropped after its poll.
    pub(crate) fn close(self: &Rc<Self>) {
        if self.closed.replace(true) {
            return;
        }
        self.rouse();
        let (mut messages, on_wake) = self.remote().close();
        let _entered = Entered::to_close(self);
        self.timers.borrow_mut().clear();
        drop(self.ready.take());
        let tasks = self.tasks.borrow().keys();
        tasks.into_iter().for_each(|key| self.cancel_task(key));
        let calls = self.calls.borrow().keys();
        calls.into_iter().for_each(|key| self.cancel_call(key));
        while let Some(message) = messages.pop_front() {
            quietly(|| drop(message));
        }
        for errand in self.remote().seal() {
            quietly(|| drop(errand));
        }
        quietly(|| drop(on_wake));
    }
}
