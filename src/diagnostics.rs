//! What cannot be told to anybody by a return value or an unwinding is told here.
//!
//! An observer's panic resumes in the code that settled the promise. Where a drop or the loop itself did the settling there is
//! no such code: a panic out of a drop would abort the process. It is reported instead, and the program goes on.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

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

/// Reports a panic that has no caller to resume in.
///
/// The process's own panic hook has told already where the panic came from, so one line suffices, and only where debug
/// assertions are on.
pub(crate) fn report_panic(payload: Payload) {
    if cfg!(debug_assertions) {
        let text = message(&payload);
        // A closed standard error must not turn a report into a panic, as `eprintln!` would.
        let _ = std::io::Write::write_fmt(
            &mut std::io::stderr(),
            format_args!("deferral: a panic with no caller to resume in: {text}\n"),
        );
    }
    discard(payload);
}
