use axum::Router;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::middleware::from_fn;
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use rust_embed::{EmbeddedFile, RustEmbed};

use crate::security::{page_headers, shared_script_headers};

/// The built web app, or a page that says how to build it (see `build.rs`).
#[derive(RustEmbed)]
#[folder = "$THRONG_WEB_DIST"]
struct WebApp;

/// File names in this folder carry the hash of their content.
const HASHED_FOLDER: &str = "assets/";
const START_PAGE: &str = "index.html";
/// The JavaScript SDK, which pages of every site load from here.
const SDK: &str = "throng.js";

/// The web app's files; any other path without an extension is a page of the app, which reads it from the address bar.
pub(crate) fn router() -> Router {
    let sdk = any(serve).layer(from_fn(shared_script_headers));
    Router::new().fallback(serve).layer(from_fn(page_headers)).route(&format!("/{SDK}"), sdk)
}

async fn serve(method: Method, uri: Uri, headers: HeaderMap) -> Response {
    if method != Method::GET && method != Method::HEAD {
        return (StatusCode::METHOD_NOT_ALLOWED, [(header::ALLOW, "GET, HEAD")]).into_response();
    }
    let path = uri.path().trim_start_matches('/');
    let is_page = !path.rsplit('/').next().unwrap_or_default().contains('.');
    let name = if is_page { START_PAGE } else { path };
    match WebApp::get(name) {
        Some(file) => answer(name, file, &headers),
        None => (StatusCode::NOT_FOUND, "There is no such file.").into_response(),
    }
}

fn answer(name: &str, file: EmbeddedFile, headers: &HeaderMap) -> Response {
    let etag = format!("\"{}\"", file.metadata.sha256_hash()[..12].iter().map(|byte| format!("{byte:02x}")).collect::<String>());
    // A hashed file never changes under its name; the others are asked for again and mostly answered 304. Sites that are tracked do not
    // wait for that on every page.
    let caching = match name {
        SDK => "public, max-age=3600",
        _ if name.starts_with(HASHED_FOLDER) => "public, max-age=31536000, immutable",
        _ => "no-cache",
    };
    let known = headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    let head = [(header::CACHE_CONTROL, caching), (header::ETAG, etag.as_str())];
    if known.is_some_and(|known| known.split(',').any(|tag| tag.trim() == etag)) {
        return (StatusCode::NOT_MODIFIED, head).into_response();
    }
    let kind = file.metadata.mimetype().to_owned();
    let kind = if kind.starts_with("text/") { format!("{kind}; charset=utf-8") } else { kind };
    (head, [(header::CONTENT_TYPE, kind)], file.data.into_owned()).into_response()
}
