//! The persons of a segment, page by page.

use std::collections::BinaryHeap;

use event::AppId;
use event_store::{Field, QueryContext, QueryError, ScanStats, SegmentPerson, SegmentPersonsPage, SegmentPersonsPlan};
use rustc_hash::FxHashMap;

use super::find::Finder;
use super::members::Members;
use super::set::{Join, PersonSet};
use crate::exec::batch::{Batch, Fields, Persons};
use crate::exec::bucket::BucketFinder;
use crate::exec::column_scan::{ColumnScan, Reading, TimeUse};
use crate::exec::mask::Mask;
use crate::exec::scan::{Query, Reserved};
use crate::exec::value::Scalar;

/// Answers a [`SegmentPersonsPlan`].
///
/// # Errors
/// As for [`event_store::EventSource::aggregate`].
pub fn segment_persons(query: &Query<'_>, plan: &SegmentPersonsPlan) -> Result<SegmentPersonsPage, QueryError> {
    query.with_persons(&plan.app, |reading| {
        let mut stats = ScanStats::default();
        let members = Members::find(query, &plan.app, &plan.segment, reading, &mut stats)?;
        let mut finder = Finder::new(query, &plan.app, reading, &mut stats);
        let everyone = finder.everyone()?;
        let events = finder.events;
        stats.scanned_events = events;
        let found = everyone.join(members.set(), Join::And, query.context)?;
        let (keys, _memory) = nearest(&found, plan, reading, query.context)?;
        let more = keys.len() > plan.limit;
        let page = &keys[..keys.len().min(plan.limit)];
        let linked = |key: &u64| reading.identity.id(*key);
        let others: Vec<u64> = page.iter().copied().filter(|key| linked(key).is_none()).collect();
        let ids = if others.is_empty() { FxHashMap::default() } else { ids(query, &plan.app, &others, reading, &mut stats)? };
        let id = |key: &u64| linked(key).map(str::to_owned).or_else(|| ids.get(key).cloned());
        let person = |key: &u64| SegmentPerson { key: *key, id: id(key).unwrap_or_default() };
        let persons = page.iter().map(person).collect();
        Ok(SegmentPersonsPage { persons, count: found.count().unwrap_or(0), more, stats })
    })
}

/// The smallest keys after the last page, ascending, one more than the page holds.
fn nearest(
    found: &PersonSet,
    plan: &SegmentPersonsPlan,
    reading: &Reading,
    context: &QueryContext,
) -> Result<(Vec<u64>, Reserved), QueryError> {
    let mut memory = Reserved::new(context);
    memory.grow((plan.limit + 1) * size_of::<u64>())?;
    let mut nearest = BinaryHeap::with_capacity(plan.limit + 1);
    found.try_for_each_key(reading, context, |key| {
        if plan.after.is_some_and(|after| key <= after) {
            return Ok(());
        }
        if nearest.len() <= plan.limit {
            nearest.push(key);
        } else if let Some(mut farthest) = nearest.peek_mut()
            && key < *farthest
        {
            *farthest = key;
        }
        Ok(())
    })?;
    Ok((nearest.into_sorted_vec(), memory))
}

/// The id of each person that has only one, from any event.
fn ids(
    query: &Query<'_>,
    app: &AppId,
    page: &[u64],
    reading: &Reading,
    stats: &mut ScanStats,
) -> Result<FxHashMap<u64, String>, QueryError> {
    let mut fields = Fields::default();
    let (user, anonymous) = (fields.add(&Field::UserId), fields.add(&Field::AnonymousId));
    let one = BucketFinder::new(&[i64::MIN], i64::MAX);
    let scan = ColumnScan {
        app,
        from_ms: i64::MIN,
        to_ms: i64::MAX,
        events: None,
        fields: &fields,
        persons: true,
        times: TimeUse::Buckets(&one),
        narrowing: None,
        reading,
    };
    let by_ordinal: FxHashMap<u32, u64> = match reading.has_ordinals() {
        true => reading.space.persons().find(page).into_iter().zip(page.iter().copied()).collect(),
        false => FxHashMap::default(),
    };
    let each = |ids: &mut FxHashMap<u64, String>, batch: &Batch, wanted: Option<&Mask>| {
        if ids.len() == page.len() {
            return Ok(());
        }
        // Rows come by person: the row before has often answered for this one.
        let mut last = None;
        for row in (0..batch.rows()).filter(|&row| wanted.is_none_or(|wanted| wanted.has(row))) {
            let key = match batch.persons() {
                Persons::None => None,
                Persons::Ordinals(ordinals) => {
                    let ordinal = ordinals.values[row];
                    if last.replace(u64::from(ordinal)) == Some(u64::from(ordinal)) { None } else { by_ordinal.get(&ordinal).copied() }
                }
                Persons::Keys(keys) if batch.persons().is_set(row) => {
                    let key = keys.value(row);
                    if last.replace(key) == Some(key) { None } else { page.binary_search(&key).is_ok().then_some(key) }
                }
                Persons::Keys(_) => None,
            };
            if let Some(key) = key.filter(|key| !ids.contains_key(key)) {
                let texts = [user, anonymous].map(|field| batch.column(field).get(row));
                if let Some(Scalar::Str(id)) = texts.into_iter().find(|text| !text.is_null()) {
                    ids.insert(key, id.to_owned());
                }
            }
        }
        Ok(())
    };
    let (found, scanned) = query.scan_columns(&scan, &FxHashMap::default, &each)?;
    stats.add_pass(scanned);
    Ok(found.into_iter().flatten().collect())
}
