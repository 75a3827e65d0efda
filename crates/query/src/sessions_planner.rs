use event::TimestampMs;
use event_store::{Buckets, Scan, SessionsPlan};

use crate::failure::QueryFailure;
use crate::options::AppSettings;
use crate::planner::buckets_of;
use crate::request::SessionsRequest;

/// The fields of a row that are not its groups.
pub(crate) const ROW_FIELDS: [&str; 13] = [
    "time",
    "sessions",
    "users",
    "sessions_per_user",
    "events",
    "events_per_session",
    "avg_length_ms",
    "median_length_ms",
    "p90_length_ms",
    "bounces",
    "bounce_rate",
    "pages",
    "pages_per_session",
];

/// Sessions as the store is asked about them.
#[derive(Clone, Debug)]
pub(crate) struct PlannedSessions {
    pub plan: SessionsPlan,
    /// Where each bucket begins on the calendar; one without an interval.
    pub labels: Vec<TimestampMs>,
}

/// Plans a `/sessions` request.
///
/// # Errors
/// Too many buckets; a group with the name of another field of its row.
pub(crate) fn plan_sessions(app: &AppSettings, request: &SessionsRequest) -> Result<PlannedSessions, QueryFailure> {
    if let Some(key) = request.group_by.iter().find(|key| ROW_FIELDS.contains(&key.name.as_str())) {
        let message = format!("each row has a field \"{0}\" of its own: write properties.{0}", key.name);
        return Err(QueryFailure::invalid("invalid_group_by", key.path.clone(), message));
    }
    let (from_ms, to_ms) = (request.period.from_ms, request.period.to_ms);
    let buckets = request.interval.map(|interval| buckets_of(app, &request.period.zone, interval, (from_ms, to_ms))).transpose()?;
    let labels = buckets.as_ref().map_or_else(|| vec![from_ms], |buckets| buckets.iter().map(|bucket| bucket.label_ms).collect());
    let plan = SessionsPlan {
        scan: Scan { app: app.app.clone(), from_ms, to_ms, events: request.events.clone(), filter: request.filter.clone() },
        buckets: buckets.map(|buckets| Buckets { starts: buckets.iter().map(|bucket| bucket.start_ms).collect() }),
        group_by: request.group_by.iter().map(|key| key.field.clone()).collect(),
        rule: request.rule,
        bounce: request.bounce.clone(),
        pages: request.pages.as_ref().map(|(_, pages)| pages.clone()),
        bins: request.bins.clone(),
        fold_keep: request.limit,
    };
    Ok(PlannedSessions { plan, labels })
}
