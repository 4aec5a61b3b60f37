//! The sources of Rust's standard library, to build it with a sanitizer: of exactly the compiler that is installed.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Result;
use crate::process::{capture, command, run};
use crate::project::{Project, write};

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
    let apt = Apt::with_suite(folder)?;
    run(apt.get().args(["update", "-qq"]))?;
    let offered = capture(apt.cache().args(["madison", "rust-src"]))?;
    let exact = offered
        .lines()
        .filter_map(|line| line.split('|').nth(1).map(str::trim))
        .find(|offered| offered.starts_with(&format!("{version}+")) || offered.starts_with(&format!("{version}-")))
        .ok_or_else(|| format!("{SUITE} has no rust-src {version}"))?;
    run(apt.get().current_dir(folder).args(["download", &format!("rust-src={exact}")]))?;
    let package = folder.read_dir().map_err(|error| error.to_string())?.filter_map(|entry| Some(entry.ok()?.path()));
    let package = package.into_iter().find(|path| path.extension().is_some_and(|e| e == "deb"));
    run(command("dpkg").arg("-x").arg(package.ok_or("apt-get downloaded nothing")?).arg(folder))
}

/// apt with a state of its own, which knows one more suite and leaves the system's alone.
struct Apt {
    options: Vec<String>,
}

impl Apt {
    fn with_suite(folder: &Path) -> Result<Self> {
        let state = folder.join("apt");
        for part in ["lists/partial", "cache/archives/partial"] {
            std::fs::create_dir_all(state.join(part)).map_err(|error| error.to_string())?;
        }
        write(&state.join("status"), "")?;
        let keys = "/usr/share/keyrings/debian-archive-keyring.gpg";
        write(&state.join("sources.list"), &format!("deb [signed-by={keys}] {} {SUITE} main\n", mirror()?))?;
        let set = |name: &str, value: &Path| format!("{name}={}", value.display());
        Ok(Self {
            options: vec![
                set("Dir::State", &state),
                set("Dir::State::status", &state.join("status")),
                set("Dir::Cache", &state.join("cache")),
                set("Dir::Etc::sourcelist", &state.join("sources.list")),
                "Dir::Etc::sourceparts=-".into(),
                "APT::Sandbox::User=root".into(),
            ],
        })
    }

    fn get(&self) -> Command {
        self.with_options("apt-get")
    }

    fn cache(&self) -> Command {
        self.with_options("apt-cache")
    }

    fn with_options(&self, program: &str) -> Command {
        let mut command = command(program);
        for option in &self.options {
            command.args(["-o", option]);
        }
        command
    }
}

/// The mirror that the system uses.
fn mirror() -> Result<String> {
    let uris = capture(command("apt-get").args(["indextargets", "--format", "$(REPO_URI)", "Created-By: Packages"]))?;
    let mirror = uris.lines().find(|uri| !uri.contains("security"));
    Ok(mirror.ok_or("apt knows no mirror")?.to_owned())
}
