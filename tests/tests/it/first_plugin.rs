//! `docs/first-plugin.md`, walked through as it is written: outside of the workspace, to a policy in force.

use std::{fs, os::unix::fs::symlink, path::Path, process::Command};

use lanyard_tests::{process::binary, site::Site};

/// The blocks of the guide: what is written behind the language, and what stands in the block.
fn blocks(guide: &str) -> Vec<(String, String)> {
    let fenced = guide.split("```").skip(1).step_by(2);
    fenced
        .map(|block| {
            let (head, body) = block.split_once('\n').unwrap();
            (head.to_owned(), body.to_owned())
        })
        .collect()
}

/// Types the lines into a shell of a reader who is in this folder; what they print. `before` was typed on the desk.
fn typed(before: &str, lines: &str, desk: &Path, folder: &Path) -> String {
    let script = format!("{before}\ncd '{}'\n{lines}", folder.display());
    let output = Command::new("sh")
        .args(["-ec", &script])
        .current_dir(desk)
        .env_remove("LANYARD_DATA")
        .env("CARGO_NET_OFFLINE", "true")
        .env_remove("CARGO_TARGET_DIR")
        // Built once; and with some splits of the crate into pieces, wasm-ld of Rust 1.95 dies.
        .env("CARGO_INCREMENTAL", "0")
        .output()
        .unwrap();
    let [out, err] =
        [output.stdout, output.stderr].map(|said| String::from_utf8_lossy(&said).into_owned());
    assert!(output.status.success(), "{lines}:\n{out}{err}");
    out
}

#[test]
fn the_guide_leads_to_a_plugin_in_force() {
    let root = fs::canonicalize(Path::new(env!("CARGO_MANIFEST_DIR")).join("..")).unwrap();
    let guide = fs::read_to_string(root.join("docs/first-plugin.md")).unwrap();
    let mut site = Site::temporary(&[]).unwrap();
    site.start_apns().unwrap();
    site.start_server().unwrap();
    let desk = tempfile::tempdir().unwrap();
    // A checkout that was built, and a server's data directory, as the guide supposes them.
    let checkout = desk.path().join("lanyard");
    fs::create_dir_all(checkout.join("target/debug")).unwrap();
    symlink(root.join("sdk"), checkout.join("sdk")).unwrap();
    symlink(binary("lanyard"), checkout.join("target/debug/lanyard")).unwrap();
    symlink(site.data(), desk.path().join("srv")).unwrap();
    let desk = desk.path();
    let folder = desk.join("product-line");
    let (mut before, mut said) = (String::new(), String::new());
    for (head, body) in blocks(&guide) {
        match head.split_whitespace().collect::<Vec<_>>()[..] {
            // Of the machine, which the tests do not change.
            ["sh"] => assert_eq!(body.trim(), "rustup target add wasm32-wasip2"),
            ["sh", "new"] => {
                said += &typed(&before, &body, desk, desk);
                // Kept between runs, so that only the first one builds the SDK; and with the versions that the workspace is built with.
                let target = root.join("target/first-plugin");
                fs::create_dir_all(&target).unwrap();
                symlink(target, folder.join("target")).unwrap();
                fs::copy(root.join("Cargo.lock"), folder.join("Cargo.lock")).unwrap();
            }
            ["sh", "here"] => before = body,
            ["sh", "run"] => said += &typed(&before, &body, desk, &folder),
            ["toml" | "rust", file] => fs::write(folder.join(file), body).unwrap(),
            ref other => panic!("a block that nobody walks through: {other:?}"),
        }
    }
    let passed = said
        .matches("test tests::a_tablet_is_no_phone ... ok")
        .count();
    assert_eq!(passed, 4, "twice natively, and twice inside: {said}");
    for part in [
        "that it is product-line 0.1.0",
        "log: says which products were turned away",
        "described by a schema",
        "can be bound: enrollment-approval.",
        "other-line",
        "Revision 1 is in force.",
        "+ enrollment-approval `phones`",
    ] {
        assert!(said.contains(part), "{part:?} is not in {said}");
    }
}
