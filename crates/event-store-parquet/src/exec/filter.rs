//! A filter, prepared once per query and evaluated over whole batches.

use event_store::{Field, Filter, Op, QueryContext, QueryError, Value};

use super::batch::{Batch, Fields};
use super::comparison::Comparison;
use super::mask::Mask;
use super::text::Verdicts;

/// A prepared [`Filter`].
#[derive(Debug)]
pub(super) enum Predicate {
    All(Vec<Predicate>),
    Any(Vec<Predicate>),
    Not(Box<Predicate>),
    Compare { field: usize, comparison: Comparison, memo: usize },
}

/// Prepares the filters of one query: collects their fields, and numbers the comparisons so that each has a memo per thread.
pub(super) struct Preparation<'f> {
    /// The fields seen so far.
    pub(super) fields: &'f mut Fields,
    memos: usize,
}

impl<'f> Preparation<'f> {
    pub(super) fn new(fields: &'f mut Fields) -> Self {
        Self { fields, memos: 0 }
    }

    /// Prepares a filter.
    ///
    /// # Errors
    /// [`QueryError::Invalid`] for an invalid regular expression.
    pub(super) fn filter(&mut self, filter: &Filter) -> Result<Predicate, QueryError> {
        let mut all = |filters: &[Filter]| filters.iter().map(|filter| self.filter(filter)).collect::<Result<Vec<_>, _>>();
        Ok(match filter {
            Filter::And(filters) => {
                let mut predicates = all(filters)?;
                // What a comparison of codes answers goes first: the others then look at fewer rows.
                predicates.sort_by_key(|predicate| !predicate.is_equality());
                Predicate::All(predicates)
            }
            Filter::Or(filters) => Predicate::Any(all(filters)?),
            Filter::Not(inner) => Predicate::Not(Box::new(self.filter(inner)?)),
            Filter::Compare(field, op) => {
                self.memos += 1;
                Predicate::Compare { field: self.fields.add(field), comparison: Comparison::new(op)?, memo: self.memos - 1 }
            }
        })
    }

    /// Prepares a selection: any of the names (every name for `None`), and the filter.
    ///
    /// # Errors
    /// As for [`Preparation::filter`].
    pub(super) fn selection(&mut self, events: Option<&[String]>, filter: &Filter) -> Result<Predicate, QueryError> {
        let filter = self.filter(filter)?;
        let Some(events) = events else { return Ok(filter) };
        let names = Op::In(events.iter().cloned().map(Value::Str).collect());
        let named = self.filter(&Filter::Compare(Field::Event, names))?;
        Ok(if filter.is_always() { named } else { Predicate::All(vec![named, filter]) })
    }

    /// Comparisons so far, each with a memo of its own.
    pub(super) fn memo_count(&self) -> usize {
        self.memos
    }
}

/// What one thread knows about dictionary values, per comparison, and whether its query may go on.
pub(super) struct Memos {
    verdicts: Vec<Verdicts>,
    context: QueryContext,
}

impl Memos {
    /// For this many comparisons.
    pub(super) fn new(comparisons: usize, context: &QueryContext) -> Self {
        Self { verdicts: (0..comparisons).map(|_| Verdicts::default()).collect(), context: context.clone() }
    }
}

impl Predicate {
    /// True when it holds for every event, without looking.
    pub(super) fn is_always(&self) -> bool {
        matches!(self, Self::All(predicates) if predicates.iter().all(Self::is_always))
    }

    /// Adds the positions of the fields that it looks at.
    pub(super) fn add_fields(&self, fields: &mut Vec<usize>) {
        match self {
            Self::All(predicates) | Self::Any(predicates) => predicates.iter().for_each(|predicate| predicate.add_fields(fields)),
            Self::Not(inner) => inner.add_fields(fields),
            Self::Compare { field, .. } => fields.push(*field),
        }
    }

    fn is_equality(&self) -> bool {
        matches!(self, Self::Compare { comparison: Comparison::In(constants), .. } if constants.is_one_text())
    }

    /// The rows of the batch for which it holds; of those in `within`, where it is given.
    ///
    /// A request may have a hundred expressions, each over thousands of texts, so a query that must stop stops between them: the mask is
    /// then of no use, and [`QueryContext::check`] says so to whoever looks next. Look before the mask counts for anything.
    pub(super) fn evaluate(&self, batch: &Batch, within: Option<&Mask>, memos: &mut Memos) -> Mask {
        let candidates = || within.cloned().unwrap_or_else(|| Mask::all(batch.rows()));
        match self {
            Self::All(predicates) => {
                let mut result: Option<Mask> = None;
                for predicate in predicates.iter().filter(|predicate| !predicate.is_always()) {
                    let mask = predicate.evaluate(batch, result.as_ref().or(within), memos);
                    if mask.is_none() {
                        return mask;
                    }
                    result = Some(mask);
                }
                result.unwrap_or_else(candidates)
            }
            Self::Any(predicates) => {
                let mut result = Mask::none(batch.rows());
                for predicate in predicates {
                    result.add(&predicate.evaluate(batch, within, memos));
                }
                result
            }
            Self::Not(inner) => {
                let mut result = candidates();
                result.remove(&inner.evaluate(batch, within, memos));
                result
            }
            Self::Compare { .. } if memos.context.check().is_err() => Mask::none(batch.rows()),
            Self::Compare { field, comparison, memo } => {
                batch.column(*field).compare(comparison, batch.rows(), within, &mut memos.verdicts[*memo])
            }
        }
    }
}
