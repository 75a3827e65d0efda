//! A load generator for `POST /api/v1/events/batch` that costs little beside the server it measures: keep-alive connections, one
//! thread each, bodies made before the clock starts, only their `insert_id`s changed in place.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};

/// What to send.
#[derive(Clone, Debug)]
pub struct Load {
    /// Whom to.
    pub address: SocketAddr,
    /// Path of the request.
    pub path: String,
    /// Write key.
    pub key: String,
    /// Connections, one thread each.
    pub connections: usize,
    /// Events in a request.
    pub batch_events: usize,
    /// How long.
    pub duration: Duration,
    /// Events a second over all connections; `None` sends as fast as answers come.
    pub events_per_second: Option<f64>,
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Events answered 200.
    pub events: u64,
    /// Bytes of bodies sent.
    pub body_bytes: u64,
    /// Seconds from the first request to the last answer.
    pub seconds: f64,
    /// Time to each answer, ascending.
    pub answer_times: Vec<Duration>,
    /// Answers other than 200.
    pub refused: u64,
}

impl Outcome {
    /// The time within which this share (0..=1) of answers came.
    pub fn quantile(&self, share: f64) -> Duration {
        let last = self.answer_times.len().saturating_sub(1);
        self.answer_times.get((last as f64 * share).round() as usize).copied().unwrap_or_default()
    }
}

/// Sends until the time is over.
pub fn run(load: &Load) -> Result<Outcome> {
    // Ids start at the clock: a second run sends events of its own, not duplicates of the first.
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
    let serial = AtomicU64::new(now.as_nanos() as u64);
    let started = Instant::now();
    let results: Vec<Result<Outcome>> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..load.connections)
            .map(|index| {
                scope.spawn({
                    let serial = &serial;
                    move || one_connection(load, index, serial, started)
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().map_err(|_| anyhow::anyhow!("a load thread panicked"))?).collect()
    });
    let mut total = Outcome { seconds: started.elapsed().as_secs_f64(), ..Outcome::default() };
    for result in results {
        let one = result?;
        total.events += one.events;
        total.body_bytes += one.body_bytes;
        total.refused += one.refused;
        total.answer_times.extend(one.answer_times);
    }
    total.answer_times.sort_unstable();
    Ok(total)
}

fn one_connection(load: &Load, index: usize, serial: &AtomicU64, started: Instant) -> Result<Outcome> {
    let stream = TcpStream::connect(load.address)?;
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut writer = stream;
    let mut bodies: Vec<Body> = (0..16).map(|variant| Body::new(load, index * 16 + variant)).collect();
    let pause = load.events_per_second.map(|rate| Duration::from_secs_f64(load.batch_events as f64 * load.connections as f64 / rate));
    let mut outcome = Outcome::default();
    let mut due = started + pause.map_or(Duration::ZERO, |pause| pause.mul_f64(index as f64 / load.connections as f64));
    for turn in 0usize.. {
        if let Some(pause) = pause {
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            due += pause;
        }
        if started.elapsed() >= load.duration {
            break;
        }
        let body = &mut bodies[turn % 16];
        body.renumber(serial);
        let sent = Instant::now();
        writer.write_all(&body.request)?;
        if read_answer(&mut reader)? == 200 {
            outcome.events += load.batch_events as u64;
            outcome.answer_times.push(sent.elapsed());
        } else {
            outcome.refused += 1;
        }
        outcome.body_bytes += body.body_bytes as u64;
    }
    Ok(outcome)
}

/// One prepared request; the places of its insert ids are known.
struct Body {
    request: Vec<u8>,
    body_bytes: usize,
    id_places: Vec<usize>,
}

const ID_DIGITS: usize = 16;

impl Body {
    fn new(load: &Load, variant: usize) -> Self {
        let events: Vec<String> = (0..load.batch_events).map(|i| event_json(variant * load.batch_events + i)).collect();
        let body = format!("{{\"events\":[{}]}}", events.join(","));
        let head = format!(
            "POST {} HTTP/1.1\r\nhost: throng\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            load.path,
            load.key,
            body.len()
        );
        let request = [head.as_bytes(), body.as_bytes()].concat();
        let marker = b"\"insert_id\":\"load-";
        let id_places =
            request.windows(marker.len()).enumerate().filter(|(_, window)| window == marker).map(|(at, _)| at + marker.len()).collect();
        Self { request, body_bytes: body.len(), id_places }
    }

    fn renumber(&mut self, serial: &AtomicU64) {
        let first = serial.fetch_add(self.id_places.len() as u64, Ordering::Relaxed);
        for (offset, &place) in self.id_places.iter().enumerate() {
            let id = format!("{:016x}", first + offset as u64);
            self.request[place..place + ID_DIGITS].copy_from_slice(id.as_bytes());
        }
    }
}

/// About 300 bytes, without a timestamp so that the event counts now.
fn event_json(n: usize) -> String {
    const NAMES: [&str; 8] = ["page_view", "page_view", "page_view", "page_view", "click", "click", "search", "add_to_cart"];
    const COUNTRIES: [&str; 5] = ["US", "DE", "BR", "JP", "IN"];
    format!(
        "{{\"name\":\"{}\",\"user_id\":\"user-{}\",\"insert_id\":\"load-{:016x}\",\"session_id\":\"s-{}\",\"properties\":{{\"url\":\"/shop/item-{}\",\"country\":\"{}\",\"device_type\":\"mobile\",\"browser\":\"Chrome\",\"plan\":\"free\",\"price\":{}.5,\"referrer\":\"https://www.example.com/search?q=shoes\",\"ref_id\":\"{:012x}\"}}}}",
        NAMES[n % 8],
        n.wrapping_mul(7919) % 100_000,
        n,
        n / 20,
        n % 500,
        COUNTRIES[n % 5],
        n % 100,
        n.wrapping_mul(2_654_435_761)
    )
}

/// Reads one HTTP/1.1 answer with a content length and returns its status.
fn read_answer(reader: &mut BufReader<TcpStream>) -> Result<u16> {
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let status: u16 = line.split_whitespace().nth(1).and_then(|code| code.parse().ok()).with_context(|| format!("answer {line:?}"))?;
    let mut length = None;
    loop {
        line.clear();
        if reader.read_line(&mut line)? == 0 {
            bail!("the connection was closed in the middle of an answer");
        }
        let header = line.trim_end();
        if header.is_empty() {
            break;
        }
        if let Some((name, value)) = header.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse::<usize>().ok();
        }
    }
    let mut body = vec![0; length.context("an answer without content-length")?];
    reader.read_exact(&mut body)?;
    Ok(status)
}
