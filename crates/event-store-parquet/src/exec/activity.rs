//! Lifecycle, stickiness and active users: what the periods tell in which persons are active.
//!
//! Without a breakdown each person is a bit a period ([`PeriodBits`]); with one, a list of groups and periods ([`PersonMoments`]), walked
//! once to rank the groups and once to count those that are kept. A person counts once in the folded rest.

use event_store::{
    ACTIVE_LOOK_BACK, ACTIVE_WINDOWS, ActivityGroup, ActivityKind, ActivityPlan, ActivityTable, LifecycleCounts, MAX_PERIODS, QueryContext,
    QueryError, ScanStats, Value,
};

use super::aggregate::add_stats;
use super::batch::Batch;
use super::column_scan::{ColumnScan, Reading, TimeUse};
use super::filter::Memos;
use super::group::GroupCoder;
use super::mask::Mask;
use super::periods::{Matcher, Pass, PeriodBits, Periods, PersonMoments, Recorder, has, ones, set, words_of};
use super::rows::{RowCells, Rows};
use super::scan::{Query, Reserved};
use super::value::compare_values;

/// Answers an [`ActivityPlan`].
///
/// # Errors
/// As for [`event_store::EventSource::aggregate`].
pub fn activity(query: &Query<'_>, plan: &ActivityPlan) -> Result<ActivityTable, QueryError> {
    let is_lifecycle = plan.looks_back();
    let before = before_range(plan.kind);
    if !(before + 1..=before + MAX_PERIODS).contains(&plan.periods.starts.len()) {
        return Err(QueryError::Invalid { field: "period".into(), message: format!("1 to {MAX_PERIODS} periods") });
    }
    query.with_persons(&plan.scan.app, |reading| {
        let periods = Periods::new(&plan.periods.starts, is_lifecycle, plan.scan.to_ms);
        let mut stats = ScanStats::default();
        let matcher = Matcher::new(query, &plan.scan, &plan.any_of, plan.breakdown.as_ref(), reading, &mut stats)?;
        let asked = Asked { query, plan, reading, matcher: &matcher, periods };
        let table =
            if reading.has_ordinals() && plan.breakdown.is_none() { asked.by_bits(&mut stats)? } else { asked.by_lists(&mut stats)? };
        Ok(ActivityTable { stats, ..table })
    })
}

/// Periods of a plan before its range.
fn before_range(kind: ActivityKind) -> usize {
    match kind {
        ActivityKind::Lifecycle => 1,
        ActivityKind::Stickiness => 0,
        ActivityKind::ActiveUsers => ACTIVE_LOOK_BACK,
    }
}

struct Asked<'a> {
    query: &'a Query<'a>,
    plan: &'a ActivityPlan,
    reading: &'a Reading,
    matcher: &'a Matcher,
    periods: Periods,
}

impl Asked<'_> {
    fn range(&self) -> (i64, i64) {
        (self.periods.from_ms, self.plan.scan.to_ms)
    }

    fn by_bits(&self, stats: &mut ScanStats) -> Result<ActivityTable, QueryError> {
        let Self { query, plan, reading, matcher, periods } = self;
        let pass = Pass { query, app: &plan.scan.app, range: self.range(), matcher, periods, reading };
        let bits = PeriodBits::gather(&pass, stats)?;
        let tallies = bits.for_each(None, query, &|| Tally::new(self), &|tally, words, _| {
            tally.add(self, words);
            Ok(())
        })?;
        Ok(ActivityTable { total: merged(self, tallies.iter(), None), ..ActivityTable::default() })
    }

    fn by_lists(&self, stats: &mut ScanStats) -> Result<ActivityTable, QueryError> {
        let persons = PersonMoments::merge(self.record(stats)?, self.query)?;
        let values: Vec<Value> =
            self.matcher.groups.groups().into_iter().map(|group| group.into_iter().next().unwrap_or(Value::Null)).collect();
        let ranked = self.ranked(&persons, &values)?;
        let (kept, rest) = ranked.split_at(ranked.len().min(if self.plan.breakdown.is_some() { self.plan.fold_keep } else { 0 }));
        // The place of each group in the answer; that of all that are not kept is behind the others.
        let mut places = vec![kept.len(); values.len()];
        kept.iter().enumerate().for_each(|(place, &group)| places[group as usize] = place);
        let make = || Walker::new(self, kept.len());
        let walkers = persons.for_each(self.query, &make, &|walker, numbers| walker.walk(self, &places, numbers))?;
        let of_place =
            |place: usize, value: Option<Value>| merged(self, walkers.iter().filter_map(|walker| walker.tallies[place].as_ref()), value);
        let total = merged(self, walkers.iter().map(|walker| &walker.total), None);
        let mut groups = Vec::new();
        if self.plan.breakdown.is_some() {
            groups.extend(kept.iter().enumerate().map(|(place, &group)| of_place(place, values.get(group as usize).cloned())));
            groups.extend((!rest.is_empty()).then(|| of_place(kept.len(), Some(Value::Other))));
        }
        Ok(ActivityTable { total, groups, ..ActivityTable::default() })
    }

    fn record(&self, stats: &mut ScanStats) -> Result<Vec<Recorder>, QueryError> {
        let (from_ms, to_ms) = self.range();
        let scan = ColumnScan {
            app: &self.plan.scan.app,
            from_ms,
            to_ms,
            events: self.matcher.names.as_deref(),
            fields: &self.matcher.fields,
            persons: true,
            times: TimeUse::Buckets(&self.periods.finder),
            narrowing: None,
            reading: self.reading,
        };
        let make = || Worker::new(self);
        let each = |worker: &mut Worker<'_>, batch: &Batch, wanted: Option<&Mask>| worker.read(self, batch, wanted);
        let (workers, scanned) = self.query.scan_columns(&scan, &make, &each)?;
        add_stats(stats, scanned);
        Ok(workers.into_iter().map(|worker| worker.recorder).collect())
    }

    /// The groups of persons that are active in one of the plan's periods, most persons first.
    fn ranked(&self, persons: &PersonMoments, values: &[Value]) -> Result<Vec<u32>, QueryError> {
        let make = || Ranking::new(values.len(), self.query.context);
        let rankings = persons.for_each(self.query, &make, &|ranking, numbers| ranking.add(self.periods.earlier, numbers))?;
        let mut users = vec![0u64; values.len()];
        rankings.iter().for_each(|ranking| users.iter_mut().zip(&ranking.users).for_each(|(all, users)| *all += users));
        let mut ranked: Vec<u32> = (0..values.len() as u32).filter(|&group| users[group as usize] > 0).collect();
        ranked.sort_by(|&a, &b| {
            users[b as usize].cmp(&users[a as usize]).then_with(|| compare_values(&values[a as usize], &values[b as usize]))
        });
        Ok(ranked)
    }
}

/// A group and a period as one number that sorts by group.
fn number_of(group: u32, period: u32) -> u64 {
    u64::from(group) << 32 | u64::from(period)
}

/// The group and the period of a [`number_of`].
fn parts(number: u64) -> (u32, u32) {
    ((number >> 32) as u32, number as u32)
}

/// What one thread reads events with.
struct Worker<'m> {
    memos: Memos,
    coder: GroupCoder<'m>,
    recorder: Recorder,
    rows: Vec<u32>,
    groups: Vec<u32>,
    /// By row: its group and one more, 0 where it does not match.
    labels: Vec<u32>,
}

impl<'m> Worker<'m> {
    fn new(asked: &Asked<'m>) -> Self {
        Self {
            memos: asked.matcher.memos(asked.query.context),
            coder: GroupCoder::new(&asked.matcher.groups),
            recorder: Recorder::new(asked.reading, asked.query.context),
            rows: Vec::new(),
            groups: Vec::new(),
            labels: Vec::new(),
        }
    }

    fn read(&mut self, asked: &Asked<'_>, batch: &Batch, wanted: Option<&Mask>) -> Result<(), QueryError> {
        let Self { memos, coder, recorder, rows, groups, labels } = self;
        rows.clear();
        rows.extend(asked.matcher.matches(batch, wanted, memos).iter());
        let coded = coder.code(batch, Rows::Some(rows), groups)?;
        labels.clear();
        labels.resize(batch.rows(), 0);
        for (at, &row) in rows.iter().enumerate() {
            labels[row as usize] = 1 + match coded {
                RowCells::One(group) => group,
                RowCells::Each(groups) => groups[at],
            };
        }
        let (from_ms, to_ms) = asked.range();
        let of_all = asked.periods.of_all(batch, from_ms, to_ms);
        let mut last = None;
        recorder.record(batch, asked.reading, |row, person| {
            let Some(group) = labels[row].checked_sub(1) else { return Ok(None) };
            let period = of_all.unwrap_or_else(|| asked.periods.finder.find(batch.time(row)));
            let number = number_of(group, period);
            Ok((last.replace((person, number)) != Some((person, number))).then_some(number))
        })
    }
}

/// Persons by group.
struct Ranking {
    users: Vec<u64>,
    _memory: Reserved,
    refused: Option<QueryError>,
}

impl Ranking {
    fn new(groups: usize, context: &QueryContext) -> Self {
        let mut memory = Reserved::new(context);
        let refused = memory.grow(groups * size_of::<u64>()).err();
        Self { users: vec![0; if refused.is_some() { 0 } else { groups }], _memory: memory, refused }
    }

    fn add(&mut self, earlier: usize, numbers: &[u64]) -> Result<(), QueryError> {
        if let Some(refused) = self.refused.take() {
            return Err(refused);
        }
        for of_group in numbers.chunk_by(|&a, &b| parts(a).0 == parts(b).0) {
            let (group, last) = parts(of_group[of_group.len() - 1]);
            self.users[group as usize] += u64::from(last as usize >= earlier);
        }
        Ok(())
    }
}

/// What one thread follows persons with.
struct Walker {
    total: Tally,
    /// By place in the answer.
    tallies: Vec<Option<Tally>>,
    words: [Vec<u64>; 3],
    memory: Reserved,
}

impl Walker {
    fn new(asked: &Asked<'_>, kept: usize) -> Self {
        let words = || vec![0; words_of(asked.periods.count())];
        let tallies = (0..=kept).map(|_| None).collect();
        Self { total: Tally::new(asked), tallies, words: [words(), words(), words()], memory: Reserved::new(asked.query.context) }
    }

    fn walk(&mut self, asked: &Asked<'_>, places: &[usize], numbers: &[u64]) -> Result<(), QueryError> {
        let Self { total, tallies, words: [own, rest, all], memory } = self;
        let last = tallies.len() - 1;
        let mut add = |place: usize, words: &[u64]| {
            if tallies[place].is_none() {
                memory.grow(size_of::<LifecycleCounts>() * asked.periods.count())?;
            }
            tallies[place].get_or_insert_with(|| Tally::new(asked)).add(asked, words);
            Ok::<(), QueryError>(())
        };
        all.fill(0);
        let mut has_rest = false;
        for of_group in numbers.chunk_by(|&a, &b| parts(a).0 == parts(b).0) {
            let place = places[parts(of_group[0]).0 as usize];
            let is_rest = place == last;
            let words = if is_rest { &mut *rest } else { &mut *own };
            of_group.iter().for_each(|&number| set(words, parts(number).1 as usize));
            of_group.iter().for_each(|&number| set(all, parts(number).1 as usize));
            has_rest |= is_rest;
            if !is_rest {
                add(place, own)?;
                own.fill(0);
            }
        }
        if has_rest {
            add(last, rest)?;
            rest.fill(0);
        }
        total.add(asked, all);
        Ok(())
    }
}

/// The persons of one group.
struct Tally {
    users: u64,
    lifecycle: Vec<LifecycleCounts>,
    stickiness: Vec<u64>,
    /// By how many persons each period has more than the one before, by window.
    active: Vec<[i64; ACTIVE_WINDOWS.len()]>,
}

impl Tally {
    fn new(asked: &Asked<'_>) -> Self {
        let in_range = asked.plan.periods.starts.len() - before_range(asked.plan.kind);
        let of = |kind: ActivityKind| if asked.plan.kind == kind { in_range } else { 0 };
        Self {
            users: 0,
            lifecycle: vec![LifecycleCounts::default(); of(ActivityKind::Lifecycle)],
            stickiness: vec![0; of(ActivityKind::Stickiness)],
            active: vec![[0; ACTIVE_WINDOWS.len()]; of(ActivityKind::ActiveUsers)],
        }
    }

    /// Adds a person to a window of so many periods: it holds a period from that one on until it has moved past it.
    fn add_active(&mut self, window: usize, length: usize, words: &[u64]) {
        let mut held_until = ACTIVE_LOOK_BACK;
        for period in ones(words) {
            let (first, end) = (period.max(held_until), period + length);
            if first >= end {
                continue;
            }
            held_until = end;
            for (period, more) in [(first, 1), (end, -1)] {
                if let Some(persons) = self.active.get_mut(period - ACTIVE_LOOK_BACK) {
                    persons[window] += more;
                }
            }
        }
    }

    /// Adds a person with at least one active period.
    fn add(&mut self, asked: &Asked<'_>, words: &[u64]) {
        let earlier = asked.periods.earlier;
        match asked.plan.kind {
            ActivityKind::Stickiness => {
                self.users += 1;
                self.stickiness[ones(words).count() - 1] += 1;
            }
            ActivityKind::ActiveUsers => {
                self.users += 1;
                ACTIVE_WINDOWS.into_iter().enumerate().for_each(|(window, length)| self.add_active(window, length, words));
            }
            ActivityKind::Lifecycle => {
                // Of the bits, the first is everything before the period before the range.
                let in_range = earlier + 1;
                let mut last = None;
                for period in ones(words) {
                    if period >= in_range {
                        let counts = &mut self.lifecycle[period - in_range];
                        match last {
                            None => counts.new += 1,
                            Some(before) if before + 1 == period => counts.returning += 1,
                            Some(_) => counts.resurrected += 1,
                        }
                    }
                    let next = period + 1;
                    if next >= in_range && period >= earlier && next < asked.periods.count() && !has(words, next) {
                        self.lifecycle[next - in_range].dormant += 1;
                    }
                    last = Some(period);
                }
                self.users += u64::from(last.is_some_and(|last| last >= earlier));
            }
        }
    }
}

fn merged<'t>(asked: &Asked<'_>, tallies: impl Iterator<Item = &'t Tally>, value: Option<Value>) -> ActivityGroup {
    let Tally { users, lifecycle, stickiness, active: mut more } = Tally::new(asked);
    let mut group = ActivityGroup { value, users, lifecycle, stickiness, active: Vec::new() };
    for tally in tallies {
        group.users += tally.users;
        group.stickiness.iter_mut().zip(&tally.stickiness).for_each(|(all, users)| *all += users);
        for (all, counts) in group.lifecycle.iter_mut().zip(&tally.lifecycle) {
            all.new += counts.new;
            all.returning += counts.returning;
            all.resurrected += counts.resurrected;
            all.dormant += counts.dormant;
        }
        for (all, tally) in more.iter_mut().zip(&tally.active) {
            all.iter_mut().zip(tally).for_each(|(all, more)| *all += more);
        }
    }
    let mut now = [0i64; ACTIVE_WINDOWS.len()];
    group.active = more
        .iter()
        .map(|more| {
            now.iter_mut().zip(more).for_each(|(now, more)| *now += more);
            now.map(|persons| persons as u64)
        })
        .collect();
    group
}
