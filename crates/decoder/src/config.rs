//! What a model is, by facts.

mod gguf;
mod hugging_face;
mod to_gguf;
mod to_hugging_face;

use crate::{Error, Rope, RopeScaling};
use sai_formats::{Container, Source, open};
use sai_kernels::Heads;
use std::path::{Path, PathBuf};

/// Widths past which a description is taken for damage: far above any model, far below overflow.
const LARGEST_WIDTH: usize = 1 << 24;
const LARGEST_LAYERS: usize = 1 << 12;

/// The hyper-parameters of a decoder of the LLaMA family: pre-norm blocks of RMSNorm, rotary grouped-query
/// attention and SwiGLU. Touvron et al. 2023.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// As the file names it: `llama`, `qwen2`, `mistral`.
    pub architecture: String,
    /// Rows of the embedding; at least as many as the tokenizer has tokens.
    pub vocab_size: usize,
    /// Width of the residual stream.
    pub hidden_size: usize,
    /// Width of the feed-forward layer.
    pub intermediate_size: usize,
    /// Decoder layers.
    pub num_layers: usize,
    /// Query heads; a multiple of `num_kv_heads`.
    pub num_heads: usize,
    /// Key and value heads.
    pub num_kv_heads: usize,
    /// Components of a head.
    pub head_dim: usize,
    /// Added to the mean square before its root is taken.
    pub rms_norm_eps: f32,
    /// How positions turn.
    pub rope: Rope,
    /// Positions that the model was trained for.
    pub context_length: usize,
    /// Whether the embedding is also the head.
    pub tie_word_embeddings: bool,
    /// Whether the query, key and value projections have biases.
    pub qkv_bias: bool,
    /// Whether the attention's output projection has one.
    pub attention_out_bias: bool,
    /// Whether the three feed-forward projections have.
    pub mlp_bias: bool,
}

impl Config {
    /// Reads the description of an opened model: GGUF metadata, or the `config.json` beside safetensors.
    ///
    /// # Errors
    /// It is missing, contradicts itself, or describes what sai does not run; the error says which.
    pub fn of(container: &Container, path: &Path) -> Result<Config, Error> {
        match container {
            Container::Gguf(gguf) => gguf::read(gguf),
            Container::Safetensors(tensors) => {
                let folder = if path.is_dir() { path } else { path.parent().unwrap_or(Path::new(".")) };
                let path = folder.join("config.json");
                let bytes =
                    std::fs::read(&path).map_err(|source| Error::Read { path: path.clone(), source })?;
                let text = sai_formats::json::text(&bytes)
                    .map_err(|e| Error::Config { path: path.clone(), fact: e.to_string() })?;
                let config = Config::from_json(text, &path)?;
                hugging_face::refuse_quantised(text, tensors, &path)?;
                Ok(config)
            }
        }
    }

    /// Opens a model and reads its description.
    ///
    /// # Errors
    /// As [`sai_formats::open`] and [`Config::of`].
    pub fn open(source: impl Into<Source>) -> Result<(Container, Config), Error> {
        let source = source.into();
        let container = open(&source)?;
        let config = Config::of(&container, source.path())?;
        Ok((container, config))
    }

    /// Reads Hugging Face's `config.json`; `path` is what messages call it.
    ///
    /// # Errors
    /// The text is not such a file, contradicts itself, or describes what sai does not run.
    pub fn from_json(text: &str, path: &Path) -> Result<Config, Error> {
        hugging_face::read(text, path)
    }

    /// Reads the metadata of a GGUF file.
    ///
    /// # Errors
    /// It lacks a fact, contradicts itself, or describes what sai does not run.
    pub fn from_gguf(gguf: &sai_formats::gguf::Gguf) -> Result<Config, Error> {
        gguf::read(gguf)
    }

    /// The heads as attention sees them.
    pub fn heads(&self) -> Heads {
        Heads { heads: self.num_heads, kv_heads: self.num_kv_heads, head_dim: self.head_dim }
    }

    /// Weights of the model, tied ones counted once.
    pub fn parameters(&self) -> u64 {
        let (d, f) = (self.hidden_size as u64, self.intermediate_size as u64);
        let queries = (self.num_heads * self.head_dim) as u64;
        let qkv = self.heads().qkv_columns() as u64;
        let bias = |is: bool, n: u64| if is { n } else { 0 };
        let layer = d * qkv
            + queries * d
            + 3 * d * f
            + 2 * d
            + bias(self.qkv_bias, qkv)
            + bias(self.attention_out_bias, d)
            + bias(self.mlp_bias, 2 * f + d);
        let tables = if self.tie_word_embeddings { 1 } else { 2 };
        self.num_layers as u64 * layer + tables * self.vocab_size as u64 * d + d
    }

    /// Holds the facts against each other; `path` is the file that stated them.
    fn checked(self, path: &Path) -> Result<Config, Error> {
        let wrong = |fact: String| Err(Error::Config { path: PathBuf::from(path), fact });
        for (name, value, most) in [
            ("vocab_size", self.vocab_size, LARGEST_WIDTH),
            ("hidden_size", self.hidden_size, LARGEST_WIDTH),
            ("intermediate_size", self.intermediate_size, LARGEST_WIDTH),
            ("num_hidden_layers", self.num_layers, LARGEST_LAYERS),
            ("num_attention_heads", self.num_heads, LARGEST_WIDTH),
            ("num_key_value_heads", self.num_kv_heads, LARGEST_WIDTH),
            ("head_dim", self.head_dim, LARGEST_WIDTH),
            ("max_position_embeddings", self.context_length, 1 << 32),
        ] {
            if value == 0 || value > most {
                return wrong(format!("`{name}` is {value}, outside of 1 to {most}; the file is damaged"));
            }
        }
        if !self.num_heads.is_multiple_of(self.num_kv_heads) {
            return wrong(format!(
                "{} attention heads cannot share {} key and value heads evenly",
                self.num_heads, self.num_kv_heads
            ));
        }
        if self.num_heads * self.head_dim > LARGEST_WIDTH {
            return wrong(format!("{} heads of {} are too wide", self.num_heads, self.head_dim));
        }
        if self.rope.dim == 0 || !self.rope.dim.is_multiple_of(2) || self.rope.dim > self.head_dim {
            return wrong(format!(
                "rotary embedding turns {} components of a head of {}; it takes an even number of them",
                self.rope.dim, self.head_dim
            ));
        }
        let positive = |x: f64| x.is_finite() && x > 0.0;
        if !positive(self.rope.theta) || self.rope.theta == 1.0 {
            return wrong(format!("`rope_theta` is {}", self.rope.theta));
        }
        if !(self.rms_norm_eps.is_finite() && self.rms_norm_eps >= 0.0) {
            return wrong(format!("`rms_norm_eps` is {}", self.rms_norm_eps));
        }
        let sound = match &self.rope.scaling {
            RopeScaling::None => true,
            RopeScaling::Linear { factor } => positive(*factor),
            &RopeScaling::Llama3 { factor, low_freq_factor, high_freq_factor, original_context } => {
                positive(factor)
                    && positive(low_freq_factor)
                    && high_freq_factor > low_freq_factor
                    && positive(original_context)
            }
            &RopeScaling::Yarn {
                factor, original_context, beta_fast, beta_slow, attention_factor, ..
            } => [factor, original_context, beta_fast, beta_slow, attention_factor].into_iter().all(positive),
            RopeScaling::Divisors(divisors) => {
                divisors.len() == self.rope.dim / 2 && divisors.iter().all(|&d| positive(f64::from(d)))
            }
        };
        if !sound {
            return wrong(format!("the rotary scaling makes no sense: {:?}", self.rope.scaling));
        }
        Ok(self)
    }
}
