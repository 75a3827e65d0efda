//! How each column lies on disk. The choices were measured with `examples/column_cost.rs`; `docs/decisions/0007-layout-on-disk.md` has the table.

use std::collections::HashSet;

use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray, RecordBatch};
use arrow::datatypes::{Float64Type, Int32Type, Int64Type, TimestampMillisecondType};
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesBuilder};
use parquet::schema::types::ColumnPath;

use super::stored::{INSERT_REST, INSERT_SHARED, PERSON_NUMBER, SESSION_NUMBER};
use crate::columns::{self, PropertyKind, parse_property_column};

/// Most rows of a row group: small enough that a scan's dictionaries stay in cache, large enough that they pay.
const MAX_GROUP_ROWS: usize = 131_072;
/// Rows of a row group after which the next run begins a new one.
const FULL_GROUP_ROWS: usize = MAX_GROUP_ROWS / 2;
/// Rows of a row group after which a run of at least [`LONG_RUN_ROWS`] begins a new one.
const SHORT_GROUP_ROWS: usize = MAX_GROUP_ROWS / 8;
const LONG_RUN_ROWS: usize = MAX_GROUP_ROWS / 4;

/// Rows of a page where runs are short, so that a question of a tiny app does not unpack its neighbours.
const SMALL_PAGE_ROWS: usize = 8_192;
/// Runs are short when they have fewer rows than this on average.
const SHORT_RUN_ROWS: usize = 1_024;
/// A page ends beyond this many bytes, which bounds the memory of a writer whose texts are long.
const MAX_PAGE_BYTES: usize = 8 << 20;

/// Fewer values than this say nothing about a column.
const MIN_SAMPLE_VALUES: usize = 1_024;
/// Level for what only loses by a higher one: digits that look random, and texts that come again soon.
const FAST_LEVEL: i32 = 1;
/// Highest level that is worth its time anywhere.
const MAX_LEVEL: i32 = 12;

/// True where a row group should end before a run of which `next_rows` are known: pages then hold rows of few events, and a
/// question about one event unpacks little of another. `rows` are those since the last such end, among them whole groups.
pub(super) fn ends_group(rows: usize, next_rows: usize) -> bool {
    let rows = rows % MAX_GROUP_ROWS;
    rows >= FULL_GROUP_ROWS || (rows >= SHORT_GROUP_ROWS && next_rows >= LONG_RUN_ROWS)
}

/// The properties of a segment that begins with these rows, cut into so many runs. `level` is the zstd level of columns that gain by a higher one.
pub(super) fn properties(first: &RecordBatch, runs: usize, level: i32) -> parquet::errors::Result<WriterProperties> {
    let short_runs = first.num_rows() / runs.max(1) < SHORT_RUN_ROWS && runs > 1;
    let mut properties = WriterProperties::builder()
        .set_created_by("throng".into())
        .set_compression(zstd(level)?)
        .set_max_row_group_row_count(Some(MAX_GROUP_ROWS))
        .set_data_page_row_count_limit(if short_runs { SMALL_PAGE_ROWS } else { MAX_GROUP_ROWS })
        .set_data_page_size_limit(MAX_PAGE_BYTES)
        // The run index says more than statistics of pages do, and costs less.
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_offset_index_disabled(true);
    for (field, array) in first.schema_ref().fields().iter().zip(first.columns()) {
        properties = column_properties(properties, field.name(), array, level)?;
    }
    Ok(properties.build())
}

fn zstd(level: i32) -> parquet::errors::Result<Compression> {
    Ok(Compression::ZSTD(ZstdLevel::try_new(level)?))
}

fn column_properties(
    properties: WriterPropertiesBuilder,
    name: &str,
    sample: &ArrayRef,
    level: i32,
) -> parquet::errors::Result<WriterPropertiesBuilder> {
    let path = ColumnPath::from(vec![name.to_string()]);
    let plain = |properties: WriterPropertiesBuilder, encoding: Encoding| {
        properties.set_column_dictionary_enabled(path.clone(), false).set_column_encoding(path.clone(), encoding)
    };
    Ok(match name {
        // Sorted by person, neighbours share their high bytes; the low ones are as good as random.
        columns::TIME | columns::CLIENT_TIME => plain(properties, Encoding::BYTE_STREAM_SPLIT),
        // A request has one, so there are few in a batch of a history and many in live traffic.
        columns::RECEIVED_AT if is_mostly_distinct::<TimestampMillisecondType>(sample) => {
            plain(properties, Encoding::BYTE_STREAM_SPLIT).set_column_compression(path.clone(), zstd(FAST_LEVEL)?)
        }
        // A person's rows repeat it, and so does each event's run after the first.
        columns::PERSON => plain(properties, Encoding::PLAIN),
        // They ascend from row to row within a run, by little.
        PERSON_NUMBER | SESSION_NUMBER | INSERT_SHARED => {
            plain(properties, Encoding::DELTA_BINARY_PACKED).set_column_compression(path.clone(), zstd(FAST_LEVEL)?)
        }
        // Without the beginnings that they share, neighbours have little in common but their characters.
        INSERT_REST => {
            plain(properties, Encoding::DELTA_LENGTH_BYTE_ARRAY).set_column_compression(path.clone(), zstd((2 * level).min(MAX_LEVEL))?)
        }
        // A person's ids begin alike, and many are equal.
        columns::USER_ID | columns::ANONYMOUS_ID | columns::INSERT_ID => {
            plain(properties, Encoding::DELTA_BYTE_ARRAY).set_column_compression(path.clone(), zstd((2 * level).min(MAX_LEVEL))?)
        }
        // Most are those of the row before, which zstd finds by itself.
        columns::SESSION_ID => plain(properties, Encoding::PLAIN).set_column_compression(path.clone(), zstd(FAST_LEVEL)?),
        columns::OVERFLOW => plain(properties, Encoding::DELTA_LENGTH_BYTE_ARRAY),
        _ => match parse_property_column(name) {
            Some((PropertyKind::Text, _)) if is_mostly_distinct_text(sample) => {
                plain(properties, Encoding::DELTA_LENGTH_BYTE_ARRAY).set_column_compression(path.clone(), zstd(FAST_LEVEL)?)
            }
            Some((PropertyKind::Number, _)) if is_mostly_distinct::<Float64Type>(sample) => plain(properties, Encoding::PLAIN),
            Some((PropertyKind::BigInt, _)) if is_mostly_distinct::<Int64Type>(sample) => plain(properties, Encoding::PLAIN),
            _ => properties,
        },
    })
}

/// True where a dictionary would hold about as many values as the column: it only costs then.
fn is_mostly(distinct: usize, values: usize) -> bool {
    values >= MIN_SAMPLE_VALUES && distinct * 2 > values
}

fn is_mostly_distinct_text(sample: &ArrayRef) -> bool {
    let text = sample.as_dictionary::<Int32Type>();
    is_mostly(text.values().len(), text.len() - text.null_count())
}

fn is_mostly_distinct<T: ArrowPrimitiveType>(sample: &ArrayRef) -> bool {
    let values = sample.as_primitive::<T>();
    let bytes = |value: T::Native| {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(arrow::datatypes::ToByteSlice::to_byte_slice(&value));
        bytes
    };
    let distinct: HashSet<[u8; 8]> = values.iter().flatten().map(bytes).collect();
    is_mostly(distinct.len(), values.len() - values.null_count())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Float64Array, Int64Array};

    use super::*;
    use crate::text::TextDictionary;

    fn text(distinct: usize, values: usize) -> ArrayRef {
        let mut dictionary = TextDictionary::default();
        let codes = (0..values).map(|i| dictionary.intern(&format!("value {}", i % distinct))).collect();
        dictionary.into_array(codes, None).unwrap()
    }

    #[test]
    fn a_dictionary_is_for_values_that_come_again() {
        assert!(is_mostly_distinct_text(&text(2_000, 2_000)));
        assert!(!is_mostly_distinct_text(&text(500, 2_000)));
        assert!(!is_mostly_distinct_text(&text(100, 100)), "too few values to tell");
        let floats: ArrayRef = Arc::new(Float64Array::from_iter((0..5_000).map(|i| (i % 2 == 0).then_some(f64::from(i)))));
        assert!(is_mostly_distinct::<Float64Type>(&floats));
        let same: ArrayRef = Arc::new(Int64Array::from(vec![7; 5_000]));
        assert!(!is_mostly_distinct::<Int64Type>(&same));
    }

    #[test]
    fn groups_end_at_runs_but_not_at_every_run() {
        assert!(!ends_group(1_000, 1_000_000), "a dictionary of so few rows does not pay");
        assert!(ends_group(SHORT_GROUP_ROWS, LONG_RUN_ROWS));
        assert!(!ends_group(SHORT_GROUP_ROWS, LONG_RUN_ROWS - 1));
        assert!(ends_group(FULL_GROUP_ROWS, 1));
        assert!(!ends_group(MAX_GROUP_ROWS + 1, LONG_RUN_ROWS), "the writer has ended a full group before");
    }
}
