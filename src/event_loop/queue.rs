//! The ways into a loop's queues, which keep the order of what goes in.

use super::current;
use super::local::{Entry, Local, Message, Op, Remote};
use crate::diagnostics::quietly;

impl Local {
    /// Whether nothing that another thread has sent is still on its way to the ready queue: what is appended there now keeps the order
    /// of sending.
    pub(crate) fn has_received_all(&self) -> bool {
        self.incoming.borrow().is_empty() && self.remote().is_empty()
    }

    /// The way into the queues for what this thread spawns and schedules: straight to what is ready, while the loop runs, or if nothing
    /// that came before waits elsewhere and no host has to be told; else through the queue under the lock, which keeps the order.
    pub(super) fn enqueue(&self, entry: Entry) {
        if (!self.remote().is_woken() && !self.hosted.get()) || current::is_here(self.remote()) {
            self.push_ready(entry);
            self.rouse();
        } else {
            drop(self.remote().push(Message::Entry(entry)));
        }
    }
}

impl Remote {
    /// Carries out `op` on the loop's thread, at the start of the next turn. A closed loop drops it, here and now.
    pub(crate) fn push_op(&self, op: Op) {
        if let Err(message) = self.push(Message::Op(op)) {
            quietly(|| drop(message));
        }
    }

    /// Carries out `op`, which does its work when it is dropped: a loop that is just closing takes it, and drops it on its thread.
    pub(crate) fn push_errand(&self, op: Op) {
        if let Err(message) = self.push_last(Message::Op(op)) {
            quietly(|| drop(message));
        }
    }
}
