//! src/worker/public_suffixes.txt: the public suffix list of the psl crate in the lock file, which follows the list.

use crate::Result;
use crate::metadata::crates;
use crate::project::{self, Project};

const FILE: &str = "src/worker/public_suffixes.txt";

/// Writes the file anew.
pub fn write(project: &Project) -> Result<()> {
    project::write(&project.root.join(FILE), &rules(project)?)?;
    println!("{FILE} is up to date.");
    Ok(())
}

/// Fails if the file is not what would be written.
pub fn check(project: &Project) -> Result<()> {
    if project.read(FILE)? == rules(project)? {
        return Ok(());
    }
    Err(format!("{FILE} is out of date: run cargo xtask suffixes"))
}

/// A rule a line.
fn rules(project: &Project) -> Result<String> {
    let known = crates(&project.root, "sortie")?.by_name;
    let psl = known.get("psl").ok_or("the lock file has no crate psl")?;
    let text = project::read(&psl.folder.join("data/rules.txt"))?;
    Ok(text.lines().map(|rule| format!("{rule}\n")).collect())
}
