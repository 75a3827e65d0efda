use crate::plan::{AggregatePlan, Field, Filter, Measure, MeasureFn};
use crate::source::RollupSize;

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 86_400_000;

/// Whole periods of one size, one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RollupSpan {
    /// Their size.
    pub size: RollupSize,
    /// Start of the first.
    pub from_ms: i64,
    /// End of the last.
    pub to_ms: i64,
}

/// How rollups answer a plan exactly: decided from the plan alone, in this one place for every store.
///
/// Rollups count events and sketch persons per event name and whole UTC hour or day. A plan that asks for no more than that has the
/// same numbers from them as from raw events, as long as no bucket cuts an hour. The range itself may: its ends are counted raw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RollupPlan {
    /// Ascending, without gaps; every period lies in one bucket of the plan. Never empty.
    pub spans: Vec<RollupSpan>,
    /// The pieces of the range before the first and after the last whole hour: to be counted from raw events.
    pub edges: Vec<(i64, i64)>,
    /// Whether a measure reads the sketches of persons.
    pub needs_users: bool,
    /// Whether the counts of single event names are needed, or those of the whole app are enough.
    pub needs_names: bool,
}

impl RollupPlan {
    /// How rollups answer `plan`.
    ///
    /// # Errors
    /// Why raw events have to, as a clause for `explain`.
    pub fn of(plan: &AggregatePlan) -> Result<Self, String> {
        let needs_names = check_groups(plan)? | check_selections(plan)?;
        let needs_users = check_measures(&plan.measures)?;
        let (spans, edges) = spans(plan)?;
        Ok(Self { spans, edges, needs_users, needs_names })
    }

    /// First millisecond of the whole periods.
    pub fn from_ms(&self) -> i64 {
        self.spans.first().map_or(i64::MAX, |span| span.from_ms)
    }

    /// First millisecond after the whole periods.
    pub fn to_ms(&self) -> i64 {
        self.spans.last().map_or(i64::MAX, |span| span.to_ms)
    }
}

/// Whether event names are a group key.
fn check_groups(plan: &AggregatePlan) -> Result<bool, String> {
    match plan.group_by.as_slice() {
        [] => Ok(false),
        [Field::Event] => Ok(true),
        fields => {
            let other = fields.iter().find(|field| **field != Field::Event);
            Err(other.map_or_else(|| "the event name is a group key twice".to_owned(), |field| kept_by_name("grouped by", field)))
        }
    }
}

/// Whether any selection looks at event names.
fn check_selections(plan: &AggregatePlan) -> Result<bool, String> {
    let mut needs_names = plan.scan.events.is_some() | reads_names(&plan.scan.filter)?;
    for measure in &plan.measures {
        needs_names |= measure.events.is_some() | reads_names(&measure.filter)?;
    }
    Ok(needs_names)
}

/// Whether a filter looks at the event name; an error when it looks at anything else.
fn reads_names(filter: &Filter) -> Result<bool, String> {
    match filter {
        Filter::And(parts) | Filter::Or(parts) => {
            // An empty "or" holds for no event, so not even the total answers it.
            let mut reads = matches!(filter, Filter::Or(parts) if parts.is_empty());
            for part in parts {
                reads |= reads_names(part)?;
            }
            Ok(reads)
        }
        // The opposite of "always" is "never": names are needed to count none of them.
        Filter::Not(inner) => reads_names(inner).map(|_| true),
        Filter::Compare(Field::Event, _) => Ok(true),
        Filter::Compare(field, _) => Err(kept_by_name("filtered by", field)),
    }
}

fn kept_by_name(what: &str, field: &Field) -> String {
    let name = match field {
        Field::Event => "the event name".to_owned(),
        Field::UserId => "user_id".to_owned(),
        Field::AnonymousId => "anonymous_id".to_owned(),
        Field::SessionId => "session_id".to_owned(),
        Field::InsertId => "insert_id".to_owned(),
        Field::Time => "time".to_owned(),
        Field::ReceivedAt => "received_at".to_owned(),
        Field::Property(name) => format!("the property {name:?}"),
        Field::UserProperty(name) => format!("the user property {name:?}"),
        Field::InSegment(segment) => format!("the segment {:?}", segment.name),
    };
    format!("{what} {name}, and rollups are kept by event name alone")
}

/// Whether a measure needs sketches.
fn check_measures(measures: &[Measure]) -> Result<bool, String> {
    let mut needs_users = false;
    if measures.is_empty() {
        return Err("no metric".to_owned());
    }
    for measure in measures {
        match &measure.function {
            MeasureFn::Events => {}
            MeasureFn::UniqueUsersApprox => needs_users = true,
            MeasureFn::UniqueUsers => return Err("unique_users is exact, and rollups keep sketches of persons".to_owned()),
            MeasureFn::Sessions(_) => return Err("sessions are cut over the raw events of each person".to_owned()),
            MeasureFn::EventsPerUser => return Err("events_per_user needs the persons themselves".to_owned()),
            _ => return Err("a metric reads the values of a property, and rollups have counts alone".to_owned()),
        }
    }
    Ok(needs_users)
}

fn floor(ms: i64, unit_ms: i64) -> i64 {
    ms.div_euclid(unit_ms).saturating_mul(unit_ms)
}

fn ceil(ms: i64, unit_ms: i64) -> i64 {
    let start = floor(ms, unit_ms);
    if start == ms { start } else { start.saturating_add(unit_ms) }
}

type Pieces = (Vec<RollupSpan>, Vec<(i64, i64)>);

fn spans(plan: &AggregatePlan) -> Result<Pieces, String> {
    let (from_ms, to_ms) = (plan.scan.from_ms, plan.scan.to_ms);
    let (first_ms, end_ms) = (ceil(from_ms, HOUR_MS), floor(to_ms, HOUR_MS));
    if first_ms >= end_ms {
        return Err("no whole hour lies in the range".to_owned());
    }
    let starts = plan.buckets.as_ref().map_or(&[][..], |buckets| &buckets.starts);
    if plan.buckets.is_some() && starts.is_empty() {
        return Err("the range has no bucket".to_owned());
    }
    // The first bucket begins where the range does, or before.
    let cuts = || starts.iter().skip(1).copied();
    if cuts().any(|cut| cut.rem_euclid(HOUR_MS) != 0) {
        return Err("a bucket begins within an hour of UTC, which rollups do not cut".to_owned());
    }
    let mut spans: Vec<RollupSpan> = Vec::new();
    let mut at = first_ms;
    for cut in cuts().filter(|cut| *cut > first_ms && *cut < end_ms).chain([end_ms]) {
        push_bucket(&mut spans, at, cut);
        at = cut;
    }
    let edges = [(from_ms, first_ms), (end_ms, to_ms)].into_iter().filter(|(from, to)| from < to).collect();
    Ok((spans, edges))
}

/// The whole days of one bucket as days, the rest as hours.
fn push_bucket(spans: &mut Vec<RollupSpan>, from_ms: i64, to_ms: i64) {
    let (first_day, end_day) = (ceil(from_ms, DAY_MS), floor(to_ms, DAY_MS));
    if first_day >= end_day {
        return push(spans, RollupSize::Hour, from_ms, to_ms);
    }
    push(spans, RollupSize::Hour, from_ms, first_day);
    push(spans, RollupSize::Day, first_day, end_day);
    push(spans, RollupSize::Hour, end_day, to_ms);
}

fn push(spans: &mut Vec<RollupSpan>, size: RollupSize, from_ms: i64, to_ms: i64) {
    match spans.last_mut() {
        _ if from_ms >= to_ms => {}
        Some(last) if last.size == size => last.to_ms = to_ms,
        _ => spans.push(RollupSpan { size, from_ms, to_ms }),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use event::AppId;

    use super::*;
    use crate::plan::{Buckets, Fold, Op, Scan, Value};
    use crate::segment::{Segment, SegmentRule};

    fn plan(from_ms: i64, to_ms: i64, starts: Option<Vec<i64>>) -> AggregatePlan {
        AggregatePlan {
            scan: Scan { app: AppId::new("A").unwrap(), from_ms, to_ms, events: None, filter: Filter::all() },
            buckets: starts.map(|starts| Buckets { starts }),
            group_by: Vec::new(),
            measures: vec![Measure::of(MeasureFn::Events)],
            fold: Fold { keep: 25, by_measure: 0, descending: true },
        }
    }

    fn span(size: RollupSize, from_hour: i64, to_hour: i64) -> RollupSpan {
        RollupSpan { size, from_ms: from_hour * HOUR_MS, to_ms: to_hour * HOUR_MS }
    }

    #[test]
    fn days_where_buckets_hold_them_and_hours_elsewhere() {
        use RollupSize::{Day, Hour};
        let days_of_utc = plan(0, 3 * DAY_MS, Some(vec![0, DAY_MS, 2 * DAY_MS]));
        assert_eq!(RollupPlan::of(&days_of_utc).unwrap().spans, [span(Day, 0, 72)]);
        let days_elsewhere = plan(2 * HOUR_MS, 50 * HOUR_MS, Some(vec![2 * HOUR_MS, 26 * HOUR_MS]));
        assert_eq!(RollupPlan::of(&days_elsewhere).unwrap().spans, [span(Hour, 2, 50)]);
        let week_elsewhere = plan(2 * HOUR_MS, 2 * 170 * HOUR_MS, Some(vec![2 * HOUR_MS, 170 * HOUR_MS]));
        let expected = [span(Hour, 2, 24), span(Day, 24, 168), span(Hour, 168, 192), span(Day, 192, 336), span(Hour, 336, 340)];
        assert_eq!(RollupPlan::of(&week_elsewhere).unwrap().spans, expected);
        let no_buckets = plan(5, 49 * HOUR_MS + 7, None);
        let found = RollupPlan::of(&no_buckets).unwrap();
        assert_eq!(found.spans, [span(Hour, 1, 24), span(Day, 24, 48), span(Hour, 48, 49)]);
        assert_eq!(found.edges, [(5, HOUR_MS), (49 * HOUR_MS, 49 * HOUR_MS + 7)]);
        assert_eq!((found.from_ms(), found.to_ms()), (HOUR_MS, 49 * HOUR_MS));
        let before_1970 = plan(-25 * HOUR_MS - 1, 0, None);
        assert_eq!(RollupPlan::of(&before_1970).unwrap().edges, [(-25 * HOUR_MS - 1, -25 * HOUR_MS)]);
        let everything = plan(i64::MIN, i64::MAX, None);
        assert!(RollupPlan::of(&everything).is_ok());
    }

    #[test]
    fn what_rollups_do_not_know_is_said() {
        let refused = |plan: &AggregatePlan, part: &str| {
            let reason = RollupPlan::of(plan).unwrap_err();
            assert!(reason.contains(part), "{reason}");
        };
        refused(&plan(5, 6, None), "no whole hour");
        refused(&plan(1, HOUR_MS, None), "no whole hour");
        refused(&plan(0, 3 * HOUR_MS, Some(vec![0, HOUR_MS / 2])), "within an hour");
        let by_name = |name: &str| Filter::Compare(Field::Event, Op::In(vec![Value::Str(name.to_owned())]));
        let mut asked = plan(0, DAY_MS, None);
        asked.scan.filter = Filter::And(vec![by_name("a"), Filter::Not(Box::new(by_name("b")))]);
        assert!(RollupPlan::of(&asked).unwrap().needs_names);
        asked.scan.filter = Filter::Not(Box::new(Filter::all()));
        assert!(RollupPlan::of(&asked).unwrap().needs_names);
        asked.scan.filter = Filter::Compare(Field::Property("p".to_owned()), Op::IsSet);
        refused(&asked, "filtered by the property \"p\"");
        asked.scan.filter = Filter::all();
        asked.group_by = vec![Field::Event, Field::Property("p".to_owned())];
        refused(&asked, "grouped by the property \"p\"");
        let everybody = Segment { name: "cohort:all".to_owned(), rule: SegmentRule::All(Vec::new()) };
        asked.group_by = vec![Field::InSegment(Arc::new(everybody))];
        refused(&asked, "grouped by the segment \"cohort:all\"");
        asked.group_by = vec![Field::Event];
        asked.measures[0].function = MeasureFn::UniqueUsersApprox;
        assert!(RollupPlan::of(&asked).unwrap().needs_users);
        asked.measures[0].function = MeasureFn::UniqueUsers;
        refused(&asked, "exact");
        asked.measures[0].function = MeasureFn::Events;
        asked.measures[0].filter = Filter::Compare(Field::ReceivedAt, Op::IsSet);
        refused(&asked, "received_at");
    }
}
