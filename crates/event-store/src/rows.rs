//! Rows with chosen columns, as one consistent set that may be read more than once.

use event::TimestampMs;

use crate::context::{QueryContext, QueryError};
use crate::plan::{Field, Scan};
use crate::source::ScanStats;

/// Which rows of an app are read, and what of each.
#[derive(Clone, Debug, PartialEq)]
pub struct RowsPlan {
    /// The rows. `from_ms` and `to_ms` are met exactly.
    pub scan: Scan,
    /// What [`RowBlock::cell`] is asked for, by position.
    pub fields: Vec<Field>,
    /// Whether [`RowBlock::properties_json`] and [`RowBlock::client_time_ms`] are asked for: then whole rows are read.
    pub is_whole: bool,
}

/// One value of a row, as it is stored.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Cell<'a> {
    /// Not set.
    Null,
    /// A boolean.
    Bool(bool),
    /// An integer; for times, milliseconds.
    Int(i64),
    /// An integer from 2^63 to 2^64 - 1.
    BigUint(u64),
    /// A finite number. Integers up to 2^53 come in either form.
    Float(f64),
    /// Text.
    Text(&'a str),
    /// A list or an object, as JSON text.
    Json(&'a str),
}

/// Some rows of a plan. Positions beyond those of the plan or the block hold nothing.
pub trait RowBlock {
    /// How many.
    fn rows(&self) -> usize;

    /// The value of the plan's field `field` in row `row`.
    fn cell(&self, field: usize, row: usize) -> Cell<'_>;

    /// The key of the person that the row's id counts as, by which distinct persons are counted; `None` for an event without one.
    fn person(&self, row: usize) -> Option<u64>;

    /// The id that stands for the person, where that has several; else it is the row's own.
    fn linked_id(&self, row: usize) -> Option<&str>;

    /// The row's event time.
    fn time_ms(&self, row: usize) -> TimestampMs;

    /// The client's own timestamp; the event time where the plan does not read whole rows.
    fn client_time_ms(&self, row: usize) -> TimestampMs;

    /// All properties as one JSON object; empty where the plan does not read whole rows.
    fn properties_json(&self, row: usize) -> String;
}

/// Takes blocks, on several threads at once. Its error ends the reading.
pub type RowVisitor<'v> = dyn Fn(&dyn RowBlock) -> Result<(), QueryError> + Sync + 'v;

/// The rows of one app as of the moment at which [`crate::EventSource::rows_of`] was called, however often they are read.
pub trait RowSource: Send + Sync {
    /// Gives the rows of a plan to `visit`, in no order. A plan for another app has none.
    ///
    /// # Errors
    /// Those of `visit`; else as for [`crate::EventSource::aggregate`].
    fn read(&self, plan: &RowsPlan, context: &QueryContext, visit: &RowVisitor<'_>) -> Result<ScanStats, QueryError>;
}
