//! The state of one measure: filled by each thread, merged, and read out into the places of a layout.

use arrow::array::Array;
use event::{PersonHash, UniqueSketch};
use event_store::{MeasureFn, Measured, QueryContext, QueryError};

use super::cells::group_and_bucket;
use super::column::{Batch, Column};
use super::layout::Layout;
use super::numbers::{Numbers, quantile};
use super::pairs::{self, PairList, SortedPairs};
use super::scan::{Query, Reserved};

/// Bytes a cell of a measure takes, besides what sketches and lists take on top.
pub(super) const CELL_BYTES: usize = 64;

/// What a measure has counted, by cell. `P` is a [`PairList`] in a thread and [`SortedPairs`] once merged.
pub(super) enum Tally<P> {
    /// Events or sessions.
    Count(Vec<u64>),
    /// Numeric values.
    Numbers(Vec<Numbers>),
    /// Distinct keys.
    Distinct(P),
    /// Events of persons, and the persons.
    PerPerson { counts: Vec<u64>, persons: P },
    /// Numeric values of persons, and the persons.
    NumbersPerPerson { numbers: Vec<Numbers>, persons: P },
    /// Numeric values, each with its cell.
    Values { values: Vec<(u32, f64)>, memory: Reserved },
    /// Sketches of persons.
    Sketches { sketches: Vec<UniqueSketch>, memory: Reserved },
}

/// Selected rows of a batch and their cells.
pub(super) struct Selection<'s> {
    /// Rows of the batch, ascending.
    pub(super) rows: &'s [u32],
    /// The cell of each.
    pub(super) cells: &'s [u32],
    /// The key of each cell the thread knows.
    pub(super) cell_keys: &'s [u64],
}

impl Selection<'_> {
    fn iter(&self) -> impl Iterator<Item = (usize, usize)> {
        self.rows.iter().zip(self.cells).map(|(&row, &cell)| (row as usize, cell as usize))
    }

    /// Calls `each` with the person and the cell of every row that has a person.
    fn for_each_person(&self, batch: &Batch, mut each: impl FnMut(usize, u64, usize) -> Result<(), QueryError>) -> Result<(), QueryError> {
        let (persons, nulls) = batch.persons();
        for (row, cell) in self.iter() {
            if nulls.is_none_or(|nulls| nulls.is_valid(row)) {
                each(row, persons[row], cell)?;
            }
        }
        Ok(())
    }
}

impl Tally<PairList> {
    /// An empty state for a measure; sessions are counted elsewhere and only merged here.
    pub(super) fn new(function: &MeasureFn, context: &QueryContext) -> Self {
        match function {
            MeasureFn::Events | MeasureFn::Sessions(_) => Self::Count(Vec::new()),
            MeasureFn::UniqueUsers | MeasureFn::CountDistinct(_) => Self::Distinct(PairList::distinct(context)),
            MeasureFn::UniqueUsersApprox => Self::Sketches { sketches: Vec::new(), memory: Reserved::new(context) },
            MeasureFn::Sum(_) | MeasureFn::Avg(_) | MeasureFn::Min(_) | MeasureFn::Max(_) => Self::Numbers(Vec::new()),
            MeasureFn::Quantile(..) => Self::Values { values: Vec::new(), memory: Reserved::new(context) },
            MeasureFn::EventsPerUser => Self::PerPerson { counts: Vec::new(), persons: PairList::distinct(context) },
            MeasureFn::AvgPerUser(_) => Self::NumbersPerPerson { numbers: Vec::new(), persons: PairList::distinct(context) },
        }
    }

    /// Counts selected rows; `field` is the column that the measure reads, where it reads one.
    ///
    /// # Errors
    /// [`QueryError::Memory`].
    pub(super) fn update(&mut self, batch: &Batch, field: Option<&Column>, selection: &Selection<'_>) -> Result<(), QueryError> {
        let cell_count = selection.cell_keys.len();
        let key_of = |cell: usize| selection.cell_keys[cell];
        match self {
            Self::Count(counts) => {
                counts.resize(cell_count, 0);
                selection.cells.iter().for_each(|&cell| counts[cell as usize] += 1);
                Ok(())
            }
            Self::Numbers(numbers) => {
                numbers.resize(cell_count, Numbers::default());
                if let Some(column) = field {
                    add_numbers(column, selection, numbers);
                }
                Ok(())
            }
            Self::Distinct(set) => match field {
                None => selection.for_each_person(batch, |_, person, cell| set.push(person, key_of(cell))),
                Some(column) => selection.iter().try_for_each(|(row, cell)| match column.get(row).distinct_hash() {
                    Some(hash) => set.push(hash, key_of(cell)),
                    None => Ok(()),
                }),
            },
            Self::PerPerson { counts, persons } => {
                counts.resize(cell_count, 0);
                selection.for_each_person(batch, |_, person, cell| {
                    counts[cell] += 1;
                    persons.push(person, key_of(cell))
                })
            }
            Self::NumbersPerPerson { numbers, persons } => {
                numbers.resize(cell_count, Numbers::default());
                let Some(column) = field else { return Ok(()) };
                selection.for_each_person(batch, |row, person, cell| {
                    let value = column.get(row);
                    if value.number().is_none() {
                        return Ok(());
                    }
                    numbers[cell].add(value);
                    persons.push(person, key_of(cell))
                })
            }
            Self::Values { values, memory } => {
                let Some(column) = field else { return Ok(()) };
                let numbers = selection.iter().filter_map(|(row, cell)| Some((cell as u32, column.get(row).number()?.to_f64())));
                values.extend(numbers);
                memory.set(values.capacity() * size_of::<(u32, f64)>())
            }
            Self::Sketches { sketches, memory } => {
                sketches.resize(cell_count, UniqueSketch::default());
                let mut last = None;
                selection.for_each_person(batch, |_, person, cell| {
                    if last != Some((person, cell)) {
                        last = Some((person, cell));
                        let sketch = &mut sketches[cell];
                        let before = sketch.memory_bytes();
                        sketch.insert(PersonHash(person));
                        let after = sketch.memory_bytes();
                        if after > before {
                            memory.grow(after - before)?;
                        }
                    }
                    Ok(())
                })
            }
        }
    }

    /// Joins the states of the threads; `cell_maps` gives for each thread's cells the cells of the query, of which there are `cells`.
    ///
    /// # Errors
    /// [`QueryError::Memory`]; limits of the query.
    pub(super) fn merge(
        function: &MeasureFn,
        tallies: Vec<Self>,
        cell_maps: &[Vec<u32>],
        cells: usize,
        query: &Query<'_>,
    ) -> Result<Tally<SortedPairs>, QueryError> {
        let mut all_counts = vec![0u64; cells];
        let mut all_numbers = vec![Numbers::default(); cells];
        let mut all_values = (Vec::new(), Reserved::new(query.context));
        let mut all_sketches = (Vec::new(), Reserved::new(query.context));
        let mut lists = Vec::new();
        for (tally, map) in tallies.into_iter().zip(cell_maps) {
            let place = |cell: usize| map[cell] as usize;
            let mut add_counts = |counts: Vec<u64>| counts.iter().enumerate().for_each(|(cell, count)| all_counts[place(cell)] += count);
            let mut add_numbers =
                |numbers: Vec<Numbers>| numbers.iter().enumerate().for_each(|(cell, numbers)| all_numbers[place(cell)].merge(numbers));
            match tally {
                Self::Count(counts) => add_counts(counts),
                Self::Numbers(numbers) => add_numbers(numbers),
                Self::Distinct(list) => lists.push(list),
                Self::PerPerson { counts, persons } => {
                    add_counts(counts);
                    lists.push(persons);
                }
                Self::NumbersPerPerson { numbers, persons } => {
                    add_numbers(numbers);
                    lists.push(persons);
                }
                Self::Values { values, .. } => {
                    all_values.1.grow(values.len() * size_of::<(u32, f64)>())?;
                    all_values.0.extend(values.into_iter().map(|(cell, value)| (map[cell as usize], value)));
                }
                Self::Sketches { sketches, memory } => {
                    all_sketches.0.resize(cells, UniqueSketch::default());
                    all_sketches.1.grow(sketches.iter().map(UniqueSketch::memory_bytes).sum())?;
                    sketches.iter().enumerate().for_each(|(cell, sketch)| all_sketches.0[place(cell)].merge(sketch));
                    drop(memory);
                }
            }
        }
        let pairs = || PairList::merge(lists, query);
        Ok(match function {
            MeasureFn::Events | MeasureFn::Sessions(_) => Tally::Count(all_counts),
            MeasureFn::UniqueUsers | MeasureFn::CountDistinct(_) => Tally::Distinct(pairs()?),
            MeasureFn::UniqueUsersApprox => {
                all_sketches.0.resize(cells, UniqueSketch::default());
                Tally::Sketches { sketches: all_sketches.0, memory: all_sketches.1 }
            }
            MeasureFn::Sum(_) | MeasureFn::Avg(_) | MeasureFn::Min(_) | MeasureFn::Max(_) => Tally::Numbers(all_numbers),
            MeasureFn::Quantile(..) => Tally::Values { values: all_values.0, memory: all_values.1 },
            MeasureFn::EventsPerUser => Tally::PerPerson { counts: all_counts, persons: pairs()? },
            MeasureFn::AvgPerUser(_) => Tally::NumbersPerPerson { numbers: all_numbers, persons: pairs()? },
        })
    }
}

fn add_numbers(column: &Column, selection: &Selection<'_>, numbers: &mut [Numbers]) {
    match column.floats() {
        Some(floats) => {
            for (row, cell) in selection.iter().filter(|&(row, _)| floats.is_valid(row)) {
                numbers[cell].add_float(floats.value(row));
            }
        }
        None => selection.iter().for_each(|(row, cell)| numbers[cell].add(column.get(row))),
    }
}

/// A measure's results: by place of the layout, and by rank over the whole range.
pub(super) struct Results {
    pub(super) rows: Vec<Measured>,
    pub(super) totals: Vec<Measured>,
}

/// A value per place and per rank.
struct Sums<T> {
    rows: Vec<T>,
    totals: Vec<T>,
}

impl<T: Clone> Sums<T> {
    fn new(layout: &Layout, zero: T) -> Self {
        Self { rows: vec![zero.clone(); layout.cells().len()], totals: vec![zero; layout.rank_count()] }
    }

    fn of<S>(layout: &Layout, by_cell: &[S], zero: T, add: impl Fn(&mut T, &S)) -> Self {
        let mut sums = Self::new(layout, zero);
        for (cell, value) in by_cell.iter().enumerate() {
            let place = layout.place(cell);
            add(&mut sums.rows[place], value);
            add(&mut sums.totals[layout.cells()[place].0 as usize], value);
        }
        sums
    }

    fn results(&self, measured: impl Fn(&T) -> Measured) -> Results {
        Results { rows: self.rows.iter().map(&measured).collect(), totals: self.totals.iter().map(&measured).collect() }
    }

    fn results_over(&self, divisors: &Sums<u64>, measured: impl Fn(&T, u64) -> Option<f64>) -> Results {
        let divide = |values: &[T], divisors: &[u64]| {
            values.iter().zip(divisors).map(|(value, &divisor)| Measured::Number(measured(value, divisor))).collect()
        };
        Results { rows: divide(&self.rows, &divisors.rows), totals: divide(&self.totals, &divisors.totals) }
    }
}

impl Tally<SortedPairs> {
    /// Reads the state out into the places of a layout.
    ///
    /// # Errors
    /// [`QueryError::Memory`]; limits of the query.
    pub(super) fn results(&self, function: &MeasureFn, layout: &Layout, query: &Query<'_>) -> Result<Results, QueryError> {
        let number = |value: &Option<f64>| Measured::Number(*value);
        let merge_numbers = |numbers: &[Numbers]| Sums::of(layout, numbers, Numbers::default(), |sum, numbers| sum.merge(numbers));
        Ok(match self {
            Self::Count(counts) => Sums::of(layout, counts, 0, |sum, count| *sum += count).results(|&sum| Measured::Count(sum)),
            Self::Numbers(numbers) => merge_numbers(numbers).results(|numbers| {
                number(&match function {
                    MeasureFn::Avg(_) => numbers.sum_over(numbers.count),
                    MeasureFn::Min(_) => numbers.min(),
                    MeasureFn::Max(_) => numbers.max(),
                    _ => numbers.sum(),
                })
            }),
            Self::Distinct(set) => count_keys(set, layout, query)?.results(|&count| Measured::Count(count)),
            Self::PerPerson { counts, persons } => {
                let events = Sums::of(layout, counts, 0u64, |sum, count| *sum += count);
                events.results_over(&count_keys(persons, layout, query)?, |&events, persons| {
                    (persons > 0).then(|| events as f64 / persons as f64)
                })
            }
            Self::NumbersPerPerson { numbers, persons } => {
                let persons = count_keys(persons, layout, query)?;
                merge_numbers(numbers).results_over(&persons, Numbers::sum_over)
            }
            Self::Values { values, .. } => quantiles(values, function, layout, query)?,
            Self::Sketches { sketches, .. } => {
                let merged = Sums::of(layout, sketches, UniqueSketch::default(), UniqueSketch::merge);
                merged.results(|sketch| Measured::Count(sketch.estimate().round() as u64))
            }
        })
    }
}

/// Distinct keys per place and rank; a key of several folded groups counts once in the rest.
fn count_keys(set: &SortedPairs, layout: &Layout, query: &Query<'_>) -> Result<Sums<u64>, QueryError> {
    let make = || (Sums::new(layout, 0u64), Vec::new());
    let counted = set.for_each_key(query, &make, &|(sums, rest_buckets): &mut (Sums<u64>, Vec<u32>), pairs| {
        let mut last_group = None;
        for &pair in pairs {
            let (group, bucket) = group_and_bucket(pairs::payload(pair));
            let rank = layout.rank(group);
            if layout.is_rest(rank) {
                rest_buckets.push(bucket);
                continue;
            }
            if let Some(place) = layout.place_of(rank, bucket) {
                sums.rows[place] += 1;
            }
            if last_group != Some(group) {
                last_group = Some(group);
                sums.totals[rank as usize] += 1;
            }
        }
        if !rest_buckets.is_empty() {
            let rest = layout.rank_count() - 1;
            sums.totals[rest] += 1;
            rest_buckets.sort_unstable();
            rest_buckets.dedup();
            for bucket in rest_buckets.drain(..) {
                if let Some(place) = layout.place_of(rest as u32, bucket) {
                    sums.rows[place] += 1;
                }
            }
        }
        Ok(())
    })?;
    let mut all = Sums::new(layout, 0);
    for (sums, _) in counted {
        all.rows.iter_mut().zip(sums.rows).for_each(|(all, count)| *all += count);
        all.totals.iter_mut().zip(sums.totals).for_each(|(all, count)| *all += count);
    }
    Ok(all)
}

/// Exact quantiles: values are placed by a counting sort, then selected within each place, then within each rank.
fn quantiles(values: &[(u32, f64)], function: &MeasureFn, layout: &Layout, query: &Query<'_>) -> Result<Results, QueryError> {
    let MeasureFn::Quantile(_, q) = function else { return Ok(Results { rows: Vec::new(), totals: Vec::new() }) };
    let mut memory = Reserved::new(query.context);
    memory.grow(size_of_val(values))?;
    let mut ends = vec![0usize; layout.cells().len() + 1];
    values.iter().for_each(|&(cell, _)| ends[layout.place(cell as usize) + 1] += 1);
    for place in 1..ends.len() {
        ends[place] += ends[place - 1];
    }
    let starts = ends.clone();
    let mut placed = vec![0f64; values.len()];
    // After this, `ends[place]` is where the place ends: each began as its start.
    for &(cell, value) in values {
        let end = &mut ends[layout.place(cell as usize)];
        placed[*end] = value;
        *end += 1;
    }
    query.context.check()?;
    let mut rows = Vec::with_capacity(layout.cells().len());
    for place in 0..layout.cells().len() {
        query.context.check()?;
        rows.push(Measured::Number(quantile(&mut placed[starts[place]..starts[place + 1]], *q)));
    }
    let mut totals = vec![Measured::Number(None); layout.rank_count()];
    for (rank, total) in totals.iter_mut().enumerate() {
        query.context.check()?;
        let of_rank = |rank: usize| layout.cells().partition_point(|&(of_cell, _)| (of_cell as usize) < rank);
        let range = starts[of_rank(rank)]..starts[of_rank(rank + 1)];
        *total = Measured::Number(quantile(&mut placed[range], *q));
    }
    Ok(Results { rows, totals })
}
