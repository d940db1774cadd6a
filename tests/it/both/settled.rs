//! `when::settled`: all ends of many.

use super::when::{fraction, pairs};
use super::{Deferred, Promise};
use crate::util::{CloneBomb, Counted, Log, ready};
use deferral::{Broken, BrokenKind, State, when};

/// G1: it waits for every end, and tells them in the order of the inputs; no failure ends it before, or cancels anything.
#[test]
fn it_waits_for_every_end() {
    let ([a, b, c], inputs) = pairs::<String, 3>();
    let settled = when::settled(inputs);
    b.reject("no".to_owned());
    assert_eq!((settled.state(), a.state()), (State::Pending, State::Pending));
    c.resolve(3);
    assert_eq!(settled.state(), State::Pending);
    a.resolve(1);
    assert_eq!(ready(settled).unwrap(), [Ok(1), Err("no".to_owned()), Ok(3)]);
}

/// G1: settled inputs stand beside pending ones, and of nothing but settled ones it is resolved when it returns.
#[test]
fn settled_inputs_are_taken_at_once() {
    let ([a], [pa]) = pairs::<String, 1>();
    let no = || Promise::<u32, String>::rejected("no".to_owned());
    let settled = when::settled([no(), pa, Promise::resolved(3)]);
    a.resolve(2);
    assert_eq!(ready(settled).unwrap(), [Err("no".to_owned()), Ok(2), Ok(3)]);
    assert_eq!(ready(when::settled([no(), no()])).unwrap(), [Err("no".to_owned()), Err("no".to_owned())]);
}

/// G1: of nothing, it is an empty list.
#[test]
fn settled_of_nothing_is_an_empty_list() {
    assert_eq!(ready(when::settled(Vec::<Promise<u32, String>>::new())).unwrap(), Vec::new());
}

/// G2, G8: what the library rejects is one end among the others.
#[test]
fn broken_inputs_are_ends_like_others() {
    let ([a, b], [pa, pb]) = pairs::<Broken, 2>();
    let canceler = pb.clone();
    let settled = when::settled([pa, pb]);
    drop(a);
    canceler.cancel();
    assert!(!b.resolve(2));
    let kinds = ready(settled).unwrap().into_iter().map(|end| end.map_err(|broken| broken.kind()));
    assert_eq!(kinds.collect::<Vec<_>>(), [Err(BrokenKind::Abandoned), Err(BrokenKind::Canceled)]);
}

/// Progress: every end counts, and the last of them before the outcome.
#[test]
fn every_end_counts_as_progress() {
    let log = Log::new();
    let ([a, b], inputs) = pairs::<String, 2>();
    let entries = log.clone();
    let settled = when::settled(inputs).progress(fraction(&log)).done(move |_| entries.add("done"));
    a.reject("no".to_owned());
    b.resolve(2);
    settled.progress(fraction(&log));
    assert_eq!(log.text(), "1/2 2/2 done 2/2");
}

/// G8: canceled, it is rejected with its own error, and drops the ends that it had.
#[test]
fn canceled_it_drops_what_it_had() {
    let (a, pa) = Deferred::<Counted>::new();
    let (b, pb) = Deferred::<Counted>::new();
    let settled = when::settled([pa, pb]);
    let value = Counted::new();
    let drops = value.drops.clone();
    a.resolve(value);
    assert_eq!(drops.get(), 0);
    assert!(settled.cancel());
    assert_eq!(drops.get(), 1);
    assert_eq!(b.state(), State::Rejected);
    assert_eq!(ready(settled).err().map(|broken| broken.kind()), Some(BrokenKind::Canceled));
}

/// G9: where the library has no end to show, because a shared value could not be cloned, it is rejected; the input counts as settled.
#[test]
fn a_panicking_clone_rejects_it() {
    let (a, pa) = Deferred::<CloneBomb>::new();
    let (b, pb) = Deferred::<CloneBomb>::new();
    let kept = pa.clone();
    let log = Log::new();
    let settled = when::settled([pa, pb]).progress(fraction(&log));
    a.resolve(CloneBomb);
    assert_eq!(log.text(), "1/2");
    assert_eq!(ready(settled).unwrap_err().kind(), BrokenKind::Panicked);
    assert_eq!(b.state(), State::Rejected);
    assert!(ready(kept).is_ok());
}
