//! The two flavors of a promise: what they are made of, and what they ask of a callback.

use std::cell::RefCell;
use std::ops::Deref;
use std::rc::{self, Rc};
use std::sync::{self, Arc, Mutex};

use super::lock::Lock;
use super::node::{Machine, Node};
use crate::list::Key;
use crate::trampoline::{self, Job};

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
    type Cell<X: 'static>: Lock<Inner = X>;
    #[doc(hidden)]
    type Ptr<X: 'static>: Clone + Deref<Target = Self::Cell<X>>;
    #[doc(hidden)]
    type Source: Clone + Deref<Target: Node<Self>> + 'static;
    #[doc(hidden)]
    type WeakSource: Clone;
    #[doc(hidden)]
    type Callback<A: 'static>: FnOnce(&A);
    #[doc(hidden)]
    type Listener<A: 'static>: FnMut(&A);
    #[doc(hidden)]
    type Canceler: FnOnce();
    #[doc(hidden)]
    type Continuation<A: 'static>;

    #[doc(hidden)]
    fn ptr<X: 'static>(inner: X) -> Self::Ptr<X>;
    #[doc(hidden)]
    fn job<X: Machine<Flavor = Self>>(ptr: &Self::Ptr<X>) -> Job;
    #[doc(hidden)]
    fn node<X: Machine<Flavor = Self>>(ptr: &Self::Ptr<X>) -> Self::Source;
    #[doc(hidden)]
    fn upgrade(source: &Self::WeakSource) -> Option<Self::Source>;
    #[doc(hidden)]
    fn source_job(source: Self::Source) -> Job;
    #[doc(hidden)]
    fn run<A: 'static>(continuation: Self::Continuation<A>, argument: A);
    /// The promise that waits for what the continuation makes.
    #[doc(hidden)]
    fn target<A: 'static>(continuation: &Self::Continuation<A>) -> Option<Self::Source>;
}

/// What a flavor accepts as a callback, or as something that a callback carries along: [`Threaded`] whatever is `Send`, [`Local`]
/// everything.
///
/// The trait is sealed: its items are not for use outside the crate. It appears in the bounds of methods that take a callback.
// Who gives `Threaded` an `Rc` is told by the compiler which type inside the callback is not `Send`, and then shown the bound, with
// the comment in its line: that is how the remedy gets there. An `on_unimplemented` here would have to hide the type at fault
// (`do_not_recommend`). The test binary `messages` holds both.
pub trait Accepts<C>: Flavor {
    #[doc(hidden)]
    fn callback<A: 'static>(callback: C) -> Self::Callback<A>
    where
        C: FnOnce(&A) + 'static;
    #[doc(hidden)]
    fn listener<A: 'static>(listener: C) -> Self::Listener<A>
    where
        C: FnMut(&A) + 'static;
    // A function together with what it works on: the compiler would not see that a closure over `context` is `Send`.
    #[doc(hidden)]
    fn canceler(context: C, run: fn(C)) -> Self::Canceler
    where
        C: 'static;
    #[doc(hidden)]
    fn continuation<A: 'static>(
        context: C,
        run: fn(C, A),
        target: fn(&C) -> Option<Self::Source>,
    ) -> Self::Continuation<A>
    where
        C: 'static;
    #[doc(hidden)]
    fn source(ptr: &Self::Ptr<C>) -> Self::WeakSource
    where
        C: Machine<Flavor = Self>;
}

#[doc(hidden)]
pub trait Sealed {}
impl Sealed for Threaded {}
impl Sealed for Local {}

#[doc(hidden)]
pub trait Continue<A, F: Flavor> {
    fn run(self: Box<Self>, argument: A);
    fn target(&self) -> Option<F::Source>;
}

struct Continuation<C, A, F: Flavor> {
    context: C,
    run: fn(C, A),
    target: fn(&C) -> Option<F::Source>,
}

impl<C, A, F: Flavor> Continue<A, F> for Continuation<C, A, F> {
    fn run(self: Box<Self>, argument: A) {
        (self.run)(self.context, argument);
    }

    fn target(&self) -> Option<F::Source> {
        (self.target)(&self.context)
    }
}

/// Withdraws the entry `key` from a source that may be gone, and cancels a source that nobody wants any more if `cancel` says so.
pub(crate) fn withdraw<F: Flavor>(source: &F::WeakSource, key: Key, cancel: bool) {
    if let Some(source) = F::upgrade(source) {
        source.withdraw(key, cancel, &mut || trampoline::defer(F::source_job(source.clone())));
    }
}

/// Tells a source that may be gone that no cancel will come through its entry `key`.
pub(crate) fn disclaim<F: Flavor>(source: &F::WeakSource, key: Key) {
    if let Some(source) = F::upgrade(source) {
        if source.disclaim(key) {
            trampoline::defer(F::source_job(source));
        }
    }
}

impl Flavor for Threaded {
    type Cell<X: 'static> = Mutex<X>;
    type Ptr<X: 'static> = Arc<Mutex<X>>;
    type Source = Arc<dyn Node<Self>>;
    type WeakSource = sync::Weak<dyn Node<Self> + Send + Sync>;
    type Callback<A: 'static> = Box<dyn FnOnce(&A) + Send>;
    type Listener<A: 'static> = Box<dyn FnMut(&A) + Send>;
    type Canceler = Box<dyn FnOnce() + Send>;
    type Continuation<A: 'static> = Box<dyn Continue<A, Self> + Send>;

    fn ptr<X: 'static>(inner: X) -> Arc<Mutex<X>> {
        // `X` is `Send` wherever the promise is.
        #[allow(clippy::arc_with_non_send_sync)]
        Arc::new(Mutex::new(inner))
    }

    fn job<X: Machine<Flavor = Self>>(ptr: &Arc<Mutex<X>>) -> Job {
        Job::Shared(ptr.clone())
    }

    fn node<X: Machine<Flavor = Self>>(ptr: &Arc<Mutex<X>>) -> Self::Source {
        ptr.clone()
    }

    fn upgrade(source: &Self::WeakSource) -> Option<Self::Source> {
        source.upgrade().map(|source| source as Self::Source)
    }

    fn source_job(source: Self::Source) -> Job {
        Job::Shared(source.into_work())
    }

    fn run<A: 'static>(continuation: Self::Continuation<A>, argument: A) {
        continuation.run(argument);
    }

    fn target<A: 'static>(continuation: &Self::Continuation<A>) -> Option<Self::Source> {
        continuation.target()
    }
}

impl Flavor for Local {
    type Cell<X: 'static> = RefCell<X>;
    type Ptr<X: 'static> = Rc<RefCell<X>>;
    type Source = Rc<dyn Node<Self>>;
    type WeakSource = rc::Weak<dyn Node<Self>>;
    type Callback<A: 'static> = Box<dyn FnOnce(&A)>;
    type Listener<A: 'static> = Box<dyn FnMut(&A)>;
    type Canceler = Box<dyn FnOnce()>;
    type Continuation<A: 'static> = Box<dyn Continue<A, Self>>;

    fn ptr<X: 'static>(inner: X) -> Rc<RefCell<X>> {
        Rc::new(RefCell::new(inner))
    }

    fn job<X: Machine<Flavor = Self>>(ptr: &Rc<RefCell<X>>) -> Job {
        Job::Local(ptr.clone())
    }

    fn node<X: Machine<Flavor = Self>>(ptr: &Rc<RefCell<X>>) -> Self::Source {
        ptr.clone()
    }

    fn upgrade(source: &Self::WeakSource) -> Option<Self::Source> {
        source.upgrade()
    }

    fn source_job(source: Self::Source) -> Job {
        Job::Local(source.into_local_work())
    }

    fn run<A: 'static>(continuation: Self::Continuation<A>, argument: A) {
        continuation.run(argument);
    }

    fn target<A: 'static>(continuation: &Self::Continuation<A>) -> Option<Self::Source> {
        continuation.target()
    }
}

macro_rules! accepts {
    ($flavor:ident, $bound:path, $downgrade:path) => {
        impl<C: $bound> Accepts<C> for $flavor {
            fn callback<A: 'static>(callback: C) -> Self::Callback<A>
            where
                C: FnOnce(&A) + 'static,
            {
                Box::new(callback)
            }

            fn listener<A: 'static>(listener: C) -> Self::Listener<A>
            where
                C: FnMut(&A) + 'static,
            {
                Box::new(listener)
            }

            fn canceler(context: C, run: fn(C)) -> Self::Canceler
            where
                C: 'static,
            {
                Box::new(move || run(context))
            }

            fn continuation<A: 'static>(
                context: C,
                run: fn(C, A),
                target: fn(&C) -> Option<Self::Source>,
            ) -> Self::Continuation<A>
            where
                C: 'static,
            {
                Box::new(Continuation { context, run, target })
            }

            fn source(ptr: &Self::Ptr<C>) -> Self::WeakSource
            where
                C: Machine<Flavor = Self>,
            {
                // The coercion needs a type of known size first.
                let weak = $downgrade(ptr);
                weak
            }
        }
    };
}
accepts!(Threaded, Send, Arc::downgrade);
accepts!(Local, Sized, Rc::downgrade);
