//! From the counts of all threads to the most frequent paths, and the edges between their steps.

use event_store::{PathCount, PathEdge, PathRow, PathSide, PathsTable, QueryError, Value};

use super::edges::{Cell, Edges, edges_of};
use super::merge::Merged;
use super::sequence::PathRule;
use super::tally::{Tally, path_number};
use crate::exec::scan::{Query, Reserved};

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
    let mut merged = Merged::of(query, &mut tallies)?;
    let top = merged.keep_most_frequent(query, keep)?;
    let edges = Edges::of(query, &merged, rule, keep)?;
    let counted = count_users(query, rule, &tallies, &merged, &edges, &mut memory)?;

    let mut by_length = [PathCount::default(); LENGTHS];
    let mut other = PathCount { sequences: 0, users: counted.users_of_others };
    for row in merged.rows() {
        by_length[row.path.len()].sequences += row.count.sequences;
        other.sequences += if row.is_kept { 0 } else { row.count.sequences };
    }
    by_length.iter_mut().zip(counted.users_by_length).for_each(|(count, users)| count.users = users);
    let mut total = PathCount::default();
    by_length.iter().for_each(|&count| total.add(count));
    let name = |code: u32| names.get(code as usize).cloned().unwrap_or(Value::Null);
    let path = |&number: &u32| {
        let row = merged.row(number);
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
        other: (top.len() < merged.len()).then_some(other),
        places: places(rule, &by_length),
        edges: edges.cells.iter().zip(&counted.users_by_cell).map(edge).collect(),
        total,
        distinct_paths: merged.len() as u64,
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
    rule: PathRule,
    tallies: &[Tally],
    merged: &Merged,
    edges: &Edges,
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
    memory.grow(query.threads * cells * (size_of::<u64>() + size_of::<u32>()))?;
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
                let row = merged.row(merged.number(at, path_number(entry)));
                longest = longest.max(row.path.len());
                has_other |= !row.is_kept;
                for (slot, names) in edges_of(row.path, rule) {
                    let cell = edges.cell_of(slot, names);
                    if std::mem::replace(&mut last_person[cell], *person) != *person {
                        users.users_by_cell[cell] += 1;
                    }
                }
            }
            users.users_by_length[longest] += 1;
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
