//! `throng funnel` and `throng dashboard`: what people save to ask or look at again.

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use crate::ask::request_text;
use crate::output;
use crate::saved::{SavedArgs, body};

#[derive(Args)]
#[command(after_help = "Examples:
  export THRONG_APP=APP-1 THRONG_READ_KEY=rk_... THRONG_ADMIN_KEY=ak_...   # throng app add-key APP-1 --kind admin
  throng funnel create checkout --name Checkout --content '{\"steps\": [\"page_view\", \"add_to_cart\", \"purchase\"], \"window\": \"1d\"}'
  throng query '{\"funnel\": \"checkout\", \"range\": \"7d\"}'")]
pub(crate) struct FunnelArgs {
    #[command(subcommand)]
    command: SavedCommand,
    #[command(flatten)]
    saved: SavedArgs,
}

#[derive(Args)]
#[command(after_help = "Examples:
  throng dashboard create shop --name Shop --content board.json
  throng dashboard show shop > board.json                       # as --content takes it, in another app too

  board.json: {\"range\": \"30d\", \"tiles\": [{\"title\": \"Visitors\", \"x\": 0, \"y\": 0, \"w\": 6, \"h\": 3,
    \"call\": \"query\", \"request\": {\"metric\": \"unique_users\", \"interval\": \"day\"}}]}")]
pub(crate) struct DashboardArgs {
    #[command(subcommand)]
    command: SavedCommand,
    #[command(flatten)]
    saved: SavedArgs,
}

#[derive(Subcommand)]
enum SavedCommand {
    /// Print all of the app as JSON
    List,
    /// Print one
    Show {
        /// Its id
        id: String,
    },
    /// Save a new one
    Create {
        /// Its id: letters, digits, - and _
        id: String,
        #[command(flatten)]
        given: Given,
    },
    /// Change one: what is not given stays
    Change {
        /// Its id
        id: String,
        #[command(flatten)]
        given: Given,
    },
    /// Delete one
    Delete {
        /// Its id
        id: String,
    },
}

#[derive(Args)]
struct Given {
    /// What people call it
    #[arg(long)]
    name: Option<String>,
    /// What it is for
    #[arg(long)]
    description: Option<String>,
    /// What it holds: JSON, a file with it, or - for standard input
    #[arg(long, value_name = "JSON")]
    content: Option<String>,
}

/// Runs `throng funnel`.
pub(crate) fn run_funnel(args: &FunnelArgs) -> Result<()> {
    run(&args.command, &args.saved, "funnels", |body, content| {
        body.insert("funnel".to_owned(), Value::Object(content));
    })
}

/// Runs `throng dashboard`.
pub(crate) fn run_dashboard(args: &DashboardArgs) -> Result<()> {
    run(&args.command, &args.saved, "dashboards", |body, content| {
        // What is printed of one belongs to the one it was printed of.
        let own = ["id", "version", "updated_at"];
        for (name, value) in content.into_iter().filter(|(name, value)| !own.contains(&name.as_str()) && !value.is_null()) {
            body.entry(name).or_insert(value);
        }
    })
}

fn run(command: &SavedCommand, saved: &SavedArgs, list: &str, put: impl Fn(&mut Map<String, Value>, Map<String, Value>)) -> Result<()> {
    let calls = saved.calls(|app| format!("/api/v1/apps/{app}/{list}"))?;
    let answer = match command {
        SavedCommand::List => calls.list()?,
        SavedCommand::Show { id } => calls.show(id)?,
        SavedCommand::Create { id, given } => calls.create(id, given.body(put)?)?,
        SavedCommand::Change { id, given } => calls.change(id, given.body(put)?)?,
        SavedCommand::Delete { id } => calls.delete(id)?,
    };
    output::json(&body(answer)?)
}

impl Given {
    fn body(&self, put: impl Fn(&mut Map<String, Value>, Map<String, Value>)) -> Result<Map<String, Value>> {
        let texts = [("name", &self.name), ("description", &self.description)];
        let mut body: Map<String, Value> =
            texts.into_iter().filter_map(|(name, text)| Some((name.to_owned(), json!(text.as_ref()?)))).collect();
        if let Some(content) = &self.content {
            match serde_json::from_str(&request_text(content)?).context("--content is not JSON")? {
                Value::Object(content) => put(&mut body, content),
                _ => bail!("--content is a JSON object"),
            }
        }
        Ok(body)
    }
}
