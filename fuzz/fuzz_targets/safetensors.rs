//! Any bytes as a safetensors file: refused with one line, or every promise of the header holds.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sai_formats::{Bytes, safetensors};

fuzz_target!(|data: &[u8]| {
    match safetensors::from_bytes(Bytes::from_vec(data.to_vec()), "fuzzed.safetensors".as_ref()) {
        Ok(tensors) => {
            assert!(tensors.total_bytes() <= data.len() as u64);
            for tensor in &tensors {
                assert!(tensors.get(&tensor.name).is_some());
                if tensor.dtype.is_known() {
                    assert_eq!(tensor.to_f32().map(|x| x.len()).ok(), Some(tensor.elements()));
                }
            }
        }
        Err(error) => {
            let line = error.to_string();
            assert!(line.starts_with("fuzzed.safetensors: ") && !line.contains('\n'), "{line}");
        }
    }
});
