//! Any bytes as `tokenizer.json`, with a text: refused with one line, or a tokenizer whose parts agree.
//! A pre-tokeniser with an expression of the file's own is among them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sai_tokenizer::{Kind, Tokenizer};

fuzz_target!(|input: (&[u8], &str)| {
    let (file, text) = input;
    // The library behind foreign models trusts its files; what is fuzzed is our own reader.
    match Tokenizer::from_tokenizer_json(file, None, "tokenizer.json".as_ref()) {
        Ok(tokenizer) if tokenizer.kind() == Kind::ByteLevelBpe => {
            let ids = tokenizer.encode(text);
            let offsets = tokenizer.encode_with_offsets(text).expect("byte-level BPE refuses no text");
            assert!(ids.iter().eq(offsets.iter().map(|(id, _)| id)));
            // Through a cache, every word met again; twice, for the second pass finds what the first left.
            let mut encoder = tokenizer.encoder_within(0);
            for _ in 0..2 {
                let mut cached = Vec::new();
                encoder.encode_into(text, &mut cached);
                assert_eq!(cached, ids);
            }
            let mut stream = tokenizer.stream();
            let mut shown: String = ids.iter().map(|&id| stream.push(id)).collect();
            shown.push_str(&stream.finish());
            assert_eq!(shown, tokenizer.decode(&ids));
            tokenizer.encode_plain(text);
        }
        Ok(_) => {}
        Err(error) => assert!(!error.to_string().contains('\n')),
    }
});
