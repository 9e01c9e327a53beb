//! Any line as a row of conversations or preferences: learnt from, or refused with one line.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|line: &str| {
    if let Err(fact) = sai_trainer::check_row(line) {
        assert!(!fact.is_empty() && !fact.contains('\n'), "{fact}");
    }
});
