//! A path as four integers.

use std::hash::{Hash, Hasher};

/// Bits of a name's place in order, one more than it so that 0 stands for no step.
pub(super) const CODE_BITS: u32 = 21;
const CODES_PER_WORD: usize = 3;
const WORDS: usize = 4;
/// Most steps.
const MAX_CODES: usize = CODES_PER_WORD * WORDS;
const CODE_MASK: u64 = (1 << CODE_BITS) - 1;

/// Names by their place in order. It sorts by its first step, then by the second, and so on; a path that has ended comes before one that goes on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Path {
    words: [u64; WORDS],
}

impl Path {
    /// A path of at most twelve names.
    pub(super) fn of(names: impl Iterator<Item = u32>) -> Self {
        let mut path = Self::default();
        for (at, name) in names.take(MAX_CODES).enumerate() {
            path.words[at / CODES_PER_WORD] |= (u64::from(name) + 1) << shift(at);
        }
        path
    }

    /// The names.
    pub(super) fn names(self) -> impl Iterator<Item = u32> {
        (0..MAX_CODES).map_while(move |at| self.name(at))
    }

    /// The name at a place; `None` where the path has ended.
    #[inline]
    pub(super) fn name(self, at: usize) -> Option<u32> {
        let code = (self.words.get(at / CODES_PER_WORD)? >> shift(at) & CODE_MASK) as u32;
        code.checked_sub(1)
    }

    /// Number of steps.
    pub(super) fn len(self) -> usize {
        self.names().count()
    }
}

/// The first step has the highest bits, so that words compare as paths do.
fn shift(at: usize) -> u32 {
    CODE_BITS * (CODES_PER_WORD - 1 - at % CODES_PER_WORD) as u32
}

impl Hash for Path {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.words.iter().for_each(|&word| state.write_u64(word));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_a_list_of_names(
            a in prop::collection::vec(prop_oneof![0u32..3, Just(CODE_MASK as u32 - 1)], 0..12),
            b in prop::collection::vec(0u32..3, 0..12),
        ) {
            let (path_a, path_b) = (Path::of(a.iter().copied()), Path::of(b.iter().copied()));
            prop_assert_eq!(path_a.names().collect::<Vec<_>>(), &a[..]);
            prop_assert_eq!(path_a.len(), a.len());
            prop_assert_eq!(path_a.cmp(&path_b), a.cmp(&b));
        }
    }
}
