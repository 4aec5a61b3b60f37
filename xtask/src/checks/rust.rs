//! The Rust tests.

use crate::Result;
use crate::process::{cargo, run};
use crate::project::Project;

/// With the entry points that make the worker fail on purpose.
pub const FEATURES: [&str; 2] = ["--features", "sortie/test-hooks"];

/// Unit and integration tests.
pub fn tests(project: &Project) -> Result<()> {
    run(cargo(&project.root).args(["nextest", "run", "--workspace", "--locked", "--no-fail-fast"]).args(FEATURES))
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
