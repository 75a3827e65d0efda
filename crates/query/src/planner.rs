use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use event::TimestampMs;
use event_store::{AggregatePlan, Buckets, Filter, Fold, Measure, MeasureFn, Scan};
use jiff::tz::TimeZone;

use crate::calendar::{self, Bucket, Interval};
use crate::failure::QueryFailure;
use crate::formula::Formula;
use crate::options::AppSettings;
use crate::request::{Direction, Form, GroupKey, MetricBody, MetricRequest, Period, QueryRequest};

/// Most buckets of one range.
const MAX_BUCKETS: usize = 10_000;
/// Most different measures behind the metrics of one request.
pub(crate) const MAX_MEASURES: usize = 30;

/// A question as the store runs it, and what turns its table into rows.
#[derive(Clone, Debug)]
pub(crate) struct QueryPlan {
    pub aggregate: AggregatePlan,
    pub columns: Vec<Column>,
    pub group_by: Vec<GroupKey>,
    pub timeline: Timeline,
    pub order: Vec<(SortKey, Direction)>,
    pub period: Period,
}

/// One metric of the answer.
#[derive(Clone, Debug)]
pub(crate) struct Column {
    /// Its key in each row; no other key of the row is the same.
    pub name: String,
    pub source: ColumnSource,
    /// The saved metric that it is.
    pub saved: Option<SavedColumn>,
}

/// A saved metric as the answer shows it.
#[derive(Clone, Debug)]
pub(crate) struct SavedColumn {
    pub id: String,
    pub name: String,
    pub unit: Option<String>,
}

/// Where a metric's value comes from; numbers are indices into the plan's measures.
#[derive(Clone, Debug)]
pub(crate) enum ColumnSource {
    Measure(usize),
    Formula(Formula, Vec<(char, ColumnSource)>),
}

impl ColumnSource {
    /// The first measure by letter: which groups stay is decided by the store, which knows measures and not formulas.
    fn first_measure(&self) -> usize {
        match self {
            Self::Measure(measure) => *measure,
            Self::Formula(_, series) => series.first().map_or(0, |(_, source)| source.first_measure()),
        }
    }
}

/// How the plan's buckets are shown. The plan has the buckets that rolling metrics look back to first, then those of the previous period, then
/// those of the range, because all are one scan: so a group is the same group in all, and `$other` is the same rest.
#[derive(Clone, Debug)]
pub(crate) struct Timeline {
    /// True when rows carry their time.
    pub has_interval: bool,
    /// Where each bucket of the range begins; one without an interval.
    pub labels: Vec<TimestampMs>,
    /// The previous period, when it was asked for.
    pub previous: Option<PreviousPeriod>,
    /// Buckets before both, which are not shown.
    pub look_back: usize,
}

/// The period of the same length before the range.
#[derive(Clone, Debug)]
pub(crate) struct PreviousPeriod {
    pub from_ms: TimestampMs,
    pub labels: Vec<TimestampMs>,
}

/// What rows are sorted by; numbers are indices into group keys and columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SortKey {
    Time,
    Group(usize),
    Column(usize),
}

/// Plans a `/query` request.
pub(crate) fn plan_query(app: &AppSettings, request: QueryRequest) -> Result<QueryPlan, QueryFailure> {
    let names = column_names(&request)?;
    let Planned { timeline, buckets, labels, from_ms } = timeline(app, &request)?;
    let (columns, measures) = columns(app, &request, names, &Reaches { labels: &labels, timeline: &timeline })?;
    let order = sort_keys(&request, &columns)?;
    let ranked_by = order.iter().find_map(|(key, direction)| match key {
        SortKey::Column(column) => Some((*column, *direction)),
        SortKey::Time | SortKey::Group(_) => None,
    });
    let (ranked_column, direction) = ranked_by.unwrap_or((0, Direction::Descending));
    let by_measure = columns[ranked_column].source.first_measure();
    let scan = Scan {
        app: app.app.clone(),
        from_ms,
        to_ms: request.period.to_ms,
        events: request.events.or_else(|| union(measures.iter().map(|measure| measure.events.as_ref()))),
        filter: request.filter,
    };
    let group_by = request.group_by.iter().map(|key| key.field.clone()).collect();
    let fold = Fold { keep: request.limit, by_measure, descending: direction == Direction::Descending };
    let aggregate = AggregatePlan { scan, buckets, group_by, measures, fold };
    Ok(QueryPlan { aggregate, columns, group_by: request.group_by, timeline, order, period: request.period })
}

/// All names of the selections, or `None` as soon as one of them takes any event: the store then reads no event that nothing looks at.
pub(crate) fn union<'n>(selections: impl Iterator<Item = Option<&'n Vec<String>>>) -> Option<Vec<String>> {
    let mut names = BTreeSet::new();
    for selection in selections {
        names.extend(selection?.iter().cloned());
    }
    Some(names.into_iter().collect())
}

/// The keys of the metrics in each row. A given name must be free; any other gets `_2`, `_3`, ... where it is taken.
fn column_names(request: &QueryRequest) -> Result<Vec<String>, QueryFailure> {
    let mut taken: HashSet<String> = HashSet::new();
    if request.interval.is_some() {
        taken.insert("time".to_owned());
    }
    if request.compare {
        taken.insert("previous".to_owned());
    }
    for key in &request.group_by {
        if !taken.insert(key.name.clone()) {
            let message = format!("each row has a field \"{0}\" of its own: write properties.{0}", key.name);
            return Err(QueryFailure::invalid("invalid_group_by", key.path.clone(), message));
        }
    }
    for (name, path) in request.metrics.iter().filter_map(|metric| metric.given_name.as_ref()) {
        if !taken.insert(name.clone()) {
            let message = format!("the rows have a field \"{name}\" already: give the metric another name");
            return Err(QueryFailure::invalid("invalid_metric", path.clone(), message));
        }
    }
    let named = |metric: &MetricRequest| match &metric.given_name {
        Some((name, _)) => name.clone(),
        None => free_name(&metric.default_name, &mut taken),
    };
    Ok(request.metrics.iter().map(named).collect())
}

fn free_name(name: &str, taken: &mut HashSet<String>) -> String {
    let mut free = name.to_owned();
    let mut number = 2;
    while !taken.insert(free.clone()) {
        free = format!("{name}_{number}");
        number += 1;
    }
    free
}

fn columns(
    app: &AppSettings,
    request: &QueryRequest,
    names: Vec<String>,
    reaches: &Reaches<'_>,
) -> Result<(Vec<Column>, Vec<Measure>), QueryFailure> {
    let mut measures: Vec<Measure> = Vec::new();
    let mut columns = Vec::new();
    for (metric, name) in request.metrics.iter().zip(names) {
        let saved = metric.saved.as_ref().and_then(|id| {
            let saved = app.metrics.get(id)?;
            Some(SavedColumn { id: id.clone(), name: saved.name.clone(), unit: saved.unit.clone() })
        });
        columns.push(Column { name, source: column_source(&metric.body, reaches, &mut measures), saved });
    }
    if measures.len() > MAX_MEASURES {
        let message = format!("the metrics need {} different measures, at most {MAX_MEASURES} are allowed", measures.len());
        return Err(QueryFailure::invalid("invalid_metric", "metrics", message));
    }
    Ok((columns, measures))
}

/// Where a metric's value comes from, each different measure being there once.
fn column_source(body: &MetricBody, reaches: &Reaches<'_>, measures: &mut Vec<Measure>) -> ColumnSource {
    match body {
        MetricBody::Measure(series) => {
            let measure = Measure { since: reaches.since(series.form), ..series.measure.clone() };
            let known = measures.iter().position(|known| *known == measure);
            ColumnSource::Measure(known.unwrap_or_else(|| {
                measures.push(measure);
                measures.len() - 1
            }))
        }
        MetricBody::Formula(formula, series) => {
            let series = series.iter().map(|(letter, body)| (*letter, column_source(body, reaches, measures))).collect();
            ColumnSource::Formula(formula.clone(), series)
        }
    }
}

/// How far the buckets of a plan reach back.
struct Reaches<'l> {
    /// Where each bucket of the plan begins on the calendar: twice the same where a range cuts a bucket.
    labels: &'l [TimestampMs],
    timeline: &'l Timeline,
}

impl Reaches<'_> {
    /// The first bucket that each is of.
    fn since(&self, form: Form) -> Option<Arc<[u32]>> {
        let buckets = self.labels.len() as u32;
        match form {
            Form::Own => None,
            Form::Rolling(1) if self.labels.windows(2).all(|pair| pair[0] != pair[1]) => None,
            // Both periods begin anew.
            Form::Cumulative => {
                let previous = self.timeline.look_back as u32;
                let current = previous + self.timeline.previous.as_ref().map_or(0, |period| period.labels.len() as u32);
                let first = |bucket: u32| if bucket >= current { current } else { bucket.min(previous) };
                Some((0..buckets).map(first).collect())
            }
            Form::Rolling(count) => {
                let mut firsts: Vec<u32> = Vec::new();
                let since = self.labels.iter().zip(0..).map(|(label, bucket)| {
                    if bucket == 0 || self.labels[bucket as usize - 1] != *label {
                        firsts.push(bucket);
                    }
                    firsts[firsts.len().saturating_sub(count)]
                });
                Some(since.collect())
            }
        }
    }
}

fn sort_keys(request: &QueryRequest, columns: &[Column]) -> Result<Vec<(SortKey, Direction)>, QueryFailure> {
    let mut keys = Vec::new();
    for order in &request.order_by {
        let group = request.group_by.iter().position(|key| key.name == order.by);
        let column = columns.iter().position(|column| column.name == order.by);
        let (key, default) = match (group, column) {
            (Some(group), _) => (SortKey::Group(group), Direction::Ascending),
            (None, Some(column)) => (SortKey::Column(column), Direction::Descending),
            (None, None) if order.by == "time" && request.interval.is_some() => (SortKey::Time, Direction::Ascending),
            (None, None) => return Err(unknown_sort_key(request, columns, &order.by, &order.path)),
        };
        keys.push((key, order.direction.unwrap_or(default)));
    }
    let rest = [(SortKey::Time, Direction::Ascending), (SortKey::Column(0), Direction::Descending)];
    let groups = (0..request.group_by.len()).map(|group| (SortKey::Group(group), Direction::Ascending));
    for (key, direction) in rest.into_iter().chain(groups) {
        if !keys.iter().any(|(known, _)| *known == key) {
            keys.push((key, direction));
        }
    }
    Ok(keys)
}

fn unknown_sort_key(request: &QueryRequest, columns: &[Column], by: &str, path: &str) -> QueryFailure {
    let time = request.interval.map(|_| "time");
    let groups = request.group_by.iter().map(|key| key.name.as_str());
    let known: Vec<&str> = time.into_iter().chain(groups).chain(columns.iter().map(|column| column.name.as_str())).collect();
    let message = format!("the rows have no field \"{}\": sort by {}", crate::node::shown(by), known.join(", "));
    QueryFailure::invalid("invalid_order_by", path, message)
}

/// A timeline with what the store is given of it.
struct Planned {
    timeline: Timeline,
    buckets: Option<Buckets>,
    /// Where each bucket of the plan begins on the calendar.
    labels: Vec<TimestampMs>,
    from_ms: TimestampMs,
}

fn timeline(app: &AppSettings, request: &QueryRequest) -> Result<Planned, QueryFailure> {
    let period = &request.period;
    let current = buckets(app, request, period.from_ms, period.to_ms)?;
    let labels = |buckets: &[Bucket]| buckets.iter().map(|bucket| bucket.label_ms).collect();
    let mut timeline = Timeline { has_interval: request.interval.is_some(), labels: labels(&current), previous: None, look_back: 0 };
    let mut all_labels = timeline.labels.clone();
    let mut starts: Vec<TimestampMs> = current.iter().map(|bucket| bucket.start_ms).collect();
    let mut from_ms = period.from_ms;
    if request.compare {
        from_ms = calendar::previous_start(&period.zone, period.from_ms, period.to_ms);
        let previous = buckets(app, request, from_ms, period.from_ms)?;
        starts.splice(0..0, previous.iter().map(|bucket| bucket.start_ms));
        all_labels.splice(0..0, labels(&previous));
        timeline.previous = Some(PreviousPeriod { from_ms, labels: labels(&previous) });
    }
    let earlier = look_back(app, request, from_ms)?;
    if let Some(first_ms) = earlier.first() {
        // Of a bucket that the range cuts, what lies before it is a bucket of its own.
        timeline.look_back = earlier.len();
        from_ms = *first_ms;
        starts.splice(0..0, earlier.iter().copied());
        all_labels.splice(0..0, earlier);
    }
    let needs_buckets = timeline.has_interval || timeline.previous.is_some();
    Ok(Planned { timeline, buckets: needs_buckets.then_some(Buckets { starts }), labels: all_labels, from_ms })
}

/// Where the buckets before a range begin that its rolling metrics look back to; the last of them may reach into the range's first.
fn look_back(app: &AppSettings, request: &QueryRequest, from_ms: TimestampMs) -> Result<Vec<TimestampMs>, QueryFailure> {
    let series = request.metrics.iter().flat_map(|metric| metric.body.series());
    let longest = series.filter_map(|series| if let Form::Rolling(count) = series.form { Some(count) } else { None }).max();
    let Some((longest, interval)) = longest.zip(request.interval).filter(|_| !request.period.is_all) else { return Ok(Vec::new()) };
    let mut labels = calendar::labels_to(&request.period.zone, interval, app.week_start, from_ms, longest - 1);
    labels.retain(|&label_ms| label_ms < from_ms);
    if labels.len() > MAX_BUCKETS {
        let message = format!("the rolling metrics look back to more than {MAX_BUCKETS} buckets: roll over fewer");
        return Err(QueryFailure::invalid("too_many_buckets", "interval", message));
    }
    Ok(labels)
}

fn buckets(app: &AppSettings, request: &QueryRequest, from_ms: TimestampMs, to_ms: TimestampMs) -> Result<Vec<Bucket>, QueryFailure> {
    match request.interval {
        Some(interval) => buckets_of(app, &request.period.zone, interval, (from_ms, to_ms)),
        None => Ok(vec![Bucket { label_ms: from_ms, start_ms: from_ms }]),
    }
}

/// The buckets of a range.
///
/// # Errors
/// When there are more than [`MAX_BUCKETS`].
pub(crate) fn buckets_of(
    app: &AppSettings,
    zone: &TimeZone,
    interval: Interval,
    range: (TimestampMs, TimestampMs),
) -> Result<Vec<Bucket>, QueryFailure> {
    calendar::buckets(zone, interval, app.week_start, range, MAX_BUCKETS).ok_or_else(|| {
        let message = format!("the range has more than {MAX_BUCKETS} buckets: ask for a longer interval or a shorter range");
        QueryFailure::invalid("too_many_buckets", "interval", message)
    })
}

impl QueryPlan {
    /// Index in the plan's buckets of the first bucket of the range itself.
    pub fn first_current_bucket(&self) -> usize {
        self.timeline.look_back + self.timeline.previous.as_ref().map_or(0, |previous| previous.labels.len())
    }

    /// True when a measure comes from a sketch.
    pub fn is_approximate(&self) -> bool {
        self.aggregate.measures.iter().any(|measure| measure.function == MeasureFn::UniqueUsersApprox)
    }
}

/// Raw events in `[from_ms, to_ms)`, as a scan.
pub(crate) fn events_scan(app: &AppSettings, range: (TimestampMs, TimestampMs), events: Option<Vec<String>>, filter: Filter) -> Scan {
    Scan { app: app.app.clone(), from_ms: range.0, to_ms: range.1, events, filter }
}

#[cfg(test)]
#[path = "planner_tests.rs"]
mod tests;
