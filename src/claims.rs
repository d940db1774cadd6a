//! What must not compile, one claim each. These are tests: no documentation shows them.

/// A promise is neither `Send` nor `Sync` if its value, its error or its progress is not `Send`.
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
///
/// ```compile_fail,E0277
/// fn send<T: Send>() {}
/// send::<deferral::Promise<u32, std::rc::Rc<u32>>>();
/// ```
///
/// ```compile_fail,E0277
/// fn sync<T: Sync>() {}
/// sync::<deferral::Promise<u32, std::rc::Rc<u32>>>();
/// ```
///
/// ```compile_fail,E0277
/// fn send<T: Send>() {}
/// send::<deferral::Promise<u32, (), std::rc::Rc<u32>>>();
/// ```
///
/// ```compile_fail,E0277
/// fn sync<T: Sync>() {}
/// sync::<deferral::Promise<u32, (), std::rc::Rc<u32>>>();
/// ```
struct PromiseOfRc;

/// A `Deferred` is neither `Send` nor `Sync` if its value, its error or its progress is not `Send`.
///
/// ```compile_fail,E0277
/// fn send<T: Send>() {}
/// send::<deferral::Deferred<std::rc::Rc<u32>>>();
/// ```
///
/// ```compile_fail,E0277
/// fn sync<T: Sync>() {}
/// sync::<deferral::Deferred<std::rc::Rc<u32>>>();
/// ```
///
/// ```compile_fail,E0277
/// fn send<T: Send>() {}
/// send::<deferral::Deferred<u32, std::rc::Rc<u32>>>();
/// ```
///
/// ```compile_fail,E0277
/// fn sync<T: Sync>() {}
/// sync::<deferral::Deferred<u32, std::rc::Rc<u32>>>();
/// ```
///
/// ```compile_fail,E0277
/// fn send<T: Send>() {}
/// send::<deferral::Deferred<u32, (), std::rc::Rc<u32>>>();
/// ```
///
/// ```compile_fail,E0277
/// fn sync<T: Sync>() {}
/// sync::<deferral::Deferred<u32, (), std::rc::Rc<u32>>>();
/// ```
struct DeferredOfRc;

/// Local ends stay on their thread, whatever their value.
///
/// ```compile_fail,E0277
/// fn send<T: Send>() {}
/// send::<deferral::local::Promise<u32>>();
/// ```
///
/// ```compile_fail,E0277
/// fn sync<T: Sync>() {}
/// sync::<deferral::local::Promise<u32>>();
/// ```
///
/// ```compile_fail,E0277
/// fn send<T: Send>() {}
/// send::<deferral::local::Deferred<u32>>();
/// ```
///
/// ```compile_fail,E0277
/// fn sync<T: Sync>() {}
/// sync::<deferral::local::Deferred<u32>>();
/// ```
struct LocalEnds;

/// A loop stays on its thread.
///
/// ```compile_fail,E0277
/// fn send<T: Send>() {}
/// send::<deferral::EventLoop>();
/// ```
///
/// ```compile_fail,E0277
/// fn sync<T: Sync>() {}
/// sync::<deferral::EventLoop>();
/// ```
struct Loop;

/// A callback of a thread-safe promise captures no `Rc`.
///
/// ```compile_fail,E0277
/// let count = std::rc::Rc::new(1);
/// let (deferred, promise) = deferral::Deferred::<u32>::new();
/// promise.done(move |_| drop(count));
/// ```
///
/// ```compile_fail,E0277
/// let count = std::rc::Rc::new(1);
/// let (deferred, promise) = deferral::Deferred::<u32>::new();
/// promise.fail(move |_| drop(count));
/// ```
///
/// ```compile_fail,E0277
/// let count = std::rc::Rc::new(1);
/// let (deferred, promise) = deferral::Deferred::<u32>::new();
/// promise.always(move |_| drop(count));
/// ```
///
/// ```compile_fail,E0277
/// let count = std::rc::Rc::new(1);
/// let (deferred, promise) = deferral::Deferred::<u32>::new();
/// promise.progress(move |_| println!("{count}"));
/// ```
///
/// ```compile_fail,E0277
/// let count = std::rc::Rc::new(1);
/// let (deferred, promise) = deferral::Deferred::<u32>::new();
/// deferred.done(move |_| drop(count));
/// ```
///
/// ```compile_fail,E0277
/// let count = std::rc::Rc::new(1);
/// let (deferred, promise) = deferral::Deferred::<u32>::new();
/// deferred.fail(move |_| drop(count));
/// ```
///
/// ```compile_fail,E0277
/// let count = std::rc::Rc::new(1);
/// let (deferred, promise) = deferral::Deferred::<u32>::new();
/// deferred.always(move |_| drop(count));
/// ```
///
/// ```compile_fail,E0277
/// let count = std::rc::Rc::new(1);
/// let (deferred, promise) = deferral::Deferred::<u32>::new();
/// deferred.progress(move |_| println!("{count}"));
/// ```
///
/// ```compile_fail,E0277
/// let count = std::rc::Rc::new(1);
/// let (deferred, promise) = deferral::Deferred::<u32>::new();
/// deferred.on_cancel(move || drop(count));
/// ```
struct ThreadedCallback;

/// Nor does a continuation of one, nor what starts promises of that flavor.
///
/// ```compile_fail,E0277
/// let count = std::rc::Rc::new(1);
/// let (deferred, promise) = deferral::Deferred::<u32>::new();
/// let _ = promise.then(move |n| Ok(n + *count));
/// ```
///
/// ```compile_fail,E0277
/// let count = std::rc::Rc::new(1);
/// let (deferred, promise) = deferral::Deferred::<u32>::new();
/// let _ = promise.catch(move |_| Ok(*count));
/// ```
///
/// ```compile_fail,E0277
/// let count = std::rc::Rc::new(1);
/// let (deferred, promise) = deferral::Deferred::<u32>::new();
/// let _ = promise.map_err(move |_| count.to_string());
/// ```
///
/// ```compile_fail,E0277
/// let count = std::rc::Rc::new(1);
/// let _ = deferral::when::map([1], 1, move |n: u32| deferral::Promise::<u32>::resolved(n + *count));
/// ```
struct ThreadedContinuation;

/// Nor does a continuation make one.
///
/// ```compile_fail,E0277
/// let _ = deferral::Promise::<u32>::resolved(1).then(|n| Ok(std::rc::Rc::new(n)));
/// ```
struct ThreadedValue;

/// Who goes on with a thread-safe promise needs a value that is `Send`.
///
/// ```compile_fail,E0599
/// let _ = deferral::Promise::<std::rc::Rc<u32>>::resolved(1.into()).then(|n| Ok(*n));
/// ```
///
/// ```compile_fail,E0277
/// let _ = deferral::when([deferral::Promise::<std::rc::Rc<u32>>::resolved(1.into())]);
/// ```
struct ContinuedValue;

/// A promise is cloned where its value and its error can be.
///
/// ```compile_fail,E0599
/// struct NotClone;
/// let promise = deferral::Promise::<NotClone>::resolved(NotClone);
/// let _other = promise.clone();
/// ```
///
/// ```compile_fail,E0599
/// struct NotClone;
/// impl From<deferral::Broken> for NotClone {
///     fn from(_: deferral::Broken) -> Self {
///         NotClone
///     }
/// }
/// let promise = deferral::Promise::<u32, NotClone>::resolved(1);
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

/// So is a chain, and what follows another.
///
/// ```compile_fail,E0277
/// let _ = deferral::Promise::<u32>::resolved(1).then(|n| deferral::local::Promise::<u32>::resolved(n));
/// ```
///
/// ```compile_fail,E0277
/// let _ = deferral::local::Promise::<u32>::resolved(1).then(|n| deferral::Promise::<u32>::resolved(n));
/// ```
///
/// ```compile_fail,E0308
/// let (target, _promise) = deferral::local::Deferred::<u32>::new();
/// deferral::Promise::<u32>::resolved(1).forward(target);
/// ```
struct OneFlavorInAChain;

/// A continuation returns a result or a promise.
///
/// ```compile_fail,E0277
/// let _ = deferral::Promise::<u32>::resolved(1).then(|n| n + 1);
/// ```
struct ContinuationResult;

/// A local promise cannot be waited for, and needs not be brought to its thread.
///
/// ```compile_fail,E0599
/// let _ = deferral::local::Promise::<u32>::resolved(1).wait();
/// ```
///
/// ```compile_fail,E0599
/// let _ = deferral::local::Promise::<u32>::resolved(1).wait_timeout(std::time::Duration::ZERO);
/// ```
///
/// ```compile_fail,E0599
/// let _ = deferral::local::Promise::<u32>::resolved(1).into_local();
/// ```
struct LocalLacks;

/// What is brought over by `into_local` reports in clones that may be sent.
///
/// ```compile_fail,E0599
/// struct NotClone;
/// let (_deferred, promise) = deferral::Deferred::<u32, deferral::Broken, NotClone>::with_progress();
/// let _ = promise.into_local();
/// ```
///
/// ```compile_fail,E0599
/// let (_deferred, promise) = deferral::Deferred::<u32, deferral::Broken, std::rc::Rc<u32>>::with_progress();
/// let _ = promise.into_local();
/// ```
struct ReportsBroughtOver;

/// What is scheduled by a handle is `Send`.
///
/// ```compile_fail,E0277
/// let count = std::rc::Rc::new(1);
/// let handle = deferral::EventLoop::new().handle();
/// handle.call_soon(move || drop(count));
/// ```
///
/// ```compile_fail,E0277
/// let count = std::rc::Rc::new(1);
/// let handle = deferral::EventLoop::new().handle();
/// handle.call_later(std::time::Duration::ZERO, move || drop(count));
/// ```
///
/// ```compile_fail,E0277
/// let count = std::rc::Rc::new(1);
/// let handle = deferral::EventLoop::new().handle();
/// handle.call_at(handle.now(), move || drop(count));
/// ```
///
/// ```compile_fail
/// let count = std::rc::Rc::new(1);
/// let handle = deferral::EventLoop::new().handle();
/// handle.spawn(async move { drop(count) });
/// ```
struct SentCall;

/// And so is what comes back.
///
/// ```compile_fail,E0277
/// let handle = deferral::EventLoop::new().handle();
/// handle.call_soon(|| std::rc::Rc::new(1));
/// ```
///
/// ```compile_fail,E0277
/// let handle = deferral::EventLoop::new().handle();
/// handle.call_later(std::time::Duration::ZERO, || std::rc::Rc::new(1));
/// ```
///
/// ```compile_fail,E0277
/// let handle = deferral::EventLoop::new().handle();
/// handle.call_at(handle.now(), || std::rc::Rc::new(1));
/// ```
///
/// ```compile_fail,E0277
/// let handle = deferral::EventLoop::new().handle();
/// handle.spawn(async { std::rc::Rc::new(1) });
/// ```
struct SentBack;

/// A future for another thread's loop is `Send`, and so is what it awaits.
///
/// ```compile_fail
/// let handle = deferral::EventLoop::new().handle();
/// handle.spawn(async { deferral::sleep(std::time::Duration::ZERO).await.unwrap() });
/// ```
///
/// ```compile_fail
/// let handle = deferral::EventLoop::new().handle();
/// handle.spawn(async { deferral::spawn(async {}).await.unwrap() });
/// ```
///
/// ```compile_fail
/// let handle = deferral::EventLoop::new().handle();
/// handle.spawn(async { deferral::local::Promise::<u32>::resolved(1).await.unwrap() });
/// ```
struct SentFuture;

/// Each `timeout` takes promises of its own flavor.
///
/// ```compile_fail,E0308
/// deferral::timeout(std::time::Duration::ZERO, deferral::Promise::<u32>::resolved(1));
/// ```
///
/// ```compile_fail,E0308
/// let handle = deferral::EventLoop::new().handle();
/// handle.timeout(std::time::Duration::ZERO, deferral::local::Promise::<u32>::resolved(1));
/// ```
struct OneFlavorInATimeout;
