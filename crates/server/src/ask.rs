use std::io::{IsTerminal, Read};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use serde_json::Value;

use crate::http_client::ReadTarget;
use crate::output;

/// The server stops a query after 10 s; this is for its answer to arrive.
const TIMEOUT: Duration = Duration::from_secs(60);

#[derive(Args)]
#[command(after_help = "Examples:
  export THRONG_APP=APP-1 THRONG_READ_KEY=rk_...
  throng query '{\"metric\": \"unique_users\", \"group_by\": \"country\", \"range\": \"7d\"}'
  throng query funnel.json               a request with a list of \"steps\" is a funnel
  throng query '{\"start\": \"page_view\", \"steps\": 3}'
  throng query '{\"start_event\": \"signup\", \"return_event\": \"page_view\", \"period\": \"week\", \"range\": \"90d\"}'
  throng query --call lifecycle '{\"event\": \"page_view\", \"period\": \"week\", \"range\": \"90d\"}'
  throng query --explain '{\"metric\": \"events\", \"interval\": \"day\", \"range\": \"90d\"}'
  throng query --call funnel-person '{\"steps\": [\"page_view\", \"purchase\"], \"person\": \"U1\"}'
  echo '{\"event\": \"purchase\", \"limit\": 5}' | throng query --call events -")]
pub(crate) struct AskArgs {
    /// The request: JSON, a file, or - for standard input
    #[arg(value_name = "REQUEST")]
    request: String,
    #[command(flatten)]
    target: ReadTarget,
    /// Which call of the API; by default the one whose fields the request has: funnel for a list of "steps", paths for "start", "end" or a number of
    /// "steps", retention for "start_event", else query
    #[arg(long)]
    call: Option<Call>,
    /// Tell how the answer came to be: which tables were read and why, what it cost, and where the time went
    #[arg(long)]
    explain: bool,
    /// How to print the answer; by default a table on a terminal, else JSON
    #[arg(long)]
    format: Option<Format>,
}

#[derive(Args)]
#[command(after_help = "Examples:
  export THRONG_APP=APP-1 THRONG_READ_KEY=rk_...
  throng sessions                        of the last 30 days
  throng sessions '{\"interval\": \"day\", \"range\": \"7d\"}'
  throng sessions --format json '{\"pages\": {\"property\": \"url\", \"event\": \"page_view\"}, \"bounce\": {\"max_length\": \"10s\"}}'")]
pub(crate) struct SessionsArgs {
    #[command(flatten)]
    asked: AskedArgs,
}

#[derive(Args)]
#[command(after_help = "Examples:
  export THRONG_APP=APP-1 THRONG_READ_KEY=rk_...
  throng active-users                    of each of the last 30 days
  throng active-users '{\"event\": \"page_view\", \"group_by\": \"country\", \"range\": \"7d\"}'")]
pub(crate) struct ActiveUsersArgs {
    #[command(flatten)]
    asked: AskedArgs,
}

/// What every command takes that asks one call of the API.
#[derive(Args)]
struct AskedArgs {
    /// The request: JSON, a file, or - for standard input
    #[arg(value_name = "REQUEST", default_value = "{}")]
    request: String,
    #[command(flatten)]
    target: ReadTarget,
    /// Tell how the answer came to be
    #[arg(long)]
    explain: bool,
    /// How to print the answer; by default a table on a terminal, else JSON
    #[arg(long)]
    format: Option<Format>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Call {
    Query,
    Funnel,
    FunnelPersons,
    FunnelPerson,
    Paths,
    Sessions,
    Retention,
    Lifecycle,
    Stickiness,
    ActiveUsers,
    Events,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Json,
    Table,
}

/// Runs `throng query`.
pub(crate) fn run(args: &AskArgs) -> Result<()> {
    let request = read_request(&args.request)?;
    let call = match args.call {
        Some(call) => call,
        None => call_of(&request)?,
    };
    ask(call, request, &args.target, args.explain, args.format)
}

/// Runs `throng sessions`.
pub(crate) fn run_sessions(SessionsArgs { asked }: &SessionsArgs) -> Result<()> {
    ask(Call::Sessions, read_request(&asked.request)?, &asked.target, asked.explain, asked.format)
}

/// Runs `throng active-users`.
pub(crate) fn run_active_users(ActiveUsersArgs { asked }: &ActiveUsersArgs) -> Result<()> {
    ask(Call::ActiveUsers, read_request(&asked.request)?, &asked.target, asked.explain, asked.format)
}

fn read_request(argument: &str) -> Result<Value> {
    serde_json::from_str(&request_text(argument)?).context("the request is not JSON")
}

/// Asks a call and prints its answer.
fn ask(call: Call, mut request: Value, target: &ReadTarget, explain: bool, format: Option<Format>) -> Result<()> {
    let (name, name_of_rows) = match call {
        Call::Query => ("query", "results"),
        Call::Funnel => ("funnel", "funnel"),
        Call::FunnelPersons => ("funnel/persons", "persons"),
        Call::FunnelPerson => ("funnel/person", "events"),
        Call::Paths => ("paths", "paths"),
        Call::Sessions => ("sessions", "sessions"),
        Call::Retention => ("retention", "retention"),
        Call::Lifecycle => ("lifecycle", "lifecycle"),
        Call::Stickiness => ("stickiness", "stickiness"),
        Call::ActiveUsers => ("active_users", "active_users"),
        Call::Events => ("events", "events"),
    };
    if explain {
        let fields = request.as_object_mut().context("the request is not a JSON object")?;
        fields.insert("explain".to_owned(), Value::Bool(true));
    }
    let client = target.client(TIMEOUT)?;
    let answer = client.post(&target.path(name), request.to_string().as_bytes())?;
    if answer.status != 200 {
        bail!("{}", answer.error_text());
    }
    let default = if std::io::stdout().is_terminal() { Format::Table } else { Format::Json };
    match (format.unwrap_or(default), answer.body[name_of_rows].as_array()) {
        (Format::Table, Some(rows)) => {
            output::line(&table(rows))?;
            output::note(&summary(&answer.body, rows.len()));
            hints(&answer.body).for_each(|hint| output::note(&hint));
            if let Some(note) = only_in_json(&answer.body, name_of_rows) {
                output::note(&note);
            }
            if explain {
                output::note(&explanation(&answer.body["explain"]));
            }
            Ok(())
        }
        _ => output::json(&answer.body),
    }
}

/// The call a request is for, by the fields that others do not have.
fn call_of(request: &Value) -> Result<Call> {
    let has = |field: &str| request.get(field).is_some();
    Ok(match request.get("steps") {
        Some(steps) if steps.is_array() => Call::Funnel,
        Some(_) => Call::Paths,
        None if has("start") || has("end") => Call::Paths,
        None if has("funnel") => Call::Funnel,
        None if has("start_event") => Call::Retention,
        None if has("period") => {
            bail!("a request with \"period\" and no \"start_event\" may be for two calls: say --call lifecycle or --call stickiness")
        }
        None if has("sql") => bail!("a statement is asked by throng sql 'SELECT ...'"),
        None => Call::Query,
    })
}

/// What an answer has beside the rows of its table, such as a breakdown: nobody should take the table for all of it.
fn only_in_json(answer: &Value, name_of_rows: &str) -> Option<String> {
    const NO_RESULTS: [&str; 7] = ["range", "metrics", "group_by", "semantics", "explain", "previous_range", "hints"];
    let is_left_out = |(name, value): &(&String, &Value)| {
        let has_values = value.as_array().is_some_and(|values| !values.is_empty()) || value.is_object();
        has_values && name.as_str() != name_of_rows && !NO_RESULTS.contains(&name.as_str())
    };
    let names: Vec<&str> = answer.as_object()?.iter().filter(is_left_out).map(|(name, _)| name.as_str()).collect();
    (!names.is_empty()).then(|| format!("not in the table: {} (--format json)", names.join(", ")))
}

/// What the answer says of names that the app does not have.
fn hints(answer: &Value) -> impl Iterator<Item = String> {
    let hints = answer["hints"].as_array().into_iter().flatten();
    hints.filter_map(|hint| hint["message"].as_str()).map(|message| message.chars().flat_map(shown).collect())
}

/// The text of a request: the argument itself where it is JSON, else the file, or standard input for `-`.
///
/// # Errors
/// When that cannot be read.
pub(crate) fn request_text(argument: &str) -> Result<String> {
    if argument.trim_start().starts_with('{') {
        return Ok(argument.to_owned());
    }
    if argument == "-" {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).context("standard input cannot be read")?;
        return Ok(text);
    }
    std::fs::read_to_string(argument).with_context(|| format!("{argument} is neither JSON nor a file that can be read"))
}

pub(crate) fn summary(answer: &Value, rows: usize) -> String {
    let mut parts = vec![if rows == 1 { "1 row".to_owned() } else { format!("{rows} rows") }];
    if let Some(events) = answer["scanned_events"].as_u64() {
        parts.push(format!("{} events read", events + answer["segment_events"].as_u64().unwrap_or(0)));
    }
    if let Some(ms) = answer["query_time_ms"].as_f64() {
        parts.push(format!("{ms} ms"));
    }
    if answer["complete"] == Value::Bool(false) {
        parts.push("INCOMPLETE".to_owned());
    }
    parts.join(", ")
}

/// The explanation for a person: the reason, a line a table, a line of costs, and where the time went.
fn explanation(explain: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().chars().flat_map(shown).collect::<String>();
    let mut lines = vec![format!("why: {}", text(&explain["reason"]))];
    for table in explain["tables"].as_array().into_iter().flatten().filter_map(Value::as_object) {
        let facts = table.iter().filter(|(name, _)| *name != "table").map(|(name, value)| format!("{value} {name}"));
        lines.push(format!("{}: {}", text(&table["table"]), facts.collect::<Vec<_>>().join(", ")));
    }
    for segment in explain["segments"].as_array().into_iter().flatten() {
        let persons = segment["persons"].as_u64().map_or_else(|| "all but some persons".to_owned(), |persons| format!("{persons} persons"));
        lines.push(format!("{}: {persons}, {} events read, {} ms", text(&segment["segment"]), segment["events"], segment["ms"]));
    }
    lines.push(format!("{} threads, {} bytes of memory at most", explain["threads"], explain["memory_peak_bytes"]));
    let stages = explain["stages"].as_array().into_iter().flatten();
    lines.push(stages.map(|stage| format!("{} {} ms", text(&stage["stage"]), stage["ms"])).collect::<Vec<_>>().join(", "));
    lines.join("\n")
}

/// Columns in the order in which rows name them, numbers to the right. Control characters are shown as escapes, since values come
/// from whoever sent the events and a terminal obeys them.
pub(crate) fn table(rows: &[Value]) -> String {
    let mut columns: Vec<&str> = Vec::new();
    for key in rows.iter().filter_map(Value::as_object).flat_map(|row| row.keys()) {
        if !columns.contains(&key.as_str()) {
            columns.push(key);
        }
    }
    let cell = |row: &Value, column: &str| match row.get(column) {
        None => "-".to_owned(),
        // From one step to the next, also where a step has no name.
        Some(Value::Array(steps)) if column == "path" => steps.iter().map(cell).collect::<Vec<_>>().join(" > "),
        Some(value) => cell(value),
    };
    let cells: Vec<Vec<String>> = rows.iter().map(|row| columns.iter().map(|column| cell(row, column)).collect()).collect();
    let is_number = |index: usize| rows.iter().all(|row| row.get(columns[index]).is_none_or(|value| value.is_number() || value.is_null()));
    let widths: Vec<usize> = (0..columns.len())
        .map(|index| cells.iter().map(|row| row[index].chars().count()).chain([columns[index].chars().count()]).max().unwrap_or(0))
        .collect();
    let line = |texts: Vec<String>| {
        let padded = texts.iter().enumerate().map(|(index, text)| {
            let width = widths[index];
            if is_number(index) { format!("{text:>width$}") } else { format!("{text:<width$}") }
        });
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    let head = line(columns.iter().map(|column| column.chars().flat_map(shown).collect()).collect());
    std::iter::once(head).chain(cells.into_iter().map(line)).collect::<Vec<_>>().join("\n")
}

/// One value. A list of numbers is a row of its own.
fn cell(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.chars().flat_map(shown).collect(),
        // JSON has every digit; a person compares the first ones.
        Value::Number(number) if number.is_f64() => format!("{:.4}", number.as_f64().unwrap_or_default()),
        Value::Array(values) if values.iter().all(|value| value.is_number() || value.is_null()) => {
            values.iter().map(cell).collect::<Vec<_>>().join(" ")
        }
        other => other.to_string().chars().flat_map(shown).collect(),
    }
}

fn shown(character: char) -> Vec<char> {
    if character.is_control() { character.escape_default().collect() } else { vec![character] }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_explanation_reads_from_why_to_where() {
        let explain = json!({
            "reason": "because", "threads": 2, "memory_peak_bytes": 512,
            "tables": [{"table": "raw_segments", "segments": 9, "pruned": 7, "read": 2, "rows": 100, "bytes": 4096}],
            "stages": [{"stage": "plan", "ms": 0.25}, {"stage": "scan", "ms": 3.5}]
        });
        let expected = "why: because\nraw_segments: 9 segments, 7 pruned, 2 read, 100 rows, 4096 bytes\n\
            2 threads, 512 bytes of memory at most\nplan 0.25 ms, scan 3.5 ms";
        assert_eq!(explanation(&explain), expected);
    }

    #[test]
    fn a_request_says_which_call_it_is_for() {
        let is =
            |request: Value, call: Call| call_of(&request).is_ok_and(|is| std::mem::discriminant(&is) == std::mem::discriminant(&call));
        assert!(is(json!({"steps": ["a"]}), Call::Funnel) && is(json!({"funnel": "checkout"}), Call::Funnel));
        assert!(is(json!({"steps": 3}), Call::Paths) && is(json!({"end": "a"}), Call::Paths));
        assert!(is(json!({"metric": "events"}), Call::Query));
        assert!(call_of(&json!({"event": "a", "period": "week"})).is_err());
        let answer = json!({"funnel": [{}], "breakdown": [{}], "average": {}, "trend": [], "range": {}, "complete": true});
        assert_eq!(only_in_json(&answer, "funnel").as_deref(), Some("not in the table: breakdown, average (--format json)"));
        assert_eq!(only_in_json(&json!({"results": [{}], "range": {}}), "results"), None);
    }

    #[test]
    fn a_table_lines_up() {
        let rows =
            [json!({"country": "US", "users": 1200, "share": 0.123456}), json!({"country": null, "users": 7, "note": "\u{1b}[31mx"})];
        assert_eq!(table(&rows), "country  users   share  note\nUS        1200  0.1235  -\n-            7       -  \\u{1b}[31mx");
        assert_eq!(table(&[]), "");
        let rows = [json!({"path": ["home", null, "a\u{7}"], "fractions": [1.0, 0.333333, null], "returned": [2, 1]})];
        assert_eq!(table(&rows), "path               fractions        returned\nhome > - > a\\u{7}  1.0000 0.3333 -  2 1");
    }
}
