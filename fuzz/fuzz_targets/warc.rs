//! Any bytes as a WARC file: records and counted faults, and errors with one line.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sai_corpus::{Format, Reading, Settings};

fuzz_target!(|bytes: &[u8]| {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), bytes).expect("written");
    let settings = Settings { format: Format::Warc, columns: Default::default(), longest: 1 << 16 };
    let mut reading = Reading::open(vec![file.path().to_owned()], settings).expect("a reader");
    while let Some(block) = reading.next_block() {
        match block.and_then(|block| block.take()) {
            Ok((records, _)) => assert!(records.iter().all(|record| record.body.len() <= 1 << 16)),
            Err(error) => return assert!(!error.to_string().contains('\n'), "{error}"),
        }
    }
});
