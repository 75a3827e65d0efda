use event_store::EventRow;
use thiserror::Error;

use crate::columns::PropertyColumns;
use crate::comma_separated::CsvWriter;
use crate::json_lines;
use crate::parquet_file::ParquetWriter;

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileFormat {
    /// One object of the batch call a line.
    JsonLines,
    /// A table of text, RFC 4180.
    Csv,
    /// A table of typed columns.
    Parquet,
}

impl FileFormat {
    /// Every format.
    pub const ALL: [Self; 3] = [Self::JsonLines, Self::Csv, Self::Parquet];

    /// What it is called in requests, and what the names of its files end with.
    pub fn name(self) -> &'static str {
        match self {
            Self::JsonLines => "jsonl",
            Self::Csv => "csv",
            Self::Parquet => "parquet",
        }
    }

    /// The media type.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::JsonLines => "application/x-ndjson",
            Self::Csv => "text/csv; charset=utf-8; header=present",
            Self::Parquet => "application/vnd.apache.parquet",
        }
    }

    /// Whether properties become columns, so that the writer must know them beforehand.
    pub fn has_property_columns(self) -> bool {
        self != Self::JsonLines
    }
}

/// What becomes of text in a CSV that a spreadsheet would run as a formula.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Formulas {
    /// `'` before it, and before text that begins with `'`: taking one away gives the text back.
    #[default]
    Mark,
    /// As it is, for programs.
    Keep,
}

/// What file to write.
#[derive(Clone, Copy, Debug)]
pub struct FileOptions {
    /// Its format.
    pub format: FileFormat,
    /// For CSV alone.
    pub formulas: Formulas,
}

/// Why a file cannot be written; both are defects of what came before.
#[derive(Debug, Error)]
pub enum ExportError {
    /// A stored event whose properties are no JSON object.
    #[error("the properties of a stored event are not a JSON object: {0}")]
    Properties(#[source] serde_json::Error),
    /// The Parquet writer refused a batch.
    #[error("a row group cannot be written: {0}")]
    Parquet(#[from] parquet::errors::ParquetError),
}

/// Turns events into the bytes of a file.
///
/// Call [`Encoder::push`] for each event, [`Encoder::take`] as often as you like, and [`Encoder::finish`] once. A file whose encoder
/// was not finished is not whole: a Parquet file cannot be read, the others end with a whole line.
pub struct Encoder {
    out: Vec<u8>,
    writer: Writer,
}

enum Writer {
    JsonLines,
    Csv(CsvWriter),
    Parquet(Box<ParquetWriter>),
}

impl Encoder {
    /// Begins a file; JSON lines need no columns.
    ///
    /// # Errors
    /// [`ExportError::Parquet`].
    pub fn new(options: FileOptions, columns: PropertyColumns) -> Result<Self, ExportError> {
        let mut out = Vec::new();
        let writer = match options.format {
            FileFormat::JsonLines => Writer::JsonLines,
            FileFormat::Csv => Writer::Csv(CsvWriter::new(columns, options.formulas, &mut out)),
            FileFormat::Parquet => Writer::Parquet(Box::new(ParquetWriter::new(columns)?)),
        };
        Ok(Self { out, writer })
    }

    /// Adds an event.
    ///
    /// # Errors
    /// [`ExportError`]; the file is then of no use.
    pub fn push(&mut self, row: &EventRow) -> Result<(), ExportError> {
        match &mut self.writer {
            Writer::JsonLines => json_lines::write(row, &mut self.out),
            Writer::Csv(writer) => writer.write(row, &mut self.out)?,
            Writer::Parquet(writer) => writer.push(row, &mut self.out)?,
        }
        Ok(())
    }

    /// Bytes that [`Encoder::take`] would give.
    pub fn ready_bytes(&self) -> usize {
        self.out.len()
    }

    /// The bytes of the file since the last call.
    pub fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.out)
    }

    /// The last bytes of the file.
    ///
    /// # Errors
    /// [`ExportError::Parquet`].
    pub fn finish(mut self) -> Result<Vec<u8>, ExportError> {
        if let Writer::Parquet(writer) = self.writer {
            writer.finish(&mut self.out)?;
        }
        Ok(self.out)
    }
}
