//! The power is cut at every single step the writer takes: what was answered must be there, whatever became of what was not synced.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt;
use std::sync::MutexGuard;

use super::*;

/// Which protection is switched off, for the control arm.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Without {
    Nothing,
    FileSyncs,
    FolderSyncs,
}

/// What a power cut would leave, and the step at which it comes.
struct Power {
    without: Without,
    folder: PathBuf,
    steps: usize,
    cut_at: usize,
    /// By inode: the content that was synced.
    synced: BTreeMap<u64, Vec<u8>>,
    /// Names that were synced.
    names: BTreeSet<PathBuf>,
    /// The files after the cut.
    left: Option<BTreeMap<PathBuf, Vec<u8>>>,
    random: u64,
}

impl Power {
    /// Counts a step; once the power is cut everything fails, so nothing is answered any more.
    fn step(&mut self) -> io::Result<()> {
        self.steps += 1;
        if self.steps >= self.cut_at && self.left.is_none() {
            self.cut();
        }
        if self.left.is_some() { Err(io::Error::other("no power")) } else { Ok(()) }
    }

    fn cut(&mut self) {
        let mut left = BTreeMap::new();
        for path in self.names.clone() {
            let now = fs::read(&path).unwrap();
            let mut content = self.synced.get(&inode(&path)).cloned().unwrap_or_default();
            // Of what was written later each block may have reached the disk or not, and the length may have or not.
            for block in now.get(content.len()..).unwrap_or_default().chunks(16) {
                match self.draw() % 4 {
                    0 => break,
                    1 => content.extend(vec![0; block.len()]),
                    _ => content.extend(block),
                }
            }
            left.insert(path, content);
        }
        self.left = Some(left);
    }

    fn draw(&mut self) -> u64 {
        self.random = self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.random >> 33
    }
}

fn inode(path: &Path) -> u64 {
    fs::metadata(path).unwrap().ino()
}

#[derive(Clone)]
struct PowerDisk(Arc<Mutex<Power>>);

impl PowerDisk {
    fn new(folder: &Path, cut_at: usize, random: u64, without: Without) -> Self {
        let (synced, names, left) = (BTreeMap::new(), BTreeSet::new(), None);
        let folder = folder.to_owned();
        Self(Arc::new(Mutex::new(Power { without, folder, steps: 0, cut_at, synced, names, left, random })))
    }

    fn power(&self) -> MutexGuard<'_, Power> {
        self.0.lock().unwrap()
    }
}

impl Disk for PowerDisk {
    fn create(&self, path: &Path) -> io::Result<File> {
        self.power().step()?;
        SystemDisk.create(path)
    }

    fn write(&self, file: &File, bytes: &[u8], position: u64) -> io::Result<()> {
        self.power().step()?;
        SystemDisk.write(file, bytes, position)
    }

    fn truncate(&self, file: &File, length: u64) -> io::Result<()> {
        self.power().step()?;
        SystemDisk.truncate(file, length)
    }

    fn sync(&self, file: &File) -> io::Result<()> {
        let mut power = self.power();
        power.step()?;
        if power.without != Without::FileSyncs {
            let mut content = vec![0; file.metadata()?.len() as usize];
            file.read_exact_at(&mut content, 0)?;
            power.synced.insert(file.metadata()?.ino(), content);
        }
        Ok(())
    }

    fn room(&self, folder: &Path) -> io::Result<Room> {
        SystemDisk.room(folder)
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        let mut power = self.power();
        power.step()?;
        assert_eq!(folder, power.folder);
        if power.without != Without::FolderSyncs {
            power.names.extend(segment_files(folder));
        }
        Ok(())
    }
}

/// Segments of a few records, so that a short run crosses every kind of step.
fn tiny_segments() -> FileLogOptions {
    FileLogOptions { segment_bytes: 200, recent_bytes: 0, group_commit_wait: Duration::ZERO, ..FileLogOptions::default() }
}

/// Appends until the power goes; gives what was answered, the files that are left, and the steps taken.
async fn run_until_cut(folder: &Path, cut_at: usize, seed: u64, without: Without) -> (Vec<Record>, BTreeMap<PathBuf, Vec<u8>>, usize) {
    let disk = PowerDisk::new(folder, cut_at, seed, without);
    let mut answered = Vec::new();
    {
        let log = FileLog::open_on(folder, tiny_segments(), Box::new(disk.clone())).unwrap();
        for burst in 0..12 {
            let payloads: Vec<_> = (burst * 3..burst * 3 + 3).map(payload).collect();
            let appends: Vec<_> = payloads.iter().map(|payload| log.append(payload.clone())).collect();
            for (append, payload) in futures::future::join_all(appends).await.into_iter().zip(payloads) {
                answered.extend(append.ok().map(|offset| Record { offset, payload }));
            }
        }
    }
    let mut power = disk.power();
    if power.left.is_none() {
        power.cut();
    }
    (answered, power.left.take().unwrap(), power.steps)
}

/// True when the log that is left holds every answered record and goes on.
async fn holds(answered: &[Record], left: &BTreeMap<PathBuf, Vec<u8>>) -> bool {
    let folder = TempDir::new().unwrap();
    for (path, content) in left {
        fs::write(folder.path().join(path.file_name().unwrap()), content).unwrap();
    }
    let disk = PowerDisk::new(folder.path(), usize::MAX, 0, Without::Nothing);
    let log = FileLog::open_on(folder.path(), tiny_segments(), Box::new(disk)).unwrap();
    let end = log.end();
    if log.append(payload(1_000)).await != Ok(end) {
        return false;
    }
    let (records, damaged) = read_all(&log).await;
    // Unanswered records may be there or not, but nothing else may.
    assert!(records.iter().all(|record| record.offset == end || record.payload == payload(record.offset)));
    assert_eq!(records.last().map(|record| record.offset), Some(end));
    let is_whole = answered.iter().all(|record| records.contains(record));
    assert!(!is_whole || damaged.iter().all(|(from, _)| *from >= answered.len() as u64));
    is_whole
}

async fn survives_every_cut(without: Without) -> bool {
    let whole_run = run_until_cut(TempDir::new().unwrap().path(), usize::MAX, 0, without).await;
    assert_eq!(whole_run.0.len(), 36);
    let mut survives = holds(&whole_run.0, &whole_run.1).await;
    for cut_at in 1..=whole_run.2 {
        for seed in 0..6 {
            let folder = TempDir::new().unwrap();
            let (answered, left, _) = run_until_cut(folder.path(), cut_at, seed, without).await;
            let held = holds(&answered, &left).await;
            assert!(held || without != Without::Nothing, "cut at step {cut_at}, seed {seed}");
            survives &= held;
        }
    }
    survives
}

#[tokio::test]
async fn nothing_answered_is_lost_when_the_power_is_cut_at_any_step() {
    assert!(survives_every_cut(Without::Nothing).await);
}

#[tokio::test]
async fn control_arm_without_file_syncs_answered_records_are_lost() {
    assert!(!survives_every_cut(Without::FileSyncs).await);
}

#[tokio::test]
async fn control_arm_without_folder_syncs_answered_records_are_lost() {
    assert!(!survives_every_cut(Without::FolderSyncs).await);
}
