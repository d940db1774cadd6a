//! The future of a `run_until_complete`: how its loop knows it, and its waker.

use std::panic::Location;
use std::ptr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Wake, Waker};

use super::current;
use super::local::{Local, Main, MainWaker, Remote};
use super::status::{Status, Wait};
use crate::awaited;

impl Main {
    /// Has the loop list it until the result is dropped.
    pub(super) fn list(local: &Rc<Local>, waker: &Arc<MainWaker>, origin: &'static Location<'static>) -> Listed {
        let wait = Wait::first(local.seen());
        let main = Main { waker: Arc::clone(waker), origin, polling: false, wait };
        *local.main.borrow_mut() = Some(main);
        Listed { local: Rc::clone(local) }
    }

    pub(super) fn status(&self) -> Status {
        if self.polling {
            Status::Running
        } else if self.waker.is_woken() {
            Status::Queued
        } else {
            Status::Waiting
        }
    }
}

/// Unlists the future when it is dropped.
pub(super) struct Listed {
    local: Rc<Local>,
}

impl Listed {
    pub(super) fn begin_poll(&self) {
        awaited::begin(ptr::null());
        if let Some(main) = &mut *self.local.main.borrow_mut() {
            main.polling = true;
        }
    }

    pub(super) fn end_poll(&self, waker: &Waker) {
        if let Some(main) = &mut *self.local.main.borrow_mut() {
            main.polling = false;
            main.wait = Wait::after_poll(self.local.seen(), waker);
        }
    }
}

impl Drop for Listed {
    fn drop(&mut self) {
        *self.local.main.borrow_mut() = None;
    }
}

impl MainWaker {
    /// It is woken already: the first poll is due.
    #[inline]
    pub(super) fn new(remote: &Arc<Remote>) -> Arc<Self> {
        Arc::new(MainWaker { woken: AtomicBool::new(true), remote: Arc::clone(remote) })
    }

    #[inline]
    pub(super) fn is_woken(&self) -> bool {
        // ORDERING: Acquire, as in `take`.
        self.woken.load(Ordering::Acquire)
    }

    #[inline]
    pub(super) fn take(&self) -> bool {
        // ORDERING: Acquire, so that the poll sees what happened before the wake.
        self.is_woken() && self.woken.swap(false, Ordering::Acquire)
    }
}

impl Wake for MainWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // ORDERING: Release, for the Acquire of `take`. That the flag is up before the loop is roused, the lock sees to: the thread that
        // clears `woken` there looks at the flag before it sleeps.
        let first = !self.woken.swap(true, Ordering::AcqRel);
        if first {
            match current::running(&self.remote) {
                // It looks at the flag before it sleeps.
                Some(local) => local.rouse(),
                None => self.remote.wake(),
            }
        }
    }
}
