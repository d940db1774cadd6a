//! What cannot be told to anybody by a return value or an unwinding is told here.
//!
//! An observer's panic resumes in the code that settled the promise. Where a drop or the loop itself did the settling there is
//! no such code: a panic out of a drop would abort the process. It is reported instead, and the program goes on. So is what holds
//! up a loop, if its owner wants to know.

use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::time::Duration;

/// What a panic left behind.
pub(crate) type Payload = Box<dyn Any + Send>;

/// Runs foreign code that must not unwind into the library.
pub(crate) fn guard<R>(f: impl FnOnce() -> R) -> Result<R, Payload> {
    catch_unwind(AssertUnwindSafe(f))
}

/// The text of a panic, as the standard hook would print it.
pub(crate) fn message(payload: &Payload) -> String {
    let text = payload.downcast_ref::<&'static str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("Box<dyn Any>").to_owned()
}

/// Drops a panic's payload, which may panic once more: that second payload is leaked rather than dropped.
pub(crate) fn discard(payload: Payload) {
    if let Err(second) = guard(|| drop(payload)) {
        std::mem::forget(second);
    }
}

/// Something to tell, as one line.
pub(crate) enum Report<'a> {
    /// It has no caller to resume in. The process's own panic hook has told already where it came from.
    Panic(&'a Payload),
    /// It took longer than the loop's owner allows.
    Slow { work: Work, origin: &'static Location<'static>, took: Duration, limit: Duration },
}

/// What a loop works on.
#[derive(Clone, Copy)]
pub(crate) enum Work {
    Call,
    Task,
    /// The future of `run_until_complete`.
    Main,
}

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Report::Panic(payload) => write!(f, "a panic with no caller to resume in: {}", message(payload)),
            Report::Slow { work, origin, took, limit } => {
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

/// Tells what happened: on standard error, and only where debug assertions are on.
pub(crate) fn report(report: &Report<'_>) {
    #[cfg(test)]
    heard::note(report);
    if cfg!(debug_assertions) {
        // A closed standard error must not turn a report into a panic, as `eprintln!` would.
        let _ = std::io::Write::write_fmt(&mut std::io::stderr(), format_args!("deferral: {report}\n"));
    }
}

/// Reports a panic that has no caller to resume in.
pub(crate) fn report_panic(payload: Payload) {
    report(&Report::Panic(&payload));
    discard(payload);
}

/// What was reported on this thread, for tests.
#[cfg(test)]
pub(crate) mod heard {
    use super::Report;
    use std::cell::RefCell;

    thread_local! {
        static HEARD: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
    }

    pub(super) fn note(report: &Report<'_>) {
        let text = report.to_string();
        // A report may come from the destructor of another thread-local.
        let _ = HEARD.try_with(|heard| heard.borrow_mut().push(text));
    }

    pub(crate) fn take() -> Vec<String> {
        HEARD.take()
    }
}
