//! What every metadata store must do. An implementation's tests call these with an `open` that opens the same, at first empty, store
//! each time, as several processes would.

mod accounts;

pub use accounts::{accounts_log_in, invitations_are_used_once, roles_open_apps, set_up_happens_once};

use event::AppId;
use serde_json::json;

use crate::app::{App, AppChange, WeekDay};
use crate::definition::{Definition, DefinitionKind};
use crate::key::{Key, KeyKind, KeyOwner, NewKey, SecretKey};
use crate::store::{Definitions, MAX_DEFINITIONS_PER_KIND, MetadataError, MetadataStore};

fn app(id: &str, created_at_ms: i64) -> App {
    #[expect(clippy::expect_used, reason = "test data")]
    App::new(AppId::new(id).expect("an allowed id"), &format!("{id}'s \"name\" é 💥"), created_at_ms)
}

fn key(app: &App, kind: KeyKind, created_at_ms: i64) -> NewKey {
    NewKey::of(&SecretKey::generate(kind, &mut rand::rng()), &app.id, kind, created_at_ms)
}

/// Apps come back with every setting, in the order of their creation, and an id is given once.
///
/// # Errors
/// What the store answered where it should have answered.
pub fn apps_are_kept<S: MetadataStore>(open: impl Fn() -> S) -> Result<(), MetadataError> {
    let (first, second) = (open(), open());
    let plain = app("APP-1", 20);
    let settings = App {
        timezone: "Pacific/Auckland".to_owned(),
        week_start: WeekDay::Sunday,
        raw_retention_days: None,
        session_idle_minutes: 5,
        ..app("app_2", 10)
    };
    assert_eq!(first.apps()?, []);
    first.create_app(&plain, &[])?;
    second.create_app(&settings, &[])?;
    assert_eq!(first.apps()?, [settings, plain.clone()]);
    assert_eq!(second.app(&plain.id)?.as_ref(), Some(&plain));
    assert_eq!(second.app(&app("app_3", 0).id)?, None);
    let again = App { name: "another".to_owned(), ..plain.clone() };
    let new_key = key(&again, KeyKind::Read, 0);
    assert_eq!(second.create_app(&again, std::slice::from_ref(&new_key)), Err(MetadataError::Taken("app APP-1".to_owned())));
    assert_eq!(second.app(&plain.id)?.as_ref(), Some(&plain));
    assert_eq!(second.find_key(&new_key.hash, 100)?, None, "nothing of a refused app is kept");
    for days in [Some(30), None] {
        let change = AppChange { raw_retention_days: Some(days), ..AppChange::default() };
        let changed = App { raw_retention_days: days, ..plain.clone() };
        assert_eq!(first.change_app(&plain.id, &change)?, changed);
        assert_eq!(second.app(&plain.id)?, Some(changed));
    }
    let change = AppChange {
        name: Some("Renamed".to_owned()),
        timezone: Some("Europe/Berlin".to_owned()),
        week_start: Some(WeekDay::Sunday),
        raw_retention_days: None,
    };
    let changed = second.change_app(&plain.id, &change)?;
    assert_eq!((changed.name.as_str(), changed.timezone.as_str(), changed.week_start), ("Renamed", "Europe/Berlin", WeekDay::Sunday));
    assert_eq!((changed.raw_retention_days, first.app(&plain.id)?), (None, Some(changed)), "what is not given stays");
    assert_eq!(first.change_app(&app("app_3", 0).id, &change), Err(MetadataError::Missing("app app_3".to_owned())));
    Ok(())
}

/// A key opens its app with its kind until it is revoked, for every process.
///
/// # Errors
/// What the store answered where it should have answered.
pub fn keys_open_their_app<S: MetadataStore>(open: impl Fn() -> S) -> Result<(), MetadataError> {
    let (first, second) = (open(), open());
    let (ours, other) = (app("ours", 1), app("other", 2));
    let (write, read) = (key(&ours, KeyKind::Write, 1), key(&ours, KeyKind::Read, 2));
    first.create_app(&ours, &[write.clone(), read.clone()])?;
    first.create_app(&other, &[])?;
    let (added, admin) = (key(&other, KeyKind::Read, 3), key(&other, KeyKind::Admin, 4));
    first.add_key(&added)?;
    first.add_key(&admin)?;
    for (key, owner) in [(&write, &ours), (&read, &ours), (&added, &other), (&admin, &other)] {
        assert_eq!(second.find_key(&key.hash, 100)?, Some(KeyOwner { app: owner.clone(), kind: key.kind }));
    }
    assert_eq!(second.find_key(&key(&ours, KeyKind::Read, 0).hash, 100)?, None);
    assert!(matches!(first.add_key(&added), Err(MetadataError::Taken(_))));
    assert_eq!(first.add_key(&key(&app("nobody", 0), KeyKind::Read, 0)), Err(MetadataError::Missing("app nobody".to_owned())));

    second.revoke_key(&read.id, 50)?;
    second.revoke_key(&read.id, 60)?;
    assert_eq!(first.find_key(&read.hash, 100)?, None);
    assert!(first.find_key(&write.hash, 100)?.is_some());
    let listed = |key: &NewKey, revoked_at_ms| Key {
        id: key.id.clone(),
        kind: key.kind,
        created_at_ms: key.created_at_ms,
        revoked_at_ms,
        last_used_at_ms: None,
    };
    assert_eq!(first.keys(&ours.id)?, [listed(&write, None), listed(&read, Some(50))]);
    assert_eq!(first.revoke_key("key_unknown", 1), Err(MetadataError::Missing("key key_unknown".to_owned())));
    Ok(())
}

/// A key that takes another's place opens the app at once, and the old one for as long as it was given.
///
/// # Errors
/// What the store answered where it should have answered.
pub fn keys_rotate_and_know_their_last_use<S: MetadataStore>(open: impl Fn() -> S) -> Result<(), MetadataError> {
    let (first, second) = (open(), open());
    let (ours, other) = (app("ours", 1), app("other", 2));
    let (old, foreign) = (key(&ours, KeyKind::Write, 1), key(&other, KeyKind::Write, 1));
    first.create_app(&ours, std::slice::from_ref(&old))?;
    first.create_app(&other, std::slice::from_ref(&foreign))?;
    let new = key(&ours, KeyKind::Write, 10);
    let refused = |id: &str| Err(MetadataError::Missing(format!("write key {id} that is not revoked")));
    assert_eq!(first.rotate_key(&foreign.id, &new, 50), refused(&foreign.id), "a key of another app");
    let other_kind = key(&ours, KeyKind::Admin, 10);
    assert!(matches!(first.rotate_key(&old.id, &other_kind, 50), Err(MetadataError::Missing(_))), "a key of another kind");
    assert_eq!(second.find_key(&new.hash, 10)?, None, "nothing of a refused rotation is kept");
    first.rotate_key(&old.id, &new, 50)?;
    assert!(second.find_key(&new.hash, 10)?.is_some());
    assert!(second.find_key(&old.hash, 49)?.is_some());
    assert_eq!(second.find_key(&old.hash, 50)?, None);
    let third = key(&ours, KeyKind::Write, 11);
    assert_eq!(first.rotate_key(&old.id, &third, 60), refused(&old.id), "a key is rotated once");
    second.revoke_key(&old.id, 20)?;
    assert_eq!(first.find_key(&old.hash, 20)?, None, "a key that had time left can be revoked at once");

    first.note_keys_used(&[(new.hash, 3_600_000), (key(&ours, KeyKind::Read, 0).hash, 1)])?;
    first.note_keys_used(&[(new.hash, 0)])?;
    let used: Vec<_> = second.keys(&ours.id)?.into_iter().map(|key| (key.id, key.revoked_at_ms, key.last_used_at_ms)).collect();
    assert_eq!(used, [(old.id, Some(20), None), (new.id, None, Some(3_600_000))]);
    Ok(())
}

/// Definitions are saved over the version that was read, and stay inside their app.
///
/// # Errors
/// What the store answered where it should have answered.
pub fn definitions_have_versions<S: MetadataStore + Definitions>(open: impl Fn() -> S) -> Result<(), MetadataError> {
    let (first, second) = (open(), open());
    let (ours, other) = (app("ours", 1), app("other", 2));
    first.create_app(&ours, &[])?;
    first.create_app(&other, &[])?;
    let mut funnel = Definition {
        id: "checkout".to_owned(),
        app: ours.id.clone(),
        kind: DefinitionKind::Funnel,
        name: "Checkout <b>".to_owned(),
        document: json!({"steps": ["page_view", "purchase"], "window": null, "exact": 9_007_199_254_740_993_i64}),
        version: 0,
        saved_at_ms: 7,
    };
    funnel.version = first.save_definition(&funnel, None)?;
    assert_eq!(funnel.version, 1);
    assert_eq!(second.definition(&ours.id, "checkout")?.as_ref(), Some(&funnel));
    assert_eq!(second.definition(&other.id, "checkout")?, None, "another app's definition is unknown");
    assert_eq!(second.delete_definition(&other.id, "checkout", None), Err(MetadataError::Missing("definition checkout".to_owned())));

    let stale = funnel.clone();
    funnel.name = "Checkout, 2 steps".to_owned();
    funnel.version = second.save_definition(&funnel, None)?;
    assert_eq!(first.save_definition(&stale, None), Err(MetadataError::Conflict { expected: 1, stored: 2 }));
    let new = Definition { version: 0, ..stale.clone() };
    assert_eq!(first.save_definition(&new, None), Err(MetadataError::Conflict { expected: 0, stored: 2 }));
    let other_kind = Definition { kind: DefinitionKind::Cohort, ..funnel };
    assert_eq!(first.save_definition(&other_kind, None), Err(MetadataError::Taken("funnel checkout".to_owned())));
    let nowhere = Definition { app: app("nobody", 0).id, ..new.clone() };
    assert_eq!(first.save_definition(&nowhere, None), Err(MetadataError::Missing("app nobody".to_owned())));
    let same_id = Definition { app: other.id.clone(), ..new };
    first.save_definition(&same_id, None)?;

    let earlier_name = Definition { id: "z".to_owned(), name: "A".to_owned(), version: 0, ..stale };
    first.save_definition(&earlier_name, None)?;
    let names = |kind| Ok(second.definitions(&ours.id, kind)?.into_iter().map(|d| d.name).collect::<Vec<_>>());
    assert_eq!(names(DefinitionKind::Funnel)?, ["A", "Checkout, 2 steps"]);
    assert_eq!(names(DefinitionKind::Cohort)?, Vec::<String>::new());
    first.delete_definition(&ours.id, "checkout", None)?;
    assert_eq!(second.definition(&ours.id, "checkout")?, None);

    decisions_hold_while_the_list_does(&first, &second, &earlier_name)?;

    let cohort = |number: usize| Definition {
        id: number.to_string(),
        app: ours.id.clone(),
        kind: DefinitionKind::Cohort,
        name: "many".to_owned(),
        document: json!({}),
        version: 0,
        saved_at_ms: 0,
    };
    (0..MAX_DEFINITIONS_PER_KIND).try_for_each(|number| first.save_definition(&cohort(number), None).map(|_| ()))?;
    let one_more = cohort(MAX_DEFINITIONS_PER_KIND);
    assert_eq!(second.save_definition(&one_more, None), Err(MetadataError::TooMany { kind: "cohort", limit: MAX_DEFINITIONS_PER_KIND }));
    assert_eq!(second.save_definition(&Definition { version: 1, ..cohort(0) }, None)?, 2, "a change is no further one");
    second.save_definition(&Definition { app: other.id.clone(), ..one_more }, None)?;
    assert!(second.definition(&other.id, "checkout")?.is_some());
    Ok(())
}

/// Many processes that write at once all succeed.
///
/// # Errors
/// What the store answered where it should have answered.
pub fn writers_wait_for_each_other<S: MetadataStore + 'static>(open: impl Fn() -> S) -> Result<(), MetadataError> {
    const WRITERS: usize = 4;
    const APPS_EACH: usize = 10;
    let stores: Vec<S> = (0..WRITERS).map(|_| open()).collect();
    std::thread::scope(|scope| {
        for (writer, store) in stores.iter().enumerate() {
            scope.spawn(move || {
                for n in 0..APPS_EACH {
                    let app = app(&format!("app_{writer}_{n}"), n as i64);
                    let created = store.create_app(&app, &[key(&app, KeyKind::Write, 0)]);
                    assert_eq!(created, Ok(()), "{}", app.id);
                }
            });
        }
    });
    assert_eq!(open().apps()?.len(), WRITERS * APPS_EACH);
    Ok(())
}

/// What was decided on a list of definitions is written only while the list is the same. `like` is one that is stored.
fn decisions_hold_while_the_list_does<S: Definitions>(first: &S, second: &S, like: &Definition) -> Result<(), MetadataError> {
    let seen = first.definitions(&like.app, DefinitionKind::Funnel)?;
    let another = Definition { id: "another".to_owned(), version: 0, ..like.clone() };
    second.save_definition(&another, Some(&seen))?;
    let changed = || MetadataError::Changed { kind: "funnel" };
    let third = Definition { id: "third".to_owned(), version: 0, ..like.clone() };
    assert_eq!(first.save_definition(&third, Some(&seen)), Err(changed()));
    assert_eq!(first.delete_definition(&like.app, "z", Some(&seen)), Err(changed()));
    let seen = first.definitions(&like.app, DefinitionKind::Funnel)?;
    second.save_definition(&Definition { version: 1, ..another }, None)?;
    assert_eq!(first.save_definition(&third, Some(&seen)), Err(changed()), "the same ids in other versions");
    let seen = first.definitions(&like.app, DefinitionKind::Funnel)?;
    first.save_definition(&third, Some(&seen)).map(|_| ())
}
