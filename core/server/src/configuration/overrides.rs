//! Overrides from the environment.

use toml::{Table, Value};

pub(super) const PREFIX: &str = "LANYARD_";

/// `LANYARD_SERVER_ADMIN_SOCKET` is `admin_socket` in `[server]`. Names of other variables make no section, and so no error.
pub(super) fn override_with(table: &mut Table, name: &str, value: &str) {
    let name = name[PREFIX.len()..].to_lowercase();
    let Some((section, key)) = name.split_once('_') else {
        return;
    };
    const SECTIONS: [&str; 12] = [
        "server",
        "database",
        "tls",
        "signing",
        "identity",
        "scep",
        "enrollment",
        "push",
        "retention",
        "plugins",
        "limits",
        "observability",
    ];
    if !SECTIONS.contains(&section) {
        return;
    }
    let value = toml::from_str::<Table>(&format!("value = {value}"))
        .ok()
        .and_then(|mut parsed| parsed.remove("value"))
        .unwrap_or_else(|| Value::String(value.to_owned()));
    if let Value::Table(section) = table
        .entry(section)
        .or_insert_with(|| Value::Table(Table::new()))
    {
        section.insert(key.to_owned(), value);
    }
}
