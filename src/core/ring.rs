//! The neighbours of a promise: what waits for it, and what it waits for. With them, rings: promises that would wait for themselves.

use std::collections::HashMap;
use std::panic::Location;

use smallvec::SmallVec;

use super::flavor::Flavor;
use super::raw::Visit;
use super::state::{AnyPromise, Link, State};
use super::sync::wait;
use crate::awaited::Mark;
use crate::list::Key;

/// A pending promise, and the tasks that are parked there.
pub(crate) struct Parked {
    pub(crate) origin: &'static Location<'static>,
    pub(crate) wakers: SmallVec<[Mark; 2]>,
}

/// What is parked at a promise, until it is settled.
pub(crate) fn parked<F: Flavor>(promise: &AnyPromise<F>) -> Option<Parked> {
    promise.with(|state| {
        let wakers = || state.callbacks.wakers().map(|waker| Mark::of(waker.data())).collect();
        state.is_pending().then(|| Parked { origin: promise.origin(), wakers: wakers() })
    })
}

/// Promises, counted in the visit to one that refers to them.
struct Found<F: Flavor> {
    promises: Vec<AnyPromise<F>>,
    /// One of them was being visited.
    missed: bool,
}

impl<F: Flavor> Found<F> {
    fn add(&mut self, promise: &AnyPromise<F>) {
        match promise.try_clone() {
            Some(promise) => self.promises.push(promise),
            None => self.missed = true,
        }
    }
}

/// Looks for neighbours, until none is missed.
fn neighbours<F: Flavor>(
    promise: &AnyPromise<F>,
    look: impl Fn(&mut Visit<State<F>>, &mut Found<F>),
) -> Vec<AnyPromise<F>> {
    let mut round = 0;
    loop {
        let mut found = Found { promises: Vec::new(), missed: false };
        let mut visit = promise.enter();
        // Once it is settled it waits for nothing, and nothing for it, though it may not have left or served all yet.
        if visit.state().is_pending() {
            look(&mut visit, &mut found);
        }
        visit.leave();
        if !found.missed {
            return found.promises;
        }
        wait(round);
        round = round.saturating_add(1);
    }
}

/// The promises that wait for this one.
pub(crate) fn downstream<F: Flavor>(promise: &AnyPromise<F>) -> Vec<AnyPromise<F>> {
    neighbours(promise, |visit, found| {
        let targets = visit.state().callbacks.continuations().filter_map(|continuation| continuation.target());
        targets.for_each(|target| found.add(target));
    })
}

/// The promises that this one waits for.
fn upstream<F: Flavor>(promise: &AnyPromise<F>) -> Vec<AnyPromise<F>> {
    neighbours(promise, |visit, found| {
        if let Some((source, _)) = visit.source() {
            found.add(source);
        }
        let links = visit.state().callbacks.rare().into_iter().flat_map(|rare| &rare.links);
        links.for_each(|link| found.add(&link.source));
    })
}

/// Ends a visit, and takes the claims of a promise back, if it is still pending. Out come the sources that counted on a cancel from here,
/// with the keys of the continuations there: that in the place of the outcome, already entered, and `others`.
pub(super) fn take_claims<F: Flavor>(
    mut visit: Visit<State<F>>,
    others: &mut Vec<(AnyPromise<F>, Key)>,
) -> Option<(Visit<State<F>>, Key)> {
    let mut round = 0;
    loop {
        let before = others.len();
        let pending = visit.state().is_pending();
        let all = !pending || visit.state().callbacks.rare().is_none_or(|rare| add_claims(&rare.links, others));
        let claims = all && pending && visit.state().has_claim();
        let source = visit.source().filter(|_| claims);
        let entered = source.map(|(source, key)| Some((source.try_enter()?, *key)));
        if all && !matches!(entered, Some(None)) {
            visit.state().drop_claims();
            visit.leave();
            return entered.flatten();
        }
        let promise = visit.step_out();
        // Outside, as each reference that was found ends by a visit.
        others.truncate(before);
        wait(round);
        round = round.saturating_add(1);
        visit = promise.into_visit();
    }
}

/// Adds the claims of a promise that follows several, and says whether these are all.
fn add_claims<F: Flavor>(links: &[Link<F>], others: &mut Vec<(AnyPromise<F>, Key)>) -> bool {
    links.iter().filter(|link| link.claims).all(|link| {
        let source = link.source.try_clone();
        let found = source.is_some();
        others.extend(source.map(|source| (source, link.key)));
        found
    })
}

/// Whether `source` waits for `promise`, however indirectly.
///
/// Looks up from the source and down from the promise by turns, whichever has cost less so far, and ends with the first that comes to an
/// end: linking a chain costs as much as the shorter part of it, in whatever order that happens.
pub(super) fn is_upstream_of<F: Flavor>(promise: &AnyPromise<F>, source: &AnyPromise<F>) -> bool {
    let mut down = Search::from(promise, source);
    let mut up = Search::from(source, promise);
    loop {
        let found = if up.cost <= down.cost { up.step(upstream) } else { down.step(downstream) };
        if let Some(found) = found {
            return found;
        }
    }
}

/// A search for one promise among those that others wait for.
struct Search<F: Flavor> {
    goal: *const (),
    ahead: Vec<AnyPromise<F>>,
    /// What was seen, by address. It is held, too: an address that is free can become another promise's.
    seen: HashMap<*const (), AnyPromise<F>>,
    cost: usize,
}

impl<F: Flavor> Search<F> {
    fn from(start: &AnyPromise<F>, goal: &AnyPromise<F>) -> Self {
        Search { goal: goal.address(), ahead: vec![start.clone()], seen: HashMap::new(), cost: 0 }
    }

    /// Looks at one more. Tells whether the goal was found, once that is known.
    fn step(&mut self, next: impl FnOnce(&AnyPromise<F>) -> Vec<AnyPromise<F>>) -> Option<bool> {
        let Some(promise) = self.ahead.pop() else { return Some(false) };
        if promise.address() == self.goal {
            return Some(true);
        }
        if !self.seen.contains_key(&promise.address()) {
            self.ahead.extend(next(&promise));
            if self.ahead.is_empty() {
                return Some(false);
            }
            self.seen.insert(promise.address(), promise);
        }
        self.cost = self.seen.len() + self.ahead.len();
        None
    }
}
