//! Sets of dense numbers by cell, as bitmaps: distinct persons by ordinal, distinct texts by code.

use event_store::QueryContext;

use super::rows::{RowCells, Rows, Selection};
use super::scan::Reserved;
use crate::decoded::Codes;

const WORD_BITS: usize = 64;
/// Most bytes of the bitmaps of one thread; beyond, lists of pairs take less.
const MAX_SET_BYTES: usize = 64 << 20;

/// One set per cell.
pub(super) struct SetTable {
    sets: Vec<Vec<u64>>,
    /// Words of a set that has any.
    words: usize,
    /// Cells whose set has any.
    filled: usize,
    memory: Reserved,
}

/// There is no room for more sets: they are to be drained into something else.
pub(super) struct SetsFull;

impl SetTable {
    pub(super) fn new(context: &QueryContext) -> Self {
        Self { sets: Vec::new(), words: 0, filled: 0, memory: Reserved::new(context) }
    }

    /// Adds the number of each selected row to the set of its cell. Numbers are at most `largest`, cells below `cells`.
    ///
    /// # Errors
    /// [`SetsFull`], with nothing added.
    pub(super) fn add_rows(&mut self, numbers: &[u32], largest: u32, selection: Selection<'_>, cells: usize) -> Result<(), SetsFull> {
        self.make_room(largest, selection, cells)?;
        match (selection.rows, selection.cells) {
            (rows, RowCells::One(cell)) => {
                let set = &mut self.sets[cell as usize][..];
                match rows {
                    Rows::All(count) => numbers[..count].iter().for_each(|&number| insert(set, number)),
                    Rows::Some(rows) => rows.iter().for_each(|&row| insert(set, numbers[row as usize])),
                }
            }
            _ => {
                // Rows come by person: a number is often that of the row before, in the same cell.
                let mut last = (u32::MAX, usize::MAX);
                selection.for_each(|row, cell| {
                    let number = numbers[row];
                    if last != (number, cell) {
                        last = (number, cell);
                        insert(&mut self.sets[cell], number);
                    }
                });
            }
        }
        Ok(())
    }

    /// Adds the code of each selected row to the set of its cell, as [`SetTable::add_rows`] does.
    ///
    /// # Errors
    /// [`SetsFull`], with nothing added.
    pub(super) fn add_codes(&mut self, codes: &Codes, largest: u32, selection: Selection<'_>, cells: usize) -> Result<(), SetsFull> {
        if let Codes::Wide(codes) = codes {
            return self.add_rows(codes, largest, selection, cells);
        }
        self.make_room(largest, selection, cells)?;
        let sets = &mut self.sets;
        match codes {
            Codes::One(code) => selection.for_each(|_, cell| insert(&mut sets[cell], *code)),
            Codes::Narrow(codes) => selection.for_each(|row, cell| insert(&mut sets[cell], u32::from(codes[row]))),
            Codes::Middle(codes) => selection.for_each(|row, cell| insert(&mut sets[cell], u32::from(codes[row]))),
            Codes::Wide(codes) => selection.for_each(|row, cell| insert(&mut sets[cell], codes[row])),
        }
        Ok(())
    }

    fn make_room(&mut self, largest: u32, selection: Selection<'_>, cells: usize) -> Result<(), SetsFull> {
        let words = (largest as usize / WORD_BITS + 1).next_multiple_of(WORD_BITS);
        if words > self.words {
            self.take((words - self.words) * self.filled)?;
            self.words = words;
            self.sets.iter_mut().filter(|set| !set.is_empty()).for_each(|set| set.resize(words, 0));
        }
        if self.sets.len() < cells {
            self.sets.resize(cells, Vec::new());
        }
        match selection.cells {
            RowCells::One(cell) => self.fill(cell as usize),
            RowCells::Each(_) if self.filled == cells => Ok(()),
            RowCells::Each(of_rows) => {
                let mut last = u32::MAX;
                of_rows.iter().filter(|&&cell| std::mem::replace(&mut last, cell) != cell).try_for_each(|&cell| self.fill(cell as usize))
            }
        }
    }

    #[inline]
    fn fill(&mut self, cell: usize) -> Result<(), SetsFull> {
        if self.sets[cell].is_empty() {
            self.take(self.words)?;
            self.filled += 1;
            self.sets[cell] = vec![0; self.words];
        }
        Ok(())
    }

    fn take(&mut self, words: usize) -> Result<(), SetsFull> {
        let bytes = self.memory.bytes() + words * size_of::<u64>();
        if bytes > MAX_SET_BYTES {
            return Err(SetsFull);
        }
        let before = self.memory.bytes();
        self.memory.set(bytes).map_err(|_| {
            // What was refused is given back; what takes the place of the sets asks anew.
            let _ = self.memory.set(before);
            SetsFull
        })
    }

    /// Adds the sets of another, whose cell `i` is `map[i]` here; of `cells` cells.
    pub(super) fn merge(&mut self, other: Self, map: &[u32], cells: usize) {
        self.sets.resize(self.sets.len().max(cells), Vec::new());
        self.words = self.words.max(other.words);
        for (set, &cell) in other.sets.into_iter().zip(map) {
            add(&mut self.sets[cell as usize], set);
        }
        self.memory.join(other.memory);
    }

    /// The same sets with the cells of a query: cell `i` becomes `map[i]`, of `cells`.
    pub(super) fn renumbered(mut self, map: &[u32], cells: usize) -> Self {
        let sets = std::mem::take(&mut self.sets);
        self.sets.resize(cells, Vec::new());
        for (set, &cell) in sets.into_iter().zip(map) {
            self.sets[cell as usize] = set;
        }
        self
    }

    /// The bitmap of a cell, empty where it has none.
    pub(super) fn set(&self, cell: usize) -> &[u64] {
        self.sets.get(cell).map_or(&[], Vec::as_slice)
    }

    /// Gives out every number with its cell, cell by cell, and is empty afterwards.
    ///
    /// # Errors
    /// The first of `each`.
    pub(super) fn drain<E>(&mut self, mut each: impl FnMut(usize, u32) -> Result<(), E>) -> Result<(), E> {
        for (cell, set) in std::mem::take(&mut self.sets).into_iter().enumerate() {
            numbers(&set).try_for_each(|number| each(cell, number))?;
        }
        (self.words, self.filled) = (0, 0);
        let _ = self.memory.set(0);
        Ok(())
    }
}

#[inline]
fn insert(set: &mut [u64], number: u32) {
    set[number as usize / WORD_BITS] |= 1 << (number as usize % WORD_BITS);
}

fn add(all: &mut Vec<u64>, set: Vec<u64>) {
    if all.len() < set.len() {
        let shorter = std::mem::replace(all, set);
        all.iter_mut().zip(shorter).for_each(|(all, word)| *all |= word);
    } else {
        all.iter_mut().zip(set).for_each(|(all, word)| *all |= word);
    }
}

/// The numbers in a bitmap, ascending.
pub(super) fn numbers(set: &[u64]) -> impl Iterator<Item = u32> + '_ {
    set.iter().enumerate().flat_map(|(at, &word)| {
        let first = (at * WORD_BITS) as u32;
        std::iter::successors((word != 0).then_some(word), |word| Some(word & (word - 1)).filter(|&rest| rest != 0))
            .map(move |word| first + word.trailing_zeros())
    })
}

/// Persons in a bitmap of ordinals: all but the one that stands for nobody.
pub(super) fn count_persons(set: &[u64]) -> u64 {
    let all: u64 = set.iter().map(|word| u64::from(word.count_ones())).sum();
    all - set.first().map_or(0, |word| word & 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exec::tests::world::context;

    #[test]
    fn sets_grow_merge_and_drain() {
        let context = context();
        let mut a = SetTable::new(&context);
        let add = |table: &mut SetTable, numbers: &[u32], rows: Rows<'_>, cells: RowCells<'_>| {
            let largest = numbers.iter().copied().max().unwrap_or(0);
            assert!(table.add_rows(numbers, largest, Selection { rows, cells }, 3).is_ok());
        };
        add(&mut a, &[0, 5, 5, 70], Rows::All(4), RowCells::One(1));
        add(&mut a, &[9_000, 1, 2], Rows::Some(&[0, 2]), RowCells::Each(&[1, 2]));
        let mut b = SetTable::new(&context);
        add(&mut b, &[6, 5], Rows::All(2), RowCells::Each(&[0, 1]));
        assert_eq!(numbers(a.set(1)).collect::<Vec<_>>(), [0, 5, 70, 9_000]);
        assert_eq!((count_persons(a.set(1)), count_persons(a.set(2)), count_persons(a.set(0))), (3, 1, 0));
        let mut all = a.renumbered(&[2, 1, 0], 4);
        all.merge(b, &[0, 3], 4);
        let mut pairs = Vec::new();
        let drained: Result<(), ()> = all.drain(|cell, number| {
            pairs.push((cell, number));
            Ok(())
        });
        assert_eq!(drained, Ok(()));
        assert_eq!(pairs, [(0, 2), (0, 6), (1, 0), (1, 5), (1, 70), (1, 9_000), (3, 5)]);
    }

    #[test]
    fn too_many_cells_are_refused_and_nothing_stays_taken() {
        let context = context();
        let mut table = SetTable::new(&context);
        let cells: Vec<u32> = (0..100_000).collect();
        let numbers = vec![1_000_000; cells.len()];
        let selection = Selection { rows: Rows::All(cells.len()), cells: RowCells::Each(&cells) };
        assert!(table.add_rows(&numbers, 1_000_000, selection, cells.len()).is_err());
        let _: Result<(), ()> = table.drain(|_, _| Ok(()));
        assert!(context.memory.grow(512 << 20).is_ok());
    }
}
