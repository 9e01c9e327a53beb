//! Any bytes as a page: its encoding, its main text, and that text through all rules.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sai_cleaning::html::{Extract, text};
use sai_cleaning::{Cleaner, Resources, Rules, charset};

fuzz_target!(|bytes: &[u8]| {
    let Ok(decoded) = charset::decode(bytes, None) else { return };
    let page = text(&decoded.text, &Extract::default());
    let rules = Rules::preset("korean").expect("a preset");
    let cleaned = Cleaner::new(rules.clone(), Resources::default()).clean(&page.text, None);
    let again = rules.normalise.apply(&cleaned.text);
    assert_eq!(rules.normalise.apply(&again.text).text, again.text);
});
