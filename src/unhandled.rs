//! What would vanish: rejections that nobody looked at, panics without a caller, work that holds up a loop.
//!
//! Nothing of it is lost without a word. By default each is one line on standard error in builds with debug assertions, and
//! nothing in others; [`set_unhandled_hook`] sends it to a log instead, in every build.
//!
//! # When a rejection counts as handled
//!
//! A rejection is *unhandled* if the last handle of either end goes and nobody has looked at the error. To look at it is: a callback of
//! `fail` or `always`, `catch`, `map_err`, `.await`, `wait`, [`peek`](crate::Promise::peek), and to be an input of an aggregate. A
//! callback of `done` or `progress` does not see errors, and does not count.
//!
//! Who is derived takes the responsibility over: a `then` passes the error on to its own promise, and there somebody has to look at it.
//! So of a rejected promise with two branches of `then` that nobody looks at, two are reported, and of a `when` whose error is caught,
//! none.
//!
//! That is decided when the last handle goes, so a handler may come as late as it likes. Python's asyncio and Twisted decide
//! in the same way, but their time is that of a garbage collector; JavaScript decides after a turn, and takes its word back.
//!
//! # What is excused
//!
//! - An end by [`cancel`](crate::Promise::cancel), or by the end of an event loop: somebody wanted it so.
//! - What the library rejected by itself while nobody wanted the outcome: nobody held a promise, and no callback was registered. A panic of
//!   a task or call is not excused by that: it is reported even if the task was detached, once.
//!
//! An excused error stays so down a chain, until user code changes it.
//!
//! # To a subscriber of `tracing`
//!
//! With the feature `tracing`, all of it is an event as well, besides the line or the hook, of level `WARN` (a panic: `ERROR`) and with the
//! target `deferral`. So is every settle and cancel (`DEBUG`), and every promise that is abandoned (`WARN`), with the field `promise`,
//! the line that made it; and each task is a span `task` with its `number` in its loop and the line that `spawned` it, which is entered
//! for each poll, below the one in which it was spawned. Without the feature nothing of it is compiled.
//!
//! # Results of tasks
//!
//! A task that returns a `Result` *resolves* with it, whatever it is: the `Err` of a detached one is a value that nobody took.
//! [`flatten`](crate::Promise::flatten) makes it the error of a promise: `spawn(work()).flatten()` is reported.
//!
//! # Examples
//!
//! ```
//! use deferral::unhandled::{Unhandled, set_unhandled_hook};
//! use deferral::Promise;
//! use std::sync::{Arc, Mutex};
//!
//! let log = Arc::new(Mutex::new(Vec::new()));
//! let entries = log.clone();
//! let old = set_unhandled_hook(Some(Arc::new(move |lost| entries.lock().unwrap().push(lost.to_string()))));
//!
//! drop(Promise::<u32, String>::rejected("no disk".to_owned()).then(|n| Ok(n + 1)));
//!
//! set_unhandled_hook(old);
//! let entries = log.lock().unwrap();
//! assert!(entries[0].starts_with("unhandled rejection of the promise made at "));
//! assert!(entries[0].ends_with(r#": "no disk" (alloc::string::String)"#));
//! ```

use std::any::Any;
use std::error::Error;
use std::fmt::{self, Debug};
use std::io;
use std::panic::Location;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::broken::Broken;
use crate::panics::{self, unpoisoned};

/// Something of which nobody heard. `Display` is one sentence, without a full stop.
///
/// # Examples
///
/// A hook that knows the program's own error type:
///
/// ```
/// use deferral::unhandled::{Unhandled, set_unhandled_hook};
/// use std::sync::Arc;
///
/// struct AppError { code: u16 }
///
/// set_unhandled_hook(Some(Arc::new(|lost| match lost {
///     Unhandled::Rejection { error, origin, .. } if error.is::<AppError>() => {
///         let error = error.downcast_ref::<AppError>().unwrap();
///         eprintln!("error {} of the promise made at {origin} was not handled", error.code);
///     }
///     other => eprintln!("{other}"),
/// })));
/// # set_unhandled_hook(None);
/// ```
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Unhandled<'a> {
    /// The last handle of a rejected promise went, and nobody had looked at the error: see the [module](self).
    #[non_exhaustive]
    Rejection {
        /// The error, which is dropped next. It is a [`Broken`] if a panic or an end that nobody could be told of is what was lost.
        error: &'a dyn Any,
        /// The error again, if its type is one that this crate knows to have a `Debug`: [`Broken`], [`String`], [`io::Error`], boxed and
        /// shared errors, and a `Vec` of these. No promise asks for `E: Debug`, so of other types nobody knows.
        debug: Option<&'a dyn Debug>,
        /// What the compiler calls the type of the error.
        type_name: &'static str,
        /// Where the promise was made.
        origin: &'static Location<'static>,
        /// The line that called `reject`, `settle` or `Promise::rejected`, at this promise or further up the chain. Only builds with
        /// debug assertions know it, and not of what a continuation, a task or the library rejected.
        rejected_at: Option<&'static Location<'static>>,
    },
    /// A callback, a waker or a destructor panicked, and there was no call to resume the panic in: a drop or an event loop had brought it
    /// about. The process's panic hook has run before.
    #[non_exhaustive]
    Panic {
        /// What it panicked with.
        payload: &'a (dyn Any + Send),
        /// The same as text, as far as it is any.
        message: &'a str,
    },
    /// Some work took longer than [`EventLoop::warn_slower_than`](crate::EventLoop::warn_slower_than) allows.
    #[non_exhaustive]
    Slow {
        /// What it was.
        work: Work,
        /// Where it was asked for.
        origin: &'static Location<'static>,
        /// How long it took, by the loop's clock.
        took: Duration,
        /// What was allowed.
        limit: Duration,
    },
}

/// What an event loop works on.
///
/// # Examples
///
/// ```
/// use deferral::unhandled::{Unhandled, Work};
///
/// /// Whether a thread of its own would help: a poll wants an `.await` instead.
/// fn belongs_on_a_thread(lost: &Unhandled<'_>) -> bool {
///     matches!(lost, Unhandled::Slow { work: Work::Call, .. })
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Work {
    /// A call of `call_soon`, `call_later` or `call_at`.
    Call,
    /// One poll of a task.
    Task,
    /// One poll of the future that `run_until_complete` runs.
    Main,
}

impl Unhandled<'_> {
    /// One line, whatever the text of a user's error holds; and none that could not be had.
    pub(crate) fn line(&self) -> String {
        let text = panics::guard(|| self.to_string()).unwrap_or_else(|payload| {
            panics::discard(payload);
            self.without_debug().to_string()
        });
        text.lines().collect::<Vec<_>>().join(" ")
    }

    /// Leaves the error out, for when its own `Debug` cannot be had.
    fn without_debug(self) -> Self {
        match self {
            Unhandled::Rejection { type_name, origin, rejected_at, .. } => {
                Unhandled::Rejection { error: &(), debug: None, type_name, origin, rejected_at }
            }
            other => other,
        }
    }
}

impl fmt::Display for Unhandled<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unhandled::Rejection { error, debug, type_name, origin, rejected_at } => {
                let broken = error.downcast_ref::<Broken>();
                if let Some(broken) = broken.filter(|broken| broken.origin() == *origin) {
                    return write!(f, "unhandled rejection: {broken}");
                }
                write!(f, "unhandled rejection of the promise made at {origin}")?;
                if let Some(site) = rejected_at.filter(|site| site != origin) {
                    write!(f, ", rejected at {site}")?;
                }
                match (broken, debug) {
                    (Some(broken), _) => write!(f, ": {broken}"),
                    (None, Some(error)) => write!(f, ": {error:?} ({type_name})"),
                    (None, None) => write!(f, ": an error of type {type_name}"),
                }
            }
            Unhandled::Panic { message, .. } => write!(f, "a panic with no caller to resume in: {message}"),
            Unhandled::Slow { work, origin, took, limit } => {
                let what = match work {
                    Work::Call => "the call scheduled at",
                    Work::Task => "a poll of the task spawned at",
                    Work::Main => "a poll of the future run at",
                };
                write!(f, "{what} {origin} took {took:?}, more than {limit:?}")
            }
        }
    }
}

/// A function that is told what would vanish: see [`set_unhandled_hook`].
pub type Hook = Arc<dyn Fn(&Unhandled<'_>) + Send + Sync>;

static HOOK: Mutex<Option<Hook>> = Mutex::new(None);

/// Sets the function that is told, in this whole process, what would vanish; `None` is the default. Returns the one that was set before.
///
/// It is called on the thread where the thing was lost, in the middle of whatever that thread does: in a drop, say. No lock is held, and no
/// value is borrowed but the one that it is told of, so it may do what it likes. A hook that panics changes nothing for anybody else:
/// its panic ends there, and what it was to tell goes to standard error, in every build. What gets lost on the same thread while the hook runs
/// is not told to the hook, but in the default way.
///
/// The default writes one line to standard error in builds with debug assertions, and does nothing in others. While
/// a test [watches](crate::testing::watch) a thread, what is lost there is told to the test alone.
///
/// It is the `exceptionHook` of jQuery, the `unhandledrejection` of JavaScript and the `set_exception_handler` of asyncio.
///
/// # Examples
///
/// One more destination, in front of the one that was there:
///
/// ```
/// use deferral::unhandled::set_unhandled_hook;
/// use std::sync::Arc;
///
/// let old = set_unhandled_hook(None);
/// set_unhandled_hook(Some(Arc::new(move |lost| {
///     eprintln!("my log: {lost}");
///     if let Some(old) = &old {
///         old(lost);
///     }
/// })));
/// # set_unhandled_hook(None);
/// ```
pub fn set_unhandled_hook(hook: Option<Hook>) -> Option<Hook> {
    std::mem::replace(&mut *unpoisoned(HOOK.lock()), hook)
}

pub(crate) fn hook() -> Option<Hook> {
    unpoisoned(HOOK.lock()).clone()
}

/// The `Debug` of an error, if its type is known to have one.
pub(crate) fn debug(error: &dyn Any) -> Option<&dyn Debug> {
    macro_rules! first_of {
        ($($error:ty),* $(,)?) => {
            $(if let Some(error) = error.downcast_ref::<$error>() {
                return Some(error);
            })*
        };
    }
    // No other types that are not a user's own are made of a `Broken`.
    first_of!(Broken, String, (), io::Error, Arc<io::Error>, Rc<io::Error>);
    first_of!(Box<dyn Error + Send + Sync>, Box<dyn Error>, Arc<dyn Error + Send + Sync>, Rc<dyn Error + Send + Sync>);
    first_of!(Vec<Broken>, Vec<String>, Vec<()>, Vec<io::Error>, Vec<Arc<io::Error>>, Vec<Rc<io::Error>>);
    first_of!(Vec<Box<dyn Error + Send + Sync>>, Vec<Box<dyn Error>>);
    first_of!(Vec<Arc<dyn Error + Send + Sync>>, Vec<Rc<dyn Error + Send + Sync>>);
    None
}
