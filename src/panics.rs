//! Foreign code that panics: what is caught of it, and what is left behind.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{LockResult, PoisonError};

/// What a panic left behind.
pub(crate) type Payload = Box<dyn Any + Send>;

/// Runs foreign code that must not unwind into the library.
pub(crate) fn guard<R>(f: impl FnOnce() -> R) -> Result<R, Payload> {
    catch_unwind(AssertUnwindSafe(f))
}

/// The text of a panic, as the standard hook would print it.
pub(crate) fn message(payload: &Payload) -> String {
    text(payload).to_owned()
}

/// The text of a panic, as long as that lasts.
pub(crate) fn text(payload: &Payload) -> &str {
    let text = payload.downcast_ref::<&'static str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("Box<dyn Any>")
}

/// Drops a panic's payload, which may panic once more: that second payload is leaked rather than dropped.
pub(crate) fn discard(payload: Payload) {
    if let Err(second) = guard(|| drop(payload)) {
        std::mem::forget(second);
    }
}

/// What a lock protects is whole at every point where this crate could panic, so poison tells nothing.
pub(crate) fn unpoisoned<T>(result: LockResult<T>) -> T {
    result.unwrap_or_else(PoisonError::into_inner)
}
