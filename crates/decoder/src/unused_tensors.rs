//! Tensors that a file has and its description does not: which may be passed over, and which may not.
//!
//! A model that is opened and one that is converted are judged by this one table, so that what runs can be converted and
//! the other way round.

use crate::Error;
use crate::weights::{GGUF_LONG_DIVISORS, GGUF_ROPE_DIVISORS, Names};
use sai_formats::{Tensor, Tensors};
use std::collections::HashSet;

/// Ends of names of tensors that follow from the description, in any family: frequencies, masks and sines that PyTorch kept
/// as buffers.
const BUFFERS: [&str; 11] = [
    ".rotary_emb.inv_freq",
    ".rotary.inv_freq",
    ".attn.bias",
    ".attn.masked_bias",
    ".attention.bias",
    ".attention.masked_bias",
    "embed_positions.weights",
    ".attn_rot_embd.weight",
    GGUF_ROPE_DIVISORS,
    GGUF_LONG_DIVISORS[0],
    GGUF_LONG_DIVISORS[1],
];

/// Beginnings of names of heads that are computed beside the model's own and change nothing in it: values, classes,
/// more tokens at once.
const HEADS: [&str; 6] = ["v_head.", "score.", "classifier.", "mtp.", "model.mtp", "medusa"];

/// Ends of names under which quantisers keep weights and their scales.
const QUANTISED: [&str; 8] = [
    ".qweight",
    ".qzeros",
    ".g_idx",
    ".weight_packed",
    ".weight_scale",
    ".weight_scale_inv",
    ".SCB",
    ".absmax",
];

/// Judges the tensors of a file that are not `known`: gives a line for people about those that are left out and change
/// nothing.
///
/// # Errors
/// One that would change what the model computes.
pub(crate) fn judge<'n>(
    tensors: &Tensors,
    known: impl Iterator<Item = &'n str>,
    names: Names,
    num_layers: usize,
) -> Result<Vec<String>, Error> {
    let known: HashSet<&str> = known.collect();
    let mut left_out: Vec<(String, usize)> = Vec::new();
    for tensor in tensors.iter().filter(|tensor| !known.contains(tensor.name.as_str())) {
        let name = tensor.name.as_str();
        if BUFFERS.iter().any(|end| name.ends_with(end)) || is_zero_bias(tensor) {
            continue;
        }
        let beyond = names.layer_of(name).is_some_and(|layer| layer >= num_layers);
        let kind = if beyond {
            format!("of layers beyond the {num_layers} of the model's description")
        } else if HEADS.iter().any(|start| name.starts_with(start)) {
            "of another head".to_owned()
        } else if names.is_beside(name) {
            "of what the model has beside its decoder".to_owned()
        } else if QUANTISED.iter().any(|end| name.ends_with(end)) {
            return Err(Error::Config {
                path: tensor.file.to_path_buf(),
                fact: format!(
                    "tensor `{}` is of weights that another program quantised, which sai does not read; take the model \
                     that they were made of, or a GGUF of it",
                    name.escape_debug()
                ),
            });
        } else {
            return Err(Error::StrangeTensor {
                path: tensor.file.to_path_buf(),
                tensor: name.escape_debug().to_string(),
            });
        };
        match left_out.iter_mut().find(|(other, _)| *other == kind) {
            Some((_, count)) => *count += 1,
            None => left_out.push((kind, 1)),
        }
    }
    let line = |(kind, count): (String, usize)| match count {
        1 => format!("1 tensor {kind} is left out"),
        _ => format!("{count} tensors {kind} are left out"),
    };
    Ok(left_out.into_iter().map(line).collect())
}

/// Whether a tensor is a bias that adds nothing.
fn is_zero_bias(tensor: &Tensor) -> bool {
    let vector = tensor.shape.len() == 1 && tensor.name.ends_with(".bias");
    vector && tensor.to_f32().is_ok_and(|values| values.iter().all(|&x| x == 0.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::family::Family;
    use sai_formats::DType;

    fn tensor(name: &str, values: &[f32]) -> Tensor {
        let data: Vec<u8> = values.iter().flat_map(|x| x.to_le_bytes()).collect();
        let shape = vec![values.len()];
        Tensor {
            name: name.to_owned(),
            dtype: DType::F32,
            shape,
            data: data.into(),
            file: std::path::Path::new("m").into(),
        }
    }

    fn judged(model_type: &str, names: &[(&str, &[f32])]) -> Result<Vec<String>, String> {
        let list = names.iter().map(|(name, values)| tensor(name, values)).collect();
        let tensors = Tensors::new(std::path::Path::new("m"), list).unwrap();
        let names = match model_type {
            "gguf" => Names::Gguf,
            _ => Names::in_folder(Family::of_model_type(model_type).unwrap(), &tensors),
        };
        judge(&tensors, [names.embedding().as_str()].into_iter(), names, 2).map_err(|e| e.to_string())
    }

    #[test]
    fn a_tensor_that_would_change_the_result_is_refused() {
        for (model_type, name) in [
            ("llama", "model.layers.0.self_attn.q_proj.bias"),
            ("gguf", "blk.1.attn_k.bias"),
            ("llama", "model.layers.1.self_attn.q_norm.weight"),
            ("opt", "model.decoder.embed_positions.weight"),
            ("gpt2", "transformer.h.0.attn.c_attn.bias"),
            ("gpt_neox", "gpt_neox.layers.1.attention.dense.bias"),
            ("mpt", "transformer.norm_f.bias"),
            ("gguf", "output_norm.bias"),
        ] {
            let line = judged(model_type, &[(name, &[0.0, 0.5])]).unwrap_err();
            assert!(line.contains(name) && line.contains("would change"), "{line}");
        }
        let line = judged("llama", &[("model.layers.0.mlp.up_proj.qweight", &[1.0])]).unwrap_err();
        assert!(line.contains("qweight") && line.contains("GGUF"), "{line}");
    }

    #[test]
    fn a_buffer_is_passed_over_in_every_family() {
        for (model_type, name) in [
            ("llama", "model.layers.0.self_attn.rotary_emb.inv_freq"),
            ("exaone", "transformer.h.0.attn.attention.rotary.inv_freq"),
            ("gpt2", "transformer.h.0.attn.bias"),
            ("gpt2", "h.11.attn.masked_bias"),
            ("gpt_neox", "gpt_neox.layers.0.attention.bias"),
            ("gpt_neox", "gpt_neox.layers.0.attention.masked_bias"),
            ("gpt_neox", "gpt_neox.layers.0.attention.rotary_emb.inv_freq"),
            ("xglm", "model.embed_positions.weights"),
            ("gguf", "rope_freqs.weight"),
            ("gguf", "rope_factors_long.weight"),
        ] {
            assert_eq!(judged(model_type, &[(name, &[1.0])]), Ok(Vec::new()), "{name}");
        }
    }

    #[test]
    fn a_tensor_that_changes_nothing_is_said_where_it_could_matter() {
        let mut all: Vec<(&str, &[f32])> =
            vec![("model.layers.0.mlp.down_proj.bias", &[0.0, -0.0]), ("model.rotary_emb.inv_freq", &[1.0])];
        assert_eq!(judged("llama", &all), Ok(Vec::new()));
        all.push(("model.layers.2.mlp.down_proj.weight", &[1.0]));
        all.push(("model.layers.11.mlp.down_proj.bias", &[1.0]));
        all.push(("v_head.summary.weight", &[1.0]));
        assert_eq!(
            judged("llama", &all).unwrap(),
            [
                "2 tensors of layers beyond the 2 of the model's description are left out",
                "1 tensor of another head is left out"
            ]
        );
        for (model_type, name) in [
            ("gpt2", "transformer.h.2.ln_1.weight"),
            ("gpt_neox", "gpt_neox.layers.2.input_layernorm.weight"),
            ("opt", "model.decoder.layers.5.fc1.bias"),
            ("gguf", "blk.2.attn_norm.weight"),
        ] {
            let lines = judged(model_type, &[(name, &[1.0])]).unwrap();
            assert!(lines[0].starts_with("1 tensor of layers beyond the 2"), "{lines:?}");
        }
        let eyes = "vision_tower.vision_model.encoder.layers.0.mlp.fc1.weight";
        let with_eyes = [("language_model.model.embed_tokens.weight", &[1.0][..]), (eyes, &[1.0])];
        let lines = judged("gemma3", &with_eyes).unwrap();
        assert_eq!(lines, ["1 tensor of what the model has beside its decoder is left out"]);
    }
}
