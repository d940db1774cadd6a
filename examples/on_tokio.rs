//! Counts how often words come in files: tokio's threads read and split, and the event loop has the table.
//!
//! What it shows: promises under tokio's multi-thread runtime, in both directions. A tokio task settles a promise that the loop awaits
//! (`on_tokio`, which also passes a cancel on, and tells of a panic); and a tokio task awaits a promise that the loop settles
//! (`Handle::call_soon`), with a timeout of tokio's own. The table is a thread-local of the loop's thread: no task locks it.
//!
//! ```text
//! cargo run --release --example on_tokio                          # the sources of this crate
//! cargo run --release --example on_tokio -- README.md --top 20
//! ```
//!
//! The exit code is 0 when all went well, and 2 when the arguments or a file are at fault.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use deferral::{Broken, EventLoop, Handle, Promise, when};
use tokio::runtime::{Builder, Runtime};
use tokio::task::spawn_blocking;
use tokio::time::timeout;

/// How long a task waits for the loop's answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// Counts how often words come in files
#[derive(Parser)]
#[command(name = "on_tokio", version, about)]
struct Args {
    /// Files, and directories whose files are read
    #[arg(value_name = "PATH", default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/src"))]
    paths: Vec<PathBuf>,

    /// How many words to tell
    #[arg(long, value_name = "N", default_value_t = 10)]
    top: usize,
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(format_args!("error: {error}"));
            ExitCode::from(2)
        }
    }
}

fn run(args: &Args) -> Result<(), Error> {
    let mut paths = Vec::new();
    args.paths.iter().try_for_each(|path| list(path, &mut paths))?;

    let tokio = Builder::new_multi_thread().enable_time().build().map_err(Error::Tokio)?;
    let event_loop = EventLoop::new();
    let handle = event_loop.handle();
    // The first file that fails cancels the others.
    let counts = paths.iter().map(|path| on_tokio(&tokio, count(path.clone(), handle.clone())));
    let counts = event_loop.run_until_complete(when(counts.collect::<Vec<_>>()))?;

    print(&TABLE.take(), args.top)?;
    say(format_args!("counted {} words of {} files", counts.iter().sum::<u64>(), paths.len()));
    Ok(())
}

/// A future on tokio's threads, seen as a promise. If the promise is canceled, the task is aborted; if the task panics, or the runtime
/// ends before it does, the promise is rejected as abandoned.
fn on_tokio<T: Send>(
    tokio: &Runtime,
    future: impl Future<Output = Result<T, Error>> + Send + 'static,
) -> Promise<T, Error> {
    Promise::new(|deferred| {
        let producer = deferred.clone();
        let task = tokio.spawn(async move { producer.settle(future.await) }).abort_handle();
        deferred.on_cancel(move || task.abort());
    })
}

// -------------------------------------------------------------------------------------------------------- counting

type Words = HashMap<String, u64>;

thread_local! {
    /// The table of all files, on the loop's thread.
    static TABLE: RefCell<Words> = RefCell::default();
}

/// What a tokio task does with a file: reads it where blocking is allowed, splits it, and has the loop add its words to the table.
async fn count(path: PathBuf, handle: Handle) -> Result<u64, Error> {
    let read = spawn_blocking(move || fs::read(&path).map_err(|source| Error::Read { path, source }));
    let text = read.await.map_err(|error| Error::Tokio(error.into()))??;
    let words = split(&text);
    let number = words.values().sum();
    timeout(PATIENCE, handle.call_soon(move || add(words))).await.map_err(|_| Error::Silent)??;
    Ok(number)
}

/// Words are of the letters of ASCII.
fn split(text: &[u8]) -> Words {
    let mut words = Words::new();
    for word in text.split(|byte| !byte.is_ascii_alphabetic()).filter(|word| !word.is_empty()) {
        *words.entry(String::from_utf8_lossy(word).to_ascii_lowercase()).or_default() += 1;
    }
    words
}

fn add(words: Words) {
    TABLE.with_borrow_mut(|table| {
        for (word, number) in words {
            *table.entry(word).or_default() += number;
        }
    });
}

/// Lists the files under `path`.
fn list(path: &Path, paths: &mut Vec<PathBuf>) -> Result<(), Error> {
    let failed = |source| Error::Read { path: path.to_owned(), source };
    if !fs::metadata(path).map_err(failed)?.is_dir() {
        paths.push(path.to_owned());
        return Ok(());
    }
    fs::read_dir(path).map_err(failed)?.try_for_each(|entry| list(&entry.map_err(failed)?.path(), paths))
}

// ---------------------------------------------------------------------------------------------- output, and errors

fn print(table: &Words, top: usize) -> Result<(), Error> {
    let mut words: Vec<_> = table.iter().collect();
    words.sort_by(|(word, number), (other, than)| than.cmp(number).then_with(|| word.cmp(other)));
    let mut out = io::stdout().lock();
    match words.iter().take(top).try_for_each(|(word, number)| writeln!(out, "{number:>7} {word}")) {
        // The reader has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result.map_err(Error::Write),
    }
}

/// Writes one line to standard error. If that is closed, there is nobody left to tell.
fn say(line: fmt::Arguments<'_>) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// Why nothing was counted.
#[derive(Debug)]
enum Error {
    Read {
        path: PathBuf,
        source: io::Error,
    },
    Write(io::Error),
    Tokio(io::Error),
    /// The loop has not answered in time.
    Silent,
    /// A promise was rejected by the library: a task has panicked, say.
    Broken(Broken),
}

impl From<Broken> for Error {
    fn from(broken: Broken) -> Self {
        Error::Broken(broken)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Read { path, source } => write!(f, "cannot read {}: {source}", path.display()),
            Error::Write(source) => write!(f, "cannot write: {source}"),
            Error::Tokio(source) => write!(f, "cannot run on tokio: {source}"),
            Error::Silent => write!(f, "the event loop has not answered in {PATIENCE:?}"),
            Error::Broken(broken) => broken.fmt(f),
        }
    }
}
