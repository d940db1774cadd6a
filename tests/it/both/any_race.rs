//! `when::any` and `when::race`: one of many.

use super::when::{fraction, pairs};
use super::{Deferred, Promise};
use crate::util::{CloneBomb, Counted, Log, panic_of, poll_once, ready};
use deferral::{Broken, BrokenKind, Progress, State, when};

fn no(error: &str) -> Promise<u32, String> {
    Promise::rejected(error.to_owned())
}

/// G6: the first value wins, before that `resolve` returns; errors before it are forgotten, the rest is canceled (G8).
#[test]
fn any_takes_the_first_value() {
    let ([a, b, c], inputs) = pairs::<String, 3>();
    let mut any = when::any(inputs);
    a.reject("no".to_owned());
    assert!(poll_once(&mut any).is_pending());
    c.resolve(3);
    assert_eq!(ready(any), Ok(3));
    assert!(!b.resolve(2));
}

/// G6: without a value there is every error, in the order of the inputs.
#[test]
fn any_of_failures_lists_them_in_order() {
    let ([a, b, c], inputs) = pairs::<String, 3>();
    let any = when::any(inputs);
    for (deferred, error) in [(c, "c"), (a, "a"), (b, "b")] {
        assert_eq!(any.state(), State::Pending);
        deferred.reject(error.to_owned());
    }
    assert_eq!(ready(any), Err(["a", "b", "c"].map(str::to_owned).to_vec()));
    assert_eq!(ready(when::any([no("a"), no("b")])), Err(["a", "b"].map(str::to_owned).to_vec()));
}

/// G6: of nothing, there are no errors either.
#[test]
fn any_of_nothing_is_rejected_without_errors() {
    assert_eq!(ready(when::any(Vec::<Promise<u32, String>>::new())), Err(Vec::new()));
}

/// G4: of resolved inputs the lowest index wins, also behind a pending and a rejected one.
#[test]
fn any_of_settled_inputs_takes_the_lowest_index() {
    let ([pending], [promise]) = pairs::<String, 1>();
    assert_eq!(ready(when::any([promise, no("a"), Promise::resolved(2), Promise::resolved(3)])), Ok(2));
    assert_eq!(pending.state(), State::Rejected);
}

/// G8: a canceled `any` has one error, however many inputs there are, and however many of them had failed.
#[test]
fn a_canceled_any_has_one_error() {
    let ([a, b, c], inputs) = pairs::<String, 3>();
    let any = when::any(inputs);
    a.reject("no".to_owned());
    assert!(any.cancel());
    let errors = ready(any).unwrap_err();
    assert_eq!(errors.len(), 1);
    assert!(errors[0].ends_with("was canceled"), "{errors:?}");
    assert!(!b.resolve(2) && !c.resolve(3));
}

/// G2: an abandoned input is one error among the others.
#[test]
fn any_counts_an_abandoned_input_as_an_error() {
    let ([a, b], inputs) = pairs::<Broken, 2>();
    let any = when::any(inputs);
    drop((b, a));
    let kinds: Vec<_> = ready(any).unwrap_err().iter().map(Broken::kind).collect();
    assert_eq!(kinds, [BrokenKind::Abandoned, BrokenKind::Abandoned]);
}

/// G9: for `any`, a panicking clone is one input's error; another's value still wins.
#[test]
fn any_survives_a_panicking_clone() {
    let (a, pa) = Deferred::<Option<CloneBomb>>::new();
    let (b, pb) = Deferred::<Option<CloneBomb>>::new();
    let kept = pa.clone();
    let any = when::any([pa, pb]);
    a.resolve(Some(CloneBomb));
    assert_eq!(any.state(), State::Pending);
    b.resolve(None);
    assert!(ready(any).unwrap().is_none());
    assert!(ready(kept).unwrap().is_some());

    let (a, pa) = Deferred::<CloneBomb>::new();
    let kept = pa.clone();
    let any = when::any([pa]);
    a.resolve(CloneBomb);
    let errors = ready(any).unwrap_err();
    assert_eq!(errors.iter().map(Broken::kind).collect::<Vec<_>>(), [BrokenKind::Panicked]);
    drop(kept);
}

/// G9: errors that cannot be made end an `any` with what cannot be made: nothing hangs, and the input counts as settled.
#[test]
fn any_ends_when_its_errors_cannot_be_made() {
    #[derive(Debug)]
    struct Bomb;
    impl From<Broken> for Bomb {
        fn from(_: Broken) -> Self {
            panic!("no error today");
        }
    }
    let (a, pa) = Deferred::<u32, Bomb>::new();
    let (b, pb) = Deferred::<u32, Bomb>::new();
    let log = Log::new();
    let any = when::any([pa, pb]).progress(fraction(&log));
    drop(a);
    assert_eq!(any.state(), State::Rejected);
    assert_eq!(log.text(), "1/2");
    assert!(!b.resolve(1));
    assert!(panic_of(|| ready(any)).contains("panicked"));
}

/// Progress of `any`: each settled input counts, and the one that wins, too.
#[test]
fn any_counts_what_has_settled() {
    let log = Log::new();
    let ([a, b, _c], inputs) = pairs::<String, 3>();
    let entries = log.clone();
    let any = when::any(inputs).progress(fraction(&log)).done(move |_| entries.add("done"));
    a.reject("no".to_owned());
    b.resolve(2);
    any.progress(fraction(&log));
    assert_eq!(log.text(), "1/3 2/3 done 2/3");
}

/// G2: the first end wins, success or failure, before that settle returns; the losers are canceled (G8).
#[test]
fn a_race_takes_the_first_end() {
    let ([a, b], inputs) = pairs::<String, 2>();
    let race = when::race(inputs);
    b.resolve(2);
    assert_eq!((ready(race), a.state()), (Ok(2), State::Rejected));

    let ([a, b], inputs) = pairs::<String, 2>();
    let race = when::race(inputs);
    b.reject("no".to_owned());
    assert_eq!((ready(race), a.state()), (Err("no".to_owned()), State::Rejected));
}

/// G3: a race of nothing is over at once: it neither hangs nor panics.
#[test]
fn a_race_of_nothing_is_empty() {
    let (race, line) = (when::race(Vec::<Promise<u32>>::new()), line!());
    let broken = ready(race).unwrap_err();
    assert_eq!((broken.kind(), broken.origin().line()), (BrokenKind::Empty, line));
}

/// G4: of settled inputs the lowest index wins, whatever its end, and behind a pending one.
#[test]
fn a_race_of_settled_inputs_takes_the_lowest_index() {
    let ([pending], [promise]) = pairs::<String, 1>();
    assert_eq!(ready(when::race([promise, no("a"), Promise::resolved(2)])), Err("a".to_owned()));
    assert_eq!(pending.state(), State::Rejected);
    assert_eq!(ready(when::race([Promise::resolved(1), no("b")])), Ok(1));
}

/// G8: a race cancels the losers that it alone owns, one behind a chain of continuations as well; a shared one goes on.
#[test]
fn lost_races_cancel_what_they_own() {
    let ([a, b, c], [pa, pb, pc]) = pairs::<Broken, 3>();
    let kept = pc.clone();
    let race = when::race([pa, pb.then(|n| Ok(n + 1)), pc]);
    a.resolve(1);
    assert_eq!(ready(race).unwrap(), 1);
    assert!(!b.resolve(2));
    assert!(c.resolve(3));
    assert_eq!(ready(kept).unwrap(), 3);
}

/// G8: a race inside a race is one input: lost, it cancels its own inputs.
#[test]
fn a_lost_race_loses_down_to_its_leaves() {
    let ([a, b, c], [pa, pb, pc]) = pairs::<Broken, 3>();
    let race = when::race([when::race([pa, pb]), pc]);
    c.resolve(3);
    assert_eq!(ready(race).unwrap(), 3);
    assert!(!a.resolve(1) && !b.resolve(2));
}

/// G8: an observer of the race finds the losers canceled; their callbacks have run when the winner's `resolve` returns, the
/// producer's first.
#[test]
fn losers_are_canceled_when_observers_run() {
    let log = Log::new();
    let ([a, b], [pa, pb]) = pairs::<Broken, 2>();
    let entries = log.clone();
    b.on_cancel(move || entries.add("on_cancel"));
    let entries = log.clone();
    let pb = pb.fail(move |_| entries.add("fail"));
    let loser = b.clone();
    let race = when::race([pa, pb]).done(move |_| assert_eq!(loser.state(), State::Rejected));
    a.resolve(1);
    assert_eq!(log.text(), "on_cancel fail");
    drop(race);
}

/// Progress of a race: the one that decided.
#[test]
fn a_race_reports_its_winner() {
    let log = Log::new();
    let ([a, _b], inputs) = pairs::<Broken, 2>();
    let race = when::race(inputs).progress(fraction(&log));
    a.resolve(1);
    assert_eq!(log.text(), "1/2");
    drop(race);
}

/// W10: a promise that races against itself wins, and its value is moved, not cloned.
#[test]
fn a_race_against_itself() {
    let (deferred, promise) = Deferred::<Counted>::new();
    let value = Counted::new();
    let (clones, drops) = (value.clones.clone(), value.drops.clone());
    let race = when::race([promise.clone(), promise]);
    deferred.resolve(value);
    drop(ready(race).ok());
    assert_eq!(drops.get(), clones.get() + 1);
}

/// Both take inputs with a progress of any type.
#[test]
fn inputs_may_report_what_they_like() {
    let (a, pa) = Deferred::<u32, Broken, &'static str>::with_progress();
    let (b, pb) = Deferred::<u32, Broken, &'static str>::with_progress();
    let race: Promise<u32, Broken, Progress> = when::race([pa, pb]);
    a.notify("half-way");
    b.resolve(2);
    assert_eq!(ready(race).unwrap(), 2);
    let (a, pa) = Deferred::<u32, Broken, &'static str>::with_progress();
    let any: Promise<u32, Vec<Broken>> = when::any([pa]);
    a.resolve(1);
    assert_eq!(ready(any).unwrap(), 1);
}
