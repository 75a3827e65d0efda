//! Log records that were damaged or gone before their events were stored: whose events they were is not known, only about when they came.

use event_store::{LostRecords, ScanStats, StoreError};

use crate::store::ParquetStore;

/// Entries kept; further losses are added to the newest one, whose range of times grows.
pub(crate) const MAX_ENTRIES: usize = 1_000;
/// Most events come within this time: so long before the receipt of a lost record an answer may lack events of it.
const LATE_MS: i64 = 3_600_000;

impl ParquetStore {
    /// Log records whose events were lost, of all time.
    pub fn lost_records(&self) -> u64 {
        self.with_lost(|lost| lost.map(|lost| lost.records).sum())
    }

    /// Notes in an answer over `[from_ms, to_ms)` which losses it may lack events of.
    pub(crate) fn note_lost(&self, (from_ms, to_ms): (i64, i64), stats: &mut ScanStats) {
        let missing: Vec<String> = self.with_lost(|lost| lost.filter(|lost| may_lack(lost, from_ms, to_ms)).map(text).collect());
        missing.into_iter().for_each(|reason| stats.miss(reason));
    }

    fn with_lost<T>(&self, look: impl FnOnce(&mut dyn Iterator<Item = &LostRecords>) -> T) -> T {
        let state = self.state();
        let mut all = state.lost.iter().chain(state.unflushed().flat_map(|pending| &pending.lost));
        look(&mut all)
    }

    /// Takes a loss in, from the time of the newest account where the caller does not know a better one.
    pub(crate) fn take_lost(&self, mut lost: LostRecords) -> Result<(), StoreError> {
        if lost.from_ms.is_none() {
            lost.from_ms = Some(self.manifest.newest_minute()?.unwrap_or(i64::MIN).min(lost.to_ms));
        }
        self.state().lose(lost);
        Ok(())
    }
}

/// Adds `lost` to `all`, unless it is known, within the bound on entries.
pub(crate) fn add(all: &mut Vec<LostRecords>, lost: &LostRecords) {
    if all.iter().any(|known| (known.from, known.to) == (lost.from, lost.to)) {
        return;
    }
    if all.len() < MAX_ENTRIES {
        return all.push(lost.clone());
    }
    if let Some(last) = all.last_mut() {
        last.to = last.to.max(lost.to);
        last.records += lost.records;
        last.from_ms = last.from_ms.zip(lost.from_ms).map(|(a, b)| a.min(b));
        last.to_ms = last.to_ms.max(lost.to_ms);
    }
}

fn may_lack(lost: &LostRecords, from_ms: i64, to_ms: i64) -> bool {
    from_ms <= lost.to_ms && to_ms > lost.from_ms.unwrap_or(i64::MIN).saturating_sub(LATE_MS)
}

pub(crate) fn text(lost: &LostRecords) -> String {
    let LostRecords { from, to, records, from_ms, to_ms, reason } = lost;
    let from_ms = from_ms.filter(|ms| *ms > i64::MIN).map_or("the beginning".to_owned(), |ms| format!("{ms} ms"));
    format!("{records} requests of any app, received between {from_ms} and {to_ms} ms, are lost (log records {from}..{to}): {reason}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lost(from: u64, from_ms: Option<i64>, to_ms: i64) -> LostRecords {
        LostRecords { from, to: from + 2, records: 2, from_ms, to_ms, reason: "damaged".to_owned() }
    }

    #[test]
    fn an_answer_lacks_what_came_in_its_time_or_a_little_later() {
        let some = lost(0, Some(10 * LATE_MS), 11 * LATE_MS);
        for (range, lacks) in [
            ((0, 9 * LATE_MS), false),
            ((0, 9 * LATE_MS + 1), true),
            ((11 * LATE_MS, i64::MAX), true),
            ((11 * LATE_MS + 1, i64::MAX), false),
        ] {
            assert_eq!(may_lack(&some, range.0, range.1), lacks, "{range:?}");
        }
        assert!(may_lack(&lost(0, None, 5), i64::MIN, 0));
    }

    #[test]
    fn entries_are_bounded_and_records_are_not_lost_count_of() {
        let mut all = Vec::new();
        for i in 0..2 * MAX_ENTRIES as u64 {
            add(&mut all, &lost(i * 2, Some(i as i64), i as i64 + 1));
            add(&mut all, &lost(i * 2, Some(i as i64), i as i64 + 1));
        }
        assert_eq!(all.len(), MAX_ENTRIES);
        assert!(all.iter().map(|lost| lost.records).sum::<u64>() >= 4 * MAX_ENTRIES as u64);
        assert_eq!(all.last().map(|last| last.to_ms), Some(2 * MAX_ENTRIES as i64));
    }
}
