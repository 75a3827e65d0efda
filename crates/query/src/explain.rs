use std::time::{Duration, Instant};

use event_store::{QueryContext, ScanStats, SegmentRead, Stage, Table, TableRead};
use serde_json::{Map, Value, json};

use crate::runner::Turn;

/// Times of a question outside of the store, taken only when an explanation was asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Explain {
    planned: Duration,
}

impl Explain {
    /// For a question that was `started` at this time and is planned now.
    pub fn planned(started: Instant) -> Self {
        Self { planned: started.elapsed() }
    }

    /// Adds the field `explain` to an answer that the store worked out as `stats` tells, which took until `answered`.
    pub fn add(self, answer: &mut Map<String, Value>, stats: &ScanStats, context: &QueryContext, turn: &Turn, answered: Instant) {
        let work = &stats.work;
        let own = |name, took| Stage { name, took };
        let before = [own("plan", self.planned), own("wait for a turn", turn.waited)];
        let stages =
            before.iter().chain(&work.stages).chain(&[own("lay out the answer", answered.elapsed())]).map(stage).collect::<Vec<_>>();
        let mut explanation = json!({
            "reason": work.reason,
            "tables": work.tables.iter().map(table).collect::<Vec<_>>(),
            "threads": work.threads,
            "memory_peak_bytes": context.memory.peak_bytes(),
            "stages": stages,
        });
        if !stats.segments.is_empty() {
            explanation["segments"] = stats.segments.iter().map(segment).collect();
        }
        answer.insert("explain".to_owned(), explanation);
    }
}

fn stage(stage: &Stage) -> Value {
    json!({"stage": stage.name, "ms": milliseconds(stage.took)})
}

/// A segment of the question; `persons` is null where it is told by who is not in it.
fn segment(read: &SegmentRead) -> Value {
    json!({"segment": read.name, "persons": read.persons, "events": read.events, "ms": milliseconds(read.took)})
}

/// Microseconds are as fine as anybody compares.
fn milliseconds(took: Duration) -> f64 {
    took.as_micros() as f64 / 1_000.0
}

fn table(read: &TableRead) -> Value {
    let mut out = Map::new();
    out.insert("table".to_owned(), json!(read.table.name()));
    if matches!(read.table, Table::RawSegments | Table::Unflushed) {
        let parts = if read.table == Table::RawSegments { "segments" } else { "parts" };
        out.insert(parts.to_owned(), json!(read.parts));
        out.insert("pruned".to_owned(), json!(read.parts.saturating_sub(read.read_parts)));
        out.insert("read".to_owned(), json!(read.read_parts));
    }
    out.insert("rows".to_owned(), json!(read.rows));
    if let Some(bytes) = read.bytes {
        out.insert("bytes".to_owned(), json!(bytes));
    }
    Value::Object(out)
}
