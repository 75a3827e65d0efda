use event::{AppId, TimestampMs};
use serde::Serialize;

/// What a saved definition defines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum DefinitionKind {
    /// Tiles and their arrangement.
    Dashboard,
    /// Steps and their options.
    Funnel,
    /// A list of persons, or the rule that finds them.
    Cohort,
    /// A named measure.
    Metric,
}

impl DefinitionKind {
    /// All kinds.
    pub const ALL: [DefinitionKind; 4] = [Self::Dashboard, Self::Funnel, Self::Cohort, Self::Metric];

    /// The name as it is stored and written in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Dashboard => "dashboard",
            Self::Funnel => "funnel",
            Self::Cohort => "cohort",
            Self::Metric => "metric",
        }
    }

    /// The kind called `name`.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

/// Something a person saved in an app.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Definition {
    /// Unique in its app.
    pub id: String,
    /// The app.
    #[serde(rename = "app_id")]
    pub app: AppId,
    /// What it defines; an id never changes its kind.
    pub kind: DefinitionKind,
    /// What people call it.
    pub name: String,
    /// Its content; the store does not look inside.
    pub document: serde_json::Value,
    /// 1 when created, 1 more with every change.
    pub version: u32,
    /// When this version was saved.
    pub saved_at_ms: TimestampMs,
}
