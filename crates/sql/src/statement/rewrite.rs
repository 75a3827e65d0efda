//! Puts a column in the place of each property that is read, and a function that is bounded in the place of `||`.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentList, FunctionArguments, Ident, ObjectName, Query,
    Select, SelectItem, UnaryOperator, Value, VisitMut, VisitorMut,
};

use super::property::{Access, Property, Reading, access};
use crate::error::SqlError;
use crate::functions::CONCAT_OPERATOR;
use crate::limits::{MAX_PROPERTIES, MAX_PROPERTY_NAME_BYTES};

/// Functions that read a property as a number where nothing else is said.
const OF_NUMBERS: [&str; 24] = [
    "sum",
    "avg",
    "mean",
    "min",
    "max",
    "median",
    "stddev",
    "stddev_samp",
    "stddev_pop",
    "var",
    "var_samp",
    "var_pop",
    "corr",
    "covar_samp",
    "covar_pop",
    "approx_percentile_cont",
    "percentile_cont",
    "approx_median",
    "abs",
    "round",
    "floor",
    "ceil",
    "sqrt",
    "ln",
];

/// Rewrites a statement; returns the properties it reads.
///
/// # Errors
/// Too many properties.
pub(super) fn properties(query: &mut Query) -> Result<Vec<Property>, SqlError> {
    let mut rewriter = Rewriter::default();
    match query.visit(&mut rewriter) {
        ControlFlow::Continue(()) => Ok(rewriter.properties),
        ControlFlow::Break(error) => Err(error),
    }
}

#[derive(Default)]
struct Rewriter {
    properties: Vec<Property>,
}

impl Rewriter {
    /// Reads a property in this way, where the expression is one that is not read in another way already.
    fn read(&mut self, expr: &mut Expr, reading: Reading) -> Result<(), SqlError> {
        let Some(Access { table, name }) = access(expr) else { return Ok(()) };
        if name.len() > MAX_PROPERTY_NAME_BYTES || name.contains('\u{1}') {
            return Err(SqlError::too_large(format!(
                "the name of a property has more than {MAX_PROPERTY_NAME_BYTES} bytes or a control character"
            )));
        }
        let property = Property { name, reading };
        let column = Ident::with_quote('"', property.column());
        if !self.properties.contains(&property) {
            if self.properties.len() == MAX_PROPERTIES {
                return Err(SqlError::too_large(format!("the statement reads more than {MAX_PROPERTIES} properties: read fewer")));
            }
            self.properties.push(property);
        }
        *expr = match table {
            Some(table) => Expr::CompoundIdentifier(vec![table, column]),
            None => Expr::Identifier(column),
        };
        Ok(())
    }

    fn read_all<'e>(&mut self, exprs: impl IntoIterator<Item = &'e mut Expr>, reading: Reading) -> Result<(), SqlError> {
        exprs.into_iter().try_for_each(|expr| self.read(expr, reading))
    }

    /// Before its parts are visited: reads the properties whose type the expression tells.
    fn before(&mut self, expr: &mut Expr) -> Result<(), SqlError> {
        match expr {
            Expr::BinaryOp { left, op, right } => match op {
                BinaryOperator::Plus
                | BinaryOperator::Minus
                | BinaryOperator::Multiply
                | BinaryOperator::Divide
                | BinaryOperator::Modulo => self.read_all([left.as_mut(), right.as_mut()], Reading::Number),
                _ => match told_by(left).or_else(|| told_by(right)) {
                    Some(reading) => self.read_all([left.as_mut(), right.as_mut()], reading),
                    None => Ok(()),
                },
            },
            Expr::Between { expr, low, high, .. } => match told_by(low).or_else(|| told_by(high)) {
                Some(reading) => self.read(expr, reading),
                None => Ok(()),
            },
            Expr::InList { expr, list, .. } => match list.first().and_then(told_by) {
                Some(reading) => self.read(expr, reading),
                None => Ok(()),
            },
            Expr::UnaryOp { op: UnaryOperator::Minus | UnaryOperator::Plus, expr } => self.read(expr, Reading::Number),
            Expr::UnaryOp { op: UnaryOperator::Not, expr }
            | Expr::IsTrue(expr)
            | Expr::IsNotTrue(expr)
            | Expr::IsFalse(expr)
            | Expr::IsNotFalse(expr) => self.read(expr, Reading::Boolean),
            Expr::Ceil { expr, .. } | Expr::Floor { expr, .. } => self.read(expr, Reading::Number),
            Expr::Function(function) => self.before_function(function),
            _ => Ok(()),
        }
    }

    fn before_function(&mut self, function: &mut Function) -> Result<(), SqlError> {
        let name = function.name.to_string().to_lowercase();
        if OF_NUMBERS.contains(&name.as_str()) {
            self.read_all(arguments(function), Reading::Number)?;
            self.read_all(function.within_group.iter_mut().map(|key| &mut key.expr), Reading::Number)?;
        }
        Ok(())
    }

    /// After its parts were visited.
    fn after(&mut self, expr: &mut Expr) -> Result<(), SqlError> {
        self.read(expr, Reading::Any)?;
        if let Expr::BinaryOp { left, op: BinaryOperator::StringConcat, right } = expr {
            let args = [left, right].map(|side| std::mem::replace(side.as_mut(), Expr::Value(Value::Null.into())));
            *expr = Expr::Function(call(CONCAT_OPERATOR, args));
        }
        Ok(())
    }
}

impl VisitorMut for Rewriter {
    type Break = SqlError;

    /// Gives every computed column its own text as its name, before anything in it is replaced; a name that is taken gets `_2`, `_3`, ...
    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<SqlError> {
        let mut taken: Vec<String> = Vec::new();
        for item in &mut select.projection {
            let SelectItem::UnnamedExpr(expr) = item else {
                if let SelectItem::ExprWithAlias { alias, .. } = item {
                    taken.push(alias.value.clone());
                }
                continue;
            };
            let name = match &*expr {
                Expr::CompoundIdentifier(_) if access(expr).is_none() => continue,
                Expr::Identifier(name) => name.value.clone(),
                computed => computed.to_string().replace('"', ""),
            };
            let mut unique = name.clone();
            let mut number = 2;
            while taken.contains(&unique) {
                unique = format!("{name}_{number}");
                number += 1;
            }
            taken.push(unique.clone());
            if unique != name || !matches!(expr, Expr::Identifier(_)) {
                let expr = std::mem::replace(expr, Expr::Value(Value::Null.into()));
                *item = SelectItem::ExprWithAlias { expr, alias: Ident::with_quote('"', unique) };
            }
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<SqlError> {
        // number(properties['x']) stands for one column, so it goes before its argument is looked at.
        let mut property = None;
        if let Expr::Function(function) = expr
            && let Some(reading) = Reading::of_function(&function.name.to_string())
        {
            property = arguments(function).next().map(|expr| (std::mem::replace(expr, Expr::Value(Value::Null.into())), reading));
        }
        if let Some((mut property, reading)) = property {
            if let Err(error) = self.read(&mut property, reading) {
                return ControlFlow::Break(error);
            }
            *expr = property;
        }
        flow(self.before(expr))
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<SqlError> {
        flow(self.after(expr))
    }
}

fn flow(result: Result<(), SqlError>) -> ControlFlow<SqlError> {
    result.map_or_else(ControlFlow::Break, ControlFlow::Continue)
}

/// The type that a constant tells of what it is compared with.
fn told_by(expr: &Expr) -> Option<Reading> {
    match expr {
        Expr::Nested(inner) | Expr::UnaryOp { op: UnaryOperator::Minus | UnaryOperator::Plus, expr: inner } => told_by(inner),
        Expr::Value(value) => match &value.value {
            Value::Number(..) => Some(Reading::Number),
            Value::Boolean(_) => Some(Reading::Boolean),
            _ => None,
        },
        Expr::BinaryOp {
            left,
            op: BinaryOperator::Plus | BinaryOperator::Minus | BinaryOperator::Multiply | BinaryOperator::Divide,
            right,
        } => told_by(left).or_else(|| told_by(right)),
        _ => None,
    }
}

fn arguments(function: &mut Function) -> impl Iterator<Item = &mut Expr> {
    let list = match &mut function.args {
        FunctionArguments::List(list) => list.args.as_mut_slice(),
        _ => &mut [],
    };
    list.iter_mut().filter_map(|arg| match arg {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr),
        _ => None,
    })
}

fn call(name: &str, args: [Expr; 2]) -> Function {
    let args = args.map(|arg| FunctionArg::Unnamed(FunctionArgExpr::Expr(arg))).into();
    Function {
        name: ObjectName::from(vec![Ident::new(name)]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(FunctionArgumentList { duplicate_treatment: None, args, clauses: Vec::new() }),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    }
}
