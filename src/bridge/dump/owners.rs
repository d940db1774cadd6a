//! Who owes what a task waits for.
//!
//! A task has noted the promise that its last poll found pending, but does not hold it: that may be gone by now, and its address be
//! another's. So the search begins at the other end. Every task and call tells the promise that it owes, and from there the way leads
//! down, over promises that are held, to all that are derived from it. Where it meets a promise that a task has noted, the task waits
//! for what the way began with; provided that its waker is parked there.

use std::any::Any;
use std::collections::{HashMap, HashSet};
use std::mem;
use std::panic::Location;

use super::entry::Owner;
use crate::awaited::{self, Mark};
use crate::core::trampoline::{self, Caller};
use crate::core::{self, AnyPromise, Flavor, Local, Parked, Threaded};
use crate::event_loop::{Status, Survey};

/// What one task has noted.
struct Claim {
    /// Its place among the entries.
    task: usize,
    origin: &'static Location<'static>,
    waker: Mark,
}

impl Claim {
    /// Whether the promise that has the address of the one that was noted is that one. A waker that belongs to none of the tasks may be
    /// one that a future inside the task has made for itself.
    fn holds(&self, parked: &Parked, wakers: &HashSet<Mark>) -> bool {
        let mine = |waker: &Mark| *waker == self.waker || !wakers.contains(waker);
        self.origin == parked.origin && parked.wakers.iter().any(mine)
    }
}

pub(super) struct Owners {
    claims: HashMap<Mark, Vec<Claim>>,
    /// The wakers of all tasks.
    wakers: HashSet<Mark>,
    /// By task.
    found: Vec<Vec<Owner>>,
}

impl Owners {
    pub(super) fn of(survey: &mut Survey) -> Self {
        let mut claims: HashMap<Mark, Vec<Claim>> = HashMap::new();
        for (index, task) in survey.tasks.iter().enumerate() {
            if let Some(origin) = task.awaits() {
                let claim = Claim { task: index, origin, waker: task.wait.waker };
                claims.entry(task.wait.promise).or_default().push(claim);
            }
        }
        let wakers = survey.tasks.iter().map(|task| task.wait.waker).collect();
        let mut owners = Owners { claims, wakers, found: survey.tasks.iter().map(|_| Vec::new()).collect() };
        owners.ask_those_at_rest(survey);
        owners.ask_who_runs(survey);
        owners
    }

    pub(super) fn take(&mut self, task: usize) -> Vec<Owner> {
        mem::take(&mut self.found[task])
    }

    fn ask_those_at_rest(&mut self, survey: &mut Survey) {
        for task in &mut survey.tasks {
            if let (Some(number), Some(owed)) = (task.number, task.owes.take()) {
                self.follow_any(owed, Owner::Task(number));
            }
        }
        for call in &mut survey.calls {
            let origin = call.origin;
            let owner = call.due.map_or(Owner::Call { origin }, |due| Owner::Timer { origin, due });
            if let Some(owed) = call.owes.take() {
                self.follow_any(owed, owner);
            }
        }
    }

    /// What is being polled is not in its place, and so cannot be asked. But it has noted what it owes, and owes it still: nobody else
    /// can have the address.
    fn ask_who_runs(&mut self, survey: &Survey) {
        let running = survey.tasks.iter().find(|task| task.status == Status::Running);
        let Some((number, origin)) = running.and_then(|task| Some((task.number?, task.origin))) else { return };
        let claims = self.claims.get(&awaited::owed());
        for claim in claims.into_iter().flatten().filter(|claim| claim.origin == origin) {
            self.found[claim.task].push(Owner::Task(number));
        }
    }

    fn follow_any(&mut self, owed: Box<dyn Any>, owner: Owner) {
        if self.claims.is_empty() {
            return trampoline::drop_guarded(Caller::Quiet, owed);
        }
        match owed.downcast() {
            Ok(owed) => self.follow::<Local>(*owed, owner),
            Err(owed) => {
                if let Ok(owed) = owed.downcast() {
                    self.follow::<Threaded>(*owed, owner);
                }
            }
        }
    }

    /// Looks at a promise that `owner` owes, and at all that are derived from it.
    fn follow<F: Flavor>(&mut self, owed: AnyPromise<F>, owner: Owner) {
        let mut ahead = vec![owed];
        let mut seen: HashMap<*const (), AnyPromise<F>> = HashMap::new();
        while let Some(node) = ahead.pop() {
            let address = node.address();
            if seen.contains_key(&address) {
                continue;
            }
            if let Some(claims) = self.claims.get(&Mark::of(address)) {
                if let Some(parked) = core::parked(&node) {
                    let waiting = claims.iter().filter(|claim| claim.holds(&parked, &self.wakers));
                    waiting.for_each(|claim| self.found[claim.task].push(owner));
                }
            }
            ahead.extend(core::downstream(&node));
            seen.insert(address, node);
        }
        // Somebody may have let go of them meanwhile, and these be the last of them.
        trampoline::drop_guarded(Caller::Quiet, seen);
    }
}
