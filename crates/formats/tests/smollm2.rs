//! A real model: SmolLM2-135M-Instruct, as `scripts/fetch-model` brings it.

#[path = "../../../tests/real_model.rs"]
mod real_model;

use real_model::smollm2;
use sai_formats::DType;
use sai_formats::gguf::Gguf;

#[test]
fn opens_the_real_model_quickly() {
    let Some(path) = smollm2() else { return };
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
