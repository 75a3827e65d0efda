use serde_json::{Value, json};

fn account() -> Value {
    json!({"email": "ann@example.org", "name": "Ann", "password": "four words of mine"})
}

pub(crate) fn set_up() -> Value {
    json!({"token": "st_...", "account": account()})
}

pub(crate) fn log_in() -> Value {
    json!({"email": "ann@example.org", "password": "four words of mine"})
}

pub(crate) fn password() -> Value {
    json!({"current_password": "four words of mine", "new_password": "four other words"})
}

pub(crate) fn look() -> Value {
    json!({"token": "iv_..."})
}

pub(crate) fn accept() -> Value {
    json!({"token": "iv_...", "account": {"email": "bob@example.org", "name": "Bob", "password": "some words of Bob"}})
}
