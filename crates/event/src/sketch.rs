//! HyperLogLog with lgK 12 in the serialized form of Apache DataSketches, in a canonical state.
//!
//! A DataSketches sketch remembers the order of its updates (its HIP estimate and its hash table do). Ours is a function of the
//! set of hashes alone, so that rebuilding from raw events in any order gives the same bytes: few values are kept as sorted
//! coupons, many as registers, and the bytes are written with the out-of-order flag, which every DataSketches library reads.
//! Format: the `HllSketch` preamble of DataSketches (family 7, serial version 1); hash: MurmurHash3 x64 128, seed 9001, of the
//! person hash as a little-endian 64-bit integer, as `update(long)` does in the Java library.

mod packed;

use datasketches::hll::HllSketch;

use crate::ids::PersonHash;

/// log2 of the number of registers: a relative standard error of 1.04 / sqrt(4096) = 1.6 %.
const LG_K: u8 = 12;
const REGISTERS: usize = 1 << LG_K;
const KEY_MASK_26: u32 = (1 << 26) - 1;
/// DataSketches leaves its sparse mode beyond three quarters of 2^(lgK - 3) coupons; so do we.
const MAX_COUPONS: usize = 384;
const HLL_FAMILY: u8 = 7;
const SEED: u64 = 9001;

/// A sketch of distinct persons (or sessions): equal sets give equal bytes, whatever the order and the merges on the way.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UniqueSketch(State);

#[derive(Clone, PartialEq, Eq, Debug)]
enum State {
    /// Sorted coupons; a coupon is a register value in the upper 6 bits over 26 bits of address.
    Sparse(Vec<u32>),
    /// One register a slot.
    Dense(Box<[u8; REGISTERS]>),
}

impl Default for UniqueSketch {
    fn default() -> Self {
        Self(State::Sparse(Vec::new()))
    }
}

impl UniqueSketch {
    /// Relative standard error of [`UniqueSketch::estimate`], one sigma; small counts are close to exact.
    pub const RELATIVE_STANDARD_ERROR: f64 = 0.016_25;

    /// Adds a person.
    pub fn insert(&mut self, person: PersonHash) {
        self.insert_coupon(coupon(person.0));
    }

    fn insert_coupon(&mut self, coupon: u32) {
        match &mut self.0 {
            State::Dense(registers) => raise(registers, coupon),
            State::Sparse(coupons) => {
                let Err(position) = coupons.binary_search(&coupon) else { return };
                coupons.insert(position, coupon);
                if coupons.len() > MAX_COUPONS {
                    self.make_dense();
                }
            }
        }
    }

    fn make_dense(&mut self) -> &mut [u8; REGISTERS] {
        if let State::Sparse(coupons) = &self.0 {
            let mut registers = Box::new([0u8; REGISTERS]);
            coupons.iter().for_each(|&coupon| raise(&mut registers, coupon));
            self.0 = State::Dense(registers);
        }
        match &mut self.0 {
            State::Dense(registers) => registers,
            State::Sparse(_) => unreachable!("made dense above"),
        }
    }

    /// Adds everything in `other`.
    pub fn merge(&mut self, other: &Self) {
        match &other.0 {
            State::Sparse(coupons) => coupons.iter().for_each(|&coupon| self.insert_coupon(coupon)),
            State::Dense(theirs) => {
                for (ours, theirs) in self.make_dense().iter_mut().zip(theirs.iter()) {
                    *ours = (*ours).max(*theirs);
                }
            }
        }
    }

    /// True when nothing was added.
    pub fn is_empty(&self) -> bool {
        matches!(&self.0, State::Sparse(coupons) if coupons.is_empty())
    }

    /// Estimated number of distinct persons.
    pub fn estimate(&self) -> f64 {
        if self.is_empty() {
            return 0.0;
        }
        HllSketch::deserialize(&self.to_bytes()).map_or(0.0, |sketch| sketch.estimate())
    }

    /// Bytes of memory beyond the struct itself.
    pub fn memory_bytes(&self) -> usize {
        match &self.0 {
            State::Sparse(coupons) => coupons.capacity() * 4,
            State::Dense(_) => REGISTERS,
        }
    }

    /// The serialized `HllSketch` (HLL_8), readable by every DataSketches library: 8 to 1,548 bytes sparse, 4,136 dense.
    pub fn to_bytes(&self) -> Vec<u8> {
        match &self.0 {
            State::Sparse(coupons) => sparse_bytes(coupons),
            State::Dense(registers) => dense_bytes(registers),
        }
    }

    /// Reads what [`UniqueSketch::to_bytes`] wrote, or any DataSketches HLL_8 sketch with lgK 12 in compact form; `None` for other bytes.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (&[_, version, family, lg_k, _, _, list_count, mode], _) = bytes.split_first_chunk::<8>()?;
        if version != 1 || family != HLL_FAMILY || lg_k != LG_K {
            return None;
        }
        let coupons = |body: &[u8], count: usize| -> Option<Vec<u32>> {
            let mut coupons: Vec<u32> = body.chunks_exact(4).map(|c| u32::from_le_bytes([c[0], c[1], c[2], c[3]])).collect();
            coupons.retain(|&coupon| coupon != 0);
            coupons.sort_unstable();
            (coupons.len() == count && count <= MAX_COUPONS).then_some(coupons)
        };
        match mode & 3 {
            0 => Some(Self(State::Sparse(coupons(&bytes[8..], usize::from(list_count))?))),
            1 => {
                let (count, body) = bytes[8..].split_first_chunk::<4>()?;
                Some(Self(State::Sparse(coupons(body, u32::from_le_bytes(*count) as usize)?)))
            }
            2 if mode >> 2 == 2 => {
                let registers: &[u8; REGISTERS] = bytes.get(40..40 + REGISTERS)?.try_into().ok()?;
                Some(Self(State::Dense(Box::new(*registers))))
            }
            _ => None,
        }
    }
}

fn raise(registers: &mut [u8; REGISTERS], coupon: u32) {
    let slot = coupon as usize & (REGISTERS - 1);
    registers[slot] = registers[slot].max((coupon >> 26) as u8);
}

const LIST_MAX: usize = 8;

/// LIST mode up to 8 coupons, SET mode above; both compact.
fn sparse_bytes(coupons: &[u32]) -> Vec<u8> {
    const EMPTY: u8 = 4;
    const COMPACT: u8 = 8;
    const HLL_8: u8 = 2 << 2;
    let mut out = Vec::with_capacity(12 + coupons.len() * 4);
    if coupons.len() < LIST_MAX {
        let flags = COMPACT | if coupons.is_empty() { EMPTY } else { 0 };
        out.extend_from_slice(&[2, 1, HLL_FAMILY, LG_K, 3, flags, coupons.len() as u8, HLL_8]);
    } else {
        // The smallest table (a power of two from 32) that these coupons fill by three quarters at most.
        let mut lg_array = 5u8;
        while coupons.len() * 4 > (1 << lg_array) * 3 {
            lg_array += 1;
        }
        out.extend_from_slice(&[3, 1, HLL_FAMILY, LG_K, lg_array, COMPACT, 0, HLL_8 | 1]);
        out.extend_from_slice(&(coupons.len() as u32).to_le_bytes());
    }
    coupons.iter().for_each(|coupon| out.extend_from_slice(&coupon.to_le_bytes()));
    out
}

fn dense_bytes(registers: &[u8; REGISTERS]) -> Vec<u8> {
    const COMPACT: u8 = 8;
    const OUT_OF_ORDER: u8 = 16;
    const HLL_8_DENSE: u8 = (2 << 2) | 2;
    let (mut kxq0, mut kxq1, mut at_zero) = (0f64, 0f64, 0u32);
    for &value in registers {
        at_zero += u32::from(value == 0);
        // DataSketches splits the sum so that small terms keep their precision.
        if value < 32 { kxq0 += inverse_power(value) } else { kxq1 += inverse_power(value) }
    }
    let mut out = Vec::with_capacity(40 + REGISTERS);
    out.extend_from_slice(&[10, 1, HLL_FAMILY, LG_K, 0, COMPACT | OUT_OF_ORDER, 0, HLL_8_DENSE]);
    out.extend_from_slice(&0f64.to_le_bytes());
    out.extend_from_slice(&kxq0.to_le_bytes());
    out.extend_from_slice(&kxq1.to_le_bytes());
    out.extend_from_slice(&at_zero.to_le_bytes());
    out.extend_from_slice(&0u32.to_le_bytes());
    out.extend_from_slice(registers);
    out
}

fn inverse_power(value: u8) -> f64 {
    f64::from_bits((1023 - u64::from(value)) << 52)
}

/// The coupon of a 64-bit value: low 26 bits of the first hash half, leading zeros of the second plus one.
fn coupon(value: u64) -> u32 {
    let (h1, h2) = murmur3_x64_128_of_u64(value);
    let leading = h2.leading_zeros().min(62) + 1;
    (leading << 26) | (h1 as u32 & KEY_MASK_26)
}

/// MurmurHash3 x64 128 (Austin Appleby, public domain) for one 8-byte block, which is all tail.
fn murmur3_x64_128_of_u64(value: u64) -> (u64, u64) {
    const C1: u64 = 0x87c3_7b91_1142_53d5;
    const C2: u64 = 0x4cf5_ad43_2745_937f;
    let k1 = value.wrapping_mul(C1).rotate_left(31).wrapping_mul(C2);
    let (mut h1, mut h2) = (SEED ^ k1 ^ 8, SEED ^ 8);
    h1 = h1.wrapping_add(h2);
    h2 = h2.wrapping_add(h1);
    h1 = finalize(h1);
    h2 = finalize(h2);
    h1 = h1.wrapping_add(h2);
    h2 = h2.wrapping_add(h1);
    (h1, h2)
}

fn finalize(mut k: u64) -> u64 {
    k = (k ^ (k >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    k = (k ^ (k >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    k ^ (k >> 33)
}

#[cfg(test)]
mod tests {
    use datasketches::hll::HllType;

    use super::*;

    fn persons(n: u64) -> Vec<PersonHash> {
        (0..n).map(|i| PersonHash(i.wrapping_mul(0x9e37_79b9_7f4a_7c15))).collect()
    }

    fn sketch_of(persons: impl IntoIterator<Item = PersonHash>) -> UniqueSketch {
        let mut sketch = UniqueSketch::default();
        persons.into_iter().for_each(|person| sketch.insert(person));
        sketch
    }

    #[test]
    fn bytes_do_not_depend_on_order_or_merges() {
        for n in [0, 1, 7, 8, 24, 25, 384, 385, 400, 5_000, 100_000] {
            let forward = sketch_of(persons(n));
            let backward = sketch_of(persons(n).into_iter().rev());
            let (left, right): (Vec<_>, Vec<_>) = persons(n).into_iter().partition(|p| p.0 % 3 == 0);
            let mut merged = sketch_of(left.into_iter().chain(right.iter().copied().take(5)));
            merged.merge(&sketch_of(right));
            assert_eq!(forward.to_bytes(), backward.to_bytes(), "{n}");
            assert_eq!(forward.to_bytes(), merged.to_bytes(), "{n}");
            assert_eq!(UniqueSketch::from_bytes(&forward.to_bytes()), Some(forward), "{n}");
        }
    }

    #[test]
    fn data_sketches_reads_our_bytes_and_hashes_alike() {
        for n in [0, 1, 7, 8, 9, 24, 25, 200, 384, 385, 5_000, 100_000] {
            let ours = sketch_of(persons(n));
            let read = HllSketch::deserialize(&ours.to_bytes()).expect("bytes of DataSketches");
            let mut theirs = HllSketch::new(LG_K, HllType::Hll8).unwrap();
            persons(n).iter().for_each(|p| theirs.update(p.0));
            let (a, b) = (read.estimate(), theirs.estimate());
            assert!((a - b).abs() <= 0.03 * b.max(1.0), "{n}: read {a}, built {b}");
            assert!((a - n as f64).abs() <= 0.05 * n as f64, "{n}: {a}");
            // The same registers: adding ours to theirs changes nothing.
            let mut union = datasketches::hll::HllUnion::new(LG_K).unwrap();
            union.update(&theirs);
            let alone = union.to_sketch(HllType::Hll8).composite_estimate();
            union.update(&read);
            assert_eq!(union.to_sketch(HllType::Hll8).composite_estimate(), alone, "{n}");
        }
    }

    #[test]
    fn other_bytes_are_refused() {
        assert_eq!(UniqueSketch::from_bytes(b""), None);
        assert_eq!(UniqueSketch::from_bytes(&[0; 40]), None);
        let bytes = sketch_of(persons(1000)).to_bytes();
        assert_eq!(UniqueSketch::from_bytes(&bytes[..1000]), None);
    }
}
