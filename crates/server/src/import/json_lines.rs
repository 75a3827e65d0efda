use std::io::{BufRead, Read};

use anyhow::{Context, Result};
use serde_json::Value;

use super::Row;

/// No event is larger: the gateway takes 10 MiB in one request.
const MAX_LINE_BYTES: usize = 10 << 20;

/// Reads one JSON object a line; empty lines are passed over.
pub(super) fn read(text: &mut dyn BufRead, take: &mut dyn FnMut(Row) -> Result<()>) -> Result<()> {
    for place in 1u64.. {
        let mut line = Vec::new();
        let read = Read::take(&mut *text, MAX_LINE_BYTES as u64 + 1).read_until(b'\n', &mut line);
        if read.context("the file cannot be read")? == 0 {
            break;
        }
        if line.len() > MAX_LINE_BYTES {
            skip_line(text)?;
            take(Row { place, content: Vec::new(), columns: Err(format!("the line is longer than {MAX_LINE_BYTES} bytes")) })?;
            continue;
        }
        let trimmed = line.trim_ascii();
        if trimmed.is_empty() {
            continue;
        }
        let columns = match serde_json::from_slice(trimmed) {
            Ok(Value::Object(columns)) => Ok(columns),
            Ok(_) => Err("the line is not a JSON object".to_owned()),
            Err(error) => Err(format!("the line is not JSON: {error}")),
        };
        let content = trimmed.to_vec();
        take(Row { place, content, columns })?;
    }
    Ok(())
}

fn skip_line(text: &mut dyn BufRead) -> Result<()> {
    loop {
        let buffer = text.fill_buf().context("the file cannot be read")?;
        let end = buffer.iter().position(|&byte| byte == b'\n');
        let consumed = end.map_or(buffer.len(), |end| end + 1);
        text.consume(consumed);
        if end.is_some() || consumed == 0 {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(text: &[u8]) -> Vec<(u64, bool)> {
        let mut rows = Vec::new();
        read(&mut &text[..], &mut |row| {
            rows.push((row.place, row.columns.is_ok()));
            Ok(())
        })
        .unwrap();
        rows
    }

    #[test]
    fn bad_lines_are_named_and_the_rest_is_read() {
        assert_eq!(places(b"{}\n\n[1]\r\n{\"a\":\n{\"b\":1}"), [(1, true), (3, false), (4, false), (5, true)]);
        let long = [b"{}\n".to_vec(), vec![b' '; MAX_LINE_BYTES + 5], b"\n{}\n".to_vec()].concat();
        assert_eq!(places(&long), [(1, true), (2, false), (3, true)]);
    }
}
