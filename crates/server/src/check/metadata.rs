use std::path::Path;

use event_store_parquet::Finding;
use metadata_store::check_metadata;

use super::report::Report;

/// Checks the database of apps and keys; returns the number of apps.
pub(super) fn check(path: &Path, report: &mut Report) -> Option<usize> {
    match check_metadata(path) {
        Ok(checked) => {
            for found in checked.damage {
                report.find(damaged(path, found));
            }
            Some(checked.apps)
        }
        Err(error) => {
            report.find(damaged(path, error.to_string()));
            None
        }
    }
}

fn damaged(path: &Path, found: String) -> Finding {
    Finding::problem("metadata", path.display(), found)
        .means("apps, keys and definitions may be lost; events are not affected")
        .remedy("put the file back from a backup, or make the apps again under their old ids: throng app create NAME --id APP_ID")
}
