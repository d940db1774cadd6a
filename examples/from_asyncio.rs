//! A program of asyncio, and its translation: both count the words of some files, with tasks that read and tasks that count, and a queue
//! between them.
//!
//! What it shows: `asyncio.run`, `create_task`, `gather`, `wait_for` and a task's `cancel` as `run_until_complete`, `spawn`, `when`,
//! `timeout` and `cancel`. Tasks share a table without a lock, as all of them are on one thread, and a queue of the crate `async-channel`.
//!
//! ```text
//! cargo run --release --example from_asyncio -- README.md CHANGELOG.md
//! sed '1,/^\/\*/d; /^\*\//,$d' examples/from_asyncio.rs | python3 - README.md CHANGELOG.md     # the same output
//! ```
//!
//! The exit code is 0 when all went well, and 2 when the arguments or a file are at fault.

/* The original:
import asyncio
import sys


async def read(path, queue):
    with open(path, encoding="utf-8") as file:
        for line in file:
            await queue.put(line)


async def count(queue, counts):
    while True:
        line = await queue.get()
        for word in line.split():
            counts[word] = counts.get(word, 0) + 1
        queue.task_done()


async def idle():
    try:
        await asyncio.sleep(3600)
    finally:
        print("nobody waits for an hour")


async def main(paths):
    queue = asyncio.Queue(8)
    counts = {}
    idler = asyncio.create_task(idle())
    counters = [asyncio.create_task(count(queue, counts)) for _ in range(3)]
    await asyncio.wait_for(asyncio.gather(*(read(path, queue) for path in paths)), 60)
    await queue.join()
    for task in [idler, *counters]:
        task.cancel()
    await asyncio.gather(idler, *counters, return_exceptions=True)
    for word, number in sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:5]:
        print(f"{number:6} {word}")


try:
    asyncio.run(main(sys.argv[1:]))
except OSError as error:
    print(f"cannot read {error.filename}")
    sys.exit(2)
*/

use std::cell::RefCell;
use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::process::ExitCode;
use std::rc::Rc;
use std::time::Duration;

use async_channel::{Receiver, Sender};
use clap::Parser;
use deferral::{Broken, EventLoop, sleep, spawn, timeout, when};

/// Counts the words of files, as asyncio would
#[derive(Parser)]
#[command(name = "from_asyncio", version, about)]
struct Args {
    /// The files
    #[arg(value_name = "FILE", required = true)]
    paths: Vec<String>,
}

type Counts = Rc<RefCell<HashMap<String, u64>>>;

async fn read(path: String, queue: Sender<String>) -> Result<(), String> {
    let failed = |_| format!("cannot read {path}");
    for line in BufReader::new(File::open(&path).map_err(failed)?).lines() {
        queue.send(line.map_err(failed)?).await.map_err(|_| "nobody counts".to_owned())?;
    }
    Ok(())
}

/// Ends when the queue is empty and nobody has an end to put more in: there is no `join`, and no need to cancel.
async fn count(queue: Receiver<String>, counts: Counts) {
    while let Ok(line) = queue.recv().await {
        for word in line.split_whitespace() {
            *counts.borrow_mut().entry(word.to_owned()).or_default() += 1;
        }
    }
}

async fn idle() -> Result<(), Broken> {
    /// A `finally` is a destructor.
    struct Finally;
    impl Drop for Finally {
        fn drop(&mut self) {
            println!("nobody waits for an hour");
        }
    }
    let _finally = Finally;
    sleep(Duration::from_secs(3600)).await
}

async fn run(paths: Vec<String>) -> Result<(), String> {
    let (put, get) = async_channel::bounded(8);
    let counts = Counts::default();
    let idler = spawn(idle());
    let counters = (0..3).map(|_| spawn(count(get.clone(), counts.clone()))).collect::<Vec<_>>();
    let readers = paths.into_iter().map(|path| spawn(read(path, put.clone())).flatten());
    let readers = when(readers.collect::<Vec<_>>());
    drop(put);
    timeout(Duration::from_secs(60), readers).await?;
    when(counters).await?;
    idler.cancel();
    let mut counts = counts.take().into_iter().collect::<Vec<_>>();
    counts.sort_by(|(word, number), (other, than)| than.cmp(number).then_with(|| word.cmp(other)));
    for (word, number) in counts.iter().take(5) {
        println!("{number:6} {word}");
    }
    Ok(())
}

fn main() -> ExitCode {
    // As `asyncio.run` does, the loop ends what tasks are left: it is dropped here.
    let outcome = EventLoop::new().run_until_complete(run(Args::parse().paths));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("{error}");
            ExitCode::from(2)
        }
    }
}
