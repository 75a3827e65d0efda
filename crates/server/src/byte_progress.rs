//! How far long work on files is: a bar on a terminal, a line now and then elsewhere.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::output;

/// How often a line is written where there is no terminal.
const LINE_INTERVAL: Duration = Duration::from_secs(5);

/// Bytes done of bytes expected.
pub(crate) struct ByteProgress {
    name: &'static str,
    bar: Option<ProgressBar>,
    expected_bytes: u64,
    done_bytes: u64,
    last_line: Instant,
}

impl ByteProgress {
    /// Begins with nothing expected.
    pub(crate) fn start(name: &'static str) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr());
            let style = ProgressStyle::with_template("{msg:12} {bar:30} {percent:>3} %  {bytes}/{total_bytes}  {eta} left");
            style.into_iter().for_each(|style| bar.set_style(style));
            bar.set_message(name);
            bar
        });
        Self { name, bar, expected_bytes: 0, done_bytes: 0, last_line: Instant::now() }
    }

    /// So many more bytes are to be done.
    pub(crate) fn expect(&mut self, bytes: u64) {
        self.expected_bytes += bytes;
        self.bar.iter().for_each(|bar| bar.set_length(self.expected_bytes));
    }

    /// So many more bytes are done.
    pub(crate) fn add(&mut self, bytes: u64) {
        self.done_bytes += bytes;
        match &self.bar {
            Some(bar) => bar.set_position(self.done_bytes),
            None if self.last_line.elapsed() >= LINE_INTERVAL => {
                self.last_line = Instant::now();
                let percent = (self.done_bytes * 100).checked_div(self.expected_bytes).unwrap_or(100);
                output::note(&format!("{}: {percent} % of {} MiB", self.name, self.expected_bytes >> 20));
            }
            None => {}
        }
    }

    /// Writes a line without disturbing the bar.
    pub(crate) fn say(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| output::note(text)),
            None => output::note(text),
        }
    }

    /// Takes the bar away.
    pub(crate) fn finish(&self) {
        self.bar.iter().for_each(ProgressBar::finish_and_clear);
    }
}
