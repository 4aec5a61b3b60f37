//! Installing what a command needs and the machine lacks: Debian's packages, cargo's tools.

use std::process::Command;
use std::sync::OnceLock;

use crate::Result;
use crate::process::{capture, command, run, which};

/// Something that a check needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// What cargo needs to build libcurl and OpenSSL.
    NativeBuild,
    /// CMake, a generator, and pkg-config.
    Cmake,
    /// nm, readelf, objdump.
    Binutils,
    /// The server that the Rust tests run against, and what makes its certificates.
    Nginx,
    /// A library that Sortie is compared with.
    CppHttplib,
    /// The program that downloads are compared with.
    Curl,
    /// What takes network links down and up.
    Iproute,
    /// Clang with its sanitizers.
    Clang,
    /// Valgrind.
    Valgrind,
    /// Every Lua, with what modules are built with.
    Lua,
    /// The game framework LÖVE.
    Love,
    /// LuaRocks.
    LuaRocks,
    /// What the .NET SDK comes by.
    Npm,
    /// The runtime of C# that Unity's is a branch of.
    Mono,
    /// The library that the gallery draws with.
    Sdl,
    /// A screen that nobody sees.
    Xvfb,
    /// What makes a PNG of a screenshot.
    ImageMagick,
    /// What lays cables between network namespaces.
    Namespaces,
    /// cargo fmt.
    Rustfmt,
    /// cargo clippy.
    Clippy,
    /// cargo nextest.
    Nextest,
    /// cargo deny.
    Deny,
}

/// A package of Debian: the program by which to tell whether it is there, its name, and what for.
struct Package {
    program: String,
    name: String,
    why: &'static str,
}

/// Installs what is missing of all this, saying what and why.
pub fn ensure(needs: impl IntoIterator<Item = Need>) -> Result<()> {
    let mut missing: Vec<Package> = Vec::new();
    let mut asked: Vec<Need> = Vec::new();
    for need in needs {
        if asked.contains(&need) {
            continue;
        }
        asked.push(need);
        missing.extend(packages(need).into_iter().filter(|package| !is_installed(package)));
    }
    missing.dedup_by(|a, b| a.name == b.name);
    install_packages(&missing)?;
    for need in asked {
        match need {
            Need::Rustfmt => ensure_component("rustfmt", "fmt")?,
            Need::Clippy => ensure_component("clippy", "clippy")?,
            Need::Nextest => ensure_cargo_tool("nextest", "0.9.143", "it runs the Rust tests")?,
            Need::Deny => ensure_cargo_tool("deny", "0.20.2", "it checks licences")?,
            _ => {}
        }
    }
    Ok(())
}

/// The clang that this Debian has, such as `clang-14`.
pub fn clang() -> &'static str {
    static NAME: OnceLock<String> = OnceLock::new();
    NAME.get_or_init(|| match debian_clang_version() {
        Some(version) => format!("clang-{version}"),
        None => "clang".to_owned(),
    })
}

/// Its C++ compiler, such as `clang++-14`.
pub fn clang_cpp() -> String {
    clang().replacen("clang", "clang++", 1)
}

/// The version that Debian's package `clang` stands for.
fn debian_clang_version() -> Option<String> {
    let find = || {
        let depends = capture(command("apt-cache").args(["depends", "clang"])).ok()?;
        let line = depends.lines().find_map(|line| line.trim().strip_prefix("Depends: clang-"))?;
        Some(line.to_owned())
    };
    find().or_else(|| {
        // A bare machine has no package lists yet.
        update_lists().ok()?;
        find()
    })
}

fn packages(need: Need) -> Vec<Package> {
    let package = |program: &str, name: &str, why| Package { program: program.into(), name: name.into(), why };
    match need {
        Need::NativeBuild => vec![
            package("cc", "gcc", "libcurl and OpenSSL are built from source"),
            package("c++", "g++", "the header is compiled as C++"),
            package("perl", "perl", "OpenSSL's build is configured by it"),
            package("make", "make", "OpenSSL is built by it"),
        ],
        Need::Cmake => vec![
            package("cmake", "cmake", "C and C++ projects use Sortie through it"),
            package("ninja", "ninja-build", "CMake builds through it"),
            package("pkg-config", "pkg-config", "sortie.pc is tried with it"),
        ],
        Need::Binutils => {
            vec![package("readelf", "binutils", "the libraries' symbols are checked with it, and Mono compiles by it")]
        }
        Need::Nginx => vec![
            package("nginx", "nginx-light", "the tests talk to it"),
            package("openssl", "openssl", "the tests make its certificates with it"),
        ],
        Need::CppHttplib => vec![package("", "libcpp-httplib-dev", "Sortie is compared with it")],
        Need::Curl => vec![package("curl", "curl", "downloads are compared with it")],
        Need::Iproute => vec![package("ip", "iproute2", "the tests take a network link of their own down and up")],
        Need::Valgrind => vec![package("valgrind", "valgrind", "memory errors are looked for with it")],
        Need::Lua => ["lua5.1", "luajit", "lua5.3", "lua5.4"]
            .into_iter()
            .zip(["liblua5.1-0-dev", "libluajit-5.1-dev", "liblua5.3-dev", "liblua5.4-dev"])
            .flat_map(|(interpreter, headers)| {
                [
                    package(interpreter, interpreter, "the Lua binding is tested under it"),
                    package("", headers, "the Lua binding is built for it"),
                ]
            })
            .collect(),
        Need::Love => vec![package("love", "love", "the Lua binding is tested in it")],
        Need::LuaRocks => vec![package("luarocks", "luarocks", "the Lua binding's rock is built by it")],
        Need::Npm => vec![package("npm", "npm", "the .NET SDK comes by it")],
        Need::Mono => vec![
            package("mono", "mono-runtime", "the C# binding is tested on it"),
            package("", "libmono-system-core4.0-cil", "the C# binding uses it on Mono"),
            package("", "libmono-system-net-http4.0-cil", "the C# binding's HttpMessageHandler is one of it"),
        ],
        Need::Sdl => vec![package("sdl2-config", "libsdl2-dev", "the gallery, a C++ example, draws with it")],
        Need::Xvfb => vec![
            package("xvfb-run", "xvfb", "the gallery and the Godot demo are drawn on it"),
            package("xauth", "xauth", "xvfb-run asks for it"),
        ],
        Need::ImageMagick => vec![package("convert", "imagemagick", "it makes a PNG of the gallery's screenshot")],
        Need::Namespaces => vec![
            package("ip", "iproute2", "links are taken down and up with it"),
            package("unshare", "util-linux", "that happens in a network namespace"),
        ],
        Need::Clang => match clang().strip_prefix("clang-") {
            Some(version) => vec![
                package(clang(), clang(), "the C tests are built with its sanitizers"),
                package("", &format!("libclang-rt-{version}-dev"), "the sanitizers' own part"),
            ],
            None => vec![package("clang", "clang", "the C tests are built with its sanitizers")],
        },
        Need::Rustfmt | Need::Clippy | Need::Nextest | Need::Deny => vec![],
    }
}

fn is_installed(package: &Package) -> bool {
    if !package.program.is_empty() {
        return which(&package.program).is_some();
    }
    capture(command("dpkg-query").args(["-W", "-f", "${Status}", &package.name]))
        .is_ok_and(|status| status.ends_with(" installed"))
}

fn install_packages(missing: &[Package]) -> Result<()> {
    if missing.is_empty() {
        return Ok(());
    }
    for package in missing {
        println!("Missing: {}, since {}.", package.name, package.why);
    }
    let names: Vec<&str> = missing.iter().map(|package| package.name.as_str()).collect();
    if which("apt-get").is_none() {
        return Err(format!("install these, or what your system calls them: {}", names.join(" ")));
    }
    update_lists()?;
    run(as_root("apt-get").args(["install", "--yes", "--no-install-recommends"]).args(&names))
}

/// Brings apt's lists up to date, once per run.
pub fn update_lists() -> Result<()> {
    static DONE: OnceLock<Result<()>> = OnceLock::new();
    DONE.get_or_init(|| run(as_root("apt-get").args(["update", "-qq"]))).clone()
}

/// A command with the rights to install.
fn as_root(program: &str) -> Command {
    let is_root = capture(command("id").arg("-u")).is_ok_and(|id| id.trim() == "0");
    let mut command = if is_root {
        command(program)
    } else {
        let mut sudo = command("sudo");
        sudo.args(["DEBIAN_FRONTEND=noninteractive", program]);
        sudo
    };
    command.env("DEBIAN_FRONTEND", "noninteractive");
    command
}

fn ensure_component(component: &str, subcommand: &str) -> Result<()> {
    if capture(command("cargo").args([subcommand, "--version"])).is_ok() {
        return Ok(());
    }
    println!("Missing: {component}, a part of Rust.");
    run(command("rustup").args(["component", "add", component]))
}

fn ensure_cargo_tool(subcommand: &str, version: &str, why: &str) -> Result<()> {
    if capture(command("cargo").args([subcommand, "--version"])).is_ok() {
        return Ok(());
    }
    println!("Missing: cargo-{subcommand}, since {why}.");
    // Not into the project's target folder, whose settings are not meant for it.
    run(command("cargo")
        .args(["install", "--locked", &format!("cargo-{subcommand}"), "--version", version])
        .current_dir(std::env::temp_dir())
        .env_remove("CARGO_TARGET_DIR"))
}
