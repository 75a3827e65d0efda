//! Making few large segments out of many small ones.

use std::collections::{BTreeSet, HashSet};
use std::ops::Range;
use std::sync::Arc;

use arrow::array::RecordBatch;
use event_store::{RollupSize, StoreError};

use crate::flush::sync_folders;
use crate::hidden::HiddenRows;
use crate::merge::{
    ID_COLUMNS, IdColumns, IdGatherer, InputColumns, Layout, MergeFailure, SizeLimits, SplitWriter, StreamMerge, large_apps, worth_merging,
};
use crate::part::Part;
use crate::rollup::size_ms;
use crate::segment::{AppRows, IdTables, OpenSegment, Segment, SegmentFailure, SegmentInfo, SegmentPlace, SegmentWriter, WholeScan};
use crate::store::{ParquetStore, column_error, io_error};

/// Rows in memory of all inputs together; each reads a batch of its share.
const INPUT_ROWS: usize = 65_536;
/// An object of this size stays as it is. Smaller ones come from late events, and would become many.
const SMALL_OBJECT_BYTES: u64 = 8 << 20;

impl ParquetStore {
    /// Merges one group of segments; false when no group is worth it.
    pub(crate) fn compact(&self, now_ms: i64) -> Result<bool, StoreError> {
        let mut parts = self.segments_to_maintain();
        let may_fetch = self.may_use_tier(now_ms);
        let is_input = |segment: &Segment| {
            let is_readable = segment.damage().is_none() && !segment.is_unsearched();
            is_readable && (!segment.is_tiered() || (may_fetch && segment.info().bytes < SMALL_OBJECT_BYTES))
        };
        parts.retain(|part| matches!(&**part, Part::Segment(segment) if is_input(segment)));
        let infos: Vec<&SegmentInfo> =
            parts.iter().filter_map(|part| if let Part::Segment(s) = &**part { Some(s.info()) } else { None }).collect();
        let limits = SizeLimits { segment_bytes: self.options.target_segment_bytes, shared_app_rows: self.options.large_app_rows };
        for group in worth_merging(&infos, now_ms, limits) {
            let inputs: Vec<Arc<Part>> = group.into_iter().map(|at| parts[at].clone()).collect();
            if self.rewrite(&inputs, HashSet::new(), &[])? {
                return Ok(true);
            }
            if inputs.iter().any(|part| matches!(&**part, Part::Segment(segment) if segment.is_tiered())) {
                self.leave_tier_alone(now_ms);
            }
        }
        Ok(false)
    }

    /// Merges segments without the rows of some apps into one, and one for each large app; false when an input was found
    /// damaged, or is in object storage that cannot be reached, and everything stays.
    pub(crate) fn rewrite(&self, inputs: &[Arc<Part>], without: HashSet<Arc<str>>, gone: &[AppRows]) -> Result<bool, StoreError> {
        let segments: Vec<&Segment> =
            inputs.iter().filter_map(|part| if let Part::Segment(s) = &**part { Some(s) } else { None }).collect();
        let open = |segment: &&Segment| Ok((segment.open()?, segment.hidden().clone()));
        let opened: Result<Vec<MergeInput>, SegmentFailure> = segments.iter().map(open).collect();
        let opened = match opened {
            Ok(opened) => opened,
            // Quarantined by now: the next round chooses without it.
            Err(SegmentFailure::Damaged(_)) => return Ok(false),
            Err(SegmentFailure::Unreadable(_)) if segments.iter().any(|segment| segment.is_tiered()) => return Ok(false),
            Err(SegmentFailure::Unreadable(reason)) => return Err(StoreError::Io(reason)),
        };
        let day = segments.iter().map(|segment| day_of(segment.info().min_ms)).min().unwrap_or(0);
        let written = match self.write_merged(&opened, without, day) {
            Ok(written) => written,
            Err(Failure::Store(error)) => return Err(error),
            Err(Failure::Merge(MergeFailure::Columns(reason))) => return Err(column_error(&reason)),
            Err(Failure::Merge(MergeFailure::Input(input, failure))) => match segments[input].failed(failure) {
                SegmentFailure::Damaged(_) => return Ok(false),
                SegmentFailure::Unreadable(_) if segments[input].is_tiered() => return Ok(false),
                SegmentFailure::Unreadable(reason) => return Err(StoreError::Io(reason)),
            },
        };
        self.replace(inputs, &written, gone)?;
        Ok(true)
    }

    pub(crate) fn write_merged(&self, inputs: &[MergeInput], without: HashSet<Arc<str>>, day: i64) -> Result<Vec<SegmentInfo>, Failure> {
        let columns: Vec<InputColumns> = inputs.iter().map(|(open, _)| input_columns(open)).collect();
        let batch_rows = (INPUT_ROWS / inputs.len()).clamp(1_024, 8_192);
        let scans = inputs.iter().map(|(open, hidden)| WholeScan::new(open.clone(), hidden.clone(), batch_rows)).collect();
        let large = large_apps(inputs.iter().map(|(open, _)| open.runs()), self.options.large_app_rows);
        let apps: BTreeSet<Arc<str>> = inputs.iter().flat_map(|(open, _)| open.runs().runs()).map(|run| run.app.clone()).collect();
        let mut shared = apps.iter().filter(|app| !without.contains(*app) && !large.contains(*app));
        let sole = shared.next().filter(|_| shared.next().is_none());
        let mut merge = StreamMerge::new(Layout::of(&columns), scans, without).map_err(Failure::Merge)?;
        let (schema, overflow) = (merge.layout().schema().clone(), merge.layout().overflow().clone());
        let create = |app: Option<&str>| {
            let place = SegmentPlace { root: &self.root, id: self.next_segment_id(), day };
            let tables = match app.or(sole.map(|app| &**app)) {
                Some(app) => tables_of(inputs, app).map_err(Failure::Merge)?,
                None => None,
            };
            Ok(SegmentWriter::create(&place, &schema, overflow.clone(), tables, self.options.compacted_zstd_level)?)
        };
        let mut writer = SplitWriter::new(large.clone(), create);
        let written = write_all(&mut merge, &mut writer);
        let segments = writer.take_finished();
        written.inspect_err(|_| self.delete(&segments))?;
        Ok(segments)
    }

    /// Swaps segments in one transaction; the old files go with the last snapshot that reads them. Where rows of an old one were hidden
    /// in the meantime, nothing is swapped: the new one still has them, and the next round does without.
    pub(crate) fn replace(&self, old: &[Arc<Part>], new: &[SegmentInfo], gone: &[AppRows]) -> Result<(), StoreError> {
        kill_point::reach("upkeep.segment_written");
        sync_folders(&self.root, new).inspect_err(|_| self.delete(new))?;
        kill_point::reach("upkeep.before_commit");
        let ids: Vec<u64> = old.iter().filter_map(|part| if let Part::Segment(s) = &**part { Some(s.info().id) } else { None }).collect();
        let parts: Vec<Arc<Part>> = new.iter().map(|info| self.segment(info.clone())).collect();
        let is_current = |old: &Arc<Part>| self.state().segments.iter().any(|part| Arc::ptr_eq(part, old));
        let swapped = self.commit(
            || match old.iter().all(is_current) {
                true => self.manifest.replace_segments(&ids, new, gone).map_err(NotSwapped::Failed),
                false => Err(NotSwapped::Changed),
            },
            |state| {
                state.segments.retain(|part| !old.iter().any(|gone| Arc::ptr_eq(gone, part)));
                state.segments.extend(parts);
            },
        );
        if let Err(reason) = swapped {
            self.delete(new);
            return match reason {
                NotSwapped::Changed => Ok(()),
                NotSwapped::Failed(error) => Err(error),
            };
        }
        kill_point::reach("upkeep.committed");
        for part in old {
            if let Part::Segment(segment) = &**part {
                segment.mark_replaced();
            }
        }
        Ok(())
    }
}

/// A segment to merge, without the rows that are hidden in it.
pub(crate) type MergeInput = (Arc<OpenSegment>, HiddenRows);

/// Why segments were not swapped.
enum NotSwapped {
    Changed,
    Failed(StoreError),
}

pub(crate) enum Failure {
    Merge(MergeFailure),
    Store(StoreError),
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::Store(io_error(&error))
    }
}

fn write_all<F>(merge: &mut StreamMerge, writer: &mut SplitWriter<F>) -> Result<(), Failure>
where
    F: FnMut(Option<&str>) -> Result<SegmentWriter, Failure>,
{
    while let Some(batch) = merge.next_batch().map_err(Failure::Merge)? {
        writer.write(&batch)?;
    }
    Ok(writer.finish()?)
}

/// The tables of an app's rows that are not hidden: nothing of anybody else gets into a segment. `None` where rows keep their ids.
fn tables_of(inputs: &[MergeInput], app: &str) -> Result<Option<IdTables>, MergeFailure> {
    let mut gatherer = IdGatherer::default();
    for (input, (open, hidden)) in inputs.iter().enumerate() {
        let of_app = open.runs().select(app, i64::MIN, i64::MAX, None).map(|run| run.rows.clone());
        let visible: Vec<Range<usize>> = of_app.flat_map(|rows| hidden.visible_in(rows)).collect();
        let mut add = |_: &[usize], batch: &RecordBatch| {
            if let Some(ids) = IdColumns::of_batch(batch) {
                gatherer.add_all(&ids);
            }
        };
        open.read_places(&ID_COLUMNS, &visible, &mut add).map_err(|failure| MergeFailure::Input(input, failure))?;
    }
    Ok(gatherer.finish())
}

fn input_columns(open: &Arc<OpenSegment>) -> InputColumns {
    InputColumns {
        fields: open.fields().to_vec(),
        values: open.values_per_column(),
        rows: open.runs().rows() as u64,
        overflow: open.overflow().clone(),
    }
}

fn day_of(ms: i64) -> i64 {
    ms.div_euclid(size_ms(RollupSize::Day))
}
