use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use serde_json::{Map, Value, json};

use crate::http_client::{HttpClient, ReadTarget};
use crate::output;
use crate::progress::Progress;

#[derive(Args)]
#[command(after_help = "Examples:
  export THRONG_APP=APP-1 THRONG_READ_KEY=rk_...
  throng export --output events.jsonl                          every event, as `throng import` reads them
  throng export --from 2026-03-01 --to 2026-04-01 --event purchase --output march.csv
  throng export --range 90d --format parquet --output - | duckdb -c \"...\"

The file appears under its name when it is whole; until then it has a name that ends with .part.
Events come in stored order: from the oldest days or weeks to the newest, in no order within one.")]
pub(crate) struct ExportArgs {
    #[command(flatten)]
    target: ReadTarget,
    /// File to write, replacing one of that name when the export is whole; - for standard output
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,
    /// Format of the file; by default from its name, else jsonl
    #[arg(long)]
    format: Option<Format>,
    /// First day or time in the file, such as 2026-03-01 or 2026-03-01T12:00:00Z [default: the first event]
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// First day or time that is not in the file any more [default: the end of today]
    #[arg(long, value_name = "TIME", requires = "from")]
    to: Option<String>,
    /// The last days instead, such as 30d
    #[arg(long, value_name = "RANGE", conflicts_with = "from")]
    range: Option<String>,
    /// Time zone in which days are meant [default: the app's]
    #[arg(long, value_name = "ZONE")]
    timezone: Option<String>,
    /// Only events of this name; may be given several times
    #[arg(long, value_name = "NAME")]
    event: Vec<String>,
    /// Only events for which this holds: a filter of the query API or a list of them, as JSON
    #[arg(long, value_name = "JSON")]
    filters: Option<String>,
    /// Write CSV text as it is, also where a spreadsheet would run it; by default it gets a ' in front
    #[arg(long)]
    keep_formulas: bool,
    /// Write what can be read where stored events are damaged
    #[arg(long)]
    incomplete: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Jsonl,
    Csv,
    Parquet,
}

/// Runs `throng export`.
pub(crate) fn run(args: &ExportArgs) -> Result<()> {
    let request = request(args)?;
    let client = args.target.download_client()?;
    let mut download = client.download(&args.target.path("export"), request.to_string().as_bytes())?;
    if let Some(missing) = download.header("x-throng-missing") {
        output::note(&format!("INCOMPLETE: {missing} damaged files of the event store are left out; `throng check` names them"));
    }
    let progress = Progress::of_download();
    let mut body = progress.count_bytes(download.body());
    let written = if args.output == Path::new("-") {
        copy(&mut body, &mut io::stdout().lock(), &client)
    } else {
        write_file(&args.output, &mut body, &client)
    };
    progress.finish();
    written?;
    output::note(&format!("{:.1} MB in {:.1} s", progress.bytes() as f64 / 1e6, progress.elapsed().as_secs_f64()));
    Ok(())
}

fn request(args: &ExportArgs) -> Result<Value> {
    let mut request = Map::new();
    let format = args.format.or_else(|| format_of(&args.output)).unwrap_or(Format::Jsonl);
    let format = match format {
        Format::Jsonl => "jsonl",
        Format::Csv => "csv",
        Format::Parquet => "parquet",
    };
    request.insert("format".to_owned(), json!(format));
    for (field, value) in [("from", &args.from), ("to", &args.to), ("range", &args.range), ("timezone", &args.timezone)] {
        if let Some(value) = value {
            request.insert(field.to_owned(), json!(value));
        }
    }
    if !args.event.is_empty() {
        request.insert("events".to_owned(), json!(args.event));
    }
    if let Some(filters) = &args.filters {
        let filters: Value = serde_json::from_str(filters).context("--filters is not JSON")?;
        request.insert("filters".to_owned(), if filters.is_array() { filters } else { json!([filters]) });
    }
    if args.keep_formulas {
        request.insert("formulas".to_owned(), json!("keep"));
    }
    if args.incomplete {
        request.insert("incomplete".to_owned(), json!(true));
    }
    Ok(Value::Object(request))
}

fn format_of(file: &Path) -> Option<Format> {
    match file.extension()?.to_str()?.to_ascii_lowercase().as_str() {
        "jsonl" | "ndjson" => Some(Format::Jsonl),
        "csv" => Some(Format::Csv),
        "parquet" => Some(Format::Parquet),
        _ => None,
    }
}

/// Copies to the end. A body that breaks off is an error, since the server cuts the connection when it cannot finish the file.
fn copy(body: &mut impl Read, out: &mut impl Write, client: &HttpClient) -> Result<()> {
    const BUFFER_BYTES: usize = 1 << 18;
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        let read = match body.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => {
                return Err(error)
                    .with_context(|| format!("{} broke the export off, its log says why: run the command again", client.base()));
            }
        };
        match out.write_all(&buffer[..read]) {
            Ok(()) => {}
            // The reader of a pipe has seen enough.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
            Err(error) => return Err(error).context("the output cannot be written"),
        }
    }
    out.flush().context("the output cannot be written")
}

/// Writes beside the file and gives it its name when it is whole and on disk.
fn write_file(path: &Path, body: &mut impl Read, client: &HttpClient) -> Result<()> {
    let Some(name) = path.file_name() else { bail!("--output {} is not the name of a file", path.display()) };
    let part = path.with_file_name(format!("{}.{}.part", name.to_string_lossy(), std::process::id()));
    let written = write_part(&part, body, client)
        .and_then(|()| fs::rename(&part, path).with_context(|| format!("{} cannot be renamed to {}", part.display(), path.display())));
    if written.is_err() {
        // What is left of a failed export is of no use; where it cannot be removed, its name still says what it is.
        let _ = fs::remove_file(&part);
    }
    written
}

fn write_part(part: &Path, body: &mut impl Read, client: &HttpClient) -> Result<()> {
    let file = File::create(part).with_context(|| format!("{} cannot be written", part.display()))?;
    let mut out = BufWriter::new(file);
    copy(body, &mut out, client)?;
    let file = out.into_inner().map_err(|error| error.into_error()).context("the output cannot be written")?;
    file.sync_all().context("the output cannot be written")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_by_name() {
        for (name, format) in [
            ("a/events.jsonl", Some(Format::Jsonl)),
            ("E.CSV", Some(Format::Csv)),
            ("x.parquet", Some(Format::Parquet)),
            ("-", None),
            ("a.gz", None),
        ] {
            assert_eq!(format_of(Path::new(name)), format, "{name}");
        }
    }
}
