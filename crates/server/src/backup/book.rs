//! `backup.json`: what a backup holds. A folder without one is no backup, and one whose checksum does not fit is none either.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Component, Path};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use xxhash_rust::xxh3::xxh3_128;

use super::gather::Moment;

/// Layout of the folder and of this file.
const FORMAT: u32 = 1;
const FILE: &str = "backup.json";

/// One file of a data folder and its copy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BookedFile {
    /// Place in a data folder, with `/`.
    pub(crate) path: String,
    /// Name of the copy in `files/`.
    pub(crate) copy: String,
    pub(crate) bytes: u64,
    /// Of the content; see `docs/formats.md`.
    pub(crate) hash: String,
}

/// What a backup holds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Book {
    format: u32,
    throng: String,
    /// RFC 3339, UTC.
    pub(crate) created_at: String,
    /// Log offset up to which the event store's copy has everything.
    pub(crate) position: u64,
    /// Log offset after the last record in the copy of the log: those from `position` on are stored at the next start.
    pub(crate) log_end: u64,
    /// Rows in the segments.
    pub(crate) events: u64,
    /// Folder of the store's objects, where it has one in object storage; what was in them is in `files` like all else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) object_folder: Option<String>,
    pub(crate) files: Vec<BookedFile>,
}

impl Book {
    /// The book of a backup of this moment, with no file in it yet.
    pub(super) fn new(moment: &Moment) -> Self {
        Self {
            format: FORMAT,
            throng: env!("CARGO_PKG_VERSION").to_owned(),
            created_at: jiff::Timestamp::now().to_string(),
            position: moment.position,
            log_end: moment.log_end,
            events: moment.events,
            object_folder: moment.object_folder.clone(),
            files: Vec::new(),
        }
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }

    /// Signs the backup in `folder` off: from here on this is what it holds, and no moment sees anything between.
    pub(super) fn sign_off(&self, folder: &Path) -> Result<()> {
        let backup = serde_json::to_value(self)?;
        let signed = json!({ "checksum": checksum(&backup)?, "backup": backup });
        let (path, temporary) = (folder.join(FILE), folder.join("backup.json.new"));
        let write = || {
            let mut file = File::create(&temporary)?;
            file.write_all(&serde_json::to_vec_pretty(&signed)?)?;
            file.sync_all()?;
            fs::rename(&temporary, &path)?;
            File::open(folder)?.sync_all()
        };
        write().with_context(|| format!("{} cannot be written", path.display()))
    }

    /// Reads the book of the backup in `folder` with its checksum; `None` when there is none.
    pub(crate) fn read(folder: &Path) -> Result<Option<(Self, String)>> {
        let path = folder.join(FILE);
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).with_context(|| format!("{} cannot be read", path.display())),
        };
        let damaged = || format!("{} is damaged: use another backup", path.display());
        let mut signed: Value = serde_json::from_slice(&text).with_context(damaged)?;
        let backup = signed["backup"].take();
        let found = checksum(&backup)?;
        if signed["checksum"] != Value::String(found.clone()) {
            bail!(damaged());
        }
        if backup["format"] != json!(FORMAT) {
            bail!("{} has format {}; this version of throng reads format {FORMAT}", path.display(), backup["format"]);
        }
        let book: Self = serde_json::from_value(backup).with_context(damaged)?;
        if let Some(file) = book.files.iter().find(|file| !is_inside(&file.path) || Path::new(&file.copy).components().count() != 1) {
            bail!("{} names {:?}, which is no place in a data folder", path.display(), file.path);
        }
        Ok(Some((book, found)))
    }
}

/// True for a relative path that stays inside of the folder it is joined to.
fn is_inside(path: &str) -> bool {
    !path.is_empty() && Path::new(path).components().all(|part| matches!(part, Component::Normal(_)))
}

fn checksum(backup: &Value) -> Result<String> {
    Ok(format!("{:032x}", xxh3_128(&serde_json::to_vec(backup)?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_book_survives_and_a_changed_one_is_none() {
        let folder = tempfile::tempdir().unwrap();
        assert!(Book::read(folder.path()).unwrap().is_none());
        let mut book = Book::new(&Moment { position: 7, log_end: 9, events: 100, object_folder: None, sources: Vec::new() });
        let file = |path: &str| BookedFile { path: path.to_owned(), copy: "a".to_owned(), bytes: 3, hash: "h".to_owned() };
        book.files = vec![file("store/date=2026-01-01/000000000001.parquet")];
        book.sign_off(folder.path()).unwrap();
        let (read, _) = Book::read(folder.path()).unwrap().unwrap();
        assert_eq!((read.position, read.log_end, read.files), (7, 9, book.files.clone()));
        let text = fs::read_to_string(folder.path().join(FILE)).unwrap();
        fs::write(folder.path().join(FILE), text.replace("\"position\": 7", "\"position\": 8")).unwrap();
        assert!(Book::read(folder.path()).unwrap_err().to_string().contains("damaged"));
        for outside in ["../x", "/etc/passwd", "", "a/../../b"] {
            book.files = vec![file(outside)];
            book.sign_off(folder.path()).unwrap();
            assert!(Book::read(folder.path()).is_err(), "{outside}");
        }
    }
}
