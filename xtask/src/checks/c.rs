//! The C tests, against the installed package and the embedded server.

use crate::Result;
use crate::install::{clang, clang_cpp};
use crate::package::{self, build_all, configure, ctest, define};
use crate::process::run;
use crate::project::Project;
use crate::server::Servers;

/// With the system's compiler, against the shared and the static library.
pub fn tests(project: &Project) -> Result<()> {
    build_and_run(project, "c-tests", &[])
}

/// With clang's address and undefined-behaviour sanitizers, and its leak check.
pub fn sanitized(project: &Project) -> Result<()> {
    build_and_run(
        project,
        "c-sanitizers",
        &[
            "-DSORTIE_TESTS_SANITIZE=ON",
            &define("CMAKE_C_COMPILER", clang()),
            &define("CMAKE_CXX_COMPILER", clang_cpp()),
        ],
    )
}

fn build_and_run(project: &Project, name: &str, options: &[&str]) -> Result<()> {
    let package = package::install(project)?;
    let build = project.scratch(name)?;
    let prefix = define("CMAKE_PREFIX_PATH", package.prefix.display());
    let common = [prefix.as_str(), "-DCMAKE_BUILD_TYPE=Debug"];
    configure(&project.root.join("tests/c"), &build, &[&common, options].concat())?;
    build_all(&build)?;
    run(Servers::start(project)?.tell(&mut ctest(&build)))
}
