use std::collections::HashSet;
use std::io::{IsTerminal, Read};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use serde_json::{Map, Value, json};

use crate::ask::{summary, table};
use crate::http_client::ReadTarget;
use crate::output;

/// The server stops a statement after 10 s; this is for its answer to arrive.
const TIMEOUT: Duration = Duration::from_secs(60);

#[derive(Args)]
#[command(after_help = "Examples:
  export THRONG_APP=APP-1 THRONG_READ_KEY=rk_...
  throng sql 'SELECT event, count(*) FROM events GROUP BY event ORDER BY 2 DESC'
  throng sql \"SELECT properties['country'], count(DISTINCT person) FROM events GROUP BY 1\" --format csv
  throng sql 'SELECT count(*), avg(duration_ms) FROM sessions' --format json
  throng sql - < report.sql

Tables: events, sessions, persons. docs/sql.md has their columns and the functions there are.")]
pub(crate) struct SqlArgs {
    /// One SELECT, or - to read it from standard input
    #[arg(value_name = "STATEMENT")]
    statement: String,
    #[command(flatten)]
    target: ReadTarget,
    /// How to print the answer; by default a table on a terminal, else JSON. In CSV, text that a spreadsheet would run has a ' before it
    #[arg(long)]
    format: Option<Format>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// The answer as the server gives it
    Json,
    /// An object a line
    Ndjson,
    Csv,
    Table,
}

/// Runs `throng sql`.
pub(crate) fn run(args: &SqlArgs) -> Result<()> {
    let mut statement = args.statement.clone();
    if statement == "-" {
        statement.clear();
        std::io::stdin().read_to_string(&mut statement).context("standard input cannot be read")?;
    }
    let client = args.target.client(TIMEOUT)?;
    let request = json!({"sql": statement}).to_string();
    let answer = client.post(&args.target.path("sql"), request.as_bytes())?;
    if answer.status != 200 {
        bail!("{}", answer.error_text());
    }
    let default = if std::io::stdout().is_terminal() { Format::Table } else { Format::Json };
    let names = column_names(&answer.body["columns"]);
    let rows = answer.body["rows"].as_array().map(Vec::as_slice).unwrap_or_default();
    match args.format.unwrap_or(default) {
        Format::Json => output::json(&answer.body),
        Format::Ndjson => objects(&names, rows).iter().try_for_each(|row| output::line(&row.to_string())),
        Format::Csv => output::line(comma_separated(&names, rows)?.trim_end()),
        Format::Table => {
            output::line(&table(&objects(&names, rows)))?;
            output::note(&summary(&answer.body, rows.len()));
            Ok(())
        }
    }
}

/// The names of the columns; one that is taken gets `_2`, `_3`, ...
fn column_names(columns: &Value) -> Vec<String> {
    let mut taken = HashSet::new();
    let unique = |column: &Value| {
        let name = column["name"].as_str().unwrap_or_default();
        let mut unique = name.to_owned();
        let mut number = 2;
        while !taken.insert(unique.clone()) {
            unique = format!("{name}_{number}");
            number += 1;
        }
        unique
    };
    columns.as_array().into_iter().flatten().map(unique).collect()
}

fn objects(names: &[String], rows: &[Value]) -> Vec<Value> {
    let object = |row: &Value| {
        let cells = row.as_array().into_iter().flatten().cloned();
        Value::Object(names.iter().cloned().zip(cells).collect::<Map<String, Value>>())
    };
    rows.iter().map(object).collect()
}

fn comma_separated(names: &[String], rows: &[Value]) -> Result<String> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(names.iter().map(|name| plain(name)))?;
    for row in rows {
        let cells = row.as_array().into_iter().flatten().map(|cell| match cell {
            Value::Null => String::new(),
            Value::String(text) => plain(text),
            other => other.to_string(),
        });
        writer.write_record(cells)?;
    }
    Ok(String::from_utf8(writer.into_inner()?)?)
}

/// Text that no spreadsheet runs as a formula; a `'` at the beginning is doubled, so that it can be told apart.
fn plain(text: &str) -> String {
    if text.starts_with(['=', '+', '-', '@', '\t', '\r', '\'']) { format!("'{text}") } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_as_comma_separated_values_and_objects() {
        let names = column_names(&json!([{"name": "event"}, {"name": "n"}, {"name": "event"}]));
        assert_eq!(names, ["event", "n", "event_2"]);
        let rows = [json!(["a,b", 1, null]), json!(["=1+1", -2.5, "x\"y"])];
        assert_eq!(comma_separated(&names, &rows).unwrap(), "event,n,event_2\n\"a,b\",1,\n'=1+1,-2.5,\"x\"\"y\"\n");
        assert_eq!(objects(&names, &rows)[0], json!({"event": "a,b", "n": 1, "event_2": null}));
    }
}
