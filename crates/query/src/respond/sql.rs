use serde_json::{Map, Value, json};
use sql::SqlAnswer;

use super::frame;

/// The answer to a statement: columns, and a list of values a row, since two columns may have one name.
pub(crate) fn sql_answer(answer: SqlAnswer) -> Map<String, Value> {
    let columns: Vec<Value> = answer.columns.iter().map(|column| json!({"name": column.name, "type": column.kind})).collect();
    let rows = Value::Array(answer.rows.into_iter().map(Value::Array).collect());
    let mut fields = Map::new();
    fields.insert("columns".to_owned(), Value::Array(columns));
    fields.append(&mut frame("rows", rows, true, &answer.stats));
    fields
}
