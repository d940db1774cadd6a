//! The event loop beside its peers, each by itself: `cargo bench --bench loop`.
//!
//! For a comparison, in which they take turns, see `benches/peers.rs`.

mod workloads;

use divan::Bencher;
use divan::counter::ItemsCount;

use workloads::{Contestant, Operation, sort, tasks, timers};

/// `cargo test` also runs this program, without an argument, to see whether it starts.
fn main() {
    if std::env::args().any(|argument| argument == "--bench") {
        divan::main();
    }
}

fn bench(bencher: Bencher<'_, '_>, operation: &Operation, contestant: &Contestant) {
    let mut round = (contestant.prepare)();
    bencher.counter(ItemsCount::new(operation.count)).bench_local(&mut round);
}

/// Each operation as a function of its own, for divan to name.
macro_rules! benches {
    ($($name:ident: $operation:path, $samples:literal;)*) => {$(
        #[divan::bench(args = $operation.contestants, sample_count = $samples)]
        fn $name(bencher: Bencher<'_, '_>, contestant: &Contestant) {
            bench(bencher, &$operation, contestant);
        }
    )*};
}

benches! {
    spawn_and_join: tasks::SPAWN_AND_JOIN, 100;
    yield_alone: tasks::YIELD, 100;
    yield_among_many: tasks::YIELD_AMONG_MANY, 30;
    baton: tasks::BATON, 30;
    thread_baton: tasks::THREAD_BATON, 30;
    timers_made_and_fired: timers::MAKE_AND_FIRE, 3;
    timers_made_and_canceled: timers::MAKE_AND_CANCEL, 5;
    sort_1_000: sort::THOUSAND, 100;
    sort_1_000_000: sort::MILLION, 10;
}
