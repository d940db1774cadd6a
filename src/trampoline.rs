//! Bounds the stack: what would recurse from one promise into the next is queued, and run by whoever is already running.
//!
//! Every operation that can run foreign code enters here with the promise it concerns, and becomes a *frame* on this thread.
//! Three kinds of work come up inside a frame:
//!
//! - What the library itself settles (the promise of a `then`, an aggregate) is *deferred* to the frame at work, which runs it
//!   before it returns. It costs no stack, however long the chain.
//! - What user code does inside a callback (a settle, a notify, a cancel, a registration) nests, and is done when its call returns,
//!   up to [`CALLS`] of them. What nests deeper is run by the outermost frame.
//! - What a drop brings about nests in the same way, up to [`FRAMES`] in all. Beyond that it is deferred to the frame at work, like all that the
//!   library does by itself: however many drops stand between two calls, they take nothing of what the calls may nest.
//!
//! The first panic of a callback is kept until the outermost frame ends. If user code opened that frame, the panic resumes there;
//! if a drop or the loop did, it is reported.
//!
//! The thread-local needs no drop, so all this works in the destructors of other thread-locals, too.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::mem::{self, ManuallyDrop};
use std::num::NonZeroUsize;
use std::panic::resume_unwind;
use std::rc::Rc;
use std::sync::Arc;

use crate::diagnostics::{self, Payload};

/// How many frames nest that user code has called for. The guarantee is sixteen settles; a registration may stand between each two.
const CALLS: usize = 32;

/// How many frames nest before those of drops and polls are deferred.
const FRAMES: usize = 32;

/// How many flushes nest: one of them may run what blocks, and so begins the next.
const FLUSHES: usize = 32;

/// Something that has work to do and knows what it is.
pub trait Work {
    /// Does it. Foreign code runs in here, and must not unwind out of here.
    fn work(&self);
}

/// A claim on somebody's work, of either flavor. It stands in hidden methods of a public trait, and cannot be named.
#[allow(missing_debug_implementations)]
pub enum Job {
    Shared(Arc<dyn Work>),
    Local(Rc<dyn Work>),
    /// A continuation behind the first of one promise, or a drop that nests too deep.
    Call(Box<dyn FnOnce()>),
}

impl Job {
    fn run(self) {
        match self {
            Job::Shared(work) => work.work(),
            Job::Local(work) => work.work(),
            Job::Call(call) => call(),
        }
    }
}

/// Who asks: it decides where a panic of a callback goes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Caller {
    /// User code that called `resolve`, `reject`, `settle`, `notify`, `cancel` or a registration.
    User,
    /// A drop, a poll, or the loop.
    Quiet,
    /// The loop, in a turn: the promise has its home here.
    Home,
    /// The library, in the course of something else: the work needs no frame of its own.
    Library,
}

struct Trampoline {
    depth: usize,
    /// How many of the open frames user code has called for.
    calls: usize,
    /// What the frame at work has to run before it returns.
    current: VecDeque<Job>,
    /// The same of the frames below it, for those that had something queued when the next one opened.
    suspended: Vec<VecDeque<Job>>,
    /// What nested too deep: for the outermost frame.
    overflow: VecDeque<Job>,
    /// How many of [`flush`] nest.
    flushes: usize,
    panic: Option<Payload>,
}

impl Trampoline {
    const fn new() -> Self {
        Trampoline {
            depth: 0,
            calls: 0,
            current: VecDeque::new(),
            suspended: Vec::new(),
            overflow: VecDeque::new(),
            flushes: 0,
            panic: None,
        }
    }
}

/// Names the calling thread among those that live: the address of something of its own.
pub(crate) fn this_thread() -> NonZeroUsize {
    thread_local! {
        static HERE: u8 = const { 0 };
    }
    HERE.with(|here| NonZeroUsize::new(std::ptr::from_ref(here).addr())).unwrap_or(NonZeroUsize::MIN)
}

thread_local! {
    static TRAMPOLINE: RefCell<ManuallyDrop<Trampoline>> = const { RefCell::new(ManuallyDrop::new(Trampoline::new())) };
}

/// No foreign code runs in here.
fn with<R>(f: impl FnOnce(&mut Trampoline) -> R) -> R {
    TRAMPOLINE.with(|trampoline| f(&mut trampoline.borrow_mut()))
}

/// Runs `job` for `caller`: see [`enter`] and [`defer`].
pub(crate) fn run(caller: Caller, job: Job) {
    match caller {
        Caller::Library => defer(job),
        caller => enter(caller, job),
    }
}

/// Runs `job` now, inside a frame of its own, or leaves it to an open frame if there are too many.
///
/// # Panics
///
/// Resumes the first panic of a callback, if this is the outermost frame and user code asked for it.
fn enter(caller: Caller, job: Job) {
    frame(caller, job, Job::run, |job| job);
}

/// Drops something foreign in the same way: its destructor may lead to the next, and that to another.
///
/// # Panics
///
/// As [`enter`].
pub(crate) fn scrap<X: 'static>(caller: Caller, foreign: X) {
    frame(caller, foreign, drop, |foreign| Job::Call(Box::new(|| drop(foreign))));
}

/// A frame that does `now` with `work`, and then all that was deferred to it; or no frame, and `later` makes a job for another.
fn frame<X>(caller: Caller, work: X, now: fn(X), later: fn(X) -> Job) {
    let Some(frame) = Frame::open(caller) else {
        let job = later(work);
        // A drop is done before the call in which it happened returns; a call waits for the end of the outermost one.
        return with(|t| if caller == Caller::User { t.overflow.push_back(job) } else { t.current.push_back(job) });
    };
    // Nothing unwinds out of the work of a promise; if it did, this thread's frames would never end.
    guard(|| now(work));
    while let Some(job) = frame.next() {
        guard(|| job.run());
    }
    if let Some(payload) = frame.close() {
        if caller == Caller::User && !std::thread::panicking() {
            resume_unwind(payload);
        }
        diagnostics::report_panic(payload);
    }
}

/// An open frame.
struct Frame {
    call: bool,
    outermost: bool,
    /// The frame below had something queued, which has been put aside.
    suspends: bool,
}

impl Frame {
    fn open(caller: Caller) -> Option<Frame> {
        with(|t| {
            let call = caller == Caller::User;
            let full = if call { t.calls == CALLS } else { t.depth >= FRAMES };
            if full {
                return None;
            }
            t.depth += 1;
            t.calls += usize::from(call);
            let suspends = !t.current.is_empty();
            if suspends {
                let waiting = mem::take(&mut t.current);
                t.suspended.push(waiting);
            }
            Some(Frame { call, outermost: t.depth == 1, suspends })
        })
    }

    fn next(&self) -> Option<Job> {
        with(|t| t.current.pop_front().or_else(|| if self.outermost { t.overflow.pop_front() } else { None }))
    }

    /// Closes it. The outermost one returns the first panic of all.
    fn close(self) -> Option<Payload> {
        with(|t| {
            t.depth -= 1;
            t.calls -= usize::from(self.call);
            if self.suspends {
                t.current = t.suspended.pop().unwrap_or_default();
            }
            if !self.outermost {
                return None;
            }
            let panic = t.panic.take();
            if t.current.capacity() + t.overflow.capacity() + t.suspended.capacity() > 0 {
                // Gives the buffers back: nothing else would at the end of the thread.
                *t = Trampoline::new();
            }
            panic
        })
    }
}

/// Leaves `job` to the frame at work, or runs it now where there is none: for what the library settles by itself.
pub(crate) fn defer(job: Job) {
    let job = with(|t| {
        if t.depth == 0 {
            return Some(job);
        }
        t.current.push_back(job);
        None
    });
    if let Some(job) = job {
        enter(Caller::Quiet, job);
    }
}

/// Keeps a callback's panic for the outermost frame, which tells the first one to its caller.
pub(crate) fn keep_panic(payload: Payload) {
    let rest = with(|t| {
        if t.depth > 0 && t.panic.is_none() {
            t.panic = Some(payload);
            return None;
        }
        Some(payload)
    });
    if let Some(payload) = rest {
        diagnostics::report_panic(payload);
    }
}

/// Runs foreign code, and keeps its panic.
pub(crate) fn guard<R>(f: impl FnOnce() -> R) -> Option<R> {
    diagnostics::guard(f).map_err(keep_panic).ok()
}

/// Runs all that is queued on this thread: for who is about to block it. Of many that block inside each other, the innermost leave
/// the rest to those around them.
pub(crate) fn flush() {
    let nests = with(|t| {
        let nests = t.flushes < FLUSHES;
        t.flushes += usize::from(nests);
        nests
    });
    if !nests {
        return;
    }
    loop {
        let next = with(|t| {
            let waiting = t.suspended.iter_mut().find_map(VecDeque::pop_front);
            waiting.or_else(|| t.current.pop_front()).or_else(|| t.overflow.pop_front())
        });
        match next {
            Some(job) => {
                guard(|| job.run());
            }
            None => break,
        }
    }
    with(|t| t.flushes -= 1);
}

/// Gives the code that follows a trampoline of its own until the result is dropped, after emptying this one: for a loop that runs
/// inside a callback, whose own frames must not wait for the callback's end.
pub(crate) fn isolate() -> impl Drop {
    struct Isolated(Option<Trampoline>);
    impl Drop for Isolated {
        fn drop(&mut self) {
            if let Some(outer) = self.0.take() {
                with(|t| *t = outer);
            }
        }
    }
    flush();
    Isolated(Some(with(|t| mem::replace(t, Trampoline::new()))))
}
