use thiserror::Error;

/// Why a segment gave no rows.
#[derive(Clone, Debug, Error)]
pub(crate) enum SegmentFailure {
    /// The file is not what was written: quarantined for as long as the process lives.
    #[error("{0}")]
    Damaged(String),
    /// The system could not read it now, for want of file handles or because of the disk: the next reader tries again.
    #[error("{0}")]
    Unreadable(String),
}

impl SegmentFailure {
    /// A failure of the file system; a file that is not there stays away.
    pub(crate) fn of_io(what: &str, error: &std::io::Error) -> Self {
        let text = format!("{what}: {error}");
        match error.kind() {
            std::io::ErrorKind::NotFound | std::io::ErrorKind::UnexpectedEof => Self::Damaged(text),
            _ => Self::Unreadable(text),
        }
    }
}

/// What a parser says is damage.
impl From<String> for SegmentFailure {
    fn from(reason: String) -> Self {
        Self::Damaged(reason)
    }
}

impl From<&str> for SegmentFailure {
    fn from(reason: &str) -> Self {
        Self::Damaged(reason.to_string())
    }
}
