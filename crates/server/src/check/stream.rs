use std::path::Path;

use event_store_parquet::Finding;
use stream::check_dedupe;

use super::report::Report;

/// Reads the memory of insert ids and says what it lacks; returns the number of insert ids.
pub(super) fn check(folder: &Path, position: u64, served: bool, report: &mut Report) -> u64 {
    let dedupe = folder.join("dedupe");
    if !dedupe.is_dir() {
        if position > 0 {
            report.find(missing(&dedupe, "the folder is missing".to_owned()));
        }
        return 0;
    }
    report.stage("insert ids");
    let checked = match check_dedupe(&dedupe, position) {
        Ok(checked) => checked,
        Err(error) => {
            report.find(missing(&dedupe, error.to_string()));
            return 0;
        }
    };
    for (path, found) in checked.damaged {
        report.find(
            Finding::problem("dedupe", path.display(), found)
                .means("events that are sent again may be stored again")
                .remedy("stop the server, delete the file and start again: its insert ids are collected from the stored events"),
        );
    }
    for gap in checked.gaps {
        let found = format!("no file holds the insert ids of log records {}..{}", gap.start, gap.end);
        report.find(missing(&dedupe, found));
    }
    if !served {
        for path in checked.ahead {
            report.find(
                Finding::note("dedupe", path.display(), "holds insert ids of records beyond the event store's position")
                    .means("a checkpoint was cut short; its records are read from the log again")
                    .remedy("nothing: the next start deletes it"),
            );
        }
    }
    checked.keys
}

fn missing(dedupe: &Path, found: String) -> Finding {
    Finding::problem("dedupe", dedupe.display(), found)
        .means("events that are sent again may be stored again")
        .remedy("restart the server: it collects the insert ids of the last 7 days from the stored events")
}
