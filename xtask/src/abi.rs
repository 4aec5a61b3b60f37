//! include/sortie.abi: what a program that is linked with Sortie has been compiled against. The test command compares the header
//! with it, so that no struct, number or function changes unnoticed.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::Result;
use crate::install;
use crate::process::{capture, command};
use crate::project::{self, Project};
use crate::reference::{Item, Kind, declarations};

const FILE: &str = "include/sortie.abi";

/// The processors whose C compilers lay structs out differently, as clang names them, and what the file calls them. Windows
/// has to agree with the first.
const TARGETS: [(&str, &str); 3] = [
    ("x86_64-unknown-linux-gnu", "64 bits"),
    ("armv7-unknown-linux-gnueabihf", "32 bits, as on ARM"),
    ("i686-unknown-linux-gnu", "32 bits, as on x86"),
];
const WINDOWS: &str = "x86_64-pc-windows-msvc";

const INTRODUCTION: &str = "\
# The ABI of Sortie: every constant, struct and function of sortie.h, as programs have been compiled against them.
# Written by `cargo xtask abi`. After a release a line may be added, and none may change but the size of a struct that begins
# with struct_size, which may grow.
#
# Sizes and offsets are in bytes: with 64 bits / with 32 bits as on ARM / with 32 bits as on x86.
";

/// Records the ABI anew.
pub fn write(project: &Project) -> Result<()> {
    project::write(&project.root.join(FILE), &description(project)?)?;
    println!("{FILE} is up to date.");
    Ok(())
}

/// Fails if the header is not what is recorded, and tells how it differs.
pub fn check(project: &Project) -> Result<()> {
    let (recorded, current) = (project.read(FILE)?, description(project)?);
    if recorded == current {
        return Ok(());
    }
    let lines = |text: &str| text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect::<Vec<_>>();
    let (recorded, current) = (lines(&recorded), lines(&current));
    let gone = recorded.iter().filter(|line| !current.contains(line)).map(|line| format!("- {line}\n"));
    let come = current.iter().filter(|line| !recorded.contains(line)).map(|line| format!("+ {line}\n"));
    let difference: String = gone.chain(come).collect();
    Err(format!(
        "the ABI is not the one that {FILE} records:\n{difference}What programs are linked with must not change after a \
         release; if this may, run `cargo xtask abi`, and commit it"
    ))
}

/// Where a struct's fields lie, as one compiler has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Layout {
    size: u64,
    alignment: u64,
    offsets: Vec<u64>,
}

fn description(project: &Project) -> Result<String> {
    let items = declarations(project)?;
    let mut layouts = Vec::new();
    for (target, _) in TARGETS {
        layouts.push(layouts_for(project, target, &items)?);
    }
    if let Some((name, _)) =
        layouts_for(project, WINDOWS, &items)?.iter().find(|(name, layout)| layouts[0].get(*name) != Some(layout))
    {
        return Err(format!("{name} is laid out differently on Windows: a type of it has another size there"));
    }
    let mut text = INTRODUCTION.to_owned();
    for item in &items {
        match &item.kind {
            Kind::Constant(value) if item.name == "SORTIE_VERSION" => {
                let _ = value;
            }
            Kind::Constant(value) => {
                let _ = writeln!(text, "{} = {value}", item.name);
            }
            Kind::Type(declaration) | Kind::Function(declaration) => {
                let _ = writeln!(text, "{}", one_line(declaration));
            }
            Kind::Struct(fields) => {
                let each = |number: &dyn Fn(&Layout) -> Option<u64>| {
                    let numbers = layouts.iter().map(|layouts| layouts.get(&item.name).and_then(number));
                    let numbers: Option<Vec<String>> = numbers.map(|number| Some(number?.to_string())).collect();
                    numbers.map(|numbers| numbers.join(" / ")).ok_or(format!("clang tells no layout of {}", item.name))
                };
                let size = each(&|layout| Some(layout.size))?;
                let alignment = each(&|layout| Some(layout.alignment))?;
                let _ = writeln!(text, "struct {} has {size} bytes, aligned to {alignment}", item.name);
                for (index, field) in fields.iter().enumerate() {
                    let offset = each(&|layout| layout.offsets.get(index).copied())?;
                    let _ = writeln!(text, "struct {} at {offset}: {} {}", item.name, field.kind, field.name);
                }
            }
        }
    }
    Ok(text)
}

/// A declaration without line breaks.
fn one_line(declaration: &str) -> String {
    declaration.split_whitespace().collect::<Vec<_>>().join(" ").replace("( ", "(").replace("* ", "*")
}

/// The layouts of all structs as clang has them for a target, which needs none of the target's own files.
fn layouts_for(project: &Project, target: &str, items: &[Item]) -> Result<BTreeMap<String, Layout>> {
    let folder = project.scratch("abi")?;
    let program = folder.join("layouts.c");
    let mut source = "#include <sortie.h>\n".to_owned();
    for item in items.iter().filter(|item| matches!(item.kind, Kind::Struct(_))) {
        let _ = writeln!(source, "unsigned size_of_{0}[sizeof({0})];", item.name);
    }
    project::write(&program, &source)?;
    let mut clang = command(install::clang());
    clang.arg(format!("--target={target}")).args(["-ffreestanding", "-fsyntax-only", "-std=c11", "-I"]);
    clang.arg(project.root.join("include")).args(["-Xclang", "-fdump-record-layouts-simple"]).arg(&program);
    Ok(parse(&capture(&mut clang)?))
}

/// Reads what clang prints: of each struct its name, and numbers of bits.
fn parse(dump: &str) -> BTreeMap<String, Layout> {
    let bytes = |bits: &str| bits.trim().parse::<u64>().unwrap_or_default() / 8;
    let mut layouts = BTreeMap::new();
    let mut name = String::new();
    for line in dump.lines().map(str::trim) {
        let layout = layouts.entry(name.clone()).or_insert_with(Layout::default);
        if let Some(kind) = line.strip_prefix("Type: ") {
            name = kind.trim_start_matches("struct ").to_owned();
        } else if let Some(size) = line.strip_prefix("Size:") {
            layout.size = bytes(size);
        } else if let Some(alignment) = line.strip_prefix("Alignment:") {
            layout.alignment = bytes(alignment);
        } else if let Some(offsets) = line.strip_prefix("FieldOffsets: [") {
            layout.offsets = offsets.trim_end_matches("]>").split(',').map(bytes).collect();
        }
    }
    layouts.remove("");
    layouts
}
