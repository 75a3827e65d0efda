//! How segments lie on disk: files of the previous layout are read and merged like new ones, new ones are smaller, and any reader of Parquet reads them.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray, UInt64Array};
use arrow::datatypes::{DataType, FieldRef, Schema};
use event::{AppId, person_hash};
use event_store::{AppendedBatch, Commit, EventSink};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
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
use crate::options::ParquetStoreOptions;
use crate::part::Part;
use crate::segment::BLOCK_BYTES;

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

fn read(path: &Path) -> (Vec<RecordBatch>, ParquetRecordBatchReaderBuilder<std::fs::File>) {
    let file = || std::fs::File::open(path).unwrap();
    let inferred = ParquetRecordBatchReaderBuilder::try_new(file()).unwrap();
    let field = |field: &FieldRef| if field.name() == "person_number" { field.clone() } else { columns::field(field.name()) };
    let fields: Vec<FieldRef> = inferred.schema().fields().iter().map(field).collect();
    let options = ArrowReaderOptions::new().with_schema(Arc::new(Schema::new(fields)));
    let builder = ParquetRecordBatchReaderBuilder::try_new_with_options(file(), options).unwrap();
    (builder.build().unwrap().map(Result::unwrap).collect(), inferred)
}

/// Rows as format 1 has them: with their persons' keys.
fn with_keys(batch: &RecordBatch) -> RecordBatch {
    let text = |name: &str| batch.column_by_name(name).unwrap().as_string::<i32>().clone();
    let (users, anonymous) = (text(columns::USER_ID), text(columns::ANONYMOUS_ID));
    let key = |row: usize| {
        let id = |ids: &StringArray| ids.is_valid(row).then(|| ids.value(row).to_owned());
        person_hash(id(&users).as_deref(), id(&anonymous).as_deref()).map(|person| person.0)
    };
    let keys: UInt64Array = (0..batch.num_rows()).map(key).collect();
    let fields = batch.schema_ref().fields().iter().zip(batch.columns()).map(|(field, column)| match field.name().as_str() {
        "person_number" => (columns::field(columns::PERSON), Arc::new(keys.clone()) as ArrayRef),
        _ => (field.clone(), column.clone()),
    });
    let (fields, arrays): (Vec<FieldRef>, Vec<ArrayRef>) = fields.unzip();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).unwrap()
}

/// Writes every segment of a closed store again as the previous layout had it; returns the bytes before and after.
fn to_previous_layout(dir: &Path) -> (usize, usize) {
    let manifest = rusqlite::Connection::open(dir.join("manifest.db")).unwrap();
    let (mut before, mut after) = (0, 0);
    for path in files(dir) {
        let (batches, inferred) = read(&path);
        let batches: Vec<RecordBatch> = batches.iter().map(with_keys).collect();
        let schema = batches[0].schema();
        let mut writer = ArrowWriter::try_new(Vec::new(), schema.clone(), Some(previous_properties(&schema))).unwrap();
        batches.iter().for_each(|batch| writer.write(batch).unwrap());
        for pair in inferred.metadata().file_metadata().key_value_metadata().unwrap() {
            match pair.key.as_str() {
                "throng.persons" => {}
                "throng.format" => writer.append_key_value_metadata(KeyValue::new(pair.key.clone(), "1".to_owned())),
                _ => writer.append_key_value_metadata(pair.clone()),
            }
        }
        let bytes = writer.into_inner().unwrap();
        before += std::fs::metadata(&path).unwrap().len() as usize;
        after += bytes.len();
        std::fs::write(&path, &bytes).unwrap();
        let hashes: Vec<u8> = bytes.chunks(BLOCK_BYTES).flat_map(|block| xxh3_64(block).to_le_bytes()).collect();
        let relative = path.strip_prefix(dir).unwrap().display().to_string();
        let sql = "UPDATE segments SET bytes = ?1, block_hashes = ?2 WHERE path = ?3";
        assert_eq!(manifest.execute(sql, rusqlite::params![bytes.len() as i64, hashes, relative]).unwrap(), 1);
    }
    (before, after)
}

#[test]
fn segments_of_the_previous_layout_are_read_and_merged() {
    let dir = tempfile::tempdir().unwrap();
    let (old, new) = (visits(0, 6_000), visits(0, 900));
    let store = open(dir.path());
    store.append(commit(&old, 1)).unwrap();
    store.flush().unwrap();
    drop(store);
    let (new_bytes, previous_bytes) = to_previous_layout(dir.path());
    assert!(new_bytes * 10 < previous_bytes * 9, "{new_bytes} bytes instead of {previous_bytes}");

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

#[test]
fn other_readers_see_plain_columns() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    store.append(commit(&visits(0, 3_000), 1)).unwrap();
    store.flush().unwrap();
    let path = files(dir.path()).remove(0);
    let (batches, inferred) = read(&path);
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
