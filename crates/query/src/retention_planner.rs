use event::TimestampMs;
use event_store::{ACTIVE_LOOK_BACK, ActivityKind, ActivityPlan, Buckets, MAX_PERIODS, RetentionPlan, Scan, Selection};

use crate::calendar::{self, Interval};
use crate::failure::QueryFailure;
use crate::options::AppSettings;
use crate::planner::union;
use crate::request::{ActivityRequest, PeriodsRequest, RetentionRequest};

/// Most numbers in an answer: groups times cohorts times periods.
const MAX_CELLS: usize = 1_000_000;
const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;

/// A retention table as the store makes it.
#[derive(Clone, Debug)]
pub(crate) struct PlannedRetention {
    pub plan: RetentionPlan,
    /// Where each period begins on the calendar: those of the cohorts, those after them, and the one after the last.
    pub labels: Vec<TimestampMs>,
}

/// A lifecycle or stickiness as the store makes it.
#[derive(Clone, Debug)]
pub(crate) struct PlannedActivity {
    pub plan: ActivityPlan,
    /// Where each period of the range begins on the calendar, and the one after the last.
    pub labels: Vec<TimestampMs>,
}

/// Plans a `/retention` request.
///
/// # Errors
/// Too many periods, or too many numbers.
pub(crate) fn plan_retention(app: &AppSettings, request: &RetentionRequest) -> Result<PlannedRetention, QueryFailure> {
    let asked = &request.asked;
    let (from_ms, to_ms) = (asked.period.from_ms, asked.period.to_ms);
    let cohorts = periods_of(app, asked, (from_ms, to_ms))?.len() - 1;
    let max_period = request.periods.unwrap_or(cohorts - 1);
    if request.periods.is_some() && cohorts + max_period > MAX_PERIODS {
        let message = format!(
            "{cohorts} periods of the range and {max_period} after them are more than {MAX_PERIODS}: ask for fewer, for a longer period or for a shorter range"
        );
        return Err(QueryFailure::invalid("too_many_periods", "periods", message));
    }
    check_size(asked, cohorts * (max_period + 1))?;
    let labels = calendar::labels_from(&asked.period.zone, asked.interval, app.week_start, from_ms, cohorts + max_period + 1);
    let rolling_ms = request.is_rolling.then(|| rolling_ms(asked.interval));
    // Returns are looked for in the range, and where periods after it are asked for in all of those.
    let returns_to_ms = match (request.periods, rolling_ms) {
        (None, _) => to_ms,
        (Some(_), _) if request.mode == event_store::RetentionMode::OnOrAfter => i64::MAX,
        (Some(after), Some(length_ms)) => to_ms.saturating_add((after as i64 + 1).saturating_mul(length_ms)),
        (Some(_), None) => labels.last().copied().unwrap_or(to_ms).max(to_ms),
    };
    let reaches_beyond = request.periods.is_some() && rolling_ms.is_none();
    let periods = if reaches_beyond { &labels[..cohorts + max_period] } else { &labels[..cohorts] };
    let plan = RetentionPlan {
        scan: scan_of(app, asked, (from_ms, to_ms), request.start.1.iter().chain(&request.returns.1)),
        start: request.start.1.clone(),
        returns: request.returns.1.clone(),
        returns_to_ms,
        periods: starts_from(from_ms, periods),
        cohorts,
        max_period,
        entry: request.entry,
        mode: request.mode,
        rolling_ms,
        breakdown: asked.breakdown.clone(),
        fold_keep: asked.limit,
    };
    Ok(PlannedRetention { plan, labels })
}

/// Plans a `/lifecycle`, `/stickiness` or `/active_users` request.
///
/// # Errors
/// As for [`plan_retention`].
pub(crate) fn plan_activity(app: &AppSettings, request: &ActivityRequest, kind: ActivityKind) -> Result<PlannedActivity, QueryFailure> {
    let asked = &request.asked;
    let (from_ms, to_ms) = (asked.period.from_ms, asked.period.to_ms);
    let sized = periods_of(app, asked, (from_ms, to_ms)).and_then(|labels| check_size(asked, (labels.len() - 1) * 4).map(|()| labels));
    let labels = match sized {
        // Their period is the day, whatever is asked.
        Err(failure) if kind == ActivityKind::ActiveUsers => return Err(QueryFailure { field: Some("range".to_owned()), ..failure }),
        sized => sized?,
    };
    let count = labels.len() - 1;
    let any_of = vec![(request.events.clone(), event_store::Filter::all())];
    let (range, periods) = match kind {
        ActivityKind::Stickiness => ((from_ms, to_ms), starts_from(from_ms, &labels[..count])),
        // Whole periods, with the one before: half a period would make persons dormant who are not.
        ActivityKind::Lifecycle => {
            let zone = &asked.period.zone;
            let mut starts = calendar::labels_from(zone, asked.interval, app.week_start, labels[0].saturating_sub(1), 1);
            starts.extend(&labels[..count]);
            ((starts[0], labels[count]), Buckets { starts })
        }
        // Whole days too: half a day would have fewer persons than a day.
        ActivityKind::ActiveUsers => {
            let mut starts = days_before(app, asked, labels[0]);
            starts.extend(&labels[..count]);
            ((starts[0], labels[count]), Buckets { starts })
        }
    };
    let plan = ActivityPlan {
        scan: scan_of(app, asked, range, any_of.iter()),
        any_of,
        periods,
        kind,
        breakdown: asked.breakdown.clone(),
        fold_keep: asked.limit,
    };
    Ok(PlannedActivity { plan, labels })
}

/// Where the days begin that the longest window of active users looks back to.
fn days_before(app: &AppSettings, asked: &PeriodsRequest, first_ms: TimestampMs) -> Vec<TimestampMs> {
    /// A zone may have left out a day.
    const SPARE_DAYS: usize = 3;
    let (zone, days) = (&asked.period.zone, ACTIVE_LOOK_BACK + SPARE_DAYS);
    let earliest = calendar::add_days(calendar::date_of(zone, first_ms), -(days as i64));
    let mut labels = calendar::labels_from(zone, Interval::Day, app.week_start, calendar::start_of_day(zone, earliest), days);
    labels.retain(|&label_ms| label_ms < first_ms);
    labels.split_off(labels.len() - ACTIVE_LOOK_BACK)
}

/// Where the periods of a range begin, and the one after them.
fn periods_of(app: &AppSettings, asked: &PeriodsRequest, range: (TimestampMs, TimestampMs)) -> Result<Vec<TimestampMs>, QueryFailure> {
    let Some(buckets) = calendar::buckets(&asked.period.zone, asked.interval, app.week_start, range, MAX_PERIODS) else {
        let message = format!("the range has more than {MAX_PERIODS} periods: ask for a longer period or a shorter range");
        return Err(QueryFailure::invalid("too_many_periods", "period", message));
    };
    Ok(calendar::labels_from(&asked.period.zone, asked.interval, app.week_start, range.0, buckets.len() + 1))
}

fn check_size(asked: &PeriodsRequest, numbers: usize) -> Result<(), QueryFailure> {
    let groups = if asked.breakdown.is_some() { asked.limit + 2 } else { 1 };
    if groups * numbers <= MAX_CELLS {
        return Ok(());
    }
    let limit = asked.limit;
    let message = format!(
        "{numbers} numbers for each of up to {limit} groups are more than {MAX_CELLS}: ask for a longer period, a shorter range or a smaller limit"
    );
    Err(QueryFailure::invalid("too_many_periods", "period", message))
}

fn scan_of<'s>(
    app: &AppSettings,
    asked: &PeriodsRequest,
    (from_ms, to_ms): (TimestampMs, TimestampMs),
    selections: impl Iterator<Item = &'s Selection>,
) -> Scan {
    let events = union(selections.map(|(names, _)| names.as_ref()));
    Scan { app: app.app.clone(), from_ms, to_ms, events, filter: asked.filter.clone() }
}

/// The first period may begin before the range.
fn starts_from(from_ms: TimestampMs, labels: &[TimestampMs]) -> Buckets {
    Buckets { starts: labels.iter().map(|&label_ms| label_ms.max(from_ms)).collect() }
}

/// How long a period is that begins with an event.
pub(crate) fn rolling_ms(interval: Interval) -> i64 {
    match interval {
        Interval::Minute => HOUR_MS / 60,
        Interval::Hour => HOUR_MS,
        Interval::Day => DAY_MS,
        Interval::Week => 7 * DAY_MS,
        Interval::Month => 30 * DAY_MS,
    }
}
