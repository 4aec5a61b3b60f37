//! The examples, built as a stranger would: with CMake, against the installed package.

use std::path::PathBuf;

use crate::Result;
use crate::package::{self, Package, build_all, configure, define};
use crate::process::{cargo, command, run};
use crate::project::Project;
use crate::server::Server;

/// Builds them all and gives the folder of the programs.
pub fn build(project: &Project, package: &Package) -> Result<PathBuf> {
    let build = project.scratch("examples")?;
    configure(&project.root.join("examples"), &build, &[&define("CMAKE_PREFIX_PATH", package.prefix.display())])?;
    build_all(&build)?;
    Ok(build)
}

/// Builds them all and runs the short ones, and Rust's, against the embedded server.
pub fn run_short(project: &Project) -> Result<()> {
    let programs = build(project, &package::install(project)?)?;
    let server = Server::start(project, false)?;
    let url = |path: &str| format!("{}{path}", server.url);
    run(command(programs.join("minimal_c")).arg(url("/bytes/100000")))?;
    run(&mut command(programs.join("mocked_test")))?;
    run(command(programs.join("form")).arg(url("/upload")).arg(project.root.join("README.md")))?;
    run(command(programs.join("cached")).arg(url("/headers?Cache-Control=max-age%3D60")))?;
    run(command(programs.join("stream")).arg(url("/echo")))?;
    run(command(programs.join("telemetry")).arg(url("/upload")))?;
    let patch = project.empty_scratch("examples-files")?.join("patch");
    run(command(programs.join("patch")).arg(url("/slow?bytes=3000000&rate=30000000")).arg(&patch))?;
    run(command(programs.join("minimal_cpp")).args([url("/bytes/1"), url("/gzip?bytes=5000"), url("/redirect/2")]))?;
    let mut rust = cargo(&project.root);
    rust.args(["run", "--quiet", "--locked", "--package", "sortie", "--example", "frame_loop", "--"]);
    run(rust.args([url("/bytes/1"), url("/redirect/2")]))
}

/// Runs one of them under valgrind.
pub fn run_valgrind(project: &Project) -> Result<()> {
    let programs = build(project, &package::install(project)?)?;
    let server = Server::start(project, false)?;
    let mut valgrind = command("valgrind");
    valgrind.args([
        "--quiet",
        "--error-exitcode=9",
        "--leak-check=full",
        "--errors-for-leak-kinds=definite",
        "--show-leak-kinds=definite",
    ]);
    run(valgrind.arg(programs.join("minimal_c")).arg(format!("{}/gzip?bytes=100000", server.url)))
}
