//! The C++ binding: that it shows all of the C header, its tests in every way that programs are built, and what it
//! costs.

use super::cost;
use crate::Result;
use crate::install::{clang, clang_cpp};
use crate::package::{self, build_all, configure, ctest, define};
use crate::process::run;
use crate::project::Project;
use crate::reference::{self, Kind};
use crate::server::Servers;

const HEADER: &str = "include/sortie.hpp";

/// Fields that are the library's own.
const LEFT_OUT: [&str; 3] = ["details", "reserved", "reserved_speed"];

/// What callgrind counts, how often each program does it, and how many instructions more it may take in C++: more than
/// what differs from run to run.
const COSTS: [(&str, &str, f64, f64); 3] = [
    ("get_all", "submit by URL", 2000.0, 500.0),
    ("submit_all", "submit with headers and body", 2000.0, 1500.0),
    ("drain_all", "drain", 4000.0, 500.0),
];

/// All of it.
pub fn check(project: &Project) -> Result<()> {
    shows_everything(project)?;
    let package = package::install(project)?;
    let prefix = define("CMAKE_PREFIX_PATH", package.prefix.display());
    cost(project, &prefix)?;
    let sanitize = "-DSORTIE_TESTS_SANITIZE=ON";
    let (clang, clang_cpp) = (define("CMAKE_C_COMPILER", clang()), define("CMAKE_CXX_COMPILER", clang_cpp()));
    let servers = Servers::start(project)?;
    let ways: [(&str, &[&str]); 3] = [
        ("plain", &[]),
        // Coroutines need a compiler newer than Debian's clang.
        ("sanitizers", &[sanitize, "-DSORTIE_TESTS_PROGRAMS=cpp20"]),
        ("clang-sanitizers", &[sanitize, "-DSORTIE_TESTS_PROGRAMS=cpp17", &clang, &clang_cpp]),
    ];
    for (name, options) in ways {
        let build = project.scratch(&format!("cpp/{name}"))?;
        let common = [prefix.as_str(), "-DCMAKE_BUILD_TYPE=Debug"];
        configure(&project.root.join("tests/cpp"), &build, &[&common, options].concat())?;
        build_all(&build)?;
        run(servers.tell(&mut ctest(&build)))?;
    }
    Ok(())
}

/// How many instructions a request takes over the C functions and over the C++ header.
fn cost(project: &Project, prefix: &str) -> Result<()> {
    let build = project.scratch("cpp/cost")?;
    configure(&project.root.join("tests/cpp/cost"), &build, &[prefix])?;
    build_all(&build)?;
    println!("instructions per request         C     C++");
    for (function, what, times, most) in COSTS {
        let count = |program: &str| Ok::<_, String>(cost::instructions(&build.join(program), function)? / times);
        let (c, cpp) = (count("cost_c")?, count("cost_cpp")?);
        println!("{what:28} {c:7.0} {cpp:7.0}");
        if cpp > c + most {
            return Err(format!("to {what} takes more than {most} instructions more in C++"));
        }
    }
    Ok(())
}

/// Every function, constant and field of the C header is named in the C++ header.
fn shows_everything(project: &Project) -> Result<()> {
    let text = project.read(HEADER)?;
    let words: Vec<&str> = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').collect();
    let mut names: Vec<String> = Vec::new();
    for item in reference::declarations(project)? {
        match item.kind {
            // Handed over as it is.
            Kind::Struct(_) if item.name == "sortie_stats" => {}
            Kind::Struct(fields) => names.extend(fields.iter().map(|field| format!("{}.{}", item.name, field.name))),
            Kind::Constant(_) | Kind::Function(_) => names.push(item.name),
            Kind::Type(_) => {}
        }
    }
    let missing: Vec<String> = names
        .iter()
        .filter(|name| {
            let word = name.rsplit('.').next().unwrap_or(name);
            !words.contains(&word) && !LEFT_OUT.contains(&word)
        })
        .cloned()
        .collect();
    if missing.is_empty() {
        println!("{HEADER} shows all {} functions, constants and fields of include/sortie.h", names.len());
        return Ok(());
    }
    Err(format!("{HEADER} does not show {}", missing.join(", ")))
}
