//! Set-up, logins, roles, invitations; attacks 1, 4 and 8: what a stranger, another site and a member with too low a role are refused.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test ends where it finds something wrong")]

mod support;

use std::io::{BufRead, BufReader};
use std::time::{Duration, Instant};

use event::AppId;
use metadata_store::{Members, Role};
use serde_json::{Value, json};
use support::{Answer, Client, PASSWORD, Running, now_ms};

/// Names and values.
type Headers = &'static [(&'static str, &'static str)];

const SCHEMA: &str = "/api/v1/analytics/ours/schema";

fn check(answer: &Answer, status: u16, code: &str, what: &str) {
    let found = if answer.status < 400 { String::new() } else { answer.code() };
    assert_eq!((answer.status, found.as_str()), (status, code), "{what}: {}", answer.text);
}

/// The cookie that an answer sets, as a browser sends it back.
fn cookie_of(answer: &Answer) -> String {
    let set = answer.header("set-cookie");
    let (cookie, rest) = set.split_once("; ").unwrap_or_else(|| panic!("no cookie in {answer:?}"));
    assert!(cookie.starts_with("__Host-throng="), "{set}");
    assert_eq!(rest, "Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=7776000");
    cookie.to_owned()
}

fn log_in(client: &Client, email: &str, password: &str, cookie: &str) -> Answer {
    client.as_page("POST", "/api/v1/login", cookie, &json!({"email": email, "password": password}))
}

fn me(client: &Client, cookie: &str) -> Answer {
    client.send_with("GET", "/api/v1/me", &[("cookie", cookie)], "")
}

#[test]
fn set_up_makes_the_first_account_once() {
    let running = Running::start();
    let client = running.client();
    let open = || client.send("GET", "/api/v1/setup", None, "").json()["open"].clone();
    let set_up = |token: &str, email: &str| {
        let account = json!({"email": email, "name": "Ann", "password": PASSWORD});
        client.as_page("POST", "/api/v1/setup", "", &json!({"token": token, "account": account}))
    };
    assert_eq!(open(), true);
    let never_given_out = "st_0000000000000000000000000000000000000000000";
    for wrong in ["", "st_", never_given_out, &running.set_up_token.replace("st_", "ls_")] {
        check(&set_up(wrong, "ann@example.org"), 403, "wrong_set_up_token", wrong);
    }
    check(&set_up(&running.set_up_token, "no address"), 400, "invalid_account", "an address");
    let body = json!({"token": running.set_up_token, "account": {"email": "ann@example.org", "name": "Ann", "password": "short"}});
    check(&client.as_page("POST", "/api/v1/setup", "", &body), 400, "weak_password", "a password");
    let made = set_up(&running.set_up_token, "Ann@Example.org");
    check(&made, 201, "", "the first account");
    let cookie = cookie_of(&made);
    let who = me(&client, &cookie).json();
    assert_eq!((&who["account"]["email"], &who["account"]["administrator"]), (&json!("ann@example.org"), &json!(true)));
    assert_eq!(
        who["apps"],
        json!([{"app_id": "ours", "name": "ours", "timezone": "UTC", "role": "owner"},
        {"app_id": "theirs", "name": "theirs", "timezone": "UTC", "role": "owner"}])
    );
    assert_eq!(client.send_with("GET", SCHEMA, &[("cookie", &cookie)], "").status, 200);
    // Attack 8: after it was done, neither the token nor any other opens it.
    assert_eq!(open(), false);
    check(&set_up(&running.set_up_token, "eve@example.org"), 410, "set_up_done", "again");
    check(&set_up(never_given_out, "eve@example.org"), 410, "set_up_done", "again, guessing");
}

#[test]
fn logging_in_and_out() {
    let running = Running::start();
    let client = running.client();
    running.account("ann", Some(Role::Viewer));
    let answer = log_in(&client, " ANN@example.org ", PASSWORD, "");
    check(&answer, 200, "", "log in");
    assert!(!answer.text.contains("ls_"), "the token is in the cookie only: {}", answer.text);
    let cookie = cookie_of(&answer);
    assert_eq!(me(&client, &cookie).json()["apps"][0]["role"], "viewer");
    assert_eq!(client.send_with("GET", SCHEMA, &[("cookie", &format!("a=b; {cookie}; c=d"))], "").status, 200);
    // A key that is sent is meant, whatever cookie comes along.
    let both = [("cookie", cookie.as_str()), ("authorization", "Bearer rk_wrong")];
    check(&client.send_with("GET", SCHEMA, &both, ""), 401, "unknown_key", "a wrong key beside a cookie");

    let out = client.as_page("POST", "/api/v1/logout", &cookie, &json!({}));
    check(&out, 204, "", "log out");
    assert!(out.header("set-cookie").contains("Max-Age=0"), "{out:?}");
    check(&me(&client, &cookie), 401, "logged_out", "after it");
    check(&client.send_with("GET", SCHEMA, &[("cookie", &cookie)], ""), 401, "logged_out", "after it");
    check(&me(&client, ""), 401, "not_logged_in", "without a cookie");
    check(&me(&client, "__Host-throng=nonsense"), 401, "logged_out", "with another cookie");
}

#[test]
fn a_stranger_does_not_learn_who_has_an_account() {
    let running = Running::start();
    let client = running.client();
    running.account("ann", None);
    let mut refusals = Vec::new();
    for email in ["ann@example.org", "nobody@example.org", "no address", ""] {
        let answer = log_in(&client, email, "a wrong password", "");
        check(&answer, 401, "wrong_login", email);
        assert_eq!(answer.header("set-cookie"), "", "{email}");
        refusals.push(answer.json()["error"]["message"].clone());
    }
    assert!(refusals.iter().all(|refusal| *refusal == refusals[0]), "{refusals:?}");
    let time = |email: &str| {
        let started = Instant::now();
        (0..5).for_each(|_| drop(log_in(&client, email, "a wrong password", "")));
        started.elapsed().as_secs_f64()
    };
    let (known, unknown) = (time("ann@example.org"), time("nobody@example.org"));
    assert!(unknown > known / 4.0 && known > unknown / 4.0, "{known} s for an account, {unknown} s for none");
}

#[test]
fn guessing_ends_with_429() {
    let running = Running::start();
    let client = running.client();
    running.account("ann", None);
    running.account("bob", None);
    let from = |address: &str, email: &str, password: &str| {
        let headers = [("x-forwarded-for", address), ("sec-fetch-site", "same-origin"), ("content-type", "application/json")];
        client.send_with("POST", "/api/v1/login", &headers, &json!({"email": email, "password": password}).to_string())
    };
    for n in 0..10 {
        check(&from(&format!("192.0.2.{n}"), "ann@example.org", "wrong"), 401, "wrong_login", "one of ten");
    }
    let refused = from("192.0.2.99", "Ann@Example.org", PASSWORD);
    check(&refused, 429, "too_many_attempts", "the right password comes too late");
    assert!(refused.header("retry-after").parse::<u32>().unwrap() > 800, "{refused:?}");
    for n in 0..50 {
        check(&from("198.51.100.1", &format!("x{n}@example.org"), "wrong"), 401, "wrong_login", "one of fifty");
    }
    check(&from("198.51.100.1", "bob@example.org", PASSWORD), 429, "too_many_attempts", "an address that guessed");
    check(&from("198.51.100.2", "bob@example.org", PASSWORD), 200, "", "another address");
}

/// Attack 4: session fixation.
#[test]
fn a_login_never_takes_over_a_token_that_came_along() {
    let running = Running::start();
    let client = running.client();
    let ann = running.account("ann", None);
    let planted = running.cookie(&running.account("eve", None));
    let answer = log_in(&client, "ann@example.org", PASSWORD, &planted);
    check(&answer, 200, "", "log in");
    let cookie = cookie_of(&answer);
    assert_ne!(cookie, planted);
    assert_eq!(me(&client, &cookie).json()["account"]["account_id"], ann.id.as_str());
    assert_eq!(me(&client, &planted).json()["account"]["name"], "eve", "a planted login stays what it was");
    let unknown = "__Host-throng=ls_0000000000000000000000000000000000000000000";
    assert_ne!(cookie_of(&log_in(&client, "ann@example.org", PASSWORD, unknown)), unknown);
    check(&me(&client, unknown), 401, "logged_out", "a token that a client made up");
}

#[test]
fn a_new_password_ends_the_other_logins() {
    let running = Running::start();
    let client = running.client();
    let ann = running.account("ann", None);
    let (mine, elsewhere) = (running.cookie(&ann), running.cookie(&ann));
    let change = |current: &str, new: &str| {
        client.as_page("POST", "/api/v1/me/password", &mine, &json!({"current_password": current, "new_password": new}))
    };
    check(&change("not the password", "four other words"), 400, "wrong_password", "the current one");
    check(&change(PASSWORD, "short"), 400, "weak_password", "the new one");
    check(&change(PASSWORD, "ann@example.org"), 400, "weak_password", "the address");
    let changed = change(PASSWORD, "four other words");
    check(&changed, 200, "", "changed");
    let fresh = cookie_of(&changed);
    assert_eq!(me(&client, &fresh).status, 200);
    check(&me(&client, &mine), 401, "logged_out", "the login before");
    check(&me(&client, &elsewhere), 401, "logged_out", "the other login");
    check(&log_in(&client, "ann@example.org", PASSWORD, ""), 401, "wrong_login", "the password before");
    check(&log_in(&client, "ann@example.org", "four other words", ""), 200, "", "the new one");
}

#[test]
fn logins_are_listed_and_ended() {
    let running = Running::start();
    let client = running.client();
    let (ann, bob) = (running.account("ann", None), running.account("bob", None));
    let (mine, elsewhere, of_bob) = (running.cookie(&ann), running.cookie(&ann), running.cookie(&bob));
    let list = |cookie: &str| client.send_with("GET", "/api/v1/me/logins", &[("cookie", cookie)], "").json()["logins"].clone();
    let listed = list(&mine);
    assert_eq!(listed.as_array().map(Vec::len), Some(2));
    assert!(!listed.to_string().contains("ls_"), "{listed}");
    let end = |id: &Value| client.as_page("DELETE", &format!("/api/v1/me/logins/{}", id.as_str().unwrap()), &mine, &json!({}));
    check(&end(&list(&of_bob)[0]["login_id"]), 404, "missing", "of another account");
    let other = listed.as_array().unwrap().iter().find(|login| login["current"] == false).unwrap();
    check(&end(&other["login_id"]), 204, "", "the other login");
    check(&me(&client, &elsewhere), 401, "logged_out", "it has ended");
    assert_eq!((me(&client, &mine).status, me(&client, &of_bob).status), (200, 200));
}

/// Attack 4: CSRF with `text/plain`, CORS with `Origin: null`.
#[test]
fn other_sites_cannot_use_the_cookie() {
    let running = Running::start();
    let client = running.client();
    let cookie = running.cookie(&running.account("ann", Some(Role::Owner)));
    let (path, body) = ("/api/v1/analytics/ours/settings", r#"{"name":"taken over"}"#);
    let send = |method: &str, path: &str, headers: &[(&str, &str)]| {
        client.send_with(method, path, &[&[("cookie", cookie.as_str())], headers].concat(), body)
    };
    const JSON: (&str, &str) = ("content-type", "application/json");
    let forged: [(Headers, u16, &str); 7] = [
        (&[("content-type", "text/plain"), ("sec-fetch-site", "cross-site"), ("origin", "https://evil.example")], 403, "other_site"),
        (&[("content-type", "text/plain"), ("origin", "null")], 403, "other_site"),
        (&[("content-type", "text/plain"), ("sec-fetch-site", "same-origin")], 415, "not_json"),
        (&[JSON, ("origin", "https://evil.example")], 403, "other_site"),
        (&[JSON, ("origin", "null")], 403, "other_site"),
        (&[JSON, ("sec-fetch-site", "same-site")], 403, "other_site"),
        (&[JSON], 403, "other_site"),
    ];
    for (headers, status, code) in forged {
        check(&send("PATCH", path, headers), status, code, &format!("{headers:?}"));
        check(&send("POST", "/api/v1/logout", headers), status, code, &format!("logout {headers:?}"));
        check(&send("POST", "/api/v1/apps/ours/keys", headers), status, code, &format!("keys {headers:?}"));
    }
    check(&send("DELETE", "/api/v1/apps/ours/keys/key_0", &[("origin", "https://evil.example")]), 403, "other_site", "DELETE");
    // A login that another site begins would make one act in that site's account.
    let login = json!({"email": "ann@example.org", "password": PASSWORD}).to_string();
    for headers in [[JSON, ("sec-fetch-site", "cross-site")], [JSON, ("origin", "null")]] {
        check(&client.send_with("POST", "/api/v1/login", &headers, &login), 403, "other_site", "login");
    }
    check(&client.send_with("POST", "/api/v1/login", &[("content-type", "text/plain")], &login), 415, "not_json", "login as text");
    let insecure = [JSON, ("sec-fetch-site", "same-origin"), ("origin", "http://10.0.0.5:7070")];
    let refused = client.send_with("POST", "/api/v1/login", &insecure, &login);
    check(&refused, 403, "insecure_origin", "a browser would drop the cookie");
    assert!(refused.text.contains("proxy with TLS"), "{}", refused.text);

    for origin in ["null", "https://evil.example", "http://throng"] {
        for (method, path) in [("OPTIONS", path), ("GET", "/api/v1/me"), ("OPTIONS", "/api/v1/login"), ("GET", SCHEMA)] {
            let headers =
                [("origin", origin), ("access-control-request-method", "PATCH"), ("access-control-request-headers", "content-type")];
            let answer = send(method, path, &headers);
            let open: Vec<_> = answer.headers.iter().filter(|(name, _)| name.starts_with("access-control-")).collect();
            assert!(open.is_empty(), "{method} {path} from {origin}: {open:?}");
        }
    }
    let own = send("PATCH", path, &[JSON, ("origin", "http://throng")]);
    check(&own, 200, "", "the site itself, by its Origin");
    assert_eq!(own.json()["name"], "taken over");
}

/// Attack 4: mass assignment.
#[test]
fn fields_that_are_not_for_the_caller_are_refused() {
    let running = Running::start();
    let client = running.client();
    let ann = running.account("ann", Some(Role::Owner));
    let cookie = running.cookie(&ann);
    let account = json!({"email": "eve@example.org", "name": "Eve", "password": PASSWORD});
    let with = |name: &str, value: Value, base: &Value| {
        let mut body = base.clone();
        body[name] = value;
        body
    };
    let token = "iv_0000000000000000000000000000000000000000000";
    let bodies = [
        ("PATCH", "/api/v1/me", json!({"name": "Ann", "administrator": true})),
        ("PATCH", "/api/v1/me", json!({"name": "Ann", "email": "bob@example.org"})),
        ("POST", "/api/v1/login", json!({"email": "ann@example.org", "password": PASSWORD, "administrator": true})),
        ("POST", "/api/v1/invitations/accept", json!({"token": token, "role": "owner"})),
        ("POST", "/api/v1/invitations/accept", json!({"token": token, "account": with("administrator", json!(true), &account)})),
        ("POST", "/api/v1/setup", json!({"token": "st_", "account": with("role", json!("owner"), &account)})),
        ("POST", "/api/v1/apps/ours/invitations", json!({"role": "viewer", "app": "theirs"})),
        ("POST", "/api/v1/apps/ours/keys", json!({"kind": "read", "app_id": "theirs"})),
        ("PATCH", "/api/v1/analytics/ours/settings", json!({"name": "x", "app_id": "theirs"})),
        ("PATCH", "/api/v1/analytics/ours/settings", json!({"created_at": "2020-01-01T00:00:00Z"})),
        ("PATCH", &format!("/api/v1/apps/ours/members/{}", ann.id), json!({"role": "owner", "account_id": "acc_x"})),
        ("POST", "/api/v1/me/password", json!({"current_password": PASSWORD, "new_password": "four other words", "account_id": "x"})),
    ];
    for (method, path, body) in bodies {
        check(&client.as_page(method, path, &cookie, &body), 400, "invalid_json", &format!("{method} {path} {body}"));
    }
    assert_eq!(me(&client, &cookie).json()["account"]["administrator"], false);
}

#[test]
fn an_invitation_is_accepted_once_by_somebody_new_or_known() {
    let running = Running::start();
    let client = running.client();
    let owner = running.cookie(&running.account("owner", Some(Role::Owner)));
    let invite = |role: &str| {
        let made = client.as_page("POST", "/api/v1/apps/ours/invitations", &owner, &json!({"role": role, "note": "Bob"}));
        check(&made, 201, "", "invite");
        made.json()["token"].as_str().unwrap().to_owned()
    };
    let look = |token: &str| client.as_page("POST", "/api/v1/invitations/look", "", &json!({"token": token}));
    let accept = |body: Value, cookie: &str| client.as_page("POST", "/api/v1/invitations/accept", cookie, &body);
    let bob = json!({"email": "bob@example.org", "name": "Bob", "password": PASSWORD});

    let token = invite("editor");
    let offer = look(&token).json();
    assert_eq!((&offer["app_name"], &offer["role"], &offer["invited_by"]), (&json!("ours"), &json!("editor"), &json!("owner")));
    let listed = client.send_with("GET", "/api/v1/apps/ours/invitations", &[("cookie", &owner)], "");
    assert!(listed.text.contains("Bob") && !listed.text.contains(&token), "{}", listed.text);
    check(&accept(json!({"token": token}), ""), 401, "not_logged_in", "nobody is logged in");
    let accepted = accept(json!({"token": token, "account": bob}), "");
    check(&accepted, 201, "", "a new account");
    let of_bob = cookie_of(&accepted);
    assert_eq!(me(&client, &of_bob).json()["apps"], json!([{"app_id": "ours", "name": "ours", "timezone": "UTC", "role": "editor"}]));
    check(&look(&token), 404, "no_invitation", "used");
    check(&accept(json!({"token": token}), &of_bob), 404, "no_invitation", "used");

    let token = invite("owner");
    check(&accept(json!({"token": token, "account": bob}), ""), 409, "email_taken", "an address with an account");
    check(&accept(json!({"token": token}), &of_bob), 200, "", "who is logged in joins");
    assert_eq!(me(&client, &of_bob).json()["apps"][0]["role"], "owner");

    let token = invite("viewer");
    let open = client.send_with("GET", "/api/v1/apps/ours/invitations", &[("cookie", &of_bob)], "").json();
    let id = open["invitations"][0]["invitation_id"].as_str().unwrap().to_owned();
    check(&client.as_page("DELETE", &format!("/api/v1/apps/ours/invitations/{id}"), &of_bob, &json!({})), 204, "", "taken back");
    check(&look(&token), 404, "no_invitation", "taken back");
}

#[test]
fn the_last_owner_stays_and_members_are_changed_by_owners() {
    let running = Running::start();
    let client = running.client();
    let (owner, bob) = (running.account("owner", Some(Role::Owner)), running.account("bob", Some(Role::Viewer)));
    let (cookie, of_bob) = (running.cookie(&owner), running.cookie(&bob));
    let member = |account: &str| format!("/api/v1/apps/ours/members/{account}");
    let change = |account: &str, role: &str| client.as_page("PATCH", &member(account), &cookie, &json!({"role": role}));
    check(&change(&owner.id, "viewer"), 409, "last_owner", "the last owner");
    check(&client.as_page("DELETE", &member(&owner.id), &cookie, &json!({})), 409, "last_owner", "the last owner");
    check(&change(&bob.id, "king"), 400, "invalid_role", "no role");
    let stranger = running.account("stranger", None);
    check(&change(&stranger.id, "owner"), 404, "missing", "an account that nobody invited");
    check(&change("acc_none", "owner"), 404, "missing", "no account");
    check(&change(&bob.id, "editor"), 204, "", "another role");
    assert_eq!(me(&client, &of_bob).json()["apps"][0]["role"], "editor");
    check(&client.as_page("DELETE", &member(&bob.id), &cookie, &json!({})), 204, "", "removed");
    let gone = client.send_with("GET", SCHEMA, &[("cookie", &of_bob)], "");
    check(&gone, 403, "wrong_app", "no role any more");
    let never = client.send_with("GET", "/api/v1/analytics/never_made/schema", &[("cookie", &of_bob)], "");
    assert_eq!(gone.json()["error"]["message"], never.json()["error"]["message"], "an app that is there, and one that is not");
}

#[test]
fn an_administrator_makes_apps_and_their_keys_are_managed() {
    let running = Running::start();
    let client = running.client();
    let cookie = running.cookie(&running.account("administrator", None));
    for (body, code) in [
        (json!({"name": " "}), "invalid_name"),
        (json!({"name": "x", "timezone": "Mars/Base"}), "invalid_setting"),
        (json!({"name": "x", "week_start": "someday"}), "invalid_setting"),
    ] {
        check(&client.as_page("POST", "/api/v1/apps", &cookie, &body), 400, code, &body.to_string());
    }
    let made =
        client.as_page("POST", "/api/v1/apps", &cookie, &json!({"name": "Shop", "timezone": "europe/berlin", "week_start": "sunday"}));
    check(&made, 201, "", "make an app");
    let made = made.json();
    assert_eq!((&made["timezone"], &made["week_start"]), (&json!("Europe/Berlin"), &json!("sunday")));
    let app = made["app_id"].as_str().unwrap();
    let (schema, keys) = (format!("/api/v1/analytics/{app}/schema"), format!("/api/v1/apps/{app}/keys"));
    assert_eq!(client.get(&schema, made["read_key"].as_str().unwrap()).status, 200);
    assert_eq!(client.send_with("GET", &schema, &[("cookie", &cookie)], "").status, 200);

    let list = || client.send_with("GET", &keys, &[("cookie", &cookie)], "").json()["keys"].clone();
    let read = list().as_array().unwrap().iter().find(|key| key["kind"] == "read").unwrap()["key_id"].as_str().unwrap().to_owned();
    let rotated = client.as_page("POST", &format!("{keys}/{read}/rotate"), &cookie, &json!({"old_key_hours": 1}));
    check(&rotated, 201, "", "rotate");
    let new = rotated.json()["key"].as_str().unwrap().to_owned();
    assert!(new.starts_with("rk_") && !list().to_string().contains(&new[3..]), "{}", list());
    assert_eq!(client.get(&schema, &new).status, 200);
    assert_eq!(client.get(&schema, made["read_key"].as_str().unwrap()).status, 200, "for an hour");
    check(&client.as_page("POST", &format!("{keys}/{read}/rotate"), &cookie, &json!({})), 404, "missing", "rotated already");
    check(&client.as_page("DELETE", &format!("{keys}/{read}"), &cookie, &json!({})), 204, "", "revoke");
    check(&client.get(&schema, made["read_key"].as_str().unwrap()), 401, "unknown_key", "revoked");
    check(&client.as_page("POST", &keys, &cookie, &json!({"kind": "king"})), 400, "invalid_key", "no kind");

    // Keys of another app are as good as unknown.
    let ours = running.metadata.clone();
    let other = metadata_store::MetadataStore::keys(ours.as_ref(), &AppId::new("ours").unwrap()).unwrap().remove(0).id;
    check(&client.as_page("DELETE", &format!("{keys}/{other}"), &cookie, &json!({})), 404, "missing", "of another app");
    check(&client.as_page("POST", &format!("{keys}/{other}/rotate"), &cookie, &json!({})), 404, "missing", "of another app");
}

/// A live stream that a cookie opened, read to its end.
struct Stream(BufReader<std::net::TcpStream>);

impl Stream {
    fn open(running: &Running, cookie: &str) -> Self {
        let path = "/api/v1/analytics/ours/realtime/stream";
        let mut lines = BufReader::new(running.client().open("GET", path, &[("cookie", cookie)], ""));
        let mut text = String::new();
        while !text.contains("data: ") {
            assert!(lines.read_line(&mut text).unwrap() > 0, "{text}");
        }
        Self(lines)
    }

    /// How long until the server ends it.
    fn end(mut self) -> Duration {
        let started = Instant::now();
        let mut line = String::new();
        while self.0.read_line(&mut line).unwrap_or(0) > 0 {
            assert!(started.elapsed() < Duration::from_secs(20), "the stream goes on: {line}");
        }
        started.elapsed()
    }
}

#[test]
fn live_streams_end_with_the_login_the_role_and_the_key() {
    let running = Running::start();
    let client = running.client();
    let (owner, bob) = (running.account("owner", Some(Role::Owner)), running.account("bob", Some(Role::Viewer)));
    let of_owner = running.cookie(&owner);
    let (first, second) = (running.cookie(&bob), running.cookie(&bob));
    let (logged_out, goes_on) = (Stream::open(&running, &first), Stream::open(&running, &second));
    client.as_page("POST", "/api/v1/logout", &first, &json!({}));
    assert!(logged_out.end() < Duration::from_secs(2));
    running.metadata.set_role(&AppId::new("ours").unwrap(), &bob.id, Role::Editor, now_ms()).unwrap();
    client.as_page("DELETE", &format!("/api/v1/apps/ours/members/{}", bob.id), &of_owner, &json!({}));
    assert!(goes_on.end() < Duration::from_secs(2), "the role was taken");
}
