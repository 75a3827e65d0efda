//! The links that stored rows say, for a store from before links were kept.

use std::sync::Arc;

use event::AppId;
use event_store::{Field, QueryError};

use super::batch::{Batch, Fields};
use super::value::Scalar;
use crate::columns::{self, ColumnRequest};
use crate::identity::{ALIAS, ALIAS_PROPERTY, Identity, SaidLink, is_alias};
use crate::part::{Part, ScanRequest};
use crate::snapshot::Snapshot;
use crate::windows::apps_of;

/// Takes the links of one batch of an app's rows.
type TakeLinks<'t> = dyn FnMut(&Arc<str>, Vec<SaidLink<'_>>) + 't;

/// Calls `take` with the links of every visible row, by app and batch; returns why rows are missing.
///
/// # Errors
/// [`QueryError::Store`] where a part is not what it is said to be.
pub(crate) fn said_links(snapshot: &Snapshot, take: &mut TakeLinks<'_>) -> Result<Vec<String>, QueryError> {
    let mut missing = Vec::new();
    for part in &snapshot.parts {
        if let Err(reason) = part.columns() {
            missing.push(reason);
            continue;
        }
        for app in apps_of(part) {
            let name: Arc<str> = Arc::from(app.as_str());
            said_links_of(part, &app, &mut |links| take(&name, links), &mut missing)?;
        }
    }
    Ok(missing)
}

/// Calls `take` with the links of an app's visible rows in one part, by batch; adds why rows are missing.
///
/// # Errors
/// As [`said_links`].
pub(crate) fn said_links_of(
    part: &Arc<Part>,
    app: &AppId,
    take: &mut dyn FnMut(Vec<SaidLink<'_>>),
    missing: &mut Vec<String>,
) -> Result<(), QueryError> {
    let by_id = Reader::new(&[Field::UserId, Field::AnonymousId, Field::ReceivedAt]);
    by_id.read(part, app, None, take, missing)?;
    let by_alias = Reader::new(&[Field::UserId, Field::Property(ALIAS_PROPERTY.to_owned()), Field::ReceivedAt]);
    by_alias.read(part, app, Some(&[ALIAS.to_owned()]), take, missing)
}

/// Reads target, source and time of receipt.
struct Reader {
    fields: Fields,
}

impl Reader {
    fn new(fields: &[Field; 3]) -> Self {
        let mut all = Fields::default();
        for field in fields {
            all.add(field);
        }
        Self { fields: all }
    }

    fn read(
        &self,
        part: &Arc<Part>,
        app: &AppId,
        events: Option<&[String]>,
        take: &mut dyn FnMut(Vec<SaidLink<'_>>),
        missing: &mut Vec<String>,
    ) -> Result<(), QueryError> {
        let mut requests = self.fields.requests();
        requests.push(ColumnRequest::Fixed(columns::TIME));
        let request = ScanRequest { app, from_ms: i64::MIN, to_ms: i64::MAX, events, columns: &requests };
        let mut scan = part.scan(&request);
        for batch in scan.by_ref() {
            let batch = Batch::of_record_batch(&batch?, &self.fields, &Identity::default());
            let said = (0..batch.rows()).filter_map(|row| {
                let [target, source, received_at] = [0, 1, 2].map(|field| batch.column(field).get(row));
                let (Scalar::Str(target), Scalar::Str(source)) = (target, source) else { return None };
                let time_ms = batch.time(row);
                let received_at_ms = if let Scalar::Int(ms) = received_at { ms } else { time_ms };
                let link = SaidLink::new(source, target, time_ms, received_at_ms);
                (link.source != link.order.target && (events.is_none() || is_alias(source))).then_some(link)
            });
            take(said.collect());
        }
        missing.extend(scan.missing().map(str::to_owned));
        Ok(())
    }
}
