//! Sortie as C and C++ projects get it: built and installed by CMake.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::Result;
use crate::process::{command, run};
use crate::project::Project;

/// An installed Sortie.
#[derive(Clone)]
pub struct Package {
    /// Where it is installed.
    pub prefix: PathBuf,
    /// The shared library as cargo made it, with its symbol table.
    pub unstripped: PathBuf,
}

impl Package {
    /// The shared library's real file.
    pub fn shared(&self, project: &Project) -> Result<PathBuf> {
        Ok(self.prefix.join("lib").join(format!("libsortie.so.{}", project.version()?)))
    }

    /// The static library.
    pub fn archive(&self) -> PathBuf {
        self.prefix.join("lib/libsortie.a")
    }
}

/// Builds the release libraries and installs them into a scratch folder, once for this process.
pub fn install(project: &Project) -> Result<Package> {
    static INSTALLED: OnceLock<Result<Package>> = OnceLock::new();
    INSTALLED.get_or_init(|| install_anew(project)).clone()
}

fn install_anew(project: &Project) -> Result<Package> {
    let build = project.scratch("package/build")?;
    // Emptied, lest files of an older version stay.
    let prefix = project.empty_scratch("package/prefix")?;
    let options = [&use_cargo_folder(project), "-DCMAKE_INSTALL_LIBDIR=lib", "-DCMAKE_INSTALL_MESSAGE=NEVER"];
    configure(&project.root, &build, &options)?;
    build_all(&build)?;
    run(command("cmake").arg("--install").arg(&build).arg("--prefix").arg(&prefix))?;
    Ok(Package { prefix, unstripped: project.target.join("release/libsortie.so") })
}

/// Lets CMake's builds of Sortie share cargo's folder with this program, since libcurl and OpenSSL take minutes.
pub fn use_cargo_folder(project: &Project) -> String {
    define("SORTIE_CARGO_TARGET_DIR", project.target.display())
}

/// A definition for CMake.
pub fn define(name: &str, value: impl std::fmt::Display) -> String {
    format!("-D{name}={value}")
}

/// Configures a CMake project, with Ninja unless told otherwise.
pub fn configure(source: &Path, build: &Path, options: &[&str]) -> Result<()> {
    let mut cmake = command("cmake");
    cmake.arg("-S").arg(source).arg("-B").arg(build);
    if !options.contains(&"-G") {
        cmake.args(["-G", "Ninja"]);
    }
    run(cmake.args(["--log-level=WARNING", "-DCMAKE_BUILD_TYPE=Release"]).args(options))
}

/// Builds a configured CMake project.
pub fn build_all(build: &Path) -> Result<()> {
    run(command("cmake").arg("--build").arg(build))
}

/// CMake's test runner, for a built project.
pub fn ctest(build: &Path) -> Command {
    let mut ctest = command("ctest");
    ctest.arg("--test-dir").arg(build).args(["--output-on-failure", "--no-tests=error"]);
    ctest
}
