//! A turn of a loop: what other threads sent, the timers that are due, and what is ready.

use std::hint::black_box;
use std::rc::Rc;

use super::local::{Entry, Local, Message};
use crate::diagnostics::quietly;
use crate::list::Key;

/// How many timers that are due have their memory fetched at once.
const FETCHED: usize = 32;

/// What a run does next.
pub(super) enum Next<R> {
    Return(R),
    Turn,
    /// Nothing is ready.
    Rest,
}

impl Local {
    /// Steps 2 to 4 of the module's description.
    // Inlined, as what it calls for each turn: a loop that runs one task at a time comes here for each poll.
    #[inline(always)]
    pub(super) fn run_turn(self: &Rc<Self>) {
        self.count_turn();
        if self.remote().is_woken() {
            self.receive();
        }
        if self.timers.borrow().is_empty() {
            let count = self.ready.borrow().len();
            self.run_ready(count);
        } else {
            self.run_timers();
        }
    }

    /// Runs what is ready where there are timers, of which some may be due.
    #[inline(never)]
    fn run_timers(&self) {
        let late = self.collect_due();
        let mut count = self.ready.borrow().len();
        while count > FETCHED {
            self.fetch_ready();
            self.run_ready(FETCHED);
            count -= FETCHED;
        }
        self.run_ready(count);
        late.into_iter().for_each(|call| self.push_ready(Entry::Call(call)));
    }

    /// Has the memory of the next calls fetched, all at once: they were made long ago and in another order, and each would wait for its
    /// own alone.
    fn fetch_ready(&self) {
        let (ready, calls) = (self.ready.borrow(), self.calls.borrow());
        let next = || {
            ready.iter().take(FETCHED).filter_map(|entry| if let Entry::Call(key) = entry { Some(*key) } else { None })
        };
        next().for_each(|key| {
            black_box(calls.get(key).map(|call| call.origin));
        });
        next().filter_map(|key| calls.get(key)).for_each(|call| call.run.fetch());
    }

    /// Runs that many of those that are ready.
    #[inline(always)]
    fn run_ready(&self, count: usize) {
        for _ in 0..count {
            // Taken one by one: what is left after an abnormal exit is still queued.
            let entry = self.ready.borrow_mut().pop_front();
            match entry {
                Some(Entry::Task(runnable)) => {
                    runnable.run();
                }
                Some(Entry::Call(key)) => self.run_call(key),
                // The loop was closed in the middle of its turn.
                None => return,
            }
        }
    }

    pub(super) fn receive(self: &Rc<Self>) {
        self.remote().receive(&mut self.incoming.borrow_mut());
        loop {
            let message = self.incoming.borrow_mut().pop_front();
            match message {
                Some(Message::Entry(entry)) => self.push_ready(entry),
                Some(Message::Op(op)) => {
                    quietly(|| op(self));
                }
                None => break,
            }
        }
    }

    /// Has the timers that are due follow what is ready. Returns the late ones.
    fn collect_due(&self) -> Vec<Key> {
        let mut late = Vec::new();
        let mut timers = self.timers.borrow_mut();
        let now = self.remote().now();
        self.see(now);
        let mut ready = self.ready.borrow_mut();
        // What was due after a late one does not overtake it.
        let mut held = now;
        timers.drain_due(now, |timer, call| {
            if timer.is_late() {
                if !self.has_call(call) {
                    return; // A canceled timer holds up nothing.
                }
                held = held.min(timer.deadline);
            }
            if timer.is_late() || timer.deadline > held {
                late.push(call);
            } else {
                ready.push_back(Entry::Call(call));
            }
        });
        late
    }

    /// Whether the next turn will find something after all: other threads sent it, or it is due, if need be because the virtual
    /// clock jumps.
    pub(super) fn advance(&self) -> bool {
        if self.remote().is_woken() {
            return true;
        }
        let clock = self.remote().clock();
        let deadline = self.next_deadline();
        deadline.is_some_and(|deadline| {
            clock.advance_to(deadline);
            deadline <= clock.now()
        })
    }
}
