//! Where in a part each app's and event's rows are: the index that makes a scan exact for its app without reading a column.

use std::ops::Range;
use std::sync::Arc;

/// Most entries of the index of one part; beyond, neighbouring small runs of one app share an entry.
pub const MAX_RUNS: usize = 16_384;

/// Consecutive rows of one app whose event names are in `first_event..=last_event`; one name nearly always.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// The app.
    pub app: Arc<str>,
    /// The smallest event name.
    pub first_event: Arc<str>,
    /// The largest event name.
    pub last_event: Arc<str>,
    /// Rows of the part.
    pub rows: Range<usize>,
    /// Earliest event time, ms.
    pub min_ms: i64,
    /// Latest event time, ms.
    pub max_ms: i64,
}

impl Run {
    /// True when every row has the same event name.
    pub fn is_one_event(&self) -> bool {
        self.first_event == self.last_event
    }

    /// False when surely no row is in `[from_ms, to_ms)` and of one of `events`.
    pub(crate) fn may_hold(&self, from_ms: i64, to_ms: i64, events: Option<&[String]>) -> bool {
        let in_time = self.min_ms < to_ms && self.max_ms >= from_ms;
        in_time && events.is_none_or(|events| events.iter().any(|event| self.may_hold_event(event)))
    }

    fn may_hold_event(&self, event: &str) -> bool {
        &*self.first_event <= event && event <= &*self.last_event
    }
}

/// The runs of a part in row order. Invariant: they cover all rows without gap or overlap, ascending by app, then event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunIndex {
    runs: Vec<Run>,
}

impl RunIndex {
    /// Adds the run that follows; `rows` begins where the last one ended.
    pub fn push(&mut self, run: Run) {
        match self.runs.last_mut() {
            // The rest of a run that was cut by a batch or row-group boundary.
            Some(last) if last.app == run.app && last.is_one_event() && run.is_one_event() && last.first_event == run.first_event => {
                extend(last, &run);
            }
            _ => self.runs.push(run),
        }
        if self.runs.len() > 2 * MAX_RUNS {
            self.coalesce();
        }
    }

    /// The finished index, within its bound wherever the number of apps allows.
    pub fn finish(mut self) -> Self {
        if self.runs.len() > MAX_RUNS {
            self.coalesce();
        }
        self
    }

    /// The runs in row order.
    pub fn runs(&self) -> &[Run] {
        &self.runs
    }

    /// Rows of the part.
    pub fn rows(&self) -> usize {
        self.runs.last().map_or(0, |run| run.rows.end)
    }

    /// Runs that may have rows of this app in `[from_ms, to_ms)` with one of `events`, in row order.
    pub fn select(&self, app: &str, from_ms: i64, to_ms: i64, events: Option<&[String]>) -> impl Iterator<Item = &Run> {
        let start = self.runs.partition_point(|run| *run.app < *app);
        let of_app = self.runs[start..].iter().take_while(move |run| *run.app == *app);
        of_app.filter(move |run| run.may_hold(from_ms, to_ms, events))
    }

    /// Joins neighbouring runs of one app until half of the bound is reached, smallest joint runs first by a growing size limit.
    fn coalesce(&mut self) {
        let mut most_rows = 2;
        while self.runs.len() > MAX_RUNS / 2 {
            let before = self.runs.len();
            let mut joined: Vec<Run> = Vec::with_capacity(before / 2 + 1);
            for run in self.runs.drain(..) {
                match joined.last_mut() {
                    Some(last) if last.app == run.app && last.rows.len() + run.rows.len() <= most_rows => extend(last, &run),
                    _ => joined.push(run),
                }
            }
            self.runs = joined;
            // Nothing left to join: every app has one run.
            if self.runs.len() == before && most_rows > self.rows() {
                return;
            }
            most_rows *= 2;
        }
    }
}

fn extend(last: &mut Run, next: &Run) {
    last.last_event = next.last_event.clone();
    last.rows.end = next.rows.end;
    last.min_ms = last.min_ms.min(next.min_ms);
    last.max_ms = last.max_ms.max(next.max_ms);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(app: &str, event: &str, rows: Range<usize>) -> Run {
        Run {
            app: app.into(),
            first_event: event.into(),
            last_event: event.into(),
            min_ms: rows.start as i64,
            max_ms: rows.end as i64,
            rows,
        }
    }

    #[test]
    fn a_cut_run_is_joined() {
        let mut index = RunIndex::default();
        index.push(run("A", "a", 0..5));
        index.push(run("A", "a", 5..8));
        index.push(run("B", "a", 8..9));
        let index = index.finish();
        assert_eq!(index.runs().len(), 2);
        assert_eq!(index.runs()[0].rows, 0..8);
        assert_eq!(index.select("A", 0, 100, None).count(), 1);
        assert_eq!(index.select("A", 0, 100, Some(&["b".into()])).count(), 0);
        assert_eq!(index.select("C", 0, 100, None).count(), 0);
        assert_eq!(index.select("A", 100, 200, None).count(), 0);
    }

    #[test]
    fn a_million_names_stay_bounded_and_found() {
        let mut index = RunIndex::default();
        for i in 0..300_000 {
            index.push(run("A", &format!("e{i:07}"), i..i + 1));
        }
        index.push(run("B", "x", 300_000..300_001));
        let index = index.finish();
        assert!(index.runs().len() <= MAX_RUNS);
        assert_eq!(index.rows(), 300_001);
        for i in [0, 77, 299_999] {
            let name = format!("e{i:07}");
            let found: Vec<&Run> = index.select("A", 0, i64::MAX, Some(std::slice::from_ref(&name))).collect();
            assert_eq!(found.len(), 1, "{name}");
            assert!(found[0].rows.contains(&i));
        }
        assert!(index.runs().windows(2).all(|w| w[0].rows.end == w[1].rows.start));
    }
}
