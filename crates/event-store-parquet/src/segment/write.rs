//! Writing a segment: sorted batches in, one Parquet file and its manifest entry out.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;

use super::encoding;
use super::file::HashingWriter;
use super::persons::SegmentPersons;
use super::sessions::SegmentSessions;
use super::stored::Numbering;
use super::texts::TextsPlace;
use super::{AppRows, Footer, PersonPlace, SegmentInfo};
use crate::columns::OverflowNames;
use crate::memory::RunCutter;
use crate::runs::{Run, RunIndex};

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
        format!("date={}/{:012}.parquet", day_name(self.day), self.id)
    }
}

/// `YYYY-MM-DD` of a day since 1970-01-01.
pub(crate) fn day_name(day: i64) -> String {
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
    format!("{year:04}-{month:02}-{day_of_month:02}")
}

/// What the rows of a segment of one app have numbers of.
#[derive(Clone)]
pub(crate) struct IdTables {
    pub(crate) persons: SegmentPersons,
    /// `None` where rows keep their session ids.
    pub(crate) sessions: Option<Arc<SegmentSessions>>,
}

/// How far a segment is.
enum Stage {
    /// Its first rows will tell how its columns are written.
    Empty(HashingWriter<File>),
    Writing(Box<ArrowWriter<HashingWriter<File>>>),
    /// Complete, or given up after an error.
    Ended,
}

/// A segment being written. Dropped before [`SegmentWriter::finish`], its file is deleted.
pub(crate) struct SegmentWriter {
    stage: Stage,
    is_complete: bool,
    /// Of the rows it is given.
    schema: SchemaRef,
    /// What its rows will have numbers of, until the first ones come.
    tables: Option<IdTables>,
    numbering: Option<Numbering>,
    zstd_level: i32,
    path: PathBuf,
    relative: String,
    id: u64,
    cutter: RunCutter,
    runs: RunIndex,
    apps: Vec<AppRows>,
    overflow: OverflowNames,
}

impl SegmentWriter {
    /// Creates the file. `overflow` names what the `$overflow` column of the batches may hold; `zstd_level` is that of columns that gain by a
    /// higher one. `tables` are of all rows that will be written, for a segment of one app; without them rows have their ids and persons' keys.
    pub(crate) fn create(
        place: &SegmentPlace<'_>,
        schema: &SchemaRef,
        overflow: OverflowNames,
        tables: Option<IdTables>,
        zstd_level: i32,
    ) -> io::Result<Self> {
        let relative = place.relative();
        let path = place.root.join(&relative);
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        Ok(Self {
            stage: Stage::Empty(HashingWriter::new(File::create(&path)?)),
            is_complete: false,
            schema: schema.clone(),
            tables,
            numbering: None,
            zstd_level,
            path,
            relative,
            id: place.id,
            cutter: RunCutter::default(),
            runs: RunIndex::default(),
            apps: Vec::new(),
            overflow,
        })
    }

    /// Appends rows that sort after those before.
    pub(crate) fn write(&mut self, batch: &RecordBatch) -> io::Result<()> {
        let runs = self.cutter.cut(batch);
        if let Some(IdTables { persons, sessions }) = self.tables.take() {
            self.numbering = Some(Numbering::new(persons, sessions, batch));
        }
        let numbered = self.numbering.as_ref().map(|numbering| numbering.stored(batch).map_err(io::Error::other)).transpose()?;
        let batch = numbered.as_ref().unwrap_or(batch);
        let mut writer = self.begin(batch, runs.len())?;
        let first_row = runs.first().map_or(0, |run| run.rows.start);
        let mut written = 0;
        for run in &runs {
            let row = run.rows.start - first_row;
            if encoding::ends_group(writer.in_progress_rows() + row - written, run.rows.len()) {
                writer.write(&batch.slice(written, row - written)).map_err(parquet_error)?;
                writer.flush().map_err(parquet_error)?;
                written = row;
            }
        }
        writer.write(&batch.slice(written, batch.num_rows() - written)).map_err(parquet_error)?;
        self.stage = Stage::Writing(writer);
        for run in runs {
            count_app(&mut self.apps, &run);
            self.runs.push(run);
        }
        Ok(())
    }

    /// Takes the Parquet writer out of the stage, made for `first` where these are the first rows.
    fn begin(&mut self, first: &RecordBatch, runs: usize) -> io::Result<Box<ArrowWriter<HashingWriter<File>>>> {
        match std::mem::replace(&mut self.stage, Stage::Ended) {
            Stage::Writing(writer) => Ok(writer),
            Stage::Empty(file) => {
                let made = encoding::properties(first, runs, self.zstd_level).and_then(|properties| {
                    // Arrow's own schema would tell other readers to decode text as dictionaries, which not all of them can.
                    let options = ArrowWriterOptions::new().with_properties(properties).with_skip_arrow_metadata(true);
                    ArrowWriter::try_new_with_options(file, first.schema(), options)
                });
                made.map(Box::new).map_err(parquet_error)
            }
            Stage::Ended => Err(io::Error::other("the segment is finished")),
        }
    }

    /// Writes the footer and syncs the file; its folder is the caller's to sync.
    pub(crate) fn finish(mut self) -> io::Result<SegmentInfo> {
        let mut writer = self.begin(&RecordBatch::new_empty(self.schema.clone()), 0)?;
        let (persons, sessions) = match &self.numbering {
            Some(numbering) => add_tables(&mut writer, numbering)?,
            None => (None, None),
        };
        let footer = Footer { runs: std::mem::take(&mut self.runs).finish(), overflow: self.overflow.clone(), persons, sessions };
        // `into_inner` writes the footer; `finish` before it would be an error.
        let finished = add_metadata(&mut writer, &footer).and_then(|()| writer.into_inner().map_err(parquet_error));
        let written = finished.and_then(|file| {
            let (file, bytes, hashes) = file.finish()?;
            file.sync_all()?;
            Ok((bytes, hashes))
        });
        let (bytes, hashes) = written?;
        self.is_complete = true;
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
        if !self.is_complete {
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

/// Writes the tables after the last row group; readers that do not know of them pass over them.
fn add_tables(
    writer: &mut ArrowWriter<HashingWriter<File>>,
    numbering: &Numbering,
) -> io::Result<(Option<PersonPlace>, Option<TextsPlace>)> {
    writer.flush().map_err(parquet_error)?;
    let mut add = |(bytes, place): (Vec<u8>, TextsPlace)| {
        let start = writer.bytes_written() as u64;
        writer.write_all(&bytes).map(|()| TextsPlace { start, ..place })
    };
    let persons = add(numbering.persons().encode()?)?;
    let sessions = numbering.sessions().map(|sessions| sessions.encode().and_then(&mut add)).transpose()?;
    Ok((Some(PersonPlace::Ids(persons)), sessions))
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

#[cfg(test)]
mod tests {
    use super::day_name;

    #[test]
    fn folders_are_dates() {
        for (day, name) in [(0, "1970-01-01"), (-1, "1969-12-31"), (19_782, "2024-02-29"), (20_454, "2026-01-01")] {
            assert_eq!(day_name(day), name);
        }
    }
}
