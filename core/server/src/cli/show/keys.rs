//! Sealing keys, for people to read.

use serde_json::Value;

use super::{table, text};

pub(in crate::cli) fn keys(keys: &Value) -> String {
    let keys = keys.as_array().map(Vec::as_slice).unwrap_or_default();
    table(&["KEY", "STATE", "SEALS"], keys, |key| {
        let values = format!("{} values", key["values"]);
        let files = key["files"].as_array().into_iter().flatten().map(text);
        let seals: Vec<String> = std::iter::once(values).chain(files).collect();
        vec![text(&key["id"]), text(&key["state"]), seals.join(", ")]
    })
}
