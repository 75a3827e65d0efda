use super::question::own_app;
use crate::failure::QueryFailure;
use crate::node::Node;
use crate::options::AppSettings;

/// Nothing of other questions: what they say beside it, a statement says itself.
const FIELDS: [&str; 2] = ["sql", "app_id"];

/// Reads a request for SQL: the statement. What it says is for the engine to check.
pub(crate) fn read_sql(value: &serde_json::Value, app: &AppSettings) -> Result<String, QueryFailure> {
    let object = Node::root(value).object(&FIELDS)?;
    own_app(&object, app)?;
    let statement = object.required("sql", "one SELECT, such as \"SELECT event, count(*) FROM events GROUP BY event\"")?;
    let text = statement.text("a statement")?;
    if text.len() > sql::MAX_STATEMENT_BYTES {
        let (bytes, limit) = (text.len(), sql::MAX_STATEMENT_BYTES);
        return Err(QueryFailure::invalid("sql_too_large", "sql", format!("the statement has {bytes} bytes, at most {limit} are allowed")));
    }
    Ok(text.to_owned())
}
