/// Bits of filter for each key: about 1 % of absent keys pass.
const BITS_PER_KEY: usize = 10;
const BLOCK_BITS: usize = 256;

/// A split block Bloom filter over keys that are uniform 128-bit hashes: one bit in each of the eight words of one block.
///
/// It answers "certainly absent" or "look": it never decides alone that an event is a duplicate.
pub(crate) struct Filter {
    blocks: Vec<[u32; 8]>,
}

impl Filter {
    /// Bytes of one block in a file.
    pub(crate) const BLOCK_BYTES: usize = 32;

    pub(crate) fn for_keys(keys: usize) -> Self {
        Self { blocks: vec![[0; 8]; (keys * BITS_PER_KEY).div_ceil(BLOCK_BITS).max(1)] }
    }

    /// The block by the low half of the key, the bits by the high half: the halves are independent.
    fn place(&self, key: u128) -> (usize, [u32; 8]) {
        let block = (u128::from(key as u64) * self.blocks.len() as u128) >> 64;
        let high = (key >> 64) as u64;
        let bits = std::array::from_fn(|word| 1u32 << ((high >> (word * 5)) & 31));
        (block as usize, bits)
    }

    pub(crate) fn insert(&mut self, key: u128) {
        let (block, bits) = self.place(key);
        self.blocks[block].iter_mut().zip(bits).for_each(|(word, bit)| *word |= bit);
    }

    /// False when the key was certainly never inserted.
    pub(crate) fn may_contain(&self, key: u128) -> bool {
        let (block, bits) = self.place(key);
        self.blocks[block].iter().zip(bits).all(|(word, bit)| word & bit != 0)
    }

    pub(crate) fn block_count(&self) -> usize {
        self.blocks.len()
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        self.blocks.len() * Self::BLOCK_BYTES
    }

    /// The blocks as they are in a file, little-endian.
    pub(crate) fn to_bytes(&self) -> impl Iterator<Item = [u8; Self::BLOCK_BYTES]> {
        self.blocks.iter().map(|words| {
            let mut bytes = [0; Self::BLOCK_BYTES];
            bytes.chunks_exact_mut(4).zip(words).for_each(|(out, word)| out.copy_from_slice(&word.to_le_bytes()));
            bytes
        })
    }

    /// No blocks yet, with room for so many, for [`Filter::extend`].
    pub(crate) fn with_room_for(blocks: usize) -> Self {
        Self { blocks: Vec::with_capacity(blocks) }
    }

    /// Appends whole blocks as [`Filter::to_bytes`] gave them, so that a filter is read without a second copy of it in memory.
    pub(crate) fn extend(&mut self, bytes: &[u8]) {
        let words = |block: &[u8; Self::BLOCK_BYTES]| {
            let (words, _) = block.as_chunks::<4>();
            std::array::from_fn(|word| u32::from_le_bytes(words[word]))
        };
        self.blocks.extend(bytes.as_chunks::<{ Self::BLOCK_BYTES }>().0.iter().map(words));
    }
}

#[cfg(test)]
mod tests {
    use rand::RngExt;

    use super::*;

    #[test]
    fn finds_every_key_and_passes_few_others() {
        let mut rng = rand::rng();
        let keys: Vec<u128> = (0..100_000).map(|_| rng.random()).collect();
        let mut filter = Filter::for_keys(keys.len());
        keys.iter().for_each(|&key| filter.insert(key));
        let bytes: Vec<u8> = filter.to_bytes().flatten().collect();
        let mut filter = Filter::with_room_for(bytes.len() / Filter::BLOCK_BYTES);
        bytes.chunks(3 * Filter::BLOCK_BYTES).for_each(|part| filter.extend(part));
        assert!(keys.iter().all(|&key| filter.may_contain(key)));
        let passed = (0..100_000).filter(|_| filter.may_contain(rng.random())).count();
        assert!(passed < 2_500, "{passed} of 100,000 absent keys passed");
        assert!(filter.memory_bytes() <= keys.len() * 10 / 8 + 32);
    }
}
