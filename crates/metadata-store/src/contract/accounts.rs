use rand::rng;

use super::{app, key};
use crate::account::{Account, Email, Role};
use crate::accounts::AccountStore;
use crate::app::App;
use crate::key::KeyKind;
use crate::login::{
    INVITATION_LIFETIME_MS, LOGIN_IDLE_MS, LOGIN_LIFETIME_MS, MAX_INVITATIONS_PER_APP, MAX_LOGINS_PER_ACCOUNT, NewInvitation, NewLogin,
};
use crate::password::PasswordHash;
use crate::store::{MetadataError, MetadataStore};
use crate::token::{SecretToken, TokenHash, TokenKind};

fn account(name: &str) -> Account {
    #[expect(clippy::expect_used, reason = "test data")]
    let email = Email::new(&format!("{name}@example.org")).expect("an address");
    Account::new(email, &format!("{name} \"<b>\" é"), 5, &mut rng())
}

/// Hashing takes its time by design; one hash is enough where the password does not matter.
fn password() -> &'static PasswordHash {
    PasswordHash::of_nobody()
}

fn log_in<S: AccountStore>(store: &S, account: &Account, now_ms: i64) -> Result<TokenHash, MetadataError> {
    let hash = SecretToken::generate(TokenKind::Login, &mut rng()).hash();
    store.begin_login(&NewLogin { hash, account: account.id.clone(), now_ms, agent: format!("at {now_ms}") })?;
    Ok(hash)
}

fn two_apps<S: MetadataStore>(store: &S) -> Result<(App, App), MetadataError> {
    let (ours, other) = (app("ours", 1), app("other", 2));
    store.create_app(&ours, &[])?;
    store.create_app(&other, &[])?;
    Ok((ours, other))
}

/// The first account is made once, is an administrator and owns every app; however the first account came, set-up is over, for ever.
///
/// # Errors
/// What the store answered where it should have answered.
pub fn set_up_happens_once<S: MetadataStore + AccountStore + 'static>(open: impl Fn() -> S) -> Result<(), MetadataError> {
    let (first, second) = (open(), open());
    let (ours, other) = two_apps(&first)?;
    assert!(!second.set_up_done()?);
    let made: Vec<(Account, Result<(), MetadataError>)> = std::thread::scope(|scope| {
        let stores: Vec<S> = (0..4).map(|_| open()).collect();
        let tries = stores.into_iter().enumerate().map(|(n, store)| {
            scope.spawn(move || {
                let account = account(&format!("first{n}"));
                let made = store.create_first_account(&account, password());
                (account, made)
            })
        });
        let tries: Vec<_> = tries.collect();
        tries.into_iter().filter_map(|made| made.join().ok()).collect()
    });
    let winners: Vec<&Account> = made.iter().filter(|(_, made)| made.is_ok()).map(|(account, _)| account).collect();
    assert_eq!((winners.len(), made.len()), (1, 4));
    assert!(made.iter().all(|(_, made)| matches!(made, Ok(()) | Err(MetadataError::SetUpDone))), "{made:?}");
    let winner = Account { administrator: true, ..winners[0].clone() };
    assert_eq!(second.accounts()?, std::slice::from_ref(&winner));
    assert_eq!(second.apps_of(&winner.id)?, [(other, Role::Owner), (ours, Role::Owner)]);
    assert!(second.set_up_done()?);

    assert_eq!(first.remove_account(&winner.id), Err(MetadataError::LastOwner));
    let heir = account("heir");
    first.create_account(&heir, password())?;
    for app in first.apps()? {
        first.set_role(&app.id, &heir.id, Role::Owner, 6)?;
    }
    first.remove_account(&winner.id)?;
    assert_eq!(second.create_first_account(&account("late"), password()), Err(MetadataError::SetUpDone));
    Ok(())
}

/// An account has one address and one password; its logins end when they are old, unused, ended, too many, or the password is changed.
///
/// # Errors
/// What the store answered where it should have answered.
pub fn accounts_log_in<S: AccountStore>(open: impl Fn() -> S) -> Result<(), MetadataError> {
    let (first, second) = (open(), open());
    let (ann, bob) = (account("ann"), account("bob"));
    first.create_account(&ann, password())?;
    first.create_account(&bob, password())?;
    assert!(second.set_up_done()?);
    let again = Account { email: ann.email.clone(), ..account("again") };
    assert_eq!(second.create_account(&again, password()), Err(MetadataError::Taken(format!("an account for {}", ann.email))));
    assert_eq!(second.account_of(&ann.email)?, Some((ann.clone(), password().clone())));
    assert_eq!(second.account_of(&account("nobody").email)?, None);
    first.rename_account(&ann.id, "Ann")?;
    let ann = Account { name: "Ann".to_owned(), ..ann };
    assert_eq!(second.accounts()?, [ann.clone(), bob.clone()]);

    let (early, late, of_bob) = (log_in(&first, &ann, 1_000)?, log_in(&first, &ann, 2_000)?, log_in(&first, &bob, 3_000)?);
    let found = second.find_login(&early, 4_000)?;
    assert_eq!(found.map(|owner| (owner.account, owner.login.agent)), Some((ann.clone(), "at 1000".to_owned())));
    assert!(second.find_login(&early, 1_000 + LOGIN_IDLE_MS)?.is_none(), "unused for too long");
    second.note_login_used(&early, 1_000 + LOGIN_IDLE_MS / 2)?;
    assert!(second.find_login(&early, 1_000 + LOGIN_IDLE_MS)?.is_some());
    second.note_login_used(&early, 1_000 + LOGIN_LIFETIME_MS - 1)?;
    assert!(second.find_login(&early, 1_000 + LOGIN_LIFETIME_MS)?.is_none(), "too old, however much it is used");
    let listed = first.logins(&ann.id, 4_000)?;
    assert_eq!(listed.iter().map(|login| login.created_at_ms).collect::<Vec<_>>(), [1_000, 2_000], "the newest use first");

    let bobs = first.logins(&bob.id, 4_000)?.remove(0);
    assert_eq!(first.end_login(&ann.id, &bobs.id), Err(MetadataError::Missing(format!("login {}", bobs.id))), "of another account");
    first.end_login(&ann.id, &listed[0].id)?;
    assert!(second.find_login(&early, 4_000)?.is_none() && second.find_login(&late, 4_000)?.is_some());
    let other = PasswordHash::of("another password").map_err(MetadataError::Unavailable)?;
    second.set_password(&ann.id, &other)?;
    assert_eq!(first.account_of(&ann.email)?.map(|(_, hash)| hash), Some(other));
    assert!(first.find_login(&late, 4_000)?.is_none() && first.find_login(&of_bob, 4_000)?.is_some());

    let logins: Vec<TokenHash> = (0..=MAX_LOGINS_PER_ACCOUNT as i64).map(|n| log_in(&first, &ann, 5_000 + n)).collect::<Result<_, _>>()?;
    assert_eq!(first.logins(&ann.id, 6_000)?.len(), MAX_LOGINS_PER_ACCOUNT);
    assert!(first.find_login(&logins[0], 6_000)?.is_none() && first.find_login(&logins[1], 6_000)?.is_some());
    first.remove_account(&bob.id)?;
    assert!(first.find_login(&of_bob, 4_000)?.is_none());
    assert!(log_in(&first, &bob, 1).is_err());
    Ok(())
}

/// An account has at most one role on an app, and an app that has members has an owner.
///
/// # Errors
/// What the store answered where it should have answered.
pub fn roles_open_apps<S: MetadataStore + AccountStore>(open: impl Fn() -> S) -> Result<(), MetadataError> {
    let (first, second) = (open(), open());
    let (ann, bob) = (account("ann"), account("bob"));
    first.create_account(&ann, password())?;
    first.create_account(&bob, password())?;
    let (ours, theirs) = (app("ours", 1), app("theirs", 2));
    let write = key(&ours, KeyKind::Write, 1);
    first.create_app_of(&ours, std::slice::from_ref(&write), &ann.id)?;
    first.create_app_of(&theirs, &[], &bob.id)?;
    assert!(first.create_app_of(&app("nobodys", 3), &[], "acc_none").is_err());
    assert_eq!(second.app(&app("nobodys", 3).id)?, None, "nothing of a refused app is kept");
    assert!(second.find_key(&write.hash, 2)?.is_some());

    assert_eq!(second.role(&ann.id, &ours.id)?, Some((ours.clone(), Role::Owner)));
    assert_eq!(second.role(&ann.id, &theirs.id)?, None);
    assert_eq!(second.role(&ann.id, &app("nothing", 0).id)?, None);
    for role in Role::ALL {
        first.set_role(&ours.id, &bob.id, role, 9)?;
        assert_eq!(second.role(&bob.id, &ours.id)?, Some((ours.clone(), role)));
    }
    let members: Vec<_> = second.members(&ours.id)?.into_iter().map(|m| (m.account.name, m.role, m.since_ms)).collect();
    assert_eq!(members, [(ann.name.clone(), Role::Owner, 1), (bob.name.clone(), Role::Owner, 9)]);
    assert_eq!(second.apps_of(&bob.id)?, [(ours.clone(), Role::Owner), (theirs, Role::Owner)]);

    first.set_role(&ours.id, &ann.id, Role::Viewer, 9)?;
    assert_eq!(first.set_role(&ours.id, &bob.id, Role::Editor, 9), Err(MetadataError::LastOwner));
    assert_eq!(first.remove_member(&ours.id, &bob.id), Err(MetadataError::LastOwner));
    assert_eq!(second.role(&bob.id, &ours.id)?, Some((ours.clone(), Role::Owner)));
    first.remove_member(&ours.id, &ann.id)?;
    assert_eq!(second.role(&ann.id, &ours.id)?, None);
    assert!(matches!(first.remove_member(&ours.id, &ann.id), Err(MetadataError::Missing(_))));
    assert!(matches!(first.set_role(&app("nothing", 0).id, &ann.id, Role::Owner, 1), Err(MetadataError::Missing(_))));
    Ok(())
}

/// An invitation gives its role once, until it is revoked, old, or whoever invited may not any more.
///
/// # Errors
/// What the store answered where it should have answered.
pub fn invitations_are_used_once<S: MetadataStore + AccountStore>(open: impl Fn() -> S) -> Result<(), MetadataError> {
    let (first, second) = (open(), open());
    let (ann, bob) = (account("ann"), account("bob"));
    first.create_account(&ann, password())?;
    first.create_account(&bob, password())?;
    let (ours, other) = (app("ours", 1), app("other", 2));
    first.create_app_of(&ours, &[], &ann.id)?;
    first.create_app_of(&other, &[], &bob.id)?;
    let invite = |role: Role| {
        let hash = SecretToken::generate(TokenKind::Invitation, &mut rng()).hash();
        let (app, invited_by) = (ours.id.clone(), ann.id.clone());
        first.invite(&NewInvitation { hash, app, role, note: "Bob".to_owned(), invited_by, now_ms: 10 }).map(|()| hash)
    };
    let missing = || MetadataError::Missing("open invitation of this link".to_owned());

    let editor = invite(Role::Editor)?;
    let (invitation, app) = second.invitation(&editor, 11)?.ok_or_else(missing)?;
    assert_eq!((app, invitation.role, invitation.invited_by.as_str()), (ours.clone(), Role::Editor, ann.name.as_str()));
    assert_eq!(second.accept_invitation(&editor, &bob.id, 10 + INVITATION_LIFETIME_MS), Err(missing()), "too old");
    assert_eq!(second.accept_invitation(&editor, &bob.id, 11)?, ours.id);
    assert_eq!(first.role(&bob.id, &ours.id)?, Some((ours.clone(), Role::Editor)));
    assert_eq!(first.accept_invitation(&editor, &bob.id, 11), Err(missing()), "used");
    assert_eq!(first.invitation(&editor, 11)?, None);
    first.accept_invitation(&invite(Role::Viewer)?, &bob.id, 11)?;
    assert_eq!(first.role(&bob.id, &ours.id)?, Some((ours.clone(), Role::Editor)), "the higher role stays");

    let viewer = invite(Role::Viewer)?;
    let taken = Account { email: bob.email.clone(), ..account("carl") };
    assert!(matches!(first.accept_invitation_as_new(&viewer, &taken, password(), 11), Err(MetadataError::Taken(_))));
    let carl = account("carl");
    first.accept_invitation_as_new(&viewer, &carl, password(), 11)?;
    assert_eq!(second.role(&carl.id, &ours.id)?, Some((ours.clone(), Role::Viewer)), "a refusal before used nothing up");

    let revoked = invite(Role::Owner)?;
    let listed = second.invitations(&ours.id, 11)?;
    assert_eq!(listed.len(), 1);
    assert!(matches!(second.revoke_invitation(&other.id, &listed[0].id), Err(MetadataError::Missing(_))), "of another app");
    second.revoke_invitation(&ours.id, &listed[0].id)?;
    assert_eq!(first.accept_invitation(&revoked, &bob.id, 11), Err(missing()));

    let of_ann = invite(Role::Owner)?;
    first.set_role(&ours.id, &bob.id, Role::Owner, 12)?;
    first.set_role(&ours.id, &ann.id, Role::Viewer, 12)?;
    assert_eq!(first.accept_invitation(&of_ann, &carl.id, 13), Err(missing()), "who invited may not any more");
    (0..MAX_INVITATIONS_PER_APP).try_for_each(|_| invite(Role::Viewer).map(|_| ()))?;
    assert_eq!(invite(Role::Viewer), Err(MetadataError::Full { what: "open invitations", limit: MAX_INVITATIONS_PER_APP }));
    Ok(())
}
