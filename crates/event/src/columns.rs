use crate::dictionary::Dictionary;
use crate::reject::RejectedEvent;
use crate::time::TimestampMs;

/// Length that stands for "no value" in an [`IdColumn`].
const ABSENT: u16 = u16::MAX;

/// One optional id per event: lengths beside the concatenated text.
#[derive(Clone, Default)]
pub struct IdColumn {
    pub(crate) lengths: Vec<u16>,
    pub(crate) bytes: String,
}

impl IdColumn {
    pub(crate) fn push(&mut self, id: Option<&str>) {
        self.lengths.push(id.map_or(ABSENT, |id| id.len() as u16));
        self.bytes.push_str(id.unwrap_or(""));
    }

    fn clear(&mut self) {
        self.lengths.clear();
        self.bytes.clear();
    }

    /// The ids in event order.
    pub fn iter(&self) -> impl Iterator<Item = Option<&str>> {
        let mut start = 0;
        self.lengths.iter().map(move |&length| {
            if length == ABSENT {
                return None;
            }
            let end = start + usize::from(length);
            let id = &self.bytes[start..end];
            start = end;
            Some(id)
        })
    }
}

/// The columns of a batch, while it is written and after. Invariants: all have one entry per event; every name and property id is
/// in its dictionary; `property_ends` never decreases.
#[derive(Clone, Default)]
pub(crate) struct Columns {
    pub(crate) received_at_ms: TimestampMs,
    pub(crate) names: Dictionary,
    pub(crate) keys: Dictionary,
    pub(crate) name_ids: Vec<u32>,
    pub(crate) times: Vec<TimestampMs>,
    pub(crate) client_times: Vec<TimestampMs>,
    pub(crate) user_ids: IdColumn,
    pub(crate) anonymous_ids: IdColumn,
    pub(crate) insert_ids: IdColumn,
    pub(crate) session_ids: IdColumn,
    pub(crate) property_ends: Vec<u32>,
    pub(crate) property_bytes: Vec<u8>,
    pub(crate) rejected: Vec<RejectedEvent>,
}

impl Columns {
    /// Empties the columns and keeps their memory.
    pub(crate) fn clear(&mut self, received_at_ms: TimestampMs) {
        self.received_at_ms = received_at_ms;
        self.names.clear();
        self.keys.clear();
        self.name_ids.clear();
        self.times.clear();
        self.client_times.clear();
        for ids in [&mut self.user_ids, &mut self.anonymous_ids, &mut self.insert_ids, &mut self.session_ids] {
            ids.clear();
        }
        self.property_ends.clear();
        self.property_bytes.clear();
        self.rejected.clear();
    }

    /// The columns of ids, in the order in which they are encoded.
    pub(crate) fn ids(&self) -> [&IdColumn; 4] {
        [&self.user_ids, &self.anonymous_ids, &self.insert_ids, &self.session_ids]
    }

    /// Bytes of memory the columns keep when they are cleared.
    pub(crate) fn retained_bytes(&self) -> usize {
        let ids: usize = self.ids().iter().map(|column| column.bytes.capacity() + 2 * column.lengths.capacity()).sum();
        let numbers = self.name_ids.capacity() * 4 + (self.times.capacity() + self.client_times.capacity()) * 8;
        let properties = self.property_bytes.capacity() + self.property_ends.capacity() * 4;
        ids + numbers + properties + self.names.retained_bytes() + self.keys.retained_bytes()
    }
}
