//! Canceling: one more attempt to settle, which goes up a chain.

use super::{Deferred, Promise};
use crate::util::{Count, Log, OnDrop, poll_once};
use deferral::{Broken, BrokenKind, State};

/// A callback that logs the kind of an error.
fn kind(log: &Log, name: &'static str) -> impl FnOnce(&Broken) + Send + 'static {
    let entries = log.clone();
    move |broken: &Broken| entries.add(format!("{name}:{:?}", broken.kind()))
}

fn add(log: &Log, entry: &'static str) -> impl FnOnce() + Send + 'static {
    let entries = log.clone();
    move || entries.add(entry)
}

/// A pending promise whose `on_cancel` counts.
fn source() -> (Deferred<u32>, Promise<u32>, Count) {
    let (deferred, promise) = Deferred::<u32>::new();
    let count = Count::new();
    let canceled = count.clone();
    deferred.on_cancel(move || canceled.add());
    (deferred, promise, count)
}

/// G8, X1, A5: the cancel wins, and then the producer's callbacks run, in order; then the observers; then the consumers.
#[test]
fn first_the_producer_then_the_observers_then_the_consumers() {
    let log = Log::new();
    let (deferred, promise) = Deferred::<u32>::new();
    promise.clone().catch({
        let entries = log.clone();
        move |broken| {
            entries.add(format!("catch:{:?}", broken.kind()));
            Ok(0)
        }
    });
    let promise = promise.fail(kind(&log, "fail"));
    let always = add(&log, "always");
    deferred.on_cancel(add(&log, "cancel1")).always(move |_| always());
    let inner = deferred.clone();
    let entries = log.clone();
    deferred.on_cancel(move || entries.add(format!("{:?}:{}", inner.state(), inner.resolve(1))));
    assert!(promise.cancel());
    assert_eq!(log.text(), "cancel1 Rejected:false fail:Canceled always catch:Canceled");
}

/// G8, X2, X3, X7: a cancel that comes second is refused, and its callbacks never run.
#[test]
fn too_late_to_cancel() {
    for settle in [|d: &Deferred<u32>| d.resolve(1), |d: &Deferred<u32>| d.clone().settle(Ok(2))] {
        let (deferred, promise, canceled) = source();
        assert!(settle(&deferred));
        assert!(!promise.cancel());
        assert_eq!((canceled.get(), promise.state()), (0, State::Resolved));
    }
    let (deferred, promise, canceled) = source();
    assert!(promise.cancel());
    assert!(!promise.cancel());
    assert!(!deferred.resolve(1));
    assert_eq!(canceled.get(), 1);
}

/// G8, X6: `on_cancel` on a promise that was canceled runs at once; on one that ended otherwise never.
#[test]
fn on_cancel_after_the_cancel_runs_at_once() {
    let (deferred, promise, _) = source();
    promise.cancel();
    drop(promise);
    let log = Log::new();
    deferred.on_cancel(add(&log, "late"));
    assert_eq!(log.text(), "late");

    let (deferred, promise, _) = source();
    deferred.resolve(1);
    deferred.on_cancel(add(&log, "never"));
    assert_eq!(log.text(), "late");
    drop(promise);
}

/// X13: early and late observers, and consumers, of a canceled promise see the same.
#[test]
fn late_observers_see_the_cancel() {
    let log = Log::new();
    let (deferred, promise) = Deferred::<u32>::new();
    let promise = promise.fail(kind(&log, "early"));
    promise.cancel();
    deferred.fail(kind(&log, "late"));
    promise.then(Ok).fail(kind(&log, "then"));
    assert_eq!(log.text(), "early:Canceled late:Canceled then:Canceled");
}

/// G8, X10: it goes up a chain, through `then`, `catch` and `map_err`, to the source, whose observers do not keep it; the functions
/// are dropped unrun, and every promise on the way is canceled.
#[test]
fn up_a_chain() {
    let (deferred, promise, canceled) = source();
    let log = Log::new();
    let (one, two) = (add(&log, "-then"), add(&log, "-catch"));
    let (guard, other) = (OnDrop::new(one), OnDrop::new(two));
    let promise = promise.fail(kind(&log, "source")).always(|_| ()).progress(|_| ());
    let then = promise.then(move |n| {
        drop(guard);
        log_unreachable(n)
    });
    let tail = then
        .fail(kind(&log, "middle"))
        .catch(move |broken| {
            drop(other);
            Err(broken)
        })
        .map_err(|broken| broken);
    assert!(tail.cancel());
    assert_eq!((canceled.get(), deferred.state()), (1, State::Rejected));
    let mut seen: Vec<_> = log.text().split(' ').map(str::to_owned).collect();
    seen.sort();
    assert_eq!(seen, ["-catch", "-then", "middle:Canceled", "source:Canceled"]);
}

fn log_unreachable(_: u32) -> Result<u32, Broken> {
    unreachable!("a canceled chain runs nothing")
}

/// G8, X10, trap 10: a source with another consumer stays: a promise, a `then`, a promise that is awaited. Canceling a branch
/// twice does not count twice; the last one takes the source along.
#[test]
fn another_consumer_keeps_the_source() {
    let (deferred, promise, canceled) = source();
    let (one, two) = (promise.clone().then(Ok), promise.clone().then(Ok));
    let mut awaiting = promise.clone();
    assert!(poll_once(&mut awaiting).is_pending());
    assert!(one.cancel());
    assert!(!one.cancel());
    assert_eq!(deferred.state(), State::Pending);
    // One that comes later counts as well.
    let three = promise.then(Ok);
    drop(awaiting);
    assert!(two.cancel());
    assert_eq!((deferred.state(), canceled.get()), (State::Pending, 0));
    assert!(three.cancel());
    assert_eq!((deferred.state(), canceled.get()), (State::Rejected, 1));
}

/// G8, trap 10: a branch that was dropped, not canceled, still wants the source: it is detached.
#[test]
fn a_dropped_branch_keeps_the_source() {
    let log = Log::new();
    let (deferred, promise, canceled) = source();
    let entries = log.clone();
    promise.clone().then(move |n| {
        entries.add(n);
        Ok(())
    });
    let two = promise.then(Ok);
    assert!(two.cancel());
    assert_eq!(canceled.get(), 0);
    assert!(deferred.resolve(5));
    assert_eq!(log.text(), "5");
}

/// X12: a cancel of the source comes down the chain as an error; functions of `then` are skipped, those of `catch` recover.
#[test]
fn down_a_chain() {
    let (_deferred, promise, _) = source();
    let tail = promise.clone().then(log_unreachable).catch(|broken| match broken.kind() {
        BrokenKind::Canceled => Ok(9),
        _ => Err(broken),
    });
    assert!(promise.cancel());
    let log = Log::new();
    let entries = log.clone();
    tail.done(move |n| entries.add(n));
    assert_eq!(log.text(), "9");
}

/// G8, X11: a promise that took over another cancels that one, unless it has another consumer.
#[test]
fn into_an_adopted_promise() {
    for shared in [false, true] {
        let (_inner, promise, canceled) = source();
        let other = shared.then(|| promise.clone());
        let outer = Promise::<u32>::resolved(1).then(move |_| promise);
        assert_eq!(outer.state(), State::Pending);
        assert!(outer.cancel());
        assert_eq!(canceled.get(), usize::from(!shared));
        drop(other);
    }
}

/// G8: a function that cancels its own promise and then returns a promise that nobody else holds: that is canceled, too.
#[test]
fn inside_the_function_that_goes_on() {
    let (deferred, promise) = Deferred::<u32>::new();
    let (_inner, adopted, canceled) = source();
    let slot: std::sync::Arc<std::sync::Mutex<Option<Promise<u32>>>> = Default::default();
    let own = slot.clone();
    let outer = promise.then(move |_| {
        let outer = own.lock().unwrap().take().expect("the promise of this function");
        assert!(outer.cancel());
        adopted
    });
    *slot.lock().unwrap() = Some(outer);
    deferred.resolve(1);
    assert_eq!(canceled.get(), 1);
}

/// G8: `forward` carries a cancel of the target to the source, if it is owned alone; also where the target is canceled already.
#[test]
fn through_forward() {
    for shared in [false, true] {
        for early in [false, true] {
            let (_source, promise, canceled) = source();
            let other = shared.then(|| promise.clone());
            let (target, followed) = Deferred::<u32>::new();
            if early {
                followed.cancel();
                promise.forward(target);
            } else {
                promise.forward(target);
                followed.cancel();
            }
            assert_eq!(canceled.get(), usize::from(!shared), "shared: {shared}, early: {early}");
            drop(other);
        }
    }
}

/// G8: a target that is settled otherwise detaches from its source, which goes on.
#[test]
fn forward_into_a_settled_target_cancels_nothing() {
    for early in [false, true] {
        let (deferred, promise, canceled) = source();
        let (target, followed) = Deferred::<u32>::new();
        if early {
            target.resolve(1);
            promise.forward(target);
        } else {
            promise.forward(target.clone());
            target.resolve(1);
        }
        assert_eq!((canceled.get(), deferred.state(), followed.state()), (0, State::Pending, State::Resolved));
    }
}

/// G8: of a cancel that goes up, a target that something else has settled holds no claim: another follower's cancel gets through.
#[test]
fn a_settled_target_does_not_keep_the_source() {
    let (_deferred, promise, canceled) = source();
    let branch = promise.clone().then(Ok);
    let (target, _followed) = Deferred::<u32>::new();
    promise.forward(target.clone());
    Promise::resolved(1).forward(target);
    assert!(branch.cancel());
    assert_eq!(canceled.get(), 1);
}

/// G8: `on_cancel` may settle other promises and hang more callbacks on its own.
#[test]
fn on_cancel_may_add_to_its_own() {
    let log = Log::new();
    let (deferred, promise) = Deferred::<u32>::new();
    let (inner, entries) = (deferred.clone(), log.clone());
    deferred.on_cancel(move || {
        entries.add("1");
        inner.on_cancel(add(&entries, "3"));
        let always = add(&entries, "5");
        inner.always(move |_| always());
        entries.add("2");
    });
    let always = add(&log, "4");
    deferred.always(move |_| always());
    promise.cancel();
    assert_eq!(log.text(), "1 2 3 4 5");
}

/// G8: a target that follows two promises cancels both.
#[test]
fn into_every_source() {
    let ((_first, one, canceled), (_second, two, other)) = (source(), source());
    let (target, followed) = Deferred::<u32>::new();
    one.forward(target.clone());
    two.forward(target);
    assert!(followed.cancel());
    assert_eq!((canceled.get(), other.get()), (1, 1));
}
