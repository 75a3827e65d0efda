use event::{AppId, TimestampMs};

use crate::sink::StoreError;

/// Ledger code of an event that was received after its person was deleted, and not stored for that reason.
pub const DELETED_PERSON: &str = "deleted_person";

/// What becomes of events of a deleted person that are received after the deletion. The newest deletion of a person decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LaterEvents {
    /// They are not stored: the ledger counts them as rejected with [`DELETED_PERSON`].
    Refuse,
    /// They are stored as those of a new person.
    Accept,
}

impl LaterEvents {
    /// The name in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Refuse => "refuse",
            Self::Accept => "accept",
        }
    }

    /// The choice called `name`.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Refuse, Self::Accept].into_iter().find(|choice| choice.as_str() == name)
    }
}

/// A person to delete.
#[derive(Clone, Copy, Debug)]
pub struct DeletionRequest<'a> {
    /// The app, from the credential.
    pub app: &'a AppId,
    /// The person's id: the `user_id` of its events, or the `anonymous_id` of those without a `user_id`. 1 to 255 bytes.
    pub person: &'a str,
    /// What becomes of later events.
    pub later_events: LaterEvents,
    /// The time of the request: events received up to here are covered wherever they are, in the log too.
    pub now_ms: TimestampMs,
}

/// How far a deletion is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeletionState {
    /// The rows are hidden from every reader, files that hold them are being written again.
    Rewriting,
    /// As before, and something stands in the way: see [`DeletionReceipt::blocked`].
    Blocked,
    /// No file of the store holds the person any more.
    Finished,
}

impl DeletionState {
    /// The name in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rewriting => "rewriting",
            Self::Blocked => "blocked",
            Self::Finished => "finished",
        }
    }
}

/// One segment that held rows of the person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeletedFrom {
    /// The segment's path in the store when the person was deleted.
    pub segment: String,
    /// Rows of the person in it; `None` while it could not be read.
    pub rows: Option<u64>,
    /// True once another segment without these rows took its place.
    pub rewritten: bool,
}

/// What was deleted and how far that is. It names the person by hash only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeletionReceipt {
    /// Names the deletion: `del_` and 16 hex digits.
    pub id: String,
    /// The app.
    pub app: AppId,
    /// SHA-256 of the person's id, in hex.
    pub person_sha256: String,
    /// SHA-256 of each other id that was linked with it, in the order of their keys: their events are deleted too.
    pub linked_sha256: Vec<String>,
    /// When it was asked for, and since when the rows are hidden.
    pub requested_at_ms: TimestampMs,
    /// What becomes of later events.
    pub later_events: LaterEvents,
    /// How far it is.
    pub state: DeletionState,
    /// Rows hidden.
    pub rows: u64,
    /// Refused events deleted from the store of refused events.
    pub rejected_events: u64,
    /// The segments that held rows of the person, by path.
    pub segments: Vec<DeletedFrom>,
    /// UTC days whose rollups are still to be counted again; their counts are right already, their sketches are not.
    pub days_to_recount: usize,
    /// When the event log has trimmed the records from before the deletion, at the latest (if events keep coming in).
    pub log_until_ms: Option<TimestampMs>,
    /// When the last byte was gone.
    pub finished_at_ms: Option<TimestampMs>,
    /// What stands in the way, such as a segment that cannot be read.
    pub blocked: Vec<String>,
    /// SHA-256 of the finished receipt in hex, as `docs/formats.md` describes it.
    pub sha256: Option<String>,
}

/// Deletes persons. Calls block: run them on a thread made for it.
pub trait PersonDeletions: Send + Sync {
    /// Hides every stored event of a person from every reader; when this returns, it is durable and done. Upkeep then removes the bytes.
    /// An id without events gives a receipt of no rows, and decides about later events all the same.
    ///
    /// # Errors
    /// [`StoreError::Full`] when too many persons are deleted already; else as for [`crate::EventSink::flush`]. Nothing is hidden then.
    fn delete_person(&self, request: &DeletionRequest<'_>) -> Result<DeletionReceipt, StoreError>;

    /// One deletion of the app.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot be read.
    fn deletion(&self, app: &AppId, id: &str) -> Result<Option<DeletionReceipt>, StoreError>;

    /// The newest deletions of the app, newest first, `limit` at most.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot be read.
    fn deletions(&self, app: &AppId, limit: usize) -> Result<Vec<DeletionReceipt>, StoreError>;
}
