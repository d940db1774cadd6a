//! Outcomes that no consumer takes, and whose drop panics: the panic goes where it belongs, and nothing else is lost.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};

use super::{Deferred, Promise};
use crate::util::{Count, Log, OnDrop, panic_of, poll_once, ready};
use deferral::{Broken, Progress, State, testing, when};

/// Counts its drop, and panics in it.
struct Bomb(Count);

impl Drop for Bomb {
    fn drop(&mut self) {
        self.0.add();
        panic!("bomb");
    }
}

impl Clone for Bomb {
    fn clone(&self) -> Self {
        Bomb(self.0.clone())
    }
}

impl From<Broken> for Bomb {
    fn from(_: Broken) -> Self {
        Bomb(Count::new())
    }
}

type Mined<P = Progress> = (Deferred<Bomb, Bomb, P>, Promise<Bomb, Bomb, P>);

/// Where a callback finds its own promise.
type Slot = Arc<Mutex<Option<Promise<Bomb, Bomb>>>>;

/// The text that the hook hears of a panic that has no caller.
const TOLD: &str = "a panic with no caller to resume in: bomb";

/// Gives what the hook hears while `f` runs, which does not unwind.
#[track_caller]
fn told(f: impl FnOnce()) -> Vec<String> {
    let watch = testing::watch();
    let ended = catch_unwind(AssertUnwindSafe(f));
    let told = watch.take();
    assert!(ended.is_ok(), "a drop unwinds");
    is_sound();
    told
}

/// Gives the panic that `f` ends with, and what the hook hears besides.
#[track_caller]
fn raised<R>(f: impl FnOnce() -> R) -> (String, Vec<String>) {
    let watch = testing::watch();
    let text = panic_of(f);
    let told = watch.take();
    is_sound();
    (text, told)
}

/// Checks that an earlier panic has left nothing on this thread: callbacks run inside a settle, and their panic comes out of it.
#[track_caller]
fn is_sound() {
    let ran = Count::new();
    let (done, then) = (ran.clone(), ran.clone());
    let (deferred, promise) = Deferred::<u32>::new();
    promise.done(move |_| done.add()).done(|_| panic!("sound")).then(move |n| {
        then.add();
        Ok(n)
    });
    assert_eq!((panic_of(|| deferred.resolve(1)).as_str(), ran.get()), ("sound", 2));
}

/// The ways to settle with a bomb and then drop all ends of a promise.
const ENDS: [(&str, fn(Mined, Result<Bomb, Bomb>)); 9] = [
    ("the producer last", |(deferred, promise), outcome| {
        assert!(deferred.settle(outcome));
        drop(promise);
        drop(deferred);
    }),
    ("the promise last", |(deferred, promise), outcome| {
        assert!(deferred.settle(outcome));
        drop(deferred);
        drop(promise);
    }),
    ("settled without a promise", |(deferred, promise), outcome| {
        drop(promise);
        assert!(deferred.settle(outcome));
        drop(deferred);
    }),
    ("the second of two producers last", |(deferred, promise), outcome| {
        let clone = deferred.clone();
        drop(promise);
        assert!(deferred.settle(outcome));
        drop(deferred);
        drop(clone);
    }),
    ("the second of two promises last", |(deferred, promise), outcome| {
        let clone = promise.clone();
        assert!(deferred.settle(outcome));
        drop(deferred);
        drop(promise);
        drop(clone);
    }),
    ("observed", |(deferred, promise), outcome| {
        let seen = Count::new();
        let (one, two) = (seen.clone(), seen.clone());
        let promise = promise.done(move |_| one.add()).fail(move |_| two.add());
        assert!(deferred.settle(outcome));
        assert_eq!(seen.get(), 1);
        drop(deferred);
        drop(promise);
    }),
    ("awaited in vain", |(deferred, mut promise), outcome| {
        assert!(poll_once(&mut promise).is_pending());
        assert!(deferred.settle(outcome));
        drop(deferred);
        drop(promise);
    }),
    ("with a report", |(deferred, promise), outcome| {
        assert!(deferred.notify(Progress::default()));
        assert!(deferred.settle(outcome));
        drop(promise);
        drop(deferred);
    }),
    ("settled from the start", |(deferred, promise), outcome| {
        drop(promise);
        drop(deferred);
        let settled: Promise<Bomb, Bomb> = outcome.into();
        drop(settled);
    }),
];

/// G9, G10: the last handle does not unwind, though the outcome that it takes along panics. The hook hears of that, and of a rejection
/// as well.
#[test]
fn the_last_handle_does_not_unwind() {
    for (name, end) in ENDS {
        for rejects in [false, true] {
            let drops = Count::new();
            let bomb = Bomb(drops.clone());
            let told = told(|| end(Deferred::new(), if rejects { Err(bomb) } else { Ok(bomb) }));
            assert_eq!(drops.get(), 1, "{name}");
            let rejected = told.iter().filter(|text| text.contains("an error of type")).count();
            assert_eq!(rejected, usize::from(rejects && name != "observed"), "{name}: {told:?}");
            assert_eq!(told.iter().filter(|text| *text == TOLD).count(), 1, "{name}: {told:?}");
            assert_eq!(told.len(), 1 + rejected, "{name}: {told:?}");
        }
    }
}

/// G1, G9: a settle that comes too late drops its outcome, and the panic resumes out of it. The first outcome is untouched.
#[test]
fn a_late_outcome_panics_out_of_its_settle() {
    type Late = fn(&Deferred<Bomb, Bomb>, Bomb) -> bool;
    let lates: [Late; 4] = [
        |deferred, bomb| deferred.resolve(bomb),
        |deferred, bomb| deferred.reject(bomb),
        |deferred, bomb| deferred.settle(Ok(bomb)),
        |deferred, bomb| deferred.settle(Err(bomb)),
    ];
    for late in lates {
        for held in [false, true] {
            let (deferred, promise): Mined = Deferred::new();
            let (drops, first) = (Count::new(), Count::new());
            assert!(deferred.resolve(Bomb(first.clone())));
            let promise = held.then_some(promise);
            let (text, told) = raised(|| late(&deferred, Bomb(drops.clone())));
            assert_eq!((text.as_str(), told.len(), drops.get(), first.get()), ("bomb", 0, 1, 0));
            let seen = Count::new();
            let count = seen.clone();
            deferred.done(move |_| count.add());
            assert_eq!((seen.get(), deferred.state()), (1, State::Resolved));
            assert_eq!(self::told(|| drop((deferred, promise))), [TOLD]);
            assert_eq!(first.get(), 1);
        }
    }
}

/// G9: a settle that comes too late inside a callback returns. The panic resumes out of the outermost call, after all callbacks.
#[test]
fn a_late_outcome_inside_a_callback() {
    let log = Log::new();
    let (deferred, promise): Mined = Deferred::new();
    assert!(deferred.resolve(Bomb(Count::new())));
    let (outer, other) = Deferred::<u32>::new();
    let (late, entries, last) = (deferred.clone(), log.clone(), log.entry("last"));
    other
        .done(move |_| {
            entries.add(late.resolve(Bomb(Count::new())));
            entries.add("after");
        })
        .always(move |_| last());
    let (text, told) = raised(|| outer.resolve(1));
    assert_eq!((text.as_str(), told.len(), log.text().as_str()), ("bomb", 0, "false after last"));
    assert_eq!(self::told(|| drop((deferred, promise))), [TOLD]);
}

/// Derived promises that nothing holds, and which end with a bomb each as their source is settled.
type Derive = fn(Promise<u32, Bomb>, Bomb);

const DERIVED: [(&str, Derive); 7] = [
    ("then", |promise, bomb| drop(promise.then(|_| Ok(bomb)))),
    ("then, rejecting", |promise, bomb| drop(promise.then(|_| Err::<(), _>(bomb)).fail(|_| ()))),
    ("then, by a promise", |promise, bomb| drop(promise.then(|_| Promise::resolved(bomb)))),
    ("an observed then", |promise, bomb| drop(promise.then(|_| Ok(bomb)).done(|_| ()).done(|_| ()))),
    ("a chain", |promise, bomb| drop(promise.then(|_| Ok(bomb)).then(Ok).then(Ok))),
    ("forward", |promise, bomb| promise.then(|_| Ok(bomb)).forward(Deferred::new().0)),
    ("flatten", |promise, bomb| {
        let promise = promise.map_err(|_| unreachable!("it is resolved"));
        drop(promise.then(|_| Ok(Ok::<_, Broken>(bomb))).flatten());
    }),
];

/// G9: a derived promise that nothing holds disposes of its outcome inside the settle that led to it. The first panic resumes there, and
/// the other consumers are served.
#[test]
fn a_derived_outcome_panics_out_of_the_settle() {
    for (name, derive) in DERIVED {
        for branches in [1, 3] {
            let (drops, seen) = (Count::new(), Count::new());
            let (deferred, promise) = Deferred::<u32, Bomb>::new();
            let (done, first, last) = (seen.clone(), seen.clone(), seen.clone());
            deferred.done(move |_| done.add());
            promise.clone().then(move |_| {
                first.add();
                Ok(())
            });
            (0..branches).for_each(|_| derive(promise.clone(), Bomb(drops.clone())));
            promise.then(move |_| {
                last.add();
                Ok(())
            });
            let (text, told) = raised(|| deferred.resolve(1));
            assert_eq!((drops.get(), seen.get(), text.as_str()), (branches, 3, "bomb"), "{name}");
            assert!(told.iter().all(|text| text == TOLD), "{name}: {told:?}");
            assert_eq!(told.len(), branches - 1, "{name}");
        }
    }
}

/// G9: it does so, too, if it is the only consumer.
#[test]
fn an_only_derived_outcome_panics_out_of_the_settle() {
    for (name, derive) in DERIVED {
        let drops = Count::new();
        let (deferred, promise) = Deferred::<u32, Bomb>::new();
        derive(promise, Bomb(drops.clone()));
        let (text, told) = raised(|| deferred.resolve(1));
        assert_eq!((drops.get(), text.as_str(), told.len()), (1, "bomb", 0), "{name}");
    }
}

/// G9: it does so, too, if a cancel led to it. The hook hears of the panic if a drop did.
#[test]
fn a_recovered_outcome_that_nobody_holds() {
    for cancels in [false, true] {
        let (drops, seen) = (Count::new(), Count::new());
        let (deferred, promise) = Deferred::<Bomb>::new();
        let (bomb, count) = (Bomb(drops.clone()), seen.clone());
        promise.clone().catch(move |_| Ok(bomb));
        let promise = promise.fail(move |_| count.add());
        if cancels {
            assert_eq!(raised(|| promise.cancel()), ("bomb".to_owned(), vec![]));
        } else {
            let told = told(|| drop(deferred));
            assert!(told.len() == 2 && told[0] == TOLD && told[1].ends_with("before it settled"), "{told:?}");
        }
        assert_eq!((drops.get(), seen.get()), (1, 1));
    }
}

/// G9, G10: an outcome and the last report, which go together, panic one after the other. The hook hears of both, and of a rejection as
/// well.
#[test]
fn an_outcome_and_a_report_that_panic_together() {
    for promise_last in [false, true] {
        for (rejects, looks) in [(false, false), (true, false), (true, true)] {
            let drops = Count::new();
            let (deferred, promise): Mined<Bomb> = Deferred::with_progress();
            assert!(deferred.notify(Bomb(drops.clone())));
            let bomb = Bomb(drops.clone());
            assert!(deferred.settle(if rejects { Err(bomb) } else { Ok(bomb) }));
            if looks {
                deferred.fail(|_| ());
            }
            let told = told(|| {
                if promise_last {
                    drop(deferred);
                    drop(promise);
                } else {
                    drop(promise);
                    drop(deferred);
                }
            });
            let panics = told.iter().filter(|text| *text == TOLD).count();
            assert_eq!((drops.get(), panics), (2, 2), "promise last: {promise_last}");
            assert_eq!(told.len() - panics, usize::from(rejects && !looks), "{told:?}");
        }
    }
}

/// G8, G9: a `then` drops a value that comes after the cancel of its promise, and then the error of that: both panic.
#[test]
fn an_outcome_that_comes_after_the_cancel() {
    for branches in [1, 3] {
        let (drops, served) = (Count::new(), Count::new());
        let bomb = Bomb(drops.clone());
        let (deferred, promise) = Deferred::<u32, Bomb>::new();
        let slot: Slot = Arc::default();
        let own = slot.clone();
        let derived = promise.clone().then(move |_| {
            let own = own.lock().unwrap().take().unwrap();
            assert!(own.cancel());
            drop(own);
            Ok(bomb)
        });
        for _ in 1..branches {
            let count = served.clone();
            promise.clone().then(move |_| {
                count.add();
                Ok(())
            });
        }
        drop(promise);
        // An observer has the error made.
        *slot.lock().unwrap() = Some(derived.fail(|_| ()));
        assert_eq!(raised(|| deferred.resolve(1)), ("bomb".to_owned(), vec![TOLD.to_owned()]));
        assert_eq!((drops.get(), served.get()), (1, branches - 1));
    }
}

/// G9: an observer drops the last handle of its own promise. The outcome panics out of the settle, after the other observers.
#[test]
fn the_last_handle_goes_inside_its_own_observer() {
    let log = Log::new();
    let drops = Count::new();
    let bomb = Bomb(drops.clone());
    let (deferred, promise) = Deferred::<u32, Bomb>::new();
    let slot: Slot = Arc::default();
    let own = slot.clone();
    let (entries, last, sibling) = (log.clone(), log.entry("last"), log.entry("sibling"));
    let derived = promise.clone().then(move |_| Ok(bomb)).done(move |_| {
        drop(own.lock().unwrap().take());
        entries.add("first");
    });
    *slot.lock().unwrap() = Some(derived.done(move |_| last()));
    promise.then(move |_| {
        sibling();
        Ok(())
    });
    assert_eq!(raised(|| deferred.resolve(1)), ("bomb".to_owned(), vec![]));
    let text = log.text();
    assert!(text == "first last sibling" || text == "sibling first last", "{text}");
    assert_eq!(drops.get(), 1);
}

/// G9, B5: an outcome that panics does not abort the process while its thread unwinds by a panic of its own.
#[test]
fn an_outcome_goes_while_its_thread_unwinds() {
    for (name, end) in ENDS {
        let drops = Count::new();
        let bomb = Bomb(drops.clone());
        let (text, told) = raised(|| {
            let _guard = OnDrop::new(|| end(Deferred::new(), Ok(bomb)));
            panic!("own");
        });
        assert_eq!((text.as_str(), told, drops.get()), ("own", vec![TOLD.to_owned()], 1), "{name}");
    }
    let drops = Count::new();
    let (deferred, promise): Mined = Deferred::new();
    assert!(deferred.resolve(Bomb(Count::new())));
    let bomb = Bomb(drops.clone());
    let (text, told) = raised(|| {
        let _guard = OnDrop::new(|| _ = deferred.resolve(bomb));
        panic!("own");
    });
    assert_eq!((text.as_str(), told, drops.get()), ("own", vec![TOLD.to_owned()], 1));
    assert_eq!(self::told(|| drop((deferred, promise))), [TOLD]);
}

/// G9: outcomes that own the promise of the next are all dropped, and all panic.
#[test]
fn outcomes_nested_by_ownership_that_panic() {
    struct Nest(Option<Box<Promise<Nest>>>, Count);
    impl Drop for Nest {
        fn drop(&mut self) {
            self.1.add();
            drop(self.0.take());
            panic!("bomb");
        }
    }
    const DEPTH: usize = 100;
    let drops = Count::new();
    let mut nest = Promise::resolved(Nest(None, drops.clone()));
    for _ in 1..DEPTH {
        nest = Promise::resolved(Nest(Some(Box::new(nest)), drops.clone()));
    }
    let told = told(|| drop(nest));
    assert_eq!((drops.get(), told.len()), (DEPTH, DEPTH));
}

fn pairs<T: 'static, E: From<Broken> + 'static>() -> ([Deferred<T, E>; 2], [Promise<T, E>; 2]) {
    let [(a, p), (b, q)] = [(); 2].map(|()| Deferred::new());
    ([a, b], [p, q])
}

/// G9: an aggregate that fails drops what it has gathered: the panic comes out of the settle that it failed by.
#[test]
fn a_failing_aggregate_drops_what_it_has_gathered() {
    let drops = Count::new();
    let ([a, b], inputs) = pairs::<Bomb, String>();
    let all = when(inputs).fail(|_| ());
    assert!(a.resolve(Bomb(drops.clone())));
    assert_eq!(raised(|| b.reject("no".to_owned())), ("bomb".to_owned(), vec![]));
    assert_eq!((drops.get(), all.state()), (1, State::Rejected));

    let drops = Count::new();
    let ([a, b], inputs) = pairs::<u32, Bomb>();
    let any = when::any(inputs);
    assert!(a.reject(Bomb(drops.clone())));
    assert_eq!(raised(|| b.resolve(1)), ("bomb".to_owned(), vec![]));
    assert_eq!((drops.get(), ready(any).ok()), (1, Some(1)));
}

/// G9: an aggregate that is canceled drops what it has gathered: the panic comes out of the cancel. The hook hears of it if the aggregate
/// is dropped.
#[test]
fn an_aggregate_that_ends_drops_what_it_has_gathered() {
    for cancels in [false, true] {
        let drops = Count::new();
        let ([a, b], inputs) = pairs::<Bomb, String>();
        let all = when::settled(inputs);
        assert!(a.resolve(Bomb(drops.clone())));
        if cancels {
            assert_eq!(raised(|| all.cancel()), ("bomb".to_owned(), vec![]));
            assert_eq!(b.state(), State::Rejected);
        } else {
            assert_eq!(told(|| drop(all)), [TOLD]);
            assert!(!b.is_wanted());
        }
        assert_eq!(drops.get(), 1);
    }
}
