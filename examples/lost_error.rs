//! Four mistakes that lose an error, and what is told of each: a rejection that nobody looks at, a deferred that nobody settles, a task
//! that panics with nobody waiting, and a callback that holds up the loop.
//!
//! What it shows: `set_unhandled_hook`. Without a hook, builds with debug assertions write the same lines to standard error. With
//! `--handled` the mistakes are mended, and nothing is told.
//!
//! ```text
//! cargo run --release --example lost_error
//! cargo run --release --example lost_error -- abandoned slow
//! cargo run --release --example lost_error -- --handled
//! ```
//!
//! The exit code is 0 when nothing was lost, 1 when something was, and 2 when the arguments are at fault.

use std::fs;
use std::io;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use deferral::unhandled::set_unhandled_hook;
use deferral::{Deferred, EventLoop, Promise, spawn};

/// Loses errors in four ways, and shows what is told of each
#[derive(Parser)]
#[command(name = "lost_error", version, about)]
struct Args {
    /// Which mistakes to make; all of them without one
    #[arg(value_enum)]
    mistakes: Vec<Mistake>,

    /// Do it right: look at the errors, settle, and work on a thread
    #[arg(long)]
    handled: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Mistake {
    /// Nobody looks at an error
    Rejection,
    /// Nobody settles a deferred
    Abandoned,
    /// A task panics, and nobody waits for it
    Task,
    /// A callback holds up the loop
    Slow,
}

/// Counts the lines of a file that is not there.
fn ignore_a_rejection(handled: bool) {
    let lines = Promise::<String, io::Error>::from(fs::read_to_string("no/such/file"))
        .then(|text| Ok(text.lines().count()))
        .done(|lines| println!("  {lines} lines"));
    if handled {
        lines.fail(|error| println!("  handled: {error}"));
    }
}

/// A request to a server that hangs up without an answer.
fn abandon_a_deferred(handled: bool) {
    let (on_answer, answer) = Deferred::<u32>::new();
    let answer = answer.done(|status| println!("  status {status}"));
    if handled {
        answer.fail(|error| println!("  handled: {error}"));
    }
    drop(on_answer);
}

/// A task in the background that divides by what it does not know.
fn panic_in_a_task(handled: bool) {
    let event_loop = EventLoop::new();
    event_loop.run_until_complete(async {
        let task = spawn(async { average(&[]) });
        if handled {
            task.fail(|error| println!("  handled: {error}"));
        }
    });
    event_loop.run_until_idle();
}

fn average(numbers: &[u32]) -> u32 {
    numbers.iter().sum::<u32>() / u32::try_from(numbers.len()).expect("not that many")
}

/// A call that computes for a while.
fn hold_up_the_loop(handled: bool) {
    let compute = || thread::sleep(Duration::from_millis(30));
    let event_loop = EventLoop::new();
    event_loop.warn_slower_than(Duration::from_millis(20));
    if handled {
        let (deferred, computed) = Deferred::<()>::new();
        let worker = thread::spawn(move || {
            compute();
            deferred.resolve(())
        });
        event_loop.run_until_complete(computed).expect("the worker resolves");
        worker.join().expect("it does not panic");
        println!("  handled: on a thread");
    } else {
        event_loop.call_soon(compute);
        event_loop.run_until_idle();
    }
}

fn main() -> ExitCode {
    let args = Args::parse();
    let lost = Arc::new(AtomicUsize::new(0));
    let count = lost.clone();
    set_unhandled_hook(Some(Arc::new(move |unhandled| {
        println!("  deferral: {unhandled}");
        count.fetch_add(1, Ordering::Relaxed);
    })));
    let mistakes = if args.mistakes.is_empty() { Mistake::value_variants() } else { &args.mistakes };
    for mistake in mistakes {
        let (title, make): (_, fn(bool)) = match mistake {
            Mistake::Rejection => ("nobody looks at an error", ignore_a_rejection),
            Mistake::Abandoned => ("nobody settles a deferred", abandon_a_deferred),
            Mistake::Task => ("a task panics, and nobody waits for it", panic_in_a_task),
            Mistake::Slow => ("a callback holds up the loop", hold_up_the_loop),
        };
        println!("{title}:");
        make(args.handled);
    }
    match lost.load(Ordering::Relaxed) {
        0 => ExitCode::SUCCESS,
        lost => {
            println!("{lost} lost");
            ExitCode::FAILURE
        }
    }
}
