//! Hugging Face's `config.json` as a [`Config`]: the family's row, and what the file says beside it.

mod keys;
mod layers;
mod rope;

use crate::family::{FAMILIES, Family, PositionKind};
use crate::{Config, Error, Norm, NormPlace, Positions};
use keys::Keys;
use sai_formats::{Tensors, json};
use sai_kernels::Activation;
use serde_json::Value;
use std::path::{Path, PathBuf};

pub(super) fn read(text: &str, path: &Path) -> Result<Config, Error> {
    let keys = Keys::parse(text, path)?;
    // The type first: a model of another family lacks other fields too, and that is not its fault.
    let model_type = keys.required_text("model_type")?;
    let Some(family) = Family::of_model_type(&model_type) else {
        let known = FAMILIES.map(|family| family.model_type).join(", ");
        return Err(keys.wrong(format!(
            "model type `{}` is not one that sai runs ({known})",
            model_type.escape_debug()
        )));
    };
    // A model with eyes describes its decoder within, as far as it is not Gemma 3's smallest.
    let keys = &match family.model_type {
        "gemma3" => keys.within("text_config")?.or(&GEMMA3_WITH_EYES),
        _ => keys,
    };
    let attention = keys.optional_within("attn_config")?;
    refuse_what_no_fact_says(keys, &attention)?;

    let hidden_size = keys.required(&["hidden_size", "n_embd", "d_model"])?;
    let num_heads = keys.required(&["num_attention_heads", "n_head", "n_heads", "attention_heads"])?;
    let num_layers = keys.required(&["num_hidden_layers", "n_layer", "n_layers", "num_layers"])?;
    let context_length =
        keys.number(&["max_position_embeddings", "n_positions", "n_ctx", "max_seq_len"])?.unwrap_or(2048);
    let head_dim = match keys.number(&["head_dim"])? {
        Some(dim) => dim,
        None => hidden_size.checked_div(num_heads).unwrap_or(0),
    };
    let inner = &["intermediate_size", "n_inner", "ffn_dim"];
    let intermediate_size = match keys.number(inner)? {
        Some(width) => width,
        None if !family.gated => {
            let ratio = keys.number(&["expansion_ratio", "mlp_ratio"])?.unwrap_or(4);
            hidden_size.saturating_mul(ratio)
        }
        None => return Err(keys.lacks(inner[0])),
    };
    let [qkv_bias, attention_out_bias, mlp_bias] = biases(keys, family)?;
    let (ropes, layers) = layers::read(keys, family, &attention, num_layers, head_dim, context_length)?;
    let after = keys.flag(&["do_layer_norm_before"])? == Some(false);
    let config = Config {
        vocab_size: keys.required(&["vocab_size"])?,
        hidden_size,
        embedding_size: keys.number(&["word_embed_proj_dim"])?.unwrap_or(hidden_size),
        intermediate_size,
        num_layers,
        num_heads,
        num_kv_heads: keys.number(&["num_key_value_heads"])?.unwrap_or(num_heads),
        head_dim,
        norm: Norm {
            kind: family.norm,
            bias: family.norm_bias,
            eps: match keys.float(&["rms_norm_eps", "layer_norm_eps", "layer_norm_epsilon"])? {
                Some(eps) => eps as f32,
                None => family.eps,
            },
        },
        norm_place: match keys.flag(&["use_post_norm"])? {
            Some(false) => NormPlace::Before,
            _ if after => NormPlace::AfterSum,
            _ => family.place,
        },
        qk_norm: match attention.flag(&["qk_ln"])?.or(keys.flag(&["attn_qk_ln"])?) {
            Some(false) => None,
            Some(true) => Some(crate::QkNorm::Rows),
            None => family.qk_norm.filter(|_| family.positions != PositionKind::Alibi),
        },
        final_norm: !after && keys.flag(&["_remove_final_layer_norm"])? != Some(true),
        parallel: keys.flag(&["use_parallel_residual"])?.unwrap_or(family.parallel),
        positions: positions(keys, &attention, family)?,
        ropes,
        layers,
        activation: match keys.text(&["hidden_activation", "hidden_act", "activation_function"])? {
            Some(name) => activation(keys, &name)?,
            None => family.activation,
        },
        gated: family.gated,
        context_length,
        tie_word_embeddings: keys.flag(&["tie_word_embeddings"])?.unwrap_or(family.tied),
        qkv_bias,
        attention_out_bias,
        mlp_bias,
        qkv_clip: match attention.float(&["clip_qkv"])? {
            Some(clip) => Some(clip as f32),
            None => keys.float(&["attn_clip_qkv", "clip_qkv"])?.map(|clip| clip as f32),
        },
        embedding_scale: match keys.float(&["embedding_multiplier"])? {
            Some(scale) => scale as f32,
            // In f32, as sai computes; the reference rounds it to the type of its weights.
            None if keys.flag(&["scale_embedding"])?.unwrap_or(family.embedding_by_root) => {
                (hidden_size as f64).sqrt() as f32
            }
            None => 1.0,
        },
        residual_scale: keys.float(&["residual_multiplier"])?.unwrap_or(1.0) as f32,
        logit_scale: match keys.float(&["logits_scaling"])? {
            // Granite's divides, as its files of GGUF say too; HyperCLOVA X's multiplies.
            Some(scale) if family.model_type == "granite" => (1.0 / scale) as f32,
            Some(scale) => scale as f32,
            None => 1.0,
        },
        attention_soft_cap: cap(keys, "attn_logit_softcapping")?,
        logit_soft_cap: cap(keys, "final_logit_softcapping")?,
        architecture: model_type,
    };
    config.checked(path)
}

/// Whether queries, keys and values, attention's output, and the feed-forward layer have biases.
fn biases(keys: &Keys<'_>, family: &Family) -> Result<[bool; 3], Error> {
    if let Some(bias) = keys.flag(&["enable_bias"])? {
        return Ok([bias; 3]);
    }
    let [mut qkv, mut out, mlp] = family.biases;
    if let Some(bias) = keys.flag(&["attention_bias"])? {
        // Qwen's first projections have theirs whatever it says.
        (qkv, out) = (bias || family.biases == [true, false, false], bias);
    }
    Ok([qkv, out, keys.flag(&["mlp_bias"])?.unwrap_or(mlp)])
}

fn positions(keys: &Keys<'_>, attention: &Keys<'_>, family: &Family) -> Result<Positions, Error> {
    Ok(match family.positions {
        PositionKind::Rotary => Positions::Rotary,
        PositionKind::Sinusoidal(offset) => Positions::Sinusoidal { offset },
        PositionKind::Learned(offset) => Positions::Learned { offset },
        PositionKind::Alibi if attention.flag(&["alibi"])?.or(keys.flag(&["alibi"])?) == Some(false) => {
            Positions::Learned { offset: 0 }
        }
        PositionKind::Alibi => {
            let bias = attention.float(&["alibi_bias_max"])?.or(keys.float(&["alibi_bias_max"])?);
            Positions::Alibi { max_bias: bias.unwrap_or(8.0) as f32 }
        }
    })
}

fn refuse_what_no_fact_says(keys: &Keys<'_>, attention: &Keys<'_>) -> Result<(), Error> {
    keys.refuse(&REFUSED)?;
    attention.refuse(&REFUSED)?;
    let refused = |fact: &str| Err(keys.wrong(format!("{fact}, which sai does not run")));
    if attention.text(&["attn_type"])?.is_some_and(|kind| kind != "multihead_attention") {
        return refused("its heads share keys in MPT's own way (`attn_type`)");
    }
    if keys.text(&["norm_type"])?.is_some_and(|kind| !kind.ends_with("layernorm")) {
        return refused("its norms are not LayerNorm (`norm_type`)");
    }
    if keys.flag(&["no_bias"])? == Some(false) {
        return refused("MPT's projections have biases (`no_bias`)");
    }
    if keys.flag(&["layer_norm_elementwise_affine"])? == Some(false) {
        return refused("its norms have no gain (`layer_norm_elementwise_affine`)");
    }
    Ok(())
}

/// What `transformers` takes where Gemma 3's `text_config` is silent.
const GEMMA3_WITH_EYES: [(&str, usize); 5] = [
    ("vocab_size", 262_208),
    ("num_attention_heads", 8),
    ("num_key_value_heads", 4),
    ("head_dim", 256),
    ("max_position_embeddings", 131_072),
];

/// Keys that say what no fact of sai's does, where their value says anything.
const REFUSED: [(&str, &str); 8] = [
    ("num_local_experts", "it is a mixture of experts"),
    ("num_experts", "it is a mixture of experts"),
    ("n_routed_experts", "it is a mixture of experts"),
    ("add_cross_attention", "it attends to an encoder"),
    ("is_encoder_decoder", "it has an encoder"),
    ("prefix_lm", "its prompts attend forward"),
    ("use_bidirectional_attention", "its tokens attend forward"),
    ("logit_scale", "its logits are scaled by a number of its own"),
];

/// Refuses weights that another program quantised, by its name. Where `quantization_config` stayed behind beside plain
/// weights it says nothing of them.
pub(super) fn refuse_quantised(text: &str, tensors: &Tensors, path: &Path) -> Result<(), Error> {
    let Ok(settings) = json::read::<Value>(text.as_bytes()) else { return Ok(()) };
    let places = [&settings, &settings["text_config"]];
    let keys = ["quantization_config", "compression_config"];
    let said = places.into_iter().flat_map(|place| keys.map(|key| (key, &place[key])));
    let found = said.into_iter().find(|(_, quantisation)| quantisation.is_object());
    let Some(((key, said), tensor)) = found.zip(tensors.iter().find(|tensor| !tensor.dtype.is_float()))
    else {
        return Ok(());
    };
    let method = match said["quant_method"].as_str() {
        Some("gptq") => "GPTQ",
        Some("awq") => "AWQ",
        Some("fp8") => "FP8",
        Some(other) => other,
        None if key == "compression_config" => "compressed-tensors",
        None => "bitsandbytes",
    };
    Err(Error::Config {
        path: PathBuf::from(path),
        fact: format!(
            "`{key}` says that the weights are quantised by {} (`{}` is {}), which sai does not read; take the model that \
             they were made of, or a GGUF of it",
            method.escape_debug(),
            tensor.name.escape_debug(),
            tensor.dtype
        ),
    })
}

/// A cap that is given, and is not 0, which means none.
fn cap(keys: &Keys<'_>, name: &'static str) -> Result<Option<f32>, Error> {
    Ok(keys.float(&[name])?.filter(|&cap| cap != 0.0).map(|cap| cap as f32))
}

fn activation(keys: &Keys<'_>, name: &str) -> Result<Activation, Error> {
    match name {
        "silu" | "swish" => Ok(Activation::Silu),
        "gelu" | "gelu_python" => Ok(Activation::Gelu),
        "gelu_new" | "gelu_pytorch_tanh" | "gelu_fast" | "gelu_accurate" => Ok(Activation::GeluTanh),
        "relu" => Ok(Activation::Relu),
        other => Err(keys.wrong(format!(
            "activation `{}` is not one that sai runs (silu, gelu, gelu_new, gelu_pytorch_tanh, relu)",
            other.escape_debug()
        ))),
    }
}
