//! What the gateway knows and the client did not say: place, browser, system, device, sending library.

mod address;
mod agent;
mod geo;

pub use address::client_address;
pub(crate) use agent::{Agent, Agents};
pub use geo::{GeoError, GeoIp};

/// Whether the request says that its events were enriched when they were first received: `enrich=false` in the query string. What is
/// known of the sender is then nothing that belongs to the events, as with an import of past ones.
pub(crate) fn is_enriched(target: &axum::http::Uri) -> bool {
    target.query().is_some_and(|query| query.split('&').any(|pair| pair == "enrich=false"))
}
