//! What must not compile, one claim each. These are tests: no documentation shows them.

/// A promise of a value that is not `Send` is neither `Send` nor `Sync`.
///
/// ```compile_fail,E0277
/// fn send<T: Send>() {}
/// send::<deferral::Promise<std::rc::Rc<u32>>>();
/// ```
///
/// ```compile_fail,E0277
/// fn sync<T: Sync>() {}
/// sync::<deferral::Promise<std::rc::Rc<u32>>>();
/// ```
struct PromiseOfRc;

/// Local ends stay on their thread, whatever their value.
///
/// ```compile_fail,E0277
/// fn send<T: Send>() {}
/// send::<deferral::local::Promise<u32>>();
/// ```
///
/// ```compile_fail,E0277
/// fn send<T: Send>() {}
/// send::<deferral::local::Deferred<u32>>();
/// ```
struct LocalEnds;

/// A loop stays on its thread.
///
/// ```compile_fail,E0277
/// fn send<T: Send>() {}
/// send::<deferral::EventLoop>();
/// ```
struct Loop;

/// A callback of a thread-safe promise captures no `Rc`.
///
/// ```compile_fail,E0277
/// let count = std::rc::Rc::new(1);
/// deferral::Promise::<u32>::resolved(1).done(move |n| println!("{n} of {count}"));
/// ```
struct ThreadedCallback;

/// Nor does its continuation make one.
///
/// ```compile_fail,E0277
/// let _ = deferral::Promise::<u32>::resolved(1).then(|n| Ok(std::rc::Rc::new(n)));
/// ```
struct ThreadedContinuation;

/// A promise is cloned where its value can be.
///
/// ```compile_fail,E0599
/// struct NotClone;
/// let promise = deferral::Promise::<NotClone>::resolved(NotClone);
/// let _other = promise.clone();
/// ```
struct CloneBound;

/// An aggregate is of one flavor.
///
/// ```compile_fail,E0277
/// use deferral::{Broken, Promise, local, when};
/// let _all: Promise<_, Broken> = when((Promise::<u32>::resolved(1), local::Promise::<u32>::resolved(2)));
/// ```
struct OneFlavor;

/// A continuation returns a result or a promise.
///
/// ```compile_fail,E0277
/// let _ = deferral::Promise::<u32>::resolved(1).then(|n| n + 1);
/// ```
struct ContinuationResult;

/// A future for another thread's loop is `Send`, and so is what it awaits.
///
/// ```compile_fail
/// let event_loop = deferral::EventLoop::new();
/// event_loop.handle().spawn(async { deferral::sleep(std::time::Duration::ZERO).await.unwrap() });
/// ```
struct SentFuture;
