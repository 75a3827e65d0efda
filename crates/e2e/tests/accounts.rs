//! Accounts on the real program: the printed link, logins beside the command line, a restart, and a log that holds no secret.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test says what it found by panicking")]

use anyhow::{Context, Result};
use e2e::Throng;
use serde_json::{Value, json};

const PASSWORD: &str = "four words of mine";

/// A browser on the server's page: keeps its cookie.
struct Browser {
    agent: ureq::Agent,
    url: String,
    cookie: String,
}

impl Browser {
    fn new(server: &Throng) -> Self {
        let config = ureq::Agent::config_builder().http_status_as_error(false).allow_non_standard_methods(true).build();
        Self { agent: ureq::Agent::new_with_config(config), url: server.url(), cookie: String::new() }
    }

    fn call(&mut self, method: &str, path: &str, body: &Value) -> Result<(u16, Value)> {
        let request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.url))
            .header("cookie", &self.cookie)
            .header("sec-fetch-site", "same-origin")
            .header("content-type", "application/json");
        let body = if method == "GET" { String::new() } else { body.to_string() };
        let mut answer = self.agent.run(request.body(body)?)?;
        if let Some(set) = answer.headers().get("set-cookie") {
            self.cookie = set.to_str()?.split(';').next().unwrap_or_default().to_owned();
        }
        let status = answer.status().as_u16();
        let text = answer.body_mut().read_to_string()?;
        Ok((status, serde_json::from_str(&text).unwrap_or_default()))
    }

    fn get(&mut self, path: &str) -> Result<(u16, Value)> {
        self.call("GET", path, &Value::Null)
    }
}

/// The token of the link in what the server printed.
fn printed_token(log: &str) -> Result<String> {
    let (_, rest) = log.split_once("/setup#token=").context("the server prints a link")?;
    Ok(rest.lines().next().unwrap_or_default().trim().to_owned())
}

fn account(email: &str) -> Value {
    json!({"email": email, "name": email.split('@').next(), "password": PASSWORD})
}

#[test]
fn people_log_in_and_the_log_holds_no_secret() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let config = folder.path().join("throng.toml");
    std::fs::write(&config, "[log]\nlevel = \"trace\"\n")?;
    let mut server = Throng::start(&["--config", &config.display().to_string()])?;
    let app = server.create_app("shop", &[])?;
    let token = printed_token(&server.log())?;
    let mut secrets = vec![app.write_key.clone(), app.read_key.clone(), PASSWORD.to_owned(), "four other words".to_owned()];

    let mut ann = Browser::new(&server);
    let (status, me) = ann.call("POST", "/api/v1/setup", &json!({"token": token, "account": account("ann@example.org")}))?;
    assert_eq!((status, &me["apps"][0]["role"]), (201, &json!("owner")), "{me}");
    secrets.push(ann.cookie.clone());
    let schema = format!("/api/v1/analytics/{}/schema", app.id);
    assert_eq!(ann.get(&schema)?.0, 200);
    // The cookie sends no events, and neither does a read key.
    assert_eq!(ann.call("POST", "/api/v1/events/batch", &json!({"events": [{"name": "x", "user_id": "U"}]}))?.0, 401);
    assert_eq!(server.client().post("/api/v1/events/batch", &app.read_key, &json!({"events": []}))?.0, 403);
    server.client().send(&app, &[json!({"name": "page_view", "user_id": "U1"})])?;
    server.client().wait_for_events(&app, 1)?;

    let invitations = format!("/api/v1/apps/{}/invitations", app.id);
    let (status, invitation) = ann.call("POST", &invitations, &json!({"role": "viewer", "note": "Bob"}))?;
    assert_eq!(status, 201, "{invitation}");
    secrets.push(invitation["token"].as_str().unwrap_or_default().to_owned());
    let mut bob = Browser::new(&server);
    let accept = json!({"token": invitation["token"], "account": account("bob@example.org")});
    assert_eq!(bob.call("POST", "/api/v1/invitations/accept", &accept)?.0, 201);
    secrets.push(bob.cookie.clone());
    assert_eq!(bob.get(&schema)?.0, 200);
    assert_eq!(bob.call("PATCH", &format!("/api/v1/analytics/{}/settings", app.id), &json!({"name": "mine"}))?.0, 403);
    assert_eq!(bob.call("POST", "/api/v1/login", &json!({"email": "bob@example.org", "password": "a wrong password"}))?.0, 401);

    // A lost password, beside the running server.
    let set: Value = serde_json::from_str(&server.command(&["people", "set-password", "bob@example.org"])?)?;
    let password = set["password"].as_str().context("a password is printed")?.to_owned();
    assert_eq!(bob.get("/api/v1/me")?.0, 401, "a new password ends the logins");
    assert_eq!(bob.call("POST", "/api/v1/login", &json!({"email": "bob@example.org", "password": password}))?.0, 200);
    secrets.extend([password, bob.cookie.clone()]);
    let keys: Value = serde_json::from_str(&server.command(&["app", "list"])?)?;
    let read = keys[0]["keys"].as_array().into_iter().flatten().find(|key| key["kind"] == "read").context("a read key")?;
    let rotated: Value = serde_json::from_str(&server.command(&["app", "rotate-key", read["key_id"].as_str().unwrap_or_default()])?)?;
    secrets.push(rotated["key"].as_str().unwrap_or_default().to_owned());
    assert_eq!(server.client().get_with_key(&schema, rotated["key"].as_str().unwrap_or_default())?.0, 200);
    assert_eq!(server.client().get_with_key(&schema, &app.read_key)?.0, 200, "the old key has a day left");
    server.command(&["people", "set-role", "bob@example.org", &app.id, "editor"])?;
    assert_eq!(bob.get("/api/v1/me")?.1["apps"][0]["role"], "editor");
    assert!(server.command(&["people", "remove", "ann@example.org"]).is_err(), "the last owner stays");

    server.terminate()?;
    server.restart()?;
    assert_eq!(ann.get("/api/v1/me")?.0, 200, "a login outlives the process");
    let (status, refused) = ann.call("POST", "/api/v1/setup", &json!({"token": token, "account": account("eve@example.org")}))?;
    assert_eq!((status, &refused["error"]["code"]), (410, &json!("set_up_done")));
    assert_eq!(ann.call("POST", "/api/v1/logout", &json!({}))?.0, 204);
    let used: Value = serde_json::from_str(&server.command(&["app", "list"])?)?;
    assert!(used[0]["keys"].as_array().into_iter().flatten().any(|key| key["last_used_at_ms"].is_i64()), "{used}");

    server.terminate()?;
    let log = server.log();
    assert!(log.contains("DEBUG"), "the log is at its most talkative");
    assert_eq!(log.matches(&token).count(), 1, "the link was printed once, and the token is nowhere else");
    for secret in secrets {
        let secret = secret.trim_start_matches("__Host-throng=");
        assert!(secret.len() > 8 && !log.contains(secret), "{} of a secret are in the log", &secret[..3]);
    }
    assert!(!log.contains("$argon2"), "a hash of a password is in the log");
    Ok(())
}

#[test]
fn set_up_is_over_once_the_command_line_made_an_account() -> Result<()> {
    let server = Throng::start(&[])?;
    let token = printed_token(&server.log())?;
    server.create_app("shop", &[])?;
    let made: Value = serde_json::from_str(&server.command(&["people", "add", "ann@example.org", "--name", "Ann"])?)?;
    assert_eq!(made["administrator"], true, "{made}");
    let mut eve = Browser::new(&server);
    let (status, _) = eve.call("POST", "/api/v1/setup", &json!({"token": token, "account": account("eve@example.org")}))?;
    assert_eq!(status, 410);
    let mut ann = Browser::new(&server);
    let (status, me) = ann.call("POST", "/api/v1/login", &json!({"email": "ann@example.org", "password": made["password"]}))?;
    assert_eq!((status, &me["apps"][0]["name"]), (200, &json!("shop")));
    Ok(())
}
