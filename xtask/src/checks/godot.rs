//! The Godot binding: its lints, its tests in a real Godot, the demo.

use std::path::Path;

use crate::Result;
use crate::godot::{Engine, FOLDER, binding_cargo, game};
use crate::process::run;
use crate::project::{self, Project};
use crate::server::Servers;
use crate::test::Verdict;

/// Everything.
pub fn check(project: &Project) -> Result<Verdict> {
    if std::env::var_os("GODOT").is_none() && std::env::consts::ARCH != "x86_64" {
        return Ok(Verdict::Skipped("Godot 4 comes from Debian for x86_64 only: name another by GODOT".to_owned()));
    }
    same_versions(project)?;
    run(binding_cargo(project).args(["clippy", "--locked", "--all-targets", "--", "--deny", "warnings"]))?;
    let engine = Engine::find(project)?;
    tests(project, &engine)?;
    demo(project, &engine)?;
    Ok(Verdict::Passed)
}

/// What both lock files have is the same, so that the binding ships what was tested.
fn same_versions(project: &Project) -> Result<()> {
    let ours = packages(&project.read("Cargo.lock")?);
    let theirs = packages(&project.read(&format!("{FOLDER}/Cargo.lock"))?);
    for (name, version) in &theirs {
        let mut known = ours.iter().filter(|(other, _)| other == name).peekable();
        if known.peek().is_some() && !known.any(|(_, other)| other == version) {
            return Err(format!("{FOLDER}/Cargo.lock has {name} {version}, Cargo.lock another version"));
        }
    }
    Ok(())
}

/// The names and versions of a lock file.
fn packages(lock: &str) -> Vec<(String, String)> {
    let part = |package: &str, key: &str| {
        let value = package.lines().find_map(|line| line.strip_prefix(key))?;
        Some(value.trim_end_matches('"').to_owned())
    };
    let named = |package: &str| Some((part(package, "name = \"")?, part(package, "version = \"")?));
    lock.split("[[package]]").skip(1).filter_map(named).collect()
}

/// The tests, in GDScript.
fn tests(project: &Project, engine: &Engine) -> Result<()> {
    let game = game(project, "tests")?;
    let classes = "list=[{\"base\": &\"Node\", \"class\": &\"Case\", \"icon\": \"\", \"is_abstract\": false, \
                   \"is_tool\": false, \"language\": &\"GDScript\", \"path\": \"res://case.gd\"}]\n";
    project::write(&game.join(".godot/global_script_class_cache.cfg"), classes)?;
    let servers = Servers::start(project)?;
    let home = project.empty_scratch("godot/home")?;
    let mut tests = engine.headless(300, &game);
    tests.args(["--quit-after", "36000"]);
    at_home(&mut tests, &home)
        .env("SORTIE_HEADER", project.root.join("include/sortie.h"))
        .env("SORTIE_README", project.root.join(FOLDER).join("README.md"));
    let output = servers.tell(&mut tests).output().map_err(|error| format!("cannot run Godot: {error}"))?;
    println!("{}", String::from_utf8_lossy(&output.stdout));
    if output.status.success() {
        return Ok(());
    }
    // What the engine wrote to its log, expected errors included.
    println!("{}", String::from_utf8_lossy(&output.stderr));
    Err(format!("the Godot tests failed: {}", output.status))
}

/// The demo runs without an error, with what answers it built in.
fn demo(project: &Project, engine: &Engine) -> Result<()> {
    let home = project.empty_scratch("godot/home")?;
    let mut demo = engine.headless(60, &game(project, "demo")?);
    let output = at_home(demo.args(["--quit-after", "600"]), &home)
        .output()
        .map_err(|error| format!("cannot run the demo: {error}"))?;
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if output.status.success() && !said.contains("ERROR") {
        return Ok(());
    }
    Err(format!("the demo failed: {}\n{said}", output.status))
}

/// A program whose files go to a folder of the tests.
fn at_home<'a>(program: &'a mut std::process::Command, home: &Path) -> &'a mut std::process::Command {
    program.env("HOME", home).env("XDG_DATA_HOME", home).env("XDG_CONFIG_HOME", home).env("XDG_CACHE_HOME", home)
}
