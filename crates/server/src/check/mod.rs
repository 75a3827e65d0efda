//! `throng check`: everything in a data folder, read and compared.

mod log;
mod metadata;
mod report;
mod stream;

use anyhow::{Result, bail};
use clap::Args;
use event_store_parquet::{CheckOptions, CheckSummary, Finding, check_store};
use serde::Serialize;

use crate::app::now_ms;
use crate::cli::Place;
use crate::config::Config;
use crate::data_folder::DataFolder;
use crate::output;
use crate::tier;
use report::Report;

#[derive(Args)]
#[command(after_help = "Examples:
  throng check --data ./throng-data          for people, beside a running server or without one
  throng check --data ./throng-data --json   for programs; exit code 1 when there is a problem
  throng check --config throng.toml          with the segments that are in object storage")]
pub(crate) struct CheckArgs {
    /// Print what was found as JSON on standard output
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: Place,
}

/// What was looked at and what was found; `problems` is 0 when all is well.
#[derive(Serialize)]
pub(crate) struct Checked {
    data: String,
    /// True when another process served the folder meanwhile.
    served: bool,
    apps: usize,
    segments: usize,
    /// Those of them that are in object storage.
    segments_in_object_storage: usize,
    events: u64,
    /// Log offset up to which the event store has everything.
    position: u64,
    log_records: u64,
    insert_ids: u64,
    pub(crate) problems: usize,
    notes: usize,
    findings: Vec<Finding>,
}

/// Runs `throng check`.
pub(crate) fn run(args: &CheckArgs) -> Result<()> {
    let config = Config::load(&args.place)?;
    let folder = DataFolder::existing(&config.data_folder())?;
    let checked = check(&config, &folder, !args.json)?;
    if args.json {
        output::json(&checked)?;
    } else {
        let Checked { apps, segments, segments_in_object_storage: tiered, events, log_records, notes, .. } = &checked;
        output::line(&format!(
            "{apps} apps, {segments} segments ({tiered} in object storage) with {events} events, {log_records} log records"
        ))?;
        output::line(&format!("{} problems, {notes} notes", checked.problems))?;
    }
    match checked.problems {
        0 => Ok(()),
        problems => bail!("{problems} problems in {}", folder.root().display()),
    }
}

/// Checks the whole folder. Where nobody serves it, nobody can begin to until the check has ended; where somebody does, the check reads
/// beside: it changes nothing, and what the server replaces meanwhile it reads again.
pub(crate) fn check(config: &Config, folder: &DataFolder, for_people: bool) -> Result<Checked> {
    folder.refuse_half_restored()?;
    let lock = folder.lock_if_free()?;
    let served = lock.is_none();
    let mut report = Report::start(for_people);
    let backends = config.backends()?;
    let apps = metadata::check(&backends.metadata_store.path_or(&folder.metadata()), &mut report);
    let store = backends.event_store.path_or(&folder.store());
    let options =
        CheckOptions { served, now_ms: now_ms(), tier: tier::open_patiently(config)?, max_links: config.event_store.max_id_links };
    let stored = if store.is_dir() {
        report.stage("event store");
        check_store(&store, &options, &mut |step| report.step(step)).unwrap_or_else(|error| {
            report.find(
                Finding::problem("manifest", store.display(), error)
                    .means("the event store cannot be opened: no question can be answered")
                    .remedy("stop the server and restore the data folder from a backup: throng restore"),
            );
            CheckSummary::default()
        })
    } else {
        CheckSummary::default()
    };
    let log_records = log::check(&backends.event_log.path_or(&folder.log()), stored.position, served, &mut report);
    let insert_ids = stream::check(&folder.stream(), stored.position, served, &mut report);
    let (problems, notes, findings) = report.finish();
    Ok(Checked {
        data: folder.root().display().to_string(),
        served,
        apps: apps.unwrap_or(stored.apps),
        segments: stored.segments,
        segments_in_object_storage: stored.tiered,
        events: stored.rows,
        position: stored.position,
        log_records,
        insert_ids,
        problems,
        notes,
        findings,
    })
}
