//! This crate and its peers in one run and one table.
//!
//! ```text
//! cargo bench --bench peers                        # time, allocations and bytes per operation; takes about five minutes
//! cargo bench --bench peers -- baton --rounds 101  # only the operations whose names have "baton" in them
//! cargo bench --bench peers -- --instructions      # instructions per operation, by valgrind's callgrind
//! cargo bench --bench peers -- --json FILE         # the table, and its figures for benches/picture.py
//! ```
//!
//! The contestants take turns, round by round, so that whatever else the machine does befalls them all; what is told is the median
//! round. Nanoseconds differ from machine to machine: only ratios within one run count.

mod counting;
mod instructions;
mod json;
mod rounds;
mod table;
#[path = "../workloads/mod.rs"]
mod workloads;

use std::hint::black_box;
use std::path::PathBuf;
use std::process::exit;

use clap::Parser;

use workloads::{Clock, LOOP, Operation, PROMISES, memory};

#[derive(Parser)]
struct Args {
    /// Only the operations whose names have this in them
    filter: Option<String>,

    /// How often each contestant has its turn
    #[arg(long, value_name = "N", default_value_t = 31, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,

    /// Counts instructions instead of nanoseconds (needs valgrind)
    #[arg(long)]
    instructions: bool,

    /// Writes the figures to a file, too
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,

    /// One contestant's rounds and nothing else: what `--instructions` has valgrind run
    #[arg(long, hide = true, num_args = 3, value_names = ["OPERATION", "CONTESTANT", "ROUNDS"])]
    only: Option<Vec<String>>,

    /// What `cargo bench` says, and `cargo test` does not
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() {
    // `cargo test` runs this program to see whether it starts.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let args = Args::parse();
    teach_allocator();
    if let Some(only) = &args.only {
        return instructions::only(&operations(), only);
    }
    let wanted = |name: &str| args.filter.as_ref().is_none_or(|filter| name.contains(filter.as_str()));
    let unit = if args.instructions { "instructions" } else { "ns" };
    let mut figures = json::Figures::new(unit);
    table::head(unit);
    for operation in operations().into_iter().filter(|operation| wanted(operation.name)) {
        // Two threads that wait for each other take as many instructions as chance has them spin.
        if args.instructions && operation.clock == Clock::Wall {
            continue;
        }
        let costs =
            if args.instructions { instructions::count(operation) } else { rounds::run(operation, args.rounds) };
        table::operation(operation, &costs);
        figures.operation(operation, &costs);
    }
    if !args.instructions {
        for footprint in memory::FOOTPRINTS.iter().filter(|footprint| wanted(footprint.name)) {
            let bytes = rounds::weigh(footprint);
            table::footprint(footprint, &bytes);
            figures.footprint(footprint, &bytes);
        }
    }
    if let Some(Err(error)) = args.json.as_ref().map(|path| figures.write(path)) {
        eprintln!("error: cannot write the figures: {error}");
        exit(2);
    }
}

/// Shows the allocator a big block that comes and goes. glibc's keeps as much memory from then on; before, it would give back what each
/// round frees, and the kernel's part in that would depend on what ran before.
fn teach_allocator() {
    const BIG: usize = 31 << 20;
    drop(black_box(Vec::<u8>::with_capacity(BIG)));
}

fn operations() -> Vec<&'static Operation> {
    PROMISES.iter().chain(LOOP).collect()
}
