//! The Lua binding: its behaviour tests under every Lua, in LÖVE, under valgrind and the sanitizers, and its packages.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::thread;
use std::time::Instant;

use crate::Result;
use crate::install::clang;
use crate::package::{self, build_all, configure, define};
use crate::process::{capture, command, run};
use crate::project::Project;
use crate::server::Servers;
use crate::test::Verdict;

/// What the tests know the hosts of the reference's samples by.
const NAMES: [&str; 2] = ["encrypted.google.com", "docs.coronalabs.com"];

/// Files of tests that also run with the sanitizers, each in one process.
const FILES: [&str; 14] = [
    "functions",
    "params",
    "files",
    "event",
    "progress",
    "text",
    "redirects",
    "application",
    "status",
    "beyond",
    "bad_input",
    "collector",
    "soak",
    "closing",
];

/// Files of tests that also run under valgrind.
const MEMORY_FILES: [&str; 7] = ["params", "files", "progress", "bad_input", "collector", "soak", "closing"];

const VALGRIND: [&str; 5] = [
    "--quiet",
    "--error-exitcode=9",
    "--leak-check=full",
    "--errors-for-leak-kinds=definite",
    "--show-leak-kinds=definite",
];

const SANITIZERS: &str = "-fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer -O1 -g";

/// A Lua, the binding built for it, and a program that embeds it.
struct Lua {
    /// As CMake knows it.
    version: &'static str,
    interpreter: String,
    module: PathBuf,
    host: PathBuf,
}

/// All but what needs a network namespace.
pub fn check(project: &Project) -> Result<()> {
    let package = package::install(project)?.prefix;
    let build = |version, sanitize| build(project, &package, version, sanitize);
    let luas = [build("5.1", false)?, build("jit", false)?, build("5.3", false)?, build("5.4", false)?];
    let [lua51, luajit, _, lua54] = &luas;
    let sanitized = build("5.4", true)?;
    let servers = [Servers::with_names(project, &NAMES)?, Servers::with_names(project, &NAMES)?];
    let scratch = project.empty_scratch("lua/files")?;
    let tests = |lua: &Lua, mut program: Command, arguments: &[&str]| {
        program.arg(project.root.join("bindings/lua/tests/run.lua")).args(arguments);
        prepare(&mut program, lua, &scratch);
        program
    };

    let table = project.root.join("bindings/lua/tests/README.md");
    run(&mut tests(lua54, command(&lua54.interpreter), &["--table", &table.display().to_string()]))?;

    let mut jobs = Jobs::default();
    // The longest first.
    jobs.add("5.4: slow", tests(lua54, command(&lua54.interpreter), &["slow"]));
    for lua in [lua51, lua54] {
        for file in MEMORY_FILES {
            let mut valgrind = command("valgrind");
            valgrind.args(VALGRIND);
            let suppressions = project.root.join("bindings/lua/tests/valgrind.supp");
            valgrind.arg(format!("--suppressions={}", suppressions.display())).arg(&lua.host);
            let mut job = tests(lua, valgrind, &[file]);
            job.env("SORTIE_TEST_DEADLINE", "300").env("SORTIE_TEST_SOAK_ROUNDS", "1");
            jobs.add(format!("{}: {file} under valgrind", lua.version), job);
        }
    }
    for lua in &luas {
        jobs.add(format!("{}: all", lua.version), tests(lua, command(&lua.interpreter), &[]));
    }
    for file in FILES {
        jobs.add(format!("5.4: {file} with sanitizers",), tests(&sanitized, command(&sanitized.host), &[file]));
    }
    jobs.add("LÖVE", tests(luajit, command(&luajit.interpreter), &["love"]));
    jobs.run(&servers)?;

    for version in ["5.1", "5.3", "5.4"] {
        rock(project, &package, &servers[0], version, &scratch)?;
    }
    Ok(())
}

/// Reachability while links go down and up.
pub fn namespace(project: &Project) -> Result<Verdict> {
    let attempts: [&[&str]; 2] = [&["--net"], &["--map-root-user", "--net"]];
    let cable = "ip link add ours type veth peer name theirs && nsenter --net --target $$ true";
    let works = |options: &&&[&str]| capture(command("unshare").args(**options).args(["sh", "-c", cable])).is_ok();
    let Some(options) = attempts.iter().find(works) else {
        return Ok(Verdict::Skipped("this machine allows no network namespace with a link in it".to_owned()));
    };
    let package = package::install(project)?.prefix;
    let lua = build(project, &package, "5.4", false)?;
    let servers = Servers::with_names(project, &[])?;
    let mut unshare = command("unshare");
    unshare.args(*options).arg(&lua.interpreter).arg(project.root.join("bindings/lua/tests/run.lua")).arg("namespace");
    prepare(&mut unshare, &lua, &project.empty_scratch("lua/files")?);
    run(servers.tell(&mut unshare))?;
    Ok(Verdict::Passed)
}

/// Builds the binding, and the program that embeds Lua, for one Lua.
fn build(project: &Project, package: &Path, version: &'static str, sanitize: bool) -> Result<Lua> {
    let name = if sanitize { format!("{version}-sanitized") } else { version.to_owned() };
    let folder = project.scratch(&format!("lua/{name}"))?;
    let made = |part: &str| -> Result<PathBuf> {
        let build = folder.join(part);
        let source = project.root.join(if part == "host" { "bindings/lua/tests" } else { "bindings/lua" });
        let mut options = vec![define("CMAKE_PREFIX_PATH", package.display()), define("SORTIE_LUA_VERSION", version)];
        if sanitize {
            options.push(define("CMAKE_C_COMPILER", clang()));
            options.push(define("CMAKE_C_FLAGS", SANITIZERS));
        } else {
            options.push(define("CMAKE_C_FLAGS", "-Werror -g"));
        }
        configure(&source, &build, &options.iter().map(String::as_str).collect::<Vec<_>>())?;
        build_all(&build)?;
        Ok(build)
    };
    Ok(Lua {
        version,
        interpreter: if version == "jit" { "luajit".to_owned() } else { format!("lua{version}") },
        module: made("binding")?.join("module"),
        host: made("host")?.join("host"),
    })
}

/// Tells a program where the binding and a folder for its files are.
fn prepare(program: &mut Command, lua: &Lua, scratch: &Path) {
    program
        .current_dir(scratch)
        .env("SORTIE_TEST_FOLDER", scratch)
        .env("SORTIE_TEST_HOST", &lua.host)
        .env("LUA_CPATH", format!("{}/?.so", lua.module.display()))
        .env("LUA_PATH", format!("{}/?.lua", lua.module.display()))
        // Those for one version go before the others.
        .env_remove("LUA_CPATH_5_3")
        .env_remove("LUA_PATH_5_3")
        .env_remove("LUA_CPATH_5_4")
        .env_remove("LUA_PATH_5_4");
}

/// The rock, built by LuaRocks into a tree of its own, runs the tests of one file.
fn rock(project: &Project, package: &Path, servers: &Servers, version: &'static str, scratch: &Path) -> Result<()> {
    let folder = project.empty_scratch(&format!("lua/rock-{version}"))?;
    // LuaRocks builds in the folder of the rockspec.
    let source = folder.join("source");
    run(command("cp").arg("-r").arg(project.root.join("bindings/lua")).arg(&source))?;
    let tree = folder.join("tree");
    let rockspec = format!("sortie-{}-1.rockspec", project.version()?);
    run(command("luarocks")
        .current_dir(&source)
        .env("HOME", &folder)
        .args(["--lua-version", version, "make", "--tree"])
        .arg(&tree)
        .arg(rockspec)
        .arg(format!("SORTIE_DIR={}", package.display())))?;
    let lua = Lua {
        version,
        interpreter: format!("lua{version}"),
        module: tree.join("lib/lua").join(version),
        host: PathBuf::new(),
    };
    let mut tests = command(&lua.interpreter);
    tests.arg(project.root.join("bindings/lua/tests/run.lua")).arg("solar2d");
    prepare(&mut tests, &lua, scratch);
    tests.env("LUA_PATH", format!("{}/share/lua/{version}/?.lua", tree.display()));
    run(servers.tell(tests.env("LD_LIBRARY_PATH", package.join("lib"))))
}

/// Tests that run two at a time; what one says is shown when it has ended.
#[derive(Default)]
struct Jobs(Vec<(String, Command)>);

impl Jobs {
    fn add(&mut self, name: impl Into<String>, command: Command) {
        self.0.push((name.into(), command));
    }

    /// Runs them all, and tells which failed. Those that run at the same time have servers of their own, since they
    /// tell them what to answer.
    fn run(self, servers: &[Servers; 2]) -> Result<()> {
        let waiting = Mutex::new(self.0.into_iter());
        let failed = Mutex::new(Vec::new());
        let work = |servers: &Servers| {
            loop {
                let Some((name, mut command)) = waiting.lock().ok().and_then(|mut waiting| waiting.next()) else {
                    return;
                };
                let started = Instant::now();
                let output = servers.tell(&mut command).output();
                let mut said = format!("-- {name} ({:.1} s)\n", started.elapsed().as_secs_f64());
                let fine = match &output {
                    Ok(output) => {
                        said.push_str(&String::from_utf8_lossy(&output.stdout));
                        // Valgrind tells there of system calls that it does not know.
                        if !output.status.success() {
                            said.push_str(&String::from_utf8_lossy(&output.stderr));
                        }
                        output.status.success()
                    }
                    Err(error) => {
                        said.push_str(&format!("cannot be run: {error}\n"));
                        false
                    }
                };
                print!("{said}");
                if !fine && let Ok(mut failed) = failed.lock() {
                    failed.push(name);
                }
            }
        };
        thread::scope(|scope| {
            for servers in servers {
                scope.spawn(|| work(servers));
            }
        });
        let failed = failed.into_inner().map_err(|error| error.to_string())?;
        if failed.is_empty() { Ok(()) } else { Err(format!("these failed: {}", failed.join("; "))) }
    }
}
