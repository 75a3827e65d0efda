//! Clients that are slow, broken or gone, a log that takes nothing, and the end of the process.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::support::{Ask, Server, Setting};
use event_log::{FileLog, FileLogOptions, MemoryLog, MemoryLogOptions};
use gateway::{GatewayOptions, ServeOptions};

const GOOD: &str = r#"{"events":[{"name":"page_view","user_id":"U1"}]}"#;

fn hasty() -> Setting {
    Setting {
        gateway: GatewayOptions { body_timeout: Duration::from_millis(300), ..GatewayOptions::default() },
        serve: ServeOptions {
            header_timeout: Duration::from_millis(300),
            drain_timeout: Duration::from_millis(500),
            ..ServeOptions::default()
        },
        ..Setting::default()
    }
}

/// The server must still answer others.
async fn check_alive(server: &Server) {
    assert_eq!(server.post(GOOD).await.status, 200);
}

#[tokio::test]
async fn a_slow_head_is_cut_off() {
    let server = Server::start(hasty()).await;
    let started = Instant::now();
    let mut silent = server.connect().await;
    let mut slow = server.connect().await;
    let dripping = async {
        for byte in Ask::batch(GOOD).bytes() {
            slow.send(&[byte]).await;
            tokio::time::sleep(Duration::from_millis(20)).await;
            if started.elapsed() > Duration::from_secs(2) {
                break;
            }
        }
        slow.answer().await
    };
    let (of_silent, of_slow) = tokio::join!(silent.answer(), dripping);
    assert!(of_silent.is_none_or(|answer| answer.status == 408));
    assert!(of_slow.is_none_or(|answer| answer.status == 408));
    assert!(started.elapsed() < Duration::from_secs(5));
    assert_eq!(server.kept().await.len(), 0);
    check_alive(&server).await;
}

#[tokio::test]
async fn a_slow_body_is_answered_408() {
    let server = Server::start(hasty()).await;
    let mut connection = server.connect().await;
    let bytes = Ask::batch(GOOD).bytes();
    connection.send(&bytes[..bytes.len() - 5]).await;
    let answer = connection.answer().await.unwrap();
    assert_eq!((answer.status, answer.error_code().as_str()), (408, "body_timeout"));
    assert_eq!(server.kept().await.len(), 0);
    check_alive(&server).await;
}

#[tokio::test]
async fn half_a_body_keeps_nothing() {
    let server = Server::start(Setting::default()).await;
    let bytes = Ask::batch(GOOD).bytes();
    for cut in [bytes.len() - 1, bytes.len() - 20, bytes.len() - GOOD.len()] {
        let mut connection = server.connect().await;
        connection.send(&bytes[..cut]).await;
        drop(connection);
    }
    // A chunked body that ends without its last chunk.
    let mut connection = server.connect().await;
    connection
        .send(b"POST /api/v1/events/batch HTTP/1.1\r\nhost: t\r\nauthorization: Bearer wk_1\r\ntransfer-encoding: chunked\r\n\r\n")
        .await;
    connection.send(format!("{:x}\r\n{GOOD}\r\n", GOOD.len()).as_bytes()).await;
    drop(connection);
    while server.metric("throng_gateway_requests_total", "incomplete_body") < 4.0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
        assert_eq!(server.kept().await.len(), 0);
    }
    check_alive(&server).await;
}

#[tokio::test]
async fn conflicting_lengths_never_smuggle_a_request() {
    let server = Server::start(hasty()).await;
    let head = "POST /api/v1/events/batch HTTP/1.1\r\nhost: t\r\nauthorization: Bearer wk_1\r\n";
    let length = GOOD.len();
    let heads = [
        format!("content-length: {length}\r\ncontent-length: {}\r\n", length + 1),
        format!("content-length: {length}, {}\r\n", length + 1),
        format!("content-length: -{length}\r\n"),
        format!("content-length: +{length}\r\n"),
        "content-length: 99999999999999999999999\r\n".to_owned(),
        "content-length: x\r\n".to_owned(),
        "transfer-encoding: chunked, gzip\r\n".to_owned(),
    ];
    for lengths in heads {
        let mut connection = server.connect().await;
        connection.send(format!("{head}{lengths}\r\n{GOOD}").as_bytes()).await;
        let answer = connection.answer().await;
        assert!(answer.as_ref().is_none_or(|answer| answer.status == 400), "{lengths:?} was answered {answer:?}");
    }
    // Both framings: either the request is refused, or the chunks count; the length must not.
    let mut connection = server.connect().await;
    let chunked = format!("{:x}\r\n{GOOD}\r\n0\r\n\r\n", length);
    connection.send(format!("{head}content-length: 3\r\ntransfer-encoding: chunked\r\n\r\n{chunked}").as_bytes()).await;
    let kept = u64::from(connection.answer().await.is_some_and(|answer| answer.status == 200));
    assert_eq!(server.log.end(), kept);
    // A body longer than it says: what is over is no request.
    let mut connection = server.connect().await;
    connection.send(format!("{head}content-length: {}\r\n\r\n{GOOD}{GOOD}", length).as_bytes()).await;
    assert_eq!(connection.answer().await.unwrap().status, 200);
    assert!(connection.answer().await.is_none_or(|answer| answer.status == 400));
    assert_eq!(server.log.end(), kept + 1);
    check_alive(&server).await;
}

#[tokio::test]
async fn a_huge_head_is_refused() {
    let server = Server::start(Setting::default()).await;
    let mut connection = server.connect().await;
    connection.send(&Ask::batch(GOOD).header("x-padding", "x".repeat(200_000)).bytes()).await;
    assert!(connection.answer().await.is_none_or(|answer| answer.status == 431));
    check_alive(&server).await;
}

#[tokio::test]
async fn shutdown_answers_open_requests_and_cuts_the_rest() {
    let server = Server::start(hasty()).await;
    let bytes = Ask::batch(GOOD).bytes();
    let (mut idle, mut open, mut stuck) = (server.connect().await, server.connect().await, server.connect().await);
    idle.send(&bytes).await;
    assert_eq!(idle.answer().await.unwrap().status, 200);
    open.send(&bytes[..bytes.len() - 5]).await;
    stuck.send(&bytes[..bytes.len() - 5]).await;
    while server.metric("throng_gateway_in_flight_bytes", "") < 2.0 * (GOOD.len() - 5) as f64 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    server.shutdown.cancel();
    assert!(idle.answer().await.is_none());
    open.send(&bytes[bytes.len() - 5..]).await;
    let answer = open.answer().await.unwrap();
    assert_eq!((answer.status, answer.header("connection")), (200, Some("close")));
    let started = Instant::now();
    server.serving.await.unwrap().unwrap();
    assert!(started.elapsed() < Duration::from_secs(2));
    assert!(tokio::net::TcpStream::connect(server.address).await.is_err());
    assert!(stuck.answer().await.is_none_or(|answer| answer.status == 408));
    assert_eq!(server.log.end(), 2);
}

#[tokio::test]
async fn a_full_log_is_answered_503_and_nothing_is_kept() {
    let log = Arc::new(MemoryLog::new(MemoryLogOptions { max_held_bytes: 300, ..MemoryLogOptions::default() }));
    let server = Server::start(Setting { log: Some(log), ..Setting::default() }).await;
    let mut kept = 0;
    let refusal = loop {
        let answer = server.post(GOOD).await;
        if answer.status != 200 {
            break answer;
        }
        kept += 1;
        assert!(kept < 100);
    };
    assert_eq!((refusal.status, refusal.error_code().as_str(), refusal.header("retry-after")), (503, "log_full", Some("1")));
    assert_eq!(server.kept().await.len() as u64, kept);
    assert_eq!(server.metric("throng_gateway_events_total", "accepted"), kept as f64);
    assert_eq!(server.metric("throng_gateway_events_total", "refused"), 1.0);
    assert_eq!(server.metric("throng_gateway_requests_total", "log_full"), 1.0);
    // Once a consumer has taken what there is, it goes on by itself.
    server.log.release("stream", kept).unwrap();
    check_alive(&server).await;
}

#[tokio::test]
async fn a_log_that_has_stopped_is_answered_503_for_good() {
    let folder = tempfile::tempdir().unwrap();
    let options = FileLogOptions { segment_bytes: 1, max_record_bytes: 10_000, ..FileLogOptions::default() };
    let log = Arc::new(FileLog::open(folder.path(), options).unwrap());
    let server = Server::start(Setting { log: Some(log), ..Setting::default() }).await;
    check_alive(&server).await;
    let large = server.post(format!(r#"{{"events":[{}]}}"#, vec![r#"{"name":"a","user_id":"U"}"#; 500].join(","))).await;
    assert_eq!((large.status, large.error_code().as_str()), (413, "body_too_large"));
    // Without its folder the log cannot begin the next segment, and does not know what is on disk.
    folder.close().unwrap();
    for _ in 0..2 {
        let answer = server.post(GOOD).await;
        assert_eq!((answer.status, answer.error_code().as_str(), answer.header("retry-after")), (503, "log_unavailable", Some("5")));
    }
    assert_eq!((server.log.end(), server.metric("throng_gateway_events_total", "accepted")), (1, 1.0));
}

#[tokio::test]
async fn a_client_that_leaves_while_the_log_works_is_counted() {
    let folder = tempfile::tempdir().unwrap();
    let options = FileLogOptions { group_commit_wait: Duration::from_secs(1), ..FileLogOptions::default() };
    let log = Arc::new(FileLog::open(folder.path(), options).unwrap());
    let server = Server::start(Setting { log: Some(log), ..Setting::default() }).await;
    // The first group is written at once, the second waits for company.
    check_alive(&server).await;
    let mut leaving = server.connect().await;
    leaving.send(&Ask::batch(GOOD).bytes()).await;
    while server.metric("throng_gateway_in_flight_bytes", "") == 0.0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    drop(leaving);
    while server.metric("throng_gateway_events_total", "unanswered") == 0.0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(server.kept().await.len(), 1);
    assert_eq!(server.metric("throng_gateway_in_flight_bytes", ""), 0.0);
}
