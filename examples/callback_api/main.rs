//! Prints a file and what is appended to it, as `tail -f` does, until Ctrl-C: three libraries that know only callbacks, as promises.
//!
//! What it shows: `ctrlc`, whose callback may come many times, and of which the first counts; `notify`, whose callback comes with
//! every change, seen as a promise of the next one; and POSIX's `aio_read` and `timer_create`, which are told a C function and a pointer
//! to pass on to it. How a `Deferred` travels through such a pointer, whether it is called back never, once or many times, stands in
//! `posix.rs`.
//!
//! ```text
//! cargo run --release --example callback_api -- /var/log/syslog
//! cargo run --release --example callback_api -- shared.log --every 500   # looks twice a second, whatever is told of changes
//! ```
//!
//! The exit code is 0 after Ctrl-C, and 2 when the arguments or the file are at fault.

#[cfg_attr(not(target_os = "linux"), path = "elsewhere.rs")]
mod posix;

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use clap::Parser;
use deferral::{Broken, Deferred, EventLoop, Promise, State};
use futures::future::{Either, select};
use notify::{RecommendedWatcher, RecursiveMode, Watcher};

/// How much is read at a time.
const PIECE: usize = 64 << 10;

/// Prints a file and what is appended to it, until Ctrl-C
#[derive(Parser)]
#[command(name = "callback_api", version, about)]
struct Args {
    /// The file
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// Also looks every so many milliseconds: not every file system tells of changes
    #[arg(long, value_name = "MILLISECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    every: Option<u64>,
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        // The reader has seen enough.
        Err(Error::Write(source)) if source.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            say(format_args!("error: {error}"));
            ExitCode::from(2)
        }
    }
}

fn run(args: &Args) -> Result<(), Error> {
    let file = File::open(&args.file).map_err(Error::read(&args.file))?;
    let interrupt = interrupt()?;
    let changes = Changes::default();
    let _watcher = watch(&args.file, &changes)?;
    if let Some(every) = args.every {
        let changes = changes.clone();
        posix::call_every(Duration::from_millis(every), move || changes.tell(Ok(()))).map_err(Error::Timer)?;
    }
    let printed = EventLoop::new().run_until_complete(follow(&args.file, file, &changes, interrupt))?;
    say(format_args!("interrupted after {printed} bytes"));
    Ok(())
}

/// Prints what there is, waits for a change, and so on until `interrupt`. Returns how many bytes it has printed.
async fn follow(path: &Path, file: File, changes: &Changes, mut interrupt: Promise<(), Error>) -> Result<u64, Error> {
    let file = Arc::new(file);
    let (mut at, mut printed) = (0, 0);
    loop {
        // Before the reading: what changes in between is not missed.
        let change = changes.next();
        let length = fs::metadata(path).map_err(Error::read(path))?.len();
        if length < at {
            say(format_args!("{} was truncated", path.display()));
            at = 0;
        }
        while interrupt.state() == State::Pending {
            let piece = posix::read_at(&file, at, PIECE).await.map_err(Error::read(path))?;
            if piece.is_empty() {
                break;
            }
            print(&piece)?;
            at += piece.len() as u64;
            printed += piece.len() as u64;
        }
        match select(change, &mut interrupt).await {
            Either::Left((change, _)) => change?,
            Either::Right((interrupt, _)) => return interrupt.map(|()| printed),
        }
    }
}

// ------------------------------------------------------------------------------------------------------- callbacks

/// `ctrlc`: the first Ctrl-C counts, and the others are too late.
fn interrupt() -> Result<Promise<(), Error>, Error> {
    let (deferred, promise) = Deferred::new();
    ctrlc::set_handler(move || _ = deferred.resolve(())).map_err(Error::Handler)?;
    Ok(promise)
}

/// `notify`: it calls back with every change, on a thread of its own, for as long as the watcher lives.
fn watch(path: &Path, changes: &Changes) -> Result<RecommendedWatcher, Error> {
    let changes = changes.clone();
    let tell = move |event: notify::Result<notify::Event>| match event {
        Ok(event) if event.kind.is_access() => {}
        event => changes.tell(event.map(drop).map_err(Error::Watch)),
    };
    let mut watcher = notify::recommended_watcher(tell).map_err(Error::Watch)?;
    watcher.watch(path, RecursiveMode::NonRecursive).map_err(Error::Watch)?;
    Ok(watcher)
}

/// A callback that comes many times, as a promise of the next time. Changes that nobody waits for are no news: they are read with the
/// next one.
#[derive(Clone, Default)]
struct Changes(Arc<Mutex<Option<Deferred<(), Error>>>>);

impl Changes {
    fn next(&self) -> Promise<(), Error> {
        let (deferred, promise) = Deferred::new();
        self.replace(Some(deferred));
        promise
    }

    fn tell(&self, change: Result<(), Error>) {
        // Settled when the lock is free again: callbacks run in there.
        if let Some(deferred) = self.replace(None) {
            deferred.settle(change);
        }
    }

    fn replace(&self, deferred: Option<Deferred<(), Error>>) -> Option<Deferred<(), Error>> {
        std::mem::replace(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner), deferred)
    }
}

// ---------------------------------------------------------------------------------------------- output, and errors

fn print(piece: &[u8]) -> Result<(), Error> {
    let mut out = io::stdout().lock();
    out.write_all(piece).and_then(|()| out.flush()).map_err(Error::Write)
}

/// Writes one line to standard error. If that is closed, there is nobody left to tell.
fn say(line: fmt::Arguments<'_>) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// Why it ends, if not by Ctrl-C.
#[derive(Debug)]
enum Error {
    Read {
        path: PathBuf,
        source: io::Error,
    },
    Write(io::Error),
    Watch(notify::Error),
    Handler(ctrlc::Error),
    Timer(io::Error),
    /// A promise was rejected by the library: the watcher is gone, say.
    Broken(Broken),
}

impl Error {
    fn read(path: &Path) -> impl FnOnce(io::Error) -> Error {
        move |source| Error::Read { path: path.to_owned(), source }
    }
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
            Error::Watch(source) => write!(f, "cannot watch: {source}"),
            Error::Handler(source) => write!(f, "cannot listen to Ctrl-C: {source}"),
            Error::Timer(source) => write!(f, "cannot start the timer: {source}"),
            Error::Broken(broken) => broken.fmt(f),
        }
    }
}
