use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use event::TimestampMs;
use prometheus::IntGauge;
use query::Answered;
use serde_json::{Map, Value, json};

use crate::error::ApiError;
use crate::time::iso_utc;

/// Largest answer of one tile, as JSON.
pub(crate) const MAX_ANSWER_BYTES: usize = 4 << 20;
/// What an answer says of itself, in which no change is one of its numbers: how it came to be, and the moving ends of its range.
const FACTS: [&str; 6] = ["query_time_ms", "cached", "scanned_events", "explain", "range", "previous_range"];

/// Memory of the answers that are kept for those who watch, bounded.
pub(crate) struct AnswerMemory {
    used: AtomicUsize,
    max_bytes: usize,
    gauge: IntGauge,
}

impl AnswerMemory {
    pub(crate) fn new(max_bytes: usize, gauge: IntGauge) -> Arc<Self> {
        Arc::new(Self { used: AtomicUsize::new(0), max_bytes, gauge })
    }

    fn hold(self: &Arc<Self>, bytes: usize) -> Result<HeldBytes, ApiError> {
        let grown = self
            .used
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| used.checked_add(bytes).filter(|grown| *grown <= self.max_bytes));
        grown.map_err(|_| {
            let message = format!(
                "the answers of all dashboards that are watched hold {} bytes, the most this server allows: ask for fewer rows",
                self.max_bytes
            );
            ApiError::unavailable("dashboard_memory_limit", message)
        })?;
        self.gauge.add(bytes as i64);
        Ok(HeldBytes { memory: Arc::clone(self), bytes })
    }
}

struct HeldBytes {
    memory: Arc<AnswerMemory>,
    bytes: usize,
}

impl Drop for HeldBytes {
    fn drop(&mut self) {
        self.memory.used.fetch_sub(self.bytes, Ordering::Relaxed);
        self.memory.gauge.sub(self.bytes as i64);
    }
}

/// An answer or a refusal as it is told to all who watch; each has a number of its own.
pub(crate) struct Told {
    pub(crate) number: u64,
    /// Fields of the event, without the braces around them.
    pub(crate) fields: String,
    /// How much of `fields` is compared: what is the same up to here is no change.
    compared_bytes: usize,
    pub(crate) is_error: bool,
    _held: Option<HeldBytes>,
}

impl Told {
    pub(crate) fn answer(memory: &Arc<AnswerMemory>, answered: Answered, now_ms: TimestampMs) -> Result<Self, ApiError> {
        let Value::Object(mut answer) = answered.into_value() else { return Err(ApiError::internal()) };
        let facts: Map<String, Value> = FACTS.into_iter().filter_map(|name| answer.shift_remove_entry(name)).collect();
        let mut fields = format!("\"answer\":{}", Value::Object(answer));
        let compared_bytes = fields.len();
        // Both are objects: the second goes on where the first would end.
        let facts = Value::Object(facts).to_string();
        fields.pop();
        fields.push_str(if fields.ends_with('{') || facts == "{}" { "" } else { "," });
        fields.push_str(&facts[1..]);
        fields.push_str(&format!(",\"as_of\":\"{}\"", iso_utc(now_ms)));
        if fields.len() > MAX_ANSWER_BYTES {
            let message = format!(
                "the answer has {} bytes, at most {MAX_ANSWER_BYTES} are pushed: ask for fewer rows or a longer interval",
                fields.len()
            );
            return Err(ApiError::new(axum::http::StatusCode::UNPROCESSABLE_ENTITY, "answer_too_large", message));
        }
        let held = memory.hold(fields.len())?;
        // One byte less: where the first object ends, the facts go on.
        Ok(Self { number: next_number(), fields, compared_bytes: compared_bytes - 1, is_error: false, _held: Some(held) })
    }

    pub(crate) fn error(error: &ApiError, request_id: &str, now_ms: TimestampMs) -> Self {
        let mut detail = json!({ "code": error.code, "message": error.message });
        if let Some(field) = &error.field {
            detail["field"] = json!(field);
        }
        let mut fields = format!("\"status\":{},\"error\":{detail}", error.status.as_u16());
        fields.pop();
        let compared_bytes = fields.len();
        fields.push_str(&format!(",\"request_id\":\"{request_id}\"}},\"as_of\":\"{}\"", iso_utc(now_ms)));
        Self { number: next_number(), fields, compared_bytes, is_error: true, _held: None }
    }

    /// Whether both say the same.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.is_error == other.is_error && self.fields[..self.compared_bytes] == other.fields[..other.compared_bytes]
    }
}

fn next_number() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}
