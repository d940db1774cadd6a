//! Captures, wakers, values, errors and reports that ask for more than the alignment of a pointer. Some are small enough to be stored
//! in place all the same.

use std::cell::Cell;
use std::hint::black_box;
use std::ptr;
use std::sync::Arc;
use std::task::{Wake, Waker};

use super::{Deferred, Promise};
use crate::util::{poll, poll_once, ready};
use deferral::{Broken, State, when};

/// Has what it is part of lie where 16 divides the address.
#[derive(Clone, Copy, Default)]
#[repr(align(16))]
struct By16;

#[derive(Clone, Copy, Default)]
#[repr(align(32))]
struct By32;

#[derive(Clone, Copy, Default)]
#[repr(align(256))]
struct By256;

trait Plain: Copy + Default + Send + Sync + 'static {}

impl<X: Copy + Default + Send + Sync + 'static> Plain for X {}

thread_local! {
    /// How many of [`Placed`] there are on this thread.
    static LIVING: Cell<usize> = const { Cell::new(0) };
    /// How often one of them was looked at.
    static LOOKS: Cell<usize> = const { Cell::new(0) };
    /// How often one of them lay where it must not.
    static ASKEW: Cell<usize> = const { Cell::new(0) };
}

fn add(number: &'static std::thread::LocalKey<Cell<usize>>) {
    number.set(number.get() + 1);
}

/// Looks at its own address whenever it is shown, cloned or dropped. With `()` it has no size.
struct Placed<A, X>(A, X);

impl<A: Plain, X: Plain> Placed<A, X> {
    fn new() -> Self {
        add(&LIVING);
        Placed(A::default(), X::default())
    }
}

impl<A, X> Placed<A, X> {
    fn look(&self) {
        // The compiler may take it for granted that a reference is aligned.
        let address = black_box(ptr::from_ref(self)).addr();
        add(&LOOKS);
        if address % align_of::<A>() != 0 {
            add(&ASKEW);
        }
    }
}

impl<A: Plain, X: Plain> Clone for Placed<A, X> {
    fn clone(&self) -> Self {
        self.look();
        Self::new()
    }
}

impl<A, X> Drop for Placed<A, X> {
    fn drop(&mut self) {
        self.look();
        LIVING.set(LIVING.get() - 1);
    }
}

/// An error of the library's own.
impl<A: Plain, X: Plain> From<Broken> for Placed<A, X> {
    fn from(_: Broken) -> Self {
        Self::new()
    }
}

/// Runs `f`, which looks so many times. Each of [`Placed`] lies where it should, and is gone at the end.
#[track_caller]
fn check(looks: usize, f: impl FnOnce()) {
    LOOKS.set(0);
    f();
    assert_eq!((ASKEW.get(), LIVING.get()), (0, 0), "what lay askew, and what is left");
    assert_eq!(LOOKS.get(), looks);
}

/// Runs a test with types that have no size, that are as big as two pointers, and that are bigger.
macro_rules! each {
    ($test:ident) => {
        $test::<By16, ()>();
        $test::<By16, u64>();
        $test::<By32, u64>();
        $test::<By256, ()>();
    };
}

/// A callback whose capture looks at its address, and which is as big and as aligned as that.
fn hook<A: Plain, X: Plain>() -> impl Fn() + Send + 'static {
    let placed = Placed::<A, X>::new();
    let hook = move || placed.look();
    assert_eq!((size_of_val(&hook), align_of_val(&hook)), (size_of::<Placed<A, X>>(), align_of::<A>()));
    hook
}

type Act = fn(&Deferred<u32, String>, &Promise<u32, String>);
type Register = fn(&Deferred<u32, String>, Promise<u32, String>) -> Promise<u32, String>;

const RESOLVE: Act = |deferred, _| assert!(deferred.resolve(1));
const REJECT: Act = |deferred, _| assert!(deferred.reject("no".to_owned()));
const CANCEL: Act = |_, promise| assert!(promise.cancel());

/// Registers some callbacks before the settle, or after it. Each looks where it runs, and where it is dropped.
fn register(registers: &[Register], settle: Act, runs: usize) {
    for late in [false, true] {
        check(runs + registers.len(), || {
            let (deferred, mut promise) = Deferred::<u32, String>::new();
            if late {
                settle(&deferred, &promise);
            }
            for register in registers {
                promise = register(&deferred, promise);
            }
            if !late {
                settle(&deferred, &promise);
            }
            // The error is looked at, and so is not reported.
            promise.peek(|outcome| assert!(outcome.is_some()));
        });
    }
}

/// G3, G7: an observer finds its capture aligned, be it alone or one of several, run or dropped.
#[test]
fn captures_of_observers() {
    fn observers<A: Plain, X: Plain>() {
        /// Registers one through either end.
        macro_rules! ends {
            ($kind:ident) => {{
                let ends: [Register; 2] = [
                    |_, promise| {
                        let hook = hook::<A, X>();
                        promise.$kind(move |_| hook())
                    },
                    |deferred, promise| {
                        let hook = hook::<A, X>();
                        deferred.$kind(move |_| hook());
                        promise
                    },
                ];
                ends
            }};
        }
        let (done, fail, always) = (ends!(done), ends!(fail), ends!(always));
        for (settle, done_runs, fail_runs) in [(RESOLVE, 1, 0), (REJECT, 0, 1), (CANCEL, 0, 1)] {
            for end in 0..2 {
                register(&done[end..=end], settle, done_runs);
                register(&fail[end..=end], settle, fail_runs);
                register(&always[end..=end], settle, 1);
            }
            register(&[done, fail, always].concat(), settle, 2 * (done_runs + fail_runs + 1));
        }
    }
    each!(observers);
}

/// G8: so does a callback of `on_cancel`.
#[test]
fn captures_of_cancelers() {
    fn cancelers<A: Plain, X: Plain>() {
        let on_cancel: Register = |deferred, promise| {
            deferred.on_cancel(hook::<A, X>());
            promise
        };
        for (settle, runs) in [(RESOLVE, 0), (REJECT, 0), (CANCEL, 1)] {
            register(&[on_cancel], settle, runs);
            register(&[on_cancel; 3], settle, 3 * runs);
        }
        // The promise goes, and with it the last that could cancel.
        check(2, || {
            let (deferred, promise) = Deferred::<u32, String>::new();
            deferred.on_cancel(hook::<A, X>());
            drop(promise);
            deferred.on_cancel(hook::<A, X>());
        });
    }
    each!(cancelers);
}

/// G4: a callback of `progress` finds its capture aligned each time that it runs.
#[test]
fn captures_of_listeners() {
    fn listeners<A: Plain, X: Plain>() {
        for late in [0, 2] {
            check(3 * 2 + 3, || {
                let (deferred, mut promise) = Deferred::<u32, Broken, usize>::with_progress();
                for n in 0..3 {
                    if n == late {
                        deferred.notify(n);
                    }
                    let hook = hook::<A, X>();
                    promise = promise.progress(move |_| hook());
                }
                deferred.notify(3);
                deferred.resolve(1);
            });
        }
    }
    each!(listeners);
}

/// G4, G7, G8: a continuation finds its capture aligned, be it alone or one of several, run, skipped or withdrawn.
#[test]
fn captures_of_continuations() {
    type Derive = fn(Promise<u32, String>) -> Promise<u32, String>;
    fn continuations<A: Plain, X: Plain>() {
        /// Continues by a function that goes on with what it gets.
        macro_rules! derive {
            ($method:ident, $result:expr) => {{
                let derive: Derive = |promise| {
                    let hook = hook::<A, X>();
                    promise.$method(move |given| {
                        hook();
                        $result(given)
                    })
                };
                derive
            }};
        }
        let (then, catch, map_err) = (derive!(then, Ok), derive!(catch, Err), derive!(map_err, |text| text));
        for (derive, runs_resolved) in [(then, true), (catch, false), (map_err, false)] {
            for branches in [1, 3] {
                for (settle, resolves) in [(RESOLVE, true), (REJECT, false)] {
                    let runs = if resolves == runs_resolved { branches } else { 0 };
                    check(runs + branches, || follow(branches, derive, settle, false));
                    check(runs + branches, || follow(branches, derive, settle, true));
                }
                check(branches, || {
                    let (deferred, promise) = Deferred::<u32, String>::new();
                    let derived: Vec<_> = several(branches, promise).into_iter().map(derive).collect();
                    assert!(derived.iter().all(Promise::cancel));
                    assert_eq!(deferred.state(), State::Rejected);
                });
            }
        }
    }
    fn follow(branches: usize, derive: Derive, settle: Act, late: bool) {
        let (deferred, promise) = Deferred::<u32, String>::new();
        // These settles use the producer alone.
        let other = Promise::resolved(0);
        if late {
            settle(&deferred, &other);
        }
        several(branches, promise).into_iter().for_each(|promise| drop(derive(promise).fail(|_| ())));
        if !late {
            settle(&deferred, &other);
        }
    }
    each!(continuations);
}

/// G7: a search for a ring goes by continuations whose captures are aligned. Nothing of the user's runs there: a build with debug
/// assertions checks the references that the search makes.
#[test]
fn captures_on_the_way_of_a_ring() {
    fn rings<A: Plain, X: Plain>() {
        for (branches, closes) in [(1, false), (1, true), (3, false), (3, true)] {
            // The continuations are skipped in a ring, and run otherwise.
            check(if closes { branches } else { 2 * branches }, || {
                let (deferred, promise) = Deferred::<u32, String>::new();
                let derived = several(branches, promise).into_iter().map(|promise| {
                    let hook = hook::<A, X>();
                    promise.then(move |n| {
                        hook();
                        Ok(n)
                    })
                });
                let mut derived: Vec<_> = derived.collect();
                let (head, source) = Deferred::<u32, String>::new();
                let source = if closes { derived.pop().expect("one at least") } else { source };
                source.then(Ok).fail(|_| ()).forward(deferred);
                head.resolve(1);
                derived.into_iter().for_each(|derived| drop(derived.fail(|_| ())));
            });
        }
    }
    each!(rings);
}

/// The promise and clones of it.
fn several<T: Clone, E: Clone, P>(number: usize, promise: Promise<T, E, P>) -> Vec<Promise<T, E, P>> {
    let mut promises: Vec<_> = (1..number).map(|_| promise.clone()).collect();
    promises.push(promise);
    promises
}

impl<A: Plain, X: Plain> Wake for Placed<A, X> {
    fn wake(self: Arc<Self>) {
        self.look();
    }
}

/// G7: a waker owns something aligned, whether it is parked, replaced, woken or given back.
#[test]
fn wakers() {
    fn parked<A: Plain, X: Plain>() {
        let waker = || Waker::from(Arc::new(Placed::<A, X>::new()));
        for tasks in [1, 3] {
            // Each task parks two, and wakes one.
            check(3 * tasks, || {
                let (deferred, promise) = Deferred::<u32>::new();
                let mut promises = several(tasks, promise);
                for promise in &mut promises {
                    assert!(poll(promise, &waker()).is_pending());
                    assert!(poll(promise, &waker()).is_pending());
                }
                deferred.resolve(1);
                assert!(promises.iter_mut().all(|promise| poll_once(promise).is_ready()));
            });
            check(tasks, || {
                let (_deferred, promise) = Deferred::<u32>::new();
                for mut promise in several(tasks, promise) {
                    assert!(poll(&mut promise, &waker()).is_pending());
                }
            });
        }
    }
    each!(parked);
}

type Outcome<A, X> = Result<Placed<A, X>, Placed<A, X>>;

fn see<A, X>(outcome: &Outcome<A, X>) {
    match outcome {
        Ok(placed) | Err(placed) => placed.look(),
    }
}

/// G3: one consumer gets an aligned value or error, which is not cloned.
#[test]
fn outcomes_of_one_consumer() {
    fn outcomes<A: Plain, X: Plain>() {
        type Consume<A, X> = fn(Promise<Placed<A, X>, Placed<A, X>>);
        let consumes: [(Consume<A, X>, usize); 4] = [
            (|promise| see(&ready(promise)), 2),
            (|promise| drop(promise.then(Ok).catch(Err).always(see)), 2),
            (|promise| drop(promise.always(see).map_err(|error| error).fail(|_| ())), 2),
            (drop, 1),
        ];
        let makes: [fn() -> Outcome<A, X>; 2] = [|| Ok(Placed::new()), || Err(Placed::new())];
        for make in makes {
            for (consume, looks) in consumes {
                check(looks, || {
                    let (deferred, promise) = Deferred::<Placed<A, X>, Placed<A, X>>::new();
                    deferred.settle(make());
                    // The error is looked at, and so is not reported.
                    promise.peek(|_| ());
                    consume(promise);
                });
            }
        }
    }
    each!(outcomes);
}

/// G3: several consumers get aligned values or errors. Observers, `peek` and `clone` see the one that they are made of.
#[test]
fn outcomes_of_several_consumers() {
    fn outcomes<A: Plain, X: Plain>() {
        let makes: [fn() -> Outcome<A, X>; 2] = [|| Ok(Placed::new()), || Err(Placed::new())];
        for make in makes {
            for late in [false, true] {
                // Two observers, a peek and three clones look. Each of four consumers looks, and drops what it has.
                check(2 + 1 + 3 + 2 * 4, || {
                    let (deferred, promise) = Deferred::<Placed<A, X>, Placed<A, X>>::new();
                    if late {
                        deferred.settle(make());
                    }
                    let promise = promise.done(Placed::look).fail(Placed::look).always(see);
                    let (awaited, other, peeked) = (promise.clone(), promise.clone(), promise.clone());
                    let derived = promise.then(|value| {
                        value.look();
                        Ok(value)
                    });
                    let derived = derived.catch(|error| {
                        error.look();
                        Err(error)
                    });
                    drop(derived.fail(|_| ()));
                    if !late {
                        deferred.settle(make());
                    }
                    peeked.peek(|outcome| see(outcome.expect("it is settled")));
                    see(&ready(awaited));
                    let Ok(ends) = ready(when::settled([other, peeked])) else { panic!("it has all ends") };
                    ends.iter().for_each(see);
                });
            }
        }
    }
    each!(outcomes);
}

/// G2, G8: an error that the library makes is aligned for observers, `peek` and consumers.
#[test]
fn errors_of_the_library() {
    fn errors<A: Plain, X: Plain>() {
        for cancels in [false, true] {
            // Two observers, a peek and a clone look. Each of two consumers looks, and drops what it has.
            check(2 + 1 + 1 + 2 * 2, || {
                let (deferred, promise) = Deferred::<u32, Placed<A, X>>::new();
                let promise = promise.fail(Placed::look).fail(Placed::look);
                if cancels {
                    promise.cancel();
                }
                drop(deferred);
                promise.peek(|outcome| outcome.unwrap().as_ref().unwrap_err().look());
                let derived = promise.clone().then(Ok).map_err(|error| {
                    error.look();
                    error
                });
                drop(derived.fail(|_| ()));
                ready(promise).unwrap_err().look();
            });
        }
    }
    each!(errors);
}

/// G4: a listener sees an aligned report.
#[test]
fn reports() {
    fn reports<A: Plain, X: Plain>() {
        // Two listeners are told both reports, and a third the last one.
        check(2 * 2 + 1 + 2, || {
            let (deferred, promise) = Deferred::<u32, Broken, Placed<A, X>>::with_progress();
            let promise = promise.progress(Placed::look);
            assert!(deferred.notify(Placed::new()));
            let promise = promise.progress(Placed::look);
            assert!(deferred.notify(Placed::new()));
            deferred.resolve(1);
            promise.progress(Placed::look);
        });
    }
    each!(reports);
}
