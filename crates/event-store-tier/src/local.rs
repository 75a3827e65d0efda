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

/// Deletes what uploads of this object that were cut off have left. Nobody uploads an object any more that is to be deleted.
pub(crate) fn delete_cut_off(object: &Path) {
    let (Some(folder), Some(name)) = (object.parent(), object.file_name()) else { return };
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let file = entry.file_name();
        let is_staged = staged_object(&file.to_string_lossy()).is_some_and(|object| name.to_string_lossy() == object);
        if is_staged && let Err(error) = std::fs::remove_file(entry.path()) {
            tracing::warn!(path = %entry.path().display(), %error, "an upload that was cut off could not be deleted");
        }
    }
}

/// The object that a file is an unfinished upload of: such files are named `OBJECT#N`.
fn staged_object(file: &str) -> Option<&str> {
    let (object, n) = file.rsplit_once('#')?;
    (object.ends_with(".parquet") && n.parse::<u32>().is_ok()).then_some(object)
}

/// Deletes what uploads that were cut off have left.
fn delete_abandoned(folder: &Path) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            delete_abandoned(&path);
            continue;
        }
        let is_staged = staged_object(&entry.file_name().to_string_lossy()).is_some();
        let age = entry.metadata().and_then(|metadata| metadata.modified()).ok().and_then(|at| SystemTime::now().duration_since(at).ok());
        if is_staged && age.is_some_and(|age| age > ABANDONED_AFTER) {
            let deleted = std::fs::remove_file(&path);
            tracing::info!(path = %path.display(), ?deleted, "an upload that was cut off is deleted");
        }
    }
}
