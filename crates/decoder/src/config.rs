//! What a model is, by facts.

mod check;
mod describe;
mod difference;
mod gguf;
mod hugging_face;
mod to_gguf;
mod to_hugging_face;

use crate::family::Family;
use crate::{Error, Rope};
use sai_formats::{Container, Source, open};
use sai_kernels::{Activation, Heads, NormKind};
use std::path::Path;

/// A decoder by the facts that its pass follows. What a fact's absence means is LLaMA: pre-norm blocks of RMSNorm, rotary
/// grouped-query attention and SwiGLU. Touvron et al. 2023.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// As the file names it: `llama`, `qwen3`, `gpt_neox`. Only names of tensors follow from it.
    pub architecture: String,
    /// Rows of the embedding; at least as many as the tokenizer has tokens.
    pub vocab_size: usize,
    /// Width of the residual stream.
    pub hidden_size: usize,
    /// Width of the embedding, where that is another: two projections lead to the stream and back.
    pub embedding_size: usize,
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
    /// What all norms make of a row.
    pub norm: Norm,
    /// Where the norms of attention and of the feed-forward layer stand.
    pub norm_place: NormPlace,
    /// The norms of queries and keys, where there are any; before positions turn.
    pub qk_norm: Option<QkNorm>,
    /// Whether a norm stands before the head.
    pub final_norm: bool,
    /// Whether attention and the feed-forward layer both read the block's input.
    pub parallel: bool,
    /// How the pass knows where a token stands.
    pub positions: Positions,
    /// The ways in which positions turn; layers say which is theirs.
    pub ropes: Vec<Rope>,
    /// What differs from layer to layer, first to last.
    pub layers: Vec<LayerConfig>,
    /// What the feed-forward layer bends its inputs with.
    pub activation: Activation,
    /// Whether that is a gate of a second projection.
    pub gated: bool,
    /// Positions that the model was trained for.
    pub context_length: usize,
    /// Whether the embedding is also the head.
    pub tie_word_embeddings: bool,
    /// Whether the query, key and value projections have biases.
    pub qkv_bias: bool,
    /// Whether the attention's output projection has one.
    pub attention_out_bias: bool,
    /// Whether the feed-forward projections have.
    pub mlp_bias: bool,
    /// Queries, keys and values are kept within ± this.
    pub qkv_clip: Option<f32>,
    /// What the embedding is multiplied by.
    pub embedding_scale: f32,
    /// What attention and the feed-forward layer are multiplied by before they are added.
    pub residual_scale: f32,
    /// What logits are multiplied by.
    pub logit_scale: f32,
    /// Scores of attention become `cap · tanh(score / cap)`.
    pub attention_soft_cap: Option<f32>,
    /// Logits likewise, once scaled.
    pub logit_soft_cap: Option<f32>,
}

/// A norm.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Norm {
    /// Root mean square, or mean and variance. A gain of `1 + w` is one of `w` once it is loaded.
    pub kind: NormKind,
    /// Whether a bias is added.
    pub bias: bool,
    /// Added to the mean square or the variance before its root is taken.
    pub eps: f32,
}

/// Where the norms of a block stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NormPlace {
    /// `x + f(norm(x))`. Radford et al. 2019.
    Before,
    /// `x + norm(f(x))`. OLMo et al. 2024.
    After,
    /// `x + norm(f(norm(x)))`. Gemma Team 2024.
    Both,
    /// `norm(x + f(x))`. Vaswani et al. 2017.
    AfterSum,
}

/// What a norm of queries and keys goes over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QkNorm {
    /// Each head by itself.
    Heads,
    /// All heads of a row together.
    Rows,
}

/// How the pass knows where a token stands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Positions {
    /// Queries and keys turn, in the layers that say so. Su et al. 2021.
    Rotary,
    /// A row of a table is added to the embedding: that of the position plus `offset`.
    Learned {
        /// Rows before that of the first position.
        offset: usize,
    },
    /// The same with rows of sines, then cosines. Vaswani et al. 2017.
    Sinusoidal {
        /// The first position's number.
        offset: usize,
    },
    /// Scores fall with distance, by a slope of each head. Press et al. 2022.
    Alibi {
        /// The steepest slope's exponent of ½.
        max_bias: f32,
    },
}

/// What differs from layer to layer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LayerConfig {
    /// Which of the model's ropes turns its queries and keys; none does where there is none.
    pub rope: Option<usize>,
    /// Positions that a row attends to, its own the last; all before it where there is none.
    pub window: Option<usize>,
    /// What scores are multiplied by; mostly `1 / √head_dim`.
    pub attention_scale: f32,
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

    /// What scores of attention are multiplied by where nothing else is said.
    pub(crate) fn plain_scale(head_dim: usize) -> f32 {
        1.0 / (head_dim as f32).sqrt()
    }

    /// Columns of the projection into the feed-forward layer: gates and ups, or ups alone.
    pub(crate) fn gate_up_columns(&self) -> usize {
        if self.gated { 2 * self.intermediate_size } else { self.intermediate_size }
    }

    /// The projections to queries, keys and values by GGUF's names, each with its outputs: one where a file has them fused.
    pub(crate) fn qkv_projections(&self, fused: bool) -> Vec<(&'static str, usize)> {
        let (queries, keys) = (self.num_heads * self.head_dim, self.num_kv_heads * self.head_dim);
        match fused {
            true => vec![("attn_qkv", queries + 2 * keys)],
            false => vec![("attn_q", queries), ("attn_k", keys), ("attn_v", keys)],
        }
    }

    /// The projections into the feed-forward layer, likewise; without gates there is but one.
    pub(crate) fn gate_up_projections(&self, fused: bool) -> Vec<(&'static str, usize)> {
        let f = self.intermediate_size;
        match (self.gated, fused) {
            (true, false) => vec![("ffn_gate", f), ("ffn_up", f)],
            _ => vec![("ffn_up", self.gate_up_columns())],
        }
    }

    /// Values of a gain for queries and of one for keys.
    pub(crate) fn qk_norm_lengths(&self) -> Option<[usize; 2]> {
        self.qk_norm.map(|norm| match norm {
            QkNorm::Heads => [self.head_dim; 2],
            QkNorm::Rows => [self.num_heads * self.head_dim, self.num_kv_heads * self.head_dim],
        })
    }

    /// Whether a norm stands before attention and the feed-forward layer, and whether one after them.
    pub(crate) fn norms(&self) -> [bool; 2] {
        match self.norm_place {
            NormPlace::Before => [true, false],
            NormPlace::After | NormPlace::AfterSum => [false, true],
            NormPlace::Both => [true, true],
        }
    }

    /// Rows of the table of positions that the files hold.
    pub(crate) fn position_rows(&self) -> Option<usize> {
        match self.positions {
            Positions::Learned { offset } => Some(self.context_length + offset),
            _ => None,
        }
    }

    /// Tokens that a sequence can have at most, where that is not only a matter of quality: there is a row of a table for
    /// each.
    pub fn most_positions(&self) -> Option<usize> {
        match self.positions {
            Positions::Learned { .. } | Positions::Sinusoidal { .. } => Some(self.context_length),
            Positions::Rotary | Positions::Alibi { .. } => None,
        }
    }

    /// The length above which all of a sequence's positions turn otherwise, from the first on. Keys of a shorter one are
    /// then of no use: a sequence that grows beyond is to be computed anew. LongRoPE has it; Ding et al. 2024.
    pub fn rope_switch(&self) -> Option<usize> {
        self.ropes.iter().find_map(Rope::switch)
    }

    /// The row of the table of families that the description's name leads to.
    pub(crate) fn family(&self) -> &'static Family {
        Family::of(&self.architecture)
    }

    /// Weights of the model, tied ones counted once.
    pub fn parameters(&self) -> u64 {
        let (d, f, e) = (self.hidden_size as u64, self.intermediate_size as u64, self.embedding_size as u64);
        let queries = (self.num_heads * self.head_dim) as u64;
        let qkv = self.heads().qkv_columns() as u64;
        let gate_up = self.gate_up_columns() as u64;
        let either = |is: bool, n: u64| if is { n } else { 0 };
        let norm = d + either(self.norm.bias, d);
        let [before, after] = self.norms();
        let layer = d * qkv
            + queries * d
            + d * gate_up
            + f * d
            + either(before, 2 * norm)
            + either(after, 2 * norm)
            + self.qk_norm_lengths().map_or(0, |lengths| lengths.iter().sum::<usize>() as u64)
            + either(self.qkv_bias, qkv)
            + either(self.attention_out_bias, d)
            + either(self.mlp_bias, gate_up + d);
        let tables = if self.tie_word_embeddings { 1 } else { 2 };
        self.num_layers as u64 * layer
            + tables * self.vocab_size as u64 * e
            + either(e != d, 2 * e * d)
            + self.position_rows().unwrap_or(0) as u64 * d
            + either(self.final_norm, norm)
    }
}
