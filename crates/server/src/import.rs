mod account;
mod csv_rows;
mod first_rows;
mod json_lines;
mod mapping;
mod parquet_rows;

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use serde_json::{Map, Value};

use crate::http_client::{Target, write_key};
use crate::output;
use crate::progress::Progress;
use crate::sender::{Sender, SenderOptions};
use account::Account;
use first_rows::FirstRows;
use mapping::Mapping;

#[derive(Args)]
#[command(after_help = "Examples:
  throng import events.jsonl.gz --write-key wk_...
  throng import orders.csv --write-key wk_... --map name=type,user_id=customer,timestamp=at
  throng import events.parquet --write-key wk_... --map insert_id=event_id

Running it again is safe: each event has an insert id (mapped, or made from its content and its
place in the file), and one that was stored in the last 7 days is not stored twice. So an import
that was cut off is resumed by running it again. With --app and --read-key it says how many events
were stored before.

Files that `throng export` wrote are read as they are; JSON lines and Parquet lose nothing.")]
pub(crate) struct ImportArgs {
    /// File to read: JSON lines, CSV with a header line, or Parquet; the first two also compressed with gzip
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    target: Target,
    /// Write key of the app that gets the events
    #[arg(long, value_name = "KEY", env = "THRONG_WRITE_KEY", hide_env_values = true)]
    write_key: Option<String>,
    /// Read key of the app, to tell new events from those that were stored before; needs --app
    #[arg(long, value_name = "KEY", env = "THRONG_READ_KEY", hide_env_values = true)]
    read_key: Option<String>,
    /// Id of the app, for --read-key
    #[arg(long, value_name = "APP_ID", env = "THRONG_APP")]
    app: Option<String>,
    /// Format of the file; by default from its name
    #[arg(long)]
    format: Option<Format>,
    /// Which column holds a field, as FIELD=COLUMN; a field that is not named is read from the column of its own name.
    /// Fields: name, user_id, anonymous_id, timestamp, insert_id, session_id, properties. All other columns become properties
    #[arg(long, value_name = "FIELD=COLUMN,...", default_value = "", hide_default_value = true)]
    map: Mapping,
    /// Events in one request
    #[arg(long, default_value_t = 2_000, value_parser = clap::value_parser!(u32).range(1..=2_000))]
    batch_events: u32,
    /// Requests on the way at once
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=64))]
    in_flight: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Jsonl,
    Csv,
    Parquet,
}

/// One row of a file.
pub(crate) struct Row {
    /// Line of the file, or row where it has none, from 1.
    pub(crate) place: u64,
    /// What to derive an insert id from; the row's bytes, or their like.
    pub(crate) content: Vec<u8>,
    /// The columns, or why the row cannot be read.
    pub(crate) columns: Result<Map<String, Value>, String>,
}

/// Runs `throng import`.
pub(crate) fn run(args: &ImportArgs) -> Result<()> {
    let format = args.format.map_or_else(|| format_of(&args.file), Ok)?;
    let file = File::open(&args.file).with_context(|| format!("{} cannot be opened", args.file.display()))?;
    let write_key = write_key(args.write_key.as_deref())?;
    let account = Account::open(&args.target, args.app.as_deref(), args.read_key.as_deref())?;
    let progress = Progress::of_file(file.metadata()?.len());
    let options = SenderOptions { batch_events: args.batch_events as usize, in_flight: args.in_flight as usize };
    let mut sender = Sender::start(&args.target, write_key, options, &progress, &Arc::new(AtomicBool::new(false)))?;
    let mut first_rows = FirstRows::new(&args.map);
    let mut take = |row: Row| first_rows.take(row, &mut |row| push(&mut sender, &args.map, row));
    match format {
        Format::Jsonl => json_lines::read(&mut text(file, &progress)?, &mut take)?,
        Format::Csv => {
            let types = csv_rows::column_types(text(file.try_clone()?, &Progress::silent())?)?;
            csv_rows::read(text(file, &progress)?, &types, &mut take)?;
        }
        Format::Parquet => parquet_rows::read(file, &progress, &mut take)?,
    }
    first_rows.finish(&mut |row| push(&mut sender, &args.map, row))?;
    let report = sender.finish().context("run the import again to resume it")?;
    progress.finish();
    output::note(&format!("{} events sent in {:.1} s", report.accepted + report.rejected, progress.elapsed().as_secs_f64()));
    for reason in &report.first_rejections {
        output::note(&format!("rejected: {reason}"));
    }
    if report.rejected > report.first_rejections.len() as u64 {
        output::note(&format!("... and {} more", report.rejected - report.first_rejections.len() as u64));
    }
    let mut answer = serde_json::json!({"accepted": report.accepted, "rejected": report.rejected});
    match account {
        Some(account) => account.tell(report.accepted, &mut answer)?,
        None => output::note("whether some were stored before is in the app's ledger; with --app and --read-key it is told here"),
    }
    output::json(&answer)?;
    if report.accepted == 0 && report.rejected > 0 {
        bail!("no event was accepted");
    }
    Ok(())
}

/// Sends a row, or counts it where it is no event.
fn push(sender: &mut Sender, mapping: &Mapping, row: Row) -> Result<()> {
    let place = row.place;
    match mapping.event(row) {
        Ok(event) => sender.push(place, &serde_json::to_vec(&event)?),
        Err(reason) => {
            sender.reject(place, &reason);
            Ok(())
        }
    }
}

fn format_of(file: &Path) -> Result<Format> {
    let name = file.file_name().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    match name.trim_end_matches(".gz").rsplit('.').next() {
        Some("jsonl" | "ndjson" | "json") => Ok(Format::Jsonl),
        Some("csv") => Ok(Format::Csv),
        Some("parquet") => Ok(Format::Parquet),
        _ => bail!("the format of {} cannot be told from its name: add --format jsonl, csv or parquet", file.display()),
    }
}

/// The text of a file from its start, inflated when it is gzip, whatever its name.
fn text(mut file: File, progress: &Progress) -> Result<Box<dyn BufRead>> {
    const BUFFER_BYTES: usize = 1 << 18;
    file.rewind()?;
    let mut raw = BufReader::with_capacity(BUFFER_BYTES, progress.count_bytes(file));
    let is_gzip = raw.fill_buf().context("the file cannot be read")?.starts_with(&[0x1f, 0x8b]);
    let inflated: Box<dyn Read> = if is_gzip { Box::new(flate2::bufread::MultiGzDecoder::new(raw)) } else { Box::new(raw) };
    let mut text = BufReader::with_capacity(BUFFER_BYTES, inflated);
    if text.fill_buf().context("the file cannot be read")?.starts_with(b"\xef\xbb\xbf") {
        // A byte order mark is no part of the first column's name.
        text.consume(3);
    }
    Ok(Box::new(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_by_name() {
        let format = |name: &str| format_of(Path::new(name)).ok();
        assert_eq!(format("a/events.ndjson.gz"), Some(Format::Jsonl));
        assert_eq!(format("EVENTS.CSV"), Some(Format::Csv));
        assert_eq!(format("x.parquet"), Some(Format::Parquet));
        assert_eq!(format("events"), None);
    }
}
