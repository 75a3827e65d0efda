//! Rows of a batch as bits.

/// One bit a row. Invariant: bits beyond the rows are not set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mask {
    words: Vec<u64>,
    rows: usize,
}

const WORD: usize = 64;

impl Mask {
    /// All rows.
    pub(super) fn all(rows: usize) -> Self {
        let mut mask = Self { words: vec![u64::MAX; rows.div_ceil(WORD)], rows };
        mask.clear_tail();
        mask
    }

    /// No row.
    pub(super) fn none(rows: usize) -> Self {
        Self { words: vec![0; rows.div_ceil(WORD)], rows }
    }

    /// The rows of `within` (all where it is not given) whose value passes `test`; asked only where a neighbourhood has a row of `within`.
    pub(super) fn of_values<T: Copy>(values: &[T], within: Option<&Self>, test: impl Fn(T) -> bool) -> Self {
        let pack = |values: &[T]| values.iter().enumerate().fold(0u64, |word, (bit, &value)| word | u64::from(test(value)) << bit);
        let words = match within {
            None => values.chunks(WORD).map(pack).collect(),
            Some(within) => {
                let chunks = within.words.iter().zip(values.chunks(WORD));
                chunks.map(|(&word, values)| if word == 0 { 0 } else { pack(values) & word }).collect()
            }
        };
        Self { words, rows: values.len() }
    }

    /// The rows of `within` (all where it is not given) for which `test` holds; asked for those only.
    pub(super) fn of_rows(rows: usize, within: Option<&Self>, mut test: impl FnMut(usize) -> bool) -> Self {
        let mut mask = Self::none(rows);
        let mut ask = |row: usize| mask.words[row / WORD] |= u64::from(test(row)) << (row % WORD);
        match within {
            None => (0..rows).for_each(&mut ask),
            Some(within) => within.iter().for_each(|row| ask(row as usize)),
        }
        mask
    }

    /// Number of rows that are set.
    pub(super) fn count(&self) -> usize {
        self.words.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// True when no row is set.
    pub(super) fn is_none(&self) -> bool {
        self.words.iter().all(|&word| word == 0)
    }

    /// Whether a row is set.
    #[inline]
    pub(super) fn has(&self, row: usize) -> bool {
        self.words[row / WORD] >> (row % WORD) & 1 == 1
    }

    /// Adds the rows of another.
    pub(super) fn add(&mut self, other: &Self) {
        self.words.iter_mut().zip(&other.words).for_each(|(word, other)| *word |= other);
    }

    /// Keeps the rows that another has too.
    pub(super) fn keep(&mut self, other: &Self) {
        self.words.iter_mut().zip(&other.words).for_each(|(word, other)| *word &= other);
    }

    /// Removes the rows that another has.
    pub(super) fn remove(&mut self, other: &Self) {
        self.words.iter_mut().zip(&other.words).for_each(|(word, other)| *word &= !other);
    }

    /// The rows that are set, ascending.
    pub(super) fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.words.iter().enumerate().flat_map(|(at, &word)| {
            let first = (at * WORD) as u32;
            std::iter::successors((word != 0).then_some(word), |word| Some(word & (word - 1)).filter(|&rest| rest != 0))
                .map(move |word| first + word.trailing_zeros())
        })
    }

    fn clear_tail(&mut self) {
        let used = self.rows % WORD;
        if let Some(last) = self.words.last_mut().filter(|_| used > 0) {
            *last &= (1 << used) - 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_a_set_of_rows(a in prop::collection::vec(any::<bool>(), 0..200), seed: u64) {
            let rows = a.len();
            let b: Vec<bool> = (0..rows).map(|row| seed.rotate_left(row as u32 * 7) & 1 == 1).collect();
            let (mask_a, mask_b) = (Mask::of_values(&a, None, |bit| bit), Mask::of_rows(rows, None, |row| b[row]));
            let check = |mask: &Mask, expected: &dyn Fn(usize) -> bool| {
                let set: Vec<u32> = (0..rows).filter(|&row| expected(row)).map(|row| row as u32).collect();
                assert_eq!(mask.iter().collect::<Vec<_>>(), set);
                assert_eq!((mask.count(), mask.is_none()), (set.len(), set.is_empty()));
                assert!((0..rows).all(|row| mask.has(row) == expected(row)));
            };
            check(&mask_a, &|row| a[row]);
            check(&Mask::all(rows), &|_| true);
            check(&Mask::of_values(&a, Some(&mask_b), |bit| bit), &|row| a[row] && b[row]);
            check(&Mask::of_rows(rows, Some(&mask_b), |row| a[row]), &|row| a[row] && b[row]);
            let mut both = mask_a.clone();
            both.keep(&mask_b);
            check(&both, &|row| a[row] && b[row]);
            let mut either = mask_a.clone();
            either.add(&mask_b);
            check(&either, &|row| a[row] || b[row]);
            let mut rest = mask_a;
            rest.remove(&mask_b);
            check(&rest, &|row| a[row] && !b[row]);
        }
    }
}
