//! What several tests share.
#![allow(dead_code)] // each test uses a part

use std::path::{Path, PathBuf};

use sai_formats::Error;

pub(crate) fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

/// 64-bit FNV-1a, as the fixtures' JSON has it.
pub(crate) fn fnv(bytes: &[u8]) -> String {
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    format!("{:016x}", bytes.iter().fold(0xcbf2_9ce4_8422_2325, step))
}

/// The message of an error, held to the promises of every message: one line that starts with the file.
#[track_caller]
pub(crate) fn message<T: std::fmt::Debug>(result: Result<T, Error>, path: &Path) -> String {
    let error = result.expect_err("this had to fail");
    let text = error.to_string();
    let rest = text.strip_prefix(&format!("{}: ", path.display()));
    assert!(rest.is_some(), "the message does not start with the file: {text}");
    assert!(!text.chars().any(char::is_control), "the message is not one plain line: {text:?}");
    assert_eq!(error.path(), Some(path));
    rest.unwrap_or_default().to_owned()
}
