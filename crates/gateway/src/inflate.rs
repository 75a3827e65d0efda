use std::io::{self, Read};

use axum::http::HeaderMap;
use axum::http::header::CONTENT_ENCODING;
use thiserror::Error;

use crate::refusal::Refusal;

/// How a body is packed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Encoding {
    Gzip,
    Zstd,
    Brotli,
}

/// A packed body that cannot be opened.
#[derive(Debug, Error, PartialEq, Eq)]
pub(crate) enum InflateFault {
    /// A bomb, or an honest giant.
    #[error("the body is larger than {max_bytes} bytes after inflating: send smaller batches")]
    TooLarge { max_bytes: usize },
    /// Not what Content-Encoding says, or cut off.
    #[error("the body is not valid {encoding}, or it is cut off: check Content-Encoding")]
    Damaged { encoding: &'static str },
}

/// A zstd frame may ask for a window of this power of two at most (16 MiB): more than any body, less than a frame can demand.
const MAX_ZSTD_WINDOW_LOG: u32 = 24;

const BROTLI_BUFFER_BYTES: usize = 4096;

impl Encoding {
    /// What the request says; `None` for a plain body.
    pub(crate) fn of(headers: &HeaderMap) -> Result<Option<Self>, Refusal> {
        let Some(value) = headers.get(CONTENT_ENCODING) else { return Ok(None) };
        let name = value.to_str().map_err(|_| Refusal::ContentEncoding)?.trim();
        let named = |known: &str| name.eq_ignore_ascii_case(known);
        match () {
            () if named("gzip") || named("x-gzip") => Ok(Some(Self::Gzip)),
            () if named("zstd") => Ok(Some(Self::Zstd)),
            () if named("br") => Ok(Some(Self::Brotli)),
            () if named("identity") || name.is_empty() => Ok(None),
            () => Err(Refusal::ContentEncoding),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
            Self::Brotli => "br",
        }
    }

    /// Fills `out` with the inflated body, stopping one byte behind `max_bytes`.
    pub(crate) fn inflate(self, body: &[u8], max_bytes: usize, out: &mut Vec<u8>) -> Result<(), InflateFault> {
        out.clear();
        let read = match self {
            Self::Gzip => read_up_to(flate2::read::MultiGzDecoder::new(body), max_bytes, out),
            Self::Zstd => zstd_reader(body).and_then(|reader| read_up_to(reader, max_bytes, out)),
            Self::Brotli => inflate_brotli(body, max_bytes, out),
        };
        match read {
            Ok(()) if out.len() > max_bytes => Err(InflateFault::TooLarge { max_bytes }),
            Ok(()) if out.is_empty() => Err(InflateFault::Damaged { encoding: self.name() }),
            Ok(()) => Ok(()),
            Err(_) => Err(InflateFault::Damaged { encoding: self.name() }),
        }
    }
}

fn zstd_reader(body: &[u8]) -> io::Result<impl Read + '_> {
    let mut reader = zstd::stream::read::Decoder::with_buffer(body)?;
    reader.window_log_max(MAX_ZSTD_WINDOW_LOG)?;
    Ok(reader)
}

/// The reader stops where the stream ends and says nothing of bytes behind it; gzip and zstd take those for a stream of their own.
fn inflate_brotli(body: &[u8], max_bytes: usize, out: &mut Vec<u8>) -> io::Result<()> {
    let mut source = LastByteApart { rest: body.split_last().map_or(body, |(_, rest)| rest), last: body.last().copied() };
    read_up_to(brotli::Decompressor::new(&mut source, BROTLI_BUFFER_BYTES), max_bytes, out)?;
    let is_cut_by_limit = out.len() > max_bytes;
    if source.last.is_some() && !is_cut_by_limit {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "bytes behind the stream"));
    }
    Ok(())
}

/// Gives its last byte by itself, so that whether it was taken tells whether all bytes before it were needed.
struct LastByteApart<'b> {
    rest: &'b [u8],
    last: Option<u8>,
}

impl Read for LastByteApart<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if !self.rest.is_empty() {
            return self.rest.read(buffer);
        }
        let (Some(first), Some(last)) = (buffer.first_mut(), self.last) else { return Ok(0) };
        *first = last;
        self.last = None;
        Ok(1)
    }
}

fn read_up_to(reader: impl Read, max_bytes: usize, out: &mut Vec<u8>) -> io::Result<()> {
    reader.take(max_bytes as u64 + 1).read_to_end(out).map(|_| ())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    const ALL: [Encoding; 3] = [Encoding::Gzip, Encoding::Zstd, Encoding::Brotli];

    fn deflate(encoding: Encoding, body: &[u8]) -> Vec<u8> {
        match encoding {
            Encoding::Gzip => {
                let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
                writer.write_all(body).unwrap();
                writer.finish().unwrap()
            }
            Encoding::Zstd => zstd::encode_all(body, 3).unwrap(),
            Encoding::Brotli => {
                let mut out = Vec::new();
                brotli::CompressorWriter::new(&mut out, 4096, 5, 22).write_all(body).unwrap();
                out
            }
        }
    }

    #[test]
    fn every_encoding_opens_its_own_and_refuses_the_others_and_every_cut() {
        let body = b"{\"events\":[{\"name\":\"a\",\"user_id\":\"U1\"}]}".repeat(40);
        let mut out = Vec::new();
        for encoding in ALL {
            let packed = deflate(encoding, &body);
            assert_eq!(encoding.inflate(&packed, body.len(), &mut out), Ok(()), "{encoding:?}");
            assert_eq!(out, body);
            assert_eq!(encoding.inflate(&packed, body.len() - 1, &mut out), Err(InflateFault::TooLarge { max_bytes: body.len() - 1 }));
            for cut in 0..packed.len() {
                assert!(encoding.inflate(&packed[..cut], body.len(), &mut out).is_err(), "{encoding:?} cut at {cut}");
            }
            for other in ALL.into_iter().filter(|other| *other != encoding) {
                assert!(other.inflate(&packed, body.len(), &mut out).is_err(), "{encoding:?} read as {other:?}");
            }
            assert!(encoding.inflate(&body, body.len(), &mut out).is_err(), "plain read as {encoding:?}");
        }
    }

    #[test]
    fn bytes_behind_the_stream_are_refused() {
        let body = b"{\"events\":[]}".repeat(300);
        let mut out = Vec::new();
        for encoding in ALL {
            for behind in [&b"x"[..], b"\0\0\0\0", &[0xff; 10_000], b"{\"events\":[]}"] {
                let packed = [deflate(encoding, &body).as_slice(), behind].concat();
                assert!(encoding.inflate(&packed, 1 << 20, &mut out).is_err(), "{encoding:?} with {} bytes behind it", behind.len());
            }
        }
    }

    #[test]
    fn bombs_stop_at_the_limit() {
        let zeros = vec![b' '; 64 * 1024 * 1024];
        let max_bytes = 1024 * 1024;
        for encoding in ALL {
            let mut out = Vec::new();
            let bomb = deflate(encoding, &zeros);
            assert!(bomb.len() < 128 * 1024);
            assert_eq!(encoding.inflate(&bomb, max_bytes, &mut out), Err(InflateFault::TooLarge { max_bytes }), "{encoding:?}");
            assert!(out.capacity() <= 4 * max_bytes, "{encoding:?} took {} bytes", out.capacity());
        }
    }
}
