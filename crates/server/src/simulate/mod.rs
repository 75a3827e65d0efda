//! `throng simulate`: the history and the live traffic of a believable shop, sent through the public API.

mod history;
mod live;
mod random;
mod run_up;
mod shop;

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result, bail};
use clap::Args;
use jiff::Timestamp;

use crate::http_client::{Target, write_key};
use crate::output;
use crate::progress::Progress;
use crate::sender::{Report, Sender, SenderOptions};
use history::History;
use shop::{Shop, SimulatedEvent};

#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:
  throng simulate --write-key wk_...                                     30 days of history, growing into 50 events a second until stopped
  throng simulate --write-key wk_... --events 20000000 --days 90 --users 500000 --rate 0
  throng simulate --out shop.ndjson --events 1000000 --days 90           write a file for `throng import` instead")]
pub(crate) struct SimulateArgs {
    #[command(flatten)]
    pub(crate) target: Target,
    /// Write key of the app that gets the events
    #[arg(long, value_name = "KEY", env = "THRONG_WRITE_KEY", hide_env_values = true)]
    pub(crate) write_key: Option<String>,
    /// Events of history; 0 for none
    #[arg(long, value_name = "N", default_value_t = 200_000)]
    pub(crate) events: u64,
    /// Days that the history covers
    #[arg(long, value_name = "N", default_value_t = 30)]
    pub(crate) days: u32,
    /// Persons who visit the shop
    #[arg(long, value_name = "N", default_value_t = 5_000)]
    pub(crate) users: u64,
    /// Live events a second after the history, until stopped; 0 for none
    #[arg(long, value_name = "N", default_value_t = 50.0)]
    pub(crate) rate: f64,
    /// The same seed makes the same shop
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) seed: u64,
    /// End of the history, ISO 8601 [default: now]
    #[arg(long, value_name = "TIME")]
    pub(crate) until: Option<Timestamp>,
    /// Write the history as JSON lines to a file instead of sending it
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
}

/// Sends the history, then live traffic until the process is stopped.
pub(crate) fn run(args: &SimulateArgs) -> Result<()> {
    simulate(args, &Arc::new(AtomicBool::new(false)))
}

/// As [`run`], until `stop` is set.
pub(crate) fn simulate(args: &SimulateArgs, stop: &Arc<AtomicBool>) -> Result<()> {
    if !(0.0..=1e6).contains(&args.rate) {
        bail!("--rate takes 0 to 1,000,000 events a second, not {}", args.rate);
    }
    let until_ms = args.until.unwrap_or_else(Timestamp::now).as_millisecond();
    let history = History::new(Shop::new(args.seed, args.users, until_ms), args.days, until_ms, args.events);
    if let Some(path) = &args.out {
        return write(history, path);
    }
    let key = write_key(args.write_key.as_deref())?;
    if args.events > 0 {
        let sent = send_all(args, key, args.events, history, stop)?;
        output::note(&format!("{} events of history sent, {} of them rejected", sent.accepted + sent.rejected, sent.rejected));
    }
    // Where the history was told to end long ago, nothing is to meet it.
    let meets_history = args.events > 0 && args.until.is_none();
    if args.rate > 0.0 && meets_history && !stop.load(Ordering::Relaxed) {
        send_run_up(args, args.rate, Timestamp::now(), stop)?;
    }
    if args.rate > 0.0 && !stop.load(Ordering::Relaxed) {
        let started_ms = Timestamp::now().as_millisecond();
        let shop = Shop::from_moment(args.seed, args.users, started_ms, live::pace(args.rate));
        let sender = Sender::start(&args.target, key, live_sending(args.rate), &Progress::silent(), stop)?;
        output::note(&format!("live traffic: {} events a second until stopped", args.rate));
        live::run(shop, sender, args.rate, started_ms, stop)?;
    }
    Ok(())
}

/// Sends what leads from the history to live traffic of `live_rate` events a second that begins at `end`.
pub(crate) fn send_run_up(args: &SimulateArgs, live_rate: f64, end: Timestamp, stop: &Arc<AtomicBool>) -> Result<()> {
    let key = write_key(args.write_key.as_deref())?;
    let history_rate = args.events as f64 / (f64::from(args.days.max(1)) * 86_400.0);
    let events = run_up::run_up(args.seed, args.users, history_rate, live_rate, end.as_millisecond());
    let sent = send_all(args, key, events.len() as u64, events.into_iter(), stop)?;
    output::note(&format!("{} events of the last hour and a half sent", sent.accepted));
    Ok(())
}

/// Sends `count` events of the past in large requests, until `stop` is set.
fn send_all(
    args: &SimulateArgs,
    key: &str,
    count: u64,
    events: impl Iterator<Item = SimulatedEvent>,
    stop: &Arc<AtomicBool>,
) -> Result<Report> {
    let progress = Progress::of_events(count);
    let mut sender = Sender::start(&args.target, key, HISTORY_SENDING, &progress, stop)?;
    for (event, number) in events.zip(1..) {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        sender.push(number, event.json.as_bytes())?;
    }
    let sent = sender.finish()?;
    progress.finish();
    Ok(sent)
}

/// Large requests, several at once.
const HISTORY_SENDING: SenderOptions = SenderOptions { batch_events: 2_000, in_flight: 4 };

/// Batches as SDKs send them, and connections enough for the rate when each answer takes a few milliseconds.
fn live_sending(rate: f64) -> SenderOptions {
    const EVENTS_PER_CONNECTION: f64 = 1_000.0;
    let in_flight = (rate / EVENTS_PER_CONNECTION).ceil().clamp(1.0, 64.0) as usize;
    SenderOptions { batch_events: 20, in_flight }
}

fn write(history: History, path: &PathBuf) -> Result<()> {
    let file = File::create(path).with_context(|| format!("{} cannot be written", path.display()))?;
    let mut out = BufWriter::with_capacity(1 << 20, file);
    let mut written = 0u64;
    for event in history {
        out.write_all(event.json.as_bytes())?;
        out.write_all(b"\n")?;
        written += 1;
    }
    out.flush()?;
    output::note(&format!("{written} events written to {}", path.display()));
    Ok(())
}
