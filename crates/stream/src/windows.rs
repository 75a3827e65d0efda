//! Live windows: events in, absolute cells out.
//!
//! Events are counted into small partial cells, one a window; publishing merges each partial into the cell of its 5-second window
//! and of its minute, and puts those. Counting is order-independent and so is merging, so a minute is what its twelve 5-second
//! windows add up to, and both are what a recount from the raw events gives.

use std::iter::Peekable;
use std::slice;
use std::sync::Arc;

use event::{AppId, EventBatch, EventView, PAGE_PROPERTIES, PersonHash, PropertyValue, TimestampMs, page_of, person_hash};
use event_store::WindowRow;
use realtime_store::{Cell, CellKey, RealtimeError, RealtimeStore, Resolution, WindowEvent};
use rustc_hash::FxHashMap;
use xxhash_rust::xxh3::xxh3_64;

/// Events that are views of a page.
const PAGE_VIEWS: [&str; 3] = ["page_view", "page", "$pageview"];
/// An event that comes more than this after the end of its 5-second window is late.
const LATE_AFTER_MS: i64 = 10_000;
/// A cell that has not changed for this long is let go; a later event fetches it again.
const HOT_MS: i64 = 30_000;

/// A cell being changed, as the stream knows it.
struct HotCell {
    cell: Arc<Cell>,
    /// True until the store has taken this state.
    changed: bool,
    touched_ms: TimestampMs,
}

/// The windows that change now.
///
/// The stream is the owner of what a hot cell contains, the store has a copy: after a failed put the same cells are put again,
/// whatever became of the first attempt, and nothing is counted twice.
#[derive(Default)]
pub(crate) struct Windows {
    partials: Vec<(CellKey, Cell)>,
    partial_index: FxHashMap<CellKey, usize>,
    hot: FxHashMap<CellKey, HotCell>,
    swept_ms: TimestampMs,
}

impl Windows {
    /// Counts the events of a batch but some, such as duplicates, and returns how many were late. Call [`Windows::publish`] later.
    ///
    /// `uncounted` are indices, ascending, each once. `now_ms` never goes back.
    pub(crate) fn add_batch(&mut self, batch: &EventBatch, uncounted: &[u32], now_ms: TimestampMs) -> u64 {
        let pages = PageKeys::of(batch);
        let is_page_view: Vec<bool> = batch.names().iter().map(|name| PAGE_VIEWS.contains(&name)).collect();
        let mut uncounted: Peekable<slice::Iter<'_, u32>> = uncounted.iter().peekable();
        let mut late = 0;
        // The events of a request are mostly of one or two windows.
        let mut last: Option<(TimestampMs, usize)> = None;
        for event in batch.iter() {
            if uncounted.next_if(|&&index| index as usize == event.index).is_some() {
                continue;
            }
            let five_start_ms = Resolution::FiveSeconds.start_of(event.time_ms);
            late += u64::from(five_start_ms + Resolution::FiveSeconds.length_ms() + LATE_AFTER_MS < now_ms);
            let index = match last {
                Some((start_ms, index)) if start_ms == five_start_ms => index,
                _ => {
                    let Some(index) = self.partial_of(batch.app(), event.time_ms, now_ms) else { continue };
                    last = Some((five_start_ms, index));
                    index
                }
            };
            let page = if is_page_view[event.name_id as usize] { pages.page_of(&event) } else { None };
            let person = event.person();
            let session = event.session_id.map(session_hash).or(person);
            self.partials[index].1.add(&WindowEvent { event: event.name, person, session, page });
        }
        late
    }

    /// Counts one stored event, for rebuilding.
    pub(crate) fn add_row(&mut self, row: &WindowRow<'_>, now_ms: TimestampMs) {
        let Some(index) = self.partial_of(row.app, row.time_ms, now_ms) else { return };
        let person = person_hash(row.user_id, row.anonymous_id);
        let session = row.session_id.map(session_hash).or(person);
        let page = row.page.filter(|_| PAGE_VIEWS.contains(&row.event));
        self.partials[index].1.add(&WindowEvent { event: row.event, person, session, page });
    }

    /// The partial cell that counts an event of this time; `None` when its minute has passed already.
    ///
    /// While the 5-second window is kept it is a partial of that; later one of the minute.
    fn partial_of(&mut self, app: &AppId, time_ms: TimestampMs, now_ms: TimestampMs) -> Option<usize> {
        let resolution = Resolution::ALL.into_iter().find(|&resolution| is_kept(resolution, time_ms, now_ms))?;
        let key = CellKey { app: app.clone(), resolution, start_ms: resolution.start_of(time_ms) };
        if let Some(&index) = self.partial_index.get(&key) {
            return Some(index);
        }
        self.partial_index.insert(key.clone(), self.partials.len());
        self.partials.push((key, Cell::default()));
        Some(self.partials.len() - 1)
    }

    /// Brings all counted events into the store, changed cells only, and returns how many cells were put.
    ///
    /// # Errors
    /// [`RealtimeError::Unavailable`]; nothing is lost, publish again later.
    pub(crate) async fn publish(&mut self, store: &dyn RealtimeStore, now_ms: TimestampMs) -> Result<usize, RealtimeError> {
        while let Some((key, _)) = self.partials.last() {
            let targets = targets(key, now_ms);
            for target in targets.iter().flatten() {
                self.make_hot(target, store).await?;
            }
            if let Some((key, partial)) = self.partials.pop() {
                self.partial_index.remove(&key);
                self.merge(targets.into_iter().flatten(), &partial, now_ms);
            }
        }
        let changed: Vec<_> =
            self.hot.iter().filter(|(_, hot)| hot.changed).map(|(key, hot)| (key.clone(), Arc::clone(&hot.cell))).collect();
        let count = changed.len();
        store.put(changed, now_ms).await?;
        self.hot.values_mut().for_each(|hot| hot.changed = false);
        if now_ms - self.swept_ms >= HOT_MS / 6 {
            self.swept_ms = now_ms;
            self.hot.retain(|_, hot| now_ms - hot.touched_ms < HOT_MS);
        }
        Ok(count)
    }

    async fn make_hot(&mut self, key: &CellKey, store: &dyn RealtimeStore) -> Result<(), RealtimeError> {
        if !self.hot.contains_key(key) {
            let cell = store.get(key).await?.unwrap_or_default();
            self.hot.insert(key.clone(), HotCell { cell, changed: false, touched_ms: TimestampMs::MIN });
        }
        Ok(())
    }

    fn merge(&mut self, targets: impl Iterator<Item = CellKey>, partial: &Cell, now_ms: TimestampMs) {
        for target in targets {
            if let Some(hot) = self.hot.get_mut(&target) {
                Arc::make_mut(&mut hot.cell).merge(partial);
                hot.changed = true;
                hot.touched_ms = now_ms;
            }
        }
    }

    /// Windows held here, for bounding: partial and hot ones.
    pub(crate) fn len(&self) -> usize {
        self.partials.len() + self.hot.len()
    }

    /// Moves the partial cells of `other` here, as if their events had been counted here.
    pub(crate) fn absorb(&mut self, other: Windows) {
        for (key, partial) in other.partials {
            match self.partial_index.get(&key) {
                Some(&index) => self.partials[index].1.merge(&partial),
                None => {
                    self.partial_index.insert(key.clone(), self.partials.len());
                    self.partials.push((key, partial));
                }
            }
        }
    }
}

fn is_kept(resolution: Resolution, time_ms: TimestampMs, now_ms: TimestampMs) -> bool {
    resolution.start_of(time_ms) >= now_ms - resolution.kept_ms()
}

/// The cells a partial belongs to: its own and, for 5 seconds, its minute; without those that have passed since it was counted.
fn targets(key: &CellKey, now_ms: TimestampMs) -> [Option<CellKey>; 2] {
    Resolution::ALL.map(|resolution| {
        let coarse_enough = resolution >= key.resolution;
        (coarse_enough && is_kept(resolution, key.start_ms, now_ms)).then(|| CellKey {
            app: key.app.clone(),
            resolution,
            start_ms: resolution.start_of(key.start_ms),
        })
    })
}

/// A client's session is told apart by the hash of its id, as a person is.
fn session_hash(session_id: &str) -> PersonHash {
    PersonHash(xxh3_64(session_id.as_bytes()))
}

/// Where a batch keeps the page of its page views: the id of each of [`PAGE_PROPERTIES`].
struct PageKeys([Option<u32>; PAGE_PROPERTIES.len()]);

impl PageKeys {
    fn of(batch: &EventBatch) -> Self {
        Self(PAGE_PROPERTIES.map(|wanted| batch.keys().iter().position(|key| key == wanted).map(|id| id as u32)))
    }

    /// The page of an event; the last value of a key counts.
    fn page_of<'a>(&self, event: &EventView<'a>) -> Option<&'a str> {
        let mut values = [PropertyValue::Null; PAGE_PROPERTIES.len()];
        for (key, _, value) in event.properties.clone() {
            if let Some(index) = self.0.iter().position(|page_key| *page_key == Some(key)) {
                values[index] = value;
            }
        }
        page_of(values.map(|value| match value {
            PropertyValue::Null => None,
            PropertyValue::Str(page) => Some(Some(page)),
            _ => Some(None),
        }))
    }
}

#[cfg(test)]
mod tests;
