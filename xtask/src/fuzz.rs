//! `cargo xtask fuzz`: the targets in `fuzz/`, run for a number of inputs; the test command does so shortly.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;
use std::{fs, thread};

use crate::Result;
use crate::install::{self, Need};
use crate::process::{cargo, command, run};
use crate::project::Project;

/// What building them takes.
pub const NEEDS: &[Need] = &[Need::NativeBuild];

/// How many inputs a target is given by the test command. Its seed is fixed, so that it finds tomorrow what it finds today.
const SHORT: u64 = 20_000;

/// How many by hand, unless another number is given.
const LONG: u64 = 10_000_000;

/// `cargo xtask fuzz [TARGET...] [--runs N]`.
pub fn run_by_hand(project: &Project, words: &[&str]) -> Result<()> {
    let (names, runs) = match words {
        [names @ .., "--runs", runs] => (names, runs.parse().map_err(|_| format!("'{runs}' is no number of runs"))?),
        names => (names, LONG),
    };
    if let Some(option) = names.iter().find(|name| name.starts_with('-')) {
        return Err(format!("there is no option {option}\n\nusage: cargo xtask fuzz [TARGET...] [--runs N]"));
    }
    install::ensure(NEEDS.iter().copied())?;
    let program = build(project)?;
    let targets = targets(project)?;
    if let Some(unknown) = names.iter().find(|name| !targets.contains_key(**name)) {
        let known: Vec<&str> = targets.keys().map(String::as_str).collect();
        return Err(format!("there is no target `{unknown}`, but {}", known.join(", ")));
    }
    for (name, seeds) in targets.iter().filter(|(name, _)| names.is_empty() || names.contains(&name.as_str())) {
        let found = project.scratch(&format!("fuzz/{name}"))?;
        let mut target = target(project, &program, name, runs)?;
        // What is found is kept, and built upon by the next run.
        run(target.arg(found).arg(seeds))?;
    }
    Ok(())
}

/// Each target, shortly.
pub fn check(project: &Project) -> Result<()> {
    let program = build(project)?;
    let targets: Vec<_> = targets(project)?.into_iter().collect();
    let processors = thread::available_parallelism().map_or(1, usize::from);
    let one = |(name, seeds): &(String, PathBuf)| -> Result<()> {
        let empty = project.empty_scratch(&format!("fuzz-short/{name}"))?;
        let output = target(project, &program, name, SHORT)?
            .args(["-seed=1", "-max_len=1024"])
            .arg(empty)
            .arg(seeds)
            .output()
            .map_err(|error| format!("cannot run {}: {error}", program.display()))?;
        let said = String::from_utf8_lossy(&output.stderr);
        if !output.status.success() {
            return Err(format!("the target {name} failed: {}\n{said}", output.status));
        }
        let last = said.lines().rev().find(|line| line.contains("DONE")).unwrap_or("it did not say how far it came");
        println!("{name:16} {}", last.trim());
        Ok(())
    };
    thread::scope(|scope| {
        let shares = targets.chunks(targets.len().div_ceil(processors).max(1));
        let threads: Vec<_> = shares.map(|share| scope.spawn(|| share.iter().try_for_each(one))).collect();
        threads.into_iter().try_for_each(|thread| thread.join().map_err(|_| "a thread of xtask panicked".to_owned())?)
    })
}

/// Cargo in the workspace of the targets, whose dependencies are those of the tests.
pub fn fuzz_cargo(project: &Project) -> Command {
    let mut command = cargo(&project.root.join("fuzz"));
    command.env("CARGO_TARGET_DIR", &project.target);
    command
}

fn build(project: &Project) -> Result<PathBuf> {
    let wrapper = project.root.join("fuzz/rustc.sh");
    run(fuzz_cargo(project).args(["build", "--locked"]).env("RUSTC_WRAPPER", wrapper))?;
    Ok(project.target.join("debug/sortie-fuzz"))
}

/// The targets by their names, each with its corpus.
fn targets(project: &Project) -> Result<BTreeMap<String, PathBuf>> {
    let folder = project.root.join("fuzz/corpus");
    let entries = fs::read_dir(&folder).map_err(|error| format!("cannot read {}: {error}", folder.display()))?;
    Ok(entries.flatten().map(|entry| (entry.file_name().to_string_lossy().into_owned(), entry.path())).collect())
}

/// A target, to which the folders of its corpus are still to be added: what it finds goes to the first.
fn target(project: &Project, program: &PathBuf, name: &str, runs: u64) -> Result<Command> {
    let finds = project.scratch("fuzz-finds")?;
    let mut target = command(program);
    target
        .env("SORTIE_FUZZ_TARGET", name)
        .args(["-timeout=20", "-rss_limit_mb=1024", "-print_final_stats=1"])
        .arg(format!("-runs={runs}"))
        .arg(format!("-artifact_prefix={}/{name}-", finds.display()));
    Ok(target)
}
