//! What cargo knows of the crates.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::Result;
use crate::process::{capture, cargo};

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

/// Asks cargo what ends up in the libraries of a package, whose manifest is in this folder.
pub fn crates(folder: &Path, package: &str) -> Result<Crates> {
    let known = known_crates(folder)?;
    let mut shipping = BTreeSet::new();
    for target in TARGETS {
        for (name, version) in linked_into(folder, package, target)? {
            let found = known.iter().find(|known| known.name == name && known.version == version);
            shipping.insert(found.ok_or_else(|| format!("cargo metadata lacks {name} {version}"))?.clone());
        }
    }
    let by_name = known.into_iter().map(|known| (known.name.clone(), known)).collect();
    Ok(Crates { shipping, by_name })
}

/// The names and versions of all crates that are linked into a package's libraries on a system: not what builds or tests
/// them, nor macros, which leave nothing of themselves.
fn linked_into(folder: &Path, package: &str, target: &str) -> Result<Vec<(String, String)>> {
    let mut tree = cargo(folder);
    tree.args(["tree", "--package", package, "--edges", "normal,no-proc-macro", "--prefix", "none", "--format", "{p}"]);
    let listed = capture(tree.args(["--locked", "--target", target]))?;
    let crates = listed.lines().filter_map(|line| {
        let (name, rest) = line.split_once(" v")?;
        Some((name.to_owned(), rest.split(' ').next()?.to_owned()))
    });
    Ok(crates.filter(|(name, _)| name != "sortie" && name != package).collect())
}

/// Every crate of the lock file.
fn known_crates(root: &Path) -> Result<Vec<Crate>> {
    let json = capture(cargo(root).args(["metadata", "--format-version", "1", "--locked"]))?;
    let metadata: Value = serde_json::from_str(&json).map_err(|error| format!("cargo metadata: {error}"))?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let described = list(&metadata["packages"]).into_iter().filter_map(|package| {
        Some(Crate {
            name: text(&package["name"]),
            version: text(&package["version"]),
            license: text(&package["license"]).replace('/', " OR "),
            repository: text(&package["repository"]),
            authors: list(&package["authors"]).iter().map(text).collect(),
            folder: Path::new(package["manifest_path"].as_str()?).parent()?.to_path_buf(),
        })
    });
    Ok(described.collect())
}
