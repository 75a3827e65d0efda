use std::str::FromStr;

use event::{TimeError, parse_timestamp};
use serde_json::{Map, Value};
use xxhash_rust::xxh3::xxh3_128;

use super::Row;

const FIELDS: [&str; 7] = ["name", "user_id", "anonymous_id", "timestamp", "insert_id", "session_id", "properties"];

/// Which column holds which field of an event.
#[derive(Clone, Debug)]
pub(super) struct Mapping {
    /// The column of each of [`FIELDS`].
    columns: [String; FIELDS.len()],
}

impl FromStr for Mapping {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut columns = FIELDS.map(str::to_owned);
        for pair in text.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
            let (field, column) = pair.split_once('=').ok_or_else(|| format!("{pair:?} is not FIELD=COLUMN"))?;
            let index = FIELDS.iter().position(|known| *known == field.trim());
            let index = index.ok_or_else(|| format!("{field:?} is not a field: use one of {}", FIELDS.join(", ")))?;
            column.trim().clone_into(&mut columns[index]);
        }
        Ok(Self { columns })
    }
}

/// What an export tells of an event beside the fields of the batch call. A row that has both is one of ours: they say when this
/// event was received then, which is no property of it.
pub(super) const OF_EXPORTS: [&str; 2] = ["client_timestamp", "received_at"];

impl Mapping {
    /// The column of one of [`FIELDS`].
    pub(super) fn column(&self, field: &str) -> &str {
        FIELDS.iter().position(|known| *known == field).map_or("", |index| &self.columns[index])
    }

    /// The fields that are read from another column than that of their name.
    pub(super) fn renamed(&self) -> impl Iterator<Item = (&'static str, &str)> {
        FIELDS.into_iter().zip(&self.columns).filter(|(field, column)| field != column).map(|(field, column)| (field, column.as_str()))
    }

    /// Whether an export wrote the row.
    pub(super) fn is_own(&self, row: &Row) -> bool {
        row.columns.as_ref().is_ok_and(|columns| self.is_of_export(columns))
    }

    fn is_of_export(&self, columns: &Map<String, Value>) -> bool {
        self.renamed().next().is_none() && OF_EXPORTS.iter().all(|column| columns.contains_key(*column))
    }

    /// The row as an event of the batch call.
    pub(super) fn event(&self, row: Row) -> Result<Value, String> {
        let Row { place, content, columns: source } = row;
        let mut source = source?;
        if self.is_of_export(&source) {
            as_batch_event(&mut source)?;
        }
        let mut event = Map::new();
        for (field, column) in FIELDS.into_iter().zip(&self.columns) {
            if let Some(value) = source.shift_remove(column) {
                event.insert(field.to_owned(), value);
            }
        }
        for field in ["name", "user_id", "anonymous_id", "insert_id", "session_id"] {
            text_field(&mut event, field);
        }
        // An empty user id means an event without a person; where the file has no such column, the server asks for one.
        if event.get("user_id").is_some_and(Value::is_null) && event.contains_key("anonymous_id") {
            event.shift_remove("user_id");
        }
        if event.get("anonymous_id").is_some_and(Value::is_null) {
            event.shift_remove("anonymous_id");
            event.entry("user_id").or_insert(Value::Null);
        }
        for optional in ["insert_id", "session_id"] {
            if event.get(optional).is_some_and(Value::is_null) {
                event.shift_remove(optional);
            }
        }
        if let Some(time) = event.get_mut("timestamp") {
            if time.is_null() {
                // The server would take it for an event of this moment, which no event of a file is.
                return Err("the timestamp is empty".to_owned());
            }
            with_zone(time);
        }
        event.entry("insert_id").or_insert_with(|| Value::String(derived_insert_id(place, &content)));
        add_properties(&mut event, source);
        Ok(Value::Object(event))
    }
}

/// Takes from a row of an export what the batch call does not take. In a table `properties` is JSON text, and no id means no person.
fn as_batch_event(row: &mut Map<String, Value>) -> Result<(), String> {
    OF_EXPORTS.iter().for_each(|column| drop(row.shift_remove(*column)));
    if let Some(Value::String(text)) = row.get("properties").filter(|value| **value != "") {
        let properties: Value = serde_json::from_str(text).map_err(|error| format!("properties is not JSON: {error}"))?;
        row.insert("properties".to_owned(), properties);
    } else if row.get("properties").is_some_and(|value| *value == "") {
        row.shift_remove("properties");
    }
    let has_id = |field: &str| row.get(field).is_some_and(|id| !id.is_null());
    if !has_id("user_id") && !has_id("anonymous_id") {
        row.insert("user_id".to_owned(), Value::Null);
    }
    Ok(())
}

/// Ids and names are text, also where a file has numbers; empty text is as good as null.
fn text_field(event: &mut Map<String, Value>, field: &str) {
    if let Some(value) = event.get_mut(field) {
        match value {
            Value::Number(number) => *value = Value::String(number.to_string()),
            Value::String(text) if text.is_empty() => *value = Value::Null,
            _ => {}
        }
    }
}

/// Times without a zone count as UTC; a CSV's numbers are numbers.
pub(super) fn with_zone(time: &mut Value) {
    let Value::String(text) = time else { return };
    if let Ok(number) = text.parse::<serde_json::Number>() {
        *time = Value::Number(number);
    } else if parse_timestamp(text) == Err(TimeError::MissingZone) {
        text.push('Z');
    } else if parse_timestamp(&format!("{text}T00:00:00Z")).is_ok() {
        text.push_str("T00:00:00Z");
    }
}

/// Everything that is no field is a property, beside those that are already given as an object.
fn add_properties(event: &mut Map<String, Value>, rest: Map<String, Value>) {
    let rest = rest.into_iter().filter(|(_, value)| !value.is_null());
    match event.get_mut("properties") {
        Some(Value::Object(properties)) => rest.for_each(|(key, value)| {
            properties.entry(key).or_insert(value);
        }),
        // Left as it is: the server says what is wrong with it.
        Some(other) if !other.is_null() => {}
        _ => {
            event.insert("properties".to_owned(), rest.collect());
        }
    }
}

/// The same row at the same place gives the same id, so that importing a file again, or a longer version of it, doubles nothing.
fn derived_insert_id(place: u64, content: &[u8]) -> String {
    let keyed = [place.to_le_bytes().as_slice(), content].concat();
    format!("import-{:032x}", xxh3_128(&keyed))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn event(map: &str, columns: Value) -> Value {
        let Value::Object(columns) = columns else { panic!("an object") };
        let mut event = map.parse::<Mapping>().unwrap().event(Row { place: 1, content: b"x".to_vec(), columns: Ok(columns) }).unwrap();
        let id = event["insert_id"].as_str().unwrap().to_owned();
        if id.starts_with("import-") {
            assert_eq!(id.len(), 39);
            event.as_object_mut().unwrap().shift_remove("insert_id");
        }
        event
    }

    #[test]
    fn fields_are_found_and_the_rest_is_properties() {
        let columns = json!({"type": "buy", "uid": 17850, "ts": "2011-12-01 08:26:00", "id": "e1", "price": 2.5, "note": "", "gone": null});
        assert_eq!(
            event("name=type, user_id=uid,timestamp=ts,insert_id=id", columns),
            json!({"name": "buy", "user_id": "17850", "timestamp": "2011-12-01 08:26:00Z", "insert_id": "e1", "properties": {"price": 2.5, "note": ""}})
        );
        let columns = json!({"name": "a", "user_id": "u", "properties": {"x": 1}, "x": 2, "y": null});
        assert_eq!(event("", columns), json!({"name": "a", "user_id": "u", "properties": {"x": 1}}));
    }

    #[test]
    fn events_without_a_person() {
        let ids = |columns: Value| {
            let event = event("", columns);
            (event.get("user_id").cloned(), event.get("anonymous_id").cloned())
        };
        assert_eq!(ids(json!({"user_id": ""})), (Some(Value::Null), None));
        assert_eq!(ids(json!({"user_id": "", "anonymous_id": "a"})), (None, Some(json!("a"))));
        assert_eq!(ids(json!({"user_id": "u", "anonymous_id": ""})), (Some(json!("u")), None));
        assert_eq!(ids(json!({"user_id": "", "anonymous_id": ""})), (Some(Value::Null), None));
        assert_eq!(ids(json!({})), (None, None), "a file without ids is refused by the server, not guessed at");
    }

    #[test]
    fn rows_of_an_export_are_the_events_they_tell() {
        let told = json!({"client_timestamp": 1, "received_at": 2, "name": "a", "user_id": "u"});
        let row = |more: Value| {
            let mut row = told.clone();
            row.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            row
        };
        let plain = json!({"name": "a", "user_id": "u", "properties": {"x": 1, "y": 2}});
        assert_eq!(event("", row(json!({"properties": {"x": 1, "y": 2}}))), plain);
        assert_eq!(event("", row(json!({"properties": "{\"x\":1}", "y": 2}))), plain, "a table with a column for y");
        assert_eq!(event("", row(json!({"properties": "", "user_id": ""}))), json!({"name": "a", "user_id": null, "properties": {}}));
        assert_eq!(
            event("", json!({"name": "a", "user_id": "u", "received_at": "noon"})),
            json!({"name": "a", "user_id": "u", "properties": {"received_at": "noon"}}),
            "a column of somebody else's"
        );
    }

    #[test]
    fn times() {
        let time = |value: Value| event("", json!({ "timestamp": value }))["timestamp"].clone();
        assert_eq!(time(json!("2026-01-31")), json!("2026-01-31T00:00:00Z"));
        assert_eq!(time(json!("2026-01-31T12:00:00+02:00")), json!("2026-01-31T12:00:00+02:00"));
        assert_eq!(time(json!("1780000000")), json!(1_780_000_000));
        assert_eq!(time(json!("yesterday")), json!("yesterday"));
        let columns = json!({"name": "a", "user_id": "u", "timestamp": null}).as_object().cloned().unwrap();
        let row = Row { place: 1, content: Vec::new(), columns: Ok(columns) };
        assert_eq!("".parse::<Mapping>().unwrap().event(row).unwrap_err(), "the timestamp is empty");
    }

    #[test]
    fn derived_ids_depend_on_place_and_content() {
        let ids = [derived_insert_id(1, b"a"), derived_insert_id(2, b"a"), derived_insert_id(1, b"b")];
        assert!(ids[0] != ids[1] && ids[0] != ids[2] && ids[1] != ids[2]);
        assert_eq!(ids[0], derived_insert_id(1, b"a"));
    }

    #[test]
    fn unknown_fields_are_refused() {
        assert!("event=type".parse::<Mapping>().unwrap_err().contains("use one of name"));
        assert!("name".parse::<Mapping>().is_err());
    }
}
