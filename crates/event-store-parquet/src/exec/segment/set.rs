//! Sets of persons, and their algebra.

use event_store::{QueryContext, QueryError};

use crate::exec::column_scan::Reading;
use crate::exec::scan::Reserved;
use crate::exec::sets::numbers;

/// Words or keys between two looks at the limits of the query: far below 10 ms.
const CHECK_ITEMS: usize = 1 << 20;
const WORD_BITS: usize = 64;

/// Some persons, or all but some.
pub(super) struct PersonSet {
    form: SetForm,
    /// True: the form has those who are not in.
    is_complement: bool,
    _memory: Reserved,
}

/// Persons in the form of the question's reading.
pub(super) enum SetForm {
    /// A bit by ordinal; that of nobody is not set.
    Ordinals(Vec<u64>),
    /// Ascending, each once.
    Keys(Vec<u64>),
}

/// How two sets are put together.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Join {
    /// In both.
    And,
    /// In one of them.
    Or,
}

impl SetForm {
    /// Without anybody.
    pub(super) fn empty(reading: &Reading) -> Self {
        if reading.has_ordinals() { Self::Ordinals(Vec::new()) } else { Self::Keys(Vec::new()) }
    }

    fn items(&self) -> &Vec<u64> {
        match self {
            Self::Ordinals(items) | Self::Keys(items) => items,
        }
    }

    /// Persons in it.
    pub(super) fn count(&self) -> u64 {
        match self {
            Self::Ordinals(words) => words.iter().map(|word| u64::from(word.count_ones())).sum(),
            Self::Keys(keys) => keys.len() as u64,
        }
    }
}

impl Join {
    fn of(self, a: bool, b: bool) -> bool {
        match self {
            Self::And => a && b,
            Self::Or => a || b,
        }
    }

    fn of_words(self, a: u64, b: u64) -> u64 {
        match self {
            Self::And => a & b,
            Self::Or => a | b,
        }
    }
}

impl PersonSet {
    /// The persons of `form`; with `is_complement`, all others.
    ///
    /// # Errors
    /// [`QueryError::Memory`].
    pub(super) fn new(form: SetForm, is_complement: bool, context: &QueryContext) -> Result<Self, QueryError> {
        let mut memory = Reserved::new(context);
        memory.grow(form.items().capacity() * size_of::<u64>())?;
        Ok(Self { form, is_complement, _memory: memory })
    }

    /// Everybody who is not in it.
    pub(super) fn not(self) -> Self {
        Self { is_complement: !self.is_complement, ..self }
    }

    /// Persons in it, where they are not told by who is not.
    pub(super) fn count(&self) -> Option<u64> {
        (!self.is_complement).then(|| self.form.count())
    }

    /// Puts two sets of one question together.
    ///
    /// # Errors
    /// [`QueryError::Memory`]; limits of the query.
    pub(super) fn join(self, other: &Self, join: Join, context: &QueryContext) -> Result<Self, QueryError> {
        // Whoever is in neither form is in the result, or is not: the form of the result has the others.
        let is_complement = join.of(self.is_complement, other.is_complement);
        let form = match (&self.form, &other.form) {
            (SetForm::Ordinals(a), SetForm::Ordinals(b)) => {
                let mask = |is_complement: bool| if is_complement { u64::MAX } else { 0 };
                let (of_a, of_b, of_both) = (mask(self.is_complement), mask(other.is_complement), mask(is_complement));
                let mut words = vec![0; a.len().max(b.len())];
                for (at, word) in words.iter_mut().enumerate() {
                    let (a, b) = (a.get(at).copied().unwrap_or(0), b.get(at).copied().unwrap_or(0));
                    *word = join.of_words(a ^ of_a, b ^ of_b) ^ of_both;
                    look(at, context)?;
                }
                SetForm::Ordinals(words)
            }
            (SetForm::Keys(a), SetForm::Keys(b)) => {
                let (mut a, mut b) = (a.iter().copied().peekable(), b.iter().copied().peekable());
                let mut keys = Vec::new();
                let mut seen = 0;
                while let Some(key) = [a.peek(), b.peek()].into_iter().flatten().min().copied() {
                    let (in_a, in_b) = (a.next_if_eq(&key).is_some(), b.next_if_eq(&key).is_some());
                    if join.of(in_a != self.is_complement, in_b != other.is_complement) != is_complement {
                        keys.push(key);
                    }
                    seen += 1;
                    look(seen, context)?;
                }
                SetForm::Keys(keys)
            }
            // All sets of a question are of its one reading.
            (SetForm::Ordinals(_), SetForm::Keys(_)) | (SetForm::Keys(_), SetForm::Ordinals(_)) => {
                return Err(QueryError::Store("two sets of persons have different forms".into()));
            }
        };
        Self::new(form, is_complement, context)
    }

    /// Whether the person of an ordinal is in it.
    #[inline]
    pub(super) fn has_ordinal(&self, ordinal: u32) -> bool {
        let SetForm::Ordinals(words) = &self.form else { return false };
        let is_set = words.get(ordinal as usize / WORD_BITS).is_some_and(|word| word >> (ordinal as usize % WORD_BITS) & 1 == 1);
        is_set != self.is_complement
    }

    /// Whether the person of a key is in it.
    pub(super) fn has_key(&self, key: u64) -> bool {
        let SetForm::Keys(keys) = &self.form else { return false };
        keys.binary_search(&key).is_ok() != self.is_complement
    }

    /// Calls `each` with the keys of all persons in a set that is no complement.
    ///
    /// # Errors
    /// The first of `each`; limits of the query.
    pub(super) fn try_for_each_key(
        &self,
        reading: &Reading,
        context: &QueryContext,
        mut each: impl FnMut(u64) -> Result<(), QueryError>,
    ) -> Result<(), QueryError> {
        match &self.form {
            SetForm::Keys(keys) => keys.iter().enumerate().try_for_each(|(at, &key)| {
                look(at, context)?;
                each(key)
            }),
            SetForm::Ordinals(words) => reading.space.persons().with_keys(|keys| {
                numbers(words).enumerate().try_for_each(|(at, ordinal)| {
                    look(at, context)?;
                    keys.get(ordinal as usize).map_or(Ok(()), |&key| each(key))
                })
            }),
        }
    }
}

/// Looks at the limits of the query now and then.
pub(super) fn look(at: usize, context: &QueryContext) -> Result<(), QueryError> {
    if at % CHECK_ITEMS == CHECK_ITEMS - 1 { context.check() } else { Ok(()) }
}

/// A bitmap of these numbers, all above 0.
pub(super) fn bitmap(numbers: impl Iterator<Item = u32> + Clone) -> Vec<u64> {
    let words = numbers.clone().max().map_or(0, |largest| largest as usize / WORD_BITS + 1);
    let mut bits = vec![0; words];
    numbers.for_each(|number| bits[number as usize / WORD_BITS] |= 1 << (number as usize % WORD_BITS));
    bits
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::exec::tests::world::context;

    fn sets(persons: &[u32], is_complement: bool) -> [PersonSet; 2] {
        let mut keys: Vec<u64> = persons.iter().map(|&person| u64::from(person)).collect();
        keys.sort_unstable();
        keys.dedup();
        let forms = [SetForm::Ordinals(bitmap(persons.iter().copied())), SetForm::Keys(keys)];
        forms.map(|form| PersonSet::new(form, is_complement, &context()).unwrap())
    }

    proptest! {
        #[test]
        fn the_algebra_is_that_of_sets(
            a in prop::collection::vec(1u32..200, 0..30),
            b in prop::collection::vec(1u32..300, 0..30),
            not_a: bool, not_b: bool, not_both: bool, is_and: bool,
        ) {
            let join = if is_and { Join::And } else { Join::Or };
            for (own, other) in sets(&a, not_a).into_iter().zip(sets(&b, not_b)) {
                let joined = own.join(&other, join, &context()).unwrap();
                let joined = if not_both { joined.not() } else { joined };
                let has = |person: u32| match joined.form {
                    SetForm::Ordinals(_) => joined.has_ordinal(person),
                    SetForm::Keys(_) => joined.has_key(u64::from(person)),
                };
                for person in 1..400 {
                    let (in_a, in_b) = (a.contains(&person) != not_a, b.contains(&person) != not_b);
                    let expected = (if is_and { in_a && in_b } else { in_a || in_b }) != not_both;
                    prop_assert_eq!(has(person), expected, "person {}", person);
                }
                if let Some(count) = joined.count() {
                    prop_assert_eq!(count, (1..400).filter(|&person| has(person)).count() as u64);
                }
            }
        }
    }

    #[test]
    fn what_a_set_holds_is_charged_and_given_back() {
        let context = context();
        let set = PersonSet::new(SetForm::Ordinals(vec![1; 1_000]), false, &context).unwrap();
        assert!(context.memory.peak_bytes() >= 8_000 && context.memory.grow((512 << 20) - 7_000).is_err());
        context.memory.shrink((512 << 20) - 7_000);
        drop(set);
        assert!(context.memory.grow(512 << 20).is_ok());
    }
}
