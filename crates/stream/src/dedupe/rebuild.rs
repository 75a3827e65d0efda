//! Runs that were lost, made again from the insert ids of the stored events.

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use event::AppId;
use tokio_util::sync::CancellationToken;

use super::merge::Merge;
use super::run::{Run, RunSpan, RunWriter};
use super::{Dedupe, KeySet};
use crate::error::StreamError;

/// Keys in memory at most, 16 bytes each and as much again for the set they are in; beyond, they are written and merged.
const MAX_KEYS_IN_MEMORY: usize = 2_000_000;
/// Keys are kept by day of receipt, so that each is forgotten when its time is over: the window, and the day that is going on.
const MAX_DAYS: u64 = 8;
const DAY_MS: i64 = 86_400_000;

/// Where parts are kept until they are merged.
const FOLDER: &str = "rebuild";

/// The keys received within one day.
#[derive(Default)]
struct Day {
    keys: KeySet,
    parts: Vec<Arc<Run>>,
    received_ms: Option<(i64, i64)>,
}

/// A rebuild under way: [`Rebuild::add`] for every stored event with an insert id, then [`Rebuild::finish`].
pub(crate) struct Rebuild<'d> {
    dedupe: &'d mut Dedupe,
    gaps: Vec<Range<u64>>,
    from_ms: i64,
    now_ms: i64,
    days: Vec<Day>,
    in_memory: usize,
    written: usize,
    failed: Option<StreamError>,
}

impl<'d> Rebuild<'d> {
    /// Begins to fill `gaps`, of which there is at least one.
    pub(crate) fn begin(dedupe: &'d mut Dedupe, gaps: Vec<Range<u64>>, now_ms: i64) -> Result<Self, StreamError> {
        clean(&dedupe.dir)?;
        let longest = gaps.iter().map(|gap| gap.end - gap.start).max().unwrap_or(1);
        // A run has a range of its own, so a short gap has room for few of them.
        let days = (0..longest.min(MAX_DAYS)).map(|_| Day::default()).collect();
        let from_ms = now_ms - dedupe.window_ms;
        Ok(Self { dedupe, gaps, from_ms, now_ms, days, in_memory: 0, written: 0, failed: None })
    }

    /// Receive time from which events count; earlier ones are forgotten anyway.
    pub(crate) fn since_ms(&self) -> i64 {
        self.from_ms
    }

    /// Takes one stored event, unless a run has it already.
    pub(crate) fn add(&mut self, app: &AppId, insert_id: &str, received_ms: i64) {
        if received_ms < self.from_ms || self.failed.is_some() {
            return;
        }
        let key = self.dedupe.secret.of_app(app).hash(insert_id);
        if self.dedupe.runs.iter().any(|run| run.may_contain(key) && run.contains(key)) {
            return;
        }
        let age_days = ((self.now_ms - received_ms).max(0) / DAY_MS) as usize;
        // The oldest first, as runs come.
        let index = (self.days.len() - 1).saturating_sub(age_days);
        let day = &mut self.days[index];
        let (first, last) = day.received_ms.unwrap_or((received_ms, received_ms));
        day.received_ms = Some((first.min(received_ms), last.max(received_ms)));
        self.in_memory += usize::from(day.keys.insert(key));
        if self.in_memory >= MAX_KEYS_IN_MEMORY {
            self.failed = self.write_largest().err();
        }
    }

    /// Writes the keys as runs in the gaps; returns how many there are.
    pub(crate) fn finish(mut self) -> Result<usize, StreamError> {
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        self.gaps.sort_by_key(|gap| gap.end - gap.start);
        let longest = self.gaps.pop().unwrap_or(0..1);
        let mut keys = 0;
        let days = std::mem::take(&mut self.days);
        let last = days.len() as u64 - 1;
        for (index, day) in (0..).zip(days) {
            let to = if index == last { longest.end } else { longest.start + index + 1 };
            keys += self.write_day(day, longest.start + index..to)?;
        }
        for gap in std::mem::take(&mut self.gaps) {
            // Its keys are in the other one's runs; a run without keys says that none is missing.
            self.write_day(Day::default(), gap)?;
        }
        self.dedupe.runs.sort_by_key(|run| run.span().from);
        clean(&self.dedupe.dir)?;
        Ok(keys)
    }

    fn write_largest(&mut self) -> Result<(), StreamError> {
        let Some(index) = (0..self.days.len()).max_by_key(|&index| self.days[index].keys.len()) else { return Ok(()) };
        let keys = std::mem::take(&mut self.days[index].keys);
        self.in_memory -= keys.len();
        let part = self.write_part(keys)?;
        self.days[index].parts.push(part);
        Ok(())
    }

    fn write_part(&mut self, keys: KeySet) -> Result<Arc<Run>, StreamError> {
        let folder = self.dedupe.dir.join(FOLDER).join(self.written.to_string());
        self.written += 1;
        fs::create_dir_all(&folder).map_err(|source| StreamError::folder(&folder, source))?;
        let span = RunSpan { from: 0, to: 1, min_received_ms: 0, max_received_ms: 0 };
        write_run(&folder, keys, span).map(Arc::new)
    }

    fn write_day(&mut self, mut day: Day, range: Range<u64>) -> Result<usize, StreamError> {
        let (min_received_ms, max_received_ms) = day.received_ms.unwrap_or((self.from_ms, self.from_ms));
        let span = RunSpan { from: range.start, to: range.end, min_received_ms, max_received_ms };
        let run = if day.parts.is_empty() {
            write_run(&self.dedupe.dir, day.keys, span)?
        } else {
            let rest = self.write_part(day.keys)?;
            day.parts.push(rest);
            let merge = Merge { dir: self.dedupe.dir.clone(), runs: day.parts };
            match merge.run_as(span, &CancellationToken::new())? {
                Some(run) => run,
                None => return Ok(0),
            }
        };
        let keys = run.len();
        self.dedupe.runs.push(Arc::new(run));
        Ok(keys)
    }
}

fn write_run(dir: &Path, keys: KeySet, span: RunSpan) -> Result<Run, StreamError> {
    let mut sorted: Vec<u128> = keys.into_iter().collect();
    sorted.sort_unstable();
    let mut writer = RunWriter::create(dir, sorted.len())?;
    sorted.into_iter().try_for_each(|key| writer.push(key))?;
    writer.finish(span)
}

/// Removes what an earlier rebuild left.
pub(super) fn clean(dir: &Path) -> Result<(), StreamError> {
    let folder: PathBuf = dir.join(FOLDER);
    match fs::remove_dir_all(&folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(StreamError::folder(&folder, error)),
        _ => Ok(()),
    }
}
