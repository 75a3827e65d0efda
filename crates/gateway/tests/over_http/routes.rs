//! The routes of the gateway over a real socket.

use std::io::Write;

use crate::mmdb;
use crate::support::{Ask, RETENTION_MS, Server, Setting};
use event::{EventBatch, PropertyValue};
use gateway::{GatewayOptions, GeoIp};
use serde_json::json;

const GOOD: &str = r#"{"events":[{"name":"page_view","user_id":"U1","properties":{"url":"/home"}},{"name":"click","user_id":"U1"}]}"#;
const ALL_GOOD: &str = r#"{"accepted":2,"rejected":[]}"#;

#[tokio::test]
async fn an_accepted_batch_is_in_the_log_before_it_is_answered() {
    let server = Server::start(Setting::default()).await;
    let answer = server.post(GOOD).await;
    assert_eq!((answer.status, answer.text()), (200, ALL_GOOD));
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
    let kept = server.kept().await;
    assert_eq!((kept.len(), kept[0].len(), kept[0].app().as_str()), (1, 2, "APP-1"));
    let now_ms = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() as i64;
    assert!((now_ms - kept[0].received_at_ms()).abs() < 10_000);
    assert_eq!(kept[0].iter().next().unwrap().time_ms, kept[0].received_at_ms());
    assert_eq!(server.metric("throng_gateway_events_total", "accepted"), 2.0);
    assert_eq!(server.metric("throng_gateway_requests_total", "ok"), 1.0);
    assert_eq!(server.metric("throng_gateway_in_flight_bytes", ""), 0.0);
}

#[tokio::test]
async fn one_connection_carries_many_requests() {
    let server = Server::start(Setting::default()).await;
    let mut connection = server.connect().await;
    let twice = [Ask::batch(GOOD).bytes(), Ask::batch("nonsense").bytes(), Ask::batch(GOOD).bytes()].concat();
    connection.send(&twice).await;
    for status in [200, 400, 200] {
        assert_eq!(connection.answer().await.unwrap().status, status);
    }
    assert_eq!(server.kept().await.len(), 2);
}

#[tokio::test]
async fn bad_events_are_answered_one_by_one_and_kept() {
    let server = Server::start(Setting::default()).await;
    let answer = server.post(r#"{"events":[{"name":"a","user_id":"U"},{"user_id":"U"},7,{"name":"b","user_id":null}]}"#).await;
    assert_eq!(answer.status, 200);
    let body = answer.json();
    assert_eq!(body["accepted"], 2);
    let codes: Vec<_> = body["rejected"].as_array().unwrap().iter().map(|event| (event["index"].clone(), event["code"].clone())).collect();
    assert_eq!(codes, [(json!(1), json!("missing_name")), (json!(2), json!("not_an_object"))]);
    assert!(body["rejected"][0]["message"].as_str().unwrap().starts_with("name is missing"));

    let all_bad = server.post(r#"{"events":[{"user_id":"U"}]}"#).await;
    assert_eq!((all_bad.status, &all_bad.json()["accepted"]), (400, &json!(0)));
    let kept = server.kept().await;
    assert_eq!(kept.len(), 2);
    assert_eq!((kept[0].len(), kept[0].rejected().len()), (2, 2));
    assert_eq!((kept[1].len(), &kept[1].rejected()[0].raw[..]), (0, &br#"{"user_id":"U"}"#[..]));
    assert_eq!(server.metric("throng_gateway_events_total", "accepted"), 2.0);
    assert_eq!(server.metric("throng_gateway_events_total", "rejected"), 3.0);
    assert_eq!(server.metric("throng_gateway_rejected_events_total", "missing_name"), 2.0);
    let empty = server.post(r#"{"events":[]}"#).await;
    assert_eq!((empty.status, empty.text()), (200, r#"{"accepted":0,"rejected":[]}"#));
    assert_eq!(server.kept().await.len(), 2);
}

#[tokio::test]
async fn validate_answers_the_same_and_keeps_nothing() {
    let server = Server::start(Setting::default()).await;
    let validate = |body: &str| Ask::batch(body).to("/api/v1/events/validate");
    for body in [GOOD, r#"{"events":[{"name":"a","user_id":"U"},{"user_id":"U"}]}"#, r#"{"events":[5]}"#] {
        let (validated, sent) = (server.ask(&validate(body)).await, server.post(body).await);
        assert_eq!((validated.status, validated.text()), (sent.status, sent.text()), "{body}");
    }
    assert_eq!(server.kept().await.len(), 3);
    let stranger = Ask::keyless(GOOD).to("/api/v1/events/validate").header("authorization", "Bearer wk_unknown");
    assert_eq!(server.ask(&stranger).await.status, 401);
    assert_eq!(server.metric("throng_gateway_events_total", "validated"), 5.0);
}

#[tokio::test]
async fn keys_and_apps() {
    let server = Server::start(Setting::default()).await;
    let body = |fields: &str| format!(r#"{{{fields}"events":[{{"name":"a","user_id":"U"}}]}}"#);
    let in_body = |fields: &str| Ask::keyless(body(fields));
    let in_head = |key: &str, fields: &str| Ask::keyless(body(fields)).header("authorization", key);
    let in_query = |query: &str| Ask::keyless(body("")).to(format!("/api/v1/events/batch?{query}"));
    let cases = [
        (in_head("Bearer wk_1", ""), 200, ""),
        (in_head("bearer wk_1", r#""app_id":"APP-1","#), 200, ""),
        (in_query("write_key=wk_1"), 200, ""),
        (in_query("a=b&write_key=wk_2"), 200, ""),
        (in_body(r#""write_key":"wk_1","#), 200, ""),
        (in_body(r#""app_id":"APP-2","write_key":"wk_2","#), 200, ""),
        (Ask::keyless(r#"{"events":[{"name":"a","user_id":"U"}],"app_id":"APP-1","write_key":"wk_1"}"#), 200, ""),
        (in_body(""), 401, "missing_key"),
        (in_body(r#""write_key":null,"#), 401, "missing_key"),
        (in_head("Basic d2tfMTo=", ""), 401, "missing_key"),
        (in_head("Bearer wk_unknown", ""), 401, "unknown_key"),
        (in_query("write_key=wk_unknown"), 401, "unknown_key"),
        (in_body(r#""write_key":"wk_unknown","#), 401, "unknown_key"),
        (in_head("Bearer rk_1", ""), 403, "not_a_write_key"),
        (in_query("write_key=rk_1"), 403, "not_a_write_key"),
        (in_body(r#""write_key":"rk_1","#), 403, "not_a_write_key"),
        (in_head("Bearer wk_1", r#""app_id":"APP-2","#), 403, "other_app"),
        (in_head("Bearer wk_1", r#""app_id":"","#), 403, "other_app"),
        (in_body(r#""app_id":"APP-1","write_key":"wk_2","#), 403, "other_app"),
        (Ask::batch(r#"{"events":[{"name":"a","user_id":"U"}],"app_id":"APP-2"}"#), 403, "other_app"),
        (in_head("Bearer wk_unknown", r#""write_key":"wk_1","#), 401, "unknown_key"),
        (in_head("Bearer wk_down", ""), 503, "keys_unavailable"),
    ];
    let mut accepted = Vec::new();
    for (ask, status, code) in cases {
        let answer = server.ask(&ask).await;
        let shown = String::from_utf8(ask.bytes()).unwrap();
        assert_eq!(answer.status, status, "{shown}");
        match status {
            200 => accepted.push(shown.contains("wk_2")),
            _ => assert_eq!(answer.error_code(), code, "{shown}"),
        }
        assert_eq!(answer.header("retry-after").is_some(), status == 503, "{shown}");
    }
    let apps: Vec<bool> = server.kept().await.iter().map(|batch| batch.app().as_str() == "APP-2").collect();
    assert_eq!(apps, accepted);
}

#[tokio::test]
async fn retention_binds_also_when_the_key_is_in_the_body() {
    let server = Server::start(Setting::default()).await;
    let now_ms = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() as i64;
    let old = now_ms - RETENTION_MS - 60_000;
    let event = format!(r#""events":[{{"name":"a","user_id":"U","timestamp":{old}}},{{"name":"b","user_id":"U"}}]"#);
    for (key, accepted) in [("wk_1", 1), ("wk_2", 2)] {
        let in_head = Ask::keyless(format!("{{{event}}}")).header("authorization", format!("Bearer {key}"));
        let in_body = Ask::keyless(format!(r#"{{{event},"write_key":"{key}"}}"#));
        for ask in [in_head, in_body] {
            assert_eq!(server.ask(&ask).await.json()["accepted"], accepted, "{key}");
        }
    }
}

fn packed(encoding: &str, body: &[u8]) -> Vec<u8> {
    match encoding {
        "gzip" => {
            let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
            writer.write_all(body).unwrap();
            writer.finish().unwrap()
        }
        "zstd" => zstd::encode_all(body, 3).unwrap(),
        "br" => {
            let mut out = Vec::new();
            brotli::CompressorWriter::new(&mut out, 4096, 5, 22).write_all(body).unwrap();
            out
        }
        _ => body.to_vec(),
    }
}

#[tokio::test]
async fn encodings() {
    let server = Server::start(Setting::default()).await;
    let encodings = ["gzip", "zstd", "br"];
    for encoding in encodings {
        let good = Ask::batch(packed(encoding, GOOD.as_bytes())).header("content-encoding", encoding);
        assert_eq!(server.ask(&good).await.text(), ALL_GOOD, "{encoding}");
        let padded = format!("{GOOD}{}", " ".repeat(500_000));
        let large = Ask::batch(packed(encoding, padded.as_bytes())).header("content-encoding", encoding);
        assert_eq!(server.ask(&large).await.text(), ALL_GOOD, "{encoding} inflating to a large body");
        let bomb = Ask::batch(packed(encoding, &vec![b' '; 11 * 1024 * 1024])).header("content-encoding", encoding);
        let answer = server.ask(&bomb).await;
        assert_eq!((answer.status, answer.error_code().as_str()), (413, "body_too_large"), "{encoding} bomb");
        for other in encodings.iter().filter(|other| **other != encoding) {
            let wrong = Ask::batch(packed(encoding, GOOD.as_bytes())).header("content-encoding", *other);
            let answer = server.ask(&wrong).await;
            assert_eq!((answer.status, answer.error_code().as_str()), (400, "invalid_encoding"), "{encoding} sent as {other}");
        }
        let whole = packed(encoding, GOOD.as_bytes());
        let cut = Ask::batch(&whole[..whole.len() / 2]).header("content-encoding", encoding);
        assert_eq!(server.ask(&cut).await.error_code(), "invalid_encoding", "{encoding} cut");
        let plain = Ask::batch(GOOD).header("content-encoding", encoding);
        assert_eq!(server.ask(&plain).await.error_code(), "invalid_encoding", "plain sent as {encoding}");
        let unsaid = server.ask(&Ask::batch(packed(encoding, GOOD.as_bytes()))).await;
        assert_eq!((unsaid.status, unsaid.error_code().as_str()), (400, "invalid_json"), "{encoding} unsaid");
    }
    for unknown in ["deflate", "gzip, br", "snappy"] {
        let answer = server.ask(&Ask::batch(GOOD).header("content-encoding", unknown)).await;
        assert_eq!((answer.status, answer.error_code().as_str()), (415, "unsupported_content_encoding"), "{unknown}");
    }
    assert_eq!(server.kept().await.len(), 6);
}

#[tokio::test]
async fn content_types() {
    let server = Server::start(Setting::default()).await;
    for known in ["application/json", "application/json; charset=utf-8", "Text/Plain;charset=UTF-8", "text/plain"] {
        assert_eq!(server.ask(&Ask::batch(GOOD).header("content-type", known)).await.status, 200, "{known}");
    }
    for unknown in ["application/x-www-form-urlencoded", "multipart/form-data", "text/html", "application/jsonx", ""] {
        let answer = server.ask(&Ask::batch(GOOD).header("content-type", unknown)).await;
        assert_eq!((answer.status, answer.error_code().as_str()), (415, "unsupported_content_type"), "{unknown}");
    }
}

#[tokio::test]
async fn bounds_of_a_request() {
    let server = Server::start(Setting::default()).await;
    let events = |count: usize| format!(r#"{{"events":[{}]}}"#, vec![r#"{"name":"a","user_id":"U"}"#; count].join(","));
    assert_eq!(server.post(events(2000)).await.json()["accepted"], 2000);
    let answer = server.post(events(2001)).await;
    assert_eq!((answer.status, answer.error_code().as_str()), (413, "too_many_events"));
    let padded = |bytes: usize| format!("{GOOD}{}", " ".repeat(bytes - GOOD.len()));
    let max_body_bytes = 10 * 1024 * 1024;
    assert_eq!(server.post(padded(max_body_bytes)).await.status, 200);
    let answer = server.post(padded(max_body_bytes + 1)).await;
    assert_eq!((answer.status, answer.error_code().as_str()), (413, "body_too_large"));

    let mut connection = server.connect().await;
    connection
        .send(b"POST /api/v1/events/batch HTTP/1.1\r\nhost: t\r\nauthorization: Bearer wk_1\r\ntransfer-encoding: chunked\r\n\r\n")
        .await;
    let mebibyte = vec![b' '; 1024 * 1024];
    for _ in 0..11 {
        connection.send(format!("{:x}\r\n", mebibyte.len()).as_bytes()).await;
        connection.send(&mebibyte).await;
        connection.send(b"\r\n").await;
    }
    assert_eq!(connection.answer().await.unwrap().status, 413);
    assert_eq!(server.kept().await.len(), 2);
    assert_eq!(server.metric("throng_gateway_in_flight_bytes", ""), 0.0);
}

#[tokio::test]
async fn a_small_body_limit_binds_after_inflating_too() {
    let gateway = GatewayOptions { max_body_bytes: 1000, ..GatewayOptions::default() };
    let server = Server::start(Setting { gateway, ..Setting::default() }).await;
    let padded = |bytes: usize| packed("gzip", format!("{GOOD}{}", " ".repeat(bytes - GOOD.len())).as_bytes());
    let ask = |bytes: usize| Ask::batch(padded(bytes)).header("content-encoding", "gzip");
    assert_eq!(server.ask(&ask(1000)).await.status, 200);
    assert_eq!(server.ask(&ask(1001)).await.status, 413);
}

#[tokio::test]
async fn memory_for_bodies_is_bounded() {
    let gateway = GatewayOptions { max_in_flight_bytes: 1000, ..GatewayOptions::default() };
    let server = Server::start(Setting { gateway, ..Setting::default() }).await;
    let mut waiting = server.connect().await;
    let head = "POST /api/v1/events/batch HTTP/1.1\r\nhost: t\r\nauthorization: Bearer wk_1\r\ncontent-length: 990\r\n\r\n";
    waiting.send([head, &" ".repeat(950)].concat().as_bytes()).await;
    while server.metric("throng_gateway_in_flight_bytes", "") < 950.0 {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    let answer = server.post(GOOD).await;
    assert_eq!((answer.status, answer.error_code().as_str()), (503, "overloaded"));
    assert_eq!(answer.header("retry-after"), Some("1"));
    drop(waiting);
    while server.metric("throng_gateway_in_flight_bytes", "") > 0.0 {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    assert_eq!(server.post(GOOD).await.status, 200);
}

#[tokio::test]
async fn quota() {
    let gateway = GatewayOptions { quota_events_per_second: Some(1), ..GatewayOptions::default() };
    let server = Server::start(Setting { gateway, ..Setting::default() }).await;
    assert_eq!(server.post(GOOD).await.status, 200);
    let answer = server.post(GOOD).await;
    assert_eq!((answer.status, answer.error_code().as_str()), (429, "over_quota"));
    assert_eq!(answer.header("retry-after"), Some("1"));
    let other = Ask::keyless(GOOD).header("authorization", "Bearer wk_2");
    assert_eq!(server.ask(&other).await.status, 200);
    assert_eq!(server.kept().await.len(), 2);
    assert_eq!(server.metric("throng_gateway_events_total", "refused"), 2.0);
}

#[tokio::test]
async fn pages_of_every_origin_may_send() {
    let server = Server::start(Setting::default()).await;
    let mut preflight = Ask::keyless("").header("origin", "https://shop.example").header("access-control-request-method", "POST");
    preflight.method = "OPTIONS";
    for route in ["/api/v1/events/batch", "/api/v1/events/validate"] {
        preflight.target = route.to_owned();
        let answer = server.ask(&preflight).await;
        assert_eq!(answer.status, 204);
        assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
        assert!(answer.header("access-control-allow-headers").unwrap().contains("authorization"));
        assert!(answer.header("access-control-allow-methods").unwrap().contains("POST"));
    }
    let mut get = Ask::batch("");
    get.method = "GET";
    assert_eq!(server.ask(&get).await.status, 405);
}

#[tokio::test]
async fn request_ids_are_given_back_when_harmless() {
    let server = Server::start(Setting::default()).await;
    let id = |given: &str| Ask::keyless(GOOD).header("x-request-id", given);
    assert_eq!(server.ask(&id("abc-123_X")).await.json()["error"]["request_id"], "abc-123_X");
    for hostile in ["<img src=x>", "a b", &"x".repeat(65), ""] {
        let answer = server.ask(&id(hostile)).await.json();
        assert_ne!(answer["error"]["request_id"], hostile);
    }
    let (a, b) = (server.ask(&Ask::keyless(GOOD)).await.json(), server.ask(&Ask::keyless(GOOD)).await.json());
    assert_ne!(a["error"]["request_id"], b["error"]["request_id"]);
}

/// The last value of a property, which is the one that counts.
fn text_property(batch: &EventBatch, index: usize, key: &str) -> Option<String> {
    let event = batch.iter().nth(index).unwrap();
    event.properties.filter(|(_, name, _)| *name == key).last().map(|(_, _, value)| match value {
        PropertyValue::Str(text) => text.to_owned(),
        other => panic!("{key} is {other:?}"),
    })
}

/// A server behind a proxy on this machine, with a geo-IP file of this record.
async fn server_with_place(record: Vec<u8>) -> Server {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), mmdb::file(record)).unwrap();
    let gateway = GatewayOptions { trusted_proxies: vec!["127.0.0.0/8".parse().unwrap()], ..GatewayOptions::default() };
    Server::start(Setting { gateway, geo: Some(GeoIp::open(file.path()).unwrap()), ..Setting::default() }).await
}

#[tokio::test]
async fn derived_properties_yield_to_the_clients_own() {
    let server = server_with_place(mmdb::nested_record()).await;
    let chrome = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36";
    let body =
        r#"{"events":[{"name":"a","user_id":"U"},{"name":"b","user_id":"U","properties":{"country":"DE","os":"BeOS","browser":null}}]}"#;
    let ask = Ask::batch(body).header("user-agent", chrome).header("x-forwarded-for", "6.6.6.6, 1.2.3.4");
    assert_eq!(server.ask(&ask).await.status, 200);
    let kept = server.kept().await;
    let place = [("country", "SE"), ("region", "Skåne"), ("city", "Lund")];
    let agent = [("browser", "Chrome"), ("os", "Windows 10"), ("device_type", "desktop"), ("$lib", "web")];
    for (key, derived) in place.into_iter().chain(agent) {
        assert_eq!(text_property(&kept[0], 0, key).as_deref(), Some(derived), "{key}");
    }
    for (key, counts) in [("country", "DE"), ("os", "BeOS"), ("browser", "Chrome"), ("city", "Lund")] {
        assert_eq!(text_property(&kept[0], 1, key).as_deref(), Some(counts), "{key}");
    }
    let elsewhere = server.ask(&Ask::batch(body).header("x-forwarded-for", "6.6.6.6")).await;
    assert_eq!(elsewhere.status, 200);
    assert!(server.kept().await[1].iter().next().unwrap().properties.next().is_none());
}

#[tokio::test]
async fn events_that_were_enriched_before_get_nothing_of_their_sender() {
    let server = server_with_place(mmdb::nested_record()).await;
    let ask = |target: &str| Ask::batch(GOOD).header("user-agent", "ureq/3.5").header("x-forwarded-for", "1.2.3.4").to(target);
    assert_eq!(server.ask(&ask("/api/v1/events/batch?write_key=wk_1&enrich=false")).await.status, 200);
    assert_eq!(server.ask(&ask("/api/v1/events/batch?enrich=true")).await.status, 200);
    let kept = server.kept().await;
    assert_eq!(["country", "$lib", "device_type"].map(|key| text_property(&kept[0], 0, key)), [None, None, None]);
    assert_eq!(text_property(&kept[1], 0, "country").as_deref(), Some("SE"));
}

#[tokio::test]
async fn a_sender_is_told_what_is_not_kept_as_it_was_sent() {
    let server = Server::start(Setting::default()).await;
    let body = r#"{"sent_at":"2100-01-01T00:00:00Z","events":[{"name":"a","user_id":"U","timestamp":1780000000000,"propertys":{"x":1}}]}"#;
    for target in ["/api/v1/events/batch", "/api/v1/events/validate"] {
        let answer = server.ask(&Ask::batch(body).to(target)).await;
        let told = answer.json();
        assert_eq!((answer.status, &told["accepted"], told["rejected"].as_array().map(Vec::len)), (200, &json!(1), Some(0)), "{told}");
        let codes: Vec<_> = told["warnings"].as_array().unwrap().iter().map(|w| (w["code"].clone(), w["field"].clone())).collect();
        assert_eq!(codes, [(json!("ignored_sent_at"), json!("sent_at")), (json!("unknown_field"), json!("propertys"))]);
    }
    assert_eq!(server.metric("throng_gateway_ignored_sent_at_total", ""), 2.0);
    assert_eq!(server.kept().await[0].iter().next().unwrap().time_ms, 1_780_000_000_000);
}

#[tokio::test]
async fn flat_geo_files_are_read_too() {
    let server = server_with_place(mmdb::flat_record()).await;
    let ask = Ask::batch(GOOD).header("x-forwarded-for", "1.2.3.255");
    assert_eq!(server.ask(&ask).await.status, 200);
    let kept = server.kept().await;
    for (key, derived) in [("country", "SE"), ("region", "Skåne"), ("city", "Lund")] {
        assert_eq!(text_property(&kept[0], 0, key).as_deref(), Some(derived), "{key}");
    }
}

#[test]
fn a_file_that_is_no_geo_file_is_refused_by_name() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), b"not a database").unwrap();
    let error = GeoIp::open(file.path()).err().unwrap().to_string();
    assert!(error.contains(file.path().to_str().unwrap()), "{error}");
}
