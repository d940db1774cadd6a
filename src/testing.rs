//! How to test code that uses promises.
//!
//! # Time
//!
//! A test never sleeps. On an [`EventLoop::with_virtual_clock`](crate::EventLoop::with_virtual_clock) an hour is over when nothing else is left
//! to do, and timers fire in the order in which they would:
//!
//! ```
//! use deferral::{BrokenKind, EventLoop, sleep, spawn, timeout};
//! use std::time::Duration;
//!
//! let event_loop = EventLoop::with_virtual_clock();
//! let began = event_loop.handle().now();
//! event_loop.run_until_complete(async {
//!     let slow = spawn(async { sleep(Duration::from_secs(3600)).await });
//!     let error = timeout(Duration::from_secs(60), slow).await.unwrap_err();
//!     assert_eq!(error.kind(), BrokenKind::TimedOut);
//! });
//! assert_eq!(event_loop.handle().now() - began, Duration::from_secs(60));
//! ```
//!
//! A test that waits for something that never comes fails at once: on a virtual clock
//! [`run_until_complete`](crate::EventLoop::run_until_complete) panics when nothing is left that could make the future go on, and
//! says which task waits for what. On other threads, [`wait_timeout`](crate::Promise::wait_timeout) gives up.
//!
//! # Order
//!
//! A settle has run the callbacks when it returns, on the same thread: most tests need no loop at all. They settle, and look:
//!
//! ```
//! use deferral::{Deferred, State};
//!
//! let (deferred, promise) = Deferred::<&str>::new();
//! let greeting = promise.then(|name| Ok(format!("hello, {name}")));
//! assert_eq!(greeting.state(), State::Pending);
//! deferred.resolve("world");
//! greeting.peek(|outcome| assert_eq!(outcome.unwrap().as_ref().unwrap(), "hello, world"));
//! ```
//!
//! # What the code under test loses
//!
//! An error that nobody looks at, and a [`Deferred`](crate::Deferred) that somebody forgets to settle, are mistakes that a test passes
//! by: nothing fails, something just does not happen. [`watch`] fails the test then:
//!
//! ```should_panic
//! use deferral::{Deferred, testing};
//!
//! /// Forgets to settle where there is nothing to save.
//! fn save(text: &str, saved: Deferred<usize>) {
//!     if !text.is_empty() {
//!         saved.resolve(text.len());
//!     }
//! }
//!
//! // #[test]
//! fn it_saves_nothing() {
//!     let _watch = testing::watch();
//!     let (deferred, saved) = Deferred::new();
//!     saved.done(|bytes| println!("{bytes} bytes"));
//!     save("", deferred);
//! }
//! # it_saves_nothing();
//! ```
//!
//! # Callbacks of a library
//!
//! The code under test takes a [`Deferred`](crate::Deferred) or gives a [`Promise`](crate::Promise); so the test has the other end. It is the
//! server that answers late, fails, answers twice, or hangs up, which is `resolve`, `reject`, a second `resolve`, and `drop`; and by
//! [`is_wanted`](crate::Deferred::is_wanted) and [`on_cancel`](crate::Deferred::on_cancel) it sees whether the code under test let go.

use std::cell::RefCell;
use std::fmt;
use std::marker::PhantomData;
use std::mem::{self, ManuallyDrop};
use std::rc::Rc;

use crate::broken::Broken;
use crate::unhandled::Unhandled;

/// What a watch has noted.
#[derive(Default)]
struct Notes {
    lost: Vec<String>,
    abandoned: Vec<String>,
}

thread_local! {
    /// The watches of this thread, the innermost last. It needs no drop, as destructors of other thread-locals may lose something, too.
    static WATCHES: RefCell<ManuallyDrop<Vec<Rc<RefCell<Notes>>>>> = const { RefCell::new(ManuallyDrop::new(Vec::new())) };
}

/// Watches what is lost on this thread until the result is dropped: see [`Watch`].
///
/// # Examples
///
/// ```
/// use deferral::{Promise, testing};
///
/// // #[test]
/// fn the_error_is_shown() {
///     let _watch = testing::watch();
///     Promise::<u32, String>::rejected("offline".to_owned()).fail(|error| assert_eq!(error, "offline"));
/// }
/// # the_error_is_shown();
/// ```
pub fn watch() -> Watch {
    let notes = Rc::<RefCell<Notes>>::default();
    WATCHES.with(|watches| watches.borrow_mut().push(Rc::clone(&notes)));
    Watch { notes, here: PhantomData }
}

/// Fails a test in which something was lost, by a panic when it is dropped.
///
/// That is: a rejection that nobody looked at, a panic without a caller to resume in (see [`unhandled`](crate::unhandled)), and a promise
/// that was *abandoned*: its last `Deferred` was dropped unsettled while somebody held the promise or had registered a callback, whether
/// or not anybody looked at the error.
///
/// It watches its thread alone, as tests run side by side in one process: what is lost there while it exists is noted by it, by the
/// innermost one if there are several, and goes to nobody else. What is lost on another thread, such as one that the test starts, goes to the hook
/// of the process: have that thread watch as well, or give the promise back and drop it here. A rejection is lost where its last
/// handle is dropped; so declare the watch first, and it is dropped last.
///
/// While the thread unwinds already it panics no second time, but says on standard error what it has noted.
///
/// # Examples
///
/// A loss that a test expects:
///
/// ```
/// use deferral::{Promise, testing};
///
/// let watch = testing::watch();
/// drop(Promise::<u32, String>::rejected("nobody cares".to_owned()));
/// let lost = watch.take();
/// assert_eq!(lost.len(), 1);
/// assert!(lost[0].contains("nobody cares"));
/// ```
#[must_use = "it watches until it is dropped"]
pub struct Watch {
    notes: Rc<RefCell<Notes>>,
    /// It stays on its thread.
    here: PhantomData<*const ()>,
}

impl Watch {
    /// Takes out what was lost so far, one line each: it fails the test no more. Abandoned promises come last.
    ///
    /// A promise whose abandonment nobody looked at is one line, not two.
    ///
    /// # Examples
    ///
    /// ```
    /// use deferral::{Deferred, testing};
    ///
    /// let watch = testing::watch();
    /// let (deferred, promise) = Deferred::<u32>::new();
    /// drop(deferred);
    /// promise.fail(|broken| println!("{broken}"));
    /// assert!(watch.take()[0].ends_with("was abandoned: its last Deferred was dropped before it settled"));
    /// ```
    pub fn take(&self) -> Vec<String> {
        let Notes { mut lost, abandoned } = mem::take(&mut *self.notes.borrow_mut());
        // Where an error of any type contains the sentence, it was made of that very end. Many promises may be made on one line.
        let mut sentences: Vec<&str> = abandoned.iter().map(String::as_str).collect();
        sentences.sort_unstable();
        sentences.dedup();
        lost.retain(|line| !sentences.iter().any(|sentence| line.contains(sentence)));
        lost.extend(abandoned);
        lost
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        WATCHES.with(|watches| {
            let mut watches = watches.borrow_mut();
            watches.retain(|notes| !Rc::ptr_eq(notes, &self.notes));
            if watches.is_empty() {
                // Gives the buffer back: nothing else would at the end of the thread.
                **watches = Vec::new();
            }
        });
        let lost = self.take();
        if lost.is_empty() {
            return;
        }
        let text = format!("lost in the scope of `deferral::testing::watch`:\n  {}", lost.join("\n  "));
        if std::thread::panicking() {
            let _ = std::io::Write::write_fmt(&mut std::io::stderr(), format_args!("{text}\n"));
        } else {
            panic!("{text}");
        }
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let notes = self.notes.borrow();
        f.debug_struct("Watch").field("lost", &notes.lost).field("abandoned", &notes.abandoned).finish()
    }
}

/// Has a test note what was lost. `false` if none watches this thread, or if it need not know.
pub(crate) fn note_unhandled(lost: &Unhandled<'_>) -> bool {
    if matches!(lost, Unhandled::Slow { .. }) {
        return false;
    }
    // The text is a user's `Debug`, which may do anything.
    note(|notes| &mut notes.lost, || lost.line())
}

/// The same of a promise that was abandoned while somebody wanted it.
pub(crate) fn note_abandoned(broken: &Broken) {
    note(|notes| &mut notes.abandoned, || broken.to_string());
}

fn note(list: fn(&mut Notes) -> &mut Vec<String>, text: impl FnOnce() -> String) -> bool {
    let watch = WATCHES.with(|watches| watches.borrow().last().cloned());
    let Some(notes) = watch else { return false };
    let text = text();
    list(&mut notes.borrow_mut()).push(text);
    true
}
