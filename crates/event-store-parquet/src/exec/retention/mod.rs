//! Retention tables.
//!
//! Where periods are of the calendar and nothing is broken down, each person is a bit a period for start and return events
//! ([`PeriodBits`]). Else the events of each person are laid out by time, those of one period, group and person but once
//! ([`PersonMoments`]). Both ways end in the same [`Tally`].

mod tally;

use event_store::{
    MAX_PERIODS, QueryContext, QueryError, RetentionCohort, RetentionEntry, RetentionPlan, RetentionTable, Scan, ScanStats, Selection,
    Value,
};

use super::aggregate::add_stats;
use super::batch::Batch;
use super::column_scan::{ColumnScan, Reading, TimeUse};
use super::filter::Memos;
use super::group::{GroupCoder, GroupTable};
use super::mask::Mask;
use super::periods::{Matcher, Pass, PeriodBits, Periods, PersonMoments, Recorder, ones, set, words_of};
use super::rows::{RowCells, Rows};
use super::scan::Query;
use super::timeline::{MAX_LABEL, Timeline};
use tally::Tally;

/// The label of a return event; those of start events are their groups, from 1 on.
const RETURN: u32 = 0;

/// Answers a [`RetentionPlan`].
///
/// # Errors
/// As for [`event_store::EventSource::aggregate`].
pub fn retention(query: &Query<'_>, plan: &RetentionPlan) -> Result<RetentionTable, QueryError> {
    check_plan(plan)?;
    query.with_persons(&plan.scan.app, |reading| {
        let asked = Asked { query, plan, reading, periods: Periods::new(&plan.periods.starts, plan.looks_back(), plan.returns_to_ms) };
        let mut stats = ScanStats::default();
        let is_plain = reading.has_ordinals() && plan.rolling_ms.is_none() && plan.breakdown.is_none();
        let (tallies, values) = if is_plain { asked.by_bits(&mut stats)? } else { asked.by_lists(&mut stats)? };
        Ok(RetentionTable { stats, ..tally::table(plan, &tallies, &values) })
    })
}

fn check_plan(plan: &RetentionPlan) -> Result<(), QueryError> {
    let periods = plan.periods.starts.len();
    let rules = [
        ((1..=MAX_PERIODS).contains(&periods), "period", format!("1 to {MAX_PERIODS} periods")),
        ((1..=periods).contains(&plan.cohorts), "range", "the range has a period".to_owned()),
        (plan.max_period < MAX_PERIODS, "periods", format!("at most {} periods after the first", MAX_PERIODS - 1)),
        (plan.rolling_ms.is_none_or(|length_ms| length_ms > 0), "period", "a period is longer than nothing".to_owned()),
        (plan.returns_to_ms >= plan.scan.to_ms, "range", "return events are looked for up to the end of the range at least".to_owned()),
    ];
    match rules.into_iter().find(|(holds, _, _)| !holds) {
        Some((_, field, message)) => Err(QueryError::Invalid { field: field.into(), message }),
        None => Ok(()),
    }
}

/// A plan with what it is asked of.
struct Asked<'a> {
    query: &'a Query<'a>,
    plan: &'a RetentionPlan,
    reading: &'a Reading,
    periods: Periods,
}

/// What the threads have counted, and the values of the groups by number.
type Counted = (Vec<Tally>, Vec<Value>);

impl Asked<'_> {
    fn matcher(&self, any_of: &[Selection], stats: &mut ScanStats) -> Result<Matcher, QueryError> {
        let is_start = std::ptr::eq(any_of, self.plan.start.as_slice());
        let breakdown = self.plan.breakdown.as_ref().filter(|_| is_start);
        Matcher::new(self.query, &self.plan.scan, any_of, breakdown, self.reading, stats)
    }

    fn by_bits(&self, stats: &mut ScanStats) -> Result<Counted, QueryError> {
        let Self { query, plan, reading, periods } = self;
        let Scan { from_ms, to_ms, .. } = plan.scan;
        let gather = |any_of: &[Selection], range: (i64, i64), stats: &mut ScanStats| {
            let matcher = self.matcher(any_of, stats)?;
            PeriodBits::gather(&Pass { query, app: &plan.scan.app, range, matcher: &matcher, periods, reading }, stats)
        };
        let starts = gather(&plan.start, (periods.from_ms, to_ms), stats)?;
        let is_same = plan.start == plan.returns && to_ms == plan.returns_to_ms;
        let returns = match is_same {
            true => None,
            false => Some(second_pass(plan, stats, |stats| gather(&plan.returns, (from_ms, plan.returns_to_ms), stats))?),
        };
        let make = || Tally::new(plan, query.context);
        let tallies = starts.for_each(returns.as_ref(), query, &make, &|tally, starts, returns| {
            let returns = if is_same { starts } else { returns };
            let earlier = periods.earlier;
            let count = |tally: &mut Tally, start: usize| {
                let since = ones(returns).filter(|&period| period >= start).map(|period| period - start);
                tally.add(0, start - earlier, since)
            };
            match plan.entry {
                RetentionEntry::Recurring => ones(starts).try_for_each(|start| count(tally, start)),
                // The first one ever may lie before the range.
                RetentionEntry::FirstTime | RetentionEntry::FirstInRange => match ones(starts).next() {
                    Some(start) if start >= earlier => count(tally, start),
                    _ => Ok(()),
                },
            }
        })?;
        Ok((tallies, Vec::new()))
    }

    fn by_lists(&self, stats: &mut ScanStats) -> Result<Counted, QueryError> {
        let plan = self.plan;
        let timeline = Timeline::from(self.periods.from_ms);
        let start = self.matcher(&plan.start, stats)?;
        let mut recorders = self.record(&start, (self.periods.from_ms, plan.scan.to_ms), Some(&start.groups), timeline, stats)?;
        let returns = self.matcher(&plan.returns, stats)?;
        let range = (plan.scan.from_ms, plan.returns_to_ms);
        recorders.extend(second_pass(plan, stats, |stats| self.record(&returns, range, None, timeline, stats))?);
        let persons = PersonMoments::merge(recorders, self.query)?;
        let make = || Walker {
            starts: Vec::new(),
            returned: vec![0; words_of(self.periods.count())],
            tally: Tally::new(plan, self.query.context),
        };
        let walkers = persons.for_each(self.query, &make, &|walker, numbers| walker.walk(self, &start.groups, timeline, numbers))?;
        let values = start.groups.groups().into_iter().map(|group| group.into_iter().next().unwrap_or(Value::Null)).collect();
        Ok((walkers.into_iter().map(|walker| walker.tally).collect(), values))
    }

    /// Reads events of one kind: start events with their groups, or return events.
    fn record(
        &self,
        matcher: &Matcher,
        (from_ms, to_ms): (i64, i64),
        groups: Option<&GroupTable>,
        timeline: Timeline,
        stats: &mut ScanStats,
    ) -> Result<Vec<Recorder>, QueryError> {
        let scan = ColumnScan {
            app: &self.plan.scan.app,
            from_ms,
            to_ms,
            events: matcher.names.as_deref(),
            fields: &matcher.fields,
            persons: true,
            times: TimeUse::Always,
            narrowing: None,
            reading: self.reading,
        };
        let make = || Worker::new(self, matcher, groups);
        let each = |worker: &mut Worker<'_>, batch: &Batch, wanted: Option<&Mask>| worker.read(self, matcher, timeline, batch, wanted);
        let (workers, scanned) = self.query.scan_columns(&scan, &make, &each)?;
        add_stats(stats, scanned);
        Ok(workers.into_iter().map(|worker| worker.recorder).collect())
    }
}

/// What one thread reads events with.
struct Worker<'g> {
    memos: Memos,
    coder: Option<GroupCoder<'g>>,
    recorder: Recorder,
    rows: Vec<u32>,
    groups: Vec<u32>,
    /// By row: the label and one more, 0 where it does not match.
    labels: Vec<u32>,
}

impl<'g> Worker<'g> {
    fn new(asked: &Asked<'_>, matcher: &Matcher, groups: Option<&'g GroupTable>) -> Self {
        let context: &QueryContext = asked.query.context;
        Self {
            memos: matcher.memos(context),
            coder: groups.map(GroupCoder::new),
            recorder: Recorder::new(asked.reading, context),
            rows: Vec::new(),
            groups: Vec::new(),
            labels: Vec::new(),
        }
    }

    fn read(
        &mut self,
        asked: &Asked<'_>,
        matcher: &Matcher,
        timeline: Timeline,
        batch: &Batch,
        wanted: Option<&Mask>,
    ) -> Result<(), QueryError> {
        let Self { memos, coder, recorder, rows, groups, labels } = self;
        rows.clear();
        rows.extend(matcher.matches(batch, wanted, memos).iter());
        labels.clear();
        labels.resize(batch.rows(), 0);
        match coder {
            None => rows.iter().for_each(|&row| labels[row as usize] = RETURN + 1),
            Some(coder) => {
                let coded = coder.code(batch, Rows::Some(rows), groups)?;
                for (at, &row) in rows.iter().enumerate() {
                    let group = match coded {
                        RowCells::One(group) => group,
                        RowCells::Each(groups) => groups[at],
                    };
                    if group >= MAX_LABEL {
                        return Err(QueryError::Groups { limit: MAX_LABEL as usize });
                    }
                    labels[row as usize] = group + 2;
                }
            }
        }
        // Of what follows in one period, the earliest is enough; windows that begin with an event tell later ones apart.
        let needs_all = coder.is_none() && asked.plan.rolling_ms.is_some();
        let mut last: Option<(u64, u32, u32, i64)> = None;
        recorder.record(batch, asked.reading, |row, person| {
            let Some(label) = labels[row].checked_sub(1) else { return Ok(None) };
            let time_ms = batch.time(row);
            let period = if needs_all { 0 } else { asked.periods.finder.find(time_ms) };
            let follows = |(of_person, of_label, of_period, of_ms): (u64, u32, u32, i64)| {
                (of_person, of_label, of_period) == (person, label, period) && if needs_all { of_ms == time_ms } else { of_ms <= time_ms }
            };
            if last.is_some_and(follows) {
                return Ok(None);
            }
            last = Some((person, label, period, time_ms));
            Ok(Some(timeline.payload(time_ms, label)))
        })
    }
}

/// What one thread follows persons with.
struct Walker {
    /// Of the person at work: period, time and group of the start events that open a cohort.
    starts: Vec<(u32, i64, u32)>,
    /// Of the person at work: the periods with a return event.
    returned: Vec<u64>,
    tally: Tally,
}

impl Walker {
    fn walk(&mut self, asked: &Asked<'_>, groups: &GroupTable, timeline: Timeline, numbers: &[u64]) -> Result<(), QueryError> {
        let Asked { plan, periods, .. } = asked;
        if !self.find_starts(asked, groups, timeline, numbers) {
            return Ok(());
        }
        let returns = || numbers.iter().map(|&number| timeline.moment(number)).filter(|moment| moment.label == RETURN);
        if let Some(length_ms) = plan.rolling_ms {
            for &(period, start_ms, group) in &self.starts {
                let since = returns().map(|moment| moment.time_ms).filter(|&time_ms| time_ms >= start_ms);
                self.tally.add(
                    group,
                    period as usize - periods.earlier,
                    since.map(|time_ms| ((time_ms - start_ms) / length_ms) as usize),
                )?;
            }
            return Ok(());
        }
        self.returned.fill(0);
        returns().for_each(|moment| set(&mut self.returned, periods.finder.find(moment.time_ms) as usize));
        for &(period, _, group) in &self.starts {
            let since = ones(&self.returned).filter(|&other| other >= period as usize).map(|other| other - period as usize);
            self.tally.add(group, period as usize - periods.earlier, since)?;
        }
        Ok(())
    }

    /// Finds the start events that open a cohort; false where there are none. Between events of one time, the smallest value decides.
    fn find_starts(&mut self, asked: &Asked<'_>, groups: &GroupTable, timeline: Timeline, numbers: &[u64]) -> bool {
        self.starts.clear();
        let is_recurring = asked.plan.entry == RetentionEntry::Recurring;
        for moment in numbers.iter().map(|&number| timeline.moment(number)).filter(|moment| moment.label != RETURN) {
            let period = asked.periods.finder.find(moment.time_ms);
            let group = moment.label - 1;
            if (period as usize) < asked.periods.earlier {
                return false;
            }
            match self.starts.last_mut() {
                Some((_, of_ms, of_group)) if *of_ms == moment.time_ms => {
                    if groups.is_before(group, *of_group) {
                        *of_group = group;
                    }
                }
                Some((of_period, ..)) if !is_recurring || *of_period == period => {}
                _ => self.starts.push((period, moment.time_ms, group)),
            }
        }
        !self.starts.is_empty()
    }
}

/// Reads return events after start events: where no event can be both, they are other events.
fn second_pass<T>(
    plan: &RetentionPlan,
    stats: &mut ScanStats,
    read: impl FnOnce(&mut ScanStats) -> Result<T, QueryError>,
) -> Result<T, QueryError> {
    let names =
        |any_of: &[Selection]| any_of.iter().map(|(names, _)| names.clone()).collect::<Option<Vec<_>>>().map(|names| names.concat());
    let are_apart = matches!((names(&plan.start), names(&plan.returns)), (Some(a), Some(b)) if !a.iter().any(|name| b.contains(name)));
    let before = if are_apart { std::mem::take(&mut stats.scanned_events) } else { 0 };
    let made = read(stats)?;
    stats.scanned_events += before;
    Ok(made)
}

/// A cohort of nobody.
fn nobody(plan: &RetentionPlan) -> RetentionCohort {
    RetentionCohort { size: 0, returned: vec![0; plan.max_period + 1] }
}
