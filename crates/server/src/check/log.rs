use std::path::Path;

use event_log::{LogCheck, LogGap, check_log};
use event_store_parquet::{CheckStep, Finding};

use super::report::Report;

/// Damaged ranges that are told one by one.
const MAX_TOLD: usize = 20;

/// Reads every record of the log and says which are missing; returns the number of good ones. `stored` is the log offset up to which the
/// event store has everything.
pub(super) fn check(folder: &Path, stored: u64, served: bool, report: &mut Report) -> u64 {
    if !folder.is_dir() {
        return 0;
    }
    report.stage("event log");
    let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let bytes = files.filter_map(|file| file.metadata().ok()).map(|metadata| metadata.len()).sum();
    report.step(CheckStep::Total { bytes });
    match check_log(folder, &mut |bytes| report.step(CheckStep::Done { bytes })) {
        Ok(checked) => {
            tell(folder, &checked, stored, served, report);
            checked.records
        }
        Err(error) => {
            report.find(
                Finding::problem("log", folder.display(), error)
                    .means("the log cannot be read: events that are not in the event store yet may be lost")
                    .remedy("see to the disk; keep the folder until the event store has caught up"),
            );
            0
        }
    }
}

fn tell(folder: &Path, checked: &LogCheck, stored: u64, served: bool, report: &mut Report) {
    for gap in checked.gaps.iter().take(MAX_TOLD) {
        report.find(lost(gap, stored));
    }
    if checked.gaps.len() > MAX_TOLD {
        let found = format!("{} more ranges of records are damaged", checked.gaps.len() - MAX_TOLD);
        report.find(Finding::problem("log", folder.display(), found).remedy("as above"));
    }
    for path in &checked.damaged_headers {
        report.find(
            Finding::problem("log", path.display(), "the header of the file is damaged")
                .means("nothing is lost: its records are found without it; but the disk has damaged a file")
                .remedy("see to the disk; the file goes by itself once it is old enough"),
        );
    }
    // A record that a running server is writing looks the same.
    if checked.torn_tail_bytes > 0 && !served {
        let found = format!("{} bytes behind the last good record", checked.torn_tail_bytes);
        report.find(
            Finding::note("log", folder.display(), found)
                .means("a record that was being written when the process ended: it was never answered")
                .remedy("nothing: the next start cuts it off"),
        );
    }
    if checked.end < stored && checked.segments > 0 {
        let found = format!("ends at {}, before the event store's position {stored}", checked.end);
        report.find(
            Finding::note("log", folder.display(), found)
                .means("the lost records were stored before, so no event is missing")
                .remedy("nothing: the next start goes on at the event store's position"),
        );
    }
    if checked.segments > 0 && checked.start > stored {
        let found = format!("begins at {}, behind the event store's position {stored}", checked.start);
        report.find(
            Finding::problem("log", folder.display(), found)
                .means(format!("log records {stored}..{} were never stored and are gone", checked.start))
                .remedy("put the missing files back from a backup before the server starts; else it goes on without them and says so"),
        );
    }
}

fn lost(gap: &LogGap, stored: u64) -> Finding {
    let LogGap { from, to, path, reason } = gap;
    let found = format!("records {from}..{to} cannot be read: {reason}");
    if *to <= stored {
        return Finding::note("log", path.display(), found)
            .means("they are in the event store already, so no event is missing; but the disk has damaged a file")
            .remedy("see to the disk; the file goes by itself once it is old enough");
    }
    Finding::problem("log", path.display(), found)
        .means(format!("{} requests that were answered are lost; answers for the time of their receipt say so", to - from.max(&stored)))
        .remedy("put the file back from a backup before the server starts, if there is one of it")
}
