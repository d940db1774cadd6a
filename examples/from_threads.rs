//! Counts lines, words and bytes of many files, as `wc` does: rayon's threads read and count, the event loop gathers.
//!
//! What it shows: a `Deferred` that a thread settles, with reports of progress of its own type; `Promise::via`, after which callbacks
//! run on the loop's thread, one after the other, whatever thread reports; and `when`, which gathers the counts in order. As soon as
//! one file fails it cancels the others, and the threads, whose reports nobody takes any more, stop.
//!
//! ```text
//! cargo run --release --example from_threads                     # the sources of this crate
//! cargo run --release --example from_threads -- README.md src    # files, and all files in directories
//! cargo run --release --example from_threads -- --echoes 50000   # and how soon the loop answers four threads
//! ```
//!
//! The exit code is 0 when all went well, and 2 when the arguments or a file are at fault.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use clap::Parser;
use deferral::{Broken, Deferred, EventLoop, Handle, Promise, when};
use indicatif::ProgressBar;

/// How much is read at a time, and reported.
const PIECE: usize = 64 << 10;

/// How many threads wait for echoes.
const THREADS: usize = 4;

/// Counts lines, words and bytes of files, on all cores
#[derive(Parser)]
#[command(name = "from_threads", version, about)]
struct Args {
    /// Files, and directories whose files are counted
    #[arg(value_name = "PATH", default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/src"))]
    paths: Vec<PathBuf>,

    /// Has four threads wait for so many echoes of the loop each, and tells the latest
    #[arg(long, value_name = "N", default_value_t = 0)]
    echoes: usize,
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "error: {error}");
            ExitCode::from(2)
        }
    }
}

fn run(args: &Args) -> Result<(), Error> {
    let mut paths = Vec::new();
    args.paths.iter().try_for_each(|path| list(path, &mut paths))?;

    let event_loop = EventLoop::new();
    let (start, latest) = (Instant::now(), Latest::default());
    let counts = event_loop.run_until_complete(count_all(&paths, &event_loop.handle(), &latest))?;
    let seconds = start.elapsed().as_secs_f64();

    let total = counts.iter().copied().fold(Count::default(), Count::plus);
    print(paths.iter().zip(counts), total)?;
    say(format_args!("counted {} bytes of {} files in {seconds:.3} s", total.bytes, paths.len()));
    say(format_args!("the loop heard of each report within {:.3} ms", latest.millis()));
    if args.echoes > 0 {
        let latest = echoes(&event_loop, args.echoes)?;
        let number = THREADS * args.echoes;
        say(format_args!("the latest of {number} echoes to {THREADS} threads came after {:.3} ms", latest.millis()));
    }
    Ok(())
}

// -------------------------------------------------------------------------------------------------------- counting

/// What a thread reports: how much more it has read, and when.
#[derive(Clone, Copy)]
struct Piece {
    bytes: u64,
    read: Instant,
}

/// One promise for the counts of all files.
fn count_all(paths: &[PathBuf], handle: &Handle, latest: &Latest) -> Promise<Vec<Count>, Error> {
    let bar = ProgressBar::no_length();
    let counts = paths.iter().map(|path| {
        let (bar, latest) = (bar.clone(), latest.clone());
        // Here, and in no thread's way, is the place for a callback that takes its time.
        count(path.clone()).via(handle).progress(move |piece: &Piece| {
            bar.inc(piece.bytes);
            latest.note(piece.read);
        })
    });
    let all = when(counts.collect::<Vec<_>>());
    all.always(move |_| bar.finish_and_clear())
}

/// Has one of rayon's threads count a file.
fn count(path: PathBuf) -> Promise<Count, Error, Piece> {
    let (deferred, promise) = Deferred::with_progress();
    rayon::spawn(move || {
        let result = read(&path, |bytes| deferred.notify(Piece { bytes, read: Instant::now() }));
        deferred.settle(result.map_err(|source| Error::Read { path, source }));
    });
    promise
}

/// Counts, and reports each piece; if nobody takes the report, there is no need to go on.
fn read(path: &Path, report: impl Fn(u64) -> bool) -> io::Result<Count> {
    let mut file = File::open(path)?;
    let mut piece = vec![0; PIECE];
    let (mut count, mut in_word) = (Count::default(), false);
    loop {
        let bytes = match file.read(&mut piece)? {
            0 => return Ok(count),
            size => &piece[..size],
        };
        for byte in bytes {
            let blank = byte.is_ascii_whitespace() || *byte == b'\x0b';
            count.lines += u64::from(*byte == b'\n');
            count.words += u64::from(!blank && !in_word);
            in_word = !blank;
        }
        count.bytes += bytes.len() as u64;
        if !report(bytes.len() as u64) {
            return Ok(count);
        }
    }
}

#[derive(Clone, Copy, Default)]
struct Count {
    lines: u64,
    words: u64,
    bytes: u64,
}

impl Count {
    fn plus(self, other: Count) -> Count {
        Count { lines: self.lines + other.lines, words: self.words + other.words, bytes: self.bytes + other.bytes }
    }
}

/// Lists the files under `path` in the order of their names.
fn list(path: &Path, paths: &mut Vec<PathBuf>) -> Result<(), Error> {
    let failed = |source| Error::Read { path: path.to_owned(), source };
    if !fs::metadata(path).map_err(failed)?.is_dir() {
        paths.push(path.to_owned());
        return Ok(());
    }
    let entries = fs::read_dir(path).map_err(failed)?.map(|entry| Ok(entry?.path()));
    let mut entries = entries.collect::<io::Result<Vec<_>>>().map_err(failed)?;
    entries.sort();
    entries.iter().try_for_each(|entry| list(entry, paths))
}

fn print<'a>(counts: impl Iterator<Item = (&'a PathBuf, Count)>, total: Count) -> Result<(), Error> {
    let mut out = io::stdout().lock();
    let mut line = |Count { lines, words, bytes }: Count, name: fmt::Arguments<'_>| {
        writeln!(out, "{lines:>7} {words:>7} {bytes:>8} {name}")
    };
    let write = || {
        for (path, count) in counts {
            line(count, format_args!("{}", path.display()))?;
        }
        line(total, format_args!("total"))
    };
    match write() {
        // The reader has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result.map_err(Error::Write),
    }
}

/// Writes one line to standard error. If that is closed, there is nobody left to tell.
fn say(line: fmt::Arguments<'_>) {
    let _ = writeln!(io::stderr(), "{line}");
}

// ---------------------------------------------------------------------------------------------------------- echoes

/// Has each of four threads call on the loop, which sleeps most of the time, and wait for the answer before the next call.
fn echoes(event_loop: &EventLoop, number: usize) -> Result<Latest, Error> {
    let latest = Latest::default();
    let threads = (0..THREADS).map(|_| {
        let (handle, latest) = (event_loop.handle(), latest.clone());
        Promise::<(), Error>::new(move |deferred| {
            std::thread::spawn(move || {
                deferred.settle((0..number).try_for_each(|_| {
                    let called = Instant::now();
                    handle.call_soon(|| ()).wait()?;
                    latest.note(called);
                    Ok(())
                }));
            });
        })
    });
    event_loop.run_until_complete(when(threads.collect::<Vec<_>>()))?;
    Ok(latest)
}

/// The longest time that anything took, in nanoseconds.
#[derive(Clone, Default)]
struct Latest(Arc<AtomicU64>);

impl Latest {
    /// What began then has ended now.
    fn note(&self, began: Instant) {
        self.0.fetch_max(u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    fn millis(&self) -> f64 {
        Duration::from_nanos(self.0.load(Ordering::Relaxed)).as_secs_f64() * 1e3
    }
}

// ---------------------------------------------------------------------------------------------------------- errors

/// Why nothing was counted.
#[derive(Debug)]
enum Error {
    Read {
        path: PathBuf,
        source: io::Error,
    },
    Write(io::Error),
    /// A promise was rejected by the library: a thread has panicked, say.
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
            Error::Broken(broken) => broken.fmt(f),
        }
    }
}
