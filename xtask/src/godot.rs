//! The Godot binding: the engine to run it in, the addon folder, the demo, and what it costs the frame.

use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Result;
use crate::apt::Apt;
use crate::install::{self, Need};
use crate::process::{capture, cargo, command, run};
use crate::project::{self, Project};
use crate::server::Server;

/// Where the binding is, in the sources.
pub const FOLDER: &str = "bindings/godot";

/// The suite of Debian that has Godot 4.
const SUITE: &str = "forky";

/// A Godot 4.
pub struct Engine {
    /// The program and what comes before the engine's own arguments.
    words: Vec<OsString>,
}

impl Engine {
    /// The one that the variable GODOT names, or Debian's.
    pub fn find(project: &Project) -> Result<Self> {
        if let Some(given) = std::env::var_os("GODOT") {
            return Ok(Self { words: vec![given] });
        }
        let root = unpacked(project)?;
        let libraries = root.join("usr/lib/x86_64-linux-gnu");
        // Its libraries are newer than the system's, so it brings the loader, too.
        let mut path = libraries.as_os_str().to_owned();
        path.push(":");
        path.push(libraries.join("pulseaudio"));
        let loader = libraries.join("ld-linux-x86-64.so.2").into_os_string();
        let engine = root.join("usr/bin/godot").into_os_string();
        Ok(Self { words: vec![loader, "--library-path".into(), path, engine] })
    }

    /// The engine without a window, for so many seconds at most, after which it is killed: a script's error can leave it
    /// running.
    pub fn headless(&self, seconds: u32, game: &Path) -> Command {
        let mut engine = self.after(command("timeout"), seconds);
        engine.args(["--headless", "--path"]).arg(game);
        engine
    }

    /// The engine with a window on a screen of its own.
    pub fn on_a_screen(&self, seconds: u32, game: &Path) -> Command {
        let mut screen = command("xvfb-run");
        screen.args(["-a", "-s", "-screen 0 800x450x24", "timeout"]);
        let mut engine = self.after(screen, seconds);
        engine.args(["--rendering-driver", "opengl3", "--audio-driver", "Dummy", "--path"]).arg(game);
        engine
    }

    fn after(&self, mut program: Command, seconds: u32) -> Command {
        program.args(["--kill-after=5", &seconds.to_string()]).args(&self.words);
        program
    }
}

/// Debian's Godot with all that it needs, in a folder of its own, so that the system stays as it is.
fn unpacked(project: &Project) -> Result<PathBuf> {
    let folder = project.scratch("godot/engine")?;
    let root = folder.join("root");
    let done = folder.join("unpacked");
    if done.exists() {
        return Ok(root);
    }
    println!("Missing: Godot 4, since the Godot binding is tested in it. It comes from Debian {SUITE}, 157 MB.");
    Apt::with_suite(&folder, SUITE)?.unpack_with_dependencies("godot", &folder, &root)?;
    project::write(&done, "")?;
    Ok(root)
}

/// Cargo in the binding's folder, with this project's target folder.
pub fn binding_cargo(project: &Project) -> Command {
    let mut cargo = cargo(&project.root.join(FOLDER));
    cargo.env("CARGO_TARGET_DIR", &project.target);
    cargo
}

/// Builds the extension and gives its file.
fn build(project: &Project, options: &[&str]) -> Result<PathBuf> {
    run(binding_cargo(project).args(["build", "--locked"]).args(options))?;
    let profile = if options.contains(&"--release") { "release" } else { "debug" };
    Ok(project.target.join(profile).join(format!("{DLL_PREFIX}sortie_godot{DLL_SUFFIX}")))
}

/// What the extension is called in the addon, for the editor and for games.
fn names() -> [String; 2] {
    let system = std::env::consts::OS;
    let architecture = match (system, std::env::consts::ARCH) {
        ("macos", _) => "",
        (_, "aarch64") => ".arm64",
        _ => ".x86_64",
    };
    [".editor", ""].map(|kind| format!("{DLL_PREFIX}sortie_godot.{system}{kind}{architecture}{DLL_SUFFIX}"))
}

/// Puts the addon's folder together, without its libraries, and gives the folder for these.
fn addon_folder(project: &Project, game: &Path) -> Result<PathBuf> {
    let addons = game.join("addons");
    let bin = addons.join("sortie/bin");
    fs::create_dir_all(&addons).map_err(|error| format!("cannot make {}: {error}", addons.display()))?;
    run(command("cp").arg("-r").arg(project.root.join(FOLDER).join("addons/sortie")).arg(&addons))?;
    fs::create_dir_all(&bin).map_err(|error| format!("cannot make {}: {error}", bin.display()))?;
    for license in ["LICENSE-MIT", "LICENSE-APACHE"] {
        copy(&project.root.join(license), &addons.join("sortie").join(license))?;
    }
    copy(&project.root.join(FOLDER).join("README.md"), &addons.join("sortie/README.md"))?;
    Ok(bin)
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::copy(from, to).map(drop).map_err(|error| format!("cannot copy {} to {}: {error}", from.display(), to.display()))
}

/// `cargo xtask godot-addon`: the folder to copy into a project, with release libraries for this system.
pub fn addon(project: &Project) -> Result<()> {
    install::ensure([Need::NativeBuild, Need::Binutils])?;
    let folder = project.empty_scratch("godot/addon")?;
    let bin = addon_folder(project, &folder)?;
    let [editor, game] = names();
    for (name, options) in [(editor, &["--release"][..]), (game, &["--release", "--no-default-features"][..])] {
        let built = build(project, options)?;
        let shipped = bin.join(name);
        copy(&built, &shipped)?;
        if cfg!(target_os = "linux") {
            run(command("strip").arg("--strip-unneeded").arg(&shipped))?;
        }
    }
    println!("Copy this folder into a project: {}", folder.join("addons").display());
    Ok(())
}

/// A copy of one of the binding's projects, with the addon as a debug build.
pub fn game(project: &Project, name: &str) -> Result<PathBuf> {
    let folder = project.empty_scratch(&format!("godot/{name}"))?;
    run(command("cp").arg("-r").arg(project.root.join(FOLDER).join(name).join(".")).arg(&folder))?;
    let bin = addon_folder(project, &folder)?;
    let built = build(project, &[])?;
    for name in names() {
        copy(&built, &bin.join(name))?;
    }
    // What the editor's import would write.
    let cache = folder.join(".godot");
    fs::create_dir_all(&cache).map_err(|error| format!("cannot make {}: {error}", cache.display()))?;
    project::write(&cache.join("extension_list.cfg"), "res://addons/sortie/sortie.gdextension\n")?;
    Ok(folder)
}

/// `cargo xtask godot-picture`: draws docs/godot-demo.png anew.
pub fn picture(project: &Project) -> Result<()> {
    install::ensure([Need::NativeBuild, Need::Xvfb])?;
    let engine = Engine::find(project)?;
    let demo = game(project, "demo")?;
    let frames = project.empty_scratch("godot/frames")?;
    // The engine's own movie maker, at a steady 20 frames a second.
    let mut movie = engine.on_a_screen(120, &demo);
    movie.arg("--write-movie").arg(frames.join("frame.png")).args(["--fixed-fps", "20", "--quit-after", "41"]);
    capture(&mut movie)?;
    copy(&frames.join("frame00000040.png"), &project.root.join("docs/godot-demo.png"))
}

/// `cargo xtask godot-bench`: what Sortie and HTTPRequest cost the frame.
pub fn bench(project: &Project) -> Result<()> {
    install::ensure([Need::NativeBuild])?;
    let engine = Engine::find(project)?;
    let bench = game(project, "bench")?;
    // As games get it.
    let built = build(project, &["--release", "--no-default-features"])?;
    for name in names() {
        copy(&built, &bench.join("addons/sortie/bin").join(name))?;
    }
    let server = Server::start(project, false)?;
    run(engine.headless(300, &bench).args(["--quit-after", "30000"]).env("SORTIE_TEST_SERVER", &server.url))
}
