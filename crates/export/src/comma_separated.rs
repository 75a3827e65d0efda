//! CSV as RFC 4180 has it: CRLF ends a line, a quote in a cell is doubled.

use event::{iso_utc, write_json_string};
use event_store::EventRow;

use crate::columns::{FIXED, PROPERTIES, PropertyColumns};
use crate::encoder::{ExportError, Formulas};
use crate::members::{self, JsonKind};

/// What a spreadsheet takes for the beginning of a formula, and the mark that keeps it from that.
const FORMULA_STARTS: [char; 6] = ['=', '+', '-', '@', '\t', '\r'];
const MARK: char = '\'';

/// Writes rows; cells of the current row are kept between rows to save allocations.
pub(crate) struct CsvWriter {
    columns: PropertyColumns,
    formulas: Formulas,
    cells: Vec<String>,
}

impl CsvWriter {
    /// Begins a file: its header line is in `out`.
    pub(crate) fn new(columns: PropertyColumns, formulas: Formulas, out: &mut Vec<u8>) -> Self {
        let cells = vec![String::new(); columns.columns.len()];
        let writer = Self { columns, formulas, cells };
        let names = FIXED.into_iter().chain(writer.columns.columns.iter().map(|(name, _)| name.as_str())).chain([PROPERTIES]);
        for (i, name) in names.enumerate() {
            begin_cell(i, out);
            writer.text(name, out);
        }
        out.extend_from_slice(b"\r\n");
        writer
    }

    /// Appends one row. A text, number or boolean stands in its property's column; what has none, and every list and object, is in
    /// the last one.
    pub(crate) fn write(&mut self, row: &EventRow, out: &mut Vec<u8>) -> Result<(), ExportError> {
        let rest = self.place_properties(row)?;
        self.text(&row.name, out);
        begin_cell(1, out);
        cell(&iso_utc(row.time_ms), out);
        for id in [&row.user_id, &row.anonymous_id, &row.session_id, &row.insert_id] {
            begin_cell(1, out);
            if let Some(id) = id {
                self.text(id, out);
            }
        }
        for ms in [row.client_time_ms, row.received_at_ms] {
            begin_cell(1, out);
            cell(&iso_utc(ms), out);
        }
        for json in &self.cells {
            begin_cell(1, out);
            match JsonKind::of(json) {
                Some(JsonKind::Text) => self.text(&members::text(json).unwrap_or_default(), out),
                _ => out.extend_from_slice(json.as_bytes()),
            }
        }
        begin_cell(1, out);
        if !rest.is_empty() {
            cell(&rest, out);
        }
        out.extend_from_slice(b"\r\n");
        Ok(())
    }

    /// The JSON of each column's property, and an object of the others, empty when there are none.
    fn place_properties(&mut self, row: &EventRow) -> Result<String, ExportError> {
        self.cells.iter_mut().for_each(String::clear);
        let mut rest = String::new();
        members::each(&row.properties_json, &mut |name, json| {
            let column = self.columns.index_of(name).filter(|_| JsonKind::of(json) != Some(JsonKind::Nested));
            match column {
                Some(column) => self.cells[column].push_str(json),
                None => {
                    rest.push(if rest.is_empty() { '{' } else { ',' });
                    write_json_string(name, &mut rest);
                    rest.push(':');
                    rest.push_str(json);
                }
            }
        })
        .map_err(ExportError::Properties)?;
        if !rest.is_empty() {
            rest.push('}');
        }
        Ok(rest)
    }

    /// A cell of text that came from outside. A mark goes before whatever a spreadsheet would run, and before the mark itself, so
    /// that taking one mark away gives every text back.
    fn text(&self, text: &str, out: &mut Vec<u8>) {
        let is_marked = self.formulas == Formulas::Mark && text.starts_with(|c| c == MARK || FORMULA_STARTS.contains(&c));
        if is_marked {
            cell(&format!("{MARK}{text}"), out);
        } else {
            cell(text, out);
        }
    }
}

fn begin_cell(index: usize, out: &mut Vec<u8>) {
    if index > 0 {
        out.push(b',');
    }
}

/// The empty text is quoted, which tells it from no value.
fn cell(text: &str, out: &mut Vec<u8>) {
    let needs_quotes = text.is_empty() || text.contains([',', '"', '\r', '\n']);
    if !needs_quotes {
        out.extend_from_slice(text.as_bytes());
        return;
    }
    out.push(b'"');
    for (i, part) in text.split('"').enumerate() {
        if i > 0 {
            out.extend_from_slice(b"\"\"");
        }
        out.extend_from_slice(part.as_bytes());
    }
    out.push(b'"');
}
