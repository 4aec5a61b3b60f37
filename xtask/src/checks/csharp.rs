//! The C# binding: its raw layer, the same tests on CoreCLR and on Mono, and its package.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Result;
use crate::csharp;
use crate::dotnet::Dotnet;
use crate::package;
use crate::process::{capture, command, run};
use crate::project::Project;
use crate::server::Servers;

/// All of it.
pub fn check(project: &Project) -> Result<()> {
    readme(project)?;
    let dotnet = Dotnet::find(project)?;
    let library = library(project)?;
    let built = build_tests(project, &dotnet)?;
    let servers = Servers::start(project)?;
    for arguments in [&[] as &[&str], &["--leave"]] {
        let coreclr = dotnet.coreclr(&built.join("netcoreapp3.1/Sortie.Tests.dll"), &library);
        run(servers.tell(prepare(project, coreclr)?.args(arguments)))?;
        let mono = dotnet.mono(&built.join("netstandard2.0/Sortie.Tests.dll"), &library);
        run(servers.tell(prepare(project, mono)?.args(arguments)))?;
    }
    consume(project, &dotnet, &library, &servers)
}

/// Builds the tests for both runtimes, into a folder for each.
pub fn build_tests(project: &Project, dotnet: &Dotnet) -> Result<PathBuf> {
    let artifacts = project.scratch("csharp/build")?;
    run(&mut dotnet.build("build", &project.root.join("bindings/csharp/tests/Sortie.Tests.csproj"), &artifacts)?)?;
    Ok(artifacts.join("bin/Sortie.Tests/Debug"))
}

/// Tells the tests what they are to compare with, and where their files may be.
pub fn prepare(project: &Project, mut program: Command) -> Result<Command> {
    program.env("SORTIE_TEST_LAYOUT", csharp::layout(project)?);
    program.env("SORTIE_TEST_FOLDER", project.empty_scratch("csharp/files")?);
    Ok(program)
}

/// A folder with the library under the name by which C# looks for it.
pub fn library(project: &Project) -> Result<PathBuf> {
    let folder = project.empty_scratch("csharp/library")?;
    let shared = package::install(project)?.shared(project)?;
    fs::copy(&shared, folder.join("libsortie.so"))
        .map_err(|error| format!("cannot copy {}: {error}", shared.display()))?;
    Ok(folder)
}

/// A folder of libraries, with one for each system, as packages are made of.
pub fn natives(project: &Project, library: &Path) -> Result<PathBuf> {
    let natives = project.empty_scratch("csharp/natives")?;
    run(command("mkdir").arg(natives.join("linux-x64")))?;
    run(command("cp").arg(library.join("libsortie.so")).arg(natives.join("linux-x64")))?;
    Ok(natives)
}

/// The README shows the example as it is.
fn readme(project: &Project) -> Result<()> {
    let example = "bindings/csharp/example/Program.cs";
    let shown = format!("```csharp\n{}```", project.read(example)?);
    if project.read("bindings/csharp/README.md")?.contains(&shown) {
        return Ok(());
    }
    Err(format!("bindings/csharp/README.md does not show {example} as it is"))
}

/// The package, used by a project that has nothing else.
fn consume(project: &Project, dotnet: &Dotnet, library: &Path, servers: &Servers) -> Result<()> {
    let natives = natives(project, library)?;
    let artifacts = project.empty_scratch("csharp/package")?;
    let csproj = project.root.join("bindings/csharp/src/Sortie.csproj");
    let mut pack = dotnet.build("pack", &csproj, &artifacts)?;
    run(pack.args(["--configuration", "Release"]).arg(format!("-p:NativeLibraries={}", natives.display())))?;

    let consumer = project.empty_scratch("csharp/consumer")?;
    run(command("cp").arg("-r").arg(project.root.join("bindings/csharp/example/.")).arg(&consumer))?;
    // Lest what an earlier one left in the cache is taken for it.
    let cache = project.empty_scratch("csharp/cache")?;
    let mut build = dotnet.build("build", &consumer.join("Example.csproj"), &artifacts)?;
    run(build.env("NUGET_PACKAGES", cache))?;
    let program = consumer.join("bin/Debug/netcoreapp3.1/Example.dll");
    let mut example = dotnet.command();
    example.arg("exec").arg(program).arg(format!("{}/bytes/1234", servers.plain.url)).env_remove("LD_LIBRARY_PATH");
    let said = capture(&mut example)?;
    print!("{said}");
    match said.trim() {
        "200 application/octet-stream, 1234 bytes" => Ok(()),
        said => Err(format!("the example said `{said}`")),
    }
}
