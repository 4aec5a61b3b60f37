//! What the thread that draws the frames spends inside Sortie: instructions and allocations, which repeat.

use std::path::Path;

use crate::Result;
use crate::package::{self, build_all, configure, define};
use crate::process::{capture, command};
use crate::project::{self, Project};

/// How often the program does each of them, in two rounds.
const TIMES: f64 = 2000.0;

/// A function of the program, and the most that it may take. What it takes repeats to a few instructions, but for what the
/// allocator's state adds to a submit.
pub struct Counted {
    function: &'static str,
    pub what: &'static str,
    pub most_instructions: f64,
    pub most_allocations: f64,
}

/// In the order in which the program prints their allocations.
pub const COUNTED: [Counted; 3] = [
    Counted {
        function: "poll_empty",
        what: "sortie_poll() with nothing to give",
        most_instructions: 40.0,
        most_allocations: 0.0,
    },
    Counted { function: "submit_get", what: "sortie_get()", most_instructions: 5_000.0, most_allocations: 8.0 },
    Counted {
        function: "drain_ended",
        what: "an ENDED event with headers and body",
        most_instructions: 300.0,
        most_allocations: 0.0,
    },
];

/// What one of them takes.
#[derive(Clone, Copy)]
pub struct Cost {
    pub instructions: f64,
    pub allocations: f64,
}

/// Each stays below its limit.
pub fn check(project: &Project) -> Result<()> {
    let mut over = Vec::new();
    println!("{:40}  instructions (limit)  allocations (limit)", "on the program's thread");
    for (counted, cost) in COUNTED.iter().zip(measure(project)?) {
        println!(
            "{:40}  {:12.0} {:7}  {:11.1} {:7}",
            counted.what,
            cost.instructions,
            format!("({})", counted.most_instructions),
            cost.allocations,
            format!("({})", counted.most_allocations)
        );
        if cost.instructions > counted.most_instructions || cost.allocations > counted.most_allocations {
            over.push(counted.what);
        }
    }
    if over.is_empty() { Ok(()) } else { Err(format!("over the limit: {}", over.join(", "))) }
}

/// Builds the program and counts each of them.
pub fn measure(project: &Project) -> Result<Vec<Cost>> {
    let package = package::install(project)?;
    let build = project.scratch("cost")?;
    configure(&project.root.join("benches"), &build, &[&define("CMAKE_PREFIX_PATH", package.prefix.display())])?;
    build_all(&build)?;
    let program = build.join("frame_cost");
    let printed = capture(&mut command(&program))?;
    let allocations: Vec<f64> = printed.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    if allocations.len() != COUNTED.len() {
        return Err(format!("frame_cost has counted '{printed}'"));
    }
    let cost = |(counted, allocations): (&Counted, f64)| {
        let instructions = instructions(&program, counted.function)? / TIMES;
        Ok(Cost { instructions, allocations: allocations / TIMES })
    };
    COUNTED.iter().zip(allocations).map(cost).collect()
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
