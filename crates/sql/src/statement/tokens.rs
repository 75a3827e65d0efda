use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer};

use super::dialect::ThrongDialect;
use crate::error::SqlError;
use crate::limits::{MAX_BRACKET_DEPTH, MAX_DOTTED_NAMES, MAX_STATEMENT_BYTES, MAX_TOKENS};

/// The tokens of a statement that is small and flat enough to be parsed.
pub(super) fn bounded(text: &str) -> Result<Vec<TokenWithSpan>, SqlError> {
    if text.len() > MAX_STATEMENT_BYTES {
        return Err(SqlError::too_large(format!("the statement has {} bytes, at most {MAX_STATEMENT_BYTES} are allowed", text.len())));
    }
    if text.contains('\0') {
        return Err(SqlError::invalid("the statement has a NUL character: remove it"));
    }
    let tokens = Tokenizer::new(&ThrongDialect, text)
        .tokenize_with_location()
        .map_err(|error| SqlError::invalid(format!("this is not SQL that can be read: {error}")))?;
    let (mut count, mut depth, mut dots) = (0, 0_usize, 0);
    let mut was_name = false;
    for token in &tokens {
        match &token.token {
            Token::Whitespace(_) => continue,
            Token::LParen | Token::LBracket | Token::LBrace => depth += 1,
            Token::RParen | Token::RBracket | Token::RBrace => depth = depth.saturating_sub(1),
            _ => {}
        }
        count += 1;
        // `a.b.c` may be parsed in two ways at each dot.
        dots = match &token.token {
            Token::Period => dots + 1,
            Token::Word(_) | Token::SingleQuotedString(_) if !was_name => dots,
            _ => 0,
        };
        was_name = matches!(&token.token, Token::Word(_) | Token::SingleQuotedString(_));
        if depth > MAX_BRACKET_DEPTH {
            return Err(SqlError::too_large(format!(
                "brackets nest deeper than {MAX_BRACKET_DEPTH} levels: name inner queries with WITH ... AS (...)"
            )));
        }
        if dots >= MAX_DOTTED_NAMES {
            return Err(SqlError::invalid(format!(
                "more than {MAX_DOTTED_NAMES} names are joined by dots: a column is column or table.column, a property properties['name']"
            )));
        }
        if count > MAX_TOKENS {
            return Err(SqlError::too_large(format!("the statement has more than {MAX_TOKENS} words and signs: write a shorter one")));
        }
    }
    Ok(tokens)
}
