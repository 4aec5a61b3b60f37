//! The sources of Rust's standard library, to build it with a sanitizer: of exactly the compiler that is installed.

use std::path::{Path, PathBuf};

use crate::Result;
use crate::apt::Apt;
use crate::process::{capture, command};
use crate::project::Project;

/// Debian's suite that follows Rust's releases.
const SUITE: &str = "trixie-backports";

/// Finds the folder `library` of Rust's sources: rustup's, or that of Debian's package rust-src, which is unpacked into
/// a scratch folder with nothing installed.
pub fn find(project: &Project) -> Result<PathBuf> {
    let sysroot = capture(command("rustc").args(["--print", "sysroot"]))?;
    let rustup = Path::new(sysroot.trim()).join("lib/rustlib/src/rust/library");
    if rustup.exists() {
        return Ok(rustup);
    }
    let version = compiler_version()?;
    let unpacked = project.scratch("rust-src")?;
    let library = unpacked.join(format!("usr/src/rustc-{version}/library"));
    if !library.exists() {
        download(&unpacked, &version)?;
    }
    if library.exists() { Ok(library) } else { Err(format!("Debian's rust-src is not of version {version}")) }
}

fn compiler_version() -> Result<String> {
    let told = capture(command("rustc").arg("--version"))?;
    Ok(told.split_whitespace().nth(1).ok_or("rustc tells no version")?.to_owned())
}

fn download(folder: &Path, version: &str) -> Result<()> {
    let apt = Apt::with_suite(folder, SUITE)?;
    let offered = capture(apt.cache().args(["madison", "rust-src"]))?;
    let exact = offered
        .lines()
        .filter_map(|line| line.split('|').nth(1).map(str::trim))
        .find(|offered| offered.starts_with(&format!("{version}+")) || offered.starts_with(&format!("{version}-")))
        .ok_or_else(|| format!("{SUITE} has no rust-src {version}"))?;
    apt.unpack(&format!("rust-src={exact}"), folder)
}
