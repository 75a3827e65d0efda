use event::{AppId, TimestampMs};
use rusqlite::{OptionalExtension, Row, Transaction, named_params};

use super::accounts::insert_account;
use super::members::{put_role, stored_role};
use super::{APP_COLUMNS, SqliteMetadataStore, is, read_app, read_name, unavailable};
use crate::account::{Account, Role};
use crate::accounts::Invitations;
use crate::app::App;
use crate::login::{INVITATION_LIFETIME_MS, Invitation, MAX_INVITATIONS_PER_APP, NewInvitation};
use crate::password::PasswordHash;
use crate::store::MetadataError;
use crate::token::TokenHash;

const INVITATION_COLUMNS: &str = "invitations.id, invitations.app, invitations.role, invitations.note, accounts.name, \
    invitations.created_at_ms, invitations.expires_at_ms";

impl Invitations for SqliteMetadataStore {
    fn invite(&self, invitation: &NewInvitation) -> Result<(), MetadataError> {
        self.change(|transaction| {
            transaction.execute("DELETE FROM invitations WHERE expires_at_ms <= ?1", [invitation.now_ms]).map_err(unavailable)?;
            let count = "SELECT count(*) FROM invitations WHERE app = ?1";
            let open: i64 = transaction.query_row(count, [invitation.app.as_str()], |row| row.get(0)).map_err(unavailable)?;
            if open as usize >= MAX_INVITATIONS_PER_APP {
                return Err(MetadataError::Full { what: "open invitations", limit: MAX_INVITATIONS_PER_APP });
            }
            let sql = "INSERT INTO invitations (hash, id, app, role, note, invited_by, created_at_ms, expires_at_ms)
                VALUES (:hash, :id, :app, :role, :note, :invited_by, :now_ms, :expires_at_ms)";
            let parameters = named_params! {
                ":hash": invitation.hash.as_bytes(), ":id": invitation.hash.id("inv_"), ":app": invitation.app.as_str(),
                ":role": invitation.role.as_str(), ":note": invitation.note, ":invited_by": invitation.invited_by,
                ":now_ms": invitation.now_ms, ":expires_at_ms": invitation.now_ms + INVITATION_LIFETIME_MS,
            };
            match transaction.execute(sql, parameters) {
                Ok(_) => Ok(()),
                Err(error) if is(&error, rusqlite::ffi::SQLITE_CONSTRAINT_FOREIGNKEY) => {
                    Err(MetadataError::Missing(format!("app {} or account {}", invitation.app, invitation.invited_by)))
                }
                Err(error) => Err(unavailable(error)),
            }
        })
    }

    fn invitations(&self, app: &AppId, now_ms: TimestampMs) -> Result<Vec<Invitation>, MetadataError> {
        let sql = format!(
            "SELECT {INVITATION_COLUMNS} FROM invitations JOIN accounts ON accounts.id = invitations.invited_by
            WHERE invitations.app = ?1 AND invitations.expires_at_ms > ?2 ORDER BY invitations.created_at_ms, invitations.id"
        );
        self.all(&sql, (app.as_str(), now_ms), |row| read_invitation(row, 0))
    }

    fn invitation(&self, hash: &TokenHash, now_ms: TimestampMs) -> Result<Option<(Invitation, App)>, MetadataError> {
        let sql = format!(
            "SELECT {APP_COLUMNS}, {INVITATION_COLUMNS} FROM invitations JOIN accounts ON accounts.id = invitations.invited_by
            JOIN apps ON apps.id = invitations.app WHERE invitations.hash = ?1 AND invitations.expires_at_ms > ?2"
        );
        self.first(&sql, (hash.as_bytes(), now_ms), |row| Ok((read_invitation(row, 7)?, read_app(row)?)))
    }

    fn revoke_invitation(&self, app: &AppId, invitation: &str) -> Result<(), MetadataError> {
        self.change(|transaction| {
            let sql = "DELETE FROM invitations WHERE app = ?1 AND id = ?2";
            match transaction.execute(sql, (app.as_str(), invitation)).map_err(unavailable)? {
                0 => Err(MetadataError::Missing(format!("open invitation {invitation}"))),
                _ => Ok(()),
            }
        })
    }

    fn accept_invitation(&self, hash: &TokenHash, account: &str, now_ms: TimestampMs) -> Result<AppId, MetadataError> {
        self.change(|transaction| {
            let (app, role) = use_up(transaction, hash, now_ms)?;
            let before = stored_role(transaction, &app, account)?;
            put_role(transaction, &app, account, before.map_or(role, |before| before.max(role)), now_ms)?;
            Ok(app)
        })
    }

    fn accept_invitation_as_new(
        &self,
        hash: &TokenHash,
        account: &Account,
        password: &PasswordHash,
        now_ms: TimestampMs,
    ) -> Result<AppId, MetadataError> {
        self.change(|transaction| {
            let (app, role) = use_up(transaction, hash, now_ms)?;
            insert_account(transaction, account, password)?;
            put_role(transaction, &app, &account.id, role, now_ms)?;
            Ok(app)
        })
    }
}

/// Takes an open invitation out of the store, so that it is accepted once.
fn use_up(transaction: &Transaction<'_>, hash: &TokenHash, now_ms: TimestampMs) -> Result<(AppId, Role), MetadataError> {
    let sql = "DELETE FROM invitations WHERE hash = ?1 AND expires_at_ms > ?2 RETURNING app, role";
    let used = transaction
        .query_row(sql, (hash.as_bytes(), now_ms), |row| Ok((read_name(row, 0, AppId::new)?, read_name(row, 1, Role::from_name)?)));
    used.optional().map_err(unavailable)?.ok_or_else(|| MetadataError::Missing("open invitation of this link".to_owned()))
}

fn read_invitation(row: &Row<'_>, first: usize) -> rusqlite::Result<Invitation> {
    Ok(Invitation {
        id: row.get(first)?,
        app: read_name(row, first + 1, AppId::new)?,
        role: read_name(row, first + 2, Role::from_name)?,
        note: row.get(first + 3)?,
        invited_by: row.get(first + 4)?,
        created_at_ms: row.get(first + 5)?,
        expires_at_ms: row.get(first + 6)?,
    })
}
