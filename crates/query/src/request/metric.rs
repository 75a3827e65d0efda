use event::TimestampMs;
use event_store::{Field, Measure, MeasureFn, SessionRule};

use super::filter::FilterReader;
use super::funnel::CONTRADICTION;
use super::period;
use super::{event_names, max_named};
use crate::failure::QueryFailure;
use crate::formula::Formula;
use crate::metrics::METRIC_PREFIX;
use crate::node::{Node, nearest, shown};
use crate::options::AppSettings;
use crate::planner::MAX_MEASURES;

/// Most metrics in one request.
pub(crate) const MAX_METRICS: usize = 10;
/// Longest name a request may give to a metric.
const MAX_METRIC_NAME_BYTES: usize = 255;

/// Most buckets of a rolling metric.
const MAX_ROLLING: usize = 1_000;
/// Most saved metrics that are read for one request, each time one is named.
const MAX_READ: usize = 100;

/// A metric as it was asked for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct MetricRequest {
    /// The name the request gives it, with the place it is written at.
    pub given_name: Option<(String, String)>,
    /// Its name otherwise.
    pub default_name: String,
    /// What it is.
    pub body: MetricBody,
    /// The id of the saved metric it is.
    pub saved: Option<String>,
}

/// What a metric is made of.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum MetricBody {
    /// One measure.
    Measure(Series),
    /// Arithmetic over others, each named by a letter.
    Formula(Formula, Vec<(char, MetricBody)>),
}

/// A measure in a form.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Series {
    pub measure: Measure,
    pub form: Form,
}

/// Which buckets a value is of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Form {
    /// Its own.
    #[default]
    Own,
    /// All from the beginning of the range on.
    Cumulative,
    /// So many, the last of which is its own.
    Rolling(usize),
}

impl MetricBody {
    /// Its measures, in the order of letters.
    pub fn series(&self) -> Vec<&Series> {
        match self {
            Self::Measure(series) => vec![series],
            Self::Formula(_, parts) => parts.iter().flat_map(|(_, part)| part.series()).collect(),
        }
    }
}

const PLAIN: [&str; 5] = ["events", "unique_users", "sessions", "events_per_user", "unique_users_approx"];
const OF_PROPERTY: [&str; 11] = ["sum", "avg", "min", "max", "median", "p75", "p90", "p95", "p99", "count_distinct", "avg_per_user"];

/// Reads metrics; `session` is the app's rule for cutting sessions.
pub(crate) struct MetricReader<'r, 'z> {
    pub filters: &'r mut FilterReader<'z>,
    pub session: SessionRule,
    /// Whether the request has buckets, which some forms need.
    pub has_interval: bool,
    /// The saved metrics that are being read, each a part of the one before.
    open: Vec<String>,
    read: usize,
}

impl<'r, 'z> MetricReader<'r, 'z> {
    pub fn new(filters: &'r mut FilterReader<'z>, session: SessionRule, has_interval: bool) -> Self {
        Self { filters, session, has_interval, open: Vec::new(), read: 0 }
    }
}

impl MetricReader<'_, '_> {
    /// Reads one metric: a name such as `"events"` or `"avg:price"`, or an object with `fn` or `formula`.
    pub fn metric(&mut self, node: &Node<'_>) -> Result<MetricRequest, QueryFailure> {
        if let Some(text) = node.value.as_str() {
            if let Some(id) = text.strip_prefix(METRIC_PREFIX) {
                return self.saved(node, id);
            }
            let (function, property) = split_name(text);
            let measured = property.map(|name| self.filters.field_named(node, name)).transpose()?;
            let measure = Measure::of(self.function(node, function, measured)?);
            let body = MetricBody::Measure(Series { measure, form: Form::Own });
            return Ok(MetricRequest { given_name: None, default_name: text.to_owned(), body, saved: None });
        }
        let has = |key: &str| node.value.as_object().is_some_and(|map| map.contains_key(key));
        if has("metric") {
            let object = node.object(&["metric", "name"])?;
            let named = object.required("metric", "a saved metric such as \"metric:ID\"")?;
            let Some(id) = named.text("a saved metric")?.strip_prefix(METRIC_PREFIX) else {
                return Err(
                    named.error("a saved metric is named \"metric:ID\"; for any other write it in place of the object, or with \"fn\"")
                );
            };
            return Ok(MetricRequest { given_name: given_name(&object)?, ..self.saved(&named, id)? });
        }
        if has("formula") { self.formula(node) } else { self.measure(node) }
    }

    /// Reads a saved metric in place of its name.
    fn saved(&mut self, node: &Node<'_>, id: &str) -> Result<MetricRequest, QueryFailure> {
        if self.open.iter().any(|open| open == id) {
            let path = self.open.iter().map(String::as_str).skip_while(|open| *open != id).chain([id]).collect::<Vec<_>>().join(" > ");
            return Err(node.clone().coded("cyclic_metric").error(format!("a metric is not made of itself: {path}")));
        }
        self.read += 1;
        if self.read > MAX_READ {
            return Err(
                node.error(format!("the saved metrics of the request are made of more than {MAX_READ} others: ask for fewer at once"))
            );
        }
        let app = self.filters.app;
        let Some(saved) = app.metrics.get(id) else {
            let message =
                format!("this app has no saved metric \"{}\": GET /api/v1/apps/{}/metrics lists them", shown(id), app.app.as_str());
            return Err(node.clone().coded("unknown_metric").error(message));
        };
        self.open.push(id.to_owned());
        let read = self.metric(&Node::root(&saved.metric).coded("invalid_metric"));
        self.open.pop();
        let within = |failure: QueryFailure| match failure.code {
            // The one that was asked for names the whole way.
            "cyclic_metric" => QueryFailure { field: Some(node.path.clone()), ..failure },
            _ => {
                let place = failure.field.as_deref().map(|field| format!(" at {field}")).unwrap_or_default();
                let message = format!("the saved metric \"{}\"{place}: {}", shown(id), failure.message);
                QueryFailure { field: Some(node.path.clone()), message, ..failure }
            }
        };
        let MetricRequest { body, .. } = read.map_err(within)?;
        Ok(MetricRequest { given_name: None, default_name: format!("{METRIC_PREFIX}{id}"), body, saved: Some(id.to_owned()) })
    }

    fn measure(&mut self, node: &Node<'_>) -> Result<MetricRequest, QueryFailure> {
        let object = node.object(&["fn", "property", "event", "events", "filters", "name", "cumulative", "rolling"])?;
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
        let measure = Measure { events: event_names(&object)?, filter: self.filters.filters(&object)?, ..Measure::of(function) };
        let form = self.form(&object)?;
        let default_name = match form {
            Form::Own => default_name,
            Form::Cumulative => format!("cumulative_{default_name}"),
            Form::Rolling(buckets) => format!("rolling_{buckets}_{default_name}"),
        };
        let body = MetricBody::Measure(Series { measure, form });
        Ok(MetricRequest { given_name: given_name(&object)?, default_name, body, saved: None })
    }

    /// Reads `cumulative` and `rolling`.
    fn form(&self, object: &crate::node::Object<'_>) -> Result<Form, QueryFailure> {
        let cumulative = object.get("cumulative").map(|node| Ok::<_, QueryFailure>((node.boolean()?, node))).transpose()?;
        let rolling = object.get("rolling").map(|node| Ok::<_, QueryFailure>((node.count(1, MAX_ROLLING)?, node))).transpose()?;
        let (form, node) = match (cumulative, rolling) {
            (Some((true, _)), Some((_, node))) => {
                let message = "a metric is either cumulative, from the beginning of the range on, or rolling, over the last few buckets: leave one of them out";
                return Err(node.coded(CONTRADICTION).error(message));
            }
            (Some((true, node)), None) => (Form::Cumulative, node),
            (_, Some((buckets, node))) => (Form::Rolling(buckets), node),
            _ => return Ok(Form::Own),
        };
        if !self.has_interval {
            return Err(node.error("it needs buckets: add \"interval\", such as \"day\""));
        }
        Ok(form)
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
            let MetricRequest { body, saved, .. } = self.metric(&node)?;
            if matches!(body, MetricBody::Formula(..)) && saved.is_none() {
                return Err(node.error(
                    "a series of a formula is a metric, not another formula: write it as one, or save it and name it \"metric:ID\"",
                ));
            }
            series.push((letter, body));
        }
        let body = MetricBody::Formula(formula, series);
        Ok(MetricRequest { given_name: given_name(&object)?, default_name: text.to_owned(), body, saved: None })
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

/// Whether a saved metric can be computed, by itself and with an interval.
///
/// # Errors
/// The failure names the place below `metric`.
pub(crate) fn check_metric(id: &str, app: &AppSettings, now_ms: TimestampMs) -> Result<(), QueryFailure> {
    let Some(saved) = app.metrics.get(id) else { return Ok(()) };
    let document = serde_json::json!({ "metric": saved.metric });
    let object = Node::root(&document).object(&["metric"])?;
    let node = object.required("metric", "what is computed")?.coded("invalid_metric");
    let zone = period::timezone(&Node::root(&serde_json::json!({})).object(&[])?, app)?;
    let mut filters = FilterReader::new(app, &zone, now_ms);
    let session = SessionRule { idle_ms: app.session_idle_ms, max_ms: None };
    let mut reader = MetricReader { open: vec![id.to_owned()], ..MetricReader::new(&mut filters, session, true) };
    let read = reader.metric(&node)?;
    let mut measures: Vec<&Series> = Vec::new();
    for series in read.body.series() {
        if !measures.contains(&series) {
            measures.push(series);
        }
    }
    if measures.len() > MAX_MEASURES {
        let message = format!("the metric needs {} different measures, at most {MAX_MEASURES} are allowed", measures.len());
        return Err(node.error(message));
    }
    Ok(())
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
        let mut filters = FilterReader::new(&app, &zone, 0);
        let mut reader = MetricReader::new(&mut filters, session, true);
        reader.metric(&Node::root(metric).coded("invalid_metric"))
    }

    fn function(metric: Value) -> (String, MeasureFn) {
        let metric = read(&metric).unwrap();
        let MetricBody::Measure(series) = metric.body else { panic!("a formula") };
        (metric.default_name, series.measure.function)
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
        assert_eq!(series[0].1.series()[0].measure.events, Some(vec!["buy".to_owned()]));
        let users = Series { measure: Measure::of(MeasureFn::UniqueUsers), form: Form::Own };
        assert_eq!(series[1], ('B', MetricBody::Measure(users)));
    }

    #[test]
    fn forms() {
        let form = |metric: Value| {
            let metric = read(&metric).unwrap();
            (metric.body.series()[0].form, metric.default_name)
        };
        assert_eq!(form(json!({"fn": "events", "cumulative": true})), (Form::Cumulative, "cumulative_events".to_owned()));
        assert_eq!(form(json!({"fn": "sum:price", "rolling": 7})), (Form::Rolling(7), "rolling_7_sum:price".to_owned()));
        assert_eq!(form(json!({"fn": "events", "cumulative": false})), (Form::Own, "events".to_owned()));
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
            (json!({"metric": "events"}), "metric", "\"metric:ID\""),
            (json!("metric:gone"), "", "no saved metric \"gone\""),
            (json!({"fn": "events", "cumulative": true, "rolling": 7}), "rolling", "either cumulative"),
            (json!({"fn": "events", "rolling": 0}), "rolling", "from 1 to 1000"),
            (json!({"fn": "events", "cumulative": 1}), "cumulative", "true or false"),
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
