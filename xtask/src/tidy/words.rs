//! Names that say nothing, markers of unfinished work, and the three sentences at the top of each crate.

use std::path::Path;

use super::{Finding, Source};

/// File and module names that collect whatever has no home.
const BANNED_NAMES: [&str; 6] = ["common", "utils", "util", "helpers", "manager", "misc"];

/// Markers, in two halves so that this file does not find itself.
const BANNED_TEXT: [(&str, &str, &str); 5] = [
    ("TO", "DO", "finish it, or open an issue"),
    ("FIX", "ME", "fix it, or open an issue"),
    ("XX", "X", "say what is wrong, or fix it"),
    ("unimpl", "emented!(", "build it or leave it out"),
    ("#[ign", "ore", "a test that does not run proves nothing"),
];

/// Checks names, markers and the heads of crates.
pub fn check(root: &Path, sources: &[Source]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in sources {
        findings.extend(check_name(&source.path));
        findings.extend(check_text(source));
        findings.extend(check_head(source));
    }
    for document in ["README.md", "ARCHITECTURE.md", "LICENSE", "docs/semantics.md", "docs/formats.md", "docs/benchmarks.md"] {
        if !root.join(document).is_file() {
            findings.push(Finding::new(document, "is missing"));
        }
    }
    findings
}

fn check_name(path: &str) -> Option<Finding> {
    let stem = Path::new(path).file_stem()?.to_str()?;
    let versioned = stem.rsplit_once("_v").is_some_and(|(_, version)| !version.is_empty() && version.bytes().all(|b| b.is_ascii_digit()));
    let banned = BANNED_NAMES.iter().any(|name| Path::new(path).with_extension("").components().any(|part| part.as_os_str() == *name));
    (banned || versioned).then(|| Finding::new(path, "the name says nothing: name the concept inside"))
}

fn check_text(source: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (number, line) in source.text.lines().enumerate() {
        for (left, right, way_out) in BANNED_TEXT {
            let marker = format!("{left}{right}");
            if line.contains(&marker) {
                findings.push(Finding::new(format!("{}:{}", source.path, number + 1), format!("{marker}: {way_out}")));
            }
        }
    }
    findings
}

/// Every library says first what it takes, gives and does not know.
fn check_head(source: &Source) -> Option<Finding> {
    if !source.path.ends_with("src/lib.rs") {
        return None;
    }
    let head: String = source.text.lines().take_while(|line| line.starts_with("//!")).collect();
    let missing: Vec<&str> = ["Takes ", "Gives ", "Knows nothing of "].into_iter().filter(|words| !head.contains(words)).collect();
    (!missing.is_empty()).then(|| Finding::new(&source.path, format!("the head lacks: {}", missing.join(", "))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(path: &str, text: &str) -> Source {
        Source { path: path.to_owned(), text: text.to_owned() }
    }

    #[test]
    fn names_and_markers() {
        assert!(check_name("crates/x/src/utils.rs").is_some());
        assert!(check_name("crates/x/src/misc/row.rs").is_some());
        assert!(check_name("crates/x/src/plan_v2.rs").is_some());
        assert!(check_name("crates/x/src/plan.rs").is_none());
        assert_eq!(check_text(&source("a.rs", &format!("// {}{}: later", "TO", "DO"))).len(), 1);
    }

    #[test]
    fn heads() {
        assert!(check_head(&source("crates/x/src/lib.rs", "//! Takes a.\n//! Gives b.\n//! Knows nothing of c.\n")).is_none());
        assert!(check_head(&source("crates/x/src/lib.rs", "//! Things.\n")).is_some());
        assert!(check_head(&source("crates/x/src/plan.rs", "//! Things.\n")).is_none());
    }
}
