//! Where each tensor of a model lies in an arena.

use crate::lora::{Factor, Target};
use crate::weights::Names;
use crate::{Config, Error, LayerConfig, Lora, NormPlace, Positions, RopeStyle};
use sai_kernels::{Activation, LowRank, NormKind, View};
use std::ops::Range;

/// A tensor of the model by its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParameterInfo {
    /// As Hugging Face's files name it.
    pub name: String,
    /// (outputs, inputs) of a matrix, or the length of a vector.
    pub shape: Vec<usize>,
    /// Where its values are.
    pub view: View,
}

/// All tensors of a model in one arena: matrices first, which AdamW decays, then vectors.
///
/// Query, key and value lie side by side, and so do gate and up, so that each is one matrix to the pass.
#[derive(Clone, Debug)]
pub struct Layout {
    tensors: Vec<ParameterInfo>,
    decayed: usize,
    length: usize,
    pub(super) embedding: View,
    pub(super) head: View,
    pub(super) final_norm: View,
    pub(super) layers: Vec<LayerViews>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct LayerViews {
    pub(super) attention_norm: View,
    pub(super) qkv: Projection,
    /// Of queries and of keys, where the model norms them.
    pub(super) qk_norm: Option<[View; 2]>,
    pub(super) attention_out: Projection,
    pub(super) ffn_norm: View,
    pub(super) gate_up: Projection,
    pub(super) ffn_down: Projection,
}

/// A matrix, and its bias where the model has one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Projection {
    pub(super) weight: View,
    pub(super) bias: Option<View>,
    /// What is trained in place of its parts.
    pub(super) changes: [Option<LowRank>; 3],
}

impl LayerViews {
    /// The product that a target is part of, and which part.
    fn target(&mut self, target: Target) -> (&mut Projection, usize) {
        match target {
            Target::Query => (&mut self.qkv, 0),
            Target::Key => (&mut self.qkv, 1),
            Target::Value => (&mut self.qkv, 2),
            Target::Output => (&mut self.attention_out, 0),
            Target::Gate => (&mut self.gate_up, 0),
            Target::Up => (&mut self.gate_up, 1),
            Target::Down => (&mut self.ffn_down, 0),
        }
    }
}

impl Layout {
    /// The layout of a model.
    ///
    /// # Errors
    /// Its heads lie in pairs, as in GGUF files, while these names belong to heads in halves; or it is too large to be
    /// addressed.
    pub fn of(config: &Config) -> Result<Layout, Error> {
        let c = config;
        let wrong = |fact: &str| Error::Training { fact: fact.to_owned() };
        if let Some(fact) = untrained(c) {
            return Err(wrong(&format!("sai does not train a model with {fact}")));
        }
        if c.ropes.iter().any(|rope| rope.style != RopeStyle::Halves) {
            return Err(wrong(
                "a model is trained in Hugging Face's form; make it a folder with `sai convert`",
            ));
        }
        if usize::try_from(c.parameters()).ok().and_then(|n| n.checked_mul(4)).is_none() {
            return Err(wrong("the model has more parameters than can be addressed"));
        }
        let (d, f) = (c.hidden_size, c.intermediate_size);
        let (queries, keys) = (c.num_heads * c.head_dim, c.num_kv_heads * c.head_dim);
        let names = Names::folder(c.family());
        let mut arena = Arena { tensors: Vec::new(), end: 0 };

        let embedding = arena.stack([(names.embedding(), c.vocab_size)], Some(d));
        let head = match c.tie_word_embeddings {
            true => embedding,
            false => arena.stack([(names.head(), c.vocab_size)], Some(d)),
        };
        let parts = |layer: usize, kind: fn(Names, usize, &str) -> String| {
            let one = move |name: &str, n: usize| (kind(names, layer, name), n);
            (
                [one("attn_q", queries), one("attn_k", keys), one("attn_v", keys)],
                [one("attn_output", d)],
                [one("ffn_gate", f), one("ffn_up", f)],
                [one("ffn_down", d)],
            )
        };
        let matrices: Vec<[View; 4]> = (0..c.num_layers)
            .map(|layer| {
                let (qkv, out, gate_up, down) = parts(layer, Names::weight);
                let (qkv, out) = (arena.stack(qkv, Some(d)), arena.stack(out, Some(queries)));
                [qkv, out, arena.stack(gate_up, Some(d)), arena.stack(down, Some(f))]
            })
            .collect();
        let decayed = arena.end;
        let layers = matrices
            .into_iter()
            .enumerate()
            .map(|(layer, [qkv, attention_out, gate_up, ffn_down])| {
                let (of_qkv, of_out, of_gate_up, of_down) = parts(layer, Names::bias);
                LayerViews {
                    attention_norm: arena.stack([(names.weight(layer, "attn_norm"), d)], None),
                    qkv: arena.projection(qkv, c.qkv_bias, of_qkv),
                    qk_norm: c.qk_norm_lengths().map(|[q, k]| {
                        let mut gain = |name: &str, n| arena.stack([(names.weight(layer, name), n)], None);
                        [gain("attn_q_norm", q), gain("attn_k_norm", k)]
                    }),
                    attention_out: arena.projection(attention_out, c.attention_out_bias, of_out),
                    ffn_norm: arena.stack([(names.weight(layer, "ffn_norm"), d)], None),
                    gate_up: arena.projection(gate_up, c.mlp_bias, of_gate_up),
                    ffn_down: arena.projection(ffn_down, c.mlp_bias, of_down),
                }
            })
            .collect();
        let final_norm = arena.stack([(names.top("output_norm", "weight"), d)], None);
        let Arena { tensors, end } = arena;
        Ok(Layout { tensors, decayed, length: end, embedding, head, final_norm, layers })
    }

    /// Values of the arena: the model's parameters, tied ones once.
    pub fn len(&self) -> usize {
        self.length
    }

    /// Places an adapter's tensors in an arena of their own, layer after layer, and has the products change by them.
    pub(super) fn adapt(&mut self, lora: &Lora) -> Vec<ParameterInfo> {
        let mut arena = Arena { tensors: Vec::new(), end: 0 };
        for (i, layer) in self.layers.iter_mut().enumerate() {
            for &target in &lora.targets {
                let weight = format!("{}.weight", target.module(i));
                let Some(of) = self.tensors.iter().find(|placed| placed.name == weight) else { continue };
                let View { start, rows, columns } = of.view;
                let a = arena.stack([(target.tensor(i, Factor::A), lora.rank)], Some(columns));
                let b = arena.stack([(target.tensor(i, Factor::B), rows)], Some(lora.rank));
                let (product, part) = layer.target(target);
                let column = (start - product.weight.start) / columns;
                product.changes[part] = Some(LowRank { a, b, column, scale: lora.scale() });
            }
        }
        arena.tensors
    }

    /// Whether there are none; never so.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Values before this one belong to matrices.
    pub fn decayed(&self) -> usize {
        self.decayed
    }

    /// The ranges of the arena in the order in which backward is done with them: the head's, each layer's matrices from the
    /// last to the first, the embedding's, and all vectors together.
    pub fn in_backward(&self) -> impl Iterator<Item = Range<usize>> {
        let head = (self.head != self.embedding).then(|| self.head.range());
        let layers = (0..self.layers.len()).rev().map(|layer| self.matrices(layer));
        head.into_iter().chain(layers).chain([self.embedding.range(), self.vectors()])
    }

    /// A layer's matrices, which lie side by side.
    pub(super) fn matrices(&self, layer: usize) -> Range<usize> {
        let layer = &self.layers[layer];
        layer.qkv.weight.start..layer.ffn_down.weight.range().end
    }

    /// Everything that is no matrix.
    pub(super) fn vectors(&self) -> Range<usize> {
        self.decayed..self.length
    }

    /// The tensors in the order of the arena.
    pub fn tensors(&self) -> &[ParameterInfo] {
        &self.tensors
    }

    /// Where a tensor lies, by its name.
    pub fn get(&self, name: &str) -> Option<&ParameterInfo> {
        self.tensors.iter().find(|tensor| tensor.name == name)
    }
}

/// The first fact of a description that backward does not know.
fn untrained(c: &Config) -> Option<&'static str> {
    let layer = |i: &LayerConfig| i.rope == Some(0) && i.window.is_none();
    let scale = Config::plain_scale(c.head_dim);
    let facts = [
        (c.norm.kind != NormKind::Rms || c.norm.bias, "LayerNorm"),
        (
            c.norm_place != NormPlace::Before || !c.final_norm,
            "norms after attention and the feed-forward layer",
        ),
        (c.parallel, "attention and feed-forward layer in parallel"),
        (c.positions != Positions::Rotary, "positions that do not turn"),
        (c.rope_switch().is_some(), "LongRoPE"),
        (c.layers.iter().any(|l| l.window.is_some()), "sliding windows"),
        (!c.layers.iter().all(layer), "layers that turn positions otherwise, or not at all"),
        (c.layers.iter().any(|l| l.attention_scale != scale), "a scale of attention of its own"),
        (c.activation != Activation::Silu || !c.gated, "another feed-forward layer than SwiGLU"),
        (
            c.embedding_scale != 1.0 || c.residual_scale != 1.0 || c.logit_scale != 1.0,
            "scales of embedding, residual or logits",
        ),
        (c.attention_soft_cap.is_some() || c.logit_soft_cap.is_some(), "soft caps"),
        (c.qkv_clip.is_some(), "clipped queries, keys and values"),
        (c.embedding_size != c.hidden_size, "an embedding of another width than its layers"),
        (c.family().form.gain_plus_one, "gains that are 1 more than what is stored"),
        (Names::folder(c.family()).fuses_qkv(None, c), "queries, keys and values in one tensor"),
    ];
    facts.into_iter().find_map(|(has, fact)| has.then_some(fact))
}

/// An arena that is being laid out.
struct Arena {
    tensors: Vec<ParameterInfo>,
    end: usize,
}

impl Arena {
    /// Places tensors side by side: matrices of so many inputs, or vectors. Returns what they are together.
    fn stack<const N: usize>(&mut self, parts: [(String, usize); N], inputs: Option<usize>) -> View {
        let (start, mut outputs) = (self.end, 0);
        for (name, n) in parts {
            let (shape, view) = match inputs {
                Some(inputs) => (vec![n, inputs], View { start: self.end, rows: n, columns: inputs }),
                None => (vec![n], View { start: self.end, rows: 1, columns: n }),
            };
            self.end = view.range().end;
            outputs += n;
            self.tensors.push(ParameterInfo { name, shape, view });
        }
        match inputs {
            Some(columns) => View { start, rows: outputs, columns },
            None => View { start, rows: 1, columns: outputs },
        }
    }

    fn projection<const N: usize>(
        &mut self,
        weight: View,
        bias: bool,
        parts: [(String, usize); N],
    ) -> Projection {
        Projection { weight, bias: bias.then(|| self.stack(parts, None)), changes: [None; 3] }
    }
}
