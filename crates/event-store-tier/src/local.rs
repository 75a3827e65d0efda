use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use event_store_parquet::TierError;
use object_store::ObjectStore;
use object_store::local::LocalFileSystem;

use crate::unusable;

/// A file that an upload of another process may still be writing is younger than this.
const ABANDONED_AFTER: Duration = Duration::from_secs(86_400);

/// A folder as object storage. Written objects are synced: the segment's own file is deleted afterwards.
pub(crate) fn open(path: &str) -> Result<Arc<dyn ObjectStore>, TierError> {
    let folder = Path::new(path);
    if !folder.is_absolute() {
        return Err(unusable(format!("file://{path}: name the folder from the root, as in file:///srv/old-events")));
    }
    let failed = |error: String| unusable(format!("{path}: {error}"));
    std::fs::create_dir_all(folder).map_err(|error| failed(error.to_string()))?;
    delete_abandoned(folder);
    let store = LocalFileSystem::new_with_prefix(folder).map_err(|error| failed(error.to_string()))?;
    Ok(Arc::new(store.with_fsync(true)))
}

/// Deletes what uploads that were cut off have left: files named `OBJECT#N`.
fn delete_abandoned(folder: &Path) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            delete_abandoned(&path);
            continue;
        }
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_staged = name.rsplit_once('#').is_some_and(|(object, n)| object.ends_with(".parquet") && n.parse::<u32>().is_ok());
        let age = entry.metadata().and_then(|metadata| metadata.modified()).ok().and_then(|at| SystemTime::now().duration_since(at).ok());
        if is_staged && age.is_some_and(|age| age > ABANDONED_AFTER) {
            let deleted = std::fs::remove_file(&path);
            tracing::info!(path = %path.display(), ?deleted, "an upload that was cut off is deleted");
        }
    }
}
