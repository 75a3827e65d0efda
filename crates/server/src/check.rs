use anyhow::{Context, Result, bail};
use clap::Args;
use metadata_store::MetadataStore;

use crate::app::open_metadata;
use crate::cli::Place;
use crate::config::Config;
use crate::data_folder::DataFolder;
use crate::output;
