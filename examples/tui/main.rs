//! A terminal program of one thread, whose slow work is done by others: its state is an `Rc<RefCell<..>>`, and nobody locks anything.
//!
//! What it shows: three threads list a directory, count lines and compute a checksum, and tell of it by `notify` and `settle`;
//! `Promise::into_local` brings that to the thread of the screen, where callbacks of `progress`, `done` and `fail` change what is
//! drawn; `when::settled` waits for all three, and canceling it stops the threads; keys arrive like progress does, for that is
//! what they are, of a promise that only an error ends. By `EventLoop::turn` and `EventLoop::on_wake` the program sleeps until there is
//! something to draw.
//!
//! ```text
//! cargo run --release --example tui                                  # on a terminal: `c` cancels, `q` quits
//! cargo run --release --example tui -- /usr/share /usr/share/dict/words /bin/sh
//! cargo run --release --example tui -- --headless                    # draws in memory, and prints the last frame
//! ```
//!
//! The exit code is 0 when all went well, 2 when the arguments or an input are at fault, and 1 when the terminal is.

mod screen;
#[cfg(test)]
mod tests;
mod work;

use std::cell::RefCell;
use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::rc::Rc;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use clap::Parser;
use deferral::{Deferred, EventLoop, Promise, local, when};
use futures::future::lazy;
use ratatui::Terminal;
use ratatui::backend::{Backend, TestBackend};
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};

use screen::Screen;
use work::{Failure, adler_32, count_lines, list, on_a_thread};

/// Lists a directory, counts lines and computes a checksum, each on a thread, with a progress bar each
#[derive(Parser)]
#[command(name = "tui", version, about)]
struct Args {
    /// The directory to list, with those inside it
    #[arg(value_name = "DIRECTORY", default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/src"))]
    directory: PathBuf,

    /// The file whose lines are counted
    #[arg(value_name = "TEXT", default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md"))]
    text: PathBuf,

    /// The file whose Adler-32 checksum is computed
    #[arg(value_name = "FILE", default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/LICENSE-APACHE"))]
    file: PathBuf,

    /// How long a thread rests after each piece of its work, so that there is something to see
    #[arg(long, value_name = "MILLISECONDS", default_value_t = 20)]
    rest: u64,

    /// Draws in memory, and prints the last frame; so it does where there is no terminal
    #[arg(long)]
    headless: bool,
}

fn main() -> ExitCode {
    let Err(error) = run(&Args::parse()) else { return ExitCode::SUCCESS };
    let _ = writeln!(io::stderr(), "error: {error}");
    ExitCode::from(error.exit_code())
}

fn run(args: &Args) -> Result<(), Error> {
    let app = App::load(args);
    if args.headless || !io::stdin().is_terminal() || !io::stdout().is_terminal() {
        let frame = app.run_headless().map_err(Error::Terminal)?;
        // If standard output is closed, nobody is looking.
        let _ = write!(io::stdout(), "{frame}");
    } else {
        // From here on a panic restores the terminal, too, before it is told.
        let end = ratatui::try_init().and_then(|mut terminal| app.run_on(&mut terminal));
        ratatui::try_restore().and(end).map_err(Error::Terminal)?;
    }
    app.outcome()
}

// ---------------------------------------------------------------------------------------------------------- the app

struct App {
    event_loop: EventLoop,
    screen: Rc<RefCell<Screen>>,
    /// What waits for the loads. Nothing else does: who cancels it cancels them.
    all: local::Promise<Vec<Result<String, Failure>>>,
}

impl App {
    /// Starts the loads, each on a thread.
    fn load(args: &Args) -> Self {
        let Args { directory, text, file, .. } = args;
        let rest = Duration::from_millis(args.rest);
        let rows = [("list", directory.clone()), ("lines", text.clone()), ("adler-32", file.clone())];
        let (directory, text, file) = (directory.clone(), text.clone(), file.clone());
        let loads = [
            on_a_thread(rest, move |work| list(&directory, work)),
            on_a_thread(rest, move |work| count_lines(&text, work)),
            on_a_thread(rest, move |work| adler_32(&file, work)),
        ];
        App::new(rows, loads)
    }

    fn new(rows: [(&'static str, PathBuf); 3], loads: [Promise<String, Failure>; 3]) -> Self {
        let event_loop = EventLoop::new();
        let screen = Rc::new(RefCell::new(Screen::new(rows)));
        // Where a loop runs, promises of threads become its own. This future is ready at once, and runs no turn.
        let all = event_loop.run_until_complete(lazy(|_| {
            let rows = loads.into_iter().enumerate();
            when::settled(rows.map(|(row, load)| show(load.into_local(), row, &screen)))
        }));
        App { event_loop, screen, all }
    }

    /// Runs until the user quits.
    fn run_on(&self, terminal: &mut Terminal<impl Backend>) -> io::Result<()> {
        let (screen, all, broken) = (self.screen.clone(), self.all.clone(), self.screen.clone());
        let keys = self.event_loop.run_until_complete(lazy(|_| keys().into_local()));
        keys.progress(move |event| press(event, &screen, &all))
            .fail(move |error| broken.borrow_mut().end = Some(Err(error.clone())));
        self.draw_until_the_end(terminal)
    }

    /// Runs until everything is loaded, and returns the last frame.
    fn run_headless(&self) -> io::Result<String> {
        let screen = self.screen.clone();
        self.all.clone().always(move |_| screen.borrow_mut().end = Some(Ok(())));
        let mut terminal = Terminal::new(TestBackend::new(64, 13))?;
        self.draw_until_the_end(&mut terminal)?;
        Ok(screen::text(terminal.backend()))
    }

    fn draw_until_the_end(&self, terminal: &mut Terminal<impl Backend>) -> io::Result<()> {
        // Keeps one ring, however often it is rung before somebody listens.
        let (bell, rings) = mpsc::sync_channel(1);
        self.event_loop.on_wake(move || {
            let _ = bell.try_send(());
        });
        loop {
            let timeout = self.turn_and_draw(terminal)?;
            if let Some(end) = self.screen.borrow_mut().end.take() {
                return end.map_err(io::Error::other);
            }
            // However the sleep ends, a turn is due.
            let _ = match timeout {
                Some(timeout) => rings.recv_timeout(timeout).ok(),
                None => rings.recv().ok(),
            };
        }
    }

    /// The first load that has failed, if one has.
    fn outcome(&self) -> Result<(), Error> {
        let failure = self.screen.borrow().failure();
        failure.map_or(Ok(()), |(path, error)| Err(Error::Load(path, error)))
    }

    /// Runs a turn, draws what it has changed, and returns how long there is nothing to do.
    fn turn_and_draw(&self, terminal: &mut Terminal<impl Backend>) -> io::Result<Option<Duration>> {
        let turn = self.event_loop.turn();
        terminal.draw(|frame| self.screen.borrow().draw(frame))?;
        Ok(turn.timeout())
    }
}

/// Has a row show what a promise tells. The callbacks run in turns, on this thread: an `Rc` will do.
fn show(
    load: local::Promise<String, Failure>,
    row: usize,
    screen: &Rc<RefCell<Screen>>,
) -> local::Promise<String, Failure> {
    let [reported, loaded, failed] = [screen.clone(), screen.clone(), screen.clone()];
    load.progress(move |progress| reported.borrow_mut().rows[row].progress = *progress)
        .done(move |text| loaded.borrow_mut().rows[row].outcome = Some(Ok(text.clone())))
        .fail(move |error| failed.borrow_mut().rows[row].outcome = Some(Err(error.clone())))
}

/// What the terminal tells, as progress of a promise that only an error ends.
fn keys() -> Promise<(), Failure, Event> {
    let (deferred, promise) = Deferred::with_progress();
    thread::spawn(move || {
        loop {
            match event::read() {
                Ok(event) => deferred.notify(event),
                Err(error) => return deferred.reject(Arc::new(error)),
            };
        }
    });
    promise
}

fn press(event: &Event, screen: &RefCell<Screen>, all: &local::Promise<Vec<Result<String, Failure>>>) {
    let Event::Key(key) = event else { return };
    if key.kind != KeyEventKind::Press {
        return;
    }
    let with_control = key.modifiers.contains(KeyModifiers::CONTROL);
    match key.code {
        KeyCode::Char('q') | KeyCode::Esc => screen.borrow_mut().end = Some(Ok(())),
        KeyCode::Char('c') if with_control => screen.borrow_mut().end = Some(Ok(())),
        // Callbacks of the loads run before `cancel` returns: nothing is borrowed here.
        KeyCode::Char('c') => drop(all.cancel()),
        _ => {}
    }
}

// ----------------------------------------------------------------------------------------------------------- errors

/// Why the program did not do what it should.
#[derive(Debug)]
enum Error {
    Load(PathBuf, Failure),
    Terminal(io::Error),
}

impl Error {
    /// 2 is for what the caller can mend; it is also what `clap` uses for bad arguments.
    fn exit_code(&self) -> u8 {
        match self {
            Error::Load(..) => 2,
            Error::Terminal(_) => 1,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Load(path, error) => write!(f, "cannot read {}: {error}", path.display()),
            Error::Terminal(error) => write!(f, "the terminal: {error}"),
        }
    }
}
