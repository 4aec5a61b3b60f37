//! `cargo xtask test`: every check, in order, until one fails.

use std::time::{Duration, Instant};

use crate::Result;
use crate::checks::{c, consumer, cost, cpp, csharp, godot, lua, rust, sources, symbols, thread_sanitizer, unity};
use crate::csharp as raw_csharp;
use crate::install::{self, Need};
use crate::project::Project;
use crate::{abi, bench, demo, examples, fuzz, gallery, notices, package, reference, suffixes};

/// How a check ended.
pub enum Verdict {
    /// All is well.
    Passed,
    /// It could not be made here, and why.
    Skipped(String),
}

/// A check.
struct Step {
    name: &'static str,
    what: &'static str,
    needs: &'static [Need],
    run: fn(&Project) -> Result<Verdict>,
}

/// What building the C libraries and using them from CMake takes.
const PACKAGE: &[Need] = &[Need::NativeBuild, Need::Cmake, Need::Binutils];

const STEPS: &[Step] = &[
    Step {
        name: "format",
        what: "the Rust code is formatted",
        needs: &[Need::Rustfmt],
        run: |project| passed(sources::format(project)),
    },
    Step {
        name: "licences",
        what: "what ships may be shipped",
        needs: &[Need::Deny],
        run: |project| passed(sources::licences(project)),
    },
    Step {
        name: "notices",
        what: "THIRD-PARTY-NOTICES names all that ships",
        needs: &[],
        run: |project| passed(notices::check(project)),
    },
    Step {
        name: "versions",
        what: "every place states the same version",
        needs: &[],
        run: |project| passed(sources::versions(project)),
    },
    Step {
        name: "readme",
        what: "README.md shows examples that work",
        needs: &[],
        run: |project| passed(sources::readme(project)),
    },
    Step {
        name: "reference",
        what: "docs/api.md is what the header gives",
        needs: &[],
        run: |project| passed(reference::check(project)),
    },
    Step {
        name: "abi",
        what: "no struct, number or function of the header has changed unnoticed, on any processor",
        needs: &[Need::Clang],
        run: |project| passed(abi::check(project)),
    },
    Step {
        name: "csharp-bindings",
        what: "the raw layer of the C# binding is what src/ffi gives",
        needs: &[],
        run: |project| passed(raw_csharp::check(project)),
    },
    Step {
        name: "suffixes",
        what: "the public suffix list is the one in the lock file",
        needs: &[],
        run: |project| passed(suffixes::check(project)),
    },
    Step {
        name: "clippy",
        what: "no lint has anything to say",
        needs: &[Need::Clippy, Need::NativeBuild],
        run: |project| passed(sources::clippy(project)),
    },
    Step {
        name: "header",
        what: "include/sortie.h is what the sources give",
        needs: &[Need::NativeBuild],
        run: |project| passed(sources::header(project)),
    },
    Step {
        name: "rust",
        what: "unit and integration tests",
        needs: &[Need::Nextest, Need::NativeBuild, Need::Nginx, Need::Iproute],
        run: |project| passed(rust::tests(project)),
    },
    Step {
        name: "rust-slow",
        what: "files beyond 4 GiB, and a soak of 100,000 requests",
        needs: &[Need::Nextest, Need::NativeBuild],
        run: |project| passed(rust::slow_tests(project)),
    },
    Step {
        name: "fuzz",
        what: "each fuzz target for 20,000 inputs",
        needs: fuzz::NEEDS,
        run: |project| passed(fuzz::check(project)),
    },
    Step {
        name: "documentation",
        what: "the examples in the documentation",
        needs: &[Need::NativeBuild],
        run: |project| passed(rust::documentation(project)),
    },
    Step {
        name: "package",
        what: "the release libraries, built and installed by CMake",
        needs: PACKAGE,
        run: |project| passed(package::install(project).map(drop)),
    },
    Step {
        name: "symbols",
        what: "what the libraries show, need, and do when loaded",
        needs: PACKAGE,
        run: |project| passed(symbols::check(project)),
    },
    Step {
        name: "c",
        what: "the C tests, and the header as C99 and C++17",
        needs: PACKAGE,
        run: |project| passed(c::tests(project)),
    },
    Step {
        name: "c-sanitizers",
        what: "the C tests under clang's address, leak and undefined-behaviour sanitizers",
        needs: &[Need::NativeBuild, Need::Cmake, Need::Binutils, Need::Clang],
        run: |project| passed(c::sanitized(project)),
    },
    Step {
        name: "cpp",
        what: "the C++ header: that it shows all of C's, what it costs, its tests in every way, sanitized",
        needs: &[Need::NativeBuild, Need::Cmake, Need::Binutils, Need::Clang, Need::Valgrind],
        run: |project| passed(cpp::check(project)),
    },
    Step {
        name: "consumer",
        what: "find_package, add_subdirectory, FetchContent and pkg-config from a scratch folder",
        needs: PACKAGE,
        run: |project| passed(consumer::check(project)),
    },
    Step {
        name: "examples",
        what: "the short examples run",
        needs: PACKAGE,
        run: |project| passed(examples::run_short(project)),
    },
    Step {
        name: "gallery",
        what: "the gallery, a C++ example with SDL2, shows its pictures",
        needs: &gallery::NEEDS,
        run: |project| passed(gallery::check(project).map(drop)),
    },
    Step {
        name: "cost",
        what: "the instructions and allocations that a frame spends inside Sortie",
        needs: &[Need::NativeBuild, Need::Cmake, Need::Binutils, Need::Valgrind],
        run: |project| passed(cost::check(project)),
    },
    Step {
        name: "bench",
        what: "the programs of cargo xtask bench: they build, and all that they receive is right",
        needs: bench::NEEDS,
        run: |project| passed(bench::smoke(project)),
    },
    Step {
        name: "valgrind",
        what: "a short example under valgrind",
        needs: &[Need::NativeBuild, Need::Cmake, Need::Binutils, Need::Valgrind],
        run: |project| passed(examples::run_valgrind(project)),
    },
    Step { name: "demo", what: "the demo runs", needs: PACKAGE, run: |project| passed(demo::run(project, &[])) },
    Step {
        name: "lua",
        what: "the Lua binding under every Lua, in LÖVE, under valgrind and sanitizers, and as a rock",
        needs: &[
            Need::NativeBuild,
            Need::Cmake,
            Need::Binutils,
            Need::Clang,
            Need::Valgrind,
            Need::Lua,
            Need::Love,
            Need::LuaRocks,
        ],
        run: |project| passed(lua::check(project)),
    },
    Step {
        name: "lua-namespace",
        what: "reachability while links go down and up",
        needs: &[Need::NativeBuild, Need::Cmake, Need::Binutils, Need::Lua, Need::Namespaces],
        run: lua::namespace,
    },
    Step {
        name: "csharp",
        what: "the C# binding on CoreCLR and Mono, and its NuGet package",
        needs: &[Need::NativeBuild, Need::Cmake, Need::Binutils, Need::Npm, Need::Mono],
        run: |project| passed(csharp::check(project)),
    },
    Step {
        name: "unity",
        what: "the Unity package, played without an editor, and the C# tests compiled ahead of time",
        needs: &[Need::NativeBuild, Need::Cmake, Need::Binutils, Need::Npm, Need::Mono],
        run: |project| passed(unity::check(project)),
    },
    Step {
        name: "godot",
        what: "the Godot binding in a real Godot, side by side with HTTPRequest",
        needs: &[Need::NativeBuild, Need::Clippy],
        run: godot::check,
    },
    Step {
        name: "thread-sanitizer",
        what: "the queue under ThreadSanitizer",
        needs: &[],
        run: thread_sanitizer::check,
    },
];

fn passed(result: Result<()>) -> Result<Verdict> {
    result.map(|()| Verdict::Passed)
}

/// Lists the checks.
pub fn list() -> Result<()> {
    for step in STEPS {
        println!("{:18} {}", step.name, step.what);
    }
    Ok(())
}

/// Runs the checks of these names, or all if there are none.
pub fn run(project: &Project, names: &[&str]) -> Result<()> {
    if let Some(unknown) = names.iter().find(|name| !STEPS.iter().any(|step| step.name == **name)) {
        return Err(format!("there is no check `{unknown}`; cargo xtask test --list lists them"));
    }
    let chosen: Vec<&Step> = STEPS.iter().filter(|step| names.is_empty() || names.contains(&step.name)).collect();
    let mut summary = Summary::default();
    let mut outcome = install::ensure(chosen.iter().flat_map(|step| step.needs.iter().copied()));
    for (index, step) in chosen.iter().enumerate() {
        if outcome.is_err() {
            break;
        }
        println!("\n==== [{}/{}] {}: {}", index + 1, chosen.len(), step.name, step.what);
        let started = Instant::now();
        let result = (step.run)(project);
        let took = started.elapsed();
        let word = summary.add(step.name, &result, took);
        println!("---- {} {word} in {:.1} s", step.name, took.as_secs_f64());
        outcome = result.map(drop).map_err(|why| format!("{} failed: {why}", step.name));
    }
    summary.print(&outcome);
    // The summary has told why.
    outcome.map_err(|_| String::new())
}

/// How the checks ended.
#[derive(Default)]
struct Summary {
    lines: Vec<String>,
    skipped: Vec<String>,
    passed: usize,
    failed: usize,
}

impl Summary {
    /// Notes a check's end and gives it in a word.
    fn add(&mut self, name: &str, result: &Result<Verdict>, took: Duration) -> &'static str {
        let word = match result {
            Ok(Verdict::Passed) => {
                self.passed += 1;
                "passed"
            }
            Ok(Verdict::Skipped(why)) => {
                self.skipped.push(format!("SKIPPED {name}: {why}"));
                "skipped"
            }
            Err(_) => {
                self.failed += 1;
                "FAILED"
            }
        };
        self.lines.push(format!("{name:18} {word:8} {:8.1} s", took.as_secs_f64()));
        word
    }

    /// The last line is the numbers, for whoever reads only that.
    fn print(&self, outcome: &Result<()>) {
        println!("\n==== summary");
        for line in self.lines.iter().chain(&self.skipped) {
            println!("{line}");
        }
        if let Err(why) = outcome {
            println!("\n{why}\n");
        }
        // A failure before the first check counts too.
        let failed = self.failed.max(usize::from(outcome.is_err()));
        println!("{} passed, {failed} failed", self.passed);
    }
}
