use std::io::{IsTerminal, Read};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::output;

/// How often a line is written where there is no terminal.
const LINE_INTERVAL: Duration = Duration::from_secs(5);

/// What the whole of the work is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Whole {
    /// A file of so many bytes is read and its events are sent.
    File(u64),
    /// So many events are sent.
    Events(u64),
    /// Bytes come until no more come.
    Download,
    /// Nothing is shown.
    Silent,
}

/// Shows how far work is: a bar on a terminal, a line now and then elsewhere. Clones show the same work.
#[derive(Clone)]
pub(crate) struct Progress(Arc<State>);

struct State {
    whole: Whole,
    bar: Option<ProgressBar>,
    bytes: AtomicU64,
    events: AtomicU64,
    started: Instant,
    last_line: Mutex<Instant>,
}

impl Progress {
    /// A file of `bytes` is sent.
    pub(crate) fn of_file(bytes: u64) -> Self {
        Self::new(Whole::File(bytes), "{bar:30} {percent:>3} %  {bytes}/{total_bytes}  {msg}  {eta} left")
    }

    /// `events` are sent.
    pub(crate) fn of_events(events: u64) -> Self {
        Self::new(Whole::Events(events), "{bar:30} {percent:>3} %  {human_pos} of {human_len} events  {per_sec}  {eta} left")
    }

    /// A file comes, of which nobody knows how long it is.
    pub(crate) fn of_download() -> Self {
        Self::new(Whole::Download, "{spinner} {bytes} received  {bytes_per_sec}")
    }

    /// Counts and shows nothing.
    pub(crate) fn silent() -> Self {
        Self::new(Whole::Silent, "")
    }

    fn new(whole: Whole, template: &str) -> Self {
        let length = match whole {
            Whole::File(length) | Whole::Events(length) => Some(length),
            Whole::Download | Whole::Silent => None,
        };
        let bar = (whole != Whole::Silent && std::io::stderr().is_terminal()).then(|| {
            let bar = ProgressBar::with_draw_target(length, ProgressDrawTarget::stderr());
            let style = ProgressStyle::with_template(template);
            style.into_iter().for_each(|style| bar.set_style(style));
            bar
        });
        let (bytes, events) = (AtomicU64::new(0), AtomicU64::new(0));
        let now = Instant::now();
        Self(Arc::new(State { whole, bar, bytes, events, started: now, last_line: Mutex::new(now) }))
    }

    /// Passes `reader` through and counts its bytes.
    pub(crate) fn count_bytes<R: Read>(&self, reader: R) -> Counted<R> {
        Counted { reader, progress: self.clone() }
    }

    /// Where in its bytes the work is.
    pub(crate) fn set_bytes(&self, bytes: u64) {
        self.0.bytes.store(bytes, Ordering::Relaxed);
        match &self.0.bar {
            Some(bar) => bar.set_position(bytes),
            None if self.0.whole == Whole::Download => self.line(|| format!("{:.1} MB received", bytes as f64 / 1e6)),
            None => {}
        }
    }

    /// The server has answered for these many more events.
    pub(crate) fn answered(&self, events: u64) {
        let State { whole, bar, bytes, started, .. } = &*self.0;
        let total = self.0.events.fetch_add(events, Ordering::Relaxed) + events;
        match (bar, whole) {
            (Some(bar), Whole::Events(_)) => bar.set_position(total),
            (Some(bar), _) => {
                bar.set_message(format!("{total} events, {:.0}/s", total as f64 / started.elapsed().as_secs_f64().max(0.001)));
            }
            (None, Whole::Events(whole)) => self.line(|| format!("{total} of {whole} events sent")),
            (None, Whole::File(whole)) => {
                let percent = (bytes.load(Ordering::Relaxed) * 100).checked_div(*whole).unwrap_or(100);
                self.line(|| format!("{percent} % read, {total} events sent"));
            }
            (None, Whole::Download | Whole::Silent) => {}
        }
    }

    fn line(&self, text: impl FnOnce() -> String) {
        let mut last_line = self.0.last_line.lock().unwrap_or_else(PoisonError::into_inner);
        if last_line.elapsed() >= LINE_INTERVAL {
            *last_line = Instant::now();
            output::note(&text());
        }
    }

    /// Ends the bar.
    pub(crate) fn finish(&self) {
        if let Some(bar) = &self.0.bar {
            bar.finish_and_clear();
        }
    }

    /// Time since the start.
    pub(crate) fn elapsed(&self) -> Duration {
        self.0.started.elapsed()
    }

    /// Bytes so far.
    pub(crate) fn bytes(&self) -> u64 {
        self.0.bytes.load(Ordering::Relaxed)
    }
}

/// A reader whose bytes are counted.
pub(crate) struct Counted<R> {
    reader: R,
    progress: Progress,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.reader.read(buffer)?;
        self.progress.set_bytes(self.progress.bytes() + read as u64);
        Ok(read)
    }
}
