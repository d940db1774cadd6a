//! The tree of who waits for whom.

use std::collections::HashMap;
use std::fmt::{self, Formatter};
use std::mem;
use std::time::{Duration, Instant};

use super::entry::{Entry, Owner};
use crate::event_loop::Status;

/// What nests deeper is drawn in a tree of its own: a line takes space in proportion to its depth.
const LEVELS: usize = 32;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Drawn {
    No,
    /// The lines below it are being drawn.
    Begun,
    Yes,
}

pub(super) struct Tree<'a> {
    entries: &'a [Entry],
    time: Instant,
    /// Where to find the task with a number.
    places: HashMap<u32, usize>,
    drawn: Vec<Drawn>,
    /// What was found too deep.
    rest: Vec<usize>,
    /// What stands before the line of the level that is being drawn.
    prefix: String,
    /// What stands between the last line and the next tree.
    gap: &'static str,
}

impl<'a> Tree<'a> {
    pub(super) fn of(entries: &'a [Entry], time: Instant) -> Self {
        let numbered = entries.iter().enumerate();
        let places = numbered.filter_map(|(place, entry)| Some((entry.number?, place))).collect();
        let drawn = vec![Drawn::No; entries.len()];
        Tree { entries, time, places, drawn, rest: Vec::new(), prefix: String::new(), gap: "" }
    }

    pub(super) fn draw(mut self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.entries.is_empty() {
            return f.write_str("no task is alive");
        }
        let mut awaited = vec![false; self.entries.len()];
        for owner in self.entries.iter().flat_map(|entry| &entry.owners) {
            if let Some(place) = self.place(*owner) {
                awaited[place] = true;
            }
        }
        // First those whom nobody awaits. What is not found below them is part of a ring, or hangs from one.
        let roots = (0..self.entries.len()).filter(|place| !awaited[*place]);
        for root in roots.chain(0..self.entries.len()) {
            self.draw_root(f, root)?;
            while let Some(root) = self.rest.pop() {
                self.draw_root(f, root)?;
            }
        }
        Ok(())
    }

    fn draw_root(&mut self, f: &mut Formatter<'_>, place: usize) -> fmt::Result {
        if self.drawn[place] != Drawn::No {
            return Ok(());
        }
        write!(f, "{}└── ", mem::replace(&mut self.gap, "\n"))?;
        self.draw_task(f, place, true, 1)
    }

    /// Draws the line of a task, behind what stands there already, and those of all who owe what it waits for.
    fn draw_task(&mut self, f: &mut Formatter<'_>, place: usize, last: bool, level: usize) -> fmt::Result {
        self.drawn[place] = Drawn::Begun;
        let entry = &self.entries[place];
        self.describe(f, entry)?;
        let above = self.prefix.len();
        self.prefix.push_str(if last { "    " } else { "│   " });
        for (index, owner) in entry.owners.iter().enumerate() {
            let last = index + 1 == entry.owners.len();
            write!(f, "\n{}{}", self.prefix, if last { "└── " } else { "├── " })?;
            self.draw_owner(f, *owner, last, level)?;
        }
        self.prefix.truncate(above);
        self.drawn[place] = Drawn::Yes;
        Ok(())
    }

    fn draw_owner(&mut self, f: &mut Formatter<'_>, owner: Owner, last: bool, level: usize) -> fmt::Result {
        let (number, place) = match (owner, self.place(owner)) {
            (Owner::Task(number), Some(place)) => (number, place),
            (Owner::Task(number), None) => return write!(f, "task {number}"),
            (Owner::Timer { origin, due }, _) => {
                let left = due.saturating_duration_since(self.time);
                return write!(f, "timer ({origin}), due in {:?}", rounded(left));
            }
            (Owner::Call { origin }, _) => return write!(f, "call ({origin})"),
        };
        match self.drawn[place] {
            Drawn::No if level == LEVELS => {
                self.rest.push(place);
                write!(f, "task {number}, see below")
            }
            Drawn::No => self.draw_task(f, place, last, level + 1),
            Drawn::Begun => write!(f, "task {number}, a cycle"),
            Drawn::Yes => write!(f, "task {number}, see above"),
        }
    }

    fn describe(&self, f: &mut Formatter<'_>, entry: &Entry) -> fmt::Result {
        match entry.number {
            Some(number) => write!(f, "task {number}")?,
            None => f.write_str("main")?,
        }
        let since = rounded(self.time.saturating_duration_since(entry.since));
        write!(f, " ({}), ", entry.origin)?;
        match (entry.status, entry.awaits) {
            (Status::Running, _) => f.write_str("running"),
            (Status::Queued, _) => write!(f, "queued {since:?}"),
            (Status::Waiting, None) => write!(f, "waiting {since:?}"),
            (Status::Waiting, Some(origin)) => write!(f, "waiting {since:?} for the promise made at {origin}"),
        }
    }

    fn place(&self, owner: Owner) -> Option<usize> {
        match owner {
            Owner::Task(number) => self.places.get(&number).copied(),
            Owner::Timer { .. } | Owner::Call { .. } => None,
        }
    }
}

/// Three digits behind the point are enough.
fn rounded(duration: Duration) -> Duration {
    let nanos = duration.subsec_nanos();
    let unit = match (duration.as_secs(), nanos) {
        (0, ..1_000_000) => 1,
        (0, _) => 1_000,
        _ => 1_000_000,
    };
    Duration::new(duration.as_secs(), nanos - nanos % unit)
}
