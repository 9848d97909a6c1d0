//! `docs/first-plugin.md`, walked through as it is written: outside of the workspace, to a policy in force.

use std::{fs, path::Path, process::Command};

use lanyard_tests::site::Site;

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

fn run(line: &str, folder: &Path, target: &Path) {
    let mut words = line.split_whitespace();
    let output = Command::new(words.next().unwrap())
        .args(words)
        .current_dir(folder)
        .env("CARGO_TARGET_DIR", target)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{line}:\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn the_guide_leads_to_a_plugin_in_force() {
    let root = fs::canonicalize(Path::new(env!("CARGO_MANIFEST_DIR")).join("..")).unwrap();
    let guide = fs::read_to_string(root.join("docs/first-plugin.md")).unwrap();
    let desk = tempfile::tempdir().unwrap();
    let folder = desk.path().join("product-line");
    fs::create_dir_all(folder.join("src")).unwrap();
    // Kept between runs, so that only the first one builds the SDK; and with the versions that the workspace is built with.
    let target = root.join("target/first-plugin");
    fs::copy(root.join("Cargo.lock"), folder.join("Cargo.lock")).unwrap();

    let mut site = Site::temporary(&[]).unwrap();
    site.start_apns().unwrap();
    site.start_server().unwrap();
    let mut steps = Vec::new();
    for (head, body) in blocks(&guide) {
        match head.split_whitespace().collect::<Vec<_>>()[..] {
            ["toml" | "rust", file] => {
                let sdk = root.join("sdk").display().to_string();
                let body = body.replace("../lanyard/sdk", &sdk);
                let built = target.join("wasm32-wasip2").display().to_string();
                let body = body.replace("target/wasm32-wasip2", &built);
                fs::write(folder.join(file), body).unwrap();
                steps.push(file.to_owned());
            }
            ["sh", "run"] => {
                for line in body.lines() {
                    run(line, &folder, &target);
                    steps.push(line.to_owned());
                }
            }
            ["sh", "server"] => {
                let policy = folder.join("policy.toml").display().to_string();
                assert_eq!(body.trim(), "lanyard policy apply policy.toml");
                let said = site.lanyard(&["policy", "apply", &policy]).unwrap();
                assert!(said.contains("+ enrollment-approval `phones`"), "{said}");
                steps.push("applied".to_owned());
            }
            ["sh", "desk"] => {
                let component = target.join("wasm32-wasip2/release/product_line.wasm");
                let component = component.display().to_string();
                let settings = r#"{"line":"iPhone"}"#;
                let written = format!(
                    "lanyard plugin check target/wasm32-wasip2/release/product_line.wasm --settings '{settings}'"
                );
                assert_eq!(body.trim(), written);
                let check = ["plugin", "check", &component, "--settings", settings];
                let said = site.lanyard(&check).unwrap();
                assert!(
                    said.contains("can be bound: enrollment-approval."),
                    "{said}"
                );
                steps.push("checked".to_owned());
            }
            ["sh"] => assert_eq!(body.trim(), "rustup target add wasm32-wasip2"),
            ref other => panic!("a block that nobody walks through: {other:?}"),
        }
    }
    assert_eq!(steps.len(), 7, "{steps:?}");
}
