use datafusion::common::{DataFusionError, SchemaError};
use event_store::QueryError;
use thiserror::Error;

use crate::statement::{nearest, shown_property};

/// Why a statement has no answer.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SqlError {
    /// The statement is wrong; sending it again gives the same answer.
    #[error("{message}")]
    Invalid {
        /// Stable and short, such as `invalid_sql`.
        code: &'static str,
        /// What is wrong and the way out.
        message: String,
    },
    /// The statement is right and asks for more than it may.
    #[error("{message}")]
    Limit {
        /// Stable and short, such as `sql_row_limit`.
        code: &'static str,
        /// The limit and the way out.
        message: String,
    },
    /// Not now; in a second perhaps.
    #[error("{0}")]
    Busy(String),
    /// What every question can run into.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// A defect; the text is for the log.
    #[error("{0}")]
    Internal(String),
}

impl SqlError {
    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::Invalid { code: "invalid_sql", message: message.into() }
    }

    pub(crate) fn refused(message: impl Into<String>) -> Self {
        Self::Invalid { code: "sql_not_allowed", message: message.into() }
    }

    pub(crate) fn too_large(message: impl Into<String>) -> Self {
        Self::Invalid { code: "sql_too_large", message: message.into() }
    }
}

/// What an error of DataFusion means to whoever wrote the statement.
pub(crate) fn from_datafusion(error: &DataFusionError) -> SqlError {
    if let Some(query) = find_query_error(error) {
        return SqlError::Query(query);
    }
    match error.find_root() {
        DataFusionError::SchemaError(schema, _) => SqlError::invalid(schema_message(schema)),
        DataFusionError::Plan(message) | DataFusionError::NotImplemented(message) | DataFusionError::Execution(message) => {
            SqlError::invalid(cleaned(message))
        }
        DataFusionError::ArrowError(arrow, _) => SqlError::invalid(cleaned(&arrow.to_string())),
        DataFusionError::ResourcesExhausted(message) => SqlError::Limit { code: "query_memory_limit", message: cleaned(message) },
        DataFusionError::Diagnostic(_, inner) => from_datafusion(inner),
        DataFusionError::Collection(errors) if !errors.is_empty() => from_datafusion(&errors[0]),
        other => match other.to_string() {
            pattern if pattern.contains("Regular expression did not compile") => {
                SqlError::invalid("the pattern is no regular expression, or too large a one: make it simpler")
            }
            defect => SqlError::Internal(defect),
        },
    }
}

fn find_query_error(error: &DataFusionError) -> Option<QueryError> {
    match error.find_root() {
        DataFusionError::External(source) => source.downcast_ref::<QueryError>().cloned(),
        DataFusionError::Collection(errors) => errors.iter().find_map(find_query_error),
        _ => None,
    }
}

fn schema_message(error: &SchemaError) -> String {
    match error {
        SchemaError::FieldNotFound { field, valid_fields } => {
            if let Some(property) = shown_property(&field.name) {
                return format!(
                    "{property} can be read where events or persons are in FROM: in a subquery select it with a name, {property} AS name"
                );
            }
            if let Some(table) = &field.relation
                && !valid_fields.iter().any(|known| known.relation.as_ref() == Some(table))
            {
                return format!("there is no column {table}.{}: no table in FROM is named {table}", field.name);
            }
            let mut known: Vec<&str> = valid_fields.iter().map(|field| field.name.as_str()).collect();
            known.retain(|name| shown_property(name).is_none());
            known.dedup();
            let hint = match nearest(&field.name, known.iter().copied()) {
                Some(near) => format!("did you mean {near}?"),
                None if known.is_empty() => "there are no columns here: add FROM events".to_owned(),
                None => format!("columns here are {}; a property is read as properties['{}']", known.join(", "), field.name),
            };
            format!("there is no column {}: {hint}", field.name)
        }
        SchemaError::AmbiguousReference { field } => {
            let name = shown_property(&field.name).unwrap_or_else(|| field.name.clone());
            format!("{name} could be a column of several tables: write the table's name before it, such as e.{name}")
        }
        SchemaError::DuplicateQualifiedField { name, .. } | SchemaError::DuplicateUnqualifiedField { name } => {
            let name = shown_property(name).unwrap_or_else(|| name.clone());
            format!("two columns are named {name}: give one another name with AS")
        }
    }
}

/// A message without what only developers of the engine understand.
fn cleaned(message: &str) -> String {
    const MAX_CHARS: usize = 500;
    let message = message.split("\n\nbacktrace:").next().unwrap_or_default();
    // Between two marks is how a property is read, after them its name.
    let pieces = message.split('\u{1}').enumerate().map(|(i, piece)| if i % 2 == 1 { "properties." } else { piece });
    let mut text: String = pieces.collect();
    text.truncate(text.find("\n\tCandidate functions").unwrap_or(text.len()));
    for (inner, word) in [
        ("Error during planning: ", ""),
        ("Execution error: ", ""),
        ("Arrow error: ", ""),
        ("Cast error: ", ""),
        ("Divide by zero error", "division by zero: NULLIF(x, 0) as the divisor makes the result NULL"),
        ("This feature is not implemented: ", "not available: "),
        ("DataFusion", "SQL"),
        ("Utf8View", "text"),
        ("LargeUtf8", "text"),
        ("Utf8", "text"),
        ("Float64", "number"),
        ("Int64", "integer"),
    ] {
        text = text.replace(inner, word);
    }
    if text.chars().count() > MAX_CHARS {
        text = text.chars().take(MAX_CHARS).chain(['…']).collect();
    }
    text
}
