//! Hugging Face's `config.json` as a [`Config`].

use crate::rope::yarn_attention_factor;
use crate::{Config, Error, Rope, RopeScaling};
use sai_formats::{Tensors, json};
use sai_kernels::RopeStyle;
use serde::Deserialize;
use serde_json::Value;
use std::path::{Path, PathBuf};

/// Model types that are of the family; what differs between them is said by [`read`].
const MODEL_TYPES: [&str; 3] = ["llama", "mistral", "qwen2"];

/// The fields that describe a decoder. Others (what to sample, how to train) are not for here.
#[derive(Deserialize)]
struct File {
    model_type: String,
    vocab_size: usize,
    hidden_size: usize,
    intermediate_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    num_key_value_heads: Option<usize>,
    head_dim: Option<usize>,
    hidden_act: Option<String>,
    rms_norm_eps: Option<f32>,
    max_position_embeddings: Option<usize>,
    rope_theta: Option<f64>,
    /// Until `transformers` 4.
    rope_scaling: Option<Scaling>,
    /// Since 5, with the base inside.
    rope_parameters: Option<Scaling>,
    partial_rotary_factor: Option<f64>,
    #[serde(default)]
    tie_word_embeddings: bool,
    attention_bias: Option<bool>,
    mlp_bias: Option<bool>,
    sliding_window: Option<usize>,
    use_sliding_window: Option<bool>,
}

#[derive(Deserialize)]
struct Scaling {
    rope_type: Option<String>,
    /// The older name of `rope_type`, which has the last word where both are there.
    #[serde(rename = "type")]
    older_type: Option<String>,
    rope_theta: Option<f64>,
    factor: Option<f64>,
    original_max_position_embeddings: Option<f64>,
    low_freq_factor: Option<f64>,
    high_freq_factor: Option<f64>,
    beta_fast: Option<f64>,
    beta_slow: Option<f64>,
    attention_factor: Option<f64>,
    mscale: Option<f64>,
    mscale_all_dim: Option<f64>,
    truncate: Option<bool>,
    partial_rotary_factor: Option<f64>,
}

pub(super) fn read(text: &str, path: &Path) -> Result<Config, Error> {
    let wrong = |fact: String| Error::Config { path: PathBuf::from(path), fact };
    let known = |model_type: &str| {
        if MODEL_TYPES.contains(&model_type) {
            return Ok(());
        }
        let types = MODEL_TYPES.join(", ");
        Err(wrong(format!("model type `{}` is not one that sai runs ({types})", model_type.escape_debug())))
    };
    // The type first: a model of another family lacks other fields too, and that is not its fault.
    #[derive(Deserialize)]
    struct Type {
        model_type: String,
    }
    let damaged = |e: json::JsonError| wrong(format!("is not a model's configuration: {e}"));
    let settings: Value = json::read(text.as_bytes()).map_err(damaged)?;
    known(&json::of::<Type>(&settings).map_err(damaged)?.model_type)?;
    let file: File = json::of(&settings).map_err(damaged)?;

    if let Some(act) = file.hidden_act.as_deref().filter(|act| !matches!(*act, "silu" | "swish")) {
        return Err(wrong(format!("activation `{}` is not one that sai runs (silu)", act.escape_debug())));
    }
    let context_length = file.max_position_embeddings.unwrap_or(2048);
    // Qwen2 names a window and a switch that is off by default; Mistral's has no switch.
    let window_on = file.use_sliding_window.unwrap_or(file.model_type != "qwen2");
    if let Some(window) = file.sliding_window.filter(|&window| window_on && window < context_length) {
        return Err(wrong(format!(
            "attends over a sliding window of {window} of its {context_length} positions, which sai does not do yet"
        )));
    }

    let scaling = file.rope_parameters.as_ref().or(file.rope_scaling.as_ref());
    let head_dim = match file.head_dim {
        Some(dim) => dim,
        None => file.hidden_size.checked_div(file.num_attention_heads).unwrap_or(0),
    };
    let rotary = scaling.and_then(|s| s.partial_rotary_factor).or(file.partial_rotary_factor).unwrap_or(1.0);
    let qwen2 = file.model_type == "qwen2";
    let attention_bias = file.attention_bias.unwrap_or(false);
    let config = Config {
        vocab_size: file.vocab_size,
        hidden_size: file.hidden_size,
        intermediate_size: file.intermediate_size,
        num_layers: file.num_hidden_layers,
        num_heads: file.num_attention_heads,
        num_kv_heads: file.num_key_value_heads.unwrap_or(file.num_attention_heads),
        head_dim,
        rms_norm_eps: file.rms_norm_eps.unwrap_or(1e-6),
        rope: Rope {
            theta: scaling.and_then(|s| s.rope_theta).or(file.rope_theta).unwrap_or(10_000.0),
            dim: (head_dim as f64 * rotary) as usize,
            style: RopeStyle::Halves,
            scaling: scaling.map_or(Ok(RopeScaling::None), |s| rope_scaling(s, context_length, &wrong))?,
        },
        context_length,
        tie_word_embeddings: file.tie_word_embeddings,
        qkv_bias: qwen2 || attention_bias,
        attention_out_bias: !qwen2 && attention_bias,
        mlp_bias: file.mlp_bias.unwrap_or(false),
        architecture: file.model_type,
    };
    config.checked(path)
}

/// Refuses weights that another program quantised, by its name. Where `quantization_config` stayed behind beside plain
/// weights it says nothing of them.
pub(super) fn refuse_quantised(text: &str, tensors: &Tensors, path: &Path) -> Result<(), Error> {
    let Ok(settings) = json::read::<Value>(text.as_bytes()) else { return Ok(()) };
    let found =
        ["quantization_config", "compression_config"].into_iter().find(|key| settings[key].is_object());
    let Some((key, tensor)) = found.zip(tensors.iter().find(|tensor| !tensor.dtype.is_float())) else {
        return Ok(());
    };
    let method = match settings[key]["quant_method"].as_str() {
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

fn rope_scaling(
    scaling: &Scaling,
    context_length: usize,
    wrong: &dyn Fn(String) -> Error,
) -> Result<RopeScaling, Error> {
    let kind = scaling.rope_type.as_deref().or(scaling.older_type.as_deref()).unwrap_or("default");
    let need = |name: &str, value: Option<f64>| {
        value.ok_or_else(|| wrong(format!("rotary scaling `{kind}` lacks its `{name}`")))
    };
    let original = scaling.original_max_position_embeddings;
    match kind {
        "default" => Ok(RopeScaling::None),
        "linear" => Ok(RopeScaling::Linear { factor: need("factor", scaling.factor)? }),
        "llama3" => Ok(RopeScaling::Llama3 {
            factor: need("factor", scaling.factor)?,
            low_freq_factor: need("low_freq_factor", scaling.low_freq_factor)?,
            high_freq_factor: need("high_freq_factor", scaling.high_freq_factor)?,
            original_context: need("original_max_position_embeddings", original)?,
        }),
        "yarn" => {
            let original_context = original.unwrap_or(context_length as f64);
            let factor = match scaling.factor {
                Some(factor) => factor,
                None => context_length as f64 / original_context,
            };
            Ok(RopeScaling::Yarn {
                factor,
                original_context,
                beta_fast: scaling.beta_fast.unwrap_or(32.0),
                beta_slow: scaling.beta_slow.unwrap_or(1.0),
                truncate: scaling.truncate.unwrap_or(true),
                attention_factor: scaling
                    .attention_factor
                    .unwrap_or_else(|| yarn_attention_factor(factor, scaling.mscale, scaling.mscale_all_dim)),
            })
        }
        other => Err(wrong(format!(
            "rotary scaling `{}` is not one that sai knows (default, linear, llama3, yarn)",
            other.escape_debug()
        ))),
    }
}
