//! Bounds the stack: what would recurse from one promise into the next is queued, and run by a frame that is open already.
//!
//! Every operation that can run foreign code opens a *frame* on its thread. Three kinds of work come up inside a frame:
//!
//! - What the library itself settles (the promise of a `then`, an aggregate) is *deferred* to the frame at work, which runs it before it
//!   returns. It costs no stack, however long the chain. A link of a chain that would be next in any case goes on in the loop of its
//!   source, see [`lend`](super::lend).
//! - What user code does inside a callback (a settle, a notify, a cancel, a registration) nests, and is done when its call returns, up to
//!   [`CALLS`] of them. What nests deeper is run by the outermost frame.
//! - What a drop brings about nests in this way, too, up to [`FRAMES`] in all. Beyond that it is deferred to the frame at work, like all that
//!   the library does by itself: however many drops stand between two calls, they take nothing of what the calls may nest.
//!
//! The first panic of a callback is kept until the outermost frame ends. If user code opened that frame, the panic resumes there; if a
//! drop or the loop did, it is reported.
//!
//! The thread-local needs no drop, so all this works in the destructors of other thread-locals, too.

use std::any::TypeId;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::mem::{self, ManuallyDrop};
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicU32, Ordering};

use super::raw;
use super::sync::per_thread;
use crate::broken::Broken;
use crate::diagnostics;
use crate::panics::{self, Payload};

/// How many frames nest that user code has called for. The guarantee is sixteen settles; a registration may stand between each two.
const CALLS: u32 = 32;

/// How many frames nest before those of drops and polls are deferred.
const FRAMES: u32 = 32;

/// What an open frame adds to the count of all. One that user code has called for is counted in the upper half, too.
const FRAME: u32 = 1;
const CALL: u32 = FRAME + (1 << 16);

/// The bits of the count of which none is set while there is room, as both limits are powers of two.
const NO_CALL: u32 = ((1 << 16) - CALLS) << 16;
const NO_FRAME: u32 = (1 << 16) - FRAMES;

/// How many flushes nest: one of them may run code that blocks, and so begins the next.
const FLUSHES: u32 = 32;

/// Something to run when its turn comes.
pub(super) enum Job {
    /// A promise: what there is to do stands in its state.
    Promise(raw::Job),
    /// A continuation behind the first of one promise, or a drop that nests too deep.
    Call(Box<dyn FnOnce()>),
}

impl Job {
    fn run(self) {
        match self {
            Job::Promise(job) => job.run(),
            Job::Call(call) => call(),
        }
    }
}

/// What asks: it decides where a panic of a callback goes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Caller {
    /// User code that called `resolve`, `reject`, `settle`, `notify`, `cancel` or a registration.
    User,
    /// A drop, a poll, or the loop.
    Quiet,
    /// The loop, in a turn: it is the executor of the promise.
    Home,
    /// The library, in the course of something else: the work needs no frame of its own.
    Library,
}

/// What a thread has under way. Most frames queue nothing, and see only the numbers.
struct Trampoline {
    /// The open frames, each as a [`FRAME`] or a [`CALL`].
    open: Cell<u32>,
    /// Whether the frame at work has something to run before it returns.
    waiting: Cell<bool>,
    /// Whether anything was queued, or a panic kept, since the outermost frame opened.
    used: Cell<bool>,
    /// The name of the thread, or 0 where it has none yet.
    thread: Cell<u32>,
    queues: RefCell<ManuallyDrop<Queues>>,
}

struct Queues {
    /// What the frame at work has to run before it returns.
    current: VecDeque<Job>,
    /// The queues of the frames below it, of those that had something queued when the next one opened.
    suspended: Vec<VecDeque<Job>>,
    /// What nested too deep: for the outermost frame.
    overflow: VecDeque<Job>,
    /// How many of [`flush`] nest.
    flushes: u32,
    panic: Option<Payload>,
}

impl Queues {
    const fn new() -> Self {
        Queues { current: VecDeque::new(), suspended: Vec::new(), overflow: VecDeque::new(), flushes: 0, panic: None }
    }
}

impl Trampoline {
    const fn new() -> Self {
        Trampoline {
            open: Cell::new(0),
            waiting: Cell::new(false),
            used: Cell::new(false),
            thread: Cell::new(0),
            queues: RefCell::new(ManuallyDrop::new(Queues::new())),
        }
    }

    /// Gives the thread its name.
    #[cold]
    fn number(&self) -> u32 {
        // The standard library's in any case: to the model checker it is a name and no more.
        static NEXT: AtomicU32 = AtomicU32::new(1);
        // ORDERING: Relaxed, as only the numbers count. After four billion threads they begin anew.
        let number = NEXT.fetch_add(1, Ordering::Relaxed).max(1);
        self.thread.set(number);
        number
    }

    /// Puts aside what the frame below has queued.
    #[cold]
    fn suspend(&self) {
        self.with(|queues| {
            let waiting = mem::take(&mut queues.current);
            queues.suspended.push(waiting);
        });
    }

    /// Undoes [`suspend`](Trampoline::suspend); after the outermost frame, hands out the first panic of all.
    fn tidy(&self, suspends: bool) -> Option<Payload> {
        let outermost = self.open.get() == 0;
        let panic = self.with(|queues| {
            if suspends {
                queues.current = queues.suspended.pop().unwrap_or_default();
            }
            if !outermost {
                return None;
            }
            let panic = queues.panic.take();
            // The buffers go here: nothing else would free them at the end of the thread.
            *queues = Queues::new();
            panic
        });
        self.used.set(!outermost);
        panic
    }

    /// No foreign code runs in here.
    fn with<R>(&self, f: impl FnOnce(&mut Queues) -> R) -> R {
        let mut queues = self.queues.borrow_mut();
        self.used.set(true);
        let result = f(&mut queues);
        self.waiting.set(!queues.current.is_empty());
        result
    }
}

per_thread! {
    static TRAMPOLINE: Trampoline = Trampoline::new();
}

/// Names the calling thread among those that live. Never 0.
pub(crate) fn this_thread() -> u32 {
    TRAMPOLINE.with(|t| match t.thread.get() {
        0 => t.number(),
        number => number,
    })
}

/// No foreign code runs in here.
fn with<R>(f: impl FnOnce(&mut Queues) -> R) -> R {
    TRAMPOLINE.with(|t| t.with(f))
}

/// Drops something foreign in a frame of its own: its destructor may lead to the next, and that to another.
///
/// # Panics
///
/// As [`Frame::close`].
pub(crate) fn drop_guarded<X: 'static>(caller: Caller, foreign: X) {
    if !mem::needs_drop::<X>() {
        return;
    }
    if TypeId::of::<X>() == TypeId::of::<Broken>() {
        // Not foreign at all, and the most common.
        return drop(foreign);
    }
    match Frame::open(caller) {
        Some(frame) => {
            guard(|| drop(foreign));
            frame.close();
        }
        None => postpone(caller, Job::Call(Box::new(|| drop(foreign)))),
    }
}

/// Leaves a job to another frame than one of its own: a call waits for the end of the outermost one, all else is done before the call in
/// which it happened returns. Where no frame is open, what the library settles by itself runs in one of its own.
pub(super) fn postpone(caller: Caller, job: Job) {
    match caller {
        Caller::User => with(|queues| queues.overflow.push_back(job)),
        _ if TRAMPOLINE.with(|t| t.open.get() > 0) => with(|queues| queues.current.push_back(job)),
        _ => {
            if let Some(frame) = Frame::open(Caller::Quiet) {
                guard(|| job.run());
                frame.close();
            }
        }
    }
}

/// An open frame. Its opener closes it: nothing unwinds in between.
#[must_use]
pub(super) struct Frame {
    /// What it counts as.
    step: u32,
    /// The frame below had something queued, which has been put aside.
    suspends: bool,
}

impl Frame {
    /// Opens a frame, unless too many are open.
    pub(super) fn open(caller: Caller) -> Option<Frame> {
        TRAMPOLINE.with(|t| {
            let (step, full) = if matches!(caller, Caller::User) { (CALL, NO_CALL) } else { (FRAME, NO_FRAME) };
            let open = t.open.get();
            if open & full != 0 {
                return None;
            }
            t.open.set(open + step);
            let suspends = t.waiting.get();
            if suspends {
                t.suspend();
            }
            Some(Frame { step, suspends })
        })
    }

    /// Runs what was deferred to the frame, and closes it.
    ///
    /// # Panics
    ///
    /// Resumes the first panic of a callback, if this was the outermost frame and user code asked for it.
    pub(super) fn close(self) {
        TRAMPOLINE.with(|t| {
            if t.used.get() {
                return self.close_used(t);
            }
            t.open.set(t.open.get() - self.step);
        });
    }

    #[cold]
    fn close_used(self, t: &Trampoline) {
        let outermost = t.open.get() == self.step;
        while let Some(job) = t.with(|queues| {
            queues.current.pop_front().or_else(|| if outermost { queues.overflow.pop_front() } else { None })
        }) {
            guard(|| job.run());
        }
        t.open.set(t.open.get() - self.step);
        if let Some(payload) = t.tidy(self.suspends) {
            if self.step == CALL && !std::thread::panicking() {
                resume_unwind(payload);
            }
            diagnostics::report_panic(payload);
        }
    }
}

/// Whether the frame at work has something to run before it returns.
pub(super) fn is_waiting() -> bool {
    TRAMPOLINE.with(|t| t.waiting.get())
}

/// Keeps a callback's panic for the outermost frame, which tells the first one to its caller.
#[cold]
fn keep_panic(payload: Payload) {
    let rest = TRAMPOLINE.with(|t| {
        let framed = t.open.get() > 0;
        t.with(|queues| {
            if framed && queues.panic.is_none() {
                queues.panic = Some(payload);
                return None;
            }
            Some(payload)
        })
    });
    if let Some(payload) = rest {
        diagnostics::report_panic(payload);
    }
}

/// Runs foreign code, and keeps its panic.
#[inline(always)]
pub(crate) fn guard<R>(f: impl FnOnce() -> R) -> Option<R> {
    panics::guard(f).map_err(keep_panic).ok()
}

/// Runs all that is queued on this thread, before the caller blocks it. Of many that block inside each other, the innermost leave the
/// rest to those around them.
pub(crate) fn flush() {
    let nests = with(|queues| {
        let nests = queues.flushes < FLUSHES;
        queues.flushes += u32::from(nests);
        nests
    });
    if !nests {
        return;
    }
    while let Some(job) = with(|queues| {
        let suspended = queues.suspended.iter_mut().find_map(VecDeque::pop_front);
        suspended.or_else(|| queues.current.pop_front()).or_else(|| queues.overflow.pop_front())
    }) {
        guard(|| job.run());
    }
    with(|queues| queues.flushes -= 1);
}

/// Gives the code that follows a trampoline of its own until the result is dropped, after emptying this one: for a loop that runs inside
/// a callback, whose own frames must not wait for the callback's end.
pub(crate) fn isolate() -> impl Drop {
    struct Isolated {
        open: u32,
        queues: Option<Queues>,
    }
    impl Drop for Isolated {
        fn drop(&mut self) {
            TRAMPOLINE.with(|t| {
                t.open.set(self.open);
                if let Some(outer) = self.queues.take() {
                    t.with(|queues| *queues = outer);
                }
            });
        }
    }
    flush();
    TRAMPOLINE.with(|t| {
        let queues = t.with(|queues| mem::replace(queues, Queues::new()));
        Isolated { open: t.open.replace(0), queues: Some(queues) }
    })
}
