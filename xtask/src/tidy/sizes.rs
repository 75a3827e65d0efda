//! A file fits a head, a function fits a screen.

use super::{Finding, Source};

const MAX_FILE_LINES: usize = 800;
const MAX_FUNCTION_LINES: usize = 70;

/// Checks the length of every file and of every function. Functions are found by indentation, which rustfmt guarantees.
pub fn check(sources: &[Source]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in sources {
        let lines = source.text.lines().count();
        if lines > MAX_FILE_LINES {
            findings.push(Finding::new(&source.path, format!("{lines} lines, at most {MAX_FILE_LINES}: split it by concept")));
        }
        for (line, name, length) in long_functions(&source.text) {
            let place = format!("{}:{line}", source.path);
            findings.push(Finding::new(place, format!("fn {name} has {length} lines, at most {MAX_FUNCTION_LINES}")));
        }
    }
    findings
}

fn long_functions(text: &str) -> Vec<(usize, String, usize)> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    for (start, line) in lines.iter().enumerate() {
        let Some(name) = function_name(line) else { continue };
        let indent = line.len() - line.trim_start().len();
        let closes = |candidate: &&str| candidate.trim_end() == format!("{}}}", &line[..indent]);
        let one_line = line.trim_end().ends_with('}') || line.trim_end().ends_with(';');
        let Some(length) = lines[start..].iter().position(closes) else { continue };
        if !one_line && length + 1 > MAX_FUNCTION_LINES {
            found.push((start + 1, name, length + 1));
        }
    }
    found
}

fn function_name(line: &str) -> Option<String> {
    const MODIFIERS: [&str; 7] = ["pub ", "pub(crate) ", "pub(super) ", "const ", "async ", "unsafe ", "extern \"C\" "];
    let mut rest = line.trim_start();
    while let Some(stripped) = MODIFIERS.iter().find_map(|modifier| rest.strip_prefix(modifier)) {
        rest = stripped;
    }
    let rest = rest.strip_prefix("fn ")?;
    Some(rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_function_is_found_where_it_starts() {
        let body = "        work();\n".repeat(MAX_FUNCTION_LINES);
        let text = format!("impl X {{\n    pub async fn long(\n        &self,\n    ) {{\n{body}    }}\n\n    fn short() {{\n    }}\n}}\n");
        let found = long_functions(&text);
        assert_eq!(found, [(2, "long".to_owned(), MAX_FUNCTION_LINES + 4)]);
    }
}
