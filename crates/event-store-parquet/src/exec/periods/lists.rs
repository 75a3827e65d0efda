//! What persons did as numbers in a list of each: by ordinal where persons have them, else by key.

use event_store::{QueryContext, QueryError};

use crate::decoded::NO_PERSON;
use crate::exec::batch::{Batch, Persons};
use crate::exec::by_ordinal::{OrdinalLists, PARTITION_PERSONS, PersonLists};
use crate::exec::column_scan::Reading;
use crate::exec::pairs::{self, PairList, SortedPairs};
use crate::exec::scan::{Query, Reserved};

/// What one thread has seen.
pub(in crate::exec) enum Recorder {
    Ordinals(OrdinalLists),
    Keys(PairList),
}

impl Recorder {
    pub(in crate::exec) fn new(reading: &Reading, context: &QueryContext) -> Self {
        if reading.has_ordinals() { Self::Ordinals(OrdinalLists::new(context)) } else { Self::Keys(PairList::distinct(context)) }
    }

    /// Records a number for the person of each row for which `number_of` has one: it gets the row and what tells the person from others
    /// in this query, and is asked in the order of rows.
    ///
    /// # Errors
    /// The first of `number_of`; [`QueryError::Memory`].
    pub(in crate::exec) fn record(
        &mut self,
        batch: &Batch,
        reading: &Reading,
        mut number_of: impl FnMut(usize, u64) -> Result<Option<u64>, QueryError>,
    ) -> Result<(), QueryError> {
        match self {
            Self::Ordinals(list) => {
                let Persons::Ordinals(ordinals) = batch.persons() else { return Ok(()) };
                let mut persons = ordinals.values.iter().enumerate().filter(|(_, ordinal)| **ordinal != NO_PERSON);
                persons.try_for_each(|(row, &ordinal)| match number_of(row, u64::from(ordinal))? {
                    Some(number) => list.push(ordinal, number),
                    None => Ok(()),
                })
            }
            Self::Keys(list) => batch.persons().try_for_each_key(reading, |row, key| match number_of(row, key)? {
                Some(number) => list.push(key, number),
                None => Ok(()),
            }),
        }
    }
}

/// What is done with the numbers of one person in the state of the thread.
type EachPerson<'e, W> = dyn Fn(&mut W, &[u64]) -> Result<(), QueryError> + Sync + 'e;

/// The numbers of all persons.
pub(in crate::exec) enum PersonMoments {
    Ordinals { lists: Vec<PersonLists>, _memory: Vec<Reserved> },
    Keys(SortedPairs),
}

impl PersonMoments {
    /// Joins what the threads have recorded.
    ///
    /// # Errors
    /// [`QueryError::Memory`]; limits of the query.
    pub(in crate::exec) fn merge(recorders: Vec<Recorder>, query: &Query<'_>) -> Result<Self, QueryError> {
        let (mut by_ordinal, mut by_key) = (Vec::new(), Vec::new());
        for recorder in recorders {
            match recorder {
                Recorder::Ordinals(list) => by_ordinal.push(list),
                Recorder::Keys(list) => by_key.push(list),
            }
        }
        if by_key.is_empty() {
            let (lists, memory) = OrdinalLists::merge(by_ordinal, query)?;
            return Ok(Self::Ordinals { lists, _memory: memory });
        }
        PairList::merge(by_key, query).map(Self::Keys)
    }

    /// Calls `each` with the ascending numbers of every person that has any.
    ///
    /// # Errors
    /// The first of `each`; limits of the query.
    pub(in crate::exec) fn for_each<W: Send>(
        &self,
        query: &Query<'_>,
        make: &(dyn Fn() -> W + Sync),
        each: &EachPerson<'_, W>,
    ) -> Result<Vec<W>, QueryError> {
        /// Persons between two looks at the query's limits.
        const PERSONS_PER_CHECK: usize = 512;
        match self {
            Self::Ordinals { lists, .. } => query.parallel(lists.len(), make, &|state, partition| {
                for place in 0..PARTITION_PERSONS {
                    if place % PERSONS_PER_CHECK == 0 {
                        query.context.check()?;
                    }
                    let numbers = lists[partition].get(place);
                    if !numbers.is_empty() {
                        each(state, numbers)?;
                    }
                }
                Ok(())
            }),
            Self::Keys(pairs) => {
                let make = || (make(), Vec::new());
                let states = pairs.for_each_key(query, &make, &|(state, numbers): &mut (W, Vec<u64>), pairs| {
                    numbers.clear();
                    numbers.extend(pairs.iter().map(|&pair| pairs::payload(pair)));
                    each(state, numbers)
                })?;
                Ok(states.into_iter().map(|(state, _)| state).collect())
            }
        }
    }
}
