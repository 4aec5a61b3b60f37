//! What cargo knows of the crates.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::Result;
use crate::process::{capture, cargo};
use crate::project::Project;

/// The systems that Sortie is made for.
const TARGETS: &[&str] = &[
    "x86_64-unknown-linux-gnu",
    "aarch64-unknown-linux-gnu",
    "x86_64-pc-windows-msvc",
    "x86_64-pc-windows-gnu",
    "x86_64-apple-darwin",
    "aarch64-apple-darwin",
];

/// A crate.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Crate {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its licences, as an SPDX expression.
    pub license: String,
    /// Where its sources are on the web.
    pub repository: String,
    /// Who wrote it.
    pub authors: Vec<String>,
    /// The folder of its sources.
    pub folder: PathBuf,
}

/// The crates that end up in Sortie's libraries, and every crate of the build by name.
pub struct Crates {
    /// In the libraries, on one system at least; in the order of their names.
    pub shipping: BTreeSet<Crate>,
    /// All that are known to cargo, tools included.
    pub by_name: BTreeMap<String, Crate>,
}

/// Asks cargo.
pub fn crates(project: &Project) -> Result<Crates> {
    let mut found = Crates { shipping: BTreeSet::new(), by_name: BTreeMap::new() };
    for target in TARGETS {
        let metadata = metadata(&project.root, target)?;
        let packages = packages(&metadata);
        for id in linked_into(&metadata, "sortie") {
            if let Some((package, false)) = packages.get(id) {
                found.shipping.insert(package.clone());
            }
        }
        found.by_name.extend(packages.into_values().map(|(package, _)| (package.name.clone(), package)));
    }
    Ok(found)
}

fn metadata(root: &Path, target: &str) -> Result<Value> {
    let text =
        capture(cargo(root).args(["metadata", "--format-version", "1", "--locked", "--filter-platform", target]))?;
    serde_json::from_str(&text).map_err(|error| format!("cargo metadata: {error}"))
}

fn list<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value[name].as_array().map(Vec::as_slice).unwrap_or_default()
}

fn text(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap_or_default().to_owned()
}

/// Every package by its id, and whether it is a macro, which leaves nothing of itself in a library.
fn packages(metadata: &Value) -> BTreeMap<&str, (Crate, bool)> {
    let described = list(metadata, "packages").iter().filter_map(|package| {
        let is_macro = list(package, "targets").iter().any(|target| list(target, "kind").contains(&"proc-macro".into()));
        let manifest = text(package, "manifest_path");
        let described = Crate {
            name: text(package, "name"),
            version: text(package, "version"),
            license: text(package, "license").replace('/', " OR "),
            repository: text(package, "repository"),
            authors: list(package, "authors").iter().filter_map(|a| a.as_str().map(str::to_owned)).collect(),
            folder: Path::new(&manifest).parent()?.to_path_buf(),
        };
        Some((package["id"].as_str()?, (described, is_macro)))
    });
    described.collect()
}

/// The ids of all that a package is linked with: not what builds or tests it.
fn linked_into<'a>(metadata: &'a Value, name: &str) -> BTreeSet<&'a str> {
    let nodes: BTreeMap<&str, &Value> = list(&metadata["resolve"], "nodes")
        .iter()
        .filter_map(|node| Some((node["id"].as_str()?, node)))
        .collect();
    let top = list(metadata, "packages").iter().find(|package| package["name"] == name);
    let mut waiting: Vec<&str> = top.and_then(|package| package["id"].as_str()).into_iter().collect();
    let mut seen = BTreeSet::new();
    while let Some(id) = waiting.pop() {
        let Some(node) = nodes.get(id) else { continue };
        for dependency in list(node, "deps") {
            let linked = list(dependency, "dep_kinds").iter().any(|kind| kind["kind"].is_null());
            match dependency["pkg"].as_str() {
                Some(other) if linked && seen.insert(other) => waiting.push(other),
                _ => {}
            }
        }
    }
    seen
}
