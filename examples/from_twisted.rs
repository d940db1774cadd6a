//! A program of Twisted, and its translation: both read the first lines of some files on threads, and try again what fails.
//!
//! What it shows: `deferToThread` as `Promise::new` around a thread; `addErrback`, whose function returns a failure or another deferred, as
//! `catch`; `deferLater` as a `sleep` and a `then`; `DeferredList` as `when::settled`, and `addCallback` as `done`, or `then`.
//!
//! ```text
//! cargo run --release --example from_twisted -- README.md missing
//! python3 -m pip install twisted
//! sed '1,/^\/\*/d; /^\*\//,$d' examples/from_twisted.rs | python3 - README.md missing      # the same output
//! ```
//!
//! The exit code is 0 when all went well, 1 when a file could not be read, and 2 when the arguments are at fault.

/* The original:
import sys

from twisted.internet import defer, task, threads


attempts = 0


def first_line(path):
    with open(path, encoding="utf-8") as file:
        return file.readline().rstrip("\n")


def attempt(reactor, path, tries):
    def again(failure):
        failure.trap(OSError)
        if tries == 1:
            return failure
        return task.deferLater(reactor, 0.01, attempt, reactor, path, tries - 1)

    global attempts
    attempts += 1
    d = threads.deferToThread(first_line, path)
    d.addErrback(again)
    return d


def main(reactor, *paths):
    def tell(results):
        for path, (success, result) in zip(paths, results):
            print(f"{path}: {result}" if success else f"{path} cannot be read")
        print(f"{attempts} attempts")
        return sum(not success for success, _ in results)

    def end(failed):
        if failed > 0:
            raise SystemExit(1)

    d = defer.DeferredList([attempt(reactor, path, 3) for path in paths], consumeErrors=True)
    d.addCallback(tell)
    d.addCallback(end)
    return d


task.react(main, sys.argv[1:])
*/

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use clap::Parser;
use deferral::{EventLoop, Handle, Promise, when};

/// Reads the first lines of files, as Twisted would
#[derive(Parser)]
#[command(name = "from_twisted", version, about)]
struct Args {
    /// The files
    #[arg(value_name = "FILE", required = true)]
    paths: Vec<String>,
}

static ATTEMPTS: AtomicU32 = AtomicU32::new(0);

fn first_line(path: &str) -> io::Result<String> {
    let mut line = String::new();
    BufReader::new(File::open(path)?).read_line(&mut line)?;
    Ok(line.trim_end_matches('\n').to_owned())
}

/// `deferToThread`.
fn defer_to_thread<T: Send>(f: impl FnOnce() -> io::Result<T> + Send + 'static) -> Promise<T, io::Error> {
    Promise::new(|deferred| _ = thread::spawn(move || deferred.settle(f())))
}

fn attempt(handle: Handle, path: String, tries: u32) -> Promise<String, io::Error> {
    ATTEMPTS.fetch_add(1, Ordering::Relaxed);
    let name = path.clone();
    defer_to_thread(move || first_line(&name)).catch(move |error| {
        if tries == 1 {
            return Promise::rejected(error);
        }
        let later = handle.sleep(Duration::from_millis(10)).map_err(io::Error::from);
        later.then(move |()| attempt(handle, path, tries - 1))
    })
}

fn main() -> ExitCode {
    let Args { paths } = Args::parse();
    // `task.react` has a reactor, and stops it when the deferred has fired.
    let reactor = EventLoop::new();
    let attempts = paths.iter().map(|path| attempt(reactor.handle(), path.clone(), 3));
    let failed = when::settled(attempts).then(move |results| {
        for (path, result) in paths.iter().zip(&results) {
            match result {
                Ok(line) => println!("{path}: {line}"),
                Err(_) => println!("{path} cannot be read"),
            }
        }
        println!("{} attempts", ATTEMPTS.load(Ordering::Relaxed));
        Ok(results.iter().filter(|result| result.is_err()).count())
    });
    match reactor.run_until_complete(failed) {
        Ok(0) => ExitCode::SUCCESS,
        _ => ExitCode::from(1),
    }
}
