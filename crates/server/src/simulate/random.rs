/// Numbers that look random and are the same for a seed on every machine and in every version: SplitMix64 (Steele, Lea, Flood 2014).
///
/// A library's generator may change its algorithm with a release, and with it every data set made from a seed.
#[derive(Clone, Debug)]
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(super) fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Uniform in `0.0..1.0`.
    pub(super) fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Uniform in `0..bound`; `bound` is above 0 and far below 2^64, so the bias is not measurable.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.bits() % bound
    }

    pub(super) fn chance(&mut self, share: f64) -> bool {
        self.unit() < share
    }

    /// A rank in `0..count`, small ones more often: the density falls with `rank^-skew` (0 < skew < 1), by inversion of its integral.
    pub(super) fn skewed(&mut self, count: u64, skew: f64) -> u64 {
        let power = 1.0 - skew;
        let top = ((count + 1) as f64).powf(power);
        let value = (1.0 + self.unit() * (top - 1.0)).powf(1.0 / power);
        (value as u64 - 1).min(count - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_numbers_for_ever() {
        let mut random = Random::new(1);
        assert_eq!([random.bits(), random.bits()], [0x910a_2dec_8902_5cc1, 0xbeeb_8da1_658e_ec67]);
    }

    #[test]
    fn skewed_ranks_stay_in_bounds_and_lean_to_the_front() {
        let mut random = Random::new(2);
        let ranks: Vec<u64> = (0..20_000).map(|_| random.skewed(1_000, 0.8)).collect();
        assert!(ranks.iter().all(|&rank| rank < 1_000));
        let front = ranks.iter().filter(|&&rank| rank < 100).count();
        assert!((8_000..18_000).contains(&front), "{front} of 20,000 among the first tenth");
    }
}
