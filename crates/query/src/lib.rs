//! Takes a request as JSON bytes, the settings of the app it is for, and the time now.
//! Gives the answer as JSON: the request is read with precise errors, planned once, run on the event store under limits, and laid out in rows or written as a file.
//! Knows nothing of HTTP, of credentials, or of which event store answers.

// Tests write requests in place.
#![cfg_attr(test, allow(clippy::needless_pass_by_value))]

mod answered;
mod cache;
mod calendar;
mod cohorts;
mod explain;
mod export;
mod failure;
mod figures;
mod flights;
mod formula;
mod funnel_planner;
mod hints;
mod metrics;
mod node;
mod options;
mod paths_planner;
mod planner;
mod request;
mod respond;
mod retention_planner;
mod runner;
mod service;
mod sessions_planner;
mod threads;

pub use crate::export::{Export, ExportPieces};
pub use answered::Answered;
pub use cache::canonical_text;
pub use cohorts::{
    Cohorts, CohortsUnavailable, MAX_COHORT_ID_BYTES, MAX_COHORTS_PER_REQUEST, SavedCohort, SavedCohorts, check_cohort, metric_has_cohort,
    rule_mentions,
};
pub use failure::{FailureKind, QueryFailure};
pub use figures::QueryFigures;
pub use jiff::civil::Weekday;
pub use metrics::{MAX_METRICS_PER_REQUEST, Metrics, MetricsUnavailable, SavedMetric, SavedMetrics, check_metric, metric_mentions};
pub use options::{AppSettings, QueryOptions};
pub use request::check_question;
pub use service::QueryService;

/// Whether `name` is a time zone of the IANA database this program carries, such as `Europe/Berlin`.
pub fn is_timezone(name: &str) -> bool {
    calendar::zone(name).is_some()
}
