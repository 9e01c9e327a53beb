//! Any text as a model's `config.json`: refused with one line, or a description whose sizes can be computed with.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sai_decoder::Config;

fuzz_target!(|text: &str| {
    match Config::from_json(text, "config.json".as_ref()) {
        Ok(config) => {
            for rope in &config.ropes {
                assert_eq!((rope.inv_freq().len(), rope.long_inv_freq().len()), (rope.dim / 2, rope.dim / 2));
                let _ = rope.attention_factor();
            }
            assert!(config.heads().qkv_columns() >= config.head_dim);
            let _ = (config.parameters(), config.facts(), config.rope_switch());
        }
        Err(error) => {
            let line = error.to_string();
            assert!(line.starts_with("config.json: ") && !line.contains('\n'), "{line}");
        }
    }
});
