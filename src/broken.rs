//! Why the library, and not the producer, rejected a promise.

use std::error::Error;
use std::fmt;
use std::io;
use std::panic::Location;
use std::rc::Rc;
use std::sync::Arc;

/// The error of a promise that the library rejected by itself: nobody called `reject`.
///
/// Every error type `E` of a promise converts from it (`E: From<Broken>`), so such an end reaches the same `fail`, `catch` and
/// `.await` as an error of the producer's own. `Broken` itself is the default for `E`. Conversions to `()`, [`String`],
/// [`io::Error`], to [`Arc`] and [`Rc`] of `io::Error` and of `dyn Error + Send + Sync`, and to a [`Vec`] of any such type come
/// with the crate; `Box<dyn Error + Send + Sync>`, `anyhow::Error` and enums with `#[from] Broken` take it like any other error.
/// A foreign error type that does none of this needs a newtype of yours.
///
/// It is small and cheap to clone, and it says where the promise was made.
///
/// # Examples
///
/// ```
/// use deferral::{BrokenKind, Deferred};
///
/// let (deferred, promise) = Deferred::<u32>::new();
/// drop(deferred);
/// promise.fail(|broken| {
///     assert_eq!(broken.kind(), BrokenKind::Abandoned);
///     assert!(broken.to_string().contains("its last Deferred was dropped"));
/// });
/// ```
#[derive(Clone)]
pub struct Broken(Repr);

type Origin = &'static Location<'static>;

/// Two words: only a panic has more to say. The tag fills the first one, so that it moves as words do, and so does the `Result` of a
/// promise: outcomes move all the time, and a byte and the rest of a word move slowly.
#[derive(Clone)]
#[repr(usize)]
enum Repr {
    Abandoned(Origin),
    Canceled(Origin),
    TimedOut(Origin),
    LoopClosed(Origin),
    Empty(Origin),
    Cycle(Origin),
    Panicked(Arc<Panicked>),
}

struct Panicked {
    origin: &'static Location<'static>,
    message: String,
}

/// What kind of end a [`Broken`] tells of.
///
/// # Examples
///
/// ```
/// use deferral::{BrokenKind, Promise};
///
/// let promise = Promise::<u32>::new(|deferred| drop(deferred)).catch(|broken| match broken.kind() {
///     BrokenKind::Abandoned => Ok(0),
///     _ => Err(broken),
/// });
/// promise.done(|value| assert_eq!(*value, 0));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BrokenKind {
    /// The last [`Deferred`](crate::Deferred) was dropped before it settled.
    Abandoned,
    /// Somebody called [`Promise::cancel`](crate::Promise::cancel), or a combinator that consumed it alone did not need it any more.
    Canceled,
    /// The time given to `timeout` was over.
    TimedOut,
    /// The closure or future that owed the outcome panicked; or the outcome could not be cloned, or the error not be made, for that
    /// reason.
    Panicked,
    /// The event loop that owed the outcome is gone.
    LoopClosed,
    /// There was nothing to choose from: [`when::race`](crate::when::race) of no promise.
    Empty,
    /// The promise would have waited for itself.
    Cycle,
}

impl Broken {
    pub(crate) fn new(kind: BrokenKind, origin: &'static Location<'static>) -> Self {
        Broken(match kind {
            BrokenKind::Abandoned => Repr::Abandoned(origin),
            BrokenKind::Canceled => Repr::Canceled(origin),
            BrokenKind::TimedOut => Repr::TimedOut(origin),
            BrokenKind::LoopClosed => Repr::LoopClosed(origin),
            BrokenKind::Empty => Repr::Empty(origin),
            BrokenKind::Cycle => Repr::Cycle(origin),
            BrokenKind::Panicked => return Broken::panicked(String::new(), origin),
        })
    }

    pub(crate) fn panicked(message: String, origin: &'static Location<'static>) -> Self {
        Broken(Repr::Panicked(Arc::new(Panicked { origin, message })))
    }

    /// What happened.
    pub fn kind(&self) -> BrokenKind {
        match self.0 {
            Repr::Abandoned(_) => BrokenKind::Abandoned,
            Repr::Canceled(_) => BrokenKind::Canceled,
            Repr::TimedOut(_) => BrokenKind::TimedOut,
            Repr::LoopClosed(_) => BrokenKind::LoopClosed,
            Repr::Empty(_) => BrokenKind::Empty,
            Repr::Cycle(_) => BrokenKind::Cycle,
            Repr::Panicked(_) => BrokenKind::Panicked,
        }
    }

    /// Where the promise was made: the line that called `new`, `then`, `when`, `spawn`, `call_soon` or the like.
    pub fn origin(&self) -> &'static Location<'static> {
        match &self.0 {
            Repr::Abandoned(origin)
            | Repr::Canceled(origin)
            | Repr::TimedOut(origin)
            | Repr::LoopClosed(origin)
            | Repr::Empty(origin)
            | Repr::Cycle(origin) => origin,
            Repr::Panicked(panicked) => panicked.origin,
        }
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the promise made at {} {}", self.origin(), self.kind().end())?;
        match &self.0 {
            Repr::Panicked(panicked) if !panicked.message.is_empty() => write!(f, ": {}", panicked.message),
            _ => Ok(()),
        }
    }
}

impl BrokenKind {
    /// The end of the sentence that begins with "the promise made at ...".
    fn end(self) -> &'static str {
        match self {
            BrokenKind::Abandoned => "was abandoned: its last Deferred was dropped before it settled",
            BrokenKind::Canceled => "was canceled",
            BrokenKind::TimedOut => "was not settled in time",
            BrokenKind::Panicked => "is broken: what owed its outcome panicked",
            BrokenKind::LoopClosed => "cannot be settled: its event loop is closed",
            BrokenKind::Empty => "cannot be settled: it had no promise to choose from",
            BrokenKind::Cycle => "cannot be settled: it would wait for itself",
        }
    }
}

impl fmt::Debug for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Broken");
        out.field("kind", &self.kind()).field("origin", &format_args!("{}", self.origin()));
        if let Repr::Panicked(panicked) = &self.0 {
            out.field("message", &panicked.message);
        }
        out.finish()
    }
}

impl Error for Broken {}

impl From<Broken> for () {
    fn from(_: Broken) {}
}

impl From<Broken> for String {
    fn from(broken: Broken) -> String {
        broken.to_string()
    }
}

/// Kind [`TimedOut`](BrokenKind::TimedOut) becomes [`io::ErrorKind::TimedOut`], all others [`io::ErrorKind::Other`]; the
/// [`Broken`] is the inner error.
impl From<Broken> for io::Error {
    fn from(broken: Broken) -> io::Error {
        match broken.kind() {
            BrokenKind::TimedOut => io::Error::new(io::ErrorKind::TimedOut, broken),
            _ => io::Error::other(broken),
        }
    }
}

impl From<Broken> for Arc<io::Error> {
    fn from(broken: Broken) -> Self {
        Arc::new(broken.into())
    }
}

impl From<Broken> for Rc<io::Error> {
    fn from(broken: Broken) -> Self {
        Rc::new(broken.into())
    }
}

impl From<Broken> for Arc<dyn Error + Send + Sync> {
    fn from(broken: Broken) -> Self {
        Arc::new(broken)
    }
}

impl From<Broken> for Rc<dyn Error + Send + Sync> {
    fn from(broken: Broken) -> Self {
        Rc::new(broken)
    }
}

/// One error, for a promise that collects the errors of many.
impl<E: From<Broken>> From<Broken> for Vec<E> {
    fn from(broken: Broken) -> Vec<E> {
        vec![broken.into()]
    }
}
