//! Shards of documents that are made on the spot, and a recipe small enough to train in no time.

use sai_shards::PackOptions;
use sai_tokenizer::Tokenizer;
use std::fmt::Write;
use std::ops::ControlFlow;
use std::path::Path;

/// Ends each document; the tokens before it are the characters from `!` on.
pub(crate) const END: u32 = 64;

/// Writes a tokenizer whose tokens are single characters.
pub(crate) fn tokenizer(folder: &Path) -> Tokenizer {
    std::fs::create_dir_all(folder).unwrap();
    let vocab: serde_json::Map<_, _> =
        (0..END).map(|id| (char::from(b'!' + id as u8).to_string(), id.into())).collect();
    let json = serde_json::json!({
        "version": "1.0",
        "added_tokens": [{"id": END, "content": "<|end|>", "single_word": false, "lstrip": false,
            "rstrip": false, "normalized": false, "special": true}],
        "normalizer": null,
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true},
        "post_processor": null,
        "decoder": {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true},
        "model": {"type": "BPE", "dropout": null, "unk_token": null, "vocab": vocab, "merges": []},
    });
    std::fs::write(folder.join("tokenizer.json"), json.to_string()).unwrap();
    std::fs::write(folder.join("tokenizer_config.json"), r#"{"eos_token": "<|end|>"}"#).unwrap();
    Tokenizer::from_folder(folder).unwrap()
}

/// Packs `count` documents of about `length` characters into `folder/packed`, with the tokenizer in
/// `folder/vocabulary`. Every fourth is Korean by name.
pub(crate) fn shards(folder: &Path, count: usize, length: usize) {
    shards_with(folder, count, length, Some(END));
}

/// The same, with another token behind each document, or none.
pub(crate) fn shards_with(folder: &Path, count: usize, length: usize, end: Option<u32>) {
    let tokenizer = tokenizer(&folder.join("vocabulary"));
    let mut lines = String::new();
    let mut state = 1u64;
    for i in 0..count {
        let mut text = String::new();
        while text.len() < 1 + (i * 7919) % (2 * length) {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            text += ["CAT", "DOG", "SEES", "THE", "A"][(state >> 33) as usize % 5];
        }
        let lang = if i % 4 == 0 { "ko" } else { "en" };
        let _ = writeln!(lines, "{}", serde_json::json!({"text": text, "lang": lang}));
    }
    let input = folder.join("documents.jsonl");
    std::fs::write(&input, lines).unwrap();
    let options = PackOptions {
        shard_tokens: (count * length / 3) as u64,
        threads: 1,
        end,
        tokenizer_name: folder.join("vocabulary").display().to_string(),
    };
    let target = folder.join("packed");
    let reading = sai_documents::Options::default();
    let flow = sai_shards::pack(&target, &tokenizer, vec![input], reading, &options, &mut |_| {
        ControlFlow::Continue(())
    });
    assert!(flow.unwrap().is_continue());
}

/// A recipe over these shards. `steps` and other keys are for overrides.
pub(crate) fn recipe(folder: &Path) -> String {
    format!(
        "data = {:?}\nsteps = 12\ncontext = 32\nbatch_tokens = 128\nmicro_batch = 2\ncheckpoint_every = 4\n\
         validate_every = 6\nvalidation_share = 0.1\nvalidation_tokens = 500\n[model]\nvocab_size = 72\n\
         hidden_size = 16\nintermediate_size = 24\nnum_layers = 1\nnum_heads = 2\n[optimizer]\n\
         learning_rate = 0.01\n",
        folder.join("packed").display().to_string()
    )
}
