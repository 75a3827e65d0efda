use std::path::PathBuf;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand, ValueEnum};
use event::AppId;
use metadata_store::{
    Accounts, App, AppChange, Key, KeyKind, MAX_NAME_CHARS, Members, MetadataStore, NewKey, Role, SecretKey, SqliteMetadataStore, WeekDay,
    new_app_id,
};
use serde::Serialize;
use serde_json::json;

use crate::cli::Place;
use crate::config::Config;
use crate::data_folder::DataFolder;
use crate::lost_metadata::refuse_lost_metadata;
use crate::output;

#[derive(Args)]
#[command(after_help = "Example:\n  throng app create Shop --timezone Europe/Berlin --data ./throng-data")]
pub(crate) struct AppArgs {
    #[command(subcommand)]
    command: AppCommand,
}

#[derive(Subcommand)]
enum AppCommand {
    /// Make an app and print its id and keys as JSON; the keys are shown this once
    #[command(after_help = "Example:\n  throng app create Shop --timezone Europe/Berlin --raw-retention 365")]
    Create(CreateArgs),
    /// Print all apps with their settings and keys (never the keys themselves) as JSON
    #[command(after_help = "Example:\n  throng app list --data ./throng-data")]
    List {
        #[command(flatten)]
        place: Place,
    },
    /// Change settings of an app and print it as JSON; a running server notices within 5 seconds
    #[command(after_help = "Example:\n  throng app set app_0123456789abcdef --raw-retention 365")]
    Set(SetArgs),
    /// Add a key to an app and print it as JSON; it is shown this once
    #[command(after_help = "Example:\n  throng app add-key app_0123456789abcdef --kind read")]
    AddKey(AddKeyArgs),
    /// Put a new key in the place of one and print it as JSON; it is shown this once
    #[command(after_help = "Example:\n  throng app rotate-key key_0123456789ab --old-key-hours 48")]
    RotateKey {
        /// The key's id, as `throng app list` shows it
        key_id: String,
        /// Hours that the old key goes on opening the app
        #[arg(long, value_name = "HOURS", default_value_t = 24, value_parser = clap::value_parser!(u32).range(0..=2160))]
        old_key_hours: u32,
        #[command(flatten)]
        place: Place,
    },
    /// Make a key open nothing; a running server notices within 5 seconds
    #[command(after_help = "Example:\n  throng app revoke-key key_0123456789ab")]
    RevokeKey {
        /// The key's id, as `throng app list` shows it
        key_id: String,
        #[command(flatten)]
        place: Place,
    },
}

#[derive(Args)]
struct CreateArgs {
    /// What people call it
    name: String,
    /// Id to use instead of a random one: up to 64 of A-Z a-z 0-9 _ -
    #[arg(long, value_parser = parse_app_id)]
    id: Option<AppId>,
    /// Time zone of days, weeks and months, an IANA name
    #[arg(long, value_name = "TZ", default_value = "UTC", value_parser = parse_timezone)]
    timezone: String,
    /// First day of the week
    #[arg(long, value_name = "DAY", default_value = "monday", value_parser = parse_week_day)]
    week_start: WeekDay,
    /// Days raw events are kept, or `forever`
    #[arg(long, value_name = "DAYS", default_value = "730", value_parser = parse_retention)]
    raw_retention: Retention,
    /// A longer pause between two events begins a new session
    #[arg(long, value_name = "MINUTES", default_value_t = metadata_store::DEFAULT_SESSION_IDLE_MINUTES, value_parser = clap::value_parser!(u32).range(1..=1440))]
    session_idle: u32,
    #[command(flatten)]
    place: Place,
}

#[derive(Args)]
struct SetArgs {
    /// The app's id
    #[arg(value_parser = parse_app_id)]
    app_id: AppId,
    /// What people call it
    #[arg(long)]
    name: Option<String>,
    /// Time zone of days, weeks and months, an IANA name
    #[arg(long, value_name = "TZ", value_parser = parse_timezone)]
    timezone: Option<String>,
    /// First day of the week
    #[arg(long, value_name = "DAY", value_parser = parse_week_day)]
    week_start: Option<WeekDay>,
    /// Days raw events are kept from now on, or `forever`; what was dropped before stays dropped
    #[arg(long, value_name = "DAYS", value_parser = parse_retention)]
    raw_retention: Option<Retention>,
    #[command(flatten)]
    place: Place,
}

#[derive(Args)]
struct AddKeyArgs {
    /// The app's id
    #[arg(value_parser = parse_app_id)]
    app_id: AppId,
    /// What the key may do
    #[arg(long)]
    kind: Kind,
    #[command(flatten)]
    place: Place,
}

#[derive(Clone, Copy, ValueEnum)]
enum Kind {
    /// Append events; public
    Write,
    /// Ask questions; secret
    Read,
    /// Change the app's settings and cohorts, and delete persons; secret
    Admin,
}

/// `None` keeps raw events for ever.
#[derive(Clone, Copy)]
struct Retention(Option<u32>);

/// Runs `throng app`.
pub(crate) fn run(args: &AppArgs) -> Result<()> {
    match &args.command {
        AppCommand::Create(create) => {
            tell_of_new_folder(&create.place)?;
            let config = Config::load(&create.place)?;
            let folder = DataFolder::create(&config.data_folder())?;
            // An app made under its old id is the way out where the metadata was lost.
            let store = if create.id.is_some() { open_or_begin_metadata(&config, &folder)? } else { open_metadata(&config, &folder)? };
            output::json(&make_app(store.as_ref(), &create.app()?)?)
        }
        AppCommand::List { place } => list(open_existing(place)?.as_ref()),
        AppCommand::Set(set) => {
            let change = set.change()?;
            output::json(&open_existing(&set.place)?.change_app(&set.app_id, &change)?)
        }
        AppCommand::AddKey(add) => add_key(open_existing(&add.place)?.as_ref(), add),
        AppCommand::RotateKey { key_id, old_key_hours, place } => rotate_key(open_existing(place)?.as_ref(), key_id, *old_key_hours),
        AppCommand::RevokeKey { key_id, place } => {
            open_existing(place)?.revoke_key(key_id, now_ms())?;
            output::json(&json!({"key_id": key_id, "revoked": true}))
        }
    }
}

/// An app that was just made, with its keys in clear.
#[derive(Serialize)]
pub(crate) struct MadeApp {
    #[serde(flatten)]
    pub(crate) app: App,
    pub(crate) write_key: String,
    pub(crate) read_key: String,
}

/// Makes `app` with a write key and a read key. Nobody asked for it who is logged in, so the instance administrators own it.
pub(crate) fn make_app(store: &SqliteMetadataStore, app: &App) -> Result<MadeApp> {
    let mut rng = rand::rng();
    let write = SecretKey::generate(KeyKind::Write, &mut rng);
    let read = SecretKey::generate(KeyKind::Read, &mut rng);
    let stored = |secret: &SecretKey, kind| NewKey::of(secret, &app.id, kind, app.created_at_ms);
    store.create_app(app, &[stored(&write, KeyKind::Write), stored(&read, KeyKind::Read)])?;
    for administrator in store.accounts()?.iter().filter(|account| account.administrator) {
        store.set_role(&app.id, &administrator.id, Role::Owner, app.created_at_ms)?;
    }
    Ok(MadeApp { app: app.clone(), write_key: write.as_str().to_owned(), read_key: read.as_str().to_owned() })
}

/// Opens the metadata store that `config` names. One that was lost is not begun anew beside events.
pub(crate) fn open_metadata(config: &Config, folder: &DataFolder) -> Result<Arc<SqliteMetadataStore>> {
    refuse_lost_metadata(config, folder)?;
    open_or_begin_metadata(config, folder)
}

/// Opens the metadata store that `config` names, and makes it where it is missing.
fn open_or_begin_metadata(config: &Config, folder: &DataFolder) -> Result<Arc<SqliteMetadataStore>> {
    folder.refuse_half_restored()?;
    let path = config.backends()?.metadata_store.path_or(&folder.metadata());
    Ok(Arc::new(SqliteMetadataStore::open(&path, now_ms()).with_context(|| format!("{} cannot be opened", path.display()))?))
}

fn open(place: &Place) -> Result<Arc<SqliteMetadataStore>> {
    let config = Config::load(place)?;
    open_metadata(&config, &DataFolder::create(&config.data_folder())?)
}

/// As [`open`], where a server has run or an app was made; looking makes no folder.
pub(crate) fn open_existing(place: &Place) -> Result<Arc<SqliteMetadataStore>> {
    let config = Config::load(place)?;
    let folder = config.data_folder();
    if !metadata_path(&config)?.exists() {
        bail!(
            "{} holds no apps: name the data folder of the server with --data, or make an app in it with `throng app create`",
            folder.display()
        );
    }
    open(place)
}

fn metadata_path(config: &Config) -> Result<PathBuf> {
    Ok(config.backends()?.metadata_store.path_or(&config.data_folder().join("metadata.sqlite")))
}

/// Says what becomes of a folder that no server has used: a wrong `--data` is easily given, and the server that is meant would never
/// know the app.
fn tell_of_new_folder(place: &Place) -> Result<()> {
    let config = Config::load(place)?;
    if metadata_path(&config)?.exists() {
        return Ok(());
    }
    let folder = config.data_folder();
    let is_of_others = std::fs::read_dir(&folder)
        .is_ok_and(|mut entries| entries.next().is_some() && !["LOCK", "log", "store"].iter().any(|known| folder.join(known).exists()));
    if is_of_others {
        bail!("{} is not empty and no data folder of Throng: name the server's folder, or a new one, with --data", folder.display());
    }
    let shown = std::path::absolute(&folder).unwrap_or(folder);
    output::note(&format!(
        "No server has run on {0} yet: the app is made there, and known to a server that runs with --data {0}.",
        shown.display()
    ));
    Ok(())
}

impl CreateArgs {
    fn app(&self) -> Result<App> {
        let name = checked_name(&self.name)?;
        let id = self.id.clone().unwrap_or_else(|| new_app_id(&mut rand::rng()));
        Ok(App {
            timezone: self.timezone.clone(),
            week_start: self.week_start,
            raw_retention_days: self.raw_retention.0,
            session_idle_minutes: self.session_idle,
            ..App::new(id, name, now_ms())
        })
    }
}

impl SetArgs {
    fn change(&self) -> Result<AppChange> {
        let change = AppChange {
            name: self.name.as_deref().map(checked_name).transpose()?.map(str::to_owned),
            timezone: self.timezone.clone(),
            week_start: self.week_start,
            raw_retention_days: self.raw_retention.map(|retention| retention.0),
        };
        if change == AppChange::default() {
            bail!("there is nothing to change: give --name, --timezone, --week-start or --raw-retention");
        }
        Ok(change)
    }
}

/// A name of an app or a person.
pub(crate) fn checked_name(name: &str) -> Result<&str> {
    let name = name.trim();
    if name.is_empty() || name.chars().count() > MAX_NAME_CHARS || name.chars().any(char::is_control) {
        bail!("a name has 1 to {MAX_NAME_CHARS} characters, none of which is a control character");
    }
    Ok(name)
}

fn rotate_key(store: &dyn MetadataStore, old_id: &str, old_key_hours: u32) -> Result<()> {
    for app in store.apps()? {
        let Some(old) = store.keys(&app.id)?.into_iter().find(|key| key.id == old_id) else { continue };
        let secret = SecretKey::generate(old.kind, &mut rand::rng());
        let key = NewKey::of(&secret, &app.id, old.kind, now_ms());
        let until_ms = now_ms() + i64::from(old_key_hours) * 3_600_000;
        store.rotate_key(old_id, &key, until_ms)?;
        let old_revoked_at = jiff::Timestamp::from_millisecond(until_ms)?.to_string();
        return output::json(&json!({
            "app_id": app.id, "key_id": key.id, "kind": old.kind, "key": secret.as_str(), "old_key_id": old_id, "old_revoked_at": old_revoked_at
        }));
    }
    bail!("there is no key {old_id}: `throng app list` shows the keys of each app")
}

fn list(store: &dyn MetadataStore) -> Result<()> {
    #[derive(Serialize)]
    struct Listed {
        #[serde(flatten)]
        app: App,
        keys: Vec<Key>,
    }
    let mut listed = Vec::new();
    for app in store.apps()? {
        let keys = store.keys(&app.id)?;
        listed.push(Listed { app, keys });
    }
    output::json(&listed)
}

fn add_key(store: &dyn MetadataStore, args: &AddKeyArgs) -> Result<()> {
    let kind = match args.kind {
        Kind::Write => KeyKind::Write,
        Kind::Read => KeyKind::Read,
        Kind::Admin => KeyKind::Admin,
    };
    let secret = SecretKey::generate(kind, &mut rand::rng());
    let key = NewKey::of(&secret, &args.app_id, kind, now_ms());
    store.add_key(&key)?;
    output::json(&json!({"app_id": args.app_id, "key_id": key.id, "kind": kind, "key": secret.as_str()}))
}

pub(crate) fn parse_app_id(text: &str) -> Result<AppId, String> {
    AppId::new(text).ok_or_else(|| "an app id has 1 to 64 characters of A-Z a-z 0-9 _ -".to_owned())
}

fn parse_timezone(text: &str) -> Result<String, String> {
    match jiff::tz::TimeZone::get(text) {
        Ok(zone) => Ok(zone.iana_name().unwrap_or(text).to_owned()),
        Err(_) => Err("not a time zone: use an IANA name such as Europe/Berlin".to_owned()),
    }
}

fn parse_week_day(text: &str) -> Result<WeekDay, String> {
    WeekDay::from_name(&text.to_ascii_lowercase()).ok_or_else(|| "use a day such as monday or sunday".to_owned())
}

fn parse_retention(text: &str) -> Result<Retention, String> {
    if text == "forever" {
        return Ok(Retention(None));
    }
    match text.parse() {
        Ok(days @ 1..=36_500) => Ok(Retention(Some(days))),
        _ => Err("use a number of days from 1 to 36500, or forever".to_owned()),
    }
}

/// Milliseconds since 1970.
pub(crate) fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_checked() {
        assert_eq!(parse_timezone("europe/berlin").as_deref(), Ok("Europe/Berlin"));
        assert!(parse_timezone("Mars/Base").is_err() && parse_timezone("").is_err() && parse_timezone("../../etc/passwd").is_err());
        assert_eq!(parse_retention("365").map(|r| r.0), Ok(Some(365)));
        assert_eq!(parse_retention("forever").map(|r| r.0), Ok(None));
        assert!(parse_retention("0").is_err() && parse_retention("-1").is_err() && parse_retention("x").is_err());
        assert!(parse_app_id("APP-1").is_ok() && parse_app_id("a/b").is_err());
    }
}
