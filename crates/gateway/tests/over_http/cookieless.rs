//! Ids of visitors who keep nothing on their device.

use gateway::GatewayOptions;
use serde_json::json;

use crate::support::{Ask, Server, Setting};

const FIREFOX: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";

fn body(event: &str) -> String {
    format!(r#"{{"events":[{{"name":"page_view",{event}}}]}}"#)
}

fn cookieless() -> Ask {
    Ask::batch(body(r#""cookieless":true"#)).header("user-agent", FIREFOX)
}

/// Sends each of these, which must be accepted, and gives the anonymous ids they were kept with.
async fn ids(server: &Server, asks: &[Ask]) -> Vec<Option<String>> {
    let before = server.kept().await.len();
    for ask in asks {
        let answer = server.ask(ask).await;
        assert_eq!((answer.status, answer.text()), (200, r#"{"accepted":1,"rejected":[]}"#));
    }
    let kept = server.kept().await;
    kept[before..].iter().flat_map(|batch| batch.iter().map(|event| event.anonymous_id.map(str::to_owned)).collect::<Vec<_>>()).collect()
}

#[tokio::test]
async fn one_visitor_has_one_id_in_each_app_wherever_the_key_stands() {
    let server = Server::start(Setting::default()).await;
    let in_body = |key: &str| {
        Ask::keyless(format!(r#"{{"events":[{{"name":"a","cookieless":true}}],"write_key":"{key}"}}"#)).header("user-agent", FIREFOX)
    };
    let other_browser = cookieless().header("user-agent", "Mozilla/5.0 Chrome/140.0.0.0");
    let no_browser = Ask::batch(body(r#""cookieless":true,"user_id":null"#));
    let other_app = cookieless().header("authorization", "Bearer wk_2");
    let ids = ids(&server, &[cookieless(), in_body("wk_1"), in_body("wk_2"), other_app, other_browser, no_browser]).await;
    let ids: Vec<String> = ids.into_iter().map(|id| id.expect("an id")).collect();
    assert!(ids.iter().all(|id| id.starts_with("daily-") && id.len() == 38), "{ids:?}");
    assert_eq!(ids[0], ids[1], "the key in the head, and in the body behind the events");
    assert_eq!(ids[2], ids[3]);
    let different: std::collections::HashSet<&String> = ids.iter().collect();
    assert_eq!(different.len(), 4, "{ids:?}");
}

#[tokio::test]
async fn a_forged_address_makes_no_other_visitor() {
    let forged = |address: &str| cookieless().header("x-forwarded-for", address);
    let server = Server::start(Setting::default()).await;
    let seen = ids(&server, &[cookieless(), forged("1.1.1.1"), forged("2.2.2.2")]).await;
    assert!(seen[0].is_some() && seen[0] == seen[1] && seen[1] == seen[2], "{seen:?}");

    // Behind a proxy that is trusted, the address that it saw counts, and what a client wrote before it does not.
    let gateway = GatewayOptions { trusted_proxies: vec!["127.0.0.0/8".parse().unwrap()], ..GatewayOptions::default() };
    let server = Server::start(Setting { gateway, ..Setting::default() }).await;
    let seen = ids(&server, &[forged("1.1.1.1"), forged("9.9.9.9, 1.1.1.1"), forged("1.1.1.1, 2.2.2.2")]).await;
    assert!(seen[0] == seen[1] && seen[1] != seen[2], "{seen:?}");
}

#[tokio::test]
async fn a_restart_keeps_the_ids_of_the_day() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("daily-salt");
    let start = async || {
        let gateway = GatewayOptions { daily_salt_file: Some(file.clone()), ..GatewayOptions::default() };
        Server::start(Setting { gateway, ..Setting::default() }).await
    };
    let first = start().await;
    ids(&first, &[Ask::batch(body(r#""user_id":"U1""#)).header("user-agent", FIREFOX)]).await;
    assert!(!file.exists(), "nobody needed it");
    let before = ids(&first, &[cookieless()]).await;
    assert!(file.exists());
    let second = start().await;
    let after = ids(&second, &[cookieless()]).await;
    // Unless midnight came between the two.
    if after != before {
        assert_eq!(ids(&second, &[cookieless()]).await, after);
        assert_eq!(ids(&start().await, &[cookieless()]).await, after);
    }
}

#[tokio::test]
async fn a_user_is_not_linked_to_an_address_and_contradictions_are_told() {
    let server = Server::start(Setting::default()).await;
    assert_eq!(ids(&server, &[Ask::batch(body(r#""cookieless":true,"user_id":"U1""#))]).await, [None]);
    assert_eq!(ids(&server, &[Ask::batch(body(r#""cookieless":false,"anonymous_id":"A1""#))]).await, [Some("A1".to_owned())]);
    for (event, code) in [
        (r#""cookieless":true,"anonymous_id":"A1""#, "invalid_id"),
        (r#""cookieless":true,"anonymous_id":"A1","user_id":"U1""#, "invalid_id"),
        (r#""cookieless":"yes""#, "invalid_type"),
        (r#""cookieless":false"#, "missing_id"),
        (r#""cookieless":null"#, "missing_id"),
    ] {
        let answer = server.post(body(event)).await;
        assert_eq!((answer.status, &answer.json()["rejected"][0]["code"]), (400, &json!(code)), "{event}");
    }
    let import = cookieless().to("/api/v1/events/batch?enrich=false");
    assert_eq!(server.ask(&import).await.json()["rejected"][0]["code"], "missing_id");
}

/// A batch of all kinds: those of a visitor without an id stand beside the others, and a second reading counts nothing twice.
#[tokio::test]
async fn kinds_of_events_mix() {
    let server = Server::start(Setting::default()).await;
    let answer = server
        .post(
            r#"{"events":[{"name":"a","user_id":"U1","properties":{"n":1}},{"name":"b","cookieless":true,"properties":{"n":2}},
            {"name":"c"},{"name":"d","anonymous_id":"A1"}],"sent_at":"2020-01-01T00:00:00Z"}"#,
        )
        .await;
    assert_eq!((&answer.json()["accepted"], &answer.json()["rejected"][0]["index"]), (&json!(3), &json!(2)));
    let kept = server.kept().await;
    let persons: Vec<_> = kept[0].iter().map(|event| (event.name, event.user_id, event.anonymous_id.map(|id| &id[..2]))).collect();
    assert_eq!(persons, [("a", Some("U1"), None), ("b", None, Some("da")), ("d", None, Some("A1"))]);
    assert_eq!(server.metric("throng_gateway_events_total", "accepted"), 3.0);
    let validated = server.ask(&cookieless().to("/api/v1/events/validate")).await;
    assert_eq!((validated.status, server.kept().await.len()), (200, 1));
}

#[tokio::test]
async fn a_page_elsewhere_may_read_when_to_try_again() {
    let gateway = GatewayOptions { quota_events_per_second: Some(1), ..GatewayOptions::default() };
    let server = Server::start(Setting { gateway, ..Setting::default() }).await;
    let mut answer = server.ask(&cookieless()).await;
    while answer.status == 200 {
        answer = server.ask(&cookieless()).await;
    }
    assert_eq!(answer.status, 429);
    assert!(answer.header("retry-after").is_some());
    assert_eq!(answer.header("access-control-expose-headers"), Some("retry-after"));
}
