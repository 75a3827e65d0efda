//! Making few large segments out of many small ones.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use event_store::{RollupSize, StoreError};

use crate::flush::sync_folders;
use crate::merge::{InputColumns, Layout, MergeFailure, StreamMerge};
use crate::part::Part;
use crate::rollup::size_ms;
use crate::segment::{AppRows, OpenSegment, Segment, SegmentFailure, SegmentInfo, SegmentPlace, SegmentWriter, WholeScan};
use crate::store::{ParquetStore, column_error, io_error};

/// Segments one compaction reads at most: each has a batch of rows in memory.
const MAX_INPUTS: usize = 32;
/// Segments of like size that make a compaction while their day is going on.
const MIN_INPUTS_OPEN_DAY: usize = 4;
/// Segments of like size that make a compaction once their day is over.
const MIN_INPUTS_CLOSED_DAY: usize = 2;
/// A day counts as going on for this long after its end, since most late events come soon.
const OPEN_AFTER_END_MS: i64 = 3_600_000;
/// Smaller segments count as this large: their cost is that they exist.
const SMALL_SEGMENT_BYTES: u64 = 256 * 1024;
/// Rows in memory of all inputs together; each reads a batch of its share.
const INPUT_ROWS: usize = 65_536;

impl ParquetStore {
    /// Merges one group of segments; false when no group is worth it.
    pub(crate) fn compact(&self, now_ms: i64) -> Result<bool, StoreError> {
        let mut groups: BTreeMap<Option<i64>, Vec<Arc<Part>>> = BTreeMap::new();
        for part in self.segments_to_maintain() {
            let Part::Segment(segment) = &*part else { continue };
            if segment.damage().is_none() {
                groups.entry(only_day(segment.info())).or_default().push(part.clone());
            }
        }
        for (day, parts) in groups {
            let chosen = choose(&parts, least_inputs(day, now_ms), self.options.target_segment_bytes);
            if !chosen.is_empty() && self.rewrite(&chosen, HashSet::new(), &[])? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Merges segments into one without the rows of some apps; false when an input was found damaged and everything stays.
    pub(crate) fn rewrite(&self, inputs: &[Arc<Part>], without: HashSet<Arc<str>>, gone: &[AppRows]) -> Result<bool, StoreError> {
        let segments: Vec<&Segment> =
            inputs.iter().filter_map(|part| if let Part::Segment(s) = &**part { Some(s) } else { None }).collect();
        let opened: Result<Vec<Arc<OpenSegment>>, SegmentFailure> = segments.iter().map(|segment| segment.open()).collect();
        let opened = match opened {
            Ok(opened) => opened,
            // Quarantined by now: the next round chooses without it.
            Err(SegmentFailure::Damaged(_)) => return Ok(false),
            Err(SegmentFailure::Unreadable(reason)) => return Err(StoreError::Io(reason)),
        };
        let day = segments.iter().map(|segment| day_of(segment.info().min_ms)).min().unwrap_or(0);
        let written = match self.write_merged(&opened, without, day) {
            Ok(written) => written,
            Err(Failure::Store(error)) => return Err(error),
            Err(Failure::Merge(MergeFailure::Columns(reason))) => return Err(column_error(&reason)),
            Err(Failure::Merge(MergeFailure::Input(input, failure))) => match segments[input].failed(failure) {
                SegmentFailure::Damaged(_) => return Ok(false),
                SegmentFailure::Unreadable(reason) => return Err(StoreError::Io(reason)),
            },
        };
        self.replace(inputs, written.as_slice(), gone)?;
        Ok(true)
    }

    pub(crate) fn write_merged(
        &self,
        inputs: &[Arc<OpenSegment>],
        without: HashSet<Arc<str>>,
        day: i64,
    ) -> Result<Option<SegmentInfo>, Failure> {
        let columns: Vec<InputColumns> = inputs.iter().map(input_columns).collect();
        let batch_rows = (INPUT_ROWS / inputs.len()).clamp(1_024, 8_192);
        let scans = inputs.iter().map(|open| WholeScan::new(open.clone(), batch_rows)).collect();
        let mut merge = StreamMerge::new(Layout::of(&columns), scans, without).map_err(Failure::Merge)?;
        let io_failed = |error: std::io::Error| Failure::Store(io_error(&error));
        let mut writer: Option<SegmentWriter> = None;
        while let Some(batch) = merge.next_batch().map_err(Failure::Merge)? {
            let writer = match &mut writer {
                Some(writer) => writer,
                none => {
                    let place = SegmentPlace { root: &self.root, id: self.next_segment_id(), day };
                    let overflow = merge.layout().overflow().clone();
                    none.insert(SegmentWriter::create(&place, &batch.schema(), overflow, self.options.zstd_level).map_err(io_failed)?)
                }
            };
            writer.write(&batch).map_err(io_failed)?;
        }
        writer.map(SegmentWriter::finish).transpose().map_err(io_failed)
    }

    /// Swaps segments in one transaction; the old files go with the last snapshot that reads them.
    pub(crate) fn replace(&self, old: &[Arc<Part>], new: &[SegmentInfo], gone: &[AppRows]) -> Result<(), StoreError> {
        sync_folders(&self.root, new).inspect_err(|_| self.delete(new))?;
        let ids: Vec<u64> = old.iter().filter_map(|part| if let Part::Segment(s) = &**part { Some(s.info().id) } else { None }).collect();
        let parts: Vec<Arc<Part>> = new.iter().map(|info| self.segment(info.clone())).collect();
        let swap = self.commit(
            || self.manifest.replace_segments(&ids, new, gone),
            |state| {
                state.segments.retain(|part| !old.iter().any(|gone| Arc::ptr_eq(gone, part)));
                state.segments.extend(parts);
            },
        );
        swap.inspect_err(|_| self.delete(new))?;
        for part in old {
            if let Part::Segment(segment) = &**part {
                segment.mark_replaced();
            }
        }
        Ok(())
    }
}

pub(crate) enum Failure {
    Merge(MergeFailure),
    Store(StoreError),
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

/// The day of a segment, `None` when it spans several.
fn only_day(info: &SegmentInfo) -> Option<i64> {
    let day = day_of(info.min_ms);
    (day == day_of(info.max_ms)).then_some(day)
}

fn least_inputs(day: Option<i64>, now_ms: i64) -> usize {
    match day {
        Some(day) if (day + 1) * size_ms(RollupSize::Day) + OPEN_AFTER_END_MS <= now_ms => MIN_INPUTS_CLOSED_DAY,
        _ => MIN_INPUTS_OPEN_DAY,
    }
}

/// The smallest segments, each at most twice as large as those before it together: so every row is copied only a few times,
/// and a large segment is not written again for a few late rows.
fn choose(parts: &[Arc<Part>], least: usize, target_bytes: u64) -> Vec<Arc<Part>> {
    let bytes = |part: &Arc<Part>| match &**part {
        Part::Segment(segment) => segment.info().bytes,
        Part::Memory(_) => 0,
    };
    let mut by_size: Vec<&Arc<Part>> = parts.iter().collect();
    by_size.sort_by_key(|part| bytes(part));
    let mut chosen: Vec<Arc<Part>> = Vec::new();
    let mut total = 0;
    for part in by_size {
        let size = bytes(part);
        let counted = size.max(SMALL_SEGMENT_BYTES);
        if chosen.len() == MAX_INPUTS || total + size > target_bytes || (!chosen.is_empty() && counted > 2 * total.max(SMALL_SEGMENT_BYTES))
        {
            break;
        }
        total += counted;
        chosen.push(part.clone());
    }
    if chosen.len() < least { Vec::new() } else { chosen }
}
