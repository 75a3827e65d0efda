use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use crate::ask::request_text;
use crate::output;
use crate::saved::{SavedArgs, body};

#[derive(Args)]
#[command(after_help = "Examples:
  export THRONG_APP=APP-1 THRONG_READ_KEY=rk_... THRONG_ADMIN_KEY=ak_...   # throng app add-key APP-1 --kind admin
  throng metric create revenue --name Revenue --unit EUR --metric '{\"fn\": \"sum:price\", \"event\": \"purchase\"}'
  throng metric create arpu --name \"Revenue per user\" --unit EUR --metric '{\"formula\": \"A / B\", \"A\": \"metric:revenue\", \"B\": \"unique_users\"}'
  throng query '{\"metric\": \"metric:arpu\", \"interval\": \"day\", \"range\": \"30d\"}'")]
pub(crate) struct MetricArgs {
    #[command(subcommand)]
    command: MetricCommand,
    #[command(flatten)]
    saved: SavedArgs,
}

#[derive(Subcommand)]
enum MetricCommand {
    /// Print the app's saved metrics as JSON
    #[command(after_help = "Example:\n  throng metric list")]
    List,
    /// Print a metric
    #[command(after_help = "Example:\n  throng metric show revenue")]
    Show {
        /// The metric's id
        id: String,
    },
    /// Save a new metric
    #[command(after_help = "Example:
  throng metric create revenue --name Revenue --unit EUR --metric '{\"fn\": \"sum:price\", \"event\": \"purchase\"}'")]
    Create {
        /// The metric's id: letters, digits, - and _
        id: String,
        #[command(flatten)]
        content: Content,
    },
    /// Change a metric: what is not given stays
    #[command(after_help = "Example:\n  throng metric change revenue --name \"Revenue before tax\"")]
    Change {
        /// The metric's id
        id: String,
        #[command(flatten)]
        content: Content,
    },
    /// Delete a metric that no other is made of
    #[command(after_help = "Example:\n  throng metric delete revenue")]
    Delete {
        /// The metric's id
        id: String,
    },
}

#[derive(Args)]
struct Content {
    /// What people call it
    #[arg(long)]
    name: Option<String>,
    /// What it is for
    #[arg(long)]
    description: Option<String>,
    /// What its numbers are: count, percent, ratio, ms, s, min, h, d, bytes, kb, mb, gb, or a currency such as EUR
    #[arg(long)]
    unit: Option<String>,
    /// What is computed: a name such as events or p95:price, JSON, a file with it, or - for standard input
    #[arg(long)]
    metric: Option<String>,
}

/// Runs `throng metric`.
pub(crate) fn run(args: &MetricArgs) -> Result<()> {
    let calls = args.saved.calls(|app| format!("/api/v1/apps/{app}/metrics"))?;
    let answer = match &args.command {
        MetricCommand::List => calls.list()?,
        MetricCommand::Show { id } => calls.show(id)?,
        MetricCommand::Create { id, content } => calls.create(id, content.body()?)?,
        MetricCommand::Change { id, content } => calls.change(id, content.body()?)?,
        MetricCommand::Delete { id } => calls.delete(id)?,
    };
    output::json(&body(answer)?)
}

impl Content {
    fn body(&self) -> Result<Map<String, Value>> {
        let texts = [("name", &self.name), ("description", &self.description), ("unit", &self.unit)];
        let given = texts.into_iter().filter_map(|(name, text)| Some((name.to_owned(), json!(text.as_ref()?))));
        let mut body: Map<String, Value> = given.collect();
        if let Some(metric) = &self.metric {
            body.insert("metric".to_owned(), metric_from(metric)?);
        }
        Ok(body)
    }
}

/// A name as it is; else JSON, from wherever it is.
fn metric_from(argument: &str) -> Result<Value> {
    let is_name = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_:.$".contains(&byte));
    if is_name(argument) && !std::path::Path::new(argument).exists() {
        return Ok(json!(argument));
    }
    serde_json::from_str(&request_text(argument)?).context("the metric is not JSON")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metric_is_a_name_or_json() {
        assert_eq!(metric_from("p95:price").unwrap(), json!("p95:price"));
        assert_eq!(metric_from("{\"fn\": \"events\"}").unwrap(), json!({"fn": "events"}));
        assert!(metric_from("no such file").is_err());
    }
}
