//! The program without a terminal, and the frames that it draws.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use deferral::{Deferred, Progress};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::{Event, KeyCode, KeyEvent, KeyModifiers};

use crate::screen::text;
use crate::work::{Failure, Work};
use crate::{App, Args, Error, press};

/// Files to read, removed in the end.
struct Files(PathBuf);

impl Files {
    fn new(name: &str) -> Self {
        let directory = std::env::temp_dir().join(format!("tui-{}-{name}", std::process::id()));
        fs::create_dir_all(directory.join("inside")).unwrap();
        fs::write(directory.join("words"), "one\ntwo\nthree\n").unwrap();
        fs::write(directory.join("inside/name"), "Wikipedia").unwrap();
        Files(directory)
    }

    fn app(&self, directory: &str, text: &str, file: &str) -> App {
        let [directory, text, file] = [directory, text, file].map(|name| self.0.join(name));
        App::load(&Args { directory, text, file, rest: 0, headless: true })
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Three promises that the test settles.
fn by_hand() -> ([Deferred<String, Failure>; 3], App, Terminal<TestBackend>) {
    let pairs: [_; 3] = std::array::from_fn(|_| Deferred::new());
    let deferreds = pairs.each_ref().map(|(deferred, _)| deferred.clone());
    let rows = ["a", "b", "c"].map(|name| (name, PathBuf::from(name)));
    let app = App::new(rows, pairs.map(|(_, promise)| promise));
    (deferreds, app, Terminal::new(TestBackend::new(32, 13)).unwrap())
}

fn key(code: KeyCode) -> Event {
    Event::Key(KeyEvent::new(code, KeyModifiers::NONE))
}

#[track_caller]
fn assert_frame(frame: &str, lines: &[&str]) {
    assert_eq!(frame, lines.iter().map(|line| format!("{line}\n")).collect::<String>(), "it shows\n{frame}");
}

/// The whole program, threads included: what the last frame shows.
#[test]
fn three_threads_fill_the_screen() {
    let files = Files::new("whole");
    let app = files.app("", "words", "inside/name");
    app.screen.borrow_mut().rows[0].path = PathBuf::from("files");
    assert_frame(
        &app.run_headless().unwrap(),
        &[
            "┌ three threads, one screen ───────────────────────────────────┐",
            "│list files                                                    │",
            "│█████████████████████████████100% ████████████████████████████│",
            "│files: 2, bytes: 23, biggest: words                           │",
            "│                                                              │",
            "│lines words                                                   │",
            "│█████████████████████████████100% ████████████████████████████│",
            "│3                                                             │",
            "│                                                              │",
            "│adler-32 name                                                 │",
            "│█████████████████████████████100% ████████████████████████████│",
            "│11e60398                                                      │",
            "└ c cancels, q quits ──────────────────────────────────────────┘",
        ],
    );
    app.outcome().unwrap();
}

/// What cannot be read fails by itself: the others are loaded, and the program says so in the end.
#[test]
fn a_failure_stays_in_its_row() {
    let files = Files::new("failure");
    let app = files.app("inside", "missing", "words");
    let frame = app.run_headless().unwrap();
    assert!(frame.contains("files: 1, bytes: 9, biggest: name") && frame.contains("25e004d3"), "{frame}");
    let error = app.outcome().unwrap_err();
    assert!(matches!(&error, Error::Load(path, _) if path.ends_with("missing")), "{error}");
    assert_eq!(error.exit_code(), 2);
}

/// A frame in the midst of it.
#[test]
fn reports_move_the_bars() {
    let ([a, b, _c], app, mut terminal) = by_hand();
    a.notify(Progress { done: 1, total: 2 });
    b.resolve("ready".to_owned());
    app.turn_and_draw(&mut terminal).unwrap();
    assert_frame(
        &text(terminal.backend()),
        &[
            "┌ three threads, one screen ───┐",
            "│a a                           │",
            "│█████████████50%              │",
            "│                              │",
            "│                              │",
            "│b b                           │",
            "│█████████████100% ████████████│",
            "│ready                         │",
            "│                              │",
            "│c c                           │",
            "│              0%              │",
            "│                              │",
            "└ c cancels, q quits ──────────┘",
        ],
    );
}

/// A key cancels what still goes on, down to the threads; what is loaded stays.
#[test]
fn a_key_cancels_the_loads() {
    let ([a, b, c], app, mut terminal) = by_hand();
    a.resolve("ready".to_owned());
    app.turn_and_draw(&mut terminal).unwrap();
    press(&key(KeyCode::Char('c')), &app.screen, &app.all);
    for deferred in [b, c] {
        let work = Work { deferred: &deferred, rest: Duration::ZERO };
        assert_eq!(work.report(1, 2).unwrap_err().to_string(), "canceled");
    }
    app.turn_and_draw(&mut terminal).unwrap();
    let frame = text(terminal.backend());
    assert_eq!((frame.matches("ready").count(), frame.matches("canceled").count()), (1, 2), "{frame}");
    app.outcome().unwrap();
}

/// A key ends the program, whatever is still going on.
#[test]
fn a_key_quits() {
    let (_deferreds, app, mut terminal) = by_hand();
    press(&key(KeyCode::Char('x')), &app.screen, &app.all);
    assert!(app.screen.borrow().end.is_none());
    press(&key(KeyCode::Char('q')), &app.screen, &app.all);
    app.draw_until_the_end(&mut terminal).unwrap();
}
