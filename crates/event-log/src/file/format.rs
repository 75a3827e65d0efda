//! Byte layout of a segment, as `docs/formats.md` describes it. Pure: bytes in, bytes out.

use crate::log::Offset;

const MAGIC: [u8; 8] = *b"THRNGLOG";
/// The only layout there has been.
pub(super) const VERSION: u32 = 1;
/// Bytes before the first record.
pub(super) const HEADER_BYTES: u64 = 28;
/// Bytes before a record's payload.
pub(super) const RECORD_HEADER_BYTES: usize = 20;
/// Where a record's marker stands in its header.
pub(super) const MARKER_AT: usize = 4;

/// A random number drawn once per log and written into every record.
///
/// It tells where a record begins after damage, and a client cannot forge a record inside a payload because it does not know it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Marker(u32);

impl Marker {
    /// Makes a marker of random bits; zero is avoided because unwritten disk pages are zero.
    pub(super) fn new(random: u32) -> Self {
        Self(random.max(1))
    }

    pub(super) fn to_bytes(self) -> [u8; 4] {
        self.0.to_le_bytes()
    }
}

/// What stands at the beginning of a segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct SegmentHeader {
    /// Offset of the first record.
    pub(super) base: Offset,
    pub(super) marker: Marker,
}

/// Why a segment's header cannot be used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum HeaderError {
    /// Torn or damaged; the records behind it may still be good.
    Damaged,
    /// An intact header of another layout.
    Version(u32),
}

/// A record that passed all checks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct FoundRecord {
    pub(super) offset: Offset,
    pub(super) payload_bytes: usize,
    pub(super) marker: Marker,
}

/// Why no record could be taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum RecordError {
    /// The record may be whole: its first `bytes` bytes are needed to tell.
    Short { bytes: usize },
    /// The marker is not this log's.
    Marker,
    /// The checksum does not fit.
    Checksum,
}

pub(super) fn encode_header(header: SegmentHeader) -> [u8; HEADER_BYTES as usize] {
    let mut bytes = [0; HEADER_BYTES as usize];
    bytes[..8].copy_from_slice(&MAGIC);
    bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
    bytes[12..16].copy_from_slice(&header.marker.to_bytes());
    bytes[16..24].copy_from_slice(&header.base.to_le_bytes());
    let checksum = crc32fast::hash(&bytes[..24]);
    bytes[24..].copy_from_slice(&checksum.to_le_bytes());
    bytes
}

pub(super) fn decode_header(bytes: &[u8]) -> Result<SegmentHeader, HeaderError> {
    if bytes.len() < HEADER_BYTES as usize || bytes[..8] != MAGIC || crc32fast::hash(&bytes[..24]) != u32_at(bytes, 24) {
        return Err(HeaderError::Damaged);
    }
    let version = u32_at(bytes, 8);
    if version != VERSION {
        return Err(HeaderError::Version(version));
    }
    Ok(SegmentHeader { base: u64_at(bytes, 16), marker: Marker(u32_at(bytes, 12)) })
}

/// Appends one record to `buffer`; `payload` is shorter than 4 GiB because the log's limit on records is.
pub(super) fn put_record(buffer: &mut Vec<u8>, marker: Marker, offset: Offset, payload: &[u8]) {
    let begin = buffer.len();
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
    buffer.extend_from_slice(&[0; MARKER_AT]);
    buffer.extend_from_slice(&marker.to_bytes());
    buffer.extend_from_slice(&length.to_le_bytes());
    buffer.extend_from_slice(&offset.to_le_bytes());
    buffer.extend_from_slice(payload);
    let checksum = crc32fast::hash(&buffer[begin + MARKER_AT..]);
    buffer[begin..begin + MARKER_AT].copy_from_slice(&checksum.to_le_bytes());
}

/// Takes the record at the beginning of `bytes`; without a `marker` (a segment whose header is lost) any marker passes.
pub(super) fn parse_record(bytes: &[u8], marker: Option<Marker>) -> Result<FoundRecord, RecordError> {
    if bytes.len() < RECORD_HEADER_BYTES {
        return Err(RecordError::Short { bytes: RECORD_HEADER_BYTES });
    }
    let found = Marker(u32_at(bytes, MARKER_AT));
    if marker.is_some_and(|marker| marker != found) {
        return Err(RecordError::Marker);
    }
    let payload_bytes = u32_at(bytes, 8) as usize;
    let total = RECORD_HEADER_BYTES + payload_bytes;
    if bytes.len() < total {
        return Err(RecordError::Short { bytes: total });
    }
    if crc32fast::hash(&bytes[MARKER_AT..total]) != u32_at(bytes, 0) && checksums_count() {
        return Err(RecordError::Checksum);
    }
    Ok(FoundRecord { offset: offset_field(bytes), payload_bytes, marker: found })
}

/// True when `bytes` holds as many bytes as its record header claims, before any check.
pub(super) fn is_whole_record(bytes: &[u8]) -> bool {
    bytes.len() >= RECORD_HEADER_BYTES && bytes.len() - RECORD_HEADER_BYTES >= u32_at(bytes, 8) as usize
}

/// The offset a record header claims, before any check; `bytes` holds at least a record header.
pub(super) fn offset_field(bytes: &[u8]) -> Offset {
    u64_at(bytes, 12)
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let mut word = [0; 4];
    word.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(word)
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let mut word = [0; 8];
    word.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(word)
}

#[cfg(not(test))]
const fn checksums_count() -> bool {
    true
}

#[cfg(test)]
thread_local! {
    /// The control arm of the damage tests: they must fail when checksums are not looked at.
    pub(super) static IGNORE_CHECKSUMS: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

#[cfg(test)]
fn checksums_count() -> bool {
    !IGNORE_CHECKSUMS.get()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_round_trip_and_every_flipped_bit_is_seen() {
        let header = SegmentHeader { base: 77, marker: Marker::new(0xfeed_f00d) };
        let bytes = encode_header(header);
        assert_eq!(decode_header(&bytes), Ok(header));
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes;
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(decode_header(&flipped), Err(HeaderError::Damaged), "bit {bit}");
        }
        assert_eq!(decode_header(&bytes[..27]), Err(HeaderError::Damaged));
    }

    #[test]
    fn an_intact_header_of_another_version_is_told_apart_from_damage() {
        let mut bytes = encode_header(SegmentHeader { base: 0, marker: Marker::new(1) });
        bytes[8] = 2;
        let checksum = crc32fast::hash(&bytes[..24]);
        bytes[24..].copy_from_slice(&checksum.to_le_bytes());
        assert_eq!(decode_header(&bytes), Err(HeaderError::Version(2)));
    }

    #[test]
    fn record_round_trip_and_every_flipped_bit_is_seen() {
        let marker = Marker::new(0xabcd_0123);
        let mut bytes = Vec::new();
        put_record(&mut bytes, marker, 9, b"payload");
        assert_eq!(parse_record(&bytes, Some(marker)), Ok(FoundRecord { offset: 9, payload_bytes: 7, marker }));
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(parse_record(&flipped, Some(marker)).is_err(), "bit {bit}");
            assert!(parse_record(&flipped, None).is_err(), "bit {bit} without the marker");
        }
    }
}
