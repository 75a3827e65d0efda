//! `throng restore`: a data folder made of a backup.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Args;
use serde_json::json;

use crate::backup::{Book, BookedFile, pass, verify};
use crate::byte_progress::ByteProgress;
use crate::check::check;
use crate::config::Config;
use crate::data_folder::DataFolder;
use crate::output;

#[derive(Args)]
#[command(after_help = "Example:
  throng restore --from /mnt/backup/throng --data ./throng-data

The folder must be empty or missing. Everything is verified before it begins, and checked when it is done. No object storage is needed:
segments that were there are in the backup, and a server whose configuration names a storage moves them again.")]
pub(crate) struct RestoreArgs {
    /// Folder of the backup
    #[arg(long, value_name = "DIR")]
    from: PathBuf,
    /// Data folder to make [default: throng-data]
    #[arg(long, alias = "data-dir", value_name = "DIR", env = "THRONG_DATA", default_value = "throng-data")]
    data: PathBuf,
}

/// Runs `throng restore`.
pub(crate) fn run(args: &RestoreArgs) -> Result<()> {
    let Some((book, checksum)) = Book::read(&args.from)? else {
        bail!("{} holds no backup.json: no backup in it was ever finished", args.from.display());
    };
    prove(&args.from, &book)?;
    let data = begin(&args.data, &checksum)?;
    kill_point::reach("restore.begun");
    copy_all(&args.from, &book, &data)?;
    kill_point::reach("restore.before_end");
    fs::remove_file(data.half_restored())?;
    sync_folder(data.root())?;
    kill_point::reach("restore.ended");
    let mut config = Config::default();
    config.server.data = args.data.display().to_string();
    let checked = check(&config, &data, true)?;
    if let Some(folder) = &book.object_folder {
        output::note(&format!(
            "segments that were in object storage are in the folder now; the objects under {folder} are the former store's: delete them when it does not run any more"
        ));
    }
    output::json(&json!({
        "data": data.root(), "backup": args.from, "backup_created_at": book.created_at, "position": book.position, "log_end": book.log_end,
        "events": book.events, "files": book.files.len(), "bytes": book.bytes(), "problems": checked.problems,
        "former_objects": book.object_folder,
    }))?;
    match checked.problems {
        0 => Ok(()),
        problems => bail!("restored as it was backed up, and {problems} problems were in it"),
    }
}

/// Reads every copy before anything is written.
fn prove(from: &Path, book: &Book) -> Result<()> {
    let mut progress = ByteProgress::start("verifying");
    progress.expect(book.bytes());
    for file in &book.files {
        if !verify(from, file, &mut progress)? {
            bail!("the copy of {} in {} ({}) is missing or damaged: use another backup", file.path, from.display(), file.copy);
        }
    }
    progress.finish();
    Ok(())
}

/// The empty folder, marked as half restored: until the mark is gone no server starts on it.
fn begin(root: &Path, checksum: &str) -> Result<DataFolder> {
    let data = DataFolder::create(root)?;
    let mark = data.half_restored();
    let begun = fs::read_to_string(&mark).ok();
    let is_empty = fs::read_dir(root).with_context(|| format!("{} cannot be read", root.display()))?.next().is_none();
    match begun {
        Some(begun) if begun == checksum || begun.is_empty() => {}
        Some(_) => bail!("a restore of another backup into {} has not ended: delete the folder", root.display()),
        None if is_empty => {}
        None => bail!("{} is not empty: restore into an empty folder", root.display()),
    }
    let write = || {
        let mut file = File::create(&mark)?;
        file.write_all(checksum.as_bytes())?;
        file.sync_all()
    };
    write().with_context(|| format!("{} cannot be written", mark.display()))?;
    sync_folder(root)?;
    Ok(data)
}

fn copy_all(from: &Path, book: &Book, data: &DataFolder) -> Result<()> {
    let mut progress = ByteProgress::start("restoring");
    progress.expect(book.bytes());
    let mut folders = BTreeSet::new();
    for file in &book.files {
        let to = data.root().join(&file.path);
        copy(&from.join("files").join(&file.copy), file, &to, &mut progress)?;
        folders.extend(to.ancestors().skip(1).take_while(|folder| folder.starts_with(data.root())).map(Path::to_owned));
        kill_point::reach("restore.file_copied");
    }
    folders.iter().try_for_each(|folder| sync_folder(folder))?;
    progress.finish();
    Ok(())
}

fn copy(from: &Path, file: &BookedFile, to: &Path, progress: &mut ByteProgress) -> Result<()> {
    let at = || format!("{} cannot be restored", to.display());
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder).with_context(at)?;
    }
    let source = File::open(from).with_context(at)?;
    // Keys and insert ids are nobody else's business.
    let mut target = File::options().write(true).create(true).truncate(true).mode(0o600).open(to).with_context(at)?;
    let (bytes, hash) = pass(source, None, &mut target, &mut |bytes| progress.add(bytes)).with_context(at)?;
    if bytes != file.bytes || hash != file.hash {
        bail!("the copy of {} changed while it was being restored: begin again with another backup", file.path);
    }
    target.sync_all().with_context(at)
}

fn sync_folder(folder: &Path) -> Result<()> {
    File::open(folder).and_then(|folder| folder.sync_all()).with_context(|| format!("{} cannot be synced", folder.display()))
}
