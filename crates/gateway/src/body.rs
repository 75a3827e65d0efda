use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;

use crate::in_flight::Held;
use crate::refusal::Refusal;

/// A head may announce more than ever comes: at most this much is allocated on its word.
const MAX_TRUSTED_BYTES: usize = 256 * 1024;

/// Refuses a content type other than JSON and the plain text that `sendBeacon` sends; a missing one is taken for JSON.
pub(crate) fn check_content_type(headers: &HeaderMap) -> Result<(), Refusal> {
    let Some(value) = headers.get(CONTENT_TYPE) else { return Ok(()) };
    let essence = value.as_bytes().split(|&byte| byte == b';').next().unwrap_or_default().trim_ascii();
    let known = essence.eq_ignore_ascii_case(b"application/json") || essence.eq_ignore_ascii_case(b"text/plain");
    known.then_some(()).ok_or(Refusal::ContentType)
}

/// Reads a whole body of at most `max_bytes` within `timeout`; a body that came in one piece is not copied.
pub(crate) async fn read_body(body: Body, max_bytes: usize, timeout: Duration, held: &mut Held) -> Result<Bytes, Refusal> {
    // What the head announces is refused before a byte of it is read.
    if body.size_hint().lower() > max_bytes as u64 {
        return Err(Refusal::BodyTooLarge { max_bytes });
    }
    match tokio::time::timeout(timeout, collect(body, max_bytes, held)).await {
        Ok(read) => read,
        Err(_) => Err(Refusal::BodyTimeout { seconds: timeout.as_secs() }),
    }
}

async fn collect(mut body: Body, max_bytes: usize, held: &mut Held) -> Result<Bytes, Refusal> {
    let Some(first) = next_piece(&mut body, max_bytes, held).await? else { return Ok(Bytes::new()) };
    if body.is_end_stream() {
        return Ok(first);
    }
    let announced = first.len() + usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX - first.len());
    let mut whole = BytesMut::with_capacity(announced.min(first.len() + MAX_TRUSTED_BYTES));
    whole.extend_from_slice(&first);
    drop(first);
    while let Some(piece) = next_piece(&mut body, max_bytes - whole.len(), held).await? {
        whole.extend_from_slice(&piece);
    }
    Ok(whole.freeze())
}

/// The next data of the body, `None` at its end; trailers are passed over.
async fn next_piece(body: &mut Body, max_bytes: usize, held: &mut Held) -> Result<Option<Bytes>, Refusal> {
    while let Some(frame) = body.frame().await {
        let Ok(piece) = frame.map_err(|_| Refusal::BodyIncomplete)?.into_data() else { continue };
        if piece.len() > max_bytes {
            return Err(Refusal::BodyTooLarge { max_bytes });
        }
        held.grow(piece.len())?;
        return Ok(Some(piece));
    }
    Ok(None)
}
