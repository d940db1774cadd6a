//! `when`: all of many.

use std::task::Poll;

use super::{Deferred, Promise};
use crate::util::{CloneBomb, Count, Counted, Log, panic_of, poll_once, ready};
use deferral::{Broken, BrokenKind, Progress, State, when};

/// As many pending promises as asked for, and what settles them.
pub(crate) fn pairs<E: From<Broken>, const N: usize>() -> ([Deferred<u32, E>; N], [Promise<u32, E>; N]) {
    let mut promises = Vec::new();
    let deferreds = std::array::from_fn(|_| {
        let (deferred, promise) = Deferred::new();
        promises.push(promise);
        deferred
    });
    (deferreds, promises.try_into().unwrap())
}

/// "1/3" and so on into a log.
pub(crate) fn fraction(log: &Log) -> impl FnMut(&Progress) + Send + 'static {
    let log = log.clone();
    move |progress| log.add(format!("{}/{}", progress.done, progress.total))
}

/// W1, trap 13: of nothing, it is resolved when `when` returns, and has nothing to report.
#[test]
fn nothing_resolves_at_once() {
    let log = Log::new();
    let list: Promise<Vec<u32>> = when(Vec::<Promise<u32>>::new()).progress(fraction(&log));
    let array: Promise<[u32; 0], String> = when([] as [Promise<u32, String>; 0]).progress(fraction(&log));
    let unit: Promise<()> = when(()).progress(fraction(&log));
    assert_eq!((list.state(), array.state(), unit.state()), (State::Resolved, State::Resolved, State::Resolved));
    assert_eq!(ready(list).unwrap(), [0; 0]);
    assert_eq!(ready(array), Ok([]));
    ready(unit).unwrap();
    assert_eq!(log.text(), "");
}

/// W2: results stand among promises, or alone.
#[test]
fn results_mix_with_promises() {
    let (deferred, promise) = Deferred::<u32, String>::new();
    let mut mixed: Promise<(u8, u32, &str), String> = when((Ok(1), promise, Ok("three")));
    assert_eq!(poll_once(&mut mixed), Poll::Pending);
    deferred.resolve(2);
    assert_eq!(ready(mixed), Ok((1, 2, "three")));

    let tuple: Promise<(u32, bool), String> = when((Ok(1), Ok(true)));
    assert_eq!(ready(tuple), Ok((1, true)));
    let array: Promise<[u32; 2], String> = when([Ok(1), Err("no".to_owned())]);
    assert_eq!(ready(array), Err("no".to_owned()));
    let list: Promise<Vec<u32>, String> = when(vec![Ok(1), Ok(2)]);
    assert_eq!(ready(list), Ok(vec![1, 2]));
}

/// W2: a rejected result decides a tuple before its promises, and cancels those that follow it as well as those ahead.
#[test]
fn a_rejected_result_decides_at_once() {
    let ([a, b], [first, last]) = pairs::<String, 2>();
    let all: Promise<(u32, u32, u32), String> = when((first, Err("no".to_owned()), last));
    assert_eq!(ready(all), Err("no".to_owned()));
    assert_eq!((a.state(), b.state()), (State::Rejected, State::Rejected));
}

/// W3, W4, trap 13: one input has the shape and the timing of many: observers run before the last `resolve` returns.
#[test]
fn one_input_is_treated_as_many() {
    let log = Log::new();
    let entry = |name: &'static str| {
        let log = log.clone();
        move || log.add(name)
    };
    let ([a, b, c], [pa, pb, pc]) = pairs::<Broken, 3>();
    let (list, array, tuple) = (entry("list"), entry("array"), entry("tuple"));
    when(vec![pa]).done(move |values: &Vec<u32>| (assert_eq!(*values, [1]), list()).1);
    when([pb]).done(move |values: &[u32; 1]| (assert_eq!(*values, [2]), array()).1);
    when((pc,)).done(move |values: &(u32,)| (assert_eq!(*values, (3,)), tuple()).1);
    let ([d, e], both) = pairs::<Broken, 2>();
    let two = entry("two");
    when(both).done(move |_| two());
    for (deferred, value) in [(a, 1), (b, 2), (c, 3), (d, 4), (e, 5)] {
        deferred.resolve(value);
        log.add(value);
    }
    assert_eq!(log.text(), "list 1 array 2 tuple 3 4 two 5");
}

/// W5: values stand in the order of the inputs, whatever the order of settling.
#[test]
fn values_keep_the_order_of_inputs() {
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let (d, p) = pairs::<Broken, 3>();
        let all = when(Vec::from(p));
        order.iter().for_each(|index| assert!(d[*index].resolve(*index as u32 * 10)));
        assert_eq!(ready(all).unwrap(), [0, 10, 20]);
        let (d, p) = pairs::<Broken, 3>();
        let all = when(p);
        order.iter().for_each(|index| assert!(d[*index].resolve(*index as u32 * 10)));
        assert_eq!(ready(all).unwrap(), [0, 10, 20]);
        let (d, [a, b, c]) = pairs::<Broken, 3>();
        let all = when((a, b, c));
        order.iter().for_each(|index| assert!(d[*index].resolve(*index as u32 * 10)));
        assert_eq!(ready(all).unwrap(), (0, 10, 20));
    }
}

/// Every arity of a tuple, pending, settled from the last to the first.
macro_rules! arity {
    ($n:literal: $($index:tt)*) => {{
        let (deferreds, promises) = pairs::<Broken, $n>();
        let mut promises = promises.into_iter();
        let all = when(($({ let _ = $index; promises.next().unwrap() },)*));
        let log = Log::new();
        let all = all.progress(fraction(&log));
        for index in (0..$n).rev() {
            assert_eq!(all.state(), State::Pending);
            deferreds[index].resolve(index as u32);
        }
        assert_eq!(ready(all).unwrap(), ($($index,)*));
        assert_eq!(log.text(), (1..=$n).map(|n| format!("{n}/{}", $n)).collect::<Vec<_>>().join(" "));
    }};
}

/// W2, W5: tuples of one to twelve, each with values in place and every step told.
#[test]
fn tuples_of_every_size() {
    arity!(1: 0);
    arity!(2: 0 1);
    arity!(3: 0 1 2);
    arity!(4: 0 1 2 3);
    arity!(5: 0 1 2 3 4);
    arity!(6: 0 1 2 3 4 5);
    arity!(7: 0 1 2 3 4 5 6);
    arity!(8: 0 1 2 3 4 5 6 7);
    arity!(9: 0 1 2 3 4 5 6 7 8);
    arity!(10: 0 1 2 3 4 5 6 7 8 9);
    arity!(11: 0 1 2 3 4 5 6 7 8 9 10);
    arity!(12: 0 1 2 3 4 5 6 7 8 9 10 11);
}

/// W6, W8, G8: the first rejection is the outcome, before that `reject` returns. By then inputs that nobody else holds are canceled; one
/// that somebody does goes on, and its end changes nothing.
#[test]
fn the_first_rejection_rejects_at_once() {
    let log = Log::new();
    let ([a, b, c], [pa, pb, pc]) = pairs::<String, 3>();
    let kept = pc.clone();
    let entries = log.clone();
    let all = when([pa, pb, pc]).fail(move |error| entries.add(error));
    let (canceled, told) = (Count::new(), Count::new());
    let counted = canceled.clone();
    a.on_cancel(move || counted.add());
    let counted = told.clone();
    a.fail(move |_| counted.add());
    b.reject("no".to_owned());
    assert_eq!((log.text().as_str(), canceled.get(), told.get()), ("no", 1, 1));
    assert!(!a.resolve(1));
    assert_eq!(c.state(), State::Pending);
    assert!(c.reject("later".to_owned()));
    assert_eq!((ready(all), ready(kept)), (Err("no".to_owned()), Err("later".to_owned())));
}

/// W7, trap 13: of several that are rejected already, the lowest index wins (jQuery takes the last), also behind a pending one.
#[test]
fn of_rejected_inputs_the_lowest_index_wins() {
    let no = |error: &str| Promise::<u32, String>::rejected(error.to_owned());
    assert_eq!(ready(when([no("a"), no("b"), no("c")])), Err("a".to_owned()));
    assert_eq!(ready(when(vec![Promise::resolved(1), no("b"), no("c")])), Err("b".to_owned()));
    let (deferred, pending) = Deferred::<u32, String>::new();
    assert_eq!(ready(when((pending, no("b"), no("c")))), Err("b".to_owned()));
    assert_eq!(deferred.state(), State::Rejected);
}

/// W10, G3, trap 13: one shared promise fills both places, by one clone and the value itself, pending or settled.
#[test]
fn the_same_promise_fills_two_places() {
    for early in [true, false] {
        let (deferred, promise) = Deferred::<Counted>::new();
        let value = Counted::new();
        let (clones, drops) = (value.clones.clone(), value.drops.clone());
        if early {
            assert!(deferred.resolve(value));
            drop(when((promise.clone(), promise)));
        } else {
            let all = when([promise.clone(), promise]);
            assert!(deferred.resolve(value));
            assert_eq!(drops.get(), 0);
            drop(all);
        }
        assert_eq!((clones.get(), drops.get()), (1, 2));
    }
}

/// W10, G8: a promise given twice is owned by the aggregate alone all the same: a failure cancels it.
#[test]
fn the_same_promise_twice_is_canceled_with_a_failure() {
    let ([twice, fails], [shared, failing]) = pairs::<String, 2>();
    let all = when([shared.clone(), failing, shared]);
    fails.reject("no".to_owned());
    assert!(!twice.resolve(1));
    assert_eq!(ready(all), Err("no".to_owned()));
}

/// G3: a single consumer needs no `Clone`, and the aggregate hands each value on as it is.
#[test]
fn values_are_moved_through() {
    struct Unique(u32);
    let (deferred, promise) = Deferred::<Unique>::new();
    let all = when((promise, Promise::<Unique>::resolved(Unique(2))));
    deferred.resolve(Unique(1));
    let (first, second) = ready(all).unwrap();
    assert_eq!((first.0, second.0), (1, 2));
}

/// Progress: every value counts, out of all inputs, in order, and before the end. Settled inputs count from the start.
#[test]
fn progress_counts_the_values() {
    let log = Log::new();
    let ([a, b, c], [pa, pb, pc]) = pairs::<Broken, 3>();
    let entries = log.clone();
    let all = when(vec![pa, Promise::resolved(0), pb, pc]).progress(fraction(&log)).done(move |_| entries.add("done"));
    log.add("-");
    b.resolve(1);
    a.resolve(2);
    c.resolve(3);
    all.progress(fraction(&log));
    assert_eq!(log.text(), "1/4 - 2/4 3/4 4/4 done 4/4");
}

/// Progress, P4: of settled inputs alone there is one report, which a late listener gets.
#[test]
fn progress_of_settled_inputs_is_told_once() {
    let log = Log::new();
    when([Promise::<u32>::resolved(1), Promise::resolved(2)]).progress(fraction(&log));
    assert_eq!(log.text(), "2/2");
}

/// Progress: a rejection is no progress, and what comes after it is not told.
#[test]
fn a_rejection_is_no_progress() {
    let log = Log::new();
    let ([a, b, c], [pa, pb, pc]) = pairs::<String, 3>();
    let kept = pc.clone();
    let all = when([pa, pb, pc]).progress(fraction(&log));
    a.resolve(1);
    b.reject("no".to_owned());
    c.resolve(3);
    all.progress(fraction(&log));
    assert_eq!(log.text(), "1/3 1/3");
    drop(kept);
}

/// The bookkeeping is done before a listener is told: from inside, the aggregate can be canceled, and that counts.
#[test]
fn canceled_by_its_own_progress() {
    let ([a, b], [pa, pb]) = pairs::<Broken, 2>();
    let all = when([pa, pb]);
    let canceler = all.clone();
    let all = all.progress(move |_| _ = canceler.cancel());
    a.resolve(1);
    assert!(!b.resolve(2));
    assert_eq!(ready(all).unwrap_err().kind(), BrokenKind::Canceled);
}

/// G9: a panic in a clone of a shared input is the aggregate's rejection, pending or settled; the input is unharmed.
#[test]
fn a_panicking_clone_rejects_the_aggregate() {
    for early in [true, false] {
        let (deferred, promise) = Deferred::<CloneBomb>::new();
        let kept = promise.clone();
        if early {
            deferred.resolve(CloneBomb);
        }
        let all = when([promise]);
        if !early {
            deferred.resolve(CloneBomb);
        }
        let broken = ready(all).unwrap_err();
        assert_eq!(broken.kind(), BrokenKind::Panicked);
        assert!(broken.to_string().ends_with("no copies"), "{broken}");
        assert!(ready(kept).is_ok());
    }
}

/// G9: an error that cannot be made of a `Broken` is told as `Panicked` by the aggregate, which cannot make it either.
#[test]
fn a_panicking_conversion_reaches_the_consumer() {
    #[derive(Clone, Debug)]
    struct Bomb;
    impl From<Broken> for Bomb {
        fn from(_: Broken) -> Self {
            panic!("no error today");
        }
    }
    let (deferred, promise) = Deferred::<u32, Bomb>::new();
    let all = when([promise]);
    drop(deferred);
    assert_eq!(all.state(), State::Rejected);
    assert!(panic_of(|| ready(all)).contains("no error today"));
}

/// G14: a promise that gave its value is refused by an aggregate, with the remedy.
#[test]
fn a_spent_promise_is_refused() {
    let mut spent = Promise::<u32>::resolved(1);
    assert!(poll_once(&mut spent).is_ready());
    assert!(panic_of(|| when([spent])).contains("clone the promise"));
}

/// G2: what the aggregate rejects by itself names the line that called `when`, and what an input brought names the input's.
#[test]
fn the_origin_is_the_line_of_the_call() {
    let ([a], [pa]) = pairs::<Broken, 1>();
    let (all, line) = (when([pa]), line!());
    all.cancel();
    let broken = ready(all).unwrap_err();
    assert_eq!((broken.origin().file(), broken.origin().line()), (file!(), line));
    drop(a);

    let ((deferred, promise), line) = (Deferred::<u32>::new(), line!());
    let all = when([promise]);
    drop(deferred);
    let broken = ready(all).unwrap_err();
    assert_eq!((broken.kind(), broken.origin().line()), (BrokenKind::Abandoned, line));
}

/// G7: after its end an aggregate keeps nothing: values that it will not pass on are dropped with the rejection.
#[test]
fn a_failure_drops_the_values_that_came() {
    let (a, pa) = Deferred::<Counted>::new();
    let (b, pb) = Deferred::<u32>::new();
    let all = when((pa, pb));
    let value = Counted::new();
    let drops: Count = value.drops.clone();
    a.resolve(value);
    assert_eq!(drops.get(), 0);
    drop(b);
    assert_eq!(drops.get(), 1);
    assert_eq!(all.state(), State::Rejected);
}

/// G7: so does one that is canceled, wherever the values stand among inputs that are still pending.
#[test]
fn a_cancel_drops_the_values_that_came() {
    let values = [Counted::new(), Counted::new()];
    let drops = values.each_ref().map(|value| value.drops.clone());
    let [before, after] = values.map(Promise::<Counted>::resolved);
    let (_deferred, pending) = Deferred::<Counted>::new();
    let all = when([before, pending, after]);
    assert_eq!(drops.each_ref().map(Count::get), [0, 0]);
    all.cancel();
    assert_eq!(drops.map(|drops| drops.get()), [1, 1]);
}
