//! Collects events into requests and keeps several of them on their way.

use std::io::IsTerminal;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use indicatif::{ProgressBar, ProgressStyle};

use crate::http_client::{HttpClient, Target};
use crate::output;

const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);
const LINE_INTERVAL: Duration = Duration::from_secs(10);
/// A server that is overloaded or restarting is waited for so long, with pauses that grow to the longest.
const MAX_WAIT: Duration = Duration::from_secs(120);
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const MAX_PAUSE: Duration = Duration::from_secs(5);

/// How a [`Sender`] sends.
#[derive(Clone, Copy, Debug)]
pub(super) struct SenderOptions {
    pub(super) batch_events: usize,
    /// Requests being sent at a time; as many more may wait.
    pub(super) in_flight: usize,
    /// Shown as progress; none for traffic without an end.
    pub(super) expected_events: Option<u64>,
}

/// What became of the events.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(super) struct Sent {
    pub(super) accepted: u64,
    pub(super) rejected: u64,
}

/// A request body and its number of events.
type Batch = (Vec<u8>, usize);

/// Takes events and sends them in order of batches, several at once.
pub(super) struct Sender {
    body: Vec<u8>,
    events: usize,
    batch_events: usize,
    queue: SyncSender<Batch>,
    threads: Vec<JoinHandle<Result<()>>>,
    courier: Arc<Courier>,
}

impl Sender {
    /// Starts the threads; once `stop` is set they give up on a server that does not take their events.
    pub(super) fn start(target: &Target, key: &str, options: SenderOptions, stop: &Arc<AtomicBool>) -> Result<Self> {
        let (queue, batches) = sync_channel(options.in_flight);
        let courier = Arc::new(Courier {
            batches: Mutex::new(batches),
            progress: Progress::start(options.expected_events),
            sent: Mutex::default(),
            failed: AtomicBool::new(false),
            stop: Arc::clone(stop),
        });
        let mut threads = Vec::new();
        for _ in 0..options.in_flight {
            let client = HttpClient::new(target, key, REQUEST_TIMEOUT)?;
            let courier = Arc::clone(&courier);
            threads.push(std::thread::spawn(move || courier.run(&client)));
        }
        Ok(Self { body: Vec::new(), events: 0, batch_events: options.batch_events, queue, threads, courier })
    }

    /// Takes one event as JSON; waits while all senders are busy.
    pub(super) fn push(&mut self, json: &str) -> Result<()> {
        self.body.extend_from_slice(if self.events == 0 { b"{\"events\":[" } else { b"," });
        self.body.extend_from_slice(json.as_bytes());
        self.events += 1;
        if self.events == self.batch_events { self.flush() } else { Ok(()) }
    }

    /// Sends what has been taken, without waiting for the answer.
    pub(super) fn flush(&mut self) -> Result<()> {
        if self.events == 0 {
            return Ok(());
        }
        let capacity = self.body.capacity();
        let mut body = std::mem::replace(&mut self.body, Vec::with_capacity(capacity));
        body.extend_from_slice(b"]}");
        let events = std::mem::take(&mut self.events);
        if self.courier.failed.load(Ordering::Relaxed) || self.queue.send((body, events)).is_err() {
            self.join()?;
            bail!("the senders ended early");
        }
        Ok(())
    }

    /// Waits for all answers.
    pub(super) fn finish(mut self) -> Result<Sent> {
        self.flush()?;
        self.join()?;
        self.courier.progress.finish();
        Ok(*lock(&self.courier.sent))
    }

    fn join(&mut self) -> Result<()> {
        // Closing the queue is what ends the senders.
        let (closed, _) = sync_channel(0);
        self.queue = closed;
        let mut result = Ok(());
        for thread in self.threads.drain(..) {
            let ended = thread.join().map_err(|_| anyhow!("a sender panicked"))?;
            result = result.and(ended);
        }
        result
    }
}

/// What the sending threads share.
struct Courier {
    batches: Mutex<Receiver<Batch>>,
    progress: Progress,
    sent: Mutex<Sent>,
    failed: AtomicBool,
    stop: Arc<AtomicBool>,
}

impl Courier {
    fn run(&self, client: &HttpClient) -> Result<()> {
        loop {
            let received = lock(&self.batches).recv();
            let Ok((body, events)) = received else { return Ok(()) };
            if self.failed.load(Ordering::Relaxed) {
                // Drained without sending, so that whoever pushes is not left waiting for room.
                continue;
            }
            match self.deliver(client, &body) {
                Ok(accepted) => {
                    let mut sent = lock(&self.sent);
                    sent.accepted += accepted;
                    sent.rejected += (events as u64).saturating_sub(accepted);
                    self.progress.show(sent.accepted + sent.rejected);
                }
                Err(error) => {
                    self.failed.store(true, Ordering::Relaxed);
                    return Err(error);
                }
            }
        }
    }

    /// Sends one request, again and again with the same insert ids while the server asks to come back or does not answer.
    /// Gives the number of events that were accepted.
    fn deliver(&self, client: &HttpClient, body: &[u8]) -> Result<u64> {
        let started = Instant::now();
        let mut pause = FIRST_PAUSE;
        loop {
            let outcome = client.post("/api/v1/events/batch", body);
            let asked_pause = match &outcome {
                Ok(answer) if answer.status == 200 => return Ok(answer.body["accepted"].as_u64().unwrap_or(0)),
                Ok(answer) if !matches!(answer.status, 429 | 500..) => bail!("the server refused the events: {}", answer.error_text()),
                Ok(answer) => answer.retry_after,
                Err(_) => None,
            };
            if started.elapsed() > MAX_WAIT || self.stop.load(Ordering::Relaxed) {
                let answer = outcome.context("the server does not come back")?;
                bail!("the server goes on refusing: {}", answer.error_text());
            }
            self.rest(asked_pause.unwrap_or(pause).min(MAX_WAIT));
            pause = (pause * 2).min(MAX_PAUSE);
        }
    }

    /// Sleeps, but not longer than until `stop` is set.
    fn rest(&self, pause: Duration) {
        const SLICE: Duration = Duration::from_millis(100);
        let until = Instant::now() + pause;
        while !self.stop.load(Ordering::Relaxed) && Instant::now() < until {
            std::thread::sleep(SLICE.min(until.saturating_duration_since(Instant::now())));
        }
    }
}

/// A bar on a terminal, a line now and then elsewhere, nothing where no end is known.
struct Progress {
    bar: Option<ProgressBar>,
    expected_events: Option<u64>,
    last_line: Mutex<Instant>,
}

impl Progress {
    fn start(expected_events: Option<u64>) -> Self {
        let bar = expected_events.filter(|_| std::io::stderr().is_terminal()).map(|total| {
            let bar = ProgressBar::new(total);
            let style = ProgressStyle::with_template("{bar:30} {percent:>3} %  {human_pos} of {human_len} events  {per_sec}  {eta} left");
            style.into_iter().for_each(|style| bar.set_style(style));
            bar
        });
        Self { bar, expected_events, last_line: Mutex::new(Instant::now()) }
    }

    fn show(&self, events: u64) {
        let mut last_line = lock(&self.last_line);
        match (&self.bar, self.expected_events) {
            (Some(bar), _) => bar.set_position(events),
            (None, Some(total)) if last_line.elapsed() > LINE_INTERVAL => {
                *last_line = Instant::now();
                output::note(&format!("{events} of {total} events sent"));
            }
            _ => {}
        }
    }

    fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// Counters and a queue are whole after a panic of another thread, whose error is reported when it is joined.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
