//! What is drawn.

use std::io;
use std::path::PathBuf;

use deferral::{Broken, BrokenKind, Progress};
use ratatui::Frame;
use ratatui::backend::TestBackend;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::Color;
use ratatui::widgets::{Block, Gauge, Paragraph};

use crate::work::Failure;

/// The state of the program. Callbacks change it, and each frame shows it.
pub(crate) struct Screen {
    pub(crate) rows: [Row; 3],
    /// Set when the program is to end.
    pub(crate) end: Option<Result<(), Failure>>,
}

/// One load.
pub(crate) struct Row {
    name: &'static str,
    pub(crate) path: PathBuf,
    pub(crate) progress: Progress,
    pub(crate) outcome: Option<Result<String, Failure>>,
}

impl Screen {
    pub(crate) fn new(rows: [(&'static str, PathBuf); 3]) -> Self {
        let row = |(name, path)| Row { name, path, progress: Progress::default(), outcome: None };
        Screen { rows: rows.map(row), end: None }
    }

    pub(crate) fn draw(&self, frame: &mut Frame<'_>) {
        let window = Block::bordered().title(" three threads, one screen ").title_bottom(" c cancels, q quits ");
        let inside = window.inner(frame.area());
        frame.render_widget(window, frame.area());
        let areas = Layout::vertical([4, 4, 3].map(Constraint::Length)).split(inside);
        for (row, area) in self.rows.iter().zip(areas.iter()) {
            row.draw(frame, *area);
        }
    }

    /// The first failure, if there is one, and what it is about. A canceled load is none.
    pub(crate) fn failure(&self) -> Option<(PathBuf, Failure)> {
        self.rows.iter().find_map(|row| match &row.outcome {
            Some(Err(error)) if !is_canceled(error) => Some((row.path.clone(), error.clone())),
            _ => None,
        })
    }
}

impl Row {
    /// Three lines: what is loaded, a bar, what came of it.
    fn draw(&self, frame: &mut Frame<'_>, area: Rect) {
        let line = Constraint::Length(1);
        let [title, bar, end, _] = Layout::vertical([line, line, line, Constraint::Fill(1)]).areas(area);
        let (color, text) = match &self.outcome {
            None => (Color::Yellow, String::new()),
            Some(Ok(text)) => (Color::Green, text.clone()),
            Some(Err(error)) if is_canceled(error) => (Color::DarkGray, "canceled".to_owned()),
            Some(Err(error)) => (Color::Red, error.to_string()),
        };
        let name = self.path.file_name().unwrap_or(self.path.as_os_str()).to_string_lossy();
        let gauge = Gauge::default().gauge_style(color).use_unicode(true).ratio(self.ratio());
        frame.render_widget(Paragraph::new(format!("{} {name}", self.name)), title);
        frame.render_widget(gauge, bar);
        frame.render_widget(Paragraph::new(text), end);
    }

    fn ratio(&self) -> f64 {
        match (&self.outcome, self.progress) {
            (Some(Ok(_)), _) => 1.0,
            (_, Progress { total: 0, .. }) => 0.0,
            (_, Progress { done, total }) => done.min(total) as f64 / total as f64,
        }
    }
}

fn is_canceled(error: &io::Error) -> bool {
    let broken = error.get_ref().and_then(|inner| inner.downcast_ref::<Broken>());
    broken.is_some_and(|broken| broken.kind() == BrokenKind::Canceled)
}

/// What can be read on a screen in memory.
pub(crate) fn text(backend: &TestBackend) -> String {
    let width = usize::from(backend.buffer().area.width);
    let symbols: Vec<_> = backend.buffer().content.iter().map(|cell| cell.symbol()).collect();
    symbols.chunks(width).map(|line| format!("{}\n", line.concat().trim_end())).collect()
}
