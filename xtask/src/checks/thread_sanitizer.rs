//! The queue and its neighbours under ThreadSanitizer, with a standard library that is instrumented too.

use std::path::Path;

use crate::Result;
use crate::process::{capture, cargo, command, run};
use crate::project::{Project, write};
use crate::rust_source;
use crate::test::Verdict;

/// The modules that know neither libcurl nor C. They are built as a crate of their own, which takes seconds where all
/// of Sortie with an instrumented OpenSSL takes minutes.
const LEAVES: &[&str] = &["budget", "chain", "error", "event", "headers", "slots", "text"];

/// The crates that these modules use.
const DEPENDENCIES: &[&str] = &["crossbeam-channel", "parking_lot"];

/// Runs their unit tests.
pub fn check(project: &Project) -> Result<Verdict> {
    let library = match rust_source::find(project) {
        Ok(library) => library,
        Err(why) => return Ok(Verdict::Skipped(format!("no sources of Rust's standard library: {why}"))),
    };
    let folder = project.scratch("leaves")?;
    write_crate(project, &folder)?;
    let mut test = cargo(&folder);
    test.args(["test", "--lib", "-Zbuild-std", "--target", &host()?])
        .env("CARGO_TARGET_DIR", folder.join("target"))
        .env("__CARGO_TESTS_ONLY_SRC_ROOT", library)
        // -Z options on a stable compiler.
        .env("RUSTC_BOOTSTRAP", "1")
        .env("RUSTFLAGS", "-Zsanitizer=thread -Cunsafe-allow-abi-mismatch=sanitizer")
        .env("TSAN_OPTIONS", "halt_on_error=1");
    run(&mut test)?;
    Ok(Verdict::Passed)
}

fn write_crate(project: &Project, folder: &Path) -> Result<()> {
    let mut manifest = String::from(
        "[package]\nname = \"leaves\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[workspace]\n\n[dependencies]\n",
    );
    for name in DEPENDENCIES {
        manifest.push_str(&format!("{name} = \"*\"\n"));
    }
    let mut library = String::from("#![allow(dead_code, unused)]\n");
    for name in LEAVES {
        let path = project.root.join("src").join(format!("{name}.rs"));
        library.push_str(&format!("#[path = {:?}]\nmod {name};\n", path.display().to_string()));
    }
    std::fs::create_dir_all(folder.join("src")).map_err(|error| error.to_string())?;
    write(&folder.join("Cargo.toml"), &manifest)?;
    write(&folder.join("src/lib.rs"), &library)?;
    // The same versions as Sortie's.
    write(&folder.join("Cargo.lock"), &project.read("Cargo.lock")?)
}

fn host() -> Result<String> {
    let told = capture(command("rustc").arg("-vV"))?;
    let host = told.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.ok_or("rustc tells no host")?.to_owned())
}
