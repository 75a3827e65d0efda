use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use crate::ask::request_text;
use crate::http_client::{Answer, HttpClient, Target};
use crate::output;
use crate::person::percent_encoded;

/// The server stops a question after 10 s; this is for its answer to arrive.
const TIMEOUT: Duration = Duration::from_secs(60);

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
    target: Target,
    /// Read key of the app, to see cohorts
    #[arg(long, global = true, value_name = "KEY", env = "THRONG_READ_KEY", hide_env_values = true, default_value = "")]
    read_key: String,
    /// Admin key of the app, to change them
    #[arg(long, global = true, value_name = "KEY", env = "THRONG_ADMIN_KEY", hide_env_values = true, default_value = "")]
    admin_key: String,
    /// Id of the app
    #[arg(long, global = true, value_name = "APP_ID", env = "THRONG_APP", default_value = "")]
    app: String,
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
    if args.app.is_empty() {
        bail!("--app is needed, or THRONG_APP");
    }
    let base = format!("/api/v1/analytics/{}/cohorts", args.app);
    let of = |id: &str| format!("{base}/{}", percent_encoded(id));
    let answer = match &args.command {
        CohortCommand::List => args.reader()?.get(&base)?,
        CohortCommand::Show { id } => args.reader()?.get(&of(id))?,
        CohortCommand::Persons { id } => return persons(&args.reader()?, &format!("{}/persons?limit=1000", of(id))),
        CohortCommand::Preview { rule, limit } => {
            let request = json!({"segment": rule_from(rule)?, "limit": limit});
            args.reader()?.post(&format!("{base}/preview"), request.to_string().as_bytes())?
        }
        CohortCommand::Create { id, content } => {
            let mut body = content.body()?;
            body.insert("id".to_owned(), json!(id));
            args.administrator()?.post(&base, Value::Object(body).to_string().as_bytes())?
        }
        CohortCommand::Change { id, content } => {
            args.administrator()?.put(&of(id), Value::Object(content.body()?).to_string().as_bytes())?
        }
        CohortCommand::Delete { id } => args.administrator()?.delete(&of(id))?,
    };
    output::json(&body(answer)?)
}

impl CohortArgs {
    fn reader(&self) -> Result<HttpClient> {
        if self.read_key.is_empty() {
            bail!("--read-key is needed, or THRONG_READ_KEY");
        }
        HttpClient::new(&self.target, &self.read_key, TIMEOUT)
    }

    fn administrator(&self) -> Result<HttpClient> {
        if self.admin_key.is_empty() {
            bail!("--admin-key is needed, or THRONG_ADMIN_KEY: `throng app add-key APP_ID --kind admin` makes a key");
        }
        HttpClient::new(&self.target, &self.admin_key, TIMEOUT)
    }
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

fn body(answer: Answer) -> Result<Value> {
    if !(200..300).contains(&answer.status) {
        bail!("{}", answer.error_text());
    }
    Ok(answer.body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_lines() {
        assert_eq!(ids("U1\r\n\n  U 2 \nU3"), json!(["U1", "U 2", "U3"]));
    }
}
