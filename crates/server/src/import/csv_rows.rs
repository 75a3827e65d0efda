use std::io::Read;

use anyhow::{Context, Result, bail};
use csv::{Reader, ReaderBuilder, StringRecord};
use serde_json::{Map, Number, Value};

use super::Row;
use super::mapping::OF_EXPORTS;

/// What all values of a column are, so that a column of product codes stays text although some of them look like numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ColumnType {
    Number,
    Boolean,
    Text,
}

/// Reads the whole text once to tell the type of each column; empty values say nothing.
pub(super) fn column_types(text: impl Read) -> Result<Vec<ColumnType>> {
    let mut reader = reader(text);
    let columns = reader.headers().context("the file has no CSV header line")?.len();
    let mut could_be = vec![(true, true, false); columns];
    let mut record = StringRecord::new();
    loop {
        match reader.read_record(&mut record) {
            Ok(false) => break,
            Ok(true) => {}
            // The second reading names the row.
            Err(error) if !matches!(error.kind(), csv::ErrorKind::Io(_)) => continue,
            Err(error) => return Err(error).context("the file cannot be read"),
        }
        for (seen, value) in could_be.iter_mut().zip(&record).filter(|(_, value)| !value.is_empty()) {
            seen.0 &= number(value).is_some();
            seen.1 &= boolean(value).is_some();
            seen.2 = true;
        }
    }
    let type_of = |(number, boolean, any): (bool, bool, bool)| match (any, number, boolean) {
        (true, true, _) => ColumnType::Number,
        (true, _, true) => ColumnType::Boolean,
        _ => ColumnType::Text,
    };
    Ok(could_be.into_iter().map(type_of).collect())
}

/// Reads the rows; an empty value is as good as none.
pub(super) fn read(text: impl Read, types: &[ColumnType], take: &mut dyn FnMut(Row) -> Result<()>) -> Result<()> {
    let mut reader = reader(text);
    let header = reader.headers().context("the file has no CSV header line")?.clone();
    if header.len() != types.len() {
        bail!("the file changed while it was read");
    }
    // An export puts a ' before text that a spreadsheet would run, and before text that begins with one.
    let is_marked = OF_EXPORTS.iter().all(|column| header.iter().any(|name| name == *column));
    let mut record = StringRecord::new();
    loop {
        let (content, columns) = match reader.read_record(&mut record) {
            Ok(false) => break,
            Ok(true) => {
                let cells = header.iter().zip(&record).zip(types);
                let unmark: fn(&str) -> &str = if is_marked { unmarked } else { |text| text };
                let columns: Map<String, Value> =
                    cells.map(|((name, text), kind)| (unmark(name).to_owned(), value(unmark(text), *kind))).collect();
                // A byte that no text has keeps `a,b` and `ab` apart.
                let content = record.iter().flat_map(|field| field.bytes().chain([0xff])).collect();
                let columns = if record.len() == header.len() { Ok(columns) } else { Err(uneven(record.len(), header.len())) };
                (content, columns)
            }
            Err(error) if !matches!(error.kind(), csv::ErrorKind::Io(_)) => (Vec::new(), Err(error.to_string())),
            Err(error) => return Err(error).context("the file cannot be read"),
        };
        let place = record.position().map_or(0, csv::Position::line);
        take(Row { place, content, columns })?;
    }
    Ok(())
}

/// Text as it was before an export put a `'` in front.
fn unmarked(text: &str) -> &str {
    text.strip_prefix('\'').unwrap_or(text)
}

fn reader<R: Read>(text: R) -> Reader<R> {
    ReaderBuilder::new().flexible(true).from_reader(text)
}

fn uneven(fields: usize, columns: usize) -> String {
    format!("the row has {fields} fields, the header {columns}")
}

/// An empty cell is no value: CSV has no way to tell it from empty text.
fn value(text: &str, kind: ColumnType) -> Value {
    if text.is_empty() {
        return Value::Null;
    }
    let typed = match kind {
        ColumnType::Number => number(text).map(Value::Number),
        ColumnType::Boolean => boolean(text).map(Value::Bool),
        ColumnType::Text => None,
    };
    typed.unwrap_or_else(|| Value::String(text.to_owned()))
}

/// A number that is written as one: `007`, `+1`, `1e5` and `0x1f` are codes, and stay text.
fn number(text: &str) -> Option<Number> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = digits.split_once('.').map_or((digits, None), |(whole, fraction)| (whole, Some(fraction)));
    let all_digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let plain = all_digits(whole) && fraction.is_none_or(all_digits) && (whole == "0" || !whole.starts_with('0'));
    let number: Number = if plain { serde_json::from_str(text).ok()? } else { return None };
    // A longer integer would lose digits as a float.
    (fraction.is_some() || number.is_i64() || number.is_u64()).then_some(number)
}

fn boolean(text: &str) -> Option<bool> {
    match text {
        "true" | "True" | "TRUE" => Some(true),
        "false" | "False" | "FALSE" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn rows(text: &str) -> Vec<(u64, Result<Value, String>)> {
        let types = column_types(text.as_bytes()).unwrap();
        let mut rows = Vec::new();
        read(text.as_bytes(), &types, &mut |row| {
            rows.push((row.place, row.columns.map(Value::Object)));
            Ok(())
        })
        .unwrap();
        rows
    }

    #[test]
    fn a_column_has_one_type() {
        let text = "name,code,price,ok,note\nbuy,22423,1.50,true,\nbuy,85123A,-2,FALSE,\"a, \"\"b\"\"\nc\"\nbuy,,,,\n";
        let rows = rows(text);
        assert_eq!(rows[0], (2, Ok(json!({"name": "buy", "code": "22423", "price": 1.5, "ok": true, "note": null}))));
        assert_eq!(rows[1], (3, Ok(json!({"name": "buy", "code": "85123A", "price": -2, "ok": false, "note": "a, \"b\"\nc"}))));
        assert_eq!(rows[2], (5, Ok(json!({"name": "buy", "code": null, "price": null, "ok": null, "note": null}))));
    }

    #[test]
    fn marks_of_an_export_are_taken_away_and_others_are_not() {
        let marked = rows("name,client_timestamp,received_at,'=x\n'=1,1,1,''y\n");
        assert_eq!(marked[0].1, Ok(json!({"name": "=1", "client_timestamp": 1, "received_at": 1, "=x": "'y"})));
        assert_eq!(rows("name\n'=1\n")[0].1, Ok(json!({"name": "'=1"})));
    }

    #[test]
    fn uneven_rows_are_named() {
        let rows = rows("a,b\n1,2\n1\n1,2,3\n4,5\n");
        assert_eq!(
            rows.iter().map(|(place, row)| (*place, row.is_ok())).collect::<Vec<_>>(),
            [(2, true), (3, false), (4, false), (5, true)]
        );
    }

    #[test]
    fn numbers_that_are_written_as_numbers() {
        for text in ["0", "-1", "12.50", "0.5", "18446744073709551615"] {
            assert!(number(text).is_some(), "{text}");
        }
        for text in ["007", "+1", "1e5", "0x1f", "1.", ".5", "-", "", "1_000", "184467440737095516150", "NaN"] {
            assert_eq!(number(text), None, "{text}");
        }
    }
}
