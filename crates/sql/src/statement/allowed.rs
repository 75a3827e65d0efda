//! Which forms of SQL may be planned: what is not listed here is refused, whatever a later version of the parser knows.

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, CeilFloorKind, DataType, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentClause, FunctionArguments, Join,
    JoinConstraint, JoinOperator, NamedWindowExpr, Query, Select, SelectFlavor, TableFactor, UnaryOperator, Value,
    WildcardAdditionalOptions, WindowFrameBound, WindowSpec, WindowType,
};

use super::property::{Reading, access};
use crate::error::SqlError;
use crate::functions::Functions;
use crate::limits::MAX_PATTERN_BYTES;

/// What an expression is made of.
#[derive(Default)]
pub(super) struct Parts<'e> {
    pub exprs: Vec<&'e Expr>,
    pub queries: Vec<&'e Query>,
    /// Whether it names a column.
    pub is_column: bool,
}

impl<'e> Parts<'e> {
    fn of(exprs: impl IntoIterator<Item = &'e Expr>) -> Self {
        Self { exprs: exprs.into_iter().collect(), ..Self::default() }
    }
}

fn refused(what: impl std::fmt::Display) -> SqlError {
    SqlError::refused(format!("{what} is not available here"))
}

/// The parts of an allowed expression.
pub(super) fn parts<'e>(expr: &'e Expr, functions: &Functions) -> Result<Parts<'e>, SqlError> {
    if access(expr).is_some() {
        return Ok(Parts { is_column: true, ..Parts::default() });
    }
    Ok(match expr {
        Expr::Identifier(_) => Parts { is_column: true, ..Parts::default() },
        Expr::CompoundIdentifier(names) if names.len() == 2 => Parts { is_column: true, ..Parts::default() },
        Expr::CompoundIdentifier(_) => return Err(refused("a column with more than its table's name before it")),
        Expr::CompoundFieldAccess { .. } => {
            return Err(SqlError::refused("[...] reads only a property, and by its name in quotes: properties['name']"));
        }
        Expr::IsFalse(inner)
        | Expr::IsNotFalse(inner)
        | Expr::IsTrue(inner)
        | Expr::IsNotTrue(inner)
        | Expr::IsNull(inner)
        | Expr::IsNotNull(inner)
        | Expr::IsUnknown(inner)
        | Expr::IsNotUnknown(inner)
        | Expr::Nested(inner)
        | Expr::Extract { expr: inner, .. } => Parts::of([inner.as_ref()]),
        Expr::UnaryOp { op: UnaryOperator::Plus | UnaryOperator::Minus | UnaryOperator::Not, expr } => Parts::of([expr.as_ref()]),
        Expr::Cast { expr, data_type, array: false, format: None, .. } => {
            allowed_type(data_type)?;
            Parts::of([expr.as_ref()])
        }
        Expr::Ceil { expr, field } | Expr::Floor { expr, field } => match field {
            CeilFloorKind::DateTimeField(datafusion::sql::sqlparser::ast::DateTimeField::NoDateTime) => Parts::of([expr.as_ref()]),
            _ => return Err(refused("CEIL or FLOOR with a second argument")),
        },
        Expr::IsDistinctFrom(left, right) | Expr::IsNotDistinctFrom(left, right) => Parts::of([left.as_ref(), right.as_ref()]),
        Expr::AtTimeZone { timestamp, time_zone } => Parts::of([timestamp.as_ref(), time_zone.as_ref()]),
        Expr::Position { expr, r#in } => Parts::of([expr.as_ref(), r#in.as_ref()]),
        Expr::BinaryOp { left, op, right } => {
            allowed_operator(op, right)?;
            Parts::of([left.as_ref(), right.as_ref()])
        }
        Expr::Like { any: false, expr, pattern, .. }
        | Expr::ILike { any: false, expr, pattern, .. }
        | Expr::SimilarTo { expr, pattern, .. } => {
            bounded_pattern(pattern)?;
            Parts::of([expr.as_ref(), pattern.as_ref()])
        }
        Expr::InList { expr, list, .. } => Parts::of(std::iter::once(expr.as_ref()).chain(list)),
        Expr::InSubquery { expr, subquery, .. } => Parts { exprs: vec![expr], queries: vec![subquery], is_column: false },
        Expr::Exists { subquery, .. } | Expr::Subquery(subquery) => Parts { queries: vec![subquery], ..Parts::default() },
        Expr::Between { expr, low, high, .. } => Parts::of([expr.as_ref(), low.as_ref(), high.as_ref()]),
        Expr::Substring { expr, substring_from, substring_for, .. } => {
            Parts::of(std::iter::once(expr.as_ref()).chain(substring_from.as_deref()).chain(substring_for.as_deref()))
        }
        Expr::Trim { trim_what, expr, trim_characters: None, .. } => Parts::of(std::iter::once(expr.as_ref()).chain(trim_what.as_deref())),
        Expr::Value(value) => match &value.value {
            Value::Number(..) | Value::SingleQuotedString(_) | Value::Boolean(_) | Value::Null => Parts::default(),
            _ => return Err(refused("this form of constant")),
        },
        Expr::TypedString(typed) => {
            allowed_type(&typed.data_type)?;
            Parts::default()
        }
        Expr::Interval(interval) => Parts::of([interval.value.as_ref()]),
        Expr::Case { operand, conditions, else_result, .. } => {
            let whens = conditions.iter().flat_map(|when| [&when.condition, &when.result]);
            Parts::of(operand.as_deref().into_iter().chain(whens).chain(else_result.as_deref()))
        }
        Expr::GroupingSets(sets) | Expr::Cube(sets) | Expr::Rollup(sets) => Parts::of(sets.iter().flatten()),
        Expr::Tuple(items) => Parts::of(items),
        Expr::Function(function) => function_parts(function, functions)?,
        _ => return Err(refused("this form of expression")),
    })
}

fn allowed_operator(operator: &BinaryOperator, right: &Expr) -> Result<(), SqlError> {
    use BinaryOperator as Op;
    match operator {
        Op::Plus | Op::Minus | Op::Multiply | Op::Divide | Op::Modulo | Op::StringConcat => Ok(()),
        Op::Gt | Op::Lt | Op::GtEq | Op::LtEq | Op::Eq | Op::NotEq | Op::And | Op::Or => Ok(()),
        Op::PGRegexMatch | Op::PGRegexIMatch | Op::PGRegexNotMatch | Op::PGRegexNotIMatch => bounded_pattern(right),
        other => Err(refused(format!("the operator {other}"))),
    }
}

/// A pattern is compiled once when it is written out, and once a row otherwise.
fn bounded_pattern(pattern: &Expr) -> Result<(), SqlError> {
    match pattern {
        Expr::Nested(inner) => bounded_pattern(inner),
        Expr::Value(value) => match &value.value {
            Value::SingleQuotedString(text) if text.len() > MAX_PATTERN_BYTES => {
                Err(SqlError::too_large(format!("a pattern has {} bytes, at most {MAX_PATTERN_BYTES} are allowed", text.len())))
            }
            Value::SingleQuotedString(_) => Ok(()),
            _ => Err(SqlError::refused("a pattern must be a text written out, such as 'a%'")),
        },
        _ => Err(SqlError::refused("a pattern must be a text written out, such as 'a%': compare columns with strpos, starts_with or =")),
    }
}

fn allowed_type(data_type: &DataType) -> Result<(), SqlError> {
    match data_type {
        DataType::Boolean
        | DataType::Bool
        | DataType::SmallInt(None)
        | DataType::Int(None)
        | DataType::Integer(None)
        | DataType::BigInt(None)
        | DataType::Real
        | DataType::Float(_)
        | DataType::Double(_)
        | DataType::DoublePrecision
        | DataType::Decimal(_)
        | DataType::Numeric(_)
        | DataType::Text
        | DataType::Varchar(None)
        | DataType::String(None)
        | DataType::Date
        | DataType::Timestamp(None, _)
        | DataType::Interval { .. } => Ok(()),
        other => Err(SqlError::refused(format!(
            "the type {other} is not available here: use boolean, integer, bigint, double, decimal, text, date or timestamp"
        ))),
    }
}

fn function_parts<'e>(function: &'e Function, functions: &Functions) -> Result<Parts<'e>, SqlError> {
    let [name] = function.name.0.as_slice() else { return Err(refused("a function with a dot in its name")) };
    let name = name.as_ident().map(|name| name.value.to_lowercase()).unwrap_or_default();
    let list = match &function.args {
        FunctionArguments::List(list) => Some(list),
        FunctionArguments::None => None,
        FunctionArguments::Subquery(_) => return Err(refused("a query as the argument of a function")),
    };
    if !matches!(function.parameters, FunctionArguments::None) || function.uses_odbc_syntax {
        return Err(refused("this way to call a function"));
    }
    let mut exprs = Vec::new();
    for arg in list.into_iter().flat_map(|list| &list.args) {
        match arg {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => exprs.push(expr),
            FunctionArg::Unnamed(FunctionArgExpr::Wildcard) if name == "count" => {}
            _ => return Err(refused("this form of argument of a function")),
        }
    }
    if Reading::of_function(&name).is_some() {
        return match exprs.as_slice() {
            [property] if access(property).is_some() => Ok(Parts { is_column: true, ..Parts::default() }),
            _ => Err(SqlError::invalid(format!("{name}(...) reads a property: {name}(properties['name']); use CAST for other values"))),
        };
    }
    if !functions.has(&name) {
        let hint =
            functions.nearest(&name).map_or_else(|| "docs/sql.md lists those there are".to_owned(), |near| format!("did you mean {near}?"));
        let name: String = name.chars().take(60).collect();
        return Err(SqlError::refused(format!("there is no function {name}: {hint}")));
    }
    if functions.takes_pattern(&name)
        && let Some(pattern) = exprs.get(1)
    {
        bounded_pattern(pattern)?;
    }
    for clause in list.into_iter().flat_map(|list| &list.clauses) {
        match clause {
            FunctionArgumentClause::IgnoreOrRespectNulls(_) => {}
            FunctionArgumentClause::OrderBy(keys) => exprs.extend(keys.iter().map(|key| &key.expr)),
            _ => return Err(refused("this clause in a function")),
        }
    }
    exprs.extend(function.filter.as_deref());
    exprs.extend(function.within_group.iter().map(|key| &key.expr));
    if function.over.is_some() && !functions.takes_window(&name) {
        return Err(refused(format!("{name} with OVER")));
    }
    match &function.over {
        None | Some(WindowType::NamedWindow(_)) => {}
        Some(WindowType::WindowSpec(window)) => exprs.extend(window_exprs(window)),
    }
    Ok(Parts { exprs, ..Parts::default() })
}

/// The expressions of a window.
pub(super) fn window_exprs(window: &WindowSpec) -> Vec<&Expr> {
    let mut exprs: Vec<&Expr> = window.partition_by.iter().collect();
    exprs.extend(window.order_by.iter().map(|key| &key.expr));
    if let Some(frame) = &window.window_frame {
        for bound in [Some(&frame.start_bound), frame.end_bound.as_ref()].into_iter().flatten() {
            if let WindowFrameBound::Preceding(Some(expr)) | WindowFrameBound::Following(Some(expr)) = bound {
                exprs.push(expr);
            }
        }
    }
    exprs
}

/// Refuses what a query may have beside its SELECT, WITH, ORDER BY and LIMIT.
pub(super) fn allowed_query(query: &Query) -> Result<(), SqlError> {
    let recursive = query.with.as_ref().is_some_and(|with| with.recursive);
    for (is_there, what) in [
        (recursive, "WITH RECURSIVE"),
        (query.fetch.is_some(), "FETCH (use LIMIT)"),
        (!query.locks.is_empty(), "FOR UPDATE"),
        (query.for_clause.is_some(), "FOR"),
        (query.settings.is_some(), "SETTINGS"),
        (query.format_clause.is_some(), "FORMAT"),
        (!query.pipe_operators.is_empty(), "|>"),
    ] {
        if is_there {
            return Err(refused(what));
        }
    }
    Ok(())
}

/// Refuses what only other databases have in a SELECT.
pub(super) fn allowed_select(select: &Select) -> Result<(), SqlError> {
    for (is_there, what) in [
        (select.into.is_some(), "SELECT INTO"),
        (select.top.is_some(), "TOP (use LIMIT)"),
        (select.exclude.is_some(), "EXCLUDE"),
        (select.select_modifiers.is_some(), "this word after SELECT"),
        (!select.optimizer_hints.is_empty(), "a hint"),
        (!select.lateral_views.is_empty(), "LATERAL VIEW"),
        (select.prewhere.is_some(), "PREWHERE"),
        (!select.connect_by.is_empty(), "CONNECT BY"),
        (!select.cluster_by.is_empty() || !select.distribute_by.is_empty() || !select.sort_by.is_empty(), "CLUSTER, DISTRIBUTE or SORT BY"),
        (select.value_table_mode.is_some(), "SELECT AS VALUE"),
        (!matches!(select.flavor, SelectFlavor::Standard), "FROM before SELECT"),
    ] {
        if is_there {
            return Err(refused(what));
        }
    }
    Ok(())
}

/// The window specifications that a SELECT names.
pub(super) fn named_windows(select: &Select) -> Vec<&Expr> {
    let specs = select.named_window.iter().filter_map(|named| match &named.1 {
        NamedWindowExpr::WindowSpec(window) => Some(window_exprs(window)),
        NamedWindowExpr::NamedWindow(_) => None,
    });
    specs.flatten().collect()
}

/// Refuses every option of `*`.
pub(super) fn allowed_wildcard(options: &WildcardAdditionalOptions) -> Result<(), SqlError> {
    let WildcardAdditionalOptions { opt_ilike, opt_exclude, opt_except, opt_replace, opt_rename, opt_alias, .. } = options;
    let has_any = opt_ilike.is_some() || opt_exclude.is_some() || opt_except.is_some() || opt_replace.is_some() || opt_rename.is_some();
    if has_any || opt_alias.is_some() { Err(refused("an option of *")) } else { Ok(()) }
}

/// The condition of a join, where it has one.
pub(super) fn join_condition(join: &Join) -> Result<Option<&Expr>, SqlError> {
    let (JoinOperator::Join(constraint)
    | JoinOperator::Inner(constraint)
    | JoinOperator::Left(constraint)
    | JoinOperator::LeftOuter(constraint)
    | JoinOperator::Right(constraint)
    | JoinOperator::RightOuter(constraint)
    | JoinOperator::FullOuter(constraint)
    | JoinOperator::CrossJoin(constraint)) = &join.join_operator
    else {
        return Err(refused("this kind of join"));
    };
    if join.global {
        return Err(refused("GLOBAL JOIN"));
    }
    match constraint {
        JoinConstraint::On(condition) => Ok(Some(condition)),
        JoinConstraint::Using(_) | JoinConstraint::None => Ok(None),
        JoinConstraint::Natural => Err(refused("NATURAL JOIN (use USING)")),
    }
}

/// What is read in FROM.
pub(super) enum Source<'t> {
    /// By name.
    Named(&'t str),
    Query(&'t Query),
    Joined(&'t datafusion::sql::sqlparser::ast::TableWithJoins),
}

/// What an allowed item of FROM is.
pub(super) fn source(factor: &TableFactor) -> Result<Source<'_>, SqlError> {
    match factor {
        TableFactor::Table {
            name,
            args: None,
            with_hints,
            version: None,
            with_ordinality: false,
            partitions,
            json_path: None,
            sample: None,
            index_hints,
            alias,
        } if with_hints.is_empty() && partitions.is_empty() && index_hints.is_empty() => {
            if alias.as_ref().is_some_and(|alias| alias.name.value.eq_ignore_ascii_case(super::property::PROPERTIES)) {
                return Err(SqlError::refused("properties cannot be the name of a table: choose another"));
            }
            match name.0.as_slice() {
                [part] => part.as_ident().map(|name| Source::Named(name.value.as_str())).ok_or_else(|| refused("this form of table name")),
                _ => Err(SqlError::refused(format!(
                    "{} is not a table here: read events, sessions or persons",
                    name.to_string().chars().take(80).collect::<String>()
                ))),
            }
        }
        TableFactor::Table { args: Some(_), .. } | TableFactor::TableFunction { .. } | TableFactor::Function { .. } => {
            Err(SqlError::refused("a function in FROM is not available here: read events, sessions or persons"))
        }
        TableFactor::Derived { lateral: false, subquery, sample: None, .. } => Ok(Source::Query(subquery)),
        TableFactor::NestedJoin { table_with_joins, .. } => Ok(Source::Joined(table_with_joins)),
        _ => Err(SqlError::refused("this form of table is not available here: read events, sessions or persons")),
    }
}
