use std::time::{Duration, Instant};

/// How an answer was worked out, for `explain`. Cheap enough to be kept for every answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Work {
    /// Why these tables answer, or why a cheaper one does not.
    pub reason: String,
    /// What was read, one entry a table; a table that was not looked at is not there.
    pub tables: Vec<TableRead>,
    /// Where the time went, in the order of the work.
    pub stages: Vec<Stage>,
    /// Threads that worked on it at most; 0 where the store does not know.
    pub threads: usize,
}

/// A place rows come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Table {
    /// Counts and sketches of UTC days.
    RollupDay,
    /// Counts and sketches of hours.
    RollupHour,
    /// Raw events on disk.
    RawSegments,
    /// Raw events that are in memory only.
    Unflushed,
}

impl Table {
    /// Its name in an explanation.
    pub fn name(self) -> &'static str {
        match self {
            Self::RollupDay => "rollup_day",
            Self::RollupHour => "rollup_hour",
            Self::RawSegments => "raw_segments",
            Self::Unflushed => "unflushed",
        }
    }
}

/// What was read of one table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableRead {
    /// Which.
    pub table: Table,
    /// Segments or parts in memory that were considered; 0 for rollups.
    pub parts: u64,
    /// Of those, the ones that gave rows; the others were pruned: another app, another time, another event.
    pub read_parts: u64,
    /// Rows given out: raw events, or rows of rollups.
    pub rows: u64,
    /// Bytes fetched from files or their cache, compressed; `None` where nothing is fetched or the store does not know.
    pub bytes: Option<u64>,
}

impl TableRead {
    /// Nothing read yet.
    pub fn new(table: Table) -> Self {
        Self { table, parts: 0, read_parts: 0, rows: 0, bytes: None }
    }
}

/// One piece of the work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stage {
    /// What was done, such as `scan`.
    pub name: &'static str,
    /// How long.
    pub took: Duration,
}

impl Work {
    /// The entry of a table, made where it is missing.
    pub fn table(&mut self, table: Table) -> &mut TableRead {
        let known = self.tables.iter().position(|read| read.table == table);
        let index = known.unwrap_or_else(|| {
            self.tables.push(TableRead::new(table));
            self.tables.len() - 1
        });
        &mut self.tables[index]
    }

    /// Notes that a stage has ended which began at `started`; a stage of the same name grows.
    pub fn stage(&mut self, name: &'static str, started: Instant) {
        let took = started.elapsed();
        match self.stages.iter_mut().find(|stage| stage.name == name) {
            Some(stage) => stage.took += took,
            None => self.stages.push(Stage { name, took }),
        }
    }

    /// Adds the rows, bytes and stages of another pass over the same tables.
    pub fn add(&mut self, pass: &Self) {
        for read in &pass.tables {
            let sum = self.table(read.table);
            sum.parts = sum.parts.max(read.parts);
            sum.read_parts = sum.read_parts.max(read.read_parts);
            sum.rows += read.rows;
            sum.bytes = match (sum.bytes, read.bytes) {
                (Some(a), Some(b)) => Some(a + b),
                (known, None) | (None, known) => known,
            };
        }
        for stage in &pass.stages {
            match self.stages.iter_mut().find(|known| known.name == stage.name) {
                Some(known) => known.took += stage.took,
                None => self.stages.push(*stage),
            }
        }
        self.threads = self.threads.max(pass.threads);
        if self.reason.is_empty() {
            self.reason.clone_from(&pass.reason);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passes_add_up() {
        let mut first = Work { reason: "because".to_owned(), threads: 2, ..Work::default() };
        *first.table(Table::RawSegments) = TableRead { table: Table::RawSegments, parts: 9, read_parts: 7, rows: 100, bytes: Some(5) };
        first.stages.push(Stage { name: "scan", took: Duration::from_millis(2) });
        let mut sum = Work::default();
        sum.add(&first);
        sum.add(&first);
        let read = *sum.table(Table::RawSegments);
        assert_eq!((read.parts, read.read_parts, read.rows, read.bytes), (9, 7, 200, Some(10)));
        assert_eq!(sum.stages, [Stage { name: "scan", took: Duration::from_millis(4) }]);
        assert_eq!((sum.reason.as_str(), sum.threads, sum.tables.len()), ("because", 2, 1));
    }
}
