//! Takes HTTP requests with a key or a login, the query service, the live windows and the ledger.
//! Gives answers as JSON in one error form, live pushes as server-sent events, health, metrics, OpenAPI and the embedded web app.
//! Knows nothing of the log, of how events come in, or of which store answers.

mod access;
mod analytics;
mod app_keys;
mod apps;
mod cohorts;
mod dashboards;
mod deletions;
mod error;
mod export;
mod funnels;
mod invitations;
mod ledger;
mod live;
mod login;
mod members;
mod metrics;
mod openapi;
mod operations;
mod periods;
mod push;
mod request;
mod request_id;
mod router;
mod saved;
mod saved_questions;
mod security;
mod sessions;
mod settings;
mod sql;
mod state;
mod time;
mod web;

pub use access::{KeysUnavailable, ReadKeys};
pub use cohorts::StoredCohorts;
pub use error::ApiError;
pub use metrics::StoredMetrics;
pub use openapi::openapi;
pub use operations::{Operations, operations_router};
pub use router::router;
pub use state::{ApiOptions, ApiParts, ApiState, ClientAddress};
