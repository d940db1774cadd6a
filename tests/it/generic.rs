//! Functions of either flavor: every method of both ends, and `when`, with bounds on public names alone.
//!
//! That this compiles is most of the test. A flavor accepts what a promise is made of, and each callback: `F: Accepts<T>`. No bound says
//! more, and none names what the library makes of these. `Broken` and `Progress`, which every flavor accepts, need no bound.

use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use deferral::flavor::{Accepts, Flavor, Local, Threaded};
use deferral::when::When;
use deferral::{Broken, Deferred, IntoPromise, Progress, Promise, State, when};
use futures::future::FusedFuture;

use crate::util::{Log, ready};

/// A promise whose progress is that of the library.
type Of<T, E, F> = Promise<T, E, Progress, F>;

// ---------------------------------------------------------------------------------------------- no callback, no bound

/// Makes promises and settles them in every way. Nothing is asked of the flavor.
fn settle<F, T, E, P>(values: [T; 3], errors: [E; 2], report: P) -> Vec<Promise<T, E, P, F>>
where
    F: Flavor,
    T: 'static,
    E: From<Broken> + 'static,
    P: 'static,
{
    let [first, second, late] = values;
    let [wrong, worse] = errors;
    let (deferred, resolved) = Deferred::<T, E, P, F>::with_progress();
    assert!(deferred.is_wanted());
    assert_eq!(deferred.state(), State::Pending);
    assert!(deferred.notify(report));
    assert!(deferred.resolve(first) && !deferred.resolve(late));
    let (deferred, rejected) = Deferred::<T, E, P, F>::with_progress();
    assert!(deferred.clone().reject(wrong) && format!("{deferred:?}").contains("Deferred"));
    let (deferred, settled) = Deferred::<T, E, P, F>::with_progress();
    assert!(deferred.settle(Ok(second)));
    let (deferred, failed) = Deferred::<T, E, P, F>::with_progress();
    assert!(deferred.settle(Err(worse)));
    vec![resolved, rejected, settled, failed]
}

/// Makes promises of the library's own progress.
fn make<F, T, E>(values: [T; 4], error: E) -> Vec<Of<T, E, F>>
where
    F: Flavor,
    T: 'static,
    E: From<Broken> + 'static,
{
    let [first, second, third, fourth] = values;
    let (deferred, promise) = Deferred::<T, E, Progress, F>::new();
    assert!(deferred.notify(Progress { done: 1, total: 2 }) && deferred.resolve(first));
    let made = Promise::new(|deferred: Deferred<T, E, Progress, F>| {
        deferred.resolve(second);
    });
    vec![promise, made, Promise::resolved(third), Promise::from(Ok(fourth)), Promise::rejected(error)]
}

/// Looks at a promise, and takes what it gives.
fn take<F, T, E, P>(mut promise: Promise<T, E, P, F>) -> Result<T, E>
where
    F: Flavor,
    T: 'static,
    E: 'static,
    P: 'static,
{
    let is_value = promise.peek(|outcome| outcome.map(Result::is_ok));
    assert_eq!(is_value, Some(promise.state() == State::Resolved));
    assert!(!promise.cancel() && format!("{promise:?}").contains("Promise"));
    let Poll::Ready(outcome) = Pin::new(&mut promise).poll(&mut Context::from_waker(Waker::noop())) else {
        panic!("a settled promise is pending");
    };
    assert!(promise.is_terminated());
    outcome
}

/// Awaits clones of a promise, and the promise.
async fn share<F, T, E, P>(promise: Promise<T, E, P, F>) -> [Result<T, E>; 2]
where
    F: Flavor,
    T: Clone + 'static,
    E: Clone + 'static,
    P: 'static,
{
    [promise.clone().await, promise.await]
}

// ----------------------------------------------------------------------------------------------------------- callbacks

/// Registers every callback at both ends.
fn observe<F, T, E, P, D, B, A, R, C>(
    deferred: &Deferred<T, E, P, F>,
    promise: Promise<T, E, P, F>,
    (done, fail, always, progress, cancel): (D, B, A, R, C),
) -> Promise<T, E, P, F>
where
    F: Flavor + Accepts<D> + Accepts<B> + Accepts<A> + Accepts<R> + Accepts<C>,
    D: FnOnce(&T) + Clone + 'static,
    B: FnOnce(&E) + Clone + 'static,
    A: FnOnce(&Result<T, E>) + Clone + 'static,
    R: FnMut(&P) + Clone + 'static,
    C: FnOnce() + 'static,
{
    let promise = promise.done(done.clone()).fail(fail.clone()).always(always.clone()).progress(progress.clone());
    deferred.done(done).fail(fail).always(always).progress(progress).on_cancel(cancel);
    promise
}

/// Goes on with the value, and then with the error.
fn chain<F, T, U, E, C, R, D, S>(promise: Of<T, E, F>, then: C, catch: D) -> Of<U, E, F>
where
    F: Flavor + Accepts<T> + Accepts<U> + Accepts<E> + Accepts<C> + Accepts<D>,
    U: 'static,
    C: FnOnce(T) -> R + 'static,
    R: IntoPromise<F, Value = U, Error = E>,
    D: FnOnce(E) -> S + 'static,
    S: IntoPromise<F, Value = U, Error = E>,
{
    promise.then(then).catch(catch)
}

/// Changes the type of the error.
fn convert<F, T, E, E2, C>(promise: Of<T, E, F>, map: C) -> Of<T, E2, F>
where
    F: Flavor + Accepts<T> + Accepts<E> + Accepts<E2> + Accepts<C>,
    E2: From<Broken> + 'static,
    C: FnOnce(E) -> E2 + 'static,
{
    promise.map_err(map)
}

/// Turns a promise of a result, or of a promise, into one of the value.
fn flatten<F, I>(promise: Of<I, Broken, F>) -> Of<I::Value, I::Error, F>
where
    F: Flavor + Accepts<I> + Accepts<I::Value> + Accepts<I::Error>,
    I: IntoPromise<F, Error: From<Broken>>,
{
    promise.flatten()
}

/// Settles a deferred with the outcome.
fn forward<F, T, E>(promise: Of<T, E, F>) -> Of<T, E, F>
where
    F: Flavor + Accepts<T> + Accepts<E>,
    E: From<Broken>,
{
    let (deferred, target) = Deferred::new();
    promise.forward(deferred);
    target
}

/// A promise of any progress continues where the flavor accepts that, too.
fn with_progress<F, T, E, P>(promise: Promise<T, E, P, F>, target: Deferred<T, E, P, F>, pass: fn(T) -> Result<T, E>)
where
    F: Flavor + Accepts<T> + Accepts<E> + Accepts<P> + Accepts<fn(T) -> Result<T, E>>,
{
    let promise = promise.then(pass);
    target.settle(ready(promise));
}

// ---------------------------------------------------------------------------------------------------------- aggregates

/// Waits for whatever `when` takes.
fn wait_for<F, W>(all: W) -> Of<W::Value, W::Error, F>
where
    F: Flavor,
    W: When<F, Error: From<Broken>>,
{
    when(all)
}

/// Waits for many promises.
fn many<F, T, E, P>(promises: Vec<Promise<T, E, P, F>>) -> Of<Vec<T>, E, F>
where
    F: Flavor + Accepts<T> + Accepts<E> + Accepts<P>,
    E: From<Broken>,
{
    when(promises)
}

/// Waits for many inputs of whatever kind, and goes on with the list: it is a value in its turn.
fn length<F, A>(inputs: Vec<A>) -> Of<usize, A::Error, F>
where
    F: Flavor + Accepts<A::Value> + Accepts<A::Error> + Accepts<Vec<A::Value>> + Accepts<usize>,
    F: Accepts<fn(Vec<A::Value>) -> Result<usize, A::Error>>,
    A: IntoPromise<F, Error: From<Broken>>,
{
    let length: fn(Vec<A::Value>) -> Result<usize, A::Error> = |list| Ok(list.len());
    when(inputs).then(length)
}

/// Waits for an array.
fn array<F, T, E, P, const N: usize>(promises: [Promise<T, E, P, F>; N]) -> Of<[T; N], E, F>
where
    F: Flavor + Accepts<T> + Accepts<E> + Accepts<P>,
    E: From<Broken>,
{
    when(promises)
}

/// Waits for a tuple that mixes types, and promises with results.
fn tuple<F, T, U, E>(first: Of<T, E, F>, second: Of<U, E, F>, third: Result<T, E>) -> Of<(T, U, T), E, F>
where
    F: Flavor + Accepts<T> + Accepts<U> + Accepts<E>,
    E: From<Broken>,
{
    when((first, second, third))
}

/// The aggregates that need not all values.
type Rest<T, E, F> = (Of<T, Vec<E>, F>, Of<T, E, F>, Of<Vec<Result<T, E>>, Broken, F>);

fn rest<F, T, E, P>(promises: [Vec<Promise<T, E, P, F>>; 3]) -> Rest<T, E, F>
where
    F: Flavor + Accepts<T> + Accepts<E> + Accepts<P>,
    E: From<Broken>,
{
    let [first, second, third] = promises;
    (when::any(first), when::race(second), when::settled(third))
}

/// Maps items to promises.
fn map<F, I, C, R>(items: I, f: C) -> Of<Vec<R::Value>, R::Error, F>
where
    F: Flavor + Accepts<I::IntoIter> + Accepts<C> + Accepts<R::Value> + Accepts<R::Error>,
    I: IntoIterator<IntoIter: 'static>,
    C: FnMut(I::Item) -> R + 'static,
    R: IntoPromise<F, Error: From<Broken>>,
{
    when::map(items, 2, f)
}

// ------------------------------------------------------------------------------------------------------------ both flavors

/// Calls them all, with values and captures behind the flavor's own kind of pointer.
macro_rules! with_each_flavor {
    ($($name:ident: $flavor:ident, $pointer:path;)*) => {$(
        mod $name {
            use super::*;
            use $pointer as Pointer;

            type Value = Pointer<u32>;
            type Ends<P> = (Deferred<Value, String, P, $flavor>, Promise<Value, String, P, $flavor>);

            fn value(n: u32) -> Value {
                Pointer::new(n)
            }

            fn promise(n: u32) -> Of<Value, String, $flavor> {
                Promise::resolved(value(n))
            }

            fn rejected(error: &str) -> Of<Value, String, $flavor> {
                Promise::rejected(error.to_owned())
            }

            #[test]
            fn without_callbacks() {
                let promises = settle::<$flavor, _, _, _>([1, 2, 3].map(value), ["a", "b"].map(String::from), value(0));
                let outcomes: Vec<_> = promises.into_iter().map(take).collect();
                assert_eq!(outcomes, [Ok(value(1)), Err("a".to_owned()), Ok(value(2)), Err("b".to_owned())]);
                let promises = make::<$flavor, _, _>([1, 2, 3, 4].map(value), "a".to_owned());
                let outcomes: Vec<_> = promises.into_iter().map(take).collect();
                assert_eq!(outcomes[..4], [1, 2, 3, 4].map(|n| Ok(value(n))));
                assert_eq!(futures::executor::block_on(share(promise(5))), [Ok(value(5)), Ok(value(5))]);
            }

            #[test]
            fn callbacks() {
                let log = Log::new();
                let [done, fail, always, progress, cancel] = [(); 5].map(|()| (log.clone(), value(7)));
                let callbacks = (
                    move |v: &Value| done.0.add(format!("done {v}")),
                    move |error: &String| fail.0.add(format!("fail {}", error.contains("canceled"))),
                    move |outcome: &Result<_, _>| always.0.add(format!("always {}", outcome.is_ok())),
                    move |report: &Value| progress.0.add(format!("progress {report}")),
                    move || cancel.0.add(format!("cancel {}", cancel.1)),
                );
                let (deferred, promise): Ends<Value> = Deferred::with_progress();
                let promise = observe(&deferred, promise, callbacks);
                assert!(deferred.notify(value(1)) && promise.cancel());
                let text = "progress 1 progress 1 cancel 7 fail true always false fail true always false";
                assert_eq!(log.text(), text);
            }

            #[test]
            fn chains() {
                let captured = value(2);
                let text = chain(promise(1), move |v| Ok((*v + *captured).to_string()), |error| Ok(error + "!"));
                assert_eq!(ready(text).unwrap(), "3");
                let text = chain(rejected("no"), |_| Ok(String::new()), |error| Promise::resolved(error + "!"));
                assert_eq!(ready(text).unwrap(), "no!");
                assert_eq!(ready(convert(promise(1), |error| vec![error])).unwrap(), value(1));
                assert_eq!(ready(flatten::<$flavor, _>(Promise::resolved(Ok::<_, String>(value(1))))).unwrap(), value(1));
                assert_eq!(ready(flatten(Promise::resolved(promise(2)))).unwrap(), value(2));
                assert_eq!(ready(forward(promise(3))).unwrap(), value(3));
                let (deferred, source): Ends<Value> = Deferred::with_progress();
                let (target, promise) = Deferred::with_progress();
                assert!(deferred.resolve(value(4)));
                with_progress(source, target, Ok);
                assert_eq!(ready(promise).unwrap(), value(4));
            }

            #[test]
            fn aggregates() {
                let both: Of<_, String, $flavor> = wait_for((promise(1), Ok(value(2))));
                assert_eq!(ready(both).unwrap(), (value(1), value(2)));
                assert_eq!(ready(many(vec![promise(1), promise(2)])).unwrap(), [value(1), value(2)]);
                assert_eq!(ready(length(vec![promise(1), promise(2)])).unwrap(), 2);
                assert_eq!(ready(array([promise(1), promise(2)])).unwrap(), [value(1), value(2)]);
                let mixed = tuple(promise(1), Promise::resolved("text"), Ok(value(2)));
                assert_eq!(ready(mixed).unwrap(), (value(1), "text", value(2)));
                let (any, race, settled) = rest([(); 3].map(|()| vec![rejected("no"), promise(1)]));
                assert_eq!(ready(any).unwrap(), value(1));
                assert_eq!(ready(race).unwrap_err(), "no");
                assert_eq!(ready(settled).unwrap(), [Err("no".to_owned()), Ok(value(1))]);
                let captured = value(1);
                let sums = map::<$flavor, _, _, _>([value(1), value(2)], move |n| promise(*n + *captured));
                assert_eq!(ready(sums).unwrap(), [value(2), value(3)]);
                let (deferred, pending): Ends<Progress> = Deferred::new();
                let all: Of<_, _, $flavor> = when([pending]);
                assert!(all.cancel() && !deferred.resolve(value(1)));
            }
        }
    )*};
}

// `Local` accepts an `Rc`, which `Threaded` refuses.
with_each_flavor! {
    threaded: Threaded, std::sync::Arc;
    local: Local, std::rc::Rc;
}
