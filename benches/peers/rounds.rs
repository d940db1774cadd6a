//! Rounds in which the contestants take turns.

use std::time::{Duration, Instant};

use cpu_time::ProcessTime;

use crate::counting;
use crate::workloads::memory::{Footprint, Live};
use crate::workloads::{Clock, Operation, Round};

/// What one operation costs one contestant.
pub(crate) struct Cost {
    /// Nanoseconds or instructions.
    pub(crate) time: f64,
    /// Blocks and bytes that were allocated, if they were counted.
    pub(crate) allocated: Option<(f64, f64)>,
}

/// The costs in the order of the contestants.
pub(crate) fn run(operation: &Operation, rounds: u32) -> Vec<Cost> {
    let mut prepared: Vec<Round> = operation.contestants.iter().map(|contestant| (contestant.prepare)()).collect();
    let per_operation = |total: u64| total as f64 / operation.count as f64;
    // The first round fills caches and makes what lasts; the second, also unmeasured, tells what is allocated each time.
    let allocated: Vec<(u64, u64)> = prepared
        .iter_mut()
        .map(|round| {
            round();
            counting::count(round)
        })
        .collect();
    let mut times = vec![Vec::new(); prepared.len()];
    for n in 0..rounds as usize {
        // Each begins as often as any other.
        for m in 0..prepared.len() {
            let contestant = (n + m) % prepared.len();
            times[contestant].push(time(operation.clock, &mut prepared[contestant]));
        }
    }
    let typical = times.into_iter().map(|times| typical(operation.clock, times).as_nanos() as u64);
    let cost = |(time, (blocks, bytes)): (u64, (u64, u64))| Cost {
        time: per_operation(time),
        allocated: Some((per_operation(blocks), per_operation(bytes))),
    };
    typical.zip(allocated).map(cost).collect()
}

fn time(clock: Clock, round: &mut Round) -> Duration {
    match clock {
        Clock::Cpu => {
            let start = ProcessTime::now();
            round();
            start.elapsed()
        }
        Clock::Wall => {
            let start = Instant::now();
            round();
            start.elapsed()
        }
    }
}

/// The median; where the scheduler's moods are part of what goes by, the tenth percentile.
fn typical(clock: Clock, mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    match clock {
        Clock::Cpu => times[times.len() / 2],
        Clock::Wall => times[times.len() / 10],
    }
}

/// How many of each thing are made to see what one takes: not a power of two, which would flatter what grows by doubling.
const MADE: usize = 100_000;

/// Bytes on the heap, in the order of the contestants.
pub(crate) fn weigh(footprint: &Footprint) -> Vec<f64> {
    let bytes = |make: fn(usize, Live) -> u64| counting::while_on(|| make(MADE, counting::live)) as f64 / MADE as f64;
    footprint.contestants.iter().map(|(_, make)| bytes(*make)).collect()
}
