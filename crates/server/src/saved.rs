//! What the commands for saved definitions have in common, whatever is defined.

use std::time::Duration;

use anyhow::{Result, bail};
use clap::Args;
use serde_json::{Map, Value, json};

use crate::http_client::{Answer, HttpClient, Target};
use crate::person::percent_encoded;

/// The server stops a question after 10 s; this is for its answer to arrive.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Whose definitions, and with which keys.
#[derive(Args)]
pub(crate) struct SavedArgs {
    #[command(flatten)]
    target: Target,
    /// Read key of the app, to see them
    #[arg(long, global = true, value_name = "KEY", env = "THRONG_READ_KEY", hide_env_values = true, default_value = "")]
    read_key: String,
    /// Admin key of the app, to change them
    #[arg(long, global = true, value_name = "KEY", env = "THRONG_ADMIN_KEY", hide_env_values = true, default_value = "")]
    admin_key: String,
    /// Id of the app
    #[arg(long, global = true, value_name = "APP_ID", env = "THRONG_APP", default_value = "")]
    app: String,
}

/// The calls about one kind of definition of an app.
pub(crate) struct SavedCalls<'a> {
    args: &'a SavedArgs,
    /// Where they are listed.
    base: String,
}

impl SavedArgs {
    /// The calls below `base`, which is made of the app's id.
    ///
    /// # Errors
    /// No app was named.
    pub(crate) fn calls(&self, base: impl Fn(&str) -> String) -> Result<SavedCalls<'_>> {
        if self.app.is_empty() {
            bail!("--app is needed, or THRONG_APP");
        }
        Ok(SavedCalls { args: self, base: base(&self.app) })
    }

    /// A client that may see them.
    ///
    /// # Errors
    /// No read key was given.
    pub(crate) fn reader(&self) -> Result<HttpClient> {
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

impl SavedCalls<'_> {
    /// Where one is.
    pub(crate) fn place(&self, id: &str) -> String {
        format!("{}/{}", self.base, percent_encoded(id))
    }

    pub(crate) fn list(&self) -> Result<Answer> {
        self.args.reader()?.get(&self.base)
    }

    pub(crate) fn show(&self, id: &str) -> Result<Answer> {
        self.args.reader()?.get(&self.place(id))
    }

    /// Asks a question below the list.
    pub(crate) fn ask(&self, call: &str, request: &Value) -> Result<Answer> {
        self.args.reader()?.post(&format!("{}/{call}", self.base), request.to_string().as_bytes())
    }

    pub(crate) fn create(&self, id: &str, mut content: Map<String, Value>) -> Result<Answer> {
        content.insert("id".to_owned(), json!(id));
        self.args.administrator()?.post(&self.base, Value::Object(content).to_string().as_bytes())
    }

    pub(crate) fn change(&self, id: &str, content: Map<String, Value>) -> Result<Answer> {
        self.args.administrator()?.put(&self.place(id), Value::Object(content).to_string().as_bytes())
    }

    pub(crate) fn delete(&self, id: &str) -> Result<Answer> {
        self.args.administrator()?.delete(&self.place(id))
    }
}

/// The body of an answer.
///
/// # Errors
/// What the server refused.
pub(crate) fn body(answer: Answer) -> Result<Value> {
    if !(200..300).contains(&answer.status) {
        bail!("{}", answer.error_text());
    }
    Ok(answer.body)
}
