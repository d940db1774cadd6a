//! Sorts a file of integers in chunks, one promise per chunk.
//!
//! What it shows: work scheduled with `call_soon`, each call seen as a promise; `when`, which gathers many promises
//! into one; a progress bar that listens to the progress of `when`; and `run_until_complete`, which runs the loop until
//! the gathered promise is settled. All of that stands in `sort_in_promises`; the rest reads, merges and writes.
//!
//! ```text
//! cargo run --release --example sort_chunks                          # a million random integers
//! cargo run --release --example sort_chunks -- numbers.txt -o sorted.txt
//! seq 1000000 | shuf | cargo run --release --example sort_chunks -- - | head
//! ```
//!
//! The exit code is 0 when all went well, 2 when the arguments, the input or the output are at fault, and 1 when a
//! chunk could not be sorted.

use std::fmt;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, BufWriter, Read, Write};
use std::iter;
use std::num::IntErrorKind;
use std::path::{Path, PathBuf};
use std::process::{self, ExitCode};
use std::time::Instant;

use clap::Parser;
use clap::builder::RangedU64ValueParser;
use deferral::{Broken, EventLoop, Progress, when};
use indicatif::ProgressBar;

/// Sorts integers in chunks, one promise per chunk, and merges the chunks
#[derive(Parser)]
#[command(name = "sort_chunks", version, about)]
struct Args {
    /// File of 64-bit integers separated by white space; `-` is standard input; without it, they are random
    #[arg(value_name = "FILE")]
    input: Option<PathBuf>,

    /// How many random integers to make
    #[arg(long, value_name = "N", default_value_t = 1_000_000, conflicts_with = "input")]
    count: usize,

    /// Seed of the random integers; the same seed gives the same integers
    #[arg(long, value_name = "SEED", default_value_t = 1, conflicts_with = "input")]
    seed: u64,

    /// How many integers make one chunk
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = RangedU64ValueParser::<usize>::new().range(1..))]
    chunk: usize,

    /// Where to write; `-` is standard output; without it, too, but of random integers only the first and last few
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Sorts each chunk of `size` integers in a call of its own and returns the sorted chunks in their order.
fn sort_in_promises(integers: &[i64], size: usize) -> Result<Vec<Vec<i64>>, Broken> {
    let event_loop = EventLoop::new();

    // Each call is seen as a promise of what it returns. Nothing runs yet: the calls wait for the loop.
    let mut chunks = Vec::new();
    for chunk in integers.chunks(size) {
        let mut chunk = chunk.to_vec();
        chunks.push(event_loop.call_soon(move || {
            chunk.sort_unstable();
            chunk
        }));
    }

    // One promise for all of them. It reports how many are done each time one is, which is what a progress bar wants;
    // the bar itself decides when a redraw is due, and draws nothing where standard error is not a terminal.
    let bar = ProgressBar::new(chunks.len() as u64);
    let shown = bar.clone();
    let all = when(chunks).progress(move |progress: &Progress| shown.set_position(progress.done));

    // The loop runs here until the promise is settled. Had a call panicked, the promise would be rejected and say so.
    let sorted = event_loop.run_until_complete(all);
    bar.finish_and_clear();
    sorted
}

fn main() -> ExitCode {
    let Err(error) = run(&Args::parse()) else { return ExitCode::SUCCESS };
    report(format_args!("error: {error}"));
    ExitCode::from(error.exit_code())
}

fn run(args: &Args) -> Result<(), Error> {
    let integers = match &args.input {
        Some(path) => parse(&read(path)?)?,
        None => random(args.count, args.seed)?,
    };

    let start = Instant::now();
    let chunks = sort_in_promises(&integers, args.chunk).map_err(Error::Rejected)?;
    let count = chunks.len();
    let sorted = merge(&chunks, args.chunk);
    let seconds = start.elapsed().as_secs_f64();

    match &args.output {
        Some(path) if !is_dash(path) => write_file(path, &sorted)?,
        None if args.input.is_none() => write_stdout(|out| write_ends(out, &sorted))?,
        _ => write_stdout(|out| write_all(out, &sorted))?,
    }
    report(format_args!("sorted {} integers in {count} chunks in {seconds:.3} s", sorted.len()));
    Ok(())
}

/// Writes one line to standard error. If that is closed, there is nobody left to tell.
fn report(line: fmt::Arguments<'_>) {
    let _ = writeln!(io::stderr(), "{line}");
}

fn is_dash(path: &Path) -> bool {
    path.as_os_str() == "-"
}

// ---------------------------------------------------------------------------------------------------------- errors

/// Why nothing was sorted.
enum Error {
    /// The input cannot be read.
    Read { path: PathBuf, source: io::Error },
    /// The input has a token that is not an `i64`.
    Token { line: usize, token: String, reason: &'static str },
    /// So many random integers do not fit in memory.
    TooMany(usize),
    /// The output cannot be written.
    Write { path: PathBuf, source: io::Error },
    /// The promise of the sorted chunks was rejected.
    Rejected(Broken),
}

impl Error {
    /// 2 is for what the caller can mend; it is also what `clap` uses for bad arguments.
    fn exit_code(&self) -> u8 {
        match self {
            Error::Read { .. } | Error::Token { .. } | Error::TooMany(_) | Error::Write { .. } => 2,
            Error::Rejected(_) => 1,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Read { path, source } if is_dash(path) => write!(f, "cannot read standard input: {source}"),
            Error::Read { path, source } => write!(f, "cannot read {}: {source}", path.display()),
            Error::Token { line, token, reason } => write!(f, "line {line}: {token} {reason}"),
            Error::TooMany(count) => write!(f, "no memory for {count} integers"),
            Error::Write { path, source } if is_dash(path) => write!(f, "cannot write standard output: {source}"),
            Error::Write { path, source } => write!(f, "cannot write {}: {source}", path.display()),
            Error::Rejected(broken) => write!(f, "a chunk could not be sorted: {broken}"),
        }
    }
}

// ----------------------------------------------------------------------------------------------------------- input

fn read(path: &Path) -> Result<Vec<u8>, Error> {
    let read = if is_dash(path) { read_stdin() } else { fs::read(path) };
    read.map_err(|source| Error::Read { path: path.to_owned(), source })
}

fn read_stdin() -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    io::stdin().lock().read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn parse(bytes: &[u8]) -> Result<Vec<i64>, Error> {
    let mut integers = Vec::new();
    let mut offset = 0;
    for token in bytes.split(|&byte| is_space(byte)) {
        if !token.is_empty() {
            integers.push(parse_token(token).map_err(|reason| bad_token(&bytes[..offset], token, reason))?);
        }
        offset += token.len() + 1;
    }
    Ok(integers)
}

/// White space as C's `isspace` has it: `is_ascii_whitespace` leaves out the vertical tab.
fn is_space(byte: u8) -> bool {
    byte.is_ascii_whitespace() || byte == b'\x0b'
}

fn parse_token(token: &[u8]) -> Result<i64, &'static str> {
    let text = std::str::from_utf8(token).map_err(|_| "is not an integer")?;
    text.parse::<i64>().map_err(|error| match error.kind() {
        IntErrorKind::PosOverflow | IntErrorKind::NegOverflow => "does not fit in 64 bits",
        _ => "is not an integer",
    })
}

/// Describes a bad token. Lines are counted only now, so that good input does not pay for them.
fn bad_token(before: &[u8], token: &[u8], reason: &'static str) -> Error {
    const SHOWN: usize = 40;
    let line = 1 + before.iter().filter(|&&byte| byte == b'\n').count();
    // A file that is not text at all may be one huge token. Four bytes a character are enough for what is shown.
    let text = String::from_utf8_lossy(&token[..token.len().min(4 * SHOWN + 4)]);
    let shown: String = text.chars().take(SHOWN).collect();
    let rest = if shown.len() < text.len() || token.len() > 4 * SHOWN + 4 { "..." } else { "" };
    // Quoted and escaped: control characters of a stray binary file must not reach the terminal.
    Error::Token { line, token: format!("{shown:?}{rest}"), reason }
}

/// Random integers by SplitMix64: small, the same everywhere, and good enough to have something to sort.
fn random(count: usize, seed: u64) -> Result<Vec<i64>, Error> {
    let mut integers = Vec::new();
    integers.try_reserve_exact(count).map_err(|_| Error::TooMany(count))?;
    let mut state = seed;
    let next = iter::repeat_with(|| {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) as i64
    });
    integers.extend(next.take(count));
    Ok(integers)
}

// ----------------------------------------------------------------------------------------------------------- merge

/// Merges sorted chunks of `size` integers each (the last may be shorter): two neighbours at a time, then two of the
/// longer runs that this gives, and so on until one run is left.
fn merge(chunks: &[Vec<i64>], size: usize) -> Vec<i64> {
    let mut from = chunks.concat();
    let mut into = vec![0; from.len()];
    let mut run = size;
    while run < from.len() {
        for (pair, merged) in from.chunks(2 * run).zip(into.chunks_mut(2 * run)) {
            let (left, right) = pair.split_at(run.min(pair.len()));
            merge_two(left, right, merged);
        }
        std::mem::swap(&mut from, &mut into);
        run *= 2;
    }
    from
}

/// `merged` is as long as `left` and `right` together.
fn merge_two(left: &[i64], right: &[i64], merged: &mut [i64]) {
    let (mut l, mut r) = (0, 0);
    for slot in merged {
        if r == right.len() || (l < left.len() && left[l] <= right[r]) {
            *slot = left[l];
            l += 1;
        } else {
            *slot = right[r];
            r += 1;
        }
    }
}

// ---------------------------------------------------------------------------------------------------------- output

fn write_all(out: &mut dyn Write, integers: &[i64]) -> io::Result<()> {
    integers.iter().try_for_each(|integer| writeln!(out, "{integer}"))
}

/// The first and last few, or all if they are few.
fn write_ends(out: &mut dyn Write, integers: &[i64]) -> io::Result<()> {
    const ENDS: usize = 5;
    if integers.len() <= 2 * ENDS {
        return write_all(out, integers);
    }
    write_all(out, &integers[..ENDS])?;
    writeln!(out, "...")?;
    write_all(out, &integers[integers.len() - ENDS..])
}

fn write_stdout(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), Error> {
    write_stream(io::stdout().lock(), write).map_err(|source| Error::Write { path: PathBuf::from("-"), source })
}

/// Writes to what may have a reader: if that one has seen enough and left, as `head` does, there is no more to do.
fn write_stream(stream: impl Write, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    match buffered(stream, write) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}

fn buffered(stream: impl Write, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    let mut out = BufWriter::with_capacity(1 << 16, stream);
    write(&mut out)?;
    out.flush()
}

fn write_file(path: &Path, integers: &[i64]) -> Result<(), Error> {
    try_write_file(path, integers).map_err(|source| Error::Write { path: path.to_owned(), source })
}

/// A file that is there already is opened first, though not to be written: that tells whether it may be, and whether it
/// is a file at all. A device or a named pipe is written to, never replaced.
fn try_write_file(path: &Path, integers: &[i64]) -> io::Result<()> {
    match OpenOptions::new().write(true).open(path) {
        Ok(file) => {
            let metadata = file.metadata()?;
            if metadata.is_file() {
                // What a symbolic link points to is replaced, not the link.
                replace(&fs::canonicalize(path)?, Some(metadata.permissions()), integers)
            } else {
                write_stream(file, |out| write_all(out, integers))
            }
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => replace(path, None, integers),
        Err(error) => Err(error),
    }
}

/// Writes all to a temporary file beside `path`, then renames it: whoever looks sees the old file or the whole new one.
fn replace(path: &Path, permissions: Option<Permissions>, integers: &[i64]) -> io::Result<()> {
    let directory = path.parent().unwrap_or(Path::new(""));
    let (mut temporary, file) = Temporary::create(directory)?;
    // Before there is anything to read: what was private stays private.
    if let Some(permissions) = permissions {
        file.set_permissions(permissions)?;
    }
    buffered(&file, |out| write_all(out, integers))?;
    // Some file systems report only here that the disk is full.
    file.sync_all()?;
    drop(file);
    fs::rename(&temporary.path, path)?;
    temporary.renamed = true;
    Ok(())
}

/// A temporary file that is removed unless it was renamed.
struct Temporary {
    path: PathBuf,
    renamed: bool,
}

impl Temporary {
    fn create(directory: &Path) -> io::Result<(Temporary, File)> {
        let mut attempt = 0;
        loop {
            let path = directory.join(format!(".sort_chunks-{}-{attempt}.tmp", process::id()));
            match OpenOptions::new().write(true).create_new(true).open(&path) {
                Ok(file) => return Ok((Temporary { path, renamed: false }, file)),
                // Left by a process that had this id before and was killed.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => attempt += 1,
                Err(error) => return Err(error),
            }
        }
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if !self.renamed {
            let _ = fs::remove_file(&self.path);
        }
    }
}
