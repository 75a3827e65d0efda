//! The part of a statement's conditions that spares reading events.

use datafusion::arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::logical_expr::{BinaryExpr, Expr, Operator};

/// Bounds of the time, and names, that every wanted event has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pushed {
    /// First millisecond in.
    pub from_ms: i64,
    /// First millisecond out.
    pub to_ms: i64,
    /// Only these names; `None` for all.
    pub events: Option<Vec<String>>,
}

impl Default for Pushed {
    fn default() -> Self {
        Self { from_ms: i64::MIN, to_ms: i64::MAX, events: None }
    }
}

impl Pushed {
    /// What all these conditions together say; what is not understood says nothing.
    pub(super) fn of(filters: &[Expr]) -> Self {
        let mut pushed = Self::default();
        filters.iter().for_each(|filter| pushed.and(filter));
        pushed
    }

    fn and(&mut self, filter: &Expr) {
        match filter {
            Expr::BinaryExpr(BinaryExpr { left, op: Operator::And, right }) => {
                self.and(left);
                self.and(right);
            }
            Expr::BinaryExpr(BinaryExpr { left, op, right }) => match (column(left), column(right)) {
                (Some(name), None) => self.compare(name, *op, right),
                (None, Some(name)) => {
                    if let Some(op) = op.swap() {
                        self.compare(name, op, left);
                    }
                }
                // `event = 'a' OR event = 'b'` is what a short IN becomes.
                _ => {
                    if let Some(names) = either(filter) {
                        self.only(names);
                    }
                }
            },
            Expr::Between(between) if !between.negated => {
                if let Some(name) = column(&between.expr) {
                    self.compare(name, Operator::GtEq, &between.low);
                    self.compare(name, Operator::LtEq, &between.high);
                }
            }
            Expr::InList(list) if !list.negated && column(&list.expr) == Some("event") => {
                let names: Option<Vec<String>> = list.list.iter().map(|item| text(item).map(str::to_owned)).collect();
                if let Some(names) = names {
                    self.only(names);
                }
            }
            _ => {}
        }
    }

    fn compare(&mut self, name: &str, op: Operator, value: &Expr) {
        match (name, op) {
            ("event", Operator::Eq) => {
                if let Some(text) = text(value) {
                    self.only(vec![text.to_owned()]);
                }
            }
            ("time", _) => {
                let Some((ms, is_whole)) = milliseconds(value) else { return };
                // A bound between two milliseconds keeps both.
                let op = match op {
                    Operator::Gt if !is_whole => Operator::GtEq,
                    Operator::Lt if !is_whole => Operator::LtEq,
                    other => other,
                };
                match op {
                    Operator::Eq => {
                        self.from_ms = self.from_ms.max(ms);
                        self.to_ms = self.to_ms.min(ms.saturating_add(1));
                    }
                    Operator::Gt => self.from_ms = self.from_ms.max(ms.saturating_add(1)),
                    Operator::GtEq => self.from_ms = self.from_ms.max(ms),
                    Operator::Lt => self.to_ms = self.to_ms.min(ms),
                    Operator::LtEq => self.to_ms = self.to_ms.min(ms.saturating_add(1)),
                    _ => {}
                }
            }
            _ => {}
        }
    }

    fn only(&mut self, names: Vec<String>) {
        self.events = Some(match self.events.take() {
            Some(known) => known.into_iter().filter(|name| names.contains(name)).collect(),
            None => names,
        });
    }
}

/// The names of which the event must have one.
fn either(filter: &Expr) -> Option<Vec<String>> {
    let Expr::BinaryExpr(BinaryExpr { left, op, right }) = filter else { return None };
    match op {
        Operator::Or => {
            let mut names = either(left)?;
            names.extend(either(right)?);
            Some(names)
        }
        Operator::Eq if column(left) == Some("event") => text(right).map(|name| vec![name.to_owned()]),
        _ => None,
    }
}

fn column(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Column(column) => Some(column.name.as_str()),
        // The time in finer units, as `now()` has it.
        Expr::Cast(cast) if matches!(cast.field.data_type(), DataType::Timestamp(..)) => column(&cast.expr),
        _ => None,
    }
}

fn text(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Literal(value, _) => value.try_as_str().flatten(),
        _ => None,
    }
}

/// A time with a zone, in milliseconds, and whether it is no later than that.
fn milliseconds(expr: &Expr) -> Option<(i64, bool)> {
    let Expr::Literal(value, _) = expr else { return None };
    let (value, per_ms) = match value {
        ScalarValue::TimestampMillisecond(Some(value), Some(_)) => (*value, 1),
        ScalarValue::TimestampMicrosecond(Some(value), Some(_)) => (*value, 1_000),
        ScalarValue::TimestampNanosecond(Some(value), Some(_)) => (*value, 1_000_000),
        _ => return None,
    };
    Some((value.div_euclid(per_ms), value.rem_euclid(per_ms) == 0))
}

#[cfg(test)]
mod tests {
    use datafusion::logical_expr::{col, lit};

    use super::*;

    fn at(ms: i64) -> Expr {
        lit(ScalarValue::TimestampMillisecond(Some(ms), Some("UTC".into())))
    }

    #[test]
    fn times_and_names_are_understood_and_nothing_else_is() {
        let filters = [
            col("time").gt(at(10)).and(at(90).gt_eq(col("time"))),
            col("event").eq(lit("a")).or(col("event").eq(lit("b"))),
            col("event").in_list(vec![lit("b"), lit("c")], false),
            col("person").eq(lit("x")),
        ];
        assert_eq!(Pushed::of(&filters), Pushed { from_ms: 11, to_ms: 91, events: Some(vec!["b".to_owned()]) });
        for nothing in [
            col("event").eq(lit("a")).or(col("person").eq(lit("b"))),
            col("event").in_list(vec![lit("b")], true),
            col("time").gt(at(1)).or(col("time").lt(at(0))),
            col("received_at").gt(at(1)),
            col("event").not_eq(lit("a")),
        ] {
            assert_eq!(Pushed::of(std::slice::from_ref(&nothing)), Pushed::default(), "{nothing}");
        }
    }
}
