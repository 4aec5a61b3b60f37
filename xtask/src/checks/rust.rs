//! The Rust tests.

use crate::Result;
use crate::process::{cargo, run};
use crate::project::Project;

/// With the entry points that make the worker fail on purpose.
pub const FEATURES: [&str; 2] = ["--features", "sortie/test-hooks"];

/// Unit and integration tests.
pub fn tests(project: &Project) -> Result<()> {
    run(cargo(&project.root).args(["nextest", "run", "--workspace", "--locked"]).args(FEATURES))
}

/// The examples in the documentation.
pub fn documentation(project: &Project) -> Result<()> {
    run(cargo(&project.root).args(["test", "--doc", "--workspace", "--locked"]).args(FEATURES))
}
