//! Any bytes as `vocab.json` + `merges.txt` + `tokenizer_config.json`, and as the facts of a GGUF.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sai_tokenizer::{GgufVocabulary, Tokenizer};

type Gguf = (Vec<String>, Vec<i32>, Vec<String>, Option<u32>, u8);

fuzz_target!(|input: (&[u8], &[u8], &[u8], Gguf, &str)| {
    let (vocab, merges, config, (tokens, token_types, pairs, eos, pre), text) = input;
    let pre = [None, Some("default"), Some("smollm"), Some("llama-bpe"), Some("qwen2")][usize::from(pre % 5)];
    let from_gguf = GgufVocabulary {
        path: "fuzzed.gguf".into(),
        model: "gpt2".into(),
        pre: pre.map(Into::into),
        tokens,
        token_types,
        merges: pairs,
        eos,
        ..GgufVocabulary::default()
    };
    for result in [
        Tokenizer::from_vocab_merges(vocab, merges, Some(config), "folder".as_ref()),
        Tokenizer::from_vocab_merges(vocab, merges, None, "folder".as_ref()),
        Tokenizer::from_gguf(from_gguf),
    ] {
        match result {
            Ok(tokenizer) => {
                let ids = tokenizer.encode(text);
                tokenizer.decode(&ids);
                let placed = tokenizer.encode_with_offsets(text).expect("byte-level BPE refuses no text");
                assert!(ids.iter().eq(placed.iter().map(|(id, _)| id)));
                let mut cached = Vec::new();
                tokenizer.encoder_within(0).encode_into(text, &mut cached);
                assert_eq!(cached, ids);
            }
            Err(error) => assert!(!error.to_string().contains('\n')),
        }
    }
});
