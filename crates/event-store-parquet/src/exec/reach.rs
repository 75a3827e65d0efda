//! Values of a bucket that are of several buckets: sums since a beginning, and over the last few.

use event_store::QueryError;

/// Most values that are filled in where a measure reaches back: every group has one in every bucket.
const MAX_FILLED: usize = 1_000_000;

/// Whether so many groups may have a value in each of so many buckets.
///
/// # Errors
/// [`QueryError::Invalid`].
pub(crate) fn check_filled(groups: usize, buckets: usize) -> Result<(), QueryError> {
    let filled = groups.saturating_mul(buckets);
    if filled <= MAX_FILLED {
        return Ok(());
    }
    let message = format!(
        "cumulative and rolling metrics have a value for each of {groups} groups in each of {buckets} buckets, at most {MAX_FILLED} in all: lower \"limit\", or ask for a longer interval or a shorter range"
    );
    Err(QueryError::Invalid { field: "interval".into(), message })
}

/// From which bucket on each bucket's value is of.
pub(crate) struct Reach<'r> {
    /// Ascending; none is beyond the bucket itself.
    since: &'r [u32],
    /// By bucket, the first later one that does not reach back to it.
    until: Vec<u32>,
}

impl<'r> Reach<'r> {
    /// `since` is ascending, and none of it beyond its place.
    pub(crate) fn new(since: &'r [u32]) -> Self {
        let mut until = Vec::with_capacity(since.len());
        let mut end = 0;
        for bucket in 0..since.len() {
            end = end.max(bucket + 1);
            while since.get(end).is_some_and(|&since| since as usize <= bucket) {
                end += 1;
            }
            until.push(end as u32);
        }
        Self { since, until }
    }

    /// Number of buckets.
    pub(crate) fn buckets(&self) -> usize {
        self.since.len()
    }

    /// First bucket of the value of a bucket.
    pub(crate) fn since(&self, bucket: usize) -> usize {
        self.since[bucket] as usize
    }

    /// Joins what each bucket has of its own to what its value is of: each bucket is added twice or so, however far values reach.
    pub(crate) fn join<T: Clone>(&self, own: &[T], zero: &T, add: impl Fn(&mut T, &T)) -> Vec<T> {
        // The earlier buckets of a value are joined from their end on, each with all that follow it; the later ones are in one sum.
        let (mut earlier, mut later, mut first) = (Vec::new(), zero.clone(), 0);
        let mut joined = Vec::with_capacity(own.len());
        for (bucket, of_bucket) in own.iter().enumerate() {
            add(&mut later, of_bucket);
            while first < self.since(bucket) {
                if earlier.is_empty() {
                    let mut sum = zero.clone();
                    for of_bucket in own[first..=bucket].iter().rev() {
                        add(&mut sum, of_bucket);
                        earlier.push(sum.clone());
                    }
                    later = zero.clone();
                }
                earlier.pop();
                first += 1;
            }
            let mut value = earlier.last().cloned().unwrap_or_else(|| zero.clone());
            add(&mut value, &later);
            joined.push(value);
        }
        joined
    }
}

/// In how many values something counts that is in some buckets, each value once.
pub(crate) struct Covered<'r> {
    reach: &'r Reach<'r>,
    /// By rank and bucket, one more bucket than there are: by how much a value is more than the one before.
    more: Vec<i64>,
}

impl<'r> Covered<'r> {
    /// Bytes it takes.
    pub(crate) fn bytes(reach: &Reach<'_>, ranks: usize) -> usize {
        ranks * (reach.buckets() + 1) * size_of::<i64>()
    }

    pub(crate) fn new(reach: &'r Reach<'r>, ranks: usize) -> Self {
        Self { reach, more: vec![0; ranks * (reach.buckets() + 1)] }
    }

    /// Counts a bucket of something that counts up to `until` already, 0 where it does not; gives up to where it counts now. Its buckets come
    /// in order.
    #[inline]
    pub(crate) fn add(&mut self, rank: usize, bucket: u32, until: u32) -> u32 {
        let (first, end) = (bucket.max(until), self.reach.until[bucket as usize]);
        if first >= end {
            return until;
        }
        let start = rank * (self.reach.buckets() + 1);
        self.more[start + first as usize] += 1;
        self.more[start + end as usize] -= 1;
        end
    }

    /// Adds what another has counted.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.more.iter_mut().zip(&other.more).for_each(|(all, more)| *all += more);
    }

    /// The counts of all values, by rank and bucket.
    pub(crate) fn counts(&self) -> Vec<u64> {
        let of_rank = |more: &[i64]| {
            let mut now = 0;
            let counts = more[..self.reach.buckets()].iter().map(|more| {
                now += more;
                now as u64
            });
            counts.collect::<Vec<_>>()
        };
        self.more.chunks(self.reach.buckets() + 1).flat_map(of_rank).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn values_are_of_what_they_reach(
            own in prop::collection::vec(0u64..5, 1..40), steps in prop::collection::vec(0u32..4, 40), held in prop::collection::vec(any::<bool>(), 40),
        ) {
            let mut since: Vec<u32> = Vec::new();
            for (bucket, step) in (0..own.len() as u32).zip(steps) {
                since.push((since.last().copied().unwrap_or(0) + step).min(bucket));
            }
            let reach = Reach::new(&since);
            let of = |bucket: usize| since[bucket] as usize..=bucket;
            let joined = reach.join(&own, &0, |sum, own| *sum += own);
            let mut covered = Covered::new(&reach, 2);
            let mut until = 0;
            for bucket in (0..own.len()).filter(|&bucket| held[bucket]) {
                until = covered.add(1, bucket as u32, until);
            }
            let counts = covered.counts();
            for bucket in 0..own.len() {
                prop_assert_eq!(joined[bucket], own[of(bucket)].iter().sum::<u64>());
                prop_assert_eq!(counts[own.len() + bucket], u64::from(held[of(bucket)].contains(&true)));
                prop_assert_eq!(counts[bucket], 0);
            }
        }
    }
}
