//! How many sessions there are, for the measure of that name.

use std::sync::{Mutex, PoisonError};

use event_store::{AggregatePlan, MeasureFn, QueryContext, QueryError, ScanStats, SessionCuts, SessionRule};
use rustc_hash::FxHashMap;

use super::look_around_ms;
use super::tables::SessionTables;
use crate::exec::aggregate::{Prepared, SessionCounts, add_stats};
use crate::exec::batch::Batch;
use crate::exec::cells::cell_key;
use crate::exec::column::Column;
use crate::exec::column_scan::{ColumnScan, TimeUse};
use crate::exec::filter::Memos;
use crate::exec::group::GroupCoder;
use crate::exec::mask::Mask;
use crate::exec::pairs::{self, PairList};
use crate::exec::rows::{RowCells, Rows};
use crate::exec::scan::Query;
use crate::exec::session_keys::SessionKeys;
use crate::exec::timeline::{MAX_LABEL, Moment, Timeline};
use crate::exec::value::compare_groups;

/// The label of an event that does not match; groups follow.
const NO_MATCH: u32 = 0;

/// Counts the sessions of every session measure of the plan.
///
/// # Errors
/// As for [`event_store::EventSource::aggregate`].
pub(in crate::exec) fn count(
    query: &Query<'_>,
    plan: &AggregatePlan,
    prepared: &Prepared<'_>,
    stats: &mut ScanStats,
) -> Result<SessionCounts, QueryError> {
    let mut counts = Vec::new();
    for (measure, function) in plan.measures.iter().map(|measure| &measure.function).enumerate() {
        if let MeasureFn::Sessions(rule) = function {
            counts.push((measure, Counting { query, plan, prepared, measure, rule: *rule }.run(stats)?));
        }
    }
    Ok(counts)
}

/// One session measure of a plan.
struct Counting<'c> {
    query: &'c Query<'c>,
    plan: &'c AggregatePlan,
    prepared: &'c Prepared<'c>,
    measure: usize,
    rule: SessionRule,
}

/// Events one thread has read.
struct Worker<'p> {
    memos: Memos,
    coder: GroupCoder<'p>,
    /// By person.
    without_id: PairList,
    /// By a hash of person and session id.
    with_id: PairList,
    /// Those with an id that is in a segment's table.
    tables: SessionTables,
    rows: Vec<u32>,
    groups: Vec<u32>,
    labels: Vec<u32>,
}

impl Counting<'_> {
    fn run(&self, stats: &mut ScanStats) -> Result<Vec<(u64, u64)>, QueryError> {
        let scan = &self.plan.scan;
        let from_ms = scan.from_ms.saturating_sub(look_around_ms(self.rule));
        let columns = ColumnScan {
            app: &scan.app,
            from_ms,
            to_ms: scan.to_ms,
            events: None,
            fields: &self.prepared.fields,
            persons: true,
            times: TimeUse::Always,
            narrowing: None,
            reading: self.prepared.reading,
        };
        let timeline = Timeline::from(from_ms);
        let make = || Worker::new(self.prepared, self.query.context, self.query.threads);
        let each = |worker: &mut Worker<'_>, batch: &Batch, wanted: Option<&Mask>| self.read(worker, batch, wanted, timeline);
        let (workers, scanned) = self.query.scan_columns(&columns, &make, &each)?;
        add_stats(stats, scanned);

        let (without_id, with_id) = self.lists(workers)?;
        let never = SessionRule { idle_ms: i64::MAX, max_ms: None };
        let order = self.group_order();
        let mut counts: FxHashMap<u64, u64> = FxHashMap::default();
        for (lists, rule) in [(without_id, self.rule), (with_id, never)] {
            let events = PairList::merge(lists, self.query)?;
            let counted = events.for_each_key(self.query, &FxHashMap::default, &|counts: &mut FxHashMap<u64, u64>, events| {
                let moments = events.iter().map(|&event| timeline.moment(pairs::payload(event)));
                for_each_session(moments, rule, &order, |start_ms, group| {
                    if start_ms >= scan.from_ms {
                        *counts.entry(cell_key(group, self.prepared.buckets.find(start_ms))).or_default() += 1;
                    }
                });
                Ok(())
            })?;
            counted.into_iter().flatten().for_each(|(cell, sessions)| *counts.entry(cell).or_default() += sessions);
        }
        let mut counts: Vec<_> = counts.into_iter().collect();
        counts.sort_unstable();
        Ok(counts)
    }

    /// The place of each group in the order of values, which decides between events at the same time.
    fn group_order(&self) -> Vec<u32> {
        let groups = self.prepared.groups.groups();
        let mut ascending: Vec<u32> = (0..groups.len() as u32).collect();
        ascending.sort_by(|&a, &b| compare_groups(&groups[a as usize], &groups[b as usize]));
        let mut order = vec![0; groups.len()];
        ascending.iter().zip(0..).for_each(|(&group, place)| order[group as usize] = place);
        order
    }

    /// What the threads have read: the events without a session id by person, and those with one by session.
    fn lists(&self, workers: Vec<Worker<'_>>) -> Result<(Vec<PairList>, Vec<PairList>), QueryError> {
        let mut without_id = Vec::with_capacity(workers.len());
        let mut with_id = Vec::with_capacity(workers.len());
        for worker in workers {
            without_id.push(worker.without_id);
            with_id.push(Mutex::new(Some((worker.with_id, worker.tables))));
        }
        let drained = self.query.parallel(with_id.len(), &Vec::new, &|drained: &mut Vec<PairList>, task| {
            let taken = with_id[task].lock().unwrap_or_else(PoisonError::into_inner).take();
            let Some((mut list, tables)) = taken else { return Ok(()) };
            tables.drain_into(&mut list)?;
            drained.push(list);
            Ok(())
        })?;
        Ok((without_id, drained.into_iter().flatten().collect()))
    }

    fn read(&self, worker: &mut Worker<'_>, batch: &Batch, wanted: Option<&Mask>, timeline: Timeline) -> Result<(), QueryError> {
        worker.label(batch, wanted, self)?;
        let Worker { labels, without_id, with_id, tables, .. } = worker;
        let session_ids = self.prepared.session_ids.map(|field| batch.column(field));
        let mut keys = SessionKeys::new(session_ids);
        let mut numbered = match session_ids.and_then(Column::session_codes) {
            Some(ids) => tables.of(&ids.table, batch.rows())?.map(|table| (&ids.codes, table)),
            None => None,
        };
        batch.persons().try_for_each_key(self.prepared.reading, |row, person| {
            if wanted.is_some_and(|wanted| !wanted.has(row)) {
                return Ok(());
            }
            let payload = timeline.payload(batch.time(row), labels[row]);
            if let Some((codes, table)) = &mut numbered {
                let code = codes.get(row) as usize;
                if code > 0 && table.take(code - 1, person, payload) {
                    return Ok(());
                }
            }
            match keys.key(person, row) {
                Some(key) => with_id.push(key, payload),
                None => without_id.push(person, payload),
            }
        })
    }
}

impl<'p> Worker<'p> {
    fn new(prepared: &'p Prepared<'p>, context: &QueryContext, threads: usize) -> Self {
        Self {
            memos: Memos::new(prepared.memo_count, context),
            coder: GroupCoder::new(&prepared.groups),
            without_id: PairList::distinct(context),
            with_id: PairList::leading(context),
            tables: SessionTables::new(context, threads),
            rows: Vec::new(),
            groups: Vec::new(),
            labels: Vec::new(),
        }
    }

    /// Labels each row with its group, or as no match.
    fn label(&mut self, batch: &Batch, wanted: Option<&Mask>, counting: &Counting<'_>) -> Result<(), QueryError> {
        let prepared = counting.prepared;
        let mut mask = prepared.filter.evaluate(batch, wanted, &mut self.memos);
        for predicate in [&prepared.scan_names, &prepared.measures[counting.measure].predicate] {
            if !predicate.is_always() {
                mask = predicate.evaluate(batch, Some(&mask), &mut self.memos);
            }
        }
        let in_range = |row: &u32| batch.time(*row as usize) >= counting.plan.scan.from_ms;
        self.rows.clear();
        self.rows.extend(mask.iter().filter(in_range));
        let groups = self.coder.code(batch, Rows::Some(&self.rows), &mut self.groups)?;
        self.labels.clear();
        self.labels.resize(batch.rows(), NO_MATCH);
        for (i, &row) in self.rows.iter().enumerate() {
            let group = match groups {
                RowCells::One(group) => group,
                RowCells::Each(groups) => groups[i],
            };
            if group >= MAX_LABEL {
                return Err(QueryError::Groups { limit: MAX_LABEL as usize });
            }
            self.labels[row as usize] = group + 1;
        }
        Ok(())
    }
}

/// Calls `each` with the beginning of every session that has a match, and the group of its first match.
fn for_each_session(moments: impl Iterator<Item = Moment>, rule: SessionRule, order: &[u32], mut each: impl FnMut(i64, u32)) {
    let mut cuts = SessionCuts::new(rule);
    let mut start_ms = 0;
    let mut first_match: Option<(i64, u32, u32)> = None;
    for Moment { time_ms, label } in moments {
        if cuts.begins(time_ms) {
            if let Some((_, _, group)) = first_match.take() {
                each(start_ms, group);
            }
            start_ms = time_ms;
        }
        if label != NO_MATCH {
            let group = label - 1;
            let candidate = (time_ms, order[group as usize], group);
            if first_match.is_none_or(|first| candidate < first) {
                first_match = Some(candidate);
            }
        }
    }
    if let Some((_, _, group)) = first_match {
        each(start_ms, group);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sessions(times_and_labels: &[(i64, u32)], rule: SessionRule) -> Vec<(i64, u32)> {
        let mut found = Vec::new();
        let moments = times_and_labels.iter().map(|&(time_ms, label)| Moment { time_ms, label });
        for_each_session(moments, rule, &[1, 0], |start_ms, group| found.push((start_ms, group)));
        found
    }

    #[test]
    fn gaps_and_lengths_cut() {
        let rule = SessionRule { idle_ms: 10, max_ms: None };
        assert_eq!(sessions(&[(0, 1), (10, 0), (20, 1), (31, 1)], rule), [(0, 0), (31, 0)]);
        assert_eq!(sessions(&[(0, 0), (5, 2), (5, 1), (40, 0)], rule), [(0, 1)]);
        assert_eq!(sessions(&[], rule), []);
        let cut = SessionRule { idle_ms: 10, max_ms: Some(15) };
        assert_eq!(sessions(&[(0, 1), (8, 1), (15, 1), (16, 1), (24, 1), (31, 1), (32, 1)], cut), [(0, 0), (16, 0), (32, 0)]);
    }
}
