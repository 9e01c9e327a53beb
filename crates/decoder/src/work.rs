//! What computing a token takes, by the model's shape: the bytes and operations that a speed is made of.

use crate::Config;
use crate::memory::cache_shape;
use crate::weights::Names;
use sai_formats::Container;
use sai_kernels::{CacheType, PAGE};

/// What a decoder reads and computes, apart from norms and other small change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenCost {
    /// Bytes of weights that every pass reads, however few rows it has.
    pub weights: u64,
    /// Bytes of keys and values that each earlier position adds to a token's pass.
    pub cache: u64,
    /// Multiplications and additions of a token's way through the layers' matrices.
    pub layers: u64,
    /// Those of the head, for a token whose logits are wanted.
    pub head: u64,
    /// Those of attention, for each position that a token attends to.
    pub attention: u64,
}

impl TokenCost {
    /// For a model as its file has it, with keys and values of type `dtype`.
    pub fn of(config: &Config, container: &Container, dtype: CacheType) -> TokenCost {
        let c = config;
        // An embedding that is not also the head is looked up: a row a token.
        let embedding = container.tensors().get(&Names::of(container, config).embedding());
        let looked_up = match c.tie_word_embeddings {
            true => 0,
            false => embedding.map_or(0, |table| table.data.len()),
        };
        TokenCost {
            weights: container.tensors().total_bytes() - looked_up as u64,
            cache: cache_shape(config, PAGE, dtype).bytes() / PAGE as u64,
            ..TokenCost::without_bytes(config)
        }
    }

    /// The operations alone, for a model that lies in no file.
    fn without_bytes(config: &Config) -> TokenCost {
        let c = config;
        let (hidden, queries) = (c.hidden_size as u64, (c.num_heads * c.head_dim) as u64);
        let layer = hidden * c.heads().qkv_columns() as u64
            + queries * hidden
            + hidden * (c.gate_up_columns() + c.intermediate_size) as u64;
        TokenCost {
            weights: 0,
            cache: 0,
            layers: 2 * layer * c.num_layers as u64,
            head: 2 * hidden * c.vocab_size as u64,
            // A product with each key and one with each value.
            attention: 4 * queries * c.num_layers as u64,
        }
    }

    /// Operations of training on `tokens` tokens, in which `pairs` is how many pairs of a token and one that it attends to
    /// there are: forward, and twice as much back. That is six for each weight of a matrix, which is called 6N, and
    /// attention. What is computed again to save memory does not count. Chowdhery et al. 2022, appendix B.
    pub fn training_operations(config: &Config, tokens: f64, pairs: f64) -> f64 {
        let work = TokenCost::without_bytes(config);
        3.0 * ((work.layers + work.head) as f64 * tokens + work.attention as f64 * pairs)
    }

    /// Bytes that a pass of one token at `position` reads.
    pub fn decode_bytes(&self, position: usize) -> u64 {
        self.weights + self.cache * (position as u64 + 1)
    }

    /// Operations of a pass of one token at `position`.
    pub fn decode_operations(&self, position: usize) -> u64 {
        self.layers + self.head + self.attention * (position as u64 + 1)
    }

    /// Operations of `tokens` tokens from `position` on, of which the last one's logits are wanted.
    pub fn prefill_operations(&self, position: usize, tokens: usize) -> u64 {
        let (first, n) = (position as u64 + 1, tokens as u64);
        // The sum of the positions that each attends to.
        let attended = n * first + n * n.saturating_sub(1) / 2;
        self.layers * n + self.head + self.attention * attended
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prompt_is_its_tokens() {
        let work = TokenCost { weights: 1000, cache: 10, layers: 100, head: 7, attention: 3 };
        for (position, tokens) in [(0, 1), (5, 1), (0, 4), (9, 13)] {
            let one_by_one: u64 = (position..position + tokens).map(|p| work.decode_operations(p)).sum();
            let heads = (tokens as u64 - 1) * work.head;
            assert_eq!(work.prefill_operations(position, tokens), one_by_one - heads);
        }
        assert_eq!(work.decode_bytes(0), 1010);
    }
}
