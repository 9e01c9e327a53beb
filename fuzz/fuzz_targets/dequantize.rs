//! Any bytes as blocks of any type, at any alignment: refused, or turned into as many numbers as asked for.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sai_formats::{DType, dequantize};

fuzz_target!(|data: &[u8]| {
    let [kind, asked, blocks @ ..] = data else { return };
    let dtype = DType::KNOWN[usize::from(*kind) % DType::KNOWN.len()];
    let exact = blocks.len() / dtype.block_bytes() * dtype.block_len();
    // Half of the time the right length, else one near it.
    let elements = if asked % 2 == 0 { exact } else { (exact + usize::from(*asked)).saturating_sub(64) };
    let mut out = vec![0.0; elements];
    let fits = dtype.bytes_for(elements) == Some(blocks.len());
    assert_eq!(dequantize(dtype, blocks, &mut out).is_ok(), fits);
});
