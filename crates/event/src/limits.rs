//! Every bound on what a client may send, from `docs/semantics.md` section 1 and the API reference.
//!
//! Sizes are bytes of UTF-8 unless the name says `chars`.

/// Longest event name, in characters.
pub const MAX_NAME_CHARS: usize = 255;
/// Longest `user_id`, `anonymous_id` or `session_id`.
pub const MAX_ID_BYTES: usize = 255;
/// Longest `insert_id`.
pub const MAX_INSERT_ID_BYTES: usize = 64;
/// Longest property name.
pub const MAX_KEY_BYTES: usize = 255;
/// Most properties of one event as the client sent them; derived properties come on top.
pub const MAX_PROPERTIES: usize = 255;
/// Largest `properties` object as JSON text.
pub const MAX_PROPERTIES_BYTES: usize = 32 * 1024;
/// What an event that was enriched before, such as one of an export, may have beyond [`MAX_PROPERTIES`].
pub const MAX_ENRICHED_PROPERTIES: usize = 32;
/// What an event that was enriched before may have beyond [`MAX_PROPERTIES_BYTES`]; numbers may be written longer than they came, too.
pub const MAX_ENRICHED_BYTES: usize = 8 * 1024;
/// A longer string value is cut here, at a character boundary.
pub const MAX_STRING_VALUE_BYTES: usize = 8 * 1024;
/// Objects and lists nested deeper than this are kept as JSON text.
pub const MAX_DEPTH: usize = 3;
/// Most events of one request.
pub const MAX_BATCH_EVENTS: usize = 2_000;
/// Largest request body after inflating.
pub const MAX_BODY_BYTES: usize = 10 * 1024 * 1024;
/// The clock correction applies only beyond this difference, so that network delay never re-orders events.
pub const CLOCK_TOLERANCE_MS: i64 = 60_000;
/// An event further ahead of its receipt than this is placed at the receipt.
pub const MAX_FUTURE_MS: i64 = 24 * 3_600_000;
/// 1990-01-01T00:00:00Z: nothing older is an event of a product.
pub const EARLIEST_TIME_MS: i64 = 631_152_000_000;
/// Raw bytes of a rejected event that are kept.
pub const MAX_REJECTED_RAW_BYTES: usize = 32 * 1024;
