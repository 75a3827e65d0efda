//! `throng backup`: a consistent copy of a data folder, beside the server that works on it.
//!
//! The server takes no part. Databases are copied as SQLite copies them for any other process; files, which never change once they are
//! named, are held by hard links while they are copied; the log is copied last, so that it has every record the store's copy lacks.
//! Segments in object storage are fetched: a backup holds everything, and a restore needs no storage. Copies have names made of their hash: a backup to the same folder copies only what is new, and until it is signed off the one before
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
use crate::tier;
pub(crate) use book::{Book, BookedFile};
use gather::{Moment, Origin, Pins, Source, gather};
pub(crate) use place::verify;
use place::{CopyFailure, Place};
pub(crate) use tree_hash::pass;

/// How often a moment is taken again because a file that could not be linked vanished.
const MAX_MOMENTS: usize = 5;

#[derive(Args)]
#[command(after_help = "Example:
  throng backup --to /mnt/backup/throng --data ./throng-data

Works beside a running server. To the same folder again, it copies only what is new; the backup before stays whole until then.
Segments in object storage are fetched into it: name the server's configuration with --config, and have room for all of them.")]
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
    /// Of these, fetched from object storage.
    fetched_files: usize,
    fetched_bytes: u64,
}

impl Copied {
    fn add(&mut self, source: &Source) {
        self.files += 1;
        self.bytes += source.bytes;
        if matches!(source.from, Origin::Object { .. }) {
            self.fetched_files += 1;
            self.fetched_bytes += source.bytes;
        }
    }
}

/// Runs `throng backup`.
pub(crate) fn run(args: &BackupArgs) -> Result<()> {
    let config = Config::load(&args.place)?;
    let data = DataFolder::existing(&config.data_folder())?;
    data.refuse_half_restored()?;
    let tier = tier::open_patiently(&config)?.map(|options| options.tier);
    let pins = Pins::take(&data)?;
    let place = Place::take(&args.to)?;
    let mut last_gone = String::new();
    for _ in 0..MAX_MOMENTS {
        let moment = gather(&config, &data, tier.as_ref(), &pins)?;
        let mut copied = Copied::default();
        match copy(&moment, &place, &mut copied) {
            Ok(book) => {
                sign_off(&book, &place)?;
                return tell(&book, &place, &copied);
            }
            Err(CopyFailure::Gone(what)) => {
                output::note(&format!("{what} is not there any more, looking again"));
                last_gone = what;
            }
            Err(CopyFailure::Failed(error)) => return Err(error),
        }
    }
    bail!(
        "{} changed while it was being copied, {last_gone} was gone at last: try again, or put the backup's folder on the same disk; where it is \
         always the same one, run throng check",
        data.root().display()
    )
}

/// Copies what is not here yet, then reads everything back.
fn copy(moment: &Moment, place: &Place, copied: &mut Copied) -> Result<Book, CopyFailure> {
    let mut book = Book::new(moment);
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
                copied.add(source);
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
        copied.add(source);
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
        "files": book.files.len(), "bytes": book.bytes(), "copied_files": copied.files, "copied_bytes": copied.bytes,
        "fetched_files": copied.fetched_files, "fetched_bytes": copied.fetched_bytes, "verified": true,
    }))
}
