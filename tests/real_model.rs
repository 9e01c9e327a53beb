//! Where tests find the real models, SmolLM2-135M-Instruct and Gemma 3 270M. Every crate's tests include this file.
#![allow(dead_code)] // Few of them ask for both.

use std::io::Write;
use std::path::{Path, PathBuf};

/// SmolLM2-135M-Instruct in Q4_1, as [`fetched`] finds it.
pub(crate) fn smollm2() -> Option<PathBuf> {
    fetched("SmolLM2-135M-Instruct.Q4_1.gguf", "scripts/fetch-model")
}

/// Gemma 3 270M, the base model, in Q4_K_M, as [`fetched`] finds it.
pub(crate) fn gemma3_270m() -> Option<PathBuf> {
    fetched("gemma-3-270m-q4_k_m.gguf", "scripts/fetch-model gemma3-270m")
}

/// The model's file: in `$SAI_MODELS`, or else in the checkout's `models/`. `None`, loudly, where it is missing.
///
/// # Panics
/// It is missing and `SAI_REQUIRE_MODEL=1`, as in CI.
fn fetched(file: &str, command: &str) -> Option<PathBuf> {
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models");
    let folder = std::env::var_os("SAI_MODELS").map_or(checkout, PathBuf::from);
    let path = folder.join(file);
    if path.is_file() {
        return path.canonicalize().ok();
    }
    let message = format!("MISSING MODEL: {} is not there; run {command}\n", path.display());
    assert!(std::env::var_os("SAI_REQUIRE_MODEL").is_none_or(|value| value != "1"), "{message}");
    // Not `eprintln`, which the harness keeps to itself when a test passes.
    let _ = std::io::stderr().write_all(message.as_bytes());
    None
}
