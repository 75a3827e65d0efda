use event::{AppId, EventBatch, RejectCode};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::*;

const NOW: i64 = 1_780_000_000_000;
const CLOCK: Clock = Clock { received_at_ms: NOW, sent_at_ms: None, oldest_ms: i64::MIN };

/// One accepted event as JSON, with its properties as readers of the store see them.
fn as_json(batch: &EventBatch) -> Vec<Value> {
    let events = batch.iter().map(|event| {
        let mut properties = Map::new();
        for (_, key, value) in event.properties.clone() {
            let mut text = String::new();
            value.write_json(&mut text);
            properties.insert(key.to_owned(), serde_json::from_str(&text).unwrap());
        }
        json!({"name": event.name, "time": event.time_ms, "client_time": event.client_time_ms, "user_id": event.user_id,
            "anonymous_id": event.anonymous_id, "insert_id": event.insert_id, "session_id": event.session_id, "properties": properties})
    });
    events.collect()
}

struct Parsed {
    envelope: Envelope,
    accepted: Vec<Value>,
    rejected: Vec<(u32, RejectCode)>,
    raw: Vec<Vec<u8>>,
    messages: Vec<String>,
}

fn parse_at(body: &[u8], clock: Clock) -> Result<Parsed, BodyFault> {
    parse_within(body, clock, Bounds::new(2_000))
}

fn parse_within(body: &[u8], clock: Clock, bounds: Bounds) -> Result<Parsed, BodyFault> {
    let (mut batch, mut scratch) = (EventBatchBuilder::default(), Scratch::default());
    let derived = Derived { properties: &[], daily_id: DailyId::Known("daily-1") };
    let envelope = read_batch(body, clock, &derived, bounds, &mut batch, &mut scratch)?;
    // Through the codec, so that what the parser writes is also what a reader of the log accepts.
    let mut record = Vec::new();
    batch.encode(&AppId::new("APP-1").unwrap(), &mut record);
    let decoded = EventBatch::decode(&record).unwrap();
    Ok(Parsed {
        envelope,
        accepted: as_json(&decoded),
        rejected: decoded.rejected().iter().map(|event| (event.index, event.reject.code)).collect(),
        raw: decoded.rejected().iter().map(|event| event.raw.clone()).collect(),
        messages: decoded.rejected().iter().map(|event| event.reject.message.to_string()).collect(),
    })
}

fn parse(body: &[u8]) -> Result<Parsed, BodyFault> {
    parse_at(body, CLOCK)
}

/// Puts `event` between two good ones and checks what becomes of it; the good ones must be kept.
fn check_in_the_middle(event: &[u8], expected: Result<Value, RejectCode>) {
    let before: &[u8] = b"{\"events\":[{\"name\":\"a\",\"user_id\":\"U1\",\"properties\":{\"k\":1}}, ";
    let after: &[u8] = b" ,{\"name\":\"z\",\"user_id\":\"U2\",\"properties\":{\"k\":2}}],\"app_id\":\"APP-1\"}";
    let body = [before, event, after].concat();
    let shown = String::from_utf8_lossy(&event[..event.len().min(200)]).into_owned();
    let parsed = parse(&body).unwrap_or_else(|fault| panic!("{shown}: {fault}"));
    assert_eq!(parsed.envelope.app_id.as_deref(), Some("APP-1"), "{shown}");
    assert_eq!(parsed.envelope.event_count, 3, "{shown}");
    let names: Vec<&Value> = parsed.accepted.iter().map(|event| &event["name"]).collect();
    match expected {
        Ok(properties) => {
            assert_eq!(parsed.rejected, [], "{shown}: {:?}", parsed.messages);
            assert_eq!(parsed.accepted[1]["properties"], properties, "{shown}");
        }
        Err(code) => {
            assert_eq!(parsed.rejected, [(1, code)], "{shown}: {:?}", parsed.messages);
            assert_eq!(names, ["a", "z"], "{shown}");
            let kept = &event[..event.len().min(event::limits::MAX_REJECTED_RAW_BYTES)];
            assert!(parsed.raw[0].starts_with(kept), "{shown}");
        }
    }
    let last = parsed.accepted.last().unwrap();
    assert_eq!((&last["name"], &last["properties"]), (&json!("z"), &json!({"k": 2})), "{shown}");
}

fn refused(event: &str, code: RejectCode) {
    check_in_the_middle(event.as_bytes(), Err(code));
}

/// An event with these properties, as text.
fn with_properties(properties: &str) -> String {
    format!("{{\"name\":\"x\",\"user_id\":\"U\",\"properties\":{properties}}}")
}

#[test]
fn names_and_ids() {
    let long = "x".repeat(256);
    refused("{\"user_id\":\"U\"}", RejectCode::MissingName);
    refused("{\"name\":null,\"user_id\":\"U\"}", RejectCode::MissingName);
    refused("{\"name\":\"\",\"user_id\":\"U\"}", RejectCode::MissingName);
    refused(&format!("{{\"name\":\"{long}\",\"user_id\":\"U\"}}"), RejectCode::NameTooLong);
    refused("{\"name\":\"x\"}", RejectCode::MissingId);
    refused("{\"name\":\"x\",\"anonymous_id\":null}", RejectCode::MissingId);
    refused("{\"name\":\"x\",\"user_id\":\"\"}", RejectCode::InvalidId);
    refused("{\"name\":\"x\",\"user_id\":\"\",\"anonymous_id\":\"A\"}", RejectCode::InvalidId);
    refused(&format!("{{\"name\":\"x\",\"user_id\":\"{long}\"}}"), RejectCode::InvalidId);
    refused(&format!("{{\"name\":\"x\",\"user_id\":\"U\",\"insert_id\":\"{}\"}}", "x".repeat(65)), RejectCode::InvalidId);
    refused("{\"name\":\"x\",\"user_id\":\"undefined\"}", RejectCode::PlaceholderId);
    refused("{\"name\":\"x\",\"user_id\":\"U\",\"anonymous_id\":\"00000000-0000-0000-0000-000000000000\"}", RejectCode::PlaceholderId);
    check_in_the_middle(b"{\"name\":\"x\",\"user_id\":null}", Ok(json!({})));
    check_in_the_middle(b"{\"name\":\"x\",\"user_id\":null,\"anonymous_id\":\"A\"}", Ok(json!({})));
    check_in_the_middle(
        b"{\"name\":\"x\",\"user_id\":\"U\",\"insert_id\":null,\"session_id\":null,\"properties\":null,\"timestamp\":null}",
        Ok(json!({})),
    );
}

#[test]
fn wrong_types_everywhere() {
    for value in ["1", "true", "[]", "{}", "[\"x\"]", "1.5"] {
        for field in ["name", "user_id", "anonymous_id", "insert_id", "session_id"] {
            refused(&format!("{{\"name\":\"x\",\"user_id\":\"U\",\"{field}\":{value}}}"), RejectCode::InvalidType);
        }
    }
    for value in ["true", "[]", "{}"] {
        refused(&format!("{{\"name\":\"x\",\"user_id\":\"U\",\"timestamp\":{value}}}"), RejectCode::InvalidType);
    }
    for value in ["1", "true", "[]", "\"x\""] {
        refused(&with_properties(value), RejectCode::InvalidType);
    }
    for element in ["1", "null", "true", "\"text, ] }\"", "[]", "[{\"name\":\"x\"}]", "-1.5e3"] {
        refused(element, RejectCode::NotAnObject);
    }
    let parsed = parse(b"{\"events\":[{\"name\":5,\"user_id\":\"U\"}]}").unwrap();
    assert_eq!(parsed.messages, ["name must be a string, not a number"]);
}

#[test]
fn text_that_is_not_json() {
    for event in [
        "",
        "nonsense",
        "{]}",
        "{\"name\"}",
        "{\"name\":}",
        "{\"name\":\"x\",}",
        "{,}",
        "{'name':'x'}",
        "{name:\"x\"}",
        "undefined",
        "{\"name\":\"x\" \"user_id\":\"U\"}",
        "{\"name\":\"x\",\"extra\":[}",
        "{\"a\":tru}",
        "{\"a\":01}",
        "{\"a\":.5}",
        "{\"a\":+1}",
        "{\"a\":\"\t\"}",
        "{\"a\":\"\\x\"}",
        "{\"a\":\"\\u12g4\"}",
        "// comment",
        "{\"name\":\"x\"/**/}",
    ] {
        refused(event, RejectCode::InvalidJson);
    }
    let parsed = parse(b"{\"events\":[{\"name\":\"x\",\"user_id\":\"U\"} trailing, {\"name\":\"y\",\"user_id\":\"U\"}]}").unwrap();
    assert_eq!((parsed.accepted.len(), parsed.rejected), (2, vec![(1, RejectCode::InvalidJson)]));
}

#[test]
fn an_event_without_end_costs_the_rest_only() {
    let body = b"{\"events\":[{\"name\":\"a\",\"user_id\":\"U\"},{\"name\":\"b, {\"name\":\"c\",\"user_id\":\"U\"}]}";
    let parsed = parse(body).unwrap();
    assert_eq!((parsed.accepted.len(), &parsed.rejected[..]), (1, &[(1, RejectCode::InvalidJson)][..]));
    assert!(parsed.raw[0].starts_with(b"{\"name\":\"b, {"));
}

#[test]
fn numbers() {
    let exact = |text: &str| with_properties(&format!("{{\"n\":{text},\"list\":[{text}]}}"));
    for text in ["0", "9007199254740993", "9223372036854775807", "-9223372036854775808", "9223372036854775808", "18446744073709551615"] {
        let number: Value = serde_json::from_str(text).unwrap();
        check_in_the_middle(exact(text).as_bytes(), Ok(json!({"n": number, "list": [number]})));
    }
    check_in_the_middle(with_properties("{\"n\":-0,\"f\":-0.0,\"e\":1.5e3}").as_bytes(), Ok(json!({"n": 0, "f": 0, "e": 1500})));
    for text in ["NaN", "Infinity", "-Infinity", "1e400", "-1e400", "18446744073709551616", "-9223372036854775809"] {
        refused(&with_properties(&format!("{{\"n\":{text}}}")), RejectCode::InvalidNumber);
        refused(&with_properties(&format!("{{\"n\":[{{\"a\":{text}}}]}}")), RejectCode::InvalidNumber);
        refused(&format!("{{\"name\":\"x\",\"user_id\":\"U\",\"extra\":{text}}}"), RejectCode::InvalidNumber);
    }
}

#[test]
fn texts() {
    let text = |escaped: &str| with_properties(&format!("{{\"t\":\"{escaped}\"}}"));
    check_in_the_middle(text("\\u0000").as_bytes(), Ok(json!({"t": "\0"})));
    check_in_the_middle(text("\\ud83d\\ude00\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9").as_bytes(), Ok(json!({"t": "😀\"\\/\u{8}\u{c}\n\r\té"})));
    for escaped in ["\\ud83d", "\\ude00", "\\ud83d\\u0041", "\\ud83dx", "a\\udfff"] {
        refused(&text(escaped), RejectCode::InvalidText);
        refused(&with_properties(&format!("{{\"t\":[\"{escaped}\"]}}")), RejectCode::InvalidText);
        refused(&with_properties(&format!("{{\"{escaped}\":1}}")), RejectCode::InvalidText);
    }
    for bytes in [&b"\xff"[..], b"\xc3", b"\xed\xa0\x80", b"\xf0\x9f\x98", b"\xc0\xaf"] {
        let event = [b"{\"name\":\"x\",\"user_id\":\"U\",\"properties\":{\"t\":\"", bytes, b"\"}}"].concat();
        check_in_the_middle(&event, Err(RejectCode::InvalidText));
        check_in_the_middle(&[bytes, b"{}"].concat(), Err(RejectCode::InvalidText));
    }
    refused("{\"name\":\"x\0\",\"user_id\":\"U\"}", RejectCode::InvalidJson);
    check_in_the_middle(b"{\"n\\u0061me\":\"x\",\"user_i\\u0064\":\"U\",\"properties\":{\"\\u006b\":\"\\u0076\"}}", Ok(json!({"k": "v"})));
}

#[test]
fn long_values_are_cut_at_a_character() {
    let long = "é".repeat(5_000);
    let parsed =
        parse(format!("{{\"events\":[{}]}}", with_properties(&format!("{{\"a\":\"x{long}\",\"b\":\"{long}\"}}"))).as_bytes()).unwrap();
    let length = |key: &str| parsed.accepted[0]["properties"][key].as_str().unwrap().len();
    assert_eq!((length("a"), length("b")), (8191, 8192));
}

#[test]
fn property_bounds() {
    let keys = |count: usize| (0..count).map(|i| format!("\"k{i}\":{i}")).collect::<Vec<_>>().join(",");
    let many = parse(format!("{{\"events\":[{}]}}", with_properties(&format!("{{{}}}", keys(255)))).as_bytes()).unwrap();
    assert_eq!(many.accepted[0]["properties"].as_object().unwrap().len(), 255);
    refused(&with_properties(&format!("{{{}}}", keys(256))), RejectCode::TooManyProperties);
    refused(&with_properties(&format!("{{{}}}", keys(1_000_000 / 10))), RejectCode::TooManyProperties);
    let values = |bytes: usize| with_properties(&format!("{{\"a\":[\"{}\"]}}", "x".repeat(bytes - 10)));
    let fits = parse(format!("{{\"events\":[{}]}}", values(32 * 1024)).as_bytes()).unwrap();
    assert_eq!(fits.rejected, []);
    refused(&values(32 * 1024 + 1), RejectCode::PropertiesTooLarge);
    refused(&with_properties(&format!("{{\"a\":\"{}\"}}", "x".repeat(5_000_000))), RejectCode::PropertiesTooLarge);
    refused(&with_properties("{\"\":1}"), RejectCode::InvalidPropertyName);
    refused(&with_properties(&format!("{{\"{}\":1}}", "k".repeat(256))), RejectCode::InvalidPropertyName);
    check_in_the_middle(
        with_properties("{\"__proto__\":\"a\",\"a.b\":1,\"a\\\"$'\":2,\"\\u0000\":3}").as_bytes(),
        Ok(json!({"__proto__": "a", "a.b": 1, "a\"$'": 2, "\0": 3})),
    );
}

#[test]
fn duplicates_the_last_wins() {
    check_in_the_middle(with_properties("{\"a\":1,\"a\":[2],\"b\":0,\"a\":3}").as_bytes(), Ok(json!({"a": 3, "b": 0})));
    check_in_the_middle(
        b"{\"name\":\"n\",\"properties\":{\"a\":1},\"name\":\"x\",\"user_id\":7,\"user_id\":\"U\"}",
        Err(RejectCode::InvalidType),
    );
    check_in_the_middle(b"{\"properties\":{\"a\":1},\"name\":\"x\",\"user_id\":\"U\",\"properties\":{\"b\":2}}", Ok(json!({"b": 2})));
    let parsed = parse(b"{\"events\":[{\"name\":\"a\",\"user_id\":\"U\"},5],\"events\":[{\"name\":\"b\",\"user_id\":\"U\"}]}").unwrap();
    assert_eq!((parsed.accepted.len(), parsed.rejected.len(), parsed.envelope.event_count), (1, 0, 1));
    assert_eq!(parsed.accepted[0]["name"], "b");
}

#[test]
fn nesting() {
    check_in_the_middle(
        with_properties("{ \"o\" : { \"a b\" : [ 1 , \" x \\\" \" ] , \"e\" : { } } , \"l\":[[[1]]] }").as_bytes(),
        Ok(json!({"o": {"a b": [1, " x \" "], "e": {}}, "l": [[[1]]]})),
    );
    check_in_the_middle(with_properties("{\"l\":[[ [[1]]]]}").as_bytes(), Ok(json!({"l": "[[[[1]]]]"})));
    let depth = 1_000_000;
    let deep = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    refused(&with_properties(&format!("{{\"d\":{deep}}}")), RejectCode::PropertiesTooLarge);
    refused(&deep, RejectCode::NotAnObject);
    check_in_the_middle(format!("{{\"name\":\"x\",\"user_id\":\"U\",\"extra\":{deep}}}").as_bytes(), Ok(json!({})));
    let objects = format!("{}1{}", "{\"a\":".repeat(200_000), "}".repeat(200_000));
    refused(&with_properties(&objects), RejectCode::PropertiesTooLarge);
    let unclosed = format!("{{\"events\":[{{\"name\":\"a\",\"user_id\":\"U\"}},{}", "[{\"a\":".repeat(depth));
    assert_eq!(parse(unclosed.as_bytes()).unwrap().accepted.len(), 1);
}

#[test]
fn times() {
    let at = |timestamp: &str| format!("{{\"name\":\"x\",\"user_id\":\"U\",\"timestamp\":{timestamp}}}");
    let time = |timestamp: &str| {
        let parsed = parse(format!("{{\"events\":[{}]}}", at(timestamp)).as_bytes()).unwrap();
        assert_eq!(parsed.rejected, [], "{timestamp}: {:?}", parsed.messages);
        parsed.accepted[0]["time"].as_i64().unwrap()
    };
    for same in ["1779999999000", "1779999999", "1779999999.0", "1779999999000000", "1.779999999e12", "\"2026-05-28T20:26:39Z\""] {
        assert_eq!(time(same), NOW - 1000, "{same}");
    }
    assert_eq!(time("\"9999-12-31T23:59:59Z\""), NOW);
    assert_eq!(time("null"), NOW);
    refused(&at("\"0001-01-01T00:00:00Z\""), RejectCode::TooOld);
    refused(&at("-1"), RejectCode::TooOld);
    refused(&at("-62135596800000"), RejectCode::TooOld);
    refused(&at("0"), RejectCode::TooOld);
    for text in [
        "\"yesterday\"",
        "\"\"",
        "\"1779999999000\"",
        "\"2026-05-28T19:59:59\"",
        "\"2026-13-01T00:00:00Z\"",
        "1e300",
        "9223372036854775808",
    ] {
        refused(&at(text), RejectCode::InvalidTimestamp);
    }
    let retained = Clock { oldest_ms: NOW - 999, ..CLOCK };
    let parsed = parse_at(format!("{{\"events\":[{}]}}", at("1779999999000")).as_bytes(), retained).unwrap();
    assert_eq!(parsed.rejected, [(0, RejectCode::TooOld)]);
}

#[test]
fn the_clock_is_corrected_wherever_sent_at_stands() {
    let event = "\"events\":[{\"name\":\"x\",\"user_id\":\"U\",\"timestamp\":1779996395000}]";
    let late = "\"sent_at\":1779996400000";
    let time = |body: String| {
        let parsed = parse(body.as_bytes()).unwrap();
        (parsed.accepted[0]["time"].as_i64().unwrap(), parsed.accepted[0]["client_time"].as_i64().unwrap())
    };
    let corrected = (NOW - 5000, 1_779_996_395_000);
    assert_eq!(time(format!("{{{late},{event}}}")), corrected);
    assert_eq!(time(format!("{{{event},{late}}}")), corrected);
    assert_eq!(time(format!("{{\"sent_at\":\"2026-05-28T20:26:40Z\",{event},{late}}}")), corrected);
    assert_eq!(time(format!("{{{late},{event},\"sent_at\":null}}")), (1_779_996_395_000, 1_779_996_395_000));
    for wrong in ["\"soon\"", "{}", "[1]", "true", "1e300"] {
        let parsed = parse(format!("{{\"sent_at\":{wrong},{event}}}").as_bytes()).unwrap();
        assert!(parsed.envelope.sent_at_was_ignored, "{wrong}");
        assert_eq!(parsed.accepted[0]["time"], 1_779_996_395_000i64, "{wrong}");
    }
}

#[test]
fn bodies_of_which_nothing_can_be_kept() {
    let invalid = |body: &str| assert!(matches!(parse(body.as_bytes()), Err(BodyFault::InvalidJson(_))), "{body}");
    for body in ["", "[]", "null", "\"events\"", "{", "{\"events\"", "{\"events\":", "{\"a\":NaN,\"events\":[]}", "{\"a\" 1}", "\u{0}"] {
        invalid(body);
    }
    assert!(matches!(parse(b"\xff\xfe{\x00"), Err(BodyFault::InvalidJson(_))));
    assert!(matches!(parse(b"{}"), Err(BodyFault::MissingEvents)));
    for events in ["{}", "null", "1", "\"x\""] {
        let fault = parse(format!("{{\"events\":{events}}}").as_bytes()).err();
        assert!(matches!(fault, Some(BodyFault::InvalidType { field: "events", .. })), "{events}");
    }
    assert!(matches!(parse(b"{\"app_id\":1,\"events\":[]}"), Err(BodyFault::InvalidType { field: "app_id", .. })));
    let events = vec!["{\"name\":\"x\",\"user_id\":\"U\"}"; 2001].join(",");
    assert_eq!(parse(format!("{{\"events\":[{events}]}}").as_bytes()).err(), Some(BodyFault::TooManyEvents { max: 2000 }));
    assert_eq!(parse(format!("{{\"events\":[{}]}}", ",".repeat(5000)).as_bytes()).err(), Some(BodyFault::TooManyEvents { max: 2000 }));
    assert_eq!(parse(b"\xef\xbb\xbf {\"events\":[]}").unwrap().envelope.event_count, 0);
}

/// A body with all that makes reading hard, for cutting and damaging.
fn busy_body() -> Vec<u8> {
    let body = "{\"app_id\":\"APP-1\",\"unknown\":[1,{\"a\":\"]\"}],\"events\":[\
        {\"name\":\"a\",\"user_id\":\"U1\",\"timestamp\":1779999999000,\"properties\":{\"u\":\"/\\u00e9\\n\",\"n\":[1,{\"x\":\"}\"}],\"f\":-1.5e3}},\
        {\"name\":5},\
        {\"name\":\"b\",\"anonymous_id\":\"ä\",\"insert_id\":\"i\",\"session_id\":\"s\",\"properties\":{\"t\":true,\"z\":null,\"i\":12345678901234567890}},\
        {\"name\":\"c\",\"user_id\":null}],\"write_key\":\"wk_1\",\"sent_at\":\"2026-05-28T20:26:40Z\"}";
    body.as_bytes().to_vec()
}

#[test]
fn a_body_cut_at_any_byte_yields_a_true_prefix() {
    let body = busy_body();
    let whole = parse(&body).unwrap();
    assert_eq!((whole.accepted.len(), whole.rejected.len()), (3, 1));
    let mut most = 0;
    for cut in 0..body.len() {
        let Ok(parsed) = parse(&body[..cut]) else { continue };
        assert_eq!(parsed.accepted[..], whole.accepted[..parsed.accepted.len()], "cut at {cut}");
        assert!(parsed.rejected.last().is_some_and(|(index, _)| *index as usize == parsed.envelope.event_count - 1), "cut at {cut}");
        most = most.max(parsed.accepted.len());
    }
    assert_eq!(most, 3);
}

/// Any JSON value of a bounded size; numbers are those that survive being read by `serde_json` as they are.
fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (-1e18f64..1e18).prop_map(Value::from),
        any::<f64>().prop_filter("finite", |f| f.is_finite()).prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        "[a-z/\\\\\" é😀]{0,40}".prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec(("[a-c\"\\\\é]{0,3}", inner), 0..4).prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
        ]
    })
}

fn any_event() -> impl Strategy<Value = Value> {
    let properties = prop::collection::vec(("[a-e\"\\\\é\u{0}]{1,4}", any_value()), 0..8);
    let ids = (any::<bool>(), prop::option::of("[A-Z]{2}[a-zé\"]{1,6}"), prop::option::of("[A-Z]{3,9}"));
    ("[a-z$ é\\\\\"]{1,10}", ids, prop::option::of(1_000_000_000_000i64..1_780_000_000_000), properties, any_value()).prop_map(
        |(name, (null_user, user_id, insert_id), timestamp, properties, unknown)| {
            let properties: Map<String, Value> = properties.into_iter().collect();
            let mut event = Map::new();
            event.insert("unknown".into(), unknown);
            if null_user || user_id.is_none() {
                event.insert("user_id".into(), Value::Null);
            }
            if let Some(user_id) = user_id {
                event.insert(if null_user { "anonymous_id" } else { "user_id" }.into(), user_id.into());
            }
            if let Some(insert_id) = insert_id {
                event.insert("insert_id".into(), insert_id.into());
            }
            if let Some(timestamp) = timestamp {
                event.insert("timestamp".into(), timestamp.into());
            }
            event.insert("properties".into(), properties.into());
            event.insert("name".into(), name.into());
            Value::Object(event)
        },
    )
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(fields) => 1 + fields.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

/// What must become of a property: as it was, or as JSON text where it is too deep; whole floats lose their fraction when written.
fn expected_property(value: &Value, ascii: bool) -> Value {
    match value {
        // Text is kept as it was sent, with its escapes.
        nested if depth(nested) > 3 && ascii => Value::from(escape_non_ascii(&nested.to_string())),
        nested if depth(nested) > 3 => Value::from(nested.to_string()),
        Value::Number(number) if number.is_f64() => {
            let mut text = String::new();
            PropertyValue::Float(number.as_f64().unwrap()).write_json(&mut text);
            serde_json::from_str(&text).unwrap()
        }
        // Read back as the stored text will be, since serde_json does not round every float correctly.
        other => serde_json::from_str(&other.to_string()).unwrap(),
    }
}

fn expected_event(event: &Value, ascii: bool) -> Value {
    let time = event.get("timestamp").cloned().unwrap_or_else(|| json!(NOW));
    let properties = event["properties"].as_object().unwrap();
    let properties: Map<String, Value> = properties.iter().map(|(key, value)| (key.clone(), expected_property(value, ascii))).collect();
    json!({"name": event["name"], "time": time, "client_time": time, "user_id": event["user_id"], "anonymous_id": event.get("anonymous_id"),
        "insert_id": event.get("insert_id"), "session_id": null, "properties": properties})
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn events_come_out_as_serde_json_reads_them(events in prop::collection::vec(any_event(), 0..6), pretty: bool, ascii: bool) {
        let body = json!({"events": events, "app_id": "APP-1"});
        let mut text = if pretty { serde_json::to_string_pretty(&body).unwrap() } else { body.to_string() };
        if ascii {
            text = escape_non_ascii(&text);
        }
        let parsed = parse(text.as_bytes()).unwrap();
        prop_assert_eq!(&parsed.rejected, &[], "{:?}", parsed.messages);
        let expected: Vec<Value> = events.iter().map(|event| expected_event(event, ascii)).collect();
        prop_assert_eq!(parsed.accepted, expected);
    }

    #[test]
    fn damaged_bodies_never_panic(at in 0usize..600, bytes in prop::collection::vec(any::<u8>(), 1..6)) {
        let mut body = busy_body();
        for (offset, byte) in bytes.into_iter().enumerate() {
            let at = (at + offset) % body.len();
            body[at] = byte;
        }
        if let Ok(parsed) = parse(&body) {
            prop_assert_eq!(parsed.accepted.len() + parsed.rejected.len(), parsed.envelope.event_count);
        }
    }

    #[test]
    fn an_event_is_accepted_only_if_it_is_json(text in "[\\[\\]{}\",:0-9a-z\\\\ .-]{0,30}") {
        let event = with_properties(&format!("{{\"a\":{text}}}"));
        let parsed = parse(format!("{{\"events\":[{event}]}}").as_bytes());
        if let Ok(parsed) = parsed && parsed.rejected.is_empty() {
            prop_assert!(serde_json::from_str::<Value>(&event).is_ok(), "accepted {}", event);
        }
    }
}

/// The same JSON with every character beyond ASCII as `\u` escapes.
fn escape_non_ascii(text: &str) -> String {
    let mut out = String::new();
    for character in text.chars() {
        if character.is_ascii() {
            out.push(character);
        } else {
            character.encode_utf16(&mut [0; 2]).iter().for_each(|unit| out.push_str(&format!("\\u{unit:04X}")));
        }
    }
    out
}

#[test]
fn fields_nobody_reads_are_told_and_those_of_an_export_are_not() {
    let body = br#"{"events":[{"name":"a","user_id":"U1","propertes":{"k":1},"received_at":"x","client_timestamp":1},
        {"name":"b","user_id":"U1","propertes":1,"eventName":"c"}]}"#;
    let parsed = parse(body).unwrap();
    assert_eq!(parsed.accepted.len(), 2);
    let told: Vec<(u32, String)> = parsed.envelope.unknown_fields.iter().map(|field| (field.index, field.name.clone())).collect();
    assert_eq!(told, [(0, "propertes".to_owned()), (1, "eventName".to_owned())]);
    let many: String = (0..500).map(|n| format!(",\"{n}{}\":1", "\u{e9}".repeat(100))).collect();
    let parsed = parse(format!("{{\"events\":[{{\"name\":\"a\",\"user_id\":\"U1\"{many}}}]}}").as_bytes()).unwrap();
    assert_eq!(parsed.envelope.unknown_fields.iter().map(|field| field.name.len() <= 64).collect::<Vec<_>>(), [true; 10]);
}

#[test]
fn a_wrong_sent_at_costs_no_good_event_its_time() {
    let body = |sent_at: &str| {
        format!("{{\"sent_at\":{sent_at},\"events\":[{{\"name\":\"a\",\"user_id\":\"U1\",\"timestamp\":{}}}]}}", NOW - 5_000)
    };
    let clock = Clock { oldest_ms: NOW - 86_400_000 * 730, ..CLOCK };
    for sent_at in ["0", "\"2100-01-01T00:00:00Z\"", "\"1970-01-01T00:00:00Z\""] {
        let parsed = parse_at(body(sent_at).as_bytes(), clock).unwrap();
        assert_eq!((parsed.accepted[0]["time"].as_i64(), parsed.envelope.uncorrected_events), (Some(NOW - 5_000), 1), "{sent_at}");
    }
    let parsed = parse_at(body(&(NOW - 3_600_000).to_string()).as_bytes(), clock).unwrap();
    assert_eq!((parsed.accepted[0]["time"].as_i64(), parsed.envelope.uncorrected_events), (Some(NOW + 3_595_000), 0));
}

#[test]
fn enriched_events_have_room_for_what_was_added() {
    let keys = |count: usize| (0..count).map(|n| format!("\"k{n}\":1")).collect::<Vec<_>>().join(",");
    let event = |properties: &str| format!("{{\"events\":[{{\"name\":\"a\",\"user_id\":\"U1\",\"properties\":{{{properties}}}}}]}}");
    let long = |bytes: usize| (0..4).map(|n| format!("\"t{n}\":\"{}\"", "x".repeat(bytes / 4 - 8))).collect::<Vec<_>>().join(",");
    for (properties, plain, enriched) in
        [(keys(255), 1, 1), (keys(287), 0, 1), (keys(288), 0, 0), (long(36_000), 0, 1), (long(44_000), 0, 0)]
    {
        let accepted = |bounds| parse_within(event(&properties).as_bytes(), CLOCK, bounds).unwrap().accepted.len();
        assert_eq!((accepted(Bounds::new(1)), accepted(Bounds::of_enriched(1))), (plain, enriched), "{} bytes", properties.len());
    }
}

#[test]
fn a_cookieless_event_has_the_id_of_the_day_or_asks_for_one() {
    let body = br#"{"events":[{"name":"a","cookieless":true},{"name":"b","user_id":"U1","cookieless":true},{"name":"c","cookieless":true,"user_id":null}]}"#;
    let parsed = parse(body).unwrap();
    let ids: Vec<_> = parsed.accepted.iter().map(|event| event["anonymous_id"].as_str()).collect();
    assert_eq!((ids, parsed.envelope.cookieless_events), (vec![Some("daily-1"), None, Some("daily-1")], 2));
    let (mut batch, mut scratch) = (EventBatchBuilder::default(), Scratch::default());
    let pending = Derived { properties: &[], daily_id: DailyId::Pending };
    let envelope = read_batch(body, CLOCK, &pending, Bounds::new(10), &mut batch, &mut scratch).unwrap();
    assert_eq!((envelope.cookieless_events, envelope.event_count), (2, 3));
    for wrong in ["1", "\"true\"", "{}", "[]"] {
        refused(&format!("{{\"name\":\"x\",\"cookieless\":{wrong}}}"), RejectCode::InvalidType);
    }
}
