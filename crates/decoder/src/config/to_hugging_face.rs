//! A [`Config`] as Hugging Face's `config.json`.

use crate::rope::yarn_attention_factor;
use crate::{Config, Error, RopeScaling};
use serde_json::{Map, Value, json};
use std::path::Path;

impl Config {
    /// The fields of a `config.json` that describe the decoder, as `transformers` of versions 4 and 5 read them;
    /// `path` is what messages call the model. Ids of tokens and the type of the weights are for the caller to add.
    ///
    /// # Errors
    /// The model has what neither of Hugging Face's `llama` and `qwen2` has.
    pub fn to_json(&self, path: &Path) -> Result<Map<String, Value>, Error> {
        let wrong = |fact: &str| Err(Error::Config { path: path.to_path_buf(), fact: fact.to_owned() });
        let (model_type, class) = match (self.qkv_bias, self.attention_out_bias, self.mlp_bias) {
            (false, false, false) if self.architecture == "mistral" => ("mistral", "MistralForCausalLM"),
            (false, false, _) | (true, true, _) => ("llama", "LlamaForCausalLM"),
            (true, false, false) => ("qwen2", "Qwen2ForCausalLM"),
            _ => return wrong("has biases in places where neither of `llama` and `qwen2` has them"),
        };
        if self.rope.dim != self.head_dim {
            return wrong("turns a part of each head, which neither of `llama` and `qwen2` does");
        }
        let mut out = Map::new();
        let mut put = |name: &str, value: Value| out.insert(name.to_owned(), value);
        put("architectures", json!([class]));
        put("model_type", json!(model_type));
        put("vocab_size", json!(self.vocab_size));
        put("hidden_size", json!(self.hidden_size));
        put("intermediate_size", json!(self.intermediate_size));
        put("num_hidden_layers", json!(self.num_layers));
        put("num_attention_heads", json!(self.num_heads));
        put("num_key_value_heads", json!(self.num_kv_heads));
        if model_type != "qwen2" || self.head_dim * self.num_heads != self.hidden_size {
            put("head_dim", json!(self.head_dim));
        }
        put("hidden_act", json!("silu"));
        put("max_position_embeddings", json!(self.context_length));
        put("rms_norm_eps", decimal(self.rms_norm_eps));
        put("tie_word_embeddings", json!(self.tie_word_embeddings));
        match model_type {
            "llama" => {
                put("attention_bias", json!(self.qkv_bias));
                put("mlp_bias", json!(self.mlp_bias));
            }
            // Without one given, a window that Mistral had at first is assumed.
            "mistral" => {
                put("sliding_window", Value::Null);
            }
            _ => {}
        }
        put("rope_theta", json!(self.rope.theta));
        put("rope_scaling", self.scaling_json(path)?);
        Ok(out)
    }

    fn scaling_json(&self, path: &Path) -> Result<Value, Error> {
        let scaling = match &self.rope.scaling {
            RopeScaling::Divisors(divisors) => match self.rope.llama3_of(divisors) {
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
            RopeScaling::Yarn {
                factor,
                original_context,
                beta_fast,
                beta_slow,
                truncate,
                attention_factor,
            } => {
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
}

/// An f32 as the shortest decimal that reads back as it, and not as the nearest f64: 1e-5.
fn decimal(x: f32) -> Value {
    x.to_string().parse::<f64>().map_or(Value::Null, |x| json!(x))
}
