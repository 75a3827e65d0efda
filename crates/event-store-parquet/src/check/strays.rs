//! Files in the store's folder that the manifest does not name.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use event_store::StoreError;

use super::{CheckOptions, Finding, MAX_TOLD, NamedSegments, StoreCheck};
use crate::store::io_error;

/// A file that a running process has not finished within this time is not being written.
const WRITTEN_WITHIN: Duration = Duration::from_secs(3_600);

/// A file under a `date=` folder.
pub(super) struct StoredFile {
    /// Relative to the store's folder.
    path: PathBuf,
    written_ms: i64,
}

/// All files under `date=` folders.
pub(super) fn list(dir: &Path) -> Result<Vec<StoredFile>, StoreError> {
    let failed = |error: std::io::Error| io_error(&error);
    let mut files = Vec::new();
    for folder in std::fs::read_dir(dir).map_err(failed)?.flatten() {
        if !folder.file_name().to_string_lossy().starts_with("date=") {
            continue;
        }
        for file in std::fs::read_dir(folder.path()).map_err(failed)?.flatten() {
            // One that is gone by now was replaced.
            let Ok(metadata) = file.metadata() else { continue };
            let written = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH).duration_since(UNIX_EPOCH).unwrap_or_default();
            let path = Path::new(&folder.file_name()).join(file.file_name());
            files.push(StoredFile { path, written_ms: written.as_millis() as i64 });
        }
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

/// Reports the files that none of `segments` is in.
pub(super) fn check(
    check: &mut StoreCheck<'_>,
    files: &[StoredFile],
    segments: &NamedSegments,
    options: &CheckOptions,
) -> Result<(), StoreError> {
    let (moved, local): (Vec<_>, Vec<_>) = segments.infos.iter().partition(|info| segments.objects.contains_key(&info.id));
    let named: HashSet<&Path> = local.iter().map(|info| Path::new(&info.path)).collect();
    let moved: HashSet<&Path> = moved.iter().map(|info| Path::new(&info.path)).collect();
    let oldest_written_ms = options.now_ms - WRITTEN_WITHIN.as_millis() as i64;
    let unnamed = files.iter().filter(|file| !named.contains(&*file.path));
    let strays: Vec<&StoredFile> = unnamed
        // Where a server runs, a reader of one that has moved to object storage keeps its file for a while.
        .filter(|file| !options.served || !moved.contains(&*file.path))
        // A running server's flush or compaction may be at it, or a query of its may still read it.
        .filter(|file| !options.served || (file.written_ms < oldest_written_ms && check.dir.join(&file.path).exists()))
        .collect();
    for stray in strays.iter().take(MAX_TOLD) {
        let place = check.dir.join(&stray.path).display().to_string();
        let found = "a file that the manifest does not name";
        let finding = if options.served { Finding::problem("stray_file", place, found) } else { Finding::note("stray_file", place, found) };
        check.find(
            finding
                .means("it is no part of any answer: a crash, or a deletion that failed, left it behind")
                .remedy("nothing: the next start deletes it; move it away first if you put it there, or if the manifest is an older one"),
        );
    }
    if strays.len() > MAX_TOLD {
        let found = format!("{} more files that the manifest does not name", strays.len() - MAX_TOLD);
        check.find(Finding::note("stray_file", check.dir.display(), found).remedy("as above"));
    }
    Ok(())
}
