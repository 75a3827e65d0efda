//! Sums that do not depend on the order of their terms.

use event_store::Measured;

use super::value::{Number, Scalar};

/// Count, sum, smallest and largest of numbers.
///
/// The sum is kept as an unevaluated pair of floats (Knuth's two-sum, about 106 bits): integers of 64 bits add up exactly, and the
/// rounded result is the same however threads and parts were cut, but for sums that nearly cancel.
#[derive(Clone, Copy, Debug)]
pub(super) struct Numbers {
    pub(super) count: u64,
    high: f64,
    low: f64,
    min: Pair,
    max: Pair,
}

/// A float and what an integer is beside it: a 64-bit integer without rounding, ordered by size.
type Pair = (f64, f64);

/// Floats below this tell every integer from the next.
const EXACT_INTEGERS_BELOW: f64 = 9_007_199_254_740_992.0;
/// Beyond this, pairs do not hold every integer.
const EXACT_PAIRS_BELOW: f64 = 1e31;

impl Default for Numbers {
    fn default() -> Self {
        Self { count: 0, high: 0.0, low: 0.0, min: (f64::INFINITY, 0.0), max: (f64::NEG_INFINITY, 0.0) }
    }
}

impl Numbers {
    /// Adds a value; one that is no number is left out.
    pub(super) fn add(&mut self, value: Scalar<'_>) {
        match value.number() {
            Some(Number::Float(f)) => self.add_float(f),
            Some(Number::Int(i)) => {
                let nearest = i as f64;
                let rest = (i - nearest as i128) as f64;
                self.count += 1;
                self.bound((nearest, rest), (nearest, rest));
                self.add_term(nearest);
                self.add_term(rest);
            }
            None => {}
        }
    }

    /// Adds a finite float.
    #[inline]
    pub(super) fn add_float(&mut self, f: f64) {
        self.count += 1;
        self.bound((f, 0.0), (f, 0.0));
        self.add_term(f);
    }

    #[inline]
    fn bound(&mut self, min: Pair, max: Pair) {
        if min < self.min {
            self.min = min;
        }
        if max > self.max {
            self.max = max;
        }
    }

    #[inline]
    fn add_term(&mut self, term: f64) {
        let sum = self.high + term;
        let part = sum - self.high;
        let error = (self.high - (sum - part)) + (term - part) + self.low;
        self.high = sum + error;
        self.low = error - (self.high - sum);
    }

    /// Adds everything in `other`.
    pub(super) fn merge(&mut self, other: &Self) {
        self.count += other.count;
        self.bound(other.min, other.max);
        self.add_term(other.high);
        self.add_term(other.low);
    }

    /// The sum, `None` of nothing or beyond the range of a float.
    pub(super) fn sum(&self) -> Option<f64> {
        (self.count > 0 && self.high.is_finite()).then_some(self.high)
    }

    /// The sum, without rounding where it is an integer.
    pub(super) fn measured_sum(&self) -> Measured {
        self.sum().map_or(Measured::Number(None), |high| measured((high, self.low)))
    }

    /// The sum over something counted, `None` where that is nothing.
    pub(super) fn sum_over(&self, divisor: u64) -> Option<f64> {
        self.sum().filter(|_| divisor > 0).map(|sum| sum / divisor as f64)
    }

    /// The smallest.
    pub(super) fn min(&self) -> Measured {
        if self.count > 0 { measured(self.min) } else { Measured::Number(None) }
    }

    /// The largest.
    pub(super) fn max(&self) -> Measured {
        if self.count > 0 { measured(self.max) } else { Measured::Number(None) }
    }
}

/// A large whole number as an integer, everything else as the nearest float.
fn measured((high, low): Pair) -> Measured {
    let is_large = (EXACT_INTEGERS_BELOW..EXACT_PAIRS_BELOW).contains(&high.abs());
    if is_large && low == low.trunc() { Measured::Integer(high as i128 + low as i128) } else { Measured::Number(Some(high)) }
}

/// The quantile `q` in 0..=1, linear between neighbours; reorders `values`. `None` of nothing.
pub(super) fn quantile(values: &mut [f64], q: f64) -> Option<f64> {
    let last = values.len().checked_sub(1)?;
    let position = q.clamp(0.0, 1.0) * last as f64;
    let below = (position.floor() as usize).min(last);
    let (_, &mut low, above) = values.select_nth_unstable_by(below, f64::total_cmp);
    let fraction = position - below as f64;
    if fraction == 0.0 {
        return Some(low);
    }
    let high = above.iter().copied().min_by(f64::total_cmp).unwrap_or(low);
    Some(low + (high - low) * fraction)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_exact_and_orderless() {
        let terms = [1e16, 1.0, -1e16, 3.5, 0.1, 0.2, -0.3];
        let sum = |order: &mut dyn Iterator<Item = f64>| {
            let mut numbers = Numbers::default();
            order.for_each(|term| numbers.add_float(term));
            numbers.sum()
        };
        assert_eq!(sum(&mut terms.iter().copied()), sum(&mut terms.iter().rev().copied()));
        let mut big = Numbers::default();
        for _ in 0..3 {
            big.add(Scalar::Int((1 << 53) + 1));
        }
        big.add(Scalar::Int(-3 * (1 << 53)));
        assert_eq!(big.sum(), Some(3.0));
        big.add(Scalar::Str("5"));
        assert_eq!((big.min(), big.max()), (Measured::Integer(-3 * (1 << 53)), Measured::Integer((1 << 53) + 1)));
        assert_eq!((big.count, Numbers::default().sum(), big.sum_over(0)), (4, None, None));
    }

    #[test]
    fn integers_of_64_bits_are_not_rounded() {
        let of = |values: &[Scalar<'_>]| {
            let mut halves = [Numbers::default(), Numbers::default()];
            values.iter().enumerate().for_each(|(i, value)| halves[i % 2].add(*value));
            let [mut all, other] = halves;
            all.merge(&other);
            (all.measured_sum(), all.min(), all.max())
        };
        let (max, min) = (i64::MAX, i64::MIN);
        let near = of(&[Scalar::Int(max), Scalar::Int(max - 1), Scalar::Int(max - 2)]);
        let integer = |i: i64| Measured::Integer(i128::from(i));
        assert_eq!(near, (Measured::Integer(3 * i128::from(max) - 3), integer(max - 2), integer(max)));
        assert_eq!(of(&[Scalar::Int(min), Scalar::Int(min + 1)]).2, integer(min + 1));
        assert_eq!(of(&[Scalar::BigUint(u64::MAX), Scalar::Int(-1)]).0, Measured::Integer(i128::from(u64::MAX) - 1));
        assert_eq!(
            of(&[Scalar::Int(2), Scalar::Float(0.5)]),
            (Measured::Number(Some(2.5)), Measured::Number(Some(0.5)), Measured::Number(Some(2.0)))
        );
        assert_eq!(of(&[Scalar::Float(1e300)]).0, Measured::Number(Some(1e300)));
    }

    #[test]
    fn quantiles_are_linear() {
        assert_eq!(quantile(&mut [], 0.5), None);
        assert_eq!(quantile(&mut [4.0], 0.9), Some(4.0));
        assert_eq!(quantile(&mut [4.0, 1.0, 3.0, 2.0], 0.5), Some(2.5));
        assert_eq!(quantile(&mut [4.0, 1.0, 3.0, 2.0], 1.0), Some(4.0));
        assert_eq!(quantile(&mut [1.0, 2.0, 3.0, 4.0, 5.0], 0.9), Some(4.6));
    }
}
