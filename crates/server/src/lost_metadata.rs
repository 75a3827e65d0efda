//! A metadata store that was lost while its events are still there.

use std::path::Path;

use anyhow::{Result, bail};

use crate::config::Config;
use crate::data_folder::DataFolder;

/// Apps that the refusal names at most.
const MAX_NAMED_APPS: usize = 20;

/// Refuses to go on without the metadata of events that are there: a new, empty database would answer every key with 401, and would
/// look like a platform that has lost everything.
pub(crate) fn refuse_lost_metadata(config: &Config, folder: &DataFolder) -> Result<()> {
    let backends = config.backends()?;
    let path = backends.metadata_store.path_or(&folder.metadata());
    if std::fs::metadata(&path).is_ok_and(|metadata| metadata.len() > 0) {
        return Ok(());
    }
    let (store, log) = (backends.event_store.path_or(&folder.store()), backends.event_log.path_or(&folder.log()));
    let is_segment = |name: &str| name.starts_with("date=");
    let is_log = |name: &str| name.ends_with(".log");
    if !holds(&store, is_segment) && !holds(&log, is_log) {
        return Ok(());
    }
    let apps = event_store_parquet::stored_apps(&store, MAX_NAMED_APPS).unwrap_or_default();
    let known = if apps.is_empty() { String::new() } else { format!("; apps with stored events: {}", apps.join(", ")) };
    bail!(
        "{} is missing or empty, but the data folder {} holds events. Put the file back from a backup (throng restore), or make \
         each app again under its old id, with new keys: throng app create NAME --id APP_ID --data {}{known}",
        path.display(),
        folder.root().display(),
        folder.root().display()
    );
}

fn holds(folder: &Path, wanted: impl Fn(&str) -> bool) -> bool {
    std::fs::read_dir(folder).is_ok_and(|entries| entries.flatten().any(|entry| wanted(&entry.file_name().to_string_lossy())))
}
