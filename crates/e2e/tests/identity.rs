//! A visitor who signs in is one person everywhere, for the past as well, over a `kill -9`, and gone with all ids when deleted.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test says what it found by panicking")]

use anyhow::{Context, Result};
use e2e::{App, Client, Throng};
use serde_json::{Value, json};

const RANGE: [(&str, &str); 2] = [("from", "2026-03-09"), ("to", "2026-03-11")];

/// Ann on two devices, Bob who becomes Bobby on Ann's first device, and a visitor who stays one.
fn events() -> Vec<Value> {
    let event = |name: &str, at: &str, user_id: Option<&str>, anonymous_id: Option<&str>| {
        let mut event = json!({"name": name, "timestamp": format!("2026-03-{at}:00Z"), "insert_id": at});
        for (field, id) in [("user_id", user_id), ("anonymous_id", anonymous_id)] {
            if let Some(id) = id {
                event[field] = json!(id);
            }
        }
        event
    };
    let mut alias = event("$alias", "09T13:00", Some("bobby"), None);
    alias["properties"] = json!({"alias": "bob"});
    vec![
        event("landing", "09T10:00", None, Some("d1")),
        event("signup", "09T10:20", Some("ann"), Some("d1")),
        event("landing", "09T11:00", None, Some("d2")),
        event("buy", "09T11:10", Some("ann"), Some("d2")),
        event("landing", "09T12:00", None, Some("d3")),
        event("signup", "09T12:10", Some("bob"), Some("d1")),
        event("buy", "09T12:20", Some("bob"), None),
        alias,
        event("landing", "10T09:00", None, Some("d1")),
        event("buy", "10T09:30", Some("bobby"), None),
    ]
}

struct World {
    server: Throng,
    app: App,
    client: Client,
    admin_key: String,
    _config: tempfile::TempDir,
}

impl World {
    fn started() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let config = folder.path().join("throng.toml");
        std::fs::write(&config, "[stream]\nflush_interval_ms = 300\nupkeep_interval_ms = 200\n[query]\ncache_ttl_ms = 0\n")?;
        let server = Throng::start(&["--config", &config.display().to_string()])?;
        let app = server.create_app("identity", &["--raw-retention", "forever"])?;
        let made: Value = serde_json::from_str(&server.command(&["app", "add-key", &app.id, "--kind", "admin"])?)?;
        let admin_key = made["key"].as_str().context("a key")?.to_owned();
        let client = server.client();
        Ok(Self { server, app, client, admin_key, _config: folder })
    }

    fn ask(&self, call: &str, request: Value) -> Result<Value> {
        let mut request = request;
        if call != "sql" {
            RANGE.iter().for_each(|(field, value)| request[*field] = json!(value));
        }
        self.client.ask(&self.app, call, &request)
    }

    fn users(&self) -> Result<Value> {
        Ok(self.ask("query", json!({"metric": "unique_users"}))?["results"][0]["unique_users"].clone())
    }

    /// Every kind of question has three persons.
    fn check(&self) -> Result<()> {
        assert_eq!(self.users()?, 3);
        let sessions = self.ask("query", json!({"metric": "sessions"}))?;
        assert_eq!(sessions["results"][0]["sessions"], 7);
        let funnel = self.ask("funnel", json!({"steps": ["landing", "signup", "buy"], "window": "1d"}))?;
        let users: Vec<&Value> = funnel["funnel"].as_array().context("funnel")?.iter().map(|step| &step["users"]).collect();
        assert_eq!(users, [2, 1, 1]);
        let retention = self.ask("retention", json!({"start_event": "landing", "return_event": "landing", "period": "day"}))?;
        assert_eq!(retention["retention"][0]["returned"], json!([2, 1]));
        let paths = self.ask("paths", json!({"start": "landing", "steps": 1}))?;
        assert_eq!((&paths["sequences"], &paths["users"]), (&json!(4), &json!(2)));
        let stickiness = self.ask("stickiness", json!({"period": "day"}))?;
        assert_eq!(stickiness["users"], 3);
        let rows = |sql: &str| -> Result<Value> { Ok(self.ask("sql", json!({ "sql": sql }))?["rows"].clone()) };
        assert_eq!(
            rows("SELECT person, count(*) FROM events GROUP BY person ORDER BY person")?,
            json!([["ann", 5], ["bobby", 4], ["d3", 1]])
        );
        assert_eq!(rows("SELECT person, events FROM persons ORDER BY person")?, json!([["ann", 5], ["bobby", 4], ["d3", 1]]));
        assert_eq!(
            rows("SELECT person, count(*) FROM sessions GROUP BY person ORDER BY person")?,
            json!([["ann", 3], ["bobby", 3], ["d3", 1]])
        );
        Ok(())
    }
}

#[test]
fn a_visitor_who_signs_in_is_one_person_everywhere() -> Result<()> {
    let mut world = World::started()?;
    let events = events();
    // Each event by itself, the last one first: what counts is when they happened.
    for event in events.iter().rev() {
        world.client.send(&world.app, std::slice::from_ref(event))?;
    }
    world.client.wait_for_events(&world.app, 10)?;
    world.check()?;
    world.server.kill()?;
    world.server.restart()?;
    world.client = world.server.client();
    world.client.wait_for_events(&world.app, 10)?;
    world.check()?;
    // Once more what was sent: nothing changes.
    world.client.send(&world.app, &events)?;
    std::thread::sleep(std::time::Duration::from_millis(800));
    world.check()?;
    assert_eq!(world.client.metric("throng_store_id_links")?, 3.0);

    let path = format!("/api/v1/analytics/{}/persons/d2", world.app.id);
    let (status, receipt) = world.client.delete(&path, &world.admin_key)?;
    assert_eq!((status, &receipt["rows"], receipt["linked_sha256"].as_array().map(Vec::len)), (202, &json!(5), Some(2)), "{receipt}");
    assert_eq!(world.users()?, 2);
    world.client.send(&world.app, &[json!({"name": "landing", "anonymous_id": "d1", "timestamp": "2026-03-10T10:00:00Z"})])?;
    world.client.send(&world.app, &[json!({"name": "landing", "user_id": "ann", "timestamp": "2026-03-10T10:00:00Z"})])?;
    std::thread::sleep(std::time::Duration::from_millis(800));
    assert_eq!(world.users()?, 2, "events of deleted ids are refused");
    assert_eq!(world.client.metric("throng_store_id_links")?, 1.0);
    world.server.kill()?;
    world.server.restart()?;
    world.client = world.server.client();
    assert_eq!(world.users()?, 2);
    world.server.check()?;
    Ok(())
}
