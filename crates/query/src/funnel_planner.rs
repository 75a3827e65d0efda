use event::TimestampMs;
use event_store::{Buckets, FunnelPlan, Scan};

use crate::calendar::Bucket;
use crate::failure::QueryFailure;
use crate::options::AppSettings;
use crate::planner::{buckets_of, union};
use crate::request::FunnelRequest;

/// Most numbers in an answer: groups times periods times steps.
const MAX_CELLS: usize = 1_000_000;

/// A funnel as the store runs it.
#[derive(Clone, Debug)]
pub(crate) struct PlannedFunnel {
    pub plan: FunnelPlan,
    /// Where each period of entries begins on the calendar; empty without an interval.
    pub periods: Vec<TimestampMs>,
}

/// Plans a `/funnel` request.
///
/// # Errors
/// Too many periods.
pub(crate) fn plan_funnel(app: &AppSettings, request: &FunnelRequest) -> Result<PlannedFunnel, QueryFailure> {
    let range = (request.period.from_ms, request.period.to_ms);
    let buckets = request.interval.map(|interval| buckets_of(app, &request.period.zone, interval, range)).transpose()?;
    if let Some(buckets) = &buckets {
        check_size(request, buckets)?;
    }
    let steps: Vec<_> = request.steps.iter().map(|step| step.step.clone()).collect();
    let selections = steps.iter().flat_map(|step| &step.any_of).chain(request.exclusions.iter().flat_map(|exclusion| &exclusion.any_of));
    let scan = Scan {
        app: app.app.clone(),
        from_ms: range.0,
        to_ms: range.1,
        events: union(selections.map(|(names, _)| names.as_ref())),
        filter: request.filter.clone(),
    };
    let starts = buckets.as_ref().map(|buckets| buckets.iter().map(|bucket| bucket.start_ms).collect());
    let plan = FunnelPlan {
        mode: request.mode,
        window_ms: request.window_ms,
        range_applies_to_all: request.range_applies_to_all,
        first_entry_only: request.first_entry_only,
        exclusions: request.exclusions.clone(),
        hold_constant: request.hold_constant.iter().map(|(_, field)| field.clone()).collect(),
        counts_attempts: request.counts_attempts,
        breakdown: request.breakdown.clone(),
        attribution: request.attribution,
        fold_keep: request.limit,
        buckets: starts.map(|starts| Buckets { starts }),
        conversion_time: request.conversion_time,
        ..FunnelPlan::ordered(scan, steps)
    };
    Ok(PlannedFunnel { plan, periods: buckets.into_iter().flatten().map(|bucket| bucket.label_ms).collect() })
}

fn check_size(request: &FunnelRequest, buckets: &[Bucket]) -> Result<(), QueryFailure> {
    let groups = if request.breakdown.is_some() { request.limit + 2 } else { 1 };
    if groups * buckets.len() * request.steps.len() <= MAX_CELLS {
        return Ok(());
    }
    let message = format!(
        "{} periods of {} steps for up to {} groups are more than {MAX_CELLS} numbers: ask for a longer interval, a shorter range or a smaller limit",
        buckets.len(),
        request.steps.len(),
        request.limit
    );
    Err(QueryFailure::invalid("too_many_buckets", "interval", message))
}
