//! Takes raw events, row by row, and which properties their app has.
//! Gives a file of them in pieces: JSON lines, CSV or Parquet, in memory that does not grow with the file.
//! Knows nothing of HTTP, of stores, or of who reads the file.
//!
//! Fields have the names under which the batch call takes them; beside them are `client_timestamp` and `received_at`.

mod columns;
mod comma_separated;
mod encoder;
mod json_lines;
mod members;
mod parquet_file;
#[cfg(test)]
mod tests;

pub use columns::{MAX_PROPERTY_COLUMNS, PropertyColumns};
pub use encoder::{Encoder, ExportError, FileFormat, FileOptions, Formulas};
