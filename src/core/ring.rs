//! Rings: promises that would wait for themselves.

use std::collections::HashMap;

use smallvec::smallvec;

use super::extra::Link;
use super::flavor::Flavor;
use super::handle::Core;
use super::raw::{Node, Source};
use super::trampoline::Caller;
use crate::broken::BrokenKind;

impl<T, E, P, F: Flavor> Core<T, E, P, F> {
    /// Notes that this promise takes its outcome from the source of `link`, and rejects it with kind `Cycle` if that source waits
    /// for it.
    ///
    /// The link is in place before the ring is looked for: of two threads that close a ring together, the later one finds it.
    pub(crate) fn adopt(&self, link: Link<F>, caller: Caller) {
        let source = link.source.clone();
        self.follow(smallvec![link]);
        self.break_ring(&source, caller);
    }

    /// Rejects this promise with kind `Cycle` if `source`, which it has been noted to follow, waits for it.
    pub(crate) fn break_ring(&self, source: &Source<F>, caller: Caller) {
        if self.with(|shared| shared.is_followed()) && self.is_upstream_of(source.node().clone()) {
            self.break_by(BrokenKind::Cycle, caller);
        }
    }

    /// Whether `source` waits for this promise, however indirectly.
    ///
    /// Looks up from the source and down from here by turns, whichever has cost less so far, and ends with the first that comes to an
    /// end: linking a chain costs as much as the shorter part of it, in whatever order that happens.
    fn is_upstream_of(&self, source: Node<F>) -> bool {
        let here = self.node();
        let mut down = Search::from(&here, &source);
        let mut up = Search::from(&source, &here);
        loop {
            let found = if up.cost <= down.cost {
                up.step(|node| node.upstream().iter().map(|source| source.node().clone()).collect())
            } else {
                down.step(Node::downstream)
            };
            if let Some(found) = found {
                return found;
            }
        }
    }
}

/// A search for one promise among those that others wait for.
struct Search<F: Flavor> {
    goal: *const (),
    ahead: Vec<Node<F>>,
    /// What was seen, by address. It is held, too: an address that is free can be somebody else's.
    seen: HashMap<*const (), Node<F>>,
    cost: usize,
}

impl<F: Flavor> Search<F> {
    fn from(start: &Node<F>, goal: &Node<F>) -> Self {
        Search { goal: goal.address(), ahead: vec![start.clone()], seen: HashMap::new(), cost: 0 }
    }

    /// Looks at one more. Tells whether the goal was found, once that is known.
    fn step(&mut self, next: impl FnOnce(&Node<F>) -> Vec<Node<F>>) -> Option<bool> {
        let Some(node) = self.ahead.pop() else { return Some(false) };
        if node.address() == self.goal {
            return Some(true);
        }
        if !self.seen.contains_key(&node.address()) {
            self.ahead.extend(next(&node));
            if self.ahead.is_empty() {
                return Some(false);
            }
            self.seen.insert(node.address(), node);
        }
        self.cost = self.seen.len() + self.ahead.len();
        None
    }
}
