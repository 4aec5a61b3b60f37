//! The Rust tests.

use std::process::Command;

use crate::Result;
use crate::process::{capture, cargo, run};
use crate::project::Project;

/// With the entry points that make the worker fail on purpose.
pub const FEATURES: [&str; 2] = ["--features", "sortie/test-hooks"];

/// Unit and integration tests, and each bench of the leaves once.
pub fn tests(project: &Project) -> Result<()> {
    run(cargo(&project.root).args(["nextest", "run", "--workspace", "--locked", "--no-fail-fast"]).args(FEATURES))?;
    // Not by nextest, which would start Criterion once for each of them.
    println!("each bench, once");
    capture(benches_cargo(project).args(["test", "--package", "sortie-leaves", "--benches", "--locked"])).map(drop)
}

/// Cargo in the workspace of the benches.
pub fn benches_cargo(project: &Project) -> Command {
    let mut command = cargo(&project.root.join("benches/rust"));
    command.env("CARGO_TARGET_DIR", &project.target);
    command
}

/// The tests that take too long for every day: files beyond 4 GiB, and the soak.
pub fn slow_tests(project: &Project) -> Result<()> {
    let mut tests = cargo(&project.root);
    tests.args(["nextest", "run", "--workspace", "--locked", "--no-fail-fast", "--run-ignored", "only"]);
    run(tests.args(FEATURES))
}

/// The examples in the documentation.
pub fn documentation(project: &Project) -> Result<()> {
    run(cargo(&project.root).args(["test", "--doc", "--workspace", "--locked"]).args(FEATURES))
}
