//! A real model: SmolLM2-135M-Instruct, as `scripts/fetch-model` brings it.

use std::path::PathBuf;

use sai_formats::DType;
use sai_formats::gguf::Gguf;

const FILE: &str = "SmolLM2-135M-Instruct.Q4_1.gguf";

/// The model's file, or `None` after a loud line where it may be missing.
fn model() -> Option<PathBuf> {
    let workspace = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models");
    let folder = std::env::var_os("SAI_MODELS").map_or_else(|| PathBuf::from(workspace), PathBuf::from);
    let path = folder.join(FILE);
    if path.exists() {
        return Some(path);
    }
    let line = format!("MISSING MODEL: {} (run scripts/fetch-model)", path.display());
    assert!(std::env::var_os("SAI_REQUIRE_MODEL").is_none_or(|v| v != "1"), "{line}");
    #[allow(clippy::print_stderr)]
    {
        eprintln!("{line}");
    }
    None
}

#[test]
fn opens_the_real_model_quickly() {
    let Some(path) = model() else { return };
    let started = std::time::Instant::now();
    let gguf = Gguf::open(&path).unwrap();
    let took = started.elapsed();
    let m = &gguf.metadata;
    assert_eq!(m.str("general.architecture").unwrap(), Some("llama"));
    assert_eq!(m.u32("llama.block_count").unwrap(), Some(30));
    assert_eq!(m.u32("llama.embedding_length").unwrap(), Some(576));
    let tokens = m.strings("tokenizer.ggml.tokens").unwrap().unwrap();
    assert_eq!((tokens.len(), tokens[1]), (49152, "<|im_start|>"));
    assert_eq!(m.strings("tokenizer.ggml.merges").unwrap().unwrap().len(), 48900);
    assert_eq!(m.i32s("tokenizer.ggml.token_type").unwrap().unwrap().len(), 49152);
    assert_eq!(gguf.tensors.len(), 272);
    let up = gguf.tensors.get("blk.3.ffn_up.weight").unwrap();
    assert_eq!((up.dtype, up.shape.as_slice()), (DType::Q4_1, &[1536, 576][..]));
    assert!(up.to_f32().unwrap().iter().all(|x| x.is_finite() && x.abs() < 10.0));
    // A few milliseconds; the bound leaves room for a machine that is busy with other things.
    assert!(took.as_millis() < 500, "opening took {took:?}");
}
