use event::limits::{MAX_ENRICHED_BYTES, MAX_ENRICHED_PROPERTIES, MAX_PROPERTIES, MAX_PROPERTIES_BYTES};

/// What a request may hold.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// Events.
    pub(crate) max_events: usize,
    /// Keys of one event's properties.
    pub(crate) max_properties: usize,
    /// Bytes of one event's properties as JSON.
    pub(crate) max_properties_bytes: usize,
}

impl Bounds {
    /// Of events as clients make them.
    pub(crate) fn new(max_events: usize) -> Self {
        Self { max_events, max_properties: MAX_PROPERTIES, max_properties_bytes: MAX_PROPERTIES_BYTES }
    }

    /// Of events that were enriched before: every event that was ever accepted is accepted again as an export tells it.
    pub(crate) fn of_enriched(max_events: usize) -> Self {
        Self {
            max_events,
            max_properties: MAX_PROPERTIES + MAX_ENRICHED_PROPERTIES,
            max_properties_bytes: MAX_PROPERTIES_BYTES + MAX_ENRICHED_BYTES,
        }
    }
}
