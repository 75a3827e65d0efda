//! Takes the words of product analytics: app, event, person, property, time.
//! Gives their types, the limits of `docs/semantics.md` section 1, the columnar [`EventBatch`] with its codec, and the sketch of distinct persons.
//! Knows nothing of I/O, clocks, threads, or where an event is stored.

mod batch;
mod check;
mod codec;
mod dictionary;
mod ids;
mod json;
pub mod limits;
mod reject;
mod sketch;
mod time;
mod value;

pub use batch::{EventBatch, EventBatchBuilder, EventFields, EventView, IdColumn, PropertyIter};
pub use check::{CheckedTime, check_id, check_insert_id, check_name, clock_correction_ms, place_in_time};
pub use codec::CodecError;
pub use dictionary::Dictionary;
pub use ids::{AppId, PersonHash, person_hash};
pub use json::write_event_json;
pub use reject::{Reject, RejectCode, RejectedEvent};
pub use sketch::UniqueSketch;
pub use time::{TimeError, TimestampMs, client_timestamp_from_number, parse_timestamp};
pub use value::{PropertyValue, write_json_string};
