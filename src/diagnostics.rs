//! What cannot be told to anybody by a return value or an unwinding is told here.
//!
//! An observer's panic resumes in the code that settled the promise. Where a drop or the loop itself did the settling there is
//! no such code: a panic out of a drop would abort the process. It is reported instead, and the program goes on. So is an error that
//! nobody looked at, and what holds up a loop, if its owner wants to know.
//!
//! Reports are foreign code: they are made where nothing is locked or borrowed.

use std::any::type_name;
use std::cell::Cell;
use std::panic::Location;

use crate::panics::{self, Payload, discard, guard};
use crate::testing;
use crate::trace;
use crate::unhandled::{self, Unhandled};

/// Runs foreign code, or a destructor of it, that has no caller to panic into.
pub(crate) fn quietly<R>(f: impl FnOnce() -> R) -> Option<R> {
    guard(f).map_err(report_panic).ok()
}

/// Reports a panic that has no caller to resume in. The process's own panic hook has told already where it came from.
pub(crate) fn report_panic(payload: Payload) {
    report(&Unhandled::Panic { payload: &*payload, message: panics::text(&payload) });
    discard(payload);
}

/// Reports an error that nobody looked at.
pub(crate) fn report_rejection<E: 'static>(
    error: &E,
    origin: &'static Location<'static>,
    rejected_at: Option<&'static Location<'static>>,
) {
    let debug = unhandled::debug(error);
    report(&Unhandled::Rejection { error, debug, type_name: type_name::<E>(), origin, rejected_at });
}

/// Tells what happened, to the first who is there of: the test that watches this thread, the hook, standard error.
pub(crate) fn report(lost: &Unhandled<'_>) {
    thread_local! {
        /// The hook runs on this thread: what it loses itself is not for it.
        static TELLING: Cell<bool> = const { Cell::new(false) };
    }
    #[cfg(test)]
    heard::note(lost);
    trace::unhandled(lost);
    if testing::note_unhandled(lost) {
        return;
    }
    let hook = unhandled::hook();
    let Some(hook) = hook.filter(|_| !TELLING.replace(true)) else {
        if cfg!(debug_assertions) {
            print(lost);
        }
        return;
    };
    let told = guard(|| hook(lost));
    // It may have been replaced meanwhile, so that this is its end.
    let dropped = guard(|| drop(hook));
    TELLING.set(false);
    if let Err(payload) = told {
        print(lost);
        discard(payload);
    }
    if let Err(payload) = dropped {
        discard(payload);
    }
}

fn print(lost: &Unhandled<'_>) {
    let line = lost.line();
    // A closed standard error must not turn a report into a panic, as `eprintln!` would.
    let _ = std::io::Write::write_fmt(&mut std::io::stderr(), format_args!("deferral: {line}\n"));
}

/// What was reported on this thread, for tests.
#[cfg(test)]
pub(crate) mod heard {
    use super::Unhandled;
    use std::cell::RefCell;

    thread_local! {
        static HEARD: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
    }

    pub(super) fn note(lost: &Unhandled<'_>) {
        let text = lost.to_string();
        // A report may come from the destructor of another thread-local.
        let _ = HEARD.try_with(|heard| heard.borrow_mut().push(text));
    }

    pub(crate) fn take() -> Vec<String> {
        HEARD.take()
    }
}
