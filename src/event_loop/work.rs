//! What a loop is given to do, in the form in which it is stored: calls, and the futures of tasks.

use std::any::Any;
use std::future::Future;
use std::panic::Location;
use std::pin::Pin;

use smallbox::space::S2;
use smallbox::{SmallBox, smallbox};

use super::status::Wait;
use crate::trace::Span;

/// Something to run once, which tells on request what it owes.
pub(crate) trait LocalCall {
    fn run(&mut self);
    /// Reads the beginning of what it will run on.
    fn fetch(&self) {}
    /// The promise that it settles when it has run, as its maker knows it.
    fn owes(&self) -> Option<Box<dyn Any>>;
}

/// A call of any type. What is no larger than two words, as that of a `sleep`, is stored without a box.
pub(crate) type AnyCall = SmallBox<dyn LocalCall, S2>;

/// A call without its type. The unsafe block in the macro is the crate's that it comes from: on stable Rust only a macro can do this.
pub(crate) fn any_call(call: impl LocalCall + 'static) -> AnyCall {
    smallbox!(call)
}

/// A plain closure owes nothing.
impl<F: FnOnce()> LocalCall for Option<F> {
    fn run(&mut self) {
        if let Some(f) = self.take() {
            f();
        }
    }

    fn owes(&self) -> Option<Box<dyn Any>> {
        None
    }
}

/// A scheduled closure. It waits here until it runs or is canceled.
pub(super) struct Call {
    pub(super) run: AnyCall,
    /// Where it was scheduled.
    pub(super) origin: &'static Location<'static>,
}

/// A future that tells on request what it owes. Its poll begins with [`awaited::begin`](crate::awaited::begin).
pub(crate) trait LocalFuture: Future<Output = ()> {
    /// The promise that it settles when it is done, as its maker knows it.
    fn owes(self: Pin<&Self>) -> Option<Box<dyn Any>>;
}

/// A task's place in the slab, until it is done or canceled.
pub(super) struct Task {
    /// It is away while it is polled.
    pub(super) future: Option<Pin<Box<dyn LocalFuture>>>,
    /// Where it was spawned.
    pub(super) origin: &'static Location<'static>,
    pub(super) wait: Wait,
    pub(super) span: Span,
}
