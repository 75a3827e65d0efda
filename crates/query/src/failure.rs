use event_store::QueryError;
use sql::SqlError;
use thiserror::Error;

/// What the caller does about a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureKind {
    /// The request is wrong; sending it again gives the same answer.
    Invalid,
    /// The request is right and asks for more than a query may use; a smaller one will do.
    Limit,
    /// Too many queries are waiting; the same request may succeed in a second.
    Busy,
    /// The query was cancelled, because nobody waits for it any more or the program stops.
    Cancelled,
    /// The store failed; a human should look at the log.
    Internal,
}

/// Why a request has no answer, ready for the one error form of the API.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct QueryFailure {
    /// Stable and short, such as `invalid_filter`.
    pub code: &'static str,
    /// What is wrong, the limit where there is one, and the way out.
    pub message: String,
    /// The place in the request, such as `filters[0].op`.
    pub field: Option<String>,
    /// What the caller does about it.
    pub kind: FailureKind,
}

impl QueryFailure {
    pub(crate) fn invalid(code: &'static str, field: impl Into<String>, message: impl Into<String>) -> Self {
        let field: String = field.into();
        let field = (!field.is_empty()).then_some(field);
        Self { code, message: message.into(), field, kind: FailureKind::Invalid }
    }

    pub(crate) fn limit(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), field: None, kind: FailureKind::Limit }
    }

    pub(crate) fn busy(message: impl Into<String>) -> Self {
        Self { code: "busy", message: message.into(), field: None, kind: FailureKind::Busy }
    }

    pub(crate) fn cancelled() -> Self {
        QueryError::Cancelled.into()
    }

    pub(crate) fn internal(message: impl Into<String>) -> Self {
        Self { code: "internal", message: message.into(), field: None, kind: FailureKind::Internal }
    }
}

impl From<QueryError> for QueryFailure {
    fn from(error: QueryError) -> Self {
        let message = error.to_string();
        match error {
            QueryError::Timeout { .. } => Self::limit("query_time_limit", message),
            QueryError::Memory { .. } => Self::limit("query_memory_limit", message),
            QueryError::SharedMemory { .. } => Self { code: "all_queries_memory_limit", ..Self::busy(message) },
            QueryError::Groups { .. } => Self::limit("query_group_limit", message),
            QueryError::Cancelled => Self { code: "query_cancelled", message, field: None, kind: FailureKind::Cancelled },
            QueryError::Invalid { field, message } => Self::invalid("invalid_request", field, message),
            QueryError::Store(_) => Self::internal(message),
        }
    }
}

impl From<SqlError> for QueryFailure {
    fn from(error: SqlError) -> Self {
        const FIELD: &str = "sql";
        match error {
            SqlError::Invalid { code, message } => Self::invalid(code, FIELD, message),
            SqlError::Limit { code, message } => Self { field: Some(FIELD.to_owned()), ..Self::limit(code, message) },
            SqlError::Busy(message) => Self::busy(message),
            SqlError::Query(error) => error.into(),
            SqlError::Internal(message) => Self::internal(message),
        }
    }
}
