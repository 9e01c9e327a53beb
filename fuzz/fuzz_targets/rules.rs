//! Any text as a file of rules: errors with one line, and otherwise text that is made without fault.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use sai_samples::Rules;

fuzz_target!(|text: &str| {
    match Rules::parse(text, Path::new("rules.toml")) {
        Ok(rules) => {
            for talk in rules.conversations(1).take(20) {
                assert!(talk.messages.len() >= 2 && talk.messages.len() % 2 == 0);
            }
            rules.documents(1).take(20).for_each(drop);
        }
        Err(error) => assert!(!error.to_string().contains('\n'), "{error}"),
    }
});
