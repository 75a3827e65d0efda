//! Attacks 1 and 4: every route of the description with every kind of key and every role, against the table of docs/accounts.md.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test ends where it finds something wrong")]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read};

use metadata_store::{Account, Role};
use serde_json::Value;
use support::Running;

const DOCUMENT: &str = include_str!("../../../docs/accounts.md");
const CALLERS: [&str; 9] = ["nobody", "write key", "read key", "admin key", "logged in", "viewer", "editor", "owner", "administrator"];

/// Refusals of who calls; all others are about what is called for.
const REFUSALS: [&str; 8] =
    ["missing_key", "unknown_key", "wrong_key_kind", "wrong_app", "role_too_low", "not_logged_in", "logged_out", "not_administrator"];

type Route = (String, String);

/// Who may call a route, as the table says.
fn table() -> BTreeMap<Route, BTreeSet<&'static str>> {
    let mut rows = DOCUMENT.lines().skip_while(|line| !line.starts_with("| method |")).take_while(|line| line.starts_with('|'));
    let cells = |line: &'static str| line.trim_matches('|').split('|').map(str::trim).collect::<Vec<_>>();
    assert_eq!(cells(rows.next().expect("the table of docs/accounts.md"))[2..], CALLERS);
    let rows = rows.skip(1).map(|line| {
        let cells = cells(line);
        let may = CALLERS.into_iter().zip(&cells[2..]).filter(|(_, cell)| **cell == "yes").map(|(caller, _)| caller);
        ((cells[0].to_owned(), cells[1].trim_matches('`').to_owned()), may.collect())
    });
    rows.collect()
}

/// The routes of the description, with a body that each takes.
fn described(running: &Running) -> BTreeMap<Route, String> {
    let document = running.client().send("GET", "/api/v1/openapi.json", None, "").json();
    let mut routes = BTreeMap::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let content = &operation["requestBody"]["content"]["application/json"];
            let named = content["examples"].as_object().and_then(|examples| examples.values().next()).map(|example| &example["value"]);
            let body = content.get("example").or(named).map(Value::to_string).unwrap_or_default();
            routes.insert((method.to_uppercase(), path.clone()), body);
        }
    }
    routes
}

struct Callers {
    accounts: BTreeMap<&'static str, Account>,
}

impl Callers {
    fn new(running: &Running) -> Self {
        let roles = [("logged in", None), ("viewer", Some(Role::Viewer)), ("editor", Some(Role::Editor)), ("owner", Some(Role::Owner))];
        let mut accounts: BTreeMap<_, _> =
            roles.into_iter().map(|(name, role)| (name, running.account(&name.replace(' ', "-"), role))).collect();
        accounts.insert("administrator", running.account("administrator", None));
        // The last owner of an app is not what is tested here.
        running.account("another-owner", Some(Role::Owner));
        Self { accounts }
    }

    /// The credential of a caller, as a header.
    fn header(&self, running: &Running, caller: &str, of_other_app: bool) -> Option<(&'static str, String)> {
        let app = if of_other_app { &running.theirs } else { &running.ours };
        match caller {
            "nobody" => None,
            "write key" => Some(("authorization", format!("Bearer {}", app.write_key))),
            "read key" => Some(("authorization", format!("Bearer {}", app.read_key))),
            "admin key" => Some(("authorization", format!("Bearer {}", app.admin_key))),
            // A fresh login: some calls end the one they are made with.
            account => Some(("cookie", running.cookie(&self.accounts[account]))),
        }
    }
}

/// Status and code of an answer; a stream is left after its head.
fn call(running: &Running, (method, path): &Route, app: &str, credential: Option<&(&str, String)>, body: &str) -> (u16, String) {
    let path = path.replace("{app_id}", app).replace(['{', '}'], "");
    let own = credential.map(|(name, value)| (*name, value.as_str()));
    let page = [("sec-fetch-site", "same-origin"), ("content-type", "application/json")];
    let headers: Vec<_> = own.into_iter().chain(page).collect();
    let mut answer = BufReader::new(running.client().open(method, &path, &headers, body));
    let mut head = String::new();
    while answer.read_line(&mut head).unwrap() > 2 {}
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let mut text = String::new();
    if status >= 400 {
        answer.read_to_string(&mut text).unwrap();
    }
    let refusal: Value = serde_json::from_str(&text).unwrap_or_default();
    (status, refusal["error"]["code"].as_str().unwrap_or_default().to_owned())
}

#[test]
fn every_route_is_open_to_those_of_the_table_and_to_nobody_else() {
    let running = Running::start();
    let (table, routes) = (table(), described(&running));
    let (in_table, in_description): (BTreeSet<_>, BTreeSet<_>) = (table.keys().collect(), routes.keys().collect());
    assert_eq!(in_table, in_description, "docs/accounts.md lists the routes of the description");
    let callers = Callers::new(&running);
    let mut wrong = Vec::new();
    // Another crate answers the routes of the gateway; its tests, and those of the whole product, send it every kind of key.
    for (route, may) in table.iter().filter(|((_, path), _)| !path.starts_with("/api/v1/events/")) {
        for caller in CALLERS {
            let credential = callers.header(&running, caller, false);
            let (status, code) = call(&running, route, "ours", credential.as_ref(), &routes[route]);
            let refused = matches!(status, 401 | 403) && REFUSALS.contains(&code.as_str());
            if refused == may.contains(caller) || status >= 500 {
                wrong.push(format!("{} {} as {caller}: {status} {code}", route.0, route.1));
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

/// What is told of an app to somebody without a role on it is the same whether or not there is one.
#[test]
fn nobody_learns_of_other_apps() {
    let running = Running::start();
    let callers = Callers::new(&running);
    for (route, body) in described(&running).iter().filter(|((_, path), _)| path.contains("{app_id}")) {
        for caller in CALLERS {
            let what = format!("{} {} as {caller}", route.0, route.1);
            let credential = callers.header(&running, caller, false);
            let there = call(&running, route, "theirs", credential.as_ref(), body);
            let not_there = call(&running, route, "never_made", credential.as_ref(), body);
            assert_eq!(there, not_there, "{what}");
            assert!(matches!(there.0, 401 | 403), "{what}: {there:?}");
        }
        // A key of another app on ours.
        for caller in ["write key", "read key", "admin key"] {
            let credential = callers.header(&running, caller, true);
            let (status, code) = call(&running, route, "ours", credential.as_ref(), body);
            assert!(matches!(status, 401 | 403), "{} {} with another app's {caller}: {status} {code}", route.0, route.1);
        }
    }
}
