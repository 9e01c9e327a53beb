//! From tokens to logits: the papers' equations over a device, as the facts of [`Config`] have them.

use crate::model::NormWeights;
use crate::{Batch, Config, Decoder, Error, KvCache, Linear, NormPlace};
use sai_kernels::{Attention, Device, NormKind, Pointwise, Span};

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
    /// Of each rope cosines and sines, (rows, rope_dim).
    angles: Vec<D::Buffer>,
    /// (rows, heads · head_dim)
    attended: D::Buffer,
    /// Gates and ups, or ups alone: (rows, 2 · intermediate_size).
    gate_up: D::Buffer,
    /// (rows, intermediate_size)
    hidden: D::Buffer,
    /// What is not added as it is, before and after its norm: (rows, hidden_size).
    sublayer: [D::Buffer; 2],
    /// The rows whose logits are wanted, (wanted rows, hidden_size).
    selected: D::Buffer,
    /// (wanted rows, vocab_size)
    logits: D::Buffer,
    /// What the head would read, of rows whose hidden states are wanted: (those rows, hidden_size).
    hidden_states: D::Buffer,
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
            angles: c.ropes.iter().map(|rope| d.buffer(1, rope.dim)).collect(),
            attended: d.buffer(1, c.num_heads * c.head_dim),
            gate_up: d.buffer(1, c.gate_up_columns()),
            hidden: d.buffer(1, c.intermediate_size),
            sublayer: [(); 2].map(|()| d.buffer(1, c.hidden_size)),
            selected: d.buffer(1, c.hidden_size),
            logits: d.buffer(1, c.vocab_size),
            hidden_states: d.buffer(1, c.hidden_size),
        }
    }

    /// The logits of the last pass, (wanted rows, vocab_size).
    pub fn logits(&self) -> &D::Buffer {
        &self.logits
    }

    /// The last hidden states of the last pass that wanted some, after the final norm: (rows of [`Batch::push_hidden`], hidden_size).
    pub fn hidden_states(&self) -> &D::Buffer {
        &self.hidden_states
    }

    /// Bytes of activations in a pass of [`RunState::ROWS`] rows that wants one row of logits.
    pub fn bytes(config: &Config) -> u64 {
        let c = config;
        let sublayer = if c.adds_as_it_is() { 0 } else { 2 * c.hidden_size };
        let row = 2 * c.hidden_size
            + c.heads().qkv_columns()
            + c.num_heads * c.head_dim
            + c.gate_up_columns()
            + c.intermediate_size
            + sublayer
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
    /// A token that is no row of the embedding, a position that the model has no row for, a sequence that grows beyond
    /// [`Config::rope_switch`], or no room in the cache; the cache is then as it was.
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
            .map(|((span, &position), pages)| Span {
                first_row: span.rows.start,
                rows: span.rows.len(),
                position,
                pages,
            })
            .collect();
        let positions: Vec<u32> =
            spans.iter().flat_map(|s| s.position..s.position + s.rows).map(|p| p as u32).collect();

        let heads = c.heads();
        self.turn(cache, batch, &positions, &mut run.angles);
        self.embed(&batch.tokens, &positions, run);
        for (i, (layer, facts)) in self.layers.iter().zip(&c.layers).enumerate() {
            let input = self.normed(layer.attention_norm.as_ref(), &run.x, &mut run.normed);
            d.linear(input, &layer.qkv.weight, layer.qkv.bias.as_ref(), &mut run.qkv);
            if let Some(limit) = c.qkv_clip {
                d.pointwise(&mut run.qkv, Pointwise::Clamp(limit));
            }
            if let Some([of_queries, of_keys]) = &layer.qk_norm {
                let (queries, keys) = (heads.heads * heads.head_dim, heads.kv_heads * heads.head_dim);
                d.norm_columns(&mut run.qkv, 0..queries, c.norm.kind, &of_queries.gain, None, c.norm.eps);
                let keys = queries..queries + keys;
                d.norm_columns(&mut run.qkv, keys, c.norm.kind, &of_keys.gain, None, c.norm.eps);
            }
            if let Some(rope) = facts.rope {
                d.rope(&mut run.qkv, &run.angles[rope], heads, c.ropes[rope].style);
            }
            d.append(&mut cache.storage, i, &run.qkv, heads, &spans);
            let attention = Attention {
                heads,
                scale: facts.attention_scale,
                soft_cap: c.attention_soft_cap,
                window: facts.window,
                slopes: &self.slopes,
            };
            d.attend(&run.qkv, &cache.storage, i, &attention, &spans, &mut run.attended);

            // In parallel the feed-forward layer reads what attention did.
            if c.parallel {
                self.normed(layer.ffn_norm.as_ref(), &run.x, &mut run.normed);
            }
            self.add(
                &run.attended,
                &layer.attention_out,
                &layer.attention_post_norm,
                &mut run.x,
                &mut run.sublayer,
            );
            let input = match c.parallel {
                true => &run.normed,
                false => self.normed(layer.ffn_norm.as_ref(), &run.x, &mut run.normed),
            };
            d.linear(input, &layer.gate_up.weight, layer.gate_up.bias.as_ref(), &mut run.gate_up);
            d.activate(&run.gate_up, c.activation, c.gated, &mut run.hidden);
            self.add(&run.hidden, &layer.ffn_down, &layer.ffn_post_norm, &mut run.x, &mut run.sublayer);
        }
        self.keep_hidden(batch, run);
        // Only the wanted rows are worth the head, which is a quarter of a small model.
        d.select_rows(&run.x, &batch.wanted, &mut run.selected);
        let mut last = self.normed(self.final_norm.as_ref(), &run.selected, &mut run.normed);
        if let Some(out) = &self.project_out {
            d.linear(last, &out.weight, None, &mut run.hidden);
            last = &run.hidden;
        }
        d.linear(last, &self.head, None, &mut run.logits);
        if c.logit_scale != 1.0 {
            d.pointwise(&mut run.logits, Pointwise::Scale(c.logit_scale));
        }
        if let Some(cap) = c.logit_soft_cap {
            d.pointwise(&mut run.logits, Pointwise::SoftCap(cap));
        }
        Ok(&run.logits)
    }

    /// The last hidden states of the rows that want them.
    fn keep_hidden(&self, batch: &Batch, run: &mut RunState<D>) {
        if batch.hidden.is_empty() {
            return;
        }
        if self.final_norm.is_none() {
            return self.device.select_rows(&run.x, &batch.hidden, &mut run.hidden_states);
        }
        self.device.select_rows(&run.x, &batch.hidden, &mut run.selected);
        self.normed(self.final_norm.as_ref(), &run.selected, &mut run.hidden_states);
    }

    /// How far each row's queries and keys turn, by each rope.
    fn turn(&self, cache: &KvCache<D>, batch: &Batch, positions: &[u32], angles: &mut [D::Buffer]) {
        for ((rope, [short, long]), angles) in self.config.ropes.iter().zip(&self.inv_freq).zip(angles) {
            let mut of_rows: Vec<&[f32]> = Vec::with_capacity(positions.len());
            for (span, is_long) in batch.spans.iter().zip(cache.pages.long_spans(batch)) {
                let of_span = if is_long { long } else { short };
                of_rows.extend(std::iter::repeat_n(&of_span[..], span.rows.len()));
            }
            self.device.rope_angles(positions, &of_rows, rope.attention_factor(), angles);
        }
    }

    /// The residual stream before the first layer.
    fn embed(&self, tokens: &[u32], positions: &[u32], run: &mut RunState<D>) {
        let (d, c) = (&self.device, &self.config);
        match &self.project_in {
            None => d.embed(&self.embedding, tokens, &mut run.x),
            Some(project) => {
                d.embed(&self.embedding, tokens, &mut run.hidden);
                d.linear(&run.hidden, &project.weight, None, &mut run.x);
            }
        }
        if c.embedding_scale != 1.0 {
            d.pointwise(&mut run.x, Pointwise::Scale(c.embedding_scale));
        }
        if let Some(place) = &self.places {
            let rows: Vec<u32> = positions.iter().map(|position| position + place.offset as u32).collect();
            d.add_rows(&place.table, &rows, &mut run.x);
        }
    }

    /// `x` normed, or as it is where there is no norm.
    fn normed<'b>(
        &self,
        norm: Option<&NormWeights<D>>,
        x: &'b D::Buffer,
        out: &'b mut D::Buffer,
    ) -> &'b D::Buffer {
        let (d, eps) = (&self.device, self.config.norm.eps);
        match (norm, self.config.norm.kind) {
            (None, _) => return x,
            (Some(norm), NormKind::Rms) => d.rms_norm(x, &norm.gain, eps, out),
            (Some(norm), NormKind::Layer) => d.layer_norm(x, &norm.gain, norm.bias.as_ref(), eps, out),
        }
        out
    }

    /// Adds a sublayer's projection to the residual stream `x`, by way of its norm and its scale.
    fn add(
        &self,
        inputs: &D::Buffer,
        projection: &Linear<D>,
        norm: &Option<NormWeights<D>>,
        x: &mut D::Buffer,
        [out, normed]: &mut [D::Buffer; 2],
    ) {
        let (d, c) = (&self.device, &self.config);
        let Linear { weight, bias } = projection;
        if c.adds_as_it_is() {
            return d.linear_add(inputs, weight, bias.as_ref(), x);
        }
        if c.norm_place == NormPlace::AfterSum {
            d.linear_add(inputs, weight, bias.as_ref(), x);
            self.normed(norm.as_ref(), x, normed);
            return std::mem::swap(x, normed);
        }
        d.linear(inputs, weight, bias.as_ref(), out);
        d.add_scaled(self.normed(norm.as_ref(), out, normed), c.residual_scale, x);
    }

    /// Checks the rows and makes room for all of them or, on an error, for none. Returns each span's
    /// first position.
    fn admit(&self, cache: &mut KvCache<D>, batch: &Batch) -> Result<Vec<usize>, Error> {
        let vocab_size = self.config.vocab_size;
        if let Some(&token) = batch.tokens.iter().find(|&&token| token as usize >= vocab_size) {
            return Err(Error::TokenOutOfRange { token, vocab_size });
        }
        if let Some(most) = self.config.most_positions()
            && cache.pages.longest_with(batch) > most
        {
            return Err(Error::NoPosition { most });
        }
        cache.extend_all(&self.device, batch)
    }
}

impl Config {
    /// Whether sublayers write into the residual stream without a norm or a scale between.
    fn adds_as_it_is(&self) -> bool {
        self.norm_place == NormPlace::Before && self.residual_scale == 1.0
    }
}
