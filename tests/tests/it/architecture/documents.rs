//! Documents: that they describe the tree, the tests and the contract that are there.

use std::collections::BTreeSet;
use std::fs;

use super::{assert_none, folder, metadata, root, sources};

#[test]
fn the_code_map_names_every_crate() {
    let map = fs::read_to_string(root().join("ARCHITECTURE.md")).expect("ARCHITECTURE.md is there");
    let paths: BTreeSet<_> = map
        .split(|c: char| !(c.is_ascii_alphanumeric() || "/._-".contains(c)))
        .map(|word| word.trim_end_matches(['/', '.']))
        .collect();
    let missing: Vec<_> = metadata()
        .workspace_packages()
        .into_iter()
        .map(folder)
        .filter(|folder| !paths.contains(folder.as_str()))
        .map(|folder| format!("ARCHITECTURE.md does not name `{folder}`"))
        .collect();
    assert_none(&missing);
}

#[test]
fn every_path_in_a_document_exists() {
    let mut broken = Vec::new();
    for document in [
        "README.md",
        "ARCHITECTURE.md",
        "CONTRIBUTING.md",
        "SECURITY.md",
        "CHANGELOG.md",
    ] {
        let text = fs::read_to_string(root().join(document))
            .unwrap_or_else(|error| panic!("{document}: {error}"));
        let gone = paths_in(&text).filter(|path| !root().join(path).exists());
        broken.extend(gone.map(|path| format!("{document} names `{path}`, which is not there")));
    }
    assert_none(&broken);
}

/// Fuel compares only under one version of the engine, so records name it: the version that is built in.
#[test]
fn records_name_the_engine_that_is_built_in() {
    let metadata = metadata();
    let mut packages = metadata.packages.iter();
    let wasmtime = packages.find(|package| package.name == "wasmtime").unwrap();
    assert_eq!(
        lanyard_wasm::ENGINE,
        format!("wasmtime {}", wasmtime.version)
    );
}

/// A list of what is tested is worth as much as the tests that it names.
#[test]
fn every_hostile_plugin_has_its_test() {
    let page = fs::read_to_string(root().join("docs/hostile-plugins.md")).unwrap();
    let sources: String = sources()
        .iter()
        .map(|file| fs::read_to_string(file).unwrap())
        .collect();
    let rows = page.lines().filter(|line| line.starts_with("| ")).skip(1);
    let named = rows.flat_map(|row| {
        let tests = row
            .trim_end_matches(" |")
            .rsplit(" | ")
            .next()
            .unwrap_or_default();
        tests
            .split(", ")
            .map(|test| test.trim_matches('`').to_owned())
    });
    let named: Vec<String> = named.collect();
    assert!(named.len() > 30, "the table is read: {named:?}");
    let gone = named
        .iter()
        .filter(|test| !sources.contains(&format!("fn {test}()")));
    assert_none(
        &gone
            .map(|test| format!("no test is called {test}"))
            .collect::<Vec<_>>(),
    );
}

/// What stands in backticks and is a path into this tree. Placeholders (`core/…`, `examples/<name>`) are none.
fn paths_in(text: &str) -> impl Iterator<Item = &str> {
    let in_backticks = text.split('`').skip(1).step_by(2);
    in_backticks
        .map(|span| span.trim_end_matches('/'))
        .filter(|span| {
            let first = span.split('/').next().unwrap_or_default();
            [
                "core", "docs", "sdk", "plugins", "examples", "tests", "xtask", ".ci",
            ]
            .contains(&first)
                && !span.contains(['*', '…', '<', '{', ' ', ':'])
        })
}

/// The rules of evolution in `sdk/README.md`, as far as they bind before the first release: one version, everywhere the same; every
/// hook point has its interface, and every exported function returns a result.
#[test]
fn the_contract_is_one_and_keeps_its_rules() {
    let mut versions = BTreeSet::new();
    let mut interfaces = BTreeSet::new();
    let mut broken = Vec::new();
    for entry in fs::read_dir(root().join("sdk/wit")).unwrap() {
        let file = entry.unwrap().path();
        let shown = file.file_name().unwrap().to_string_lossy().into_owned();
        let text = fs::read_to_string(&file).unwrap();
        let first = text.lines().next().unwrap();
        versions.insert(
            first
                .trim_end_matches(';')
                .rsplit('@')
                .next()
                .unwrap()
                .to_owned(),
        );
        let declared = text
            .lines()
            .filter_map(|line| line.strip_prefix("interface "));
        interfaces.extend(declared.map(|line| line.trim_end_matches(" {").to_owned()));
        let stem = shown.trim_end_matches(".wit");
        let is_hook = lanyard_policy::HookPoint::ALL
            .iter()
            .any(|point| point.as_str() == stem);
        for line in text.lines().filter(|line| line.contains(": func(")) {
            if is_hook && !line.contains("-> result<") {
                broken.push(format!(
                    "{shown}: {} cannot say that it cannot tell",
                    line.trim()
                ));
            }
        }
    }
    assert_eq!(versions.len(), 1, "{versions:?}");
    let version = versions.first().unwrap();
    let host = fs::read_to_string(root().join("core/wasm/src/contract.rs")).unwrap();
    assert!(
        host.contains(&format!("CONTRACT: &str = \"{version}\"")),
        "{version}"
    );
    for point in lanyard_policy::HookPoint::ALL {
        if !interfaces.contains(point.as_str()) {
            broken.push(format!("no interface for {point}"));
        }
    }
    assert_none(&broken);
}
