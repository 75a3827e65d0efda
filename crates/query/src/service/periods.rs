//! Questions about the periods in which persons come, come back and stay away.

use std::sync::Arc;
use std::time::Instant;

use event_store::ActivityKind;
use serde_json::Value;

use super::{QueryService, cache_key};
use crate::answered::Answered;
use crate::explain::Explain;
use crate::failure::QueryFailure;
use crate::options::AppSettings;
use crate::request::{read_active_users, read_activity, read_retention};
use crate::respond::{active_users_answer, lifecycle_answer, retention_answer, stickiness_answer};
use crate::retention_planner::{plan_activity, plan_retention};
use crate::runner::Work;

impl QueryService {
    /// Who came back, by the period in which they came first: `POST /retention`. `now_ms` tells which periods are over.
    ///
    /// # Errors
    /// As for [`QueryService::query`].
    pub async fn retention(&self, app: &AppSettings, request: Value, now_ms: i64) -> Result<Answered, QueryFailure> {
        let started = Instant::now();
        let app = self.settled(app, &request).await?;
        let app = app.as_ref();
        let read = read_retention(&request, app, now_ms)?;
        let key = read.asked.use_cache.then(|| cache_key("retention", app, Some(&read.asked.period), &request));
        let planned = plan_retention(app, &read)?;
        let explain = read.asked.explain.then(|| Explain::planned(started));
        let work = move || -> Work {
            Box::new(move |source, context, turn| {
                let table = source.retention(&planned.plan, context)?;
                let laying_out = Instant::now();
                let mut answer = retention_answer(&read, &planned, &table);
                explain.inspect(|explain| explain.add(&mut answer, &table.stats, context, turn, laying_out));
                Ok(answer)
            })
        };
        self.answer(key, started, self.names.hinted(&app.app, Arc::new(request), work)).await
    }

    /// New, returning, resurrected and dormant persons of each period: `POST /lifecycle`.
    ///
    /// # Errors
    /// As for [`QueryService::query`].
    pub async fn lifecycle(&self, app: &AppSettings, request: Value, now_ms: i64) -> Result<Answered, QueryFailure> {
        self.activity(ActivityKind::Lifecycle, app, request, now_ms).await
    }

    /// Persons by the number of periods in which they are active: `POST /stickiness`.
    ///
    /// # Errors
    /// As for [`QueryService::query`].
    pub async fn stickiness(&self, app: &AppSettings, request: Value, now_ms: i64) -> Result<Answered, QueryFailure> {
        self.activity(ActivityKind::Stickiness, app, request, now_ms).await
    }

    /// How many persons were active on each day, and in the week and the month up to it: `POST /active_users`.
    ///
    /// # Errors
    /// As for [`QueryService::query`].
    pub async fn active_users(&self, app: &AppSettings, request: Value, now_ms: i64) -> Result<Answered, QueryFailure> {
        let started = Instant::now();
        let app = self.settled(app, &request).await?;
        let app = app.as_ref();
        let read = read_active_users(&request, app, now_ms)?;
        let asked = &read.activity.asked;
        let key = asked.use_cache.then(|| cache_key("active_users", app, Some(&asked.period), &request));
        let planned = plan_activity(app, &read.activity, ActivityKind::ActiveUsers)?;
        let explain = asked.explain.then(|| Explain::planned(started));
        let work = move || -> Work {
            Box::new(move |source, context, turn| {
                let table = source.activity(&planned.plan, context)?;
                let laying_out = Instant::now();
                let mut answer = active_users_answer(&read, &planned, &table);
                explain.inspect(|explain| explain.add(&mut answer, &table.stats, context, turn, laying_out));
                Ok(answer)
            })
        };
        self.answer(key, started, self.names.hinted(&app.app, Arc::new(request), work)).await
    }

    /// Lifecycle and stickiness.
    async fn activity(&self, kind: ActivityKind, app: &AppSettings, request: Value, now_ms: i64) -> Result<Answered, QueryFailure> {
        let started = Instant::now();
        let app = self.settled(app, &request).await?;
        let app = app.as_ref();
        let read = read_activity(&request, app, now_ms)?;
        let name = if kind == ActivityKind::Lifecycle { "lifecycle" } else { "stickiness" };
        let key = read.asked.use_cache.then(|| cache_key(name, app, Some(&read.asked.period), &request));
        let planned = plan_activity(app, &read, kind)?;
        let explain = read.asked.explain.then(|| Explain::planned(started));
        let work = move || -> Work {
            Box::new(move |source, context, turn| {
                let table = source.activity(&planned.plan, context)?;
                let laying_out = Instant::now();
                let mut answer = match kind {
                    ActivityKind::Lifecycle => lifecycle_answer(&read, &planned, &table),
                    _ => stickiness_answer(&read, &planned, &table),
                };
                explain.inspect(|explain| explain.add(&mut answer, &table.stats, context, turn, laying_out));
                Ok(answer)
            })
        };
        self.answer(key, started, self.names.hinted(&app.app, Arc::new(request), work)).await
    }
}
