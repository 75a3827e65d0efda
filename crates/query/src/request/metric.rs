use event_store::{Field, Filter, Measure, MeasureFn, SessionRule};

use super::filter::FilterReader;
use super::{event_names, max_named};
use crate::failure::QueryFailure;
use crate::formula::Formula;
use crate::node::{Node, nearest, shown};

/// Most metrics in one request.
pub(crate) const MAX_METRICS: usize = 10;
/// Longest name a request may give to a metric.
const MAX_METRIC_NAME_BYTES: usize = 255;

/// A metric as it was asked for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct MetricRequest {
    /// The name the request gives it, with the place it is written at.
    pub given_name: Option<(String, String)>,
    /// Its name otherwise.
    pub default_name: String,
    /// What it is.
    pub body: MetricBody,
}

/// What a metric is made of.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum MetricBody {
    /// One measure.
    Measure(Measure),
    /// Arithmetic over measures, each named by a letter.
    Formula(Formula, Vec<(char, Measure)>),
}

const PLAIN: [&str; 5] = ["events", "unique_users", "sessions", "events_per_user", "unique_users_approx"];
const OF_PROPERTY: [&str; 11] = ["sum", "avg", "min", "max", "median", "p75", "p90", "p95", "p99", "count_distinct", "avg_per_user"];

/// Reads metrics; `session` is the app's rule for cutting sessions.
pub(crate) struct MetricReader<'r, 'z> {
    pub filters: &'r mut FilterReader<'z>,
    pub session: SessionRule,
}

impl MetricReader<'_, '_> {
    /// Reads one metric: a name such as `"events"` or `"avg:price"`, or an object with `fn` or `formula`.
    pub fn metric(&mut self, node: &Node<'_>) -> Result<MetricRequest, QueryFailure> {
        if let Some(text) = node.value.as_str() {
            let (function, property) = split_name(text);
            let measured = property.map(|name| self.filters.field_named(node, name)).transpose()?;
            let function = self.function(node, function, measured)?;
            let measure = Measure { function, events: None, filter: Filter::all() };
            return Ok(MetricRequest { given_name: None, default_name: text.to_owned(), body: MetricBody::Measure(measure) });
        }
        let is_formula = node.value.as_object().is_some_and(|map| map.contains_key("formula"));
        if is_formula { self.formula(node) } else { self.measure(node) }
    }

    fn measure(&mut self, node: &Node<'_>) -> Result<MetricRequest, QueryFailure> {
        let object = node.object(&["fn", "property", "event", "events", "filters", "name"])?;
        let function_node = object.required("fn", "what to compute, such as \"events\", \"sum\" or \"p95\"")?;
        let function_name = function_node.text("the name of a function")?;
        let property = object.get("property");
        let (function_name, inner_property) = if property.is_none() { split_name(function_name) } else { (function_name, None) };
        let measured = match (&property, inner_property) {
            (Some(property), _) => Some((property.text("a property")?.to_owned(), self.filters.field(property)?)),
            (None, Some(name)) => Some((name.to_owned(), self.filters.field_named(&function_node, name)?)),
            (None, None) => None,
        };
        let default_name = match &measured {
            Some((name, _)) => format!("{function_name}:{name}"),
            None => function_name.to_owned(),
        };
        let function = self.function(&function_node, function_name, measured.map(|(_, field)| field))?;
        let measure = Measure { function, events: event_names(&object)?, filter: self.filters.filters(&object)? };
        Ok(MetricRequest { given_name: given_name(&object)?, default_name, body: MetricBody::Measure(measure) })
    }

    fn formula(&mut self, node: &Node<'_>) -> Result<MetricRequest, QueryFailure> {
        let letters: Vec<String> = ('A'..='Z').map(String::from).collect();
        let mut known = vec!["formula", "name"];
        known.extend(letters.iter().map(String::as_str));
        let object = node.object(&known)?;
        let formula_node = object.required("formula", "arithmetic over series, such as \"A / B\"")?.coded("invalid_formula");
        let text = formula_node.text("arithmetic such as \"A / B\"")?;
        let formula = Formula::parse(text).map_err(|error| formula_node.error(error.to_string()))?;
        let used = formula.letters();
        if used.is_empty() {
            return Err(formula_node.error("the formula uses no series: name at least one by a capital letter"));
        }
        if let Some(unused) =
            ('A'..='Z').filter_map(|letter| object.get(&letter.to_string())).find(|node| !used.iter().any(|l| node.path.ends_with(*l)))
        {
            return Err(unused.coded("invalid_formula").error("the formula does not use this series"));
        }
        let mut series = Vec::new();
        for letter in used {
            let node = object.required(&letter.to_string(), "the formula uses this series: give it a metric")?;
            let MetricBody::Measure(measure) = self.metric(&node)?.body else {
                return Err(node.error("a series of a formula is a metric, not another formula"));
            };
            series.push((letter, measure));
        }
        let body = MetricBody::Formula(formula, series);
        Ok(MetricRequest { given_name: given_name(&object)?, default_name: text.to_owned(), body })
    }

    fn function(&self, node: &Node<'_>, name: &str, property: Option<Field>) -> Result<MeasureFn, QueryFailure> {
        let Some(property) = property else {
            return match name {
                "events" => Ok(MeasureFn::Events),
                "unique_users" => Ok(MeasureFn::UniqueUsers),
                "unique_users_approx" => Ok(MeasureFn::UniqueUsersApprox),
                "sessions" => Ok(MeasureFn::Sessions(self.session)),
                "events_per_user" => Ok(MeasureFn::EventsPerUser),
                _ if of_property(name, &Field::Event).is_some() => {
                    Err(node.error(format!("{name} needs a property: write \"{name}:price\"")))
                }
                _ => Err(unknown(node, name)),
            };
        };
        if PLAIN.contains(&name) {
            return Err(node.error(format!("{name} counts events or users and takes no property")));
        }
        let function = of_property(name, &property).ok_or_else(|| unknown(node, name))?;
        let counts_any_type = matches!(function, MeasureFn::CountDistinct(_));
        if matches!(property, Field::Property(_) | Field::UserProperty(_)) || counts_any_type {
            return Ok(function);
        }
        Err(node.error(format!(
            "{name} works on numbers and this system field has none: use count_distinct, or properties.x for a property of that name"
        )))
    }
}

fn of_property(name: &str, field: &Field) -> Option<MeasureFn> {
    let field = field.clone();
    Some(match name {
        "sum" => MeasureFn::Sum(field),
        "avg" => MeasureFn::Avg(field),
        "min" => MeasureFn::Min(field),
        "max" => MeasureFn::Max(field),
        "median" => MeasureFn::Quantile(field, 0.5),
        "count_distinct" => MeasureFn::CountDistinct(field),
        "avg_per_user" => MeasureFn::AvgPerUser(field),
        _ => {
            let percent: u8 = name.strip_prefix('p').filter(|digits| digits.len() <= 2 && !digits.starts_with('+'))?.parse().ok()?;
            (1..=99).contains(&percent).then(|| MeasureFn::Quantile(field, f64::from(percent) / 100.0))?
        }
    })
}

fn unknown(node: &Node<'_>, name: &str) -> QueryFailure {
    let known: Vec<&str> = PLAIN.iter().chain(&OF_PROPERTY).copied().collect();
    let hint = nearest(name, &known).map(|near| format!(" (did you mean \"{near}\"?)")).unwrap_or_default();
    node.error(format!(
        "there is no metric \"{}\"{hint}: use {}, or of a property {}, p1 to p99, such as \"avg:price\"",
        shown(name),
        PLAIN.join(", "),
        OF_PROPERTY.join(", ")
    ))
}

/// `"avg:price"` is the function and the property; only the first colon divides, since property names may have some.
fn split_name(text: &str) -> (&str, Option<&str>) {
    match text.split_once(':') {
        Some((function, property)) => (function, Some(property)),
        None => (text, None),
    }
}

fn given_name(object: &crate::node::Object<'_>) -> Result<Option<(String, String)>, QueryFailure> {
    let Some(node) = object.get("name") else { return Ok(None) };
    let name = max_named(&node, "a name", MAX_METRIC_NAME_BYTES)?;
    Ok(Some((name.to_owned(), node.path)))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::calendar;

    fn read(metric: &Value) -> Result<MetricRequest, QueryFailure> {
        let zone = calendar::zone("UTC").unwrap();
        let session = SessionRule { idle_ms: 1_800_000, max_ms: None };
        let app = crate::options::AppSettings::new(event::AppId::new("a").unwrap());
        let mut reader = MetricReader { filters: &mut FilterReader::new(&app, &zone, 0), session };
        reader.metric(&Node::root(metric).coded("invalid_metric"))
    }

    fn function(metric: Value) -> (String, MeasureFn) {
        let metric = read(&metric).unwrap();
        let MetricBody::Measure(measure) = metric.body else { panic!("a formula") };
        (metric.default_name, measure.function)
    }

    #[test]
    fn names_and_functions() {
        let price = || Field::Property("price".to_owned());
        assert_eq!(function(json!("events")), ("events".to_owned(), MeasureFn::Events));
        assert_eq!(function(json!("avg_per_user:price")), ("avg_per_user:price".to_owned(), MeasureFn::AvgPerUser(price())));
        assert_eq!(function(json!({"fn": "p95", "property": "price"})), ("p95:price".to_owned(), MeasureFn::Quantile(price(), 0.95)));
        assert_eq!(function(json!({"fn": "p5:price"})), ("p5:price".to_owned(), MeasureFn::Quantile(price(), 0.05)));
        assert_eq!(function(json!("median:price")).1, MeasureFn::Quantile(price(), 0.5));
        assert_eq!(function(json!("sum:a:b")).1, MeasureFn::Sum(Field::Property("a:b".to_owned())));
        assert_eq!(function(json!("count_distinct:session_id")).1, MeasureFn::CountDistinct(Field::SessionId));
        assert_eq!(function(json!("sum:user.age")).1, MeasureFn::Sum(Field::UserProperty("age".to_owned())));
    }

    #[test]
    fn a_formula_has_its_series() {
        let metric = json!({"formula": "A / B * 100", "A": {"fn": "unique_users", "event": "buy"}, "B": "unique_users", "name": "rate"});
        let metric = read(&metric).unwrap();
        assert_eq!(metric.given_name, Some(("rate".to_owned(), "name".to_owned())));
        let MetricBody::Formula(_, series) = metric.body else { panic!("no formula") };
        assert_eq!(series[0].1.events, Some(vec!["buy".to_owned()]));
        assert_eq!(series[1], ('B', Measure { function: MeasureFn::UniqueUsers, events: None, filter: Filter::all() }));
    }

    #[test]
    fn refusals() {
        let wrong = [
            (json!("event"), "", "did you mean \"events\"?"),
            (json!("users"), "", "there is no metric"),
            (json!("sum"), "", "needs a property"),
            (json!("p100:x"), "", "there is no metric"),
            (json!("p+1:x"), "", "there is no metric"),
            (json!("events:x"), "", "takes no property"),
            (json!("sum:time"), "", "works on numbers"),
            (json!("sum:"), "", "empty"),
            (json!(7), "", "not a number"),
            (json!({"metric": "events"}), "metric", "unknown field"),
            (json!({"fn": "sum"}), "fn", "needs a property"),
            (json!({"fn": "events", "property": "x"}), "fn", "takes no property"),
            (json!({"fn": "events", "name": ""}), "name", "empty"),
            (json!({"fn": "events", "name": "n".repeat(256)}), "name", "at most 255"),
            (json!({"formula": "A / B", "A": "events"}), "B", "is missing"),
            (json!({"formula": "A", "A": "events", "B": "events"}), "B", "does not use"),
            (json!({"formula": "1 + 1"}), "formula", "no series"),
            (json!({"formula": "A +", "A": "events"}), "formula", "ends where"),
            (json!({"formula": "A", "A": {"formula": "B", "B": "events"}}), "A", "not another formula"),
            (json!({"formula": "A", "A": {"fn": "events", "filters": [{"op": "eq"}]}}), "A.filters[0].property", "is missing"),
        ];
        for (metric, place, part) in wrong {
            let error = read(&metric).expect_err(&metric.to_string());
            assert_eq!(error.field.as_deref().unwrap_or(""), place, "{metric}: {}", error.message);
            assert!(error.message.contains(part), "{metric}: {}", error.message);
        }
    }
}
