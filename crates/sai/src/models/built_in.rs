//! The model that is part of the program: `models/mini`, which `sai make recipes/mini.toml` made.

use std::path::{Path, PathBuf};

use sai_formats::{Bytes, Source};

/// Its short name.
pub(crate) const NAME: &str = "mini";
/// What messages call it.
const LABEL: &str = "mini (built in)";

/// Begins where a tensor's data may in a file that is mapped: floats are multiplied where they lie.
#[repr(C, align(64))]
struct Aligned<T: ?Sized>(T);

static FILE: &Aligned<[u8]> = &Aligned(*include_bytes!("../../../../models/mini/mini.gguf"));

/// The model's bytes, which are those of its file.
pub(super) fn source() -> Source {
    Source::Memory { name: PathBuf::from(LABEL), bytes: Bytes::from_static(&FILE.0) }
}

/// Bytes of its file.
pub(crate) fn bytes() -> u64 {
    FILE.0.len() as u64
}

/// Whether a model that came from here is this one.
pub(crate) fn is(path: &Path) -> bool {
    path == Path::new(LABEL)
}

/// A path as `--model` takes it, and does not take it for the built-in model.
pub(crate) fn spelled(path: &Path) -> String {
    let text = path.display().to_string();
    if text.eq_ignore_ascii_case(NAME) { format!("./{text}") } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_where_floats_may_be() {
        assert_eq!(FILE.0.as_ptr().addr() % 64, 0);
        assert!(FILE.0.starts_with(b"GGUF"));
    }

    #[test]
    fn a_folder_of_its_name_is_spelled_as_a_path() {
        assert_eq!(spelled(Path::new("mini")), "./mini");
        assert_eq!(spelled(Path::new("a/mini")), "a/mini");
        assert_eq!(spelled(Path::new("nano")), "nano");
    }
}
