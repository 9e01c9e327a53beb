//! Any bytes as a file of documents: errors with one line, and documents otherwise.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sai_documents::{Options, Reader};

fuzz_target!(|input: (u8, bool, Vec<u8>)| {
    let (block, skip_broken, bytes) = input;
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), &bytes).expect("written");
    let separator = (block % 2 == 0).then(|| "\n\n".to_owned());
    let options =
        Options { block: usize::from(block) + 1, longest: 1 << 16, skip_broken, separator, ..Options::default() };
    for batch in Reader::open(vec![file.path().to_owned()], options).expect("a reader") {
        match batch {
            Ok(batch) => assert_eq!(batch.documents().map(|d| d.text.len()).sum::<usize>(), batch.text_bytes()),
            Err(error) => assert!(!error.to_string().contains('\n'), "{error}"),
        }
    }
});
