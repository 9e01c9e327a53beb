//! Where tests find the real model, SmolLM2-135M-Instruct. Every crate's tests include this file.

use std::io::Write;
use std::path::{Path, PathBuf};

const FILE: &str = "SmolLM2-135M-Instruct.Q4_1.gguf";

/// The model's file: in `$SAI_MODELS`, or else in the checkout's `models/`. `None`, loudly, where it is missing.
///
/// # Panics
/// It is missing and `SAI_REQUIRE_MODEL=1`, as in CI.
pub(crate) fn smollm2() -> Option<PathBuf> {
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models");
    let folder = std::env::var_os("SAI_MODELS").map_or(checkout, PathBuf::from);
    let path = folder.join(FILE);
    if path.is_file() {
        return path.canonicalize().ok();
    }
    let message = format!("MISSING MODEL: {} is not there; run scripts/fetch-model\n", path.display());
    assert!(std::env::var_os("SAI_REQUIRE_MODEL").is_none_or(|value| value != "1"), "{message}");
    // Not `eprintln`, which the harness keeps to itself when a test passes.
    let _ = std::io::stderr().write_all(message.as_bytes());
    None
}
