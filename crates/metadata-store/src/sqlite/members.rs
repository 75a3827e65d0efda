use event::{AppId, TimestampMs};
use rusqlite::{OptionalExtension, Transaction};

use super::accounts::{ACCOUNT_COLUMNS, read_account};
use super::{APP_COLUMNS, SqliteMetadataStore, insert_app, is, read_app, read_name, unavailable};
use crate::account::{Member, Role};
use crate::accounts::Members;
use crate::app::App;
use crate::key::NewKey;
use crate::login::MAX_MEMBERS_PER_APP;
use crate::store::MetadataError;

impl Members for SqliteMetadataStore {
    fn create_app_of(&self, app: &App, keys: &[NewKey], owner: &str) -> Result<(), MetadataError> {
        self.change(|transaction| {
            insert_app(transaction, app, keys)?;
            put_role(transaction, &app.id, owner, Role::Owner, app.created_at_ms)
        })
    }

    fn role(&self, account: &str, app: &AppId) -> Result<Option<(App, Role)>, MetadataError> {
        let sql = format!(
            "SELECT {APP_COLUMNS}, members.role FROM members JOIN apps ON apps.id = members.app WHERE members.app = ?1 AND members.account = ?2"
        );
        self.first(&sql, (app.as_str(), account), |row| Ok((read_app(row)?, read_name(row, 7, Role::from_name)?)))
    }

    fn apps_of(&self, account: &str) -> Result<Vec<(App, Role)>, MetadataError> {
        let sql = format!(
            "SELECT {APP_COLUMNS}, members.role FROM members JOIN apps ON apps.id = members.app WHERE members.account = ?1
            ORDER BY apps.name, apps.id"
        );
        self.all(&sql, [account], |row| Ok((read_app(row)?, read_name(row, 7, Role::from_name)?)))
    }

    fn members(&self, app: &AppId) -> Result<Vec<Member>, MetadataError> {
        let sql = format!(
            "SELECT {ACCOUNT_COLUMNS}, members.role, members.since_ms FROM members JOIN accounts ON accounts.id = members.account
            WHERE members.app = ?1 ORDER BY accounts.email"
        );
        self.all(&sql, [app.as_str()], |row| {
            Ok(Member { account: read_account(row)?, role: read_name(row, 5, Role::from_name)?, since_ms: row.get(6)? })
        })
    }

    fn set_role(&self, app: &AppId, account: &str, role: Role, now_ms: TimestampMs) -> Result<(), MetadataError> {
        self.change(|transaction| {
            if role != Role::Owner {
                keep_an_owner(transaction, app, account)?;
                forget_invitations(transaction, app, account)?;
            }
            put_role(transaction, app, account, role, now_ms)
        })
    }

    fn remove_member(&self, app: &AppId, account: &str) -> Result<(), MetadataError> {
        self.change(|transaction| {
            keep_an_owner(transaction, app, account)?;
            forget_invitations(transaction, app, account)?;
            let sql = "DELETE FROM members WHERE app = ?1 AND account = ?2";
            match transaction.execute(sql, (app.as_str(), account)).map_err(unavailable)? {
                0 => Err(MetadataError::Missing(format!("member {account} of this app"))),
                _ => Ok(()),
            }
        })
    }
}

/// The role that an account has on an app.
pub(super) fn stored_role(transaction: &Transaction<'_>, app: &AppId, account: &str) -> Result<Option<Role>, MetadataError> {
    let sql = "SELECT role FROM members WHERE app = ?1 AND account = ?2";
    transaction.query_row(sql, (app.as_str(), account), |row| read_name(row, 0, Role::from_name)).optional().map_err(unavailable)
}

/// Gives a role within the bound of members.
pub(super) fn put_role(
    transaction: &Transaction<'_>,
    app: &AppId,
    account: &str,
    role: Role,
    now_ms: TimestampMs,
) -> Result<(), MetadataError> {
    let others = "SELECT count(*) FROM members WHERE app = ?1 AND account <> ?2";
    let others: i64 = transaction.query_row(others, (app.as_str(), account), |row| row.get(0)).map_err(unavailable)?;
    if others as usize >= MAX_MEMBERS_PER_APP {
        return Err(MetadataError::Full { what: "members", limit: MAX_MEMBERS_PER_APP });
    }
    let sql = "INSERT INTO members (app, account, role, since_ms) VALUES (?1, ?2, ?3, ?4)
        ON CONFLICT (app, account) DO UPDATE SET role = excluded.role";
    match transaction.execute(sql, (app.as_str(), account, role.as_str(), now_ms)) {
        Ok(_) => Ok(()),
        Err(error) if is(&error, rusqlite::ffi::SQLITE_CONSTRAINT_FOREIGNKEY) => {
            Err(MetadataError::Missing(format!("app {app} or account {account}")))
        }
        Err(error) => Err(unavailable(error)),
    }
}

/// Refuses to take the role of an app's only owner.
fn keep_an_owner(transaction: &Transaction<'_>, app: &AppId, account: &str) -> Result<(), MetadataError> {
    if stored_role(transaction, app, account)? != Some(Role::Owner) {
        return Ok(());
    }
    let sql = "SELECT 1 FROM members WHERE app = ?1 AND account <> ?2 AND role = 'owner'";
    let another = transaction.query_row(sql, (app.as_str(), account), |_| Ok(())).optional().map_err(unavailable)?;
    another.ok_or(MetadataError::LastOwner)
}

/// Who may not invite any more leaves no open invitation behind.
fn forget_invitations(transaction: &Transaction<'_>, app: &AppId, account: &str) -> Result<(), MetadataError> {
    let sql = "DELETE FROM invitations WHERE app = ?1 AND invited_by = ?2";
    transaction.execute(sql, (app.as_str(), account)).map(|_| ()).map_err(unavailable)
}
