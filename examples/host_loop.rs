//! A frame loop that owns the thread, as that of a game or a window does, and has an event loop for a guest.
//!
//! What it shows: `EventLoop::turn`, which the host calls when a turn is due and at no other time; `EventLoop::on_wake`, which wakes
//! the host when another thread has brought work; `Promise::into_local`, after which callbacks may touch the host's own `Rc`s; and
//! `Promise::peek`, with which each frame looks at what is there. Between frames and turns the host sleeps.
//!
//! Two threads read a file, slowly, as from a slow disk: one counts its lines, the other computes its CRC-32. All else happens on the
//! host's thread. No window is needed: a frame that has changed is printed.
//!
//! ```text
//! cargo run --release --example host_loop
//! cargo run --release --example host_loop -- README.md
//! ```
//!
//! The exit code is 0 when all went well, and 2 when the arguments or the file are at fault.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::rc::Rc;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use clap::Parser;
use deferral::{Deferred, EventLoop, Progress, Promise, local, sleep, when};

/// How long a frame is shown: there are sixty in a second.
const FRAME: Duration = Duration::from_nanos(1_000_000_000 / 60);

/// In how many pieces a file is read, and how long each takes.
const PIECES: u64 = 40;
const PIECE: Duration = Duration::from_millis(15);

/// How long the result is shown.
const LINGER: Duration = Duration::from_millis(250);

/// Counts a file's lines and computes its CRC-32, each on a thread, in the frames of a host loop
#[derive(Parser)]
#[command(name = "host_loop", version, about)]
struct Args {
    /// The file to read
    #[arg(value_name = "FILE", default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.lock"))]
    file: PathBuf,
}

/// Shared by all who look at it: the thread's error goes to the frames and to the end of the program.
type Failure = Arc<io::Error>;

fn main() -> ExitCode {
    let Args { file } = Args::parse();
    match run(&file) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "error: cannot read {}: {error}", file.display());
            ExitCode::from(2)
        }
    }
}

fn run(file: &Path) -> Result<(), Failure> {
    let event_loop = EventLoop::new();
    let bell = Arc::new(Bell::default());
    let rings = bell.clone();
    event_loop.on_wake(move || rings.ring());

    let lines = read(file, 0, |lines, bytes| lines + bytes.iter().filter(|byte| **byte == b'\n').count() as u32);
    let checksum = read(file, !0, crc32);
    // Where a loop runs, promises of threads become its own. This future is ready at once, and runs no turn.
    let rows = event_loop.run_until_complete(async {
        [Row::new("lines", lines, u32::to_string), Row::new("crc-32", checksum, |crc| format!("{:08x}", !crc))]
    });

    // What is to happen in the end is a task: it takes the outcome when it is there, and lingers by a timer of the loop.
    let both = when(rows.each_ref().map(|row| row.promise.clone()));
    let end = event_loop.spawn(async move {
        let outcome = both.await;
        let _ = sleep(LINGER).await;
        outcome.map(drop)
    });

    let mut host = Host::new(&event_loop, bell);
    let mut window = Window::default();
    loop {
        host.turn_if_due();
        // The host looks at what concerns it, without waiting for it.
        if let Some(outcome) = end.peek(|outcome| outcome.cloned()) {
            host.report();
            return outcome.unwrap_or_else(|broken| Err(Arc::new(broken.into())));
        }
        if host.frame_is_due() {
            window.show(host.frames, &rows);
        }
        host.sleep();
    }
}

// --------------------------------------------------------------------------------------------------------- the host

/// The host's side of the event loop: when a turn is due, and when a frame is.
struct Host<'a> {
    event_loop: &'a EventLoop,
    bell: Arc<Bell>,
    /// When a turn is due, as the last one said, unless the bell rings before.
    next_turn: Option<Instant>,
    next_frame: Instant,
    frames: u32,
    turns: u32,
    idle: u32,
    start: Instant,
}

impl<'a> Host<'a> {
    fn new(event_loop: &'a EventLoop, bell: Arc<Bell>) -> Self {
        let now = Instant::now();
        // What has been scheduled by now has rung the bell.
        Host { event_loop, bell, next_turn: None, next_frame: now, frames: 0, turns: 0, idle: 0, start: now }
    }

    fn turn_if_due(&mut self) {
        let rung = self.bell.take();
        if rung || self.next_turn.is_some_and(|due| due <= Instant::now()) {
            let turn = self.event_loop.turn();
            self.next_turn = turn.timeout().and_then(|timeout| Instant::now().checked_add(timeout));
            self.turns += 1;
            self.idle += u32::from(turn.ran == 0);
        }
    }

    /// Whether it is time to draw. A frame that comes too late is left out.
    fn frame_is_due(&mut self) -> bool {
        let now = Instant::now();
        if now < self.next_frame {
            return false;
        }
        while self.next_frame <= now {
            self.next_frame += FRAME;
        }
        self.frames += 1;
        true
    }

    /// Sleeps until there is something to do.
    fn sleep(&self) {
        let until = self.next_turn.map_or(self.next_frame, |turn| turn.min(self.next_frame));
        self.bell.wait_until(until);
    }

    fn report(&self) {
        let Host { frames, turns, .. } = self;
        let idle = if self.idle == 0 { "none".to_owned() } else { self.idle.to_string() };
        print(format_args!(
            "{frames} frames and {turns} turns in {:.2} s, {idle} of them idle",
            self.start.elapsed().as_secs_f64()
        ));
    }
}

/// Rung by whoever brings work for the event loop, on whatever thread.
#[derive(Default)]
struct Bell {
    rung: Mutex<bool>,
    rings: Condvar,
}

impl Bell {
    fn ring(&self) {
        *self.rung.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.rings.notify_one();
    }

    fn take(&self) -> bool {
        std::mem::take(&mut *self.rung.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn wait_until(&self, time: Instant) {
        let rung = self.rung.lock().unwrap_or_else(PoisonError::into_inner);
        let left = time.saturating_duration_since(Instant::now());
        drop(self.rings.wait_timeout_while(rung, left, |rung| !*rung));
    }
}

// ------------------------------------------------------------------------------------------------------- the window

/// One line of the window.
struct Row {
    name: &'static str,
    promise: local::Promise<u32, Failure>,
    format: fn(&u32) -> String,
    progress: Rc<Cell<Progress>>,
}

impl Row {
    fn new(name: &'static str, promise: Promise<u32, Failure>, format: fn(&u32) -> String) -> Self {
        let progress = Rc::new(Cell::new(Progress::default()));
        let bar = progress.clone();
        // The callback runs in turns, on this thread: an `Rc` will do.
        let promise = promise.into_local().progress(move |progress| bar.set(*progress));
        Row { name, promise, format, progress }
    }

    fn text(&self) -> String {
        const CELLS: usize = 8;
        let Progress { done, total } = self.progress.get();
        let full = (done * CELLS as u64).checked_div(total).unwrap_or(0) as usize;
        self.promise.peek(|outcome| match outcome {
            None => format!("{} [{:.<CELLS$}]", self.name, "#".repeat(full)),
            Some(Ok(value)) => format!("{} {}", self.name, (self.format)(value)),
            Some(Err(_)) => format!("{} failed", self.name),
        })
    }
}

/// What is on the screen.
#[derive(Default)]
struct Window {
    text: String,
}

impl Window {
    /// Draws a frame, if it differs from the one before.
    fn show(&mut self, frame: u32, rows: &[Row]) {
        let text = rows.iter().map(Row::text).collect::<Vec<_>>().join("   ");
        if text != self.text {
            print(format_args!("frame {frame:2}   {text}"));
            self.text = text;
        }
    }
}

/// Writes a line to standard output. If that is closed, nobody is looking.
fn print(line: std::fmt::Arguments<'_>) {
    let _ = writeln!(io::stdout(), "{line}");
}

// ------------------------------------------------------------------------------------------------------ the threads

/// Reads a file on a thread of its own, and folds its bytes.
fn read(file: &Path, start: u32, fold: impl Fn(u32, &[u8]) -> u32 + Send + 'static) -> Promise<u32, Failure> {
    let (deferred, promise) = Deferred::new();
    let file = file.to_owned();
    thread::spawn(move || {
        let outcome = read_slowly(&file, &deferred, start, fold);
        deferred.settle(outcome.map_err(Arc::new));
    });
    promise
}

fn read_slowly(
    file: &Path,
    deferred: &Deferred<u32, Failure>,
    start: u32,
    fold: impl Fn(u32, &[u8]) -> u32,
) -> io::Result<u32> {
    let file = File::open(file)?;
    let total = file.metadata()?.len();
    let (mut value, mut done) = (start, 0);
    let mut piece = Vec::new();
    loop {
        piece.clear();
        let count = (&file).take(total / PIECES + 1).read_to_end(&mut piece)?;
        if count == 0 {
            return Ok(value);
        }
        value = fold(value, &piece);
        done += count as u64;
        deferred.notify(Progress { done, total });
        thread::sleep(PIECE);
    }
}

/// CRC-32 as in zip, gzip and PNG, without its first and last step, which are a `!` each.
fn crc32(crc: u32, bytes: &[u8]) -> u32 {
    let step = |crc: u32, _| (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg());
    bytes.iter().fold(crc, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), step))
}
