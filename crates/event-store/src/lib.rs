//! Takes batches of events with their log position, and typed plans.
//! Gives the seam every event store stands behind: [`EventSink`] to write, [`EventSource`] to ask, [`Ledger`] to account, and the plans themselves.
//! Knows nothing of any engine, of HTTP, or of how a request becomes a plan.

mod context;
mod deletion;
mod explain;
mod funnel_plan;
mod ledger;
mod paths_plan;
mod plan;
mod retention_plan;
mod rollup_plan;
mod rows;
mod segment;
mod session;
mod sessions_plan;
mod sink;
mod source;

pub use context::{MemoryBudget, MemoryPool, QueryContext, QueryError};
pub use deletion::{DELETED_PERSON, DeletedFrom, DeletionReceipt, DeletionRequest, DeletionState, LaterEvents, PersonDeletions};
pub use explain::{Stage, Table, TableRead, Work};
pub use funnel_plan::{
    Attribution, ConversionTime, ConversionTimes, FunnelEvent, FunnelExclusion, FunnelGroup, FunnelMode, FunnelPerson, FunnelPersonPlan,
    FunnelPersonsPage, FunnelPersonsPlan, FunnelPlan, FunnelStep, FunnelStepResult, FunnelStop, FunnelStory, FunnelTable,
    MAX_FUNNEL_EXCLUSIONS, MAX_FUNNEL_STEPS, Selection, StepOutcome,
};
pub use ledger::{Ledger, LedgerRow, RejectedPage, RejectedRow};
pub use paths_plan::{MAX_PATH_STEPS, Occurrence, PathAnchor, PathBound, PathCount, PathEdge, PathRow, PathSide, PathsPlan, PathsTable};
pub use plan::{AggregatePlan, Buckets, EventsPlan, Field, Filter, Fold, Measure, MeasureFn, Op, Scan, Value};
pub use retention_plan::{
    ACTIVE_LOOK_BACK, ACTIVE_WINDOWS, ActivityGroup, ActivityKind, ActivityPlan, ActivityTable, LifecycleCounts, MAX_PERIODS,
    RetentionCohort, RetentionEntry, RetentionGroup, RetentionMode, RetentionPlan, RetentionTable,
};
pub use rollup_plan::{RollupPlan, RollupSpan};
pub use rows::{Cell, RowBlock, RowSource, RowVisitor, RowsPlan};
pub use segment::{
    DidRule, HasRule, MAX_SEGMENT_DEPTH, Segment, SegmentPerson, SegmentPersonsPage, SegmentPersonsPlan, SegmentRead, SegmentRule,
};
pub use session::{SessionCuts, SessionRule};
pub use sessions_plan::{BounceRule, MAX_LENGTH_BINS, PageRow, PageRule, SessionFigures, SessionsPlan, SessionsRow, SessionsTable};
pub use sink::{AppendedBatch, Commit, EventSink, LostRecords, StoreError};
pub use source::{
    AggregateRow, AggregateTable, EXPORT_ROWS, EventNameInfo, EventRow, EventSource, EventsPage, ExportVisitor, Measured, PropertyInfo,
    RollupRow, RollupSize, ScanStats, Schema, WindowRow,
};
