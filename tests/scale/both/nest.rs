//! Values, callbacks and reports that own promises that own promises; and many waiters at one promise.

use std::cell::Cell;

use super::{Deferred, Promise};
use crate::util::{Count, Counted, CountingWaker, OnDrop, poll, small_stack};
use deferral::Broken;

/// Any recursion of even 21 bytes for each would overflow the stack.
const MANY: usize = 100_000;

/// A value that owns further promises: what a field's drop does is the point.
struct Nest {
    _inner: Vec<Promise<Nest>>,
    _boxed: Option<Box<Promise<Nest>>>,
    _counted: Counted,
}

fn nest(inner: Vec<Promise<Nest>>, boxed: Option<Box<Promise<Nest>>>, drops: &Count) -> Nest {
    Nest { _inner: inner, _boxed: boxed, _counted: Counted { drops: drops.clone(), clones: Count::new() } }
}

/// G5, trap 7: settled promises, each in a `Vec` of the value of the next; and the same in boxes.
#[test]
fn settled_values_that_own_promises() {
    for boxed in [false, true] {
        small_stack(move || {
            let drops = Count::new();
            let mut promise = Promise::resolved(nest(vec![], None, &drops));
            for _ in 0..MANY {
                let value = match boxed {
                    false => nest(vec![promise], None, &drops),
                    true => nest(vec![], Some(Box::new(promise)), &drops),
                };
                promise = Promise::resolved(value);
            }
            drop(promise);
            assert_eq!(drops.get(), MANY + 1);
        });
    }
}

/// G5: pending promises, each held, with its producer, by a callback of the next. The outermost is dropped in both orders.
#[test]
fn pending_promises_that_callbacks_own() {
    for producer_first in [false, true] {
        small_stack(move || {
            let drops = Count::new();
            let (mut deferred, mut promise) = Deferred::<u32>::new();
            for _ in 0..MANY {
                let (outer, outer_promise) = Deferred::<u32>::new();
                let counted = Counted { drops: drops.clone(), clones: Count::new() };
                let inner = (counted, deferred, promise);
                promise = outer_promise.done(move |_| drop(inner));
                deferred = outer;
            }
            if producer_first {
                drop(deferred);
                drop(promise);
            } else {
                drop(promise);
                drop(deferred);
            }
            assert_eq!(drops.get(), MANY);
        });
    }
}

/// G5: the same, held by `on_cancel` callbacks, by functions of `then`, and by destructors of callbacks that drop nothing but them.
#[test]
fn pending_promises_that_other_closures_own() {
    type Hold =
        fn(Deferred<u32>, Promise<u32>, (Counted, Deferred<u32>, Promise<u32>)) -> (Deferred<u32>, Promise<u32>);
    let holds: [Hold; 3] = [
        |deferred, promise, inner| {
            deferred.on_cancel(move || drop(inner));
            (deferred, promise)
        },
        |deferred, promise, inner| {
            let then = promise.then(move |n| {
                drop(inner);
                Ok(n)
            });
            (deferred, then)
        },
        |deferred, promise, inner| {
            let guard = OnDrop::new(move || drop(inner));
            (deferred, promise.fail(move |_| drop(guard)))
        },
    ];
    for hold in holds {
        small_stack(move || {
            let drops = Count::new();
            let (mut deferred, mut promise) = Deferred::<u32>::new();
            for _ in 0..MANY {
                let (outer, outer_promise) = Deferred::<u32>::new();
                let counted = Counted { drops: drops.clone(), clones: Count::new() };
                (deferred, promise) = hold(outer, outer_promise, (counted, deferred, promise));
            }
            drop(promise);
            drop(deferred);
            assert_eq!(drops.get(), MANY);
        });
    }
}

type Reporting = (Promise<u32, Broken, Report>, Deferred<u32, Broken, Report>);

/// A report that owns another promise, and notes how deep its drops nest.
struct Report(Option<Reporting>);

thread_local! {
    /// How deep they nest right now, and at most.
    static NESTED: Cell<(usize, usize)> = const { Cell::new((0, 0)) };
}

impl Drop for Report {
    fn drop(&mut self) {
        let (depth, most) = NESTED.get();
        NESTED.set((depth + 1, most.max(depth + 1)));
        drop(self.0.take());
        NESTED.set((depth, NESTED.get().1));
    }
}

/// G5: pending promises, each held by the last report of the next: their drops do not nest without a limit, whichever handle of
/// the outermost goes last. Counted, and not left to an overflow, which would end all other tests as well.
#[test]
fn reports_that_own_promises() {
    for producer_first in [false, true] {
        NESTED.set((0, 0));
        let mut report = Report(None);
        for _ in 0..1000 {
            let (deferred, promise) = Deferred::<u32, Broken, Report>::with_progress();
            deferred.notify(report);
            report = Report(Some((promise, deferred)));
        }
        let (promise, deferred) = report.0.take().expect("the outermost");
        if producer_first {
            drop(deferred);
            drop(promise);
        } else {
            drop(promise);
            drop(deferred);
        }
        let (_, most) = NESTED.get();
        assert!(most < 100, "{most} drops nest");
    }
}

/// Indices in an order of no pattern.
fn shuffled(number: usize) -> Vec<usize> {
    let mut indices: Vec<usize> = (0..number).collect();
    let mut seed = 0x2545_f491_4f6c_dd1d_u64;
    for last in (1..number).rev() {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        indices.swap(last, (seed % (last as u64 + 1)) as usize);
    }
    indices
}

/// G7, Z5: a crowd that awaits one promise leaves in no order, and costs no more than its number.
#[test]
fn a_crowd_of_waiters_that_leaves() {
    small_stack(|| {
        let (deferred, mut promise) = Deferred::<u32>::new();
        let (counting, waker) = CountingWaker::new();
        let mut crowd: Vec<_> = (0..MANY).map(|_| Some(promise.clone())).collect();
        crowd.iter_mut().flatten().for_each(|clone| assert!(poll(clone, &waker).is_pending()));
        assert!(poll(&mut promise, &waker).is_pending());
        shuffled(MANY).into_iter().for_each(|index| drop(crowd[index].take()));
        deferred.resolve(1);
        assert_eq!(counting.wakes(), 1);
    });
}

/// G7, G8, Z5: a crowd of derived promises is canceled in no order; the last one takes the source along.
#[test]
fn a_crowd_of_branches_that_is_canceled() {
    small_stack(|| {
        let (deferred, promise) = Deferred::<u32>::new();
        let canceled = Count::new();
        let count = canceled.clone();
        deferred.on_cancel(move || count.add());
        let crowd: Vec<_> = (0..MANY).map(|_| promise.clone().then(Ok)).collect();
        drop(promise);
        for (number, index) in shuffled(MANY).into_iter().enumerate() {
            assert_eq!(canceled.get(), 0, "{number} are canceled");
            assert!(crowd[index].cancel());
        }
        assert_eq!(canceled.get(), 1);
    });
}

/// G5, Z5: a crowd of callbacks, of branches and of reports at one promise.
#[test]
fn a_crowd_of_callbacks() {
    small_stack(|| {
        let (deferred, mut promise) = Deferred::<u32>::new();
        let calls = Count::new();
        for _ in 0..MANY {
            let (observed, continued) = (calls.clone(), calls.clone());
            promise = promise.done(move |_| observed.add());
            promise.clone().then(move |n| {
                continued.add();
                Ok(n)
            });
        }
        deferred.resolve(1);
        assert_eq!(calls.get(), 2 * MANY);
    });
}
