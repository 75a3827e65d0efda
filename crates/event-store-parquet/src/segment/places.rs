//! Reading rows of a segment together with their places in it.

use std::collections::HashSet;
use std::ops::Range;

use arrow::array::RecordBatch;
use parquet::arrow::arrow_reader::RowSelection;
use parquet::file::statistics::Statistics;

use super::failure::SegmentFailure;
use super::read::OpenSegment;
use super::stored::Tables;
use crate::columns;
use crate::part::SCAN_BATCH_ROWS;

/// Takes the places of a batch's rows, and the batch.
pub(crate) type VisitPlaces<'v> = dyn FnMut(&[usize], &RecordBatch) + 'v;

impl OpenSegment {
    /// Reads `wanted` columns of the rows in `ranges` (ascending, disjoint), hidden ones too.
    pub(crate) fn read_places(&self, wanted: &[&str], ranges: &[Range<usize>], visit: &mut VisitPlaces<'_>) -> Result<(), SegmentFailure> {
        let columns = self.places_of(wanted)?;
        let tables = self.tables_for(&columns, false)?;
        self.read_places_of_groups(&columns, &tables, ranges, &|_| true, visit)
    }

    /// As [`OpenSegment::read_places`], without the row groups that surely have no row with one of these person keys.
    pub(crate) fn read_places_near_persons(
        &self,
        keys: &HashSet<u64>,
        wanted: &[&str],
        ranges: &[Range<usize>],
        visit: &mut VisitPlaces<'_>,
    ) -> Result<(), SegmentFailure> {
        let columns = self.places_of(wanted)?;
        let tables = self.tables_for(&columns, false)?;
        let values: Vec<u64> = match self.persons()? {
            None => keys.iter().copied().collect(),
            Some(persons) => keys.iter().filter_map(|&key| persons.number(key)).map(|number| number as u64).collect(),
        };
        if values.is_empty() {
            return Ok(());
        }
        let column = self.fields().iter().position(|field| field.name() == columns::PERSON);
        let may_hold = |group: usize| column.is_none_or(|column| values.iter().any(|&value| self.group_may_hold(group, column, value)));
        self.read_places_of_groups(&columns, &tables, ranges, &may_hold, visit)
    }

    fn places_of(&self, wanted: &[&str]) -> Result<Vec<usize>, SegmentFailure> {
        let columns: Vec<usize> = (0..self.fields().len()).filter(|&i| wanted.contains(&self.fields()[i].name().as_str())).collect();
        if columns.len() == wanted.len() { Ok(columns) } else { Err("a fixed column is missing".into()) }
    }

    fn read_places_of_groups(
        &self,
        columns: &[usize],
        tables: &Tables,
        ranges: &[Range<usize>],
        may_hold: &dyn Fn(usize) -> bool,
        visit: &mut VisitPlaces<'_>,
    ) -> Result<(), SegmentFailure> {
        for (group, bounds) in self.group_starts().windows(2).enumerate() {
            let of_group = bounds[0]..bounds[1];
            let pieces: Vec<Range<usize>> = ranges
                .iter()
                .map(|range| range.start.max(of_group.start)..range.end.min(of_group.end))
                .filter(|range| !range.is_empty())
                .collect();
            if pieces.is_empty() || !may_hold(group) {
                continue;
            }
            let relative = pieces.iter().map(|range| range.start - of_group.start..range.end - of_group.start);
            let selection = RowSelection::from_consecutive_ranges(relative, of_group.len());
            let mut reader = self.read_group(group, columns, Some(selection), SCAN_BATCH_ROWS, tables.clone())?;
            let mut places = pieces.into_iter().flatten();
            while let Some(batch) = reader.next_batch() {
                let batch = batch?;
                let of_batch: Vec<usize> = places.by_ref().take(batch.num_rows()).collect();
                if of_batch.len() != batch.num_rows() {
                    return Err("it gives more rows than were asked for".into());
                }
                visit(&of_batch, &batch);
            }
        }
        Ok(())
    }

    /// False when the statistics of a column of keys or numbers exclude the value.
    fn group_may_hold(&self, group: usize, column: usize, value: u64) -> bool {
        // Parquet orders keys as the unsigned numbers that they are; numbers of the table are not negative.
        let bounds = match self.column_statistics(group, column) {
            Some(Statistics::Int64(keys)) => keys.min_opt().zip(keys.max_opt()).map(|(&min, &max)| (min as u64, max as u64)),
            Some(Statistics::Int32(numbers)) => numbers.min_opt().zip(numbers.max_opt()).map(|(&min, &max)| (min as u64, max as u64)),
            _ => None,
        };
        bounds.is_none_or(|(min, max)| min <= value && value <= max)
    }
}
