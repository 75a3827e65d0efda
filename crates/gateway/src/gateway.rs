use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{Response, StatusCode};
use axum::routing::post;
use bytes::Bytes;
use event_log::EventLog;
use prometheus::Registry;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::body::{check_content_type, read_body};
use crate::buffers::BufferPool;
use crate::credentials::{authenticate, key_in_head};
use crate::daily_salt::DailySalt;
use crate::enrich::{Agents, GeoIp, client_address, is_enriched};
use crate::http::{answer, preflight, request_id, with_cors};
use crate::in_flight::{Held, InFlight};
use crate::inflate::Encoding;
use crate::keys::WriteKeys;
use crate::metrics::Metrics;
use crate::options::GatewayOptions;
use crate::prepare::{Arrived, Prepared};
use crate::quota::Quota;
use crate::refusal::Refusal;

/// The HTTP side of ingestion; one per process, shared by all connections.
pub struct Gateway {
    pub(crate) log: Arc<dyn EventLog>,
    pub(crate) keys: Arc<dyn WriteKeys>,
    pub(crate) geo: Option<GeoIp>,
    pub(crate) agents: Agents,
    pub(crate) metrics: Metrics,
    pub(crate) quota: Option<Quota>,
    pub(crate) daily_salt: DailySalt,
    pub(crate) buffers: BufferPool,
    pub(crate) options: GatewayOptions,
    in_flight: Arc<InFlight>,
    /// Big bodies are read on the blocking pool, this many at a time, so that they do not hold up the small ones.
    big_bodies: Arc<Semaphore>,
}

/// A body of at most this size, as sent and after inflating, is read where it arrived, in a fraction of a millisecond.
const MAX_INLINE_BYTES: usize = 128 * 1024;

/// Short, rather than one sleep until midnight, since clocks are set and machines are put to sleep.
const SALT_CHECK_INTERVAL: Duration = Duration::from_secs(30);

/// Whether the events are kept.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    Ingest,
    Validate,
}

impl Gateway {
    /// A gateway that writes to `log`, knows keys by `keys`, places by `geo`, and registers its metrics with `registry`.
    ///
    /// # Errors
    /// When a metric of the same name is registered already.
    pub fn new(
        log: Arc<dyn EventLog>,
        keys: Arc<dyn WriteKeys>,
        geo: Option<GeoIp>,
        registry: &Registry,
        options: GatewayOptions,
    ) -> Result<Self, prometheus::Error> {
        let metrics = Metrics::new(registry)?;
        let parallelism = std::thread::available_parallelism().map_or(1, |threads| threads.get());
        Ok(Self {
            log,
            keys,
            geo,
            agents: Agents::new(options.max_cached_user_agents),
            in_flight: InFlight::new(options.max_in_flight_bytes, metrics.in_flight_bytes.clone()),
            metrics,
            quota: options.quota_events_per_second.map(Quota::new),
            daily_salt: DailySalt::open(options.daily_salt_file.clone(), now_ms()),
            buffers: BufferPool::default(),
            options,
            big_bodies: Arc::new(Semaphore::new(parallelism)),
        })
    }

    /// The routes `POST` and `OPTIONS` of `/api/v1/events/batch` and `/api/v1/events/validate`.
    pub fn router(self: Arc<Self>) -> axum::Router {
        let batch = |State(gateway): State<Arc<Self>>, request: Request| async move { gateway.respond(request, Purpose::Ingest).await };
        let validate =
            |State(gateway): State<Arc<Self>>, request: Request| async move { gateway.respond(request, Purpose::Validate).await };
        axum::Router::new()
            .route("/api/v1/events/batch", post(batch).options(preflight))
            .route("/api/v1/events/validate", post(validate).options(preflight))
            .with_state(self)
    }

    /// Throws the salt of cookieless ids away at the end of each UTC day, until `stopping`.
    ///
    /// A request of the new day would do it too, but none may come.
    pub async fn forget_past_days(self: Arc<Self>, stopping: CancellationToken) {
        while stopping.run_until_cancelled(tokio::time::sleep(SALT_CHECK_INTERVAL)).await.is_some() {
            self.daily_salt.forget_past(now_ms());
        }
    }

    async fn respond(self: Arc<Self>, request: Request, purpose: Purpose) -> Response<Body> {
        let started = Instant::now();
        let given_id = request.headers().get("x-request-id").cloned();
        let mut response = match self.take(request, purpose).await {
            Ok((status, body)) => {
                self.metrics.ok_requests.inc();
                answer(status, body)
            }
            Err(refusal) => {
                self.metrics.count_refusal(refusal.status_and_code().1);
                let id = request_id(given_id.as_ref());
                if let Refusal::Log(error) = &refusal {
                    tracing::warn!(request_id = id, %error, "a request was answered 503 because the log did not take it");
                }
                refusal.response(&id)
            }
        };
        self.metrics.request_seconds.observe(started.elapsed().as_secs_f64());
        with_cors(&mut response);
        response
    }

    /// The way of a request, step by step.
    async fn take(self: &Arc<Self>, request: Request, purpose: Purpose) -> Result<(StatusCode, Bytes), Refusal> {
        let received_at_ms = now_ms();
        let (head, body) = request.into_parts();
        check_content_type(&head.headers)?;
        let encoding = Encoding::of(&head.headers)?;
        let mut held = Held::none(&self.in_flight);
        let body = read_body(body, self.options.max_body_bytes, self.options.body_timeout, &mut held).await?;
        self.metrics.received_bytes.inc_by(body.len() as u64);
        let access = key_in_head(&head).map(|key| authenticate(&self.keys, key)).transpose()?;
        let address = client_address(&head, &self.options.trusted_proxies);
        let user_agent = head.headers.get("user-agent").cloned();
        let agent = user_agent.as_ref().and_then(|value| value.to_str().ok()).map(|agent| self.agents.analyse(agent));
        let is_enriched = is_enriched(&head.uri);
        let arrived = Arrived { received_at_ms, body, encoding, access, address, agent, user_agent, purpose, is_enriched };
        let (prepared, held) = self.prepare(arrived, held).await?;
        let answer = self.keep(prepared).await?;
        drop(held);
        Ok(answer)
    }

    /// Inflates, parses, checks, corrects, enriches and encodes: here when it is quick, else on the blocking pool.
    async fn prepare(self: &Arc<Self>, arrived: Arrived, mut held: Held) -> Result<(Prepared, Held), Refusal> {
        let max_inline_bytes = MAX_INLINE_BYTES.min(self.options.max_body_bytes);
        if arrived.body.len() <= max_inline_bytes
            && let Some(prepared) = arrived.prepare(self, max_inline_bytes, &mut held)?
        {
            return Ok((prepared, held));
        }
        let permit = Arc::clone(&self.big_bodies).acquire_owned().await.map_err(|_| Refusal::Interrupted)?;
        let gateway = Arc::clone(self);
        let work = move || {
            let prepared = arrived.prepare(&gateway, gateway.options.max_body_bytes, &mut held)?;
            drop(permit);
            prepared.map(|prepared| (prepared, held)).ok_or(Refusal::BodyTooLarge { max_bytes: gateway.options.max_body_bytes })
        };
        tokio::task::spawn_blocking(work).await.map_err(|_| Refusal::Interrupted)?
    }

    /// Appends the record and counts what became of its events. When this returns, they are durable.
    async fn keep(&self, prepared: Prepared) -> Result<(StatusCode, Bytes), Refusal> {
        let Prepared { record, body, accepted, rejected, future_events } = prepared;
        let status = if accepted == 0 && !rejected.is_empty() { StatusCode::BAD_REQUEST } else { StatusCode::OK };
        let Some(record) = record else {
            self.metrics.validated.inc_by((accepted + rejected.len()) as u64);
            return Ok((status, body));
        };
        let mut unanswered = Unanswered { metrics: &self.metrics, events: accepted + rejected.len() };
        let appended = self.log.append(record).await;
        unanswered.events = 0;
        if let Err(error) = appended {
            self.metrics.refused.inc_by((accepted + rejected.len()) as u64);
            return Err(error.into());
        }
        self.metrics.accepted.inc_by(accepted as u64);
        self.metrics.future_events.inc_by(future_events as u64);
        if !rejected.is_empty() {
            self.metrics.count_rejected(&rejected);
        }
        Ok((status, body))
    }
}

/// Counts the events of a request whose client goes away while the log works on it.
struct Unanswered<'a> {
    metrics: &'a Metrics,
    events: usize,
}

impl Drop for Unanswered<'_> {
    fn drop(&mut self) {
        if self.events > 0 {
            self.metrics.unanswered.inc_by(self.events as u64);
        }
    }
}

fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64)
}
