//! Any text as MediaWiki's markup.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sai_cleaning::wiki;

fuzz_target!(|markup: &str| {
    let text = wiki::text(markup);
    // Entities and the words of links are no longer than what they were written as.
    assert!(text.len() <= markup.len() * 2);
    wiki::kind(markup);
});
