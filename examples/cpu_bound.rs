//! Draws the Mandelbrot set on all cores, while the event loop stays free.
//!
//! What it shows: work that takes the processor's time behind promises, a promise for each band of rows. On `rayon` all bands are given
//! away at once, as its pool has a queue; on plain threads, `when::map` keeps as many in flight as there are cores. A timeout cancels what is
//! not done (`--limit`), and the threads, which look whether their promise is still pending, stop in the middle of a band. And why
//! all of this: a task feels the pulse of the loop meanwhile, and `--on loop` shows what becomes of it otherwise.
//!
//! ```text
//! cargo run --release --example cpu_bound -- mandelbrot.pgm
//! cargo run --release --example cpu_bound -- mandelbrot.pgm --size 4000 --on threads --limit 1000
//! ```
//!
//! The exit code is 0 when all went well, 1 when the picture was not done in time, and 2 when the arguments or the file are at fault.

use std::cell::Cell;
use std::fmt;
use std::fs::File;
use std::io::{self, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::rc::Rc;
use std::thread;
use std::time::{Duration, Instant};

use clap::{Parser, ValueEnum};
use deferral::{Broken, BrokenKind, Deferred, EventLoop, Progress, Promise, State, current, sleep, spawn, when};
use indicatif::ProgressBar;

/// How many rows make one band.
const BAND: usize = 16;

/// How often the pulse is felt.
const BEAT: Duration = Duration::from_millis(1);

/// Draws the Mandelbrot set on all cores
#[derive(Parser)]
#[command(name = "cpu_bound", version, about)]
struct Args {
    /// Where to write the picture, a PGM file
    #[arg(value_name = "FILE")]
    output: PathBuf,

    /// Width and height in pixels
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u16).range(1..))]
    size: u16,

    /// Where to compute
    #[arg(long, value_name = "WHERE", default_value = "rayon")]
    on: On,

    /// Gives up after so long
    #[arg(long, value_name = "MILLISECONDS")]
    limit: Option<u64>,
}

#[derive(Clone, Copy, ValueEnum)]
enum On {
    /// The threads of rayon's pool
    Rayon,
    /// Threads of our own, as many at a time as there are cores
    Threads,
    /// The loop's own thread, which is no place for it
    Loop,
}

fn main() -> ExitCode {
    let args = Args::parse();
    match EventLoop::new().run_until_complete(run(&args)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(format_args!("error: {error}"));
            ExitCode::from(error.exit_code())
        }
    }
}

async fn run(args: &Args) -> Result<(), Error> {
    let (start, latest) = (Instant::now(), Rc::new(Cell::new(Duration::ZERO)));
    let pulse = spawn(pulse(latest.clone()));
    let size = args.size.into();

    let bar = ProgressBar::no_length();
    let shown = bar.clone();
    let bands = draw(size, args.on).progress(move |progress: &Progress| {
        shown.set_length(progress.total);
        shown.set_position(progress.done);
    });
    let limit = args.limit.map_or(Duration::MAX, Duration::from_millis);
    let bands = current().timeout(limit, bands).await;
    bar.finish_and_clear();

    // As long as the loop runs, one more beat: it may have been held up until now.
    sleep(BEAT).await?;
    pulse.cancel();
    let bands = bands.map_err(|broken| Error::Broken { broken, limit })?;
    write(&args.output, size, &bands).map_err(|source| Error::Write { path: args.output.clone(), source })?;
    let (seconds, held_up) = (start.elapsed().as_secs_f64(), latest.get().as_secs_f64() * 1e3);
    say(format_args!("drew {size} x {size} pixels in {} bands in {seconds:.3} s", bands.len()));
    say(format_args!("the loop was held up for {held_up:.1} ms at most"));
    Ok(())
}

/// Feels the pulse of the loop: the longest time that a timer was late.
async fn pulse(latest: Rc<Cell<Duration>>) -> Result<(), Broken> {
    loop {
        let began = Instant::now();
        sleep(BEAT).await?;
        latest.set(latest.get().max(began.elapsed().saturating_sub(BEAT)));
    }
}

// --------------------------------------------------------------------------------------------------------- drawing

/// One promise for all bands, from top to bottom.
fn draw(size: usize, on: On) -> Promise<Vec<Vec<u8>>> {
    let bands = (0..size).step_by(BAND).map(move |top| top..size.min(top + BAND));
    match on {
        On::Rayon => {
            let on_rayon = |band| Promise::new(|deferred| rayon::spawn(move || settle(&deferred, band, size)));
            when(bands.map(on_rayon).collect::<Vec<_>>())
        }
        On::Threads => {
            let cores = thread::available_parallelism().map_or(1, usize::from);
            when::map(bands, cores, move |band| {
                Promise::new(|deferred| _ = thread::spawn(move || settle(&deferred, band, size)))
            })
        }
        On::Loop => {
            let on_loop = |band: Range<usize>| current().call_soon(move || band.flat_map(|y| row(y, size)).collect());
            when(bands.map(on_loop).collect::<Vec<_>>())
        }
    }
}

/// Draws a band, unless somebody cancels it meanwhile.
fn settle(deferred: &Deferred<Vec<u8>>, band: Range<usize>, size: usize) {
    let mut pixels = Vec::with_capacity(band.len() * size);
    for y in band {
        if deferred.state() != State::Pending {
            return;
        }
        pixels.extend(row(y, size));
    }
    deferred.resolve(pixels);
}

/// How long each point of a row takes to leave the circle of radius 2.
fn row(y: usize, size: usize) -> impl Iterator<Item = u8> {
    let step = 3.0 / size as f64;
    let imaginary = y as f64 * step - 1.5;
    (0..size).map(move |x| {
        let real = x as f64 * step - 2.25;
        let (mut a, mut b, mut left) = (0.0, 0.0, u8::MAX);
        while left > 0 && a * a + b * b <= 4.0 {
            (a, b) = (a * a - b * b + real, 2.0 * a * b + imaginary);
            left -= 1;
        }
        left
    })
}

fn write(path: &Path, size: usize, bands: &[Vec<u8>]) -> io::Result<()> {
    let mut file = File::create(path)?;
    write!(file, "P5\n{size} {size}\n255\n")?;
    bands.iter().try_for_each(|band| file.write_all(band))
}

// ---------------------------------------------------------------------------------------------------------- errors

/// Writes one line to standard error. If that is closed, there is nobody left to tell.
fn say(line: fmt::Arguments<'_>) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// Why there is no picture.
#[derive(Debug)]
enum Error {
    Broken { broken: Broken, limit: Duration },
    Write { path: PathBuf, source: io::Error },
}

impl Error {
    fn exit_code(&self) -> u8 {
        match self {
            Error::Broken { .. } => 1,
            Error::Write { .. } => 2,
        }
    }
}

impl From<Broken> for Error {
    fn from(broken: Broken) -> Self {
        Error::Broken { broken, limit: Duration::MAX }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Broken { broken, limit } if broken.kind() == BrokenKind::TimedOut => {
                write!(f, "the picture was not done within {limit:?}")
            }
            Error::Broken { broken, .. } => broken.fmt(f),
            Error::Write { path, source } => write!(f, "cannot write {}: {source}", path.display()),
        }
    }
}
