//! Any text as a model's `config.json`: refused with one line, or a description whose sizes can be computed with.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sai_decoder::Config;

fuzz_target!(|text: &str| {
    match Config::from_json(text, "config.json".as_ref()) {
        Ok(config) => {
            assert_eq!(config.rope.inv_freq().len(), config.rope.dim / 2);
            assert!(config.heads().qkv_columns() >= config.head_dim);
            let _ = (config.parameters(), config.rope.attention_factor());
        }
        Err(error) => {
            let line = error.to_string();
            assert!(line.starts_with("config.json: ") && !line.contains('\n'), "{line}");
        }
    }
});
