//! Files are read back by other readers than ours and say what the events said.

use std::collections::BTreeMap;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Float64Type, TimestampMillisecondType};
use bytes::Bytes;
use event_store::{EventRow, PropertyInfo};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use crate::{Encoder, FileFormat, FileOptions, Formulas, PropertyColumns};

fn row(name: &str, properties: &Value) -> EventRow {
    EventRow {
        name: name.to_owned(),
        time_ms: 1_780_000_000_120,
        client_time_ms: 1_780_000_000_000,
        received_at_ms: 1_780_000_000_500,
        user_id: Some("u".to_owned()),
        anonymous_id: None,
        insert_id: None,
        session_id: None,
        properties_json: properties.to_string(),
    }
}

fn columns() -> PropertyColumns {
    let property = |name: &str, kind| PropertyInfo { name: name.into(), types: vec![kind], events: 1, sample_values: vec![] };
    PropertyColumns::of(&[property("t", "string"), property("n", "number"), property("b", "boolean")])
}

fn file(format: FileFormat, formulas: Formulas, rows: &[EventRow]) -> Vec<u8> {
    let mut encoder = Encoder::new(FileOptions { format, formulas }, columns()).unwrap();
    let mut file = Vec::new();
    for row in rows {
        encoder.push(row).unwrap();
        file.extend(encoder.take());
    }
    file.extend(encoder.finish().unwrap());
    file
}

#[test]
fn a_line_is_an_event_of_the_batch_call() {
    let system = EventRow { user_id: None, ..row("job \"done\"", &json!({"a": 1})) };
    let device = EventRow { user_id: None, anonymous_id: Some("d".into()), insert_id: Some("i".into()), ..row("a", &json!({})) };
    let text = String::from_utf8(file(FileFormat::JsonLines, Formulas::Mark, &[system, device])).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let times = [
        ("timestamp", "2026-05-28T20:26:40.120Z"),
        ("client_timestamp", "2026-05-28T20:26:40.000Z"),
        ("received_at", "2026-05-28T20:26:40.500Z"),
    ];
    let mut expected = [
        json!({"name": "job \"done\"", "user_id": null, "properties": {"a": 1}}),
        json!({"name": "a", "anonymous_id": "d", "insert_id": "i", "properties": {}}),
    ];
    for (field, time) in times {
        expected.iter_mut().for_each(|event| event[field] = json!(time));
    }
    assert_eq!(lines, expected);
}

fn cells(file: &[u8]) -> Vec<BTreeMap<String, String>> {
    let mut reader = csv::Reader::from_reader(file);
    let header = reader.headers().unwrap().clone();
    reader.records().map(|record| header.iter().zip(&record.unwrap()).map(|(h, cell)| (h.to_owned(), cell.to_owned())).collect()).collect()
}

#[test]
fn a_csv_has_a_column_per_property_and_one_for_the_rest() {
    let rows =
        [row("a,\"b\"\r\nc", &json!({"t": "x,y", "n": 1.5, "b": true, "l": [1, {"q": "\""}], "z": "r"})), row("", &json!({"n": "text"}))];
    let file = file(FileFormat::Csv, Formulas::Mark, &rows);
    let text = String::from_utf8(file.clone()).unwrap();
    assert!(text.starts_with("name,timestamp,user_id,anonymous_id,session_id,insert_id,client_timestamp,received_at,t,n,b,properties\r\n"));
    let cells = cells(&file);
    assert_eq!((cells[0]["name"].as_str(), cells[0]["t"].as_str()), ("a,\"b\"\r\nc", "x,y"));
    assert_eq!((cells[0]["n"].as_str(), cells[0]["b"].as_str()), ("1.5", "true"));
    assert_eq!(serde_json::from_str::<Value>(&cells[0]["properties"]).unwrap(), json!({"l": [1, {"q": "\""}], "z": "r"}));
    assert_eq!(
        (cells[1]["n"].as_str(), cells[1]["properties"].as_str(), cells[1]["timestamp"].as_str()),
        ("text", "", "2026-05-28T20:26:40.120Z")
    );
    assert!(text.ends_with("\r\n") && text.contains("\r\n\"\",2026"), "{text}");
}

#[test]
fn a_spreadsheet_finds_no_formula_and_no_text_is_lost() {
    let texts = ["=1+1", "+4912", "-5", "@x", "\tx", "\r=x", "'quoted", "''", "plain", "a=b", ""];
    let rows: Vec<EventRow> =
        texts.iter().map(|text| EventRow { user_id: Some((*text).into()), ..row(text, &json!({"t": text})) }).collect();
    for (text, cells) in texts.iter().zip(cells(&file(FileFormat::Csv, Formulas::Mark, &rows))) {
        for cell in [&cells["name"], &cells["user_id"], &cells["t"]] {
            assert!(!cell.starts_with(['=', '+', '-', '@', '\t', '\r']), "{cell}");
            assert_eq!(cell.strip_prefix('\'').unwrap_or(cell), *text);
        }
    }
    for (text, cells) in texts.iter().zip(cells(&file(FileFormat::Csv, Formulas::Keep, &rows))) {
        assert_eq!((cells["name"].as_str(), cells["t"].as_str()), (*text, *text));
    }
}

fn read(file: Vec<u8>) -> Vec<RecordBatch> {
    ParquetRecordBatchReaderBuilder::try_new(Bytes::from(file)).unwrap().build().unwrap().map(Result::unwrap).collect()
}

/// The properties of a row, put together again from its columns.
fn properties(batch: &RecordBatch, row: usize) -> Map<String, Value> {
    let rest = batch["properties"].as_string::<i32>();
    let mut all: Map<String, Value> = if rest.is_valid(row) { serde_json::from_str(rest.value(row)).unwrap() } else { Map::new() };
    for name in ["t", "n", "b"].into_iter().filter(|name| batch[*name].is_valid(row)) {
        let column = &batch[name];
        let value = match column.data_type() {
            DataType::Utf8 => json!(column.as_string::<i32>().value(row)),
            DataType::Boolean => json!(column.as_boolean().value(row)),
            _ => json!(column.as_primitive::<Float64Type>().value(row)),
        };
        assert!(all.insert(name.to_owned(), value).is_none(), "{name} stands twice");
    }
    all
}

#[test]
fn a_parquet_file_of_several_batches_is_read_by_others() {
    let rows: Vec<EventRow> = (0..3_000).map(|n| row("a", &json!({"n": n, "t": format!("t{n}"), "l": [n]}))).collect();
    let batches = read(file(FileFormat::Parquet, Formulas::Mark, &rows));
    assert_eq!(batches.iter().map(RecordBatch::num_rows).sum::<usize>(), 3_000);
    let first = &batches[0];
    assert_eq!(first["timestamp"].as_primitive::<TimestampMillisecondType>().value(0), 1_780_000_000_120);
    assert_eq!(properties(first, 7), *json!({"n": 7.0, "t": "t7", "l": [7]}).as_object().unwrap());
    assert!(first["anonymous_id"].is_null(0) && first["b"].is_null(0));
    assert_eq!(read(file(FileFormat::Parquet, Formulas::Mark, &[])).len(), 0);
}

fn any_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<bool>().prop_map(|b| json!(b)),
        any::<i64>().prop_map(|i| json!(i)),
        (-9i64..9).prop_map(|i| json!(i)),
        any::<u64>().prop_map(|u| json!(u)),
        (-1e9f64..1e9).prop_map(|f| json!(f)),
        "[=+'\"\\\\\n,a-c]{0,5}".prop_map(|s| json!(s)),
        Just(json!(["x", {"t": 1}])),
    ]
}

/// Equal as numbers where both are whole, else as JSON.
fn same(a: &Value, b: &Value) -> bool {
    let whole = |value: &Value| value.as_f64().filter(|f| *f == f.trunc() && f.abs() <= 9e15);
    a == b || (whole(a).is_some() && whole(a) == whole(b))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn no_property_is_lost_or_changed(worlds in prop::collection::vec(prop::collection::btree_map("[tnblx]", any_value(), 0..5), 1..20)) {
        let rows: Vec<EventRow> = worlds.iter().map(|world| row("a", &json!(world))).collect();
        let batches = read(file(FileFormat::Parquet, Formulas::Mark, &rows));
        let cells = cells(&file(FileFormat::Csv, Formulas::Mark, &rows));
        for (i, world) in worlds.iter().enumerate() {
            let told = properties(&batches[0], i);
            prop_assert_eq!(told.len(), world.len());
            prop_assert!(world.iter().all(|(name, value)| same(&told[name], value)), "{told:?} {world:?}");
            let rest: Map<String, Value> = serde_json::from_str(&cells[i]["properties"]).unwrap_or_default();
            for (name, value) in world {
                let in_cell = cells[i].get(name).filter(|cell| name != "properties" && !cell.is_empty());
                match (in_cell, value) {
                    (Some(cell), Value::String(text)) => prop_assert_eq!(cell.strip_prefix('\'').unwrap_or(cell), text),
                    (Some(cell), value) => prop_assert_eq!(cell, &value.to_string()),
                    (None, Value::String(text)) if text.is_empty() && !rest.contains_key(name) => {}
                    (None, value) => prop_assert_eq!(rest.get(name), Some(value)),
                }
            }
        }
    }
}
