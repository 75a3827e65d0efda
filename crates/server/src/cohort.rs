use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use crate::ask::request_text;
use crate::http_client::HttpClient;
use crate::output;
use crate::person::percent_encoded;
use crate::saved::{SavedArgs, body};

#[derive(Args)]
#[command(after_help = "Examples:
  export THRONG_APP=APP-1 THRONG_READ_KEY=rk_... THRONG_ADMIN_KEY=ak_...   # throng app add-key APP-1 --kind admin
  throng cohort create buyers --name \"Bought twice\" --rule '{\"did\": \"purchase\", \"at_least\": 2, \"range\": \"30d\"}'
  throng cohort create testers --name Testers --persons testers.txt
  throng cohort show buyers
  throng query '{\"metric\": \"unique_users\", \"segment\": \"buyers\", \"interval\": \"day\", \"range\": \"30d\"}'")]
pub(crate) struct CohortArgs {
    #[command(subcommand)]
    command: CohortCommand,
    #[command(flatten)]
    saved: SavedArgs,
}

#[derive(Subcommand)]
enum CohortCommand {
    /// Print the app's cohorts as JSON
    #[command(after_help = "Example:\n  throng cohort list")]
    List,
    /// Print a cohort, its rule, and how many are in it now
    #[command(after_help = "Example:\n  throng cohort show buyers")]
    Show {
        /// The cohort's id
        id: String,
    },
    /// Print the ids of the persons in a cohort, a line each
    #[command(after_help = "Example:\n  throng cohort persons buyers > buyers.txt")]
    Persons {
        /// The cohort's id
        id: String,
    },
    /// Print who would be in a cohort with this rule
    #[command(after_help = "Example:\n  throng cohort preview '{\"did_not\": \"purchase\", \"range\": \"90d\"}'")]
    Preview {
        /// The rule: JSON, a file, or - for standard input
        rule: String,
        /// Persons at most; 0 only counts them
        #[arg(long, default_value_t = 10)]
        limit: u32,
    },
    /// Save a new cohort
    #[command(after_help = "Examples:
  throng cohort create buyers --name \"Bought twice\" --rule '{\"did\": \"purchase\", \"at_least\": 2, \"range\": \"30d\"}'
  throng cohort create testers --name Testers --persons testers.txt")]
    Create {
        /// The cohort's id: letters, digits, - and _
        id: String,
        #[command(flatten)]
        content: Content,
    },
    /// Change a cohort
    #[command(after_help = "Example:\n  throng cohort change buyers --name \"Bought twice this quarter\"")]
    Change {
        /// The cohort's id
        id: String,
        #[command(flatten)]
        content: Content,
    },
    /// Delete a cohort that no other is made of
    #[command(after_help = "Example:\n  throng cohort delete buyers")]
    Delete {
        /// The cohort's id
        id: String,
    },
}

#[derive(Args)]
struct Content {
    /// What people call it
    #[arg(long)]
    name: Option<String>,
    /// Who is in it: a rule as JSON, a file with one, or - for standard input
    #[arg(long, conflicts_with = "persons")]
    rule: Option<String>,
    /// Who is in it: a file with one id a line, or - for standard input
    #[arg(long, value_name = "FILE")]
    persons: Option<String>,
}

/// Runs `throng cohort`.
pub(crate) fn run(args: &CohortArgs) -> Result<()> {
    let calls = args.saved.calls(|app| format!("/api/v1/analytics/{app}/cohorts"))?;
    let answer = match &args.command {
        CohortCommand::List => calls.list()?,
        CohortCommand::Show { id } => calls.show(id)?,
        CohortCommand::Persons { id } => return persons(&args.saved.reader()?, &format!("{}/persons?limit=1000", calls.place(id))),
        CohortCommand::Preview { rule, limit } => calls.ask("preview", &json!({"segment": rule_from(rule)?, "limit": limit}))?,
        CohortCommand::Create { id, content } => calls.create(id, content.body()?)?,
        CohortCommand::Change { id, content } => calls.change(id, content.body()?)?,
        CohortCommand::Delete { id } => calls.delete(id)?,
    };
    output::json(&body(answer)?)
}

impl Content {
    fn body(&self) -> Result<Map<String, Value>> {
        let mut body = Map::new();
        body.extend(self.name.as_ref().map(|name| ("name".to_owned(), json!(name))));
        if let Some(rule) = &self.rule {
            body.insert("rule".to_owned(), rule_from(rule)?);
        }
        if let Some(file) = &self.persons {
            let ids = ids(&request_text(file)?);
            if ids.as_array().is_some_and(Vec::is_empty) {
                bail!("{file} has no ids: write one a line");
            }
            body.insert("persons".to_owned(), ids);
        }
        Ok(body)
    }
}

fn rule_from(argument: &str) -> Result<Value> {
    serde_json::from_str(&request_text(argument)?).context("the rule is not JSON")
}

/// One id a line, without the spaces around it.
fn ids(text: &str) -> Value {
    // Some editors begin a file with a mark of its encoding.
    text.trim_start_matches('\u{feff}').lines().map(str::trim).filter(|line| !line.is_empty()).collect()
}

/// Prints page after page.
fn persons(client: &HttpClient, first: &str) -> Result<()> {
    let mut path = first.to_owned();
    loop {
        let page = body(client.get(&path)?)?;
        for person in page["persons"].as_array().into_iter().flatten().filter_map(|person| person["person"].as_str()) {
            output::line(person)?;
        }
        match page["next_cursor"].as_str() {
            Some(cursor) => path = format!("{first}&cursor={}", percent_encoded(cursor)),
            None => return Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_lines() {
        assert_eq!(ids("U1\r\n\n  U 2 \nU3"), json!(["U1", "U 2", "U3"]));
    }
}
