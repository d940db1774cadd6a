//! The two flavors of a promise: what they are made of, and what they ask of a callback.

use std::cell::Cell;

use super::extra::Extra;
use super::node::Machine;
use super::raw::{Entry, Node, Number, Ptr, Source};
use super::state::Delivery;
use super::sync::AtomicU32;

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
/// The trait is sealed: its items are not for use outside the crate.
///
/// # Examples
///
/// One function for both flavors:
///
/// ```
/// use deferral::flavor::Flavor;
/// use deferral::{Broken, Progress, Promise, local};
///
/// fn log<F: Flavor>(name: &'static str, promise: Promise<u32, Broken, Progress, F>) -> Promise<u32, Broken, Progress, F> {
///     println!("{name} is {:?}", promise.state());
///     promise
/// }
///
/// log("shared", Promise::<u32>::resolved(1));
/// log("local", local::Promise::<u32>::resolved(1));
/// ```
#[diagnostic::on_unimplemented(message = "`{Self}` is not a flavor of promises")]
pub trait Flavor: Sealed + Sized + 'static {
    #[doc(hidden)]
    type Number: Number;
    #[doc(hidden)]
    type Listener<A: 'static>: FnMut(&A);
}

/// The flavor whose ends cross threads, where their values do.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "a `deferral::local` promise or deferred cannot be sent between threads: it stays on its own",
    note = "take a thread-safe pair, see `deferral::local`: send its `Deferred`, and bring its promise to the loop by `into_local()`"
)]
pub trait CrossesThreads: Flavor {}

impl CrossesThreads for Threaded {}

/// What a flavor accepts as a callback, or as something that a callback carries along: [`Threaded`] whatever is `Send`, [`Local`]
/// everything.
///
/// The trait is sealed: its items are not for use outside the crate. It appears in the bounds of methods that take a callback.
// Who gives `Threaded` an `Rc` is told by the compiler which type inside the callback is not `Send`, and then shown the bound, with
// the comment in its line: that is how the remedy gets there. An `on_unimplemented` here would have to hide the type at fault
// (`do_not_recommend`). The test binary `messages` holds both.
pub trait Accepts<C>: Flavor {
    #[doc(hidden)]
    fn done<T, E, P>(callback: C) -> Registration<T, E, P, Self>
    where
        C: FnOnce(&T) + 'static;
    #[doc(hidden)]
    fn fail<T, E, P>(callback: C) -> Registration<T, E, P, Self>
    where
        C: FnOnce(&E) + 'static;
    #[doc(hidden)]
    fn always<T, E, P>(callback: C) -> Registration<T, E, P, Self>
    where
        C: FnOnce(&Result<T, E>) + 'static;
    #[doc(hidden)]
    fn listener<A: 'static>(listener: C) -> Self::Listener<A>
    where
        C: FnMut(&A) + 'static;
    // A function together with what it works on: the compiler would not see that a closure over `context` is `Send`.
    #[doc(hidden)]
    fn canceler<T, E, P>(context: C, run: impl FnOnce(C) + Copy + 'static) -> Registration<T, E, P, Self>
    where
        C: 'static;
    #[doc(hidden)]
    fn continuation<T, E, P>(
        context: C,
        run: impl FnOnce(C, Delivery<T, E>) + Copy + 'static,
        target: impl FnOnce(&C) -> Option<Node<Self>> + Copy + 'static,
    ) -> Registration<T, E, P, Self>
    where
        C: 'static;
    #[doc(hidden)]
    fn source(ptr: Ptr<C>) -> Source<Self>
    where
        C: Machine<Flavor = Self>;
}

/// What a promise keeps of a callback.
type Registration<T, E, P, F> = Entry<T, E, Extra<T, E, P, F>, F>;

#[doc(hidden)]
pub trait Sealed {}
impl Sealed for Threaded {}
impl Sealed for Local {}

impl Flavor for Threaded {
    type Number = AtomicU32;
    type Listener<A: 'static> = Box<dyn FnMut(&A) + Send>;
}

impl Flavor for Local {
    type Number = Cell<u32>;
    type Listener<A: 'static> = Box<dyn FnMut(&A)>;
}

macro_rules! accepts {
    ($flavor:ident, $bound:path) => {
        impl<C: $bound> Accepts<C> for $flavor {
            #[inline]
            fn done<T, E, P>(callback: C) -> Registration<T, E, P, Self>
            where
                C: FnOnce(&T) + 'static,
            {
                Entry::<_, _, _, $flavor>::observer_of_values(|outcome: &Result<T, E>| {
                    if let Ok(value) = outcome {
                        callback(value);
                    }
                })
            }

            #[inline]
            fn fail<T, E, P>(callback: C) -> Registration<T, E, P, Self>
            where
                C: FnOnce(&E) + 'static,
            {
                Entry::<_, _, _, $flavor>::observer(|outcome: &Result<T, E>| {
                    if let Err(error) = outcome {
                        callback(error);
                    }
                })
            }

            #[inline]
            fn always<T, E, P>(callback: C) -> Registration<T, E, P, Self>
            where
                C: FnOnce(&Result<T, E>) + 'static,
            {
                Entry::<_, _, _, $flavor>::observer(callback)
            }

            fn listener<A: 'static>(listener: C) -> Self::Listener<A>
            where
                C: FnMut(&A) + 'static,
            {
                Box::new(listener)
            }

            #[inline]
            fn canceler<T, E, P>(context: C, run: impl FnOnce(C) + Copy + 'static) -> Registration<T, E, P, Self>
            where
                C: 'static,
            {
                Entry::<_, _, _, $flavor>::canceler(context, run)
            }

            #[inline]
            fn continuation<T, E, P>(
                context: C,
                run: impl FnOnce(C, Delivery<T, E>) + Copy + 'static,
                target: impl FnOnce(&C) -> Option<Node<Self>> + Copy + 'static,
            ) -> Registration<T, E, P, Self>
            where
                C: 'static,
            {
                Entry::<_, _, _, $flavor>::continuation(context, run, target)
            }

            #[inline]
            fn source(ptr: Ptr<C>) -> Source<Self>
            where
                C: Machine<Flavor = Self>,
            {
                Source::<$flavor>::of(ptr)
            }
        }
    };
}
accepts!(Threaded, Send);
accepts!(Local, Sized);
