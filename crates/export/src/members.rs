use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// What the JSON text of a property value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum JsonKind {
    Text,
    Number,
    Boolean,
    /// A list or an object.
    Nested,
}

impl JsonKind {
    pub(crate) fn of(json: &str) -> Option<Self> {
        match json.as_bytes().first()? {
            b'"' => Some(Self::Text),
            b't' | b'f' => Some(Self::Boolean),
            b'[' | b'{' => Some(Self::Nested),
            b'-' | b'0'..=b'9' => Some(Self::Number),
            _ => None,
        }
    }
}

/// The text of a JSON string.
pub(crate) fn text(json: &str) -> Option<Cow<'_, str>> {
    serde_json::from_str::<BorrowedText<'_>>(json).ok().map(|text| text.0)
}

/// Calls `visit` with the name and the JSON of every member of an object.
///
/// # Errors
/// When `json` is no object.
pub(crate) fn each(json: &str, visit: &mut dyn FnMut(&str, &str)) -> Result<(), serde_json::Error> {
    let mut reader = serde_json::Deserializer::from_str(json);
    Members { visit }.deserialize(&mut reader)?;
    reader.end()
}

/// Borrowed wherever it has no escapes.
#[derive(serde::Deserialize)]
struct BorrowedText<'a>(#[serde(borrow)] Cow<'a, str>);

struct Members<'v> {
    visit: &'v mut dyn FnMut(&str, &str),
}

impl<'de> DeserializeSeed<'de> for Members<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Members<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key::<BorrowedText<'de>>()? {
            (self.visit)(&name.0, map.next_value::<&RawValue>()?.get());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_come_whole_and_damage_is_told() {
        let mut seen = Vec::new();
        let mut read = |json| each(json, &mut |name, value| seen.push(format!("{name}={value}")));
        assert!(read(r#"{"a\"b":"x\ny","n":18446744073709551615,"l":[{"a":1}]}"#).is_ok());
        for damaged in ["", "[]", "{\"a\":", "{} {}"] {
            assert!(read(damaged).is_err(), "{damaged}");
        }
        assert_eq!(seen[..3], ["a\"b=\"x\\ny\"", "n=18446744073709551615", "l=[{\"a\":1}]"]);
        assert_eq!(text(r#""x\ny""#).as_deref(), Some("x\ny"));
        assert_eq!(text("1"), None);
    }
}
