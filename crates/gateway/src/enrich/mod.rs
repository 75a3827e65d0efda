//! What the gateway knows and the client did not say: place, browser, system, device, sending library.

mod address;
mod agent;
mod geo;

pub(crate) use address::client_address;
pub(crate) use agent::{Agent, Agents};
pub use geo::{GeoError, GeoIp};
