use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Where records that are no batch are kept for inspection: the log forgets them once its consumers have passed.
pub(crate) struct Quarantine {
    dir: PathBuf,
    max_records: usize,
}

impl Quarantine {
    pub(crate) fn new(dir: PathBuf, max_records: usize) -> Self {
        Self { dir, max_records }
    }

    /// Keeps the record as `<offset>.record`; `None` when there are as many as may be. A record that comes again replaces itself.
    pub(crate) fn keep(&self, offset: u64, payload: &[u8]) -> io::Result<Option<PathBuf>> {
        fs::create_dir_all(&self.dir)?;
        let path = self.dir.join(format!("{offset:020}.record"));
        if !path.exists() && fs::read_dir(&self.dir)?.count() >= self.max_records {
            return Ok(None);
        }
        write(&path, payload)?;
        Ok(Some(path))
    }
}

fn write(path: &Path, payload: &[u8]) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(payload)?;
    file.sync_all()
}
