//! Crates: who may import whom, who names which heavy dependency, and what each takes from the workspace.

use std::collections::{BTreeSet, HashMap};
use std::fs;

use cargo_metadata::{DependencyKind, Metadata, Package, PackageId};

use super::{assert_none, metadata, root};

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
    (
        "lanyard-server",
        &[
            "opentelemetry",
            "opentelemetry-http",
            "opentelemetry-otlp",
            "opentelemetry_sdk",
            "tracing-opentelemetry",
        ],
    ),
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
