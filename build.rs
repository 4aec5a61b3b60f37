//! Generates include/sortie.h, compresses the public suffix list, and gives the shared library its name and its flags.

// A build script can only stop with a message.
#![allow(clippy::expect_used)]

use std::io::Write;
use std::path::{Path, PathBuf};
use std::{env, fs};

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=cbindgen.toml");
    println!("cargo:rerun-if-changed=src/ffi");
    println!("cargo:rerun-if-changed=include/sortie.h");
    println!("cargo:rerun-if-changed={SUFFIXES}");
    generate_header();
    compress_suffixes();
    name_library();
    warn_of_select();
}

fn variable(name: &str) -> String {
    env::var(name).unwrap_or_default()
}

/// The header is committed, so that C programs build without Rust's tools. Here it is made anew, and replaced in a
/// checkout when it has changed; the test command fails if a commit forgot it.
fn generate_header() {
    let root = PathBuf::from(variable("CARGO_MANIFEST_DIR"));
    let mut config = cbindgen::Config::from_file(root.join("cbindgen.toml")).expect("cbindgen.toml is read");
    config.after_includes = Some(format!(
        "\n/**\n * This header's version. sortie_version() tells the library's.\n */\n#define SORTIE_VERSION \"{}\"",
        variable("CARGO_PKG_VERSION")
    ));
    let bindings = cbindgen::Builder::new()
        .with_config(config)
        .with_src(root.join("src/ffi/types.rs"))
        .with_src(root.join("src/ffi/mod.rs"))
        .generate()
        .expect("the header is generated");
    let mut header = Vec::new();
    bindings.write(&mut header);
    let committed = root.join("include/sortie.h");
    let in_checkout = root.join(".git").exists();
    if in_checkout && fs::read(&committed).ok().as_deref() != Some(&header) {
        fs::write(&committed, &header).expect("include/sortie.h is writable");
    }
    let copy = Path::new(&variable("OUT_DIR")).join("sortie.h");
    fs::write(copy, &header).expect("OUT_DIR is writable");
}

const SUFFIXES: &str = "src/worker/public_suffixes.txt";

/// Compressed, the list takes a quarter of its room in the library. Sorted, it can be searched.
fn compress_suffixes() {
    let list = Path::new(&variable("CARGO_MANIFEST_DIR")).join(SUFFIXES);
    let list = fs::read_to_string(list).expect("the list is readable");
    let mut rules: Vec<&str> = list.lines().collect();
    rules.sort_unstable();
    let rules = rules.join("\n");
    let mut compressed = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    compressed.write_all(rules.as_bytes()).expect("memory takes it");
    let compressed = compressed.finish().expect("memory takes it");
    let file = Path::new(&variable("OUT_DIR")).join("public_suffixes.zlib");
    fs::write(file, compressed).expect("OUT_DIR is writable");
}

/// The number in the shared library's name; changes only if the ABI ever breaks.
const SONAME: &str = "libsortie.so.1";

fn name_library() {
    let named = env::var_os("CARGO_FEATURE_SONAME").is_some();
    match variable("CARGO_CFG_TARGET_OS").as_str() {
        "linux" | "android" | "freebsd" => {
            if named {
                println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,{SONAME}");
            }
            // Its threads, and libcurl's name-lookup threads, may outlive a destroyed client: never unmap their code.
            println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
            println!("cargo:rustc-cdylib-link-arg=-Wl,-z,relro,-z,now");
        }
        "macos" | "ios" if named => println!("cargo:rustc-cdylib-link-arg=-Wl,-install_name,@rpath/libsortie.1.dylib"),
        _ => {}
    }
}

/// Without HAVE_POLL, libcurl uses select() and fails on descriptors from 1024 up; .cargo/config.toml sets it.
fn warn_of_select() {
    let target = variable("TARGET");
    let flags: String = [format!("CFLAGS_{}", target.replace('-', "_")), format!("CFLAGS_{target}"), "CFLAGS".into()]
        .iter()
        .map(|name| variable(name))
        .collect();
    if env::var_os("CARGO_CFG_UNIX").is_none() {
        return;
    }
    if !flags.contains("HAVE_POLL=1") {
        println!(
            "cargo:warning=CFLAGS do not define HAVE_POLL=1: libcurl will use select() and fail on descriptors from 1024 up; take that line over from Sortie's .cargo/config.toml"
        );
    }
}
