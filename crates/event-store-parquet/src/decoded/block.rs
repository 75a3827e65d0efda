//! Which rows of a part a scan reads, in units that can be kept.

use std::ops::Range;
use std::sync::Arc;

use arrow::datatypes::FieldRef;

use crate::columns::OverflowNames;
use crate::hidden::HiddenRows;
use crate::part::{Part, ScanRequest};
use crate::runs::{Run, RunIndex};

/// Neighbouring runs of an app share a block until it has this many rows.
const MIN_BLOCK_ROWS: usize = 8_192;
/// Rows of what stands for a row group in a part that has none.
pub(crate) const GROUP_ROWS: usize = 131_072;

/// What has to be known of a part to plan a scan of it.
#[derive(Debug)]
pub(crate) struct Shape {
    pub(crate) runs: RunIndex,
    /// First row of each row group, and the end of the last.
    pub(crate) group_starts: Vec<usize>,
    /// All stored columns, in stored order.
    pub(crate) fields: Vec<FieldRef>,
    pub(crate) overflow: OverflowNames,
}

impl Shape {
    /// Bytes of memory, near enough.
    pub(crate) fn bytes(&self) -> usize {
        const FIELD_BYTES: usize = 128;
        let names = match &self.overflow {
            OverflowNames::Any => 0,
            OverflowNames::Listed(names) => names.iter().map(|name| name.len() + size_of::<String>()).sum(),
        };
        size_of_val(self.runs.runs()) + self.group_starts.len() * 8 + self.fields.len() * FIELD_BYTES + names
    }

    /// Number of rows of a row group.
    pub(crate) fn group_rows(&self, group: usize) -> usize {
        self.group_starts[group + 1] - self.group_starts[group]
    }
}

/// Consecutive rows of one app in one row group: the unit in which columns are kept. Where blocks begin and end is decided by the part
/// alone, never by what is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Block {
    /// Rows of the part.
    pub(crate) rows: Range<usize>,
}

/// Rows of a block that a scan wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    /// Rows of the block.
    pub(crate) rows: Range<usize>,
    /// The name of all events, where it is one.
    pub(crate) event: Option<Arc<str>>,
    /// Every time is in `earliest_ms..=latest_ms`.
    pub(crate) earliest_ms: i64,
    /// See `earliest_ms`.
    pub(crate) latest_ms: i64,
    /// Some rows may be of events that are not wanted.
    pub(crate) check_event: bool,
}

/// The wanted rows of one row group of one part.
pub(crate) struct ScanTask {
    pub(crate) part: Arc<Part>,
    pub(crate) shape: Arc<Shape>,
    pub(crate) group: usize,
    /// In row order, none without pieces.
    pub(crate) blocks: Vec<(Block, Vec<Piece>)>,
}

/// The tasks of one part in row order, without hidden rows. With `cut_events`, every piece has one event name wherever the part's index knows it.
pub(crate) fn plan_tasks(part: &Arc<Part>, shape: &Arc<Shape>, request: &ScanRequest<'_>, cut_events: bool) -> Vec<ScanTask> {
    let hidden = part.hidden();
    let mut planner = Planner { request, cut_events, tasks: Vec::new(), open: None, part, hidden: &hidden, shape };
    let runs = shape.runs.runs();
    let first = runs.partition_point(|run| *run.app < *request.app.as_str());
    for run in runs[first..].iter().take_while(|run| *run.app == *request.app.as_str()) {
        planner.add(run);
    }
    planner.close();
    planner.tasks
}

struct Planner<'p> {
    request: &'p ScanRequest<'p>,
    cut_events: bool,
    tasks: Vec<ScanTask>,
    /// The block that may still grow, and its row group.
    open: Option<(usize, Block, Vec<Piece>)>,
    part: &'p Arc<Part>,
    hidden: &'p HiddenRows,
    shape: &'p Arc<Shape>,
}

impl Planner<'_> {
    /// Adds the rows of a run to the blocks of its row groups.
    fn add(&mut self, run: &Run) {
        let wanted = self.request.wants(run);
        let mut start = run.rows.start;
        let mut group = self.shape.group_starts.partition_point(|&first| first <= start).saturating_sub(1);
        while start < run.rows.end {
            let end = self.shape.group_starts.get(group + 1).copied().unwrap_or(run.rows.end).min(run.rows.end);
            self.add_rows(group, start..end, run, wanted);
            start = end;
            group += 1;
        }
    }

    fn add_rows(&mut self, group: usize, rows: Range<usize>, run: &Run, wanted: bool) {
        let grows = self
            .open
            .as_ref()
            .is_some_and(|(of_group, block, _)| *of_group == group && block.rows.len() < MIN_BLOCK_ROWS && rows.len() < MIN_BLOCK_ROWS);
        if !grows {
            self.close();
        }
        let start = rows.start;
        let (_, block, pieces) = self.open.get_or_insert_with(|| (group, Block { rows: start..start }, Vec::new()));
        block.rows.end = rows.end;
        if !wanted {
            return;
        }
        let first = block.rows.start;
        for rows in self.hidden.visible_in(rows) {
            add_piece(pieces, rows.start - first..rows.end - first, run, self.request, self.cut_events);
        }
    }

    fn close(&mut self) {
        let Some((group, block, pieces)) = self.open.take().filter(|(_, _, pieces)| !pieces.is_empty()) else { return };
        match self.tasks.last_mut().filter(|task| task.group == group) {
            Some(task) => task.blocks.push((block, pieces)),
            None => {
                let (part, shape) = (self.part.clone(), self.shape.clone());
                self.tasks.push(ScanTask { part, shape, group, blocks: vec![(block, pieces)] });
            }
        }
    }
}

/// Adds visible rows of one run.
fn add_piece(pieces: &mut Vec<Piece>, rows: Range<usize>, run: &Run, request: &ScanRequest<'_>, cut_events: bool) {
    let piece = Piece {
        rows,
        event: run.is_one_event().then(|| run.first_event.clone()),
        earliest_ms: run.min_ms,
        latest_ms: run.max_ms,
        check_event: request.events.is_some() && !run.is_one_event(),
    };
    match pieces.last_mut().filter(|last| !cut_events && last.rows.end == piece.rows.start) {
        Some(last) => {
            last.rows.end = piece.rows.end;
            last.event = None;
            last.earliest_ms = last.earliest_ms.min(piece.earliest_ms);
            last.latest_ms = last.latest_ms.max(piece.latest_ms);
            last.check_event |= piece.check_event;
        }
        None => pieces.push(piece),
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::RecordBatch;
    use arrow::datatypes::Schema;
    use event::AppId;
    use proptest::prelude::*;

    use super::*;
    use crate::memory::MemoryPart;

    fn shape(runs: &[(u8, u8, usize)], group_rows: usize) -> Arc<Shape> {
        let mut index = RunIndex::default();
        let mut start = 0;
        for &(app, event, rows) in runs {
            let event: Arc<str> = format!("e{event}").into();
            let (min_ms, max_ms) = (start as i64, (start + rows) as i64 - 1);
            let rows = start..start + rows;
            start = rows.end;
            index.push(Run { app: format!("A{app}").into(), first_event: event.clone(), last_event: event, rows, min_ms, max_ms });
        }
        let group_starts = (0..start).step_by(group_rows).chain([start]).collect();
        Arc::new(Shape { runs: index.finish(), group_starts, fields: Vec::new(), overflow: OverflowNames::Any })
    }

    fn tasks(shape: &Arc<Shape>, events: Option<&[String]>, cut_events: bool) -> Vec<ScanTask> {
        let app = AppId::new("A1").unwrap();
        let request = ScanRequest { app: &app, from_ms: 0, to_ms: i64::MAX, events, columns: &[] };
        let part = MemoryPart::new(RecordBatch::new_empty(Arc::new(Schema::empty())), OverflowNames::Any);
        plan_tasks(&Arc::new(Part::Memory(part)), shape, &request, cut_events)
    }

    fn wanted_rows(tasks: &[ScanTask]) -> Vec<usize> {
        let of_block = |(block, pieces): &(Block, Vec<Piece>)| -> Vec<usize> {
            let first = block.rows.start;
            pieces.iter().flat_map(|piece| piece.rows.clone()).map(|row| first + row).collect()
        };
        tasks.iter().flat_map(|task| &task.blocks).flat_map(of_block).collect()
    }

    proptest! {
        #[test]
        fn pieces_are_the_wanted_rows_and_blocks_do_not_depend_on_the_question(
            sizes in prop::collection::vec(1usize..20_000, 1..40),
            group_rows in prop::sample::select(vec![5_000usize, 10_000, 131_072]),
            asked in prop::collection::vec(0u8..20, 0..4),
        ) {
            let runs: Vec<(u8, u8, usize)> = sizes.iter().enumerate().map(|(i, &rows)| ((i / 20) as u8, (i % 20) as u8, rows)).collect();
            let shape = shape(&runs, group_rows);
            let names: Vec<String> = asked.iter().map(|event| format!("e{event}")).collect();
            let all = tasks(&shape, None, true);
            let some = tasks(&shape, Some(&names), false);

            let of_app = shape.runs.runs().iter().filter(|run| &*run.app == "A1");
            let expected: Vec<usize> = of_app.clone().flat_map(|run| run.rows.clone()).collect();
            prop_assert_eq!(wanted_rows(&all), expected);
            let expected: Vec<usize> = of_app.filter(|run| names.iter().any(|name| **name == *run.first_event)).flat_map(|run| run.rows.clone()).collect();
            prop_assert_eq!(wanted_rows(&some), expected);

            let blocks: Vec<&Block> = all.iter().flat_map(|task| &task.blocks).map(|(block, _)| block).collect();
            let known = some.iter().flat_map(|task| &task.blocks).all(|(block, _)| blocks.contains(&block));
            prop_assert!(known);
            for task in &all {
                let group = shape.group_starts[task.group]..shape.group_starts[task.group + 1];
                let inside = task.blocks.iter().all(|(block, _)| group.start <= block.rows.start && block.rows.end <= group.end);
                prop_assert!(inside);
                let one_name = task.blocks.iter().flat_map(|(_, pieces)| pieces).all(|piece| piece.event.is_some());
                prop_assert!(one_name);
            }
        }
    }
}
