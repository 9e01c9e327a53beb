//! A [`Config`] as Hugging Face's `config.json`. What was written is read again, and held against what was to be said.

use crate::family::{Family, PositionKind, Turning, Windows};
use crate::rope::yarn_attention_factor;
use crate::{Activation, Config, Error, NormPlace, Positions, Rope, RopeScaling};
use serde_json::{Map, Value, json};
use std::path::Path;

impl Config {
    /// The row that a folder of this model is written as: a LLaMA's biases may make it another's.
    fn folder_family(&self) -> &'static Family {
        let family = self.family();
        let of = |name: &str| Family::of_model_type(name).unwrap_or(family);
        match family.model_type {
            "llama" | "mistral" | "qwen2" => match (self.qkv_bias, self.attention_out_bias, self.mlp_bias) {
                (false, false, false) if self.architecture == "mistral" => family,
                (true, false, false) => of("qwen2"),
                _ => of("llama"),
            },
            // A decoder without its eyes.
            "gemma3" => of("gemma3_text"),
            _ => family,
        }
    }

    /// The fields of a `config.json` that describe the decoder, as `transformers` of versions 4 and 5 read them;
    /// `path` is what messages call the model. Ids of tokens and the type of the weights are for the caller to add.
    ///
    /// # Errors
    /// The model has a fact that its family's `config.json` cannot say.
    pub fn to_json(&self, path: &Path) -> Result<Map<String, Value>, Error> {
        let wrong = |fact: String| Err(Error::Config { path: path.to_path_buf(), fact });
        let family = self.folder_family();
        let fields = self.fields(family, path)?;
        let text = Value::Object(fields.clone()).to_string();
        match self.difference(&Config::from_json(&text, path)?) {
            None => Ok(fields),
            Some(fact) => {
                wrong(format!("has {fact}, which `config.json` cannot say of `{}`", family.model_type))
            }
        }
    }

    fn fields(&self, family: &Family, path: &Path) -> Result<Map<String, Value>, Error> {
        let words = Words::of(family.model_type);
        let mut out = Map::new();
        let mut put = |name: &str, value: Value| out.insert(name.to_owned(), value);
        put("architectures", json!([family.class]));
        put("model_type", json!(family.model_type));
        put("vocab_size", json!(self.vocab_size));
        put(words.width, json!(self.hidden_size));
        put(words.inner, json!(self.intermediate_size));
        put(words.layers, json!(self.num_layers));
        put(words.heads, json!(self.num_heads));
        if family.gated {
            put("num_key_value_heads", json!(self.num_kv_heads));
            if family.model_type != "qwen2" || self.head_dim * self.num_heads != self.hidden_size {
                put("head_dim", json!(self.head_dim));
            }
        }
        if !words.act.is_empty() {
            put(words.act, json!(activation(self.activation)));
        }
        put(words.context, json!(self.context_length));
        put(words.eps, decimal(self.norm.eps));
        put("tie_word_embeddings", json!(self.tie_word_embeddings));
        match family.model_type {
            "llama" | "granite" | "hyperclovax" | "smollm3" => {
                put("attention_bias", json!(self.qkv_bias));
                put("mlp_bias", json!(self.mlp_bias));
            }
            "qwen3" | "gemma2" | "gemma3_text" | "olmo2" | "gpt_neox" => {
                put("attention_bias", json!(self.qkv_bias));
            }
            "mpt" | "mosaic_gpt" => self.put_mpt(family, &mut put),
            _ => {}
        }
        if family.parallel {
            put("use_parallel_residual", json!(self.parallel));
        }
        if family.model_type == "hyperclovax" {
            put("use_post_norm", json!(self.norm_place == NormPlace::Both));
        }
        self.put_layers(family, &mut put);
        self.put_scales(family, &mut put);
        for (i, rope) in self.ropes.iter().enumerate() {
            match i {
                0 => {
                    put("rope_theta", json!(rope.theta));
                    if family.model_type == "gpt_neox" {
                        put("rotary_emb_base", json!(rope.theta));
                        put("rotary_pct", json!(rope.dim as f64 / self.head_dim as f64));
                    } else if rope.dim != self.head_dim {
                        put("partial_rotary_factor", json!(rope.dim as f64 / self.head_dim as f64));
                    }
                    put("rope_scaling", scaling_json(rope, path)?);
                    if let Some(original) = rope.switch() {
                        put("original_max_position_embeddings", json!(original));
                    }
                }
                _ => _ = put("rope_local_base_freq", json!(rope.theta)),
            }
        }
        Ok(out)
    }

    fn put_mpt(&self, family: &Family, put: &mut impl FnMut(&str, Value) -> Option<Value>) {
        let (alibi, bias) = match self.positions {
            Positions::Alibi { max_bias } => (true, max_bias),
            _ => (false, 8.0),
        };
        let scale = self.layers[0].attention_scale;
        let plain = scale == Config::plain_scale(self.head_dim);
        let scale = if plain { Value::Null } else { decimal(scale) };
        let clip = self.qkv_clip.map_or(Value::Null, decimal);
        let norm = self.qk_norm.is_some();
        put("no_bias", json!(true));
        let ratio = self.intermediate_size / self.hidden_size;
        if family.model_type == "mosaic_gpt" {
            for (name, value) in [
                ("alibi", json!(alibi)),
                ("alibi_bias_max", json!(bias)),
                ("attn_clip_qkv", clip),
                ("attn_qk_ln", json!(norm)),
                ("softmax_scale", scale),
                ("mlp_ratio", json!(ratio)),
            ] {
                put(name, value);
            }
            return;
        }
        put("expansion_ratio", json!(ratio));
        put("learned_pos_emb", json!(true));
        put(
            "attn_config",
            json!({ "alibi": alibi, "alibi_bias_max": bias as i64, "clip_qkv": clip, "qk_ln": norm, "softmax_scale": scale,
                "attn_type": "multihead_attention" }),
        );
    }

    /// Windows, and layers that do not turn.
    fn put_layers(&self, family: &Family, put: &mut impl FnMut(&str, Value) -> Option<Value>) {
        let window = self.layers.iter().find_map(|layer| layer.window);
        let types = || {
            let kind =
                |window: Option<usize>| if window.is_some() { "sliding_attention" } else { "full_attention" };
            json!(self.layers.iter().map(|layer| kind(layer.window)).collect::<Vec<_>>())
        };
        match family.window {
            Windows::None => {}
            // Without one given, a window that Mistral had at first is assumed.
            Windows::All(_) => _ = put("sliding_window", json!(window)),
            Windows::From if window.is_some() => {
                put("use_sliding_window", json!(true));
                put("sliding_window", json!(window));
                put("layer_types", types());
            }
            Windows::From => {}
            Windows::AllBut(_) => {
                put("sliding_window", json!(window));
                put("layer_types", types());
            }
        }
        if matches!(family.turning, Turning::AllBut(_)) {
            let turns: Vec<u8> = self.layers.iter().map(|layer| u8::from(layer.rope.is_some())).collect();
            put("no_rope_layers", json!(turns));
        }
    }

    fn put_scales(&self, family: &Family, put: &mut impl FnMut(&str, Value) -> Option<Value>) {
        let scale = self.layers[0].attention_scale;
        match family.model_type {
            "granite" | "hyperclovax" => {
                put("attention_multiplier", decimal(scale));
                put("embedding_multiplier", decimal(self.embedding_scale));
                put("residual_multiplier", decimal(self.residual_scale));
                let divides = family.model_type == "granite";
                put(
                    "logits_scaling",
                    decimal(if divides { 1.0 / self.logit_scale } else { self.logit_scale }),
                );
            }
            "gemma2" | "gemma3_text" => {
                let scalar = f64::from(scale).powf(-2.0);
                put("query_pre_attn_scalar", json!((scalar * 1e3).round() / 1e3));
                put("attn_logit_softcapping", self.attention_soft_cap.map_or(Value::Null, decimal));
                put("final_logit_softcapping", self.logit_soft_cap.map_or(Value::Null, decimal));
            }
            "gpt2" => {
                let by_layer = self.layers.iter().any(|layer| layer.attention_scale != scale);
                put("scale_attn_weights", json!(scale != 1.0));
                put("scale_attn_by_inverse_layer_idx", json!(by_layer));
            }
            "xglm" => _ = put("scale_embedding", json!(self.embedding_scale != 1.0)),
            _ => {}
        }
        if family.positions == PositionKind::Learned(2) {
            put("word_embed_proj_dim", json!(self.embedding_size));
            put("do_layer_norm_before", json!(self.norm_place != NormPlace::AfterSum));
            put("enable_bias", json!(self.qkv_bias));
        }
    }
}

/// A family's words for what all have.
struct Words {
    width: &'static str,
    inner: &'static str,
    layers: &'static str,
    heads: &'static str,
    context: &'static str,
    eps: &'static str,
    /// Empty where it has none.
    act: &'static str,
}

impl Words {
    fn of(model_type: &str) -> Words {
        let llama = Words {
            width: "hidden_size",
            inner: "intermediate_size",
            layers: "num_hidden_layers",
            heads: "num_attention_heads",
            context: "max_position_embeddings",
            eps: "rms_norm_eps",
            act: "hidden_act",
        };
        match model_type {
            "gpt2" => Words {
                width: "n_embd",
                inner: "n_inner",
                layers: "n_layer",
                heads: "n_head",
                context: "n_positions",
                eps: "layer_norm_epsilon",
                act: "activation_function",
            },
            "mpt" | "mosaic_gpt" => Words {
                width: "d_model",
                layers: "n_layers",
                heads: "n_heads",
                context: "max_seq_len",
                eps: "layer_norm_epsilon",
                act: "",
                ..llama
            },
            "opt" => Words { inner: "ffn_dim", act: "activation_function", ..llama },
            "xglm" => Words {
                width: "d_model",
                inner: "ffn_dim",
                layers: "num_layers",
                heads: "attention_heads",
                act: "activation_function",
                ..llama
            },
            "exaone" => {
                Words { layers: "num_layers", eps: "layer_norm_epsilon", act: "activation_function", ..llama }
            }
            "gpt_neox" => Words { eps: "layer_norm_eps", ..llama },
            "gemma2" | "gemma3_text" => Words { act: "hidden_activation", ..llama },
            _ => llama,
        }
    }
}

fn activation(f: Activation) -> &'static str {
    match f {
        Activation::Silu => "silu",
        Activation::Gelu => "gelu",
        Activation::GeluTanh => "gelu_pytorch_tanh",
        Activation::Relu => "relu",
    }
}

fn scaling_json(rope: &Rope, path: &Path) -> Result<Value, Error> {
    let scaling = match &rope.scaling {
        RopeScaling::Divisors(divisors) => match rope.llama3_of(divisors) {
            Some(llama3) => llama3,
            None => {
                let fact = "has rotary divisors that do not follow LLaMA 3's formula, and `config.json` has no other";
                return Err(Error::Config { path: path.to_path_buf(), fact: fact.to_owned() });
            }
        },
        other => other.clone(),
    };
    Ok(match scaling {
        RopeScaling::None | RopeScaling::Divisors(_) => Value::Null,
        RopeScaling::Linear { factor } => json!({ "rope_type": "linear", "factor": factor }),
        RopeScaling::Llama3 { factor, low_freq_factor, high_freq_factor, original_context } => json!({
            "rope_type": "llama3", "factor": factor, "low_freq_factor": low_freq_factor,
            "high_freq_factor": high_freq_factor,
            "original_max_position_embeddings": original_context as u64,
        }),
        RopeScaling::Long { short, long, attention_factor, .. } => {
            let list = |factors: Vec<f32>| factors.into_iter().map(decimal).collect::<Vec<_>>();
            json!({
                "type": "longrope", "short_factor": list(short), "long_factor": list(long),
                "attention_factor": attention_factor,
            })
        }
        RopeScaling::Yarn { factor, original_context, beta_fast, beta_slow, truncate, attention_factor } => {
            let mut yarn = json!({
                "rope_type": "yarn", "factor": factor, "beta_fast": beta_fast, "beta_slow": beta_slow,
                "original_max_position_embeddings": original_context as u64,
            });
            if attention_factor != yarn_attention_factor(factor, None, None) {
                yarn["attention_factor"] = json!(attention_factor);
            }
            if !truncate {
                yarn["truncate"] = json!(false);
            }
            yarn
        }
    })
}

/// An f32 as the shortest decimal that reads back as it, and not as the nearest f64: 1e-5.
fn decimal(x: f32) -> Value {
    x.to_string().parse::<f64>().map_or(Value::Null, |x| json!(x))
}
