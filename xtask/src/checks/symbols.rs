//! The libraries as guests in somebody's process: what they show, what they need, what they do when loaded.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::Result;
use crate::elf;
use crate::package::{self, Package};
use crate::project::Project;

/// The parts of the C runtime, by the beginnings of their files' names.
const RUNTIME: &[&str] = &["libc.so", "libm.so", "libgcc_s.so", "libpthread.so", "libdl.so", "ld-linux"];

/// What may run when the library is loaded: the compiler's own stub, Rust's note of the program's arguments, the curl
/// crate's initialiser, our word to OpenSSL before it, and OpenSSL's look at the processor.
const INITIALISERS: &[&str] = &[
    "frame_dummy",
    "ARGV_INIT_ARRAY::init_wrapper",
    "keep_openssl_at_exit",
    "curl::INIT_CTOR::init_ctor",
    "OPENSSL_cpuid_setup",
];

/// What would change the process for everybody in it.
const FORBIDDEN: &[&str] = &["setenv", "unsetenv", "putenv", "clearenv", "setlocale", "uselocale", "chdir", "umask"];

/// The most that the shared library may take without debug information, in bytes.
pub const LARGEST: u64 = 7_000_000;

/// Checks both libraries.
pub fn check(project: &Project) -> Result<()> {
    let package = package::install(project)?;
    let declared = declared(&project.read("include/sortie.h")?);
    shared(&package, &package.shared(project)?, &declared)?;
    archive(&package.archive(), &declared)
}

fn shared(package: &Package, library: &Path, declared: &BTreeSet<String>) -> Result<()> {
    same("the shared library's exports", &elf::exports(library)?, declared)?;
    println!("exports: the header's {} functions and nothing else", declared.len());

    let inside = fs::read(&package.unstripped).map_err(|error| error.to_string())?;
    let fuzzing = b"sortie..fuzzing";
    let mangled = b"6sortie7fuzzing";
    let has = |name: &[u8]| inside.windows(name.len()).any(|window| window == name);
    ensure(!has(fuzzing) && !has(mangled), || "the ways of the fuzz targets are in a release".to_owned())?;

    let dynamic = elf::dynamic(library)?;
    println!("needs: {}", dynamic.needed.join(", "));
    let foreign: Vec<_> = dynamic.needed.iter().filter(|name| !RUNTIME.iter().any(|r| name.starts_with(r))).collect();
    ensure(foreign.is_empty(), || format!("the shared library needs more than the C runtime: {foreign:?}"))?;
    ensure(dynamic.soname.as_deref() == Some("libsortie.so.1"), || format!("its name is {:?}", dynamic.soname))?;
    ensure(dynamic.flags.contains("NODELETE"), || "it may be unmapped under its own threads".to_owned())?;

    let imports = elf::imports(library)?;
    let forbidden: Vec<_> = FORBIDDEN.iter().filter(|name| imports.contains(**name)).collect();
    ensure(forbidden.is_empty(), || format!("it could change the process for everybody: {forbidden:?}"))?;

    let initialisers = elf::initialisers(&package.unstripped)?;
    println!("when loaded: {}", initialisers.join(", "));
    let unknown: Vec<_> = initialisers.iter().filter(|name| !INITIALISERS.iter().any(|i| name.ends_with(i))).collect();
    ensure(unknown.is_empty(), || format!("it does something new when it is loaded: {unknown:?}"))?;

    let size = fs::metadata(library).map_err(|error| error.to_string())?.len();
    println!("size without debug information: {size} bytes");
    ensure(size <= LARGEST, || format!("the shared library has {size} bytes, and {LARGEST} at most are allowed"))
}

fn archive(archive: &Path, declared: &BTreeSet<String>) -> Result<()> {
    same("the static library's global symbols", &elf::globals(archive)?, declared)?;
    println!("static library: the same functions and no other global symbol");
    Ok(())
}

fn ensure(holds: bool, otherwise: impl FnOnce() -> String) -> Result<()> {
    if holds { Ok(()) } else { Err(otherwise()) }
}

fn same(what: &str, found: &BTreeSet<String>, wanted: &BTreeSet<String>) -> Result<()> {
    let extra: Vec<_> = found.difference(wanted).take(20).collect();
    let missing: Vec<_> = wanted.difference(found).collect();
    ensure(extra.is_empty() && missing.is_empty(), || format!("{what}: too many {extra:?}, missing {missing:?}"))
}

/// The functions that a header declares.
fn declared(header: &str) -> BTreeSet<String> {
    let mut code = String::new();
    let mut rest = header;
    while let Some((before, comment)) = rest.split_once("/*") {
        code.push_str(before);
        rest = comment.split_once("*/").map_or("", |(_, after)| after);
    }
    code.push_str(rest);
    let words = code.split('(').filter_map(|before| before.rsplit(|c: char| !c.is_alphanumeric() && c != '_').next());
    words.filter(|name| name.starts_with("sortie_")).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::declared;

    #[test]
    fn functions_are_found_outside_comments() {
        let header = "/* as sortie_old() did */\ntypedef int sortie_result;\nsortie_result sortie_new(void);\n\
                      void sortie_longer(int a,\n    int (*b)(void));\n";
        assert_eq!(declared(header).into_iter().collect::<Vec<_>>(), ["sortie_longer", "sortie_new"]);
    }
}
