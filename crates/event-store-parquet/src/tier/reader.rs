use std::io::{self, Read};
use std::sync::Arc;

use bytes::{Buf, Bytes};

use super::{MAX_READ_BYTES, SegmentTier, TierError};

/// Reads an object from its first to its last byte. What it holds is worth nothing until it was compared with the segment's hashes.
pub struct ObjectReader {
    tier: Arc<dyn SegmentTier>,
    object: String,
    bytes: u64,
    fetched: u64,
    buffer: Bytes,
}

impl ObjectReader {
    /// Begins an object of so many bytes; an object that is shorter fails, of a longer one the rest is left.
    pub fn new(tier: Arc<dyn SegmentTier>, object: &str, bytes: u64) -> Self {
        Self { tier, object: object.to_owned(), bytes, fetched: 0, buffer: Bytes::new() }
    }
}

impl Read for ObjectReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.buffer.is_empty() && self.fetched < self.bytes {
            let end = (self.fetched + MAX_READ_BYTES).min(self.bytes);
            self.buffer = self.tier.read(&self.object, self.fetched..end).map_err(|error| io_error(&error))?;
            self.fetched = end;
        }
        let taken = buffer.len().min(self.buffer.len());
        self.buffer.copy_to_slice(&mut buffer[..taken]);
        Ok(taken)
    }
}

fn io_error(error: &TierError) -> io::Error {
    let kind = match error {
        TierError::Missing(_) => io::ErrorKind::NotFound,
        _ => io::ErrorKind::NotConnected,
    };
    io::Error::new(kind, error.to_string())
}
