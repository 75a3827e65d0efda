use axum::http::HeaderValue;
use metadata_store::{LOGIN_LIFETIME_MS, SecretToken};

/// `__Host-`: a browser takes it over HTTPS (or from this machine) only, and no other host or path can set it in our place.
pub(crate) const COOKIE: &str = "__Host-throng";

/// The cookie that carries a login; scripts cannot read it.
pub(super) fn carrying(token: &SecretToken) -> HeaderValue {
    let seconds = LOGIN_LIFETIME_MS / 1_000;
    header(&format!("{COOKIE}={}; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age={seconds}", token.as_str()))
}

/// Takes the cookie away.
pub(super) fn gone() -> HeaderValue {
    header(&format!("{COOKIE}=; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=0"))
}

fn header(text: &str) -> HeaderValue {
    // A token is letters and digits. Sensitive: it is left out where headers are written to a log.
    let mut value = HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static(""));
    value.set_sensitive(true);
    value
}
