//! From the counts of all threads to the most frequent paths, and the edges between their steps.

use std::cmp::Reverse;

use event_store::{PathCount, PathEdge, PathRow, PathSide, PathsTable, QueryError, Value};
use rustc_hash::FxHashMap;

use super::path::{CODE_BITS, Path};
use super::sequence::PathRule;
use super::tally::{PathTable, Tally, path_number};
use crate::exec::scan::{Query, Reserved};

/// Bytes of an edge while edges are counted: the map has up to twice the places that are taken.
const EDGE_BYTES: usize = 2 * size_of::<(u64, u32)>() + size_of::<Edge>() + size_of::<u32>();
/// Most names of a path, and one more: lengths are positions.
const LENGTHS: usize = event_store::MAX_PATH_STEPS + 2;

/// Answers from what the threads have found; the names are in order.
///
/// # Errors
/// Limits of the query.
pub(super) fn fold(
    query: &Query<'_>,
    rule: PathRule,
    keep: usize,
    mut tallies: Vec<Tally>,
    names: &[Value],
) -> Result<PathsTable, QueryError> {
    let mut memory = Reserved::new(query.context);
    let Merged { table, numbers } = Merged::of(query, &mut tallies, &mut memory)?;
    let top = top_paths(&table, keep, &mut memory)?;
    let mut is_kept = vec![false; table.rows.len()];
    top.iter().for_each(|&number| is_kept[number as usize] = true);
    let edges = Edges::of(query, &table, rule, keep, &mut memory)?;
    let counted = count_users(query, &tallies, &numbers, (&table, &is_kept, &edges), &mut memory)?;

    let mut by_length = [PathCount::default(); LENGTHS];
    let mut other = PathCount { sequences: 0, users: counted.users_of_others };
    for (row, is_kept) in table.rows.iter().zip(&is_kept) {
        by_length[row.path.len()].sequences += row.count.sequences;
        other.sequences += if *is_kept { 0 } else { row.count.sequences };
    }
    by_length.iter_mut().zip(counted.users_by_length).for_each(|(count, users)| count.users = users);
    let mut total = PathCount::default();
    by_length.iter().for_each(|&count| total.add(count));
    let name = |code: u32| names.get(code as usize).cloned().unwrap_or(Value::Null);
    let path = |&number: &u32| {
        let row = &table.rows[number as usize];
        PathRow { names: row.path.names().map(name).collect(), count: row.count }
    };
    let edge = |(cell, &users): (&Cell, &u64)| PathEdge {
        from_place: first_place(rule) + cell.slot as i32,
        from: cell.names.map_or(Value::Other, |(from, _)| name(from)),
        to: cell.names.map_or(Value::Other, |(_, to)| name(to)),
        count: PathCount { sequences: cell.sequences, users },
    };
    Ok(PathsTable {
        paths: top.iter().map(path).collect(),
        other: (top.len() < table.rows.len()).then_some(other),
        places: places(rule, &by_length),
        edges: edges.cells.iter().zip(&counted.users_by_cell).map(edge).collect(),
        total,
        distinct_paths: table.rows.len() as u64,
        ..PathsTable::default()
    })
}

/// The place of the first slot: see [`PathEdge::from_place`].
fn first_place(rule: PathRule) -> i32 {
    match rule.side() {
        None => 1,
        Some(PathSide::Start) => 0,
        Some(PathSide::End) => 1 - rule.most_names() as i32,
    }
}

/// A path reaches the places up to its length.
fn places(rule: PathRule, by_length: &[PathCount; LENGTHS]) -> Vec<(i32, PathCount)> {
    let mut reached = PathCount::default();
    let mut places = Vec::new();
    for length in (1..=rule.most_names()).rev() {
        reached.add(by_length[length]);
        let place = match rule.side() {
            Some(PathSide::End) => 1 - length as i32,
            _ => first_place(rule) + length as i32 - 1,
        };
        places.push((place, reached));
    }
    places.retain(|(_, count)| count.sequences > 0);
    places.sort_unstable_by_key(|(place, _)| *place);
    places
}

/// The paths of all threads, and by thread their numbers among them; `None` where these are its own.
struct Merged {
    table: PathTable,
    numbers: Vec<Option<Vec<u32>>>,
}

impl Merged {
    fn of(query: &Query<'_>, tallies: &mut [Tally], memory: &mut Reserved) -> Result<Self, QueryError> {
        let largest = (0..tallies.len()).max_by_key(|&at| tallies[at].table.rows.len());
        let mut table = largest.map(|at| std::mem::take(&mut tallies[at].table)).unwrap_or_default();
        let mut numbers = Vec::new();
        for (at, tally) in tallies.iter_mut().enumerate() {
            if Some(at) == largest {
                numbers.push(None);
                continue;
            }
            query.context.check()?;
            memory.grow(tally.table.rows.len() * size_of::<u32>())?;
            let mut of_thread = Vec::with_capacity(tally.table.rows.len());
            for row in &tally.table.rows {
                let number = table.intern(row.path, memory)?;
                table.rows[number as usize].count.add(row.count);
                of_thread.push(number);
            }
            numbers.push(Some(of_thread));
            tally.table = PathTable::default();
        }
        Ok(Self { table, numbers })
    }
}

/// The first of some things in an order, without ordering the others.
fn first_of<T, K: Ord>(mut all: Vec<T>, keep: usize, key: impl Fn(&T) -> K) -> Vec<T> {
    if keep < all.len() {
        all.select_nth_unstable_by_key(keep, &key);
        all.truncate(keep);
    }
    all.sort_unstable_by_key(key);
    all
}

fn top_paths(table: &PathTable, keep: usize, memory: &mut Reserved) -> Result<Vec<u32>, QueryError> {
    memory.grow(table.rows.len() * (size_of::<u32>() + size_of::<bool>()))?;
    let rank = |&number: &u32| {
        let row = &table.rows[number as usize];
        (Reverse(row.count.sequences), row.path)
    };
    Ok(first_of((0..table.rows.len() as u32).collect(), keep, rank))
}

/// An edge: its place, from which name to which.
#[derive(Clone, Copy)]
struct Edge {
    slot: usize,
    names: (u32, u32),
    sequences: u64,
}

/// What is counted: an edge that stays, or the rest of a place.
struct Cell {
    slot: usize,
    names: Option<(u32, u32)>,
    sequences: u64,
}

/// The cells, and by path those of its edges.
struct Edges {
    cells: Vec<Cell>,
    /// By path: where its cells begin; one more than there are paths.
    starts: Vec<usize>,
    of_paths: Vec<u32>,
}

impl Edges {
    fn of(query: &Query<'_>, table: &PathTable, rule: PathRule, keep: usize, memory: &mut Reserved) -> Result<Self, QueryError> {
        /// Paths between two looks at the query's limits.
        const PATHS_PER_CHECK: usize = 16_384;
        let mut numbers: FxHashMap<u64, u32> = FxHashMap::default();
        let mut edges: Vec<Edge> = Vec::new();
        let mut all = Self { cells: Vec::new(), starts: vec![0], of_paths: Vec::new() };
        memory.grow(table.rows.len() * (size_of::<usize>() + rule.most_names().saturating_sub(1) * size_of::<u32>()))?;
        for (at, row) in table.rows.iter().enumerate() {
            if at % PATHS_PER_CHECK == 0 {
                query.context.check()?;
            }
            for (slot, names) in edges_of(row.path, rule) {
                let key = (slot as u64) << (2 * CODE_BITS) | u64::from(names.0) << CODE_BITS | u64::from(names.1);
                let number = *numbers.entry(key).or_insert(edges.len() as u32);
                if number as usize == edges.len() {
                    if edges.len() == edges.capacity() {
                        let more = edges.capacity().max(64);
                        memory.grow(more * EDGE_BYTES)?;
                        edges.reserve_exact(more);
                    }
                    edges.push(Edge { slot, names, sequences: 0 });
                }
                edges[number as usize].sequences += row.count.sequences;
                all.of_paths.push(number);
            }
            all.starts.push(all.of_paths.len());
        }
        let cell_of_edge = all.keep(&edges, rule, keep);
        all.of_paths.iter_mut().for_each(|edge| *edge = cell_of_edge[*edge as usize]);
        Ok(all)
    }

    /// Makes the cells; gives that of each edge.
    fn keep(&mut self, edges: &[Edge], rule: PathRule, keep: usize) -> Vec<u32> {
        const REST: u32 = u32::MAX;
        let mut cells = vec![REST; edges.len()];
        for slot in 0..rule.most_names() {
            let of_slot: Vec<u32> = (0..edges.len() as u32).filter(|&edge| edges[edge as usize].slot == slot).collect();
            let rank = |&edge: &u32| (Reverse(edges[edge as usize].sequences), edges[edge as usize].names);
            for edge in first_of(of_slot.clone(), keep, rank) {
                let Edge { names, sequences, .. } = edges[edge as usize];
                cells[edge as usize] = self.cells.len() as u32;
                self.cells.push(Cell { slot, names: Some(names), sequences });
            }
            let rest = self.cells.len() as u32;
            let mut of_rest = Cell { slot, names: None, sequences: 0 };
            for edge in of_slot.into_iter().map(|edge| edge as usize).filter(|&edge| cells[edge] == REST).collect::<Vec<_>>() {
                cells[edge] = rest;
                of_rest.sequences += edges[edge].sequences;
            }
            if of_rest.sequences > 0 {
                self.cells.push(of_rest);
            }
        }
        cells
    }
}

/// The edges of a path with their slots: slots are the places from the first on.
fn edges_of(path: Path, rule: PathRule) -> impl Iterator<Item = (usize, (u32, u32))> {
    let first = match rule.side() {
        Some(PathSide::End) => rule.most_names() - path.len(),
        _ => 0,
    };
    (first..).zip(path.names().zip(path.names().skip(1)))
}

/// Persons of what is counted.
struct Users {
    users_by_cell: Vec<u64>,
    /// By the length of a person's longest path.
    users_by_length: [u64; LENGTHS],
    /// Persons with a path that does not stay.
    users_of_others: u64,
}

/// Walks the paths of each person once more: a person who took two of the rest is one of them.
fn count_users(
    query: &Query<'_>,
    tallies: &[Tally],
    numbers: &[Option<Vec<u32>>],
    (table, is_kept, edges): (&PathTable, &[bool], &Edges),
    memory: &mut Reserved,
) -> Result<Users, QueryError> {
    /// Persons between two looks at the query's limits.
    const PERSONS_PER_CHECK: u32 = 16_384;
    struct Counter {
        users: Users,
        /// By cell: the number of the last person who was counted.
        last_person: Vec<u32>,
        person: u32,
    }
    let cells = edges.cells.len();
    memory.grow(query.threads * cells * (size_of::<u64>() + size_of::<u32>()) + table.rows.len())?;
    let lengths: Vec<u8> = table.rows.iter().map(|row| row.path.len() as u8).collect();
    let none = || Users { users_by_cell: vec![0; cells], users_by_length: [0; LENGTHS], users_of_others: 0 };
    let make = || Counter { users: none(), last_person: vec![0; cells], person: 0 };
    let counters = query.parallel(tallies.len(), &make, &|counter, at| {
        for of_person in tallies[at].persons() {
            counter.person += 1;
            let Counter { users, last_person, person } = counter;
            if *person % PERSONS_PER_CHECK == 0 {
                query.context.check()?;
            }
            let (mut longest, mut has_other) = (0, false);
            for &entry in of_person {
                let own = path_number(entry);
                let number = numbers[at].as_ref().map_or(own, |numbers| numbers[own] as usize);
                longest = longest.max(lengths[number]);
                has_other |= !is_kept[number];
                for &cell in &edges.of_paths[edges.starts[number]..edges.starts[number + 1]] {
                    if std::mem::replace(&mut last_person[cell as usize], *person) != *person {
                        users.users_by_cell[cell as usize] += 1;
                    }
                }
            }
            users.users_by_length[usize::from(longest)] += 1;
            users.users_of_others += u64::from(has_other);
        }
        Ok(())
    })?;
    let mut all = none();
    for Counter { users, .. } in counters {
        all.users_by_cell.iter_mut().zip(users.users_by_cell).for_each(|(all, users)| *all += users);
        all.users_by_length.iter_mut().zip(users.users_by_length).for_each(|(all, users)| *all += users);
        all.users_of_others += users.users_of_others;
    }
    Ok(all)
}
