//! Reads `/retention`, `/lifecycle`, `/stickiness` and `/active_users` requests.

use event_store::{Field, Filter, MAX_PERIODS, RetentionEntry, RetentionMode, Selection};

use super::event_names;
use super::filter::FilterReader;
use super::funnel::{alternatives, breakdown, choice};
use super::period::{self, Period};
use super::question::{DEFAULT_LIMIT, GroupKey, MAX_LIMIT, explain, group_by, limit, own_app, use_cache};
use crate::calendar::Interval;
use crate::failure::QueryFailure;
use crate::node::{Node, Object};
use crate::options::AppSettings;

/// What these questions have in common.
#[derive(Clone, Debug)]
pub(crate) struct PeriodsRequest {
    pub period: Period,
    /// How long one of the periods is.
    pub interval: Interval,
    pub filter: Filter,
    pub breakdown: Option<Field>,
    pub limit: usize,
    pub use_cache: bool,
    /// Whether the answer says how it came to be; it is then worked out anew.
    pub explain: bool,
    /// When it was asked: periods that are not over then are marked.
    pub now_ms: i64,
}

/// A `/retention` request.
#[derive(Clone, Debug)]
pub(crate) struct RetentionRequest {
    pub asked: PeriodsRequest,
    /// What opens a cohort, with the name it is shown under.
    pub start: (String, Vec<Selection>),
    /// What counts as a return, with the name it is shown under.
    pub returns: (String, Vec<Selection>),
    /// Periods after the first; `None`: those of the range.
    pub periods: Option<usize>,
    pub entry: RetentionEntry,
    pub mode: RetentionMode,
    /// Whether periods are counted from the start event instead of on the calendar.
    pub is_rolling: bool,
}

/// A `/lifecycle` or `/stickiness` request.
#[derive(Clone, Debug)]
pub(crate) struct ActivityRequest {
    pub asked: PeriodsRequest,
    /// The events that are activity, `None` for any.
    pub events: Option<Vec<String>>,
}

/// An `/active_users` request.
#[derive(Clone, Debug)]
pub(crate) struct ActiveUsersRequest {
    pub activity: ActivityRequest,
    pub group_by: Option<GroupKey>,
}

/// The fields of a row of active users that are not its group.
const ACTIVE_FIELDS: [&str; 8] = ["time", "dau", "wau", "mau", "dau_wau", "dau_mau", "wau_mau", "finished"];

const COMMON_FIELDS: [&str; 12] =
    ["period", "range", "from", "to", "timezone", "filters", "breakdown", "limit", "segment", "cache", "explain", "app_id"];

/// Reads a `/retention` request.
pub(crate) fn read_retention(value: &serde_json::Value, app: &AppSettings, now_ms: i64) -> Result<RetentionRequest, QueryFailure> {
    let own = ["start_event", "return_event", "periods", "entry", "mode", "bucketing"];
    let object = Node::root(value).object(&[&own[..], &COMMON_FIELDS].concat())?;
    let zone = period::timezone(&object, app)?;
    let mut filters = FilterReader::new(app, &zone, now_ms);
    let mut asked = common(&object, &mut filters, app, now_ms)?;
    let start = object.required("start_event", "the event that begins a person's time, or {\"event\": null} for any event")?;
    let start = event_of(&start, &mut filters)?;
    let returns = match object.get("return_event") {
        Some(node) => event_of(&node, &mut filters)?,
        None => ("any event".to_owned(), vec![(None, Filter::all())]),
    };
    asked.period.rule_marks = filters.into_marks();
    let entries = [
        ("first_time", RetentionEntry::FirstTime),
        ("first_in_range", RetentionEntry::FirstInRange),
        ("recurring", RetentionEntry::Recurring),
    ];
    Ok(RetentionRequest {
        asked,
        start,
        returns,
        periods: object.get("periods").map(|node| node.coded("invalid_periods").count(1, MAX_PERIODS - 1)).transpose()?,
        entry: choice(&object, "entry", &entries)?.unwrap_or_default(),
        mode: choice(&object, "mode", &[("on", RetentionMode::On), ("on_or_after", RetentionMode::OnOrAfter)])?.unwrap_or_default(),
        is_rolling: choice(&object, "bucketing", &[("calendar", false), ("rolling", true)])?.unwrap_or(false),
    })
}

/// Reads a `/lifecycle` or `/stickiness` request.
pub(crate) fn read_activity(value: &serde_json::Value, app: &AppSettings, now_ms: i64) -> Result<ActivityRequest, QueryFailure> {
    let object = Node::root(value).object(&[&["event", "events"][..], &COMMON_FIELDS].concat())?;
    let zone = period::timezone(&object, app)?;
    let mut filters = FilterReader::new(app, &zone, now_ms);
    let mut asked = common(&object, &mut filters, app, now_ms)?;
    asked.period.rule_marks = filters.into_marks();
    Ok(ActivityRequest { asked, events: event_names(&object)? })
}

/// Reads an `/active_users` request.
pub(crate) fn read_active_users(value: &serde_json::Value, app: &AppSettings, now_ms: i64) -> Result<ActiveUsersRequest, QueryFailure> {
    let fields = COMMON_FIELDS.iter().copied().filter(|field| !matches!(*field, "period" | "breakdown"));
    let object = Node::root(value).object(&fields.chain(["event", "events", "group_by"]).collect::<Vec<_>>())?;
    let zone = period::timezone(&object, app)?;
    let mut filters = FilterReader::new(app, &zone, now_ms);
    let mut asked = common(&object, &mut filters, app, now_ms)?;
    let mut keys = group_by(&object, &mut filters)?;
    if let Some(key) = keys.get(1) {
        let message = "active users are grouped by one key: a person counts in every group it was active in, and once in all of them";
        return Err(QueryFailure::invalid("invalid_group_by", key.path.clone(), message));
    }
    if let Some(key) = keys.iter().find(|key| ACTIVE_FIELDS.contains(&key.name.as_str())) {
        let message = format!("each row has a field \"{0}\" of its own: write properties.{0}", key.name);
        return Err(QueryFailure::invalid("invalid_group_by", key.path.clone(), message));
    }
    let group_by = keys.pop();
    asked.breakdown = group_by.as_ref().map(|key| key.field.clone());
    asked.period.rule_marks = filters.into_marks();
    Ok(ActiveUsersRequest { activity: ActivityRequest { asked, events: event_names(&object)? }, group_by })
}

fn common(object: &Object<'_>, filters: &mut FilterReader<'_>, app: &AppSettings, now_ms: i64) -> Result<PeriodsRequest, QueryFailure> {
    own_app(object, app)?;
    let zone = period::timezone(object, app)?;
    const PERIODS: [(&str, Interval); 4] =
        [("hour", Interval::Hour), ("day", Interval::Day), ("week", Interval::Week), ("month", Interval::Month)];
    let interval = object.get("period").map(|node| node.coded("invalid_period").choice(&PERIODS)).transpose()?;
    Ok(PeriodsRequest {
        period: period::of_question(object, &zone, app, now_ms)?,
        interval: interval.unwrap_or(Interval::Day),
        filter: filters.question(object)?,
        breakdown: breakdown(object, filters)?,
        limit: limit(object, DEFAULT_LIMIT, MAX_LIMIT)?,
        use_cache: use_cache(object)?,
        explain: explain(object)?,
        now_ms,
    })
}

fn event_of(node: &Node<'_>, filters: &mut FilterReader<'_>) -> Result<(String, Vec<Selection>), QueryFailure> {
    let (label, any_of, _) = alternatives(&node.clone().coded("invalid_event"), &[], filters)?;
    Ok((label, any_of))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn app() -> AppSettings {
        AppSettings::new(event::AppId::new("APP-1").unwrap())
    }

    #[test]
    fn what_is_not_said_has_a_default() {
        let read = read_retention(&json!({"start_event": "signup"}), &app(), 1_773_156_600_000).unwrap();
        assert_eq!(read.start, ("signup".to_owned(), vec![(Some(vec!["signup".to_owned()]), Filter::all())]));
        assert_eq!(read.returns.1, vec![(None, Filter::all())]);
        assert_eq!((read.entry, read.mode, read.is_rolling, read.periods), (RetentionEntry::FirstTime, RetentionMode::On, false, None));
        assert_eq!((read.asked.interval, read.asked.limit), (Interval::Day, 25));
    }

    #[test]
    fn refusals_name_the_field() {
        let wrong = [
            (json!({}), "invalid_request", "start_event"),
            (json!({"start_event": null}), "invalid_event", "start_event"),
            (json!({"start_event": {"any_of": []}}), "invalid_event", "start_event.any_of"),
            (json!({"start_event": "a", "return_event": {"evnt": "b"}}), "invalid_event", "return_event.evnt"),
            (json!({"start_event": "a", "period": "minute"}), "invalid_period", "period"),
            (json!({"start_event": "a", "period": "quarter"}), "invalid_period", "period"),
            (json!({"start_event": "a", "periods": 0}), "invalid_periods", "periods"),
            (json!({"start_event": "a", "periods": 1000}), "invalid_periods", "periods"),
            (json!({"start_event": "a", "entry": "first"}), "invalid_request", "entry"),
            (json!({"start_event": "a", "mode": "before"}), "invalid_request", "mode"),
            (json!({"start_event": "a", "bucketing": "24h"}), "invalid_request", "bucketing"),
            (json!({"start_event": "a", "breakdown": "received_at"}), "invalid_breakdown", "breakdown"),
            (json!({"start_event": "a", "segment": "x"}), "unknown_cohort", "segment"),
            (json!({"start_event": "a", "app_id": "APP-2"}), "wrong_app", "app_id"),
            (json!({"start_event": "a", "window": "7d"}), "invalid_request", "window"),
        ];
        for (request, code, field) in wrong {
            let error = read_retention(&request, &app(), 1_773_156_600_000).expect_err(&request.to_string());
            assert_eq!((error.code, error.field.as_deref()), (code, Some(field)), "{request}: {}", error.message);
        }
        let activity = |request: Value| read_activity(&request, &app(), 1_773_156_600_000).map(|read| read.events);
        let active = |request: Value| read_active_users(&request, &app(), 1_773_156_600_000).map(|read| read.activity.asked.breakdown);
        assert_eq!(active(json!({"group_by": ["country"]})).unwrap(), Some(Field::Property("country".to_owned())));
        let wrong = [
            (json!({"group_by": ["a", "b"]}), "invalid_group_by", "group_by[1]"),
            (json!({"group_by": "dau"}), "invalid_group_by", "group_by"),
            (json!({"period": "week"}), "invalid_request", "period"),
            (json!({"breakdown": "country"}), "invalid_request", "breakdown"),
        ];
        for (request, code, field) in wrong {
            let error = active(request.clone()).expect_err(&request.to_string());
            assert_eq!((error.code, error.field.as_deref()), (code, Some(field)), "{request}: {}", error.message);
        }
        assert_eq!(activity(json!({"event": "a"})).unwrap(), Some(vec!["a".to_owned()]));
        assert_eq!(activity(json!({"start_event": "a"})).unwrap_err().field.as_deref(), Some("start_event"));
        assert_eq!(activity(json!({"event": "a", "events": ["b"]})).unwrap_err().field.as_deref(), Some("events"));
    }
}
