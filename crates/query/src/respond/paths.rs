//! Answers about paths.

use event_store::{Occurrence, PathBound, PathCount, PathSide, PathsTable};
use serde_json::{Map, Value as Json, json};

use super::{add_period, frame, value_json};
use crate::request::PathsRequest;

/// Stands for all that is not listed.
const OTHER: &str = "$other";

/// The answer to a `/paths` request.
pub(crate) fn paths_answer(request: &PathsRequest, table: &PathsTable) -> Map<String, Json> {
    let whole = table.total.sequences;
    let row = |path: Json, count: PathCount| {
        let share = if whole == 0 { Json::Null } else { json!(count.sequences as f64 / whole as f64) };
        json!({"path": path, "sequences": count.sequences, "users": count.users, "share": share})
    };
    let paths = table.paths.iter().map(|path| row(path.names.iter().map(value_json).collect(), path.count));
    let paths = paths.chain(table.other.map(|other| row(json!(OTHER), other)));
    let mut answer = frame("paths", paths.collect(), true, &table.stats);
    answer.insert("sequences".to_owned(), json!(whole));
    answer.insert("users".to_owned(), json!(table.total.users));
    answer.insert("distinct_paths".to_owned(), json!(table.distinct_paths));
    let place = |(place, count): &(i32, PathCount)| json!({"place": place, "sequences": count.sequences, "users": count.users});
    answer.insert("places".to_owned(), table.places.iter().map(place).collect());
    let edges = table.edges.iter().map(|edge| {
        json!({
            "from_place": edge.from_place, "from": value_json(&edge.from), "to_place": edge.from_place + 1, "to": value_json(&edge.to),
            "sequences": edge.count.sequences, "users": edge.count.users,
        })
    });
    answer.insert("edges".to_owned(), edges.collect());
    add_period(&mut answer, &request.period);
    answer.insert("semantics".to_owned(), semantics(request));
    answer
}

/// The rule that was used.
fn semantics(request: &PathsRequest) -> Json {
    let mut rule = json!({
        "steps": request.steps,
        "step_by": request.step_by.0,
        "collapse_repeats": request.collapse_repeats,
        "full_length_only": request.full_length_only,
    });
    match request.bound {
        PathBound::Session(sessions) => {
            rule["within"] = json!("session");
            rule["session_idle_ms"] = json!(sessions.idle_ms);
        }
        PathBound::Gap(gap_ms) => {
            rule["within"] = json!("gap");
            rule["gap_ms"] = json!(gap_ms);
        }
    }
    if let Some(anchor) = &request.anchor {
        rule["anchor"] = match anchor.side {
            PathSide::Start => json!("start"),
            PathSide::End => json!("end"),
        };
        rule["occurrence"] = match anchor.occurrence {
            Occurrence::First => json!("first"),
            Occurrence::Last => json!("last"),
            Occurrence::Every => json!("every"),
        };
    }
    rule
}

#[cfg(test)]
mod tests {
    use event_store::{PathEdge, PathRow, Value};

    use super::*;
    use crate::options::AppSettings;
    use crate::request::read_paths;

    fn request(request: Json) -> PathsRequest {
        read_paths(&request, &AppSettings::new(event::AppId::new("APP-1").unwrap()), 1_773_156_600_000).unwrap()
    }

    #[test]
    fn paths_places_edges_and_the_rule() {
        let text = |text: &str| Value::Str(text.to_owned());
        let count = |sequences: u64, users: u64| PathCount { sequences, users };
        let table = PathsTable {
            paths: vec![PathRow { names: vec![text("a"), Value::Int(7)], count: count(3, 2) }],
            other: Some(count(1, 1)),
            places: vec![(-1, count(3, 2)), (0, count(4, 3))],
            edges: vec![PathEdge { from_place: -1, from: Value::Other, to: Value::Other, count: count(3, 2) }],
            total: count(4, 3),
            distinct_paths: 2,
            ..PathsTable::default()
        };
        let answer = paths_answer(&request(json!({"end": "purchase", "gap": "1h"})), &table);
        let expected = json!([
            {"path": ["a", 7], "sequences": 3, "users": 2, "share": 0.75}, {"path": "$other", "sequences": 1, "users": 1, "share": 0.25}
        ]);
        assert_eq!(answer["paths"], expected);
        assert_eq!(
            answer["edges"],
            json!([{"from_place": -1, "from": "$other", "to_place": 0, "to": "$other", "sequences": 3, "users": 2}])
        );
        assert_eq!(answer["places"][1], json!({"place": 0, "sequences": 4, "users": 3}));
        assert_eq!((&answer["sequences"], &answer["users"], &answer["distinct_paths"]), (&json!(4), &json!(3), &json!(2)));
        let rule = &answer["semantics"];
        assert_eq!(
            (&rule["within"], &rule["gap_ms"], &rule["anchor"], &rule["occurrence"]),
            (&json!("gap"), &json!(3_600_000), &json!("end"), &json!("first"))
        );
    }

    #[test]
    fn nothing_has_no_shares() {
        let answer = paths_answer(&request(json!({})), &PathsTable::default());
        assert_eq!((&answer["paths"], &answer["edges"], &answer["users"]), (&json!([]), &json!([]), &json!(0)));
        assert_eq!(answer["semantics"]["within"], json!("session"));
        assert!(answer["semantics"].get("anchor").is_none());
    }
}
