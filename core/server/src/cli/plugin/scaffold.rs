//! `lanyard plugin new`: a crate of its own, with a hook and a passing test.

use std::{error::Error, fs, path::Path};

use lanyard_policy::HookPoint;

/// A file of the crate: where it goes, and its template.
const FILES: [(&str, &str); 5] = [
    (
        "Cargo.toml",
        include_str!("../../../templates/plugin/Cargo.toml.txt"),
    ),
    (
        "README.md",
        include_str!("../../../templates/plugin/README.md.txt"),
    ),
    (
        ".cargo/config.toml",
        include_str!("../../../templates/plugin/config.toml.txt"),
    ),
    (
        ".gitignore",
        include_str!("../../../templates/plugin/gitignore.txt"),
    ),
    (
        "policy.toml",
        include_str!("../../../templates/plugin/policy.toml.txt"),
    ),
];

/// The smallest plugin of a hook point, and a question for it.
fn hook_files(hook: HookPoint) -> (&'static str, &'static str) {
    macro_rules! files {
        ($hook:literal) => {
            (
                include_str!(concat!("../../../templates/plugin/", $hook, ".rs.txt")),
                include_str!(concat!("../../../templates/plugin/", $hook, ".json.txt")),
            )
        };
    }
    match hook {
        HookPoint::Directory => files!("directory"),
        HookPoint::EnrollmentApproval => files!("enrollment-approval"),
        HookPoint::RaApproval => files!("ra-approval"),
        HookPoint::CommandSelection => files!("command-selection"),
        HookPoint::Event => files!("event"),
    }
}

/// Writes the crate into a new folder of its name.
///
/// # Errors
/// The name is no crate's, the folder is there already, or something cannot be written.
pub(super) fn write(folder: &Path, hook: HookPoint, sdk: &Path) -> Result<(), Box<dyn Error>> {
    let name = folder.file_name().and_then(|name| name.to_str());
    let name = name.filter(|name| is_name(name)).ok_or_else(|| {
        format!(
            "{}: a plugin's name begins with a letter and has lower-case letters, digits and hyphens: product-line",
            folder.display()
        )
    })?;
    let manifest = sdk.join("Cargo.toml");
    let sdk = fs::canonicalize(sdk)
        .ok()
        .filter(|_| manifest.is_file())
        .ok_or_else(|| {
            format!(
                "--sdk {}: there is no Cargo.toml; the folder `sdk` of a checkout of Lanyard would be right",
                sdk.display()
            )
        })?;
    let grants = match hook {
        HookPoint::Directory => "[\"secrets\"]",
        _ => "[]",
    };
    let fill = |template: &str| {
        template
            .replace("{name}", name)
            .replace("{file}", &name.replace('-', "_"))
            .replace("{hook}", hook.as_str())
            .replace("{grants}", grants)
            .replace(
                "{grant}",
                if hook == HookPoint::Directory {
                    " --grant secrets"
                } else {
                    ""
                },
            )
            .replace("{sdk}", &sdk.display().to_string())
    };
    // Refuses a folder that is there, so that nobody's work is overwritten.
    fs::create_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    for within in ["src", ".cargo"] {
        fs::create_dir(folder.join(within))?;
    }
    let (source, question) = hook_files(hook);
    let of_hook = [("src/lib.rs", source), ("question.json", question)];
    for (file, template) in FILES.into_iter().chain(of_hook) {
        let path = folder.join(file);
        fs::write(&path, fill(template)).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    Ok(())
}

fn is_name(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}
