//! Where vocabularies go: GGUF metadata, and Hugging Face folders.

pub(crate) mod folder;
pub(crate) mod gguf;
mod sentence_piece;

/// What stands in a GGUF vocabulary for a row of the embedding that no token has.
fn padding(id: usize) -> String {
    format!("[PAD{id}]")
}
