use std::time::Duration;

use anyhow::{Result, bail};
use clap::{Args, Subcommand, ValueEnum};
use serde_json::Value;

use crate::http_client::{Answer, HttpClient, Target};
use crate::output;

/// A deletion searches the segments of the app before it answers.
const TIMEOUT: Duration = Duration::from_secs(600);
const POLL: Duration = Duration::from_millis(500);

#[derive(Args)]
#[command(after_help = "Examples:
  export THRONG_APP=APP-1 THRONG_ADMIN_KEY=ak_...   # throng app add-key APP-1 --kind admin
  throng person delete U1 --wait
  throng person receipt del_0123456789abcdef")]
pub(crate) struct PersonArgs {
    #[command(subcommand)]
    command: PersonCommand,
    #[command(flatten)]
    target: Target,
    /// Admin key of the app
    #[arg(long, global = true, value_name = "KEY", env = "THRONG_ADMIN_KEY", hide_env_values = true, default_value = "")]
    admin_key: String,
    /// Id of the app
    #[arg(long, global = true, value_name = "APP_ID", env = "THRONG_APP", default_value = "")]
    app: String,
}

#[derive(Subcommand)]
enum PersonCommand {
    /// Hide a person's events from every answer at once, remove them from the files, and print the receipt as JSON
    #[command(after_help = "Example:\n  throng person delete U1 --later-events refuse --wait")]
    Delete {
        /// The person's user_id, or the anonymous_id of events without one
        id: String,
        /// What becomes of events of this person that are received later
        #[arg(long, default_value = "refuse")]
        later_events: Later,
        /// Wait until the last byte is gone
        #[arg(long)]
        wait: bool,
    },
    /// Print the receipt of a deletion as JSON
    #[command(after_help = "Example:\n  throng person receipt del_0123456789abcdef")]
    Receipt {
        /// The deletion's id
        deletion_id: String,
    },
    /// Print the receipts of the newest deletions as JSON
    #[command(after_help = "Example:\n  throng person deletions")]
    Deletions,
}

#[derive(Clone, Copy, ValueEnum)]
enum Later {
    /// They are not stored
    Refuse,
    /// They are stored as those of a new person
    Accept,
}

/// Runs `throng person`.
pub(crate) fn run(args: &PersonArgs) -> Result<()> {
    if args.app.is_empty() || args.admin_key.is_empty() {
        bail!("--app and --admin-key are needed, or THRONG_APP and THRONG_ADMIN_KEY: `throng app add-key APP_ID --kind admin` makes a key");
    }
    let client = HttpClient::new(&args.target, &args.admin_key, TIMEOUT)?;
    let base = format!("/api/v1/analytics/{}", args.app);
    match &args.command {
        PersonCommand::Delete { id, later_events, wait } => {
            let later = match later_events {
                Later::Refuse => "refuse",
                Later::Accept => "accept",
            };
            let path = format!("{base}/persons/{}?later_events={later}", percent_encoded(id));
            let mut receipt = body(client.delete(&path)?)?;
            while *wait && receipt["state"] == "rewriting" {
                std::thread::sleep(POLL);
                receipt = body(client.get(&format!("{base}/deletions/{}", receipt["deletion_id"].as_str().unwrap_or_default()))?)?;
            }
            output::json(&receipt)?;
            if *wait && receipt["state"] == "blocked" {
                bail!("the deletion is blocked; its rows are hidden: see \"blocked\" in the receipt");
            }
            Ok(())
        }
        PersonCommand::Receipt { deletion_id } => {
            output::json(&body(client.get(&format!("{base}/deletions/{}", percent_encoded(deletion_id)))?)?)
        }
        PersonCommand::Deletions => output::json(&body(client.get(&format!("{base}/deletions"))?)?),
    }
}

fn body(answer: Answer) -> Result<Value> {
    if !(200..300).contains(&answer.status) {
        bail!("{}", answer.error_text());
    }
    Ok(answer.body)
}

/// One segment of a path: everything but unreserved characters as `%XX`.
pub(crate) fn percent_encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_~".contains(&byte);
    text.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_one_segment_of_a_path() {
        assert_eq!(percent_encoded("a/../b?c#d é"), "a%2F%2E%2E%2Fb%3Fc%23d%20%C3%A9");
        assert_eq!(percent_encoded("U-1_x~"), "U-1_x~");
    }
}
