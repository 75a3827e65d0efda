//! `throng backup`: a consistent copy of a data folder, beside the server that works on it.
//!
//! The server takes no part. Databases are copied as SQLite copies them for any other process; files, which never change once they are
//! named, are held by hard links while they are copied; the log is copied last, so that it has every record the store's copy lacks.
//! Copies have names made of their hash: a backup to the same folder copies only what is new, and until it is signed off the one before
//! it is whole.

mod book;
mod gather;
mod place;
mod tree_hash;

use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::Args;
use serde_json::json;

use crate::byte_progress::ByteProgress;
use crate::cli::Place as DataPlace;
use crate::config::Config;
use crate::data_folder::DataFolder;
use crate::output;
pub(crate) use book::{Book, BookedFile};
use gather::{Moment, Pins, Source, gather};
pub(crate) use place::verify;
use place::{CopyFailure, Place};
pub(crate) use tree_hash::pass;

/// How often a moment is taken again because a file that could not be linked vanished.
const MAX_MOMENTS: usize = 5;

#[derive(Args)]
#[command(after_help = "Example:
  throng backup --to /mnt/backup/throng --data ./throng-data

Works beside a running server. To the same folder again, it copies only what is new; the backup before stays whole until then.")]
pub(crate) struct BackupArgs {
    /// Folder of the backup; made where it is missing
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
    #[command(flatten)]
    place: DataPlace,
}

/// What a backup copied.
#[derive(Default)]
struct Copied {
    files: usize,
    bytes: u64,
}

/// Runs `throng backup`.
pub(crate) fn run(args: &BackupArgs) -> Result<()> {
    let config = Config::load(&args.place)?;
    let data = DataFolder::existing(&config.data_folder())?;
    data.refuse_half_restored()?;
    let pins = Pins::take(&data)?;
    let place = Place::take(&args.to)?;
    for _ in 0..MAX_MOMENTS {
        let moment = gather(&config, &data, &pins)?;
        let mut copied = Copied::default();
        match copy(&moment, &place, &mut copied) {
            Ok(book) => {
                sign_off(&book, &place)?;
                return tell(&book, &place, &copied);
            }
            Err(CopyFailure::Gone(path)) => output::note(&format!("{} was replaced meanwhile, looking again", path.display())),
            Err(CopyFailure::Failed(error)) => return Err(error),
        }
    }
    bail!("{} changed while it was being copied: try again, or put the backup's folder on the same disk", data.root().display())
}

/// Copies what is not here yet, then reads everything back.
fn copy(moment: &Moment, place: &Place, copied: &mut Copied) -> Result<Book, CopyFailure> {
    let mut book = Book::new(moment.position, moment.log_end, moment.events);
    let mut progress = ByteProgress::start("copying");
    let new: Vec<&Source> = moment.sources.iter().filter(|source| !place.has(source)).collect();
    progress.expect(new.iter().map(|source| source.bytes).sum());
    for source in &moment.sources {
        let known = source.hash.as_ref().filter(|_| place.has(source));
        book.files.push(match known {
            Some(hash) => {
                let copy = place::copy_name(&source.path, hash);
                BookedFile { path: source.path.clone(), copy, bytes: source.bytes, hash: hash.clone() }
            }
            None => {
                copied.files += 1;
                copied.bytes += source.bytes;
                place.copy(source, &mut progress)?
            }
        });
    }
    progress.finish();
    place.sync()?;
    prove(moment, place, &book, copied)?;
    Ok(book)
}

/// Reads every copy back. One from an earlier backup that went bad is copied again; one that was just written and differs is a failure.
fn prove(moment: &Moment, place: &Place, book: &Book, copied: &mut Copied) -> Result<(), CopyFailure> {
    let mut progress = ByteProgress::start("verifying");
    progress.expect(book.bytes());
    for (file, source) in book.files.iter().zip(&moment.sources) {
        if place.verify(file, &mut progress)? {
            continue;
        }
        progress.say(&format!("the copy of {} is damaged and is made again", file.path));
        copied.files += 1;
        copied.bytes += source.bytes;
        let again = place.copy(source, &mut progress)?;
        place.sync()?;
        if again != *file || !place.verify(file, &mut progress)? {
            let copy = place.copy_of(&file.copy);
            return Err(CopyFailure::Failed(anyhow::anyhow!(
                "{} reads back otherwise than it was written: see to the disk",
                copy.display()
            )));
        }
    }
    progress.finish();
    Ok(())
}

fn sign_off(book: &Book, place: &Place) -> Result<()> {
    kill_point::reach("backup.before_sign_off");
    book.sign_off(place.root())?;
    kill_point::reach("backup.signed_off");
    place.keep_only(&book.files)?;
    kill_point::reach("backup.cleaned");
    Ok(())
}

fn tell(book: &Book, place: &Place, copied: &Copied) -> Result<()> {
    output::json(&json!({
        "backup": place.root(), "created_at": book.created_at, "position": book.position, "log_end": book.log_end, "events": book.events,
        "files": book.files.len(), "bytes": book.bytes(), "copied_files": copied.files, "copied_bytes": copied.bytes, "verified": true,
    }))
}
