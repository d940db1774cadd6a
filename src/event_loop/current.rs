//! Which loops this thread is in.
//!
//! The thread-local needs no drop, so a destructor of another thread-local can still wake, spawn, run or close a loop.

use std::cell::RefCell;
use std::mem::{self, ManuallyDrop};
use std::ptr;
use std::rc::Rc;

use super::local::{Entry, Local, Remote, Runnable};

struct Place {
    /// The loop that runs or closes here, the innermost one.
    current: Option<Rc<Local>>,
    /// The one loop that runs here, also while another closes in one of its callbacks.
    running: Option<Rc<Local>>,
    /// Loops that were asked for a turn in here, where another one runs. Their hosts hear more when this place is left.
    refused: Vec<Rc<Local>>,
}

thread_local! {
    static PLACE: RefCell<ManuallyDrop<Place>> =
        const { RefCell::new(ManuallyDrop::new(Place { current: None, running: None, refused: Vec::new() })) };
}

/// No foreign code runs in here.
fn with<R>(f: impl FnOnce(&mut Place) -> R) -> R {
    PLACE.with(|place| f(&mut place.borrow_mut()))
}

/// The loop that this thread is in.
pub(super) fn get() -> Option<Rc<Local>> {
    with(|place| place.current.clone())
}

/// The loop that other threads know as `remote`, if it runs on this one.
pub(super) fn running(remote: &Remote) -> Option<Rc<Local>> {
    with(|place| place.running.as_ref().filter(|local| ptr::eq(&**local.remote(), remote)).cloned())
}

/// Whether that loop runs on this thread.
pub(super) fn is_here(remote: &Remote) -> bool {
    with(|place| place.running.as_ref().is_some_and(|local| ptr::eq(&**local.remote(), remote)))
}

/// Gives a task that was woken to its loop, if that runs on this thread, or back. Returns a loop that sleeps: it is to be roused.
pub(super) fn push_ready(runnable: Runnable) -> Result<Option<Rc<Local>>, Runnable> {
    with(|place| match &place.running {
        Some(local) if ptr::eq(&**local.remote(), &*runnable.metadata().remote) => {
            local.push_ready(Entry::Task(runnable));
            Ok(local.sleep.is_asleep().then(|| Rc::clone(local)))
        }
        _ => Err(runnable),
    })
}

/// Whether a loop runs on this thread.
pub(super) fn is_running() -> bool {
    with(|place| place.running.is_some())
}

/// Notes that `local` was refused a turn.
pub(super) fn refuse(local: &Rc<Local>) {
    with(|place| {
        if !place.refused.iter().any(|refused| Rc::ptr_eq(refused, local)) {
            place.refused.push(Rc::clone(local));
        }
    });
}

/// For the lifetime of this value the thread is in one loop; then it is again where it was, also after a panic.
pub(super) struct Entered {
    outer: Place,
}

impl Entered {
    pub(super) fn to_run(local: &Rc<Local>) -> Self {
        let (current, running) = (Some(Rc::clone(local)), Some(Rc::clone(local)));
        Entered { outer: with(|place| mem::replace(place, Place { current, running, refused: Vec::new() })) }
    }

    pub(super) fn to_close(local: &Rc<Local>) -> Self {
        let current = Some(Rc::clone(local));
        let enter = |place: &mut Place| {
            let running = place.running.clone();
            mem::replace(place, Place { current, running, refused: Vec::new() })
        };
        Entered { outer: with(enter) }
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        // The loop that is left goes out of the thread-local and into `self`, and is dropped with nothing borrowed.
        with(|place| mem::swap(place, &mut self.outer));
        mem::take(&mut self.outer.refused).iter().for_each(|local| local.inform());
    }
}

impl Local {
    /// The loop that runs on this thread, or that closes here.
    pub(crate) fn current() -> Option<Rc<Local>> {
        get()
    }

    /// Whether it runs, on its thread, just now.
    pub(crate) fn is_running(&self) -> bool {
        is_here(self.remote())
    }

    /// Whether some loop runs on this thread.
    pub(crate) fn runs_here() -> bool {
        is_running()
    }
}

impl Remote {
    /// The loop itself, if it runs on this thread: what is done to it directly keeps the order of what its own code schedules,
    /// which a message to itself would not.
    pub(crate) fn running_here(&self) -> Option<Rc<Local>> {
        running(self)
    }
}
