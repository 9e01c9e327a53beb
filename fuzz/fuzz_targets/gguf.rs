//! Any bytes as a GGUF file: refused with one line, or every promise of the header holds.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sai_formats::gguf::Gguf;
use sai_formats::{Bytes, Tensors};

fuzz_target!(|data: &[u8]| {
    match Gguf::from_bytes(Bytes::from_vec(data.to_vec()), "fuzzed.gguf".as_ref()) {
        Ok(gguf) => {
            for (key, value) in gguf.metadata.iter() {
                let _ = format!("{value}");
                let _ = gguf.metadata.strings(key);
                let _ = gguf.metadata.u32s(key);
                let _ = gguf.metadata.f32s(key);
            }
            use_all(&gguf.tensors, data.len());
        }
        Err(error) => one_line(&error),
    }
});

fn use_all(tensors: &Tensors, length: usize) {
    assert!(tensors.total_bytes() <= length as u64);
    for tensor in tensors {
        assert_eq!(tensors.get(&tensor.name).map(|t| &t.data), Some(&tensor.data));
        if tensor.dtype.is_known() {
            assert_eq!(tensor.to_f32().map(|x| x.len()).ok(), Some(tensor.elements()));
        }
    }
}

fn one_line(error: &sai_formats::Error) {
    let line = error.to_string();
    assert!(line.starts_with("fuzzed.gguf: ") && !line.contains('\n'), "{line}");
}
