use anyhow::{Context, Result};

use super::Config;
use super::sections::{
    ApiConfig, EventLogConfig, EventStoreConfig, GatewayConfig, LogConfig, MetadataStoreConfig, QueryConfig, RealtimeStoreConfig,
    ServerConfig, StreamConfig, TierConfig,
};

const HEAD: &str = "# Configuration

One TOML file, `throng serve --config FILE`. Every key has a default, so no file is needed; an unknown key is an error. What is typed
on the command line wins over the file. `throng config` prints what is in effect.

This page is written by `throng config --reference`.
";

type Section = (&'static str, &'static str, &'static [(&'static str, &'static str)]);

const SECTIONS: [Section; 11] = [
    ("server", ServerConfig::ABOUT, ServerConfig::KEYS),
    ("log", LogConfig::ABOUT, LogConfig::KEYS),
    ("gateway", GatewayConfig::ABOUT, GatewayConfig::KEYS),
    ("event_log", EventLogConfig::ABOUT, EventLogConfig::KEYS),
    ("stream", StreamConfig::ABOUT, StreamConfig::KEYS),
    ("event_store", EventStoreConfig::ABOUT, EventStoreConfig::KEYS),
    ("event_store.tier", TierConfig::ABOUT, TierConfig::KEYS),
    ("realtime_store", RealtimeStoreConfig::ABOUT, RealtimeStoreConfig::KEYS),
    ("metadata_store", MetadataStoreConfig::ABOUT, MetadataStoreConfig::KEYS),
    ("query", QueryConfig::ABOUT, QueryConfig::KEYS),
    ("api", ApiConfig::ABOUT, ApiConfig::KEYS),
];

/// The reference of all keys as Markdown.
pub(super) fn markdown() -> Result<String> {
    let defaults = toml::Table::try_from(Config::default())?;
    let mut page = HEAD.to_owned();
    for (name, about, keys) in SECTIONS {
        page += &format!("\n## [{name}]\n\n{}\n\n| key | default | meaning |\n|---|---|---|\n", about.trim());
        let section =
            name.split('.').try_fold(&defaults, |table, part| table.get(part)?.as_table()).with_context(|| format!("section {name}"))?;
        for (key, meaning) in keys {
            if section.get(*key).is_some_and(toml::Value::is_table) {
                continue;
            }
            // Keys without a default are left out of the table by the writer.
            let default = section.get(*key).map_or("not set".to_owned(), |value| format!("`{value}`"));
            page += &format!("| `{key}` | {default} | {} |\n", meaning.trim());
        }
    }
    Ok(page)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_section_and_key_is_described() {
        let page = markdown().unwrap();
        let defaults = toml::Table::try_from(Config::default()).unwrap();
        assert_eq!(defaults.len(), SECTIONS.iter().filter(|(name, ..)| !name.contains('.')).count());
        for (name, section) in &defaults {
            assert!(page.contains(&format!("## [{name}]")), "{name}");
            for (key, value) in section.as_table().unwrap() {
                let described = value.is_table() && page.contains(&format!("## [{name}.{key}]"));
                assert!(described || page.contains(&format!("| `{key}` |")), "{name}.{key}");
            }
        }
    }

    #[test]
    fn the_page_in_docs_is_this_one() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/configuration.md");
        let stored = std::fs::read_to_string(path).unwrap();
        assert_eq!(stored.trim_end(), markdown().unwrap().trim_end(), "run: throng config --reference > docs/configuration.md");
    }
}
