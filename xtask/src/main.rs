//! Sortie's own commands, for people and for CI. `cargo xtask` lists them.

mod abi;
mod apt;
mod bench;
mod checks;
mod csharp;
mod demo;
mod dotnet;
mod elf;
mod examples;
mod fuzz;
mod gallery;
mod godot;
mod install;
mod metadata;
mod notices;
mod package;
mod picture;
mod process;
mod project;
mod reference;
mod rust_source;
mod server;
mod suffixes;
mod test;
mod unity;

use std::process::ExitCode;

use project::Project;

/// What a command comes to: a failure is told in one message for a person, empty if it has been told already.
type Result<T> = std::result::Result<T, String>;

const USAGE: &str = "\
usage: cargo xtask COMMAND

  test                     run every check, installing what is needed
  test --only NAME...      run some of them
  test --list              list them
  bench                    measure Sortie and the alternatives side by side, and write docs/performance.md
  bench --quick            the same in a third of the time, for a first look
  bench --only NAME...     some of it, by the names that it prints
  bench --page             write the figures in docs/performance.md and its plots anew, as bench does
  fuzz [TARGET...]         run the fuzz targets for ten million inputs each; --runs N for another number
  demo                     show Sortie in a frame loop, against the embedded server
  demo URL...              the same with these URLs
  picture                  draw docs/demo.svg anew
  screenshot               draw docs/gallery.png anew
  godot-addon              put the Godot addon together, with release libraries for this system
  godot-picture            draw docs/godot-demo.png anew
  godot-bench              measure what Sortie and HTTPRequest cost a Godot game's frame
  abi                      write include/sortie.abi anew
  notices                  write THIRD-PARTY-NOTICES anew
  reference                write docs/api.md anew
  csharp-bindings          write bindings/csharp/src/Native/NativeMethods.g.cs anew
  unity-package LIBS TO    assemble the Unity package, with the libraries in LIBS/linux-x64 and so on
  suffixes                 write src/worker/public_suffixes.txt anew
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = Project::find().and_then(|project| match words.as_slice() {
        ["test"] => test::run(&project, &[]),
        ["test", "--list"] => test::list(),
        ["test", "--only", names @ ..] if !names.is_empty() => test::run(&project, names),
        ["bench", options @ ..] => bench::run(&project, options),
        ["fuzz", words @ ..] => fuzz::run_by_hand(&project, words),
        ["demo", urls @ ..] if !urls.iter().any(|url| url.starts_with('-')) => demo::run(&project, urls),
        ["picture"] => demo::draw(&project),
        ["screenshot"] => gallery::draw(&project),
        ["godot-addon"] => godot::addon(&project),
        ["godot-picture"] => godot::picture(&project),
        ["godot-bench"] => godot::bench(&project),
        ["abi"] => abi::write(&project),
        ["notices"] => notices::write(&project),
        ["reference"] => reference::write(&project),
        ["csharp-bindings"] => csharp::write(&project),
        ["unity-package", libraries, to] => unity::assemble(&project, libraries.as_ref(), to.as_ref()),
        ["suffixes"] => suffixes::write(&project),
        [] | ["help" | "--help" | "-h"] => {
            print!("{USAGE}");
            Ok(())
        }
        _ => Err(format!("no such command\n\n{USAGE}")),
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            if !why.is_empty() {
                eprintln!("\nerror: {why}");
            }
            ExitCode::FAILURE
        }
    }
}
