//! Collects events into requests of the batch call and keeps several of them on their way: for files and for simulated traffic.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};

use crate::http_client::{Answer, HttpClient, Target};
use crate::output;
use crate::progress::Progress;

/// The times, places and devices of these events are their own; the server must not add those of this program.
const PATH: &str = "/api/v1/events/batch?enrich=false";
/// A request is sent before its body reaches this size; the gateway takes 10 MiB.
const MAX_BODY_BYTES: usize = 4 << 20;
const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);
/// A server that is overloaded or restarting is waited for so long, with pauses that grow to the longest unless the server names one.
const MAX_WAIT: Duration = Duration::from_secs(120);
/// A server that never answered is more likely a wrong address than one that restarts.
const MAX_FIRST_WAIT: Duration = Duration::from_secs(15);
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const MAX_PAUSE: Duration = Duration::from_secs(5);
/// Rejections that are told one by one.
const MAX_TOLD_REJECTIONS: usize = 10;

/// How a [`Sender`] sends.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SenderOptions {
    pub(crate) batch_events: usize,
    /// Requests being sent at a time; as many more may wait.
    pub(crate) in_flight: usize,
}

/// What became of the events.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub(crate) struct Report {
    pub(crate) accepted: u64,
    pub(crate) rejected: u64,
    /// The first ones, each with its place and the server's reason.
    pub(crate) first_rejections: Vec<String>,
}

impl Report {
    /// Counts an event that is not kept.
    fn reject(&mut self, place: u64, reason: &str) {
        self.rejected += 1;
        if self.first_rejections.len() < MAX_TOLD_REJECTIONS {
            self.first_rejections.push(format!("row {place}: {reason}"));
        }
    }
}

/// A request body, and where each of its events comes from.
#[derive(Default)]
struct Batch {
    body: Vec<u8>,
    places: Vec<u64>,
}

/// Takes events and sends them in order of batches, several at once. The queue before the threads holds one request each.
pub(crate) struct Sender {
    open: Batch,
    batch_events: usize,
    queue: SyncSender<Batch>,
    threads: Vec<JoinHandle<Result<()>>>,
    courier: Arc<Courier>,
}

impl Sender {
    /// Starts the threads; once `stop` is set they give up on a server that does not take their events.
    pub(crate) fn start(target: &Target, key: &str, options: SenderOptions, progress: &Progress, stop: &Arc<AtomicBool>) -> Result<Self> {
        let (queue, batches) = sync_channel(options.in_flight);
        let courier = Arc::new(Courier {
            batches: Mutex::new(batches),
            progress: progress.clone(),
            report: Mutex::default(),
            failed: AtomicBool::new(false),
            has_answered: AtomicBool::new(false),
            has_told_of_waiting: AtomicBool::new(false),
            stop: Arc::clone(stop),
        });
        let mut threads = Vec::new();
        for _ in 0..options.in_flight {
            let client = HttpClient::new(target, key, REQUEST_TIMEOUT)?;
            let courier = Arc::clone(&courier);
            threads.push(std::thread::spawn(move || courier.run(&client)));
        }
        Ok(Self { open: Batch::default(), batch_events: options.batch_events, queue, threads, courier })
    }

    /// Takes one event as JSON with the row it comes from; waits while all threads are busy.
    pub(crate) fn push(&mut self, place: u64, json: &[u8]) -> Result<()> {
        if self.open.body.len() + json.len() > MAX_BODY_BYTES {
            self.flush()?;
        }
        let separator: &[u8] = if self.open.places.is_empty() { b"{\"events\":[" } else { b"," };
        self.open.body.extend_from_slice(separator);
        self.open.body.extend_from_slice(json);
        self.open.places.push(place);
        if self.open.places.len() >= self.batch_events { self.flush() } else { Ok(()) }
    }

    /// Counts a row that is no event.
    pub(crate) fn reject(&self, place: u64, reason: &str) {
        lock(&self.courier.report).reject(place, reason);
    }

    /// Sends what has been taken, without waiting for the answer.
    pub(crate) fn flush(&mut self) -> Result<()> {
        if self.open.places.is_empty() {
            return Ok(());
        }
        let capacity = self.open.body.capacity();
        let next = Batch { body: Vec::with_capacity(capacity), places: Vec::with_capacity(self.batch_events) };
        let mut batch = std::mem::replace(&mut self.open, next);
        batch.body.extend_from_slice(b"]}");
        if self.courier.failed.load(Ordering::Relaxed) || self.queue.send(batch).is_err() {
            self.join()?;
            bail!("the senders ended early");
        }
        Ok(())
    }

    /// Sends what is left and waits for all answers.
    pub(crate) fn finish(mut self) -> Result<Report> {
        self.flush()?;
        self.join()?;
        Ok(std::mem::take(&mut lock(&self.courier.report)))
    }

    fn join(&mut self) -> Result<()> {
        // Closing the queue is what ends the threads.
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
    report: Mutex<Report>,
    failed: AtomicBool,
    has_answered: AtomicBool,
    has_told_of_waiting: AtomicBool,
    stop: Arc<AtomicBool>,
}

impl Courier {
    fn run(&self, client: &HttpClient) -> Result<()> {
        loop {
            let received = lock(&self.batches).recv();
            let Ok(batch) = received else { return Ok(()) };
            if self.failed.load(Ordering::Relaxed) {
                // Drained without sending, so that whoever pushes is not left waiting for room.
                continue;
            }
            if let Err(error) = self.deliver(client, &batch) {
                self.failed.store(true, Ordering::Relaxed);
                return Err(error);
            }
        }
    }

    fn deliver(&self, client: &HttpClient, batch: &Batch) -> Result<()> {
        let answer = self.post(client, &batch.body)?;
        let rejected = answer.body["rejected"].as_array().map(Vec::as_slice).unwrap_or_default();
        let accepted = answer.body["accepted"].as_u64().unwrap_or(0);
        if accepted + rejected.len() as u64 != batch.places.len() as u64 {
            bail!("the server did not account for every event: {}", answer.error_text());
        }
        let mut report = lock(&self.report);
        report.accepted += accepted;
        for rejection in rejected {
            let index = rejection["index"].as_u64().unwrap_or(0) as usize;
            let place = batch.places.get(index).copied().unwrap_or(0);
            let code = rejection["code"].as_str().unwrap_or("rejected");
            report.reject(place, &format!("{code}: {}", rejection["message"].as_str().unwrap_or("no message")));
        }
        drop(report);
        self.progress.answered(batch.places.len() as u64);
        Ok(())
    }

    /// Sends one request, again and again with the same insert ids while the server asks to come back or does not answer.
    fn post(&self, client: &HttpClient, body: &[u8]) -> Result<Answer> {
        let started = Instant::now();
        let mut pause = FIRST_PAUSE;
        loop {
            let outcome = client.post(PATH, body);
            if outcome.is_ok() {
                self.has_answered.store(true, Ordering::Relaxed);
            }
            let asked_pause = match outcome {
                Ok(answer) if answer.status == 200 || (answer.status == 400 && answer.body.get("rejected").is_some()) => return Ok(answer),
                Ok(answer) if matches!(answer.status, 401 | 403) => {
                    bail!("the server refused the write key (--write-key, or THRONG_WRITE_KEY): {}", answer.error_text())
                }
                Ok(answer) if !matches!(answer.status, 429 | 500..) => bail!("the server refused the events: {}", answer.error_text()),
                Ok(answer) if self.gives_up(started) => bail!("the server goes on refusing: {}", answer.error_text()),
                Err(error) if self.gives_up(started) => return Err(error).context("the server does not come back"),
                Ok(answer) => {
                    self.tell_of_waiting(&answer.error_text());
                    answer.retry_after
                }
                Err(error) => {
                    self.tell_of_waiting(&format!("{error:#}"));
                    None
                }
            };
            self.rest(asked_pause.unwrap_or(pause).min(MAX_WAIT));
            pause = (pause * 2).min(MAX_PAUSE);
        }
    }

    /// Says once why nothing moves.
    fn tell_of_waiting(&self, why: &str) {
        if !self.has_told_of_waiting.swap(true, Ordering::Relaxed) {
            output::note(&format!("trying again for a while: {why}"));
        }
    }

    fn gives_up(&self, started: Instant) -> bool {
        let longest = if self.has_answered.load(Ordering::Relaxed) { MAX_WAIT } else { MAX_FIRST_WAIT };
        started.elapsed() > longest || self.stop.load(Ordering::Relaxed)
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

/// Counters and a queue are whole after a panic of another thread, whose error is reported when it is joined.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
