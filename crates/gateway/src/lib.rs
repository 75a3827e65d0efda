//! Takes HTTP requests of events.
//! Gives records of the log, durable before they are answered, and an account of every event that was dropped.
//! Knows nothing of stores, queries, or who keeps the keys.

mod answer;
mod batch_parser;
mod body;
mod buffers;
mod credentials;
mod daily_salt;
mod enrich;
mod gateway;
mod http;
mod in_flight;
mod inflate;
mod keys;
mod metrics;
mod options;
mod parser;
mod prepare;
mod quota;
mod refusal;
mod serve;

pub use batch_parser::{BatchParser, InvalidBody};
pub use enrich::{GeoError, GeoIp};
pub use gateway::Gateway;
pub use keys::{AppAccess, KeyLookup, KeysUnavailable, WriteKeys};
pub use options::{AddressRange, GatewayOptions, InvalidRange};
pub use serve::{ServeOptions, serve};
