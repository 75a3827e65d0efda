//! The files of a data folder as they belong together at one moment, held fast while the server goes on.

use std::fmt::{Display, Formatter};
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, anyhow, bail};
use event_log::check_log;
use event_store_parquet::{MANIFEST_FILE, ManifestCopy, ObjectReader, SegmentTier, copy_manifest};
use metadata_store::copy_metadata;
use stream::dedupe_gaps;

use super::tree_hash;
use crate::config::Config;
use crate::data_folder::DataFolder;

/// How often a moment is looked for. Compactions and trims are seconds apart, and a moment takes milliseconds to hold fast.
const MAX_LOOKS: usize = 20;

/// A file to be copied.
pub(super) struct Source {
    /// Place in a data folder.
    pub(super) path: String,
    pub(super) from: Origin,
    pub(super) bytes: u64,
    /// Where it is known without reading.
    pub(super) hash: Option<String>,
}

/// Where a file's content is.
pub(super) enum Origin {
    File(PathBuf),
    /// A segment's object. Nothing holds it: it is gone once the segment is replaced.
    Object {
        tier: Arc<dyn SegmentTier>,
        object: String,
    },
}

impl Origin {
    pub(super) fn open(&self, bytes: u64) -> io::Result<Box<dyn Read>> {
        Ok(match self {
            Self::File(path) => Box::new(File::open(path)?),
            Self::Object { tier, object } => Box::new(ObjectReader::new(Arc::clone(tier), object, bytes)),
        })
    }
}

impl Display for Origin {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Object { object, .. } => write!(f, "object {object}"),
        }
    }
}

/// Files of one moment.
pub(super) struct Moment {
    pub(super) position: u64,
    pub(super) log_end: u64,
    pub(super) events: u64,
    /// Folder of the store's objects, where it has one in object storage.
    pub(super) object_folder: Option<String>,
    pub(super) sources: Vec<Source>,
}

/// A folder in the data folder whose hard links keep files from vanishing. The links go with it.
pub(super) struct Pins {
    folder: PathBuf,
    _lock: File,
}

impl Pins {
    /// Takes the folder; one backup at a time.
    pub(super) fn take(data: &DataFolder) -> Result<Self> {
        let path = data.backup_lock();
        let lock = File::create(&path).with_context(|| format!("{} cannot be made", path.display()))?;
        if lock.try_lock().is_err() {
            bail!("another backup of {} is under way", data.root().display());
        }
        Ok(Self { folder: data.backup_pins(), _lock: lock })
    }

    fn clear(&self) -> Result<()> {
        match fs::remove_dir_all(&self.folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(error).with_context(|| format!("{} cannot be emptied", self.folder.display()))
            }
            _ => Ok(()),
        }
    }

    /// Copies `from`, which grows on, as far as it reaches now; `None` when it is gone.
    fn copy(&self, from: &Path, path: String) -> Result<Option<Source>> {
        let copy = self.folder.join(&path);
        if let Some(folder) = copy.parent() {
            fs::create_dir_all(folder).with_context(|| format!("{} cannot be made", folder.display()))?;
        }
        match fs::copy(from, &copy) {
            Ok(bytes) => Ok(Some(Source { path, from: Origin::File(copy), bytes, hash: None })),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("{} cannot be copied", from.display())),
        }
    }

    /// Links `from` under its place in a data folder; `None` when it is gone.
    fn pin(&self, from: &Path, path: String, hash: Option<String>) -> Result<Option<Source>> {
        let pin = self.folder.join(&path);
        if let Some(folder) = pin.parent() {
            fs::create_dir_all(folder).with_context(|| format!("{} cannot be made", folder.display()))?;
        }
        let from = match fs::hard_link(from, &pin) {
            Ok(()) => pin,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            // Another disk, or one that knows no links: it is copied from where it is, and the moment is lost if it vanishes before.
            Err(_) => from.to_owned(),
        };
        match fs::metadata(&from) {
            Ok(metadata) => Ok(Some(Source { path, from: Origin::File(from), bytes: metadata.len(), hash })),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("{} cannot be read", from.display())),
        }
    }
}

impl Drop for Pins {
    fn drop(&mut self) {
        // What stays is removed by the next backup or start.
        let _ = self.clear();
    }
}

/// Holds the files of one moment fast: the copy of the manifest says which position it is, and all else is taken to fit it. A file that
/// vanished between two steps was replaced, so the next moment is taken.
pub(super) fn gather(config: &Config, data: &DataFolder, tier: Option<&Arc<dyn SegmentTier>>, pins: &Pins) -> Result<Moment> {
    for _ in 0..MAX_LOOKS {
        pins.clear()?;
        fs::create_dir_all(pins.folder.join("store")).with_context(|| format!("{} cannot be made", pins.folder.display()))?;
        if let Some(moment) = look(config, data, tier, pins)? {
            kill_point::reach("backup.pinned");
            return Ok(moment);
        }
    }
    bail!("{} changed {MAX_LOOKS} times while its files were being linked: try again", data.root().display())
}

fn look(config: &Config, data: &DataFolder, tier: Option<&Arc<dyn SegmentTier>>, pins: &Pins) -> Result<Option<Moment>> {
    let backends = config.backends()?;
    let mut sources = Vec::new();
    let own = |path: &str| -> Result<Source> {
        let from = pins.folder.join(path);
        let bytes = fs::metadata(&from).with_context(|| format!("{} cannot be read", from.display()))?.len();
        Ok(Source { path: path.to_owned(), from: Origin::File(from), bytes, hash: None })
    };
    let metadata = backends.metadata_store.path_or(&data.metadata());
    copy_metadata(&metadata, &pins.folder.join("metadata.sqlite")).with_context(|| format!("{}", metadata.display()))?;
    sources.push(own("metadata.sqlite")?);

    let store = backends.event_store.path_or(&data.store());
    let manifest = format!("store/{MANIFEST_FILE}");
    let copy = copy_manifest(&store, &pins.folder.join(&manifest))?;
    sources.push(own(&manifest)?);
    for segment in &copy.segments {
        let (path, hash) = (format!("store/{}", segment.path), Some(tree_hash::of_blocks(&segment.block_hashes)));
        if let Some(object) = &segment.object {
            let tier = tier.ok_or_else(|| unconfigured(&copy))?;
            let from = Origin::Object { tier: Arc::clone(tier), object: object.clone() };
            sources.push(Source { path, from, bytes: segment.bytes, hash });
            continue;
        }
        match pins.pin(&store.join(&segment.path), path, hash)? {
            Some(source) if source.bytes == segment.bytes => sources.push(source),
            Some(source) => {
                bail!("{} has {} bytes instead of {}: run throng check", segment.path, source.bytes, segment.bytes)
            }
            None => return Ok(None),
        }
    }
    let position = copy.position;
    let Some(of_stream) = pin_stream(&data.stream(), pins, position)? else { return Ok(None) };
    sources.extend(of_stream);
    let log = backends.event_log.path_or(&data.log());
    let Some((of_log, log_end)) = pin_log(&log, pins, position)? else { return Ok(None) };
    sources.extend(of_log);
    sources.extend(pins.pin(&data.demo(), "demo.json".to_owned(), None)?);
    let events = copy.segments.iter().map(|segment| segment.rows).sum();
    Ok(Some(Moment { position, log_end, events, object_folder: copy.object_folder, sources }))
}

fn unconfigured(copy: &ManifestCopy) -> anyhow::Error {
    let segments = copy.segments.iter().filter(|segment| segment.object.is_some()).count();
    anyhow!(
        "{segments} segments are in object storage, and event_store.tier.url is not set: a backup holds all of them, so name the configuration \
         that the server runs with: throng backup --config FILE"
    )
}

/// Dedupe runs and live windows of the records before `position`, and records that were set aside. `None` when a run vanished, or was
/// merged with one beyond the position.
fn pin_stream(stream: &Path, pins: &Pins, position: u64) -> Result<Option<Vec<Source>>> {
    let mut sources = Vec::new();
    let snapshot = format!("{position:020}.snapshot");
    for (folder, wanted) in [
        // A run beyond the position would be deleted at the next start, and its insert ids collected again.
        ("dedupe", &(|name: &str| run_end(name).is_none_or(|to| to <= position)) as &dyn Fn(&str) -> bool),
        ("realtime", &|name| name == snapshot),
        ("quarantine", &|name| name.ends_with(".record")),
    ] {
        for name in list(&stream.join(folder))?.into_iter().filter(|name| !name.ends_with(".tmp") && wanted(name)) {
            let from = stream.join(folder).join(&name);
            if !from.is_file() && folder != "dedupe" {
                continue;
            }
            match pins.pin(&from, format!("stream/{folder}/{name}"), None)? {
                Some(source) if matches!(&source.from, Origin::File(file) if file.is_file()) => sources.push(source),
                Some(_) => {}
                None if folder == "dedupe" => return Ok(None),
                None => {}
            }
        }
    }
    // A gap that the folder has too was there before; any other is of this look.
    let dedupe = stream.join("dedupe");
    let held = dedupe_gaps(&pins.folder.join("stream/dedupe"), sources.iter().map(|source: &Source| &source.path), position)?;
    let known = held.is_empty() || held == dedupe_gaps(&dedupe, list(&dedupe)?, position)?;
    Ok(known.then_some(sources))
}

/// The log offset at which a run ends; `None` for another file.
fn run_end(name: &str) -> Option<u64> {
    name.strip_suffix(".run")?.split_once('-')?.1.parse().ok()
}

/// The log's files from the one with `position` on, and the offset after the last record in them. `None` when one was trimmed.
fn pin_log(log: &Path, pins: &Pins, position: u64) -> Result<Option<(Vec<Source>, u64)>> {
    let base = |name: &String| name.strip_suffix(".log").and_then(|stem| stem.parse::<u64>().ok());
    let mut names: Vec<(u64, String)> = list(log)?.into_iter().filter_map(|name| Some((base(&name)?, name))).collect();
    names.sort();
    let first = names.partition_point(|(base, _)| *base <= position).saturating_sub(1);
    if names.first().is_some_and(|(base, _)| *base > position) {
        // The file with the position was trimmed: the store has gone on since its manifest was copied.
        return Ok(None);
    }
    let Some((_, newest)) = names.pop() else { return Ok(Some((Vec::new(), position))) };
    let mut sources = Vec::new();
    for (_, name) in names.drain(..).skip(first) {
        match pins.pin(&log.join(&name), format!("log/{name}"), None)? {
            Some(source) => sources.push(source),
            None => return Ok(None),
        }
    }
    let Some(source) = pins.copy(&log.join(&newest), format!("log/{newest}"))? else { return Ok(None) };
    let newest = check_log(&pins.folder.join("log"), &mut |_| {}).with_context(|| format!("{}", log.display()))?;
    sources.push(source);
    Ok(Some((sources, newest.end.max(position))))
}

/// Names of the files in a folder; none where it does not exist.
fn list(folder: &Path) -> Result<Vec<String>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error).with_context(|| format!("{} cannot be read", folder.display())),
    };
    entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect::<io::Result<_>>().map_err(Into::into)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The runs held at position 10 of a folder with `runs`; `None` where the moment is over.
    fn held(runs: &[&str]) -> Option<Vec<String>> {
        let folder = tempfile::tempdir().unwrap();
        let data = DataFolder::create(folder.path()).unwrap();
        let stream = folder.path().join("stream");
        fs::create_dir_all(stream.join("dedupe")).unwrap();
        for run in runs {
            fs::write(stream.join("dedupe").join(run), "keys").unwrap();
        }
        let pins = Pins::take(&data).unwrap();
        let held = pin_stream(&stream, &pins, 10).unwrap()?;
        let mut names: Vec<String> = held.into_iter().map(|source| source.path.replace("stream/dedupe/", "")).collect();
        names.sort();
        Some(names)
    }

    #[test]
    fn a_run_that_was_merged_beyond_the_position_ends_the_moment() {
        assert_eq!(held(&["0-5.run", "5-10.run", "10-20.run"]).unwrap(), ["0-5.run", "5-10.run"], "what is ahead is left out");
        assert_eq!(held(&["0-5.run", "0-10.run"]).unwrap(), ["0-10.run", "0-5.run"], "a merge under way");
        assert_eq!(held(&["0-20.run"]), None, "merged since the manifest was copied");
        assert_eq!(held(&["0-5.run", "5-20.run"]), None);
        assert_eq!(held(&["0-5.run"]).unwrap(), ["0-5.run"], "lost before: the backup is as good as the folder");
        assert_eq!(held(&[]).unwrap(), [""; 0]);
    }
}
