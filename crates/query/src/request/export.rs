use event_store::Filter;
use export::{FileFormat, FileOptions, Formulas};

use super::event_names;
use super::filter::FilterReader;
use super::period::{self, Period};
use super::question::own_app;
use crate::failure::QueryFailure;
use crate::node::Node;
use crate::options::AppSettings;

/// A request for a file of raw events.
#[derive(Clone, Debug)]
pub(crate) struct ExportRequest {
    pub period: Period,
    pub events: Option<Vec<String>>,
    pub filter: Filter,
    pub file: FileOptions,
    /// True: write what can be read where stored events are damaged.
    pub incomplete: bool,
}

const FIELDS: [&str; 12] =
    ["event", "events", "filters", "segment", "range", "from", "to", "timezone", "format", "formulas", "incomplete", "app_id"];
const FORMULAS: [(&str, Formulas); 2] = [("mark", Formulas::Mark), ("keep", Formulas::Keep)];

/// Reads a request for a file; without a range, all events.
pub(crate) fn read_export(value: &serde_json::Value, app: &AppSettings, now_ms: i64) -> Result<ExportRequest, QueryFailure> {
    let root = Node::root(value);
    let object = root.object(&FIELDS)?;
    own_app(&object, app)?;
    let zone = period::timezone(&object, app)?;
    let formats = FileFormat::ALL.map(|format| (format.name(), format));
    let format = object.get("format").map_or(Ok(FileFormat::JsonLines), |node| node.coded("invalid_format").choice(&formats))?;
    let formulas = object.get("formulas").map_or(Ok(Formulas::default()), |node| node.choice(&FORMULAS))?;
    Ok(ExportRequest {
        period: period::period(&object, &zone, now_ms, "all")?,
        events: event_names(&object)?,
        filter: FilterReader::new(app, &zone, now_ms).question(&object)?,
        file: FileOptions { format, formulas },
        incomplete: object.get("incomplete").map_or(Ok(false), |node| node.boolean())?,
    })
}

#[cfg(test)]
mod tests {
    use event::AppId;
    use serde_json::{Value, json};

    use super::*;

    fn read(value: &Value) -> Result<ExportRequest, QueryFailure> {
        read_export(value, &AppSettings::new(AppId::new("APP-1").unwrap()), 1_773_156_600_000)
    }

    #[test]
    fn everything_as_json_lines_unless_told_otherwise() {
        let request = read(&json!({})).unwrap();
        assert!(request.period.is_all && request.events.is_none() && !request.incomplete);
        assert_eq!((request.file.format, request.file.formulas), (FileFormat::JsonLines, Formulas::Mark));
        let request = read(&json!({"format": "csv", "formulas": "keep", "incomplete": true, "event": "a", "range": "1d"})).unwrap();
        assert_eq!((request.file.format, request.file.formulas), (FileFormat::Csv, Formulas::Keep));
        assert!(request.incomplete && request.events == Some(vec!["a".to_owned()]));
    }

    #[test]
    fn refusals_name_the_field() {
        for (value, field, code) in [
            (json!({"format": "xlsx"}), "format", "invalid_format"),
            (json!({"formulas": true}), "formulas", "invalid_request"),
            (json!({"incomplete": "yes"}), "incomplete", "invalid_request"),
            (json!({"limit": 5}), "limit", "invalid_request"),
            (json!({"filters": [{"property": "a", "op": "like"}]}), "filters[0].op", "invalid_filter"),
        ] {
            let failure = read(&value).unwrap_err();
            assert_eq!((failure.field.as_deref(), failure.code), (Some(field), code), "{value}");
        }
    }
}
