//! The rows of all apps that live windows are built of.

use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch, StringArray};
use arrow::datatypes::{Int32Type, TimestampMillisecondType};
use event::{AppId, PAGE_PROPERTIES, page_of};
use event_store::{QueryError, WindowRow};
use serde::Deserialize;

use crate::columns::{self, ColumnRequest};
use crate::part::{Part, ScanRequest};
use crate::snapshot::Snapshot;

/// Calls `visit` for every row at or after `from_ms`, app by app in each part. Rows of damaged segments are left out and logged.
pub(crate) fn scan(snapshot: &Snapshot, from_ms: i64, visit: &mut dyn FnMut(&WindowRow<'_>)) -> Result<(), QueryError> {
    let fixed = [columns::EVENT, columns::TIME, columns::USER_ID, columns::ANONYMOUS_ID, columns::SESSION_ID].map(ColumnRequest::Fixed);
    let pages = PAGE_PROPERTIES.map(|name| ColumnRequest::Property(name.to_string()));
    let requests: Vec<ColumnRequest> = fixed.into_iter().chain(pages).collect();
    for part in snapshot.parts.iter().filter(|part| part.time_range().1 >= from_ms) {
        for app in apps_of(part) {
            let request = ScanRequest { app: &app, from_ms, to_ms: i64::MAX, events: None, columns: &requests };
            for batch in part.scan(&request) {
                visit_batch(&app, &batch?, visit)?;
            }
        }
    }
    Ok(())
}

/// The apps of a part; none of a damaged segment.
pub(crate) fn apps_of(part: &Part) -> Vec<AppId> {
    let names: Vec<Arc<str>> = match part {
        Part::Memory(part) => part.runs().runs().iter().map(|run| run.app.clone()).collect(),
        Part::Segment(segment) => match segment.open() {
            Ok(open) => open.runs().runs().iter().map(|run| run.app.clone()).collect(),
            Err(_) => Vec::new(),
        },
    };
    let mut apps: Vec<AppId> = names.iter().filter_map(|name| AppId::new(name)).collect();
    apps.dedup();
    apps
}

fn visit_batch(app: &AppId, batch: &RecordBatch, visit: &mut dyn FnMut(&WindowRow<'_>)) -> Result<(), QueryError> {
    let missing = |name: &str| QueryError::Store(format!("a part lacks the column {name}"));
    let column = |name: &'static str| batch.column_by_name(name).ok_or_else(|| missing(name));
    let id = |name: &'static str| column(name).map(|column| column.as_string::<i32>());
    let (users, anonymous, sessions) = (id(columns::USER_ID)?, id(columns::ANONYMOUS_ID)?, id(columns::SESSION_ID)?);
    let events = column(columns::EVENT)?.as_dictionary::<Int32Type>();
    let names = events.values().as_string::<i32>();
    let times = column(columns::TIME)?.as_primitive::<TimestampMillisecondType>().values();
    let pages = Pages::of(batch);
    for row in 0..batch.num_rows() {
        let page = pages.page_of(row);
        visit(&WindowRow {
            app,
            event: names.value(events.keys().value(row) as usize),
            time_ms: times[row],
            user_id: value(users, row),
            anonymous_id: value(anonymous, row),
            session_id: value(sessions, row),
            page: page.as_deref(),
        });
    }
    Ok(())
}

fn value(array: &StringArray, row: usize) -> Option<&str> {
    array.is_valid(row).then(|| array.value(row))
}

/// Where a batch has the page of its rows.
struct Pages<'b> {
    batch: &'b RecordBatch,
    overflow: Option<&'b StringArray>,
}

/// The page properties of an overflow object, of any type.
#[derive(Default, Deserialize)]
struct OverflowPage {
    url: Option<serde_json::Value>,
    path: Option<serde_json::Value>,
}

impl<'b> Pages<'b> {
    fn of(batch: &'b RecordBatch) -> Self {
        Self { batch, overflow: batch.column_by_name(columns::OVERFLOW).map(|column| column.as_string::<i32>()) }
    }

    fn page_of(&self, row: usize) -> Option<String> {
        let overflow: OverflowPage =
            self.overflow.and_then(|array| value(array, row)).and_then(|json| serde_json::from_str(json).ok()).unwrap_or_default();
        let spilled = [overflow.url, overflow.path];
        page_of(PAGE_PROPERTIES.into_iter().zip(spilled).map(|(name, spilled)| match spilled {
            Some(value) => Some(value.as_str().map(str::to_string)),
            None => self.stored(name, row),
        }))
    }

    /// The value of a property's column, text or not; `None` where no column has one.
    fn stored(&self, name: &str, row: usize) -> Option<Option<String>> {
        let columns = columns::PropertyKind::ALL.into_iter().map(|kind| self.batch.column_by_name(&columns::property_column(kind, name)));
        let column = columns.flatten().find(|column| column.is_valid(row))?;
        let text = column.as_dictionary_opt::<Int32Type>();
        Some(text.map(|text| text.values().as_string::<i32>().value(text.keys().value(row) as usize).to_string()))
    }
}
