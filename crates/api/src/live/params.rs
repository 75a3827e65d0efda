use serde::Deserialize;
use utoipa::IntoParams;

use crate::error::ApiError;

const DEFAULT_MINUTES: u32 = 30;
/// 5-second windows are kept for 2 hours.
const MAX_MINUTES: u32 = 120;

/// What the live answer covers.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct LiveParams {
    /// Minutes of history in `series`, `top_events`, `top_pages` and `conversion`: 30 unless told, 1 to 120.
    minutes: Option<u32>,
    /// Event whose users the conversion starts from; `page_view` unless told.
    from: Option<String>,
    /// Event whose users count as converted; `purchase` unless told.
    to: Option<String>,
    /// Allowed when it is the app of the key.
    #[param(ignore)]
    #[serde(rename = "app_id")]
    _app_id: Option<String>,
}

/// Checked parameters; equal ones share one computation.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct LiveQuestion {
    pub(crate) minutes: u32,
    pub(crate) from: String,
    pub(crate) to: String,
}

impl LiveParams {
    pub(crate) fn check(self) -> Result<LiveQuestion, ApiError> {
        let minutes = self.minutes.unwrap_or(DEFAULT_MINUTES);
        if !(1..=MAX_MINUTES).contains(&minutes) {
            let message = format!("minutes must be 1 to {MAX_MINUTES}: ask /query for longer ranges");
            return Err(ApiError::invalid("minutes", "invalid_minutes", message));
        }
        let name = |field: &str, given: Option<String>, default: &str| {
            let name = given.unwrap_or_else(|| default.to_owned());
            event::check_name(&name).map_err(|reject| ApiError::invalid(field, "invalid_event", format!("{field}: {}", reject.message)))?;
            Ok(name)
        };
        Ok(LiveQuestion { minutes, from: name("from", self.from, "page_view")?, to: name("to", self.to, "purchase")? })
    }
}
