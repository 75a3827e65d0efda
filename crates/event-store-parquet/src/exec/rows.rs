//! The rows of a batch that an operator looks at, and the cells they belong to.

/// Rows of a batch, ascending.
#[derive(Clone, Copy)]
pub(super) enum Rows<'r> {
    /// The first so many: all of the batch.
    All(usize),
    /// These.
    Some(&'r [u32]),
}

/// The cell of each of some rows.
#[derive(Clone, Copy)]
pub(super) enum RowCells<'r> {
    /// The same.
    One(u32),
    /// In the order of the rows.
    Each(&'r [u32]),
}

impl Rows<'_> {
    /// Number of rows.
    pub(super) fn count(self) -> usize {
        match self {
            Self::All(count) => count,
            Self::Some(rows) => rows.len(),
        }
    }

    /// The row at a place among them.
    #[inline]
    pub(super) fn get(self, place: usize) -> usize {
        match self {
            Self::All(_) => place,
            Self::Some(rows) => rows[place] as usize,
        }
    }

    /// Calls `each` with every row.
    ///
    /// # Errors
    /// The first of `each`.
    #[inline]
    pub(super) fn try_for_each<E>(self, mut each: impl FnMut(usize) -> Result<(), E>) -> Result<(), E> {
        match self {
            Self::All(count) => (0..count).try_for_each(each),
            Self::Some(rows) => rows.iter().try_for_each(|&row| each(row as usize)),
        }
    }
}

/// Rows with their cells.
#[derive(Clone, Copy)]
pub(super) struct Selection<'r> {
    pub(super) rows: Rows<'r>,
    pub(super) cells: RowCells<'r>,
}

impl Selection<'_> {
    /// Calls `each` with every row and its cell.
    ///
    /// # Errors
    /// The first of `each`.
    #[inline]
    pub(super) fn try_for_each<E>(self, mut each: impl FnMut(usize, usize) -> Result<(), E>) -> Result<(), E> {
        match (self.rows, self.cells) {
            (rows, RowCells::One(cell)) => rows.try_for_each(|row| each(row, cell as usize)),
            (Rows::All(_), RowCells::Each(cells)) => cells.iter().enumerate().try_for_each(|(row, &cell)| each(row, cell as usize)),
            (Rows::Some(rows), RowCells::Each(cells)) => {
                rows.iter().zip(cells).try_for_each(|(&row, &cell)| each(row as usize, cell as usize))
            }
        }
    }

    /// Calls `each` with every row and its cell.
    #[inline]
    pub(super) fn for_each(self, mut each: impl FnMut(usize, usize)) {
        let _: Result<(), std::convert::Infallible> = self.try_for_each(|row, cell| {
            each(row, cell);
            Ok(())
        });
    }
}
