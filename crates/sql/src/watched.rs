//! What is put between the operators of a plan: windows are counted, and joins are given few rows at a time.

use std::fmt;
use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{DataFusionError, Result};
use datafusion::execution::memory_pool::MemoryConsumer;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};
use event_store::QueryContext;
use futures::{StreamExt, stream};

use crate::limits::{HASH_JOIN_ROWS, LOOP_JOIN_ROWS};

/// The plan, with its windows and joins watched.
#[expect(deprecated, reason = "the new call asks which properties stay, which are all")]
pub(crate) fn watch(plan: Arc<dyn ExecutionPlan>, context: &QueryContext) -> Result<Arc<dyn ExecutionPlan>> {
    let watched = plan.transform_up(|node| {
        // Both joins keep their first input and go through the second.
        let (from, how) = match node.name() {
            "WindowAggExec" | "BoundedWindowAggExec" => (0, How::Counted),
            "NestedLoopJoinExec" | "CrossJoinExec" => (1, How::Sliced(LOOP_JOIN_ROWS)),
            "HashJoinExec" => (1, How::Sliced(HASH_JOIN_ROWS)),
            _ => return Ok(Transformed::no(node)),
        };
        let mut inputs: Vec<Arc<dyn ExecutionPlan>> = node.children().into_iter().cloned().collect();
        if let Some(input) = inputs.get_mut(from) {
            *input = Arc::new(Watched { input: Arc::clone(input), how, context: context.clone() });
        }
        Ok(Transformed::yes(node.with_new_children(inputs)?))
    })?;
    Ok(watched.data)
}

#[derive(Clone, Copy, Debug)]
enum How {
    /// Its rows are memory of the statement: a window holds all its input and tells no one.
    Counted,
    /// It comes in batches of so many rows at most: what a join does with one batch is not interrupted.
    Sliced(usize),
}

#[derive(Debug)]
struct Watched {
    input: Arc<dyn ExecutionPlan>,
    how: How,
    context: QueryContext,
}

impl DisplayAs for Watched {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Watched: {:?}", self.how)
    }
}

impl ExecutionPlan for Watched {
    fn name(&self) -> &'static str {
        "Watched"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.input.properties()
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn apply_expressions(&self, _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(self: Arc<Self>, mut children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(match children.pop() {
            Some(input) => Arc::new(Self { input, how: self.how, context: self.context.clone() }),
            None => self,
        })
    }

    fn execute(&self, partition: usize, task: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let input = self.input.execute(partition, Arc::clone(&task))?;
        let schema = input.schema();
        match self.how {
            How::Counted => {
                // Lives in the closure, and that as long as the window that reads it.
                let reservation = MemoryConsumer::new("window").register(task.memory_pool());
                let counted = input.map(move |batch| {
                    let batch = batch?;
                    // Twice: the window puts what it holds together in one.
                    reservation.try_grow(2 * batch.get_array_memory_size())?;
                    Ok(batch)
                });
                Ok(Box::pin(RecordBatchStreamAdapter::new(schema, counted)))
            }
            How::Sliced(rows) => {
                let context = self.context.clone();
                let sliced = input.flat_map(move |batch| {
                    let context = context.clone();
                    stream::iter(slices(batch, rows)).map(move |slice| {
                        context.check().map_err(|error| DataFusionError::External(Box::new(error)))?;
                        slice
                    })
                });
                Ok(Box::pin(RecordBatchStreamAdapter::new(schema, sliced)))
            }
        }
    }
}

type Batch = datafusion::arrow::array::RecordBatch;

fn slices(batch: Result<Batch>, rows: usize) -> Vec<Result<Batch>> {
    match batch {
        Err(error) => vec![Err(error)],
        Ok(batch) => (0..batch.num_rows()).step_by(rows).map(|from| Ok(batch.slice(from, rows.min(batch.num_rows() - from)))).collect(),
    }
}
