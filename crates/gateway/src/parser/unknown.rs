/// Different names that are remembered of one request.
const MAX_FIELDS: usize = 10;
/// Of a longer name, what is told.
const MAX_TOLD_BYTES: usize = 64;

/// Fields that an export adds to the events it tells; what they say is known anew for each receipt.
const OF_EXPORTS: [&str; 2] = ["client_timestamp", "received_at"];

/// A field of an event that nobody reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct UnknownField {
    /// The first event that has it.
    pub(crate) index: u32,
    /// Its name, cut when it is long.
    pub(crate) name: String,
}

/// The first few different ones of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct UnknownFields(Vec<UnknownField>);

impl UnknownFields {
    #[cold]
    pub(super) fn note(&mut self, index: u32, name: &str) {
        let name = &name[..name.floor_char_boundary(MAX_TOLD_BYTES)];
        if self.0.len() < MAX_FIELDS && !OF_EXPORTS.contains(&name) && self.0.iter().all(|known| known.name != name) {
            self.0.push(UnknownField { index, name: name.to_owned() });
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &UnknownField> {
        self.0.iter()
    }
}
