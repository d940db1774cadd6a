//! Claims to cancel: given up along a chain while other threads cancel, settle or register.
//!
//! An `on_cancel` is kept for as long as a cancel may come, and dropped, run or not, as soon as none can.

use std::sync::Arc;

use deferral::{Deferred, State};
use loom::thread;

use crate::{Count, MANY, PREEMPTIONS, Pair, explore, outcome};

/// What became of an `on_cancel`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fate {
    Kept,
    DroppedUnrun,
    Run,
}

/// An `on_cancel`, seen from outside.
struct Canceler(Count);

impl Canceler {
    fn new() -> Self {
        Canceler(Count::default())
    }

    fn callback(&self) -> impl FnOnce() + Send + 'static {
        let runs = self.0.clone();
        move || runs.add()
    }

    fn fate(&self) -> Fate {
        match (self.0.get(), Arc::strong_count(&self.0.0)) {
            (0, 1) => Fate::DroppedUnrun,
            (1, 1) => Fate::Run,
            (0, _) => Fate::Kept,
            (runs, kept) => panic!("an on_cancel ran {runs} times, and is there {kept} times"),
        }
    }
}

/// G7, G8: the end of a chain is dropped while a sibling, another continuation of its source, is canceled. The chain still wants the
/// value, so the source stays; but no cancel can come any more.
///
/// Catches a right that ends by a cancel without a look whether any is left that could cancel.
#[test]
fn a_claim_is_given_up_while_a_sibling_is_canceled() {
    explore(MANY, [Fate::DroppedUnrun], |tally| {
        let (deferred, promise): Pair = Deferred::new();
        let (canceler, ran) = (Canceler::new(), Count::default());
        deferred.on_cancel(canceler.callback());
        let sibling = promise.clone().then(Ok);
        let chain = promise.then(Ok).then({
            let ran = ran.clone();
            move |value| {
                ran.add();
                Ok(value)
            }
        });
        let other = thread::spawn(move || assert!(sibling.cancel()));
        drop(chain);
        other.join().unwrap();
        assert_eq!(deferred.state(), State::Pending);
        let fate = canceler.fate();
        assert!(deferred.resolve(tally.value(1)));
        assert_eq!((ran.get(), tally.made()), (1, 1));
        fate
    });
}

/// G8: one of two promises at the end of a chain is dropped while the other one is canceled: the cancel gets to the source.
///
/// Catches a drop that gives up the claim of a promise which another one still has.
#[test]
fn a_claim_is_given_up_while_its_clone_is_canceled() {
    explore(PREEMPTIONS, [Fate::Run], |_| {
        let (deferred, promise): Pair = Deferred::new();
        let canceler = Canceler::new();
        deferred.on_cancel(canceler.callback());
        let chain = promise.then(Ok).then(Ok);
        let clone = chain.clone();
        let other = thread::spawn(move || assert!(clone.cancel()));
        drop(chain);
        other.join().unwrap();
        assert_eq!(deferred.state(), State::Rejected);
        canceler.fate()
    });
}

/// G7, G8: the end of a chain is dropped while its source is settled. The chain runs, and the `on_cancel` goes unrun.
///
/// Catches a settle that runs an `on_cancel`, and a claim that is given up at a source which has gone.
#[test]
fn a_claim_is_given_up_while_the_source_is_settled() {
    explore(PREEMPTIONS, [1], |tally| {
        let (deferred, promise): Pair = Deferred::new();
        let (canceler, ran) = (Canceler::new(), Count::default());
        deferred.on_cancel(canceler.callback());
        let chain = promise.then(Ok).then({
            let ran = ran.clone();
            move |value| {
                ran.add();
                Ok(value)
            }
        });
        let value = tally.value(1);
        let other = thread::spawn(move || assert!(deferred.resolve(value)));
        drop(chain);
        other.join().unwrap();
        assert_eq!(canceler.fate(), Fate::DroppedUnrun);
        ran.get()
    });
}

/// G7: the end of a chain is dropped while an `on_cancel` is registered at its source. No cancel can come, so it goes unrun.
///
/// Catches a registration that does not look whether a cancel can still come.
#[test]
fn a_claim_is_given_up_while_on_cancel_is_registered() {
    explore(MANY, [Fate::DroppedUnrun], |_| {
        let (deferred, promise): Pair = Deferred::new();
        let canceler = Canceler::new();
        let callback = canceler.callback();
        let chain = promise.then(Ok).then(Ok);
        let other = thread::spawn(move || {
            deferred.on_cancel(callback);
            deferred
        });
        drop(chain);
        let deferred = other.join().unwrap();
        assert_eq!(deferred.state(), State::Pending);
        canceler.fate()
    });
}

/// G7: two continuations of one source are dropped at once. The later one finds that no cancel can come any more.
///
/// Catches a drop that gives up its claim without a look whether it was the last.
#[test]
fn the_last_two_claims_are_given_up_at_once() {
    explore(MANY, [Fate::DroppedUnrun], |tally| {
        let (deferred, promise): Pair = Deferred::new();
        let canceler = Canceler::new();
        deferred.on_cancel(canceler.callback());
        let sibling = promise.clone().then(Ok);
        let chain = promise.then(Ok);
        let other = thread::spawn(move || drop(sibling));
        drop(chain);
        other.join().unwrap();
        let fate = canceler.fate();
        assert!(deferred.resolve(tally.value(1)));
        assert_eq!(tally.made(), 2);
        fate
    });
}

/// G7, G8: the end of a chain is dropped while it comes to follow a promise that its continuation has returned. No cancel can come
/// there, either.
///
/// Catches a promise that comes to follow another one, and does not look whether it can be canceled itself.
#[test]
fn a_claim_is_given_up_while_a_promise_is_adopted() {
    explore(PREEMPTIONS, [Fate::DroppedUnrun], |tally| {
        let (deferred, promise): Pair = Deferred::new();
        let (inner, adopted): Pair = Deferred::new();
        let canceler = Canceler::new();
        inner.on_cancel(canceler.callback());
        let chain = promise.then(move |_| adopted);
        let value = tally.value(1);
        let other = thread::spawn(move || assert!(deferred.resolve(value)));
        drop(chain);
        other.join().unwrap();
        assert_eq!(inner.state(), State::Pending);
        canceler.fate()
    });
}

/// G8: the end of a chain is canceled while its source is settled. The `on_cancel` of the source runs if the cancel got there first.
///
/// Catches a cancel of a source that does not look whether it has been settled meanwhile.
#[test]
fn a_cancel_along_a_chain_races_settle() {
    let ends = [(true, Fate::Run), (true, Fate::DroppedUnrun), (false, Fate::DroppedUnrun)];
    explore(PREEMPTIONS, ends, |tally| {
        let (deferred, promise): Pair = Deferred::new();
        let canceler = Canceler::new();
        deferred.on_cancel(canceler.callback());
        let chain = promise.then(Ok).then(Ok);
        let value = tally.value(1);
        let other = thread::spawn(move || deferred.resolve(value));
        let canceled = chain.cancel();
        let resolved = other.join().unwrap();
        let fate = canceler.fate();
        assert_eq!(resolved, fate != Fate::Run);
        (canceled, fate)
    });
}

/// G3, G8: one of two branches of a source is canceled while that is settled. The other branch has its value in any case.
///
/// Catches a cancel that ends the right of a continuation which has used it up.
#[test]
fn a_cancel_of_a_branch_races_settle() {
    explore(PREEMPTIONS, [false, true], |tally| {
        let (deferred, promise): Pair = Deferred::new();
        let branch = promise.clone().then(Ok);
        let clone = promise.clone();
        let value = tally.value(1);
        let other = thread::spawn(move || assert!(deferred.resolve(value)));
        let canceled = branch.cancel();
        other.join().unwrap();
        assert_eq!([outcome(promise), outcome(clone)], [Ok(1), Ok(1)]);
        assert!(tally.made() == 3 || canceled && tally.made() == 2);
        canceled
    });
}

/// G8: a target is canceled while a promise is led to it. The cancel gets to that promise, whichever comes first.
///
/// Catches a promise that is led to a target, and does not look whether that has been canceled meanwhile.
#[test]
fn a_cancel_of_the_target_races_forward() {
    explore(PREEMPTIONS, [Fate::Run], |_| {
        let (deferred, promise): Pair = Deferred::new();
        let canceler = Canceler::new();
        deferred.on_cancel(canceler.callback());
        let (target, led): Pair = Deferred::new();
        let other = thread::spawn(move || assert!(led.cancel()));
        promise.forward(target);
        other.join().unwrap();
        assert_eq!(deferred.state(), State::Rejected);
        canceler.fate()
    });
}

/// G7, G8: the end of a chain is canceled while its continuation returns a promise. Nobody wants that one then: it is canceled, or goes
/// with a continuation that has not run.
///
/// Catches a promise that is adopted by one which was canceled meanwhile, and left alone.
#[test]
fn a_cancel_races_the_adoption_of_a_promise() {
    explore(PREEMPTIONS, [Fate::DroppedUnrun, Fate::Run], |tally| {
        let (deferred, promise): Pair = Deferred::new();
        let (inner, adopted): Pair = Deferred::new();
        let canceler = Canceler::new();
        inner.on_cancel(canceler.callback());
        let chain = promise.then(move |_| adopted);
        let value = tally.value(1);
        let other = thread::spawn(move || deferred.resolve(value));
        assert!(chain.cancel());
        other.join().unwrap();
        assert!(!inner.is_wanted());
        assert_eq!(inner.state() == State::Rejected, canceler.fate() == Fate::Run);
        canceler.fate()
    });
}

/// G7: two promises are led to one target, whose promise is dropped while an `on_cancel` is registered at the later one. No cancel can
/// come to either.
///
/// Catches a promise that gives up its claim at the first of its sources alone.
#[test]
fn a_claim_is_given_up_at_two_sources() {
    explore(PREEMPTIONS, [[Fate::DroppedUnrun; 2]], |_| {
        let (a, first): Pair = Deferred::new();
        let (b, second): Pair = Deferred::new();
        let cancelers = [Canceler::new(), Canceler::new()];
        a.on_cancel(cancelers[0].callback());
        let callback = cancelers[1].callback();
        let (target, led): Pair = Deferred::new();
        first.forward(target.clone());
        second.forward(target);
        let other = thread::spawn(move || {
            b.on_cancel(callback);
            b
        });
        drop(led);
        let b = other.join().unwrap();
        assert_eq!([a.state(), b.state()], [State::Pending; 2]);
        cancelers.map(|canceler| canceler.fate())
    });
}
