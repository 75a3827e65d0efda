use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};

use super::Row;
use super::mapping::Mapping;
use super::progress::Progress;
use crate::http_client::{Answer, HttpClient, Target};

/// A request is sent before its body reaches this size; the gateway takes 10 MiB.
const MAX_BODY_BYTES: usize = 4 << 20;
/// Pauses between attempts of one request; after the last one the import gives up, and can be run again.
const RETRY_PAUSES_MS: [u64; 10] = [50, 100, 200, 500, 1_000, 2_000, 4_000, 8_000, 15_000, 30_000];
const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);
/// Rejections that are shown one by one.
const MAX_SHOWN_REJECTIONS: usize = 10;

pub(super) struct SenderOptions {
    pub(super) batch_events: usize,
    pub(super) in_flight: usize,
}

/// What became of the rows.
#[derive(Default)]
pub(super) struct Report {
    pub(super) accepted: u64,
    pub(super) rejected: u64,
    pub(super) first_rejections: Vec<String>,
}

impl Report {
    fn reject(&mut self, place: u64, reason: &str) {
        self.rejected += 1;
        if self.first_rejections.len() < MAX_SHOWN_REJECTIONS {
            self.first_rejections.push(format!("row {place}: {reason}"));
        }
    }
}

#[derive(Default)]
struct Batch {
    body: Vec<u8>,
    places: Vec<u64>,
}

/// Collects events into requests and sends several at once. The queue before the senders holds one request each.
pub(super) struct Sender {
    open: Batch,
    batch_events: usize,
    queue: SyncSender<Batch>,
    threads: Vec<JoinHandle<Result<()>>>,
    report: Arc<Mutex<Report>>,
    failed: Arc<AtomicBool>,
}

impl Sender {
    pub(super) fn start(target: &Target, write_key: &str, options: &SenderOptions, progress: &Progress) -> Result<Self> {
        let (queue, batches) = sync_channel(options.in_flight);
        let batches = Arc::new(Mutex::new(batches));
        let report = Arc::new(Mutex::new(Report::default()));
        let failed = Arc::new(AtomicBool::new(false));
        let mut threads = Vec::new();
        for _ in 0..options.in_flight {
            let thread = SenderThread {
                client: HttpClient::new(target, write_key, REQUEST_TIMEOUT)?,
                batches: Arc::clone(&batches),
                report: Arc::clone(&report),
                progress: progress.clone(),
                failed: Arc::clone(&failed),
            };
            threads.push(std::thread::spawn(move || thread.run()));
        }
        Ok(Self { open: Batch::default(), batch_events: options.batch_events, queue, threads, report, failed })
    }

    /// Takes one row; waits while all senders are busy.
    pub(super) fn push(&mut self, mapping: &Mapping, row: Row) -> Result<()> {
        let place = row.place;
        let event = match mapping.event(row) {
            Ok(event) => event,
            Err(reason) => {
                lock(&self.report).reject(place, &reason);
                return Ok(());
            }
        };
        let text = serde_json::to_vec(&event)?;
        if self.open.body.len() + text.len() > MAX_BODY_BYTES {
            self.send()?;
        }
        let separator: &[u8] = if self.open.places.is_empty() { b"{\"events\":[" } else { b"," };
        self.open.body.extend_from_slice(separator);
        self.open.body.extend_from_slice(&text);
        self.open.places.push(place);
        if self.open.places.len() >= self.batch_events { self.send() } else { Ok(()) }
    }

    fn send(&mut self) -> Result<()> {
        if self.open.places.is_empty() {
            return Ok(());
        }
        let mut batch = std::mem::take(&mut self.open);
        batch.body.extend_from_slice(b"]}");
        if self.failed.load(Ordering::Relaxed) || self.queue.send(batch).is_err() {
            self.join()?;
            bail!("the senders ended early");
        }
        Ok(())
    }

    /// Sends what is left and waits for all answers.
    pub(super) fn finish(mut self) -> Result<Report> {
        self.send()?;
        self.join()?;
        Ok(std::mem::take(&mut lock(&self.report)))
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

struct SenderThread {
    client: HttpClient,
    batches: Arc<Mutex<Receiver<Batch>>>,
    report: Arc<Mutex<Report>>,
    progress: Progress,
    failed: Arc<AtomicBool>,
}

impl SenderThread {
    fn run(self) -> Result<()> {
        loop {
            let received = lock(&self.batches).recv();
            let Ok(batch) = received else { return Ok(()) };
            if self.failed.load(Ordering::Relaxed) {
                // Drained without sending, so that the reader is not left waiting for room.
                continue;
            }
            if let Err(error) = self.send(&batch) {
                self.failed.store(true, Ordering::Relaxed);
                return Err(error);
            }
        }
    }

    fn send(&self, batch: &Batch) -> Result<()> {
        let answer = self.post(&batch.body)?;
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

    /// Sends until there is an answer for the events; what may pass (overload, a restart) is waited out.
    fn post(&self, body: &[u8]) -> Result<Answer> {
        let mut pauses = RETRY_PAUSES_MS.iter();
        loop {
            let outcome = self.client.post("/api/v1/events/batch", body);
            let passing = match &outcome {
                Ok(answer) => matches!(answer.status, 429 | 500..),
                Err(_) => true,
            };
            match (outcome, pauses.next()) {
                (Ok(answer), _) if answer.status == 200 || (answer.status == 400 && answer.body.get("rejected").is_some()) => {
                    return Ok(answer);
                }
                (Ok(answer), _) if !passing => bail!("the server refused the import: {}", answer.error_text()),
                (_, Some(pause_ms)) => std::thread::sleep(Duration::from_millis(*pause_ms)),
                (Ok(answer), None) => bail!("the server goes on refusing ({}); run the import again to resume it", answer.error_text()),
                (Err(error), None) => return Err(error).context("run the import again to resume it"),
            }
        }
    }
}

/// Counters and a queue are whole after a panic of another thread, whose error is reported when it is joined.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
