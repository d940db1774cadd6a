//! Calls that nest too deep: the outermost one runs them, in the order in which they came up.

use std::sync::{Arc, Mutex};
use std::task::{Wake, Waker};

use super::{Deferred, Promise};
use crate::util::{Log, OnDrop, panic_of, poll};
use deferral::{Broken, testing};

type Step = Box<dyn FnOnce() + Send>;

/// Has a step run in a callback, at once or when it is its turn.
type Call = fn(Step);

/// The number of calls in each other: more than nest.
const DEPTH: usize = 64;

/// As many calls nest in any case.
const INLINE: usize = 16;

/// Each runs its step in a callback of another kind.
const CALLS: [(&str, Call); 14] = [
    ("resolve", |step| {
        let (deferred, promise) = Deferred::<u32>::new();
        promise.done(move |_| step());
        assert!(deferred.resolve(1));
    }),
    ("reject", |step| {
        let (deferred, promise) = Deferred::<u32, String>::new();
        promise.fail(move |_| step());
        assert!(deferred.reject("no".to_owned()));
    }),
    ("resolve, several observers", |step| {
        let (deferred, promise) = Deferred::<u32>::new();
        promise.done(|_| ()).always(move |_| step()).fail(|_| ());
        assert!(deferred.settle(Ok(1)));
    }),
    ("resolve, a then", |step| {
        let (deferred, promise) = Deferred::<u32>::new();
        promise.then(move |n| {
            step();
            Ok(n)
        });
        assert!(deferred.resolve(1));
    }),
    ("resolve, an observer of a then's promise", |step| {
        let (deferred, promise) = Deferred::<u32>::new();
        promise.then(Ok).done(move |_| step());
        assert!(deferred.resolve(1));
    }),
    ("notify", |step| {
        let (deferred, promise) = Deferred::<u32, Broken, u32>::with_progress();
        let _promise = promise.progress(once(step));
        assert!(deferred.notify(1) && deferred.resolve(1));
    }),
    ("cancel", |step| {
        let (deferred, promise) = Deferred::<u32>::new();
        deferred.on_cancel(step);
        assert!(promise.cancel());
    }),
    ("cancel up a chain", |step| {
        let (deferred, promise) = Deferred::<u32>::new();
        // The cancel may come after this step has ended: until then the producer stays.
        let kept = deferred.clone();
        deferred.on_cancel(step).always(move |_| drop(kept));
        assert!(promise.then(Ok).then(Ok).cancel());
    }),
    ("done", |step| {
        Promise::<u32>::resolved(1).done(move |_| step());
    }),
    ("done by a producer", |step| {
        let (deferred, _promise) = Deferred::<u32>::new();
        deferred.resolve(1);
        deferred.done(move |_| step());
    }),
    ("then", |step| {
        Promise::<u32>::resolved(1).then(move |n| {
            step();
            Ok(n)
        });
    }),
    ("progress", |step| {
        let (deferred, promise) = Deferred::<u32, Broken, u32>::with_progress();
        deferred.notify(1);
        let _promise = promise.progress(once(step));
        deferred.resolve(1);
    }),
    ("on_cancel", |step| {
        let (deferred, promise) = Deferred::<u32>::new();
        promise.cancel();
        deferred.on_cancel(step);
    }),
    ("forward", |step| {
        let (deferred, promise) = Deferred::<u32>::new();
        promise.done(move |_| step());
        Promise::resolved(1).forward(deferred);
    }),
];

/// A progress callback that runs a step with the first report.
fn once(step: Step) -> impl FnMut(&u32) + Send + 'static {
    let mut step = Some(step);
    move |_| step.take().into_iter().for_each(|step| step())
}

/// Nests `DEPTH` steps, each in the call that `call` says for its depth. A step logs its begin and its end, and then runs `end`.
fn nest(log: &Log, call: impl Fn(usize) -> Call, end: fn(usize, &Log, Call)) {
    let mut step: Step = Box::new(|| ());
    for n in (0..DEPTH).rev() {
        let (entries, inner, next) = (log.clone(), call(n + 1), step);
        step = Box::new(move || {
            entries.add(format!("<{n}"));
            inner(next);
            entries.add(format!("{n}>"));
            end(n, &entries, inner);
        });
    }
    call(0)(step);
}

fn no_end(_: usize, _: &Log, _: Call) {}

/// Checks that all steps have run in their order, and that enough of them nest. With `outermost`, a step that does not nest has begun
/// after the end of all that do.
#[track_caller]
fn check(name: &str, text: &str, outermost: bool) {
    let (mut begun, mut inline, mut open) = (0, 0, Vec::new());
    for entry in text.split(' ') {
        if let Some(n) = entry.strip_prefix('<') {
            assert_eq!(n, begun.to_string(), "{name}: {text}");
            let nests = open.last().is_none_or(|last| last + 1 == begun);
            assert!(nests || !outermost, "{name}: {n} is inside another one: {text}");
            inline += usize::from(open.len() == begun);
            open.push(begun);
            begun += 1;
        } else {
            let last = open.pop().map(|n: usize| format!("{n}>"));
            assert_eq!(last.as_deref(), Some(entry), "{name}: {text}");
        }
    }
    assert_eq!(begun, DEPTH, "{name}: {text}");
    assert!((INLINE..DEPTH).contains(&inline), "{name}: {inline} nest: {text}");
}

/// G4: the outermost call runs all that nests too deep, in order, before it returns. No other call does, whatever is called.
#[test]
fn the_outermost_call_runs_what_nests_too_deep() {
    for (name, call) in CALLS {
        let log = Log::new();
        nest(&log, |_| call, no_end);
        check(name, &log.text(), true);
    }
}

/// G4: it does so, too, if each call is of another kind than the one that it nests in.
#[test]
fn calls_of_all_kinds_nest_in_each_other() {
    for offset in 0..CALLS.len() {
        let log = Log::new();
        nest(&log, |n| CALLS[(n + offset) % CALLS.len()].1, no_end);
        check(CALLS[offset].0, &log.text(), true);
    }
}

/// G4: calls that come up one after the other, too deep or not, run in that order.
#[test]
fn calls_of_one_depth_keep_their_order() {
    for (name, call) in CALLS.into_iter().chain(DROPS) {
        let log = Log::new();
        nest(
            &log,
            |_| call,
            |n, log, call| {
                for sibling in ["a", "b"] {
                    call(Box::new(log.entry(format!("{n}{sibling}"))));
                }
            },
        );
        let text = log.text();
        let entries: Vec<_> = text.split(' ').collect();
        let place = |entry: String| entries.iter().position(|other| *other == entry);
        for n in 0..DEPTH {
            let places = [format!("<{n}"), format!("{n}a"), format!("{n}b")].map(place);
            assert!(places.is_sorted() && places[0].is_some(), "{name}: {n} in {text}");
            // The call that nests in it came up before the others.
            assert!(n + 1 == DEPTH || place(format!("<{}", n + 1)) < places[1], "{name}: {n} in {text}");
        }
        assert_eq!(entries.len(), 4 * DEPTH, "{name}: {text}");
    }
}

/// G9: the first of many panics, in calls that nest too deep, resumes out of the outermost one, when all have run.
#[test]
fn the_first_panic_comes_out_of_the_outermost_call() {
    for (name, call) in CALLS {
        // A panic in a continuation is the end of its promise.
        if name.ends_with("then") {
            continue;
        }
        let log = Log::new();
        let watch = testing::watch();
        let text = panic_of(|| nest(&log, |_| call, |n, _, _| panic!("{n}>")));
        // A promise is abandoned, too, where the panic leaves its producer unsettled.
        let told = watch.take().iter().filter(|lost| lost.starts_with("a panic with no caller")).count();
        assert_eq!(told, DEPTH - 1, "{name}");
        check(name, &log.text(), true);
        assert_eq!(log.text().split(' ').find(|entry| entry.ends_with('>')), Some(text.as_str()), "{name}");
    }
}

/// Each runs its step by a drop.
const DROPS: [(&str, Call); 4] = [
    ("an abandoned promise", |step| {
        let (deferred, promise) = Deferred::<u32>::new();
        promise.fail(move |_| step());
        drop(deferred);
    }),
    ("a value", |step| drop(Promise::<OnDrop<Step>>::resolved(OnDrop::new(step)))),
    ("a callback", |step| {
        let (deferred, promise) = Deferred::<u32>::new();
        let guard = OnDrop::new(step);
        deferred.on_cancel(move || drop(guard));
        drop(promise);
    }),
    ("a waker", |step| {
        struct Owner<X>(X);
        impl<X: Send + Sync> Wake for Owner<X> {
            fn wake(self: Arc<Self>) {}
        }
        let (_deferred, mut promise) = Deferred::<u32>::new();
        let waker = Waker::from(Arc::new(Owner(Mutex::new(OnDrop::new(step)))));
        assert!(poll(&mut promise, &waker).is_pending());
        drop(waker);
        drop(promise);
    }),
];

/// G4: drops that nest too deep have run all they lead to, in order, when the outermost call returns.
#[test]
fn drops_that_nest_too_deep() {
    for (name, by_drop) in DROPS {
        let log = Log::new();
        nest(&log, |_| by_drop, no_end);
        check(name, &log.text(), false);
        for (_, call) in CALLS {
            let log = Log::new();
            nest(&log, |n| if n % 2 == 0 { call } else { by_drop }, no_end);
            check(name, &log.text(), false);
        }
    }
}
