use axum::extract::{Path, State};
use axum::http::{StatusCode, Uri};
use event_store::{DeletionReceipt, DeletionRequest, LaterEvents, StoreError};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::access::Administrator;
use crate::error::{ApiError, ErrorBody};
use crate::request::query_string;
use crate::state::ApiState;
use crate::time::iso_utc;

/// Longest id of a person, bytes.
const MAX_PERSON_BYTES: usize = 255;
const DEFAULT_LIMIT: usize = 100;
const MAX_LIMIT: usize = 1_000;
/// Segments one receipt lists at most; its counts are of all.
const MAX_SEGMENTS: usize = 1_000;

/// How to delete.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct DeleteParams {
    /// What becomes of events of the person that are received later: `refuse` (unless told) or `accept`, as those of a new person.
    #[param(inline)]
    later_events: Option<String>,
    /// Allowed when it is the app of the key.
    #[param(ignore)]
    #[serde(rename = "app_id")]
    _app_id: Option<String>,
}

/// How many receipts.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListParams {
    /// 100 unless told, 1,000 at most.
    limit: Option<usize>,
    /// Allowed when it is the app of the key.
    #[param(ignore)]
    #[serde(rename = "app_id")]
    _app_id: Option<String>,
}

/// A segment that held rows of the person.
#[derive(Serialize, ToSchema)]
pub(crate) struct SegmentAnswer {
    /// Its path in the store when the person was deleted.
    segment: String,
    /// Rows of the person in it; `null` while it cannot be read.
    rows: Option<u64>,
    /// True once another segment without these rows took its place.
    rewritten: bool,
}

/// What was deleted and how far that is. It names the person by hash only.
#[derive(Serialize, ToSchema)]
pub(crate) struct ReceiptAnswer {
    deletion_id: String,
    app_id: String,
    /// SHA-256 of the person's id.
    person_sha256: String,
    /// SHA-256 of each other id that was linked with it; their events are deleted with the person's.
    linked_sha256: Vec<String>,
    /// `rewriting`, `blocked` or `finished`. The rows are hidden from every answer in each of them.
    #[schema(example = "rewriting")]
    state: &'static str,
    /// Since when the rows are hidden.
    requested_at: String,
    /// `refuse` or `accept`.
    later_events: &'static str,
    /// Events hidden.
    rows: u64,
    /// Refused events deleted with them.
    rejected_events: u64,
    /// Segments that held rows of the person.
    segments: usize,
    /// Of those, written again without them.
    segments_rewritten: usize,
    /// The first 1,000 of these segments.
    segment_list: Vec<SegmentAnswer>,
    /// UTC days whose distinct users in rollups are still to be counted again; the counts of events are right already.
    days_to_recount: usize,
    /// When the event log has trimmed its records from before the deletion, if events keep coming in.
    log_until: Option<String>,
    /// When the last byte was gone from the event store.
    finished_at: Option<String>,
    /// What stands in the way.
    blocked: Vec<String>,
    /// SHA-256 of the finished receipt.
    receipt_sha256: Option<String>,
}

impl ReceiptAnswer {
    fn of(receipt: DeletionReceipt) -> Self {
        let segments_rewritten = receipt.segments.iter().filter(|segment| segment.rewritten).count();
        let segments = receipt.segments.len();
        let listed = receipt.segments.into_iter().take(MAX_SEGMENTS);
        Self {
            deletion_id: receipt.id,
            app_id: receipt.app.to_string(),
            person_sha256: receipt.person_sha256,
            linked_sha256: receipt.linked_sha256,
            state: receipt.state.as_str(),
            requested_at: iso_utc(receipt.requested_at_ms),
            later_events: receipt.later_events.as_str(),
            rows: receipt.rows,
            rejected_events: receipt.rejected_events,
            segments,
            segments_rewritten,
            segment_list: listed.map(|s| SegmentAnswer { segment: s.segment, rows: s.rows, rewritten: s.rewritten }).collect(),
            days_to_recount: receipt.days_to_recount,
            log_until: receipt.log_until_ms.map(iso_utc),
            finished_at: receipt.finished_at_ms.map(iso_utc),
            blocked: receipt.blocked,
            receipt_sha256: receipt.sha256,
        }
    }
}

/// The newest deletions.
#[derive(Serialize, ToSchema)]
pub(crate) struct DeletionsAnswer {
    /// Newest first.
    deletions: Vec<ReceiptAnswer>,
}

/// Deletes a person, named by any of its linked ids, with the events of all of them: hidden from every answer when this returns, removed from
/// the files in the background.
#[utoipa::path(delete, path = "/api/v1/analytics/{app_id}/persons/{person_id}", tag = "administration",
    description = "The person is the `user_id` of its events, or the `anonymous_id` of events without a `user_id`, with every id that is \
        linked with it: their events and links go too, and `linked_sha256` names them. Events already in the \
        log are covered. Counts of rollups are right at once, their distinct users once their days were counted again; live windows keep \
        their totals until they end. Ask for the receipt until it is `finished`.",
    params(("app_id" = String, Path), ("person_id" = String, Path, description = "1 to 255 bytes, percent-encoded"), DeleteParams),
    responses((status = 202, body = ReceiptAnswer), (status = 400, body = ErrorBody), (status = 401, body = ErrorBody),
        (status = 403, body = ErrorBody), (status = 503, body = ErrorBody)),
    security(("admin_key" = []), ("login" = ["owner"])))]
pub(crate) async fn delete_person(
    State(state): State<ApiState>,
    admin: Administrator,
    Path(in_path): Path<(String, String)>,
    uri: Uri,
) -> Result<(StatusCode, axum::Json<ReceiptAnswer>), ApiError> {
    let (_, person) = in_path;
    let params: DeleteParams = query_string(&uri)?;
    if person.is_empty() || person.len() > MAX_PERSON_BYTES {
        return Err(ApiError::invalid("person_id", "invalid_id", format!("person_id has 1 to {MAX_PERSON_BYTES} bytes")));
    }
    let later_events = match params.later_events.as_deref() {
        None => LaterEvents::Refuse,
        Some(name) => LaterEvents::from_name(name)
            .ok_or_else(|| ApiError::invalid("later_events", "invalid_parameter", "later_events is refuse or accept"))?,
    };
    let parts = state.parts;
    let store = parts.clone();
    let receipt = blocking(move || {
        let request = DeletionRequest { app: admin.app_id(), person: &person, later_events, now_ms: (store.now_ms)() };
        store.deletions.delete_person(&request)
    })
    .await?;
    parts.queries.forget_answers();
    Ok((StatusCode::ACCEPTED, axum::Json(ReceiptAnswer::of(receipt))))
}

/// The receipts of the newest deletions.
#[utoipa::path(get, path = "/api/v1/analytics/{app_id}/deletions", tag = "administration", params(("app_id" = String, Path), ListParams),
    responses((status = 200, body = DeletionsAnswer), (status = 401, body = ErrorBody), (status = 403, body = ErrorBody)),
    security(("admin_key" = []), ("login" = ["owner"])))]
pub(crate) async fn list(State(state): State<ApiState>, admin: Administrator, uri: Uri) -> Result<axum::Json<DeletionsAnswer>, ApiError> {
    let params: ListParams = query_string(&uri)?;
    let limit = params.limit.unwrap_or(DEFAULT_LIMIT);
    if limit == 0 || limit > MAX_LIMIT {
        return Err(ApiError::invalid("limit", "invalid_limit", format!("limit must be 1 to {MAX_LIMIT}")));
    }
    let receipts = blocking(move || state.parts.deletions.deletions(admin.app_id(), limit)).await?;
    Ok(axum::Json(DeletionsAnswer { deletions: receipts.into_iter().map(ReceiptAnswer::of).collect() }))
}

/// The receipt of one deletion.
#[utoipa::path(get, path = "/api/v1/analytics/{app_id}/deletions/{deletion_id}", tag = "administration",
    params(("app_id" = String, Path), ("deletion_id" = String, Path)),
    responses((status = 200, body = ReceiptAnswer), (status = 401, body = ErrorBody), (status = 403, body = ErrorBody),
        (status = 404, body = ErrorBody)),
    security(("admin_key" = []), ("login" = ["owner"])))]
pub(crate) async fn receipt(
    State(state): State<ApiState>,
    admin: Administrator,
    Path(in_path): Path<(String, String)>,
) -> Result<axum::Json<ReceiptAnswer>, ApiError> {
    let (_, deletion) = in_path;
    let receipt = blocking(move || state.parts.deletions.deletion(admin.app_id(), &deletion)).await?;
    let unknown = || ApiError::new(StatusCode::NOT_FOUND, "unknown_deletion", "this app has no deletion of this id");
    receipt.map(ReceiptAnswer::of).map(axum::Json).ok_or_else(unknown)
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, StoreError> + Send + 'static) -> Result<T, ApiError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(StoreError::Full(reason))) => Err(ApiError::unavailable("store_full", reason)),
        Ok(Err(error)) => {
            tracing::error!(%error, "a deletion could not be committed or read");
            Err(ApiError::internal())
        }
        Err(error) => {
            tracing::error!(%error, "a deletion panicked");
            Err(ApiError::internal())
        }
    }
}
