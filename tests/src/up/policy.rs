//! The policy of the main job: plugins decide who the person is, whether certificates may be issued, and what follows from an answer.

use std::{fs, path::Path};

use lanyard_engine::hash_password;
use lanyard_policy::Secret;

use crate::{
    guests,
    site::{Site, USER},
};

/// The directory that the person signs in with: a binding of `examples/directory`.
pub(super) const DIRECTORY: &str = "people";
/// The binding of `plugins/challenge-approval`.
pub(super) const CERTIFICATES: &str = "certificates";
/// The binding of `plugins/command-rules`.
pub(super) const RULES: &str = "rules";
/// What the rule has issued after the answer to DeviceInformation.
pub(super) const FOLLOWS: &str = "SecurityInfo";

/// The components, by the packages that make them.
const PLUGINS: [&str; 3] = ["example-directory", "challenge-approval", "command-rules"];

/// Compiles the plugins and has the server apply a policy with them, in which the person has this name and password.
pub(super) fn apply(site: &Site, user: &str, password: &str) -> Result<(), String> {
    let folder = site.data().with_file_name("policy");
    fs::create_dir_all(&folder).map_err(|error| at(&folder, error))?;
    for plugin in PLUGINS {
        let to = folder.join(plugin).with_extension("wasm");
        fs::copy(guests::component(plugin), &to).map_err(|error| at(&to, error))?;
    }
    let hash = hash_password(&Secret::new(password)).map_err(|error| error.to_string())?;
    let file = folder.join("policy.toml");
    fs::write(&file, document(user, hash.as_str())).map_err(|error| at(&file, error))?;
    site.lanyard(&["policy", "apply", &file.display().to_string()])?;
    Ok(())
}

fn document(user: &str, password_hash: &str) -> String {
    format!(
        r#"# Written by `cargo xtask up`.

[[binding]]
hook = "directory"
name = "{DIRECTORY}"
plugin = "example-directory.wasm"
grants = ["secrets"]
settings = {{ name = "{user}", password_hash = "{password_hash}" }}

[[binding]]
hook = "ra-approval"
name = "{CERTIFICATES}"
plugin = "challenge-approval.wasm"
settings = {{ keys = [{{ type = "rsa", min_bits = 2048 }}, {{ type = "ec" }}], validity_days = 365 }}

[[binding]]
hook = "event"
name = "{RULES}"
plugin = "command-rules.wasm"
commands = {{ allow = ["{FOLLOWS}"] }}

[binding.settings]
rules = [
    {{ name = "look-closer", when = {{ event = "command-finished", request_type = ["DeviceInformation"] }}, then = [{{ command = "{FOLLOWS}" }}] }},
]
"#
    )
}

/// Somebody else than [`USER`], for whom the directory of the policy would have to be asked in vain.
pub(super) fn somebody_else() -> String {
    format!("not-{USER}")
}

fn at(path: &Path, error: std::io::Error) -> String {
    format!("{}: {error}", path.display())
}
