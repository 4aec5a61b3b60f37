//! The raw layer of the C# binding: written by csbindgen from src/ffi, and compared with the header.

use std::fmt::Write;
use std::path::PathBuf;

use crate::Result;
use crate::process::{capture, command, run};
use crate::project::{self, Project};
use crate::reference::{Kind, declarations};

const FILE: &str = "bindings/csharp/src/Native/NativeMethods.g.cs";

/// Writes the file anew.
pub fn write(project: &Project) -> Result<()> {
    project::write(&project.root.join(FILE), &generated(project)?)?;
    println!("{FILE} is up to date.");
    Ok(())
}

/// Fails if the file is not what would be written.
pub fn check(project: &Project) -> Result<()> {
    if project.read(FILE)? == generated(project)? {
        return Ok(());
    }
    Err(format!("{FILE} is not what src/ffi gives: run `cargo xtask csharp-bindings`, and commit it"))
}

fn generated(project: &Project) -> Result<String> {
    let file = project.scratch("csharp")?.join("NativeMethods.g.cs");
    csbindgen::Builder::default()
        .input_extern_file(project.root.join("src/ffi/types.rs"))
        .input_extern_file(project.root.join("src/ffi/mod.rs"))
        // What only the library's own tests export.
        .method_filter(|name| !name.starts_with("sortie_test_"))
        .csharp_namespace("Sortie.Native")
        .csharp_class_name("NativeMethods")
        .csharp_dll_name("sortie")
        // There it is linked into the program.
        .csharp_dll_name_if("UNITY_IOS && !UNITY_EDITOR", "__Internal")
        // They take C# 9, which older editors of Unity do not have.
        .csharp_use_function_pointer(false)
        .csharp_generate_const_filter(|name| name.starts_with("SORTIE_"))
        .generate_csharp_file(&file)
        .map_err(|error| format!("csbindgen: {error}"))?;
    let mended = mended(&project::read(&file)?);
    with_missing_constants(project, &mended)
}

/// What csbindgen writes, as the C# compiler takes it without a warning.
fn mended(text: &str) -> String {
    let mut out = String::new();
    for line in text.lines().map(str::trim_end) {
        let line = match line.trim_start().strip_prefix("/// ") {
            Some("<summary>" | "</summary>") => line.to_owned(),
            // Comments are XML.
            Some(_) => line.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;"),
            // Rust's way of naming something as a keyword.
            None => line.replace("r#", ""),
        };
        out.push_str(&line);
        out.push('\n');
    }
    out
}

/// csbindgen passes over negative numbers, and texts that build scripts make.
fn with_missing_constants(project: &Project, text: &str) -> Result<String> {
    let mut missing = String::new();
    for item in declarations(project)? {
        let Kind::Constant(value) = &item.kind else { continue };
        if text.contains(&format!(" {} = ", item.name)) {
            continue;
        }
        let kind = match value.starts_with('"') {
            true => "string",
            false => "int",
        };
        let _ = writeln!(missing, "        internal const {kind} {} = {value};", item.name);
    }
    let class = "internal static unsafe partial class NativeMethods\n    {\n";
    if !text.contains(class) {
        return Err("csbindgen writes another class than it did".to_owned());
    }
    Ok(text.replace(class, &format!("{class}{missing}\n")))
}

/// A list of all that the header declares, with sizes, offsets and numbers as the C compiler has them, for the binding's
/// tests.
pub fn layout(project: &Project) -> Result<PathBuf> {
    let folder = project.scratch("csharp/layout")?;
    let mut code = String::from("#include \"sortie.h\"\n#include <stddef.h>\n#include <stdio.h>\nint main(void)\n{\n");
    for item in declarations(project)? {
        let name = &item.name;
        let _ = match &item.kind {
            Kind::Constant(value) if value.starts_with('"') => writeln!(code, "printf(\"text {name} %s\\n\", {name});"),
            Kind::Constant(_) => writeln!(code, "printf(\"number {name} %lld\\n\", (long long){name});"),
            Kind::Function(_) => writeln!(code, "printf(\"function {name}\\n\");"),
            Kind::Type(_) => Ok(()),
            Kind::Struct(fields) => {
                for field in fields {
                    let of = format!("{name}.{}", field.name);
                    let _ = writeln!(code, "printf(\"offset {of} %zu\\n\", offsetof({name}, {}));", field.name);
                }
                writeln!(code, "printf(\"size {name} %zu\\n\", sizeof({name}));")
            }
        };
    }
    code.push_str("return 0;\n}\n");
    let source = folder.join("layout.c");
    project::write(&source, &code)?;
    let program = folder.join("layout");
    let include = format!("-I{}", project.root.join("include").display());
    run(command("cc").arg(include).arg(&source).arg("-o").arg(&program))?;
    let list = folder.join("layout.txt");
    project::write(&list, &capture(&mut command(&program))?)?;
    Ok(list)
}

#[cfg(test)]
mod tests {
    use super::mended;

    #[test]
    fn what_csbindgen_writes_is_mended() {
        let raw = "/// <summary>\n    ///  `<meta charset>` & more\n/// </summary>\n    public uint r#type;  \n";
        let wanted =
            "/// <summary>\n    ///  `&lt;meta charset&gt;` &amp; more\n/// </summary>\n    public uint type;\n";
        assert_eq!(mended(raw), wanted);
    }
}
