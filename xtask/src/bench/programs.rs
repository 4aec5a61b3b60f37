//! The programs that the harness runs: Sortie's own, and the alternatives.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::servers::program_cores;
use crate::Result;
use crate::checks::rust::benches_cargo;
use crate::dotnet::Dotnet;
use crate::package::{self, Package, build_all, configure, define};
use crate::process::{capture, cargo, command, run};
use crate::project::{Project, write};

/// How long a program may take, in seconds.
const PATIENCE: u32 = 180;

/// All of them, built.
pub struct Programs {
    folders: [PathBuf; 2],
    /// The version of the libcurl that Sortie and the programs on libcurl alone are linked with.
    pub libcurl: String,
    pub package: Package,
}

/// What a program is called with.
#[derive(Clone, Debug, Default)]
pub struct Call {
    pub program: &'static str,
    pub work: &'static str,
    pub url: String,
    pub count: usize,
    pub parallel: usize,
    /// A file to write, the roots to trust, or an idle stream's URL, as the work wants it.
    pub path: String,
}

impl Programs {
    /// Builds them.
    pub fn build(project: &Project) -> Result<Self> {
        let package = package::install(project)?;
        let libcurl = Libcurl::find(project)?;
        let folder = project.scratch("bench/programs")?;
        let options = [
            define("CMAKE_PREFIX_PATH", package.prefix.display()),
            define("LIBCURL_INCLUDE", libcurl.include.display()),
            define("LIBCURL_ARCHIVES", libcurl.archives.join(";")),
        ];
        let options: Vec<&str> = options.iter().map(String::as_str).collect();
        configure(&project.root.join("benches/programs"), &folder, &options)?;
        build_all(&folder)?;
        run(benches_cargo(project).args(["build", "--release", "--locked", "--package", "sortie-alternatives"]))?;
        build_dotnet(project, &folder)?;
        Ok(Self { folders: [folder, project.target.join("release")], libcurl: libcurl.version, package })
    }

    /// Where the program of this name is.
    pub fn file(&self, program: &str) -> Result<PathBuf> {
        let mut files = self.folders.iter().map(|folder| folder.join(program));
        files.find(|file| file.is_file()).ok_or_else(|| format!("there is no program {program}"))
    }

    /// Runs one and gives what it has measured.
    pub fn run(&self, call: &Call) -> Result<Value> {
        let mut outer = command("timeout");
        outer.arg(PATIENCE.to_string());
        // Large bodies and frames are about work on all cores, and a program that polls busily fills one.
        if ["memory", "file", "frame", "load", "latency-spin"].iter().all(|work| !call.work.starts_with(work)) {
            outer.args(["taskset", "-c", &program_cores()]);
        }
        let printed = capture(&mut self.command(call, &mut outer)?)?;
        serde_json::from_str(&printed).map_err(|error| format!("{}: {error}: {printed}", call.program))
    }

    /// Runs one under callgrind and gives the instructions of all its threads.
    pub fn instructions(&self, call: &Call) -> Result<f64> {
        let mut valgrind = command("valgrind");
        valgrind.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]);
        let output = self.command(call, &mut valgrind)?.output().map_err(|error| format!("valgrind: {error}"))?;
        let said = String::from_utf8_lossy(&output.stderr);
        if !output.status.success() {
            return Err(format!("{}: {said}", call.program));
        }
        let counted = said.lines().find_map(|line| line.split_once("Collected :")?.1.trim().parse().ok());
        counted.ok_or_else(|| format!("callgrind has counted nothing: {said}"))
    }

    /// A command that runs one inside of another, such as `timeout`.
    fn command(&self, call: &Call, outer: &mut Command) -> Result<Command> {
        let file = self.file(call.program)?;
        let mut command = command(outer.get_program());
        command.args(outer.get_args()).arg(file).args([call.work, &call.url]);
        command.args([call.count.to_string(), call.parallel.to_string()]);
        if !call.path.is_empty() {
            command.arg(&call.path);
        }
        Ok(command)
    }
}

/// Builds the one that runs on .NET, and a script that is called as the others are.
fn build_dotnet(project: &Project, folder: &Path) -> Result<()> {
    let dotnet = Dotnet::find(project)?;
    let artifacts = project.scratch("bench/dotnet")?;
    let mut build = dotnet.build("build", &project.root.join("benches/dotnet/HttpClients.csproj"), &artifacts)?;
    run(build.args(["--configuration", "Release"]))?;
    let program = artifacts.join("bin/HttpClients/Release/netcoreapp3.1/HttpClients.dll");
    let mut script = String::from("#!/bin/sh\n");
    let mut start = dotnet.command();
    for (name, value) in start.get_envs() {
        let value = value.unwrap_or_default().to_string_lossy();
        script.push_str(&format!("export {}='{value}'\n", name.to_string_lossy()));
    }
    start.arg("exec").arg(&program);
    let words = std::iter::once(start.get_program()).chain(start.get_args());
    let words: Vec<String> = words.map(|word| format!("'{}'", word.to_string_lossy())).collect();
    script.push_str(&format!("exec {} \"$@\"\n", words.join(" ")));
    let file = folder.join("httpclient");
    write(&file, &script)?;
    run(command("chmod").arg("+x").arg(&file))
}

/// The static libcurl that Sortie was built with.
struct Libcurl {
    version: String,
    include: PathBuf,
    /// In the linker's order.
    archives: Vec<String>,
}

impl Libcurl {
    /// Asks cargo where the build scripts have left it. The command is that of the package's build, so nothing is built.
    fn find(project: &Project) -> Result<Self> {
        let mut rustc = cargo(&project.root);
        rustc.args([
            "rustc",
            "--package",
            "sortie",
            "--lib",
            "--crate-type",
            "cdylib,staticlib",
            "--profile",
            "release",
        ]);
        rustc.args(["--locked", "--quiet", "--message-format=json", "--target-dir"]).arg(&project.target);
        let printed = capture(&mut rustc)?;
        let messages = printed.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let scripts: Vec<Value> = messages.filter(|message| message["reason"] == "build-script-executed").collect();
        let of = |name: &str| {
            let marker = format!("#{name}@");
            let found =
                scripts.iter().find(|script| script["package_id"].as_str().is_some_and(|id| id.contains(&marker)));
            found.ok_or_else(|| format!("cargo tells nothing of {name}'s build"))
        };
        let mut archives = Vec::new();
        for name in ["curl-sys", "libnghttp2-sys", "openssl-sys", "libz-sys"] {
            let script = of(name)?;
            let folders = strings(&script["linked_paths"]);
            for library in strings(&script["linked_libs"]) {
                let file = format!("lib{}.a", library.trim_start_matches("static="));
                let place =
                    folders.iter().map(|folder| PathBuf::from(folder.trim_start_matches("native=")).join(&file));
                let found = place.into_iter().find(|file| file.is_file());
                archives.push(found.ok_or_else(|| format!("{name} has no {file}"))?.display().to_string());
            }
        }
        let curl = of("curl-sys")?;
        let include = PathBuf::from(curl["out_dir"].as_str().unwrap_or_default()).join("include");
        let id = curl["package_id"].as_str().unwrap_or_default();
        let version = id.split_once("+curl-").map_or("unknown", |(_, version)| version).to_owned();
        Ok(Self { version, include, archives })
    }
}

fn strings(list: &Value) -> Vec<String> {
    list.as_array().into_iter().flatten().filter_map(|text| text.as_str().map(str::to_owned)).collect()
}
