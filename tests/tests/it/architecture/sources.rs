//! Source files: what must not stand in any.

use std::fs;

use super::{assert_none, root, sources};

/// A module of such a name says nothing about what it holds.
const NAMES_OF_NOTHING: &[&str] = &["common", "utils", "util", "types", "helpers", "helper"];

/// Loading a compiled component is the one thing that cannot be had without.
#[test]
fn there_is_one_unsafe_function_in_the_workspace() {
    // In parts, so that this file does not count.
    let (allowed, block) = (concat!("allow(", "unsafe_code)"), concat!("unsafe", " {"));
    let (other, function) = (concat!("unsafe", " impl"), concat!("unsafe", " fn"));
    let attribute = concat!("#[", "unsafe(");
    let mut found = Vec::new();
    for file in sources() {
        let shown = file.strip_prefix(root()).unwrap().display().to_string();
        let text = fs::read_to_string(&file).unwrap();
        for word in [allowed, block, other, function, attribute] {
            found.extend(text.matches(word).map(|_| (shown.clone(), word)));
        }
    }
    let cache = || "core/wasm/src/cache.rs".to_owned();
    let export = "sdk/src/export.rs".to_owned();
    assert_eq!(
        found,
        [(cache(), allowed), (cache(), block), (export, attribute)]
    );
}

#[test]
fn no_module_is_named_for_nothing_and_no_test_is_ignored() {
    let mut broken = Vec::new();
    let ignored = concat!("#[", "ignore");
    for file in sources() {
        let shown = file.strip_prefix(root()).unwrap().display().to_string();
        let stem = file.file_stem().unwrap().to_str().unwrap();
        let folder = file
            .parent()
            .unwrap()
            .file_name()
            .unwrap()
            .to_str()
            .unwrap();
        if NAMES_OF_NOTHING.contains(&stem) || NAMES_OF_NOTHING.contains(&folder) {
            broken.push(format!("{shown} is named for nothing"));
        }
        for (number, line) in fs::read_to_string(&file).unwrap().lines().enumerate() {
            if declared_module(line).is_some_and(|name| NAMES_OF_NOTHING.contains(&name)) {
                broken.push(format!("{shown}:{}: {}", number + 1, line.trim()));
            }
            if line.trim_start().starts_with(ignored) {
                broken.push(format!("{shown}:{}: an ignored test", number + 1));
            }
        }
    }
    assert_none(&broken);
}

/// The name in `mod name;` or `pub(crate) mod name {`.
fn declared_module(line: &str) -> Option<&str> {
    let (visibility, rest) = line.trim().split_once("mod ")?;
    let declares = visibility.is_empty() || visibility.starts_with("pub");
    declares.then(|| rest.split([';', ' ', '{']).next())?
}
