use std::io::{IsTerminal, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::output;

/// How often a line is written where there is no terminal.
const LINE_INTERVAL: Duration = Duration::from_secs(5);

/// Shows how far a file was read: a bar on a terminal, a line now and then elsewhere.
#[derive(Clone)]
pub(crate) struct Progress {
    bar: Option<ProgressBar>,
    state: Arc<State>,
}

struct State {
    file_bytes: u64,
    read_bytes: AtomicU64,
    answered_events: AtomicU64,
    started: Instant,
    last_line_ms: AtomicU64,
}

impl Progress {
    pub(crate) fn start(file_bytes: u64) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::with_draw_target(Some(file_bytes), ProgressDrawTarget::stderr());
            let style = ProgressStyle::with_template("{bar:30} {percent:>3} %  {bytes}/{total_bytes}  {msg}  {eta} left");
            style.into_iter().for_each(|style| bar.set_style(style));
            bar
        });
        Self { bar, ..Self::counting(file_bytes) }
    }

    /// Counts and shows nothing.
    pub(crate) fn silent() -> Self {
        Self::counting(0)
    }

    fn counting(file_bytes: u64) -> Self {
        let state = State {
            file_bytes,
            read_bytes: AtomicU64::new(0),
            answered_events: AtomicU64::new(0),
            started: Instant::now(),
            last_line_ms: AtomicU64::new(0),
        };
        Self { bar: None, state: Arc::new(state) }
    }

    /// Passes `reader` through and counts its bytes.
    pub(crate) fn count_bytes<R: Read>(&self, reader: R) -> Counted<R> {
        Counted { reader, progress: self.clone() }
    }

    /// Where the reading stands.
    pub(crate) fn set_bytes(&self, bytes: u64) {
        self.state.read_bytes.store(bytes, Ordering::Relaxed);
        if let Some(bar) = &self.bar {
            bar.set_position(bytes);
        }
    }

    /// The server has answered for these many more events.
    pub(crate) fn answered(&self, events: u64) {
        let total = self.state.answered_events.fetch_add(events, Ordering::Relaxed) + events;
        let elapsed = self.state.started.elapsed();
        if let Some(bar) = &self.bar {
            let rate = total as f64 / elapsed.as_secs_f64().max(0.001);
            bar.set_message(format!("{total} events, {rate:.0}/s"));
        } else if let Some(percent) = (self.state.read_bytes.load(Ordering::Relaxed) * 100).checked_div(self.state.file_bytes) {
            let now_ms = elapsed.as_millis() as u64;
            let last_ms = self.state.last_line_ms.load(Ordering::Relaxed);
            let due = now_ms >= last_ms + LINE_INTERVAL.as_millis() as u64;
            // Of several senders that find a line due, one writes it.
            if due && self.state.last_line_ms.compare_exchange(last_ms, now_ms, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
                output::note(&format!("{percent} % read, {total} events sent"));
            }
        }
    }

    /// Ends the bar.
    pub(crate) fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        let total = self.state.answered_events.load(Ordering::Relaxed);
        output::note(&format!("{total} events sent in {:.1} s", self.state.started.elapsed().as_secs_f64()));
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
        let before = self.progress.state.read_bytes.load(Ordering::Relaxed);
        self.progress.set_bytes(before + read as u64);
        Ok(read)
    }
}
