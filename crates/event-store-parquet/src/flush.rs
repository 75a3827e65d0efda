//! From rows in memory to segments on disk, with everything that becomes durable in the same transaction.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::Path;

use arrow::array::{Array, RecordBatch};
use event_store::{RollupSize, StoreError};

use crate::columns;
use crate::lost;
use crate::manifest::FlushRecord;
use crate::merge::{Resident, RowRef};
use crate::pending::Pending;
use crate::rollup::{RollupDelta, size_ms};
use crate::segment::{SegmentInfo, SegmentPlace, SegmentWriter};
use crate::store::{ParquetStore, State, column_error, io_error};

/// Segments one flush writes at most. Rows of more days than this share segments of several neighbouring days, so that an import
/// of decades does not make a file for each of thousands of days; compaction works on those as on any other.
pub(crate) const MAX_FLUSH_SEGMENTS: usize = 128;

/// Rows gathered at once.
const CHUNK_ROWS: usize = 65_536;

impl ParquetStore {
    /// Makes `pending` durable and shows its segments in its place. On an error no file stays.
    pub(crate) fn write_pending(&self, pending: &Pending) -> Result<(), StoreError> {
        if pending.is_empty() && pending.end == self.state().durable() {
            return self.commit(|| Ok(()), |state| Self::flushed(state, Vec::new(), pending.end));
        }
        let mut written = Written::default();
        if pending.rows > 0 {
            let rows = Resident::new(pending.memory_parts()).map_err(|error| column_error(&error))?;
            for (day, rows_of_day) in split_by_day(&rows) {
                self.write_segment(&rows, &rows_of_day, day, &mut written).inspect_err(|_| self.delete(&written.segments))?;
            }
        }
        kill_point::reach("flush.segments_written");
        let commit = sync_folders(&self.root, &written.segments).and_then(|()| self.commit_written(pending, &mut written));
        commit.inspect_err(|_| self.delete(&written.segments))
    }

    fn commit_written(&self, pending: &Pending, written: &mut Written) -> Result<(), StoreError> {
        let rollups = std::mem::take(&mut written.rollups).finish();
        let mut lost = self.state().lost.clone();
        pending.lost.iter().for_each(|new| lost::add(&mut lost, new));
        let record = FlushRecord {
            segments: &written.segments,
            rollups: &rollups,
            ledger: &pending.ledger,
            position: pending.end,
            lost: (!pending.lost.is_empty()).then_some(&*lost),
        };
        let parts = written.segments.iter().map(|info| self.segment(info.clone())).collect();
        kill_point::reach("flush.before_commit");
        let commit = || self.manifest.commit_flush(&record);
        let show = |state: &mut State| {
            Self::flushed(state, parts, pending.end);
            state.lost = lost.clone();
        };
        self.commit(commit, show)?;
        kill_point::reach("flush.committed");
        Ok(())
    }

    fn write_segment(&self, rows: &Resident, selected: &[RowRef], day: i64, written: &mut Written) -> Result<(), StoreError> {
        let mut writer: Option<SegmentWriter> = None;
        for chunk in selected.chunks(CHUNK_ROWS) {
            let mut batch = rows.gather(chunk).map_err(|error| column_error(&error))?;
            written.rollups.add(&batch);
            if selected.len() <= CHUNK_ROWS {
                batch = without_empty_columns(&batch).map_err(|error| column_error(&error))?;
            }
            let writer = match &mut writer {
                Some(writer) => writer,
                none => {
                    let place = SegmentPlace { root: &self.root, id: self.next_segment_id(), day };
                    let overflow = rows.layout().overflow().clone();
                    let tables = rows.tables_of_one_app(selected);
                    let created = SegmentWriter::create(&place, &batch.schema(), overflow, tables, self.options.zstd_level);
                    none.insert(created.map_err(|error| io_error(&error))?)
                }
            };
            writer.write(&batch).map_err(|error| io_error(&error))?;
        }
        if let Some(writer) = writer {
            written.segments.push(writer.finish().map_err(|error| io_error(&error))?);
        }
        Ok(())
    }

    /// Deletes files that did not make it into the manifest. Where that is not known they stay: the next start deletes what is not named.
    pub(crate) fn delete(&self, segments: &[SegmentInfo]) {
        if self.manifest.in_doubt() {
            return;
        }
        for info in segments {
            if let Err(error) = std::fs::remove_file(self.root.join(&info.path)) {
                tracing::warn!(segment = info.path, %error, "an uncommitted segment could not be deleted; the next start does it");
            }
        }
    }
}

#[derive(Default)]
struct Written {
    segments: Vec<SegmentInfo>,
    rollups: RollupDelta,
}

/// The rows of each segment in stored order, by its first day.
fn split_by_day(rows: &Resident) -> BTreeMap<i64, Vec<RowRef>> {
    let time = rows.times();
    let day_of = |row: RowRef| time(row).div_euclid(size_ms(RollupSize::Day));
    let mut days: BTreeMap<i64, Vec<RowRef>> = BTreeMap::new();
    let mut last: Option<(i64, Vec<RowRef>)> = None;
    for &row in rows.rows() {
        let day = day_of(row);
        match &mut last {
            Some((last_day, of_day)) if *last_day == day => of_day.push(row),
            _ => {
                if let Some((day, of_day)) = last.take() {
                    days.insert(day, of_day);
                }
                let mut of_day = days.remove(&day).unwrap_or_default();
                of_day.push(row);
                last = Some((day, of_day));
            }
        }
    }
    days.extend(last);
    if days.len() <= MAX_FLUSH_SEGMENTS { days } else { join_days(rows, &days) }
}

/// Neighbouring days together, [`MAX_FLUSH_SEGMENTS`] groups of about as many rows each.
fn join_days(rows: &Resident, days: &BTreeMap<i64, Vec<RowRef>>) -> BTreeMap<i64, Vec<RowRef>> {
    let rows_per_group = rows.rows().len().div_ceil(MAX_FLUSH_SEGMENTS / 2);
    let mut group_of_day: BTreeMap<i64, i64> = BTreeMap::new();
    let (mut group, mut in_group, mut days_in_group) = (i64::MIN, usize::MAX, usize::MAX);
    let days_per_group = days.len().div_ceil(MAX_FLUSH_SEGMENTS / 2);
    for (&day, of_day) in days {
        if in_group >= rows_per_group || days_in_group >= days_per_group {
            (group, in_group, days_in_group) = (day, 0, 0);
        }
        in_group += of_day.len();
        days_in_group += 1;
        group_of_day.insert(day, group);
    }
    let time = rows.times();
    let mut groups: BTreeMap<i64, Vec<RowRef>> = BTreeMap::new();
    for &row in rows.rows() {
        let day = time(row).div_euclid(size_ms(RollupSize::Day));
        groups.entry(group_of_day.get(&day).copied().unwrap_or(day)).or_default().push(row);
    }
    groups
}

/// A small segment has only the property columns that its own rows use.
fn without_empty_columns(batch: &RecordBatch) -> Result<RecordBatch, arrow::error::ArrowError> {
    let kept = (0..batch.num_columns()).filter(|&i| {
        let fixed = columns::FIXED.contains(&batch.schema_ref().field(i).name().as_str());
        fixed || batch.column(i).null_count() < batch.num_rows()
    });
    batch.project(&kept.collect::<Vec<_>>())
}

/// Makes the directory entries of new files durable.
pub(crate) fn sync_folders(root: &Path, segments: &[SegmentInfo]) -> Result<(), StoreError> {
    let folders: BTreeSet<_> = segments.iter().filter_map(|info| root.join(&info.path).parent().map(Path::to_path_buf)).collect();
    let sync = |folder: &Path| File::open(folder).and_then(|folder| folder.sync_all()).map_err(|error| io_error(&error));
    folders.iter().try_for_each(|folder| sync(folder))?;
    if folders.is_empty() { Ok(()) } else { sync(root) }
}
