use std::io::Read;

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use event::AppId;
use metadata_store::{
    Account, Accounts, App, Email, MAX_PASSWORD_BYTES, Members, PasswordHash, Role, SecretToken, SqliteMetadataStore, TokenKind,
    check_password,
};
use serde::Serialize;
use serde_json::json;

use crate::app::{checked_name, now_ms, open_existing, parse_app_id};
use crate::cli::Place;
use crate::output;

#[derive(Args)]
#[command(after_help = "Example:\n  throng people add ann@example.org --name Ann --data ./throng-data")]
pub(crate) struct PeopleArgs {
    #[command(subcommand)]
    command: PeopleCommand,
}

#[derive(Subcommand)]
enum PeopleCommand {
    /// Make an account and print it as JSON, with its password where none was given; it is shown this once
    #[command(after_help = "Examples:
  throng people add ann@example.org --name Ann
  throng people add bob@example.org --name Bob --app APP_ID --role editor --password-stdin < password.txt")]
    Add(AddArgs),
    /// Print all accounts with their roles as JSON
    #[command(after_help = "Example:\n  throng people list --data ./throng-data")]
    List {
        #[command(flatten)]
        place: Place,
    },
    /// Give an account another password, and end its logins
    #[command(after_help = "Example:\n  throng people set-password ann@example.org --password-stdin < password.txt")]
    SetPassword {
        /// The account's e-mail address
        #[arg(value_parser = parse_email)]
        email: Email,
        /// Read the password from standard input; without it, a random one is printed
        #[arg(long)]
        password_stdin: bool,
        #[command(flatten)]
        place: Place,
    },
    /// Give an account a role on an app
    #[command(after_help = "Example:\n  throng people set-role ann@example.org APP_ID owner")]
    SetRole {
        /// The account's e-mail address
        #[arg(value_parser = parse_email)]
        email: Email,
        /// The app's id
        #[arg(value_parser = parse_app_id)]
        app_id: AppId,
        /// viewer, editor or owner
        #[arg(value_parser = parse_role)]
        role: Role,
        #[command(flatten)]
        place: Place,
    },
    /// Remove an account, with its logins and roles
    #[command(after_help = "Example:\n  throng people remove bob@example.org")]
    Remove {
        /// The account's e-mail address
        #[arg(value_parser = parse_email)]
        email: Email,
        #[command(flatten)]
        place: Place,
    },
}

#[derive(Args)]
struct AddArgs {
    /// Names the account; nothing is sent to it
    #[arg(value_parser = parse_email)]
    email: Email,
    /// What people call them
    #[arg(long)]
    name: String,
    /// May make apps; the first account may in any case, and owns every app there is
    #[arg(long)]
    administrator: bool,
    /// An app to give a role on
    #[arg(long, value_name = "APP_ID", value_parser = parse_app_id)]
    app: Option<AppId>,
    /// viewer, editor or owner
    #[arg(long, value_parser = parse_role, default_value = "viewer", requires = "app")]
    role: Role,
    /// Read the password from standard input; without it, a random one is printed
    #[arg(long)]
    password_stdin: bool,
    #[command(flatten)]
    place: Place,
}

/// Runs `throng people`.
pub(crate) fn run(args: &PeopleArgs) -> Result<()> {
    match &args.command {
        PeopleCommand::Add(add) => self::add(open_existing(&add.place)?.as_ref(), add),
        PeopleCommand::List { place } => list(open_existing(place)?.as_ref()),
        PeopleCommand::SetPassword { email, password_stdin, place } => {
            let store = open_existing(place)?;
            let account = account_of(&store, email)?;
            let (password, shown) = password(*password_stdin, &account)?;
            store.set_password(&account.id, &hashed(&password)?)?;
            output::json(&json!({"account_id": account.id, "email": email, "password": shown, "logins_ended": true}))
        }
        PeopleCommand::SetRole { email, app_id, role, place } => {
            let store = open_existing(place)?;
            let account = account_of(&store, email)?;
            store.set_role(app_id, &account.id, *role, now_ms())?;
            output::json(&json!({"account_id": account.id, "email": email, "app_id": app_id, "role": role}))
        }
        PeopleCommand::Remove { email, place } => {
            let store = open_existing(place)?;
            let account = account_of(&store, email)?;
            store.remove_account(&account.id)?;
            output::json(&json!({"account_id": account.id, "email": email, "removed": true}))
        }
    }
}

fn add(store: &SqliteMetadataStore, args: &AddArgs) -> Result<()> {
    let mut account = Account::new(args.email.clone(), checked_name(&args.name)?, now_ms(), &mut rand::rng());
    account.administrator = args.administrator;
    let (password, shown) = password(args.password_stdin, &account)?;
    let hash = hashed(&password)?;
    if store.set_up_done()? {
        store.create_account(&account, &hash)?;
    } else {
        store.create_first_account(&account, &hash)?;
        account.administrator = true;
    }
    if let Some(app) = &args.app {
        store.set_role(app, &account.id, args.role, now_ms())?;
    }
    #[derive(Serialize)]
    struct Made {
        #[serde(flatten)]
        account: Account,
        /// Only where it was made up here.
        password: Option<String>,
    }
    output::json(&Made { account, password: shown })
}

fn list(store: &SqliteMetadataStore) -> Result<()> {
    #[derive(Serialize)]
    struct Listed {
        #[serde(flatten)]
        account: Account,
        apps: Vec<serde_json::Value>,
    }
    let mut listed = Vec::new();
    for account in store.accounts()? {
        let of_app = |(app, role): (App, Role)| json!({"app_id": app.id, "name": app.name, "role": role});
        let apps = store.apps_of(&account.id)?.into_iter().map(of_app).collect();
        listed.push(Listed { account, apps });
    }
    output::json(&listed)
}

fn account_of(store: &SqliteMetadataStore, email: &Email) -> Result<Account> {
    match store.account_of(email)? {
        Some((account, _)) => Ok(account),
        None => bail!("there is no account of {email}: `throng people list` shows them"),
    }
}

/// The password to set, and what of it is to be shown: nothing of one that was given.
fn password(from_stdin: bool, account: &Account) -> Result<(String, Option<String>)> {
    if !from_stdin {
        // 20 of its letters and digits are more than a hundred random bits.
        let token = SecretToken::generate(TokenKind::Login, &mut rand::rng());
        let made: String = token.as_str().chars().skip(3).take(20).collect();
        return Ok((made.clone(), Some(made)));
    }
    let mut text = String::new();
    let limit = MAX_PASSWORD_BYTES as u64 + 2;
    std::io::stdin().take(limit).read_to_string(&mut text).context("the password cannot be read from standard input")?;
    let password = text.trim_end_matches(['\r', '\n']).to_owned();
    check_password(&password, &[account.email.as_str(), &account.name])?;
    Ok((password, None))
}

fn hashed(password: &str) -> Result<PasswordHash> {
    PasswordHash::of(password).map_err(|error| anyhow::anyhow!("the password cannot be hashed: {error}"))
}

fn parse_email(text: &str) -> Result<Email, String> {
    Email::new(text).ok_or_else(|| "this is no e-mail address, such as ann@example.org".to_owned())
}

fn parse_role(text: &str) -> Result<Role, String> {
    Role::from_name(text).ok_or_else(|| "use viewer, editor or owner".to_owned())
}
