//! The figures of the table in JSON, for who draws them: benches/picture.py.

use std::fmt::Display;
use std::fs;
use std::io;
use std::path::Path;

use crate::rounds::Cost;
use crate::workloads::Operation;
use crate::workloads::memory::Footprint;

pub(crate) struct Figures {
    unit: &'static str,
    rows: Vec<String>,
}

impl Figures {
    pub(crate) fn new(unit: &'static str) -> Self {
        Figures { unit, rows: Vec::new() }
    }

    pub(crate) fn operation(&mut self, operation: &Operation, costs: &[Cost]) {
        let limit = operation.limit.as_ref().map(|limit| (limit.ratio, limit.peer));
        let names = operation.contestants.iter().map(|contestant| contestant.name);
        self.row(operation.name, self.unit, limit, names.zip(costs.iter().map(|cost| cost.time)));
    }

    /// Its limit is in bytes, not a ratio.
    pub(crate) fn footprint(&mut self, footprint: &Footprint, bytes: &[f64]) {
        let names = footprint.contestants.iter().map(|(name, _)| *name);
        self.row(footprint.name, "bytes", Some((footprint.limit as f64, "")), names.zip(bytes.iter().copied()));
    }

    fn row(
        &mut self,
        name: &str,
        unit: &str,
        limit: Option<(f64, &str)>,
        contestants: impl Iterator<Item = (&'static str, f64)>,
    ) {
        let contestants = list(contestants.map(|(name, time)| format!("[{}, {time:.1}]", text(name))));
        let limit = limit.map_or("null".to_owned(), |(limit, peer)| format!("[{limit}, {}]", text(peer)));
        let (name, unit) = (text(name), text(unit));
        self.rows.push(format!(
            "\n  {{\"name\": {name}, \"unit\": {unit}, \"limit\": {limit}, \"contestants\": {contestants}}}"
        ));
    }

    pub(crate) fn write(&self, path: &Path) -> io::Result<()> {
        fs::write(path, format!("{}\n", list(self.rows.iter())))
    }
}

fn list(items: impl Iterator<Item: Display>) -> String {
    let items: Vec<String> = items.map(|item| item.to_string()).collect();
    format!("[{}]", items.join(", "))
}

/// Names are of this program's making: there is nothing to escape in them but what `Debug` does the same way.
fn text(name: &str) -> String {
    format!("{name:?}")
}
