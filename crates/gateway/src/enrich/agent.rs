use std::sync::Arc;

use quick_cache::sync::Cache;
use woothee::parser::Parser;

/// What a user agent tells.
#[derive(Debug, PartialEq, Eq, Default)]
pub(crate) struct Agent {
    pub(crate) browser: Option<String>,
    pub(crate) os: Option<String>,
    /// `desktop`, `mobile`, `tablet`, `console`, `bot` or `other`.
    pub(crate) device_type: Option<&'static str>,
    /// The sending library: `web` for a browser, else the first product of the user agent, such as `python-requests`.
    pub(crate) lib: Option<String>,
}

/// Analyses user agents and remembers the answers; the same few thousand strings come again and again.
pub(crate) struct Agents {
    parser: Parser,
    known: Cache<String, Arc<Agent>>,
}

/// A longer user agent is analysed up to here.
const MAX_USER_AGENT_BYTES: usize = 512;
const MAX_LIB_BYTES: usize = 64;

impl Agents {
    pub(crate) fn new(max_cached: usize) -> Self {
        Self { parser: Parser::new(), known: Cache::new(max_cached.max(1)) }
    }

    pub(crate) fn analyse(&self, user_agent: &str) -> Arc<Agent> {
        let user_agent = &user_agent[..user_agent.floor_char_boundary(MAX_USER_AGENT_BYTES)];
        if let Some(agent) = self.known.get(user_agent) {
            return agent;
        }
        let agent = Arc::new(self.parse(user_agent));
        self.known.insert(user_agent.to_owned(), Arc::clone(&agent));
        agent
    }

    fn parse(&self, user_agent: &str) -> Agent {
        let known = |text: &str| (!text.is_empty() && text != woothee::woothee::VALUE_UNKNOWN).then(|| text.to_owned());
        let Some(found) = self.parser.parse(user_agent) else {
            return Agent { lib: first_product(user_agent), ..Agent::default() };
        };
        let browser = known(found.name).filter(|_| found.browser_type == "browser");
        let lib = if browser.is_some() && found.category != "crawler" { Some("web".to_owned()) } else { first_product(user_agent) };
        Agent { browser, os: known(found.os), device_type: device_type(found.category, user_agent), lib }
    }
}

fn device_type(category: &str, user_agent: &str) -> Option<&'static str> {
    let is_tablet =
        user_agent.contains("iPad") || user_agent.contains("Tablet") || (user_agent.contains("Android") && !user_agent.contains("Mobile"));
    match category {
        "smartphone" | "mobilephone" | "pc" if is_tablet => Some("tablet"),
        "smartphone" | "mobilephone" => Some("mobile"),
        "pc" => Some("desktop"),
        "appliance" => Some("console"),
        "crawler" => Some("bot"),
        "misc" => Some("other"),
        _ => None,
    }
}

fn first_product(user_agent: &str) -> Option<String> {
    let end = user_agent.find(['/', ' ', '(', ';']).unwrap_or(user_agent.len());
    let product = &user_agent[..end];
    (!product.is_empty() && product.len() <= MAX_LIB_BYTES).then(|| product.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(user_agent: &str, browser: Option<&str>, os: Option<&str>, device_type: Option<&str>, lib: Option<&str>) {
        let agent = Agents::new(10).analyse(user_agent);
        let found = (agent.browser.as_deref(), agent.os.as_deref(), agent.device_type, agent.lib.as_deref());
        assert_eq!(found, (browser, os, device_type, lib), "{user_agent}");
    }

    #[test]
    fn agents() {
        check(
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36",
            Some("Chrome"),
            Some("Windows 10"),
            Some("desktop"),
            Some("web"),
        );
        check(
            "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1",
            Some("Safari"),
            Some("iPhone"),
            Some("mobile"),
            Some("web"),
        );
        check(
            "Mozilla/5.0 (Linux; Android 13; SM-X700) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36",
            Some("Chrome"),
            Some("Android"),
            Some("tablet"),
            Some("web"),
        );
        check("python-requests/2.31.0", None, None, None, Some("python-requests"));
        check("", None, None, None, None);
    }

    #[test]
    fn hostile_agents_are_bounded() {
        let agents = Agents::new(100);
        for i in 0..1000 {
            agents.analyse(&format!("{i}{}", "é(;/".repeat(5000)));
        }
        assert!(agents.known.len() <= 100);
    }
}
