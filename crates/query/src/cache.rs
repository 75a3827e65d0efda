use std::sync::Arc;
use std::time::{Duration, Instant};

use quick_cache::Weighter;
use quick_cache::sync::Cache;
use serde_json::{Map, Value};

/// What is kept and shared: an answer without its time of answering.
pub(crate) type Answer = Arc<Map<String, Value>>;

/// Answers of the last few seconds, bounded in bytes.
pub(crate) struct ResultCache {
    answers: Cache<String, Kept, ByteWeighter>,
    ttl: Duration,
}

#[derive(Clone)]
struct Kept {
    answer: Answer,
    as_of: Instant,
    bytes: usize,
}

#[derive(Clone)]
struct ByteWeighter;

impl Weighter<String, Kept> for ByteWeighter {
    fn weight(&self, key: &String, kept: &Kept) -> u64 {
        (key.len() + kept.bytes) as u64
    }
}

impl ResultCache {
    /// Keeps at most `max_bytes` for `ttl` each.
    pub fn new(max_bytes: usize, ttl: Duration) -> Self {
        // A dashboard's answer is some kilobytes; the estimate only sizes the first allocation.
        const EXPECTED_ANSWER_BYTES: usize = 8 << 10;
        Self { answers: Cache::with_weighter(max_bytes / EXPECTED_ANSWER_BYTES + 1, max_bytes as u64, ByteWeighter), ttl }
    }

    /// The answer kept under `key`, unless it is too old at `now`.
    pub fn get(&self, key: &str, now: Instant) -> Option<Answer> {
        let kept = self.answers.get(key)?;
        if now.saturating_duration_since(kept.as_of) < self.ttl {
            return Some(kept.answer);
        }
        self.answers.remove(key);
        None
    }

    /// Keeps an answer that tells of what was visible at `as_of`: its time begins there, not when it was worked out.
    pub fn insert(&self, key: String, answer: Answer, as_of: Instant) {
        let bytes = answer_bytes(&answer);
        self.answers.insert(key, Kept { answer, as_of, bytes });
    }
}

/// Memory of one node of a JSON value, near enough for a bound.
pub(crate) const NODE_BYTES: usize = 80;

/// Memory of an answer.
pub(crate) fn answer_bytes(answer: &Map<String, Value>) -> usize {
    answer.iter().map(|(name, value)| name.len() + memory_bytes(value)).sum()
}

/// Memory of a JSON value.
fn memory_bytes(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => NODE_BYTES,
        Value::String(text) => NODE_BYTES + text.len(),
        Value::Array(items) => NODE_BYTES + items.iter().map(memory_bytes).sum::<usize>(),
        Value::Object(map) => NODE_BYTES + map.iter().map(|(name, value)| NODE_BYTES + name.len() + memory_bytes(value)).sum::<usize>(),
    }
}

/// The text of a request in which the order of an object's fields does not show: equal questions have equal texts.
pub fn canonical_text(value: &Value) -> String {
    let mut text = String::new();
    canonical(value, &mut text);
    text
}

/// As [`canonical_text`], written behind what there is.
pub(crate) fn canonical(value: &Value, out: &mut String) {
    match value {
        Value::Object(map) => {
            let mut fields: Vec<(&String, &Value)> = map.iter().collect();
            fields.sort_unstable_by_key(|(name, _)| *name);
            out.push('{');
            for (name, value) in fields {
                event::write_json_string(name, out);
                out.push(':');
                canonical(value, out);
                out.push(',');
            }
            out.push('}');
        }
        Value::Array(items) => {
            out.push('[');
            for item in items {
                canonical(item, out);
                out.push(',');
            }
            out.push(']');
        }
        Value::String(text) => event::write_json_string(text, out),
        Value::Null | Value::Bool(_) | Value::Number(_) => out.push_str(&value.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn answer(bytes: usize) -> Answer {
        Arc::new(Map::from_iter([("x".to_owned(), json!("x".repeat(bytes)))]))
    }

    #[test]
    fn an_answer_lives_for_its_time() {
        let cache = ResultCache::new(1 << 20, Duration::from_secs(5));
        let start = Instant::now();
        cache.insert("k".to_owned(), answer(1), start);
        assert!(cache.get("k", start + Duration::from_millis(4_999)).is_some());
        assert!(cache.get("k", start + Duration::from_secs(5)).is_none());
        assert!(cache.get("k", start).is_none());
    }

    #[test]
    fn memory_is_bounded() {
        let cache = ResultCache::new(1 << 20, Duration::from_secs(5));
        let now = Instant::now();
        for i in 0..1_000 {
            cache.insert(i.to_string(), answer(10_000), now);
        }
        assert!(cache.answers.weight() <= 1 << 20);
        let kept = (0..1_000).filter(|i| cache.get(&i.to_string(), now).is_some()).count();
        assert!((10..=104).contains(&kept), "{kept}");
        let none = ResultCache::new(0, Duration::from_secs(5));
        none.insert("k".to_owned(), answer(1), now);
        assert!(none.get("k", now).is_none());
    }

    #[test]
    fn field_order_does_not_matter_and_list_order_does() {
        let text = |value: Value| {
            let mut out = String::new();
            canonical(&value, &mut out);
            out
        };
        assert_eq!(text(json!({"a": {"c": 1, "d": null}, "b": "x\""})), text(json!({"b": "x\"", "a": {"d": null, "c": 1}})));
        assert_ne!(text(json!([1, 2])), text(json!([2, 1])));
        assert_ne!(text(json!({"a": "1"})), text(json!({"a": 1})));
    }
}
