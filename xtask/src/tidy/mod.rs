//! The house rules as code: arrows between crates, sizes, names, words at the top of each crate.
//!
//! Each rule is a function from the tree to a list of findings, so that adding a rule is adding a function.

mod arrows;
mod sizes;
mod words;

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// One breach of a rule, with the place and the way out.
#[derive(Debug, PartialEq, Eq)]
pub struct Finding {
    place: String,
    message: String,
}

impl Finding {
    fn new(place: impl Into<String>, message: impl Into<String>) -> Self {
        Self { place: place.into(), message: message.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.message)
    }
}

/// A source file, path relative to the checkout.
pub struct Source {
    path: String,
    text: String,
}

/// Checks everything and fails with the list of findings.
pub fn run(root: &Path) -> Result<()> {
    let sources = rust_sources(root)?;
    let mut findings = arrows::check(root)?;
    findings.extend(sizes::check(&sources));
    findings.extend(words::check(root, &sources));
    if findings.is_empty() {
        let lines: usize = sources.iter().map(|source| source.text.lines().count()).sum();
        eprintln!("tidy: {} Rust files, {lines} lines, no findings", sources.len());
        return Ok(());
    }
    for finding in &findings {
        eprintln!("{finding}");
    }
    bail!("tidy: {} findings", findings.len());
}

fn rust_sources(root: &Path) -> Result<Vec<Source>> {
    let mut sources = Vec::new();
    let mut folders: Vec<PathBuf> = vec![root.join("crates"), root.join("xtask")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
                let path = path.strip_prefix(root)?.display().to_string();
                sources.push(Source { path, text });
            }
        }
    }
    sources.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(sources)
}
