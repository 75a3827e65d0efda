//! What the calls about saved definitions have in common, whatever is defined.

use axum::http::StatusCode;
use event::AppId;
use metadata_store::{Definition, DefinitionKind, Definitions, MetadataError};
use query::MAX_COHORT_ID_BYTES;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::error::ApiError;

/// Longest name of a definition, in characters.
const MAX_NAME_CHARS: usize = 100;
/// Definitions that a refusal names.
const MAX_NAMED: usize = 5;

/// A kind of definition, in the words of its refusals.
pub(crate) struct Kind {
    pub(crate) kind: DefinitionKind,
    /// What one is called.
    pub(crate) name: &'static str,
    /// Where they are listed.
    pub(crate) list: &'static str,
    pub(crate) invalid: &'static str,
    pub(crate) unknown: &'static str,
    pub(crate) exists: &'static str,
    pub(crate) changed: &'static str,
    pub(crate) in_use: &'static str,
    pub(crate) too_many: &'static str,
    pub(crate) unavailable: &'static str,
}

/// A field of a body: its name, whether a value is right for it, and what is.
pub(crate) type ExpectedField = (&'static str, fn(&Value) -> bool, &'static str);

/// A version, as a change may name the one it is made from.
pub(crate) const VERSION_FIELD: ExpectedField =
    ("version", |value| value.as_u64().is_some_and(|version| u32::try_from(version).is_ok()), "the number of a version");

/// A field that is a text.
pub(crate) const fn text_field(name: &'static str) -> ExpectedField {
    (name, Value::is_string, "a text")
}

impl Kind {
    /// Checks an id that a client gave.
    ///
    /// # Errors
    /// A refusal of `id`.
    pub(crate) fn check_id(&self, id: &str) -> Result<(), ApiError> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        // "preview" is a call of its own.
        if (1..=MAX_COHORT_ID_BYTES).contains(&id.len()) && id.bytes().all(allowed) && id != "preview" {
            return Ok(());
        }
        let message = format!("an id has 1 to {MAX_COHORT_ID_BYTES} letters, digits, \"-\" and \"_\", and is not \"preview\"");
        Err(ApiError::invalid("id", self.invalid, message))
    }

    /// Checks a name that a client gave.
    ///
    /// # Errors
    /// A refusal of `name`.
    pub(crate) fn check_name(&self, name: &str) -> Result<(), ApiError> {
        let chars = name.trim().chars().count();
        if chars == 0 || chars > MAX_NAME_CHARS || name.chars().any(char::is_control) {
            let message = format!("a name has 1 to {MAX_NAME_CHARS} characters, none of which is a control character");
            return Err(ApiError::invalid("name", self.invalid, message));
        }
        Ok(())
    }

    /// Reads the body of a call that makes or changes one; `expected` says of each field it may have what its value should be, where it is not.
    ///
    /// # Errors
    /// A refusal that names the field.
    pub(crate) fn read<T: DeserializeOwned>(&self, fields: Map<String, Value>, expected: &[ExpectedField]) -> Result<T, ApiError> {
        for (field, value) in &fields {
            let refused = |message: String| ApiError::invalid(field, self.invalid, message);
            let Some((_, is_right, what)) = expected.iter().find(|(known, ..)| known == field) else {
                let known: Vec<&str> = expected.iter().map(|(known, ..)| *known).collect();
                return Err(refused(format!("unknown field \"{field}\": known here are {}", known.join(", "))));
            };
            if !is_right(value) {
                return Err(refused(format!("\"{field}\" is {what}")));
            }
        }
        let invalid = |error| format!("the {} is not valid: {error}", self.name);
        serde_json::from_value(Value::Object(fields))
            .map_err(|error| ApiError::new(StatusCode::BAD_REQUEST, "invalid_json", invalid(error)))
    }

    /// There is none of the id that was asked for.
    pub(crate) fn unknown(&self) -> ApiError {
        ApiError::new(
            StatusCode::NOT_FOUND,
            self.unknown,
            format!("this app has no {} of this id: GET {} lists them", self.name, self.list),
        )
    }

    /// Others of the kind are made of it.
    pub(crate) fn in_use(&self, users: &[&str]) -> ApiError {
        self.in_use_by(&format!("other {}s", self.name), users)
    }

    /// Definitions of these are made of it.
    pub(crate) fn in_use_by(&self, what: &str, users: &[&str]) -> ApiError {
        let named = users.iter().take(MAX_NAMED).copied().collect::<Vec<_>>().join(", ");
        let more = if users.len() > MAX_NAMED { format!(" and {} more", users.len() - MAX_NAMED) } else { String::new() };
        let message = format!("{what} are made of it ({named}{more}): change them first");
        ApiError::new(StatusCode::CONFLICT, self.in_use, message)
    }

    /// One definition of the kind.
    ///
    /// # Errors
    /// [`Kind::unknown`]; the store cannot be read now.
    pub(crate) fn find(&self, definitions: &dyn Definitions, app: &AppId, id: &str) -> Result<Definition, ApiError> {
        let found = definitions.definition(app, id).map_err(|error| self.refused(error))?;
        found.filter(|definition| definition.kind == self.kind).ok_or_else(|| self.unknown())
    }

    /// All definitions of the kind, by name.
    ///
    /// # Errors
    /// The store cannot be read now.
    pub(crate) fn all(&self, definitions: &dyn Definitions, app: &AppId) -> Result<Vec<Definition>, ApiError> {
        definitions.definitions(app, self.kind).map_err(|error| self.refused(error))
    }

    /// Decides on all definitions of an app and writes what was decided, again where others have changed them in between.
    ///
    /// # Errors
    /// Those of `decide_and_write`.
    pub(crate) fn unchanged_meanwhile<T>(
        &self,
        definitions: &dyn Definitions,
        app: &AppId,
        decide_and_write: impl Fn(&[Definition]) -> Result<Result<T, MetadataError>, ApiError>,
    ) -> Result<T, ApiError> {
        /// Each try that fails means that another change was made.
        const MAX_TRIES: usize = 20;
        for _ in 0..MAX_TRIES {
            match decide_and_write(&self.all(definitions, app)?)? {
                Err(MetadataError::Changed { .. }) => {}
                written => return written.map_err(|error| self.refused(error)),
            }
        }
        let message = format!("the {}s of this app are being changed by others all the time: try again", self.name);
        Err(ApiError::new(StatusCode::CONFLICT, self.changed, message))
    }

    /// What the store refused.
    pub(crate) fn refused(&self, error: MetadataError) -> ApiError {
        let conflict = |field: &str, code: &'static str, message: String| ApiError {
            field: Some(field.to_owned()),
            ..ApiError::new(StatusCode::CONFLICT, code, message)
        };
        match error {
            MetadataError::Conflict { expected: 0, stored } => conflict(
                "id",
                self.exists,
                format!("this id is that of a {} in version {stored}: choose another, or change that one with PUT", self.name),
            ),
            MetadataError::Conflict { .. } => conflict("version", self.changed, error.to_string()),
            MetadataError::Taken(_) => conflict("id", self.exists, error.to_string()),
            MetadataError::TooMany { .. } => ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, self.too_many, error.to_string()),
            error => ApiError::unavailable(self.unavailable, error.to_string()),
        }
    }
}

/// Runs what blocks on a thread made for it.
///
/// # Errors
/// Those of `work`.
pub(crate) async fn on_a_thread<T: Send + 'static>(work: impl FnOnce() -> Result<T, ApiError> + Send + 'static) -> Result<T, ApiError> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| {
        tracing::error!(%error, "saving or reading a definition panicked");
        Err(ApiError::internal())
    })
}
