//! The gallery, in a window that nobody sees: that it works, and docs/gallery.png.

use std::path::PathBuf;

use crate::Result;
use crate::install::{self, Need};
use crate::package::{self, build_all, configure, define};
use crate::process::{capture, command, run};
use crate::project::Project;
use crate::server::Server;

/// What building and running it takes.
pub const NEEDS: [Need; 5] = [Need::NativeBuild, Need::Cmake, Need::Binutils, Need::Sdl, Need::Xvfb];

const PICTURES: u64 = 12;
/// This one is not there.
const MISSING: u64 = 6;

/// Builds it and runs it against the embedded server, and gives the picture that it took of its window: with some
/// pictures shown, some on their way.
pub fn check(project: &Project) -> Result<PathBuf> {
    let package = package::install(project)?;
    let build = project.scratch("gallery")?;
    let source = project.root.join("examples/cpp/gallery");
    configure(&source, &build, &[&define("CMAKE_PREFIX_PATH", package.prefix.display())])?;
    build_all(&build)?;
    let server = Server::start(project, false)?;
    let screenshot = build.join("screenshot.bmp");
    let mut gallery = command("xvfb-run");
    gallery.args(["--auto-servernum", "--server-args=-screen 0 1024x800x24"]);
    gallery.arg(build.join("gallery")).arg("--screenshot").arg(&screenshot);
    for number in 1..=PICTURES {
        // Of various rates, so that they are not all as far.
        let rate = 60_000 + number * 37 % 11 * 9_000;
        gallery.arg(match number {
            MISSING => format!("{}/status/404", server.url),
            _ => format!("{}/picture/{number}?rate={rate}", server.url),
        });
    }
    let said = capture(&mut gallery)?;
    print!("{said}");
    let wanted = format!("{} of {PICTURES} pictures", PICTURES - 1);
    if said.starts_with(&wanted) { Ok(screenshot) } else { Err(format!("the gallery does not tell of {wanted}")) }
}

/// Draws docs/gallery.png anew.
pub fn draw(project: &Project) -> Result<()> {
    install::ensure(NEEDS.into_iter().chain([Need::ImageMagick]))?;
    let screenshot = check(project)?;
    let file = project.root.join("docs/gallery.png");
    run(command("convert").arg(screenshot).args(["-strip", "-colors", "96"]).arg(format!("PNG8:{}", file.display())))
}
