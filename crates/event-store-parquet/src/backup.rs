//! What a backup needs of a store that another process may be writing: a copy of the manifest, and the files that it names.

use std::path::Path;
use std::sync::Arc;

use event_store::StoreError;
use rusqlite::params;

use crate::manifest::{FILE, Manifest, bring_home, sql_error};
use crate::tier::folder;

/// A copy of a manifest.
#[derive(Clone, Debug)]
pub struct ManifestCopy {
    /// Log offset up to which the store has everything.
    pub position: u64,
    /// The files that the copy names.
    pub segments: Vec<SegmentFile>,
    /// Folder of the store's objects, where it has one in object storage.
    pub object_folder: Option<String>,
}

/// A file that a manifest names.
#[derive(Clone, Debug)]
pub struct SegmentFile {
    /// Relative to the store's folder.
    pub path: String,
    /// Where its bytes are instead, if they are in object storage; see [`crate::ObjectReader`].
    pub object: Option<String>,
    /// Length.
    pub bytes: u64,
    /// Rows.
    pub rows: u64,
    /// XXH3-64 of each 64 KiB block.
    pub block_hashes: Arc<[u64]>,
}

/// Name of the manifest in a store's folder.
pub const MANIFEST_FILE: &str = FILE;

/// Writes a copy of the manifest of the store in `dir`, as it is at one moment, to the new file `to`. The copy is one plain file, which
/// [`crate::ParquetStore::open`] takes for a manifest, and which says of no segment that it is in object storage: the store made of it has all its
/// files in its folder, and no claim on the objects of this one. The files it names may be deleted by the store's own process at any time:
/// whoever copies them links them first, and copies the manifest again where one is gone.
///
/// # Errors
/// [`StoreError`] when the manifest cannot be read or the copy not be written.
pub fn copy_manifest(dir: &Path, to: &Path) -> Result<ManifestCopy, StoreError> {
    let manifest = Manifest::open_to_read(dir)?;
    let text = to.to_str().ok_or_else(|| StoreError::Io(format!("{} is not UTF-8", to.display())))?;
    manifest.reader().execute("VACUUM INTO ?1", params![text]).map_err(sql_error)?;
    let copy = Manifest::open_file_to_read(to)?;
    let mut objects = copy.tiered_if_any()?;
    let segments = copy.segments()?.into_iter().map(|info| SegmentFile {
        object: objects.remove(&info.id).map(|object| object.to_string()),
        path: info.path,
        bytes: info.bytes,
        rows: info.rows,
        block_hashes: info.block_hashes,
    });
    let (segments, object_folder) = (segments.collect(), copy.known_store_id()?.map(folder));
    let position = copy.position()?;
    drop(copy);
    bring_home(to)?;
    Ok(ManifestCopy { position, segments, object_folder })
}
