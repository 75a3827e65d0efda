//! The gateway's routes as they are described. The gateway answers them in another crate that this one must not see, so these
//! functions carry the description only; the API's tests send what is described to a running server.

use serde::Serialize;
use utoipa::ToSchema;

use super::examples;
use crate::error::ErrorBody;

/// What became of a batch.
#[derive(Serialize, ToSchema)]
pub(crate) struct BatchAnswer {
    /// Events that are durable now.
    accepted: u64,
    /// Events that were refused, in order.
    rejected: Vec<RejectedInBatch>,
    /// What was kept otherwise than the sender may think; absent where there is nothing to say.
    #[schema(required = false)]
    warnings: Vec<WarningInBatch>,
}

/// Something that was not kept as it was sent.
#[derive(Serialize, ToSchema)]
pub(crate) struct WarningInBatch {
    /// The first event it is true of; absent where it is the batch.
    #[serde(skip_serializing_if = "Option::is_none")]
    index: Option<u32>,
    /// `unknown_field`: a field of an event that nobody reads. `ignored_sent_at`: no time, or too far off.
    #[schema(example = "unknown_field")]
    code: String,
    /// The field.
    #[schema(example = "propertys")]
    field: String,
    /// For people.
    message: String,
}

/// A refused event.
#[derive(Serialize, ToSchema)]
pub(crate) struct RejectedInBatch {
    /// Position in `events`.
    index: u32,
    /// Stable, for programs.
    #[schema(example = "missing_name")]
    code: String,
    /// For people.
    message: String,
}

/// Appends events; 200 means that the accepted ones are durable.
#[utoipa::path(post, path = "/api/v1/events/batch", tag = "ingestion",
    description = "At most 2,000 events and 10 MiB after inflating (gzip, zstd or br). The key may also come as `write_key` in the body or the query string. \
        An event with `\"cookieless\": true` has no `anonymous_id`; it gets one on receipt, made of address, user agent and a salt that goes with its UTC day. \
        With `?enrich=false` nothing of the sender (place, browser, library) is added: for past events, such as those of an export.",
    request_body(content = Object, example = json!(examples::batch())),
    responses((status = 200, body = BatchAnswer), (status = 400, body = BatchAnswer, description = "All events are bad"),
        (status = 401, body = ErrorBody), (status = 403, body = ErrorBody), (status = 413, body = ErrorBody),
        (status = 503, body = ErrorBody, description = "Nothing was kept: send it again")),
    security(("write_key" = [])))]
#[expect(dead_code, reason = "only its description is used")]
pub(super) fn batch() {}

/// Checks events as the batch call does, key included, and stores nothing.
#[utoipa::path(post, path = "/api/v1/events/validate", tag = "ingestion",
    request_body(content = Object, example = json!(examples::batch())),
    responses((status = 200, body = BatchAnswer), (status = 400, body = BatchAnswer), (status = 401, body = ErrorBody), (status = 403, body = ErrorBody)),
    security(("write_key" = [])))]
#[expect(dead_code, reason = "only its description is used")]
pub(super) fn validate() {}
