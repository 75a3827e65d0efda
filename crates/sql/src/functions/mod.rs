//! The functions there are: those of DataFusion that read nothing but their arguments, in a list, so that an upgrade adds none.

mod bounded;

use std::collections::BTreeSet;
use std::sync::Arc;

use datafusion::execution::SessionStateDefaults;
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::logical_expr::{AggregateUDF, ScalarUDF, WindowUDF};

use self::bounded::{BoundedText, Growth};
use crate::statement::{Reading, nearest};

/// What `a || b` becomes.
pub(crate) const CONCAT_OPERATOR: &str = "throng_concat";

/// None of these reads a clock but `now` and its relatives, which are one moment a statement; none makes rows.
const SCALARS: &[&str] = &[
    // Any type.
    "coalesce",
    "nullif",
    "nvl",
    "nvl2",
    "ifnull",
    "greatest",
    "least",
    // Numbers.
    "abs",
    "ceil",
    "floor",
    "round",
    "trunc",
    "sqrt",
    "cbrt",
    "power",
    "pow",
    "exp",
    "ln",
    "log",
    "log2",
    "log10",
    "signum",
    "isnan",
    "nanvl",
    // Text.
    "lower",
    "upper",
    "btrim",
    "trim",
    "ltrim",
    "rtrim",
    "length",
    "char_length",
    "character_length",
    "octet_length",
    "substr",
    "substring",
    "left",
    "right",
    "reverse",
    "starts_with",
    "ends_with",
    "contains",
    "strpos",
    "position",
    "instr",
    "split_part",
    "initcap",
    "ascii",
    "chr",
    "substr_index",
    // Patterns.
    "regexp_like",
    "regexp_count",
    // Times.
    "now",
    "current_timestamp",
    "current_date",
    "today",
    "date_trunc",
    "datetrunc",
    "date_part",
    "datepart",
    "date_bin",
    "to_timestamp",
    "to_timestamp_millis",
    "to_timestamp_seconds",
    "to_date",
];
const AGGREGATES: &[&str] = &[
    "count",
    "sum",
    "avg",
    "mean",
    "min",
    "max",
    "median",
    "approx_median",
    "approx_distinct",
    "approx_percentile_cont",
    "percentile_cont",
    "quantile_cont",
    "stddev",
    "stddev_samp",
    "stddev_pop",
    "var",
    "var_samp",
    "var_sample",
    "var_pop",
    "var_population",
    "corr",
    "covar",
    "covar_samp",
    "covar_pop",
    "bool_and",
    "bool_or",
    "bit_and",
    "bit_or",
    "bit_xor",
    "first_value",
    "last_value",
    "nth_value",
    "string_agg",
    "regr_slope",
    "regr_intercept",
    "regr_r2",
    "grouping",
];
const WINDOWS: &[&str] =
    &["row_number", "rank", "dense_rank", "percent_rank", "cume_dist", "ntile", "lag", "lead", "first_value", "last_value", "nth_value"];
/// Those whose text may be many times longer than what they are given.
const GROWING: [(&str, Growth); 3] = [("concat", Growth::Sum), ("concat_ws", Growth::Sum), ("replace", Growth::Replace)];
/// Their second argument is a regular expression.
const TAKE_PATTERN: [&str; 2] = ["regexp_like", "regexp_count"];
/// Aggregates that take a window: each makes one short value a row, in a time that does not grow with the window.
const OVER_WINDOWS: &[&str] = &[
    "count",
    "sum",
    "avg",
    "mean",
    "min",
    "max",
    "stddev",
    "stddev_samp",
    "stddev_pop",
    "var",
    "var_samp",
    "var_pop",
    "bool_and",
    "bool_or",
];
/// Read a property; no functions of the engine.
const READINGS: [&str; 4] = ["text", "number", "integer", "boolean"];

/// The functions a statement may call.
pub(crate) struct Functions {
    scalars: Vec<Arc<ScalarUDF>>,
    aggregates: Vec<Arc<AggregateUDF>>,
    windows: Vec<Arc<WindowUDF>>,
    names: BTreeSet<String>,
}

impl Functions {
    pub(crate) fn new() -> Self {
        let mut scalars: Vec<Arc<ScalarUDF>> = Vec::new();
        for function in SessionStateDefaults::default_scalar_functions() {
            let is_named = |name: &str| function.name() == name || function.aliases().iter().any(|alias| alias == name);
            if let Some((_, growth)) = GROWING.iter().find(|(name, _)| is_named(name)) {
                scalars.push(Arc::new(BoundedText::of(&function, *growth)));
                if is_named("concat") {
                    scalars.push(Arc::new(BoundedText::operator(&function, CONCAT_OPERATOR)));
                }
            } else if SCALARS.iter().any(|name| is_named(name)) {
                scalars.push(function);
            }
        }
        let mut aggregates = SessionStateDefaults::default_aggregate_functions();
        aggregates.retain(|function| {
            AGGREGATES.iter().any(|name| function.name() == *name || function.aliases().iter().any(|alias| alias == name))
        });
        let mut windows = SessionStateDefaults::default_window_functions();
        windows.retain(|function| WINDOWS.contains(&function.name()));
        let mut names = BTreeSet::new();
        let mut note = |name: &str, aliases: &[String], listed: &[&str]| {
            names.extend(
                std::iter::once(name).chain(aliases.iter().map(String::as_str)).filter(|name| listed.contains(name)).map(str::to_owned),
            );
        };
        let growing = GROWING.map(|(name, _)| name);
        for function in &scalars {
            note(function.name(), function.aliases(), SCALARS);
            note(function.name(), function.aliases(), &growing);
        }
        aggregates.iter().for_each(|function| note(function.name(), function.aliases(), AGGREGATES));
        windows.iter().for_each(|function| note(function.name(), function.aliases(), WINDOWS));
        Self { scalars, aggregates, windows, names }
    }

    /// Whether a statement may call a function of this lower-case name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.names.contains(name)
    }

    /// The name that one which is not known most likely stands for.
    pub(crate) fn nearest(&self, name: &str) -> Option<&str> {
        debug_assert!(READINGS.iter().all(|name| Reading::of_function(name).is_some()));
        nearest(name, self.names.iter().map(String::as_str).chain(READINGS))
    }

    /// Whether its second argument is a regular expression.
    pub(crate) fn takes_pattern(&self, name: &str) -> bool {
        TAKE_PATTERN.contains(&name)
    }

    /// Whether it may stand before OVER.
    pub(crate) fn takes_window(&self, name: &str) -> bool {
        WINDOWS.contains(&name) || OVER_WINDOWS.contains(&name)
    }

    /// All names, in order.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(String::as_str)
    }

    /// Gives the functions, and nothing else that reads or makes anything, to a session.
    pub(crate) fn give(&self, session: SessionStateBuilder) -> SessionStateBuilder {
        session
            .with_expr_planners(SessionStateDefaults::default_expr_planners())
            .with_scalar_functions(self.scalars.clone())
            .with_aggregate_functions(self.aggregates.clone())
            .with_window_functions(self.windows.clone())
    }
}
