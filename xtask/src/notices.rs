//! THIRD-PARTY-NOTICES: the licences of what is linked into Sortie's libraries.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::Result;
use crate::godot::FOLDER;
use crate::metadata::{Crate, Crates, crates};
use crate::project::{self, Project};

/// The files, with the folder and the name of the package whose libraries each is about.
const FILES: [(&str, &str, &str); 2] = [
    ("THIRD-PARTY-NOTICES", ".", "sortie"),
    ("bindings/godot/addons/sortie/THIRD-PARTY-NOTICES", FOLDER, "sortie-godot"),
];

/// A C library inside one of the crates.
struct Bundled {
    name: &'static str,
    license: &'static str,
    home: &'static str,
    carrier: &'static str,
    text: &'static str,
}

const BUNDLED: &[Bundled] = &[
    Bundled { name: "curl", license: "curl", home: "https://curl.se", carrier: "curl-sys", text: "curl/COPYING" },
    Bundled {
        name: "OpenSSL",
        license: "Apache-2.0",
        home: "https://openssl-library.org",
        carrier: "openssl-src",
        text: "openssl/LICENSE.txt",
    },
    Bundled {
        name: "nghttp2",
        license: "MIT",
        home: "https://nghttp2.org",
        carrier: "libnghttp2-sys",
        text: "nghttp2/COPYING",
    },
    Bundled { name: "zlib", license: "Zlib", home: "https://zlib.net", carrier: "libz-sys", text: "src/zlib/LICENSE" },
    Bundled {
        name: "zstd",
        license: "BSD-3-Clause",
        home: "https://facebook.github.io/zstd",
        carrier: "zstd-sys",
        text: "zstd/LICENSE",
    },
];

const MIT: &str = "\
Permission is hereby granted, free of charge, to any person obtaining a copy
of this software and associated documentation files (the \"Software\"), to deal
in the Software without restriction, including without limitation the rights
to use, copy, modify, merge, publish, distribute, sublicense, and/or sell
copies of the Software, and to permit persons to whom the Software is
furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all
copies or substantial portions of the Software.

THE SOFTWARE IS PROVIDED \"AS IS\", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR
IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY,
FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE
AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER
LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM,
OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE
SOFTWARE.
";

/// Writes the files anew.
pub fn write(project: &Project) -> Result<()> {
    for (file, folder, package) in FILES {
        project::write(&project.root.join(file), &generate(&project.root.join(folder), package)?)?;
        println!("{file} is up to date.");
    }
    Ok(())
}

/// Fails if a file is not what would be written.
pub fn check(project: &Project) -> Result<()> {
    for (file, folder, package) in FILES {
        if project.read(file)? != generate(&project.root.join(folder), package)? {
            return Err(format!("{file} is out of date: run cargo xtask notices"));
        }
    }
    Ok(())
}

fn generate(folder: &Path, package: &str) -> Result<String> {
    let crates = crates(folder, package)?;
    let mut notices = Notices::default();
    for bundled in BUNDLED {
        notices.add_bundled(&crates, bundled)?;
    }
    notices.add("Public suffix list", "MPL-2.0, sources at the address", "https://publicsuffix.org/list/", Vec::new());
    notices.add(
        "Rust's standard library",
        "MIT OR Apache-2.0",
        "https://www.rust-lang.org",
        vec![format!("Copyright (c) The Rust Project Contributors\n\n{MIT}")],
    );
    for shipped in &crates.shipping {
        notices.add_crate(&crates, shipped)?;
    }
    Ok(notices.finish())
}

/// A list of names, and each text once with the names that it belongs to.
#[derive(Default)]
struct Notices {
    list: String,
    texts: BTreeMap<String, Vec<String>>,
    order: Vec<String>,
}

impl Notices {
    fn add(&mut self, name: &str, license: &str, home: &str, texts: Vec<String>) {
        self.list.push_str(&format!("  {name} ({license})\n    {home}\n"));
        for text in texts {
            let names = self.texts.entry(text.clone()).or_default();
            if names.is_empty() {
                self.order.push(text);
            }
            names.push(name.to_owned());
        }
    }

    fn add_bundled(&mut self, crates: &Crates, bundled: &Bundled) -> Result<()> {
        let carrier = crates.by_name.get(bundled.carrier).ok_or_else(|| format!("no crate {}", bundled.carrier))?;
        let text = tidy(&project::read(&carrier.folder.join(bundled.text))?);
        let name = format!("{} {}", bundled.name, bundled_version(carrier)?);
        self.add(&name, bundled.license, bundled.home, vec![text]);
        Ok(())
    }

    fn add_crate(&mut self, crates: &Crates, shipped: &Crate) -> Result<()> {
        let name = format!("{} {}", shipped.name, shipped.version);
        if shipped.license == "MPL-2.0" {
            // It asks that whoever gets the library can get the sources; they are as they were published.
            self.add(&name, "MPL-2.0, sources at the address", &shipped.repository, Vec::new());
            return Ok(());
        }
        // A crate that ships no licence file has that of its repository, which another crate of it may ship.
        let same = |other: &&Crate| other.repository == shipped.repository && other.license == shipped.license;
        let others = crates.shipping.iter().filter(same).filter_map(|other| license_texts(other).ok());
        let texts = license_texts(shipped).or_else(|error| others.into_iter().next().ok_or(error))?;
        self.add(&name, &shipped.license, &shipped.repository, texts);
        Ok(())
    }

    fn finish(self) -> String {
        let mut all = format!(
            "Sortie's libraries contain the following software. Generated by cargo xtask notices: do not edit.\n\n{}",
            self.list
        );
        for text in &self.order {
            let names = self.texts.get(text).map(|names| names.join(", ")).unwrap_or_default();
            all.push_str(&format!("\n{}\n{}\n\n{text}", "-".repeat(80), wrap(&names)));
        }
        all
    }
}

/// The version of a library inside a crate: after the + of the crate's own, or in zlib's header.
fn bundled_version(carrier: &Crate) -> Result<String> {
    if let Some((_, version)) = carrier.version.split_once('+') {
        return Ok(version.trim_start_matches("curl-").to_owned());
    }
    let header = project::read(&carrier.folder.join("src/zlib/zlib.h"))?;
    let line = header.lines().find_map(|line| line.strip_prefix("#define ZLIB_VERSION "));
    Ok(line.ok_or("zlib.h tells no version")?.trim_matches('"').to_owned())
}

/// The licence files of a crate; where a choice is given, the MIT licence alone.
fn license_texts(shipped: &Crate) -> Result<Vec<String>> {
    let mut files = license_files(&shipped.folder)?;
    let choice = shipped.license.contains(" OR ") && !shipped.license.contains(" AND ");
    let takes_mit = shipped.license == "MIT" || (choice && shipped.license.contains("MIT"));
    if takes_mit && files.iter().any(|(name, _)| name.contains("MIT")) {
        files.retain(|(name, _)| name.contains("MIT"));
    }
    if !files.is_empty() {
        return Ok(files.into_iter().map(|(_, text)| text).collect());
    }
    if takes_mit {
        let authors = if shipped.authors.is_empty() {
            format!("the authors of {}", shipped.name)
        } else {
            shipped.authors.join(", ")
        };
        return Ok(vec![format!("Copyright (c) {authors}\n\n{MIT}")]);
    }
    Err(format!("{} ({}) ships no licence file", shipped.name, shipped.license))
}

/// The files that state a licence in a crate's folder, with their names in capitals, in order.
fn license_files(folder: &Path) -> Result<Vec<(String, String)>> {
    let entries = fs::read_dir(folder).map_err(|error| format!("cannot read {}: {error}", folder.display()))?;
    let mut files = Vec::new();
    for entry in entries.filter_map(std::result::Result::ok) {
        let name = entry.file_name().to_string_lossy().to_uppercase();
        let states = ["LICENSE", "LICENCE", "COPYING", "NOTICE"].iter().any(|start| name.starts_with(start));
        if states && entry.path().is_file() {
            files.push((name, tidy(&project::read(&entry.path())?)));
        }
    }
    files.sort();
    Ok(files)
}

/// A text without the differences in white space that would keep equal ones apart.
fn tidy(text: &str) -> String {
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    format!("{}\n", lines.join("\n").trim_matches('\n'))
}

/// Breaks a list of names into lines.
fn wrap(names: &str) -> String {
    let mut wrapped = String::new();
    let mut width = 0;
    for word in names.split(' ') {
        if width > 0 && width + word.len() >= 80 {
            wrapped.push('\n');
            width = 0;
        }
        if width > 0 {
            wrapped.push(' ');
        }
        wrapped.push_str(word);
        width += word.len() + 1;
    }
    wrapped
}
