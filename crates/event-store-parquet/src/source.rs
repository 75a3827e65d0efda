//! The read side: a snapshot and the operators in [`crate::exec`].

use std::sync::Arc;
use std::time::Instant;

use event::AppId;
use event::limits::EARLIEST_TIME_MS;
use event_store::{ActivityPlan, ActivityTable, RetentionPlan, RetentionTable};
use event_store::{
    AggregatePlan, AggregateTable, EventNameInfo, EventSource, EventsPage, EventsPlan, ExportVisitor, Filter, FunnelPersonPlan,
    FunnelPersonsPage, FunnelPersonsPlan, FunnelPlan, FunnelStory, FunnelTable, PathsPlan, PathsTable, QueryContext, QueryError,
    RollupPlan, RollupRow, RollupSize, RowSource, RowVisitor, RowsPlan, Scan, ScanStats, Schema, SegmentPersonsPage, SegmentPersonsPlan,
    SessionsPlan, SessionsTable, StoreError, WindowRow,
};

use crate::decoded::DecodedCache;
use crate::exec::{self, Query};
use crate::insert_ids;
use crate::retention::dropped_before;
use crate::rolled::{self, Moment, Rolled};
use crate::snapshot::Snapshot;
use crate::store::ParquetStore;
use crate::windows;

impl ParquetStore {
    /// Runs one question on what is visible now.
    fn ask<T>(&self, context: &QueryContext, question: impl FnOnce(&Query<'_>) -> Result<T, QueryError>) -> Result<T, QueryError> {
        let snapshot = self.snapshot();
        question(&Query { snapshot: &snapshot, context, threads: self.options.query_threads, decoded: &self.decoded })
    }

    /// Adds what a question over raw events has in common with every other.
    fn explain(&self, query: &Query<'_>, scan: &Scan, reason: &str, stats: &mut ScanStats) -> Result<(), QueryError> {
        query.snapshot.note_parts(&mut stats.work);
        stats.work.threads = query.threads;
        let floor_ms = self.manifest.raw_floor(scan.app.as_str()).map_err(|error| QueryError::Store(error.to_string()))?;
        if floor_ms > scan.from_ms && scan.from_ms < scan.to_ms {
            stats.missing.push(dropped_before(floor_ms));
        }
        self.account_segments(floor_ms, stats);
        stats.work.reason = match floor_ms > scan.from_ms {
            true => format!("{reason}; raw events before {floor_ms} ms have passed their retention and are gone"),
            false => reason.to_owned(),
        };
        Ok(())
    }

    /// Adds what the segments of a question may lack: their rules look at times of their own.
    fn account_segments(&self, floor_ms: i64, stats: &mut ScanStats) {
        for (from_ms, to_ms) in stats.segments.iter().map(|read| (read.from_ms, read.to_ms)).collect::<Vec<_>>() {
            if floor_ms > from_ms && from_ms < to_ms {
                stats.miss(dropped_before(floor_ms));
            }
            self.note_lost((from_ms, to_ms), stats);
        }
    }

    /// Adds what all answers of a funnel have in common.
    fn account_funnel(&self, query: &Query<'_>, plan: &FunnelPlan, started: Instant, stats: &mut ScanStats) -> Result<(), QueryError> {
        let later_ms = if plan.range_applies_to_all { 0 } else { plan.window_ms.unwrap_or(i64::MAX) };
        stats.work.stage("read and follow persons", started);
        self.explain(query, &plan.scan, "a funnel follows each person from event to event", stats)?;
        self.note_lost((plan.scan.from_ms, plan.scan.to_ms.saturating_add(later_ms)), stats);
        Ok(())
    }

    /// Adds what all answers about the periods of persons have in common; they were made from `read`, and from all before it where they look back.
    fn account_periods(
        &self,
        query: &Query<'_>,
        mut read: Scan,
        looks_back: bool,
        started: Instant,
        stats: &mut ScanStats,
    ) -> Result<(), QueryError> {
        if looks_back {
            read.from_ms = read.from_ms.min(EARLIEST_TIME_MS);
        }
        stats.work.stage("read and follow persons", started);
        self.explain(query, &read, "the periods of each person are looked at together", stats)?;
        self.note_lost((read.from_ms, read.to_ms), stats);
        Ok(())
    }

    /// Rollups and raw rows as of now.
    pub(crate) fn moment(&self) -> Result<Moment<'_>, StoreError> {
        let view = self.manifest.view()?;
        let _consistent = self.consistent();
        view.begin()?;
        Ok(Moment { view, snapshot: self.snapshot(), decoded: &self.decoded })
    }

    /// Whether raw events of the whole range are kept.
    fn covers_range(&self, plan: &AggregatePlan) -> Result<bool, QueryError> {
        let floor_ms = self.manifest.raw_floor(plan.scan.app.as_str()).map_err(|error| QueryError::Store(error.to_string()))?;
        Ok(floor_ms <= plan.scan.from_ms)
    }

    /// From rollups where they have the same numbers as raw events; else why they have not.
    fn try_rollups(&self, plan: &AggregatePlan, context: &QueryContext) -> Result<Rolled, QueryError> {
        let rollup = match RollupPlan::of(plan) {
            Ok(rollup) => rollup,
            Err(reason) => return Ok(Rolled::NeedsRaw(reason)),
        };
        let moment = self.moment().map_err(|error| QueryError::Store(error.to_string()))?;
        if rollup.needs_users && self.has_stale_sketches(&plan.scan.app, (rollup.from_ms(), rollup.to_ms()))? {
            return Ok(Rolled::NeedsRaw("a deleted person is still to be counted out of the sketches".to_owned()));
        }
        if rollup.needs_users && self.covers_range(plan)? && !moment.snapshot.identity(&plan.scan.app).is_empty() {
            return Ok(Rolled::NeedsRaw("persons of the app have several ids, which sketches count apart".to_owned()));
        }
        rolled::aggregate(&moment, plan, &rollup, context, self.options.query_threads)
    }
}

impl EventSource for ParquetStore {
    fn aggregate(&self, plan: &AggregatePlan, context: &QueryContext) -> Result<AggregateTable, QueryError> {
        let mut table = match self.try_rollups(plan, context)? {
            Rolled::Table(table) => table,
            Rolled::NeedsRaw(reason) => self.ask(context, |query| {
                let mut table = exec::aggregate(query, plan)?;
                self.explain(query, &plan.scan, &reason, &mut table.stats)?;
                Ok(table)
            })?,
        };
        self.note_lost((plan.scan.from_ms, plan.scan.to_ms), &mut table.stats);
        Ok(table)
    }

    fn funnel(&self, plan: &FunnelPlan, context: &QueryContext) -> Result<FunnelTable, QueryError> {
        self.ask(context, |query| {
            let started = Instant::now();
            let mut table = exec::funnel(query, plan)?;
            self.account_funnel(query, plan, started, &mut table.stats)?;
            Ok(table)
        })
    }

    fn funnel_persons(&self, plan: &FunnelPersonsPlan, context: &QueryContext) -> Result<FunnelPersonsPage, QueryError> {
        self.ask(context, |query| {
            let started = Instant::now();
            let mut page = exec::funnel_persons(query, plan)?;
            self.account_funnel(query, &plan.funnel, started, &mut page.stats)?;
            Ok(page)
        })
    }

    fn funnel_person(&self, plan: &FunnelPersonPlan, context: &QueryContext) -> Result<FunnelStory, QueryError> {
        self.ask(context, |query| {
            let started = Instant::now();
            let mut story = exec::funnel_person(query, plan)?;
            self.account_funnel(query, &plan.funnel, started, &mut story.stats)?;
            Ok(story)
        })
    }

    fn paths(&self, plan: &PathsPlan, context: &QueryContext) -> Result<PathsTable, QueryError> {
        self.ask(context, |query| {
            let started = Instant::now();
            let mut table = exec::paths(query, plan)?;
            table.stats.work.stage("read and follow persons", started);
            self.explain(query, &plan.scan, "paths follow each person from event to event", &mut table.stats)?;
            self.note_lost((plan.scan.from_ms, plan.scan.to_ms), &mut table.stats);
            Ok(table)
        })
    }

    fn sessions(&self, plan: &SessionsPlan, context: &QueryContext) -> Result<SessionsTable, QueryError> {
        self.ask(context, |query| {
            let started = Instant::now();
            let mut table = exec::sessions(query, plan)?;
            table.stats.work.stage("read and follow persons", started);
            self.explain(query, &plan.scan, "sessions are cut over all events of each person", &mut table.stats)?;
            self.note_lost((plan.scan.from_ms, plan.scan.to_ms), &mut table.stats);
            Ok(table)
        })
    }

    fn retention(&self, plan: &RetentionPlan, context: &QueryContext) -> Result<RetentionTable, QueryError> {
        self.ask(context, |query| {
            let started = Instant::now();
            let mut table = exec::retention(query, plan)?;
            let read = Scan { to_ms: plan.returns_to_ms, ..plan.scan.clone() };
            self.account_periods(query, read, plan.looks_back(), started, &mut table.stats)?;
            Ok(table)
        })
    }

    fn activity(&self, plan: &ActivityPlan, context: &QueryContext) -> Result<ActivityTable, QueryError> {
        self.ask(context, |query| {
            let started = Instant::now();
            let mut table = exec::activity(query, plan)?;
            self.account_periods(query, plan.scan.clone(), plan.looks_back(), started, &mut table.stats)?;
            Ok(table)
        })
    }

    fn segment_persons(&self, plan: &SegmentPersonsPlan, context: &QueryContext) -> Result<SegmentPersonsPage, QueryError> {
        self.ask(context, |query| {
            let mut page = exec::segment_persons(query, plan)?;
            // Whoever has no stored event is not looked for, so that the range of the answer itself is empty.
            let scan = Scan { app: plan.app.clone(), from_ms: 0, to_ms: 0, events: None, filter: Filter::all() };
            self.explain(query, &scan, "a segment is found by reading the events of its rules", &mut page.stats)?;
            Ok(page)
        })
    }

    fn events(&self, plan: &EventsPlan, context: &QueryContext) -> Result<EventsPage, QueryError> {
        self.ask(context, |query| {
            let mut page = exec::events(query, plan)?;
            if !page.more {
                self.explain(query, &plan.scan, "raw events were asked for", &mut page.stats)?;
            }
            self.note_lost((plan.scan.from_ms, plan.scan.to_ms), &mut page.stats);
            Ok(page)
        })
    }

    fn export(&self, scan: &Scan, context: &QueryContext, visit: &mut ExportVisitor<'_>) -> Result<ScanStats, QueryError> {
        self.ask(context, |query| exec::export(query, scan, visit))
    }

    fn rows_of(&self, app: &AppId) -> Result<Arc<dyn RowSource>, QueryError> {
        let floor_ms = self.manifest.raw_floor(app.as_str()).map_err(|error| QueryError::Store(error.to_string()))?;
        let mut lost = ScanStats::default();
        self.note_lost((i64::MIN, i64::MAX), &mut lost);
        Ok(Arc::new(HeldRows {
            app: app.clone(),
            snapshot: self.snapshot(),
            decoded: Arc::clone(&self.decoded),
            threads: self.options.query_threads,
            floor_ms,
            lost: lost.missing,
        }))
    }

    fn first_event_ms(&self, app: &AppId) -> Result<Option<i64>, QueryError> {
        let of_rollups = self.manifest.first_rollup_ms(app.as_str()).map_err(|error| QueryError::Store(error.to_string()))?;
        let snapshot = self.snapshot();
        let of_parts = snapshot.parts.iter().filter_map(|part| part.first_ms(app));
        Ok(of_parts.chain(of_rollups).min())
    }

    fn schema(&self, app: &AppId, context: &QueryContext) -> Result<Schema, QueryError> {
        let names = self.named_events(app, context)?;
        self.ask(context, |query| exec::schema(query, app, names))
    }

    fn event_names(&self, app: &AppId, context: &QueryContext) -> Result<Vec<EventNameInfo>, QueryError> {
        self.named_events(app, context)
    }

    fn rollups(&self, app: &AppId, size: RollupSize, from_ms: i64, to_ms: i64) -> Result<Vec<RollupRow>, QueryError> {
        self.rollup_rows(app, size, from_ms, to_ms)
    }

    fn scan_for_windows(&self, from_ms: i64, visit: &mut dyn FnMut(&WindowRow<'_>)) -> Result<(), QueryError> {
        windows::scan(&self.snapshot(), from_ms, visit)
    }

    fn scan_insert_ids(&self, from_ms: i64, visit: &mut dyn FnMut(&AppId, &str, i64)) -> Result<Vec<String>, QueryError> {
        insert_ids::scan(&self.snapshot(), from_ms, visit)
    }
}

/// One snapshot, kept for a statement.
struct HeldRows {
    app: AppId,
    snapshot: Arc<Snapshot>,
    decoded: Arc<DecodedCache>,
    threads: usize,
    /// Raw events before it are gone.
    floor_ms: i64,
    /// What was lost at any time.
    lost: Vec<String>,
}

impl RowSource for HeldRows {
    fn read(&self, plan: &RowsPlan, context: &QueryContext, visit: &RowVisitor<'_>) -> Result<ScanStats, QueryError> {
        if plan.scan.app != self.app {
            return Ok(ScanStats::default());
        }
        let query = Query { snapshot: &self.snapshot, context, threads: self.threads, decoded: &self.decoded };
        let mut stats = exec::read_rows(&query, plan, visit)?;
        stats.missing.extend(self.lost.iter().cloned());
        if self.floor_ms > plan.scan.from_ms && plan.scan.from_ms < plan.scan.to_ms {
            stats.missing.push(dropped_before(self.floor_ms));
        }
        Ok(stats)
    }
}
