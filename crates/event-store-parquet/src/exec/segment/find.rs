//! Who is in a segment, rule by rule.

use std::time::Instant;

use event::{AppId, PersonHash, person_hash};
use event_store::{DidRule, HasRule, MAX_SEGMENT_DEPTH, QueryError, ScanStats, Segment, SegmentRead, SegmentRule};

use super::count::Counter;
use super::set::{Join, PersonSet, SetForm, bitmap};
use crate::decoded::NO_PERSON;
use crate::exec::batch::{Batch, Fields};
use crate::exec::bucket::BucketFinder;
use crate::exec::column_scan::{ColumnScan, Reading, TimeUse};
use crate::exec::comparison::Comparison;
use crate::exec::filter::{Memos, Predicate, Preparation};
use crate::exec::mask::Mask;
use crate::exec::person_property::PersonProperty;
use crate::exec::scan::Query;

/// Evaluates one segment.
pub(super) struct Finder<'f> {
    pub(super) query: &'f Query<'f>,
    pub(super) app: &'f AppId,
    pub(super) reading: &'f Reading,
    /// The account of the question; `scanned_events` of it are not touched.
    pub(super) stats: &'f mut ScanStats,
    /// Events read for the segment.
    pub(super) events: u64,
    /// The times its rules look at.
    span_ms: (i64, i64),
}

impl<'f> Finder<'f> {
    pub(super) fn new(query: &'f Query<'f>, app: &'f AppId, reading: &'f Reading, stats: &'f mut ScanStats) -> Self {
        Self { query, app, reading, stats, events: 0, span_ms: (i64::MAX, i64::MIN) }
    }

    /// Finds who is in it and notes what that took.
    ///
    /// # Errors
    /// [`QueryError::Memory`], [`QueryError::Invalid`] for rules that are too deep and for expressions that are none; limits of the query.
    pub(super) fn find(mut self, segment: &Segment) -> Result<PersonSet, QueryError> {
        let started = Instant::now();
        if segment.rule.depth() > MAX_SEGMENT_DEPTH {
            let message = format!("the rules of {} are nested deeper than {MAX_SEGMENT_DEPTH}", segment.name);
            return Err(QueryError::Invalid { field: "segment".into(), message });
        }
        let set = self.rule(&segment.rule)?;
        let (from_ms, to_ms) = self.span_ms;
        let took = started.elapsed();
        let name = segment.name.clone();
        self.stats.segments.push(SegmentRead { name, events: self.events, persons: set.count(), from_ms, to_ms, took });
        Ok(set)
    }

    fn rule(&mut self, rule: &SegmentRule) -> Result<PersonSet, QueryError> {
        self.query.context.check()?;
        match rule {
            SegmentRule::All(rules) => self.joined(rules, Join::And),
            SegmentRule::Any(rules) => self.joined(rules, Join::Or),
            SegmentRule::Not(rule) => Ok(self.rule(rule)?.not()),
            SegmentRule::Did(rule) => self.did(rule),
            SegmentRule::Has(rule) => self.has(rule),
            SegmentRule::Listed(ids) => self.listed(ids),
        }
    }

    fn joined(&mut self, rules: &[SegmentRule], join: Join) -> Result<PersonSet, QueryError> {
        let context = self.query.context;
        let mut all = PersonSet::new(SetForm::empty(self.reading), join == Join::And, context)?;
        for rule in rules {
            all = all.join(&self.rule(rule)?, join, context)?;
        }
        Ok(all)
    }

    fn did(&mut self, rule: &DidRule) -> Result<PersonSet, QueryError> {
        self.look_at(rule.from_ms, rule.to_ms);
        let mut fields = Fields::default();
        let mut preparation = Preparation::new(&mut fields);
        let filter = preparation.filter(&rule.filter)?;
        let memo_count = preparation.memo_count();
        let tables = PersonProperty::load_all(self.query, self.app, &mut fields, Some(self.reading))?;
        self.note(tables);
        let only_seen = rule.at_least <= 1 && rule.at_most.is_none_or(|most| most == 0);
        let counting = Counting { fields: &fields, filter: &filter, memo_count, only_seen };
        let threads = self.count(rule.events.as_deref(), (rule.from_ms, rule.to_ms), &counting)?;
        Counter::persons(threads, rule, self.reading, self.query.context)
    }

    fn has(&mut self, rule: &HasRule) -> Result<PersonSet, QueryError> {
        self.look_at(i64::MIN, rule.before_ms);
        let comparison = Comparison::new(&rule.op)?;
        let mut stats = ScanStats::default();
        let table = PersonProperty::load(self.query, self.app, &rule.property, rule.before_ms, Some(self.reading), &mut stats)?;
        self.note(stats);
        let (persons, is_complement) = table.persons_where(&comparison);
        let form = if self.reading.has_ordinals() {
            SetForm::Ordinals(bitmap(persons.iter().map(|&ordinal| ordinal as u32)))
        } else {
            SetForm::Keys(persons)
        };
        PersonSet::new(form, is_complement, self.query.context)
    }

    fn listed(&mut self, ids: &[String]) -> Result<PersonSet, QueryError> {
        let mut keys: Vec<u64> =
            ids.iter().filter_map(|id| person_hash(Some(id), None)).map(|PersonHash(key)| self.reading.identity.canonical(key)).collect();
        keys.sort_unstable();
        keys.dedup();
        if !self.reading.has_ordinals() {
            return PersonSet::new(SetForm::Keys(keys), false, self.query.context);
        }
        let reading = self.reading;
        let mut ordinals = reading.space.persons().find(&keys);
        if ordinals.contains(&NO_PERSON) {
            // Persons get their ordinals when their rows are first decoded. Ids that are of nobody get none, so that requests do not
            // fill the index.
            self.everyone()?;
            ordinals = reading.space.persons().find(&keys);
        }
        let known = ordinals.into_iter().filter(|&ordinal| ordinal != NO_PERSON);
        PersonSet::new(SetForm::Ordinals(bitmap(known)), false, self.query.context)
    }

    /// Everybody with a stored event.
    pub(super) fn everyone(&mut self) -> Result<PersonSet, QueryError> {
        let any =
            DidRule { from_ms: i64::MIN, to_ms: i64::MAX, events: None, filter: event_store::Filter::all(), at_least: 1, at_most: None };
        self.did(&any)
    }

    fn count(
        &mut self,
        events: Option<&[String]>,
        (from_ms, to_ms): (i64, i64),
        counting: &Counting<'_>,
    ) -> Result<Vec<Counter>, QueryError> {
        let (context, reading) = (self.query.context, self.reading);
        let one = BucketFinder::new(&[from_ms], to_ms);
        let scan = ColumnScan {
            app: self.app,
            from_ms,
            to_ms,
            events,
            fields: counting.fields,
            persons: true,
            times: TimeUse::Buckets(&one),
            narrowing: None,
            reading,
        };
        let make = || (Counter::new(counting.only_seen, reading, context), Memos::new(counting.memo_count, context));
        let each = |(counter, memos): &mut (Counter, Memos), batch: &Batch, wanted: Option<&Mask>| {
            if counting.filter.is_always() {
                return counter.add(batch, wanted);
            }
            let mask = counting.filter.evaluate(batch, wanted, memos);
            context.check()?;
            counter.add(batch, Some(&mask))
        };
        let (threads, scanned) = self.query.scan_columns(&scan, &make, &each)?;
        self.note(scanned);
        Ok(threads.into_iter().map(|(counter, _)| counter).collect())
    }

    fn look_at(&mut self, from_ms: i64, to_ms: i64) {
        self.span_ms = (self.span_ms.0.min(from_ms), self.span_ms.1.max(to_ms));
    }

    /// Adds a pass to the account.
    fn note(&mut self, pass: ScanStats) {
        self.events += pass.scanned_events;
        self.stats.add_pass(pass);
    }
}

/// What a pass over events looks for.
struct Counting<'c> {
    fields: &'c Fields,
    filter: &'c Predicate,
    memo_count: usize,
    /// True where one event is as good as many.
    only_seen: bool,
}
