//! Any bytes as a dump of MediaWiki, and as one of its pages: pages and counted faults, and errors with one line.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sai_corpus::{Format, Reading, Settings, WikiPage};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(page) = WikiPage::parse(bytes) {
        assert!(!page.title.is_empty());
    }
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), [b"<mediawiki>".as_slice(), bytes].concat()).expect("written");
    let settings = Settings { format: Format::Wiki, columns: Default::default(), longest: 1 << 16 };
    let mut reading = Reading::open(vec![file.path().to_owned()], settings).expect("a reader");
    while let Some(block) = reading.next_block() {
        match block.and_then(|block| block.take()) {
            Ok((records, _)) => assert!(records.iter().all(|record| record.body.len() <= (1 << 16) + 64)),
            Err(error) => return assert!(!error.to_string().contains('\n'), "{error}"),
        }
    }
});
