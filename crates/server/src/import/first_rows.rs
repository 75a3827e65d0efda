use anyhow::{Result, bail};
use event::{client_timestamp_from_number, parse_timestamp};
use serde_json::Value;

use super::Row;
use super::mapping::Mapping;
use crate::output;

/// Rows that are looked at before the first one is sent, and the bytes of theirs that are held meanwhile.
const ROWS: usize = 2_000;
const BYTES: usize = 32 << 20;
/// Columns that a message names.
const MAX_TOLD_COLUMNS: usize = 30;

/// Holds the first rows back until they show that the mapping fits the file.
pub(super) struct FirstRows<'m> {
    mapping: &'m Mapping,
    /// `None` once they have been looked at.
    held: Option<Vec<Row>>,
    bytes: usize,
}

impl<'m> FirstRows<'m> {
    pub(super) fn new(mapping: &'m Mapping) -> Self {
        Self { mapping, held: Some(Vec::new()), bytes: 0 }
    }

    /// Passes a row on, now or when the first ones are all here.
    ///
    /// # Errors
    /// What is wrong with the mapping; those of `next`.
    pub(super) fn take(&mut self, row: Row, next: &mut dyn FnMut(Row) -> Result<()>) -> Result<()> {
        let Some(held) = &mut self.held else { return next(row) };
        self.bytes += row.content.len();
        held.push(row);
        if held.len() < ROWS && self.bytes < BYTES { Ok(()) } else { self.finish(next) }
    }

    /// The file has no more rows.
    ///
    /// # Errors
    /// As for [`FirstRows::take`].
    pub(super) fn finish(&mut self, next: &mut dyn FnMut(Row) -> Result<()>) -> Result<()> {
        let held = self.held.take().unwrap_or_default();
        check(self.mapping, &held)?;
        held.into_iter().try_for_each(next)
    }
}

/// Looks for what is wrong in every one of the first rows; what is wrong in some of them, the server says row by row.
fn check(mapping: &Mapping, rows: &[Row]) -> Result<()> {
    let readable: Vec<&Row> = rows.iter().filter(|row| row.columns.is_ok()).collect();
    if readable.is_empty() {
        return Ok(());
    }
    let values = |field: &str| {
        let column = mapping.column(field);
        readable.iter().filter_map(move |row| row.columns.as_ref().ok()?.get(column)).filter(|value| !is_empty(value))
    };
    for (field, column) in mapping.renamed() {
        if !readable.iter().any(|row| row.columns.as_ref().is_ok_and(|columns| columns.contains_key(column))) {
            bail!(
                "--map {field}={column}: none of the first {} rows has a column {column:?}; there are {}",
                readable.len(),
                columns(&readable)
            );
        }
    }
    if values("name").next().is_none() {
        bail!(
            "none of the first {} rows has an event name in {:?}: say where it is with --map name=COLUMN; there are {}",
            readable.len(),
            mapping.column("name"),
            columns(&readable)
        );
    }
    let has_id = |row: &&&Row| {
        row.columns
            .as_ref()
            .is_ok_and(|columns| ["user_id", "anonymous_id"].iter().any(|field| columns.contains_key(mapping.column(field))))
    };
    if !readable.iter().any(|row| has_id(&row)) && !readable.iter().any(|row| mapping.is_own(row)) {
        bail!(
            "none of the first {} rows says whose event it is: say where that is with --map user_id=COLUMN or anonymous_id=COLUMN; there are {}",
            readable.len(),
            columns(&readable)
        );
    }
    match values("timestamp").next() {
        None => output::note("no row of the first has a timestamp: events without one get the time of the import (--map timestamp=COLUMN)"),
        Some(first) if values("timestamp").all(|value| !is_time(value)) => bail!(
            "{:?} is no time in any of the first {} rows, such as {first}: it takes ISO 8601, or Unix seconds, milliseconds or microseconds (--map timestamp=COLUMN)",
            mapping.column("timestamp"),
            readable.len()
        ),
        Some(_) => {}
    }
    Ok(())
}

fn is_empty(value: &Value) -> bool {
    value.is_null() || value.as_str().is_some_and(str::is_empty)
}

fn is_time(value: &Value) -> bool {
    let mut value = value.clone();
    super::mapping::with_zone(&mut value);
    match &value {
        Value::String(text) => parse_timestamp(text).is_ok(),
        Value::Number(number) => number.as_f64().and_then(client_timestamp_from_number).is_some(),
        _ => false,
    }
}

/// The columns of the rows, as a message tells them.
fn columns(rows: &[&Row]) -> String {
    let mut names: Vec<&str> = Vec::new();
    for name in rows.iter().filter_map(|row| row.columns.as_ref().ok()).flat_map(|columns| columns.keys()) {
        if names.len() < MAX_TOLD_COLUMNS && !names.contains(&name.as_str()) {
            names.push(name);
        }
    }
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// The message about a file of these rows, or how many were passed on.
    fn outcome(map: &str, rows: &[Value]) -> Result<usize, String> {
        let mapping: Mapping = map.parse().unwrap();
        let mut first_rows = FirstRows::new(&mapping);
        let mut passed = 0;
        let mut next = |_: Row| {
            passed += 1;
            Ok(())
        };
        let rows = rows.iter().map(|row| Row {
            place: 1,
            content: Vec::new(),
            columns: row.as_object().cloned().ok_or_else(|| "broken".to_owned()),
        });
        let taken = rows.into_iter().try_for_each(|row| first_rows.take(row, &mut next)).and_then(|()| first_rows.finish(&mut next));
        taken.map(|()| passed).map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_wrong_in_every_row_is_told_before_any_is_sent() {
        let row = json!({"type": "buy", "who": "u", "at": "2026-01-31 12:00:00"});
        let good = "name=type,user_id=who,timestamp=at";
        assert_eq!(outcome(good, &vec![row.clone(); 5_000]), Ok(5_000));
        for (map, hint) in [
            ("name=typ,user_id=who", "no column \"typ\"; there are type, who, at"),
            ("user_id=who", "--map name=COLUMN"),
            ("name=type", "--map user_id=COLUMN"),
            ("name=type,user_id=who,timestamp=type", "\"type\" is no time in any of the first 3 rows, such as \"buy\""),
        ] {
            let message = outcome(map, &vec![row.clone(); 3]).unwrap_err();
            let hint = hint.replace("no column", "a column");
            assert!(message.contains(&hint), "{map}: {message}");
        }
    }

    #[test]
    fn rows_that_are_wrong_by_themselves_are_left_to_the_server() {
        let rows = [
            json!([]),
            json!({"name": "a", "user_id": "u", "timestamp": "never"}),
            json!({"name": "a", "user_id": "u", "timestamp": 1_780_000_000}),
        ];
        assert_eq!(outcome("", &rows), Ok(3));
        assert_eq!(outcome("", &[json!([]), json!(7)]), Ok(2), "nothing can be said of rows that cannot be read");
        assert_eq!(outcome("", &[]), Ok(0));
        assert_eq!(outcome("", &[json!({"name": "a", "user_id": null})]), Ok(1), "an event without a person");
    }
}
