//! Where things are.

use std::path::{Path, PathBuf};
use std::{env, fs};

use crate::Result;
use crate::process::{capture, command};

/// The project's folders.
pub struct Project {
    /// The top of the sources.
    pub root: PathBuf,
    /// Cargo's target folder.
    pub target: PathBuf,
}

impl Project {
    /// Finds the project that this program was built from.
    pub fn find() -> Result<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"))
            .parent()
            .filter(|root| root.join("Cargo.toml").exists())
            .ok_or("the sources have moved since xtask was built: build it again")?
            .to_path_buf();
        let target = match env::var_os("CARGO_TARGET_DIR") {
            Some(given) => root.join(given),
            None => root.join("target"),
        };
        Ok(Self { root, target })
    }

    /// A folder for the work of these commands, made if need be.
    pub fn scratch(&self, name: &str) -> Result<PathBuf> {
        let folder = self.target.join("xtask").join(name);
        fs::create_dir_all(&folder).map_err(|error| format!("cannot make {}: {error}", folder.display()))?;
        Ok(folder)
    }

    /// The same, empty.
    pub fn empty_scratch(&self, name: &str) -> Result<PathBuf> {
        let folder = self.target.join("xtask").join(name);
        if folder.exists() {
            fs::remove_dir_all(&folder).map_err(|error| format!("cannot remove {}: {error}", folder.display()))?;
        }
        self.scratch(name)
    }

    /// A file of the project.
    pub fn read(&self, path: &str) -> Result<String> {
        read(&self.root.join(path))
    }

    /// Whether the sources are a git checkout, rather than an unpacked archive.
    pub fn is_checkout(&self) -> bool {
        self.root.join(".git").exists() && capture(command("git").args(["--version"])).is_ok()
    }

    /// The version in Cargo.toml.
    pub fn version(&self) -> Result<String> {
        let manifest = self.read("Cargo.toml")?;
        let line = manifest.lines().find_map(|line| line.strip_prefix("version = \""));
        Ok(line.ok_or("Cargo.toml has no version")?.trim_end_matches('"').to_owned())
    }
}

/// Reads a text file.
pub fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).map_err(|error| format!("cannot read {}: {error}", path.display()))
}

/// Writes a text file.
pub fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).map_err(|error| format!("cannot write {}: {error}", path.display()))
}
