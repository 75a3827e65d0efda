use std::sync::Arc;

use event::TimestampMs;

use crate::cell::{Cell, Resolution};
use crate::packed::{Packed, Packer, unpack};

/// A cell this long after its window's start is packed: dashboards look at the last hour, and late events are few.
const OPEN_MS: i64 = 65 * 60_000;
/// A bounded number of late or far-future windows is normal; the vector of a quiet app should not keep the room of a busy hour.
const MAX_SPARE_CELLS: usize = 64;

/// A cell as it is kept.
#[derive(Clone)]
pub(crate) enum Stored {
    Open(Arc<Cell>),
    Packed(Packed),
}

impl Stored {
    /// The cell; `None` for packed bytes that are damaged, which a snapshot's checksum has ruled out.
    pub(crate) fn cell(&self) -> Option<Arc<Cell>> {
        match self {
            Self::Open(cell) => Some(Arc::clone(cell)),
            Self::Packed(bytes) => unpack(bytes).map(Arc::new),
        }
    }

    pub(crate) fn packed(&self, packer: &mut Packer) -> Packed {
        match self {
            Self::Open(cell) => packer.pack(cell),
            Self::Packed(bytes) => Arc::clone(bytes),
        }
    }
}

#[derive(Clone)]
struct Slot {
    start_ms: TimestampMs,
    /// What it counts for in the series' bytes.
    bytes: u32,
    stored: Stored,
}

impl Slot {
    fn new(start_ms: TimestampMs, stored: Stored) -> Self {
        const ARC_HEADER: usize = 16;
        let content = match &stored {
            Stored::Open(cell) => cell.memory_bytes(),
            Stored::Packed(bytes) => bytes.len(),
        };
        Self { start_ms, bytes: (content + ARC_HEADER + size_of::<Self>()) as u32, stored }
    }
}

/// The cells of one app at one resolution.
///
/// Invariants: slots ascend by start; none starts before `kept_from_ms`; `bytes` is the sum of theirs.
#[derive(Default)]
pub(crate) struct Series {
    slots: Vec<Slot>,
    /// Windows before this are forgotten and not taken again: what would come back would be incomplete.
    kept_from_ms: TimestampMs,
    bytes: usize,
}

impl Series {
    /// A series as a snapshot has it.
    pub(crate) fn restore(kept_from_ms: TimestampMs, cells: Vec<(TimestampMs, Stored)>) -> Self {
        let mut series = Self { slots: Vec::with_capacity(cells.len()), kept_from_ms, bytes: 0 };
        cells.into_iter().for_each(|(start_ms, stored)| series.put(start_ms, stored));
        series
    }

    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    pub(crate) fn kept_from_ms(&self) -> TimestampMs {
        self.kept_from_ms
    }

    pub(crate) fn get(&self, start_ms: TimestampMs) -> Option<&Stored> {
        let index = self.slots.binary_search_by_key(&start_ms, |slot| slot.start_ms).ok()?;
        Some(&self.slots[index].stored)
    }

    pub(crate) fn range(&self, from_ms: TimestampMs, to_ms: TimestampMs) -> Vec<(TimestampMs, Stored)> {
        let first = self.slots.partition_point(|slot| slot.start_ms < from_ms);
        let in_range = self.slots[first..].iter().take_while(|slot| slot.start_ms < to_ms);
        in_range.map(|slot| (slot.start_ms, slot.stored.clone())).collect()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (TimestampMs, &Stored)> {
        self.slots.iter().map(|slot| (slot.start_ms, &slot.stored))
    }

    pub(crate) fn put(&mut self, start_ms: TimestampMs, stored: Stored) {
        if start_ms < self.kept_from_ms {
            return;
        }
        let slot = Slot::new(start_ms, stored);
        self.bytes += slot.bytes as usize;
        match self.slots.binary_search_by_key(&start_ms, |slot| slot.start_ms) {
            Ok(index) => self.bytes -= std::mem::replace(&mut self.slots[index], slot).bytes as usize,
            Err(index) => {
                if self.slots.len() == self.slots.capacity() && self.slots.len() < 4 {
                    // Most apps of a large installation have very few cells: do not reserve four at once.
                    self.slots.reserve_exact(1);
                }
                self.slots.insert(index, slot);
            }
        }
    }

    /// Forgets windows that start before `from_ms`.
    pub(crate) fn forget_before(&mut self, from_ms: TimestampMs) {
        self.kept_from_ms = self.kept_from_ms.max(from_ms);
        let passed = self.slots.partition_point(|slot| slot.start_ms < self.kept_from_ms);
        self.bytes -= self.slots.drain(..passed).map(|slot| slot.bytes as usize).sum::<usize>();
        if self.slots.capacity() > 2 * self.slots.len() + MAX_SPARE_CELLS {
            self.slots.shrink_to(self.slots.len() + MAX_SPARE_CELLS / 2);
        }
    }

    /// Forgets the oldest windows that start before `limit_ms` until at least `bytes` are free; returns what was freed.
    pub(crate) fn free(&mut self, bytes: usize, limit_ms: TimestampMs) -> usize {
        let mut freed = 0;
        let oldest = self.slots.iter().take_while(|slot| slot.start_ms < limit_ms);
        let mut kept_from_ms = None;
        for slot in oldest {
            if freed >= bytes {
                break;
            }
            freed += slot.bytes as usize;
            kept_from_ms = Some(slot.start_ms + 1);
        }
        if let Some(kept_from_ms) = kept_from_ms {
            self.forget_before(kept_from_ms);
        }
        freed
    }

    /// Packs cells that have become old, except those a reader holds.
    pub(crate) fn pack_old(&mut self, now_ms: TimestampMs, packer: &mut Packer) {
        for slot in self.slots.iter_mut().take_while(|slot| slot.start_ms < now_ms - OPEN_MS) {
            if let Stored::Open(cell) = &slot.stored
                && Arc::strong_count(cell) == 1
            {
                let packed = Slot::new(slot.start_ms, Stored::Packed(packer.pack(cell)));
                self.bytes = self.bytes + packed.bytes as usize - slot.bytes as usize;
                *slot = packed;
            }
        }
    }
}

/// Both resolutions of one app, indexed by [`Resolution`].
#[derive(Default)]
pub(crate) struct AppSeries {
    five_seconds: Series,
    minutes: Series,
}

impl AppSeries {
    pub(crate) fn of(&self, resolution: Resolution) -> &Series {
        match resolution {
            Resolution::FiveSeconds => &self.five_seconds,
            Resolution::Minute => &self.minutes,
        }
    }

    pub(crate) fn of_mut(&mut self, resolution: Resolution) -> &mut Series {
        match resolution {
            Resolution::FiveSeconds => &mut self.five_seconds,
            Resolution::Minute => &mut self.minutes,
        }
    }

    pub(crate) fn bytes(&self) -> usize {
        self.five_seconds.bytes + self.minutes.bytes
    }

    /// True when nothing is lost by forgetting the app: it has no cells, and none was forgotten before its time.
    pub(crate) fn is_blank(&self, now_ms: TimestampMs) -> bool {
        Resolution::ALL.into_iter().all(|resolution| {
            let series = self.of(resolution);
            series.slots.is_empty() && series.kept_from_ms <= now_ms - resolution.kept_ms()
        })
    }

    /// Forgets what has passed its time.
    pub(crate) fn forget_passed(&mut self, now_ms: TimestampMs) {
        for resolution in Resolution::ALL {
            self.of_mut(resolution).forget_before(now_ms - resolution.kept_ms());
        }
    }

    pub(crate) fn pack_old(&mut self, now_ms: TimestampMs, packer: &mut Packer) {
        self.five_seconds.pack_old(now_ms, packer);
        self.minutes.pack_old(now_ms, packer);
    }

    /// Frees at least `bytes` if it can, the least missed first: 5-second cells (minutes hold the same events), then minutes, and
    /// the last ten minutes and the last hour of them only when nothing else is left.
    pub(crate) fn free(&mut self, bytes: usize, now_ms: TimestampMs) -> usize {
        let steps = [
            (Resolution::FiveSeconds, now_ms - 10 * 60_000),
            (Resolution::Minute, now_ms - 60 * 60_000),
            (Resolution::FiveSeconds, TimestampMs::MAX),
            (Resolution::Minute, TimestampMs::MAX),
        ];
        let mut freed = 0;
        for (resolution, limit_ms) in steps {
            freed += self.of_mut(resolution).free(bytes.saturating_sub(freed), limit_ms);
        }
        freed
    }
}
