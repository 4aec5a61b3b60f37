//! Where files are: `res://` and `user://`, and base directories.

use std::path::{Path, PathBuf};

use godot::classes::{Engine, FileAccess};
use godot::obj::Singleton;
use godot::prelude::{GString, ToGodot};
use sortie::{BaseDirectory, FileName};

use crate::limits::choice;
use crate::refused::Refused;

const DIRECTORIES: &[BaseDirectory] = &[
    BaseDirectory::None,
    BaseDirectory::Documents,
    BaseDirectory::Temporary,
    BaseDirectory::Caches,
    BaseDirectory::ApplicationSupport,
    BaseDirectory::Resource,
];

/// A path of the operating system.
pub(crate) fn system_path(path: &GString) -> PathBuf {
    let text = path.to_string();
    if !text.starts_with("res://") && !text.starts_with("user://") {
        return text.into();
    }
    let settings = Engine::singleton().get_singleton("ProjectSettings");
    let found = settings.map(|mut settings| settings.call("globalize_path", &[path.to_variant()]));
    found.and_then(|found| found.try_to::<GString>().ok()).map_or_else(|| text.into(), |path| path.to_string().into())
}

/// The same, or none for "".
pub(crate) fn optional_path(path: &GString) -> Option<PathBuf> {
    (!path.is_empty()).then(|| system_path(path))
}

/// A file, and the base directory that its name is relative to.
pub(crate) fn file_name(property: &str, path: &GString, directory: i64) -> Result<FileName, Refused> {
    let base = choice(property, directory, DIRECTORIES)?;
    let path = if base == BaseDirectory::None { system_path(path) } else { path.to_string().into() };
    Ok(FileName::new(path, base)?)
}

/// What is to be sent of a file.
pub(crate) enum Source {
    /// A file of the operating system.
    File(FileName),
    /// One that exists only inside an exported game's package: its bytes.
    Packed(Vec<u8>),
}

/// A file to send.
pub(crate) fn source(property: &str, path: &GString, directory: i64) -> Result<Source, Refused> {
    let file = file_name(property, path, directory)?;
    let is_resource = directory == 0 && path.to_string().starts_with("res://");
    if is_resource && !Path::new(&system_path(path)).exists() && FileAccess::file_exists(path) {
        return Ok(Source::Packed(FileAccess::get_file_as_bytes(path).to_vec()));
    }
    Ok(Source::File(file))
}
