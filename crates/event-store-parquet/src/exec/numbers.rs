//! Sums that do not depend on the order of their terms.

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
    min: f64,
    max: f64,
}

impl Default for Numbers {
    fn default() -> Self {
        Self { count: 0, high: 0.0, low: 0.0, min: f64::INFINITY, max: f64::NEG_INFINITY }
    }
}

impl Numbers {
    /// Adds a value; one that is no number is left out.
    pub(super) fn add(&mut self, value: Scalar<'_>) {
        match value.number() {
            Some(Number::Float(f)) => self.add_float(f),
            Some(Number::Int(i)) => {
                let nearest = i as f64;
                self.add_float(nearest);
                self.add_term((i - nearest as i128) as f64);
            }
            None => {}
        }
    }

    /// Adds a finite float.
    #[inline]
    pub(super) fn add_float(&mut self, f: f64) {
        self.count += 1;
        self.min = self.min.min(f);
        self.max = self.max.max(f);
        self.add_term(f);
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
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
        self.add_term(other.high);
        self.add_term(other.low);
    }

    /// The sum, `None` of nothing or beyond the range of a float.
    pub(super) fn sum(&self) -> Option<f64> {
        (self.count > 0 && self.high.is_finite()).then_some(self.high)
    }

    /// The sum over something counted, `None` where that is nothing.
    pub(super) fn sum_over(&self, divisor: u64) -> Option<f64> {
        self.sum().filter(|_| divisor > 0).map(|sum| sum / divisor as f64)
    }

    /// The smallest.
    pub(super) fn min(&self) -> Option<f64> {
        (self.count > 0).then_some(self.min)
    }

    /// The largest.
    pub(super) fn max(&self) -> Option<f64> {
        (self.count > 0).then_some(self.max)
    }
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
        assert_eq!((big.count, Numbers::default().sum(), big.sum_over(0)), (4, None, None));
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
