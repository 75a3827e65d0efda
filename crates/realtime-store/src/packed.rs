//! A cell as bytes: the form of cells in a snapshot, and of cells in memory that change rarely.
//!
//! `docs/formats.md`, "Realtime snapshot", has the layout byte by byte.

use std::cell::RefCell;
use std::sync::Arc;

use event::UniqueSketch;
use zstd::bulk::{Compressor, Decompressor};

use crate::cell::Cell;

const PLAIN: u8 = 0;
const ZSTD: u8 = 1;
const SAME_AS_USERS: u8 = 0;
const OWN: u8 = 1;
/// Below this many bytes a compressed frame gains nothing.
const MIN_COMPRESSED_BYTES: usize = 512;
const ZSTD_LEVEL: i32 = 1;
/// No cell is larger: both maps full of the longest names, every sketch dense.
const MAX_CELL_BYTES: usize = 16 << 20;

/// A packed cell.
pub(crate) type Packed = Arc<[u8]>;

/// Packs cells, keeping its working memory between them.
pub(crate) struct Packer {
    compressor: Option<Compressor<'static>>,
    plain: Vec<u8>,
}

impl Packer {
    pub(crate) fn new() -> Self {
        // Without a compressor (out of memory) cells are packed plain: larger, never lost.
        Self { compressor: Compressor::new(ZSTD_LEVEL).ok(), plain: Vec::new() }
    }

    pub(crate) fn pack(&mut self, cell: &Cell) -> Packed {
        self.plain.clear();
        self.plain.push(PLAIN);
        encode(cell, &mut self.plain);
        if self.plain.len() >= MIN_COMPRESSED_BYTES
            && let Some(compressor) = &mut self.compressor
            && let Ok(frame) = compressor.compress(&self.plain[1..])
            && frame.len() + 5 < self.plain.len()
        {
            let mut out = Vec::with_capacity(frame.len() + 5);
            out.push(ZSTD);
            out.extend_from_slice(&((self.plain.len() - 1) as u32).to_le_bytes());
            out.extend_from_slice(&frame);
            return Arc::from(out);
        }
        Arc::from(&self.plain[..])
    }
}

/// The cell in `bytes`, or `None` when no packer wrote them.
pub(crate) fn unpack(bytes: &[u8]) -> Option<Cell> {
    thread_local! {
        static DECOMPRESSOR: RefCell<Option<Decompressor<'static>>> = RefCell::new(Decompressor::new().ok());
    }
    let (&form, body) = bytes.split_first()?;
    match form {
        PLAIN => decode(body),
        ZSTD => {
            let (length, frame) = body.split_first_chunk::<4>()?;
            let length = u32::from_le_bytes(*length) as usize;
            if length > MAX_CELL_BYTES {
                return None;
            }
            let plain = DECOMPRESSOR.with_borrow_mut(|decompressor| decompressor.as_mut()?.decompress(frame, length).ok())?;
            decode(&plain)
        }
        _ => None,
    }
}

fn encode(cell: &Cell, out: &mut Vec<u8>) {
    write_varint(out, cell.events);
    write_bytes(out, &cell.users.to_bytes());
    write_sketch(out, &cell.sessions, &cell.users);
    write_varint(out, cell.by_event.len() as u64);
    for (name, event) in cell.by_event.iter() {
        write_bytes(out, name.as_bytes());
        write_varint(out, event.events);
        write_sketch(out, &event.users, &cell.users);
    }
    write_varint(out, cell.pages.len() as u64);
    for (page, &count) in cell.pages.iter() {
        write_bytes(out, page.as_bytes());
        write_varint(out, count);
    }
}

fn decode(mut input: &[u8]) -> Option<Cell> {
    let input = &mut input;
    let mut cell = Cell { events: read_varint(input)?, ..Cell::default() };
    cell.users = UniqueSketch::from_bytes(read_bytes(input)?)?;
    cell.sessions = read_sketch(input, &cell.users)?;
    for _ in 0..read_varint(input)? {
        let name = read_text(input)?;
        let events = read_varint(input)?;
        let users = read_sketch(input, &cell.users)?;
        let event = cell.by_event.entry(name)?;
        (event.events, event.users) = (events, users);
    }
    for _ in 0..read_varint(input)? {
        let page = read_text(input)?;
        *cell.pages.entry(page)? = read_varint(input)?;
    }
    input.is_empty().then_some(cell)
}

/// Most cells have one session a person, and many have one event name: their sketches equal that of the cell's persons.
fn write_sketch(out: &mut Vec<u8>, sketch: &UniqueSketch, users: &UniqueSketch) {
    if sketch == users {
        out.push(SAME_AS_USERS);
    } else {
        out.push(OWN);
        write_bytes(out, &sketch.to_bytes());
    }
}

fn read_sketch(input: &mut &[u8], users: &UniqueSketch) -> Option<UniqueSketch> {
    let (&form, rest) = input.split_first()?;
    *input = rest;
    match form {
        SAME_AS_USERS => Some(users.clone()),
        OWN => UniqueSketch::from_bytes(read_bytes(input)?),
        _ => None,
    }
}

pub(crate) fn write_varint(out: &mut Vec<u8>, mut n: u64) {
    while n >= 0x80 {
        out.push(n as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}

pub(crate) fn read_varint(input: &mut &[u8]) -> Option<u64> {
    let mut n = 0u64;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = input.split_first()?;
        *input = rest;
        n |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(n);
        }
    }
    None
}

pub(crate) fn write_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    write_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

pub(crate) fn read_bytes<'a>(input: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = usize::try_from(read_varint(input)?).ok()?;
    let (bytes, rest) = input.split_at_checked(length)?;
    *input = rest;
    Some(bytes)
}

pub(crate) fn read_text<'a>(input: &mut &'a [u8]) -> Option<&'a str> {
    std::str::from_utf8(read_bytes(input)?).ok()
}

#[cfg(test)]
mod tests {
    use event::PersonHash;
    use proptest::prelude::*;

    use super::*;
    use crate::cell::WindowEvent;

    fn cell(events: u64, persons: u64, names: u64, pages: u64) -> Cell {
        let mut cell = Cell::default();
        for i in 0..events {
            let person = PersonHash((i % persons).wrapping_mul(0x9e37_79b9_7f4a_7c15));
            let session = if i % 5 == 0 { PersonHash(i) } else { person };
            let (event, page) = (format!("event {}", i % names), format!("/p/{}", i % pages));
            cell.add(&WindowEvent { event: &event, person: Some(person), session: Some(session), page: Some(&page) });
        }
        cell
    }

    #[test]
    fn cells_survive_packing() {
        let mut packer = Packer::new();
        for cell in [Cell::default(), cell(1, 1, 1, 1), cell(150, 90, 8, 70), cell(5_000, 4_000, 300, 700)] {
            assert_eq!(unpack(&packer.pack(&cell)), Some(cell));
        }
    }

    proptest! {
        #[test]
        fn damaged_bytes_never_panic(position in 0usize..5_000, byte: u8, cut in 0usize..5_000) {
            for cell in [cell(5, 3, 2, 2), cell(150, 90, 8, 70)] {
                let mut bytes = Packer::new().pack(&cell).to_vec();
                let at = position % bytes.len();
                bytes[at] = byte;
                bytes.truncate(bytes.len() - cut % bytes.len());
                unpack(&bytes);
            }
        }
    }
}
