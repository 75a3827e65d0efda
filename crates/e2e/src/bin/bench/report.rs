//! Prints tables, and replaces a named section of `docs/benchmarks.md`.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use anyhow::Result;

/// A Markdown table while it grows.
pub struct Table {
    text: String,
}

impl Table {
    /// Begins a table with these column heads.
    pub fn new(heads: &[&str]) -> Self {
        let text = format!("| {} |\n|{}\n", heads.join(" | "), "---|".repeat(heads.len()));
        Self { text }
    }

    /// Adds a row.
    pub fn row(&mut self, cells: &[String]) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.text, "| {} |", cells.join(" | "));
    }
}

/// Prints the section and writes it into the page between its markers, which are added at the end when absent.
pub fn publish(name: &str, words: &str, table: &Table) -> Result<()> {
    let body = format!("{words}\n\n{}", table.text);
    eprintln!("\n## {name}\n\n{body}");
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/benchmarks.md");
    let text = std::fs::read_to_string(&page).unwrap_or_default();
    let (begin, end) = (format!("<!-- bench {name} -->"), format!("<!-- end {name} -->"));
    let section = format!("{begin}\n{body}{end}");
    let text = match (text.find(&begin), text.find(&end)) {
        (Some(from), Some(to)) => format!("{}{section}{}", &text[..from], &text[to + end.len()..]),
        _ => format!("{text}\n## {name}\n\n{section}\n"),
    };
    Ok(std::fs::write(page, text)?)
}

/// `1.2 ms`.
pub fn milliseconds(time: Duration) -> String {
    format!("{:.2} ms", time.as_secs_f64() * 1e3)
}

/// `123,456`.
pub fn thousands(number: f64) -> String {
    let digits = format!("{:.0}", number.max(0.0));
    let mut text = String::new();
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// One line about the machine.
pub fn machine() -> String {
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or("").trim_start_matches([' ', '\t', ':']);
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    format!("{cores} cores ({model}), shared with the load generator")
}
