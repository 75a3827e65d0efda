use std::collections::BTreeMap;

use axum::extract::State;
use axum::http::Uri;
use event::TimestampMs;
use event_store::{LedgerRow, QueryError};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::access::Reader;
use crate::error::ApiError;
use crate::request::query_string;
use crate::state::ApiState;
use crate::time::iso_utc;

const DEFAULT_RANGE_MS: i64 = 24 * 3_600_000;
const DEFAULT_MINUTES: usize = 1_440;
const MAX_MINUTES: usize = 10_080;
const DEFAULT_REJECTED: usize = 100;
const MAX_REJECTED: usize = 1_000;

/// Which part of the ledger.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct LedgerParams {
    /// First moment of receipt, ISO 8601 with a zone; 24 hours before `to` unless told.
    from: Option<String>,
    /// First moment after, ISO 8601 with a zone; now unless told.
    to: Option<String>,
    /// Minutes listed at most, the newest ones; `totals` always covers the whole range. 1,440 unless told, 10,080 at most.
    limit: Option<usize>,
    /// Allowed when it is the app of the key.
    #[param(ignore)]
    #[serde(rename = "app_id")]
    _app_id: Option<String>,
}

/// Where every received event went: `received = stored + duplicate + rejected`.
#[derive(Serialize, ToSchema, Default)]
pub(crate) struct Account {
    received: u64,
    stored: u64,
    duplicate: u64,
    rejected: u64,
    /// `rejected` by code.
    rejected_by_code: BTreeMap<String, u64>,
}

impl Account {
    fn add(&mut self, row: &LedgerRow) {
        self.received += row.received;
        self.stored += row.stored;
        self.duplicate += row.duplicate;
        for (code, count) in &row.rejected {
            self.rejected += count;
            *self.rejected_by_code.entry(code.clone()).or_default() += count;
        }
    }
}

/// One minute of receipt.
#[derive(Serialize, ToSchema)]
pub(crate) struct MinuteAccount {
    /// Start of the minute.
    time: String,
    #[serde(flatten)]
    account: Account,
}

/// The accounts of ingestion.
#[derive(Serialize, ToSchema)]
pub(crate) struct LedgerAnswer {
    from: String,
    to: String,
    /// The whole range.
    totals: Account,
    /// Minutes that received anything, ascending.
    minutes: Vec<MinuteAccount>,
    /// True when older minutes were left out of `minutes`.
    more: bool,
}

/// Where every received event went, by minute of receipt.
#[utoipa::path(get, path = "/api/v1/analytics/{app_id}/ledger", tag = "ingestion", params(("app_id" = String, Path), LedgerParams),
    responses((status = 200, body = LedgerAnswer)), security(("read_key" = []), ("login" = ["viewer"])))]
pub(crate) async fn ledger(State(state): State<ApiState>, reader: Reader, uri: Uri) -> Result<axum::Json<LedgerAnswer>, ApiError> {
    let params: LedgerParams = query_string(&uri)?;
    let now_ms = (state.parts.now_ms)();
    let to_ms = params.to.as_deref().map_or(Ok(now_ms), |text| parse_time("to", text))?;
    let from_ms = params.from.as_deref().map_or(Ok(to_ms.saturating_sub(DEFAULT_RANGE_MS)), |text| parse_time("from", text))?;
    let limit = bounded("limit", params.limit, DEFAULT_MINUTES, MAX_MINUTES)?;
    let rows = blocking(move || state.parts.ledger.ledger(reader.app_id(), from_ms, to_ms)).await?;
    let mut totals = Account::default();
    rows.iter().for_each(|row| totals.add(row));
    let listed = &rows[rows.len().saturating_sub(limit)..];
    let minute = |row: &LedgerRow| {
        let mut account = Account::default();
        account.add(row);
        MinuteAccount { time: iso_utc(row.minute_ms), account }
    };
    let minutes = listed.iter().map(minute).collect();
    Ok(axum::Json(LedgerAnswer { from: iso_utc(from_ms), to: iso_utc(to_ms), totals, minutes, more: rows.len() > limit }))
}

/// How many refused events.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct RejectedParams {
    /// 100 unless told, 1,000 at most.
    limit: Option<usize>,
    /// Allowed when it is the app of the key.
    #[param(ignore)]
    #[serde(rename = "app_id")]
    _app_id: Option<String>,
}

/// A refused event.
#[derive(Serialize, ToSchema)]
pub(crate) struct RejectedEventAnswer {
    received_at: String,
    /// Position in its request.
    index: u32,
    /// The stable code.
    code: String,
    /// What the client was told.
    message: String,
    /// The event as it came; bytes that are not UTF-8 are shown as U+FFFD.
    raw: String,
}

/// The newest refused events.
#[derive(Serialize, ToSchema)]
pub(crate) struct RejectedAnswer {
    /// Newest first.
    rejected: Vec<RejectedEventAnswer>,
}

/// The newest refused events with their reasons, kept for 30 days.
#[utoipa::path(get, path = "/api/v1/analytics/{app_id}/rejected", tag = "ingestion", params(("app_id" = String, Path), RejectedParams),
    responses((status = 200, body = RejectedAnswer)), security(("read_key" = []), ("login" = ["viewer"])))]
pub(crate) async fn rejected(State(state): State<ApiState>, reader: Reader, uri: Uri) -> Result<axum::Json<RejectedAnswer>, ApiError> {
    let params: RejectedParams = query_string(&uri)?;
    let limit = bounded("limit", params.limit, DEFAULT_REJECTED, MAX_REJECTED)?;
    let page = blocking(move || state.parts.ledger.rejected(reader.app_id(), limit)).await?;
    let answer = page.rows.into_iter().map(|row| RejectedEventAnswer {
        received_at: iso_utc(row.received_at_ms),
        index: row.index,
        code: row.code,
        message: row.message,
        raw: String::from_utf8_lossy(&row.raw).into_owned(),
    });
    Ok(axum::Json(RejectedAnswer { rejected: answer.collect() }))
}

async fn blocking<T: Send + 'static>(read: impl FnOnce() -> Result<T, QueryError> + Send + 'static) -> Result<T, ApiError> {
    match tokio::task::spawn_blocking(read).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => {
            tracing::error!(%error, "the ledger could not be read");
            Err(ApiError::internal())
        }
        Err(error) => {
            tracing::error!(%error, "reading the ledger panicked");
            Err(ApiError::internal())
        }
    }
}

fn parse_time(field: &str, text: &str) -> Result<TimestampMs, ApiError> {
    event::parse_timestamp(text).map_err(|error| ApiError::invalid(field, "invalid_time", format!("{field}: {error}")))
}

fn bounded(field: &str, value: Option<usize>, default: usize, max: usize) -> Result<usize, ApiError> {
    match value.unwrap_or(default) {
        0 => Err(ApiError::invalid(field, "invalid_limit", format!("{field} must be 1 to {max}"))),
        value if value > max => Err(ApiError::invalid(field, "invalid_limit", format!("{field} must be 1 to {max}"))),
        value => Ok(value),
    }
}
