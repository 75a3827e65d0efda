use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

/// An embedded backend, named by a URL such as `file:` (inside the data folder) or `file:/var/lib/throng/log`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Embedded {
    path: Option<PathBuf>,
}

impl Embedded {
    /// Reads the URL of `key`, whose embedded scheme is `scheme`; `distributed` are the schemes that the same key will take one day.
    pub(super) fn parse(key: &str, url: &str, scheme: &str, distributed: &[&str]) -> Result<Self> {
        let Some((given, path)) = url.split_once(':') else {
            bail!("{key}: {url:?} is not a URL: use \"{scheme}:\"");
        };
        if distributed.contains(&given) {
            bail!("{key}: this version has no {given} backend: use \"{scheme}:\"");
        }
        if given != scheme {
            bail!("{key}: unknown scheme {given:?}: use \"{scheme}:\"");
        }
        if scheme == "memory" && !path.is_empty() {
            bail!("{key}: \"memory:\" has no path");
        }
        let path = path.strip_prefix("//").unwrap_or(path);
        Ok(Self { path: (!path.is_empty()).then(|| PathBuf::from(path)) })
    }

    /// Where it lies, `inside` being its place in the data folder.
    pub(crate) fn path_or(&self, inside: &Path) -> PathBuf {
        self.path.clone().unwrap_or_else(|| inside.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls() {
        let path = |url: &str| Embedded::parse("event_log.url", url, "file", &["kafka"]).map(|b| b.path_or(Path::new("data/log")));
        assert_eq!(path("file:").unwrap(), Path::new("data/log"));
        assert_eq!(path("file:elsewhere").unwrap(), Path::new("elsewhere"));
        assert_eq!(path("file:///var/log").unwrap(), Path::new("/var/log"));
        assert!(path("kafka://b:9092").unwrap_err().to_string().contains("no kafka backend"));
        assert!(path("/var/log").is_err() && path("ftp:x").is_err());
    }
}
