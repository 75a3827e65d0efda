//! Which crate may depend on which, and which crates alone may see a heavy or dangerous library.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use super::Finding;

/// `(crate, crates of ours it may depend on)`; the table of ARCHITECTURE.md.
const ARROWS: [(&str, &[&str]); 14] = [
    ("kill-point", &[]),
    ("event", &[]),
    ("event-log", &[]),
    ("gateway", &["event", "event-log"]),
    ("event-store", &["event"]),
    ("event-store-parquet", &["event", "event-store", "kill-point"]),
    ("event-store-tier", &["event-store-parquet"]),
    ("realtime-store", &["event"]),
    ("stream", &["event", "event-log", "event-store", "kill-point", "realtime-store"]),
    ("metadata-store", &["event"]),
    ("export", &["event", "event-store"]),
    ("sql", &["event", "event-store"]),
    ("query", &["event", "event-store", "export", "sql"]),
    ("api", &["event", "event-store", "realtime-store", "metadata-store", "query"]),
];

/// `(library, crates that may see it)`.
const WALLED: [(&str, &[&str]); 9] = [
    ("parquet", &["event-store-parquet", "export", "server"]),
    ("arrow", &["event-store-parquet", "export", "server"]),
    ("datafusion", &["sql"]),
    ("rusqlite", &["event-store-parquet", "metadata-store"]),
    ("axum", &["gateway", "api", "server", "e2e"]),
    ("object_store", &["event-store-tier"]),
    ("reqwest", &["event-store-tier"]),
    ("maxminddb", &["gateway"]),
    ("clap", &["server"]),
];

/// Reads every crate's manifest and checks its dependencies. Tests may look at any crate: they prove contracts on real ones.
pub fn check(root: &Path) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for entry in fs::read_dir(root.join("crates"))? {
        let folder = entry?.path();
        let manifest = folder.join("Cargo.toml");
        let text = fs::read_to_string(&manifest).with_context(|| manifest.display().to_string())?;
        let parsed: toml::Table = text.parse().with_context(|| manifest.display().to_string())?;
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let dependencies: Vec<&str> = parsed
            .get("dependencies")
            .and_then(|table| table.as_table())
            .map(|table| table.keys().map(String::as_str).collect())
            .unwrap_or_default();
        findings.extend(check_one(&name, &dependencies));
    }
    Ok(findings)
}

fn check_one(name: &str, dependencies: &[&str]) -> Vec<Finding> {
    let place = format!("crates/{name}/Cargo.toml");
    let ours = |dependency: &str| ARROWS.iter().any(|(known, _)| *known == dependency);
    let allowed = ARROWS.iter().find(|(known, _)| *known == name).map(|(_, allowed)| *allowed);
    let mut findings = Vec::new();
    for &dependency in dependencies {
        if let Some(allowed) = allowed
            && ours(dependency)
            && !allowed.contains(&dependency)
        {
            findings.push(Finding::new(&place, format!("{name} must not depend on {dependency}: see the map in ARCHITECTURE.md")));
        }
        if let Some((_, seers)) = WALLED.iter().find(|(library, _)| *library == dependency)
            && !seers.contains(&name)
        {
            findings.push(Finding::new(&place, format!("{dependency} may be seen by {} only", seers.join(", "))));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forbidden_arrow_is_found() {
        assert!(check_one("gateway", &["event", "event-log", "axum"]).is_empty());
        assert_eq!(check_one("gateway", &["query"]).len(), 1);
        assert_eq!(check_one("query", &["parquet", "event-store-parquet"]).len(), 2);
        assert!(check_one("server", &["event-store-parquet", "parquet"]).is_empty());
    }
}
