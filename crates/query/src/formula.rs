use std::fmt;

/// Longest formula, in bytes; it also bounds how deep an expression can be.
const MAX_FORMULA_BYTES: usize = 500;
/// Most brackets and signs inside one another.
const MAX_DEPTH: usize = 32;

/// An arithmetic expression over series named by single capital letters.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Formula {
    root: Expression,
}

#[derive(Clone, Debug, PartialEq)]
enum Expression {
    Number(f64),
    Series(char),
    Negative(Box<Expression>),
    Binary(Operator, Box<Expression>, Box<Expression>),
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Operator {
    Add,
    Subtract,
    Multiply,
    Divide,
}

/// Why a text is no formula.
#[derive(Debug, PartialEq)]
pub(crate) struct FormulaError(String);

impl fmt::Display for FormulaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Formula {
    /// Reads `+ - * /`, brackets, numbers and letters A to Z.
    pub fn parse(text: &str) -> Result<Self, FormulaError> {
        if text.len() > MAX_FORMULA_BYTES {
            return Err(FormulaError(format!("the formula has {} bytes, at most {MAX_FORMULA_BYTES} are allowed", text.len())));
        }
        let mut parser = Parser { rest: text, depth: 0 };
        let root = parser.sum()?;
        match parser.peek() {
            None => Ok(Self { root }),
            Some(found) => Err(FormulaError(format!("expected + - * / or the end, found \"{found}\""))),
        }
    }

    /// The letters used, each once, ascending.
    pub fn letters(&self) -> Vec<char> {
        let mut found = Vec::new();
        collect_letters(&self.root, &mut found);
        found.sort_unstable();
        found.dedup();
        found
    }

    /// The value where `series` gives each letter's; `None` where a part has none, a divisor is zero or the result is not finite.
    pub fn evaluate(&self, series: &dyn Fn(char) -> Option<f64>) -> Option<f64> {
        evaluate(&self.root, series).filter(|value| value.is_finite())
    }
}

fn collect_letters(expression: &Expression, found: &mut Vec<char>) {
    match expression {
        Expression::Number(_) => {}
        Expression::Series(letter) => found.push(*letter),
        Expression::Negative(inner) => collect_letters(inner, found),
        Expression::Binary(_, left, right) => {
            collect_letters(left, found);
            collect_letters(right, found);
        }
    }
}

fn evaluate(expression: &Expression, series: &dyn Fn(char) -> Option<f64>) -> Option<f64> {
    match expression {
        Expression::Number(number) => Some(*number),
        Expression::Series(letter) => series(*letter),
        Expression::Negative(inner) => evaluate(inner, series).map(|value| -value),
        Expression::Binary(operator, left, right) => {
            let (left, right) = (evaluate(left, series)?, evaluate(right, series)?);
            match operator {
                Operator::Add => Some(left + right),
                Operator::Subtract => Some(left - right),
                Operator::Multiply => Some(left * right),
                Operator::Divide => (right != 0.0).then(|| left / right),
            }
        }
    }
}

struct Parser<'a> {
    rest: &'a str,
    depth: usize,
}

impl Parser<'_> {
    fn peek(&mut self) -> Option<char> {
        self.rest = self.rest.trim_start();
        self.rest.chars().next()
    }

    fn take_operator(&mut self, known: [(char, Operator); 2]) -> Option<Operator> {
        let next = self.peek()?;
        let (_, operator) = known.into_iter().find(|(sign, _)| *sign == next)?;
        self.rest = &self.rest[1..];
        Some(operator)
    }

    fn sum(&mut self) -> Result<Expression, FormulaError> {
        let mut left = self.product()?;
        while let Some(operator) = self.take_operator([('+', Operator::Add), ('-', Operator::Subtract)]) {
            left = Expression::Binary(operator, Box::new(left), Box::new(self.product()?));
        }
        Ok(left)
    }

    fn product(&mut self) -> Result<Expression, FormulaError> {
        let mut left = self.factor()?;
        while let Some(operator) = self.take_operator([('*', Operator::Multiply), ('/', Operator::Divide)]) {
            left = Expression::Binary(operator, Box::new(left), Box::new(self.factor()?));
        }
        Ok(left)
    }

    fn factor(&mut self) -> Result<Expression, FormulaError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(FormulaError(format!("brackets and signs are nested deeper than {MAX_DEPTH}")));
        }
        let factor = self.factor_inside()?;
        self.depth -= 1;
        Ok(factor)
    }

    fn factor_inside(&mut self) -> Result<Expression, FormulaError> {
        match self.peek() {
            Some('(') => {
                self.rest = &self.rest[1..];
                let inner = self.sum()?;
                if self.peek() != Some(')') {
                    return Err(FormulaError("a bracket is not closed".to_owned()));
                }
                self.rest = &self.rest[1..];
                Ok(inner)
            }
            Some('-') => {
                self.rest = &self.rest[1..];
                Ok(Expression::Negative(Box::new(self.factor()?)))
            }
            Some(letter @ 'A'..='Z') => {
                self.rest = &self.rest[1..];
                if self.rest.starts_with(|c: char| c.is_alphanumeric() || c == '_') {
                    return Err(FormulaError("a series is named by one capital letter, such as A".to_owned()));
                }
                Ok(Expression::Series(letter))
            }
            Some('0'..='9' | '.') => self.number(),
            Some(found) => Err(FormulaError(format!("expected a capital letter, a number or a bracket, found \"{found}\""))),
            None => Err(FormulaError("the formula ends where a letter, a number or a bracket is expected".to_owned())),
        }
    }

    fn number(&mut self) -> Result<Expression, FormulaError> {
        let end = self.rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(self.rest.len());
        let (digits, rest) = self.rest.split_at(end);
        let number: f64 = digits.parse().map_err(|_| FormulaError(format!("\"{digits}\" is not a number")))?;
        self.rest = rest;
        Ok(Expression::Number(number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str) -> Option<f64> {
        let series = |letter| match letter {
            'A' => Some(6.0),
            'B' => Some(4.0),
            'Z' => Some(0.0),
            _ => None,
        };
        Formula::parse(text).unwrap().evaluate(&series)
    }

    #[test]
    fn arithmetic() {
        let known = [
            ("A / B * 100", 150.0),
            ("A - B - 1", 1.0),
            ("A / B / 2", 0.75),
            ("A + B * 2", 14.0),
            ("(A + B) * 2", 20.0),
            ("-A + B", -2.0),
            ("A - -B", 10.0),
            ("2.5*A", 15.0),
            (" ( ( A ) ) ", 6.0),
        ];
        for (text, expected) in known {
            assert_eq!(value(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_has_no_value_is_null() {
        for text in ["A / Z", "A / (B - 4)", "Z / Z", "C + 1", "A * C"] {
            assert_eq!(value(text), None, "{text}");
        }
        let huge = format!("{0} * {0} * {0} * {0}", "9".repeat(100));
        assert_eq!(value(&huge), None);
    }

    #[test]
    fn refusals_are_bounded() {
        for text in ["", "A /", "A B", "AB", "a", "(A", "A)", "1.2.3", "A ** B", "A; DROP", "😀", "A__proto__"] {
            assert!(Formula::parse(text).is_err(), "{text}");
        }
        assert!(Formula::parse(&"(".repeat(400)).unwrap_err().0.contains("deeper than 32"));
        assert!(Formula::parse(&"-".repeat(400)).unwrap_err().0.contains("deeper than 32"));
        assert!(Formula::parse(&"A+".repeat(300)).unwrap_err().0.contains("at most 500"));
        let chain = format!("{}A", "A+".repeat(249));
        assert_eq!(Formula::parse(&chain).unwrap().evaluate(&|_| Some(1.0)), Some(250.0));
    }

    #[test]
    fn letters_once() {
        assert_eq!(Formula::parse("B / (A + B)").unwrap().letters(), ['A', 'B']);
    }
}
