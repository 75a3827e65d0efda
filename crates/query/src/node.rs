use serde_json::{Map, Value};

use crate::failure::QueryFailure;

/// Longer names are not compared, or not beyond this.
const MAX_COMPARED_CHARS: usize = 40;

/// One value of a request together with its path, so that every error names its place.
#[derive(Clone, Debug)]
pub(crate) struct Node<'a> {
    pub value: &'a Value,
    pub path: String,
    code: &'static str,
}

/// An object of a request whose field names have been checked.
pub(crate) struct Object<'a> {
    map: &'a Map<String, Value>,
    path: String,
    code: &'static str,
}

impl<'a> Node<'a> {
    /// The whole request.
    pub fn root(value: &'a Value) -> Self {
        Self { value, path: String::new(), code: "invalid_request" }
    }

    /// The same place; errors at and below it carry `code`.
    pub fn coded(mut self, code: &'static str) -> Self {
        self.code = code;
        self
    }

    /// An error at this place.
    pub fn error(&self, message: impl Into<String>) -> QueryFailure {
        QueryFailure::invalid(self.code, self.path.clone(), message)
    }

    /// The object here, all of whose fields are in `known`.
    pub fn object(&self, known: &[&str]) -> Result<Object<'a>, QueryFailure> {
        let Value::Object(map) = self.value else {
            return Err(self.error(format!("expected an object with {}, not {}", listed(known), kind_of(self.value))));
        };
        if let Some(unknown) = map.keys().find(|key| !known.contains(&key.as_str())) {
            let hint = match nearest(unknown, known) {
                Some(near) => format!("did you mean \"{near}\"?"),
                None => format!("known here: {}", listed(known)),
            };
            let path = join(&self.path, &shown(unknown));
            return Err(QueryFailure::invalid(self.code, path, format!("unknown field \"{}\": {hint}", shown(unknown))));
        }
        Ok(Object { map, path: self.path.clone(), code: self.code })
    }

    /// The elements of the list here, at most `max_count`.
    pub fn list(&self, what: &str, max_count: usize) -> Result<Vec<Node<'a>>, QueryFailure> {
        let Value::Array(items) = self.value else {
            return Err(self.error(format!("expected a list of {what}, not {}", kind_of(self.value))));
        };
        if items.len() > max_count {
            return Err(self.error(format!("{} {what}, at most {max_count} are allowed", items.len())));
        }
        let element = |(i, value)| Node { value, path: format!("{}[{i}]", self.path), code: self.code };
        Ok(items.iter().enumerate().map(element).collect())
    }

    /// The list here, or a list of this one value.
    pub fn one_or_list(&self, what: &str, max_count: usize) -> Result<Vec<Node<'a>>, QueryFailure> {
        if self.value.is_array() { self.list(what, max_count) } else { Ok(vec![self.clone()]) }
    }

    /// The text here.
    pub fn text(&self, what: &str) -> Result<&'a str, QueryFailure> {
        self.value.as_str().ok_or_else(|| self.error(format!("expected {what} as text, not {}", kind_of(self.value))))
    }

    /// The boolean here.
    pub fn boolean(&self) -> Result<bool, QueryFailure> {
        self.value.as_bool().ok_or_else(|| self.error(format!("expected true or false, not {}", kind_of(self.value))))
    }

    /// The whole number here, in `min..=max`.
    pub fn count(&self, min: usize, max: usize) -> Result<usize, QueryFailure> {
        let number = self.value.as_u64().and_then(|n| usize::try_from(n).ok());
        let inside = number.filter(|n| (min..=max).contains(n));
        inside.ok_or_else(|| self.error(format!("expected a whole number from {min} to {max}")))
    }

    /// The choice whose name is written here.
    pub fn choice<T: Copy>(&self, choices: &[(&str, T)]) -> Result<T, QueryFailure> {
        let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
        let text = self.text("a name")?;
        if let Some((_, choice)) = choices.iter().find(|(name, _)| *name == text) {
            return Ok(*choice);
        }
        let near = nearest(text, &names).map(|near| format!(" (did you mean \"{near}\"?)")).unwrap_or_default();
        Err(self.error(format!("\"{}\" is not known{near}: one of {}", shown(text), listed(&names))))
    }
}

impl<'a> Object<'a> {
    /// The field, unless it is missing or `null`.
    pub fn get(&self, key: &str) -> Option<Node<'a>> {
        self.get_or_null(key).filter(|node| !node.value.is_null())
    }

    /// The field, unless it is missing.
    pub fn get_or_null(&self, key: &str) -> Option<Node<'a>> {
        self.map.get(key).map(|value| Node { value, path: join(&self.path, key), code: self.code })
    }

    /// The field, or an error that says what it is for.
    pub fn required(&self, key: &str, what: &str) -> Result<Node<'a>, QueryFailure> {
        let missing = || QueryFailure::invalid(self.code, join(&self.path, key), format!("\"{key}\" is missing: {what}"));
        self.get_or_null(key).ok_or_else(missing)
    }
}

pub(crate) fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

fn listed(names: &[&str]) -> String {
    names.join(", ")
}

/// What a client wrote, short enough for a message.
pub(crate) fn shown(text: &str) -> String {
    const MAX_SHOWN_CHARS: usize = 60;
    let mut short: String = text.chars().take(MAX_SHOWN_CHARS).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

/// The JSON type in words.
pub(crate) fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// The known name that `written` most likely stands for: at most two letters off, or one for short names.
pub(crate) fn nearest<'n>(written: &str, known: &[&'n str]) -> Option<&'n str> {
    if written.chars().count() > MAX_COMPARED_CHARS {
        return None;
    }
    let lower = written.to_lowercase();
    let scored = known.iter().map(|name| (strsim::osa_distance(&lower, name), *name));
    let allowed = if lower.chars().count() <= 4 { 1 } else { 2 };
    scored.min_by_key(|(distance, _)| *distance).filter(|(distance, _)| *distance <= allowed).map(|(_, name)| name)
}

/// The known names most like `written`, the likest first, as most as `count`: case and what stands between words do not matter, slips of the
/// pen and other endings little. Names alike keep the order of `known`.
pub(crate) fn near<'n>(written: &str, known: &[&'n str], count: usize) -> Vec<&'n str> {
    /// Jaro-Winkler similarity from which on names are taken for the same word; 0.85 and more tells slips and endings from other words.
    const ALIKE: f64 = 0.85;
    let written = letters(written);
    let mut scored: Vec<(f64, &str)> = known.iter().map(|name| (strsim::jaro_winkler(&written, &letters(name)), *name)).collect();
    scored.retain(|(likeness, _)| *likeness >= ALIKE);
    scored.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    scored.into_iter().take(count).map(|(_, name)| name).collect()
}

/// Letters and digits in lower case, as many as are compared.
fn letters(name: &str) -> String {
    name.chars().filter(|c| c.is_alphanumeric()).take(MAX_COMPARED_CHARS).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_unknown_field_names_itself_and_its_neighbour() {
        let value = json!({"filtres": []});
        let error = Node::root(&value).object(&["filters", "metric"]).err().unwrap();
        assert_eq!(error.field.as_deref(), Some("filtres"));
        assert!(error.message.contains("did you mean \"filters\"?"), "{}", error.message);
        let value = json!({"zzz": []});
        let error = Node::root(&value).object(&["filters", "metric"]).err().unwrap();
        assert!(error.message.contains("known here: filters, metric"), "{}", error.message);
    }

    #[test]
    fn names_that_are_meant() {
        assert_eq!(nearest("equals", &["eq", "in"]), None);
        assert_eq!(nearest("Not_In", &["not_in", "in"]), Some("not_in"));
    }
    #[test]
    fn names_that_are_alike() {
        let known = ["page_view", "add_to_cart", "purchase", "purchase_failed", "search", "Item Viewed"];
        assert_eq!(near("purchse", &known, 3), ["purchase", "purchase_failed"]);
        assert_eq!(near("Page Viewed", &known, 3), ["page_view"]);
        assert_eq!(near("pageview", &known, 3), ["page_view"]);
        assert_eq!(near("item_viewd", &known, 3), ["Item Viewed"]);
        assert_eq!(near("checkout", &known, 3), [""; 0]);
        assert_eq!(near("", &known, 3), [""; 0]);
    }
}
