use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::run::{Run, RunSpan, RunWriter};
use crate::error::StreamError;

/// Runs of one size class are merged when so many of them lie beside each other.
const MERGE_WIDTH: usize = 4;
/// Runs below this many keys are one size class; each next class is four times larger.
const SMALLEST_CLASS_KEYS: usize = 1 << 12;
/// No run spans more receive time than this, so that a whole run can be dropped at most this long after its first key may be.
const MAX_SPAN_MS: i64 = 86_400_000;
/// How many keys are merged between two looks at the cancellation.
const CHECK_INTERVAL_KEYS: u64 = 1 << 16;

/// Which adjacent runs to merge, or `None` when their number is in order. `runs` ascend by position.
///
/// Two rules: four runs of one size class, with any smaller ones between them; and a stretch that fills a day of receive time, once.
/// The number of runs stays below `3 * classes` for the day that is being filled, plus one for each full day.
pub(crate) fn plan(runs: &[(RunSpan, usize)]) -> Option<Range<usize>> {
    let largest = runs.iter().map(|(_, keys)| class(*keys)).max()?;
    (0..=largest).find_map(|wanted| stretch_of_class(runs, wanted)).or_else(|| full_day(runs))
}

fn class(keys: usize) -> u32 {
    ((keys / SMALLEST_CLASS_KEYS).max(1)).ilog2().div_ceil(2)
}

fn stretch_of_class(runs: &[(RunSpan, usize)], wanted: u32) -> Option<Range<usize>> {
    let mut start = 0;
    while start < runs.len() {
        let mut end = start;
        let (mut of_class, mut span) = (0, runs[start].0);
        while end < runs.len() && class(runs[end].1) <= wanted && fits(span.union(runs[end].0)) {
            span = span.union(runs[end].0);
            of_class += usize::from(class(runs[end].1) == wanted);
            end += 1;
        }
        if of_class >= MERGE_WIDTH {
            return Some(start..end);
        }
        start = end.max(start + 1);
    }
    None
}

fn full_day(runs: &[(RunSpan, usize)]) -> Option<Range<usize>> {
    let mut start = 0;
    while start < runs.len() {
        let mut span = runs[start].0;
        let mut end = start + 1;
        while end < runs.len() && fits(span.union(runs[end].0)) {
            span = span.union(runs[end].0);
            end += 1;
        }
        if end < runs.len() && end - start > 1 {
            return Some(start..end);
        }
        start = end;
    }
    None
}

fn fits(span: RunSpan) -> bool {
    span.max_received_ms - span.min_received_ms <= MAX_SPAN_MS
}

/// A merge to be run on a thread of its own.
pub(crate) struct Merge {
    pub(crate) dir: PathBuf,
    /// Adjacent runs, oldest first; at least two.
    pub(crate) runs: Vec<Arc<Run>>,
}

impl Merge {
    /// Writes the merged run; the inputs stay. `None` when cancelled. Blocks.
    pub(crate) fn run(&self, cancel: &CancellationToken) -> Result<Option<Run>, StreamError> {
        match self.runs.iter().map(|run| run.span()).reduce(RunSpan::union) {
            Some(span) => self.run_as(span, cancel),
            None => Ok(None),
        }
    }

    /// As [`Merge::run`], the merged run covering `span`.
    pub(crate) fn run_as(&self, span: RunSpan, cancel: &CancellationToken) -> Result<Option<Run>, StreamError> {
        let mut writer = RunWriter::create(&self.dir, self.runs.iter().map(|run| run.len()).sum())?;
        let mut scans: Vec<_> = self.runs.iter().map(|run| run.scan()).collect();
        let mut heads: BinaryHeap<_> = scans.iter_mut().enumerate().filter_map(|(i, scan)| Some(Reverse((scan.next()?, i)))).collect();
        let mut last = None;
        let mut merged = 0u64;
        while let Some(Reverse((key, from))) = heads.pop() {
            if last != Some(key) {
                writer.push(key)?;
                last = Some(key);
            }
            heads.extend(scans[from].next().map(|key| Reverse((key, from))));
            merged += 1;
            if merged.is_multiple_of(CHECK_INTERVAL_KEYS) && cancel.is_cancelled() {
                return Ok(None);
            }
        }
        writer.finish(span).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A checkpoint every 30 s for ten days, merged by plan: the number of runs and the bytes written stay small.
    fn simulate(keys_per_run: usize) -> (usize, f64) {
        const INTERVAL_MS: i64 = 30_000;
        let mut runs: Vec<(RunSpan, usize)> = Vec::new();
        let (mut most, mut written, mut added) = (0, 0, 0);
        for i in 0..10 * 86_400_000 / INTERVAL_MS {
            let at = i * INTERVAL_MS;
            let span = RunSpan { from: i as u64, to: i as u64 + 1, min_received_ms: at, max_received_ms: at + INTERVAL_MS };
            runs.push((span, keys_per_run));
            added += keys_per_run;
            runs.retain(|(span, _)| span.max_received_ms >= at - 7 * 86_400_000);
            while let Some(range) = plan(&runs) {
                assert!(range.len() > 1);
                let merged = runs[range.clone()].iter().copied().reduce(|a, b| (a.0.union(b.0), a.1 + b.1)).unwrap();
                assert!(fits(merged.0));
                written += merged.1;
                runs.splice(range, [merged]);
            }
            assert!(runs.windows(2).all(|pair| pair[0].0.to == pair[1].0.from), "runs stay adjacent");
            most = most.max(runs.len());
        }
        (most, written as f64 / added as f64)
    }

    #[test]
    fn runs_stay_few_and_keys_are_rewritten_rarely() {
        for (keys_per_run, max_runs, max_rewrites) in [(1_000, 26, 12.0), (100_000, 30, 8.0), (1_000_000, 30, 8.0)] {
            let (runs, rewrites) = simulate(keys_per_run);
            assert!(runs <= max_runs, "{runs} runs of {keys_per_run}");
            assert!(rewrites <= max_rewrites, "each key written {rewrites} times for {keys_per_run}");
        }
    }

    #[test]
    fn a_small_run_never_drags_a_large_one_along() {
        let span = |i: u64| RunSpan { from: i, to: i + 1, min_received_ms: 0, max_received_ms: 0 };
        let runs = |sizes: &[usize]| sizes.iter().enumerate().map(|(i, &keys)| (span(i as u64), keys)).collect::<Vec<_>>();
        assert_eq!(plan(&runs(&[20_000_000, 10, 10, 10])), None);
        assert_eq!(plan(&runs(&[20_000_000, 10, 10, 10, 10])), Some(1..5));
        assert_eq!(plan(&runs(&[1_000_000, 1_000_000, 10, 1_000_000, 1_000_000])), Some(0..5));
        assert_eq!(plan(&[]), None);
    }
}
