use event::TimestampMs;
use rusqlite::{Row, named_params};

use super::accounts::{ACCOUNT_COLUMNS, read_account};
use super::{SqliteMetadataStore, needs_account, unavailable};
use crate::accounts::Logins;
use crate::login::{LOGIN_IDLE_MS, LOGIN_LIFETIME_MS, Login, LoginOwner, MAX_LOGINS_PER_ACCOUNT, NewLogin};
use crate::store::MetadataError;
use crate::token::TokenHash;

const LOGIN_COLUMNS: &str = "logins.id, logins.created_at_ms, logins.last_used_at_ms, logins.expires_at_ms, logins.agent";

impl Logins for SqliteMetadataStore {
    fn begin_login(&self, login: &NewLogin) -> Result<(), MetadataError> {
        self.change(|transaction| {
            let sql = "DELETE FROM logins WHERE expires_at_ms <= ?1 OR last_used_at_ms <= ?2";
            transaction.execute(sql, (login.now_ms, login.now_ms - LOGIN_IDLE_MS)).map_err(unavailable)?;
            // Room for one more.
            let sql = "DELETE FROM logins WHERE hash IN
                (SELECT hash FROM logins WHERE account = ?1 ORDER BY last_used_at_ms DESC, id LIMIT -1 OFFSET ?2)";
            transaction.execute(sql, (&login.account, MAX_LOGINS_PER_ACCOUNT as i64 - 1)).map_err(unavailable)?;
            let sql = "INSERT INTO logins (hash, id, account, created_at_ms, last_used_at_ms, expires_at_ms, agent)
                VALUES (:hash, :id, :account, :now_ms, :now_ms, :expires_at_ms, :agent)";
            let parameters = named_params! {
                ":hash": login.hash.as_bytes(), ":id": login.hash.id("login_"), ":account": login.account, ":now_ms": login.now_ms,
                ":expires_at_ms": login.now_ms + LOGIN_LIFETIME_MS, ":agent": login.agent,
            };
            transaction.execute(sql, parameters).map(|_| ()).map_err(|error| needs_account(&error, &login.account))
        })
    }

    fn find_login(&self, hash: &TokenHash, now_ms: TimestampMs) -> Result<Option<LoginOwner>, MetadataError> {
        let sql = format!(
            "SELECT {ACCOUNT_COLUMNS}, {LOGIN_COLUMNS} FROM logins JOIN accounts ON accounts.id = logins.account
            WHERE logins.hash = ?1 AND logins.expires_at_ms > ?2 AND logins.last_used_at_ms > ?3"
        );
        let parameters = (hash.as_bytes(), now_ms, now_ms - LOGIN_IDLE_MS);
        self.first(&sql, parameters, |row| Ok(LoginOwner { account: read_account(row)?, login: read_login(row, 5)? }))
    }

    fn note_login_used(&self, hash: &TokenHash, now_ms: TimestampMs) -> Result<(), MetadataError> {
        self.change(|transaction| {
            let sql = "UPDATE logins SET last_used_at_ms = max(last_used_at_ms, ?2) WHERE hash = ?1";
            transaction.execute(sql, (hash.as_bytes(), now_ms)).map(|_| ()).map_err(unavailable)
        })
    }

    fn logins(&self, account: &str, now_ms: TimestampMs) -> Result<Vec<Login>, MetadataError> {
        let sql = format!(
            "SELECT {LOGIN_COLUMNS} FROM logins WHERE account = ?1 AND expires_at_ms > ?2 AND last_used_at_ms > ?3
            ORDER BY last_used_at_ms DESC, id"
        );
        self.all(&sql, (account, now_ms, now_ms - LOGIN_IDLE_MS), |row| read_login(row, 0))
    }

    fn end_login(&self, account: &str, login: &str) -> Result<(), MetadataError> {
        self.change(|transaction| {
            let sql = "DELETE FROM logins WHERE account = ?1 AND id = ?2";
            match transaction.execute(sql, (account, login)).map_err(unavailable)? {
                0 => Err(MetadataError::Missing(format!("login {login}"))),
                _ => Ok(()),
            }
        })
    }
}

fn read_login(row: &Row<'_>, first: usize) -> rusqlite::Result<Login> {
    Ok(Login {
        id: row.get(first)?,
        created_at_ms: row.get(first + 1)?,
        last_used_at_ms: row.get(first + 2)?,
        expires_at_ms: row.get(first + 3)?,
        agent: row.get(first + 4)?,
    })
}
