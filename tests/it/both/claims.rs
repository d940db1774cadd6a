//! An `on_cancel` callback is kept as long as a cancel may still come. A branch whose promise was dropped waits for the outcome, but
//! cannot cancel: here it is called silent.

use super::{Deferred, Promise};
use crate::util::{Count, Log, OnDrop, poll_once};
use deferral::{Broken, State};

/// Hangs an `on_cancel` callback on. The log says what becomes of it: nothing while it is kept, `gone` once it is dropped unrun, or
/// `ran gone`.
fn hang(deferred: &Deferred<u32>) -> Log {
    let log = Log::new();
    let (ran, gone) = (log.entry("ran"), OnDrop::new(log.entry("gone")));
    deferred.on_cancel(move || {
        let _gone = gone;
        ran();
    });
    log
}

/// The ways to make a silent branch.
const SILENT: [fn(Promise<u32>); 8] = [
    |promise| drop(promise.then(Ok)),
    |promise| drop(promise.catch(Err)),
    |promise| drop(promise.map_err(|broken| broken)),
    |promise| drop(promise.then(|n| Ok(Ok::<u32, Broken>(n))).flatten()),
    |promise| drop(promise.then(Ok).catch(Err).then(Ok)),
    // An observer does not cancel either.
    |promise| drop(promise.then(Ok).done(|_| ())),
    |promise| drop(promise.then(Ok).done(|_| ()).progress(|_| ()).always(|_| ())),
    |promise| promise.forward(Deferred::new().0),
];

/// G7, G8: a silent branch that is left alone keeps no `on_cancel` callback, and is served.
#[test]
fn a_silent_branch_cannot_cancel() {
    for (way, silence) in SILENT.into_iter().enumerate() {
        for observers in 0..3 {
            for has_early in [false, true] {
                let (deferred, promise) = Deferred::<u32>::new();
                let seen = Count::new();
                for _ in 0..observers {
                    let count = seen.clone();
                    deferred.done(move |_| count.add());
                }
                let early = has_early.then(|| hang(&deferred));
                silence(promise);
                assert!(early.is_none_or(|log| log.text() == "gone"), "way {way}");
                assert_eq!(hang(&deferred).text(), "gone", "way {way}");
                assert!(deferred.is_wanted() && deferred.resolve(1));
                assert_eq!(seen.get(), observers);
            }
        }
    }
}

/// G8: a promise beside silent branches can still cancel, also if it is awaited. The branches are told.
#[test]
fn a_promise_beside_silent_branches_can_cancel() {
    for silence in SILENT {
        for branches in 1..4 {
            for awaits in [false, true] {
                let (deferred, mut promise) = Deferred::<u32>::new();
                let early = hang(&deferred);
                if awaits {
                    assert!(poll_once(&mut promise).is_pending());
                }
                (0..branches).for_each(|_| silence(promise.clone()));
                let told = Count::new();
                let count = told.clone();
                promise.clone().catch(move |broken| {
                    count.add();
                    Err(broken)
                });
                let late = hang(&deferred);
                assert_eq!((early.text(), late.text()), (String::new(), String::new()));
                assert!(promise.cancel());
                assert_eq!((early.text().as_str(), late.text().as_str()), ("ran gone", "ran gone"));
                assert_eq!(told.get(), 1);
            }
        }
    }
}

/// G7, G8: the last promise beside silent branches takes the `on_cancel` callbacks along, and not the one before.
#[test]
fn the_last_promise_beside_silent_branches_goes() {
    for silence in SILENT {
        for branches in 1..4 {
            let (deferred, promise) = Deferred::<u32>::new();
            let log = hang(&deferred);
            let others = [promise.clone(), promise.clone()];
            silence(promise);
            (1..branches).for_each(|_| silence(others[0].clone()));
            let [one, two] = others;
            drop(one);
            assert_eq!(log.text(), "");
            drop(two);
            assert_eq!((log.text().as_str(), deferred.state()), ("gone", State::Pending));
            assert!(deferred.is_wanted() && deferred.resolve(1));
        }
    }
}

/// G8: a branch that is held can cancel until its last promise goes.
#[test]
fn a_branch_is_silent_without_its_last_promise() {
    let (deferred, promise) = Deferred::<u32>::new();
    let log = hang(&deferred);
    let branch = promise.then(Ok);
    let (clone, derived) = (branch.clone(), branch.clone().then(Ok));
    drop(branch);
    drop(clone);
    assert_eq!(log.text(), "");
    drop(derived);
    assert_eq!(log.text(), "gone");
}

/// G7, G8: a cancel of its sibling leaves a silent branch its source, which goes on, and can be canceled no more.
#[test]
fn a_canceled_sibling_leaves_a_silent_branch() {
    for silence in SILENT {
        for branches in 1..4 {
            let (deferred, promise) = Deferred::<u32>::new();
            let early = hang(&deferred);
            (0..branches).for_each(|_| silence(promise.clone()));
            let (first, second) = (promise.clone().then(Ok), promise.then(Ok));
            assert!(first.cancel());
            assert_eq!((early.text(), hang(&deferred).text()), (String::new(), String::new()));
            assert!(second.cancel());
            assert_eq!((early.text().as_str(), hang(&deferred).text().as_str()), ("gone", "gone"));
            assert!(deferred.resolve(1));
        }
    }
}

/// A silent branch, and what settles the promise at its end.
fn silent(promise: &Promise<u32>) -> Deferred<u32> {
    let (target, followed) = Deferred::new();
    promise.clone().forward(target.clone());
    drop(followed);
    target
}

/// G7, G8: a silent branch whose own promise is settled by something else leaves its source. The promises there can cancel as before.
#[test]
fn a_silent_branch_that_leaves_takes_no_claim_along() {
    for branches in 1..4 {
        for leaving in 1..=branches {
            for cancels in [false, true] {
                let (deferred, promise) = Deferred::<u32>::new();
                let early = hang(&deferred);
                let targets: Vec<_> = (0..branches).map(|_| silent(&promise)).collect();
                assert!(targets[..leaving].iter().all(|target| target.resolve(1)));
                let late = hang(&deferred);
                assert_eq!((early.text(), late.text()), (String::new(), String::new()));
                let end = if cancels {
                    assert!(promise.cancel());
                    "ran gone"
                } else {
                    drop(promise);
                    "gone"
                };
                assert_eq!((early.text().as_str(), late.text().as_str()), (end, end), "{leaving} of {branches}");
                assert_eq!(deferred.is_wanted(), cancels || leaving < branches);
                let pending = targets.iter().filter(|target| target.state() == State::Pending).count();
                assert_eq!(pending, if cancels { 0 } else { branches - leaving });
            }
        }
    }
}

/// G7, G8: a source that its only branch has left is not wanted, and keeps no `on_cancel` callback.
#[test]
fn an_only_branch_that_leaves() {
    for silent in [false, true] {
        let (deferred, promise) = Deferred::<u32>::new();
        let (target, followed) = Deferred::new();
        promise.forward(target.clone());
        let followed = (!silent).then_some(followed);
        assert!(target.resolve(1));
        assert_eq!((deferred.is_wanted(), hang(&deferred).text().as_str()), (false, "gone"));
        drop(followed);
    }
}

/// G7, G8: a promise can cancel as before after any number of silent branches have come and gone.
#[test]
fn silent_branches_come_and_go() {
    for goes_first in [false, true] {
        let (deferred, promise) = Deferred::<u32>::new();
        let log = hang(&deferred);
        for _ in 0..1_000 {
            let (one, two) = (silent(&promise), silent(&promise));
            let held = promise.clone().then(Ok);
            if goes_first {
                drop(held);
                assert!(one.resolve(1) && two.resolve(2));
            } else {
                assert!(two.resolve(2) && held.cancel() && one.resolve(1));
            }
        }
        assert_eq!(log.text(), "");
        let late = hang(&deferred);
        assert!(promise.cancel());
        assert_eq!((log.text().as_str(), late.text().as_str()), ("ran gone", "ran gone"));
    }
}

/// G7, G8: silent branches are served by the settle. A late `on_cancel` callback runs if that was a cancel, and is dropped otherwise.
#[test]
fn silent_branches_are_served() {
    type Act = fn(&Deferred<u32>, Option<&Promise<u32>>) -> bool;
    let settles: [(Act, &str); 3] = [
        (|deferred, _| deferred.resolve(1), "gone"),
        (|deferred, _| deferred.clone().settle(Ok(1)), "gone"),
        (|_, promise| promise.is_some_and(Promise::cancel), "ran gone"),
    ];
    for (settle, late) in settles {
        for branches in 0..4 {
            for held in [false, true] {
                let (deferred, promise) = Deferred::<u32>::new();
                let targets: Vec<_> = (0..branches).map(|_| silent(&promise)).collect();
                let promise = held.then_some(promise);
                if !settle(&deferred, promise.as_ref()) {
                    // Nothing is left to cancel by.
                    continue;
                }
                assert!(targets.iter().all(|target| target.state() == deferred.state()));
                assert_eq!(hang(&deferred).text(), late);
                drop(promise);
                assert_eq!(hang(&deferred).text(), late);
            }
        }
    }
}

/// G7, G8: the source of a chain keeps its `on_cancel` callbacks until the last promise in the middle goes that has silent branches only.
#[test]
fn claims_go_up_a_chain() {
    for leaves in [false, true] {
        let (head, promise) = Deferred::<u32>::new();
        let (early, other) = (hang(&head), promise.clone());
        let middle = promise.then(Ok).then(Ok);
        let target = silent(&middle);
        drop(other);
        assert_eq!(early.text(), "");
        if leaves {
            assert!(target.resolve(1));
            assert_eq!((early.text(), hang(&head).text()), (String::new(), String::new()));
        }
        let clone = middle.clone();
        drop(middle);
        assert_eq!((early.text(), hang(&head).text()), (String::new(), String::new()));
        drop(clone);
        assert_eq!((early.text().as_str(), hang(&head).text().as_str()), ("gone", "gone"));
        assert!(head.resolve(1));
        assert_eq!(target.state(), State::Resolved);
    }
}

/// G8: a cancel reaches the source of a promise whose silent branches have left.
#[test]
fn a_cancel_goes_up_past_silent_branches_that_left() {
    let (head, promise) = Deferred::<u32>::new();
    let log = hang(&head);
    let middle = promise.then(Ok);
    for target in [silent(&middle), silent(&middle), silent(&middle)] {
        assert!(target.resolve(1));
    }
    assert!(middle.then(Ok).cancel());
    assert_eq!((log.text().as_str(), head.state()), ("ran gone", State::Rejected));
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Clone,
    Drop,
    /// Makes a branch of a clone.
    Branch,
    /// Makes a branch of the promise itself.
    Follow,
    /// The first branch that is held becomes a silent one.
    Silence,
    /// The promise of the first branch is settled by something else.
    Leave,
    /// The first branch that is held is canceled.
    Cancel,
}

const STEPS: [Step; 7] =
    [Step::Clone, Step::Drop, Step::Branch, Step::Follow, Step::Silence, Step::Leave, Step::Cancel];

/// A promise with its clones and branches; after each step one more `on_cancel` callback is hung on.
struct Family {
    deferred: Deferred<u32>,
    promises: Vec<Promise<u32>>,
    branches: Vec<(Deferred<u32>, Option<Promise<u32>>)>,
    hung: Vec<Log>,
    canceled: bool,
}

impl Family {
    fn new() -> Self {
        let (deferred, promise) = Deferred::new();
        let hung = vec![hang(&deferred)];
        Family { deferred, promises: vec![promise], branches: Vec::new(), hung, canceled: false }
    }

    fn branch(&mut self, promise: Promise<u32>) {
        let (target, followed) = Deferred::new();
        promise.forward(target.clone());
        self.branches.push((target, Some(followed)));
    }

    fn first_held(&self) -> Option<usize> {
        self.branches.iter().position(|(_, followed)| followed.is_some())
    }

    /// Gives `None` if there is nothing to do it with.
    fn act(&mut self, step: Step) -> Option<()> {
        match step {
            Step::Clone => self.promises.push(self.promises.first()?.clone()),
            Step::Drop => drop(self.promises.pop()?),
            Step::Branch => self.branch(self.promises.first()?.clone()),
            Step::Follow => {
                let promise = self.promises.pop()?;
                self.branch(promise);
            }
            Step::Silence => {
                let first = self.first_held()?;
                self.branches[first].1 = None;
            }
            Step::Leave if self.branches.is_empty() => return None,
            Step::Leave => assert!(self.branches.remove(0).0.resolve(1)),
            Step::Cancel => {
                let first = self.first_held()?;
                let (_, followed) = self.branches.remove(first);
                assert!(followed?.cancel());
                self.canceled = self.promises.is_empty() && self.branches.is_empty();
            }
        }
        Some(())
    }

    /// Checks that all callbacks are kept as long as something can cancel, and that a new one fares as the others.
    fn check(&mut self, steps: &[Step]) {
        let claimed = !self.promises.is_empty() || self.first_held().is_some();
        let expected = match (claimed, self.canceled) {
            (true, _) => "",
            (false, true) => "ran gone",
            (false, false) => "gone",
        };
        self.hung.push(hang(&self.deferred));
        assert!(self.hung.iter().all(|log| log.text() == expected), "{expected:?} after {steps:?}");
        assert_eq!(self.deferred.state() == State::Rejected, self.canceled, "after {steps:?}");
        let wanted = !self.promises.is_empty() || !self.branches.is_empty();
        assert_eq!(self.deferred.is_wanted(), wanted, "after {steps:?}");
    }
}

/// G7, G8: `on_cancel` callbacks fare as they should after each step of every sequence of a few.
#[test]
fn every_sequence_of_steps() {
    const LENGTH: u32 = 5;
    let mut sequences = 0;
    for number in 0..STEPS.len().pow(LENGTH) {
        let steps: Vec<_> = (0..LENGTH).map(|n| STEPS[number / STEPS.len().pow(n) % STEPS.len()]).collect();
        let mut family = Family::new();
        let possible = steps.iter().enumerate().try_for_each(|(n, step)| {
            family.act(*step)?;
            family.check(&steps[..=n]);
            Some(())
        });
        sequences += usize::from(possible.is_some());
        // The branches that are left are served.
        family.deferred.resolve(1);
    }
    assert!(sequences > 1_000, "{sequences}");
}
