//! Who gets the value, looking without taking it, and what both ends tell about themselves.

use std::error::Error;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;

use futures::future::FusedFuture;

use super::{Deferred, Promise};
use crate::util::{Count, Counted, Log, panic_of, poll_once};
use deferral::{Broken, BrokenKind, Progress, State};

/// A value that cannot be cloned.
#[derive(Debug, PartialEq)]
struct Single(u32);

/// G3, C12: a single consumer needs no `Clone`, of the value or of the error, whichever it is: a task, a `then`, a `catch`; observers
/// look before.
#[test]
fn a_single_consumer_owns() {
    let log = Log::new();
    let entries = log.clone();
    let (deferred, promise) = Deferred::<Single, io::Error>::new();
    let mut promise = promise.done(move |value| entries.add(value.0)).then(|value| Ok(Single(value.0 + 1)));
    assert!(deferred.resolve(Single(1)));
    assert!(matches!(poll_once(&mut promise), Poll::Ready(Ok(Single(2)))));
    assert_eq!(log.text(), "1");
    let mut caught = Promise::<Single, io::Error>::rejected(io::Error::other("no")).catch(|error| {
        assert_eq!(error.to_string(), "no");
        Ok(Single(3))
    });
    assert!(matches!(poll_once(&mut caught), Poll::Ready(Ok(Single(3)))));
}

/// G3, C12: of `n` consumers, all but the last get a clone, and the last the value itself: `n - 1` clones, be they tasks or
/// continuations, registered before the settle or after it.
#[test]
fn as_few_clones_as_can_be() {
    for consumers in 1..5 {
        for late in [false, true] {
            for tasks in [false, true] {
                let value = Counted::new();
                let (clones, drops) = (value.clones.clone(), value.drops.clone());
                let (deferred, promise) = Deferred::<Counted>::new();
                let mut promises: Vec<_> = (1..consumers).map(|_| promise.clone()).collect();
                promises.push(promise);
                let mut value = Some(value);
                if late {
                    deferred.resolve(value.take().expect("not resolved yet"));
                }
                let taken: Vec<_> = if tasks {
                    promises.iter_mut().for_each(|promise| assert_eq!(poll_once(promise).is_ready(), late));
                    vec![]
                } else {
                    promises.drain(..).map(|promise| promise.then(Ok)).collect()
                };
                if let Some(value) = value {
                    deferred.resolve(value);
                    promises.iter_mut().for_each(|promise| assert!(poll_once(promise).is_ready()));
                }
                assert_eq!(clones.get(), consumers - 1, "{consumers} {late} {tasks}");
                drop((taken, promises, deferred));
                assert_eq!(drops.get(), consumers);
            }
        }
    }
}

/// G3: observers, `peek` and aggregates of the state clone nothing.
#[test]
fn looking_clones_nothing() {
    let value = Counted::new();
    let clones = value.clones.clone();
    let (deferred, promise) = Deferred::<Counted>::new();
    let promise = promise.done(|_| ()).always(|_| ());
    let other = promise.clone();
    deferred.resolve(value);
    deferred.done(|_| ());
    assert!(promise.peek(|outcome| outcome.is_some()));
    assert!(other.done(|_| ()).peek(|outcome| outcome.is_some()));
    assert_eq!(clones.get(), 0);
}

/// G14: a promise that gave its value is terminated: it cannot be polled again, is told nothing, and keeps its state.
#[test]
fn after_the_value_was_taken() {
    let (deferred, mut promise) = Deferred::<u32>::new();
    assert!(!promise.is_terminated());
    assert!(poll_once(&mut promise).is_pending());
    deferred.resolve(1);
    assert!(!promise.is_terminated());
    assert!(poll_once(&mut promise).is_ready());
    assert!(promise.is_terminated());
    assert_eq!(promise.state(), State::Resolved);
    assert!(promise.peek(|outcome| outcome.is_none()));
    assert!(!promise.cancel());
    let text = panic_of(|| poll_once(&mut promise));
    assert!(text.contains("has given its outcome already") && text.contains("is_terminated"), "{text}");
    let dropped = Count::new();
    let counted = Counted { drops: dropped.clone(), clones: Count::new() };
    let promise =
        promise.done(move |_| drop::<Counted>(counted)).fail(|_| ()).always(|_| unreachable!("it has no value"));
    assert_eq!(dropped.get(), 1);
    assert!(promise.clone().is_terminated(), "nor has its clone");
}

/// G14: each clone is terminated by itself.
#[test]
fn clones_end_by_themselves() {
    let (deferred, mut promise) = Deferred::<u32>::new();
    let mut other = promise.clone();
    deferred.resolve(1);
    assert!(matches!(poll_once(&mut promise), Poll::Ready(Ok(1))));
    assert!(!other.is_terminated());
    let promise = promise.done(|_| unreachable!("it has given its value")).always(|_| unreachable!("it has none"));
    assert!(promise.peek(|outcome| outcome.is_none()));
    assert_eq!(other.peek(|outcome| outcome.map(|outcome| *outcome.as_ref().unwrap())), Some(1));
    assert!(matches!(poll_once(&mut other), Poll::Ready(Ok(1))));
}

/// Q4: `peek` shows nothing while pending, then the outcome of either kind, as often as asked, and takes nothing.
#[test]
fn peek_looks() {
    let (deferred, mut promise) = Deferred::<u32, String>::new();
    assert!(promise.peek(|outcome| outcome.is_none()));
    deferred.resolve(2);
    for _ in 0..2 {
        assert_eq!(promise.peek(|outcome| outcome.cloned()), Some(Ok(2)));
    }
    assert_eq!(poll_once(&mut promise), Poll::Ready(Ok(2)));
    let rejected = Promise::<u32, String>::rejected("no".to_owned());
    assert_eq!(rejected.peek(|outcome| outcome.cloned()), Some(Err("no".to_owned())));
    assert!(!rejected.cancel());
}

/// Q4: `peek` sees what the library rejected with, before anybody asked.
#[test]
fn peek_sees_an_error_of_the_library() {
    let (deferred, promise) = Deferred::<u32>::new();
    drop(deferred);
    let kind = promise.peek(|outcome| outcome.map(|outcome| outcome.as_ref().unwrap_err().kind()));
    assert_eq!(kind, Some(BrokenKind::Abandoned));
}

/// X21: wanted is who still has a promise, a callback or a continuation.
#[test]
fn is_wanted() {
    type Want = fn(&Deferred<u32>, Promise<u32>) -> Option<Promise<u32>>;
    let wants: [(Want, bool); 7] = [
        (|_, promise| Some(promise), true),
        (|_, _| None, false),
        (|_, promise| drop_after(promise.done(|_| ())), true),
        (|_, promise| drop_after(promise.progress(|_| ())), true),
        (|deferred, _| drop_after(deferred.fail(|_| ())), true),
        (|deferred, _| drop_after(deferred.on_cancel(|| ())), false),
        (|_, promise| drop_after(promise.then(Ok)), true),
    ];
    for (index, (want, wanted)) in wants.into_iter().enumerate() {
        let (deferred, promise) = Deferred::<u32>::new();
        let kept = want(&deferred, promise);
        assert_eq!(deferred.is_wanted(), wanted, "{index}");
        drop(kept);
    }
}

fn drop_after<X>(_: X) -> Option<Promise<u32>> {
    None
}

/// X21: once its last consumer took the value, nobody wants more.
#[test]
fn nobody_wants_what_was_taken() {
    let (deferred, mut promise) = Deferred::<u32>::new();
    deferred.resolve(1);
    assert!(deferred.is_wanted());
    assert!(poll_once(&mut promise).is_ready());
    assert!(!deferred.is_wanted());
}

/// Q1, Q3: three states; what was canceled is rejected.
#[test]
fn states() {
    let (deferred, promise) = Deferred::<u32>::new();
    assert_eq!((deferred.state(), promise.state()), (State::Pending, State::Pending));
    deferred.notify(Progress::default());
    assert_eq!(promise.state(), State::Pending);
    promise.cancel();
    assert_eq!((deferred.state(), promise.state()), (State::Rejected, State::Rejected));
}

/// Q5: both ends print themselves whatever their types, with their state and where they were made.
#[test]
fn debug_asks_nothing_of_the_value() {
    struct Silent;
    let (deferred, promise) = Deferred::<Silent, Broken>::new();
    let line = line!() - 1;
    for (text, name) in [(format!("{deferred:?}"), "Deferred"), (format!("{promise:?}"), "Promise")] {
        assert!(text.starts_with(&format!("{name} {{ state: Pending")), "{text}");
        assert!(text.contains(&format!("{}:{line}:", file!())), "{text}");
    }
    deferred.resolve(Silent);
    assert!(format!("{promise:?}").contains("Resolved"));
}

/// V4: registrations return their end for the next one.
#[test]
fn registrations_chain() {
    let (deferred, promise) = Deferred::<u32>::new();
    deferred.done(|_| ()).fail(|_| ()).always(|_| ()).progress(|_| ()).on_cancel(|| ()).resolve(1);
    let promise: Promise<u32> = promise.done(|_| ()).fail(|_| ()).always(|_| ()).progress(|_| ());
    assert_eq!(promise.state(), State::Resolved);
}

/// An end that the library makes, as `E`, and its text.
fn broken<E: From<Broken> + 'static>() -> (E, String) {
    let promise = Promise::<u32>::new(drop);
    let broken =
        promise.peek(|outcome| outcome.and_then(|outcome| outcome.as_ref().err().cloned())).expect("abandoned");
    let text = broken.to_string();
    (E::from(broken), text)
}

/// E9: every error type that the crate promises takes an end of the library's, with its text.
#[test]
fn errors_made_of_broken() {
    let ((), _) = broken::<()>();
    let (text, expected) = broken::<String>();
    assert_eq!(text, expected);
    let (error, expected) = broken::<io::Error>();
    assert_eq!((error.kind(), error.to_string()), (io::ErrorKind::Other, expected));
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<Broken>()).expect("the Broken is inside");
    assert_eq!(inner.kind(), BrokenKind::Abandoned);
    let (error, expected) = broken::<Arc<io::Error>>();
    assert_eq!(error.to_string(), expected);
    let (error, expected) = broken::<Rc<io::Error>>();
    assert_eq!(error.to_string(), expected);
    let (error, expected) = broken::<Arc<dyn Error + Send + Sync>>();
    assert_eq!(error.to_string(), expected);
    let (error, expected) = broken::<Rc<dyn Error + Send + Sync>>();
    assert_eq!(error.to_string(), expected);
    let (error, expected) = broken::<Box<dyn Error + Send + Sync>>();
    assert_eq!(error.to_string(), expected);
    let (error, expected) = broken::<Box<dyn Error>>();
    assert_eq!(error.to_string(), expected);
    let (errors, expected) = broken::<Vec<String>>();
    assert_eq!(errors, [expected]);
}

/// G2, E9: what an end of the library's says: the place, and what happened.
#[test]
fn what_a_broken_says() {
    let says = |promise: Promise<u32>, line: u32, end: &str| {
        let text = promise.peek(|outcome| outcome.map(|outcome| outcome.as_ref().unwrap_err().to_string()));
        let text = text.expect("it is rejected");
        assert!(text.starts_with(&format!("the promise made at {}:{line}:", file!())), "{text}");
        assert!(text.ends_with(end), "{text}");
    };
    let (deferred, promise) = Deferred::<u32>::new();
    drop(deferred);
    says(promise, line!() - 2, " was abandoned: its last Deferred was dropped before it settled");
    let (_deferred, promise) = Deferred::<u32>::new();
    promise.cancel();
    says(promise, line!() - 2, " was canceled");
    let promise = Promise::<u32>::new(|_| panic!("{} sheets left", 0));
    says(promise, line!() - 1, " is broken: what owed its outcome panicked: 0 sheets left");
    let (deferred, promise) = Deferred::<u32>::new();
    let watched = promise.clone();
    promise.forward(deferred);
    says(watched, line!() - 3, " cannot be settled: it would wait for itself");
}

/// E9: `Broken` is a std error that clones and says its kind in `Debug`.
#[test]
fn broken_is_an_error() {
    fn check<E: Error + Clone + Send + Sync + 'static>(error: &E) -> String {
        format!("{:?}", error.clone())
    }
    let (error, _) = broken::<Broken>();
    let text = check(&error);
    assert!(text.starts_with("Broken { kind: Abandoned, origin: ") && text.contains(file!()), "{text}");
}
