//! Any bytes as an importance matrix: refused with one line, or importances that are means.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sai_decoder::Imatrix;
use sai_formats::Bytes;

fuzz_target!(|data: &[u8]| {
    match Imatrix::from_bytes(Bytes::from_vec(data.to_vec()), "fuzzed.imatrix".as_ref()) {
        Ok(imatrix) => {
            assert!(!imatrix.is_empty());
            for name in imatrix.names() {
                let importance = imatrix.importance(name).expect("its own name");
                assert!(importance.iter().all(|x| *x >= 0.0), "{name:?}");
            }
        }
        Err(error) => {
            let line = error.to_string();
            assert!(line.starts_with("fuzzed.imatrix: ") && !line.contains('\n'), "{line}");
        }
    }
});
