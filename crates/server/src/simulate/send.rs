//! Collects events into requests and keeps several of them on their way.

use std::io::IsTerminal;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use indicatif::{ProgressBar, ProgressStyle};

use crate::http_client::{HttpClient, Target};
use crate::output;

const BATCH_EVENTS: usize = 2_000;
const IN_FLIGHT: usize = 4;
const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);
const LINE_INTERVAL: Duration = Duration::from_secs(10);
/// A server that is overloaded or restarting is waited for so long, with pauses that grow to the longest.
const MAX_WAIT: Duration = Duration::from_secs(120);
const MAX_PAUSE: Duration = Duration::from_secs(5);

/// Sends one request, again and again with the same insert ids while the server asks to come back or does not answer.
pub(super) fn post_batch(client: &HttpClient, body: &[u8]) -> Result<()> {
    let started = Instant::now();
    let mut pause = Duration::from_millis(50);
    loop {
        let outcome = client.post("/api/v1/events/batch", body);
        match &outcome {
            Ok(answer) if answer.status == 200 => return Ok(()),
            Ok(answer) if !matches!(answer.status, 429 | 500..) => bail!("the server refused the events: {}", answer.error_text()),
            _ => {}
        }
        if started.elapsed() > MAX_WAIT {
            let answer = outcome.context("the server does not come back")?;
            bail!("the server goes on refusing: {}", answer.error_text());
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(MAX_PAUSE);
    }
}

/// Puts events into one request body.
pub(super) fn body_of<'a>(events: impl IntoIterator<Item = &'a str>) -> Vec<u8> {
    let mut body = b"{\"events\":[".to_vec();
    for (position, event) in events.into_iter().enumerate() {
        if position > 0 {
            body.push(b',');
        }
        body.extend_from_slice(event.as_bytes());
    }
    body.extend_from_slice(b"]}");
    body
}

/// Bodies on their way: `IN_FLIGHT` being sent and as many waiting.
pub(super) struct Sender {
    body: Vec<u8>,
    events: usize,
    queue: SyncSender<(Vec<u8>, usize)>,
    threads: Vec<JoinHandle<Result<()>>>,
    progress: Arc<Progress>,
}

impl Sender {
    pub(super) fn start(target: &Target, key: &str, total: u64) -> Result<Self> {
        let (queue, bodies) = sync_channel(IN_FLIGHT);
        let bodies = Arc::new(Mutex::new(bodies));
        let progress = Arc::new(Progress::start(total));
        let mut threads = Vec::new();
        for _ in 0..IN_FLIGHT {
            let client = HttpClient::new(target, key, REQUEST_TIMEOUT)?;
            let (bodies, progress) = (Arc::clone(&bodies), Arc::clone(&progress));
            threads.push(std::thread::spawn(move || send_all(&client, &bodies, &progress)));
        }
        Ok(Self { body: Vec::new(), events: 0, queue, threads, progress })
    }

    pub(super) fn push(&mut self, json: &str) -> Result<()> {
        self.body.extend_from_slice(if self.events == 0 { b"{\"events\":[" } else { b"," });
        self.body.extend_from_slice(json.as_bytes());
        self.events += 1;
        if self.events == BATCH_EVENTS { self.send() } else { Ok(()) }
    }

    fn send(&mut self) -> Result<()> {
        if self.events == 0 {
            return Ok(());
        }
        let capacity = self.body.capacity();
        let mut body = std::mem::replace(&mut self.body, Vec::with_capacity(capacity));
        body.extend_from_slice(b"]}");
        if self.queue.send((body, std::mem::take(&mut self.events))).is_err() {
            // All senders have ended, which only an error makes them do.
            self.join()?;
            bail!("the senders ended early");
        }
        Ok(())
    }

    /// Waits for all answers and returns the number of events sent.
    pub(super) fn finish(mut self) -> Result<u64> {
        self.send()?;
        self.join()?;
        Ok(self.progress.finish())
    }

    fn join(&mut self) -> Result<()> {
        let (closed, _) = sync_channel(0);
        self.queue = closed;
        for thread in self.threads.drain(..) {
            thread.join().map_err(|_| anyhow!("a sender panicked"))??;
        }
        Ok(())
    }
}

fn send_all(client: &HttpClient, bodies: &Mutex<Receiver<(Vec<u8>, usize)>>, progress: &Progress) -> Result<()> {
    loop {
        let received = bodies.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok((body, events)) = received else { return Ok(()) };
        post_batch(client, &body)?;
        progress.sent(events as u64);
    }
}

/// A bar on a terminal, a line now and then elsewhere.
struct Progress {
    bar: Option<ProgressBar>,
    total: u64,
    state: Mutex<(u64, Instant)>,
}

impl Progress {
    fn start(total: u64) -> Self {
        let bar = (total > 0 && std::io::stderr().is_terminal()).then(|| {
            let bar = ProgressBar::new(total);
            let style = ProgressStyle::with_template("{bar:30} {percent:>3} %  {human_pos} of {human_len} events  {per_sec}  {eta} left");
            style.into_iter().for_each(|style| bar.set_style(style));
            bar
        });
        Self { bar, total, state: Mutex::new((0, Instant::now())) }
    }

    fn sent(&self, events: u64) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.0 += events;
        match &self.bar {
            Some(bar) => bar.set_position(state.0),
            None if state.1.elapsed() > LINE_INTERVAL => {
                state.1 = Instant::now();
                output::note(&format!("{} of {} events sent", state.0, self.total));
            }
            None => {}
        }
    }

    fn finish(&self) -> u64 {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        self.state.lock().unwrap_or_else(PoisonError::into_inner).0
    }
}
