//! Finds files with the same content: tasks of one thread that wait for each other, by what the crates of others have for it.
//!
//! What it shows: a queue (`async-channel`) from the task that lists directories to those that read; a semaphore (`async-lock`), which
//! limits how many files are open; a lock (`async-lock`) that is held over an `.await`, while a file is compared with those found before;
//! and an event (`event-listener`), which ends a task that waits for it or for a timer. They know nothing of this crate, nor it of them.
//! The tasks share all of it in an `Rc`, and give way to each other after each piece that they read.
//!
//! With `--block` one of them sleeps without giving way, and holds up all others: the loop tells how long it stood still. In a debug
//! build it also says at once which task did it (`warn_slower_than`).
//!
//! ```text
//! cargo run --release --example siblings                         # the sources of this crate
//! cargo run --release --example siblings -- ~/Pictures --open 16
//! cargo run --release --example siblings -- --block 200
//! ```
//!
//! The exit code is 0 when all went well, and 2 when the arguments or a file are at fault.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hasher};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::rc::Rc;
use std::thread;
use std::time::{Duration, Instant};

use async_channel::{Receiver, Sender};
use async_lock::{Mutex, Semaphore};
use clap::Parser;
use deferral::{Broken, EventLoop, sleep, spawn, when};
use event_listener::Event;
use futures::future::{Either, select};

/// How much is read at a time, before other tasks have their turn.
const PIECE: usize = 64 << 10;

/// How many tasks read, and how many paths may wait for them.
const READERS: usize = 16;

/// How often the pulse is felt.
const BEAT: Duration = Duration::from_millis(1);

/// Finds files with the same content
#[derive(Parser)]
#[command(name = "siblings", version, about)]
struct Args {
    /// Files, and directories whose files are compared
    #[arg(value_name = "PATH", default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/src"))]
    paths: Vec<PathBuf>,

    /// How many files may be open at a time to be read
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u64).range(1..=1000))]
    open: u64,

    /// Blocks the loop for so long, as no task should
    #[arg(long, value_name = "MILLISECONDS", default_value_t = 0)]
    block: u64,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let event_loop = EventLoop::new();
    event_loop.warn_slower_than(Duration::from_millis(50));
    match event_loop.run_until_complete(run(args)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(format_args!("error: {error}"));
            ExitCode::from(2)
        }
    }
}

async fn run(args: Args) -> Result<(), Error> {
    let search = Rc::new(Search::new(args.open as usize));
    let (put, get) = async_channel::bounded(READERS);
    let pulse = spawn(pulse(search.clone()));

    // As soon as one of them fails, `when` cancels the others.
    let mut siblings = vec![spawn(list_all(args.paths, put)).flatten()];
    siblings.extend((0..READERS).map(|_| spawn(read_all(search.clone(), get.clone())).flatten()));
    if args.block > 0 {
        siblings.push(spawn(block(Duration::from_millis(args.block))).flatten());
    }
    when(siblings).await?;
    search.end();
    let stood_still = pulse.await?;

    print(&*search.table.lock().await)?;
    let (files, bytes, most) = (search.files.get(), search.bytes.get(), search.most.get());
    say(format_args!("compared {bytes} bytes of {files} files, of which at most {most} were open to be read"));
    say(format_args!("the loop stood still for {:.1} ms at most", stood_still.as_secs_f64() * 1e3));
    Ok(())
}

// ----------------------------------------------------------------------------------------------------------- tasks

/// Length and hash of a content, and the groups of files that have both. As a rule that is one group: of files that are the same.
type Table = BTreeMap<(u64, u64), Vec<Vec<PathBuf>>>;

/// What the tasks share.
struct Search {
    open: Semaphore,
    table: Mutex<Table>,
    /// Notified when `is_over` is set.
    over: Event,
    is_over: Cell<bool>,
    files: Cell<usize>,
    bytes: Cell<u64>,
    /// How many files are open now, and how many were at most.
    now: Cell<usize>,
    most: Cell<usize>,
}

impl Search {
    fn new(open: usize) -> Self {
        Search {
            open: Semaphore::new(open),
            table: Mutex::default(),
            over: Event::new(),
            is_over: Cell::default(),
            files: Cell::default(),
            bytes: Cell::default(),
            now: Cell::default(),
            most: Cell::default(),
        }
    }

    fn end(&self) {
        self.is_over.set(true);
        self.over.notify(usize::MAX);
    }
}

/// Sends each file's path. Waits while the queue is full, and closes it at the end, as nobody else has this end of it.
async fn list_all(paths: Vec<PathBuf>, queue: Sender<PathBuf>) -> Result<(), Error> {
    let mut left = paths;
    while let Some(path) = left.pop() {
        let failed = |source| Error::Read { path: path.clone(), source };
        let kind = fs::symlink_metadata(&path).map_err(failed)?;
        if kind.is_dir() {
            for entry in fs::read_dir(&path).map_err(failed)? {
                left.push(entry.map_err(failed)?.path());
            }
        } else if kind.is_file() && queue.send(path).await.is_err() {
            return Ok(());
        }
    }
    Ok(())
}

/// Takes paths as they come, until the queue is closed and empty.
async fn read_all(search: Rc<Search>, queue: Receiver<PathBuf>) -> Result<(), Error> {
    while let Ok(path) = queue.recv().await {
        let permit = search.open.acquire().await;
        search.now.set(search.now.get() + 1);
        search.most.set(search.most.get().max(search.now.get()));
        let key = digest(&path).await?;
        search.now.set(search.now.get() - 1);
        drop(permit);
        search.files.set(search.files.get() + 1);
        search.bytes.set(search.bytes.get() + key.0);
        // Held until the path has its place: another file with this content must not look for one meanwhile.
        let mut table = search.table.lock().await;
        join(table.entry(key).or_default(), path).await?;
    }
    Ok(())
}

/// Puts a path into the group of those with its content.
async fn join(groups: &mut Vec<Vec<PathBuf>>, path: PathBuf) -> Result<(), Error> {
    for group in groups.iter_mut() {
        if same(&group[0], &path).await? {
            group.push(path);
            return Ok(());
        }
    }
    groups.push(vec![path]);
    Ok(())
}

/// Feels the pulse of the loop until the search is over: the longest time that a timer was late.
async fn pulse(search: Rc<Search>) -> Duration {
    let mut latest = Duration::ZERO;
    loop {
        // First listen, then look: so no notification is missed in between.
        let over = search.over.listen();
        if search.is_over.get() {
            return latest;
        }
        let began = Instant::now();
        if let Either::Left(_) = select(sleep(BEAT), over).await {
            latest = latest.max(began.elapsed().saturating_sub(BEAT));
        }
    }
}

/// What not to do: the thread sleeps, and with it all tasks. Such work belongs on a thread of its own.
async fn block(time: Duration) -> Result<(), Error> {
    sleep(2 * BEAT).await?;
    thread::sleep(time);
    Ok(())
}

// ----------------------------------------------------------------------------------------------------------- files

async fn digest(path: &Path) -> Result<(u64, u64), Error> {
    let mut pieces = Pieces::open(path)?;
    let (mut length, mut hasher) = (0, DefaultHasher::new());
    while let Some(piece) = pieces.next().await? {
        length += piece.len() as u64;
        hasher.write(piece);
    }
    Ok((length, hasher.finish()))
}

async fn same(one: &Path, other: &Path) -> Result<bool, Error> {
    let (mut one, mut other) = (Pieces::open(one)?, Pieces::open(other)?);
    loop {
        match (one.next().await?, other.next().await?) {
            (None, None) => return Ok(true),
            (one, other) if one == other => {}
            _ => return Ok(false),
        }
    }
}

/// A file, piece by piece.
struct Pieces<'a> {
    path: &'a Path,
    file: File,
    piece: Vec<u8>,
}

impl<'a> Pieces<'a> {
    fn open(path: &'a Path) -> Result<Self, Error> {
        let file = File::open(path).map_err(|source| Error::Read { path: path.to_owned(), source })?;
        Ok(Pieces { path, file, piece: Vec::new() })
    }

    /// Up to [`PIECE`] bytes, less only at the end of the file.
    async fn next(&mut self) -> Result<Option<&[u8]>, Error> {
        // The others have their turn.
        sleep(Duration::ZERO).await?;
        self.piece.clear();
        let read = (&mut self.file).take(PIECE as u64).read_to_end(&mut self.piece);
        match read {
            Ok(0) => Ok(None),
            Ok(_) => Ok(Some(&self.piece)),
            Err(source) => Err(Error::Read { path: self.path.to_owned(), source }),
        }
    }
}

// ---------------------------------------------------------------------------------------------- output, and errors

/// Prints each group of two or more, sorted, with an empty line after it.
fn print(table: &Table) -> Result<(), Error> {
    let mut groups: Vec<_> = table.values().flatten().filter(|group| group.len() > 1).cloned().collect();
    groups.iter_mut().for_each(|group| group.sort());
    groups.sort();
    let mut out = io::stdout().lock();
    let mut write = || {
        groups.iter().try_for_each(|group| {
            group.iter().try_for_each(|path| writeln!(out, "{}", path.display()))?;
            writeln!(out)
        })
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

/// Why nothing was compared.
#[derive(Debug)]
enum Error {
    Read {
        path: PathBuf,
        source: io::Error,
    },
    Write(io::Error),
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
            Error::Broken(broken) => broken.fmt(f),
        }
    }
}
