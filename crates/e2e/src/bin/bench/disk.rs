//! What lies in a folder.

use std::path::Path;

/// Files of a folder and those below it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Used {
    /// Of all files.
    pub bytes: u64,
    /// Files whose names end in `.parquet`.
    pub segments: u64,
}

/// Looks at every file; what goes away meanwhile does not count.
pub fn used(folder: &Path) -> Used {
    let mut used = Used::default();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            let below = self::used(&path);
            used = Used { bytes: used.bytes + below.bytes, segments: used.segments + below.segments };
        } else {
            used.bytes += entry.metadata().map_or(0, |data| data.len());
            used.segments += u64::from(path.extension().is_some_and(|extension| extension == "parquet"));
        }
    }
    used
}
