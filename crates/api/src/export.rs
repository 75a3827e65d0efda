use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, Version, header};
use axum::response::Response;
use futures::stream;
use prometheus::{IntCounter, IntGauge};
use query::{Export, ExportPieces, QueryFailure};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::analytics::{refusal, settings};
use crate::error::{ApiError, ErrorBody};
use crate::openapi::examples;
use crate::request::Question;
use crate::state::ApiState;

/// How many reasons for missing events a file was begun with; absent from a complete one.
const MISSING_HEADER: &str = "x-throng-missing";

/// A file of raw events.
///
/// The file is written while it is sent. Where it cannot be finished, the connection is cut before the end of the body, so that no
/// client takes the part for the whole.
#[utoipa::path(post, path = "/api/v1/analytics/{app_id}/export", tag = "analytics", params(("app_id" = String, Path)),
    description = "GET takes the same JSON as its body or in `?q=`. `format` is `jsonl` (events as the batch call takes them), `csv` or `parquet`. \
        Events come in stored order: from the oldest days or weeks to the newest, in no order within one. Without a range: all. \
        In a CSV, text that a spreadsheet would run as a formula has a `'` before it, as has text that begins with `'`; `\"formulas\": \"keep\"` leaves text as it is. \
        A body that ends without its last chunk is not the whole file. `\"incomplete\": true` leaves out stored events that are damaged, \
        and the header `x-throng-missing` says how many files of them there are; without it such an export is refused.",
    request_body(content = Value, example = json!(examples::export())),
    responses((status = 200, body = Vec<u8>, content_type = "application/x-ndjson"), (status = 400, body = ErrorBody), (status = 401, body = ErrorBody),
        (status = 403, body = ErrorBody), (status = 422, body = ErrorBody, description = "Stored events are damaged"),
        (status = 503, body = ErrorBody, description = "As many exports run as may")),
    security(("read_key" = []), ("login" = ["viewer"])))]
pub(crate) async fn export(State(state): State<ApiState>, version: Version, question: Question) -> Result<Response, ApiError> {
    if version < Version::HTTP_11 {
        let message = "over HTTP/1.0 a file that was cut off looks whole: use HTTP/1.1 (behind nginx: proxy_http_version 1.1)";
        return Err(ApiError::new(StatusCode::HTTP_VERSION_NOT_SUPPORTED, "http_version", message));
    }
    let Question { reader, request } = question;
    let app = settings(reader.app());
    let export = state.parts.queries.export(&app, Value::Object(request), (state.parts.now_ms)()).await.map_err(refusal)?;
    let disposition = format!("attachment; filename=\"{}\"", export.file_name);
    let (content_type, missing) = (export.content_type, export.missing.len());
    let mut response = Response::new(body(export, &state));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    if let Ok(disposition) = HeaderValue::try_from(disposition) {
        headers.insert(header::CONTENT_DISPOSITION, disposition);
    }
    if missing > 0 {
        headers.insert(MISSING_HEADER, HeaderValue::from(missing));
    }
    Ok(response)
}

/// What is counted about exports.
#[derive(Clone)]
pub(crate) struct ExportMetrics {
    pub(crate) running: IntGauge,
    pub(crate) bytes: IntCounter,
}

/// A file on its way to a client; one that is dropped ends the export.
struct Sending {
    pieces: ExportPieces,
    shutdown: CancellationToken,
    metrics: ExportMetrics,
}

impl Drop for Sending {
    fn drop(&mut self) {
        self.metrics.running.dec();
    }
}

fn body(export: Export, state: &ApiState) -> Body {
    let metrics = state.metrics.exports.clone();
    metrics.running.inc();
    let sending = Sending { pieces: export.pieces, shutdown: state.parts.shutdown.clone(), metrics };
    Body::from_stream(stream::unfold(sending, async |mut sending| {
        let next = tokio::select! {
            next = sending.pieces.next() => next?,
            () = sending.shutdown.cancelled() => Err(stopping()),
        };
        match &next {
            Ok(bytes) => sending.metrics.bytes.inc_by(bytes.len() as u64),
            Err(failure) => tracing::warn!(code = failure.code, message = failure.message, "an export ended before it was whole"),
        }
        Some((next, sending))
    }))
}

fn stopping() -> QueryFailure {
    QueryFailure { code: "stopping", message: "the server stops".to_owned(), field: None, kind: query::FailureKind::Cancelled }
}
