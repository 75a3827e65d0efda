//! Takes the words of product analytics: app, event, person, property, time.
//! Gives their types, the limits of `docs/semantics.md` section 1, the columnar [`EventBatch`] with its codec, and the sketch of distinct persons.
//! Knows nothing of I/O, clocks, threads, or where an event is stored.

mod batch;
mod check;
mod codec;
mod columns;
mod dictionary;
mod ids;
mod json;
pub mod limits;
mod page;
mod property_bytes;
mod reject;
mod sketch;
mod time;
mod value;

pub use batch::{EventBatch, EventBatchBuilder, EventFields, EventView};
pub use check::{CheckedTime, check_id, check_insert_id, check_name, clock_correction_ms, place_in_time};
pub use codec::CodecError;
pub use columns::IdColumn;
pub use dictionary::Dictionary;
pub use ids::{AppId, PersonHash, person_hash, session_id_hash, session_key};
pub use json::write_event_json;
pub use page::{PAGE_PROPERTIES, page_of};
pub use property_bytes::PropertyIter;
pub use reject::{Reject, RejectCode, RejectedEvent};
pub use sketch::UniqueSketch;
pub use time::{TimeError, TimestampMs, client_timestamp_from_number, iso_utc, parse_timestamp};
pub use value::{PropertyValue, write_json_string};
