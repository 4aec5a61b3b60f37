//! The package as games get it: the project in cmake/consumer, from a scratch folder, in every way.

use std::fs;
use std::path::{Path, PathBuf};

use crate::Result;
use crate::package::{self, build_all, configure, ctest, define, use_cargo_folder};
use crate::process::{capture, command, run};
use crate::project::Project;
use crate::server::Servers;

/// Builds and runs it in every way.
pub fn check(project: &Project) -> Result<()> {
    let package = package::install(project)?;
    let scratch = project.empty_scratch("consumer of sortie")?;
    let servers = Servers::start(project)?;
    let source = scratch.join("source");
    copy_folder(&project.root.join("cmake/consumer"), &source)?;
    let consume = |name: &str, options: &[&str]| {
        println!("\n-- {name}");
        let build = scratch.join(name);
        configure(&source, &build, options)?;
        build_all(&build)?;
        run(servers.tell(&mut ctest(&build)))
    };

    // Moved, to show that the package does not care where it is.
    let moved = scratch.join("moved package");
    copy_folder(&package.prefix, &moved)?;
    let prefix = define("CMAKE_PREFIX_PATH", moved.display());
    consume("find_package with Ninja", &["-DCONSUMER_FROM=package", &prefix])?;
    consume("find_package with make", &["-G", "Unix Makefiles", "-DCONSUMER_FROM=package", &prefix])?;

    let root = define("SORTIE_SOURCE_DIR", project.root.display());
    let cargo = use_cargo_folder(project);
    consume("add_subdirectory", &["-DCONSUMER_FROM=subdirectory", &root, &cargo])?;
    let make = ["-G", "Unix Makefiles", "-DCONSUMER_FROM=subdirectory", &root, &cargo];
    consume("add_subdirectory with make", &make)?;
    let hooks = ["-DSORTIE_CARGO_FEATURES=test-hooks", "-DSORTIE_CARGO_PROFILE=dev"];
    consume("a panic inside", &[&["-DCONSUMER_FROM=subdirectory", &root, &cargo], hooks.as_slice()].concat())?;
    consume("FetchContent of a folder", &["-DCONSUMER_FROM=fetch", &root, &cargo])?;
    let archive = archive_sources(project, &scratch)?;
    let url = define("SORTIE_URL", format!("file://{}", archive.display()));
    consume("FetchContent of an archive", &["-DCONSUMER_FROM=fetch", &url, &cargo])?;

    pkg_config(project, &moved, &scratch, &servers.plain.url)
}

/// Everything that the build needs, as a release would be downloaded.
fn archive_sources(project: &Project, scratch: &Path) -> Result<PathBuf> {
    let archive = scratch.join("sortie.tar.gz");
    let mut tar = command("tar");
    tar.arg("--create").arg("--gzip").arg("--file").arg(&archive).arg("--directory").arg(&project.root);
    tar.args(["--exclude=./target", "--exclude=./.git", "--exclude=./build", "--transform=s,^\\.,sortie,", "."]);
    run(&mut tar)?;
    Ok(archive)
}

/// sortie.pc, for the shared and for the static library.
fn pkg_config(project: &Project, prefix: &Path, scratch: &Path, server: &str) -> Result<()> {
    println!("\n-- pkg-config");
    let ask = |options: &[&str]| {
        let mut pkg_config = command("pkg-config");
        pkg_config.env("PKG_CONFIG_PATH", prefix.join("lib/pkgconfig")).args(options).arg("sortie");
        capture(&mut pkg_config).map(|text| text.trim().to_owned())
    };
    let (told, wanted) = (ask(&["--modversion"])?, project.version()?);
    if told != wanted {
        return Err(format!("sortie.pc tells version {told}, not {wanted}"));
    }
    let source = project.root.join("examples/c/minimal.c");
    for (name, flags) in [("shared", ask(&["--cflags", "--libs"])?), ("static", static_flags(&ask)?)] {
        let program = scratch.join(format!("minimal {name}"));
        // A folder with spaces comes out of pkg-config quoted for a shell.
        let line = format!("cc '{}' -o '{}' {flags}", source.display(), program.display());
        run(command("sh").args(["-c", &line]))?;
        run(command(&program).env("LD_LIBRARY_PATH", prefix.join("lib")).arg(format!("{server}/bytes/1000")))?;
        let links_shared = capture(command("readelf").arg("-d").arg(&program))?.contains("libsortie");
        if links_shared != (name == "shared") {
            return Err(format!("the {name} program has the wrong library"));
        }
    }
    Ok(())
}

/// What `pkg-config --static` says, with the archive in place of -lsortie, which would take the shared library.
fn static_flags(ask: &dyn Fn(&[&str]) -> Result<String>) -> Result<String> {
    Ok(ask(&["--static", "--cflags", "--libs"])?.replace("-lsortie", "-l:libsortie.a"))
}

fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to).map_err(|error| format!("cannot make {}: {error}", to.display()))?;
    run(command("cp").arg("-a").arg(from.join(".")).arg(to))
}
