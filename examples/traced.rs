//! Tells, line by line, what becomes of promises and tasks: a shop asks two warehouses for a price, and takes the first.
//!
//! What it shows: the feature `tracing`. Every task is a span, and every settle, cancel and loss an event; `tracing-subscriber`
//! prints them. On the virtual clock nobody has to wait.
//!
//! ```text
//! cargo run --release --features tracing --example traced
//! cargo run --release --features tracing --example traced -- --level warn
//! ```
//!
//! The exit code is 0, and 2 when the arguments are at fault.

use std::time::Duration;

use clap::Parser;
use deferral::{Broken, Deferred, EventLoop, sleep, spawn, timeout, when};
use tracing::{Level, info};

/// Follows promises and tasks by their events
#[derive(Parser)]
#[command(name = "traced", version, about)]
struct Args {
    /// How much to tell: error, warn, info, debug or trace
    #[arg(long, default_value = "debug")]
    level: Level,
}

/// A warehouse that takes its time.
async fn ask(warehouse: &'static str, seconds: u64, price: u32) -> Result<u32, Broken> {
    info!(warehouse, "asked");
    sleep(Duration::from_secs(seconds)).await?;
    info!(warehouse, price, "answers");
    Ok(price)
}

/// The price of whoever answers first.
async fn cheapest() -> Result<u32, Broken> {
    let near = spawn(ask("near", 1, 120)).flatten();
    let far = spawn(ask("far", 3600, 90)).flatten();
    when::race([near, far]).await
}

fn main() {
    let args = Args::parse();
    tracing_subscriber::fmt().with_max_level(args.level).without_time().with_ansi(false).init();
    let event_loop = EventLoop::with_virtual_clock();
    event_loop.run_until_complete(async {
        info!("the near one wins, and the far one is canceled");
        let price = spawn(cheapest()).flatten().await.expect("one of them answers");
        info!(price, "bought");

        info!("the courier is too slow, and nobody looks at that");
        let courier = spawn(sleep(Duration::from_secs(7200)));
        drop(timeout(Duration::from_secs(60), courier).done(|_| info!("delivered")));

        info!("the customer hangs up without a word");
        let (rating, stars) = Deferred::<u32>::new();
        stars.fail(|error| info!(%error, "no rating"));
        drop(rating);
    });
    event_loop.run_until_idle();
}
