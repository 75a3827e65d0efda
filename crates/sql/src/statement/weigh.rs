//! How much work a statement is to plan, told from its form alone.
//!
//! A planner replaces the columns of a subquery by what they stand for, and a WITH query by its text each time it is named, so a short
//! statement can be an exponentially long one. Here each output column has a weight, its terms after that replacement, and each query
//! the number of SELECTs it reads; both saturate and are bounded.

use datafusion::sql::sqlparser::ast::{
    Distinct, Expr, GroupByExpr, LimitClause, OrderByKind, Query, Select, SelectItem, SelectItemQualifiedWildcardKind, SetExpr,
    TableFactor, TableWithJoins,
};

use super::allowed::{Source, allowed_query, allowed_select, allowed_wildcard, join_condition, named_windows, parts, source};
use super::{VIEWS, nearest};
use crate::error::SqlError;
use crate::functions::Functions;
use crate::limits::{MAX_COLUMNS, MAX_EXPANDED_TERMS, MAX_EXPRESSION_DEPTH, MAX_GROUPING_SETS, MAX_QUERY_DEPTH, MAX_SCANS};

/// Refuses what may not be planned, and what would take long to plan.
pub(super) fn check(query: &Query, functions: &Functions) -> Result<(), SqlError> {
    Weigher { functions, named: Vec::new(), depth: 0 }.query(query, 1).map(|_| ())
}

#[derive(Clone, Copy, Default)]
struct Weight {
    /// SELECTs and views read.
    scans: usize,
    /// Terms of everything in it.
    terms: usize,
    /// Terms of its heaviest column.
    column: usize,
}

impl Weight {
    fn add(&mut self, other: Self) {
        self.scans = self.scans.saturating_add(other.scans);
        self.terms = self.terms.saturating_add(other.terms);
        self.column = self.column.max(other.column);
    }

    fn bounded(self) -> Result<Self, SqlError> {
        if self.scans > MAX_SCANS {
            return Err(SqlError::too_large(format!(
                "the statement has more than {MAX_SCANS} SELECTs and tables, a WITH query counted each time it is named: split it in several"
            )));
        }
        if self.terms > MAX_EXPANDED_TERMS {
            return Err(SqlError::too_large(format!(
                "the statement has more than {MAX_EXPANDED_TERMS} terms after the columns of inner queries are put in: make inner columns simpler"
            )));
        }
        Ok(self)
    }
}

struct Weigher<'w> {
    functions: &'w Functions,
    /// WITH queries in scope, the innermost last.
    named: Vec<(String, Weight)>,
    depth: usize,
}

impl Weigher<'_> {
    /// `outer` is the weight of a column of the queries around.
    fn query(&mut self, query: &Query, outer: usize) -> Result<Weight, SqlError> {
        allowed_query(query)?;
        self.depth += 1;
        if self.depth > MAX_QUERY_DEPTH {
            return Err(SqlError::too_large(format!("queries nest deeper than {MAX_QUERY_DEPTH} levels: write the statement flatter")));
        }
        let known = self.named.len();
        for with in query.with.iter().flat_map(|with| &with.cte_tables) {
            let weight = self.query(&with.query, outer)?;
            self.named.push((with.alias.name.value.to_lowercase(), weight));
        }
        let mut weight = self.set(&query.body, outer, 0)?;
        if let Some(order) = &query.order_by {
            let OrderByKind::Expressions(keys) = &order.kind else { return Err(SqlError::refused("ORDER BY ALL is not available here")) };
            if order.interpolate.is_some() || keys.iter().any(|key| key.with_fill.is_some()) {
                return Err(SqlError::refused("WITH FILL is not available here"));
            }
            for key in keys {
                let key = self.expr(&key.expr, weight.column.max(outer), 0)?;
                weight.add(Weight { column: 0, ..key });
            }
        }
        match &query.limit_clause {
            None => {}
            Some(LimitClause::LimitOffset { limit, offset, limit_by }) if limit_by.is_empty() => {
                for bound in limit.iter().chain(offset.iter().map(|offset| &offset.value)) {
                    if !matches!(bound, Expr::Value(_)) {
                        return Err(SqlError::refused("LIMIT and OFFSET take a number"));
                    }
                }
            }
            Some(_) => return Err(SqlError::refused("LIMIT takes a number, OFFSET another: LIMIT 100 OFFSET 200")),
        }
        self.named.truncate(known);
        self.depth -= 1;
        weight.bounded()
    }

    fn set(&mut self, set: &SetExpr, outer: usize, depth: usize) -> Result<Weight, SqlError> {
        match set {
            SetExpr::Select(select) => self.select(select, outer),
            SetExpr::Query(query) => self.query(query, outer),
            SetExpr::SetOperation { left, right, .. } => {
                if depth >= MAX_SCANS {
                    return Err(SqlError::too_large(format!("more than {MAX_SCANS} SELECTs are joined by UNION: split the statement")));
                }
                let mut weight = self.set(left, outer, depth + 1)?;
                weight.add(self.set(right, outer, depth + 1)?);
                weight.bounded()
            }
            SetExpr::Values(_) => Err(SqlError::refused("VALUES is not available here: read events, sessions or persons")),
            _ => Err(SqlError::refused("only SELECT (with WITH and UNION) reads here")),
        }
    }

    fn select(&mut self, select: &Select, outer: usize) -> Result<Weight, SqlError> {
        allowed_select(select)?;
        let mut from = Weight { scans: 1, terms: 1, column: 1 };
        for table in &select.from {
            self.tables(table, outer, &mut from)?;
        }
        from.bounded()?;
        let base = from.column.max(outer);
        let mut all = Weight { column: 0, ..from };
        if select.projection.len() > MAX_COLUMNS {
            return Err(SqlError::too_large(format!("SELECT has {} columns, at most {MAX_COLUMNS} are allowed", select.projection.len())));
        }
        for item in &select.projection {
            let weight = match item {
                SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => self.expr(expr, base, 0)?,
                SelectItem::Wildcard(options) | SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(_), options) => {
                    allowed_wildcard(options)?;
                    Weight { scans: 0, terms: 1, column: from.column }
                }
                _ => return Err(SqlError::refused("this form of column is not available here")),
            };
            all.add(weight);
        }
        let distinct_on = match &select.distinct {
            Some(Distinct::On(keys)) => keys.as_slice(),
            _ => &[],
        };
        let GroupByExpr::Expressions(groups, modifiers) = &select.group_by else {
            return Err(SqlError::refused("GROUP BY ALL is not available here: name the columns"));
        };
        if !modifiers.is_empty() {
            return Err(SqlError::refused("WITH after GROUP BY is not available here: use ROLLUP (...)"));
        }
        bounded_grouping(groups)?;
        let others = select.selection.iter().chain(&select.having).chain(&select.qualify).chain(distinct_on).chain(groups);
        for expr in others.chain(named_windows(select)) {
            let weight = self.expr(expr, base, 0)?;
            all.add(Weight { column: 0, ..weight });
        }
        all.column = all.column.max(1);
        all.bounded()
    }

    fn tables(&mut self, table: &TableWithJoins, outer: usize, from: &mut Weight) -> Result<(), SqlError> {
        self.table(&table.relation, outer, from)?;
        for join in &table.joins {
            self.table(&join.relation, outer, from)?;
            from.bounded()?;
            if let Some(condition) = join_condition(join)? {
                let weight = self.expr(condition, from.column.max(outer), 0)?;
                from.add(Weight { column: 0, ..weight });
            }
        }
        Ok(())
    }

    fn table(&mut self, table: &TableFactor, outer: usize, from: &mut Weight) -> Result<(), SqlError> {
        match source(table)? {
            Source::Named(name) => {
                let lower = name.to_lowercase();
                if let Some((_, weight)) = self.named.iter().rev().find(|(known, _)| *known == lower) {
                    from.add(*weight);
                } else if VIEWS.contains(&lower.as_str()) {
                    from.add(Weight { scans: 1, terms: 1, column: 1 });
                } else {
                    let known = self.named.iter().map(|(name, _)| name.as_str()).chain(VIEWS);
                    let hint = nearest(&lower, known).map_or_else(String::new, |near| format!(" (did you mean {near}?)"));
                    let shown: String = name.chars().take(60).collect();
                    return Err(SqlError::refused(format!("there is no table {shown}{hint}: read events, sessions or persons")));
                }
            }
            Source::Query(query) => from.add(self.query(query, outer)?),
            Source::Joined(joined) => {
                self.depth += 1;
                if self.depth > MAX_QUERY_DEPTH {
                    return Err(SqlError::too_large(format!(
                        "joins nest deeper than {MAX_QUERY_DEPTH} levels: write the statement flatter"
                    )));
                }
                self.tables(joined, outer, from)?;
                self.depth -= 1;
            }
        }
        Ok(())
    }

    /// `column` is the weight of a column it may name.
    fn expr(&mut self, expr: &Expr, column: usize, depth: usize) -> Result<Weight, SqlError> {
        if depth > MAX_EXPRESSION_DEPTH {
            return Err(SqlError::too_large(format!(
                "an expression nests deeper than {MAX_EXPRESSION_DEPTH} operators (a chain a + b + c is as deep as it is long): use IN (...) for many values, or an inner query for a part"
            )));
        }
        let parts = parts(expr, self.functions)?;
        let mut weight = Weight { scans: 0, terms: if parts.is_column { column } else { 1 }, column: 0 };
        for part in parts.exprs {
            let part = self.expr(part, column, depth + 1)?;
            weight.add(Weight { column: 0, ..part });
        }
        for query in parts.queries {
            let query = self.query(query, column)?;
            weight.add(Weight { column: 0, ..query });
        }
        weight.column = weight.terms;
        weight.bounded()
    }
}

fn bounded_grouping(groups: &[Expr]) -> Result<(), SqlError> {
    let mut sets = 1_usize;
    for group in groups {
        let count = match group {
            Expr::GroupingSets(sets) => sets.len(),
            Expr::Rollup(keys) => keys.len() + 1,
            Expr::Cube(keys) => 1_usize.checked_shl(keys.len() as u32).unwrap_or(usize::MAX),
            _ => 1,
        };
        sets = sets.saturating_mul(count.max(1));
    }
    if sets > MAX_GROUPING_SETS {
        return Err(SqlError::too_large(format!(
            "GROUP BY stands for {sets} combinations, at most {MAX_GROUPING_SETS} are allowed: CUBE of n columns stands for 2^n"
        )));
    }
    Ok(())
}
