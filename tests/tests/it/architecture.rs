//! What ARCHITECTURE.md says, checked: who may import whom, who names which heavy dependency, and that the documents
//! describe the tree that is there.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package, PackageId};

/// Which foreign crates one of ours must not name. Development dependencies are free: they reach no product.
struct Rule {
    of: &'static str,
    must_not_name: &'static [&'static str],
}

const IO: &[&str] = &["axum", "hyper", "sea-orm", "tokio", "wasmtime"];

const RULES: &[Rule] = &[
    Rule {
        of: "lanyard-pki",
        must_not_name: IO,
    },
    Rule {
        of: "lanyard-policy",
        must_not_name: IO,
    },
    Rule {
        of: "lanyard-commands",
        must_not_name: IO,
    },
    Rule {
        of: "lanyard-scep",
        must_not_name: IO,
    },
    Rule {
        of: "lanyard-mdm",
        must_not_name: IO,
    },
    Rule {
        of: "lanyard-wasm",
        must_not_name: &["axum", "sea-orm"],
    },
    Rule {
        of: "lanyard-store",
        must_not_name: &["axum", "wasmtime"],
    },
    Rule {
        of: "lanyard-push",
        must_not_name: &["axum", "sea-orm"],
    },
    Rule {
        of: "lanyard-engine",
        must_not_name: &["axum", "wasmtime"],
    },
    Rule {
        of: "lanyard-server",
        must_not_name: &[],
    },
    Rule {
        of: "lanyard-device",
        must_not_name: &["axum", "sea-orm", "wasmtime"],
    },
    Rule {
        of: "lanyard-sdk",
        must_not_name: IO,
    },
    Rule {
        of: "lanyard-examples",
        must_not_name: IO,
    },
    Rule {
        of: "lanyard-plugins",
        must_not_name: IO,
    },
    Rule {
        of: "lanyard-guests",
        must_not_name: IO,
    },
];

/// Foreign crates that one crate of ours alone names.
const NAMED_BY_ONE: &[(&str, &[&str])] = &[
    (
        "lanyard-pki",
        &[
            "openssl",
            "openssl-sys",
            "rcgen",
            "der",
            "cms",
            "x509-cert",
            "x509-parser",
        ],
    ),
    ("lanyard-wasm", &["wasmtime", "wasmtime-wasi"]),
    ("lanyard-sdk", &["wit-bindgen"]),
    ("lanyard-push", &["a2"]),
    ("lanyard-store", &["sea-orm", "sea-orm-migration", "sqlx"]),
];

/// Crates whose tests build without what takes minutes to compile.
const LIGHT: &[&str] = &[
    "lanyard-pki",
    "lanyard-scep",
    "lanyard-mdm",
    "lanyard-policy",
    "lanyard-commands",
];
const HEAVY: &[&str] = &["sea-orm", "sqlx-core", "wasmtime", "cranelift-codegen"];

/// A module of such a name says nothing about what it holds.
const NAMES_OF_NOTHING: &[&str] = &["common", "utils", "util", "types", "helpers", "helper"];

#[test]
fn crates_import_what_the_table_says_and_nothing_else() {
    let metadata = metadata();
    let table = import_table();
    let mut broken = Vec::new();
    for package in metadata.workspace_packages() {
        let name = package.name.as_str();
        if name == "xtask" {
            broken.extend(
                package
                    .dependencies
                    .iter()
                    .map(|dependency| format!("xtask depends on {}", dependency.name)),
            );
            continue;
        }
        if name == "lanyard-tests" {
            continue;
        }
        let imports: Vec<&str> = package
            .dependencies
            .iter()
            .filter(|dependency| dependency.kind != DependencyKind::Development)
            .map(|dependency| dependency.name.as_str())
            .collect();
        let ours: BTreeSet<String> = imports
            .iter()
            .filter(|import| import.starts_with("lanyard-"))
            .map(|import| (*import).to_owned())
            .collect();
        let listed = listed_as(package);
        match table.get(&listed) {
            Some(said) if *said == ours => {}
            said => broken.push(format!("{name} imports {ours:?}, the table says {said:?}")),
        }
        let Some(rule) = RULES.iter().find(|rule| rule.of == listed) else {
            broken.push(format!("{name} has no rule"));
            continue;
        };
        broken.extend(
            imports
                .iter()
                .filter(|import| rule.must_not_name.contains(import))
                .map(|import| format!("{name} names {import}")),
        );
    }
    assert_none(&broken);
}

/// The table's name for a package: plugins are listed by the folder that they stand in.
fn listed_as(package: &Package) -> String {
    let folder = package.manifest_path.parent().unwrap().parent().unwrap();
    match folder.file_name() {
        Some(folder @ ("examples" | "guests" | "plugins")) => format!("lanyard-{folder}"),
        _ => package.name.to_string(),
    }
}

/// "Who may import whom" of ARCHITECTURE.md: the packages that each package imports, of ours.
fn import_table() -> HashMap<String, BTreeSet<String>> {
    let text = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let (_, table) = text.split_once("## Who may import whom").unwrap();
    let (table, _) = table.split_once("\n## ").unwrap();
    let package = |short: &str| format!("lanyard-{short}");
    let mut imports = HashMap::new();
    for row in table.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = row.trim_matches('|').split('|').collect();
        let [crates, of_ours] = cells[..] else {
            panic!("a row has two cells: {row}")
        };
        let of_ours: BTreeSet<String> = of_ours
            .split(',')
            .map(str::trim)
            .filter(|name| *name != "\u{2013}")
            .map(package)
            .collect();
        for folder in crates.split(',') {
            let name = folder.trim().trim_matches('`').rsplit('/').next();
            imports.insert(package(name.unwrap()), of_ours.clone());
        }
    }
    imports
}

#[test]
fn heavy_and_delicate_dependencies_have_one_owner() {
    let metadata = metadata();
    let mut broken = Vec::new();
    for package in metadata.workspace_packages() {
        for dependency in &package.dependencies {
            let owner = NAMED_BY_ONE
                .iter()
                .find(|(_, names)| names.contains(&dependency.name.as_str()));
            if let Some((owner, _)) = owner
                && package.name.as_str() != *owner
                && package.name.as_str() != "lanyard-tests"
                && dependency.kind != DependencyKind::Development
            {
                broken.push(format!(
                    "{} names {}, which is {owner}'s",
                    package.name, dependency.name
                ));
            }
        }
    }
    assert_none(&broken);
}

#[test]
fn light_crates_and_their_tests_never_reach_the_heavy_ones() {
    let metadata = metadata();
    let store = reachable(&metadata, "lanyard-store");
    assert!(store.contains("sea-orm"), "the walk finds what is there");
    let mut broken = Vec::new();
    for light in LIGHT {
        let reached = reachable(&metadata, light);
        broken.extend(
            HEAVY
                .iter()
                .filter(|heavy| reached.contains(**heavy))
                .map(|heavy| format!("{light} reaches {heavy}")),
        );
    }
    assert_none(&broken);
}

#[test]
fn every_crate_says_what_it_is_and_takes_the_workspace_lints() {
    let metadata = metadata();
    let mut broken = Vec::new();
    for package in metadata.workspace_packages() {
        let manifest = fs::read_to_string(&package.manifest_path).unwrap();
        if package.name == "lanyard-wasm" {
            let differs = lints(&manifest) != workspace_lints().replace("\"forbid\"", "\"deny\"");
            broken.extend(differs.then(|| {
                "lanyard-wasm has other lints than `unsafe_code = \"deny\"` and the workspace's"
                    .into()
            }));
        } else if !manifest.contains("[lints]\nworkspace = true") {
            broken.push(format!(
                "{}: no `[lints] workspace = true`",
                package.manifest_path
            ));
        }
        for target in &package.targets {
            let source = fs::read_to_string(&target.src_path).unwrap();
            if !target.is_custom_build() && !source.starts_with("//! ") {
                broken.push(format!(
                    "{} does not begin with the crate's documentation",
                    target.src_path
                ));
            }
        }
    }
    let lints = workspace_lints();
    for lint in [
        "unsafe_code = \"forbid\"",
        "missing_docs = \"warn\"",
        "unwrap_used = \"warn\"",
    ] {
        if !lints.contains(lint) {
            broken.push(format!("the workspace lints lack {lint}"));
        }
    }
    assert_none(&broken);
}

/// The lines of the `[lints.…]` tables of a manifest.
fn lints(manifest: &str) -> String {
    let tables = manifest.split("\n[").filter_map(|table| {
        let table = table.strip_prefix("workspace.").unwrap_or(table);
        table.strip_prefix("lints.")
    });
    let lines: Vec<&str> = tables.flat_map(str::lines).collect();
    let lines = lines.into_iter().filter(|line| !line.is_empty());
    lines.collect::<Vec<_>>().join("\n")
}

fn workspace_lints() -> String {
    lints(&fs::read_to_string(root().join("Cargo.toml")).unwrap())
}

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

fn assert_none(broken: &[String]) {
    assert!(broken.is_empty(), "\n  {}\n", broken.join("\n  "));
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// Cargo's view of the workspace, for this machine's platform: without the filter cargo would download the crates of
/// every other one.
fn metadata() -> Metadata {
    let rustc = Command::new("rustc")
        .args(["--print", "host-tuple"])
        .output()
        .unwrap();
    let host = String::from_utf8(rustc.stdout).unwrap().trim().to_owned();
    MetadataCommand::new()
        .manifest_path(root().join("Cargo.toml"))
        .other_options(["--locked".to_owned(), "--filter-platform".to_owned(), host])
        .exec()
        .unwrap()
}

/// The folder of a workspace member, such as `core/pki`.
fn folder(package: &Package) -> String {
    let folder = package.manifest_path.parent().unwrap().as_std_path();
    folder
        .strip_prefix(root())
        .unwrap()
        .to_str()
        .unwrap()
        .to_owned()
}

/// The names of all packages that building a crate's tests compiles: its own development dependencies count, those of
/// what it depends on do not.
fn reachable(metadata: &Metadata, name: &str) -> BTreeSet<String> {
    let packages = metadata.workspace_packages();
    let package = packages.iter().find(|package| package.name == name);
    let root: &PackageId = &package.unwrap().id;
    let nodes = &metadata.resolve.as_ref().unwrap().nodes;
    let nodes: HashMap<_, _> = nodes.iter().map(|node| (&node.id, node)).collect();
    let mut seen = BTreeSet::new();
    let mut next = vec![root];
    while let Some(id) = next.pop() {
        if !seen.insert(id) {
            continue;
        }
        next.extend(
            nodes[id]
                .deps
                .iter()
                .filter(|dep| {
                    id == root
                        || dep
                            .dep_kinds
                            .iter()
                            .any(|kind| kind.kind != DependencyKind::Development)
                })
                .map(|dep| &dep.pkg),
        );
    }
    seen.into_iter()
        .map(|id| metadata[id].name.to_string())
        .collect()
}

/// Every Rust file of the workspace.
fn sources() -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders: Vec<_> = metadata()
        .workspace_packages()
        .into_iter()
        .map(|package| root().join(folder(package)))
        .collect();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() && !path.ends_with("target") {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    files
}

/// The name in `mod name;` or `pub(crate) mod name {`.
fn declared_module(line: &str) -> Option<&str> {
    let (visibility, rest) = line.trim().split_once("mod ")?;
    let declares = visibility.is_empty() || visibility.starts_with("pub");
    declares.then(|| rest.split([';', ' ', '{']).next())?
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
