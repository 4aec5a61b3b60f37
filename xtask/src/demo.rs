//! `cargo xtask demo`: Sortie in a frame loop, before one's eyes.

use std::process::Command;

use crate::Result;
use crate::examples;
use crate::install::{self, Need};
use crate::package;
use crate::picture;
use crate::process;
use crate::project::{self, Project};
use crate::server::Server;

/// Builds the library, installs it, compiles the example against it, and runs that: against the embedded server, or
/// with these URLs.
pub fn run(project: &Project, urls: &[&str]) -> Result<()> {
    let mut frame_loop = frame_loop(project)?;
    if urls.is_empty() {
        let server = Server::start(project, false)?;
        println!();
        return process::run(frame_loop.arg(&server.url));
    }
    println!();
    process::run(frame_loop.arg("--urls").args(urls))
}

/// Draws what the demo shows, for README.md.
pub fn draw(project: &Project) -> Result<()> {
    let mut frame_loop = frame_loop(project)?;
    let server = Server::start(project, false)?;
    let shown = process::capture(frame_loop.arg(&server.url))?;
    project::write(&project.root.join("docs/demo.svg"), &picture::svg(&format!("$ cargo xtask demo\n{shown}")))
}

/// The example, built against an installed Sortie.
fn frame_loop(project: &Project) -> Result<Command> {
    install::ensure([Need::NativeBuild, Need::Cmake, Need::Binutils])?;
    let programs = examples::build(project, &package::install(project)?)?;
    let mut frame_loop = process::command(programs.join("frame_loop"));
    frame_loop.current_dir(project.empty_scratch("demo")?);
    Ok(frame_loop)
}
