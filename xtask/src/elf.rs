//! What the binutils tell of a library.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::Result;
use crate::process::{capture, command};

/// The part of a shared library that the dynamic linker reads.
pub struct Dynamic {
    /// The libraries that it needs.
    pub needed: Vec<String>,
    /// Its own name.
    pub soname: Option<String>,
    /// Its flags, as readelf words them.
    pub flags: String,
}

/// Reads it.
pub fn dynamic(library: &Path) -> Result<Dynamic> {
    let text = capture(command("readelf").arg("-dW").arg(library))?;
    let bracketed = |line: &str| Some(line.split_once('[')?.1.split_once(']')?.0.to_owned());
    let lines_with = |tag: &'static str| text.lines().filter(move |line| line.contains(tag));
    Ok(Dynamic {
        needed: lines_with("(NEEDED)").filter_map(bracketed).collect(),
        soname: lines_with("(SONAME)").find_map(bracketed),
        flags: lines_with("(FLAGS").collect::<Vec<_>>().join(" "),
    })
}

/// The symbols that a shared library exports.
pub fn exports(library: &Path) -> Result<BTreeSet<String>> {
    symbols(library, &["--dynamic", "--defined-only", "--extern-only"])
}

/// The global symbols that an archive defines.
pub fn globals(archive: &Path) -> Result<BTreeSet<String>> {
    symbols(archive, &["--defined-only", "--extern-only"])
}

/// The symbols that a shared library takes from others.
pub fn imports(library: &Path) -> Result<BTreeSet<String>> {
    symbols(library, &["--dynamic", "--undefined-only"])
}

fn symbols(file: &Path, options: &[&str]) -> Result<BTreeSet<String>> {
    let text = capture(command("nm").args(["--format=posix"]).args(options).arg(file))?;
    // An archive's members have lines of their own, with one word.
    let names = text.lines().filter(|line| line.split_whitespace().count() > 1).filter_map(|line| {
        let name = line.split_whitespace().next()?;
        Some(name.split('@').next().unwrap_or(name).to_owned())
    });
    Ok(names.collect())
}

/// The functions that the dynamic linker calls when it loads a library: those in `.init_array`, by name where the
/// symbol table has one, and those that `.init` calls.
pub fn initialisers(library: &Path) -> Result<Vec<String>> {
    let names = names_by_address(library)?;
    let mut found = called_by_init(library)?;
    if let Some((start, size)) = section(library, ".init_array")? {
        let relocations = capture(command("readelf").arg("-rW").arg(library))?;
        for line in relocations.lines() {
            let words: Vec<&str> = line.split_whitespace().collect();
            let [offset, _, kind, target, ..] = words.as_slice() else { continue };
            let Some(offset) = hex(offset) else { continue };
            if kind.ends_with("_RELATIVE") && (start..start + size).contains(&offset) {
                let name = hex(target).and_then(|address| names.get(&address).cloned());
                found.push(name.unwrap_or_else(|| format!("an unnamed function at {target}")));
            }
        }
    }
    Ok(found)
}

fn hex(text: &str) -> Option<u64> {
    u64::from_str_radix(text, 16).ok()
}

/// A section's address and size.
fn section(library: &Path, name: &str) -> Result<Option<(u64, u64)>> {
    let text = capture(command("readelf").arg("-SW").arg(library))?;
    let found = text.lines().find_map(|line| {
        let words: Vec<&str> = line.split_once(']')?.1.split_whitespace().collect();
        match words.as_slice() {
            [this, _, address, _, size, ..] if *this == name => Some((hex(address)?, hex(size)?)),
            _ => None,
        }
    });
    Ok(found)
}

fn names_by_address(library: &Path) -> Result<BTreeMap<u64, String>> {
    let text = capture(command("nm").args(["--demangle", "--defined-only"]).arg(library))?;
    let named = text.lines().filter_map(|line| {
        let mut words = line.splitn(3, ' ');
        let address = hex(words.next()?)?;
        let kind = words.next()?;
        kind.eq_ignore_ascii_case("t").then(|| Some((address, words.next()?.to_owned())))?
    });
    Ok(named.collect())
}

fn called_by_init(library: &Path) -> Result<Vec<String>> {
    let text = capture(command("objdump").args(["-d", "-j", ".init", "--no-show-raw-insn"]).arg(library))?;
    let calls = text.lines().filter(|line| line.contains("call") || line.contains("\tbl"));
    let named = calls.filter_map(|line| Some(line.split_once('<')?.1.split_once('>')?.0.to_owned()));
    Ok(named.collect())
}
