//! Files in every format arrive whole, once, and with reasons for what was refused; `throng query` reads them back.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test ends where it finds something wrong")]

mod support;

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use support::{Server, TestApp, stderr, throng, write};

fn import(server: &Server, app: &TestApp, arguments: &[&str]) -> (Value, String) {
    let url = format!("http://{}", server.address);
    let output = throng(&[&["import", "--url", &url, "--write-key", &app.write_key], arguments].concat());
    let report = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", stderr(&output)));
    (report, stderr(&output))
}

fn lines(rows: usize) -> String {
    let line = |n: usize| json!({"id": format!("e{n}"), "name": "view", "user_id": format!("u{}", n % 7), "timestamp": 1_780_000_000 + n, "properties": {"n": n}});
    (0..rows).map(|n| line(n).to_string() + "\n").collect()
}

#[test]
fn json_lines_arrive_once_however_often_they_are_sent() {
    let server = Server::start(&[]);
    let app = server.create_app(&["--raw-retention", "forever"]);
    let mut zipped = GzEncoder::new(Vec::new(), Compression::fast());
    zipped.write_all(lines(5_000).as_bytes()).unwrap();
    let file = write(server.folder.path(), "events.jsonl.gz", &zipped.finish().unwrap());
    for _ in 0..2 {
        let (report, _) = import(&server, &app, &[&file, "--batch-events", "300"]);
        assert_eq!(report, json!({"accepted": 5_000, "rejected": 0}));
    }
    // A longer version of the file: its first lines are known.
    let longer = write(server.folder.path(), "longer.ndjson", lines(5_010).as_bytes());
    import(&server, &app, &[&longer]);
    server.wait_for_count(&app, 5_010);
    let request = json!({"metrics": ["events", "unique_users", {"fn": "sum", "property": "n"}], "from": "2020-01-01", "to": "2100-01-01"});
    let sum: usize = (0..5_010).sum();
    let row = server.ask(&app, "query", &request)["results"][0].clone();
    assert_eq!((&row["events"], &row["unique_users"]), (&json!(5_010), &json!(7)), "{row}");
    assert!(row.as_object().unwrap().values().any(|value| value.as_f64() == Some(sum as f64)), "{row}");
    let sql = |arguments: &[&str]| {
        let url = format!("http://{}", server.address);
        let fixed = ["sql", "--url", &url, "--read-key", &app.read_key, "--app", &app.id];
        throng(&[&fixed, arguments].concat())
    };
    let output = sql(&["SELECT count(*) AS events, sum(properties['n']) AS total FROM events", "--format", "csv"]);
    assert_eq!(String::from_utf8_lossy(&output.stdout), format!("events,total\n5010,{sum}\n"), "{}", stderr(&output));
    let output = sql(&["SELECT count(*) FROM nowhere"]);
    assert!(!output.status.success() && stderr(&output).contains("there is no table nowhere"), "{}", stderr(&output));
}

#[test]
fn csv_columns_are_mapped_and_bad_rows_are_named() {
    let server = Server::start(&[]);
    let app = server.create_app(&["--raw-retention", "forever"]);
    let csv = "type,uid,ts,code,price\nbuy,17850,2011-12-01 08:26:00,22423,2.55\nbuy,,2011-12-01 09:00:00,85123A,3\n,5,2011-12-02,X,1\nbuy,7,yesterday,X,1\nbuy,8\n";
    let file = write(server.folder.path(), "orders.csv", csv.as_bytes());
    let (report, said) = import(&server, &app, &[&file, "--map", "name=type,user_id=uid,timestamp=ts"]);
    assert_eq!(report, json!({"accepted": 2, "rejected": 3}), "{said}");
    for reason in ["row 4: missing_name", "row 5: invalid_timestamp", "row 6: the row has 2 fields, the header 5"] {
        assert!(said.contains(reason), "{reason} in {said}");
    }
    server.wait_for_count(&app, 2);
    let request = json!({"metrics": ["events", "unique_users"], "group_by": ["code", "price"], "from": "2011-12-01", "to": "2011-12-02"});
    let rows = server.ask(&app, "query", &request)["results"].clone();
    assert!(rows.to_string().contains("{\"code\":\"22423\",\"price\":2.55,\"events\":1,\"unique_users\":1}"), "{rows}");
    assert!(rows.to_string().contains("{\"code\":\"85123A\",\"price\":3,\"events\":1,\"unique_users\":0}"), "{rows}");
}

#[test]
fn what_cannot_work_says_why() {
    let server = Server::start(&[]);
    let app = server.create_app(&[]);
    let url = format!("http://{}", server.address);
    let file = write(server.folder.path(), "events.jsonl", lines(3).as_bytes());
    let run = |arguments: &[&str]| {
        let output = throng(&[&["import", "--url", &url], arguments].concat());
        assert!(!output.status.success(), "{arguments:?}");
        stderr(&output)
    };
    for key in [app.read_key.as_str(), "wk_unknown"] {
        assert!(run(&[&file, "--write-key", key]).contains("the server refused the write key (--write-key, or THRONG_WRITE_KEY)"));
    }
    assert!(run(&[&file]).contains("there is no write key: give it with --write-key, or in the variable THRONG_WRITE_KEY"));
    assert!(run(&["/nowhere.jsonl", "--write-key", &app.write_key]).contains("/nowhere.jsonl cannot be opened"));
    assert!(run(&[&file, "--write-key", &app.write_key, "--map", "event=x"]).contains("is not a field"));
    assert!(run(&[&file, "--write-key", &app.write_key, "--format", "parquet"]).contains("not Parquet"));
    let bad = write(server.folder.path(), "bad.jsonl", b"{\"name\":\"a\",\"user_id\":\"null\"}\nnonsense\n");
    assert!(run(&[&bad, "--write-key", &app.write_key]).contains("no event was accepted"));
}

#[test]
fn a_mapping_that_does_not_fit_is_told_before_anything_is_sent() {
    let server = Server::start(&[]);
    let app = server.create_app(&["--raw-retention", "forever"]);
    let url = format!("http://{}", server.address);
    let csv: String =
        std::iter::once("type,uid,at\n".to_owned()).chain((1..=5_000).map(|n| format!("buy,{n},2026-01-31 12:00:00\n"))).collect();
    let file = write(server.folder.path(), "orders.csv", csv.as_bytes());
    for (map, hint) in [
        ("name=type,user_id=uid,timestamp=date", "none of the first 2000 rows has a column \"date\"; there are type, uid, at"),
        ("name=type,timestamp=at", "whose event it is: say where that is with --map user_id=COLUMN"),
        ("user_id=uid", "say where it is with --map name=COLUMN"),
        ("name=type,user_id=uid,timestamp=type", "is no time in any of the first 2000 rows, such as \"buy\""),
    ] {
        let output = throng(&["import", "--url", &url, "--write-key", &app.write_key, &file, "--map", map]);
        assert!(!output.status.success() && stderr(&output).contains(hint), "{map}: {}", stderr(&output));
    }
    assert_eq!(server.count(&app), 0);
    let (report, _) = import(&server, &app, &[&file, "--map", "name=type,user_id=uid,timestamp=at"]);
    assert_eq!(report, json!({"accepted": 5_000, "rejected": 0}));
}

#[test]
fn an_import_that_is_run_again_tells_its_duplicates() {
    let server = Server::start(&[]);
    let app = server.create_app(&["--raw-retention", "forever"]);
    let file = write(server.folder.path(), "events.jsonl", lines(3_000).as_bytes());
    let longer = write(server.folder.path(), "longer.jsonl", lines(3_100).as_bytes());
    let with_account = ["--app", &app.id, "--read-key", &app.read_key];
    for (file, stored, duplicate) in [(&file, 3_000, 0), (&file, 0, 3_000), (&longer, 100, 3_000)] {
        let (report, said) = import(&server, &app, &[&[file.as_str()], with_account.as_slice()].concat());
        assert_eq!((&report["stored"], &report["duplicate"]), (&json!(stored), &json!(duplicate)), "{said}");
        assert!(said.contains(&format!("{stored} events are new, {duplicate} were stored before")), "{said}");
    }
}

#[test]
fn the_query_command_asks_and_prints() {
    let server = Server::start(&[]);
    let app = server.create_app(&["--raw-retention", "forever"]);
    let file = write(server.folder.path(), "events.jsonl", lines(10).as_bytes());
    import(&server, &app, &[&file]);
    server.wait_for_count(&app, 10);
    let url = format!("http://{}", server.address);
    let query =
        |arguments: &[&str]| throng(&[&["query", "--url", &url, "--app", &app.id, "--read-key", &app.read_key], arguments].concat());
    let question = r#"{"metric": "events", "group_by": "user_id", "from": "2020-01-01", "to": "2100-01-01", "limit": 3}"#;
    let json: Value = serde_json::from_slice(&query(&[question]).stdout).unwrap();
    assert_eq!(json["results"].as_array().map(Vec::len), Some(4), "{json}");
    let table = String::from_utf8(query(&[question, "--format", "table"]).stdout).unwrap();
    assert!(table.starts_with("user_id  events\nu0            2\n"), "{table}");
    let from_file = write(server.folder.path(), "funnel.json", br#"{"steps": ["view", "view"], "from": "2020-01-01", "to": "2100-01-01"}"#);
    let funnel: Value = serde_json::from_slice(&query(&[&from_file]).stdout).unwrap();
    assert_eq!((&funnel["funnel"][0]["users"], &funnel["funnel"][1]["users"]), (&json!(7), &json!(3)));
    let wrong = query(&[r#"{"metric": "sadness", "range": "7d"}"#]);
    assert!(!wrong.status.success() && stderr(&wrong).contains("sadness"), "{}", stderr(&wrong));
}
