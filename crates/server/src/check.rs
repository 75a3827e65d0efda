use anyhow::{Result, bail};
use clap::Args;
use metadata_store::MetadataStore;
use serde_json::json;

use crate::app::open_metadata;
use crate::cli::Place;
use crate::config::Config;
use crate::data_folder::DataFolder;
use crate::output;
use crate::serve::open_store;

#[derive(Args)]
#[command(after_help = "Example:\n  throng check --data ./throng-data")]
pub(crate) struct CheckArgs {
    #[command(flatten)]
    place: Place,
}

/// Runs `throng check`: reads every file of the event store and compares it with what the manifest says of it.
pub(crate) fn run(args: &CheckArgs) -> Result<()> {
    let config = Config::load(&args.place)?;
    let folder = DataFolder::existing(&config.data_folder())?;
    let _lock = folder.lock()?;
    let metadata = open_metadata(&config, &folder)?;
    let apps = metadata.apps()?;
    let store = open_store(&config, &folder, &metadata)?;
    let found = store.check(&mut |line| output::note(line))?;
    if found.problems > 0 {
        bail!("{} problems in {}", found.problems, folder.root().display());
    }
    output::json(&json!({"data": folder.root(), "apps": apps.len(), "segments": found.segments, "events": found.rows, "problems": 0}))
}
