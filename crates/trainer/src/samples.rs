//! `samples.jsonl`: text that the model made on the way.

use crate::Error;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::Write;
use std::path::Path;

/// What a checkpoint's model made of a beginning.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sample {
    /// The checkpoint's step.
    pub step: u64,
    /// The beginning.
    pub prompt: String,
    /// What came after it.
    pub text: String,
}

/// Adds a sample to those of the run in `out`.
///
/// # Errors
/// The disk refuses.
pub fn add_sample(out: &Path, sample: &Sample) -> Result<(), Error> {
    let path = out.join("samples.jsonl");
    let add = || {
        let mut line = serde_json::to_vec(sample)?;
        line.push(b'\n');
        File::options().create(true).append(true).open(&path)?.write_all(&line)
    };
    add().map_err(|e| Error::io(&path, "write the file", e))
}

/// The samples of a run; a line that was cut short is left out.
pub fn read(out: &Path) -> Vec<Sample> {
    let text = std::fs::read_to_string(out.join("samples.jsonl")).unwrap_or_default();
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}
