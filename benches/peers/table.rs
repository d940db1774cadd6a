//! The one table.

use crate::rounds::Cost;
use crate::workloads::memory::Footprint;
use crate::workloads::{Limit, OURS, Operation};

pub(crate) fn head(unit: &str) {
    println!("{:32} {unit:>14} {:>9} {:>12} {:>12}", "", "ours/peer", "allocations", "bytes");
}

/// One line per contestant, then how we stand.
pub(crate) fn operation(operation: &Operation, costs: &[Cost]) {
    println!("\n{}", operation.name);
    let Some((ours, peers)) = costs.split_first() else { return };
    for (contestant, cost) in operation.contestants.iter().zip(costs) {
        let allocated = cost.allocated.map(|(blocks, bytes)| format!("{blocks:12.2} {bytes:12.1}")).unwrap_or_default();
        println!("  {:30} {:14.1} {:9.2} {allocated}", contestant.name, cost.time, ours.time / cost.time);
    }
    let names = operation.contestants[1..].iter().map(|contestant| contestant.name);
    let peers: Vec<(&str, f64)> = names.zip(peers.iter().map(|cost| cost.time)).collect();
    verdict(ours.time, &peers, operation.limit.as_ref());
}

fn verdict(ours: f64, peers: &[(&str, f64)], limit: Option<&Limit>) {
    // What does without promises is none, nor is another flavor of this crate.
    let is_peer = |name: &str| name != "a plain loop" && !name.starts_with(OURS);
    let best = peers.iter().filter(|(name, _)| is_peer(name)).min_by(|(_, a), (_, b)| a.total_cmp(b));
    let Some((best, time)) = best else { return };
    print!("  = {:.2} x the best, {best}", ours / time);
    if let Some(limit) = limit {
        let peer = peers.iter().find(|(name, _)| *name == limit.peer);
        let ratio = ours / peer.map_or(*time, |(_, time)| *time);
        let kept = if ratio <= limit.ratio { "kept" } else { "MISSED" };
        print!("; limit {} x {}: {ratio:.2}, {kept}", limit.ratio, limit.peer);
    }
    println!();
}

/// Bytes on the heap, for each that is there.
pub(crate) fn footprint(footprint: &Footprint, bytes: &[f64]) {
    println!("\nbytes on the heap: {}", footprint.name);
    for (n, ((name, _), bytes)) in footprint.contestants.iter().zip(bytes).enumerate() {
        // Their share of a table for all of them is no reason to miss it.
        let kept = if bytes.round() <= footprint.limit as f64 { "kept" } else { "MISSED" };
        let limit = if n == 0 { format!("limit {}: {kept}", footprint.limit) } else { String::new() };
        println!("  {name:30} {bytes:14.1}   {limit}");
    }
}
