//! What once went wrong, or nearly did, where no thread is involved.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};
use std::task::{Wake, Waker};

use super::{Deferred, Promise};
use crate::util::{Count, Counted, Log, kind_of, poll, poll_once, ready, small_stack, watchdog};
use deferral::{Broken, BrokenKind, Progress, State, when};

/// A promise that somebody takes out.
type Slot = Arc<Mutex<Option<Promise<u32>>>>;

fn take(slot: &Slot) -> Promise<u32> {
    slot.lock().unwrap().take().expect("it is taken once")
}

/// A promise that gave its value already.
fn spent(value: u32) -> Promise<u32> {
    let mut promise = Promise::resolved(value);
    assert!(poll_once(&mut promise).is_ready());
    promise
}

/// Runs `f` as a callback of a promise.
fn inside_a_callback(f: impl FnOnce() + Send + 'static) {
    Promise::<()>::resolved(()).done(move |()| f());
}

/// Whether `f` ends without a panic.
fn is_quiet(f: impl FnOnce()) -> bool {
    catch_unwind(AssertUnwindSafe(f)).is_ok()
}

/// Section 1, `is_wanted`: a producer without promises is wanted while its progress callback runs.
#[test]
fn a_running_progress_callback_wants_the_producer() {
    let log = Log::new();
    let (deferred, promise) = Deferred::<u32>::new();
    drop(promise);
    let (inner, entries) = (deferred.clone(), log.clone());
    deferred.progress(move |_| entries.add(inner.is_wanted()));
    assert!(deferred.is_wanted());
    deferred.notify(Progress::default());
    deferred.resolve(1);
    assert_eq!(log.text(), "true");
}

/// G8: a `then` that is canceled by the one ahead of it does not run, though its source is resolved.
#[test]
fn a_then_canceled_by_its_sibling_does_not_run() {
    let log = Log::new();
    let (deferred, promise) = Deferred::<u32>::new();
    let second = Slot::default();
    let (slot, entries) = (second.clone(), log.clone());
    promise.clone().then(move |n| {
        entries.add(take(&slot).cancel());
        Ok(n)
    });
    let ran = log.entry("ran");
    *second.lock().unwrap() = Some(promise.then(move |n| {
        ran();
        Ok(n)
    }));
    deferred.resolve(1);
    assert_eq!(log.text(), "true");
}

/// G7: a promise settled by the second that it follows lets go of the first.
#[test]
fn a_second_forward_that_settles_lets_go_of_the_first() {
    let (producer, source) = Deferred::<u32>::new();
    let (deferred, promise) = Deferred::<u32>::new();
    source.forward(deferred.clone());
    Promise::resolved(1).forward(deferred);
    assert_eq!(ready(promise).unwrap(), 1);
    assert!(!producer.is_wanted());
}

/// G8, X10: an `on_cancel` that forwards a default to the canceled promise does not keep the cancel from its source.
#[test]
fn a_default_in_on_cancel_leaves_the_cancel_its_way() {
    let (producer, source) = Deferred::<u32>::new();
    let (deferred, promise) = Deferred::<u32>::new();
    source.forward(deferred.clone());
    let target = deferred.clone();
    deferred.on_cancel(move || Promise::resolved(0).forward(target));
    assert!(promise.cancel());
    assert_eq!(kind_of(ready(promise)), BrokenKind::Canceled);
    assert_eq!(producer.state(), State::Rejected);
}

/// G9, G14: a `map` whose function returns a promise that gave its value already is rejected with kind `Panicked`; it does not hang.
#[test]
fn a_map_over_a_spent_promise_is_rejected() {
    let (deferred, gate) = Deferred::<u32>::new();
    let mut gate = Some(gate);
    let mapped = when::map([0, 1], 1, move |_| gate.take().unwrap_or_else(|| spent(7)));
    deferred.resolve(1);
    assert_eq!(kind_of(ready(mapped)), BrokenKind::Panicked);
}

/// G9, G14: so is a `then` that returns one, and the settle that ran it does not panic.
#[test]
fn a_then_that_returns_a_spent_promise_is_rejected() {
    let (deferred, promise) = Deferred::<u32>::new();
    let then = promise.then(|_| spent(7));
    assert!(is_quiet(|| assert!(deferred.resolve(1))));
    assert_eq!(kind_of(ready(then)), BrokenKind::Panicked);
}

/// G4: a `map` of results alone is settled and at rest when it returns, inside a callback too: a `done` runs at once.
#[test]
fn a_map_of_results_is_at_rest_inside_a_callback() {
    let log = Log::new();
    let entries = log.clone();
    inside_a_callback(move || {
        let mapped: Promise<Vec<u32>> = when::map([1, 2], 2, Ok::<u32, Broken>);
        assert_eq!(mapped.state(), State::Resolved);
        let done = entries.entry("done");
        mapped.done(move |_| done());
        entries.add("after");
    });
    assert_eq!(log.text(), "done after");
}

/// G4: so is a race of nothing.
#[test]
fn a_race_of_nothing_is_at_rest_inside_a_callback() {
    let log = Log::new();
    let entries = log.clone();
    inside_a_callback(move || {
        let fail = entries.entry("fail");
        when::race(Vec::<Promise<u32>>::new()).fail(move |_| fail());
        entries.add("after");
    });
    assert_eq!(log.text(), "fail after");
}

/// G4: a `forward` of a settled promise has run the target's observers when it returns, inside a callback too.
#[test]
fn a_forward_settles_its_target_at_once_inside_a_callback() {
    let log = Log::new();
    let entries = log.clone();
    inside_a_callback(move || {
        let (deferred, promise) = Deferred::<u32>::new();
        let done = entries.entry("done");
        promise.done(move |_| done());
        Promise::resolved(1).forward(deferred);
        entries.add("after");
    });
    assert_eq!(log.text(), "done after");
}

/// G7: a `then` whose own promise is canceled and gone before its callback returns drops what that brings, and once.
#[test]
fn what_a_then_brings_too_late_is_dropped() {
    let value = Counted::new();
    let drops = value.drops.clone();
    let (deferred, promise) = Deferred::<u32>::new();
    let place: Arc<Mutex<Option<Promise<Counted>>>> = Arc::default();
    let own = place.clone();
    let derived = promise.then(move |_| {
        let derived = own.lock().unwrap().take().expect("it is taken once");
        assert!(derived.cancel());
        drop(derived);
        Ok(value)
    });
    *place.lock().unwrap() = Some(derived);
    assert!(deferred.resolve(1));
    assert_eq!(drops.get(), 1);
}

/// G4, G7: a `forward` that closes a ring has rejected it when it returns, inside a callback too.
#[test]
fn a_forward_breaks_its_ring_at_once_inside_a_callback() {
    let log = Log::new();
    let entries = log.clone();
    inside_a_callback(move || {
        let (deferred, promise) = Deferred::<u32>::new();
        let fail = entries.entry("fail");
        promise.then(Ok).fail(move |_| fail()).forward(deferred);
        entries.add("after");
    });
    assert_eq!(log.text(), "fail after");
}

/// A report whose drop counts, and panics.
struct Bomb(Count);

impl Drop for Bomb {
    fn drop(&mut self) {
        self.0.add();
        panic!("bomb");
    }
}

type Mined = (Deferred<u32, Broken, Bomb>, Promise<u32, Broken, Bomb>, Count);

/// A promise that keeps such a report for late listeners.
fn mined() -> Mined {
    let (deferred, promise) = Deferred::with_progress();
    let drops = Count::new();
    deferred.notify(Bomb(drops.clone()));
    (deferred, promise, drops)
}

/// G9: the last drop of a producer does not unwind, though the drop of the last report panics.
#[test]
fn a_report_that_panics_in_the_drop_of_a_producer() {
    let (deferred, promise, drops) = mined();
    drop(promise);
    assert!(is_quiet(|| drop(deferred)));
    assert_eq!(drops.get(), 1);
}

/// G9: nor does the drop of a promise that gave its value.
#[test]
fn a_report_that_panics_in_the_drop_of_a_promise() {
    let (deferred, mut promise, drops) = mined();
    deferred.resolve(1);
    drop(deferred);
    assert!(poll_once(&mut promise).is_ready());
    assert!(is_quiet(|| drop(promise)));
    assert_eq!(drops.get(), 1);
}

/// G9: a report that panics when a cancel drops it, along with the continuation that owns its producer, wedges nothing: on this
/// thread an observer's panic still resumes, a callback still runs, and the canceled promise is ready.
#[test]
fn a_report_that_panics_in_a_cancel_wedges_nothing() {
    watchdog(|| {
        let (deferred, promise, drops) = mined();
        // What tries again owns the producer of its own source.
        let then = promise.then(move |n| {
            let _producer = &deferred;
            Ok(n)
        });
        // The panic may resume out of the cancel, as that of a callback.
        is_quiet(|| {
            then.cancel();
        });
        assert_eq!(drops.get(), 1);
        assert!(!is_quiet(|| drop(Promise::<u32>::resolved(1).done(|_| panic!("of an observer")))));
        let failed = Count::new();
        let count = failed.clone();
        when::race(Vec::<Promise<u32>>::new()).fail(move |_| count.add());
        assert_eq!(failed.get(), 1);
        assert_eq!(kind_of(ready(then)), BrokenKind::Canceled);
    });
}

/// G5: reports that own the producer of the next, as deep as you like, are dropped without a deep stack.
#[test]
fn reports_nested_by_ownership() {
    struct Nest(Option<Box<Deferred<(), Broken, Nest>>>);
    impl Nest {
        fn is_last(&self) -> bool {
            self.0.is_none()
        }
    }
    small_stack(|| {
        let mut nest = Nest(None);
        assert!(nest.is_last());
        for _ in 0..100_000 {
            let (deferred, promise) = Deferred::with_progress();
            drop(promise);
            deferred.notify(nest);
            nest = Nest(Some(Box::new(deferred)));
        }
        assert!(!nest.is_last());
        drop(nest);
    });
}

/// G7: a ring that passes through the inputs of a `map` is rejected with kind `Cycle`.
#[test]
fn a_ring_through_a_map_is_broken() {
    let (deferred, promise) = Deferred::<Vec<u32>>::new();
    let source = promise.clone();
    when::map([()], 1, move |()| source.clone().then(|all| Ok(all[0]))).forward(deferred);
    assert_eq!(kind_of(ready(promise)), BrokenKind::Cycle);
}

/// G7: so is one that passes through a `when`.
#[test]
fn a_ring_through_a_when_is_broken() {
    let (deferred, promise) = Deferred::<Vec<u32>>::new();
    when(vec![promise.clone().then(|all| Ok(all[0]))]).forward(deferred);
    assert_eq!(kind_of(ready(promise)), BrokenKind::Cycle);
}

/// G7: what follows a race that is decided is in no ring with the race's other inputs.
#[test]
fn a_decided_race_closes_no_ring() {
    let (first, decisive) = Deferred::<u32>::new();
    let (last, promise) = Deferred::<u32>::new();
    let race = when::race([promise.clone(), decisive.clone()]);
    decisive.then(move |_| {
        race.then(Ok).forward(last);
        Ok(())
    });
    first.resolve(1);
    assert_eq!(ready(promise).unwrap(), 1);
}

/// G9: the drop of a promise does not unwind, though the drop of its parked waker panics.
#[test]
fn a_waker_that_panics_in_the_drop_of_a_promise() {
    struct Bite;
    impl Wake for Bite {
        fn wake(self: Arc<Self>) {}
    }
    impl Drop for Bite {
        fn drop(&mut self) {
            panic!("a waker that bites");
        }
    }
    let (deferred, mut promise) = Deferred::<u32>::new();
    let waker = Waker::from(Arc::new(Bite));
    assert!(poll(&mut promise, &waker).is_pending());
    drop(waker);
    assert!(is_quiet(|| drop(promise)));
    assert!(!deferred.is_wanted());
}

/// So many that no search of each through all the others would end in time.
const LINKS: usize = 20_000;

/// Links `LINKS` promises by `forward`, with a `then` between each two, in the order that `order` gives, and resolves the first.
fn link(order: impl Iterator<Item = usize> + Send + 'static) {
    small_stack(move || {
        let (head, promise) = Deferred::<u32>::new();
        let (mut sources, mut targets) = (vec![Some(promise)], vec![]);
        for _ in 0..LINKS {
            let (deferred, promise) = Deferred::<u32>::new();
            targets.push(Some(deferred));
            sources.push(Some(promise.then(Ok)));
        }
        for index in order {
            let target = targets[index].take().expect("a link is made once");
            sources[index].take().expect("a link is made once").forward(target);
        }
        head.resolve(1);
        let tail = sources.pop().flatten().expect("nobody follows the tail");
        assert_eq!(ready(tail).unwrap(), 1);
    });
}

/// G5, G7: a chain linked from its head costs time in proportion to its length: no link looks for a ring through the whole of it.
#[test]
fn links_from_the_head_search_little() {
    link(0..LINKS);
}

/// G5, G7: the same where every other link is made first, and each of the rest joins two parts.
#[test]
fn links_between_links_search_little() {
    link((0..LINKS).step_by(2).chain((1..LINKS).step_by(2)));
}

/// G5: values that come too late, each of which settles again with the next when it is dropped, take no stack.
#[test]
fn late_values_that_settle_from_their_drop() {
    struct Late(u32, Deferred<Late>, Count);
    impl Drop for Late {
        fn drop(&mut self) {
            self.2.add();
            if self.0 > 0 {
                let (deferred, drops) = (self.1.clone(), self.2.clone());
                self.1.resolve(Late(self.0 - 1, deferred, drops));
            }
        }
    }
    small_stack(|| {
        let (deferred, promise) = Deferred::<Late>::new();
        promise.cancel();
        let drops = Count::new();
        deferred.resolve(Late(100_000, deferred.clone(), drops.clone()));
        assert_eq!(drops.get(), 100_001);
    });
}

/// G4, G8: a cancel inside a progress callback comes after that report for `on_cancel` and for the observers, and no report follows.
#[test]
fn a_cancel_inside_progress_ends_the_reports() {
    let log = Log::new();
    let (deferred, promise) = Deferred::<u32>::new();
    deferred.on_cancel(log.entry("cancel"));
    let (source, entries) = (promise.clone(), log.clone());
    let fail = log.entry("fail");
    let _promise = promise
        .progress(move |report| {
            entries.add(report.done);
            source.cancel();
        })
        .fail(move |_| fail());
    assert!(deferred.notify(Progress { done: 1, total: 2 }));
    assert!(!deferred.notify(Progress { done: 2, total: 2 }));
    assert_eq!(log.text(), "1 cancel fail");
}

/// What a race does to its losing input, when `hold` leaves only a callback on the race, and its result is dropped.
fn lose(hold: impl FnOnce(Promise<u32>, Count)) {
    let (loser, losing) = Deferred::<u32>::new();
    let (winner, winning) = Deferred::<u32>::new();
    let (canceled, served) = (Count::new(), Count::new());
    let count = canceled.clone();
    loser.on_cancel(move || count.add());
    hold(when::race([losing, winning]), served.clone());
    winner.resolve(1);
    assert_eq!((loser.state(), canceled.get(), served.get()), (State::Rejected, 1, 1));
}

/// G8: a race that is only observed, its promise dropped, cancels its losers.
#[test]
fn an_observed_race_cancels_its_losers() {
    lose(|race, served| {
        race.done(move |_| served.add());
    });
}

/// G8: so does one that only goes on to a `then`, whose promise is dropped.
#[test]
fn a_chained_race_cancels_its_losers() {
    lose(|race, served| {
        race.then(move |n| {
            served.add();
            Ok(n)
        });
    });
}

/// G7, G8: a canceled promise follows nothing any more: an `on_cancel` that closes what was a ring until then closes none, and its
/// source is canceled. The race is wide, so that the search for a ring finds the canceled promise from its other end.
#[test]
fn a_canceled_promise_is_in_no_ring() {
    let (head, source) = Deferred::<u32>::new();
    let (deferred, promise) = Deferred::<u32>::new();
    source.clone().forward(deferred.clone());
    let (_producers, others): (Vec<_>, Vec<_>) = (0..20).map(|_| Deferred::<u32>::new()).unzip();
    let race = when::race([promise.clone().then(Ok)].into_iter().chain(others));
    let forwarded = race.clone();
    deferred.on_cancel(move || forwarded.forward(head));
    assert!(promise.cancel());
    assert_eq!(kind_of(ready(source)), BrokenKind::Canceled);
    drop(race);
}

/// G8: a `flatten` that is canceled while it waits for its turn cancels the promise inside, which nobody else has.
#[test]
fn a_flatten_canceled_by_its_sibling_cancels_what_is_inside() {
    let (deferred, outer) = Deferred::<Promise<u32>>::new();
    let flat = Slot::default();
    let slot = flat.clone();
    outer.clone().then(move |inner| {
        drop(inner);
        assert!(take(&slot).cancel());
        Ok(())
    });
    *flat.lock().unwrap() = Some(outer.flatten());
    let (producer, inner) = Deferred::<u32>::new();
    deferred.resolve(inner);
    assert!(flat.lock().unwrap().is_none(), "the sibling has run");
    assert_eq!(producer.state(), State::Rejected);
}
