//! A text that a person keeps in a file.

use std::path::Path;

use anyhow::{Context, anyhow};

/// The text of a file, without its last newline: an editor put it there, and llama.cpp leaves it out too.
///
/// # Errors
/// The file cannot be read, or is not UTF-8.
pub(crate) fn read(path: &Path) -> anyhow::Result<String> {
    let file = path.display();
    let bytes = std::fs::read(path).with_context(|| format!("{file}: cannot be read"))?;
    let mut text = String::from_utf8(bytes).map_err(|e| {
        anyhow!("{file}: byte {} is not UTF-8; convert the file", e.utf8_error().valid_up_to())
    })?;
    if text.ends_with('\n') {
        text.pop();
    }
    Ok(text)
}
