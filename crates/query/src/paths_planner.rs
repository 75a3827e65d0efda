use event_store::{PathsPlan, Scan};

use crate::options::AppSettings;
use crate::request::PathsRequest;

/// Plans a `/paths` request.
pub(crate) fn plan_paths(app: &AppSettings, request: &PathsRequest) -> PathsPlan {
    let scan = Scan {
        app: app.app.clone(),
        from_ms: request.period.from_ms,
        to_ms: request.period.to_ms,
        events: request.events.clone(),
        filter: request.filter.clone(),
    };
    PathsPlan {
        scan,
        exclude: request.exclude.clone(),
        step_by: request.step_by.1.clone(),
        anchor: request.anchor.clone(),
        bound: request.bound,
        steps: request.steps,
        collapse_repeats: request.collapse_repeats,
        full_length_only: request.full_length_only,
        keep: request.limit,
    }
}
