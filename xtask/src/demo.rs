//! `cargo xtask demo`: Sortie in a frame loop, before one's eyes.

use crate::Result;
use crate::examples;
use crate::install::{self, Need};
use crate::package;
use crate::process;
use crate::project::Project;
use crate::server::Server;

/// Builds the library, installs it, compiles the example against it, and runs that: against the embedded server, or
/// with these URLs.
pub fn run(project: &Project, urls: &[&str]) -> Result<()> {
    install::ensure([Need::NativeBuild, Need::Cmake, Need::Binutils])?;
    let programs = examples::build(project, &package::install(project)?)?;
    let mut frame_loop = process::command(programs.join("frame_loop"));
    frame_loop.current_dir(project.empty_scratch("demo")?);
    if urls.is_empty() {
        let server = Server::start(project, false)?;
        println!();
        return process::run(frame_loop.arg(&server.url));
    }
    println!();
    process::run(frame_loop.arg("--urls").args(urls))
}
