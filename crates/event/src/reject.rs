use std::borrow::Cow;

/// Why one event was refused; `as_str` is the `code` of the API and never changes once published.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
pub enum RejectCode {
    /// The text of this event is not JSON.
    InvalidJson = 1,
    /// The event is not a JSON object.
    NotAnObject = 2,
    /// A field has a JSON type that it may not have.
    InvalidType = 3,
    /// No `name`, or an empty one.
    MissingName = 4,
    /// `name` over its limit.
    NameTooLong = 5,
    /// Neither `user_id` nor `anonymous_id`.
    MissingId = 6,
    /// An id is empty or over its limit.
    InvalidId = 7,
    /// An id that many clients send by mistake, such as `undefined`.
    PlaceholderId = 8,
    /// `timestamp` is not a time.
    InvalidTimestamp = 9,
    /// Before 1990, or older than the app keeps raw events.
    TooOld = 10,
    /// A number that cannot be kept exactly.
    InvalidNumber = 11,
    /// More properties than allowed.
    TooManyProperties = 12,
    /// The `properties` object is too large.
    PropertiesTooLarge = 13,
    /// A property name is empty or over its limit.
    InvalidPropertyName = 14,
    /// Bytes that are not UTF-8, or an escape that is half of a surrogate pair.
    InvalidText = 15,
}

impl RejectCode {
    /// All codes, for metrics and documentation.
    pub const ALL: [RejectCode; 15] = [
        Self::InvalidJson,
        Self::NotAnObject,
        Self::InvalidType,
        Self::MissingName,
        Self::NameTooLong,
        Self::MissingId,
        Self::InvalidId,
        Self::PlaceholderId,
        Self::InvalidTimestamp,
        Self::TooOld,
        Self::InvalidNumber,
        Self::TooManyProperties,
        Self::PropertiesTooLarge,
        Self::InvalidPropertyName,
        Self::InvalidText,
    ];

    /// The code as the API writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InvalidJson => "invalid_json",
            Self::NotAnObject => "not_an_object",
            Self::InvalidType => "invalid_type",
            Self::MissingName => "missing_name",
            Self::NameTooLong => "name_too_long",
            Self::MissingId => "missing_id",
            Self::InvalidId => "invalid_id",
            Self::PlaceholderId => "placeholder_id",
            Self::InvalidTimestamp => "invalid_timestamp",
            Self::TooOld => "too_old",
            Self::InvalidNumber => "invalid_number",
            Self::TooManyProperties => "too_many_properties",
            Self::PropertiesTooLarge => "properties_too_large",
            Self::InvalidPropertyName => "invalid_property_name",
            Self::InvalidText => "invalid_text",
        }
    }

    /// The code stored as `number`, or `None` for a number of a later version.
    pub fn from_u8(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|code| *code as u8 == number)
    }
}

/// A refusal of one event: what is wrong, in which field, and the way out.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reject {
    /// The stable code.
    pub code: RejectCode,
    /// A sentence for the developer who sent the event; names the field and the limit.
    pub message: Cow<'static, str>,
}

impl Reject {
    /// A refusal with its message.
    pub fn new(code: RejectCode, message: impl Into<Cow<'static, str>>) -> Self {
        Self { code, message: message.into() }
    }
}

/// A refused event as it is kept for 30 days.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RejectedEvent {
    /// Position in the request's `events`, from 0.
    pub index: u32,
    /// Why.
    pub reject: Reject,
    /// The bytes of the event as they came, cut at [`crate::limits::MAX_REJECTED_RAW_BYTES`].
    pub raw: Vec<u8>,
}
