//! The text of a statement: bounded, parsed, checked against what is allowed, and rewritten where it reads properties.

mod allowed;
mod dialect;
mod property;
mod rewrite;
mod tokens;
mod weigh;

use datafusion::sql::sqlparser::ast::Statement;
use datafusion::sql::sqlparser::parser::{Parser, ParserError};

pub(crate) use property::{Property, Reading, shown_property};

use crate::error::SqlError;
use crate::functions::Functions;
use crate::limits::MAX_PARSER_DEPTH;

/// The only names that can be read.
pub(crate) const VIEWS: [&str; 3] = ["events", "sessions", "persons"];

/// A statement that may be planned.
pub(crate) struct Read {
    pub statement: Statement,
    /// The properties it reads, each once.
    pub properties: Vec<Property>,
}

/// Reads a statement. Needs a stack of [`crate::limits::PLANNER_STACK_BYTES`].
///
/// # Errors
/// What is wrong, or which bound was passed.
pub(crate) fn read(text: &str, functions: &Functions) -> Result<Read, SqlError> {
    let tokens = tokens::bounded(text)?;
    let mut parser = Parser::new(&dialect::ThrongDialect).with_recursion_limit(MAX_PARSER_DEPTH).with_tokens_with_locations(tokens);
    let mut statements = parser.parse_statements().map_err(|error| parse_error(&error))?;
    let statement = match (statements.pop(), statements.is_empty()) {
        (Some(statement), true) => statement,
        (Some(_), false) => return Err(SqlError::refused("one statement at a time: remove everything after the first ;")),
        (None, _) => return Err(SqlError::invalid("the statement is empty: write a SELECT, such as SELECT count(*) FROM events")),
    };
    let Statement::Query(mut query) = statement else {
        let word = text.split_whitespace().next().unwrap_or_default();
        let word: String = word.chars().filter(|c| c.is_ascii_alphabetic()).take(20).collect();
        return Err(SqlError::refused(format!("{} is not available: only SELECT (with WITH and UNION) reads here", word.to_uppercase())));
    };
    weigh::check(&query, functions)?;
    let properties = rewrite::properties(&mut query)?;
    Ok(Read { statement: Statement::Query(query), properties })
}

fn parse_error(error: &ParserError) -> SqlError {
    match error {
        ParserError::RecursionLimitExceeded => {
            SqlError::too_large(format!("the statement nests deeper than {MAX_PARSER_DEPTH} levels: write it flatter"))
        }
        ParserError::ParserError(message) | ParserError::TokenizerError(message) => {
            let message: String = message.chars().take(300).collect();
            SqlError::invalid(format!("this is not SQL that can be read: {message}"))
        }
    }
}

/// The known name that `written` most likely stands for.
pub(crate) fn nearest<'n>(written: &str, known: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    const MAX_COMPARED_BYTES: usize = 40;
    const MIN_LIKENESS: f64 = 0.6;
    if written.len() > MAX_COMPARED_BYTES {
        return None;
    }
    let likeness = |name: &str| datafusion::common::utils::datafusion_strsim::normalized_levenshtein(&written.to_lowercase(), name);
    let scored = known.map(|name| (likeness(name), name));
    scored.filter(|(likeness, _)| *likeness >= MIN_LIKENESS).max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, name)| name)
}
