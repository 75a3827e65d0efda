//! What the cases of every analysis have in common: an app for each, and one list of what is wrong.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use e2e::{App, Client, Throng, cases};
use serde_json::{Value, json};

/// One case on its way: its app has its events.
pub struct Asked<'a> {
    pub client: &'a Client,
    pub app: App,
    pub case: &'a Value,
}

impl Asked<'_> {
    /// An answer, which must be exact and complete.
    pub fn ask(&self, call: &str, request: &Value) -> Result<Value> {
        let answer = self.client.ask(&self.app, call, request)?;
        ensure!((&answer["exact"], &answer["complete"]) == (&json!(true), &json!(true)), "{answer}");
        Ok(answer)
    }
}

/// The cases of an analysis, and those of them in which our rule differs by choice.
pub struct Family {
    pub types: &'static [&'static str],
    /// As many as there are, so that none is passed over.
    pub at_least: usize,
    pub listed: BTreeMap<String, Value>,
}

impl Family {
    /// Checks every case in an app made with `options`; one that is listed is given with its entry.
    pub fn check(
        &self,
        options: impl Fn(&Value) -> &'static [&'static str],
        mut check: impl FnMut(&Asked<'_>, Option<&Value>) -> Result<()>,
    ) -> Result<()> {
        let cases = cases::of_types(self.types)?;
        if cases.is_empty() {
            return Ok(());
        }
        let server = Throng::start(&[])?;
        let client = server.client();
        let mut wrong = Vec::new();
        for (id, case) in &cases {
            let app = cases::load(&server, &client, case, options(case))?;
            let asked = Asked { client: &client, app, case };
            if let Err(error) = check(&asked, self.listed.get(id)) {
                wrong.push(format!("{id}: {error:#}"));
            }
        }
        println!("{} cases of {}: {} differ by choice", cases.len(), self.types.join(", "), self.listed.len());
        ensure!(self.listed.keys().all(|id| cases.contains_key(id)), "a listed case is gone");
        ensure!(wrong.is_empty(), "{} of {} cases:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
        ensure!(cases.len() >= self.at_least, "only {} cases", cases.len());
        Ok(())
    }
}

/// A listed case says why, and our answer is not its own.
pub fn differs(listed: &Value, own_answer: &Result<()>) -> Result<()> {
    listed["reason"].as_str().context("a reason")?;
    ensure!(own_answer.is_err(), "it is listed and has the expected answer");
    Ok(())
}
