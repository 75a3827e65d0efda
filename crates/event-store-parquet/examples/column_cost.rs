//! Measures what each column of real segments costs under every encoding that suits it: bytes an event, time to write, time to read.
//!
//! `cargo run --release -p event-store-parquet --example column_cost STORE_FOLDER [SEGMENTS] [COLUMN]`
//! reads the first SEGMENTS (20) segments of a store as they are and writes nothing to the disk. Row groups and pages are as the
//! store cuts them for a large app. The choices in `segment/encoding.rs` come from this table.

#![allow(clippy::print_stdout)]

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::{DataType, FieldRef, Schema};
use bytes::Bytes;
use event_store_parquet::columns;
use parquet::arrow::ArrowWriter;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::properties::{EnabledStatistics, WriterProperties};

const GROUP_ROWS: usize = 131_072;
const BATCH_ROWS: usize = 16_384;
const ROUNDS: usize = 3;

type Failure = Box<dyn Error>;

fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let folder = PathBuf::from(arguments.next().ok_or("give the folder of a store")?);
    let count = arguments.next().map_or(Ok(20), |n| n.parse())?;
    let only = arguments.next();
    let mut files = segments(&folder)?;
    files.truncate(count);
    let names = column_names(&files)?;
    println!("{:<16} {:<26} {:>5} {:>9} {:>9} {:>9}", "column", "encoding", "zstd", "bytes/row", "write ns", "read ns");
    for name in names.iter().filter(|name| only.as_ref().is_none_or(|only| only == *name)) {
        let column = Column::read(name, &files)?;
        for (encoding, level) in column.candidates() {
            let (bytes, write_ns, read_ns) = column.cost(encoding, level)?;
            let level = level.map_or("-".to_string(), |level| level.to_string());
            let encoding = encoding.map_or("dictionary".to_string(), |encoding| encoding.to_string());
            println!("{name:<16} {encoding:<26} {level:>5} {bytes:>9.3} {write_ns:>9.1} {read_ns:>9.1}");
        }
    }
    Ok(())
}

fn segments(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let mut files = Vec::new();
    for day in std::fs::read_dir(folder)?.flatten().filter(|entry| entry.path().is_dir()) {
        files.extend(std::fs::read_dir(day.path())?.flatten().map(|file| file.path()));
    }
    files.retain(|path| path.extension().is_some_and(|extension| extension == "parquet"));
    files.sort();
    Ok(files)
}

fn open(bytes: Bytes) -> Result<ParquetRecordBatchReaderBuilder<Bytes>, Failure> {
    let plain = ParquetRecordBatchReaderBuilder::try_new(bytes.clone())?;
    let fields: Vec<FieldRef> = plain.schema().fields().iter().map(|field| columns::field(field.name())).collect();
    let options = ArrowReaderOptions::new().with_schema(Arc::new(Schema::new(fields)));
    Ok(ParquetRecordBatchReaderBuilder::try_new_with_options(bytes, options)?)
}

fn column_names(files: &[PathBuf]) -> Result<Vec<String>, Failure> {
    let first = files.first().ok_or("no segments")?;
    let builder = open(std::fs::read(first)?.into())?;
    Ok(builder.schema().fields().iter().map(|field| field.name().clone()).collect())
}

/// One column of each segment, as the batches it is read in.
struct Column {
    schema: Arc<Schema>,
    segments: Vec<Vec<RecordBatch>>,
    rows: usize,
}

impl Column {
    fn read(name: &str, files: &[PathBuf]) -> Result<Self, Failure> {
        let schema = Arc::new(Schema::new(vec![columns::field(name)]));
        let mut segments = Vec::new();
        for file in files {
            let builder = open(std::fs::read(file)?.into())?;
            let Ok(at) = builder.schema().index_of(name) else { continue };
            let mask = ProjectionMask::roots(builder.parquet_schema(), [at]);
            let reader = builder.with_projection(mask).with_batch_size(BATCH_ROWS).build()?;
            let batches = reader.map(|batch| {
                let array: ArrayRef = batch?.column(0).clone();
                RecordBatch::try_new(schema.clone(), vec![array])
            });
            segments.push(batches.collect::<Result<Vec<_>, _>>()?);
        }
        let rows = segments.iter().flatten().map(RecordBatch::num_rows).sum();
        Ok(Self { schema, segments, rows })
    }

    /// Encodings (`None`: a dictionary) with zstd levels (`None`: not compressed).
    fn candidates(&self) -> Vec<(Option<Encoding>, Option<i32>)> {
        use Encoding::{BYTE_STREAM_SPLIT, DELTA_BINARY_PACKED, DELTA_BYTE_ARRAY, DELTA_LENGTH_BYTE_ARRAY, PLAIN};
        let encodings: &[Encoding] = match self.schema.field(0).data_type() {
            DataType::Boolean => &[PLAIN, Encoding::RLE],
            DataType::Float64 => &[PLAIN, BYTE_STREAM_SPLIT],
            DataType::Utf8 | DataType::Dictionary(..) => &[PLAIN, DELTA_LENGTH_BYTE_ARRAY, DELTA_BYTE_ARRAY],
            _ => &[PLAIN, DELTA_BINARY_PACKED, BYTE_STREAM_SPLIT],
        };
        let all = encodings.iter().map(|&encoding| Some(encoding)).chain([None]);
        all.flat_map(|encoding| [None, Some(1), Some(3), Some(9)].map(|level| (encoding, level))).collect()
    }

    fn properties(&self, encoding: Option<Encoding>, level: Option<i32>) -> Result<WriterProperties, Failure> {
        let compression = match level {
            Some(level) => Compression::ZSTD(ZstdLevel::try_new(level)?),
            None => Compression::UNCOMPRESSED,
        };
        let properties = WriterProperties::builder()
            .set_compression(compression)
            .set_dictionary_enabled(encoding.is_none())
            .set_max_row_group_row_count(Some(GROUP_ROWS))
            .set_data_page_row_count_limit(GROUP_ROWS)
            .set_data_page_size_limit(8 << 20)
            .set_statistics_enabled(EnabledStatistics::None);
        Ok(match encoding {
            Some(encoding) => properties.set_encoding(encoding).build(),
            None => properties.build(),
        })
    }

    /// Bytes a row, and nanoseconds a row to write and, best of some rounds, to read.
    fn cost(&self, encoding: Option<Encoding>, level: Option<i32>) -> Result<(f64, f64, f64), Failure> {
        let mut files: Vec<Bytes> = Vec::new();
        let mut bytes = 0;
        let started = Instant::now();
        for segment in &self.segments {
            let properties = self.properties(encoding, level)?;
            let mut writer = ArrowWriter::try_new(Vec::new(), self.schema.clone(), Some(properties))?;
            segment.iter().try_for_each(|batch| writer.write(batch))?;
            writer.flush()?;
            bytes += writer.flushed_row_groups().iter().map(|group| group.column(0).compressed_size() as usize).sum::<usize>();
            files.push(writer.into_inner()?.into());
        }
        let rows = self.rows.max(1) as f64;
        let write_ns = started.elapsed().as_nanos() as f64 / rows;
        let mut read_ns = f64::INFINITY;
        for _ in 0..ROUNDS {
            let started = Instant::now();
            let mut read = 0;
            for file in &files {
                for batch in open(file.clone())?.with_batch_size(BATCH_ROWS).build()? {
                    read += batch?.num_rows();
                }
            }
            assert_eq!(read, self.rows);
            read_ns = read_ns.min(started.elapsed().as_nanos() as f64 / rows);
        }
        Ok((bytes as f64 / rows, write_ns, read_ns))
    }
}
