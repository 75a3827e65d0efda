//! Merging segments without having more than a few batches of each in memory.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashSet};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, DictionaryArray, RecordBatch, TimestampMillisecondArray, UInt64Array};
use arrow::datatypes::{Int32Type, TimestampMillisecondType, UInt64Type};

use super::gather::{RowRef, gather};
use super::layout::Layout;
use crate::columns;
use crate::segment::{SegmentFailure, WholeScan};

/// Rows of an output batch.
const OUTPUT_ROWS: usize = 65_536;

/// Why a merge stopped.
#[derive(Debug)]
pub(crate) enum MergeFailure {
    /// This input gave no rows.
    Input(usize, SegmentFailure),
    /// The columns could not be put together.
    Columns(String),
}

/// A batch that rows of the next output may come from.
struct Loaded {
    arrays: Vec<Option<ArrayRef>>,
}

/// The place in one input.
struct Cursor {
    scan: WholeScan,
    rows: usize,
    apps: DictionaryArray<Int32Type>,
    events: DictionaryArray<Int32Type>,
    persons: UInt64Array,
    times: TimestampMillisecondArray,
    /// Position of its batch among the loaded ones.
    loaded: u32,
    row: usize,
    app: Arc<str>,
    event: Arc<str>,
}

type HeapKey = Reverse<(Option<u64>, i64, usize)>;

/// The merged rows of several segments, batch by batch. Works run by run: cursors at the same (app, event) are merged by
/// (person, time), so that texts are compared once a run and not once a row.
pub(crate) struct StreamMerge {
    layout: Layout,
    cursors: Vec<Option<Cursor>>,
    loaded: Vec<Loaded>,
    /// The inputs of the current run, by their next row.
    heap: BinaryHeap<HeapKey>,
    rows: Vec<RowRef>,
    /// Apps whose rows are left out.
    without: HashSet<Arc<str>>,
    left_out: bool,
}

impl StreamMerge {
    /// The layout must be that of the scanned segments.
    pub(crate) fn new(layout: Layout, scans: Vec<WholeScan>, without: HashSet<Arc<str>>) -> Result<Self, MergeFailure> {
        let mut merge =
            Self { layout, cursors: Vec::new(), loaded: Vec::new(), heap: BinaryHeap::new(), rows: Vec::new(), without, left_out: false };
        for (input, scan) in scans.into_iter().enumerate() {
            merge.cursors.push(None);
            merge.load(input, scan)?;
        }
        Ok(merge)
    }

    pub(crate) fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The next batch, `None` at the end.
    pub(crate) fn next_batch(&mut self) -> Result<Option<RecordBatch>, MergeFailure> {
        while self.rows.len() < OUTPUT_ROWS {
            if self.heap.is_empty() && !self.begin_run() {
                break;
            }
            self.step()?;
        }
        if self.rows.is_empty() {
            return Ok(None);
        }
        let inputs: Vec<&[Option<ArrayRef>]> = self.loaded.iter().map(|loaded| loaded.arrays.as_slice()).collect();
        let batch = gather(self.layout.schema(), &inputs, &self.rows).map_err(|error| MergeFailure::Columns(error.to_string()))?;
        self.rows.clear();
        self.forget_read_batches();
        Ok(Some(batch))
    }

    /// Puts the cursors at the smallest (app, event) into the heap; false when all inputs are at their end.
    fn begin_run(&mut self) -> bool {
        let smallest = self.cursors.iter().flatten().map(|cursor| (&cursor.app, &cursor.event)).min();
        let Some((app, event)) = smallest.map(|(app, event)| (app.clone(), event.clone())) else { return false };
        self.left_out = self.without.contains(&app);
        for (input, cursor) in self.cursors.iter().enumerate() {
            if let Some(cursor) = cursor.as_ref().filter(|cursor| cursor.app == app && cursor.event == event) {
                self.heap.push(cursor.key(input));
            }
        }
        true
    }

    /// Takes the next row of the current run.
    fn step(&mut self) -> Result<(), MergeFailure> {
        let Some(Reverse((.., input))) = self.heap.pop() else { return Ok(()) };
        let Some(cursor) = &mut self.cursors[input] else { return Ok(()) };
        if !self.left_out {
            self.rows.push(RowRef { input: cursor.loaded, row: cursor.row as u32 });
        }
        cursor.row += 1;
        if cursor.row < cursor.rows {
            if cursor.same_codes_as_before() || !cursor.enter_run() {
                let key = cursor.key(input);
                self.heap.push(key);
            }
            return Ok(());
        }
        let Some(ended) = self.cursors[input].take() else { return Ok(()) };
        let run = (ended.app, ended.event);
        self.load(input, ended.scan)?;
        if let Some(cursor) = self.cursors[input].as_ref().filter(|cursor| (&cursor.app, &cursor.event) == (&run.0, &run.1)) {
            self.heap.push(cursor.key(input));
        }
        Ok(())
    }

    fn load(&mut self, input: usize, mut scan: WholeScan) -> Result<(), MergeFailure> {
        let next = loop {
            match scan.next_batch().map_err(|reason| MergeFailure::Input(input, reason))? {
                Some(batch) if batch.num_rows() == 0 => {}
                next => break next,
            }
        };
        let Some(batch) = next else { return Ok(()) };
        let arrays = self.layout.conform(&batch).map_err(|error| MergeFailure::Columns(error.to_string()))?;
        let cursor = Cursor::new(scan, &batch, self.loaded.len() as u32);
        self.cursors[input] = Some(cursor.ok_or_else(|| MergeFailure::Input(input, SegmentFailure::from("a fixed column is missing")))?);
        self.loaded.push(Loaded { arrays });
        Ok(())
    }

    /// After an output only the batch each cursor is in stays.
    fn forget_read_batches(&mut self) {
        let mut kept = Vec::with_capacity(self.cursors.len());
        for cursor in self.cursors.iter_mut().flatten() {
            let arrays = std::mem::take(&mut self.loaded[cursor.loaded as usize].arrays);
            cursor.loaded = kept.len() as u32;
            kept.push(Loaded { arrays });
        }
        self.loaded = kept;
    }
}

impl Cursor {
    /// At the first row of `batch`.
    fn new(scan: WholeScan, batch: &RecordBatch, loaded: u32) -> Option<Self> {
        let text = |name: &str| Some(batch.column_by_name(name)?.as_dictionary::<Int32Type>().clone());
        let mut cursor = Self {
            scan,
            rows: batch.num_rows(),
            apps: text(columns::APP)?,
            events: text(columns::EVENT)?,
            persons: batch.column_by_name(columns::PERSON)?.as_primitive::<UInt64Type>().clone(),
            times: batch.column_by_name(columns::TIME)?.as_primitive::<TimestampMillisecondType>().clone(),
            loaded,
            row: 0,
            app: Arc::from(""),
            event: Arc::from(""),
        };
        cursor.enter_run();
        Some(cursor)
    }

    fn key(&self, input: usize) -> HeapKey {
        let person = self.persons.is_valid(self.row).then(|| self.persons.values()[self.row]);
        Reverse((person, self.times.values()[self.row], input))
    }

    fn same_codes_as_before(&self) -> bool {
        let same = |text: &DictionaryArray<Int32Type>| text.keys().values()[self.row] == text.keys().values()[self.row - 1];
        same(&self.apps) && same(&self.events)
    }

    /// Reads app and event of the row; true when they are not what they were.
    fn enter_run(&mut self) -> bool {
        let text = |array: &DictionaryArray<Int32Type>| -> Arc<str> {
            Arc::from(array.values().as_string::<i32>().value(array.keys().values()[self.row] as usize))
        };
        let (app, event) = (text(&self.apps), text(&self.events));
        let changed = app != self.app || event != self.event;
        (self.app, self.event) = (app, event);
        changed
    }
}
