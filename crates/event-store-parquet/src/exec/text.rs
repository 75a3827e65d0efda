//! Dictionary-encoded text, and what a query finds out once per text.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int32Array};
use arrow::datatypes::{DataType, Int32Type};

use super::comparison::Comparison;
use super::mask::Mask;
use super::value::Scalar;
use crate::decoded::{Codes, SessionCodes, SharedText, TextCodes};
use crate::segment::SegmentSessions;

/// A dictionary of more texts than this is looked at only where a row has one of them.
const MAX_EAGER_TEXTS: usize = 1 << 16;

/// Text of one batch.
pub(super) enum Text {
    /// With the dictionary of a row group, or of a few rows.
    Own { keys: Int32Array, values: ArrayRef },
    /// With the codes of the app. Code 0 is no text.
    Shared(SharedText),
    /// Session ids with the numbers of a segment. Code 0 is no text.
    Sessions(SessionCodes),
}

impl Text {
    /// Text of an Arrow dictionary; `None` for anything else.
    pub(super) fn own(column: &ArrayRef) -> Option<Self> {
        let dictionary = column.as_dictionary_opt::<Int32Type>()?;
        matches!(dictionary.values().data_type(), DataType::Utf8)
            .then(|| Self::Own { keys: dictionary.keys().clone(), values: dictionary.values().clone() })
    }

    /// The code of a row, `None` where it has no text.
    #[inline]
    pub(super) fn code(&self, row: usize) -> Option<usize> {
        match self {
            Self::Own { keys, .. } => (!keys.is_null(row)).then(|| keys.value(row) as usize),
            Self::Shared(SharedText { codes, .. }) | Self::Sessions(SessionCodes { codes, .. }) => {
                Some(codes.get(row) as usize).filter(|&code| code > 0)
            }
        }
    }

    /// The text of a code.
    pub(super) fn text(&self, code: usize) -> &str {
        match self {
            Self::Own { values, .. } => values.as_string::<i32>().value(code),
            Self::Shared(text) => text.texts.text(code as u32),
            Self::Sessions(ids) => ids.table.ids().value(code - 1),
        }
    }

    /// Larger than every code in it.
    fn code_count(&self) -> usize {
        match self {
            Self::Own { values, .. } => values.len(),
            Self::Shared(text) => text.texts.code_count(),
            Self::Sessions(ids) => ids.table.ids().len() + 1,
        }
    }
}

/// Something known about each text of a dictionary, kept while batches share the dictionary; the default is not known yet.
#[derive(Default)]
pub(super) struct TextMemo<T> {
    dictionary: Option<Dictionary>,
    /// By code.
    pub(super) known: Vec<T>,
}

enum Dictionary {
    Own(ArrayRef),
    Shared(Arc<TextCodes>),
    Sessions(Arc<SegmentSessions>),
}

impl<T: Copy + Default> TextMemo<T> {
    /// Makes room for every code of `text`; forgets what is of another dictionary, and says so.
    pub(super) fn attach(&mut self, text: &Text) -> bool {
        let is_same = match (&self.dictionary, text) {
            (Some(Dictionary::Own(known)), Text::Own { values, .. }) => Arc::ptr_eq(known, values),
            (Some(Dictionary::Shared(known)), Text::Shared(text)) => Arc::ptr_eq(known, &text.texts),
            (Some(Dictionary::Sessions(known)), Text::Sessions(ids)) => Arc::ptr_eq(known, &ids.table),
            _ => false,
        };
        if !is_same {
            self.known.clear();
            self.dictionary = Some(match text {
                Text::Own { values, .. } => Dictionary::Own(values.clone()),
                Text::Shared(text) => Dictionary::Shared(text.texts.clone()),
                Text::Sessions(ids) => Dictionary::Sessions(ids.table.clone()),
            });
        }
        self.known.resize(text.code_count().max(self.known.len()), T::default());
        !is_same
    }
}

/// What a comparison says of each text.
#[derive(Default)]
pub(super) struct Verdicts {
    memo: TextMemo<u8>,
    /// Every code below this one has its verdict.
    decided: usize,
    /// How many of these hold, and the last of them.
    holding: usize,
    last_holding: usize,
}

const HOLDS: u8 = 2;
const FAILS: u8 = 1;

impl Verdicts {
    /// Prepares for [`Verdicts::of_row`].
    pub(super) fn attach(&mut self, text: &Text) {
        if self.memo.attach(text) {
            (self.decided, self.holding) = (0, 0);
        }
    }

    #[inline]
    fn ask(known: &mut [u8], comparison: &Comparison, text: &Text, code: usize) -> bool {
        if known[code] == 0 {
            known[code] = if comparison.holds(Scalar::Str(text.text(code))) { HOLDS } else { FAILS };
        }
        known[code] == HOLDS
    }

    /// The rows of `within` in which the comparison holds, for text alone: a row without text is null.
    pub(super) fn rows(&mut self, text: &Text, comparison: &Comparison, rows: usize, within: Option<&Mask>) -> Mask {
        self.attach(text);
        let known = &mut self.memo.known;
        let shared = match text {
            Text::Own { .. } | Text::Sessions(_) => {
                let holds_null = comparison.holds(Scalar::Null);
                return Mask::of_rows(rows, within, |row| match text.code(row) {
                    None => holds_null,
                    Some(code) => Self::ask(known, comparison, text, code),
                });
            }
            Text::Shared(shared) => shared,
        };
        if let Some(first) = known.first_mut() {
            *first = if comparison.holds(Scalar::Null) { HOLDS } else { FAILS };
        }
        if let Codes::One(code) = shared.codes {
            let holds = Self::ask(known, comparison, text, code as usize);
            return if !holds { Mask::none(rows) } else { within.cloned().unwrap_or_else(|| Mask::all(rows)) };
        }
        if known.len() > MAX_EAGER_TEXTS {
            return Mask::of_rows(rows, within, |row| Self::ask(known, comparison, text, shared.codes.get(row) as usize));
        }
        for code in self.decided..known.len() {
            if Self::ask(known, comparison, text, code) {
                (self.holding, self.last_holding) = (self.holding + 1, code);
            }
        }
        self.decided = known.len();
        match self.holding {
            0 => Mask::none(rows),
            1 => equal_to(&shared.codes, self.last_holding as u32, rows, within),
            _ => holding(&shared.codes, known, rows, within),
        }
    }

    /// The verdict on the text of a row, `None` where it has none; [`Verdicts::attach`] comes first.
    #[inline]
    pub(super) fn of_row(&mut self, text: &Text, comparison: &Comparison, row: usize) -> Option<bool> {
        text.code(row).map(|code| Self::ask(&mut self.memo.known, comparison, text, code))
    }
}

fn equal_to(codes: &Codes, wanted: u32, rows: usize, within: Option<&Mask>) -> Mask {
    match codes {
        Codes::One(code) => Mask::of_rows(rows, within, |_| *code == wanted),
        Codes::Narrow(codes) => {
            u8::try_from(wanted).map_or_else(|_| Mask::none(rows), |wanted| Mask::of_values(codes, within, |code| code == wanted))
        }
        Codes::Middle(codes) => {
            u16::try_from(wanted).map_or_else(|_| Mask::none(rows), |wanted| Mask::of_values(codes, within, |code| code == wanted))
        }
        Codes::Wide(codes) => Mask::of_values(codes, within, |code| code == wanted),
    }
}

fn holding(codes: &Codes, known: &[u8], rows: usize, within: Option<&Mask>) -> Mask {
    match codes {
        Codes::One(code) => Mask::of_rows(rows, within, |_| known[*code as usize] == HOLDS),
        Codes::Narrow(codes) => Mask::of_values(codes, within, |code| known[code as usize] == HOLDS),
        Codes::Middle(codes) => Mask::of_values(codes, within, |code| known[code as usize] == HOLDS),
        Codes::Wide(codes) => Mask::of_values(codes, within, |code| known[code as usize] == HOLDS),
    }
}
