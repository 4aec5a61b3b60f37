//! Debian's packages without installing them: downloaded and unpacked into a folder, also those of another suite.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::Result;
use crate::process::{capture, command, run};
use crate::project::write;

/// apt with a state of its own if it has to know one more suite, which leaves the system's alone.
pub struct Apt {
    options: Vec<String>,
}

impl Apt {
    /// The system's.
    pub fn of_system() -> Self {
        Self { options: vec!["APT::Sandbox::User=root".into()] }
    }

    /// One that knows this suite alone, its state below a folder.
    pub fn with_suite(folder: &Path, suite: &str) -> Result<Self> {
        let state = folder.join("apt");
        for part in ["lists/partial", "cache/archives/partial"] {
            fs::create_dir_all(state.join(part)).map_err(|error| error.to_string())?;
        }
        write(&state.join("status"), "")?;
        let keys = "/usr/share/keyrings/debian-archive-keyring.gpg";
        let mirror = mirror(suite.ends_with("-security"))?;
        write(&state.join("sources.list"), &format!("deb [signed-by={keys}] {mirror} {suite} main\n"))?;
        let set = |name: &str, value: &Path| format!("{name}={}", value.display());
        let apt = Self {
            options: vec![
                set("Dir::State", &state),
                set("Dir::State::status", &state.join("status")),
                set("Dir::Cache", &state.join("cache")),
                set("Dir::Etc::sourcelist", &state.join("sources.list")),
                "Dir::Etc::sourceparts=-".into(),
                "APT::Sandbox::User=root".into(),
            ],
        };
        run(apt.get().args(["update", "-qq"]))?;
        Ok(apt)
    }

    /// Downloads a package and unpacks it into a folder.
    pub fn unpack(&self, package: &str, folder: &Path) -> Result<()> {
        let downloads = folder.join("downloads");
        fs::create_dir_all(&downloads).map_err(|error| error.to_string())?;
        run(self.get().current_dir(&downloads).args(["download", package]))?;
        let files =
            downloads.read_dir().map_err(|error| error.to_string())?.filter_map(|entry| Some(entry.ok()?.path()));
        let file = files.into_iter().find(|path| path.extension().is_some_and(|e| e == "deb"));
        run(command("dpkg").arg("-x").arg(file.ok_or("apt-get downloaded nothing")?).arg(folder))?;
        fs::remove_dir_all(&downloads).map_err(|error| error.to_string())
    }

    /// Downloads a package with all that it depends on, and unpacks that into a folder: for one with a suite, whose state knows
    /// nothing to be installed.
    pub fn unpack_with_dependencies(&self, package: &str, state: &Path, folder: &Path) -> Result<()> {
        let plain = ["--yes", "--no-install-recommends", "--download-only", "install"];
        capture(self.get().args(plain).arg(package))?;
        let archives = state.join("apt/cache/archives");
        for entry in archives.read_dir().map_err(|error| error.to_string())? {
            let file = entry.map_err(|error| error.to_string())?.path();
            if file.extension().is_some_and(|extension| extension == "deb") {
                capture(command("dpkg").arg("-x").arg(file).arg(folder))?;
            }
        }
        fs::remove_dir_all(&archives).map_err(|error| error.to_string())
    }

    fn get(&self) -> Command {
        self.with_options("apt-get")
    }

    pub fn cache(&self) -> Command {
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
fn mirror(security: bool) -> Result<String> {
    let uris = capture(command("apt-get").args(["indextargets", "--format", "$(REPO_URI)", "Created-By: Packages"]))?;
    let mirror = uris.lines().find(|uri| uri.contains("security") == security);
    Ok(mirror.ok_or("apt knows no such mirror")?.to_owned())
}
