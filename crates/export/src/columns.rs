use event_store::PropertyInfo;
use rustc_hash::{FxHashMap, FxHashSet};

use crate::members::JsonKind;

/// Most properties that have a column of their own; the others are in the column `properties`.
pub const MAX_PROPERTY_COLUMNS: usize = 100;

/// The columns every file has before those of properties; `properties` is the last one.
pub(crate) const FIXED: [&str; 8] =
    ["name", "timestamp", "user_id", "anonymous_id", "session_id", "insert_id", "client_timestamp", "received_at"];
pub(crate) const PROPERTIES: &str = "properties";

/// The type of a property column where a file has types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ColumnKind {
    Text,
    Number,
    Boolean,
}

/// Which properties become columns of a table, most frequent first. Invariant: names differ from each other and from the fixed
/// columns also where case is ignored, as many tools do.
#[derive(Clone, Debug, Default)]
pub struct PropertyColumns {
    pub(crate) columns: Vec<(String, ColumnKind)>,
    by_name: FxHashMap<String, usize>,
}

impl PropertyColumns {
    /// The first [`MAX_PROPERTY_COLUMNS`] of an app's properties, which come most frequent first, that can be columns. The type is
    /// that of the only kind of values seen, else of the most frequent value.
    pub fn of(properties: &[PropertyInfo]) -> Self {
        let mut taken: FxHashSet<String> = FIXED.into_iter().chain([PROPERTIES]).map(str::to_owned).collect();
        let columns = properties.iter().filter_map(|property| {
            let kind = column_kind(property)?;
            taken.insert(property.name.to_lowercase()).then(|| (property.name.clone(), kind))
        });
        let columns: Vec<(String, ColumnKind)> = columns.take(MAX_PROPERTY_COLUMNS).collect();
        let by_name = columns.iter().enumerate().map(|(index, (name, _))| (name.clone(), index)).collect();
        Self { columns, by_name }
    }

    /// The column of a property.
    pub(crate) fn index_of(&self, name: &str) -> Option<usize> {
        self.by_name.get(name).copied()
    }
}

fn column_kind(property: &PropertyInfo) -> Option<ColumnKind> {
    let of_type = |kind: &str| match kind {
        "string" | "timestamp" => Some(ColumnKind::Text),
        "number" => Some(ColumnKind::Number),
        "boolean" => Some(ColumnKind::Boolean),
        _ => None,
    };
    let mut kinds: Vec<Option<ColumnKind>> = property.types.iter().map(|kind| of_type(kind)).collect();
    kinds.dedup();
    match kinds[..] {
        [only] => only,
        _ => match JsonKind::of(property.sample_values.first()?)? {
            JsonKind::Text => Some(ColumnKind::Text),
            JsonKind::Number => Some(ColumnKind::Number),
            JsonKind::Boolean => Some(ColumnKind::Boolean),
            JsonKind::Nested => None,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn property(name: &str, types: &[&'static str], sample: &str) -> PropertyInfo {
        PropertyInfo { name: name.into(), types: types.to_vec(), events: 1, sample_values: vec![sample.into()] }
    }

    #[test]
    fn columns_have_one_name_and_one_type_each() {
        let properties = [
            property("price", &["number"], "1"),
            property("Name", &["string"], "\"x\""),
            property("plan", &["string", "timestamp"], "\"x\""),
            property("PLAN", &["string"], "\"x\""),
            property("mixed", &["number", "string"], "2"),
            property("list", &["list"], "[1]"),
            property("ok", &["boolean"], "true"),
            property("properties", &["boolean"], "true"),
        ];
        let columns = PropertyColumns::of(&properties);
        let expected = [
            ("price".to_owned(), ColumnKind::Number),
            ("plan".to_owned(), ColumnKind::Text),
            ("mixed".to_owned(), ColumnKind::Number),
            ("ok".to_owned(), ColumnKind::Boolean),
        ];
        assert_eq!(columns.columns, expected);
        assert_eq!((columns.index_of("mixed"), columns.index_of("PLAN")), (Some(2), None));
        let many: Vec<PropertyInfo> = (0..300).map(|n| property(&format!("p{n}"), &["number"], "1")).collect();
        assert_eq!(PropertyColumns::of(&many).columns.len(), MAX_PROPERTY_COLUMNS);
    }
}
