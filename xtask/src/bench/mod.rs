//! `cargo xtask bench`: Sortie and the alternatives do the same work in turns, and what each takes is put side by side.

mod page;
mod plot;
mod programs;
mod report;
mod rows;
mod servers;

use std::fs;
use std::sync::OnceLock;

use serde_json::{Value, json};

use crate::Result;
use crate::checks::cost::{self, Cost};
use crate::install::{self, Need};
use crate::project::{self, Project};
use programs::{Call, Programs};
use report::{Measured, Report};
use rows::{How, Row, Size};
use servers::{Nginx, SlowServer};

/// What building the programs and their servers takes.
pub const NEEDS: &[Need] = &[
    Need::NativeBuild,
    Need::Cmake,
    Need::Binutils,
    Need::Nginx,
    Need::Valgrind,
    Need::Curl,
    Need::CppHttplib,
    Need::Npm,
];

/// `cargo xtask bench [--quick] [--only NAME...]`, or `--page` for what the last whole run has measured.
pub fn run(project: &Project, options: &[&str]) -> Result<()> {
    let whole = project.target.join("bench/results.json");
    let (size, only) = match options {
        ["--page"] => return page::write(project, &whole),
        [] => (Size::FULL, &[][..]),
        ["--quick"] => (Size::QUICK, &[][..]),
        ["--only", only @ ..] if !only.is_empty() => (Size::FULL, only),
        ["--quick", "--only", only @ ..] if !only.is_empty() => (Size::QUICK, only),
        _ => return Err("usage: cargo xtask bench [--quick] [--only NAME...], or --page".into()),
    };
    install::ensure(NEEDS.iter().copied())?;
    let report = measure(project, size, only)?;
    println!("\n{}", report.goals());
    // A part is no substitute for the whole.
    let file = if options.is_empty() { whole } else { project.target.join("bench/partial.json") };
    fs::create_dir_all(project.target.join("bench")).map_err(|error| format!("cannot make target/bench: {error}"))?;
    project::write(&file, &format!("{:#}\n", report.json()))?;
    println!("Every sample is in {}.", file.display());
    if options.is_empty() { page::write(project, &file) } else { Ok(()) }
}

/// Every program does everything once, shortly: they build, and all that they receive is right.
pub fn smoke(project: &Project) -> Result<()> {
    measure(project, Size::SMOKE, &[]).map(drop)
}

fn measure(project: &Project, size: Size, only: &[&str]) -> Result<Report> {
    let programs = Programs::build(project)?;
    let slow = programs.file("slow_server")?;
    let (nginx, slow) = (Nginx::start(project)?, SlowServer::start(&slow)?);
    let downloads = project.empty_scratch("bench/downloads")?.display().to_string();
    let library = programs.package.shared(project)?.display().to_string();
    let mut rows = rows::all(&nginx, &slow, &downloads, &library, size);
    if let Some(unknown) = only.iter().find(|name| !rows.iter().any(|row| row.name == **name)) {
        let names: Vec<&str> = rows.iter().map(|row| row.name.as_str()).collect();
        return Err(format!("there is no `{unknown}`, but {}", names.join(", ")));
    }
    rows.retain(|row| only.is_empty() || only.contains(&row.name.as_str()));
    let mut report = Report::new(project, &programs)?;
    for row in rows {
        println!("{}: {}", row.name, row.title);
        let measured = in_turns(project, &programs, row)?;
        if size.tells_times() {
            println!("{}", measured.table());
        }
        report.add(measured);
    }
    Ok(report)
}

/// Runs a row's programs one after the other, and that for some rounds.
fn in_turns(project: &Project, programs: &Programs, row: Row) -> Result<Measured> {
    let mut samples: Vec<Vec<Value>> = vec![Vec::new(); row.entries.len()];
    for _ in 0..row.rounds {
        for (entry, samples) in row.entries.iter().zip(&mut samples) {
            samples.push(sample(project, programs, &entry.how)?);
        }
    }
    Ok(Measured::new(row, samples))
}

fn sample(project: &Project, programs: &Programs, how: &How) -> Result<Value> {
    match how {
        How::Run(call) => {
            let sampled = programs.run(call)?;
            // A download; the next one starts with the same disk.
            if call.work.starts_with("file") {
                fs::remove_file(&call.path).map_err(|error| format!("{} is not there: {error}", call.path))?;
            }
            Ok(sampled)
        }
        How::Count(call) => {
            let long = Call { count: call.count * 4, ..call.clone() };
            let more = programs.instructions(&long)? - programs.instructions(call)?;
            Ok(json!({ "requests": long.count - call.count, "instructions": more }))
        }
        How::Cost(index) => {
            static COSTS: OnceLock<Result<Vec<Cost>>> = OnceLock::new();
            let costs = COSTS.get_or_init(|| cost::measure(project)).as_ref().map_err(Clone::clone)?;
            let cost = costs.get(*index).ok_or("the step `cost` counts less")?;
            Ok(json!({ "requests": 1, "instructions": cost.instructions, "allocations": cost.allocations }))
        }
        How::File => {
            let library = programs.package.shared(project)?;
            let file = fs::metadata(&library).map_err(|error| format!("{}: {error}", library.display()))?;
            Ok(json!({ "library_bytes": file.len() }))
        }
    }
}
