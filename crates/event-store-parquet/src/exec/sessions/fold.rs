//! From what all threads have found to the answer: groups ranked and folded, persons counted once, lengths pooled.

use std::cmp::Reverse;

use event_store::{PageRow, QueryError, SessionFigures, SessionsPlan, SessionsRow, SessionsTable, Value};

use super::labels::Marks;
use super::walk::{CellSums, PageSums, Tally, cell_of};
use crate::exec::cells::{CellTable, group_and_bucket};
use crate::exec::layout::Layout;
use crate::exec::numbers::quantile;
use crate::exec::scan::{Query, Reserved};

/// Bytes of a place while it is counted.
const PLACE_BYTES: usize = size_of::<CellSums>() + size_of::<SessionFigures>() + size_of::<usize>() + size_of::<(u64, u32)>();

/// Answers from what the threads have found.
///
/// # Errors
/// Limits of the query.
pub(super) fn fold(
    query: &Query<'_>,
    plan: &SessionsPlan,
    tallies: &[Tally],
    marks: &Marks,
    buckets: usize,
) -> Result<SessionsTable, QueryError> {
    let mut memory = Reserved::new(query.context);
    let (cells, maps) = cells(tallies, buckets);
    memory.grow(cells.len() * PLACE_BYTES)?;
    let mut sums = vec![CellSums::default(); cells.len()];
    for (tally, map) in tallies.iter().zip(&maps) {
        tally.sums.iter().zip(map).for_each(|(of_cell, &cell)| sums[cell as usize].add(of_cell));
    }
    let layout = layout(plan, &cells, &sums, marks.groups.len(), buckets);
    let mut places = vec![CellSums::default(); layout.cells().len()];
    sums.iter().enumerate().for_each(|(cell, of_cell)| places[layout.place(cell)].add(of_cell));

    let users = count_users(query, tallies, &maps, &layout)?;
    let middles = middles(query, tallies, &maps, &layout, &mut memory)?;
    let figures = |sums: &CellSums, users: u64, (median, p90): Middle| SessionFigures {
        sessions: sums.sessions,
        users,
        events: sums.events,
        pages: sums.pages,
        bounces: sums.bounces,
        length_sum_ms: sums.length_ms,
        median_length_ms: median,
        p90_length_ms: p90,
    };
    let sum_of = |places: &[CellSums]| {
        let mut all = CellSums::default();
        places.iter().for_each(|place| all.add(place));
        all
    };
    let groups = groups_by_rank(marks, &layout);
    let mut order: Vec<usize> = (0..places.len()).collect();
    order.sort_by_key(|&place| (layout.cells()[place].1, layout.cells()[place].0));
    let rows = order.into_iter().map(|place| {
        let (rank, bucket) = layout.cells()[place];
        let figures = figures(&places[place], users.by_place[place], middles.by_place[place]);
        SessionsRow { bucket, group: groups[rank as usize].clone(), figures }
    });
    // A group is one because an event has it; that need not be the first of a session.
    let ranks = (0..layout.rank_count()).filter(|&rank| !layout.places_of(rank).is_empty());
    let totals = ranks.map(|rank| {
        let figures = figures(&sum_of(&places[layout.places_of(rank)]), users.by_rank[rank], middles.by_rank[rank]);
        SessionsRow { bucket: 0, group: groups[rank].clone(), figures }
    });
    let pages = pages(tallies, marks.pages.len());
    let page_rows = |of: &dyn Fn(&PageSums) -> (u64, u64)| page_rows(plan, marks, &pages, of);
    Ok(SessionsTable {
        rows: rows.collect(),
        totals: totals.collect(),
        total: figures(&sum_of(&places), users.all, middles.all),
        with_page: tallies.iter().map(|tally| tally.with_page).sum(),
        entry_pages: page_rows(&|page| page.entries),
        exit_pages: page_rows(&|page| page.exits),
        lengths: (0..=plan.bins.len()).map(|bin| tallies.iter().map(|tally| tally.bins[bin]).sum()).collect(),
        ..SessionsTable::default()
    })
}

/// The cells of the query, and each cell of the threads as one of them.
fn cells(tallies: &[Tally], buckets: usize) -> (CellTable, Vec<Vec<u32>>) {
    let mut cells = CellTable::new(buckets);
    let mut number = |&key: &u64| {
        let (group, bucket) = group_and_bucket(key);
        cells.intern(group, bucket)
    };
    let maps = tallies.iter().map(|tally| tally.cells.keys().iter().map(&mut number).collect()).collect();
    (cells, maps)
}

/// Groups by sessions over all buckets, most first; those of one size in their order.
fn layout(plan: &SessionsPlan, cells: &CellTable, sums: &[CellSums], groups: usize, buckets: usize) -> Layout {
    let mut sessions = vec![0u64; groups];
    for (&key, sums) in cells.keys().iter().zip(sums) {
        sessions[group_and_bucket(key).0 as usize] += sums.sessions;
    }
    let mut order: Vec<u32> = (0..groups as u32).collect();
    order.sort_by_key(|&group| (Reverse(sessions[group as usize]), group));
    // The rest is of groups with sessions.
    let keep = if plan.group_by.is_empty() { groups } else { plan.fold_keep };
    Layout::new(&order, keep, cells, buckets)
}

fn groups_by_rank(marks: &Marks, layout: &Layout) -> Vec<Vec<Value>> {
    let mut groups = vec![Vec::new(); layout.rank_count()];
    for (group, values) in marks.groups.iter().enumerate() {
        let rank = layout.rank(group as u32);
        let is_folded = layout.is_rest(rank);
        groups[rank as usize] = values.iter().map(|value| if is_folded { Value::Other } else { value.clone() }).collect();
    }
    groups
}

/// Distinct persons.
struct Users {
    by_place: Vec<u64>,
    by_rank: Vec<u64>,
    all: u64,
}

/// Walks the sessions of each person once more: a person with sessions in two folded groups is one of the rest.
fn count_users(query: &Query<'_>, tallies: &[Tally], maps: &[Vec<u32>], layout: &Layout) -> Result<Users, QueryError> {
    /// Persons between two looks at the query's limits.
    const PERSONS_PER_CHECK: u32 = 16_384;
    struct Counter {
        users: Users,
        /// The number of the last person who was counted, by place and by rank.
        last_by_place: Vec<u32>,
        last_by_rank: Vec<u32>,
        person: u32,
    }
    let (places, ranks) = (layout.cells().len(), layout.rank_count());
    let none = || Users { by_place: vec![0; places], by_rank: vec![0; ranks], all: 0 };
    let make = || Counter { users: none(), last_by_place: vec![0; places], last_by_rank: vec![0; ranks], person: 0 };
    let counters = query.parallel(tallies.len(), &make, &|counter, at| {
        for sessions in tallies[at].persons() {
            let Counter { users, last_by_place, last_by_rank, person } = counter;
            *person += 1;
            if *person % PERSONS_PER_CHECK == 0 {
                query.context.check()?;
            }
            users.all += 1;
            for &entry in sessions {
                let place = layout.place(maps[at][cell_of(entry)] as usize);
                let rank = layout.cells()[place].0 as usize;
                let is_new = |last: &mut u32| u64::from(std::mem::replace(last, *person) != *person);
                users.by_place[place] += is_new(&mut last_by_place[place]);
                users.by_rank[rank] += is_new(&mut last_by_rank[rank]);
            }
        }
        Ok(())
    })?;
    let mut all = none();
    for Counter { users, .. } in counters {
        all.by_place.iter_mut().zip(users.by_place).for_each(|(all, users)| *all += users);
        all.by_rank.iter_mut().zip(users.by_rank).for_each(|(all, users)| *all += users);
        all.all += users.all;
    }
    Ok(all)
}

/// The median of some lengths, and what nine in ten do not pass.
type Middle = (Option<f64>, Option<f64>);

/// The middles of all places, of all ranks, and of everything.
struct Middles {
    by_place: Vec<Middle>,
    by_rank: Vec<Middle>,
    all: Middle,
}

/// Lengths are placed by a counting sort, then selected within each place, then within each rank, then within all.
fn middles(query: &Query<'_>, tallies: &[Tally], maps: &[Vec<u32>], layout: &Layout, memory: &mut Reserved) -> Result<Middles, QueryError> {
    let count: usize = tallies.iter().map(|tally| tally.lengths.len()).sum();
    memory.grow(count * size_of::<f64>())?;
    let mut ends = vec![0usize; layout.cells().len() + 1];
    for (tally, map) in tallies.iter().zip(maps) {
        tally.cells_of_sessions().for_each(|cell| ends[layout.place(map[cell] as usize) + 1] += 1);
    }
    (1..ends.len()).for_each(|place| ends[place] += ends[place - 1]);
    let starts = ends.clone();
    let mut placed = vec![0f64; count];
    for (tally, map) in tallies.iter().zip(maps) {
        for (cell, &length_ms) in tally.cells_of_sessions().zip(&tally.lengths) {
            let end = &mut ends[layout.place(map[cell] as usize)];
            placed[*end] = length_ms;
            *end += 1;
        }
        query.context.check()?;
    }
    let mut middle = |range: std::ops::Range<usize>| {
        query.context.check()?;
        let lengths = &mut placed[range];
        Ok((quantile(lengths, 0.5), quantile(lengths, 0.9)))
    };
    let by_place: Vec<Middle> =
        (0..layout.cells().len()).map(|place| middle(starts[place]..starts[place + 1])).collect::<Result<_, QueryError>>()?;
    let of_rank = |rank: usize| match layout.places_of(rank) {
        places if places.len() == 1 => Ok(by_place[places.start]),
        places => middle(starts[places.start]..starts[places.end]),
    };
    let by_rank: Vec<Middle> = (0..layout.rank_count()).map(of_rank).collect::<Result<_, QueryError>>()?;
    let all = match by_rank[..] {
        [one] => one,
        _ => middle(0..count)?,
    };
    Ok(Middles { by_place, by_rank, all })
}

fn pages(tallies: &[Tally], count: usize) -> Vec<PageSums> {
    let mut all = vec![PageSums::default(); count];
    for tally in tallies {
        all.iter_mut().zip(&tally.pages).for_each(|(all, page)| all.add(page));
    }
    all
}

/// The pages with most sessions, and the rest as one.
fn page_rows(plan: &SessionsPlan, marks: &Marks, pages: &[PageSums], of: &dyn Fn(&PageSums) -> (u64, u64)) -> Vec<PageRow> {
    let mut used: Vec<(u64, usize)> = pages.iter().map(|page| of(page).0).zip(0..).filter(|(sessions, _)| *sessions > 0).collect();
    used.sort_unstable_by_key(|&(sessions, place)| (Reverse(sessions), place));
    let keep = plan.pages.as_ref().map_or(0, |pages| pages.keep).min(used.len());
    let row = |&(sessions, place): &(u64, usize)| PageRow { page: marks.pages[place].clone(), sessions, bounces: of(&pages[place]).1 };
    let mut rows: Vec<PageRow> = used[..keep].iter().map(row).collect();
    let rest = used[keep..].iter().map(row).reduce(|all, page| PageRow {
        page: Value::Other,
        sessions: all.sessions + page.sessions,
        bounces: all.bounces + page.bounces,
    });
    rows.extend(rest.map(|rest| PageRow { page: Value::Other, ..rest }));
    rows
}
