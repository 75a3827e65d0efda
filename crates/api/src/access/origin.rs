//! What keeps other sites from using the cookie that a browser sends along with every request to this one.

use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, Method, StatusCode, header};

use crate::error::ApiError;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Refuses what a page of another site could have sent: all but GET and HEAD need a JSON body, and a browser that says that the page is
/// of this very site. `with_cookie` refuses where nothing is said as well.
pub(crate) fn only_from_this_site(parts: &Parts, with_cookie: bool) -> Result<(), ApiError> {
    if parts.method == Method::GET || parts.method == Method::HEAD {
        return Ok(());
    }
    let text = |name: HeaderName| parts.headers.get(name).map(|value| value.to_str().unwrap_or_default());
    let is_own = match (text(SEC_FETCH_SITE), text(header::ORIGIN)) {
        (Some(site), _) => site == "same-origin",
        (None, Some(origin)) => is_host(origin, &parts.headers),
        (None, None) => !with_cookie,
    };
    if !is_own {
        let message = "a login is used by pages of this site only: the request needs \"Sec-Fetch-Site: same-origin\", or an Origin that is \
            the Host; a program sends a key instead";
        return Err(ApiError::new(StatusCode::FORBIDDEN, "other_site", message));
    }
    if parts.method != Method::DELETE && !is_json(&parts.headers) {
        let message = "send the body as JSON, with \"Content-Type: application/json\"";
        return Err(ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "not_json", message));
    }
    Ok(())
}

/// Refuses to begin a login that the browser would not keep: it takes secure cookies over HTTPS and from its own machine only.
pub(crate) fn only_over_https(headers: &HeaderMap) -> Result<(), ApiError> {
    let origin = headers.get(header::ORIGIN).and_then(|value| value.to_str().ok());
    match origin.and_then(|origin| origin.strip_prefix("http://")) {
        Some(host) if !is_loopback(host) => {
            let message = "a browser keeps no login of a page without HTTPS: put a proxy with TLS before this server, or reach it from its \
                own machine as http://localhost (through `ssh -L 7070:localhost:7070 HOST`, say). A read key works here all the same";
            Err(ApiError::new(StatusCode::FORBIDDEN, "insecure_origin", message))
        }
        _ => Ok(()),
    }
}

fn is_host(origin: &str, headers: &HeaderMap) -> bool {
    let host = headers.get(header::HOST).and_then(|value| value.to_str().ok());
    let of_origin = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
    of_origin.is_some() && of_origin == host
}

/// Hosts that browsers trust without HTTPS.
fn is_loopback(host: &str) -> bool {
    let name = host.rsplit_once(':').filter(|(_, port)| port.bytes().all(|b| b.is_ascii_digit())).map_or(host, |(name, _)| name);
    let is_address = |name: &str| name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
    name == "localhost" || name.ends_with(".localhost") || is_address(name.trim_start_matches('[').trim_end_matches(']'))
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    fn check(method: &str, headers: &[(&str, &str)], with_cookie: bool) -> Option<String> {
        let mut request = Request::builder().method(method).header("host", "throng.example:7070");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (parts, ()) = request.body(()).unwrap().into_parts();
        only_from_this_site(&parts, with_cookie).err().map(|error| error.code.into_owned())
    }

    #[test]
    fn only_pages_of_this_site_use_the_cookie() {
        const JSON: (&str, &str) = ("content-type", "application/json; charset=utf-8");
        let site = |site| ("sec-fetch-site", site);
        let origin = |origin| ("origin", origin);
        assert_eq!(check("GET", &[site("cross-site")], true), None);
        assert_eq!(check("POST", &[JSON, site("same-origin")], true), None);
        assert_eq!(check("DELETE", &[site("same-origin")], true), None);
        assert_eq!(check("POST", &[JSON, origin("https://throng.example:7070")], true), None);
        for other in ["cross-site", "same-site", "none", ""] {
            assert_eq!(check("POST", &[JSON, site(other)], true).as_deref(), Some("other_site"), "{other}");
            assert_eq!(check("POST", &[JSON, site(other), origin("http://throng.example:7070")], false).as_deref(), Some("other_site"));
        }
        for other in ["null", "https://evil.example", "https://throng.example", "throng.example:7070", "https://throng.example:7070.evil"] {
            assert_eq!(check("POST", &[JSON, origin(other)], true).as_deref(), Some("other_site"), "{other}");
            assert_eq!(check("DELETE", &[origin(other)], true).as_deref(), Some("other_site"), "{other}");
        }
        assert_eq!(check("POST", &[JSON], true).as_deref(), Some("other_site"), "a browser says where a page is from");
        assert_eq!(check("POST", &[JSON], false), None, "a program without a cookie has nothing to lose");
        for kind in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""] {
            assert_eq!(check("PATCH", &[("content-type", kind), site("same-origin")], true).as_deref(), Some("not_json"), "{kind}");
        }
        assert_eq!(check("POST", &[site("same-origin")], true).as_deref(), Some("not_json"));
    }

    #[test]
    fn logins_need_https_or_this_machine() {
        let check = |origin: &str| {
            let request = Request::builder().header("origin", origin).body(()).unwrap();
            only_over_https(request.headers()).is_ok()
        };
        for good in ["https://a.example", "http://localhost:7070", "http://127.0.0.1:7070", "http://[::1]:7070", "http://a.localhost"] {
            assert!(check(good), "{good}");
        }
        for bad in ["http://a.example", "http://10.0.0.5:7070", "http://localhost.evil.example", "http://127.0.0.1.evil:80"] {
            assert!(!check(bad), "{bad}");
        }
    }
}
