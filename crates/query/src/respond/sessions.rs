//! Answers about sessions.

use std::cmp::Ordering;
use std::collections::HashMap;

use event_store::{Field, MemoryBudget, PageRow, Selection, SessionFigures, SessionsTable, Value};
use serde_json::{Map, Value as Json, json};

use super::order::compare_values;
use super::rows::{KeyPart, group_key};
use super::{add_period, frame, number_json, value_json};
use crate::answered::Held;
use crate::cache::NODE_BYTES;
use crate::calendar;
use crate::failure::QueryFailure;
use crate::request::SessionsRequest;
use crate::sessions_planner::{PlannedSessions, ROW_FIELDS};

/// The answer to a `/sessions` request.
///
/// # Errors
/// A limit, when there would be more than `max_rows`, or more than `memory` has room for.
pub(crate) fn sessions_answer(
    request: &SessionsRequest,
    planned: &PlannedSessions,
    table: &SessionsTable,
    max_rows: usize,
    memory: &MemoryBudget,
) -> Result<Map<String, Json>, QueryFailure> {
    let shown = shown(request, planned, table);
    let groups: Vec<&[Value]> = match request.group_by[..] {
        [] => vec![&[]],
        _ => table.totals.iter().map(|row| row.group.as_slice()).collect(),
    };
    let count = groups.len().saturating_mul(shown.len());
    if count > max_rows {
        let message = format!(
            "the answer would have {count} rows, at most {max_rows} are given: lower \"limit\", or ask for a longer interval or a shorter range"
        );
        return Err(QueryFailure::limit("query_row_limit", message));
    }
    let _rows = Held::take(memory, count * (ROW_FIELDS.len() + request.group_by.len()) * NODE_BYTES * 2)?;
    let rows = rows(request, planned, table, &groups, shown);
    let mut answer = frame("sessions", rows, true, &table.stats);
    answer.insert("total".to_owned(), Json::Object(figures(request, &table.total)));
    if request.pages.is_some() {
        answer.insert("with_page".to_owned(), json!(table.with_page));
        answer.insert("entry_pages".to_owned(), pages(&table.entry_pages, table.with_page));
        answer.insert("exit_pages".to_owned(), pages(&table.exit_pages, table.with_page));
    }
    answer.insert("lengths".to_owned(), lengths(request, table));
    answer.insert("group_by".to_owned(), request.group_by.iter().map(|key| json!(key.name)).collect());
    add_period(&mut answer, &request.period);
    answer.insert("semantics".to_owned(), semantics(request));
    Ok(answer)
}

/// All buckets; of the range "all", from the first to the last one in which a session begins.
fn shown(request: &SessionsRequest, planned: &PlannedSessions, table: &SessionsTable) -> std::ops::Range<usize> {
    if !(request.period.is_all && request.interval.is_some()) {
        return 0..planned.labels.len();
    }
    match (table.rows.first(), table.rows.last()) {
        (Some(first), Some(last)) => first.bucket as usize..last.bucket as usize + 1,
        _ => 0..0,
    }
}

/// A row for each group in each bucket: by time, then by sessions, ties by value; the rest last.
fn rows(
    request: &SessionsRequest,
    planned: &PlannedSessions,
    table: &SessionsTable,
    groups: &[&[Value]],
    shown: std::ops::Range<usize>,
) -> Json {
    let rank_of: HashMap<Vec<KeyPart<'_>>, usize> = groups.iter().enumerate().map(|(rank, group)| (group_key(group), rank)).collect();
    let mut found: HashMap<(usize, usize), &SessionFigures> = HashMap::with_capacity(table.rows.len());
    for row in &table.rows {
        if let Some(&rank) = rank_of.get(&group_key(&row.group)) {
            found.insert((row.bucket as usize, rank), &row.figures);
        }
    }
    let none = SessionFigures::default();
    let mut rows = Vec::new();
    for bucket in shown {
        let mut of_bucket: Vec<(usize, &SessionFigures)> =
            (0..groups.len()).map(|rank| (rank, found.get(&(bucket, rank)).copied().unwrap_or(&none))).collect();
        of_bucket.sort_by(|(a, of_a), (b, of_b)| {
            let (a, b) = (groups[*a], groups[*b]);
            let is_rest = |group: &[Value]| group.first() == Some(&Value::Other);
            let by_values = || a.iter().zip(b).map(|(a, b)| compare_values(a, b)).find(|order| order.is_ne()).unwrap_or(Ordering::Equal);
            is_rest(a).cmp(&is_rest(b)).then(of_b.sessions.cmp(&of_a.sessions)).then_with(by_values)
        });
        for (rank, of_group) in of_bucket {
            let mut row = Map::new();
            if request.interval.is_some() {
                row.insert("time".to_owned(), json!(calendar::iso(&request.period.zone, planned.labels[bucket])));
            }
            for (key, value) in request.group_by.iter().zip(groups[rank]) {
                let value = match (&key.field, value) {
                    (Field::ReceivedAt, Value::Int(ms)) => json!(calendar::iso(&request.period.zone, *ms)),
                    _ => value_json(value),
                };
                row.insert(key.name.clone(), value);
            }
            row.extend(figures(request, of_group));
            rows.push(Json::Object(row));
        }
    }
    Json::Array(rows)
}

fn figures(request: &SessionsRequest, figures: &SessionFigures) -> Map<String, Json> {
    let SessionFigures { sessions, users, events, pages, bounces, length_sum_ms, median_length_ms, p90_length_ms } = *figures;
    let ratio = |part: f64, whole: u64| if whole == 0 { Json::Null } else { json!(part / whole as f64) };
    let number = |number: Option<f64>| number.map_or(Json::Null, number_json);
    let mut fields = vec![
        ("sessions", json!(sessions)),
        ("users", json!(users)),
        ("sessions_per_user", ratio(sessions as f64, users)),
        ("events", json!(events)),
        ("events_per_session", ratio(events as f64, sessions)),
        ("avg_length_ms", ratio(length_sum_ms as f64, sessions)),
        ("median_length_ms", number(median_length_ms)),
        ("p90_length_ms", number(p90_length_ms)),
        ("bounces", json!(bounces)),
        ("bounce_rate", ratio(bounces as f64, sessions)),
    ];
    if request.pages.is_some() {
        fields.extend([("pages", json!(pages)), ("pages_per_session", ratio(pages as f64, sessions))]);
    }
    fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

fn pages(rows: &[PageRow], with_page: u64) -> Json {
    let row = |PageRow { page, sessions, bounces }: &PageRow| {
        json!({
            "page": value_json(page), "sessions": sessions, "share": share(*sessions, with_page), "bounces": bounces,
            "bounce_rate": share(*bounces, *sessions),
        })
    };
    rows.iter().map(row).collect()
}

/// A row for each bin; the last has no end.
fn lengths(request: &SessionsRequest, table: &SessionsTable) -> Json {
    let all: u64 = table.lengths.iter().sum();
    let row = |(bin, &sessions): (usize, &u64)| {
        let from_ms = if bin == 0 { 0 } else { request.bins[bin - 1] };
        json!({"from_ms": from_ms, "to_ms": request.bins.get(bin), "sessions": sessions, "share": share(sessions, all)})
    };
    table.lengths.iter().enumerate().map(row).collect()
}

/// The rule that was used.
fn semantics(request: &SessionsRequest) -> Json {
    let names = |any_of: &[Selection]| any_of.first().and_then(|(names, _)| names.clone());
    let bounce = &request.bounce;
    let mut rule = json!({
        "counts_in": "the bucket in which the session begins",
        "session": {"client_session_id": "first", "idle_ms": request.rule.idle_ms, "max_length_ms": request.rule.max_ms},
        "bounce": {"max_events": bounce.max_events, "events": names(&bounce.any_of), "max_length_ms": bounce.max_length_ms},
    });
    if let Some((property, pages)) = &request.pages {
        rule["pages"] = json!({"property": property, "events": names(&pages.any_of)});
    }
    rule
}
