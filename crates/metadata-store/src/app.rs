use event::{AppId, TimestampMs};
use rand::{CryptoRng, RngExt};
use serde::{Deserialize, Serialize};

/// Raw events are kept this long unless the app says otherwise.
pub const DEFAULT_RAW_RETENTION_DAYS: u32 = 730;
/// A longer pause than this begins a new session unless the app says otherwise.
pub const DEFAULT_SESSION_IDLE_MINUTES: u32 = 30;

/// A day of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the names say it")]
pub enum WeekDay {
    Monday,
    Tuesday,
    Wednesday,
    Thursday,
    Friday,
    Saturday,
    Sunday,
}

impl WeekDay {
    /// All days, Monday first.
    pub const ALL: [WeekDay; 7] =
        [Self::Monday, Self::Tuesday, Self::Wednesday, Self::Thursday, Self::Friday, Self::Saturday, Self::Sunday];

    /// The name in lower case, as it is stored and written in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Monday => "monday",
            Self::Tuesday => "tuesday",
            Self::Wednesday => "wednesday",
            Self::Thursday => "thursday",
            Self::Friday => "friday",
            Self::Saturday => "saturday",
            Self::Sunday => "sunday",
        }
    }

    /// The day called `name`.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|day| day.as_str() == name)
    }
}

/// An app and its settings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct App {
    /// Its id, which never changes.
    #[serde(rename = "app_id")]
    pub id: AppId,
    /// What people call it.
    pub name: String,
    /// IANA name; whoever creates the app has checked it.
    pub timezone: String,
    /// First day of a week.
    pub week_start: WeekDay,
    /// Raw events are dropped this many days after their day; `None` keeps them for ever.
    pub raw_retention_days: Option<u32>,
    /// A longer pause between two events of a person begins a new session.
    pub session_idle_minutes: u32,
    /// When it was created.
    pub created_at_ms: TimestampMs,
}

impl App {
    /// An app with the default settings: UTC, weeks from Monday, raw events for two years, sessions of 30 idle minutes.
    pub fn new(id: AppId, name: &str, created_at_ms: TimestampMs) -> Self {
        Self {
            id,
            name: name.to_owned(),
            timezone: "UTC".to_owned(),
            week_start: WeekDay::Monday,
            raw_retention_days: Some(DEFAULT_RAW_RETENTION_DAYS),
            session_idle_minutes: DEFAULT_SESSION_IDLE_MINUTES,
            created_at_ms,
        }
    }

    /// How long raw events are kept, in milliseconds; `None` for ever.
    pub fn raw_retention_ms(&self) -> Option<i64> {
        self.raw_retention_days.map(|days| i64::from(days) * 86_400_000)
    }
}

/// What to change of an app; what is `None` stays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AppChange {
    /// What people call it.
    pub name: Option<String>,
    /// IANA name; the caller has checked it.
    pub timezone: Option<String>,
    /// First day of a week.
    pub week_start: Option<WeekDay>,
    /// Days that raw events are kept from now on, `Some(None)` for ever. What was dropped before stays dropped.
    pub raw_retention_days: Option<Option<u32>>,
}

impl AppChange {
    /// The app as it is after the change.
    pub fn applied_to(self, app: App) -> App {
        App {
            name: self.name.unwrap_or(app.name),
            timezone: self.timezone.unwrap_or(app.timezone),
            week_start: self.week_start.unwrap_or(app.week_start),
            raw_retention_days: self.raw_retention_days.unwrap_or(app.raw_retention_days),
            ..app
        }
    }
}

/// A fresh id of an app: `app_` and 16 characters of base 32 (80 random bits).
pub fn new_app_id(rng: &mut impl CryptoRng) -> AppId {
    #[expect(clippy::expect_used, reason = "20 characters of the allowed alphabet")]
    AppId::new(&random_id("app_", rng)).expect("an allowed id")
}

/// `prefix` and 16 characters of base 32 (80 random bits).
pub(crate) fn random_id(prefix: &str, rng: &mut impl CryptoRng) -> String {
    // Crockford's alphabet in lower case: no i, l, o, u, so an id can be read out.
    const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
    let random = (0..16).map(|_| char::from(ALPHABET[rng.random_range(0..ALPHABET.len())]));
    prefix.chars().chain(random).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_allowed_and_differ() {
        let mut rng = rand::rng();
        let ids: std::collections::HashSet<_> = (0..1000).map(|_| new_app_id(&mut rng)).collect();
        assert_eq!(ids.len(), 1000);
    }

    #[test]
    fn week_days_have_one_name_each() {
        for day in WeekDay::ALL {
            assert_eq!(WeekDay::from_name(day.as_str()), Some(day));
            assert_eq!(serde_json::to_string(&day).unwrap(), format!("\"{}\"", day.as_str()));
        }
        assert_eq!(WeekDay::from_name("Monday"), None);
    }
}
