//! Everything the JavaScript SDK may send (`sdk/spec`) is accepted whole.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::support::{Ask, Server, Setting};

fn spec_files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../sdk/spec");
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "json"));
    files.sort();
    files
}

/// The app of the key `wk_2` keeps events for ever, so that the files do not become too old.
fn request(file: &Path) -> Value {
    let mut request: Value = serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap();
    assert!(request["write_key"].is_string(), "{}: a beacon has no header for the key", file.display());
    request["write_key"] = "wk_2".into();
    request
}

#[tokio::test]
async fn what_the_sdk_sends_is_accepted_whole() {
    let server = Server::start(Setting::default()).await;
    let files = spec_files();
    assert!(files.len() >= 5, "{files:?}");
    for (index, file) in files.iter().enumerate() {
        let request = request(file);
        let sent = request["events"].as_array().unwrap().len();
        let ask = Ask::keyless(request.to_string()).header("content-type", "text/plain;charset=UTF-8");
        let answer = server.ask(&ask).await;
        let expected = format!(r#"{{"accepted":{sent},"rejected":[]}}"#);
        // No warnings either: each field is one that somebody reads.
        assert_eq!((answer.status, answer.text()), (200, expected.as_str()), "{}", file.display());
        let kept = server.kept().await;
        for (event, sent) in kept[index].iter().zip(request["events"].as_array().unwrap()) {
            assert_eq!(Some(event.name), sent["name"].as_str(), "{}", file.display());
            assert_eq!(event.insert_id, sent["insert_id"].as_str(), "{}", file.display());
            assert_eq!(event.session_id, sent["session_id"].as_str(), "{}", file.display());
            assert_eq!(event.user_id, sent["user_id"].as_str(), "{}", file.display());
        }
    }
}

/// The control: the check above would see an event that is not accepted, and a field that nobody reads.
#[tokio::test]
async fn what_is_not_accepted_would_be_seen() {
    let server = Server::start(Setting::default()).await;
    let mut request = request(&spec_files()[0]);
    request["events"][0]["no_such_field"] = true.into();
    assert!(server.post_keyless(&request).await.contains("warnings"));
    request["events"][0]["name"] = "".into();
    assert!(server.post_keyless(&request).await.contains("missing_name"));
}

impl Server {
    async fn post_keyless(&self, request: &Value) -> String {
        self.ask(&Ask::keyless(request.to_string())).await.text().to_owned()
    }
}
