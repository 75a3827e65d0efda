use datafusion::sql::sqlparser::ast::{AccessExpr, Expr, Ident, Subscript, Value};

/// The column that properties are read from.
pub(super) const PROPERTIES: &str = "properties";
/// Begins the name of a column that stands for a property; no other name can have it, for it cannot be written in a statement.
const MARK: char = '\u{1}';

/// As what the value of a property is read. Values of another type are NULL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Reading {
    /// Any value, as text: text as it is, the rest as JSON.
    Any,
    /// Text only.
    Text,
    /// Numbers, as a float.
    Number,
    /// Whole numbers that fit 64 bits, exactly.
    Integer,
    /// Booleans.
    Boolean,
}

impl Reading {
    const NAMED: [(&'static str, Self); 5] =
        [("any", Self::Any), ("text", Self::Text), ("number", Self::Number), ("integer", Self::Integer), ("boolean", Self::Boolean)];

    /// The reading that a function of this name asks for.
    pub(crate) fn of_function(name: &str) -> Option<Self> {
        Self::NAMED.iter().skip(1).find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, reading)| *reading)
    }

    fn name(self) -> &'static str {
        Self::NAMED.iter().find(|(_, reading)| *reading == self).map_or("", |(name, _)| name)
    }
}

/// A property as a statement reads it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Property {
    pub name: String,
    pub reading: Reading,
}

impl Property {
    /// The name of its column.
    pub(crate) fn column(&self) -> String {
        format!("{MARK}{}{MARK}{}", self.reading.name(), self.name)
    }
}

/// How the column of a property is written in a statement; `None` for any other column.
pub(crate) fn shown_property(column: &str) -> Option<String> {
    let (reading, name) = column.strip_prefix(MARK)?.split_once(MARK)?;
    let access = format!("{PROPERTIES}['{}']", name.replace('\'', "''"));
    Some(if reading == Reading::Any.name() { access } else { format!("{reading}({access})") })
}

/// A place in a statement that reads a property: `properties['x']`, `e.properties['x']`, `properties.x`.
pub(super) struct Access {
    pub table: Option<Ident>,
    pub name: String,
}

/// Whether this reads a property, and which.
pub(super) fn access(expr: &Expr) -> Option<Access> {
    let is_properties = |ident: &Ident| ident.value.eq_ignore_ascii_case(PROPERTIES);
    match expr {
        Expr::Nested(inner) => access(inner),
        Expr::CompoundIdentifier(names) => match names.as_slice() {
            [properties, name] if is_properties(properties) => Some(Access { table: None, name: name.value.clone() }),
            [table, properties, name] if is_properties(properties) => Some(Access { table: Some(table.clone()), name: name.value.clone() }),
            _ => None,
        },
        Expr::CompoundFieldAccess { root, access_chain } => {
            let mut path: Vec<&Ident> = match root.as_ref() {
                Expr::Identifier(name) => vec![name],
                Expr::CompoundIdentifier(names) => names.iter().collect(),
                _ => return None,
            };
            let (last, dots) = access_chain.split_last()?;
            for dot in dots {
                let AccessExpr::Dot(Expr::Identifier(name)) = dot else { return None };
                path.push(name);
            }
            let name = match last {
                AccessExpr::Subscript(Subscript::Index { index: Expr::Value(value) }) => match &value.value {
                    Value::SingleQuotedString(text) => text.clone(),
                    _ => return None,
                },
                AccessExpr::Dot(Expr::Identifier(name)) => name.value.clone(),
                _ => return None,
            };
            match path.as_slice() {
                [properties] if is_properties(properties) => Some(Access { table: None, name }),
                [table, properties] if is_properties(properties) => Some(Access { table: Some((*table).clone()), name }),
                _ => None,
            }
        }
        _ => None,
    }
}
