use rusqlite::{OptionalExtension, Row, Transaction, named_params};

use super::{SqliteMetadataStore, not_twice, read_name, unavailable};
use crate::account::{Account, Email, Role};
use crate::accounts::Accounts;
use crate::password::PasswordHash;
use crate::store::MetadataError;

pub(super) const ACCOUNT_COLUMNS: &str = "accounts.id, accounts.email, accounts.name, accounts.administrator, accounts.created_at_ms";

impl Accounts for SqliteMetadataStore {
    fn set_up_done(&self) -> Result<bool, MetadataError> {
        self.first("SELECT 1 FROM set_up", [], |_| Ok(())).map(|done| done.is_some())
    }

    fn create_first_account(&self, account: &Account, password: &PasswordHash) -> Result<(), MetadataError> {
        self.change(|transaction| {
            let done = transaction.query_row("SELECT 1 FROM set_up", [], |_| Ok(())).optional().map_err(unavailable)?;
            if done.is_some() {
                return Err(MetadataError::SetUpDone);
            }
            insert_account(transaction, &Account { administrator: true, ..account.clone() }, password)?;
            let sql = "INSERT INTO members (app, account, role, since_ms) SELECT id, ?1, ?2, ?3 FROM apps";
            let parameters = (&account.id, Role::Owner.as_str(), account.created_at_ms);
            transaction.execute(sql, parameters).map(|_| ()).map_err(unavailable)
        })
    }

    fn create_account(&self, account: &Account, password: &PasswordHash) -> Result<(), MetadataError> {
        self.change(|transaction| insert_account(transaction, account, password))
    }

    fn account_of(&self, email: &Email) -> Result<Option<(Account, PasswordHash)>, MetadataError> {
        let sql = format!("SELECT {ACCOUNT_COLUMNS}, password FROM accounts WHERE email = ?1");
        self.first(&sql, [email.as_str()], |row| Ok((read_account(row)?, PasswordHash::stored(row.get(5)?))))
    }

    fn accounts(&self) -> Result<Vec<Account>, MetadataError> {
        self.all(&format!("SELECT {ACCOUNT_COLUMNS} FROM accounts ORDER BY email"), [], read_account)
    }

    fn rename_account(&self, account: &str, name: &str) -> Result<(), MetadataError> {
        self.change(|transaction| changed(transaction, "UPDATE accounts SET name = ?2 WHERE id = ?1", (account, name), account))
    }

    fn set_password(&self, account: &str, password: &PasswordHash) -> Result<(), MetadataError> {
        self.change(|transaction| {
            changed(transaction, "UPDATE accounts SET password = ?2 WHERE id = ?1", (account, password.as_str()), account)?;
            transaction.execute("DELETE FROM logins WHERE account = ?1", [account]).map(|_| ()).map_err(unavailable)
        })
    }

    fn remove_account(&self, account: &str) -> Result<(), MetadataError> {
        self.change(|transaction| {
            let sql = "SELECT 1 FROM members AS own WHERE account = ?1 AND role = 'owner'
                AND NOT EXISTS (SELECT 1 FROM members WHERE app = own.app AND role = 'owner' AND account <> ?1)";
            if transaction.query_row(sql, [account], |_| Ok(())).optional().map_err(unavailable)?.is_some() {
                return Err(MetadataError::LastOwner);
            }
            // Logins, roles and the invitations it gave go with it.
            changed(transaction, "DELETE FROM accounts WHERE id = ?1", [account], account)
        })
    }
}

/// Stores a new account; from then on set-up is done.
pub(super) fn insert_account(transaction: &Transaction<'_>, account: &Account, password: &PasswordHash) -> Result<(), MetadataError> {
    let sql = "INSERT INTO accounts (id, email, name, password, administrator, created_at_ms)
        VALUES (:id, :email, :name, :password, :administrator, :created_at_ms)";
    let parameters = named_params! {
        ":id": account.id, ":email": account.email.as_str(), ":name": account.name, ":password": password.as_str(),
        ":administrator": account.administrator, ":created_at_ms": account.created_at_ms,
    };
    transaction.execute(sql, parameters).map_err(|error| not_twice(&error, &format!("an account for {}", account.email)))?;
    let sql = "INSERT OR IGNORE INTO set_up (done, done_at_ms) VALUES (1, ?1)";
    transaction.execute(sql, [account.created_at_ms]).map(|_| ()).map_err(unavailable)
}

fn changed(transaction: &Transaction<'_>, sql: &str, parameters: impl rusqlite::Params, account: &str) -> Result<(), MetadataError> {
    match transaction.execute(sql, parameters).map_err(unavailable)? {
        0 => Err(MetadataError::Missing(format!("account {account}"))),
        _ => Ok(()),
    }
}

/// Reads [`ACCOUNT_COLUMNS`] at the beginning of a row.
pub(super) fn read_account(row: &Row<'_>) -> rusqlite::Result<Account> {
    Ok(Account {
        id: row.get(0)?,
        email: read_name(row, 1, Email::new)?,
        name: row.get(2)?,
        administrator: row.get(3)?,
        created_at_ms: row.get(4)?,
    })
}
