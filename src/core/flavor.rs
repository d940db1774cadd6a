//! The two flavors of a promise, and what they ask of a callback.

use std::cell::Cell;

use super::raw::Number;
use super::sync::AtomicU32;
use crate::broken::Broken;
use crate::progress::Progress;

/// The flavor whose promises are settled from any thread: callbacks are `Send`, and so are the values of what they settle.
///
/// It is the default of [`Deferred`](crate::Deferred) and [`Promise`](crate::Promise), and needs to be named in generic code only.
#[derive(Debug)]
pub enum Threaded {}

/// The flavor whose promises stay on one thread: callbacks and values may be anything, and nothing is atomic.
///
/// [`local::Deferred`](crate::local::Deferred) and [`local::Promise`](crate::local::Promise) are of this flavor; it needs to be
/// named in generic code only.
#[derive(Debug)]
pub enum Local {}

/// A flavor of promises: [`Threaded`] or [`Local`].
///
/// Both accept the library's own types. The trait is sealed: its items are not for use outside the crate.
///
/// # Examples
///
/// One function for both flavors:
///
/// ```
/// use deferral::flavor::{Accepts, Flavor};
/// use deferral::{Broken, Progress, Promise, local, when};
///
/// type Of<T, F> = Promise<T, Broken, Progress, F>;
/// type Sum = fn((u32, u32)) -> Result<u32, Broken>;
///
/// /// The sum of two promises.
/// fn sum<F>(a: Of<u32, F>, b: Of<u32, F>) -> Of<u32, F>
/// where
///     F: Flavor + Accepts<u32> + Accepts<(u32, u32)> + Accepts<Sum>,
/// {
///     let add: Sum = |(a, b)| Ok(a + b);
///     when((a, b)).then(add)
/// }
///
/// let shared = sum(Promise::<u32>::resolved(1), Promise::resolved(2));
/// shared.peek(|sum| assert!(matches!(sum, Some(Ok(3)))));
/// let local = sum(local::Promise::<u32>::resolved(3), local::Promise::resolved(4));
/// local.peek(|sum| assert!(matches!(sum, Some(Ok(7)))));
/// ```
#[diagnostic::on_unimplemented(message = "`{Self}` is not a flavor of promises")]
pub trait Flavor: Sealed + Accepts<Progress> + Accepts<Broken> + Accepts<()> + Sized + 'static {
    #[doc(hidden)]
    type Number: Number;
}

/// The flavor whose ends cross threads, where their values do.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "a `deferral::local` promise or deferred cannot be sent between threads: it stays on its own",
    note = "take a thread-safe pair, see `deferral::local`: send its `Deferred`, and bring its promise to the loop by `into_local()`"
)]
pub trait CrossesThreads: Flavor {}

impl CrossesThreads for Threaded {}

/// What a flavor accepts as a callback, or as a value that a callback carries along: [`Threaded`] accepts what is `Send`, [`Local`]
/// everything.
///
/// The trait is sealed. It appears in the bounds of methods that take a callback or pass a value on.
// For a callback that holds an `Rc` the compiler names the type inside that is not `Send`, and then shows the bound with the comment in its
// line: that is how the remedy gets there. An `on_unimplemented` here would hide the type at fault (`do_not_recommend`). The test binary
// `messages` holds both.
pub trait Accepts<C>: Sealed {}

impl<C: Send> Accepts<C> for Threaded {}
impl<C> Accepts<C> for Local {}

#[doc(hidden)]
pub trait Sealed {}
impl Sealed for Threaded {}
impl Sealed for Local {}

impl Flavor for Threaded {
    type Number = AtomicU32;
}

impl Flavor for Local {
    type Number = Cell<u32>;
}
