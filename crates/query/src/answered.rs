use std::ops::Index;
use std::sync::Arc;
use std::time::Instant;

use event_store::{MemoryBudget, QueryError};
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::{Map, Value};

use crate::cache::Answer;

const QUERY_TIME_MS: &str = "query_time_ms";
const CACHED: &str = "cached";

/// Memory of a query's budget that something takes up; given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Held {
    budget: MemoryBudget,
    bytes: usize,
}

impl Held {
    /// Takes `bytes`.
    ///
    /// # Errors
    /// As [`MemoryBudget::grow`].
    pub fn take(budget: &MemoryBudget, bytes: usize) -> Result<Self, QueryError> {
        // A refused amount is given back with the rest.
        let held = Self { budget: budget.clone(), bytes };
        budget.grow(bytes)?;
        Ok(held)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.budget.shrink(self.bytes);
    }
}

/// An answer as one caller gets it: what it says is shared with the cache and with other callers, its time is its own. It counts as
/// memory of its query until it is dropped. Written as JSON it is one object.
#[derive(Clone, Debug)]
pub struct Answered {
    answer: Answer,
    query_time_ms: Value,
    cached: Value,
    _held: Option<Arc<Held>>,
}

impl Answered {
    /// The answer to a question that was asked at `started`.
    pub(crate) fn new(answer: Answer, held: Option<Arc<Held>>, started: Instant, is_cached: bool) -> Self {
        let query_time_ms = Value::from(started.elapsed().as_millis() as u64);
        Self { answer, query_time_ms, cached: Value::from(is_cached), _held: held }
    }

    /// A field, unless it is missing.
    pub fn get(&self, field: &str) -> Option<&Value> {
        self.answer.get(field).map(|value| self.own(field, value))
    }

    /// All of it as one JSON object; a copy where it is shared.
    pub fn into_value(self) -> Value {
        let mut fields: Map<String, Value> = Arc::unwrap_or_clone(self.answer);
        fields.insert(QUERY_TIME_MS.to_owned(), self.query_time_ms);
        fields.insert(CACHED.to_owned(), self.cached);
        Value::Object(fields)
    }

    fn own<'a>(&'a self, field: &str, shared: &'a Value) -> &'a Value {
        match field {
            QUERY_TIME_MS => &self.query_time_ms,
            CACHED => &self.cached,
            _ => shared,
        }
    }
}

/// `null` for a missing field, as with [`Value`].
impl Index<&str> for Answered {
    type Output = Value;

    fn index(&self, field: &str) -> &Value {
        const NULL: &Value = &Value::Null;
        self.get(field).unwrap_or(NULL)
    }
}

impl Serialize for Answered {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.answer.len()))?;
        for (field, value) in self.answer.iter() {
            map.serialize_entry(field, self.own(field, value))?;
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;

    #[test]
    fn a_shared_answer_is_sent_with_its_own_time() {
        let shared: Answer = Arc::new(Map::from_iter([
            ("results".to_owned(), json!([1])),
            (QUERY_TIME_MS.to_owned(), json!(0)),
            (CACHED.to_owned(), json!(false)),
        ]));
        let asked = Instant::now().checked_sub(Duration::from_millis(20)).unwrap();
        let answered = Answered::new(Arc::clone(&shared), None, asked, true);
        assert_eq!((&answered["results"], &answered["cached"], &answered["missing"]), (&json!([1]), &json!(true), &Value::Null));
        let text = serde_json::to_string(&answered).unwrap();
        let value = answered.into_value();
        assert_eq!(text, value.to_string());
        assert!(value[QUERY_TIME_MS].as_u64().unwrap() >= 20);
        assert_eq!(shared[CACHED], json!(false));
    }

    #[test]
    fn memory_is_held_as_long_as_the_answer() {
        let budget = MemoryBudget::new(100);
        let held = Arc::new(Held::take(&budget, 60).unwrap());
        let answered = Answered::new(Arc::default(), Some(held), Instant::now(), false);
        assert!(Held::take(&budget, 60).is_err());
        drop(answered);
        assert!(Held::take(&budget, 100).is_ok());
    }
}
