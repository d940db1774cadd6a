//! Instructions, counted by callgrind: the same in every run, and on a busy machine.

use std::env;
use std::process::Command;

use crate::rounds::Cost;
use crate::workloads::{Contestant, Operation};

/// Rounds whose instructions are those of the program's start and of what is made once, and rounds on top of them.
const BASE: u64 = 1;
const MORE: u64 = 1;

/// The costs in the order of the contestants.
pub(crate) fn count(operation: &Operation) -> Vec<Cost> {
    let cost = |contestant: &Contestant| {
        let [base, more] = [BASE, BASE + MORE].map(|rounds| callgrind(operation, contestant, rounds));
        let time = more.saturating_sub(base) as f64 / (operation.count * MORE) as f64;
        Cost { time, allocated: None }
    };
    operation.contestants.iter().map(cost).collect()
}

/// Runs this very program under callgrind.
fn callgrind(operation: &Operation, contestant: &Contestant, rounds: u64) -> u64 {
    let mut command = Command::new("valgrind");
    command.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]);
    command.arg(env::current_exe().expect("the path of this program"));
    command.args(["--bench", "--only", operation.name, contestant.name, &rounds.to_string()]);
    let output = command.output().unwrap_or_else(|error| panic!("cannot run valgrind: {error}"));
    let report = String::from_utf8_lossy(&output.stderr);
    let collected = report.lines().find_map(|line| line.split("Collected :").nth(1)?.trim().parse().ok());
    collected.unwrap_or_else(|| panic!("callgrind has counted nothing: {report}"))
}

/// What callgrind runs.
pub(crate) fn only(operations: &[&Operation], arguments: &[String]) {
    let [operation, contestant, rounds] = arguments else { unreachable!("clap has counted them") };
    let operation = operations.iter().find(|candidate| candidate.name == operation).expect("an operation");
    let contestant = operation.contestants.iter().find(|candidate| candidate.name == contestant).expect("a contestant");
    let mut round = (contestant.prepare)();
    (0..rounds.parse().expect("a number of rounds")).for_each(|_| round());
}
