//! The names and types of stored columns: what a row of the event store looks like in memory and on disk.
//!
//! A property lives in the column of its type (`s:`, `n:`, `i:`, `b:` and the property's name) where that column exists in a part,
//! else in the row's [`OVERFLOW`] object. One row has a property in one place at most, so a reader looks into every column that
//! [`ColumnRequest::Property`] yields and takes the one that is not null.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, TimeUnit};

/// App, `Dictionary(Int32, Utf8)`, never null.
pub const APP: &str = "app";
/// Event name, `Dictionary(Int32, Utf8)`, never null.
pub const EVENT: &str = "event";
/// XXH3-64 of the person's id, `UInt64`; null for a system event. Nulls sort first.
pub const PERSON: &str = "person";
/// Corrected event time, `Timestamp(Millisecond, "UTC")`, never null.
pub const TIME: &str = "time";
/// The client's own timestamp, `Timestamp(Millisecond, "UTC")`; null where equal to `time`.
pub const CLIENT_TIME: &str = "client_time";
/// When the gateway received the request, `Timestamp(Millisecond, "UTC")`, never null.
pub const RECEIVED_AT: &str = "received_at";
/// The id as sent, `Utf8`, nullable.
pub const USER_ID: &str = "user_id";
/// The id as sent, `Utf8`, nullable.
pub const ANONYMOUS_ID: &str = "anonymous_id";
/// The dedupe key, `Utf8`, nullable.
pub const INSERT_ID: &str = "insert_id";
/// The client's session, `Utf8`, nullable.
pub const SESSION_ID: &str = "session_id";
/// JSON object of the properties that have no column in this part, `Utf8`, null where there are none. Each name appears once.
pub const OVERFLOW: &str = "$overflow";

/// The columns every part has, in the order they are stored.
pub const FIXED: [&str; 10] = [APP, EVENT, PERSON, TIME, CLIENT_TIME, RECEIVED_AT, USER_ID, ANONYMOUS_ID, INSERT_ID, SESSION_ID];

/// Most property columns of one part; the less frequent ones are in [`OVERFLOW`].
pub const MAX_PROPERTY_COLUMNS: usize = 256;
/// A `(name, type)` pair becomes a column of a part when at least one in this many rows has it.
pub const COLUMN_PER_ROWS: u64 = 1_000;
/// Most names a part lists as being in [`OVERFLOW`]; beyond, any name may be there.
pub const MAX_OVERFLOW_NAMES: usize = 10_000;
/// Integers up to this magnitude are stored as `Float64`, where every one of them is exact.
pub const MAX_EXACT_FLOAT: i64 = 1 << 53;

/// The type of a property column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PropertyKind {
    /// `s:`, `Dictionary(Int32, Utf8)`.
    Text,
    /// `n:`, `Float64`: floats, and integers up to 2^53.
    Number,
    /// `i:`, `Int64`: integers beyond 2^53.
    BigInt,
    /// `b:`, `Boolean`.
    Bool,
}

impl PropertyKind {
    /// Every kind, in column order.
    pub const ALL: [Self; 4] = [Self::Text, Self::Number, Self::BigInt, Self::Bool];

    /// What a column's name begins with.
    pub fn prefix(self) -> &'static str {
        match self {
            Self::Text => "s:",
            Self::Number => "n:",
            Self::BigInt => "i:",
            Self::Bool => "b:",
        }
    }

    /// The Arrow type of such a column.
    pub fn data_type(self) -> DataType {
        match self {
            Self::Text => text_type(),
            Self::Number => DataType::Float64,
            Self::BigInt => DataType::Int64,
            Self::Bool => DataType::Boolean,
        }
    }
}

/// The column of a property of this kind.
pub fn property_column(kind: PropertyKind, name: &str) -> String {
    [kind.prefix(), name].concat()
}

/// The kind and the property's name of a column, `None` for a fixed column or the overflow.
pub fn parse_property_column(column: &str) -> Option<(PropertyKind, &str)> {
    PropertyKind::ALL.into_iter().find_map(|kind| column.strip_prefix(kind.prefix()).map(|name| (kind, name)))
}

/// The type of dictionary-encoded text.
pub fn text_type() -> DataType {
    DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8))
}

/// The type of a time column.
pub fn time_type() -> DataType {
    DataType::Timestamp(TimeUnit::Millisecond, Some(Arc::from("UTC")))
}

/// The field of a column by its name.
pub fn field(column: &str) -> FieldRef {
    let (data_type, nullable) = match column {
        APP | EVENT => (text_type(), false),
        PERSON => (DataType::UInt64, true),
        TIME | RECEIVED_AT => (time_type(), false),
        CLIENT_TIME => (time_type(), true),
        other => (parse_property_column(other).map_or(DataType::Utf8, |(kind, _)| kind.data_type()), true),
    };
    Arc::new(Field::new(column, data_type, nullable))
}

/// What a scan reads.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ColumnRequest {
    /// One of [`FIXED`].
    Fixed(&'static str),
    /// A property: all of its columns that the part has, and [`OVERFLOW`] where the part may have the property there.
    Property(String),
    /// All property columns and [`OVERFLOW`].
    AllProperties,
}

/// Which property names the overflow of a part may hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OverflowNames {
    /// These, ascending; none means that the part has no overflow.
    Listed(Vec<String>),
    /// More than [`MAX_OVERFLOW_NAMES`].
    Any,
}

impl OverflowNames {
    /// Whether a reader of this property has to look into the overflow.
    pub fn may_hold(&self, name: &str) -> bool {
        match self {
            Self::Listed(names) => names.binary_search_by(|n| n.as_str().cmp(name)).is_ok(),
            Self::Any => true,
        }
    }

    /// True when no row of the part has an overflow.
    pub fn is_empty(&self) -> bool {
        matches!(self, Self::Listed(names) if names.is_empty())
    }
}

/// The stored columns that a request yields in a part with these columns, in stored order, each once.
pub fn resolve(requests: &[ColumnRequest], stored: &[FieldRef], overflow: &OverflowNames) -> Vec<usize> {
    let wanted = |column: &str| {
        requests.iter().any(|request| match request {
            ColumnRequest::Fixed(name) => column == *name,
            ColumnRequest::Property(name) if column == OVERFLOW => overflow.may_hold(name),
            ColumnRequest::Property(name) => parse_property_column(column).is_some_and(|(_, property)| property == name),
            ColumnRequest::AllProperties => column == OVERFLOW || parse_property_column(column).is_some(),
        })
    };
    (0..stored.len()).filter(|&i| wanted(stored[i].name())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_property_named_like_a_column_stays_itself() {
        for name in ["app", "s:app", "$overflow", "", "a.b", "n:"] {
            for kind in PropertyKind::ALL {
                assert_eq!(parse_property_column(&property_column(kind, name)), Some((kind, name)));
            }
        }
        assert_eq!(FIXED.into_iter().find_map(parse_property_column), None);
        assert_eq!(parse_property_column(OVERFLOW), None);
    }

    #[test]
    fn overflow_is_read_only_where_the_property_may_be() {
        let stored: Vec<FieldRef> = [APP, "s:a", "n:a", "s:ab", OVERFLOW].into_iter().map(field).collect();
        let listed = OverflowNames::Listed(vec!["b".into()]);
        let columns = |request, names: &OverflowNames| resolve(&[request], &stored, names);
        assert_eq!(columns(ColumnRequest::Property("a".into()), &listed), [1, 2]);
        assert_eq!(columns(ColumnRequest::Property("b".into()), &listed), [4]);
        assert_eq!(columns(ColumnRequest::Property("a".into()), &OverflowNames::Any), [1, 2, 4]);
        assert_eq!(columns(ColumnRequest::AllProperties, &listed), [1, 2, 3, 4]);
        assert_eq!(columns(ColumnRequest::Fixed(APP), &listed), [0]);
    }
}
