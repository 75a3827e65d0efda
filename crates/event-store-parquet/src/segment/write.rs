//! Writing a segment: sorted batches in, one Parquet file and its manifest entry out.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesBuilder};
use parquet::schema::types::ColumnPath;

use super::file::HashingWriter;
use super::{AppRows, Footer, SegmentInfo};
use crate::columns::{self, OverflowNames};
use crate::memory::RunCutter;
use crate::runs::{Run, RunIndex};

/// Rows of a row group: small enough that a scan's dictionaries stay in cache, large enough that they pay.
pub(crate) const ROW_GROUP_ROWS: usize = 131_072;

/// Where a new segment goes.
pub(crate) struct SegmentPlace<'a> {
    /// The store's folder.
    pub(crate) root: &'a Path,
    /// A number no segment had before.
    pub(crate) id: u64,
    /// First day of its rows, in days since 1970-01-01.
    pub(crate) day: i64,
}

impl SegmentPlace<'_> {
    fn relative(&self) -> String {
        format!("{}/{:012}.parquet", day_folder(self.day), self.id)
    }
}

/// `date=YYYY-MM-DD`, the way other tools expect a partition's folder.
fn day_folder(day: i64) -> String {
    // Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms": civil_from_days.
    let z = day + 719_468;
    let era = z.div_euclid(146_097);
    let day_of_era = z.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day_of_month = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!("date={year:04}-{month:02}-{day_of_month:02}")
}

/// A segment being written. Dropped before [`SegmentWriter::finish`], its file is deleted.
pub(crate) struct SegmentWriter {
    writer: Option<ArrowWriter<HashingWriter<File>>>,
    path: PathBuf,
    relative: String,
    id: u64,
    cutter: RunCutter,
    runs: RunIndex,
    apps: Vec<AppRows>,
    overflow: OverflowNames,
}

impl SegmentWriter {
    /// Creates the file. `overflow` names what the `$overflow` column of the batches may hold.
    pub(crate) fn create(place: &SegmentPlace<'_>, schema: &SchemaRef, overflow: OverflowNames, zstd_level: i32) -> io::Result<Self> {
        let relative = place.relative();
        let path = place.root.join(&relative);
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let file = HashingWriter::new(File::create(&path)?);
        let mut segment = Self {
            writer: None,
            path,
            relative,
            id: place.id,
            cutter: RunCutter::default(),
            runs: RunIndex::default(),
            apps: Vec::new(),
            overflow,
        };
        let properties = properties(schema, zstd_level).map_err(io::Error::other)?;
        segment.writer = Some(ArrowWriter::try_new(file, schema.clone(), Some(properties)).map_err(io::Error::other)?);
        Ok(segment)
    }

    /// Appends rows that sort after those before.
    pub(crate) fn write(&mut self, batch: &RecordBatch) -> io::Result<()> {
        for run in self.cutter.cut(batch) {
            count_app(&mut self.apps, &run);
            self.runs.push(run);
        }
        let writer = self.writer.as_mut().ok_or_else(|| io::Error::other("the segment is finished"))?;
        writer.write(batch).map_err(parquet_error)
    }

    /// Writes the footer and syncs the file; its folder is the caller's to sync.
    pub(crate) fn finish(mut self) -> io::Result<SegmentInfo> {
        let footer = Footer { runs: std::mem::take(&mut self.runs).finish(), overflow: self.overflow.clone() };
        let mut writer = self.writer.take().ok_or_else(|| io::Error::other("the segment is finished"))?;
        // `into_inner` writes the footer; `finish` before it would be an error.
        let finished = add_metadata(&mut writer, &footer).and_then(|()| writer.into_inner().map_err(parquet_error));
        let written = finished.and_then(|file| {
            let (file, bytes, hashes) = file.finish()?;
            file.sync_all()?;
            Ok((bytes, hashes))
        });
        let (bytes, hashes) = written.inspect_err(|_| remove(&self.path))?;
        let apps = std::mem::take(&mut self.apps);
        let edge = |rows: Option<&AppRows>| rows.map_or_else(|| Arc::from(""), |rows| rows.app.clone());
        Ok(SegmentInfo {
            id: self.id,
            path: self.relative.clone(),
            bytes,
            block_hashes: hashes.into(),
            rows: footer.runs.rows() as u64,
            min_app: edge(apps.first()),
            max_app: edge(apps.last()),
            min_ms: apps.iter().map(|rows| rows.min_ms).min().unwrap_or(0),
            max_ms: apps.iter().map(|rows| rows.max_ms).max().unwrap_or(0),
            apps: Some(apps),
        })
    }
}

impl Drop for SegmentWriter {
    fn drop(&mut self) {
        if self.writer.take().is_some() {
            remove(&self.path);
        }
    }
}

/// The failure of the disk inside of a failure of the Parquet writer, so that a full disk is known as one.
fn parquet_error(error: ParquetError) -> io::Error {
    match error {
        ParquetError::External(inner) => match inner.downcast::<io::Error>() {
            Ok(error) => *error,
            Err(other) => io::Error::other(other),
        },
        other => io::Error::other(other),
    }
}

fn remove(path: &Path) {
    if let Err(error) = std::fs::remove_file(path) {
        tracing::warn!(path = %path.display(), %error, "a partial segment could not be deleted; the next start does it");
    }
}

fn add_metadata(writer: &mut ArrowWriter<HashingWriter<File>>, footer: &Footer) -> io::Result<()> {
    for (key, value) in footer.encode().map_err(io::Error::other)? {
        writer.append_key_value_metadata(KeyValue::new(key.to_string(), value));
    }
    Ok(())
}

fn count_app(apps: &mut Vec<AppRows>, run: &Run) {
    let rows = run.rows.len() as u64;
    match apps.last_mut() {
        Some(last) if last.app == run.app => {
            last.rows += rows;
            last.min_ms = last.min_ms.min(run.min_ms);
            last.max_ms = last.max_ms.max(run.max_ms);
        }
        _ => apps.push(AppRows { app: run.app.clone(), rows, min_ms: run.min_ms, max_ms: run.max_ms }),
    }
}

fn properties(schema: &SchemaRef, zstd_level: i32) -> parquet::errors::Result<WriterProperties> {
    let mut properties = WriterProperties::builder()
        .set_created_by("throng".into())
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(zstd_level)?))
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        // The run index says more than statistics of pages do, and costs less.
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_offset_index_disabled(true);
    for field in schema.fields() {
        properties = column_properties(properties, field.name());
    }
    Ok(properties.build())
}

fn column_properties(properties: WriterPropertiesBuilder, name: &str) -> WriterPropertiesBuilder {
    let path = ColumnPath::from(vec![name.to_string()]);
    match name {
        columns::TIME | columns::RECEIVED_AT | columns::CLIENT_TIME => {
            properties.set_column_dictionary_enabled(path.clone(), false).set_column_encoding(path, Encoding::DELTA_BINARY_PACKED)
        }
        // Nearly every value is its own: a dictionary only costs.
        columns::PERSON | columns::INSERT_ID | columns::OVERFLOW => properties.set_column_dictionary_enabled(path, false),
        _ => properties,
    }
}

#[cfg(test)]
mod tests {
    use super::day_folder;

    #[test]
    fn folders_are_dates() {
        for (day, folder) in [(0, "date=1970-01-01"), (-1, "date=1969-12-31"), (19_782, "date=2024-02-29"), (20_454, "date=2026-01-01")] {
            assert_eq!(day_folder(day), folder);
        }
    }
}
