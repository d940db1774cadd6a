//! Bounds the stack: what would recurse from one promise into the next is queued, and run by whoever is already running.
//!
//! Every operation that can run foreign code enters here with the promise it concerns, and becomes a *frame* on this thread.
//! Three kinds of work come up inside a frame:
//!
//! - What the library itself settles (the promise of a `then`, an aggregate) is *deferred* to the frame at work, which runs it
//!   before it returns. It costs no stack, however long the chain. Where a link of a chain would be next in any case, and there is room, it
//!   runs at once ([`Nest`]): most chains are short.
//! - What user code does inside a callback (a settle, a notify, a cancel, a registration) nests, and is done when its call returns,
//!   up to [`CALLS`] of them. What nests deeper is run by the outermost frame.
//! - What a drop brings about nests in the same way, up to [`FRAMES`] in all. Beyond that it is deferred to the frame at work, like all that the
//!   library does by itself: however many drops stand between two calls, they take nothing of what the calls may nest.
//!
//! The first panic of a callback is kept until the outermost frame ends. If user code opened that frame, the panic resumes there;
//! if a drop or the loop did, it is reported.
//!
//! The thread-local needs no drop, so all this works in the destructors of other thread-locals, too.

use std::any::TypeId;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::mem::{self, ManuallyDrop};
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::Waker;

use super::raw::Work;
use super::sync::per_thread;
use crate::broken::Broken;
use crate::diagnostics::{self, Payload};

/// How many frames nest that user code has called for. The guarantee is sixteen settles; a registration may stand between each two.
const CALLS: u32 = 32;

/// How many frames nest before those of drops and polls are deferred.
const FRAMES: u32 = 32;

/// How many flushes nest: one of them may run what blocks, and so begins the next.
const FLUSHES: u32 = 32;

/// Something to run when its turn comes.
pub(crate) enum Job {
    Work(Work),
    /// A continuation behind the first of one promise, or what nests too deep.
    Call(Box<dyn FnOnce()>),
}

impl Job {
    #[inline]
    fn run(self) {
        match self {
            Job::Work(work) => work.run(),
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

/// What a thread has under way.
///
/// Most frames queue nothing, and see only the numbers.
struct Trampoline {
    open: Cell<Open>,
    /// Whether the frame at work has something to run before it returns.
    waiting: Cell<bool>,
    /// Whether anything was queued, or a panic kept, since the outermost frame opened.
    used: Cell<bool>,
    queues: RefCell<ManuallyDrop<Queues>>,
}

/// How many frames are open, and, in the upper half, how many of them user code has called for: one number, as both change at once.
#[derive(Clone, Copy)]
struct Open(u64);

impl Open {
    #[inline]
    fn depth(self) -> u32 {
        // The half below: what is cut off is the other one.
        #[allow(clippy::cast_possible_truncation)]
        let depth = self.0 as u32;
        depth
    }

    #[inline]
    fn calls(self) -> u32 {
        (self.0 >> 32) as u32
    }

    #[inline]
    fn is_full(self, caller: Caller) -> bool {
        if caller == Caller::User { self.calls() >= CALLS } else { self.depth() >= FRAMES }
    }

    /// One frame.
    #[inline]
    fn one(caller: Caller) -> u64 {
        1 | u64::from(caller == Caller::User) << 32
    }

    #[inline]
    fn and(self, caller: Caller) -> Self {
        Open(self.0 + Self::one(caller))
    }

    #[inline]
    fn without(self, caller: Caller) -> Self {
        Open(self.0 - Self::one(caller))
    }
}

/// First in, first out. Most hold one job at a time, and take no block for it.
struct Queue {
    first: Option<Job>,
    others: VecDeque<Job>,
}

impl Queue {
    const fn new() -> Self {
        Queue { first: None, others: VecDeque::new() }
    }

    fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    fn push(&mut self, job: Job) {
        if self.is_empty() {
            self.first = Some(job);
        } else {
            self.others.push_back(job);
        }
    }

    fn pop(&mut self) -> Option<Job> {
        let job = self.first.take()?;
        if !self.others.is_empty() {
            self.first = self.others.pop_front();
        }
        Some(job)
    }
}

struct Queues {
    /// What the frame at work has to run before it returns.
    current: Queue,
    /// The same of the frames below it, for those that had something queued when the next one opened.
    suspended: Vec<Queue>,
    /// What nested too deep: for the outermost frame.
    overflow: Queue,
    /// How many of [`flush`] nest.
    flushes: u32,
    panic: Option<Payload>,
}

impl Queues {
    const fn new() -> Self {
        Queues { current: Queue::new(), suspended: Vec::new(), overflow: Queue::new(), flushes: 0, panic: None }
    }
}

impl Trampoline {
    const fn new() -> Self {
        Trampoline {
            open: Cell::new(Open(0)),
            waiting: Cell::new(false),
            used: Cell::new(false),
            queues: RefCell::new(ManuallyDrop::new(Queues::new())),
        }
    }

    #[inline]
    fn open(&self, caller: Caller) -> Option<Frame> {
        let open = self.open.get();
        if open.is_full(caller) {
            return None;
        }
        self.open.set(open.and(caller));
        let suspends = self.waiting.get();
        if suspends {
            self.suspend();
        }
        Some(Frame { caller, suspends })
    }

    #[inline]
    fn depth(&self) -> u32 {
        self.open.get().depth()
    }

    #[inline]
    fn close(&self, frame: Frame) {
        if self.used.get() {
            frame.close_used();
        } else {
            self.leave(frame.caller);
        }
    }

    #[inline]
    fn leave(&self, caller: Caller) {
        self.open.set(self.open.get().without(caller));
    }

    /// Puts aside what the frame below has queued.
    #[cold]
    fn suspend(&self) {
        self.with(|queues| {
            let waiting = mem::replace(&mut queues.current, Queue::new());
            queues.suspended.push(waiting);
        });
    }

    /// Undoes [`suspend`](Trampoline::suspend); after the outermost frame, hands out the first panic of all.
    fn tidy(&self, suspends: bool) -> Option<Payload> {
        let outermost = self.depth() == 0;
        let panic = self.with(|queues| {
            if suspends {
                queues.current = queues.suspended.pop().unwrap_or(Queue::new());
            }
            if !outermost {
                return None;
            }
            let panic = queues.panic.take();
            // Gives the buffers back: nothing else would at the end of the thread.
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
    static NUMBER: Cell<u32> = Cell::new(0);
}

/// Names the calling thread among those that live. Never 0.
pub(crate) fn this_thread() -> u32 {
    #[cold]
    fn next() -> u32 {
        // The standard library's in any case: the model checker need not know, as it is a name and no more.
        static NEXT: AtomicU32 = AtomicU32::new(1);
        // ORDERING: Relaxed, as only the numbers count. After four billion threads they begin anew.
        // Neither 0 nor what stands for no thread at all.
        let number = NEXT.fetch_add(1, Ordering::Relaxed).clamp(1, u32::MAX - 1);
        NUMBER.with(|own| own.set(number));
        number
    }
    match NUMBER.with(Cell::get) {
        0 => next(),
        number => number,
    }
}

/// No foreign code runs in here.
fn with<R>(f: impl FnOnce(&mut Queues) -> R) -> R {
    TRAMPOLINE.with(|t| t.with(f))
}

/// Runs `job` for the library, or a drop: now, or when there is room.
fn enter(job: Job) {
    match Frame::open(Caller::Quiet) {
        Some(frame) => {
            guard(|| job.run());
            frame.close();
        }
        None => postpone(Caller::Quiet, job),
    }
}

/// Drops something foreign in a frame of its own: its destructor may lead to the next, and that to another.
///
/// # Panics
///
/// As [`Frame::close`].
pub(crate) fn scrap<X: 'static>(caller: Caller, foreign: X) {
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

/// Wakes a task.
///
/// # Panics
///
/// As [`Frame::close`].
#[inline(always)]
pub(crate) fn wake(caller: Caller, waker: Waker) {
    if caller == Caller::User { wake_framed::<true>(waker) } else { wake_framed::<false>(waker) }
}

// Not inlined: see `Frame::open_as`. They are the same for all promises.
#[inline(never)]
fn wake_framed<const CALL: bool>(waker: Waker) {
    let caller = if CALL { Caller::User } else { Caller::Quiet };
    TRAMPOLINE.with(|t| {
        let open = t.open.get();
        if open.is_full(caller) || t.waiting.get() {
            return wake_rarely(caller, waker);
        }
        t.open.set(open.and(caller));
        guard(|| waker.wake());
        t.close(Frame { caller, suspends: false });
    });
}

/// The same where the frame below has something queued, or there is no room.
#[cold]
#[inline(never)]
fn wake_rarely(caller: Caller, waker: Waker) {
    match Frame::open(caller) {
        Some(frame) => {
            guard(|| waker.wake());
            frame.close();
        }
        None => postpone(caller, Job::Call(Box::new(|| waker.wake()))),
    }
}

/// Leaves what found no frame to another one: a drop is done before the call in which it happened returns, a call waits for the end
/// of the outermost one.
#[cold]
pub(crate) fn postpone(caller: Caller, job: Job) {
    with(|queues| if caller == Caller::User { queues.overflow.push(job) } else { queues.current.push(job) });
}

/// An open frame. Whoever opened it closes it: nothing unwinds in between.
#[must_use]
pub(crate) struct Frame {
    caller: Caller,
    /// The frame below had something queued, which has been put aside.
    suspends: bool,
}

impl Frame {
    /// Opens a frame, unless too many are open.
    #[inline(always)]
    pub(crate) fn open(caller: Caller) -> Option<Frame> {
        let suspends = if caller == Caller::User { Self::open_as::<true>() } else { Self::open_as::<false>() };
        suspends.map(|suspends| Frame { caller, suspends })
    }

    // Not inlined: where the thread-local is defined it is a plain address, elsewhere a call. What is known of the caller saves work.
    #[inline(never)]
    fn open_as<const CALL: bool>() -> Option<bool> {
        let caller = if CALL { Caller::User } else { Caller::Quiet };
        TRAMPOLINE.with(|t| t.open(caller)).map(|frame| frame.suspends)
    }

    /// Runs what was deferred to the frame, and closes it.
    ///
    /// # Panics
    ///
    /// Resumes the first panic of a callback, if this was the outermost frame and user code asked for it.
    #[inline(always)]
    pub(crate) fn close(self) {
        if self.caller == Caller::User { self.close_as::<true>() } else { self.close_as::<false>() }
    }

    #[inline(never)]
    fn close_as<const CALL: bool>(self) {
        let caller = if CALL { Caller::User } else { Caller::Quiet };
        TRAMPOLINE.with(|t| t.close(Frame { caller, ..self }));
    }

    #[cold]
    fn close_used(self) {
        let outermost = TRAMPOLINE.with(|t| t.depth() == 1);
        while let Some(job) =
            with(|queues| queues.current.pop().or_else(|| if outermost { queues.overflow.pop() } else { None }))
        {
            guard(|| job.run());
        }
        let payload = TRAMPOLINE.with(|t| {
            t.leave(self.caller);
            t.tidy(self.suspends)
        });
        if let Some(payload) = payload {
            if self.caller == Caller::User && !std::thread::panicking() {
                resume_unwind(payload);
            }
            diagnostics::report_panic(payload);
        }
    }
}

/// How many frames and links there may be before links are deferred. It leaves room for frames of drops.
const LINKS: u32 = 12;

/// A place on the stack, inside the frame at work, for what the library settles just before that frame would look into its queue. It
/// closes where it is dropped.
#[must_use]
pub(crate) struct Nest(());

impl Nest {
    /// Opens it, if a frame is at work whose queue is empty, and there is room: then what is done here is done when its turn comes.
    pub(crate) fn open() -> Option<Nest> {
        TRAMPOLINE.with(|t| {
            let open = t.open.get();
            if open.depth() == 0 || open.depth() >= LINKS || t.waiting.get() {
                return None;
            }
            t.open.set(open.and(Caller::Library));
            Some(Nest(()))
        })
    }
}

impl Drop for Nest {
    fn drop(&mut self) {
        TRAMPOLINE.with(|t| t.leave(Caller::Library));
    }
}

/// Leaves `job` to the frame at work, or runs it now where there is none: for what the library settles by itself.
pub(crate) fn defer(job: Job) {
    let job = TRAMPOLINE.with(|t| {
        if t.depth() == 0 {
            return Some(job);
        }
        t.with(|queues| queues.current.push(job));
        None
    });
    if let Some(job) = job {
        enter(job);
    }
}

/// Keeps a callback's panic for the outermost frame, which tells the first one to its caller.
#[cold]
pub(crate) fn keep_panic(payload: Payload) {
    let rest = TRAMPOLINE.with(|t| {
        let framed = t.depth() > 0;
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
#[inline]
pub(crate) fn guard<R>(f: impl FnOnce() -> R) -> Option<R> {
    diagnostics::guard(f).map_err(keep_panic).ok()
}

/// Runs all that is queued on this thread: for who is about to block it. Of many that block inside each other, the innermost leave
/// the rest to those around them.
pub(crate) fn flush() {
    let nests = with(|queues| {
        let nests = queues.flushes < FLUSHES;
        queues.flushes += u32::from(nests);
        nests
    });
    if !nests {
        return;
    }
    loop {
        let next = with(|queues| {
            let waiting = queues.suspended.iter_mut().find_map(Queue::pop);
            waiting.or_else(|| queues.current.pop()).or_else(|| queues.overflow.pop())
        });
        match next {
            Some(job) => {
                guard(|| job.run());
            }
            None => break,
        }
    }
    with(|queues| queues.flushes -= 1);
}

/// Gives the code that follows a trampoline of its own until the result is dropped, after emptying this one: for a loop that runs
/// inside a callback, whose own frames must not wait for the callback's end.
pub(crate) fn isolate() -> impl Drop {
    struct Isolated {
        open: Open,
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
        Isolated { open: t.open.replace(Open(0)), queues: Some(queues) }
    })
}
