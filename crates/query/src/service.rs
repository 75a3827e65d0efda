mod periods;

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use event_store::{EventSource, EventsPlan, FunnelPersonPlan, FunnelPersonsPlan, SegmentPersonsPlan};
use serde_json::Value;
use sql::{SqlApp, SqlEngine};

use crate::answered::{Answered, Held};
use crate::cache::{ResultCache, canonical};
use crate::calendar;
use crate::cohorts::{Cohorts, SavedCohorts, mentioned};
use crate::explain::Explain;
use crate::export::{Export, Exporter};
use crate::failure::QueryFailure;
use crate::figures::QueryFigures;
use crate::flights::Flights;
use crate::funnel_planner::plan_funnel;
use crate::hints::KnownNames;
use crate::metrics::{Metrics, SavedMetrics, mentioned_metrics};
use crate::options::{AppSettings, QueryOptions};
use crate::paths_planner::plan_paths;
use crate::planner::{events_scan, plan_query};
use crate::request::unknown_call;
use crate::request::{
    Period, read_events, read_export, read_funnel, read_funnel_person, read_funnel_persons, read_paths, read_query, read_sessions,
};
use crate::request::{persons_cursor, read_segment_persons, read_sql};
use crate::respond::{
    Cursor, PersonsCursor, events_answer, funnel_answer, funnel_person_answer, funnel_persons_answer, page_bytes, paths_answer,
    query_answer, schema_answer, segment_persons_answer, sessions_answer, sql_answer,
};
use crate::runner::{Outcome, Runner, Work};
use crate::sessions_planner::plan_sessions;

/// Threads on which the operators of one statement run, beside those that read the store.
const SQL_THREADS: usize = 2;

/// Answers questions about events.
///
/// Every call takes the app from its settings, which come from the credential. Dropping a call's future cancels its work within a
/// fraction of a second, unless another caller waits for the same answer. Must be called inside a Tokio runtime.
pub struct QueryService {
    source: Arc<dyn EventSource>,
    runner: Arc<Runner>,
    cache: Arc<ResultCache>,
    flights: Arc<Flights>,
    names: Arc<KnownNames>,
    /// Part of every key: an answer of an earlier generation is never given again.
    generation: AtomicU64,
    exporter: Exporter,
    sql: Arc<SqlEngine>,
    max_result_rows: usize,
    cohorts: Option<Arc<dyn SavedCohorts>>,
    metrics: Option<Arc<dyn SavedMetrics>>,
}

impl QueryService {
    /// A service on `source`.
    pub fn new(source: Arc<dyn EventSource>, options: QueryOptions) -> Self {
        let cache = Arc::new(ResultCache::new(options.cache_bytes, options.cache_ttl));
        let flights = Arc::new(Flights::new(options.cache_ttl));
        let max_result_rows = options.max_result_rows;
        let runner = Runner::new(Arc::clone(&source), options);
        let exporter = Exporter::new(Arc::clone(&source), runner.options(), runner.memory());
        let sql = Arc::new(SqlEngine::new(SQL_THREADS));
        Self {
            source,
            runner: Arc::new(runner),
            cache,
            flights,
            names: Arc::new(KnownNames::new()),
            generation: AtomicU64::new(0),
            exporter,
            sql,
            max_result_rows,
            cohorts: None,
            metrics: None,
        }
    }

    /// The same service with saved cohorts, which requests name by id.
    #[must_use]
    pub fn with_cohorts(self, cohorts: Arc<dyn SavedCohorts>) -> Self {
        Self { cohorts: Some(cohorts), ..self }
    }

    /// The same service with saved metrics, which requests name by id.
    #[must_use]
    pub fn with_metrics(self, metrics: Arc<dyn SavedMetrics>) -> Self {
        Self { metrics: Some(metrics), ..self }
    }

    /// What it does now and has done.
    pub fn figures(&self) -> QueryFigures {
        self.runner.figures()
    }

    /// Any of the questions that a dashboard may show, by the name of its call.
    ///
    /// # Errors
    /// As for [`QueryService::query`]; for a call that there is not the code is `unknown_call`.
    pub async fn ask(&self, call: &str, app: &AppSettings, request: Value, now_ms: i64) -> Result<Answered, QueryFailure> {
        match call {
            "query" => self.query(app, request, now_ms).await,
            "funnel" => self.funnel(app, request, now_ms).await,
            "paths" => self.paths(app, request, now_ms).await,
            "sessions" => self.sessions(app, request, now_ms).await,
            "retention" => self.retention(app, request, now_ms).await,
            "lifecycle" => self.lifecycle(app, request, now_ms).await,
            "stickiness" => self.stickiness(app, request, now_ms).await,
            "active_users" => self.active_users(app, request, now_ms).await,
            "sql" => self.sql(app, request, now_ms).await,
            _ => Err(unknown_call()),
        }
    }

    /// Counts and aggregates, grouped and over time: `POST /query`. `now_ms` is the end of rolling ranges.
    ///
    /// # Errors
    /// [`QueryFailure`] names the field at fault or the limit that was passed.
    pub async fn query(&self, app: &AppSettings, request: Value, now_ms: i64) -> Result<Answered, QueryFailure> {
        let started = Instant::now();
        let app = self.settled(app, &request).await?;
        let app = app.as_ref();
        let read = read_query(&request, app, now_ms)?;
        let key = read.use_cache.then(|| cache_key("query", app, Some(&read.period), &request));
        let wants_explanation = read.explain;
        let plan = plan_query(app, read)?;
        let explain = wants_explanation.then(|| Explain::planned(started));
        let max_rows = self.max_result_rows;
        let work = move || -> Work {
            Box::new(move |source, context, turn| {
                let table = source.aggregate(&plan.aggregate, context)?;
                context.check()?;
                let laying_out = Instant::now();
                let mut answer = query_answer(&plan, &table, max_rows, &context.memory)?;
                explain.inspect(|explain| explain.add(&mut answer, &table.stats, context, turn, laying_out));
                Ok(answer)
            })
        };
        self.answer(key, started, self.names.hinted(&app.app, Arc::new(request), work)).await
    }

    /// A funnel: `POST /funnel`.
    ///
    /// # Errors
    /// As for [`QueryService::query`].
    pub async fn funnel(&self, app: &AppSettings, request: Value, now_ms: i64) -> Result<Answered, QueryFailure> {
        let started = Instant::now();
        let app = self.settled(app, &request).await?;
        let app = app.as_ref();
        let read = read_funnel(&request, app, now_ms)?;
        let key = read.use_cache.then(|| cache_key("funnel", app, Some(&read.period), &request));
        let planned = plan_funnel(app, &read)?;
        let explain = read.explain.then(|| Explain::planned(started));
        let work = move || -> Work {
            Box::new(move |source, context, turn| {
                let table = source.funnel(&planned.plan, context)?;
                let laying_out = Instant::now();
                let mut answer = funnel_answer(&read, &planned, &table);
                explain.inspect(|explain| explain.add(&mut answer, &table.stats, context, turn, laying_out));
                Ok(answer)
            })
        };
        self.answer(key, started, self.names.hinted(&app.app, Arc::new(request), work)).await
    }

    /// The persons who reached a step of a funnel or dropped before it, page by page: `POST /funnel/persons`. Not cached: a page is read once.
    ///
    /// # Errors
    /// As for [`QueryService::query`].
    pub async fn funnel_persons(&self, app: &AppSettings, request: Value, now_ms: i64) -> Result<Answered, QueryFailure> {
        let started = Instant::now();
        let request = Arc::new(request);
        let app = self.settled(app, &request).await?;
        let app = app.as_ref();
        let mut read = read_funnel_persons(&request, app, now_ms)?;
        let cursor = read.cursor.as_deref().map(|text| PersonsCursor::read(text, &app.app, &request)).transpose()?;
        if let Some(cursor) = cursor {
            (read.funnel.period.from_ms, read.funnel.period.to_ms) = cursor.range;
        }
        let range = (read.funnel.period.from_ms, read.funnel.period.to_ms);
        let funnel = plan_funnel(app, &read.funnel)?.plan;
        let after = cursor.map(|cursor| cursor.after);
        let plan = FunnelPersonsPlan { funnel, step: read.step, outcome: read.outcome, after, limit: read.limit };
        let of_app = app.app.clone();
        let explain = read.funnel.explain.then(|| Explain::planned(started));
        let asked = Arc::clone(&request);
        let work = move || -> Work {
            Box::new(move |source, context, turn| {
                let page = source.funnel_persons(&plan, context)?;
                let laying_out = Instant::now();
                let last = page.persons.last().filter(|_| page.more);
                let next = last.map(|last| PersonsCursor { range, after: last.key }.write(&of_app, &request));
                let mut answer = funnel_persons_answer(&read, &page, next.as_deref());
                explain.inspect(|explain| explain.add(&mut answer, &page.stats, context, turn, laying_out));
                Ok(answer)
            })
        };
        self.answer(None, started, self.names.hinted(&app.app, asked, work)).await
    }

    /// Why a funnel counts one person as it does: `POST /funnel/person`.
    ///
    /// # Errors
    /// As for [`QueryService::query`].
    pub async fn funnel_person(&self, app: &AppSettings, request: Value, now_ms: i64) -> Result<Answered, QueryFailure> {
        let started = Instant::now();
        let app = self.settled(app, &request).await?;
        let app = app.as_ref();
        let read = read_funnel_person(&request, app, now_ms)?;
        let funnel = plan_funnel(app, &read.funnel)?.plan;
        let plan = FunnelPersonPlan { funnel, person: read.person.clone(), limit: read.limit };
        let explain = read.funnel.explain.then(|| Explain::planned(started));
        let work = move || -> Work {
            Box::new(move |source, context, turn| {
                let story = source.funnel_person(&plan, context)?;
                let laying_out = Instant::now();
                let mut answer = funnel_person_answer(&read, &story);
                explain.inspect(|explain| explain.add(&mut answer, &story.stats, context, turn, laying_out));
                Ok(answer)
            })
        };
        self.answer(None, started, self.names.hinted(&app.app, Arc::new(request), work)).await
    }

    /// The most frequent paths: `POST /paths`.
    ///
    /// # Errors
    /// As for [`QueryService::query`].
    pub async fn paths(&self, app: &AppSettings, request: Value, now_ms: i64) -> Result<Answered, QueryFailure> {
        let started = Instant::now();
        let app = self.settled(app, &request).await?;
        let app = app.as_ref();
        let read = read_paths(&request, app, now_ms)?;
        let key = read.use_cache.then(|| cache_key("paths", app, Some(&read.period), &request));
        let plan = plan_paths(app, &read);
        let explain = read.explain.then(|| Explain::planned(started));
        let work = move || -> Work {
            Box::new(move |source, context, turn| {
                let table = source.paths(&plan, context)?;
                let laying_out = Instant::now();
                let mut answer = paths_answer(&read, &table);
                explain.inspect(|explain| explain.add(&mut answer, &table.stats, context, turn, laying_out));
                Ok(answer)
            })
        };
        self.answer(key, started, self.names.hinted(&app.app, Arc::new(request), work)).await
    }

    /// How many sessions there are, how long, and with which pages they begin and end: `POST /sessions`.
    ///
    /// # Errors
    /// As for [`QueryService::query`].
    pub async fn sessions(&self, app: &AppSettings, request: Value, now_ms: i64) -> Result<Answered, QueryFailure> {
        let started = Instant::now();
        let app = self.settled(app, &request).await?;
        let app = app.as_ref();
        let read = read_sessions(&request, app, now_ms)?;
        let key = read.use_cache.then(|| cache_key("sessions", app, Some(&read.period), &request));
        let planned = plan_sessions(app, &read)?;
        let explain = read.explain.then(|| Explain::planned(started));
        let max_rows = self.max_result_rows;
        let work = move || -> Work {
            Box::new(move |source, context, turn| {
                let table = source.sessions(&planned.plan, context)?;
                let laying_out = Instant::now();
                let mut answer = sessions_answer(&read, &planned, &table, max_rows, &context.memory)?;
                explain.inspect(|explain| explain.add(&mut answer, &table.stats, context, turn, laying_out));
                Ok(answer)
            })
        };
        self.answer(key, started, self.names.hinted(&app.app, Arc::new(request), work)).await
    }

    /// The persons in a segment who have a stored event, page by page: `POST /cohorts/preview`. Only their number is kept in the cache.
    ///
    /// # Errors
    /// As for [`QueryService::query`].
    pub async fn segment_persons(&self, app: &AppSettings, request: Value, now_ms: i64) -> Result<Answered, QueryFailure> {
        let started = Instant::now();
        let request = Arc::new(request);
        let app = self.settled(app, &request).await?;
        let app = app.as_ref();
        let cursor = persons_cursor(&request)?.map(|text| PersonsCursor::read(text, &app.app, &request)).transpose()?;
        // Windows count back from the same moment on every page.
        let now_ms = cursor.map_or(now_ms, |cursor| cursor.range.1);
        let read = read_segment_persons(&request, app, now_ms)?;
        let key =
            (read.limit == 0 && read.use_cache).then(|| format!("{} {:?}", cache_key("persons", app, None, &request), read.rule_marks));
        let after = cursor.map(|cursor| cursor.after);
        let plan = SegmentPersonsPlan { app: app.app.clone(), segment: read.segment.clone(), after, limit: read.limit };
        let explain = read.explain.then(|| Explain::planned(started));
        let asked = Arc::clone(&request);
        let work = move || -> Work {
            Box::new(move |source, context, turn| {
                let page = source.segment_persons(&plan, context)?;
                let laying_out = Instant::now();
                let last = page.persons.last().filter(|_| page.more);
                let next = last.map(|last| PersonsCursor { range: (now_ms, now_ms), after: last.key }.write(&plan.app, &request));
                let mut answer = segment_persons_answer(&read, now_ms, &page, next.as_deref());
                explain.inspect(|explain| explain.add(&mut answer, &page.stats, context, turn, laying_out));
                Ok(answer)
            })
        };
        self.answer(key, started, self.names.hinted(&app.app, asked, work)).await
    }

    /// The settings with the saved cohorts and metrics that a request mentions. Every question about events begins with this.
    async fn settled<'a>(&self, app: &'a AppSettings, request: &Value) -> Result<Cow<'a, AppSettings>, QueryFailure> {
        let cohorts = self.cohorts.clone().filter(|_| app.cohorts.is_empty());
        let metrics = self.metrics.clone().filter(|_| app.metrics.is_empty());
        let (mut of_cohorts, of_metrics) = (mentioned(request), mentioned_metrics(request));
        let source = (request["range"] == "all").then(|| Arc::clone(&self.source));
        if (cohorts.is_none() || of_cohorts.is_empty()) && of_metrics.is_empty() && source.is_none() {
            return Ok(Cow::Borrowed(app));
        }
        let mut settled = app.clone();
        let loading = tokio::task::spawn_blocking(move || {
            if let Some(source) = source {
                settled.first_event_ms = Some(source.first_event_ms(&settled.app)?.unwrap_or(i64::MAX));
            }
            if let Some(source) = metrics {
                settled.metrics = Metrics::load(&*source, &settled.app, of_metrics)?;
            }
            of_cohorts.extend(settled.metrics.cohorts());
            if let Some(source) = cohorts {
                settled.cohorts = Cohorts::load(&*source, &settled.app, of_cohorts)?;
            }
            Ok(settled)
        });
        let settled = loading.await.map_err(|error| QueryFailure::internal(format!("looking up what is saved panicked: {error}")))?;
        settled.map(Cow::Owned)
    }

    /// Raw events, newest first, page by page. Not cached: a page is read once.
    ///
    /// # Errors
    /// As for [`QueryService::query`].
    pub async fn events(&self, app: &AppSettings, request: Value, now_ms: i64) -> Result<Answered, QueryFailure> {
        let started = Instant::now();
        let app = self.settled(app, &request).await?;
        let app = app.as_ref();
        let read = read_events(&request, app, now_ms)?;
        let start = Cursor { from_ms: read.period.from_ms, to_ms: read.period.to_ms, skip: 0 };
        let cursor = read.cursor.as_deref().map_or(Ok(start), |text| Cursor::read(text, &app.app, &read))?;
        let scan = events_scan(app, (cursor.from_ms, cursor.to_ms), read.events.clone(), read.filter.clone());
        let plan = EventsPlan { scan, limit: read.limit, skip: cursor.skip };
        let of_app = app.app.clone();
        let work = move || -> Work {
            Box::new(move |source, context, _| {
                let page = source.events(&plan, context)?;
                let _rows = Held::take(&context.memory, page_bytes(&page))?;
                events_answer(&of_app, &read, cursor, &page)
            })
        };
        self.answer(None, started, self.names.hinted(&app.app, Arc::new(request), work)).await
    }

    /// A file of raw events, written while it is taken: `POST /export`. Has no time limit of a query, but a bound on how many run.
    ///
    /// # Errors
    /// As for [`QueryService::query`]; what goes wrong after the first events is told by [`crate::ExportPieces::next`].
    pub async fn export(&self, app: &AppSettings, request: Value, now_ms: i64) -> Result<Export, QueryFailure> {
        let app = self.settled(app, &request).await?;
        let app = app.as_ref();
        let read = read_export(&request, app, now_ms)?;
        let scan = events_scan(app, (read.period.from_ms, read.period.to_ms), read.events.clone(), read.filter.clone());
        self.exporter.begin(app, read, scan).await
    }

    /// One SELECT over the views of the app: `POST /sql`. Not cached: it may name the time now.
    ///
    /// # Errors
    /// As for [`QueryService::query`].
    pub async fn sql(&self, app: &AppSettings, request: Value, _now_ms: i64) -> Result<Answered, QueryFailure> {
        let started = Instant::now();
        let text = read_sql(&request, app)?;
        let (engine, max_rows) = (Arc::clone(&self.sql), self.max_result_rows);
        let app = SqlApp { app: app.app.clone(), timezone: app.timezone.as_str().into(), session_idle_ms: app.session_idle_ms };
        let work = move || -> Work {
            Box::new(move |source, context, _| {
                let rows = source.rows_of(&app.app)?;
                Ok(sql_answer(engine.answer(&text, &app, rows, context, max_rows)?))
            })
        };
        self.answer(None, started, work).await
    }

    /// Event names, properties, their types and sample values.
    ///
    /// # Errors
    /// As for [`QueryService::query`].
    pub async fn schema(&self, app: &AppSettings, _now_ms: i64) -> Result<Answered, QueryFailure> {
        let started = Instant::now();
        let key = cache_key("schema", app, None, &Value::Null);
        let zone = calendar::zone(&app.timezone).unwrap_or(jiff::tz::TimeZone::UTC);
        let app = app.app.clone();
        let work = move || -> Work { Box::new(move |source, context, _| Ok(schema_answer(&zone, &source.schema(&app, context)?))) };
        self.answer(Some(key), started, work).await
    }

    /// Gives no answer again that was computed, or begun, before this call: events that it counted must not be seen any more.
    pub fn forget_answers(&self) {
        self.generation.fetch_add(1, Ordering::Relaxed);
        self.names.clear();
    }

    /// From the cache, from a computation under way, or by running the work; without a key always the last.
    async fn answer(&self, key: Option<String>, started: Instant, work: impl FnOnce() -> Work) -> Result<Answered, QueryFailure> {
        let generation = self.generation.load(Ordering::Relaxed);
        let Some(key) = key.map(|key| format!("{generation} {key}")) else {
            let made = self.runner.run(work()).await?;
            return Ok(Answered::new(made.answer, Some(made.held), started, false));
        };
        let counters = self.runner.counters();
        if let Some(answer) = self.cache.get(&key, started) {
            counters.cached.fetch_add(1, Ordering::Relaxed);
            return Ok(Answered::new(answer, None, started, true));
        }
        let start = || compute(Arc::clone(&self.runner), Arc::clone(&self.cache), key.clone(), work());
        let joined = || {
            counters.shared.fetch_add(1, Ordering::Relaxed);
        };
        let made = self.flights.join(key.clone(), start, joined).await?;
        Ok(Answered::new(made.answer, Some(made.held), started, false))
    }
}

async fn compute(runner: Arc<Runner>, cache: Arc<ResultCache>, key: String, work: Work) -> Outcome {
    let made = runner.run(work).await?;
    cache.insert(key, Arc::clone(&made.answer), made.as_of);
    Ok(made)
}

/// Two requests with one key have one answer, but for what happened in the few seconds an answer is kept.
fn cache_key(kind: &str, app: &AppSettings, period: Option<&Period>, request: &Value) -> String {
    let mark = period.map(|period| (period.cache_mark, &period.rule_marks));
    // Where all time begins is one of the things that happen.
    let AppSettings { app, timezone, week_start, session_idle_ms, cohorts, metrics, first_event_ms: _ } = app;
    let versions = (cohorts.versions(), metrics.versions());
    let mut key = format!("{kind} {app} {timezone:?} {week_start:?} {session_idle_ms} {versions:?} {mark:?} ");
    canonical(request, &mut key);
    key
}

#[cfg(test)]
#[path = "service_tests.rs"]
mod tests;
