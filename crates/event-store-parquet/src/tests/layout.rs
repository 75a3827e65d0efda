//! How segments lie on disk: files of the previous layout are read and merged like new ones, new ones are smaller, and any reader of Parquet reads them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int32Array, RecordBatch};
use arrow::datatypes::{DataType, Field, FieldRef, Schema, UInt64Type};
use event::AppId;
use event_store::{AppendedBatch, Commit, EventSink};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;
use serde_json::json;
use xxhash_rust::xxh3::xxh3_64;

use super::world::{
    BASE_MS, DAY_MS, PlainEvent, assert_sound, batch, commit, expected, files, keep_forever, maintain_all, open, open_with, rows,
    segment_count,
};
use crate::columns;
use crate::hidden::HiddenRows;
use crate::options::ParquetStoreOptions;
use crate::part::Part;
use crate::segment::{BLOCK_BYTES, WholeScan};
use crate::store::ParquetStore;

/// A segment's file, its rows as they are given out, and the pairs of its footer.
type Written = (PathBuf, Vec<RecordBatch>, Vec<KeyValue>);

/// Visits of a shop: ids that repeat by person, a text with few values and one that never repeats.
fn visits(day: i64, count: usize) -> Vec<PlainEvent> {
    let visit = |i: usize| {
        let person = (i * 7_919) % (count / 8);
        let mut event =
            PlainEvent::new("A", ["a", "b", "c"][i % 3], BASE_MS + day * DAY_MS + (i as i64 * 104_729) % DAY_MS, &format!("user-{person}"));
        event.client_time_ms -= i64::from(i.is_multiple_of(50)) * 3_000;
        event
            .with("country", ["US", "DE", "NZ"][person % 3].into())
            .with("ref", format!("{:07}", (i * 2_654_435_761) % 4_000_000).into())
            .with("price", json!((i * 31 % 977) as f64 / 100.0))
            .with("count", json!(i % 5))
            .with("big", json!(9_007_199_254_740_993i64 + i as i64))
            .with("flag", i.is_multiple_of(2).into())
    };
    (0..count).map(visit).collect()
}

/// As segments were written before encodings were chosen by measurement: dictionaries nearly everywhere, deltas for times, Arrow's schema in the file.
fn previous_properties(schema: &Schema) -> WriterProperties {
    let mut properties = WriterProperties::builder()
        .set_created_by("throng".into())
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(1).unwrap()))
        .set_max_row_group_row_count(Some(1_000))
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_offset_index_disabled(true);
    for field in schema.fields() {
        let path = ColumnPath::from(vec![field.name().clone()]);
        properties = match field.name().as_str() {
            columns::TIME | columns::RECEIVED_AT | columns::CLIENT_TIME => {
                properties.set_column_dictionary_enabled(path.clone(), false).set_column_encoding(path, Encoding::DELTA_BINARY_PACKED)
            }
            columns::PERSON | columns::INSERT_ID | columns::OVERFLOW => properties.set_column_dictionary_enabled(path, false),
            _ => properties,
        };
    }
    properties.build()
}

/// The rows of every segment as they are given out, and the footer's pairs.
fn segments(store: &ParquetStore) -> Vec<Written> {
    let mut segments = Vec::new();
    for part in &store.snapshot().parts {
        let Part::Segment(segment) = &**part else { continue };
        let mut scan = WholeScan::new(segment.open().unwrap(), HiddenRows::default(), 8_192);
        let batches = std::iter::from_fn(|| scan.next_batch().unwrap()).collect();
        let file = ParquetRecordBatchReaderBuilder::try_new(std::fs::File::open(segment.path()).unwrap()).unwrap();
        let pairs = file.metadata().file_metadata().key_value_metadata().cloned().unwrap_or_default();
        segments.push((segment.path(), batches, pairs));
    }
    segments
}

/// Persons' keys by their places in a table, and the bytes of the table, as format 2 has them.
fn numbered(batches: &[RecordBatch]) -> (Vec<RecordBatch>, Vec<u8>, usize) {
    let persons = |batch: &RecordBatch| batch.column_by_name(columns::PERSON).unwrap().as_primitive::<UInt64Type>().clone();
    let keys: Vec<u64> = batches
        .iter()
        .flat_map(|batch| persons(batch).iter().flatten().collect::<Vec<_>>())
        .collect::<BTreeSet<u64>>()
        .into_iter()
        .collect();
    let with_numbers = |batch: &RecordBatch| {
        let number = |key: Option<u64>| key.map(|key| keys.binary_search(&key).unwrap() as i32);
        let numbers: Int32Array = persons(batch).iter().map(number).collect();
        let fields = batch.schema_ref().fields().iter().zip(batch.columns()).map(|(field, column)| match field.name().as_str() {
            columns::PERSON => (Arc::new(Field::new("person_number", DataType::Int32, true)), Arc::new(numbers.clone()) as ArrayRef),
            _ => (field.clone(), column.clone()),
        });
        let (fields, arrays): (Vec<FieldRef>, Vec<ArrayRef>) = fields.unzip();
        RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).unwrap()
    };
    let mut planes = vec![0; keys.len() * 8];
    for (number, &key) in keys.iter().enumerate() {
        let distance = key - number.checked_sub(1).map_or(0, |before| keys[before]);
        distance.to_le_bytes().into_iter().enumerate().for_each(|(plane, byte)| planes[plane * keys.len() + number] = byte);
    }
    (batches.iter().map(with_numbers).collect(), zstd::bulk::compress(&planes, 1).unwrap(), keys.len())
}

/// Writes segments again as an earlier format had them; returns their bytes then.
fn to_format(format: u32, dir: &Path, segments: Vec<Written>) -> usize {
    let manifest = rusqlite::Connection::open(dir.join("manifest.db")).unwrap();
    let mut total = 0;
    for (path, batches, pairs) in segments {
        let (batches, table, persons) = if format == 2 { numbered(&batches) } else { (batches, Vec::new(), 0) };
        let schema = batches[0].schema();
        let mut writer = ArrowWriter::try_new(Vec::new(), schema.clone(), Some(previous_properties(&schema))).unwrap();
        batches.iter().for_each(|batch| writer.write(batch).unwrap());
        writer.flush().unwrap();
        let place = json!({"start": writer.bytes_written(), "bytes": table.len(), "persons": persons}).to_string();
        writer.write_all(&table).unwrap();
        for pair in pairs {
            match pair.key.as_str() {
                "throng.persons" if format == 2 => writer.append_key_value_metadata(KeyValue::new(pair.key, place.clone())),
                "throng.persons" | "throng.sessions" => {}
                "throng.format" => writer.append_key_value_metadata(KeyValue::new(pair.key, format.to_string())),
                _ => writer.append_key_value_metadata(pair),
            }
        }
        let bytes = writer.into_inner().unwrap();
        total += bytes.len();
        std::fs::write(&path, &bytes).unwrap();
        let hashes: Vec<u8> = bytes.chunks(BLOCK_BYTES).flat_map(|block| xxh3_64(block).to_le_bytes()).collect();
        let relative = path.strip_prefix(dir).unwrap().display().to_string();
        let sql = "UPDATE segments SET bytes = ?1, block_hashes = ?2 WHERE path = ?3";
        assert_eq!(manifest.execute(sql, rusqlite::params![bytes.len() as i64, hashes, relative]).unwrap(), 1);
    }
    total
}

#[test]
fn segments_of_earlier_formats_are_read_and_merged() {
    for format in [1, 2] {
        let dir = tempfile::tempdir().unwrap();
        let (old, new) = (visits(0, 6_000), visits(0, 900));
        let store = open(dir.path());
        store.append(commit(&old, 1)).unwrap();
        store.flush().unwrap();
        let new_bytes: u64 = files(dir.path()).iter().map(|path| std::fs::metadata(path).unwrap().len()).sum();
        let written = segments(&store);
        drop(store);
        let previous_bytes = to_format(format, dir.path(), written);
        assert!(new_bytes as usize * 10 < previous_bytes * 9, "{new_bytes} bytes instead of {previous_bytes}");

        let store = open(dir.path());
        assert_eq!(rows(&store, &["A"]), expected(&old));
        assert_sound(&store);
        store.append(commit(&new, 2)).unwrap();
        store.flush().unwrap();
        maintain_all(&store, BASE_MS + 2 * DAY_MS);
        assert_eq!(segment_count(&store), 1);
        let all: Vec<PlainEvent> = old.into_iter().chain(new).collect();
        assert_eq!(rows(&store, &["A"]), expected(&all));
        assert_sound(&store);
    }
}

/// What a one-app segment may meet: sessions that go on as another person, insert ids with and without their session's beginning, events
/// without a person or session, a text that is one person's user id and another's anonymous id.
fn odd_ids() -> Vec<PlainEvent> {
    let mut events = Vec::new();
    for i in 0..400i64 {
        let mut event = PlainEvent::new("A", ["a", "b"][(i % 2) as usize], BASE_MS + i * 1_000, &format!("user-{}", i % 20));
        event.session_id = (i % 5 > 0).then(|| format!("sitzung-ä{}", i / 40));
        event.insert_id = match i % 4 {
            0 => None,
            1 => Some(format!("other-{i}")),
            2 => event.session_id.clone(),
            _ => Some(format!("sitzung-{}{i}", if i % 3 == 0 { "ä" } else { "ö" })),
        };
        match i % 6 {
            0 => event.anonymous_id = Some(format!("device-{}", i % 7)),
            1 => (event.user_id, event.anonymous_id) = (None, Some(format!("user-{}", i % 11))),
            2 => (event.user_id, event.anonymous_id) = (None, None),
            _ => {}
        }
        events.push(event);
    }
    events
}

#[test]
fn ids_come_back_whatever_they_have_in_common() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let all = odd_ids();
    for (i, events) in all.chunks(100).enumerate() {
        store.append(commit(events, i as u64 + 1)).unwrap();
        store.flush().unwrap();
        let so_far: Vec<PlainEvent> = all[..(i + 1) * 100].to_vec();
        assert_eq!(rows(&store, &["A"]), expected(&so_far));
    }
    assert_sound(&store);
    maintain_all(&store, BASE_MS + 2 * DAY_MS);
    assert_eq!(segment_count(&store), 1);
    assert_eq!(rows(&store, &["A"]), expected(&all));
    assert_sound(&store);
    let file = ParquetRecordBatchReaderBuilder::try_new(std::fs::File::open(files(dir.path()).remove(0)).unwrap()).unwrap();
    for name in ["person_number", "is_user", "session_number", "insert_rest", "insert_shared"] {
        assert!(file.schema().field_with_name(name).is_ok(), "{name}");
    }
}

#[test]
fn other_readers_see_plain_columns() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    store.append(commit(&visits(0, 3_000), 1)).unwrap();
    store.flush().unwrap();
    let path = files(dir.path()).remove(0);
    let inferred = ParquetRecordBatchReaderBuilder::try_new(std::fs::File::open(&path).unwrap()).unwrap();
    let batches = segments(&store).remove(0).1;
    for field in inferred.schema().fields() {
        assert!(!matches!(field.data_type(), DataType::Dictionary(..)), "{field:?} asks its readers for a dictionary");
    }
    assert_eq!(inferred.schema().field_with_name(columns::TIME).unwrap().data_type(), &columns::time_type());
    assert_eq!(inferred.schema().field_with_name("person_number").unwrap().data_type(), &DataType::Int32);
    let plain: Vec<RecordBatch> = inferred.build().unwrap().map(Result::unwrap).collect();
    let texts = |batches: &[RecordBatch]| -> Vec<String> {
        let cast = |batch: &RecordBatch| arrow::compute::cast(batch.column_by_name("s:ref").unwrap(), &DataType::Utf8).unwrap();
        batches
            .iter()
            .map(cast)
            .flat_map(|column| column.as_string::<i32>().iter().map(|text| text.unwrap().to_owned()).collect::<Vec<_>>())
            .collect()
    };
    assert_eq!(texts(&plain), texts(&batches));
}

#[test]
fn days_of_a_week_that_is_over_are_one_segment() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    // 2026-01-01 is a Thursday: four days of one week, three of the next.
    let all: Vec<PlainEvent> = (0..7).flat_map(|day| visits(day, 80)).collect();
    for (i, events) in all.chunks(80).enumerate() {
        store.append(commit(events, i as u64 + 1)).unwrap();
        store.flush().unwrap();
    }
    maintain_all(&store, BASE_MS + 7 * DAY_MS);
    assert_eq!(segment_count(&store), 4, "the second week is still going on");
    maintain_all(&store, BASE_MS + 14 * DAY_MS);
    assert_eq!(segment_count(&store), 2);
    assert_eq!(rows(&store, &["A"]), expected(&all));
    assert_sound(&store);
}

#[test]
fn a_large_app_gets_segments_of_its_own() {
    const LARGE_APP_ROWS: u64 = 10_000;
    let dir = tempfile::tempdir().unwrap();
    let options = ParquetStoreOptions { large_app_rows: LARGE_APP_ROWS, ..Default::default() };
    let store = open_with(dir.path(), options, keep_forever()).unwrap();
    let small = |app: &'static str, i: i64| (0..50).map(move |n| PlainEvent::new(app, "a", BASE_MS + i * 50 + n, "U")).collect::<Vec<_>>();
    for i in 0..2 {
        let large: Vec<PlainEvent> =
            (0..LARGE_APP_ROWS as i64 / 2).map(|n| PlainEvent::new("M", "a", BASE_MS + n, &format!("U{}", n % 1_000))).collect();
        let batches =
            [&small("A", i)[..], &large, &small("Z", i)].map(|events| AppendedBatch { batch: batch(events), duplicates: Vec::new() });
        store.append(Commit { batches: batches.into(), end: i as u64 + 1 }).unwrap();
        store.flush().unwrap();
    }
    maintain_all(&store, BASE_MS + 2 * DAY_MS);
    let snapshot = store.snapshot();
    let mut holders: Vec<Vec<&str>> = Vec::new();
    for part in &snapshot.parts {
        let Part::Segment(segment) = &**part else { continue };
        holders.push(segment.info().apps.iter().flatten().map(|rows| &*rows.app).collect());
    }
    holders.sort();
    assert_eq!(holders, [vec!["A", "Z"], vec!["M"]]);
    let wanted: Vec<PlainEvent> = ["A", "Z"].iter().flat_map(|app| (0..2).flat_map(|i| small(app, i))).collect();
    assert_eq!(rows(&store, &["A", "Z"]), expected(&wanted));
    assert!(
        snapshot.parts.iter().any(|part| part.rows() == LARGE_APP_ROWS && part.may_hold(&AppId::new("M").unwrap(), BASE_MS, BASE_MS + 1))
    );
    assert_sound(&store);
}
