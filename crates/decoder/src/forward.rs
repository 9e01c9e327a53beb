//! From tokens to logits: the paper's equations over a device. Touvron et al. 2023, section 2.

use crate::{Batch, Config, Decoder, Error, KvCache};
use sai_kernels::{Device, Span};

/// Rows that a caller should give a pass at most: enough to multiply at full speed, few enough that the
/// activations stay small.
const ROWS: usize = 512;

/// The activations of a pass, kept between passes.
pub struct RunState<D: Device> {
    /// Residual stream, (rows, hidden_size).
    x: D::Buffer,
    /// (rows, hidden_size)
    normed: D::Buffer,
    /// (rows, (heads + 2 · kv_heads) · head_dim)
    qkv: D::Buffer,
    /// Cosines and sines, (rows, rope_dim).
    angles: D::Buffer,
    /// (rows, heads · head_dim)
    attended: D::Buffer,
    /// (rows, 2 · intermediate_size)
    gate_up: D::Buffer,
    /// (rows, intermediate_size)
    hidden: D::Buffer,
    /// The rows whose logits are wanted, (wanted rows, hidden_size).
    selected: D::Buffer,
    /// (wanted rows, vocab_size)
    logits: D::Buffer,
}

impl<D: Device> RunState<D> {
    /// Rows that a pass computes best with; a longer prompt is given in pieces.
    pub const ROWS: usize = ROWS;

    /// Room for passes over `decoder`; it grows with the first large one.
    pub fn new(decoder: &Decoder<D>) -> RunState<D> {
        let (d, c) = (&decoder.device, &decoder.config);
        RunState {
            x: d.buffer(1, c.hidden_size),
            normed: d.buffer(1, c.hidden_size),
            qkv: d.buffer(1, c.heads().qkv_columns()),
            angles: d.buffer(1, c.rope.dim),
            attended: d.buffer(1, c.num_heads * c.head_dim),
            gate_up: d.buffer(1, 2 * c.intermediate_size),
            hidden: d.buffer(1, c.intermediate_size),
            selected: d.buffer(1, c.hidden_size),
            logits: d.buffer(1, c.vocab_size),
        }
    }

    /// The logits of the last pass, (wanted rows, vocab_size).
    pub fn logits(&self) -> &D::Buffer {
        &self.logits
    }

    /// Bytes of activations in a pass of [`RunState::ROWS`] rows that wants one row of logits.
    pub fn bytes(config: &Config) -> u64 {
        let c = config;
        let row = 2 * c.hidden_size
            + c.heads().qkv_columns()
            + c.num_heads * c.head_dim
            + 3 * c.intermediate_size
            // Activations as bytes, with their scales and sums.
            + 2 * c.hidden_size.max(c.intermediate_size);
        4 * (ROWS as u64 * row as u64 + c.vocab_size as u64)
    }
}

impl<D: Device> Decoder<D> {
    /// One pass over the rows of `batch`, which join their sequences in `cache`. Returns the wanted rows'
    /// logits, (wanted rows, vocab_size), in the order of the rows.
    ///
    /// # Errors
    /// A token that is no row of the embedding, or no room in the cache; the cache is then as it was.
    pub fn forward<'r>(
        &self,
        cache: &mut KvCache<D>,
        batch: &Batch,
        run: &'r mut RunState<D>,
    ) -> Result<&'r D::Buffer, Error> {
        let (d, c) = (&self.device, &self.config);
        let starts = self.admit(cache, batch)?;
        let page_lists: Vec<Vec<u32>> = cache.pages.of_spans(batch).map(<[u32]>::to_vec).collect();
        let spans: Vec<Span<'_>> = batch
            .spans
            .iter()
            .zip(&starts)
            .zip(&page_lists)
            .map(|(((_, rows), &position), pages)| Span {
                first_row: rows.start,
                rows: rows.len(),
                position,
                pages,
            })
            .collect();
        let positions: Vec<u32> =
            spans.iter().flat_map(|s| s.position..s.position + s.rows).map(|p| p as u32).collect();

        let heads = c.heads();
        d.rope_angles(&positions, &self.inv_freq, c.rope.attention_factor(), &mut run.angles);
        d.embed(&self.embedding, &batch.tokens, &mut run.x);
        for (i, layer) in self.layers.iter().enumerate() {
            d.rms_norm(&run.x, &layer.attention_norm, c.rms_norm_eps, &mut run.normed);
            d.linear(&run.normed, &layer.qkv.weight, layer.qkv.bias.as_ref(), &mut run.qkv);
            d.rope(&mut run.qkv, &run.angles, heads, c.rope.style);
            d.append(&mut cache.storage, i, &run.qkv, heads, &spans);
            d.attend(&run.qkv, &cache.storage, i, heads, &spans, &mut run.attended);
            let out = &layer.attention_out;
            d.linear_add(&run.attended, &out.weight, out.bias.as_ref(), &mut run.x);

            d.rms_norm(&run.x, &layer.ffn_norm, c.rms_norm_eps, &mut run.normed);
            d.linear(&run.normed, &layer.gate_up.weight, layer.gate_up.bias.as_ref(), &mut run.gate_up);
            d.swiglu(&run.gate_up, &mut run.hidden);
            let down = &layer.ffn_down;
            d.linear_add(&run.hidden, &down.weight, down.bias.as_ref(), &mut run.x);
        }
        // Only the wanted rows are worth the head, which is a quarter of a small model.
        d.select_rows(&run.x, &batch.wanted, &mut run.selected);
        d.rms_norm(&run.selected, &self.final_norm, c.rms_norm_eps, &mut run.normed);
        d.linear(&run.normed, &self.head, None, &mut run.logits);
        Ok(&run.logits)
    }

    /// Checks the tokens and makes room for all of them or, on an error, for none. Returns each span's
    /// first position.
    fn admit(&self, cache: &mut KvCache<D>, batch: &Batch) -> Result<Vec<usize>, Error> {
        let vocab_size = self.config.vocab_size;
        if let Some(&token) = batch.tokens.iter().find(|&&token| token as usize >= vocab_size) {
            return Err(Error::TokenOutOfRange { token, vocab_size });
        }
        cache.extend_all(&self.device, batch)
    }
}
