//! A filter over event names alone, for tables that have nothing else.

use event_store::{Field, Filter, QueryError};

use super::comparison::Comparison;
use super::value::Scalar;

/// A prepared [`Filter`] that is asked about names instead of rows.
#[derive(Debug)]
pub(crate) enum NamePredicate {
    All(Vec<NamePredicate>),
    Any(Vec<NamePredicate>),
    Not(Box<NamePredicate>),
    Compare(Comparison),
}

impl NamePredicate {
    /// Prepares a filter.
    ///
    /// # Errors
    /// [`QueryError::Invalid`] for an invalid regular expression, and for a filter that looks at another field: the caller has made
    /// sure that it does not.
    pub(crate) fn new(filter: &Filter) -> Result<Self, QueryError> {
        let all = |filters: &[Filter]| filters.iter().map(Self::new).collect::<Result<Vec<_>, _>>();
        Ok(match filter {
            Filter::And(filters) => Self::All(all(filters)?),
            Filter::Or(filters) => Self::Any(all(filters)?),
            Filter::Not(inner) => Self::Not(Box::new(Self::new(inner)?)),
            Filter::Compare(Field::Event, op) => Self::Compare(Comparison::new(op)?),
            Filter::Compare(..) => {
                let message = "rollups are kept by event name alone".to_owned();
                return Err(QueryError::Invalid { field: "filters".to_owned(), message });
            }
        })
    }

    /// Whether an event of this name matches.
    pub(crate) fn holds(&self, name: &str) -> bool {
        match self {
            Self::All(parts) => parts.iter().all(|part| part.holds(name)),
            Self::Any(parts) => parts.iter().any(|part| part.holds(name)),
            Self::Not(inner) => !inner.holds(name),
            Self::Compare(comparison) => comparison.holds(Scalar::Str(name)),
        }
    }
}
