//! The Unity package: the C# binding's sources, Unity's own, and native libraries, with what the editor wants to know of
//! each file.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use crate::Result;
use crate::project::{self, Project};

/// A system by the name of its folder, where its library goes, and how Unity is told of it.
struct System {
    name: &'static str,
    folder: &'static str,
    /// Of Unity's list of platforms: the group, the name, and settings.
    platforms: &'static [(&'static str, &'static str, &'static [&'static str])],
}

const SYSTEMS: &[System] = &[
    System {
        name: "linux-x64",
        folder: "Linux/x86_64",
        platforms: &[
            ("Editor", "Editor", &["CPU: x86_64", "DefaultValueInitialized: true", "OS: Linux"]),
            ("Standalone", "Linux64", &["CPU: x86_64"]),
        ],
    },
    System {
        name: "win-x64",
        folder: "Windows/x86_64",
        platforms: &[
            ("Editor", "Editor", &["CPU: x86_64", "DefaultValueInitialized: true", "OS: Windows"]),
            ("Standalone", "Win64", &["CPU: x86_64"]),
        ],
    },
    System {
        name: "osx",
        folder: "macOS",
        platforms: &[
            ("Editor", "Editor", &["CPU: AnyCPU", "DefaultValueInitialized: true", "OS: OSX"]),
            ("Standalone", "OSXUniversal", &["CPU: AnyCPU"]),
        ],
    },
    System {
        name: "android-arm64",
        folder: "Android/arm64-v8a",
        platforms: &[("Android", "Android", &["CPU: ARM64"])],
    },
    System {
        name: "android-arm",
        folder: "Android/armeabi-v7a",
        platforms: &[("Android", "Android", &["CPU: ARMv7"])],
    },
    System { name: "android-x64", folder: "Android/x86_64", platforms: &[("Android", "Android", &["CPU: X86_64"])] },
    System { name: "ios-arm64", folder: "iOS", platforms: &[("iPhone", "iOS", &["AddToEmbeddedBinaries: false"])] },
];

/// Assembles the package in a folder, with the libraries of another that has a folder for each system.
pub fn assemble(project: &Project, libraries: &Path, package: &Path) -> Result<()> {
    if package.exists() {
        fs::remove_dir_all(package).map_err(|error| format!("cannot remove {}: {error}", package.display()))?;
    }
    let from = project.root.join("bindings/unity");
    for part in ["package.json", "README.md", "Runtime", "Samples~"] {
        copy(&from.join(part), &package.join(part), &|_| true)?;
    }
    for text in ["CHANGELOG.md", "LICENSE-MIT", "LICENSE-APACHE", "THIRD-PARTY-NOTICES"] {
        copy(&project.root.join(text), &package.join(text), &|_| true)?;
    }
    let is_source = |path: &Path| path.is_dir() || path.extension().is_some_and(|extension| extension == "cs");
    copy(&project.root.join("bindings/csharp/src"), &package.join("Runtime/Sortie"), &is_source)?;
    let mut plugins = Vec::new();
    for entry in entries(libraries)? {
        let name = entry.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let system = SYSTEMS.iter().find(|system| system.name == name);
        let system = system.ok_or_else(|| format!("{} is no system: {}", entry.display(), names()))?;
        for library in entries(&entry)? {
            let file = library.file_name().unwrap_or_default();
            let to = Path::new("Runtime/Plugins").join(system.folder).join(file);
            copy(&library, &package.join(&to), &|_| true)?;
            plugins.push((to, system));
        }
    }
    describe(package, Path::new(""), &plugins)
}

fn names() -> String {
    let names: Vec<_> = SYSTEMS.iter().map(|system| system.name).collect();
    format!("there may be {}", names.join(", "))
}

/// The files of a folder, in order.
fn entries(folder: &Path) -> Result<Vec<std::path::PathBuf>> {
    let all = folder.read_dir().map_err(|error| format!("cannot read {}: {error}", folder.display()))?;
    let mut all: Vec<_> = all.filter_map(|entry| Some(entry.ok()?.path())).collect();
    all.sort();
    Ok(all)
}

/// Copies a file, or of a folder what is wanted.
fn copy(from: &Path, to: &Path, wanted: &dyn Fn(&Path) -> bool) -> Result<()> {
    let told = |error: std::io::Error| format!("cannot copy {}: {error}", from.display());
    if !from.is_dir() {
        fs::create_dir_all(to.parent().unwrap_or(to)).map_err(told)?;
        return fs::copy(from, to).map(drop).map_err(told);
    }
    for entry in entries(from)? {
        let is_built = entry.is_dir() && ["bin", "obj"].iter().any(|name| entry.ends_with(name));
        if wanted(&entry) && !is_built {
            copy(&entry, &to.join(entry.file_name().unwrap_or_default()), wanted)?;
        }
    }
    Ok(())
}

/// Writes a .meta file beside every file and folder: without, the editor passes over what is in a package.
fn describe(package: &Path, folder: &Path, plugins: &[(std::path::PathBuf, &System)]) -> Result<()> {
    for entry in entries(&package.join(folder))? {
        let name = entry.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let path = folder.join(&name);
        // What it does not import.
        if name.ends_with('~') {
            continue;
        }
        let system = plugins.iter().find(|(plugin, _)| *plugin == path).map(|(_, system)| *system);
        let importer = match system {
            Some(system) => plugin(system),
            None if entry.is_dir() => "folderAsset: yes\nDefaultImporter:\n".to_owned(),
            None => format!("{}:\n", importer(&name)),
        };
        let guid = guid(&path.to_string_lossy());
        let end = "  userData: \n  assetBundleName: \n  assetBundleVariant: \n";
        let text = format!("fileFormatVersion: 2\nguid: {guid}\n{importer}  externalObjects: {{}}\n{end}");
        project::write(&package.join(folder).join(format!("{name}.meta")), &text)?;
        if entry.is_dir() {
            describe(package, &path, plugins)?;
        }
    }
    Ok(())
}

fn importer(name: &str) -> &'static str {
    match Path::new(name).extension().and_then(|extension| extension.to_str()) {
        _ if name == "package.json" => "PackageManifestImporter",
        Some("cs") => "MonoImporter",
        Some("asmdef") => "AssemblyDefinitionImporter",
        Some("md" | "xml") => "TextScriptImporter",
        _ => "DefaultImporter",
    }
}

fn plugin(system: &System) -> String {
    let mut text = String::from("PluginImporter:\n  serializedVersion: 2\n  isPreloaded: 0\n  isOverridable: 0\n");
    text.push_str("  platformData:\n  - first:\n      Any: \n    second:\n      enabled: 0\n      settings: {}\n");
    for (group, name, settings) in system.platforms {
        let _ = write!(text, "  - first:\n      {group}: {name}\n    second:\n      enabled: 1\n      settings:\n");
        for setting in *settings {
            let _ = writeln!(text, "        {setting}");
        }
    }
    text
}

/// Always the same for a path: scenes and prefabs know scripts by it.
fn guid(path: &str) -> String {
    let fnv = |seed: u64| {
        let bytes = "sortie/".bytes().chain(path.bytes());
        bytes.fold(seed, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
    };
    format!("{:016x}{:016x}", fnv(0xcbf2_9ce4_8422_2325), fnv(0x9ae1_6a3b_2f90_404f))
}

#[cfg(test)]
mod tests {
    use super::guid;

    #[test]
    fn a_path_keeps_its_guid() {
        assert_eq!(guid("Runtime/Unity/SortieBehaviour.cs"), "598823da739b0b0859f73f0205b1f50a");
    }
}
