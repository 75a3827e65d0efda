//! The state of one measure: filled by each thread, merged, and read out into the places of a layout.

use arrow::array::Array;
use event::UniqueSketch;
use event_store::{MeasureFn, Measured, QueryContext, QueryError};

use super::batch::Batch;
use super::column::Column;
use super::column_scan::Reading;
use super::distinct::{Distinct, PersonCells, SketchCells, ThreadCells, ValueCells};
use super::layout::Layout;
use super::numbers::{Numbers, quantile};
use super::reach::Reach;
use super::rows::{RowCells, Rows, Selection};
use super::scan::{Query, Reserved};

/// Bytes a cell of a measure takes, besides what sketches and lists take on top.
pub(super) const CELL_BYTES: usize = 64;

/// What one thread has counted for a measure, by cell of the thread.
pub(super) enum Tally {
    /// Events or sessions.
    Count(Vec<u64>),
    /// Numeric values.
    Numbers(Vec<Numbers>),
    /// Distinct persons.
    Persons(PersonCells),
    /// Distinct values.
    DistinctValues(ValueCells),
    /// Events of persons, and the persons.
    PerPerson { counts: Vec<u64>, persons: PersonCells },
    /// Numeric values of persons, and the persons.
    NumbersPerPerson { numbers: Vec<Numbers>, persons: PersonCells },
    /// Numeric values, each with its cell.
    Values { values: Vec<(u32, f64)>, memory: Reserved },
    /// Sketches of persons.
    Sketches(SketchCells),
}

/// What all threads have counted for a measure, by cell of the query.
pub(super) enum Merged {
    Count(Vec<u64>),
    Numbers(Vec<Numbers>),
    Distinct(Distinct),
    PerPerson { counts: Vec<u64>, persons: Distinct },
    NumbersPerPerson { numbers: Vec<Numbers>, persons: Distinct },
    Values { values: Vec<(u32, f64)>, _memory: Reserved },
    Sketches { sketches: Vec<UniqueSketch>, _memory: Reserved },
}

/// What a tally looks at.
pub(super) struct Update<'u> {
    pub(super) batch: &'u Batch,
    /// The column that the measure reads, where it reads one.
    pub(super) field: Option<&'u Column>,
    pub(super) selection: Selection<'u>,
    /// The key of each cell the thread knows.
    pub(super) cell_keys: &'u [u64],
    pub(super) reading: &'u Reading,
    pub(super) context: &'u QueryContext,
}

impl Tally {
    /// An empty state for a measure; sessions are counted elsewhere and only merged here.
    pub(super) fn new(function: &MeasureFn, reading: &Reading, context: &QueryContext) -> Self {
        match function {
            MeasureFn::Events | MeasureFn::Sessions(_) => Self::Count(Vec::new()),
            MeasureFn::UniqueUsers => Self::Persons(PersonCells::new(reading, context)),
            MeasureFn::CountDistinct(_) => Self::DistinctValues(ValueCells::new(context)),
            MeasureFn::UniqueUsersApprox => Self::Sketches(SketchCells::new(reading, context)),
            MeasureFn::Sum(_) | MeasureFn::Avg(_) | MeasureFn::Min(_) | MeasureFn::Max(_) => Self::Numbers(Vec::new()),
            MeasureFn::Quantile(..) => Self::Values { values: Vec::new(), memory: Reserved::new(context) },
            MeasureFn::EventsPerUser => Self::PerPerson { counts: Vec::new(), persons: PersonCells::new(reading, context) },
            MeasureFn::AvgPerUser(_) => Self::NumbersPerPerson { numbers: Vec::new(), persons: PersonCells::new(reading, context) },
        }
    }

    /// Counts selected rows.
    ///
    /// # Errors
    /// [`QueryError::Memory`].
    pub(super) fn update(&mut self, update: &Update<'_>) -> Result<(), QueryError> {
        let Update { batch, field, selection, cell_keys, reading, context } = *update;
        let cell_count = cell_keys.len();
        match self {
            Self::Count(counts) => {
                counts.resize(cell_count, 0);
                count_rows(counts, selection);
                Ok(())
            }
            Self::Numbers(numbers) => {
                numbers.resize(cell_count, Numbers::default());
                if let Some(column) = field {
                    add_numbers(column, selection, numbers);
                }
                Ok(())
            }
            Self::Persons(persons) => persons.add(batch, selection, cell_keys, reading),
            Self::DistinctValues(values) => match field {
                Some(column) => values.add(column, selection, cell_keys, context),
                None => Ok(()),
            },
            Self::PerPerson { counts, persons } => {
                counts.resize(cell_count, 0);
                selection.for_each(|row, cell| counts[cell] += u64::from(batch.persons().is_set(row)));
                persons.add(batch, selection, cell_keys, reading)
            }
            Self::NumbersPerPerson { numbers, persons } => {
                numbers.resize(cell_count, Numbers::default());
                let Some(column) = field else { return Ok(()) };
                let (mut rows, mut cells) = (Vec::new(), Vec::new());
                selection.for_each(|row, cell| {
                    let value = column.get(row);
                    if batch.persons().is_set(row) && value.number().is_some() {
                        numbers[cell].add(value);
                        rows.push(row as u32);
                        cells.push(cell as u32);
                    }
                });
                let of_numbers = Selection { rows: Rows::Some(&rows), cells: RowCells::Each(&cells) };
                persons.add(batch, of_numbers, cell_keys, reading)
            }
            Self::Values { values, memory } => {
                let Some(column) = field else { return Ok(()) };
                add_values(column, selection, values);
                memory.set(values.capacity() * size_of::<(u32, f64)>())
            }
            Self::Sketches(sketches) => sketches.add(batch, selection, cell_count, reading),
        }
    }

    /// Adds events that were counted without looking at persons or values.
    pub(super) fn count_events(&mut self, cell: usize, events: u64) {
        if let Self::Count(counts) = self {
            counts.resize(counts.len().max(cell + 1), 0);
            counts[cell] += events;
        }
    }
}

impl Merged {
    /// Joins the states of the threads.
    ///
    /// # Errors
    /// [`QueryError::Memory`]; limits of the query.
    pub(super) fn new(
        function: &MeasureFn,
        threads: Vec<Tally>,
        cells: &ThreadCells<'_>,
        reading: &Reading,
        query: &Query<'_>,
    ) -> Result<Self, QueryError> {
        let mut all_counts = vec![0u64; cells.count];
        let mut all_numbers = vec![Numbers::default(); cells.count];
        let mut all_values = (Vec::new(), Reserved::new(query.context));
        let (mut all_persons, mut all_distinct, mut all_sketches) = (Vec::new(), Vec::new(), Vec::new());
        for (tally, map) in threads.into_iter().zip(&cells.maps) {
            let place = |cell: usize| map[cell] as usize;
            let mut add_counts = |counts: Vec<u64>| counts.iter().enumerate().for_each(|(cell, count)| all_counts[place(cell)] += count);
            let mut add_numbers =
                |numbers: Vec<Numbers>| numbers.iter().enumerate().for_each(|(cell, numbers)| all_numbers[place(cell)].merge(numbers));
            match tally {
                Tally::Count(counts) => add_counts(counts),
                Tally::Numbers(numbers) => add_numbers(numbers),
                Tally::Persons(persons) => all_persons.push(persons),
                Tally::DistinctValues(values) => all_distinct.push(values),
                Tally::PerPerson { counts, persons } => {
                    add_counts(counts);
                    all_persons.push(persons);
                }
                Tally::NumbersPerPerson { numbers, persons } => {
                    add_numbers(numbers);
                    all_persons.push(persons);
                }
                Tally::Values { values, .. } => {
                    all_values.1.grow(values.len() * size_of::<(u32, f64)>())?;
                    all_values.0.extend(values.into_iter().map(|(cell, value)| (map[cell as usize], value)));
                }
                Tally::Sketches(sketches) => all_sketches.push(sketches),
            }
        }
        let persons = || PersonCells::merge(all_persons, cells, reading, query);
        Ok(match function {
            MeasureFn::Events | MeasureFn::Sessions(_) => Self::Count(all_counts),
            MeasureFn::UniqueUsers => Self::Distinct(persons()?),
            MeasureFn::CountDistinct(_) => Self::Distinct(ValueCells::merge(all_distinct, cells, query)?),
            MeasureFn::UniqueUsersApprox => {
                let (sketches, memory) = SketchCells::merge(all_sketches, cells, reading, query)?;
                Self::Sketches { sketches, _memory: memory }
            }
            MeasureFn::Sum(_) | MeasureFn::Avg(_) | MeasureFn::Min(_) | MeasureFn::Max(_) => Self::Numbers(all_numbers),
            MeasureFn::Quantile(..) => Self::Values { values: all_values.0, _memory: all_values.1 },
            MeasureFn::EventsPerUser => Self::PerPerson { counts: all_counts, persons: persons()? },
            MeasureFn::AvgPerUser(_) => Self::NumbersPerPerson { numbers: all_numbers, persons: persons()? },
        })
    }
}

fn count_rows(counts: &mut [u64], selection: Selection<'_>) {
    match selection.cells {
        RowCells::One(cell) => counts[cell as usize] += selection.rows.count() as u64,
        RowCells::Each(cells) => cells.iter().for_each(|&cell| counts[cell as usize] += 1),
    }
}

fn add_values(column: &Column, selection: Selection<'_>, values: &mut Vec<(u32, f64)>) {
    match column.floats() {
        Some(floats) => selection.for_each(|row, cell| {
            if floats.is_valid(row) {
                values.push((cell as u32, floats.value(row)));
            }
        }),
        None => selection.for_each(|row, cell| values.extend(column.get(row).number().map(|number| (cell as u32, number.to_f64())))),
    }
}

fn add_numbers(column: &Column, selection: Selection<'_>, numbers: &mut [Numbers]) {
    match column.floats() {
        Some(floats) => selection.for_each(|row, cell| {
            if floats.is_valid(row) {
                numbers[cell].add_float(floats.value(row));
            }
        }),
        None => selection.for_each(|row, cell| numbers[cell].add(column.get(row))),
    }
}

/// A measure's results: by place of the layout, and by rank over the whole range.
pub(super) struct Results {
    pub(super) rows: Vec<Measured>,
    pub(super) totals: Vec<Measured>,
}

/// A value per place and per rank.
pub(super) struct Sums<T> {
    pub(super) rows: Vec<T>,
    pub(super) totals: Vec<T>,
}

impl<T: Clone> Sums<T> {
    /// The same value everywhere.
    pub(super) fn new(layout: &Layout, zero: T) -> Self {
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

    /// The same with the rows joined that each reaches back to; all places of the layout are filled.
    pub(super) fn reaching(self, reach: Option<&Reach<'_>>, zero: &T, add: impl Fn(&mut T, &T)) -> Self {
        match reach {
            None => self,
            Some(reach) => {
                let of_rank = |own: &[T]| reach.join(own, zero, &add);
                Self { rows: self.rows.chunks(reach.buckets().max(1)).flat_map(of_rank).collect(), totals: self.totals }
            }
        }
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

impl Merged {
    /// Reads the state out into the places of a layout. A measure that reaches back has a layout in which all places are filled; its totals
    /// are those of all buckets all the same.
    ///
    /// # Errors
    /// [`QueryError::Memory`]; limits of the query.
    pub(super) fn results(
        &self,
        function: &MeasureFn,
        layout: &Layout,
        reach: Option<&Reach<'_>>,
        query: &Query<'_>,
    ) -> Result<Results, QueryError> {
        let merge_numbers = |numbers: &[Numbers]| {
            Sums::of(layout, numbers, Numbers::default(), Numbers::merge).reaching(reach, &Numbers::default(), Numbers::merge)
        };
        let add_counts =
            |counts: &[u64]| Sums::of(layout, counts, 0u64, |sum, count| *sum += count).reaching(reach, &0, |sum, count| *sum += count);
        Ok(match self {
            Self::Count(counts) => add_counts(counts).results(|&sum| Measured::Count(sum)),
            Self::Numbers(numbers) => merge_numbers(numbers).results(|numbers| match function {
                MeasureFn::Avg(_) => Measured::Number(numbers.sum_over(numbers.count)),
                MeasureFn::Min(_) => numbers.min(),
                MeasureFn::Max(_) => numbers.max(),
                _ => numbers.measured_sum(),
            }),
            Self::Distinct(distinct) => distinct.count(layout, reach, query)?.results(|&count| Measured::Count(count)),
            Self::PerPerson { counts, persons } => {
                let events = add_counts(counts);
                events.results_over(&persons.count(layout, reach, query)?, |&events, persons| {
                    (persons > 0).then(|| events as f64 / persons as f64)
                })
            }
            Self::NumbersPerPerson { numbers, persons } => {
                let persons = persons.count(layout, reach, query)?;
                merge_numbers(numbers).results_over(&persons, Numbers::sum_over)
            }
            Self::Values { values, .. } => quantiles(values, function, layout, reach, query)?,
            Self::Sketches { sketches, .. } => {
                let mut memory = Reserved::new(query.context);
                if reach.is_some() {
                    let largest = sketches.iter().map(UniqueSketch::memory_bytes).max().unwrap_or(0);
                    memory.grow(2 * layout.cells().len() * largest)?;
                }
                let merged = Sums::of(layout, sketches, UniqueSketch::default(), UniqueSketch::merge);
                let merged = merged.reaching(reach, &UniqueSketch::default(), UniqueSketch::merge);
                merged.results(|sketch| Measured::Count(sketch.estimate().round() as u64))
            }
        })
    }
}

/// Exact quantiles: values are placed by a counting sort, then selected within each place, then within each rank.
fn quantiles(
    values: &[(u32, f64)],
    function: &MeasureFn,
    layout: &Layout,
    reach: Option<&Reach<'_>>,
    query: &Query<'_>,
) -> Result<Results, QueryError> {
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
    let mut joined = Vec::new();
    for place in 0..layout.cells().len() {
        query.context.check()?;
        let own = starts[place]..starts[place + 1];
        let Some(reach) = reach else {
            rows.push(Measured::Number(quantile(&mut placed[own], *q)));
            continue;
        };
        // The places of a rank lie side by side, a bucket each: what a value reaches is one piece, which the next value has to find as it was.
        let bucket = place % reach.buckets();
        let first = place - (bucket - reach.since(bucket));
        if bucket > 0 && own.is_empty() && reach.since(bucket) == reach.since(bucket - 1) {
            rows.push(rows[place - 1]);
            continue;
        }
        joined.clear();
        memory.set(size_of_val(values) + (own.end - starts[first]) * size_of::<f64>())?;
        joined.extend_from_slice(&placed[starts[first]..own.end]);
        rows.push(Measured::Number(quantile(&mut joined, *q)));
    }
    let mut totals = vec![Measured::Number(None); layout.rank_count()];
    for (rank, total) in totals.iter_mut().enumerate() {
        query.context.check()?;
        let places = layout.places_of(rank);
        if places.len() == 1 && reach.is_none() {
            *total = rows[places.start];
            continue;
        }
        let range = starts[places.start]..starts[places.end];
        *total = Measured::Number(quantile(&mut placed[range], *q));
    }
    Ok(Results { rows, totals })
}
