//! What the thread that draws the frames spends inside Sortie: instructions and allocations, which repeat.

use std::path::Path;

use crate::Result;
use crate::package::{self, build_all, configure, define};
use crate::process::{capture, command};
use crate::project::{self, Project};

/// How often the program does each of them, in two rounds.
const TIMES: f64 = 2000.0;

/// A function of the program, what it does, and the most instructions and allocations that this may take. What it takes
/// repeats to a few instructions, but for what the allocator's state adds to a submit.
const COSTS: [(&str, &str, f64, f64); 3] = [
    ("poll_empty", "sortie_poll() with nothing to give", 40.0, 0.0),
    ("submit_get", "sortie_get()", 5_000.0, 8.0),
    ("drain_ended", "an ENDED event with headers and body", 300.0, 0.0),
];

/// Each stays below its limit.
pub fn check(project: &Project) -> Result<()> {
    let package = package::install(project)?;
    let build = project.scratch("cost")?;
    configure(&project.root.join("benches"), &build, &[&define("CMAKE_PREFIX_PATH", package.prefix.display())])?;
    build_all(&build)?;
    let program = build.join("frame_cost");
    let counted = capture(&mut command(&program))?;
    let allocations: Vec<f64> = counted.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    if allocations.len() != COSTS.len() {
        return Err(format!("frame_cost has counted '{counted}'"));
    }
    let mut over = Vec::new();
    println!("{:40}  instructions (limit)  allocations (limit)", "on the program's thread");
    for ((function, what, most, most_allocations), allocations) in COSTS.into_iter().zip(allocations) {
        let (count, allocations) = (instructions(&program, function)? / TIMES, allocations / TIMES);
        println!(
            "{what:40}  {count:12.0} {:7}  {allocations:11.1} {:7}",
            format!("({most})"),
            format!("({most_allocations})")
        );
        if count > most || allocations > most_allocations {
            over.push(what);
        }
    }
    if over.is_empty() { Ok(()) } else { Err(format!("over the limit: {}", over.join(", "))) }
}

/// How many instructions a program's first thread takes inside a function and what that calls.
pub fn instructions(program: &Path, function: &str) -> Result<f64> {
    let out = program.with_extension("callgrind");
    let mut valgrind = command("valgrind");
    valgrind.args(["--tool=callgrind", "--collect-atstart=no", "--separate-threads=yes"]);
    valgrind.arg(format!("--toggle-collect={function}*"));
    capture(valgrind.arg(format!("--callgrind-out-file={}", out.display())).arg(program))?;
    let counted = project::read(&out.with_extension("callgrind-01"))?;
    let total = counted.lines().find_map(|line| line.strip_prefix("totals: ")?.trim().parse::<f64>().ok());
    total.filter(|total| *total > 0.0).ok_or_else(|| format!("callgrind has counted nothing in {function}()"))
}
