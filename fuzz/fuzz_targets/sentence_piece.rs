//! Any bytes as SentencePiece's `tokenizer.model`: refused with one line, or a vocabulary that encodes any text.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sai_tokenizer::Tokenizer;

fuzz_target!(|input: (&[u8], &str)| {
    let (file, text) = input;
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("tokenizer.model"), file).expect("a file");
    match Tokenizer::from_folder(folder.path()) {
        Ok(tokenizer) => drop(tokenizer.encode(text)),
        Err(error) => assert!(!error.to_string().contains('\n'), "{error}"),
    }
});
