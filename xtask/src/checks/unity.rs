//! The Unity package: assembled, compiled and played without an editor, and the C# tests by IL2CPP's rules.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::thread;

use serde_json::Value;

use super::csharp;
use crate::Result;
use crate::dotnet::Dotnet;
use crate::process::{capture, command, run};
use crate::project::{self, Project};
use crate::server::Servers;
use crate::unity::assemble;

/// What of Mono's class libraries programs that use Sortie load, the slowest to compile first.
const FRAMEWORK: [&str; 10] = [
    "mscorlib",
    "System.Core",
    "System",
    "System.Xml",
    "System.Net.Http",
    "System.Security",
    "Mono.Security",
    "System.Numerics",
    "System.Configuration",
    "netstandard",
];

/// All of it.
pub fn check(project: &Project) -> Result<()> {
    let dotnet = Dotnet::find(project)?;
    let library = csharp::library(project)?;
    let package = project.scratch("unity")?.join("package");
    assemble(project, &csharp::natives(project, &library)?, &package)?;
    sound(&package)?;

    let artifacts = project.scratch("unity/build")?;
    let tests = project.root.join("bindings/unity/tests/Sortie.Unity.Tests.csproj");
    let shown = artifacts.join("Readme.cs");
    project::write(&shown, &first_example(&project.read("bindings/unity/README.md")?)?)?;
    let mut build = dotnet.build("build", &tests, &artifacts)?;
    build.arg(format!("-p:UnityPackage={}", package.display()));
    run(build.arg(format!("-p:UnityReadme={}", shown.display())))?;
    let unity_tests = artifacts.join("bin/Sortie.Unity.Tests/Debug/netstandard2.0");
    let csharp_tests = csharp::build_tests(project, &dotnet)?.join("netstandard2.0");

    let servers = Servers::start(project)?;
    run(servers.tell(&mut dotnet.mono(&unity_tests.join("Sortie.Unity.Tests.dll"), &library)))?;

    let aot = compile(project, &dotnet, &[&unity_tests, &csharp_tests])?;
    let ahead_of_time = |program: &str| {
        let mut mono = command("mono");
        mono.current_dir(&aot).args(["--full-aot", "--debug", program]);
        mono.env("MONO_PATH", &aot).env("LD_LIBRARY_PATH", &library);
        mono
    };
    run(servers.tell(ahead_of_time("Sortie.Unity.Tests.dll").arg("--aot")))?;
    run(servers.tell(&mut csharp::prepare(project, ahead_of_time("Sortie.Tests.dll"))?))
}

/// The first block of code in C# of a page.
fn first_example(page: &str) -> Result<String> {
    let (_, rest) = page.split_once("```csharp\n").ok_or("bindings/unity/README.md shows no C#")?;
    Ok(rest.split("```").next().unwrap_or_default().to_owned())
}

/// What the editor would stumble over.
fn sound(package: &Path) -> Result<()> {
    let json = |path: &str| -> Result<Value> {
        serde_json::from_str(&project::read(&package.join(path))?).map_err(|error| format!("{path}: {error}"))
    };
    let manifest = json("package.json")?;
    for sample in manifest["samples"].as_array().ok_or("package.json has no samples")? {
        let path = sample["path"].as_str().ok_or("a sample has no path")?;
        if !package.join(path).is_dir() {
            return Err(format!("the package has no {path}"));
        }
    }
    let core = json("Runtime/Sortie.asmdef")?;
    let unity = json("Runtime/Unity/Sortie.Unity.asmdef")?;
    if unity["references"][0] != core["name"] {
        return Err("Sortie.Unity.asmdef refers to another assembly than Sortie.asmdef makes".to_owned());
    }
    let mut ids = BTreeSet::new();
    let found = capture(command("find").arg(package).args([
        "-mindepth",
        "1",
        "-not",
        "-path",
        "*~*",
        "-not",
        "-name",
        "*.meta",
    ]))?;
    for file in found.lines() {
        let meta = project::read(Path::new(&format!("{file}.meta")))?;
        let id =
            meta.lines().find_map(|line| line.strip_prefix("guid: ")).ok_or_else(|| format!("{file} has no id"))?;
        if !ids.insert(id.to_owned()) {
            return Err(format!("{file} has the id of another"));
        }
    }
    println!("the package has {} files and folders", ids.len());
    Ok(())
}

/// Compiles programs and all that they load ahead of time, into one folder.
fn compile(project: &Project, dotnet: &Dotnet, programs: &[&PathBuf]) -> Result<PathBuf> {
    let folder = project.empty_scratch("unity/aot")?;
    let mut assemblies = Vec::new();
    for name in FRAMEWORK {
        let file = format!("{name}.dll");
        let from = match name {
            "netstandard" => dotnet.facades().join(&file),
            _ => Path::new("/usr/lib/mono/4.5").join(&file),
        };
        let from = if from.exists() { from } else { in_cache(&file)? };
        run(command("cp").arg("-L").arg(from).arg(&folder))?;
        assemblies.push(file);
    }
    for program in programs {
        for file in capture(command("ls").arg(program))?.lines().filter(|file| file.ends_with(".dll")) {
            run(command("cp").arg(program.join(file)).arg(&folder))?;
            assemblies.push(file.to_owned());
        }
    }
    // Two at a time.
    let waiting = Mutex::new(assemblies.into_iter());
    let failed = Mutex::new(Vec::new());
    let work = || {
        while let Some(file) = waiting.lock().ok().and_then(|mut waiting| waiting.next()) {
            let mut mono = command("mono");
            mono.current_dir(&folder).env("MONO_PATH", &folder).arg("--aot=full").arg(&file);
            if let Err(why) = capture(&mut mono)
                && let Ok(mut failed) = failed.lock()
            {
                failed.push(why);
            }
        }
    };
    thread::scope(|scope| {
        scope.spawn(work);
        scope.spawn(work);
    });
    let failed = failed.into_inner().map_err(|error| error.to_string())?;
    if failed.is_empty() { Ok(folder) } else { Err(failed.join("\n")) }
}

/// Debian has most of Mono's class libraries in its assembly cache.
fn in_cache(file: &str) -> Result<PathBuf> {
    let found = capture(command("find").args(["/usr/lib/mono/gac", "-name", file]))?;
    Ok(found.lines().next().ok_or_else(|| format!("Mono has no {file}"))?.into())
}
