//! What can be told from the sources.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use super::rust::{FEATURES, benches_cargo};
use crate::Result;
use crate::fuzz::fuzz_cargo;
use crate::godot::binding_cargo;
use crate::process::{capture, cargo, command, run};
use crate::project::Project;

/// Formatting.
pub fn format(project: &Project) -> Result<()> {
    run(cargo(&project.root).args(["fmt", "--all", "--check"]))?;
    run(binding_cargo(project).args(["fmt", "--check"]))?;
    run(fuzz_cargo(project).args(["fmt", "--check"]))?;
    run(benches_cargo(project).args(["fmt", "--all", "--check"]))
}

/// Lints.
pub fn clippy(project: &Project) -> Result<()> {
    let mut clippy = cargo(&project.root);
    clippy.args(["clippy", "--workspace", "--all-targets", "--locked"]).args(FEATURES);
    run(clippy.args(["--", "--deny", "warnings"]))?;
    let mut clippy = benches_cargo(project);
    clippy.args(["clippy", "--package", "sortie-leaves", "--all-targets", "--locked"]);
    run(clippy.args(["--", "--deny", "warnings"]))
}

/// The licences and origins of what ships.
pub fn licences(project: &Project) -> Result<()> {
    // Each of the two workspaces has its own exceptions; they share deny.toml, which cargo deny looks for upwards.
    let checks = ["deny", "check", "--allow", "license-exception-not-encountered", "licenses", "bans", "sources"];
    run(cargo(&project.root).args(checks))?;
    run(binding_cargo(project).args(checks))
}

/// The committed header is the one that the sources give.
pub fn header(project: &Project) -> Result<()> {
    // In a checkout the build has replaced the file already; then git knows the difference.
    let generated = generated_header(project)?;
    let generated = fs::read(&generated).map_err(|error| format!("cannot read {}: {error}", generated.display()))?;
    if generated != project.read("include/sortie.h")?.into_bytes() {
        return Err("include/sortie.h is not what src/ffi gives: build in a checkout, and commit it".to_owned());
    }
    if project.is_checkout() {
        let diff = ["diff", "--exit-code", "--stat", "--", "include"];
        run(command("git").current_dir(&project.root).args(diff))
            .map_err(|_| "include/sortie.h has changed with src/ffi: commit it".to_owned())?;
    }
    Ok(())
}

/// Where the build script leaves its copy.
fn generated_header(project: &Project) -> Result<PathBuf> {
    let mut build = cargo(&project.root);
    build.args(["build", "--workspace", "--locked", "--message-format", "json"]).args(FEATURES);
    capture(&mut build)?
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|message| message["reason"] == "build-script-executed")
        .filter_map(|message| Some(PathBuf::from(message["out_dir"].as_str()?).join("sortie.h")))
        .find(|copy| copy.exists())
        .ok_or_else(|| "cargo ran no build script of Sortie's".to_owned())
}

/// Every place that states the version states Cargo.toml's.
pub fn versions(project: &Project) -> Result<()> {
    let version = project.version()?;
    let states = |file: &str, wanted: &str| match project.read(file)?.lines().any(|line| line.starts_with(wanted)) {
        true => Ok(()),
        false => Err(format!("{file} has no line that starts with `{wanted}`, though the version is {version}")),
    };
    states("include/sortie.h", &format!("#define SORTIE_VERSION \"{version}\""))?;
    let csproj = "bindings/csharp/src/Sortie.csproj";
    states(csproj, &format!("    <Version>{version}</Version>"))?;
    states("bindings/unity/package.json", &format!("  \"version\": \"{version}\","))?;
    let example = format!("    <PackageReference Include=\"Sortie\" Version=\"{version}\" />");
    states("bindings/csharp/example/Example.csproj", &example)?;
    states("bindings/godot/Cargo.toml", &format!("version = \"{version}\""))?;
    states("CHANGELOG.md", &format!("## {version}")).or_else(|_| states("CHANGELOG.md", &format!("## [{version}]")))?;
    println!("{version}");
    Ok(())
}

/// README.md shows programs that are also compiled and run.
pub fn readme(project: &Project) -> Result<()> {
    let readme = project.read("README.md")?;
    for example in ["examples/c/minimal.c", "examples/cpp/minimal.cpp"] {
        if !readme.contains(project.read(example)?.trim()) {
            return Err(format!("README.md does not show {example} as it is"));
        }
    }
    Ok(())
}
