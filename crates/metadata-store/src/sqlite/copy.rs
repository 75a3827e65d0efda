use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use super::{BUSY_TIMEOUT, unavailable};
use crate::store::MetadataError;

/// Writes a copy of the database at `path`, as it is at one moment, to the new file `to`; whoever uses it goes on undisturbed.
///
/// # Errors
/// [`MetadataError::Unavailable`].
pub fn copy_metadata(path: &Path, to: &Path) -> Result<(), MetadataError> {
    let text = to.to_str().ok_or_else(|| MetadataError::Unavailable(format!("{} is not UTF-8", to.display())))?;
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(unavailable)?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(unavailable)?;
    connection.execute("VACUUM INTO ?1", [text]).map(|_| ()).map_err(unavailable)
}
