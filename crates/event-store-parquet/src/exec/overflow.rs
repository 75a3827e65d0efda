//! Reads single properties out of a row's overflow object without building the object.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::value::OwnedScalar;

/// Calls `visit` with the position in `wanted` and the raw JSON of each wanted member. Text that is not an object has none.
pub(super) fn read_members(json: &str, wanted: &[&str], visit: &mut dyn FnMut(usize, &str)) {
    let members = Members { wanted, visit };
    // A damaged object yields the members before the damage; the part's checksums are what guards the rest.
    let _ = members.deserialize(&mut serde_json::Deserializer::from_str(json));
}

/// The wanted members of an object as scalars, `Null` where there is none; of a name that appears twice, the last counts.
pub(super) fn read_scalars(json: &str, wanted: &[&str]) -> Vec<OwnedScalar> {
    let mut found = vec![OwnedScalar::Null; wanted.len()];
    read_members(json, wanted, &mut |i, raw| found[i] = OwnedScalar::from_json(raw));
    found
}

/// Calls `visit` with the name and the raw JSON of every member.
pub(super) fn read_all(json: &str, visit: &mut dyn FnMut(&str, &str)) {
    let _ = AllMembers { visit }.deserialize(&mut serde_json::Deserializer::from_str(json));
}

struct Members<'w, 'v> {
    wanted: &'w [&'w str],
    visit: &'v mut dyn FnMut(usize, &str),
}

impl<'de> DeserializeSeed<'de> for Members<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Members<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<Key<'de>>()? {
            match self.wanted.iter().position(|wanted| *wanted == key.0) {
                Some(position) => (self.visit)(position, map.next_value::<&RawValue>()?.get()),
                None => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }
}

struct AllMembers<'v> {
    visit: &'v mut dyn FnMut(&str, &str),
}

impl<'de> DeserializeSeed<'de> for AllMembers<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for AllMembers<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<Key<'de>>()? {
            (self.visit)(&key.0, map.next_value::<&RawValue>()?.get());
        }
        Ok(())
    }
}

/// A member's name, borrowed wherever it has no escapes.
#[derive(serde::Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_found_whatever_stands_around_them() {
        let json = r#"{"a":{"b":1},"b\"":[1,{"b":2}],"b":"x\ny","big":18446744073709551615}"#;
        let found = read_scalars(json, &["b", "big", "none", "b\""]);
        assert_eq!(found[0], OwnedScalar::Str("x\ny".into()));
        assert_eq!(found[1], OwnedScalar::BigUint(u64::MAX));
        assert_eq!(found[2], OwnedScalar::Null);
        assert_eq!(found[3], OwnedScalar::Json(r#"[1,{"b":2}]"#.into()));
        assert_eq!(read_scalars("[1]", &["b"]), [OwnedScalar::Null]);
        let mut names = Vec::new();
        read_all(json, &mut |name, _| names.push(name.to_string()));
        assert_eq!(names, ["a", "b\"", "b", "big"]);
    }
}
